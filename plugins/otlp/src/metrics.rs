//! What was counted, as metrics.

use tickscope_counts::{CALLS, Clock, Counts, Resource, TICK_BOUNDS_MS};

use crate::proto::{
    CUMULATIVE, Data, Gauge, Histogram, HistogramDataPoint, KeyValue, Metric, Number, NumberDataPoint, Sum,
};

/// All metrics at `time_ns` of the recording's clock.
pub fn metrics(counts: &Counts, clock: Clock, time_ns: u64) -> Vec<Metric> {
    let start = clock.start_unix_ns;
    let now = clock.unix_ns(time_ns).max(start);
    let point = |attributes: Vec<KeyValue>, value| NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(value),
    };
    let metric = |name: &str, unit: &str, description: &str, data| Metric {
        name: format!("tickscope.{name}"),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
    };
    let sum = |name: &str, unit: &str, description: &str, data_points| {
        let sum = Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true };
        metric(name, unit, description, Data::Sum(sum))
    };
    let of = |resource: &Resource| vec![KeyValue::text("tickscope.resource", &resource.name)];
    let each = |number: &dyn Fn(&Resource) -> Option<Number>| -> Vec<NumberDataPoint> {
        let list = counts.resources.list().iter();
        list.filter_map(|resource| Some(point(of(resource), number(resource)?))).collect()
    };
    let seconds = |ns: u64| Number::AsDouble(ns as f64 / 1e9);
    let int = |value: u64| Number::AsInt(i64::try_from(value).unwrap_or(i64::MAX));
    let calls = counts.resources.list().iter().flat_map(|resource| {
        let counted = CALLS.iter().zip(resource.calls).filter(|(_, calls)| *calls > 0);
        counted.map(|(kind, calls)| {
            let mut attributes = of(resource);
            attributes.push(KeyValue::text("tickscope.category", kind));
            point(attributes, int(calls))
        })
    });

    vec![
        metric(
            "tick.duration",
            "s",
            "How long ticks took.",
            Data::Histogram(Histogram {
                data_points: vec![HistogramDataPoint {
                    start_time_unix_nano: start,
                    time_unix_nano: now,
                    count: counts.ticks.count(),
                    sum: Some(counts.ticks.sum_ns as f64 / 1e9),
                    bucket_counts: counts.ticks.buckets.to_vec(),
                    explicit_bounds: TICK_BOUNDS_MS.iter().map(|bound_ms| *bound_ms as f64 / 1e3).collect(),
                }],
                aggregation_temporality: CUMULATIVE,
            }),
        ),
        sum(
            "tick.late",
            "{tick}",
            "Ticks that took longer than the budget.",
            vec![point(Vec::new(), int(counts.late))],
        ),
        sum(
            "resource.running",
            "s",
            "Time in which a resource's code ran, other resources not.",
            each(&|resource| Some(seconds(resource.running_ns))),
        ),
        sum(
            "resource.gc",
            "s",
            "Of that, garbage collection.",
            each(&|resource| Some(seconds(resource.gc_ns))),
        ),
        sum(
            "resource.allocated",
            "By",
            "Memory that a resource's code allocated.",
            each(&|resource| Some(int(resource.allocated))),
        ),
        metric(
            "resource.heap",
            "By",
            "A resource's Lua heaps.",
            Data::Gauge(Gauge { data_points: each(&|resource| resource.heap.map(int)) }),
        ),
        sum(
            "resource.errors",
            "{error}",
            "Errors that were reported.",
            each(&|resource| Some(int(resource.errors))),
        ),
        sum("resource.calls", "{call}", "What was called, by kind.", calls.collect()),
        sum(
            "samples.missed",
            "{sample}",
            "Samples left out because this sink was too slow; other figures lack them.",
            vec![point(Vec::new(), int(counts.missed))],
        ),
        sum(
            "events.lost",
            "{event}",
            "Events that found no room in the recording; other figures lack them.",
            vec![point(Vec::new(), int(counts.lost))],
        ),
    ]
}
