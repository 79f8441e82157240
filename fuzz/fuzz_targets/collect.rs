//! Posts of a live server: two of any bytes are taken or refused, and what comes of them is a recording that balances.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_collect::Collector;
use tickscope_core::{Event, RecordingSink};

fuzz_target!(|bytes: &[u8]| {
    let middle = bytes.windows(6).position(|end| end == b"\nover\n").map_or(bytes.len(), |at| at + 6);
    let mut collector = Collector::new();
    let mut all = RecordingSink::default();
    for post in [&bytes[..middle], &bytes[middle..]] {
        let _ = collector.post(post, 1_000_000_000);
        let _ = collector.drain(&mut all);
    }
    collector.finish();
    let _ = collector.drain(&mut all);
    let mut open = 0_i64;
    for sample in &all.samples {
        match sample.event {
            Event::Begin(_) => open += 1,
            Event::End(_) => open -= 1,
            Event::Account(account) => assert!(account.holds(0)),
            _ => {}
        }
        assert!(open >= 0);
    }
    assert_eq!(open, 0);
});
