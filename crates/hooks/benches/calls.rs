//! What tracing a call costs beside the least it could cost (Lua's hook machinery with an empty function, and two
//! readings of the time stamp counter), and what sampling costs a realistic program.
//!
//! Prints ratios too: `calls/traced ÷ calls/floor` and `work/sampled ÷ work/plain`, from interleaved rounds.

use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use mlua::ffi;
use tickscope_core::{
    ArgInput, CategoryId, CounterValue, Depth, KeyId, Link, LinkPoint, Outcome, Recorder, Scope, Span,
    StackId, StackNode, SwitchReason, SymbolId, SymbolRef, Ticks, Track, TrackId,
};
use tickscope_hooks::lua::{Allocator, Tracer, TracerOptions, VmId, VmOptions};

const CALLS: &str =
    "local function fib(n) if n < 2 then return n end return fib(n-1) + fib(n-2) end return fib";
const CALLS_ARGUMENT: i64 = 24;

const WORK: &str = "
local function key(i) return 'item' .. i % 97 end
local function restock(n)
    local stock, names = {}, {}
    for i = 1, n do
        local k = key(i)
        stock[k] = (stock[k] or 0) + i
        names[#names + 1] = k
    end
    table.sort(names, function(a, b) return a < b end)
    local text = table.concat(names, ','):gsub('item', 'i')
    local sum = 0
    for word in text:gmatch('%d+') do sum = sum + tonumber(word) end
    return sum
end
return restock";
const WORK_ARGUMENT: i64 = 3000;

fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    return START.with(|start| start.elapsed().as_nanos() as u64);
}

#[cfg(not(target_arch = "x86_64"))]
thread_local!(static START: Instant = Instant::now());

const SLOTS: usize = 1 << 16;

/// Writes records of 16 bytes into memory, over and over: the shape of a session's recorder without its collector.
struct Slots {
    slots: UnsafeCell<Box<[[u64; 2]; SLOTS]>>,
    head: Cell<usize>,
    names: Cell<u32>,
}

impl Slots {
    fn new() -> Self {
        let slots = vec![[0; 2]; SLOTS].into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!());
        Self { slots: UnsafeCell::new(slots), head: Cell::new(0), names: Cell::new(1) }
    }

    #[inline(always)]
    fn push(&self, first: u64, second: u64) {
        let head = self.head.get();
        // SAFETY: one thread, and no reference outlives the statement.
        unsafe { (*self.slots.get())[head % SLOTS] = [first, second] };
        self.head.set(head + 1);
    }

    fn name(&self) -> u32 {
        self.names.set(self.names.get() + 1);
        self.names.get()
    }
}

impl Recorder for Slots {
    #[inline(always)]
    fn now(&self) -> Ticks {
        Ticks(tsc())
    }
    #[inline(always)]
    fn enabled(&self, _: CategoryId) -> bool {
        true
    }
    #[inline(always)]
    fn enter(&self, at: Ticks, symbol: SymbolId, category: CategoryId) -> Span {
        self.push(1 << 58 | at.0, u64::from(symbol.0) << 32 | u64::from(category.0));
        Span::at(self.head.get() as u64)
    }
    fn enter_with(
        &self,
        at: Ticks,
        symbol: SymbolId,
        category: CategoryId,
        _: Option<Link>,
        _: &[(KeyId, ArgInput<'_>)],
    ) -> Span {
        self.enter(at, symbol, category)
    }
    #[inline(always)]
    fn exit(&self, at: Ticks, span: Span, outcome: Outcome, bytes: u32) {
        self.push(
            2 << 58 | (outcome as u64) << 56 | at.0,
            span.position().unwrap_or(0) << 32 | u64::from(bytes),
        );
    }
    fn arg(&self, _: KeyId, _: ArgInput<'_>) {}
    fn instant(&self, _: Ticks, _: SymbolId, _: CategoryId, _: Scope, _: &[(KeyId, ArgInput<'_>)]) {}
    fn counter(&self, _: Ticks, _: SymbolId, _: CounterValue) {}
    fn link_point(&self, _: Ticks) -> LinkPoint {
        None
    }
    fn resume(&self, at: Ticks, track: TrackId) {
        self.push(3 << 58 | at.0, u64::from(track.0));
    }
    fn suspend(&self, at: Ticks, reason: SwitchReason) {
        self.push(3 << 58 | at.0, reason as u64);
    }
    fn stack(&self, at: Ticks, stack: StackId, elapsed: u64, _: u64) {
        self.push(4 << 58 | at.0, u64::from(stack.0) << 32 | elapsed & 0xFFFF_FFFF);
    }
    fn track(&self) -> TrackId {
        TrackId(1)
    }
    fn intern_symbol(&self, _: SymbolRef<'_>) -> SymbolId {
        SymbolId(self.name())
    }
    fn intern_key(&self, _: &str) -> KeyId {
        KeyId(0)
    }
    fn intern_stack(&self, _: StackNode) -> StackId {
        StackId(self.name())
    }
    fn new_track(&self, _: Track) -> TrackId {
        TrackId(self.name())
    }
    fn ticks_per_micro(&self) -> u64 {
        1000
    }
}

/// A machine whose only value on the stack is the function to call.
struct Machine {
    state: *mut ffi::lua_State,
    vm: VmId,
    _allocator: Rc<Pin<Box<Allocator>>>,
}

impl Machine {
    fn new(tracer: &Tracer<Slots>, source: &str) -> Self {
        let allocator = Rc::new(Allocator::new(None));
        // SAFETY: a new machine of the Lua mlua links; its allocator is kept beside it.
        unsafe {
            let state = ffi::lua_newstate(Allocator::function(), allocator.data());
            ffi::luaL_openlibs(state);
            let options = VmOptions { allocator: Some(Rc::clone(&allocator)), ..VmOptions::default() };
            let vm = tracer.attach(state.cast(), options).expect("a new machine");
            let (text, len) = (source.as_ptr().cast(), source.len());
            assert_eq!(ffi::luaL_loadbufferx(state, text, len, c"=bench".as_ptr(), c"t".as_ptr()), 0);
            assert_eq!(ffi::lua_pcall(state, 0, 1, 0), 0);
            Self { state, vm, _allocator: allocator }
        }
    }

    fn call(&self, argument: i64) -> i64 {
        // SAFETY: the function lies at index 1; the result is taken off.
        unsafe {
            ffi::lua_pushvalue(self.state, 1);
            ffi::lua_pushinteger(self.state, argument);
            assert_eq!(ffi::lua_pcall(self.state, 1, 1, 0), 0);
            let result = ffi::lua_tointegerx(self.state, -1, std::ptr::null_mut());
            ffi::lua_settop(self.state, 1);
            result
        }
    }
}

thread_local!(static LAST: Cell<u64> = const { Cell::new(0) });

/// The least a hook that takes times could do.
unsafe extern "C-unwind" fn floor(_: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    LAST.set(tsc());
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Plain,
    Floor,
    Tracer(Depth),
    /// Calls are traced, but not those of this machine.
    LeftOut,
}

fn set(mode: Mode, tracer: &Tracer<Slots>, machine: &Machine) {
    let depth = match mode {
        Mode::Tracer(depth) => depth,
        Mode::LeftOut => Depth::Trace,
        Mode::Plain | Mode::Floor => Depth::Boundary,
    };
    tracer.set_recorded(machine.vm, mode != Mode::LeftOut);
    // A hook that is not the tracer's is the program's, and would be kept.
    // SAFETY: a live machine that does not run.
    unsafe { ffi::lua_sethook(machine.state, None, 0, 0) };
    tracer.set_depth(depth).expect("a timer");
    if mode == Mode::Floor {
        // SAFETY: as above; the tracer has no hook there at depth boundary.
        unsafe { ffi::lua_sethook(machine.state, Some(floor), ffi::LUA_MASKCALL | ffi::LUA_MASKRET, 0) };
    }
}

/// One call in the mode, within a context as a host would make it.
fn run(mode: Mode, tracer: &Tracer<Slots>, machine: &Machine, argument: i64) -> Duration {
    set(mode, tracer, machine);
    // SAFETY: a live machine.
    unsafe { tracer.enter(machine.state.cast(), None) };
    if mode == Mode::Floor {
        set(mode, tracer, machine);
    }
    let start = Instant::now();
    black_box(machine.call(black_box(argument)));
    let took = start.elapsed();
    tracer.leave(SwitchReason::Return);
    took
}

/// Least times over interleaved rounds: what the machine does besides is left out.
fn least(
    tracer: &Tracer<Slots>,
    machine: &Machine,
    argument: i64,
    modes: &[Mode],
    rounds: u32,
) -> Vec<Duration> {
    let mut least = vec![Duration::MAX; modes.len()];
    for _ in 0..rounds {
        for (least, mode) in least.iter_mut().zip(modes) {
            *least = (*least).min(run(*mode, tracer, machine, argument));
        }
    }
    least
}

fn main() {
    // SAFETY: mlua links its own Lua 5.4, and the machines are leaked with the process.
    let tracer = unsafe {
        let options = TracerOptions { depth: Depth::Boundary, ..TracerOptions::default() };
        Tracer::new(Slots::new(), tickscope_hooks::lua_api_from!(tickscope_lua::ffi), options)
            .expect("the only tracer")
    };
    let (calls, work) = (Machine::new(&tracer, CALLS), Machine::new(&tracer, WORK));
    assert_eq!(calls.call(CALLS_ARGUMENT), 46_368, "the program is right before the clock starts");
    assert_eq!(work.call(10), (1..=10).sum::<i64>(), "the program is right before the clock starts");

    let trace = Mode::Tracer(Depth::Trace);
    let times = least(&tracer, &calls, CALLS_ARGUMENT, &[Mode::Plain, Mode::Floor, trace, Mode::LeftOut], 60);
    let pairs = 150_049.0; // calls that fib(24) makes
    let ns = |time: Duration| time.as_nanos() as f64 / pairs;
    println!(
        "per call: plain {:.1} ns, left out {:.1} ns, floor {:.1} ns, traced {:.1} ns; traced / floor = {:.3}",
        ns(times[0]),
        ns(times[3]),
        ns(times[1]),
        ns(times[2]),
        ns(times[2]) / ns(times[1])
    );
    let modes = [Mode::Plain, Mode::Tracer(Depth::Boundary), Mode::Tracer(Depth::Sample), trace];
    let times = least(&tracer, &work, WORK_ARGUMENT * 20, &modes, 15);
    let ratio = |index: usize| times[index].as_secs_f64() / times[0].as_secs_f64();
    println!(
        "realistic work: plain {:.2} ms; boundary × {:.3}, sampled × {:.3}, traced × {:.3}",
        times[0].as_secs_f64() * 1e3,
        ratio(1),
        ratio(2),
        ratio(3)
    );

    let mut criterion = Criterion::default().configure_from_args();
    for (name, mode) in [("calls/plain", Mode::Plain), ("calls/floor", Mode::Floor), ("calls/traced", trace)]
    {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| run(mode, &tracer, &calls, CALLS_ARGUMENT)).sum());
        });
    }
    for (name, mode) in
        [("work/plain", Mode::Plain), ("work/sampled", Mode::Tracer(Depth::Sample)), ("work/traced", trace)]
    {
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| run(mode, &tracer, &work, WORK_ARGUMENT)).sum());
        });
    }
    criterion.final_summary();
}
