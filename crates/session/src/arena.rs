//! The arena: definitions of symbols, keys, tracks and stack nodes, one behind the other.
//!
//! ```text
//! definition = word: kind:8 | length of the payload in bytes:32, then the payload, padded to a word
//! ```
//!
//! Ids are implied by order: the third symbol has id 3 (id 0 is what did not fit). One process appends, under a lock;
//! a reader sees whole definitions only, because the length is published behind them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tickscope_core::{
    Dictionary, Runtime, StackId, StackNode, Symbol, SymbolId, SymbolRef, Track, TrackId, TrackKind,
};

use crate::mapping::Mapping;
use tickscope_core::quiet::is_quiet;

pub(crate) const SYMBOL: u8 = 1;
pub(crate) const KEY: u8 = 2;
pub(crate) const TRACK: u8 = 3;
pub(crate) const STACK: u8 = 4;
const KINDS: usize = 5;

/// Appends definitions.
#[derive(Debug)]
pub(crate) struct Arena {
    mapping: Arc<Mapping>,
    counts: Mutex<[u32; KINDS]>,
}

impl Arena {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Self {
        Self { mapping, counts: Mutex::new([0; KINDS]) }
    }

    /// Appends one definition and answers its id; `None`, counted, when it does not fit.
    pub(crate) fn append(&self, kind: u8, payload: &[u8]) -> Option<u32> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let header = self.mapping.header();
        let words = self.mapping.arena();
        let at = header.arena_len.load(Ordering::Relaxed) as usize / 8;
        let len = 1 + payload.len().div_ceil(8);
        if is_quiet() || words.len().saturating_sub(at) < len || !self.mapping.have_arena((at + len) * 8) {
            header.arena_refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        words[at].store(u64::from(kind) | (payload.len() as u64) << 8, Ordering::Relaxed);
        for (word, chunk) in words[at + 1..at + len].iter().zip(payload.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        header.arena_len.store(((at + len) * 8) as u64, Ordering::Release); // pairs with the Acquire in `read`
        counts[usize::from(kind)] += 1;
        Some(counts[usize::from(kind)])
    }
}

/// Reads definitions into a dictionary, each once.
#[derive(Debug)]
pub(crate) struct ArenaReader {
    mapping: Arc<Mapping>,
    at: usize,
    payload: Vec<u8>,
}

impl ArenaReader {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Self {
        Self { mapping, at: 0, payload: Vec::new() }
    }

    /// Adds what was defined since the last call. Contents that make no sense become empty definitions, so that ids
    /// stay aligned; a length that makes no sense ends the reading.
    pub(crate) fn read(&mut self, dictionary: &mut Dictionary) {
        let words = self.mapping.arena();
        let published = self.mapping.header().arena_len.load(Ordering::Acquire); // pairs with `append`
        let end = (published as usize / 8).min(words.len());
        while self.at < end {
            let head = words[self.at].load(Ordering::Relaxed);
            let len = (head >> 8) as usize;
            let next = self.at + 1 + len.div_ceil(8);
            if next > end {
                self.at = end;
                return;
            }
            self.payload.clear();
            for word in &words[self.at + 1..next] {
                self.payload.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
            }
            self.payload.truncate(len);
            define(dictionary, head as u8, &self.payload);
            self.at = next;
        }
    }
}

fn define(dictionary: &mut Dictionary, kind: u8, payload: &[u8]) {
    match kind {
        SYMBOL => {
            dictionary.push_symbol(decode_symbol(payload).unwrap_or_else(Symbol::other));
        }
        KEY => {
            dictionary.push_key(&String::from_utf8_lossy(payload));
        }
        TRACK => {
            let unknown = || Track {
                kind: TrackKind::Custom,
                parent: TrackId::PROCESS,
                os_id: 0,
                name: "<unreadable>".into(),
                resource: "".into(),
            };
            let mut track = decode_track(payload).unwrap_or_else(unknown);
            if track.parent.index() >= dictionary.tracks().len() {
                track.parent = TrackId::PROCESS;
            }
            dictionary.push_track(track);
        }
        STACK => {
            let mut fields = Fields(payload);
            let node = StackNode {
                parent: StackId(fields.number().unwrap_or_default()),
                symbol: SymbolId(fields.number().unwrap_or_default()),
                line: fields.number().unwrap_or_default(),
            };
            dictionary.push_stack(node);
        }
        _ => {}
    }
}

/// A symbol's definition; also its key when it is interned.
pub(crate) fn encode_symbol(symbol: SymbolRef<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.push(symbol.runtime as u8);
    out.extend_from_slice(&symbol.line.to_le_bytes());
    for text in [symbol.resource, symbol.name, symbol.file] {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

fn decode_symbol(payload: &[u8]) -> Option<Symbol> {
    let mut fields = Fields(payload);
    let runtime = Runtime::from_number(fields.byte()?)?;
    let line = fields.number()?;
    let (resource, name, file) = (fields.text()?, fields.text()?, fields.text()?);
    Some(SymbolRef { runtime, resource, name, file, line }.into())
}

/// A track's definition; also the name under which tracks that are over are reused.
pub(crate) fn encode_track(track: &Track, out: &mut Vec<u8>) {
    out.clear();
    out.push(track.kind as u8);
    out.extend_from_slice(&track.parent.0.to_le_bytes());
    out.extend_from_slice(&track.os_id.to_le_bytes());
    for text in [&track.name, &track.resource] {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

fn decode_track(payload: &[u8]) -> Option<Track> {
    let mut fields = Fields(payload);
    let kind = TrackKind::from_number(fields.byte()?)?;
    let (parent, os_id) = (TrackId(fields.number()?), fields.number()?);
    let (name, resource) = (fields.text()?.into(), fields.text()?.into());
    Some(Track { kind, parent, os_id, name, resource })
}

/// A stack node's definition and key.
pub(crate) fn encode_stack(node: StackNode) -> [u8; 12] {
    let mut out = [0; 12];
    out[..4].copy_from_slice(&node.parent.0.to_le_bytes());
    out[4..8].copy_from_slice(&node.symbol.0.to_le_bytes());
    out[8..].copy_from_slice(&node.line.to_le_bytes());
    out
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*first))
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Shape;
    use tickscope_ring::Policy;

    fn arena(bytes: usize) -> (Arena, ArenaReader) {
        let shape = Shape { arena_bytes: bytes, ring_slots: 16, rings: 1, policy: Policy::Drop };
        let mapping = Mapping::new(shape).unwrap();
        (Arena::new(mapping.clone()), ArenaReader::new(mapping))
    }

    #[test]
    fn definitions_arrive_in_order_and_once() {
        let (arena, mut reader) = arena(4_096);
        let (mut bytes, mut dictionary) = (Vec::new(), Dictionary::default());
        let symbol = SymbolRef {
            runtime: Runtime::Lua,
            resource: "shops",
            name: "restock",
            file: "server/main.lua",
            line: 88,
        };
        encode_symbol(symbol, &mut bytes);
        assert_eq!(arena.append(SYMBOL, &bytes), Some(1));
        reader.read(&mut dictionary);
        assert_eq!(arena.append(KEY, b"player"), Some(1));
        assert_eq!(
            arena.append(
                STACK,
                &encode_stack(StackNode { parent: StackId(9), symbol: SymbolId(1), line: 90 })
            ),
            Some(1)
        );
        reader.read(&mut dictionary);
        assert_eq!(dictionary.symbol(SymbolId(1)).as_ref(), symbol);
        assert_eq!(dictionary.keys().len(), 2);
        assert_eq!(
            dictionary.stacks()[1].parent,
            StackId::ROOT,
            "a parent that does not exist becomes the root"
        );
    }

    #[test]
    fn a_full_arena_refuses_and_counts_and_bears_spoilt_words() {
        let (arena, mut reader) = arena(64);
        assert_eq!(arena.append(KEY, &[b'k'; 40]), Some(1));
        assert_eq!(arena.append(KEY, &[b'k'; 40]), None);
        assert_eq!(arena.mapping.header().arena_refused.load(Ordering::Relaxed), 1);

        arena.mapping.arena()[0].store(u64::MAX, Ordering::Relaxed);
        let mut dictionary = Dictionary::default();
        reader.read(&mut dictionary);
        assert_eq!(dictionary.keys().len(), 1);
        arena.mapping.header().arena_len.store(u64::MAX, Ordering::Relaxed);
        reader.read(&mut dictionary);
    }
}
