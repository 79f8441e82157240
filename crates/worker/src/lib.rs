//! Lua functions on other threads.
//!
//! A Lua machine is one thread, and heavy work in a tick makes the tick late. Here scripts hand a function to a worker, which
//! has a machine of its own on another thread, and wait for what it answers without holding up their tick:
//!
//! ```
//! use std::sync::Arc;
//! use tickscope_worker::{Options, Owner, Workers, library};
//!
//! let workers = Arc::new(Workers::start(Options::default())?);
//! let lua = mlua::Lua::new();
//! let owner = Owner::new(&lua, workers, || {})?;
//! lua.globals().set("Async", library(&lua, &owner)?)?;
//! lua.load("
//!     local rates = { 2, 3, 5 }
//!     coroutine.wrap(function()
//!         local job = Async.Run(function(n)
//!             local sum = 0
//!             for _, rate in ipairs(rates) do sum = sum + rate * n end
//!             return sum
//!         end, 10)
//!         answer = Async.Await(job)
//!     end)()
//! ").exec()?;
//! while owner.open() > 0 {
//!     owner.tick(&lua); // once in each tick of the host
//! }
//! assert_eq!(lua.globals().get::<i64>("answer")?, 100);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What crosses
//! Everything by value, the function included: nil, booleans, numbers, strings, tables (with cycles, shared parts and
//! metatables), functions with the variables they captured (shared ones stay shared) and the globals they read, packed
//! [`Numbers`] without a look at their elements. Libraries are the worker's own; modules are required again there. What a job
//! changes, it changes in its copies.
//!
//! Refused before anything runs, by name and line: userdata, coroutines, functions in C that workers do not have, tables with
//! finalizers, writes to globals, the table of globals as a value. See [`Refusal`].
//!
//! # Guarantees
//! - A worker's machine has the globals and libraries that it was made with when a job begins, whatever jobs before did.
//! - A job ends: with values, an error with the worker's stack, or because it was cancelled, took too long, or needs too much
//!   memory. A loop without end is stopped, `pcall` around it or not. Not stopped are C functions that take long by
//!   themselves (`string.rep`, a pattern that backtracks).
//! - All who await a job are woken, in the owner's tick, on its thread.
//!
//! # Costs
//! Copying, both ways. A job runs without hooks, at Lua's own speed; coroutines within it about half as fast.
//!
//! # Deliberately absent
//! Sharing: no table is seen by two machines. Waiting inside a job: it has no tick.
//!
//! Not verified on Windows and macOS.

mod bytecode;
mod deadlines;
mod error;
mod interrupt;
mod job;
mod machine;
mod numbers;
mod owner;
mod pack;
mod parcel;
mod raw;
mod script;
mod unpack;
mod workers;

pub use error::{JobError, Refusal};
pub use job::{Crossing, Ended, Job, RunError, Unheard};
pub use machine::Answer;
pub use numbers::Numbers;
pub use owner::Owner;
pub use parcel::Carried;
pub use script::{ScriptJob, Waits, given, library, library_with};
pub use workers::{Carry, Options, Prepare, Workers, WorkersError};

use tickscope_lua as _;
