//! Every metric there is: what it is called, where its values come from, and how a dashboard shows it. What is served, the
//! README's table and `dashboard.json` are held against this list by tests.

use tickscope_counts::{CALLS, Counts, Resource};

use crate::exposition::{Family, Value};

/// What a metric's values do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow.
    Counter,
    /// They go up and down.
    Gauge,
    /// They are counted by size.
    Histogram,
    /// It is always 1; its labels tell something.
    Info,
}

/// A graph of it.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// Above it.
    pub title: &'static str,
    /// Queries, each with its legend. `$metric` is the metric's name, `$where` what chooses the server.
    pub queries: &'static [(&'static str, &'static str)],
    /// As Grafana calls it.
    pub unit: &'static str,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// With the ending that its kind asks for: `_total`, `_info`.
    pub name: &'static str,
    /// What its values do.
    pub kind: Kind,
    /// Its base unit, which its name ends in: `seconds`, `bytes`; or nothing.
    pub unit: &'static str,
    /// A sentence.
    pub help: &'static str,
    /// Writes its values.
    pub values: fn(&Counts, &mut Family<'_>),
    /// How it is shown; those without are for alerts and queries.
    pub panel: Option<Panel>,
}

/// All of them, in the order they are served.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "tickscope_recording_info",
        kind: Kind::Info,
        unit: "",
        help: "What is recorded, by which version.",
        values: |counts, family| {
            let recording = &counts.recording;
            let labels = [
                ("version", env!("CARGO_PKG_VERSION")),
                ("producer", &recording.producer),
                ("subject", &recording.subject),
                ("depth", &recording.depth),
            ];
            family.value(&labels, Value::Count(1));
        },
        panel: None,
    },
    Metric {
        name: "tickscope_tick_budget_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        help: "How long a tick may take; 0 where there are no ticks.",
        values: |counts, family| family.value(&[], Value::Nanos(counts.recording.budget_ns)),
        panel: None,
    },
    Metric {
        name: "tickscope_tick_duration_seconds",
        kind: Kind::Histogram,
        unit: "seconds",
        help: "How long ticks took.",
        values: |counts, family| family.histogram(&counts.ticks),
        panel: Some(Panel {
            title: "Tick duration",
            queries: &[
                (
                    "histogram_quantile(0.5, sum by (le) (rate($metric_bucket{$where}[$__rate_interval])))",
                    "50 %",
                ),
                (
                    "histogram_quantile(0.95, sum by (le) (rate($metric_bucket{$where}[$__rate_interval])))",
                    "95 %",
                ),
                (
                    "histogram_quantile(0.99, sum by (le) (rate($metric_bucket{$where}[$__rate_interval])))",
                    "99 %",
                ),
                ("max(tickscope_tick_budget_seconds{$where})", "budget"),
            ],
            unit: "s",
        }),
    },
    Metric {
        name: "tickscope_ticks_total",
        kind: Kind::Counter,
        unit: "",
        help: "Ticks that ended.",
        values: |counts, family| family.value(&[], Value::Count(counts.ticks.count())),
        panel: Some(Panel {
            title: "Ticks per second",
            queries: &[("sum by (instance) (rate($metric{$where}[$__rate_interval]))", "{{instance}}")],
            unit: "ops",
        }),
    },
    Metric {
        name: "tickscope_late_ticks_total",
        kind: Kind::Counter,
        unit: "",
        help: "Ticks that took longer than the budget.",
        values: |counts, family| family.value(&[], Value::Count(counts.late)),
        panel: Some(Panel {
            title: "Late ticks per minute",
            queries: &[("sum by (instance) (60 * rate($metric{$where}[$__rate_interval]))", "{{instance}}")],
            unit: "short",
        }),
    },
    Metric {
        name: "tickscope_resource_running_seconds_total",
        kind: Kind::Counter,
        unit: "seconds",
        help: "Time in which the code of a resource ran, its natives and garbage collection included.",
        values: |counts, family| by_resource(counts, family, |resource| Value::Nanos(resource.running_ns)),
        panel: Some(Panel {
            title: "Share of a core by resource",
            queries: &[(
                "topk(10, sum by (resource) (rate($metric{$where}[$__rate_interval])))",
                "{{resource}}",
            )],
            unit: "percentunit",
        }),
    },
    Metric {
        name: "tickscope_resource_gc_seconds_total",
        kind: Kind::Counter,
        unit: "seconds",
        help: "Time of these in garbage collection.",
        values: |counts, family| by_resource(counts, family, |resource| Value::Nanos(resource.gc_ns)),
        panel: Some(Panel {
            title: "Garbage collection by resource",
            queries: &[(
                "topk(10, sum by (resource) (rate($metric{$where}[$__rate_interval])))",
                "{{resource}}",
            )],
            unit: "percentunit",
        }),
    },
    Metric {
        name: "tickscope_resource_calls_total",
        kind: Kind::Counter,
        unit: "",
        help: "Event handlers, exports, timers, natives and the like that were called.",
        values: |counts, family| {
            for resource in counts.resources.list() {
                for (kind, calls) in CALLS.iter().zip(resource.calls).filter(|(_, calls)| *calls > 0) {
                    family.value(&[("resource", &resource.name), ("kind", kind)], Value::Count(calls));
                }
            }
        },
        panel: Some(Panel {
            title: "Calls per second by resource and kind",
            queries: &[(
                "topk(10, sum by (resource, kind) (rate($metric{$where}[$__rate_interval])))",
                "{{resource}} {{kind}}",
            )],
            unit: "ops",
        }),
    },
    Metric {
        name: "tickscope_resource_allocated_bytes_total",
        kind: Kind::Counter,
        unit: "bytes",
        help: "Memory that the code of a resource allocated.",
        values: |counts, family| by_resource(counts, family, |resource| Value::Count(resource.allocated)),
        panel: Some(Panel {
            title: "Allocation by resource",
            queries: &[(
                "topk(10, sum by (resource) (rate($metric{$where}[$__rate_interval])))",
                "{{resource}}",
            )],
            unit: "Bps",
        }),
    },
    Metric {
        name: "tickscope_resource_heap_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        help: "Size of the Lua heaps of a resource.",
        values: |counts, family| {
            for resource in counts.resources.list() {
                if let Some(heap) = resource.heap {
                    family.value(&[("resource", &resource.name)], Value::Count(heap));
                }
            }
        },
        panel: Some(Panel {
            title: "Lua heap by resource",
            queries: &[("topk(10, sum by (resource) ($metric{$where}))", "{{resource}}")],
            unit: "bytes",
        }),
    },
    Metric {
        name: "tickscope_resource_errors_total",
        kind: Kind::Counter,
        unit: "",
        help: "Errors of scripts that were reported.",
        values: |counts, family| by_resource(counts, family, |resource| Value::Count(resource.errors)),
        panel: Some(Panel {
            title: "Errors per minute by resource",
            queries: &[(
                "topk(10, sum by (resource) (60 * rate($metric{$where}[$__rate_interval])) > 0)",
                "{{resource}}",
            )],
            unit: "short",
        }),
    },
    Metric {
        name: "tickscope_resources_unlabelled",
        kind: Kind::Gauge,
        unit: "",
        help: "Resources that share the label other.",
        values: |counts, family| family.value(&[], Value::Count(counts.resources.beyond() as u64)),
        panel: None,
    },
    Metric {
        name: "tickscope_samples_total",
        kind: Kind::Counter,
        unit: "",
        help: "Samples that were counted.",
        values: |counts, family| family.value(&[], Value::Count(counts.samples)),
        panel: None,
    },
    Metric {
        name: "tickscope_samples_missed_total",
        kind: Kind::Counter,
        unit: "",
        help: "Samples that were left out because this sink was too slow; other figures lack them.",
        values: |counts, family| family.value(&[], Value::Count(counts.missed)),
        panel: Some(Panel {
            title: "Lost per second",
            queries: &[
                ("sum(rate($metric{$where}[$__rate_interval]))", "samples"),
                ("sum(rate(tickscope_events_lost_total{$where}[$__rate_interval]))", "events"),
            ],
            unit: "ops",
        }),
    },
    Metric {
        name: "tickscope_events_lost_total",
        kind: Kind::Counter,
        unit: "",
        help: "Events that found no room in the recording; other figures lack them.",
        values: |counts, family| family.value(&[], Value::Count(counts.lost)),
        panel: None,
    },
];

fn by_resource(counts: &Counts, family: &mut Family<'_>, of: fn(&Resource) -> Value) {
    for resource in counts.resources.list() {
        family.value(&[("resource", &resource.name)], of(resource));
    }
}
