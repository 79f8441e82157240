//! Two threads and a ring: one that must never wait writes, the other reads. Then a flight recorder.

use std::thread;

use tickscope_ring::{Config, ConfigError, Policy, heap};

const READINGS: u64 = 1_000_000;

fn main() -> Result<(), ConfigError> {
    let (producer, mut consumer) = heap(Config { capacity: 1 << 12, policy: Policy::Drop })?;
    let writer = thread::spawn(move || {
        for number in 0..READINGS {
            // An event of two slots is seen whole or not at all. A full ring refuses it at once; a program that cannot
            // wait goes on, this one tries again.
            while producer.push([[number, 0], [!number, 1]]).is_err() {
                thread::yield_now();
            }
        }
        (producer.attempted(), producer.dropped())
    });
    let (mut next, mut whole) = (0, true);
    while next < READINGS {
        while let Some([[number, _], [inverse, _]]) = consumer.pop() {
            whole &= number == next && inverse == !number;
            next += 1;
        }
        thread::yield_now();
    }
    let (attempted, dropped) = writer.join().expect("the writer does not panic");
    println!("{next} readings, in order and whole: {whole}; attempted less refused: {}", attempted - dropped);

    let (producer, consumer) = heap(Config { capacity: 512, policy: Policy::Overwrite })?;
    for number in 0..1_000 {
        producer.push([[number, 0]]).expect("one that overwrites has room");
    }
    let mut last = Vec::new();
    consumer.snapshot(0, &mut last);
    let numbers: Vec<u64> = last.iter().map(|words| words[0]).collect();
    println!("the last {} are kept, to {:?}", numbers.len(), numbers.last());
    Ok(())
}
