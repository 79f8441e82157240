//! Wait-free ring from one producer thread to one consumer, possibly in another process.
//!
//! The unit is a slot of two 64-bit words. An *event* is one or more slots that become visible together. The ring lives
//! in memory it is given: a heap block or a shared mapping, with the same code, because it holds no pointers.
//!
//! ```
//! use tickscope_ring::{Config, Policy, heap};
//!
//! let (mut producer, mut consumer) = heap(Config { capacity: 64, policy: Policy::Drop }).unwrap();
//! producer.push([[1, 2]]).unwrap();
//! producer.push([[3, 4], [5, 6]]).unwrap(); // one event of two slots
//!
//! let mut seen = Vec::new();
//! consumer.drain(|_position, slots| seen.extend(slots.iter().map(|slot| slot.words())));
//! assert_eq!(seen, [[1, 2], [3, 4], [5, 6]]);
//! assert_eq!((producer.attempted(), producer.dropped()), (2, 0));
//! ```
//!
//! # Guarantees
//! - Pushing takes a bounded number of steps, allocates nothing and makes no system call.
//! - [`Policy::Drop`]: a full ring refuses the event and counts it; what is in the ring is never touched.
//!   A producer can reserve room for an event it must be able to record later ([`Producer::push_reserving`]).
//! - [`Policy::Overwrite`]: a push always succeeds; [`Consumer::snapshot`] returns only slots that were not overwritten
//!   while it copied them.
//! - The producer trusts only its own memory for where it writes; the consumer masks every index. A hostile or dead
//!   process on the other end can spoil the contents, not the reader.
//! - `attempted` events are counted before they are written, `dropped` ones where they are refused: what was attempted
//!   is committed, dropped, or (after a kill) the one in flight.
//!
//! # Deliberately absent
//! Blocking, growing, several producers: use a channel. A type parameter: slots are plain words, so that a reader in
//! another process can look at any of them.
//!
//! # Algorithm
//! Lamport, TOPLAS 5 (1983), with cached indices as in MCRingBuffer (Lee, Bu and Chandranmenon, IPDPS 2010). The
//! overwriting reader is a sequence lock (Boehm, MSPC 2012) whose sequence is the tail itself.

mod consumer;
mod layout;
mod producer;
mod sync;

pub use consumer::{Consumer, Snapshot};
pub use layout::{ALIGN, Config, ConfigError, MAX_EVENT_SLOTS, Memory, Policy, Slot, heap, required_bytes};
pub use producer::{Full, Producer};
