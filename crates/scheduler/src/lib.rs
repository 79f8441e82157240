//! A work-stealing pool for programs that tick.
//!
//! ```
//! use tickscope_scheduler::{Pool, Stop};
//!
//! let pool = Pool::builder().workers(2).build()?;
//! let mut answer = pool.spawn(|| 6 * 7);
//! while !answer.is_finished() {
//!     // A tick of something else.
//!     std::thread::yield_now();
//! }
//! assert_eq!(answer.try_join(), Some(Ok(42)));
//! let counters = pool.stop(Stop::Drain);
//! assert_eq!((counters.spawned, counters.finished), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Start at [`Pool`] and [`Spawner`]; tasks that wait in the middle are in [`fiber`]. A thread that ticks asks its
//! [`Completions`] what is done, and cuts what it has to do itself with a [`TickBudget`].
//!
//! # Guarantees
//! - What was taken in ends in one of four ways, and the [`Counters`] balance when the pool has [stopped](Pool::stop).
//! - A panic is the task's error; the worker goes on.
//! - A task that waits for another's result does not need a second worker: see [`Handle::join`].
//! - A fiber that has begun stays on its thread.
//! - Neither priorities nor tasks that spawn again keep another task from running for ever.
//!
//! # Deliberately absent
//! I/O; futures that are not `Send`; stopping a closure that runs, which can only be told ([`is_cancelled`]).
//!
//! # Algorithms
//! Each worker has deques of its own that others steal from (Chase and Lev, SPAA 2005, by `crossbeam-deque`). What
//! comes from outside goes through a ring, one for each priority (`ring.rs`); what others wake, through lists that are
//! taken whole (Treiber, 1986). Who sleeps and who is woken is explained in `sleep.rs`, the life of a task in
//! `task/state.rs`.
//!
//! Under `cfg(loom)` there is nothing here: the models in `tests/loom.rs` take the protocols' sources in themselves.
#![cfg(not(loom))]

mod blocks;
mod budget;
mod completions;
mod error;
pub mod fiber;
mod handle;
mod inbox;
mod observer;
mod pool;
mod ring;
mod sleep;
mod sync;
mod task;
mod timer;

pub use budget::{Clock, ManualClock, SliceId, Step, SystemClock, TickBudget, TickReport};
pub use completions::Completions;
pub use error::{BuildError, SpawnError, TaskError};
pub use handle::Handle;
pub use observer::{Moment, Observer, TaskKind};
pub use pool::{
    Batch, Builder, Counters, End, Pool, Priority, Refused, Scope, ScopedHandle, Spawner, Stop, TaskOptions,
};
pub use task::TaskId;

/// Whether the task that runs here should stop: nobody wants its result, or its pool is stopped without waiting for
/// it. False outside of tasks.
pub fn is_cancelled() -> bool {
    pool::current(|worker| {
        worker.is_some_and(|worker| {
            worker.abandons() || worker.task().is_some_and(|task| task.header().state.is_cancelled())
        })
    })
}
