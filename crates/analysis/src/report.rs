//! The result of an analysis: plain data that owns its text. Times are nanoseconds, sizes bytes.

use tickscope_core::{Account, Depth, Symbol};

use crate::{Anomaly, Throughput};

/// What was found in a recording, or in the part of it that has arrived so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How long a tick may take; 0 where there is no budget, and then no tick is late.
    pub budget_ns: u64,
    /// How much was recorded.
    pub depth: Depth,
    /// Time of the first sample.
    pub first_ns: u64,
    /// Time of the last sample.
    pub last_ns: u64,
    /// Samples analysed.
    pub samples: u64,
    /// All ticks in numbers.
    pub ticks: TickTable,
    /// Late ticks in the order they happened: all, or the longest [`Options::late_ticks`](crate::Options::late_ticks).
    pub late_ticks: Vec<LateTick>,
    /// Who made ticks late, over all late ticks; the largest total first.
    pub culprits: Vec<Culprit>,
    /// Operations that mostly waited; the largest total first.
    pub slow_operations: Vec<SlowOperation>,
    /// Resources, the most CPU time first. The host itself is the resource without a name.
    pub resources: Vec<ResourceStats>,
    /// Functions, events, natives …, the most self time first.
    pub symbols: Vec<SymbolStats>,
    /// Where all events went.
    pub accounts: Accounting,
    /// What was the machine's fault.
    pub machine: Machine,
    /// What scripts reported by themselves, in the order of time: the first 100.
    pub anomalies: Vec<Anomaly>,
    /// Spans that have not ended, outermost first on each track.
    pub open_spans: Vec<OpenSpan>,
    /// Some span was cut off by the end of the recording.
    pub truncated: bool,
    /// Samples that contradict the protocol: ends without a begin, time that ran backwards, unbalanced resumes.
    pub irregular: u64,
    /// What did not fit under the caps.
    pub overflow: Overflow,
}

/// All ticks in numbers. Quantiles are within [`Sketch::RELATIVE_ERROR`](crate::Sketch::RELATIVE_ERROR).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickTable {
    /// Ticks that ended, and one that is late and has not ended.
    pub count: u64,
    /// Those longer than the budget.
    pub late: u64,
    /// Time in ticks.
    pub total_ns: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 95th percentile.
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// The longest ticks, the longest first.
    pub worst: Vec<WorstTick>,
}

/// One of the longest ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorstTick {
    /// Its number.
    pub tick: u64,
    /// When it began.
    pub begin_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
}

/// Whose fault a late tick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// What ran in it took longer than the budget.
    Script,
    /// It would have been in time had the machine let it run.
    Machine,
}

impl Blame {
    /// `script` or `machine`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Machine => "machine",
        }
    }
}

/// A tick longer than the budget.
#[derive(Clone, Debug, PartialEq)]
pub struct LateTick {
    /// Its number: the span's argument `tick`, or its place among the ticks.
    pub tick: u64,
    /// When it began.
    pub begin_ns: u64,
    /// How long it took; so far, while it is `open`.
    pub duration_ns: u64,
    /// Whose fault it is.
    pub blame: Blame,
    /// It had not ended when the recording did, or has not ended yet.
    pub open: bool,
    /// Time its thread was runnable but not running.
    pub run_delay_ns: u64,
    /// Events of its thread that were lost in it: what it did may be known in part only.
    pub lost_events: u64,
    /// Time in spans below the tick.
    pub script_ns: u64,
    /// What made it late, each on its own a significant part; the largest first. None when the machine is to blame.
    pub chains: Vec<Chain>,
    /// The largest nodes of its call tree, callers before callees.
    pub tree: Vec<CallNode>,
}

/// From the tick down to what took the time. The first is the tick, the second the resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    /// The causes, outermost first.
    pub causes: Vec<Cause>,
}

impl Chain {
    /// The cause that should be changed: the deepest whose own work explains the time. None when many small pieces
    /// of a resource add up.
    pub fn culprit(&self) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.culprit)
    }
}

/// One link of a [`Chain`].
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// `tick`, `resource`, `event`, `thread`, `function` …: the category of its spans. A resource as a whole, and
    /// the start of one, are both `resource`: the former has no function.
    pub kind: String,
    /// What was called; for a resource as a whole only [`Symbol::resource`] is set.
    pub symbol: Symbol,
    /// Time in itself.
    pub self_ns: u64,
    /// Time in itself and what it called, recursion counted once.
    pub total_ns: u64,
    /// How often it was called in this tick. None where only samples tell.
    pub calls: Option<u64>,
    /// Its times are estimated from samples.
    pub estimated: bool,
    /// Place in the chain, from 0.
    pub depth: usize,
    /// What should be changed.
    pub culprit: bool,
    /// The player it was called for, where all its calls were for the same one.
    pub player: Option<u64>,
    /// What set it off where that is not its caller: who triggered the event, set the timer, made the thread.
    pub started_by: Option<Symbol>,
}

/// A node of a late tick's call tree, in pre-order.
#[derive(Clone, Debug, PartialEq)]
pub struct CallNode {
    /// 0 for the tick itself.
    pub depth: usize,
    /// Category of its spans.
    pub kind: String,
    /// What was called.
    pub symbol: Symbol,
    /// Time in itself.
    pub self_ns: u64,
    /// Time in itself and what it called.
    pub total_ns: u64,
    /// How often; None where only samples tell.
    pub calls: Option<u64>,
    /// Its times are estimated from samples.
    pub estimated: bool,
}

/// Who made ticks late, summed over late ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Culprit {
    /// Category of its spans.
    pub kind: String,
    /// Who.
    pub symbol: Symbol,
    /// In how many late ticks.
    pub ticks: u64,
    /// Its time in them.
    pub total_ns: u64,
    /// Its largest time in one.
    pub worst_ns: u64,
    /// The tick of that.
    pub worst_tick: u64,
}

/// Operations of one kind that took long because they waited: one coroutine each, from its first slice to its last,
/// cut at deliberate sleeps.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowOperation {
    /// Category of the boundary that started it: `thread`, `event` …
    pub kind: String,
    /// That boundary.
    pub symbol: Symbol,
    /// The function that waited longest.
    pub waited_in: Symbol,
    /// What triggered or created it, where known.
    pub started_by: Option<Symbol>,
    /// How many of them were slow.
    pub count: u64,
    /// Awaits in all of them.
    pub awaits: u64,
    /// Time from start to end, of all.
    pub total_ns: u64,
    /// Of which waiting for answers. Time by which ticks overran their budget meanwhile is not counted.
    pub awaited_ns: u64,
    /// Of which running.
    pub on_cpu_ns: u64,
    /// Time from start to end of the longest.
    pub worst_ns: u64,
    /// Awaits in the longest.
    pub worst_awaits: u64,
    /// When the longest began.
    pub worst_begin_ns: u64,
    /// Tick in which the longest began; 0 outside ticks.
    pub worst_tick: u64,
    /// Some had not ended when the recording did.
    pub open: bool,
}

/// One resource (VM).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceStats {
    /// Its name; empty for the host.
    pub name: String,
    /// Time its code was running, natives it called and garbage collection included, other resources not.
    pub cpu_ns: u64,
    /// Whether `cpu_ns` and `allocated` come from samples only.
    pub estimated: bool,
    /// Bytes its code allocated.
    pub allocated: u64,
    /// Time in measured garbage collection.
    pub gc_measured_ns: u64,
    /// Time in garbage collection inferred from runs of frees.
    pub gc_inferred_ns: u64,
    /// Collections.
    pub gc_count: u64,
    /// Event handlers run.
    pub events: u64,
    /// Handlers of state bag changes run.
    pub state_bags: u64,
    /// Exports run.
    pub exports: u64,
    /// Natives called.
    pub natives: u64,
    /// Slices of threads run.
    pub threads: u64,
    /// Timers run.
    pub timers: u64,
    /// Commands run.
    pub commands: u64,
    /// Errors reported.
    pub errors: u64,
    /// Last value of the counter `lua.heap_bytes`; of several machines together.
    pub heap_bytes: Option<u64>,
    /// Its largest value.
    pub heap_peak_bytes: Option<u64>,
    /// Its first value, of several machines that of each.
    pub heap_first_bytes: Option<u64>,
}

/// One function, event, native … over the whole recording.
///
/// Times of spans on threads and coroutines are running time: a coroutine's suspended time is no part of them.
/// Spans on other tracks (async operations) count wall time.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolStats {
    /// What it is.
    pub symbol: Symbol,
    /// Category of its spans; `function` where only samples tell.
    pub kind: String,
    /// Spans that ended. None where only samples tell.
    pub count: Option<u64>,
    /// Time in itself.
    pub self_ns: u64,
    /// Time in itself and what it called, recursion counted once.
    pub total_ns: u64,
    /// Duration of the shortest span.
    pub min_ns: Option<u64>,
    /// Duration of the longest.
    pub max_ns: Option<u64>,
    /// Median duration.
    pub p50_ns: Option<u64>,
    /// 95th percentile.
    pub p95_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Bytes it allocated itself.
    pub allocated: u64,
    /// Stack samples it was seen in.
    pub sampled: u64,
    /// Spans that ended in an error of their own.
    pub errors: u64,
    /// How often a coroutine was suspended in it until something answered.
    pub awaits: u64,
    /// And for how long.
    pub awaited_ns: u64,
    /// Some of its times are estimated from samples: all without a `count`, the self time with one.
    pub estimated: bool,
    /// Work it declared, per second; see [`Throughput`].
    pub throughput: Option<Throughput>,
}

/// Where all events went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// The sum over all rings.
    pub total: Account,
    /// Whether the conservation law holds, with one event in flight per ring allowed.
    pub holds: bool,
    /// Places where records were lost.
    pub gaps: u64,
    /// Events lost there.
    pub gap_events: u64,
}

/// What was the machine's fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Time tick threads were runnable but not running, over all ticks.
    pub run_delay_ns: u64,
    /// Involuntary context switches in ticks.
    pub involuntary: u64,
    /// Late ticks the machine is to blame for.
    pub late_ticks: u64,
}

/// A span that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSpan {
    /// Number of its track.
    pub track: u32,
    /// Its category.
    pub kind: String,
    /// What was called.
    pub symbol: Symbol,
    /// When it began.
    pub begin_ns: u64,
    /// Spans around it, its coroutine's hosts included.
    pub depth: usize,
    /// Whether it is running, not suspended.
    pub running: bool,
}

/// What did not fit under the caps of [`Options`](crate::Options).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Symbols that share the figures of `<other>`.
    pub symbols: u64,
    /// Resources that share the figures of `<other>`.
    pub resources: u64,
    /// Spans not followed because too many were open.
    pub spans: u64,
    /// Times a new call path was charged to its caller, or a sampled stack cut.
    pub paths: u64,
    /// Tracks forgotten while suspended.
    pub tracks: u64,
    /// Samples of threads that could not be followed.
    pub thread_samples: u64,
    /// Late ticks kept as numbers only.
    pub late_ticks: u64,
    /// Slow operations or culprits without an entry of their own.
    pub operations: u64,
    /// Anomalies behind the first ones.
    pub anomalies: u64,
}
