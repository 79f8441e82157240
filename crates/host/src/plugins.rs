//! Sink plugins: those that `--sink` asks for, and `tickscope plugins`.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tickscope_core::{Batch, Flow, Metadata, Sink, SinkError, conformance};
use tickscope_plugin::{
    Direct, End, FindError, Found, Isolation, Level, Log, Outcome, Plugin, SearchPath, Sinks,
};

use crate::cli::{self, FormatArg};
use crate::present::style::Style;
use crate::present::tell;
use crate::present::text::{grouped, time};

/// What `--sink` asked for.
#[derive(Clone, Default)]
pub(crate) struct Chosen {
    chosen: Vec<tickscope_plugin::Chosen>,
    /// Some of it cannot be used, which was told.
    pub(crate) refused: bool,
}

/// Loads what is asked for. What cannot be used is told, and the rest is used.
pub(crate) fn choose(sinks: &cli::Sinks) -> Chosen {
    let mut all = Chosen::default();
    for chosen in sinks.config.sinks(&sinks.asked, &sinks.isolation) {
        match chosen {
            Ok(chosen) => {
                if let Some(warning) = tickscope_plugin::warning(&chosen.plugin.file) {
                    tell!("tickscope: sink {}: {warning}", chosen.name);
                }
                all.chosen.push(chosen);
            }
            Err(problems) => {
                problems.iter().for_each(|problem| tell!("tickscope: a sink is not used: {problem}"));
                all.refused = true;
            }
        }
    }
    tickscope_plugin::number(&mut all.chosen);
    all
}

/// How plugins are isolated, if they are.
fn isolation(options: &cli::Isolation) -> Option<Isolation> {
    let isolation =
        || Isolation { memory: options.isolate_memory, ..Isolation::of_this_program(cli::PLUGIN_HOST) };
    options.isolate.then(isolation)
}

/// `tickscope plugin-host`: this process is that of an isolated plugin.
pub(crate) fn serve_isolated() -> Result<ExitCode> {
    tickscope_plugin::serve_isolated()?;
    Ok(ExitCode::SUCCESS)
}

impl Chosen {
    /// To be fed.
    pub(crate) fn open(self) -> Sinks {
        Sinks::new(self.chosen, log())
    }

    /// For one process of several.
    pub(crate) fn of_process(&self, pid: u32) -> Self {
        let mut all = self.clone();
        for chosen in &mut all.chosen {
            chosen.name = format!("{} of process {pid}", chosen.name);
        }
        all
    }
}

/// Lines of sinks go to standard error.
fn log() -> Log {
    Arc::new(|name: &str, level: Level, line: &str| {
        let style = Style::stderr();
        match level {
            Level::Error => tell!("sink {name}: {}", style.red(line)),
            Level::Warning => tell!("sink {name}: warning: {line}"),
            Level::Info => tell!("sink {name}: {line}"),
        }
    })
}

/// Says how it went with each. Whether one has failed.
pub(crate) fn tell_outcomes(outcomes: &[Outcome]) -> bool {
    for outcome in outcomes {
        tell!("sink {}: {}", outcome.name, told(outcome));
    }
    outcomes.iter().any(Outcome::is_bad)
}

fn told(outcome: &Outcome) -> String {
    let mut parts = vec![format!("took {} samples", grouped(outcome.delivered))];
    if outcome.missed > 0 {
        parts.push(format!(
            "{} more were left out, for it was slower than they came",
            grouped(outcome.missed)
        ));
    }
    match &outcome.end {
        End::None | End::Finished => {}
        End::Failed { call, reason } => parts.push(format!("its `{call}` failed: {reason}")),
        End::Died { call, how } => parts.push(format!("{how} {}", tickscope_plugin::in_call(call))),
        End::Hung { call, since, killed } => {
            let since = time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
            let fate = if *killed { "ended" } else { "left behind" };
            parts.push(format!("{fate}: its `{call}` has not come back for {since}"));
        }
    }
    if let Some(health) = &outcome.health {
        if health.written > 0 {
            parts.push(format!("wrote {}", grouped(health.written)));
        }
        if health.lost > 0 {
            parts.push(format!("lost {}", grouped(health.lost)));
        }
        if health.bytes > 0 {
            parts.push(format!("{} bytes", grouped(health.bytes)));
        }
        if !health.message.is_empty() {
            let kind = if health.degraded { "not well: " } else { "" };
            parts.push(format!("{kind}{}", health.message));
        }
    }
    if outcome.unsaid > 0 {
        parts.push(format!("{} more lines", grouped(outcome.unsaid)));
    }
    parts.join("; ")
}

/// A capture with plugins beside it, which never fail.
pub(crate) struct Beside<S> {
    pub(crate) capture: S,
    pub(crate) plugins: Sinks,
}

impl<S: Sink> Sink for Beside<S> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.plugins.open(metadata)?;
        self.capture.open(metadata)
    }
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.plugins.batch(batch)?;
        self.capture.batch(batch)
    }
    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.plugins.tick(end_ns)?;
        self.capture.tick(end_ns)
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        self.plugins.flush()?;
        self.capture.flush()
    }
    fn finish(&mut self) -> Result<(), SinkError> {
        let finished = self.capture.finish();
        self.plugins.finish()?;
        finished
    }
}

/// `tickscope plugins`.
pub(crate) fn run(options: &cli::Plugins) -> Result<ExitCode> {
    let (path, isolation) = (options.config.path(), isolation(&options.isolation));
    let mut found: Vec<Listed> = if options.files.is_empty() {
        path.list(isolation.as_ref()).into_iter().map(Listed::from).collect()
    } else {
        options.files.iter().map(|asked| Listed::asked(&path, asked, isolation.as_ref())).collect()
    };
    if options.test {
        // An isolated one is loaded again when it is tested.
        for plugin in found.iter_mut().filter_map(|found| found.plugin.as_mut().ok()) {
            plugin.file = std::path::absolute(&plugin.file)?;
        }
    }
    let warnings: Vec<_> = found.iter().map(|found| tickscope_plugin::warning(&found.file)).collect();
    let _empty = options.test.then(Empty::enter).transpose()?;
    let (mut entries, mut good) = (Vec::new(), true);
    for (found, warning) in found.into_iter().zip(warnings) {
        let file = found.file.display().to_string();
        match found.plugin {
            Ok(plugin) => {
                let plugin = Arc::new(plugin);
                let tested = options.test;
                let problem = tested.then(|| test(&plugin, &options.options)).flatten();
                good &= problem.is_none();
                let hidden_by = found.hidden_by.map(|file| file.display().to_string());
                entries.push(Entry::Good { plugin, warning, tested, problem, hidden_by });
            }
            Err(why) => {
                good = false;
                entries.push(Entry::Refused { file, why });
            }
        }
    }
    match options.format {
        FormatArg::Json => {
            let list: Vec<Value> = entries.iter().map(Entry::json).collect();
            print(&format!("{:#}\n", json!({ "abi": tickscope_plugin::version(), "plugins": list })))?;
        }
        FormatArg::Text if entries.is_empty() => {
            print(&format!("no plugins in {path}\n"))?;
        }
        FormatArg::Text => print(&entries.iter().map(Entry::text).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A plugin that is to be listed, or why it is none.
struct Listed {
    file: PathBuf,
    plugin: Result<Plugin, String>,
    hidden_by: Option<PathBuf>,
}

impl Listed {
    /// One that was asked for by its file, or by a name.
    fn asked(path: &SearchPath, asked: &Path, isolation: Option<&Isolation>) -> Self {
        let name = asked.to_str().filter(|name| !tickscope_plugin::is_file(name) && !asked.exists());
        let (file, plugin) = match name.map(|name| path.find(name, isolation)) {
            None => (
                asked.to_owned(),
                Plugin::load_as(asked, isolation).map_err(|refusal| refusal.why.to_string()),
            ),
            Some(Ok(plugin)) => (plugin.file.clone(), Ok(plugin)),
            Some(Err(FindError::Refused(refusal))) => (refusal.file, Err(refusal.why.to_string())),
            Some(Err(error)) => (asked.to_owned(), Err(error.to_string())),
        };
        Self { file, plugin, hidden_by: None }
    }
}

impl From<Found> for Listed {
    fn from(found: Found) -> Self {
        let Found { file, plugin, hidden_by } = found;
        Self { file, plugin: plugin.map_err(|refusal| refusal.why.to_string()), hidden_by }
    }
}

fn print(text: &str) -> Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// An empty folder that this process is in: by their defaults plugins write into the one they are started in, over what
/// recordings left there. It goes with what was written; nobody goes back, for a plugin that hangs may write on.
struct Empty(PathBuf);

impl Empty {
    fn enter() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tickscope-plugins-{}", std::process::id()));
        let told = || format!("cannot make the folder {} to test plugins in", folder.display());
        std::fs::DirBuilder::new().mode(0o700).create(&folder).with_context(told)?;
        let empty = Self(folder);
        std::env::set_current_dir(&empty.0)?;
        Ok(empty)
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is wrong with how it takes a recording with one of everything.
fn test(plugin: &Arc<Plugin>, options: &str) -> Option<String> {
    let options = match plugin.schema.read(&plugin.name, options) {
        Ok(options) => options,
        Err(error) => return Some(format!("cannot be tested with these options (--options): {error}")),
    };
    let silent: Log = Arc::new(|_: &str, _: Level, _: &str| {});
    conformance::try_check(|| Direct::new(plugin.clone(), options.clone(), silent.clone())).err()
}

/// One file.
enum Entry {
    Good {
        plugin: Arc<Plugin>,
        warning: Option<String>,
        tested: bool,
        problem: Option<String>,
        hidden_by: Option<String>,
    },
    Refused {
        file: String,
        why: String,
    },
}

impl Entry {
    fn text(&self) -> String {
        let style = Style::stdout();
        let (plugin, warning, tested, problem, hidden_by) = match self {
            Self::Refused { file, why } => return format!("{} {file}: {why}\n", style.red("not used:")),
            Self::Good { plugin, warning, tested, problem, hidden_by } => {
                (plugin, warning, *tested, problem, hidden_by)
            }
        };
        let (major, minor) = plugin.abi;
        let name = style.bold(&plugin.name);
        let mut text =
            format!("{name} {} (table {major}.{minor}) {}\n", plugin.version, plugin.file.display());
        let mut line = |line: String| text.push_str(&format!("  {line}\n"));
        if !plugin.about.is_empty() {
            line(plugin.about.clone());
        }
        let able = plugin.capabilities();
        if !able.is_empty() {
            line(format!("has {}", able.join(", ")));
        }
        for option in plugin.schema.list() {
            let default =
                if option.default.is_empty() { String::new() } else { format!(" [{}]", option.default) };
            let described = format!("{} ({}){default} {}", option.name, option.kind, option.description);
            line(format!("option {}", described.trim_end()));
        }
        if let Some(file) = hidden_by {
            line(format!("a name means {file} instead, which comes first"));
        }
        if let Some(warning) = warning {
            line(format!("warning: {warning}"));
        }
        if let Some(problem) = problem {
            line(style.red(format!("fails the test: {problem}")));
        } else if tested {
            line("takes all that a recording may hold".into());
        }
        text
    }

    fn json(&self) -> Value {
        match self {
            Self::Refused { file, why } => json!({ "file": file, "usable": false, "why": why }),
            Self::Good { plugin, warning, problem, hidden_by, .. } => {
                let options: Vec<Value> = plugin
                    .schema
                    .list()
                    .into_iter()
                    .map(|option| {
                        let (name, kind, default) = (option.name, option.kind, option.default);
                        json!({ "name": name, "type": kind, "default": default, "description": option.description })
                    })
                    .collect();
                json!({
                    "file": plugin.file,
                    "usable": problem.is_none(),
                    "why": problem,
                    "name": plugin.name,
                    "version": plugin.version,
                    "about": plugin.about,
                    "abi": format!("{}.{}", plugin.abi.0, plugin.abi.1),
                    "has": plugin.capabilities(),
                    "options": options,
                    "hidden_by": hidden_by,
                    "warning": warning,
                })
            }
        }
    }
}
