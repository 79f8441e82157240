//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tickscope_core::Depth;

use crate::config;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Tells why a tick was late: records what a server's scripts do, and names the cause.
#[derive(Debug, Parser)]
#[command(name = "tickscope", version, styles = STYLES, arg_required_else_help = true)]
#[command(after_help = "Examples:
  tickscope run examples/city                     play a server's resources and explain its late ticks
  tickscope resources ~/server                    what is there, what it needs, what of it exists here
  tickscope lua script.lua arg1 arg2              record a Lua 5.4 program
  tickscope record -- haproxy -f haproxy.cfg      record any program with Lua inside
  tickscope top -- redis-server                   what takes the time, live
  tickscope report city.perfetto-trace            the same report again, from the capture
  tickscope convert city.perfetto-trace --to svg  a flame graph
  tickscope import profile.bin                    what FXServer's own profiler saved, as a capture

Exit codes: 0 done, 1 failed (`run --scenario`: an expectation too; `resources`: something is missing), 2 wrong usage. `lua` and `record` end with the program's own code.")]
pub(crate) struct Cli {
    /// Take sinks and defaults of flags from this file. [default: tickscope.toml here, in the server's folder, or the user's]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Configuration")]
    pub(crate) config: Option<PathBuf>,
    /// Take none from a file.
    #[arg(long, global = true, conflicts_with = "config", help_heading = "Configuration")]
    pub(crate) no_config: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play the resources of a server directory and explain its late ticks.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<Run>),
    /// Tell what a server directory holds and needs, and what of it exists here. No script runs.
    #[command(after_help = RESOURCES_EXAMPLES)]
    Resources(Resources),
    /// Run a Lua 5.4 program and record it.
    #[command(after_help = LUA_EXAMPLES)]
    Lua(Lua),
    /// Run a program that has Lua inside and record it, without changing it.
    #[command(after_help = RECORD_EXAMPLES)]
    Record(Record),
    /// A live table of what takes the time, in a recording that goes on or in a program to start.
    #[command(after_help = TOP_EXAMPLES)]
    Top(Top),
    /// Change a recording that goes on.
    #[command(after_help = "Examples:
  tickscope ctl depth trace --for 10s             every call for ten seconds, then as before
  tickscope ctl --pid 4711 depth boundary")]
    Ctl(Ctl),
    /// Tell what can be recorded here, how, and what is missing. Nothing of the program runs.
    #[command(after_help = "Examples:
  tickscope doctor
  tickscope doctor -- nginx -g 'daemon off;'
  tickscope doctor --pid 4711

Exit codes: 0 when what was asked about can be recorded, 1 when not, 2 wrong usage.")]
    Doctor(Doctor),
    /// Names of natives, for those that are not known here.
    Natives(Natives),
    /// Explain a capture.
    #[command(after_help = "Examples:
  tickscope report city.perfetto-trace
  tickscope report --format json city.perfetto-trace | jq '.late_ticks[0].causes'")]
    Report(Report),
    /// Tell what a live FXServer says of its ticks by itself. Nothing is installed on it.
    #[command(after_help = "Examples:
  tickscope watch --server http://127.0.0.1:30120 --log server.log
  docker logs -f --since 0s fxserver | tickscope watch --log -
  tickscope watch --log server.log --format json | jq 'select(.kind == \"hitch\")'
  tickscope watch --server http://127.0.0.1:30120 --log server.log --metrics 127.0.0.1:9465

Ctrl-C ends it with a summary.")]
    Watch(Watch),
    /// Receive what the resource `tickscope` posts from a live FXServer, as a capture.
    #[command(after_help = "Examples:
  tickscope collect --token-file token -o live.perfetto-trace
  tickscope report live.perfetto-trace

A token file that is not there is made. In the server's server.cfg, above `ensure tickscope`:
  set tickscope_collector \"http://127.0.0.1:9466\"
  set tickscope_token \"…\"                       (what the token file holds; not `setr` or `sets`, which clients see)

Ctrl-C ends it with a whole capture and a summary. What came up to a second ago is on disk at any time.")]
    Collect(Collect),
    /// Make a capture of what another profiler recorded.
    #[command(
        after_help = "Reads what FXServer's profiler writes (`profiler save` and `profiler saveJSON`), Chrome trace JSON, the
reports of its lmprof, and folded stacks.

Examples:
  tickscope import profile.bin && tickscope report profile.perfetto-trace
  tickscope import trace.json -o mine.perfetto-trace
  perf script | stackcollapse-perf.pl | tickscope import - --hz 99 -o perf.perfetto-trace"
    )]
    Import(Import),
    /// Put the resource that names the culprit into a live FXServer's directory, and its line into manifests.
    #[command(after_help = "Examples:
  tickscope install ~/server shops banking        these two are looked into from the next restart on
  tickscope uninstall ~/server                    as it was")]
    Install(Install),
    /// Take out what `install` put in.
    Uninstall(Uninstall),
    /// Turn a capture into another format.
    #[command(after_help = "Examples:
  tickscope convert city.perfetto-trace --to speedscope -o city.speedscope.json
  tickscope convert city.perfetto-trace --to svg --resource inventory -o inventory.svg
  tickscope convert city.perfetto-trace --to svg --per-resource -o flame/
  tickscope convert city.perfetto-trace --to csv -o - | head")]
    Convert(Convert),
    /// List sink plugins: those that are found, or these files; what options they have, or why they are not used.
    #[command(after_help = "Examples:
  tickscope plugins
  tickscope plugins ./libmy_sink.so
  tickscope plugins --test ./libmy_sink.so        does it take all that a recording may hold?

Looked through are the folders of TICKSCOPE_PLUGINS (with colons between), or else tickscope/plugins in the user's folder for
data, plugins beside this program, and ../lib/tickscope/plugins from there. Each file is loaded: its constructors run.

Exit codes: 0 when all of them can be used, 1 when not, 2 wrong usage.")]
    Plugins(Plugins),
    /// Print what a shell needs to complete this command line.
    #[command(after_help = "Examples:
  tickscope completions bash > ~/.local/share/bash-completion/completions/tickscope
  tickscope completions zsh > ~/.zfunc/_tickscope                       (with ~/.zfunc in fpath)
  tickscope completions fish > ~/.config/fish/completions/tickscope.fish")]
    Completions(Completions),
    /// Write manual pages, one for each command.
    #[command(after_help = "Example:\n  tickscope man ~/.local/share/man/man1 && man tickscope-run")]
    Man(Man),
    /// Show the configuration that is in force, where each value comes from, and every mistake in it.
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(Config),
    /// The process of an isolated plugin. Started by this program only.
    #[command(hide = true)]
    PluginHost,
}

const CONFIG_EXAMPLES: &str = "Examples:
  tickscope config
  tickscope config --config ~/server/tickscope.toml

A file, all of it optional:
  [run]
  depth = \"trace\"                   # flags of run, lua, record, collect, watch, top and report; what is typed wins
  [plugins]
  folders = [\"plugins\"]             # as seen from the file
  isolate = true
  [sinks.prometheus]                # on without --sink
  listen = \"127.0.0.1:9464\"         # options of the plugin
  [sinks.mine]
  plugin = \"./libmine.so\"
  enabled = false                   # until --sink mine asks for it

Exit codes: 0 when all is well, 1 when there are mistakes, 2 wrong usage.";

/// The name of [`Command::PluginHost`].
pub(crate) const PLUGIN_HOST: &str = "plugin-host";

const RUN_EXAMPLES: &str = "Examples:
  tickscope run examples/city
  tickscope run ~/server --players 32 --for 5m --virtual-time
  tickscope run ~/server --scenario rush-hour.lua --seed 7 -o rush.perfetto-trace
  tickscope run ~/server --ticks 0 --set sv_maxclients=64     (and type commands: restart shops)
  tickscope run ~/server --resource inventory --depth trace --virtual-time --ticks 2000
  tickscope run ~/server --ticks 0 --http-listen 127.0.0.1:30120      (and curl http://127.0.0.1:30120/resource/)
  tickscope run ~/server --players 32 --no-http                       (no webhook hears of it)
  tickscope run ~/server --ticks 0 --on-hitch 5s -o hitches.perfetto-trace   (until Ctrl-C)";

const RESOURCES_EXAMPLES: &str = "Examples:
  tickscope resources ~/server
  tickscope resources ~/server --cfg test.cfg --set onesync=off
  tickscope resources ~/server --format json | jq '.resources[] | select(.problems != [])'
  tickscope resources ~/server --strict > /dev/null || echo 'not everything is here'

Names are those that Lua files speak of: what a script computes or loads itself is known when it runs. unknown: neither
this host nor the resource has it; it matters when a server gets there.

Exit codes: 0 when `run` would start all of it without an error, 1 when not, or when the directory cannot be looked at,
2 wrong usage. With --strict a name that is neutral, absent or unknown in a resource that starts is 1 too.";

const LUA_EXAMPLES: &str = "Examples:
  tickscope lua script.lua arg1 arg2
  tickscope lua --depth trace -o run.perfetto-trace script.lua
  echo 'print(1 + 1)' | tickscope lua -";

const RECORD_EXAMPLES: &str = "Examples:
  tickscope record -- lua5.4 script.lua arg1 arg2
  tickscope record --depth trace --report -- lua5.3 script.lua
  tickscope record -o prosody.perfetto-trace -- prosody -F
  tickscope record -o haproxy.perfetto-trace -- haproxy -f haproxy.cfg
  tickscope record --pid 4711 --for 30s
  tickscope record --attach                       goes on where a tickscope that was killed stopped

The program gets its arguments, standard streams and signals as without tickscope, and ends it with its own exit code.
Lua 5.1 to 5.4 is recorded where its functions have names: in a shared library, or linked in and exported.
Every process that runs Lua gets a capture of its own: the first FILE, others FILE with their number in the name.";

const TOP_EXAMPLES: &str = "Examples:
  tickscope top                                   the recording that goes on (`tickscope run`, `tickscope record`)
  tickscope top -- redis-server --port 7777
  tickscope top --sort memory --resources --pid 4711
  tickscope top --batch 3 --every 2s > numbers.txt

Keys: s t c m g sort by self time, total time, calls, memory, garbage collection; r resources or functions; a since the
start or lately; d another depth; p pause; arrows scroll; q quit, which ends a program that top has started.";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The server directory (with a resources folder or resources in it), or one resource's folder.
    pub(crate) directory: PathBuf,
    /// Play this many ticks, then report; 0 plays until Ctrl-C. [default: 600, which is 30 s]
    #[arg(long, value_name = "N", conflicts_with = "for_")]
    pub(crate) ticks: Option<u64>,
    /// Play for this long, then report.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) for_: Option<Duration>,
    /// How long a tick may take before it is late.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = duration)]
    pub(crate) budget: Duration,
    /// Let the clock advance by one tick per tick and never sleep. Lateness is judged by real time still.
    #[arg(long)]
    pub(crate) virtual_time: bool,
    /// With --virtual-time: let `os.nanotime` and its like tell real time, for scripts that measure themselves, such as the
    /// resource tickscope. What they read differs from run to run.
    #[arg(long, requires = "virtual_time")]
    pub(crate) real_nanotime: bool,
    /// Let so many players come, walk about, talk, go and come back.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2048))]
    pub(crate) players: Option<u32>,
    /// Let this Lua file play the players, and say what it expects; --players N is `PLAYERS` there.
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
    /// The file of console commands to begin with. [default: server.cfg in the directory, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) cfg: Option<PathBuf>,
    /// Set a convar; the server's files do not change it. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = convar)]
    pub(crate) set: Vec<(String, String)>,
    /// Where what scripts store is kept. [default: .tickscope in the directory; nowhere with --virtual-time]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Run only this resource and what it depends on. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) resource: Vec<String>,
    /// Seed of the scripts' random numbers.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Stop a tick that takes longer, with an error where it stands. 0 never does.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) tick_limit: Duration,
    /// Memory one resource may use, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub(crate) memory_limit: u64,
    /// Make calls of natives that do nothing here errors, instead of counting them.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Keep the embedded database in this file, which is made when it is not there. [default: in memory]
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,
    /// Let each answer of the database take longer by this: a time, or one from a range such as 2ms..5ms.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = durations)]
    pub(crate) db_latency: (Duration, Duration),
    /// Let nothing leave or enter by HTTP: requests of scripts fail and are counted, their handlers are not reached.
    #[arg(long, conflicts_with = "http_listen")]
    pub(crate) no_http: bool,
    /// Where HTTP handlers of scripts are reached, as http://ADDRESS/resource/path; port 0 takes a free one.
    /// [default: 127.0.0.1:0; nowhere with --virtual-time]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) recording: Recording,
    #[command(flatten)]
    pub(crate) presentation: Presentation,
    /// Keep only the time before each late tick in the capture.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) on_hitch: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Resources {
    /// The server directory (with a resources folder or resources in it), or one resource's folder.
    pub(crate) directory: PathBuf,
    /// The file of console commands that says what starts. [default: server.cfg in the directory, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) cfg: Option<PathBuf>,
    /// Set a convar; the server's files do not change it. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = convar)]
    pub(crate) set: Vec<(String, String)>,
    /// Let names that do nothing here, or that nobody has, count as missing.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Words for people, or one JSON document.
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub(crate) format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Recording {
    /// How much to record: boundaries only, stacks 1,000 times a second as well, or every call.
    #[arg(long, value_enum, default_value_t = DepthArg::Sample)]
    pub(crate) depth: DepthArg,
    /// The capture to write. [default: named after what is recorded, in the current directory]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Begin another file when the capture has grown to this size.
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = size)]
    pub(crate) max_size: u64,
    /// Write stack samples as older versions of Perfetto (before 58) understand them.
    #[arg(long)]
    pub(crate) perfetto_compat: bool,
    #[command(flatten)]
    pub(crate) sinks: Sinks,
}

#[derive(Debug, Args)]
pub(crate) struct Sinks {
    /// Give all samples to this plugin too: a name that `tickscope plugins` lists, or a file; options as JSON, as name=value with
    /// commas between, or as one value. May be repeated.
    #[arg(long = "sink", value_name = "NAME[=OPTIONS]")]
    pub(crate) asked: Vec<String>,
    #[command(flatten)]
    pub(crate) isolation: Isolation,
    /// What the configuration asks for.
    #[arg(skip)]
    pub(crate) config: Arc<config::Config>,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// A server's directory: what is in force when it is played.
    pub(crate) directory: Option<PathBuf>,
    /// What is shown.
    #[arg(skip)]
    pub(crate) config: Arc<config::Config>,
}

/// Where plugins run.
#[derive(Debug, Args)]
pub(crate) struct Isolation {
    /// Give each plugin a process of its own: if it crashes, runs out of memory or hangs, only it is gone.
    #[arg(long)]
    pub(crate) isolate: bool,
    /// Memory that an isolated plugin may use.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub(crate) isolate_memory: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Plugins {
    /// Files to look at, or names, instead of all that are found.
    pub(crate) files: Vec<PathBuf>,
    /// Open each with its default options in an empty folder, and give it a small recording with one of everything, in batches of
    /// several sizes. What it writes there is removed.
    #[arg(long)]
    pub(crate) test: bool,
    /// Options for the test, as behind --sink NAME=.
    #[arg(long, value_name = "OPTIONS", default_value = "", hide_default_value = true, requires = "test")]
    pub(crate) options: String,
    /// Words for people, or one JSON document.
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub(crate) format: FormatArg,
    #[command(flatten)]
    pub(crate) isolation: Isolation,
    /// Where plugins are looked for.
    #[arg(skip)]
    pub(crate) config: Arc<config::Config>,
}

#[derive(Debug, Args)]
pub(crate) struct Presentation {
    /// Words for people, or one JSON document.
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub(crate) format: FormatArg,
    /// How many late ticks and slow operations to print; of culprits and resources, ten at least.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Lua {
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Print what the program spent its time on when it has ended, to standard error.
    #[arg(long)]
    pub(crate) report: bool,
    /// The script (`-` for standard input) and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "SCRIPT [ARG]..."
    )]
    pub(crate) script: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Samples a second, at depth sample.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) hz: u32,
    /// Record what scripts wait for as well: reads, writes, connections, locks, sleeps of more than 20 µs, with the peer's
    /// address or the file's name.
    #[arg(long, conflicts_with = "pid")]
    pub(crate) io: bool,
    /// Print what the program spent its time on when it has ended, to standard error.
    #[arg(long)]
    pub(crate) report: bool,
    /// Record this process, which runs already; it is left as it was.
    #[arg(long, value_name = "PID", conflicts_with = "program")]
    pub(crate) pid: Option<u32>,
    /// Go on with a recording whose tickscope was killed, at the depth that it has: of this process, or the only one.
    #[arg(
        long,
        value_name = "PID",
        num_args = 0..=1,
        conflicts_with_all = ["program", "pid", "depth", "hz", "io"]
    )]
    pub(crate) attach: Option<Option<u32>>,
    /// How long to record a process that runs already. [default: until it ends or Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration, conflicts_with = "program")]
    pub(crate) time: Option<Duration>,
    /// The program and its arguments.
    #[arg(
        required_unless_present_any = ["pid", "attach"],
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM [ARG]..."
    )]
    pub(crate) program: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The recording to look at: the number of the `tickscope` that records, or of a program it records. [default: the
    /// only one]
    #[arg(long, value_name = "PID", conflicts_with = "program")]
    pub(crate) pid: Option<u32>,
    /// How often to look.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) every: Duration,
    /// What comes first.
    #[arg(long, value_enum, default_value_t = SortArg::SelfTime)]
    pub(crate) sort: SortArg,
    /// Resources instead of functions.
    #[arg(long)]
    pub(crate) resources: bool,
    /// Print so many tables instead of drawing, then end.
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<u32>,
    /// Rows of a printed table.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) rows: usize,
    /// How much to record of the program.
    #[arg(long, value_enum, default_value_t = DepthArg::Sample, requires = "program")]
    pub(crate) depth: DepthArg,
    /// Keep a capture as well.
    #[arg(short, long, value_name = "FILE", requires = "program")]
    pub(crate) output: Option<PathBuf>,
    /// Append what the program prints to this file; else nobody sees it.
    #[arg(long, value_name = "FILE", requires = "program")]
    pub(crate) program_output: Option<PathBuf>,
    /// A program to start and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM [ARG]...")]
    pub(crate) program: Vec<std::ffi::OsString>,
}

/// What comes first in a live table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortArg {
    /// Time in itself.
    #[value(name = "self")]
    SelfTime,
    /// Time in itself and what it called.
    Total,
    /// How often it was called.
    Calls,
    /// Bytes allocated.
    Memory,
    /// Time in garbage collection; functions by self time.
    Gc,
}

#[derive(Debug, Args)]
pub(crate) struct Ctl {
    /// The recording: the number of the `tickscope` that records, or of a program it records. [default: the only one]
    #[arg(long, value_name = "PID", global = true)]
    pub(crate) pid: Option<u32>,
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Record more, or less, from now on.
    Depth {
        /// How much.
        depth: DepthArg,
        /// Go back to what was in force before when this time is over.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        for_: Option<Duration>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// A process that runs.
    #[arg(long, value_name = "PID", conflicts_with = "program")]
    pub(crate) pid: Option<u32>,
    /// A program; its arguments do not matter.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM [ARG]...")]
    pub(crate) program: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Natives {
    #[command(subcommand)]
    pub(crate) command: NativesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NativesCommand {
    /// Read the names in the natives.json that Cfx.re publishes; `run` uses them from then on.
    #[command(after_help = "Example:\n  tickscope natives import natives.json")]
    Import {
        /// The published file.
        file: PathBuf,
        /// The file to write. [default: tickscope/natives.tsv in the user's folder for data, where `run` looks]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A capture.
    pub(crate) capture: PathBuf,
    /// What `tickscope watch --format json` saw meanwhile, on one time line with the late ticks.
    #[arg(long, value_name = "FILE")]
    pub(crate) with: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) presentation: Presentation,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The server's address: its `/perf/` is asked for tick times.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Its console log, followed as it grows; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Read the log from its start; its lines count as if they came now.
    #[arg(long)]
    pub(crate) from_start: bool,
    /// For how long. [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    /// How often the server is asked. It answers twice a second at most.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = at_least_a_second)]
    pub(crate) every: Duration,
    /// How often everything is summed up.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = at_least_a_second)]
    pub(crate) summary: Duration,
    /// `sv_prometheusBasicAuthUser`, where the server has one.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// A file with `sv_prometheusBasicAuthPassword`.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Words, or one JSON document a line.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: FormatArg,
    /// Serve counts for Prometheus there.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
}

fn at_least_a_second(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time < Duration::from_secs(1) => Err("expected 1s or more".into()),
        time => Ok(time),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// The file with the token that posts must carry; made when it is not there.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// Where posts are taken; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9466")]
    pub(crate) listen: SocketAddr,
    /// The capture to write.
    #[arg(short, long, value_name = "FILE", default_value = "live.perfetto-trace")]
    pub(crate) output: PathBuf,
    /// Begin another file when the capture has grown to this size.
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = size)]
    pub(crate) max_size: u64,
    /// For how long. [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    #[command(flatten)]
    pub(crate) sinks: Sinks,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What the other profiler wrote; `-` for standard input.
    pub(crate) file: PathBuf,
    /// The capture to write. [default: the file's name with the ending `.perfetto-trace`]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Folded stacks count samples, so many a second. [default: they count nanoseconds]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hz: Option<u32>,
    /// How long a tick may take. [default: 50ms, FXServer's]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// The server's directory: that with `resources` in it.
    pub(crate) server: PathBuf,
    /// The resources to look into.
    #[arg(required = true)]
    pub(crate) resources: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    /// The server's directory: that with `resources` in it.
    pub(crate) server: PathBuf,
    /// The resources to take the line out of. [default: all that have it]
    pub(crate) resources: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// A capture.
    pub(crate) capture: PathBuf,
    /// The format to write.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) to: tickscope_export::Format,
    /// The file to write; `-` for standard output. [default: the capture's name with the format's ending]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only what ran in this resource, in formats that show call stacks.
    #[arg(long, value_name = "NAME")]
    pub(crate) resource: Option<String>,
    /// A flame graph for each resource, into the folder -o. [default: the capture's name with `-flame`]
    #[arg(long, conflicts_with = "resource")]
    pub(crate) per_resource: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder to write them to, which is made when it is not there.
    pub(crate) folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DepthArg {
    /// Ticks, events, threads, exports, natives: exact, always cheap.
    Boundary,
    /// Boundaries and stacks: times of functions are estimates.
    Sample,
    /// Boundaries and every call.
    Trace,
}

impl From<DepthArg> for Depth {
    fn from(depth: DepthArg) -> Self {
        match depth {
            DepthArg::Boundary => Self::Boundary,
            DepthArg::Sample => Self::Sample,
            DepthArg::Trace => Self::Trace,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    Text,
    Json,
}

fn convar(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as sv_maxclients=64")?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("expected a name without spaces in front of the =".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 50ms, 10s, 5m or 2h".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| expected())?;
    let seconds = match &text[digits..] {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "" if number == 0.0 => 0.0,
        _ => return Err(expected()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| expected())
}

/// A time, or two with `..` between.
fn durations(text: &str) -> Result<(Duration, Duration), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let range = (duration(from)?, duration(to)?);
    if range.0 > range.1 {
        return Err("expected the shorter time first, as in 2ms..5ms".into());
    }
    Ok(range)
}

pub(crate) fn size(text: &str) -> Result<u64, String> {
    let expected = || "expected a size such as 500MB or 2GiB, at least 64KiB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| expected())?;
    let unit = match &text[digits..] {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(expected()),
    };
    number.checked_mul(unit).filter(|bytes| *bytes >= 64 << 10).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn convars() {
        assert_eq!(convar("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(convar("a="), Ok(("a".into(), String::new())));
        for bad in ["", "a", "=b", "a b=c"] {
            assert!(convar(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for bad in ["", "5", "-1s", "1e99h", "ms", "10 s", "9999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("500MB"), Ok(500_000_000));
        for bad in ["", "GiB", "1KiB", "1 GB", "99999999999999999999GB", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
