//! Loom models of the ring. `cargo xtask loom` runs them, then once more with each ordering weakened, and expects that
//! to fail: `publish`, `observe`, `release`, `reclaim` fail `events_arrive_whole`, `overwrite_fence` and `check_fence`
//! fail `snapshots_are_not_torn`.
#![cfg(loom)]

use loom::thread;
use tickscope_ring::{Config, Policy, heap};

#[test]
fn events_arrive_whole() {
    loom::model(|| {
        let (producer, mut consumer) = heap(Config { capacity: 2, policy: Policy::Drop }).unwrap();
        let writer = thread::spawn(move || {
            let mut pushed = 0;
            for n in 1..=3u64 {
                pushed += u64::from(producer.push([[n, n + 10]]).is_ok());
            }
            assert_eq!(producer.attempted(), pushed + producer.dropped());
            pushed
        });
        let (mut last, mut seen) = (0, 0);
        let mut read = |_: u64, slots: &[tickscope_ring::Slot]| {
            for slot in slots {
                let [n, check] = slot.words();
                assert_eq!(check, n + 10, "both words of one event");
                assert!(n > last, "in order, each once");
                (last, seen) = (n, seen + 1);
            }
        };
        consumer.drain(&mut read);
        consumer.drain(&mut read);
        let pushed = writer.join().unwrap();
        consumer.drain(&mut read);
        assert_eq!(seen, pushed, "committed = delivered");
    });
}

#[test]
fn snapshots_are_not_torn() {
    loom::model(|| {
        let (producer, consumer) = heap(Config { capacity: 2, policy: Policy::Overwrite }).unwrap();
        let writer = thread::spawn(move || {
            for n in 0..4u64 {
                producer.push([[n, n + 10]]).unwrap();
            }
        });
        let mut copy = Vec::new();
        let snapshot = consumer.snapshot(0, &mut copy);
        assert_eq!(copy.len() as u64, snapshot.positions.end - snapshot.positions.start);
        for (slot, position) in copy.iter().zip(snapshot.positions) {
            assert_eq!(*slot, [position, position + 10], "the event of that position, whole");
        }
        writer.join().unwrap();
    });
}
