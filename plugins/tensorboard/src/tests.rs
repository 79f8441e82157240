//! Records, histograms, names.

use crate::{Event, Histogram, Number, Summary, TAGS, Value, What, name_of, read, write};

fn event(step: i64) -> Event {
    let value = vec![Value { tag: "a/b".into(), value: Some(Number::Scalar(1.5)) }];
    Event { wall_time: 1_790_000_000.25, step, what: Some(What::Summary(Summary { value })) }
}

#[test]
fn what_is_written_is_read() {
    let mut bytes = Vec::new();
    let events: Vec<Event> = (1..4).map(event).collect();
    let written: u64 = events.iter().map(|event| write(&mut bytes, event).unwrap()).sum();
    assert_eq!(written, bytes.len() as u64);
    let mut rest = &*bytes;
    let read_back: Vec<Event> = std::iter::from_fn(|| read(&mut rest).unwrap()).collect();
    assert_eq!(read_back, events);
    // A run that was killed: what was cut off is not there.
    let mut cut = &bytes[..bytes.len() - 3];
    assert_eq!(std::iter::from_fn(|| read(&mut cut).unwrap()).count(), 2);
    // Each bit counts.
    let one = bytes.len() / 3;
    for bit in 0..one * 8 {
        let mut wrong = bytes[..one].to_vec();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&mut &*wrong).is_err(), "bit {bit}");
    }
}

/// Every file that TensorFlow writes begins with these bytes: a length of 24, and its checksum.
#[test]
fn the_first_record_begins_as_tensorflows() {
    let what = Some(What::FileVersion("brain.Event:2".into()));
    let mut bytes = Vec::new();
    write(&mut bytes, &Event { wall_time: 1.0, step: 0, what }).unwrap();
    assert_eq!(bytes[..12], [0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    assert_eq!(&bytes[21..36], b"\x1a\x0dbrain.Event:2");
}

#[test]
fn a_histogram_has_every_value_in_its_bucket() {
    assert_eq!(Histogram::default().written(), None);
    let values = [0.0, 0.005, 19.0, 20.0, 20.5, 75.0, 1e9];
    let mut histogram = Histogram::default();
    values.iter().for_each(|value| histogram.add(*value));
    let histogram = histogram.written().unwrap();
    assert_eq!((histogram.min, histogram.max, histogram.num), (0.0, 1e9, 7.0));
    assert_eq!(histogram.sum, values.iter().sum::<f64>());
    assert_eq!(histogram.sum_squares, values.iter().map(|value| value * value).sum::<f64>());
    assert_eq!(histogram.bucket_limit.len(), histogram.bucket.len());
    assert!(histogram.bucket_limit.is_sorted());
    let mut low = f64::MIN;
    for (limit, count) in histogram.bucket_limit.iter().zip(&histogram.bucket) {
        let inside = values.iter().filter(|value| low < **value && **value <= *limit).count();
        assert_eq!(inside as f64, *count, "{low} to {limit}");
        low = *limit;
    }
    // Empty ones are there only where others begin.
    assert!(histogram.bucket.windows(2).all(|pair| pair != [0.0, 0.0]));
}

#[test]
fn a_run_is_called_by_its_start() {
    let name = |seconds: u64| name_of(seconds * 1_000_000_000, 7);
    assert_eq!(name(0), "1970-01-01T00-00-00-7");
    assert_eq!(name(1_709_164_799), "2024-02-28T23-59-59-7");
    assert_eq!(name(1_709_164_800), "2024-02-29T00-00-00-7");
    assert_eq!(name(1_790_000_000), "2026-09-21T14-13-20-7");
}

#[test]
fn the_readme_has_every_tag() {
    let readme = include_str!("../README.md");
    for (tag, what) in TAGS {
        let row = format!("| `{tag}` | {what} |");
        assert!(readme.lines().any(|line| line == row), "no row {row}");
    }
}
