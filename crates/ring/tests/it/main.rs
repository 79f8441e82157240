//! The ring from outside: order, refusal, reservation, overwriting, hostile ends.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tickscope_ring::{Config, ConfigError, Consumer, Full, Memory, Policy, Producer, heap, required_bytes};

fn ring(capacity: usize, policy: Policy) -> (Producer, Consumer) {
    heap(Config { capacity, policy }).expect("a legal configuration")
}

fn drain(consumer: &mut Consumer) -> Vec<[u64; 2]> {
    let mut seen = Vec::new();
    consumer.drain(|_, slots| seen.extend(slots.iter().map(|slot| slot.words())));
    seen
}

#[test]
fn capacities_that_cannot_work_are_refused() {
    for capacity in [0, 1, 3, 100] {
        let error = heap(Config { capacity, policy: Policy::Drop }).unwrap_err();
        assert_eq!(error, ConfigError::Capacity { capacity, least: 2 });
    }
    let error = heap(Config { capacity: 256, policy: Policy::Overwrite }).unwrap_err();
    assert_eq!(error.to_string(), "ring of 256 slots; expected a power of two, at least 257");
}

#[test]
fn a_full_ring_refuses_counts_and_recovers() {
    let (producer, mut consumer) = ring(4, Policy::Drop);
    for n in 0..4 {
        assert_eq!(producer.push([[n, 0]]), Ok(n));
    }
    assert_eq!(producer.push([[4, 0]]), Err(Full));
    assert_eq!(drain(&mut consumer).len(), 4);
    assert_eq!(producer.push([[5, 0]]), Ok(4));
    assert_eq!((producer.attempted(), producer.dropped()), (6, 1));
    assert_eq!((consumer.attempted(), consumer.dropped()), (6, 1));
}

#[test]
fn what_was_reserved_is_never_refused() {
    let (producer, mut consumer) = ring(8, Policy::Drop);
    let mut open = 0;
    while producer.push_reserving([[open, 1]]).is_ok() {
        open += 1;
    }
    assert_eq!(open, 4, "half the slots are kept for the other half's ends");
    assert_eq!(producer.push([[9, 9]]), Err(Full));
    for n in 0..open {
        producer.push_reserved([n, 2]);
    }
    let seen = drain(&mut consumer);
    assert_eq!(seen.iter().filter(|slot| slot[1] == 2).count(), 4);
    assert_eq!(producer.dropped(), 2);
}

#[test]
fn a_flight_recorder_keeps_exactly_the_last_slots_and_reads_each_once() {
    let (producer, consumer) = ring(16_384, Policy::Overwrite);
    for n in 0..50_000u64 {
        producer.push([[n, !n]]).unwrap();
    }
    let mut copy = Vec::new();
    let first = consumer.snapshot(0, &mut copy);
    // The oldest 255 may be in the middle of being overwritten by an event that is not published yet.
    assert_eq!(first.positions, 50_000 - 16_384 + 255..50_000);
    assert!(copy.iter().zip(first.positions.clone()).all(|(slot, n)| *slot == [n, !n]));
    assert_eq!(first.missed, 50_000 - 16_384 + 255);

    producer.push([[50_000, !50_000]]).unwrap();
    copy.clear();
    let second = consumer.snapshot(first.positions.end, &mut copy);
    assert_eq!((second.positions, second.missed), (50_000..50_001, 0));
    assert_eq!(copy, [[50_000, !50_000]]);
}

#[test]
fn snapshots_beside_a_running_producer_are_never_torn() {
    let (producer, consumer) = ring(1_024, Policy::Overwrite);
    let done = Arc::new(AtomicU64::new(0));
    let flag = done.clone();
    let writer = std::thread::spawn(move || {
        for n in 0..2_000_000u64 {
            producer.push([[n, !n], [n, !n]]).unwrap();
        }
        flag.store(1, Ordering::Release);
    });
    let (mut from, mut copy, mut seen) = (0, Vec::new(), 0u64);
    loop {
        let finished = done.load(Ordering::Acquire) == 1;
        copy.clear();
        let snapshot = consumer.snapshot(from, &mut copy);
        for (slot, position) in copy.iter().zip(snapshot.positions.clone()) {
            assert_eq!(*slot, [position / 2, !(position / 2)]);
        }
        seen += copy.len() as u64;
        from = snapshot.positions.end;
        if finished {
            break;
        }
    }
    writer.join().unwrap();
    assert_eq!(from, 4_000_000);
    assert!(seen > 0);
}

#[test]
fn two_threads_keep_the_order() {
    let (producer, mut consumer) = ring(1_024, Policy::Drop);
    const EVENTS: u64 = 3_000_000;
    let writer = std::thread::spawn(move || {
        for n in 0..EVENTS {
            while producer.push([[n, n ^ 7]]).is_err() {
                std::hint::spin_loop();
            }
        }
        (producer.attempted(), producer.dropped())
    });
    let mut next = 0;
    while next < EVENTS {
        consumer.drain(|position, slots| {
            assert_eq!(position, next);
            for slot in slots {
                assert_eq!(slot.words(), [next, next ^ 7]);
                next += 1;
            }
        });
    }
    let (attempted, dropped) = writer.join().unwrap();
    assert_eq!(attempted, EVENTS + dropped, "attempted = committed + dropped");
}

#[test]
fn a_ring_continues_over_the_same_memory_and_bears_hostile_indices() {
    let bytes = required_bytes(64);
    let mut memory = vec![0u128; bytes / 16 + 8];
    let base = memory.as_mut_ptr() as usize;
    let base = NonNull::new(base.next_multiple_of(128) as *mut u8).unwrap();
    let config = Config { capacity: 64, policy: Policy::Drop };
    // SAFETY: `memory` outlives the rings and is used through them only, until the words are spoilt on purpose below.
    let ring = unsafe { Memory::over(base, bytes, config, None) }.unwrap();
    // SAFETY: the first producer is dropped before the second is made; there is one consumer.
    let (first, mut consumer) = unsafe { (ring.producer(), ring.consumer()) };
    first.push([[1, 1]]).unwrap();
    drop(first);
    // SAFETY: as above.
    let second = unsafe { ring.producer() };
    assert_eq!(second.push([[2, 2]]), Ok(1));
    assert_eq!(drain(&mut consumer), [[1, 1], [2, 2]]);

    // SAFETY: the tail word lies at the start of the memory; both ends treat it as atomic.
    let tail = unsafe { &*base.as_ptr().cast::<AtomicU64>() };
    for lie in [0, u64::MAX, 1 << 63] {
        tail.store(lie, Ordering::Relaxed);
        assert!(drain(&mut consumer).len() <= 64);
    }
    // SAFETY: the head word lies at byte 128.
    let head = unsafe { &*base.as_ptr().add(128).cast::<AtomicU64>() };
    head.store(u64::MAX, Ordering::Relaxed);
    for n in 0..200 {
        let _ = second.push([[n, n]]);
    }

    // SAFETY: only the checks of the constructor are reached.
    let refused = unsafe { Memory::over(base, 100, config, None) }.unwrap_err();
    assert_eq!(refused, ConfigError::TooSmall { given: 100, needed: bytes });
    // SAFETY: as above.
    let refused = unsafe { Memory::over(base.add(8), bytes, config, None) }.unwrap_err();
    assert_eq!(refused, ConfigError::Misaligned);
}

#[derive(Clone, Debug)]
enum Step {
    Push,
    PushTwo,
    Open,
    Close,
    Batch(usize),
    Drain,
}

proptest! {
    /// Any sequence of steps equals a queue with reservations.
    #[test]
    fn behaves_like_a_queue(steps in proptest::collection::vec(prop_oneof![
        3 => Just(Step::Push), 1 => Just(Step::PushTwo), 3 => Just(Step::Open), 3 => Just(Step::Close),
        1 => (0usize..9).prop_map(Step::Batch), 1 => Just(Step::Drain),
    ], 0..200)) {
        let (producer, mut consumer) = ring(16, Policy::Drop);
        let (mut model, mut reserved, mut next, mut attempted, mut dropped) = (VecDeque::new(), 0, 0u64, 0, 0);
        for step in steps {
            let free = 16 - model.len() - reserved;
            match step {
                Step::Push => {
                    attempted += 1;
                    let fits = free >= 1;
                    prop_assert_eq!(producer.push([[next, 0]]).is_ok(), fits);
                    if fits { model.push_back([next, 0]) } else { dropped += 1 }
                }
                Step::PushTwo => {
                    attempted += 1;
                    let fits = free >= 2;
                    prop_assert_eq!(producer.push_with(2, 0, |i| [next, i as u64]).is_ok(), fits);
                    if fits { model.extend([[next, 0], [next, 1]]) } else { dropped += 1 }
                }
                Step::Open => {
                    attempted += 1;
                    let fits = free >= 2;
                    prop_assert_eq!(producer.push_reserving([[next, 1]]).is_ok(), fits);
                    if fits { model.push_back([next, 1]); reserved += 1 } else { dropped += 1 }
                }
                Step::Close if reserved > 0 => {
                    attempted += 1;
                    producer.push_reserved([next, 2]);
                    model.push_back([next, 2]);
                    reserved -= 1;
                }
                Step::Close => {}
                Step::Batch(n) => {
                    let fit = n.min(free);
                    attempted += n as u64;
                    dropped += (n - fit) as u64;
                    prop_assert_eq!(producer.push_batch(n, |i| [[next, i as u64]]), fit);
                    model.extend((0..fit).map(|i| [next, i as u64]));
                }
                Step::Drain => prop_assert_eq!(drain(&mut consumer), model.drain(..).collect::<Vec<_>>()),
            }
            next += 1;
            prop_assert_eq!((producer.attempted(), producer.dropped()), (attempted, dropped));
        }
    }
}
