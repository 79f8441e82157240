//! Order over a long time: `TICKSCOPE_SOAK=full cargo test --release --test soak` passes 10^9 events through a ring.
#![cfg(not(loom))]

use tickscope_ring::{Config, Policy, heap};

#[test]
fn events_keep_their_order_for_a_long_time() {
    let events: u64 = match std::env::var("TICKSCOPE_SOAK").as_deref() {
        Ok("full") => 1_000_000_000,
        Ok("small") => 50_000_000,
        _ => 1_000_000,
    };
    let (producer, mut consumer) =
        heap(Config { capacity: 1 << 14, policy: Policy::Drop }).expect("a legal configuration");
    let writer = std::thread::spawn(move || {
        let mut next = 0;
        while next < events {
            // Both words, one and two slots, so that events cross the end of the memory in every way.
            let pushed = match next % 3 {
                0 => producer.push([[next, !next], [next, next]]),
                _ => producer.push([[next, !next]]),
            };
            match pushed {
                Ok(_) => next += 1,
                Err(_) => std::thread::yield_now(),
            }
        }
        (producer.attempted(), producer.dropped())
    });
    let (mut next, mut second) = (0u64, false);
    while next < events || second {
        let read = consumer.drain(|_, slots| {
            for slot in slots {
                let [a, b] = slot.words();
                if second {
                    assert_eq!([a, b], [next - 1, next - 1]);
                    second = false;
                } else {
                    assert_eq!([a, b], [next, !next]);
                    second = next % 3 == 0;
                    next += 1;
                }
            }
        });
        if read == 0 {
            std::thread::yield_now();
        }
    }
    let (attempted, dropped) = writer.join().expect("the writer does not panic");
    assert_eq!(attempted - dropped, events);
    println!("{events} events in order, {dropped} refused and tried again");
}
