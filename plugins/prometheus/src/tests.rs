//! Known figures, and what they are written as.

use std::collections::BTreeSet;

use tickscope_counts::{CALLS, Counts, HOST, Recording};

use crate::{Format, Kind, METRICS, dashboard, write};

const MS: u64 = 1_000_000;

/// A tick of 4 ms, one of 100 ms, and what a resource did in them.
fn counts() -> Counts {
    let recording = Recording { budget_ns: 50 * MS, subject: "a \"server\"".into(), ..Recording::default() };
    let mut counts = Counts::new(recording, 100);
    counts.ticks.take(4 * MS);
    counts.ticks.take(100 * MS);
    (counts.late, counts.samples, counts.missed, counts.lost) = (1, 5, 7, 3);
    let place = counts.resources.named("bank");
    let bank = counts.resources.at(place);
    (bank.running_ns, bank.gc_ns, bank.allocated, bank.heap, bank.errors) =
        (6 * MS, 2 * MS, 240, Some(900), 1);
    bank.calls[CALLS.iter().position(|kind| *kind == "event").unwrap()] = 1;
    counts
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
}

#[test]
fn ticks_and_resources_are_written_in_base_units() {
    let text = write(&counts(), Format::Text);
    has(&text, "tickscope_ticks_total 2");
    has(&text, "tickscope_late_ticks_total 1");
    has(&text, "tickscope_tick_budget_seconds 0.050000000");
    has(&text, "tickscope_tick_duration_seconds_bucket{le=\"0.002\"} 0");
    has(&text, "tickscope_tick_duration_seconds_bucket{le=\"0.005\"} 1");
    has(&text, "tickscope_tick_duration_seconds_bucket{le=\"0.1\"} 2");
    has(&text, "tickscope_tick_duration_seconds_bucket{le=\"+Inf\"} 2");
    has(&text, "tickscope_tick_duration_seconds_count 2");
    has(&text, "tickscope_tick_duration_seconds_sum 0.104000000");
    has(&text, "tickscope_resource_running_seconds_total{resource=\"bank\"} 0.006000000");
    has(&text, "tickscope_resource_gc_seconds_total{resource=\"bank\"} 0.002000000");
    has(&text, "tickscope_resource_allocated_bytes_total{resource=\"bank\"} 240");
    has(&text, "tickscope_resource_heap_bytes{resource=\"bank\"} 900");
    has(&text, "tickscope_resource_errors_total{resource=\"bank\"} 1");
    has(&text, "tickscope_resource_calls_total{resource=\"bank\",kind=\"event\"} 1");
    has(&text, "tickscope_samples_missed_total 7");
    has(&text, "tickscope_events_lost_total 3");
    has(&text, "tickscope_samples_total 5");
    assert!(text.contains(r#"subject="a \"server\"""#), "{text}");
}

#[test]
fn labels_are_escaped_and_no_line_comes_twice() {
    let mut counts = Counts::new(Recording::default(), 2);
    for name in ["a\"b\\c\nd", HOST, "other", "x", "y", "z"] {
        let place = counts.resources.named(name);
        counts.resources.at(place).errors += 1;
    }
    let text = write(&counts, Format::Text);
    has(&text, "tickscope_resource_errors_total{resource=\"a\\\"b\\\\c\\nd\"} 1");
    has(&text, "tickscope_resource_errors_total{resource=\"other\"} 3");
    has(&text, "tickscope_resources_unlabelled 2");
    let lines: BTreeSet<&str> =
        text.lines().filter_map(|line| line.rsplit_once(' ')).map(|line| line.0).collect();
    assert_eq!(lines.len(), text.lines().count(), "{text}");
}

#[test]
fn open_metrics_differ_in_their_heads_only() {
    let open = write(&counts(), Format::OpenMetrics);
    let values = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(values(&open), values(&write(&counts(), Format::Text)));
    assert!(open.ends_with("\n# EOF\n"), "{open}");
    has(&open, "# TYPE tickscope_recording info");
    has(&open, "# TYPE tickscope_ticks counter");
    has(&open, "# UNIT tickscope_resource_running_seconds seconds");
    has(&open, "tickscope_tick_duration_seconds_bucket{le=\"1.0\"} 2");
    assert!(!open.contains("_total counter"), "{open}");
}

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    let check = |accept: &str, format| assert_eq!(Format::accepted(accept), format, "{accept}");
    check("", Format::Text);
    check("*/*", Format::Text);
    check("text/plain, application/openmetrics-text;q=0.5", Format::Text);
    check("application/openmetrics-text; version=2.0.0", Format::Text);
    check("application/openmetrics-text;q=0", Format::Text);
    check("Application/OpenMetrics-Text; version=\"1.0.0\"", Format::OpenMetrics);
    // Prometheus 2.42 and 3.
    check(
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
         text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        Format::OpenMetrics,
    );
    check(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.1",
        Format::OpenMetrics,
    );
}

#[test]
fn names_end_as_their_kind_and_unit_ask() {
    for metric in METRICS {
        let base = match metric.kind {
            Kind::Counter => metric.name.strip_suffix("_total"),
            Kind::Info => metric.name.strip_suffix("_info"),
            Kind::Gauge | Kind::Histogram => Some(metric.name),
        };
        let base = base.unwrap_or_else(|| panic!("{} does not end as its kind", metric.name));
        assert!(metric.unit.is_empty() || base.ends_with(&format!("_{}", metric.unit)), "{base}");
        assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\', '"']), "{}", metric.help);
    }
}

#[test]
fn the_readme_tells_every_metric() {
    let readme = include_str!("../README.md");
    let told: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `tickscope_")?.split_once('`'))
        .map(|row| row.0)
        .collect();
    let names: Vec<&str> = METRICS.iter().map(|metric| &metric.name["tickscope_".len()..]).collect();
    assert_eq!(told, names);
}

/// `cargo xtask bless tickscope-prometheus` writes it.
#[test]
fn the_dashboard_is_the_committed_one() {
    let made = dashboard();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard.json");
    if std::env::var_os("TICKSCOPE_BLESS").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let committed: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(made, committed, "cargo xtask bless tickscope-prometheus");

    let panels = made["panels"].as_array().unwrap();
    let places: BTreeSet<(u64, u64)> = panels
        .iter()
        .map(|panel| (panel["gridPos"]["x"].as_u64().unwrap(), panel["gridPos"]["y"].as_u64().unwrap()))
        .collect();
    assert_eq!(places.len(), panels.len(), "two panels share a place");
    let shown = METRICS.iter().filter(|metric| metric.panel.is_some()).count();
    assert_eq!(panels.len(), shown);
    let text = made.to_string();
    for name in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
        let known = METRICS.iter().any(|metric| name.strip_suffix("_bucket").unwrap_or(name) == metric.name);
        assert!(!name.starts_with("tickscope_") || known, "the dashboard asks for {name}");
    }
    assert!(!text.contains("$metric") && !text.contains("$where"), "{text}");
}
