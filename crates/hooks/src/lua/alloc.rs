//! The memory of one virtual machine: counted, limited, and watched for what its addresses meant.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr;

use super::api::{LUA_TPROTO, LUA_TTHREAD, lua_Alloc};
use super::meter::{Count, PIECE, RUN};

/// Counts of one virtual machine's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryCounts {
    /// New blocks.
    pub allocations: u64,
    /// Blocks given back.
    pub frees: u64,
    /// Blocks that grew, shrank or moved.
    pub reallocations: u64,
    /// Bytes of new blocks, and by which blocks grew.
    pub allocated_bytes: u64,
    /// Bytes now in use: what `lua_gc(L, LUA_GCCOUNT)` says.
    pub live_bytes: u64,
    /// The most that were in use at once.
    pub peak_bytes: u64,
    /// Requests refused because of the limit.
    pub refused: u64,
}

/// What an allocator tells the tracer of its thread.
#[derive(Clone, Copy)]
pub(crate) struct Watcher {
    pub(crate) tracer: *const c_void,
    /// A prototype or a thread is about to be freed.
    pub(crate) forget: unsafe fn(*const c_void, Freed, usize),
    /// Reads the clock.
    pub(crate) now: unsafe fn(*const c_void) -> u64,
    /// The collector freed blocks from the first time to the second.
    pub(crate) collected: unsafe fn(*const c_void, *const Allocator, u64, u64),
    /// Bytes allocated by every machine of the thread.
    pub(crate) allocated: *const Count,
}

/// Which kind of object an address stops meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freed {
    Prototype,
    Thread,
}

/// The allocator of one virtual machine. Give [`Allocator::function`] and [`Allocator::data`] to `lua_newstate`, and
/// keep it until after `lua_close`.
///
/// Memory comes from the C library's `realloc`, as with `luaL_newstate`, so that C modules see what they expect.
///
/// ```
/// let allocator = tickscope_hooks::lua::Allocator::new(Some(1 << 20));
/// assert_eq!(allocator.counts().live_bytes, 0);
/// ```
pub struct Allocator {
    allocations: Cell<u64>,
    frees: Cell<u64>,
    reallocations: Cell<u64>,
    allocated: Cell<u64>,
    live: Cell<u64>,
    peak: Cell<u64>,
    refused: Cell<u64>,
    limit: Cell<u64>,
    /// Block sizes of prototypes and threads, learned from the tags of their allocations; 0 until then.
    prototype_size: Cell<usize>,
    thread_size: Cell<usize>,
    /// Frees since the last allocation, and when those not yet reported began.
    run: Cell<u32>,
    run_start: Cell<u64>,
    watcher: Cell<Option<Watcher>>,
    _pinned: PhantomPinned,
}

impl Allocator {
    /// An allocator that refuses what would exceed `limit` bytes in use; Lua answers with "not enough memory".
    pub fn new(limit: Option<u64>) -> Pin<Box<Self>> {
        Box::pin(Self {
            allocations: Cell::new(0),
            frees: Cell::new(0),
            reallocations: Cell::new(0),
            allocated: Cell::new(0),
            live: Cell::new(0),
            peak: Cell::new(0),
            refused: Cell::new(0),
            limit: Cell::new(limit.unwrap_or(u64::MAX)),
            prototype_size: Cell::new(0),
            thread_size: Cell::new(0),
            run: Cell::new(0),
            run_start: Cell::new(0),
            watcher: Cell::new(None),
            _pinned: PhantomPinned,
        })
    }

    /// The `lua_Alloc` to install.
    pub fn function() -> lua_Alloc {
        allocate
    }

    /// Its user data.
    pub fn data(self: &Pin<Box<Self>>) -> *mut c_void {
        ptr::from_ref::<Self>(self).cast_mut().cast()
    }

    /// Takes over a machine created with another allocator that calls `realloc` and `free`, as `luaL_newstate`'s
    /// does, with `live` bytes in use.
    pub fn adopt(&self, live: u64) {
        self.live.set(live);
        self.allocated.set(live);
        self.peak.set(live);
    }

    /// What was counted so far.
    pub fn counts(&self) -> MemoryCounts {
        MemoryCounts {
            allocations: self.allocations.get(),
            frees: self.frees.get(),
            reallocations: self.reallocations.get(),
            allocated_bytes: self.allocated.get(),
            live_bytes: self.live.get(),
            peak_bytes: self.peak.get(),
            refused: self.refused.get(),
        }
    }

    /// Changes the limit; `None` for no limit. What is in use already stays.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.limit.set(limit.unwrap_or(u64::MAX));
    }

    pub(crate) fn watch(&self, watcher: Option<Watcher>) {
        self.watcher.set(watcher);
        self.run.set(0);
    }

    fn count_growth(&self, old: usize, new: usize) {
        let live = self.live.get() - old as u64 + new as u64;
        self.live.set(live);
        if live > self.peak.get() {
            self.peak.set(live);
        }
        let grown = (new as u64).saturating_sub(old as u64);
        self.allocated.set(self.allocated.get() + grown);
        if let Some(watcher) = self.watcher.get() {
            // SAFETY: the tracer clears the watcher before its counter goes away.
            unsafe { &*watcher.allocated }.add(grown);
        }
    }

    fn freed(&self, block: *mut c_void, size: usize) {
        self.frees.set(self.frees.get() + 1);
        self.live.set(self.live.get() - size as u64);
        let Some(watcher) = self.watcher.get() else { return };
        if size == self.prototype_size.get() {
            // SAFETY: a watcher's functions are called with the tracer it was made for, which is alive.
            unsafe { (watcher.forget)(watcher.tracer, Freed::Prototype, block as usize) };
        } else if size == self.thread_size.get() {
            // SAFETY: as above.
            unsafe { (watcher.forget)(watcher.tracer, Freed::Thread, block as usize) };
        }
        let run = self.run.get() + 1;
        self.run.set(run);
        if run.is_multiple_of(RUN) {
            if run == RUN {
                // SAFETY: as above.
                self.run_start.set(unsafe { (watcher.now)(watcher.tracer) });
            } else if run.is_multiple_of(PIECE) {
                self.report(&watcher);
            }
        }
    }

    /// The frees came to an end: reports what is left of a long run.
    #[cold]
    fn end_run(&self, run: u32) {
        if let Some(watcher) = self.watcher.get()
            && run > RUN
        {
            self.report(&watcher);
        }
        self.run.set(0);
    }

    fn report(&self, watcher: &Watcher) {
        // SAFETY: a watcher's functions are called with the tracer it was made for, which is alive.
        unsafe {
            let now = (watcher.now)(watcher.tracer);
            (watcher.collected)(watcher.tracer, self, self.run_start.get(), now);
            self.run_start.set(now);
        }
    }
}

/// The `lua_Alloc` of an [`Allocator`]. May raise: no.
///
/// # Safety
/// Called by Lua, with `data` from [`Allocator::data`] of an allocator that is alive.
unsafe extern "C" fn allocate(data: *mut c_void, block: *mut c_void, old: usize, new: usize) -> *mut c_void {
    // SAFETY: see the function's contract; the allocator is only ever shared, within one thread.
    let allocator = unsafe { &*data.cast::<Allocator>() };
    if new == 0 {
        if !block.is_null() {
            allocator.freed(block, old);
            // SAFETY: `block` came from `realloc` below and Lua gives it back once.
            unsafe { libc::free(block) };
        }
        return ptr::null_mut();
    }
    let run = allocator.run.get();
    if run != 0 {
        if run > RUN {
            allocator.end_run(run);
        } else {
            allocator.run.set(0);
        }
    }
    // For a new block Lua passes the kind of object in place of the old size.
    let old_size = if block.is_null() { 0 } else { old };
    if new > old_size && allocator.live.get().saturating_add((new - old_size) as u64) > allocator.limit.get()
    {
        allocator.refused.set(allocator.refused.get() + 1);
        return ptr::null_mut();
    }
    // SAFETY: `block` is null or came from this call.
    let result = unsafe { libc::realloc(block, new) };
    if result.is_null() {
        return result;
    }
    if block.is_null() {
        allocator.allocations.set(allocator.allocations.get() + 1);
        if old == LUA_TPROTO {
            allocator.prototype_size.set(new);
        } else if old == LUA_TTHREAD as usize && allocator.live.get() != 0 {
            // The machine's first block is its main thread with the global state behind it: another size.
            allocator.thread_size.set(new);
        }
    } else {
        allocator.reallocations.set(allocator.reallocations.get() + 1);
    }
    allocator.count_growth(old_size, new);
    result
}

const _: () = assert!(size_of::<c_int>() == 4, "Lua's structures are read on the assumption of 32-bit ints");
