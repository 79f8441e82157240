//! `tickscope run`: plays a server directory's resources and explains its late ticks.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tickscope_citizen::{
    Console, ErrorKind, FeedbackHandle, ScenarioConfig, ScenarioOutcome, ScriptError, Server, ServerConfig,
};
use tickscope_core::Metadata;
use tickscope_session::{Collector, Observer};

use crate::cli::{self, FormatArg};
use crate::console::Typed;
use crate::live::control::Control;
use crate::live::socket;
use crate::present::style::Style;
use crate::present::tell;
use crate::present::text::{grouped, time};
use crate::progress::Progress;
use crate::record::place::Place;
use crate::recording::{Recorded, Recording, SharedAnalyzer, default_capture, producer};
use crate::{feedback, report, signals};

const TICK: Duration = Duration::from_millis(50);
const DEFAULT_TICKS: u64 = 600;
/// A tick that has run this long is shown while it runs.
const STUCK: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &cli::Run) -> Result<ExitCode> {
    ensure!(
        options.budget > Duration::ZERO,
        "--budget is 0: every tick would be late; give it a time such as 50ms"
    );
    let directory = &options.directory;
    ensure!(
        directory.is_dir(),
        "{} is not a directory; expected a server directory (with resources in it) or a resource's folder",
        directory.display(),
    );
    let ticks = match (options.ticks, options.for_) {
        (Some(0), _) => None,
        (Some(ticks), _) => Some(ticks),
        (None, Some(time)) => {
            Some((time.as_nanos().div_ceil(TICK.as_nanos())).min(u128::from(u64::MAX)) as u64)
        }
        (None, None) => Some(DEFAULT_TICKS),
    };

    let capture = options.recording.output.clone().unwrap_or_else(|| default_capture(directory));
    let running = Arc::new(Running::default());
    let control = Control::new(metadata(options).subject, options.recording.depth.into());
    let place = Place::new().and_then(|place| {
        socket::listen(place.folder(), control.clone())?;
        Ok(place)
    });
    if let Err(error) = &place {
        tell!("tickscope: {error:#}; top and ctl will not find this recording");
    }
    let watched = running.clone();
    let observe = |analyzer: SharedAnalyzer| -> Option<Observer> {
        let mut follow = control.observe(analyzer.clone());
        Some(Box::new(move |collector: &Collector| {
            follow(collector);
            watched.look(&analyzer);
        }))
    };
    // what scripts are told in virtual time is the same in each run, as far as they do not ask for real time
    let repeatable = options.virtual_time && !options.real_nanotime;
    let feedback = feedback::Echo::new(capture.clone(), repeatable);
    let given = Some(feedback.clone());
    let recording =
        Recording::start(&options.recording, capture, metadata(options), options.on_hitch, given, observe)?;

    let recorder = recording.session.thread("main");
    let quiet = options.presentation.format == FormatArg::Json;
    let mut config = server_config(options);
    config.native_names = crate::natives::imported()?;
    config.feedback = Some(FeedbackHandle::new(feedback));
    let mut server = Server::start(config, recorder, Terminal { quiet })
        .with_context(|| format!("cannot run {}", directory.display()))?;
    let handle = server.stop_handle();
    signals::watch(move || handle.stop())?;

    let mut progress = Progress::new(ticks, options.budget);
    let typed = Typed::listen();
    let mut depth = control.depth();
    let mut played = 0;
    while !server.is_stopping() && !server.is_finished() && ticks.is_none_or(|ticks| played < ticks) {
        for line in typed.take() {
            server.execute(&line);
        }
        if control.depth() != depth {
            depth = control.depth();
            if let Err(error) = server.set_depth(depth) {
                tell!("tickscope: {error}");
            }
        }
        running.begin(played + 1);
        let tick = server.tick();
        running.end();
        played = tick.number;
        progress.tick(tick.number, tick.took);
    }
    progress.clear();
    let not_started = server.not_started();
    let outcome = server.stop();
    let missing = missing_natives(&outcome.errors);

    let recorded = recording.finish();
    let shown = recorded.capture.display().to_string();
    report::print(&recorded.report, &recorded.metadata, &shown, &options.presentation)?;
    if !quiet {
        tell!("{}", Style::stderr().dim(cost(&recorded)));
    }
    for (resource, why) in &not_started {
        tell!("{resource} did not run: {why}");
    }
    if !missing.is_empty() {
        tell!("natives that were called and do not exist here: {}", missing.join(", "));
    }
    if !outcome.neutral_natives.is_empty() {
        let counts: Vec<_> =
            outcome.neutral_natives.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        tell!("natives that do nothing here, and how often they were called: {}", counts.join(", "));
    }
    if !outcome.refused_requests.is_empty() {
        let counts: Vec<_> =
            outcome.refused_requests.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        tell!("resources whose HTTP requests were refused, and how many: {}", counts.join(", "));
    }
    let failed = outcome.scenario.is_some_and(|scenario| {
        if options.scenario.is_some() {
            tell!("{}", told(&scenario));
        }
        !scenario.is_success()
    });
    Ok(if recorded.complain() || failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What a scenario came to, in words.
fn told(scenario: &ScenarioOutcome) -> String {
    let count = |count: u64, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{} {many}", grouped(count)),
    };
    let mut text = match scenario.failed {
        0 => format!("scenario: {} held", count(scenario.held, "expectation", "expectations")),
        failed => format!(
            "scenario: {} of {} did not hold",
            grouped(failed),
            count(failed + scenario.held, "expectation", "expectations"),
        ),
    };
    if scenario.errors > 0 {
        text += &format!(", {}", count(scenario.errors, "error", "errors"));
    }
    if scenario.unfinished > 0 {
        text += &format!(
            "; {} not over when the run ended",
            count(scenario.unfinished, "story was", "stories were")
        );
    }
    text
}

fn metadata(options: &cli::Run) -> Metadata {
    let directory = &options.directory;
    let name = directory.canonicalize().ok();
    let name = name.as_ref().unwrap_or(directory).file_name().unwrap_or_default().to_string_lossy();
    let mut facts = vec![("seed".to_owned(), options.seed.to_string())];
    if options.virtual_time {
        facts.push(("virtual_time".into(), "true".into()));
    }
    Metadata {
        producer: producer(),
        subject: name.into_owned(),
        budget_ns: u64::try_from(options.budget.as_nanos()).unwrap_or(u64::MAX),
        depth: options.recording.depth.into(),
        facts,
        ..Metadata::default()
    }
}

fn server_config(options: &cli::Run) -> ServerConfig {
    let mut config = ServerConfig::new(&options.directory);
    config.cfg.clone_from(&options.cfg);
    config.convars.clone_from(&options.set);
    config.strict = options.strict;
    // runs in virtual time begin alike: what the last one kept would be a difference
    let kept = || (!options.virtual_time).then(|| options.directory.join(".tickscope"));
    config.data = options.data.clone().or_else(kept);
    config.resources = Some(options.resource.clone()).filter(|resources| !resources.is_empty());
    config.tick_interval = TICK;
    config.virtual_time = options.virtual_time;
    config.real_nanotime = options.real_nanotime;
    config.seed = options.seed;
    config.tick_limit = Some(options.tick_limit).filter(|limit| !limit.is_zero());
    config.memory_limit = usize::try_from(options.memory_limit.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
    config.depth = options.recording.depth.into();
    config.database.file.clone_from(&options.database);
    config.database.latency = options.db_latency;
    config.http = !options.no_http;
    // a free port differs from run to run, which virtual time is there to avoid
    let usual = (!options.virtual_time).then(|| (Ipv4Addr::LOCALHOST, 0).into());
    config.http_listen = options.http_listen.or(usual).filter(|_| !options.no_http);
    config.scenario = match (&options.scenario, options.players) {
        (None, None) => None,
        (file, players) => {
            let mut scenario = ScenarioConfig::default();
            scenario.file.clone_from(file);
            scenario.players = players;
            Some(scenario)
        }
    };
    config
}

/// Which tick runs, and since when: looked at by the thread that collects.
#[derive(Default)]
struct Running {
    tick: AtomicU64,
    /// Milliseconds since the first look at the clock; 0 between ticks.
    since_ms: AtomicU64,
    /// The tick that was told about last.
    told: AtomicU64,
}

fn now_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64 + 1
}

impl Running {
    fn begin(&self, tick: u64) {
        self.tick.store(tick, Ordering::Relaxed);
        self.since_ms.store(now_ms(), Ordering::Release);
    }

    fn end(&self) {
        self.since_ms.store(0, Ordering::Release);
    }

    /// Tells once what a tick does that seems never to end.
    fn look(&self, analyzer: &SharedAnalyzer) {
        let since = self.since_ms.load(Ordering::Acquire);
        let tick = self.tick.load(Ordering::Relaxed);
        let runs = Duration::from_millis(now_ms().saturating_sub(since));
        if since == 0 || runs < STUCK || self.told.swap(tick, Ordering::Relaxed) == tick {
            return;
        }
        let report = analyzer.with(|analyzer| analyzer.report());
        let style = Style::stderr();
        let head = format!("tick {} has been running for {}:", grouped(tick), time(runs.as_nanos() as u64));
        tell!("\n{}", style.red(head));
        let open = report.late_ticks.iter().find(|late| late.open);
        for cause in open.iter().flat_map(|late| &late.chains).flat_map(|chain| chain.causes.iter().skip(1)) {
            tell!("{}{}", "  ".repeat(cause.depth), crate::present::text::cause(cause));
        }
        if open.is_none_or(|late| late.chains.is_empty()) {
            for span in report.open_spans.iter().filter(|span| span.running) {
                let symbol = &span.symbol;
                tell!(
                    "  {} {} of {} {}:{}",
                    span.kind,
                    symbol.name,
                    symbol.resource,
                    symbol.file,
                    symbol.line
                );
            }
        }
    }
}

/// What recording cost: writing records is estimated from the cost of one span, the rest was measured on the
/// collector's thread. What hooks and stack walks take is not known here; `docs/overhead.md` has measured it.
fn cost(recorded: &Recorded) -> String {
    let overhead = &recorded.overhead;
    let spans = recorded.report.accounts.total.delivered / 2;
    format!(
        "writing records took about {} of the server's thread ({} spans of {:.0} ns; hooks not counted), collecting {} and writing {} of another",
        time((spans as f64 * overhead.pair_ns) as u64),
        grouped(spans),
        overhead.pair_ns,
        time(overhead.collect.total().as_nanos() as u64),
        time(overhead.export.total().as_nanos() as u64),
    )
}

fn missing_natives(errors: &[ScriptError]) -> Vec<String> {
    let missing = errors.iter().filter_map(|error| match &error.kind {
        ErrorKind::MissingNative(name) => Some(name.clone()),
        _ => None,
    });
    let mut missing: Vec<String> = missing.collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// What scripts print, and what goes wrong in them. With JSON on standard output all of it goes to standard error.
struct Terminal {
    quiet: bool,
}

impl Console for Terminal {
    fn print(&mut self, resource: &str, text: &str) {
        let style = if self.quiet { Style::stderr() } else { Style::stdout() };
        let line = if resource.is_empty() {
            text.to_owned()
        } else {
            format!("{} {text}", style.dim(format!("[{resource}]")))
        };
        if self.quiet {
            tell!("{line}");
        } else {
            // A reader that has enough ends nothing.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    fn error(&mut self, error: &ScriptError) {
        let style = Style::stderr();
        tell!("{} {error}", style.red("error:"));
        for line in error.traceback.lines().skip(1) {
            tell!("  {}", style.dim(line.trim_start()));
        }
    }
}
