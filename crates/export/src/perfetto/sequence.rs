//! What a capture being written remembers: of each sequence, each track, each name.

use tickscope_core::{CategoryId, RingId, SpanId, SymbolId, Track};

use super::bits::Bits;

/// What a span's symbol adds to its begin, encoded once. Always copied whole, which is faster than a length.
pub(super) const BLOB: usize = 24;

/// Which definitions this generation holds, whatever the sequence.
#[derive(Debug, Default)]
pub(super) struct Defined {
    pub(super) symbols: Bits,
    pub(super) categories: Bits,
    pub(super) keys: Bits,
    pub(super) stacks: Bits,
}

/// One ring's packets.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    pub(super) id: u64,
    pub(super) generation: u32,
    pub(super) time_ns: u64,
    pub(super) span: u64,
    /// `trusted_packet_sequence_id` and `sequence_flags`, encoded.
    pub(super) tail: [u8; 16],
    pub(super) tail_len: usize,
    pub(super) names: Bits,
    pub(super) categories: Bits,
    pub(super) keys: Bits,
    pub(super) resources: Bits,
    pub(super) run_names: Bits,
    pub(super) functions: Bits,
    pub(super) frames: Bits,
    pub(super) stacks: Bits,
    pub(super) contexts: Bits,
    /// Cumulative time of stack samples, for `perf_sample`.
    pub(super) sampled_ns: u64,
}

#[derive(Clone, Debug)]
pub(super) struct SymbolEntry {
    pub(super) blob: [u8; BLOB],
    pub(super) len: u8,
    pub(super) resource: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct TrackState {
    pub(super) stack: Vec<Open>,
    /// As last written.
    pub(super) track: Option<Track>,
    /// Generation in which it was last written, and batch in which it was last looked at.
    pub(super) generation: u32,
    pub(super) batch: u32,
}

#[derive(Debug)]
pub(super) struct CounterState {
    pub(super) uuid: u64,
    pub(super) generation: u32,
}

/// An entry of a track's stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Open {
    Span {
        span: SpanId,
        ring: RingId,
        symbol: SymbolId,
        category: CategoryId,
        begin_ns: u64,
    },
    /// Another track runs on top of this one.
    Run {
        track: u32,
        ring: RingId,
        since_ns: u64,
    },
}

impl Sequence {
    pub(super) fn restart(&mut self, generation: u32) {
        self.generation = generation;
        (self.time_ns, self.span, self.sampled_ns) = (0, 0, 0);
        for bits in [
            &mut self.names,
            &mut self.categories,
            &mut self.keys,
            &mut self.resources,
            &mut self.run_names,
            &mut self.functions,
            &mut self.frames,
            &mut self.stacks,
            &mut self.contexts,
        ] {
            bits.clear();
        }
    }
}

impl Defined {
    pub(super) fn clear(&mut self) {
        for bits in [&mut self.symbols, &mut self.categories, &mut self.keys, &mut self.stacks] {
            bits.clear();
        }
    }
}
