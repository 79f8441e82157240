//! A recording: a session whose samples go to the capture, to the analyzer, and to plugins.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tickscope_analysis::{Analyzer, Options, Report};
use tickscope_core::{Account, Batch, Flow, Metadata, Sink, SinkError, Source};
use tickscope_export::perfetto::{self, StackFormat};
use tickscope_session::{Collector, Config, Finished, Observer, Pump, PumpConfig, Session};

use crate::cli;
use crate::feedback;
use crate::hitch::HitchRecorder;
use crate::plugins::{self, Chosen};
use crate::present::tell;

/// Large enough for a tenth of a second of calls at full speed.
const RING_BYTES: usize = 32 << 20;

/// A recording of this process.
pub(crate) struct Recording {
    pub(crate) session: Session,
    pub(crate) collecting: Collecting,
}

/// What is on while something is recorded, here or in another process.
pub(crate) struct Collecting {
    /// Shared with whoever looks at the run while it runs.
    pub(crate) analyzer: SharedAnalyzer,
    pub(crate) metadata: Metadata,
    pub(crate) capture: PathBuf,
    pump: Pump<HostSink>,
    refused: bool,
}

/// What is left when it has run.
pub(crate) struct Recorded {
    pub(crate) report: Report,
    pub(crate) metadata: Metadata,
    pub(crate) capture: PathBuf,
    /// The capture could not be written to its end.
    pub(crate) failed: Option<SinkError>,
    /// How it went with the plugins.
    pub(crate) plugins: Vec<tickscope_plugin::Outcome>,
    /// Plugins that were asked for were not used.
    pub(crate) refused: bool,
    pub(crate) overhead: tickscope_core::Overhead,
    /// Where the events went.
    pub(crate) account: Account,
}

impl Recording {
    /// Starts recording. `capture` is created, or replaced, at once, so that an unwritable place is known now.
    pub(crate) fn start(
        options: &cli::Recording,
        capture: PathBuf,
        metadata: Metadata,
        on_hitch: Option<Duration>,
        feedback: Option<feedback::Echo>,
        observe: impl FnOnce(SharedAnalyzer) -> Option<Observer>,
    ) -> Result<Self> {
        // The place before the clock: an unwritable one needs no session.
        let on_hitch = on_hitch.map(|window| (window, metadata.budget_ns));
        let sinks = Sinks::create(options, capture, on_hitch, plugins::choose(&options.sinks))?;
        let config = Config { ring_bytes: RING_BYTES, metadata, ..Config::default() };
        let (session, collector) = Session::new(config)?;
        Ok(Self { session, collecting: sinks.collect(collector, feedback, observe) })
    }

    /// Ends it: everything recorded is written and analysed.
    pub(crate) fn finish(self) -> Recorded {
        self.collecting.finish()
    }
}

/// Where samples will go.
pub(crate) struct Sinks {
    capture: PathBuf,
    writer: Box<dyn Sink + Send>,
    chosen: Chosen,
}

impl Sinks {
    /// Creates the capture. `on_hitch`: keep so much before each tick that takes longer than the budget, in ns.
    pub(crate) fn create(
        options: &cli::Recording,
        capture: PathBuf,
        on_hitch: Option<(Duration, u64)>,
        chosen: Chosen,
    ) -> Result<Self> {
        let stacks = if options.perfetto_compat { StackFormat::PerfSample } else { StackFormat::StackSample };
        let writer = perfetto::create(capture.clone(), Some(options.max_size), perfetto::Options { stacks })
            .with_context(|| {
                format!("cannot write the capture {}; choose another place with -o", capture.display())
            })?;
        let writer: Box<dyn Sink + Send> = match on_hitch {
            Some((window, budget_ns)) => Box::new(HitchRecorder::new(writer, window, budget_ns)),
            None => Box::new(writer),
        };
        Ok(Self { capture, writer, chosen })
    }

    /// Starts collecting.
    pub(crate) fn collect(
        self,
        collector: Collector,
        feedback: Option<feedback::Echo>,
        observe: impl FnOnce(SharedAnalyzer) -> Option<Observer>,
    ) -> Collecting {
        let Self { capture, writer, chosen } = self;
        let metadata = collector.metadata().clone();
        let analyzer = SharedAnalyzer::new();
        let refused = chosen.refused;
        let mut sinks = vec![
            (format!("capture {}", capture.display()), HostSink::Capture(writer)),
            ("analysis".to_owned(), HostSink::Analyzer(analyzer.clone())),
        ];
        sinks.extend(feedback.clone().map(|feedback| ("scripts".to_owned(), HostSink::Scripts(feedback))));
        sinks.push(("plugins".to_owned(), HostSink::Plugins(chosen.open()))); // the last, where `finish` looks for them
        let pump = PumpConfig { observe: observe(analyzer.clone()), ..PumpConfig::default() };
        let pump = Pump::start(collector, sinks, pump);
        if let Some(feedback) = feedback {
            feedback.follows(pump.handle());
        }
        Collecting { analyzer, metadata, capture, pump, refused }
    }
}

impl Collecting {
    /// Has it end, without waiting.
    pub(crate) fn end(&self) {
        self.pump.end();
    }

    /// Whether it was told to end, and has: [`finish`](Self::finish) waits for nothing.
    pub(crate) fn is_finished(&self) -> bool {
        self.pump.is_finished()
    }

    /// Ends it: everything recorded is written and analysed.
    pub(crate) fn finish(self) -> Recorded {
        let Finished { mut sinks, overhead, account } = self.pump.stop();
        let plugins = match sinks.pop().map(|outcome| outcome.sink) {
            Some(HostSink::Plugins(plugins)) => plugins.outcomes().to_vec(),
            _ => Vec::new(),
        };
        let failed = sinks.swap_remove(0).error;
        let report = self.analyzer.with(|analyzer| analyzer.report());
        let Self { metadata, capture, refused, .. } = self;
        Recorded { report, metadata, capture, failed, plugins, refused, overhead, account }
    }
}

impl Recorded {
    /// Says what became of the capture when it is not whole, and of plugins. Whether something is not as it was asked for.
    pub(crate) fn complain(&self) -> bool {
        let bad = self.refused | plugins::tell_outcomes(&self.plugins);
        let Some(error) = &self.failed else { return bad };
        tell!(
            "tickscope: {:#}\n  the capture {} holds what was written before; the report covers the whole run",
            anyhow::Error::msg(describe(error)),
            self.capture.display(),
        );
        true
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The analyzer, fed by the collector's thread and looked at by others.
#[derive(Clone)]
pub(crate) struct SharedAnalyzer(Arc<Mutex<Analyzer>>);

impl SharedAnalyzer {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Analyzer::new(Options::default()))))
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Analyzer) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

enum HostSink {
    Capture(Box<dyn Sink + Send>),
    Analyzer(SharedAnalyzer),
    Plugins(tickscope_plugin::Sinks),
    Scripts(feedback::Echo),
}

impl HostSink {
    fn each<T>(&mut self, call: impl FnOnce(&mut dyn Sink) -> T) -> T {
        match self {
            Self::Capture(capture) => call(&mut **capture),
            Self::Analyzer(analyzer) => analyzer.with(|analyzer| call(analyzer)),
            Self::Plugins(plugins) => call(plugins),
            Self::Scripts(feedback) => call(feedback),
        }
    }
}

impl Sink for HostSink {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.each(|sink| sink.open(metadata))
    }
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.each(|sink| sink.batch(batch))
    }
    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.each(|sink| sink.tick(end_ns))
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        self.each(|sink| sink.flush())
    }
    fn finish(&mut self) -> Result<(), SinkError> {
        self.each(|sink| sink.finish())
    }
}

/// `NAME.perfetto-trace` in the current directory, named after what is recorded.
pub(crate) fn default_capture(subject: &Path) -> PathBuf {
    let absolute = std::path::absolute(subject).unwrap_or_else(|_| subject.to_owned());
    let name = absolute.file_stem().filter(|name| !name.is_empty());
    let mut file = name.unwrap_or("capture".as_ref()).to_owned();
    file.push(".perfetto-trace");
    PathBuf::from(file)
}

/// Program and version, for metadata.
pub(crate) fn producer() -> String {
    format!("tickscope {}", env!("CARGO_PKG_VERSION"))
}
