//! A growing set of small numbers: which names a sequence has been told.

/// One bit per number; grows to the highest number inserted.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    #[inline]
    pub(super) fn contains(&self, number: u32) -> bool {
        self.words.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// Adds `number`; whether it is new.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let at = number as usize / 64;
        if self.words.len() <= at {
            self.words.resize((at + 1).next_power_of_two(), 0);
        }
        let new = !self.contains(number);
        self.words[at] |= 1 << (number % 64);
        new
    }

    pub(super) fn clear(&mut self) {
        self.words.fill(0);
    }
}
