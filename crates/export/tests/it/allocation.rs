//! Writers allocate nothing per span once they know its names.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tickscope_core::{
    ArgRange, Batch, Begin, CategoryId, Dictionary, End, Event, Metadata, Outcome, RingId, Runtime, Sample,
    Sink, SpanId, Symbol, SymbolRef, Track, TrackId, TrackKind,
};
use tickscope_export::{chrome, perfetto};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Counts this thread's allocations.
struct Counting;

// SAFETY: every call goes on to the system's allocator unchanged; counting touches a plain thread-local only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Nested spans of two hundred functions on two rings.
pub fn spans(count: u64) -> (Dictionary, Vec<Sample>) {
    let mut dictionary = Dictionary::default();
    for number in 0..200u32 {
        let name = format!("function_number_{number:03}");
        let symbol = SymbolRef {
            runtime: Runtime::Lua,
            resource: "banking",
            name: &name,
            file: "server/main.lua",
            line: number,
        };
        dictionary.push_symbol(Symbol::from(symbol));
    }
    let mut tracks = Vec::new();
    for thread in 0..2 {
        tracks.push(dictionary.push_track(Track {
            kind: TrackKind::Thread,
            parent: TrackId::PROCESS,
            os_id: 100 + thread,
            name: "thread".into(),
            resource: "".into(),
        }));
    }
    let mut samples = Vec::with_capacity(2 * count as usize);
    let mut open = Vec::new();
    for number in 0..count {
        let track = tracks[(number / 1_000 % 2) as usize];
        let ring = RingId(track.0);
        let now = 1_000_000 + number * 300;
        let span = SpanId::new(ring, number * 2).expect("rings count from 1");
        let symbol = tickscope_core::SymbolId((number * 7 % 200) as u32 + 1);
        let parent = open.last().map(|open: &(SpanId, u64, tickscope_core::SymbolId)| open.0);
        let begin =
            Begin { span, parent, symbol, category: CategoryId::FUNCTION, link: None, args: ArgRange::NONE };
        samples.push(Sample { time_ns: now, ring, track, event: Event::Begin(begin) });
        open.push((span, now, symbol));
        let keep = if number % 1_000 == 999 { 0 } else { (number % 8) as usize };
        while open.len() > keep {
            let Some((span, begin_ns, symbol)) = open.pop() else { break };
            let bytes = if number % 3 == 0 { 64 } else { 0 };
            let end = End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes, args: ArgRange::NONE };
            samples.push(Sample { time_ns: now + 100, ring, track, event: Event::End(end) });
        }
    }
    (dictionary, samples)
}

#[track_caller]
fn check(name: &str, mut sink: impl Sink) {
    let (dictionary, samples) = spans(400_000);
    let batch = |samples| Batch { samples, args: &[], text: "", dictionary: &dictionary };
    let (warm, rest) = samples.split_at(samples.len() / 4);
    sink.open(&Metadata::default()).unwrap();
    sink.batch(&batch(warm)).unwrap();
    let before = COUNT.with(Cell::get);
    for samples in rest.chunks(5_000) {
        sink.batch(&batch(samples)).unwrap();
    }
    let made = COUNT.with(Cell::get) - before;
    // The capture says its names again every 4 MiB: a few allocations each time, none for a span.
    assert!(made < 40, "{name}: {made} allocations for {} samples", rest.len());
    assert!(before > 10, "the counter does not count");
}

#[test]
fn a_span_allocates_nothing() {
    check("perfetto", perfetto::Writer::new(std::io::sink(), perfetto::Options::default()));
    check("chrome", chrome::Writer::new(std::io::sink()));
}
