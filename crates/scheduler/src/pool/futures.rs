//! The futures of a pool, which nobody would know while they wait.

use std::sync::Mutex;

use crate::sync::lock;
use crate::task::Task;

#[derive(Debug, Default)]
pub(crate) struct Futures(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
}

impl Futures {
    /// Keeps a reference, and tells the task where.
    pub(super) fn insert(&self, task: Task) {
        let mut slots = lock(&self.0);
        let slot = slots.free.pop().unwrap_or(slots.tasks.len());
        task.set_slot(slot);
        if slot == slots.tasks.len() {
            slots.tasks.push(Some(task));
        } else {
            slots.tasks[slot] = Some(task);
        }
    }

    /// The reference that was kept.
    pub(crate) fn remove(&self, slot: usize) -> Option<Task> {
        let mut slots = lock(&self.0);
        let task = slots.tasks.get_mut(slot)?.take();
        slots.free.push(slot);
        if slots.free.len() == slots.tasks.len() {
            *slots = Slots::default();
        }
        task
    }

    /// Wakes them all.
    pub(super) fn wake(&self) {
        let tasks: Vec<Task> = lock(&self.0).tasks.iter().flatten().cloned().collect();
        tasks.into_iter().for_each(Task::wake);
    }
}
