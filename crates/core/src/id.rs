//! Identifiers: small integers, each valid in one session only.

use std::num::NonZeroU64;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            /// The id as an index into the dictionary.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// An interned [`Symbol`](crate::Symbol). 0 is `<other>`: what the bounded arena could not hold.
    SymbolId(u32)
}
index! {
    /// A [`Track`](crate::Track). 0 is the process itself.
    TrackId(u32)
}
index! {
    /// The interned name of an argument. 0 is `<other>`.
    KeyId(u32)
}
index! {
    /// A node of the tree of sampled call stacks. 0 is the root: an empty stack.
    StackId(u32)
}
index! {
    /// The ring (so: the producing thread) a sample came through. Counted from 1, never reused; 0 is the collector.
    RingId(u32)
}

impl SymbolId {
    /// What did not fit into the symbol arena.
    pub const OTHER: Self = Self(0);
}

impl TrackId {
    /// The process itself: process-wide counters and instants live here.
    pub const PROCESS: Self = Self(0);
}

impl StackId {
    /// The empty stack, parent of every outermost frame.
    pub const ROOT: Self = Self(0);
}

/// A span, or the source of a link: the ring it was written to and the absolute slot position of its record.
///
/// Not stored in a record but known to producer and collector alike, never 0, unique in a session, and still valid
/// after the record was overwritten. 20 bits of ring, 44 bits of position: at 20 million slots a second a position
/// repeats after ten days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(NonZeroU64);

impl SpanId {
    const POSITION_BITS: u32 = 44;

    /// The id of the record at slot `position` of `ring`; `None` for ring 0.
    pub fn new(ring: RingId, position: u64) -> Option<Self> {
        let ring = u64::from(ring.0) & ((1 << 20) - 1);
        if ring == 0 {
            return None;
        }
        NonZeroU64::new(ring << Self::POSITION_BITS | position & ((1 << Self::POSITION_BITS) - 1)).map(Self)
    }

    /// The id as stored in a capture; `None` for 0.
    pub fn from_raw(raw: u64) -> Option<Self> {
        NonZeroU64::new(raw).map(Self)
    }

    /// The id as a number, never 0.
    pub fn raw(self) -> u64 {
        self.0.get()
    }

    /// The ring the record was written to.
    pub fn ring(self) -> RingId {
        RingId((self.0.get() >> Self::POSITION_BITS) as u32)
    }

    /// Absolute slot position of the record, modulo 2^44.
    pub fn position(self) -> u64 {
        self.0.get() & ((1 << Self::POSITION_BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_ids_split_into_ring_and_position() {
        let id = SpanId::new(RingId(7), 1 << 40).unwrap();
        assert_eq!((id.ring(), id.position()), (RingId(7), 1 << 40));
        assert_eq!(SpanId::from_raw(id.raw()), Some(id));
        assert_eq!(SpanId::new(RingId(0), 5), None);
    }
}
