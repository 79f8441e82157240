//! What the agent in a process and whoever attaches to it from outside tell each other, through the process's memory.
//!
//! Both are built from this file and check its version, for either may be older.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::prologue::PATCH;

/// Of everything in this file.
pub const VERSION: u32 = 1;
/// The agent's [`Control`], by this name.
pub const CONTROL: &str = "tickscope_control";
/// Begins to record; takes a [`Block`]. Called on a thread of its own.
pub const ATTACH: &str = "tickscope_attach";
/// Tidies up after the detours are off; takes a [`Block`]. Called on a thread of its own.
pub const RELEASE: &str = "tickscope_release";

/// A function's first bytes without and with its detour. Whoever stops the process writes them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Where the function is.
    pub address: u64,
    /// What its file has there.
    pub original: [u8; PATCH],
    /// A jump to what stands in for it.
    pub jump: [u8; PATCH],
}

/// What the agent shows of itself.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Control {
    /// [`VERSION`].
    pub version: AtomicU32,
    /// Counts recordings; 0 while there is none. Whoever detaches from outside writes 0.
    pub epoch: AtomicU32,
    /// Threads that have a tracer now.
    pub threads: AtomicU32,
    /// The process that collects, as it said when it attached.
    pub collector: AtomicU32,
    /// Where the depth in force stands: a byte.
    pub depth: AtomicU64,
    /// Where the [`Site`]s are, and how many.
    pub sites: AtomicU64,
    /// See `sites`.
    pub n_sites: AtomicU64,
    /// Memory that an earlier recording left: a [`Block`] with a stack, and code.
    pub scratch: AtomicU64,
}

/// What a thread that was started from outside is given. In the process's memory.
#[repr(C)]
#[derive(Debug)]
pub struct Block {
    /// `pthread_self`, `pthread_detach`, `dlopen`, `dlsym`, `dlerror`: what the thread calls, in this order.
    pub functions: [u64; 5],
    /// What `dlerror` said, when the thread failed.
    pub error: u64,
    /// What `dlopen` answered.
    pub handle: u64,
    /// 0 until the thread is done, then 1, or 2 when the library or its function could not be had.
    pub done: u32,
    /// 1 when the agent did what it was asked to.
    pub agreed: u32,
    /// The agent's function: [`ATTACH`] or [`RELEASE`].
    pub entry: [u8; 0x40],
    /// The agent's file.
    pub path: [u8; 0x400],
    /// How to record.
    pub settings: [u8; 0x400],
    /// What the agent says: what it found, or why it does not record.
    pub answer: [u8; 0x800],
}

/// Offsets in [`Block`] that the thread's code has in it.
pub(super) mod at {
    use super::{Block, offset_of};

    pub(in super::super) const ERROR: usize = offset_of!(Block, error);
    pub(in super::super) const HANDLE: usize = offset_of!(Block, handle);
    pub(in super::super) const DONE: usize = offset_of!(Block, done);
    pub(in super::super) const ENTRY: usize = offset_of!(Block, entry);
    pub(in super::super) const PATH: usize = offset_of!(Block, path);
}

impl Block {
    /// The text in a field, up to its end.
    pub fn text(field: &[u8]) -> &[u8] {
        field.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Puts a text into a field, cut where it does not fit; the last byte stays 0.
    pub fn put(field: &mut [u8], text: &[u8]) {
        let fits = text.len().min(field.len().saturating_sub(1));
        field.fill(0);
        field[..fits].copy_from_slice(&text[..fits]);
    }
}
