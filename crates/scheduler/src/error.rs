//! What can go wrong with a task, and with handing one in.

/// Why a task has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The task panicked; the worker goes on.
    #[error("the task panicked: {message}")]
    Panicked {
        /// What the panic said, or that it was not text.
        message: Box<str>,
    },
    /// The task was cancelled before it had ended.
    #[error("the task was cancelled")]
    Cancelled,
    /// The task's time was up before it had ended.
    #[error("the task had not ended when its time was up")]
    TimedOut,
    /// The pool was stopped without waiting for the task.
    #[error("the task was abandoned when its pool stopped")]
    Abandoned,
    /// The task was never taken in.
    #[error(transparent)]
    Rejected(#[from] SpawnError),
}

impl TaskError {
    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            (*text).into()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.as_str().into()
        } else {
            "its payload is not text".into()
        };
        Self::Panicked { message }
    }
}

/// Why a task was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// As many tasks wait as may wait.
    #[error("the pool's queue is full: {capacity} tasks wait")]
    Full {
        /// How many may wait.
        capacity: usize,
    },
    /// The pool takes nothing in any more.
    #[error("the pool has been stopped and takes no more tasks")]
    Stopped,
}

/// Why a pool could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A pool has at least one worker, and at most some thousands.
    #[error("a pool has from 1 to {max} workers, not {asked}")]
    Workers {
        /// What was asked for.
        asked: usize,
        /// The most there can be.
        max: usize,
    },
    /// A queue that takes nothing would run nothing.
    #[error("a queue's capacity is at least 1")]
    Capacity,
    /// The system gave no thread.
    #[error("cannot start worker {index}")]
    Thread {
        /// Which worker.
        index: usize,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
