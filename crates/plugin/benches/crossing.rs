//! What crossing to a plugin costs: 1,024 samples to a sink that sums up times by symbol, in a library and called directly.
//!
//! `call` has the batch as it crosses on both sides: the floor is the same code, compiled into this program. `from core` begins
//! with a batch of core: it is copied for the plugin's thread, once for all plugins; its floor is a sink of core that sums up.
#![allow(missing_docs, reason = "criterion's macros make the functions")]

#[path = "../tests/it/built.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "of the tests")]
mod built;
#[path = "../tests/plugin/src/work.rs"]
mod work;

use std::ffi::c_void;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tickscope_abi::Names;
use tickscope_abi::raw::*;
use tickscope_core::{
    ArgRange, Batch, Begin, CategoryId, Dictionary, End, Event, Flow, Metadata, Outcome, RingId, Sample,
    Sink, SinkError, SpanId, Symbol, SymbolId, SymbolRef, TrackId,
};
use tickscope_plugin::{Direct, Level, Log, Plugin};
use work::Work;

const SAMPLES: u64 = 1_024;
const SYMBOLS: u64 = 100;

/// Spans of a few calls deep, and the names they have.
fn recorded() -> (Dictionary, Vec<Sample>) {
    let mut dictionary = Dictionary::default();
    for number in 0..SYMBOLS {
        dictionary.push_symbol(Symbol::from(SymbolRef::host(&format!("function {number}"))));
    }
    let mut samples = Vec::new();
    let (mut open, mut next, mut time_ns) = (Vec::new(), 0, 0);
    while (samples.len() as u64) < SAMPLES {
        time_ns += 137;
        let deep = open.len() > (next % 5) as usize;
        let event = match open.pop_if(|_| deep) {
            Some((span, begin_ns, symbol)) => Event::End(End {
                span,
                symbol,
                begin_ns,
                outcome: Outcome::Ok,
                bytes: 64,
                args: ArgRange::NONE,
            }),
            None => {
                next += 1;
                let Some(span) = SpanId::new(RingId(1), next) else { continue };
                let symbol = SymbolId((1 + next * 7 % SYMBOLS) as u32);
                let parent = open.last().map(|(span, ..)| *span);
                open.push((span, time_ns, symbol));
                let (category, link, args) = (CategoryId::FUNCTION, None, ArgRange::NONE);
                Event::Begin(Begin { span, parent, symbol, category, link, args })
            }
        };
        samples.push(Sample { time_ns, ring: RingId(1), track: TrackId(0), event });
    }
    (dictionary, samples)
}

/// The same as it crosses.
fn crossed(samples: &[Sample]) -> Vec<TickscopeSample> {
    let crossed = samples.iter().map(|sample| {
        let (kind, event) = match sample.event {
            Event::Begin(begin) => {
                let begin = TickscopeBegin {
                    span: begin.span.raw(),
                    parent: begin.parent.map_or(0, SpanId::raw),
                    link: 0,
                    link_kind: 0,
                    symbol: begin.symbol.0,
                    category: begin.category.0.into(),
                    args: TickscopeRange::default(),
                };
                (TICKSCOPE_BEGIN, TickscopeEvent { begin })
            }
            Event::End(end) => {
                let end = TickscopeEnd {
                    span: end.span.raw(),
                    begin_ns: end.begin_ns,
                    symbol: end.symbol.0,
                    outcome: 0,
                    bytes: end.bytes,
                    args: TickscopeRange::default(),
                };
                (TICKSCOPE_END, TickscopeEvent { end })
            }
            _ => (TICKSCOPE_GAP, TickscopeEvent { gap: 0 }),
        };
        TickscopeSample { time_ns: sample.time_ns, ring: 1, track: 0, kind, spare: 0, event }
    });
    crossed.collect()
}

fn batch_of(samples: &[TickscopeSample]) -> TickscopeBatch {
    TickscopeBatch { samples: samples.as_ptr(), n_samples: samples.len(), ..TickscopeBatch::EMPTY }
}

unsafe extern "C" fn ignore(_: *mut c_void, _: u32, _: TickscopeText) {}
unsafe extern "C" fn refuse(_: *mut c_void, _: TickscopeText) {}

static HOST: Host = Host(TickscopeHost {
    size: size_of::<TickscopeHost>(),
    major: TICKSCOPE_MAJOR,
    minor: TICKSCOPE_MINOR,
    context: std::ptr::null_mut(),
    log: ignore,
    fail: refuse,
});
struct Host(TickscopeHost);
// SAFETY: nothing in it is written to, and its functions do nothing.
unsafe impl Sync for Host {}

/// The library's `batch`, and a sink for it.
fn opened() -> (unsafe extern "C" fn(*mut c_void, *const TickscopeBatch) -> i32, *mut c_void) {
    let nothing = TickscopeText::new("");
    let metadata = TickscopeMetadata {
        size: size_of::<TickscopeMetadata>(),
        producer: nothing,
        subject: nothing,
        depth: nothing,
        budget_ns: 0,
        pid: 0,
        schema: 1,
        start_ns: 0,
        start_unix_ns: 0,
        clock_error_ns: 0,
        clock_source: nothing,
        facts: std::ptr::null(),
        n_facts: 0,
    };
    let mut sink = std::ptr::null_mut();
    // SAFETY: a sink of ours, whose table has this version's layout; what it is lent lives long enough.
    unsafe {
        let library = libloading::os::unix::Library::new(built::rust()).expect("it was built");
        let table: *const TickscopeSink =
            library.get::<*const u8>(b"tickscope_sink\0").expect("it is a sink").into_raw().cast();
        std::mem::forget(library);
        let (open, batch) = ((*table).open.expect("open"), (*table).batch.expect("batch"));
        let options = TickscopeText::new(r#"{"do":""}"#);
        assert_eq!(open(&raw const HOST.0, options, &raw const metadata, &raw mut sink), TICKSCOPE_CONTINUE);
        (batch, sink)
    }
}

/// The same work for batches of core.
#[derive(Default)]
struct Sums(Vec<(u64, u64)>);

impl Sink for Sums {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            if let Event::End(end) = sample.event {
                let index = end.symbol.index();
                if self.0.len() <= index {
                    self.0.resize(index + 1, (0, 0));
                }
                self.0[index].0 += 1;
                self.0[index].1 += sample.time_ns - end.begin_ns;
            }
        }
        Ok(Flow::Continue)
    }
}

fn crossing(c: &mut Criterion) {
    let (dictionary, samples) = recorded();
    let crossed = crossed(&samples);
    let batch = Batch { samples: &samples, args: &[], text: "", dictionary: &dictionary };

    // Both sides do the same before the clock starts.
    let (names, raw) = (Names::default(), batch_of(&crossed));
    // SAFETY: it lives until the end of this function.
    let view = unsafe { tickscope_abi::Batch::new(&raw, &names) };
    let (mut work, mut sums) = (Work::default(), Sums::default());
    work.take(&view);
    assert!(sums.batch(&batch).is_ok());
    assert_eq!(work.totals, sums.0);

    let mut group = c.benchmark_group("call");
    group.throughput(Throughput::Elements(SAMPLES));
    group.bench_function("direct", |b| b.iter(|| work.take(black_box(&view))));
    let (call, sink) = opened();
    // SAFETY: a sink that is open, on one thread, with a batch that lives.
    group.bench_function("plugin", |b| b.iter(|| unsafe { call(sink, black_box(&raw const raw)) }));
    group.finish();

    let mut group = c.benchmark_group("from core");
    group.throughput(Throughput::Elements(SAMPLES));
    group.bench_function("direct", |b| b.iter(|| sums.batch(black_box(&batch)).is_ok()));
    let plugin = Arc::new(Plugin::load(&built::rust()).expect("it was built"));
    let silent: Log = Arc::new(|_: &str, _: Level, _: &str| {});
    let mut direct = Direct::new(plugin, r#"{"do":""}"#.into(), silent);
    assert!(direct.open(&Metadata::default()).is_ok());
    group.bench_function("plugin", |b| b.iter(|| direct.batch(black_box(&batch)).is_ok()));
    group.finish();
}

criterion_group!(benches, crossing);
criterion_main!(benches);
