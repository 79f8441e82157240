//! What mlua's safe interface cannot do, over raw `lua_State` pointers: natives that raise plain Lua errors and yield,
//! slices of coroutines with their error objects and tracebacks, and walks over values.
//!
//! Rule for everything below: a Rust frame that Lua may `longjmp` over (an error, memory that ran out) owns nothing that
//! needs drop. Buffers live outside the protected call and are borrowed into it.
#![allow(unsafe_code)]

mod build;
mod native;
mod slice;
mod traced;
mod walk;

pub(crate) use build::{Build, BuildError, Builder, build};
pub(crate) use native::{hidden, native, tagged_raise, tagged_wait, wait_function};
pub(crate) use slice::{Failure, Place, Resumed, resume};
pub(crate) use traced::{await_stack, enter, enter_main, set_track, waiting_symbol};
pub(crate) use walk::{Key, REFERENCE_FIELD, Shape, Visit, walk};
