//! A server's recording, made by hand.

use tickscope_core::conformance::Recording;
use tickscope_core::{
    Batch, CategoryId, Event, Metadata, Outcome, Runtime, Sink, SinkError, SpanId, SymbolId, SymbolRef,
    TrackId, TrackKind,
};

const MS: u64 = 1_000_000;

/// A server that ticks in a time of its own. It begins at [`Server::START_NS`] of the recording's clock, which is
/// [`Server::START_UNIX_MS`], with a budget of 50 ms.
#[derive(Debug)]
pub struct Server {
    /// What is told of the recording.
    pub metadata: Metadata,
    /// Milliseconds since it began. Whoever moves it on lets the server be silent.
    pub now_ms: u64,
    made: Recording,
    main: TrackId,
    tick: SymbolId,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// When it began, by the recording's clock.
    pub const START_NS: u64 = 777 * MS;
    /// When it began, in milliseconds since 1970 UTC.
    pub const START_UNIX_MS: u64 = 1_790_000_000_000;

    /// Nothing happened yet.
    pub fn new() -> Self {
        let mut made = Recording::default();
        let tick = made.symbol(SymbolRef::host("tick"));
        let main = made.track(TrackKind::Thread, TrackId::PROCESS, "main", "");
        let metadata = Metadata {
            producer: "trial".into(),
            subject: "a server".into(),
            budget_ns: 50 * MS,
            pid: 4711,
            start_ns: Self::START_NS,
            start_unix_ns: Self::START_UNIX_MS * MS,
            ..Metadata::default()
        };
        Self { metadata, now_ms: 0, made, main, tick }
    }

    /// A function of a resource.
    pub fn symbol(&mut self, resource: &str, name: &str) -> SymbolId {
        self.made.symbol(SymbolRef { runtime: Runtime::Lua, resource, name, file: "main.lua", line: 1 })
    }

    /// Whatever else may happen, on the server's thread and now.
    pub fn push(&mut self, event: Event) {
        self.made.push(self.now_ns(), self.main, event);
    }

    /// A span begins on the server's thread.
    pub fn begin(&mut self, symbol: SymbolId, category: CategoryId) -> SpanId {
        self.made.open(self.now_ns(), self.main, symbol, category, None, &[])
    }

    /// It ends, having allocated `bytes`.
    #[track_caller]
    pub fn end(&mut self, span: SpanId, bytes: u32) {
        self.made.close(self.now_ns(), self.main, span, Outcome::Ok, bytes, &[]);
    }

    /// Ticks that take `ms`, the last of them the server's own, one every `every_ms`; in each, an event's handler that
    /// allocates 100 bytes.
    #[track_caller]
    pub fn ticks(&mut self, count: u64, every_ms: u64, ms: u64, handler: SymbolId) {
        for _ in 0..count {
            let tick = self.begin(self.tick, CategoryId::TICK);
            let call = self.begin(handler, CategoryId::EVENT);
            self.now_ms += ms - 1;
            self.end(call, 100);
            self.now_ms += 1;
            self.end(tick, 100);
            self.now_ms += every_ms - ms;
        }
    }

    /// Gives a sink all of it, from open to finish, seven samples at a time.
    ///
    /// # Errors
    /// What the sink answers.
    pub fn play(&self, sink: &mut impl Sink) -> Result<(), SinkError> {
        sink.open(&self.metadata)?;
        let whole = self.made.as_batch();
        for samples in whole.samples.chunks(7) {
            sink.batch(&Batch { samples, ..whole })?;
        }
        sink.finish()
    }

    fn now_ns(&self) -> u64 {
        Self::START_NS + self.now_ms * MS
    }
}
