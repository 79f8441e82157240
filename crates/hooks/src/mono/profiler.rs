//! What Mono calls back.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, Depth, KeyId, Outcome, Recorder, Runtime, Scope, SymbolId, SymbolRef,
    Ticks,
};

use super::api::{Api, Callback, Pointer};
use super::calls::Calls;
use super::gate::Closed;
use super::{methods, samples};

/// Where what Mono tells is recorded.
pub trait Host: 'static {
    /// A thread's recorder.
    type Recorder: Recorder + Send + 'static;

    /// What this thread has; made when there is none and `make` says so. `None` when nothing can be recorded here.
    fn here(make: bool) -> Option<(&'static Self::Recorder, &'static Calls)>;

    /// A recorder for the calling thread, which is one of the profiler's own.
    fn own_thread(name: &str) -> Option<Self::Recorder>;

    /// How much is recorded now.
    fn depth() -> Depth;

    /// The recorders' clock. Called in signal handlers.
    fn now() -> Ticks;

    /// Samples a second.
    fn sample_hz() -> u32;

    /// Tells whoever records.
    fn say(text: &str);
}

pub(super) struct Installed {
    pub(super) api: Api,
    pub(super) handle: usize,
    /// Where no stack is walked.
    pub(super) closed: Closed,
    names: OnceLock<Names>,
}

pub(super) struct Names {
    collect: SymbolId,
    heap: SymbolId,
    message: KeyId,
    /// Stands for the stack where none can be walked.
    pub(super) not_walked: SymbolId,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();
/// Symbols are of a session, and the child of a fork has another; Mono does not run on there.
static FORKED: AtomicBool = AtomicBool::new(false);

/// In the child of a `fork`: what managed code does there is not recorded.
pub fn after_fork() {
    FORKED.store(true, Relaxed);
}

pub(super) fn installed() -> Option<&'static Installed> {
    INSTALLED.get()
}

fn here<H: Host>(make: bool) -> Option<(&'static Installed, &'static H::Recorder, &'static Calls)> {
    if FORKED.load(Relaxed) {
        return None;
    }
    let (recorder, calls) = H::here(make)?;
    Some((INSTALLED.get()?, recorder, calls))
}

const INSTRUMENT: c_int = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6;

/// Registers a profiler with Mono.
///
/// # Errors
/// When one is registered already, or the runtime has started: what is compiled by then tells of nothing, and Mono takes
/// no sampler any more.
///
/// # Safety
/// `api` is of this process and stays loaded.
pub unsafe fn install<H: Host>(api: Api, deepest: Depth) -> Result<(), String> {
    // SAFETY: reads a pointer, which is null until the runtime starts.
    if !unsafe { (api.mono_get_root_domain)() }.is_null() {
        return Err("its runtime had started before it was seen".into());
    }
    // SAFETY: Mono keeps the descriptor and asks nothing of the null that stands for our data.
    let handle = unsafe { (api.mono_profiler_create)(std::ptr::null_mut()) };
    let closed = Closed::find(api.mono_profiler_create as *const () as usize);
    let mono = Installed { api, handle: handle as usize, closed, names: OnceLock::new() };
    if INSTALLED.set(mono).is_err() {
        return Err("a second Mono is not recorded".into());
    }
    // SAFETY: each callback has the type of its event in `profiler-events.h`, and stays.
    unsafe {
        (api.mono_profiler_set_call_instrumentation_filter_callback)(handle, filter::<H> as Callback);
        (api.mono_profiler_set_method_enter_callback)(handle, entered::<H> as Callback);
        (api.mono_profiler_set_method_leave_callback)(handle, left::<H> as Callback);
        (api.mono_profiler_set_method_tail_call_callback)(handle, left::<H> as Callback);
        (api.mono_profiler_set_method_exception_leave_callback)(handle, thrown_out::<H> as Callback);
        (api.mono_profiler_set_method_begin_invoke_callback)(handle, invoked::<H> as Callback);
        (api.mono_profiler_set_method_end_invoke_callback)(handle, invocation_over::<H> as Callback);
        (api.mono_profiler_set_method_free_callback)(handle, freed as Callback);
        (api.mono_profiler_set_exception_throw_callback)(handle, thrown::<H> as Callback);
        (api.mono_profiler_set_gc_event_callback)(handle, collection::<H> as Callback);
        (api.mono_profiler_set_runtime_shutdown_begin_callback)(handle, ends::<H> as Callback);
        if deepest == Depth::Trace {
            (api.mono_profiler_enable_allocations)();
            (api.mono_profiler_set_gc_allocation_callback)(handle, allocated::<H> as Callback);
        }
        (api.mono_profiler_set_sample_hit_callback)(handle, samples::hit::<H> as Callback);
        (api.mono_profiler_enable_sampling)(handle);
    }
    Ok(())
}

/// An address in the frame of the function that asks.
macro_rules! stack {
    () => {{
        let here = 0_u8;
        &raw const here as usize
    }};
}

/// When a method is compiled, and again for each frame that an exception leaves.
unsafe extern "C" fn filter<H: Host>(_: Pointer, method: Pointer) -> c_int {
    let mut known = methods::known(method as usize);
    if known.is_none()
        && let Some((mono, recorder, _)) = here::<H>(true)
    {
        // SAFETY: Mono's method, on a thread of Mono's.
        known = Some(unsafe { methods::learn(&mono.api, recorder, method) });
    }
    let Some(known) = known.filter(|known| known.symbol().is_some()) else { return 0 };
    if known.tells() {
        return INSTRUMENT;
    }
    if H::depth() != Depth::Trace {
        return 0;
    }
    methods::tells(method as usize, known);
    INSTRUMENT
}

unsafe extern "C" fn entered<H: Host>(_: Pointer, method: Pointer, _context: Pointer) {
    if H::depth() != Depth::Trace {
        return;
    }
    let Some(symbol) = methods::known(method as usize).and_then(methods::Known::symbol) else { return };
    let Some((_, recorder, calls)) = here::<H>(true) else { return };
    let (at, stack) = (recorder.now(), stack!());
    calls.settle(recorder, at, stack);
    if recorder.enabled(CategoryId::FUNCTION) {
        let span = recorder.enter(at, symbol, CategoryId::FUNCTION);
        calls.begin(method as usize, false, stack, span);
    }
}

/// A return, or a tail call, which takes the place of its caller.
unsafe extern "C" fn left<H: Host>(_: Pointer, method: Pointer, _: Pointer) {
    if let Some((_, recorder, calls)) = here::<H>(false) {
        calls.end(recorder, recorder.now(), (method as usize, false), stack!(), Outcome::Ok);
    }
}

unsafe extern "C" fn thrown_out<H: Host>(_: Pointer, method: Pointer, _exception: Pointer) {
    if let Some((_, recorder, calls)) = here::<H>(false) {
        calls.thrown_out(recorder, recorder.now(), method as usize);
    }
}

/// Native code calls a method.
unsafe extern "C" fn invoked<H: Host>(_: Pointer, method: Pointer) {
    let Some((mono, recorder, calls)) = here::<H>(true) else { return };
    samples::follow::<H>(mono);
    // SAFETY: Mono's method, on a thread of Mono's.
    if let Some(symbol) = unsafe { methods::learn(&mono.api, recorder, method) }.symbol() {
        let (at, stack) = (recorder.now(), stack!());
        calls.settle(recorder, at, stack);
        let span = recorder.enter(at, symbol, CategoryId::ENTRY);
        calls.begin(method as usize, true, stack, span);
    }
}

unsafe extern "C" fn invocation_over<H: Host>(_: Pointer, method: Pointer) {
    if let Some((_, recorder, calls)) = here::<H>(false) {
        calls.end(recorder, recorder.now(), (method as usize, true), stack!(), Outcome::Ok);
    }
}

unsafe extern "C" fn freed(_: Pointer, method: Pointer) {
    methods::forget(method as usize);
}

unsafe extern "C" fn thrown<H: Host>(_: Pointer, exception: Pointer) {
    if exception.is_null() {
        return;
    }
    let Some((mono, recorder, _)) = here::<H>(true) else { return };
    let names = mono.names(recorder);
    // SAFETY: a live object of Mono's.
    let (symbol, class) =
        unsafe { methods::exception(&mono.api, recorder, (mono.api.mono_object_get_class)(exception)) };
    let args = [(names.message, ArgInput::Text(&class))];
    recorder.instant(recorder.now(), symbol, CategoryId::ERROR, Scope::Track, &args);
}

/// `MONO_GC_EVENT_PRE_STOP_WORLD` and `MONO_GC_EVENT_POST_START_WORLD`.
const STOPS: c_int = 6;
const STARTED: c_int = 9;

unsafe extern "C" fn collection<H: Host>(_: Pointer, event: c_int, _generation: u32, _serial: c_int) {
    // Between these two other threads stand still, and may hold locks.
    if event != STOPS && event != STARTED {
        return;
    }
    let Some((mono, recorder, calls)) = here::<H>(event == STOPS) else { return };
    let names = mono.names(recorder);
    let at = recorder.now();
    if event == STOPS {
        calls.collecting.set(Some(recorder.enter(at, names.collect, CategoryId::GC)));
    } else if let Some(span) = calls.collecting.take() {
        recorder.exit(at, span, Outcome::Ok, 0);
        // SAFETY: reads numbers.
        let bytes = unsafe { (mono.api.mono_gc_get_heap_size)() };
        recorder.counter(at, names.heap, CounterValue::Int(bytes));
    }
}

/// Under the collector's lock: nothing is made here.
unsafe extern "C" fn allocated<H: Host>(_: Pointer, object: Pointer) {
    if let Some((mono, _, calls)) = here::<H>(false) {
        // SAFETY: a live object of Mono's.
        let size = unsafe { (mono.api.mono_object_get_size)(object) };
        calls.allocated.set(calls.allocated.get() + u64::from(size));
    }
}

unsafe extern "C" fn ends<H: Host>(_: *mut c_void) {
    if !FORKED.load(Relaxed) {
        samples::flush::<H>();
    }
}

impl Installed {
    pub(super) fn names<R: Recorder>(&self, recorder: &R) -> &Names {
        self.names.get_or_init(|| {
            let symbol = |name| {
                recorder.intern_symbol(SymbolRef {
                    runtime: Runtime::CSharp,
                    resource: "mono",
                    name,
                    ..SymbolRef::default()
                })
            };
            Names {
                collect: symbol("collect (measured)"),
                heap: symbol("mono.heap_bytes"),
                message: recorder.intern_key("message"),
                not_walked: symbol("runtime and C library (callers not known)"),
            }
        })
    }
}
