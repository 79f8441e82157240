//! The ring beside rtrb: two threads, records of 16 and 32 bytes, one by one and in chunks of 64.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tickscope_comparison::{Contestant, compete};
use tickscope_ring::{Config, Policy, heap};

const SLOTS: u64 = 4096;
const CHUNK: usize = 64;
const ITEMS: u64 = 200_000;

/// Record number `n`.
fn record<const N: usize>(n: u64) -> [[u64; 2]; N] {
    std::array::from_fn(|word| [n, !n ^ word as u64])
}

/// What the consumer makes of the records: under the clock a sum, in the check before it one in which a record that is
/// lost, torn, repeated or out of order shows.
fn take<const N: usize, const STRICT: bool>(sum: u64, record: &[[u64; 2]; N]) -> u64 {
    let words = record.iter().enumerate();
    if STRICT {
        words.fold(sum.wrapping_mul(7), |sum, (at, [a, b])| {
            sum.wrapping_mul(31).wrapping_add(*a).wrapping_add(b.wrapping_mul(at as u64 + 3))
        })
    } else {
        words.fold(sum, |sum, (_, [a, b])| sum.wrapping_add(a ^ b))
    }
}

fn expected<const N: usize, const STRICT: bool>(items: u64) -> u64 {
    (0..items).fold(0, |sum, n| take::<N, STRICT>(sum, &record(n)))
}

/// Runs both ends, started together; the time is until the last record is read.
fn race(produce: impl FnOnce() + Send, consume: impl FnOnce() -> u64 + Send) -> (Duration, u64) {
    let gate = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        let producer = scope.spawn(|| {
            gate.wait();
            produce();
        });
        gate.wait();
        let start = Instant::now();
        let sum = consume();
        let took = start.elapsed();
        producer.join().expect("the producer does not panic");
        (took, sum)
    })
}

struct Ours<const N: usize> {
    name: &'static str,
    chunk: usize,
}

impl<const N: usize> Ours<N> {
    fn run<const STRICT: bool>(&self, items: u64) -> (Duration, u64) {
        let capacity = SLOTS * N as u64;
        let (producer, mut consumer) =
            heap(Config { capacity: capacity as _, policy: Policy::Drop }).expect("a ring");
        let chunk = self.chunk;
        race(
            move || {
                let mut next = 0;
                while next < items {
                    if chunk == 1 {
                        next += u64::from(producer.push(record::<N>(next)).is_ok());
                    } else {
                        let first = next;
                        let wanted = (items - next).min(chunk as u64);
                        next += producer.push_batch::<N>(wanted as _, |at| record(first + at as u64)) as u64;
                    }
                    if next < items {
                        hint::spin_loop();
                    }
                }
            },
            move || {
                let (mut all, mut seen) = (0u64, 0);
                let mut take = |record: &[[u64; 2]; N]| {
                    all = take::<N, STRICT>(all, record);
                    seen += 1;
                    seen
                };
                let mut n = 0;
                let mut partial: Vec<[u64; 2]> = Vec::with_capacity(N);
                while n < items {
                    if chunk == 1 {
                        match consumer.pop::<N>() {
                            Some(record) => n = take(&record),
                            None => hint::spin_loop(),
                        }
                    } else {
                        consumer.drain(|_, mut slots| {
                            // A run may end within a record, where the ring's memory does.
                            while !partial.is_empty() && partial.len() < N && !slots.is_empty() {
                                partial.push(slots[0].words());
                                slots = &slots[1..];
                            }
                            if partial.len() == N {
                                n = take(&std::array::from_fn(|at| partial[at]));
                                partial.clear();
                            }
                            let whole = slots.chunks_exact(N);
                            partial.extend(whole.remainder().iter().map(|slot| slot.words()));
                            for record in whole {
                                n = take(&std::array::from_fn(|at| record[at].words()));
                            }
                        });
                    }
                }
                all
            },
        )
    }
}

impl<const N: usize> Contestant for Ours<N> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&mut self) -> Result<(), String> {
        same(self.run::<true>(50_000).1, expected::<N, true>(50_000))
    }

    fn round(&mut self, items: u64) -> Duration {
        let (took, sum) = self.run::<false>(items);
        assert_eq!(sum, expected::<N, false>(items), "{} lost a record", self.name);
        took
    }
}

struct Rtrb<const N: usize> {
    name: &'static str,
    chunk: usize,
}

impl<const N: usize> Rtrb<N> {
    fn run<const STRICT: bool>(&self, items: u64) -> (Duration, u64) {
        let (mut producer, mut consumer) = rtrb::RingBuffer::<[[u64; 2]; N]>::new(SLOTS as usize);
        let chunk = self.chunk;
        race(
            move || {
                let mut next = 0;
                while next < items {
                    if chunk == 1 {
                        next += u64::from(producer.push(record::<N>(next)).is_ok());
                    } else {
                        let wanted = producer.slots().min(chunk).min((items - next) as usize);
                        if let Ok(room) = producer.write_chunk_uninit(wanted) {
                            let first = next;
                            next += room.fill_from_iter((first..).map(record::<N>)) as u64;
                        }
                    }
                    if next < items {
                        hint::spin_loop();
                    }
                }
            },
            move || {
                let (mut all, mut n) = (0u64, 0);
                while n < items {
                    if chunk == 1 {
                        match consumer.pop() {
                            Ok(record) => {
                                all = take::<N, STRICT>(all, &record);
                                n += 1;
                            }
                            Err(_) => hint::spin_loop(),
                        }
                    } else if let Ok(run) = consumer.read_chunk(consumer.slots()) {
                        for record in run {
                            all = take::<N, STRICT>(all, &record);
                            n += 1;
                        }
                    }
                }
                all
            },
        )
    }
}

impl<const N: usize> Contestant for Rtrb<N> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&mut self) -> Result<(), String> {
        same(self.run::<true>(50_000).1, expected::<N, true>(50_000))
    }

    fn round(&mut self, items: u64) -> Duration {
        let (took, sum) = self.run::<false>(items);
        assert_eq!(sum, expected::<N, false>(items), "{} lost a record", self.name);
        took
    }
}

fn same(sum: u64, expected: u64) -> Result<(), String> {
    if sum == expected { Ok(()) } else { Err(format!("the records sum up to {sum:x}, not {expected:x}")) }
}

fn rings(criterion: &mut Criterion) {
    let pairs: [(&str, [Box<dyn Contestant>; 2]); 4] = [
        (
            "16 bytes, one by one",
            [
                Box::new(Rtrb::<1> { name: "rtrb", chunk: 1 }),
                Box::new(Ours::<1> { name: "tickscope-ring", chunk: 1 }),
            ],
        ),
        (
            "32 bytes, one by one",
            [
                Box::new(Rtrb::<2> { name: "rtrb", chunk: 1 }),
                Box::new(Ours::<2> { name: "tickscope-ring", chunk: 1 }),
            ],
        ),
        (
            "16 bytes, chunks of 64",
            [
                Box::new(Rtrb::<1> { name: "rtrb", chunk: CHUNK }),
                Box::new(Ours::<1> { name: "tickscope-ring", chunk: CHUNK }),
            ],
        ),
        (
            "32 bytes, chunks of 64",
            [
                Box::new(Rtrb::<2> { name: "rtrb", chunk: CHUNK }),
                Box::new(Ours::<2> { name: "tickscope-ring", chunk: CHUNK }),
            ],
        ),
    ];
    for (title, mut contestants) in pairs {
        compete(criterion, title, ITEMS, &mut contestants);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).sample_size(30);
    targets = rings
}
criterion_main!(benches);
