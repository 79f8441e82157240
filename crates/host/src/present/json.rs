//! The report as one JSON document. Its fields are a promise: see `docs/report.md`.

use serde::Serialize;
use tickscope_analysis::{self as analysis, Report};
use tickscope_core::{Metadata, Runtime, Symbol};

use crate::report::timeline::Moment;

#[derive(Serialize)]
struct Document<'a> {
    producer: &'a str,
    subject: &'a str,
    depth: &'static str,
    ticks: u64,
    late: u64,
    budget_ms: f64,
    tick_p50_ms: f64,
    tick_p95_ms: f64,
    tick_p99_ms: f64,
    tick_max_ms: f64,
    late_ticks: Vec<LateTick<'a>>,
    culprits: Vec<Culprit<'a>>,
    slow_operations: Vec<SlowOperation<'a>>,
    resources: Vec<Resource<'a>>,
    symbols: Vec<SymbolRow<'a>>,
    anomalies: Vec<Anomaly<'a>>,
    open_spans: Vec<OpenSpan<'a>>,
    machine: Machine,
    attempted: u64,
    committed: u64,
    delivered: u64,
    overwritten: u64,
    discarded: u64,
    dropped: u64,
    truncated: bool,
    irregular: u64,
    clock: &'a str,
    clock_error_ns: u64,
    capture: &'a str,
    /// With `--with`.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<&'a [Moment]>,
}

#[derive(Serialize)]
struct LateTick<'a> {
    tick: u64,
    ms: f64,
    blame: &'static str,
    open: bool,
    run_delay_ms: f64,
    causes: Vec<Cause<'a>>,
}

#[derive(Serialize)]
struct Anomaly<'a> {
    tick: u64,
    kind: Option<&'a str>,
    resource: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    details: &'a str,
}

#[derive(Serialize)]
struct Cause<'a> {
    chain: usize,
    depth: usize,
    kind: &'a str,
    resource: Option<&'a str>,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    self_ms: f64,
    total_ms: f64,
    calls: Option<u64>,
    estimated: bool,
    culprit: bool,
    player: Option<u64>,
    started_by: Option<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    resource: Option<&'a str>,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct Culprit<'a> {
    kind: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    ticks: u64,
    total_ms: f64,
    worst_ms: f64,
    worst_tick: u64,
}

#[derive(Serialize)]
struct SlowOperation<'a> {
    kind: &'a str,
    name: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    started_by: Option<Place<'a>>,
    count: u64,
    awaits: u64,
    total_ms: f64,
    awaited_ms: f64,
    on_cpu_ms: f64,
    worst_ms: f64,
    worst_awaits: u64,
    worst_tick: u64,
    open: bool,
}

#[derive(Serialize)]
struct Resource<'a> {
    resource: &'a str,
    cpu_ms: f64,
    estimated: bool,
    allocated_bytes: u64,
    gc_measured_ms: f64,
    gc_inferred_ms: f64,
    gc_count: u64,
    events: u64,
    state_bags: u64,
    exports: u64,
    natives: u64,
    threads: u64,
    timers: u64,
    commands: u64,
    errors: u64,
    heap_bytes: Option<u64>,
    heap_peak_bytes: Option<u64>,
    heap_first_bytes: Option<u64>,
}

#[derive(Serialize)]
struct SymbolRow<'a> {
    kind: &'a str,
    runtime: &'static str,
    #[serde(flatten)]
    place: Place<'a>,
    calls: Option<u64>,
    self_ms: f64,
    total_ms: f64,
    min_ms: Option<f64>,
    max_ms: Option<f64>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    allocated_bytes: u64,
    sampled: u64,
    errors: u64,
    awaits: u64,
    awaited_ms: f64,
    estimated: bool,
}

#[derive(Serialize)]
struct OpenSpan<'a> {
    kind: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    since_ms: f64,
    running: bool,
}

#[derive(Serialize)]
struct Machine {
    run_delay_ms: f64,
    involuntary: u64,
    late_ticks: u64,
}

/// Writes the document and a line end. A pure function of its arguments.
pub(crate) fn write(
    mut out: impl std::io::Write,
    report: &Report,
    metadata: &Metadata,
    capture: &str,
    timeline: Option<&[Moment]>,
) -> std::io::Result<()> {
    let document = Document { timeline, ..document(report, metadata, capture) };
    serde_json::to_writer_pretty(&mut out, &document)?;
    out.write_all(b"\n")
}

fn document<'a>(report: &'a Report, metadata: &'a Metadata, capture: &'a str) -> Document<'a> {
    let accounts = report.accounts.total;
    Document {
        producer: &metadata.producer,
        subject: &metadata.subject,
        depth: report.depth.name(),
        ticks: report.ticks.count,
        late: report.ticks.late,
        budget_ms: ms(report.budget_ns),
        tick_p50_ms: ms(report.ticks.p50_ns),
        tick_p95_ms: ms(report.ticks.p95_ns),
        tick_p99_ms: ms(report.ticks.p99_ns),
        tick_max_ms: ms(report.ticks.max_ns),
        late_ticks: report.late_ticks.iter().map(late_tick).collect(),
        culprits: report.culprits.iter().map(culprit).collect(),
        slow_operations: report.slow_operations.iter().map(slow_operation).collect(),
        resources: report.resources.iter().map(resource).collect(),
        symbols: report.symbols.iter().map(symbol_row).collect(),
        anomalies: report.anomalies.iter().map(anomaly).collect(),
        open_spans: report.open_spans.iter().map(|span| open_span(span, report.last_ns)).collect(),
        machine: Machine {
            run_delay_ms: ms(report.machine.run_delay_ns),
            involuntary: report.machine.involuntary,
            late_ticks: report.machine.late_ticks,
        },
        attempted: accounts.attempted,
        committed: accounts.committed,
        delivered: accounts.delivered,
        overwritten: accounts.overwritten,
        discarded: accounts.discarded,
        dropped: accounts.dropped,
        truncated: report.truncated,
        irregular: report.irregular,
        clock: &metadata.clock.source,
        clock_error_ns: metadata.clock.error_ns,
        capture,
        timeline: None,
    }
}

/// Milliseconds, to the nanosecond.
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn place(symbol: &Symbol) -> Place<'_> {
    Place {
        resource: text(&symbol.resource),
        function: text(&symbol.name),
        file: text(&symbol.file),
        line: Some(symbol.line).filter(|line| *line > 0),
    }
}

fn late_tick(late: &analysis::LateTick) -> LateTick<'_> {
    let causes = late.chains.iter().enumerate().flat_map(|(chain, causes)| {
        causes.causes.iter().map(move |cause| {
            let Place { resource, function, file, line } = place(&cause.symbol);
            Cause {
                chain,
                depth: cause.depth,
                kind: &cause.kind,
                resource,
                function,
                file,
                line,
                self_ms: ms(cause.self_ns),
                total_ms: ms(cause.total_ns),
                calls: cause.calls,
                estimated: cause.estimated,
                culprit: cause.culprit,
                player: cause.player,
                started_by: cause.started_by.as_ref().map(place),
            }
        })
    });
    LateTick {
        tick: late.tick,
        ms: ms(late.duration_ns),
        blame: late.blame.name(),
        open: late.open,
        run_delay_ms: ms(late.run_delay_ns),
        causes: causes.collect(),
    }
}

fn anomaly(anomaly: &analysis::Anomaly) -> Anomaly<'_> {
    let Place { resource, function, file, line } = place(&anomaly.symbol);
    Anomaly { tick: anomaly.tick, resource, kind: function, file, line, details: &anomaly.details }
}

fn culprit(culprit: &analysis::Culprit) -> Culprit<'_> {
    Culprit {
        kind: &culprit.kind,
        place: place(&culprit.symbol),
        ticks: culprit.ticks,
        total_ms: ms(culprit.total_ns),
        worst_ms: ms(culprit.worst_ns),
        worst_tick: culprit.worst_tick,
    }
}

fn slow_operation(slow: &analysis::SlowOperation) -> SlowOperation<'_> {
    SlowOperation {
        kind: &slow.kind,
        name: &slow.symbol.name,
        place: place(&slow.waited_in),
        started_by: slow.started_by.as_ref().map(place),
        count: slow.count,
        awaits: slow.awaits,
        total_ms: ms(slow.total_ns),
        awaited_ms: ms(slow.awaited_ns),
        on_cpu_ms: ms(slow.on_cpu_ns),
        worst_ms: ms(slow.worst_ns),
        worst_awaits: slow.worst_awaits,
        worst_tick: slow.worst_tick,
        open: slow.open,
    }
}

fn resource(stats: &analysis::ResourceStats) -> Resource<'_> {
    Resource {
        resource: &stats.name,
        cpu_ms: ms(stats.cpu_ns),
        estimated: stats.estimated,
        allocated_bytes: stats.allocated,
        gc_measured_ms: ms(stats.gc_measured_ns),
        gc_inferred_ms: ms(stats.gc_inferred_ns),
        gc_count: stats.gc_count,
        events: stats.events,
        state_bags: stats.state_bags,
        exports: stats.exports,
        natives: stats.natives,
        threads: stats.threads,
        timers: stats.timers,
        commands: stats.commands,
        errors: stats.errors,
        heap_bytes: stats.heap_bytes,
        heap_peak_bytes: stats.heap_peak_bytes,
        heap_first_bytes: stats.heap_first_bytes,
    }
}

fn symbol_row(stats: &analysis::SymbolStats) -> SymbolRow<'_> {
    let runtime: Runtime = stats.symbol.runtime;
    SymbolRow {
        kind: &stats.kind,
        runtime: runtime.name(),
        place: place(&stats.symbol),
        calls: stats.count,
        self_ms: ms(stats.self_ns),
        total_ms: ms(stats.total_ns),
        min_ms: stats.min_ns.map(ms),
        max_ms: stats.max_ns.map(ms),
        p50_ms: stats.p50_ns.map(ms),
        p95_ms: stats.p95_ns.map(ms),
        p99_ms: stats.p99_ns.map(ms),
        allocated_bytes: stats.allocated,
        sampled: stats.sampled,
        errors: stats.errors,
        awaits: stats.awaits,
        awaited_ms: ms(stats.awaited_ns),
        estimated: stats.estimated,
    }
}

fn open_span(span: &analysis::OpenSpan, now_ns: u64) -> OpenSpan<'_> {
    OpenSpan {
        kind: &span.kind,
        place: place(&span.symbol),
        since_ms: ms(now_ns.saturating_sub(span.begin_ns)),
        running: span.running,
    }
}
