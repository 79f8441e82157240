//! Texts and documents.

use crate::{Document, METRICS, Metric, Unit, dimension_value};

#[test]
fn values_of_dimensions_are_printable_ascii_and_stay_apart() {
    for (text, value) in [
        ("a server", "a server"),
        ("", "unknown"),
        (" \t", " %09"),
        ("  ", "unknown"),
        ("über", "%C3%BCber"),
        ("100%", "100%25"),
        ("a\"b\\c\n", "a\"b\\c%0A"),
    ] {
        assert_eq!(dimension_value(text), value, "{text:?}");
    }
    assert_eq!(dimension_value(&"x".repeat(2000)).len(), 1024);
    // No escape is cut in two.
    assert_eq!(dimension_value(&"ü".repeat(2000)).len(), 1023);
}

#[test]
fn a_document_has_its_numbers_beside_their_names() {
    let metric = Metric { name: "Heap", unit: Unit::Bytes, help: "" };
    let ticks = Metric { name: "TickDuration", unit: Unit::Milliseconds, help: "" };
    let document = Document {
        time_ms: 1_790_000_000_000,
        namespace: "Games".into(),
        high_resolution: true,
        dimensions: vec![("Server", "a \"b\"".into())],
        metrics: vec![(metric, vec![4096.0]), (ticks, vec![1.5, 60.0])],
    };
    let expected = serde_json::json!({
        "_aws": {
            "Timestamp": 1_790_000_000_000_u64,
            "CloudWatchMetrics": [{
                "Namespace": "Games",
                "Dimensions": [["Server"]],
                "Metrics": [
                    { "Name": "Heap", "Unit": "Bytes", "StorageResolution": 1 },
                    { "Name": "TickDuration", "Unit": "Milliseconds", "StorageResolution": 1 },
                ],
            }],
        },
        "Server": "a \"b\"",
        "Heap": 4096.0,
        "TickDuration": [1.5, 60.0],
    });
    let text = document.to_string();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
    assert!(!text.contains('\n'));
    let coarse = Document { high_resolution: false, ..document };
    assert!(!coarse.to_string().contains("StorageResolution"));
}

#[test]
fn the_readme_has_every_metric() {
    let readme = include_str!("../README.md");
    for (metrics, dimensions) in [(METRICS.0, "Server"), (METRICS.1, "Server, Resource")] {
        for metric in metrics {
            let (name, unit, help) = (metric.name, metric.unit.name(), metric.help.trim_end_matches('.'));
            let help = format!("{}{}", help[..1].to_lowercase(), &help[1..]);
            let row = format!("| `{name}` | {unit} | {dimensions} | {help} |");
            assert!(readme.lines().any(|line| line == row), "no row {row}");
        }
    }
}
