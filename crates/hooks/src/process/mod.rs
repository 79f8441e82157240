//! A foreign program: which modules it has, which of them has a Lua, and detours of its functions.
//!
//! Made for a library that is preloaded: it runs before `main`, on the only thread, in a process it knows nothing of; or
//! that is loaded into a program that runs, by who attaches from outside. x86-64 Linux; behind the feature `process`.
//!
//! - [`modules`]: what the loader has loaded, and how to keep it there while it is read.
//! - [`symbols`]: addresses of functions by name, and names by address.
//! - [`lua`]: which Lua is where; also in a file that does not run.
//! - [`detour`]: functions that are called instead of others.
//! - [`outside`]: another process, stopped, and the agent loaded into it; [`sites`] and [`handover`] are what both sides
//!   know of each other.
//!
//! # Guarantees
//! Parsing works on byte slices and returns errors, whatever the bytes are. A version of Lua that is not known for
//! certain is refused with what was seen. A function is patched only after its bytes were found to be those of its
//! file and its prologue to be movable, and of a set of functions either all are patched or none.
//!
//! # Deliberately absent
//! Patching from inside while threads run: that takes somebody outside, see [`outside`]. Searching code for byte
//! patterns: a Lua without symbols is reported, not guessed.
//!
//! # How it is fast
//! The hash table that the loader itself uses answers in memory whether a module exports Lua, so most modules cost a
//! few look-ups. A file is opened only where that says no and it may have a `.symtab`, and is mapped: of it, pages with
//! headers and symbols are read.
pub mod detour;
pub mod elf;
mod error;
mod file;
pub mod handover;
pub mod lua;
pub mod modules;
pub mod outside;
mod prologue;
pub mod sites;
pub mod symbols;

pub use error::{ElfError, Error};
