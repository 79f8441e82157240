//! What mlua's safe interface cannot do, over raw `lua_State` pointers: natives that raise plain Lua errors and yield,
//! slices of coroutines with their error objects and tracebacks, and walks over values.
//!
//! Rule for everything below: a Rust frame that Lua may `longjmp` over (an error, memory that ran out) owns nothing that
//! needs drop. Buffers live outside the protected call and are borrowed into it.
#![allow(unsafe_code)]

mod build;
mod call;
mod native;
mod slice;
mod traced;
mod values;
mod walk;

pub(crate) use build::{Build, BuildError, Builder, build};
pub(crate) use call::{Arg, Call, Function, Problem};
pub(crate) use native::{native, tagged_raise, tagged_wait, wait_function};
pub(crate) use slice::{Failure, Place, Resumed, resume};
pub(crate) use traced::{await_stack, enter, enter_main, set_track, waiting_symbol};
pub(crate) use values::{
    from_value, glm_function, install as install_values, into_value, matrix_from_value, matrix_into_value,
    spread,
};
pub(crate) use walk::{Key, REFERENCE_FIELD, Shape, Visit, walk};

/// The C functions of these modules that get no span of their own.
pub(crate) fn hidden() -> Vec<usize> {
    let mut hidden = native::hidden().to_vec();
    hidden.extend(values::hidden());
    hidden.push(call::address());
    hidden
}
