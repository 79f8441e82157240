//! How far collectors have come with a ring, kept beside it: when one is killed, the next knows what was taken.
//!
//! The ring itself counts slots; an account counts events. Two marks are written in turn, each complete before the
//! ring's head moves to its position, so that whenever a collector dies one of them tells of where the head stands.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The position of a mark that is being written: no head ever stands there.
const NOWHERE: u64 = u64::MAX;

/// What earlier collectors have accounted for. Later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    /// Events read from the ring.
    pub(crate) events: u64,
    /// Events that it refused, as far as reported.
    pub(crate) dropped: u64,
}

/// In the session's memory. All zeros is right for a new ring.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Marks([Mark; 2]);

#[derive(Debug, Default)]
#[repr(C)]
struct Mark {
    position: AtomicU64,
    events: AtomicU64,
    dropped: AtomicU64,
}

impl Marks {
    /// What was taken when the ring's head came to `position`. `None` when no mark tells: somebody wrote over them.
    ///
    /// Whoever wrote them is gone, and was seen to be: nothing has to be ordered here.
    pub(crate) fn at(&self, position: u64) -> Option<Taken> {
        let here = |mark: &&Mark| mark.position.load(Ordering::Relaxed) == position;
        let taken = |mark: &Mark| Taken {
            events: mark.events.load(Ordering::Relaxed),
            dropped: mark.dropped.load(Ordering::Relaxed),
        };
        self.0.iter().filter(here).map(taken).max()
    }

    /// Writes the mark that was not written last; `turn` is the caller's, one for each ring and 0 at first. The head
    /// stands at `position`, or goes there before the next call.
    pub(crate) fn set(&self, turn: &mut bool, position: u64, taken: Taken) {
        let mark = &self.0[usize::from(*turn)];
        *turn = !*turn;
        for step in 0..STEPS {
            mark.step(step, position, taken);
        }
    }

    /// The mark that may be overwritten first while the head stands at `position`.
    pub(crate) fn turn(&self, position: u64) -> bool {
        self.at(position).is_some_and(|taken| {
            let Mark { position: at, events, dropped } = &self.0[0];
            let first =
                Taken { events: events.load(Ordering::Relaxed), dropped: dropped.load(Ordering::Relaxed) };
            at.load(Ordering::Relaxed) == position && first == taken
        })
    }

    /// For a ring that begins anew.
    pub(crate) fn clear(&self) {
        for mark in &self.0 {
            mark.position.store(0, Ordering::Relaxed);
            mark.events.store(0, Ordering::Relaxed);
            mark.dropped.store(0, Ordering::Relaxed);
        }
    }
}

const STEPS: usize = 4;

impl Mark {
    /// One store of those that make a mark, each of which may be the last thing that a collector does.
    #[inline]
    fn step(&self, step: usize, position: u64, taken: Taken) {
        match step {
            0 => {
                self.position.store(NOWHERE, Ordering::Relaxed);
                fence(Ordering::Release); // the counts change after it
            }
            1 => self.events.store(taken.events, Ordering::Relaxed),
            2 => self.dropped.store(taken.dropped, Ordering::Relaxed),
            _ => self.position.store(position, Ordering::Release), // after the counts; before the head, a Release too
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collector dies after any store; the next one goes on from there, and dies too.
    #[test]
    fn whenever_a_collector_dies_the_head_is_known() {
        for dies_after in 0..200 {
            let (marks, mut head, mut stores) = (Marks::default(), 0, 0);
            let known = |head: u64| Taken { events: head / 3, dropped: head / 7 };
            'recording: for lives in 0..3 {
                assert_eq!(marks.at(head), Some(known(head)), "after {stores} stores");
                let mut turn = marks.turn(head);
                for round in 0..20_u64 {
                    // Now and then nothing was taken, only reported.
                    let next = if round % 4 == 3 { head } else { head + 21 };
                    for step in 0..STEPS {
                        marks.0[usize::from(turn)].step(step, next, known(next));
                        stores += 1;
                        if stores % (dies_after + 1) == dies_after {
                            assert_eq!(marks.at(head), Some(known(head)), "in life {lives}");
                            continue 'recording;
                        }
                    }
                    turn = !turn;
                    head = next;
                }
            }
        }
    }

    #[test]
    fn what_nobody_wrote_is_not_known() {
        let (marks, mut turn) = (Marks::default(), false);
        marks.set(&mut turn, 5, Taken { events: 2, dropped: 1 });
        assert_eq!(marks.at(7), None);
        // the other one still tells of the beginning
        assert_eq!((marks.at(0), marks.turn(5)), (Some(Taken::default()), true));
    }
}
