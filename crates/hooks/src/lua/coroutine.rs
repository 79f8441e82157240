//! What is known of one Lua thread: its open calls, its track, its program's own hook.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;

use tickscope_core::{Outcome, Recorder, Span, StackId, SymbolId, Ticks, TrackId};

use super::api::lua_State;
use super::meter::Count;
use super::threads::LuaThread;
use super::vm::VmRecord;

/// An open call.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    /// Its `CallInfo`: unique among the calls of a thread that are alive.
    pub(crate) call: *const c_void,
    pub(crate) span: Span,
    /// The thread's count of allocated bytes when it began; [`UNRECORDED`] when no span was begun.
    pub(crate) bytes: u64,
}

/// Marks a frame whose category was off.
pub(crate) const UNRECORDED: u64 = u64::MAX;

pub(crate) struct Coroutine {
    /// Its Lua thread's record, and which of the threads that lived at the address it is.
    pub(crate) thread: &'static LuaThread,
    generation: u32,
    pub(crate) vm: *const VmRecord,
    /// The main thread of its machine has no track of its own: it runs on its caller's.
    pub(crate) is_main: bool,
    pub(crate) track: Cell<Option<TrackId>>,
    /// How often it stands in the stack of contexts.
    pub(crate) active: Cell<u32>,
    /// Bytes the thread allocated while this coroutine was suspended, and its count when it was.
    pub(crate) skipped: Cell<u64>,
    pub(crate) suspended_at: Cell<u64>,
    /// It was suspended by a yield: its track has not ended, and neither have the spans on it.
    pub(crate) unfinished: Cell<bool>,
    /// Lua has freed the thread.
    pub(crate) dead: Cell<bool>,
    frames: UnsafeCell<Vec<Frame>>,
}

impl Coroutine {
    pub(crate) fn new(
        thread: &'static LuaThread,
        vm: *const VmRecord,
        is_main: bool,
        allocated: u64,
    ) -> Self {
        Self {
            thread,
            generation: thread.generation(),
            vm,
            is_main,
            track: Cell::new(None),
            active: Cell::new(0),
            skipped: Cell::new(0),
            suspended_at: Cell::new(allocated),
            unfinished: Cell::new(false),
            dead: Cell::new(false),
            frames: UnsafeCell::new(Vec::with_capacity(64)),
        }
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> *mut lua_State {
        self.thread.state()
    }

    /// Whether no other Lua thread has begun its life at the address.
    pub(crate) fn is_current(&self) -> bool {
        self.generation == self.thread.generation()
    }

    /// How many of the open calls, which are known by number, have none above `call`.
    pub(crate) fn up_to(&self, call: usize) -> usize {
        // SAFETY: as in `depth`.
        unsafe {
            (*self.frames.get())
                .iter()
                .rposition(|frame| frame.call as usize <= call)
                .map_or(0, |index| index + 1)
        }
    }

    /// The innermost call has taken its caller's number; whether more than `most` open calls have that number now.
    pub(crate) fn lower(&self, most: usize) -> bool {
        // SAFETY: as in `depth`.
        let frames = unsafe { &mut *self.frames.get() };
        let Some(last) = frames.last_mut() else { return false };
        let call = last.call.wrapping_byte_sub(1);
        last.call = call;
        frames.iter().rev().take_while(|frame| frame.call == call).count() > most
    }

    #[inline(always)]
    pub(crate) fn depth(&self) -> usize {
        // SAFETY: one thread, and no reference to the vector outlives the expression it is made in.
        unsafe { (*self.frames.get()).len() }
    }

    #[inline(always)]
    pub(crate) fn push(&self, frame: Frame) {
        // SAFETY: as in `depth`.
        unsafe { (*self.frames.get()).push(frame) }
    }

    #[inline(always)]
    pub(crate) fn top_call(&self) -> *const c_void {
        // SAFETY: as in `depth`.
        unsafe { (*self.frames.get()).last().map_or(std::ptr::null(), |frame| frame.call) }
    }

    #[inline(always)]
    pub(crate) fn pop(&self) -> Option<Frame> {
        // SAFETY: as in `depth`.
        unsafe { (*self.frames.get()).pop() }
    }

    /// Index of the frame of `call`, from the top.
    pub(crate) fn find(&self, call: *const c_void) -> Option<usize> {
        // SAFETY: as in `depth`.
        unsafe { (*self.frames.get()).iter().rposition(|frame| frame.call == call) }
    }

    /// Ends the innermost call.
    #[inline(always)]
    pub(crate) fn exit<R: Recorder>(&self, recorder: &R, at: Ticks, allocated: u64, outcome: Outcome) {
        let Some(frame) = self.pop() else { return };
        if frame.bytes != UNRECORDED {
            let bytes = allocated.wrapping_sub(self.skipped.get()).saturating_sub(frame.bytes);
            recorder.exit(at, frame.span, outcome, u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// Ends every call above the first `keep`: they died without a return. The innermost raised the error.
    #[cold]
    #[inline(never)]
    pub(crate) fn unwind<R: Recorder>(&self, recorder: &R, at: Ticks, allocated: u64, keep: usize) {
        let mut outcome = Outcome::Error;
        while self.depth() > keep {
            self.exit(recorder, at, allocated, outcome);
            outcome = Outcome::Unwound;
        }
    }
}

/// One entry of the stack of contexts: a coroutine at work, on behalf of the entry below.
pub(crate) struct Context {
    pub(crate) coroutine: *const Coroutine,
    /// What the host calls this piece of work.
    pub(crate) boundary: Option<SymbolId>,
    /// The call that was innermost on the coroutine when the context began: what lies above belongs to it.
    pub(crate) base: *const c_void,
    /// Counts what its machine allocates. Never freed before the tracer.
    pub(crate) count: *const Count,
    /// How many of the coroutine's open calls are older than the context.
    pub(crate) keep: usize,
    /// Nobody said that it begins: a hook noticed.
    pub(crate) inferred: bool,
    /// Whether the recorder was told of another track.
    pub(crate) switched: bool,
    /// The stack up to and including this context's frames, while a context above it runs.
    pub(crate) stack: Cell<Option<StackId>>,
}
