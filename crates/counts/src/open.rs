//! Something about each open span.

use std::collections::HashMap;

/// Spans of one half.
const HALF: usize = 1 << 15;

/// Something about each open span, by its id. Memory is bounded: where tens of thousands are open, those that began first are
/// forgotten, for what has been open for long is most likely a wait that never ends. At least 32,768 are remembered.
#[derive(Debug)]
pub struct OpenSpans<T> {
    /// Those that began last.
    young: HashMap<u64, T>,
    old: HashMap<u64, T>,
}

impl<T> Default for OpenSpans<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T> OpenSpans<T> {
    /// A span begins.
    pub fn insert(&mut self, span: u64, value: T) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(span, value);
    }

    /// What is known of it; `None` where it is not open, or is forgotten.
    pub fn get_mut(&mut self, span: u64) -> Option<&mut T> {
        match self.young.get_mut(&span) {
            None => self.old.get_mut(&span),
            known => known,
        }
    }

    /// It ends.
    pub fn remove(&mut self, span: u64) -> Option<T> {
        self.young.remove(&span).or_else(|| self.old.remove(&span))
    }

    /// None is open.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_newest_never() {
        let mut open = OpenSpans::default();
        for span in 0..10 * HALF as u64 {
            open.insert(span, span);
            assert_eq!(open.get_mut(span), Some(&mut span.clone()));
            assert!(open.young.len() + open.old.len() <= 2 * HALF);
        }
        let newest = 10 * HALF as u64 - 1;
        for span in newest - HALF as u64 + 1..=newest {
            assert_eq!(open.remove(span), Some(span));
        }
        assert_eq!((open.remove(newest), open.get_mut(0)), (None, None));
        open.clear();
        assert!(open.old.is_empty());
    }
}
