//! Where tasks from outside come in, one for each priority.

use crossbeam_deque::Worker as Deque;
use crossbeam_utils::CachePadded;

use crate::inbox::Inbox;
use crate::ring::Ring;
use crate::task::{Header, Task};

/// A worker takes so many at once: few enough that they fit its queue's smallest buffer, and that not much is stuck
/// behind a long task without somebody stealing it.
const CHUNK: usize = 48;

#[derive(Debug)]
pub(super) struct Entrance {
    /// What is spawned.
    ring: Ring<Header>,
    /// What was in the pool before and was woken: it must come in however much there is.
    again: CachePadded<Inbox<Header>>,
}

impl Entrance {
    pub(super) fn new(capacity: usize) -> Self {
        Self { ring: Ring::new(capacity), again: CachePadded::new(Inbox::new()) }
    }

    #[inline]
    pub(super) fn push(&self, task: Task) {
        self.ring.push(task.into_raw());
    }

    pub(super) fn push_again(&self, task: Task) {
        // SAFETY: an entry is made once at a time, and its reference keeps it alive until it is taken.
        unsafe { self.again.push(task.into_raw()) };
    }

    /// Whether there was nothing a moment ago.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.again.is_empty()
    }

    /// Hands out the oldest task, and some more to a worker's queue; tells how many in all. Nothing while another worker
    /// does the same: there may be more to come. `extra`: as in [`Task::prefetch`].
    #[inline]
    pub(super) fn take(&self, queue: &Deque<Task>, extra: bool) -> Option<(Task, usize)> {
        if !self.again.is_empty() {
            return self.take_again(queue);
        }
        if self.ring.is_empty() {
            return None;
        }
        // SAFETY: the entry's reference.
        let mut tasks = self.ring.taking()?.take(CHUNK).map(|header| unsafe { Task::from_raw(header) });
        let first = tasks.next()?;
        first.prefetch(extra);
        let mut taken = 1;
        for task in tasks {
            task.prefetch(extra);
            queue.push(task);
            taken += 1;
        }
        Some((first, taken))
    }

    #[cold]
    fn take_again(&self, queue: &Deque<Task>) -> Option<(Task, usize)> {
        // SAFETY: the entry's reference.
        let newest_first: Vec<Task> =
            self.again.take().map(|header| unsafe { Task::from_raw(header) }).collect();
        let taken = newest_first.len();
        let mut tasks = newest_first.into_iter().rev();
        let first = tasks.next()?;
        tasks.for_each(|task| queue.push(task));
        Some((first, taken))
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        // A wake-up that came when the workers had gone: its task is over.
        // SAFETY: the entry's reference.
        self.again.take().for_each(|header| drop(unsafe { Task::from_raw(header) }));
        self.ring.taking().into_iter().flatten().for_each(|header| {
            // SAFETY: the entry's reference.
            drop(unsafe { Task::from_raw(header) });
        });
    }
}
