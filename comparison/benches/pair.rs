//! A span begun and ended, recorded from Rust: beside two reads of the time stamp counter, and beside peers.
//!
//! A round is a burst that fits every contestant's buffers, so that nothing is dropped. Draining goes on meanwhile on
//! another thread where the contestant has one; what is left of it after the burst is waited for outside the time.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tickscope_comparison::{Contestant, TracyServer, compete};
use tickscope_core::{Batch, CategoryId, Flow, Outcome, Recorder, Sink, SinkError, SymbolId, SymbolRef};
use tickscope_session::{Config, Pump, PumpConfig, Session, ThreadRecorder};

/// Spans of one round: below the 10,240 that fastrace takes under one parent.
const SPANS: u64 = 8_000;

fn timed(spans: u64, mut span: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..spans {
        span();
    }
    start.elapsed()
}

/// Waits until `count` has reached `target`.
fn reach(count: &AtomicU64, target: u64) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(10);
    while count.load(Ordering::Acquire) < target {
        if Instant::now() > end {
            return Err(format!("{} arrived of {target}", count.load(Ordering::Acquire)));
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

/// The floor: what any pair of time stamps costs.
struct TwoReads;

impl Contestant for TwoReads {
    fn name(&self) -> &'static str {
        "two TSC reads"
    }

    fn check(&mut self) -> Result<(), String> {
        // SAFETY: `rdtsc` exists on every x86-64 and only reads a counter.
        let (one, two) = unsafe { (core::arch::x86_64::_rdtsc(), core::arch::x86_64::_rdtsc()) };
        if two >= one { Ok(()) } else { Err("the counter runs backwards".into()) }
    }

    fn round(&mut self, spans: u64) -> Duration {
        timed(spans, || {
            // SAFETY: as above.
            black_box(unsafe { (core::arch::x86_64::_rdtsc(), core::arch::x86_64::_rdtsc()) });
        })
    }
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Sink for Counter {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        let ends =
            batch.samples.iter().filter(|sample| matches!(sample.event, tickscope_core::Event::End(_)));
        self.0.fetch_add(ends.count() as u64, Ordering::Release);
        Ok(Flow::Continue)
    }
}

/// Our recorder, a collector draining it on another thread.
struct Ours {
    recorder: ThreadRecorder,
    symbol: SymbolId,
    arrived: Counter,
    sent: u64,
    _session: Session,
    _pump: Pump<Counter>,
}

impl Ours {
    fn new() -> Self {
        let (session, collector) = Session::new(Config::default()).expect("a session");
        let arrived = Counter::default();
        let pump = Pump::start(collector, vec![("count".into(), arrived.clone())], PumpConfig::default());
        let recorder = session.thread("bench");
        let symbol = recorder.intern_symbol(SymbolRef::host("work"));
        Self { recorder, symbol, arrived, sent: 0, _session: session, _pump: pump }
    }
}

impl Contestant for Ours {
    fn name(&self) -> &'static str {
        "tickscope-session, collector on another core"
    }

    fn check(&mut self) -> Result<(), String> {
        self.round(1_000);
        reach(&self.arrived.0, self.sent)
    }

    fn round(&mut self, spans: u64) -> Duration {
        self.sent += spans;
        let took = timed(spans, || {
            let span = self.recorder.enter(self.recorder.now(), self.symbol, CategoryId::DEFAULT);
            self.recorder.exit(self.recorder.now(), black_box(span), Outcome::Ok, 0);
        });
        reach(&self.arrived.0, self.sent).expect("nothing is dropped");
        took
    }
}

/// Tracy, its client connected to a server that takes everything.
struct Tracy {
    client: tracy_client::Client,
    server: TracyServer,
}

impl Tracy {
    fn new() -> Self {
        let client = tracy_client::Client::start();
        let server = TracyServer::connect().expect("Tracy's client answers");
        let end = Instant::now() + Duration::from_secs(10);
        while !tracy_client::Client::is_connected() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { client, server }
    }
}

impl Contestant for Tracy {
    fn name(&self) -> &'static str {
        "tracy-client 0.19, server draining"
    }

    fn check(&mut self) -> Result<(), String> {
        let before = self.server.received();
        self.round(SPANS);
        let end = Instant::now() + Duration::from_secs(5);
        while self.server.received() < before + SPANS && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Begin and end, compressed: a byte a span is far below what arrives, and far above the keep-alives.
        let bytes = self.server.received() - before;
        if bytes >= SPANS { Ok(()) } else { Err(format!("{bytes} bytes arrived for {SPANS} spans")) }
    }

    fn round(&mut self, spans: u64) -> Duration {
        let location = tracy_client::span_location!("work");
        let before = self.server.received();
        let took = timed(spans, || drop(black_box(self.client.clone().span(location, 0))));
        // Until the burst is on its way, so that rounds do not pile up.
        let end = Instant::now() + Duration::from_millis(200);
        while self.server.received() < before + spans && Instant::now() < end {
            std::thread::sleep(Duration::from_micros(200));
        }
        took
    }
}

/// perfetto-recorder keeps a thread's spans until they are taken.
struct PerfettoRecorder;

impl PerfettoRecorder {
    fn new() -> Self {
        perfetto_recorder::start().expect("recording is enabled");
        Self
    }
}

impl Contestant for PerfettoRecorder {
    fn name(&self) -> &'static str {
        "perfetto-recorder 0.3.3, fastant"
    }

    fn check(&mut self) -> Result<(), String> {
        let encoded = |spans| -> Result<usize, String> {
            timed(spans, || {
                perfetto_recorder::scope!("work");
            });
            let taken = perfetto_recorder::ThreadTraceData::take_current_thread();
            let mut builder = perfetto_recorder::TraceBuilder::new().map_err(|error| error.to_string())?;
            Ok(builder.process_thread_data(&taken).encode_to_vec().len())
        };
        let (few, many) = (encoded(10)?, encoded(1_000)?);
        if many > few + 990 * 8 {
            Ok(())
        } else {
            Err(format!("{few} and {many} bytes for 10 and 1,000 spans"))
        }
    }

    fn round(&mut self, spans: u64) -> Duration {
        perfetto_recorder::current_thread_reserve(2 * spans as usize);
        let took = timed(spans, || {
            perfetto_recorder::scope!("work");
        });
        drop(perfetto_recorder::ThreadTraceData::take_current_thread());
        took
    }
}

/// fastrace, its reporter counting on a thread of its own.
struct Fastrace(Arc<AtomicU64>, u64);

struct Count(Arc<AtomicU64>);

impl fastrace::collector::Reporter for Count {
    fn report(&mut self, spans: Vec<fastrace::collector::SpanRecord>) {
        self.0.fetch_add(spans.len() as u64, Ordering::Release);
    }
}

impl Fastrace {
    fn new() -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let config = fastrace::collector::Config::default().report_interval(Duration::from_millis(5));
        fastrace::set_reporter(Count(count.clone()), config);
        Self(count, 0)
    }
}

impl Contestant for Fastrace {
    fn name(&self) -> &'static str {
        "fastrace 0.7.19"
    }

    fn check(&mut self) -> Result<(), String> {
        self.round(1_000);
        reach(&self.0, self.1)
    }

    fn round(&mut self, spans: u64) -> Duration {
        self.1 += spans + 1;
        let root = fastrace::Span::root("root", fastrace::collector::SpanContext::random());
        let guard = root.set_local_parent();
        let took = timed(spans, || {
            drop(black_box(fastrace::local::LocalSpan::enter_with_local_parent("work")));
        });
        drop(guard);
        drop(root);
        fastrace::flush();
        reach(&self.0, self.1).expect("fastrace loses no span");
        took
    }
}

/// puffin hands a thread's spans over when its outermost scope ends.
struct Puffin(Arc<AtomicU64>);

impl Puffin {
    fn new() -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let sink = count.clone();
        puffin::set_scopes_on(true);
        puffin::GlobalProfiler::lock().add_sink(Box::new(move |frame| {
            sink.fetch_add(frame.meta().num_scopes as u64, Ordering::Release);
        }));
        Self(count)
    }
}

impl Contestant for Puffin {
    fn name(&self) -> &'static str {
        "puffin 0.20"
    }

    fn check(&mut self) -> Result<(), String> {
        let before = self.0.load(Ordering::Acquire);
        self.round(1_000);
        puffin::GlobalProfiler::lock().new_frame();
        let seen = self.0.load(Ordering::Acquire) - before;
        if seen >= 1_001 { Ok(()) } else { Err(format!("{seen} scopes in the frame")) }
    }

    fn round(&mut self, spans: u64) -> Duration {
        let took = {
            puffin::profile_scope!("round");
            timed(spans, || {
                puffin::profile_scope!("work");
            })
        };
        puffin::GlobalProfiler::lock().new_frame();
        took
    }
}

/// tracing with tracing-chrome, which sends each event to a writing thread.
struct TracingChrome {
    bytes: Arc<AtomicU64>,
    guard: tracing_chrome::FlushGuard,
}

struct CountBytes(Arc<AtomicU64>);

impl Write for CountBytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Release);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl TracingChrome {
    fn new() -> Self {
        use tracing_subscriber::layer::SubscriberExt;
        let bytes = Arc::new(AtomicU64::new(0));
        let (layer, guard) = tracing_chrome::ChromeLayerBuilder::new()
            .writer(CountBytes(bytes.clone()))
            .include_args(false)
            .build();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .expect("no other");
        Self { bytes, guard }
    }
}

impl Contestant for TracingChrome {
    fn name(&self) -> &'static str {
        "tracing-chrome 0.7.2"
    }

    fn check(&mut self) -> Result<(), String> {
        let before = self.bytes.load(Ordering::Acquire);
        self.round(1_000);
        reach(&self.bytes, before + 1_000 * 80)
    }

    fn round(&mut self, spans: u64) -> Duration {
        let took = timed(spans, || drop(black_box(tracing::info_span!("work").entered())));
        self.guard.flush();
        took
    }
}

fn pairs(criterion: &mut Criterion) {
    let mut contestants: Vec<Box<dyn Contestant>> = vec![
        Box::new(TwoReads),
        Box::new(Ours::new()),
        Box::new(Tracy::new()),
        Box::new(PerfettoRecorder::new()),
        Box::new(Fastrace::new()),
        Box::new(Puffin::new()),
        Box::new(TracingChrome::new()),
    ];
    compete(criterion, "a span begun and ended", SPANS, &mut contestants);
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).sample_size(30);
    targets = pairs
}
criterion_main!(benches);
