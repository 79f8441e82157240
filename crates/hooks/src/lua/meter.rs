//! The allocator of a foreign program's machine, wrapped: what the machine takes is counted.
//!
//! Lua calls its allocator through a pointer that it keeps beside the allocator's data. [`Meter::of`] puts [`allocate`]
//! there, with a [`Meter`] as data, which knows the program's own function and data and passes on what comes, whatever the
//! answer. A program that asks (`lua_getallocf`) is told its own, and what it sets (`lua_setallocf`) the meter passes on to.
//!
//! # Guarantees
//! Neither lock, system call nor allocation, and no clock but once in [`RUN`] frees on end. Nothing refers to a tracer:
//! there may be none, or another, at any time.
//!
//! # Life
//! A meter is never freed, since a tracer may still look at that of a machine which another thread has closed; it serves
//! the next machine. Once the detours are out, as after a recording of a program that runs on, wrappers stay and pass on,
//! and the program may see them and use them elsewhere: those meters serve nobody else, see [`leave_meters`].
//!
//! # Deliberately absent
//! What C code takes from the allocator itself, as buffers of `luaL_Buffer` in 5.3 and 5.4: the machine does not count it
//! either.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use tickscope_core::Recorder;

use super::api::*;
use super::library::Lua;
use super::state::current;

/// Frees without an allocation between them, before they are taken for the collector's work.
pub(super) const RUN: u32 = 64;
/// A run is told in pieces of so many frees.
pub(super) const PIECE: u32 = 1024;

/// A number that one thread at a time adds to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn add(&self, more: u64) {
        // Whoever runs a machine has it to themselves: no locked instruction is needed.
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }
}

/// What stands between a machine and its allocator.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The program's own.
    function: AtomicPtr<()>,
    data: AtomicPtr<c_void>,
    /// Bytes of new blocks, and by which blocks grew. Never decreases, whichever machine it serves.
    pub(crate) allocated: Count,
    /// Frees since the last allocation, and when those not yet told began; 0 when that was not looked at.
    run: AtomicU32,
    run_start: AtomicU64,
    /// From 0: tells machines that live at once apart.
    pub(crate) number: u32,
    generation: AtomicU32,
    /// Of those that serve no machine.
    next: AtomicPtr<Meter>,
}

/// Meters that serve no machine, a stack: the first one's address, and above it a number that changes with every change,
/// so that one who took its time notices. Neither lock nor system call: see [`ForkLock`](crate::lock::ForkLock), and the
/// program may have given up the right to those.
static FREE: AtomicU64 = AtomicU64::new(0);
const ADDRESS: u64 = (1 << 48) - 1;

/// The next value of [`FREE`] after `was`, with `first` on top.
fn changed(was: u64, first: *const Meter) -> u64 {
    (was & !ADDRESS).wrapping_add(ADDRESS + 1) | first as u64 & ADDRESS
}

/// Counts the times that detours were out.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The detours of `lua_getallocf` and `lua_setallocf` are not in place now, or were not for a while: the program may have
/// what stands in its machines.
pub fn leave_meters() {
    GENERATION.fetch_add(1, Relaxed);
}

impl Meter {
    /// The meter of a machine; it gets one if it has none.
    ///
    /// # Safety
    /// `thread` is alive and run by nobody else.
    pub(crate) unsafe fn of(lua: &Lua, thread: *mut lua_State) -> Option<&'static Self> {
        let mut data = ptr::null_mut();
        // SAFETY: passed on to the caller. Our function was only ever set with a meter, which is never freed.
        unsafe {
            let function = (lua.api.lua_getallocf)(thread, &mut data)?;
            if function as usize == lua.allocate as usize {
                return data.cast::<Self>().as_ref();
            }
            let meter = Self::new(function, data);
            (lua.api.lua_setallocf)(thread, lua.allocate, ptr::from_ref(meter).cast_mut().cast());
            Some(meter)
        }
    }

    /// The meter of a machine, if it has one.
    ///
    /// # Safety
    /// `thread` is alive.
    pub(crate) unsafe fn standing(lua: &Lua, thread: *mut lua_State) -> Option<&'static Self> {
        let mut data = ptr::null_mut();
        // SAFETY: as in `of`.
        unsafe {
            let function = (lua.api.lua_getallocf)(thread, &mut data)?;
            if function as usize == lua.allocate as usize { data.cast::<Self>().as_ref() } else { None }
        }
    }

    fn new(function: lua_Alloc, data: *mut c_void) -> &'static Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let meter = Self::free().unwrap_or_else(|| {
            Box::leak(Box::new(Self {
                function: AtomicPtr::default(),
                data: AtomicPtr::default(),
                allocated: Count::default(),
                run: AtomicU32::new(0),
                run_start: AtomicU64::new(0),
                number: NUMBERS.fetch_add(1, Relaxed),
                generation: AtomicU32::new(0),
                next: AtomicPtr::default(),
            }))
        });
        meter.run.store(0, Relaxed);
        meter.generation.store(GENERATION.load(Relaxed), Relaxed);
        meter.pass_on_to(function, data);
        meter
    }

    fn free() -> Option<&'static Self> {
        let mut free = FREE.load(Acquire); // pairs with the Release in `end`
        loop {
            // SAFETY: null or a meter's address, and meters are never freed.
            let meter = unsafe { ((free & ADDRESS) as *const Self).as_ref() }?;
            let next = changed(free, meter.next.load(Relaxed));
            match FREE.compare_exchange_weak(free, next, Acquire, Acquire) {
                Ok(_) => return Some(meter),
                Err(now) => free = now,
            }
        }
    }

    /// Its machine is closed.
    pub(crate) fn end(&'static self) {
        if !self.is_private() || ptr::from_ref(self) as u64 > ADDRESS {
            return;
        }
        let mut free = FREE.load(Relaxed);
        loop {
            self.next.store((free & ADDRESS) as *mut Self, Relaxed);
            match FREE.compare_exchange_weak(free, changed(free, self), Release, Relaxed) {
                Ok(_) => return,
                Err(now) => free = now,
            }
        }
    }

    /// Whether the program cannot have seen it.
    pub(crate) fn is_private(&self) -> bool {
        self.generation.load(Relaxed) == GENERATION.load(Relaxed)
    }

    /// The program's own allocator and its data.
    pub(crate) fn program(&self) -> (lua_Alloc, *mut c_void) {
        // SAFETY: set by `pass_on_to` before anybody sees the meter.
        let function = unsafe { std::mem::transmute::<*mut (), lua_Alloc>(self.function.load(Relaxed)) };
        (function, self.data.load(Relaxed))
    }

    pub(crate) fn pass_on_to(&self, function: lua_Alloc, data: *mut c_void) {
        self.function.store(function as *mut (), Relaxed);
        self.data.store(data, Relaxed);
    }
}

/// The `lua_Alloc` of a metered machine. May raise: no.
///
/// # Safety
/// Called by Lua, with a meter as `data`.
pub(super) unsafe extern "C" fn allocate<R: Recorder + 'static>(
    data: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: see the function's contract; meters are never freed.
    let meter = unsafe { &*data.cast::<Meter>() };
    let (function, data) = meter.program();
    let run = meter.run.load(Relaxed);
    if new == 0 {
        meter.run.store(run.wrapping_add(1), Relaxed);
        if run % RUN == RUN - 1 {
            frees::<R>(meter, run + 1);
        }
        // SAFETY: passed on to the caller.
        return unsafe { function(data, block, old, new) };
    }
    if run != 0 {
        meter.run.store(0, Relaxed);
        if run > RUN {
            tell::<R>(meter);
        }
    }
    // SAFETY: passed on to the caller.
    let result = unsafe { function(data, block, old, new) };
    // For a new block Lua passes the kind of object in place of the old size.
    let grown = if block.is_null() { new } else { new.saturating_sub(old) };
    if !result.is_null() {
        meter.allocated.add(grown as u64);
    }
    result
}

/// `run` frees have come one after the other: looks at the clock where a run begins to be one, and tells now and then.
#[cold]
fn frees<R: Recorder + 'static>(meter: &Meter, run: u32) {
    if run == RUN {
        // SAFETY: the thread's tracer is alive while it is registered.
        let state = unsafe { current::<R>().as_ref() }.filter(|state| state.counts_by(&meter.allocated));
        meter.run_start.store(state.map_or(0, |state| state.recorder.now().0), Relaxed);
    } else if run.is_multiple_of(PIECE) {
        tell::<R>(meter);
    }
}

/// Tells the thread's tracer of the frees since the last time.
#[cold]
fn tell<R: Recorder + 'static>(meter: &Meter) {
    let start = meter.run_start.swap(0, Relaxed);
    // SAFETY: as in `frees`.
    if let Some(state) = unsafe { current::<R>().as_ref() }
        && start != 0
        && state.counts_by(&meter.allocated)
    {
        let now = state.recorder.now().0;
        state.collected_meanwhile(start, now);
        meter.run_start.store(now, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn none(_: *mut c_void, _: *mut c_void, _: usize, _: usize) -> *mut c_void {
        ptr::null_mut()
    }

    #[test]
    fn a_meter_serves_one_machine_after_the_other_until_the_program_may_have_it() {
        let data = ptr::without_provenance_mut::<c_void>(8);
        let meter = Meter::new(none, data);
        assert_eq!(meter.program().1, data);
        meter.allocated.add(5);
        meter.end();
        let next = Meter::new(none, ptr::null_mut());
        assert!(ptr::eq(meter, next));
        assert_eq!((next.allocated.get(), next.program().1), (5, ptr::null_mut()));
        leave_meters();
        next.end();
        assert!(!ptr::eq(next, Meter::new(none, data)));
    }
}
