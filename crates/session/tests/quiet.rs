//! The record path allocates nothing and makes no system call. A binary of its own, for its allocator.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use tickscope_core::{
    ArgInput, CategoryId, CounterValue, Link, LinkKind, Outcome, Recorder, RecordingSink, Scope, StackId,
    StackNode, SwitchReason, SymbolRef, Track, TrackKind,
};
use tickscope_session::{Config, Session, ThreadRecorder};

struct Counting;

thread_local! {
    static ALLOCATIONS: AtomicU64 = const { AtomicU64::new(0) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.fetch_add(1, Ordering::Relaxed));
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(|count| count.load(Ordering::Relaxed))
}

struct Work {
    recorder: ThreadRecorder,
    symbol: tickscope_core::SymbolId,
    key: tickscope_core::KeyId,
    track: tickscope_core::TrackId,
    stack: StackId,
}

impl Work {
    fn new(session: &Session) -> Self {
        let recorder = session.thread("main");
        let symbol = recorder.intern_symbol(SymbolRef::host("work"));
        Self {
            symbol,
            key: recorder.intern_key("text"),
            track: recorder.new_track(Track {
                kind: TrackKind::Coroutine,
                parent: recorder.thread_track(),
                os_id: 0,
                name: "coroutine".into(),
                resource: "".into(),
            }),
            stack: recorder.intern_stack(StackNode { parent: StackId::ROOT, symbol, line: 1 }),
            recorder,
        }
    }

    /// Twelve events of every kind.
    #[inline(never)]
    fn round(&self) {
        let Self { recorder, symbol, key, track, stack } = self;
        let link = recorder.link_point(recorder.now()).map(|source| Link { kind: LinkKind::Flow, source });
        let args = [(*key, ArgInput::Text("some text longer than a slot")), (*key, ArgInput::Uint(7))];
        let outer = recorder.enter_with(recorder.now(), *symbol, CategoryId::EVENT, link, &args);
        recorder.resume(recorder.now(), *track);
        let inner = recorder.enter(recorder.now(), *symbol, CategoryId::FUNCTION);
        recorder.stack(recorder.now(), *stack, 10, 20);
        recorder.counter(recorder.now(), *symbol, CounterValue::Int(1));
        recorder.instant(recorder.now(), *symbol, CategoryId::ERROR, Scope::Track, &args);
        recorder.arg(*key, ArgInput::Bool(true));
        recorder.exit(recorder.now(), inner, Outcome::Ok, 3);
        recorder.suspend(recorder.now(), SwitchReason::Yield);
        recorder.exit(recorder.now(), outer, Outcome::Ok, 3);
    }
}

/// Full rings included: the collector looks only now and then.
#[test]
fn a_million_events_allocate_nothing() {
    let (session, mut collector) = Session::new(Config::default()).unwrap();
    let work = Work::new(&session);
    let mut sink = Discard;
    for _ in 0..1_000 {
        work.round();
    }
    let mut counted = 0;
    for round in 0..100_000 {
        let before = allocations();
        work.round();
        counted += allocations() - before;
        if round % 30_000 == 0 {
            tickscope_core::Source::poll(&mut collector, &mut sink).unwrap();
        }
    }
    assert_eq!(counted, 0);
    let account = session.finish(collector, &mut RecordingSink::default()).unwrap();
    assert!(account.attempted > 1_000_000 && account.dropped > 0, "both ways were taken: {account:?}");
}

struct Discard;

impl tickscope_core::Sink for Discard {
    fn batch(
        &mut self,
        _: &tickscope_core::Batch<'_>,
    ) -> Result<tickscope_core::Flow, tickscope_core::SinkError> {
        Ok(tickscope_core::Flow::Continue)
    }
}

/// Under this filter the kernel kills a process at its first system call but `exit`.
#[test]
fn a_million_events_make_no_system_call() {
    let (session, collector) = Session::new(Config::default()).unwrap();
    let work = Work::new(&session);
    work.round();
    // SAFETY: the child calls nothing but the record path, prctl and exit: no lock another thread may hold.
    let child = unsafe { libc::fork() };
    if child == 0 {
        kill_at_system_calls();
        for _ in 0..100_000 {
            work.round();
        }
        // SAFETY: ends this thread, the child's only one.
        unsafe { libc::syscall(libc::SYS_exit, 7) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for the answer.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert!(libc::WIFEXITED(status), "killed by signal {}", libc::WTERMSIG(status));
    assert_eq!(libc::WEXITSTATUS(status), 7, "8: the filter was refused");
    drop(work);
    session.finish(collector, &mut RecordingSink::default()).unwrap();
}

fn kill_at_system_calls() {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    // Load the call's number; `exit` is allowed, anything else kills the process.
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_exit as u32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter is well-formed and outlives the call; a refusal ends the child with another code.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) != 0
        {
            libc::syscall(libc::SYS_exit, 8);
        }
    }
}
