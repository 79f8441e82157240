//! The packets nearly all of a capture consists of, taken apart in one pass.
//!
//! A begin or end as the writer's hot path makes it has its fields in a known order. Anything else, and anything
//! that is not as expected, is left to the way for any packet.

use super::schema::{KEY_BYTES, KEY_RESOURCE, annotation, event, packet};
use crate::wire::get_varint;

/// A begin or end without arguments, link or outcome, its fields in the writer's order.
pub(super) struct Plain {
    pub(super) delta: u64,
    pub(super) sequence: u64,
    pub(super) track: u64,
    pub(super) bytes: u64,
    pub(super) begins: Option<PlainBegin>,
}

#[derive(Clone, Copy)]
pub(super) struct PlainBegin {
    pub(super) category: u64,
    pub(super) name: u64,
    pub(super) span: u64,
}

/// The bytes of a packet, walked by one who knows what should come.
struct Walk<'a>(&'a [u8]);

impl Walk<'_> {
    #[inline(always)]
    fn skip<const N: usize>(&mut self, expected: [u8; N]) -> Option<()> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        (*first == expected).then_some(())
    }

    #[inline(always)]
    fn varint(&mut self) -> Option<u64> {
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Some(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.0 = rest;
                Some(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => {
                let (value, used) = get_varint(self.0)?;
                self.0 = &self.0[used..];
                Some(value)
            }
        }
    }
}

impl Plain {
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        const SPAN_TAG: [u8; 2] = [(packet::SPAN << 3) as u8 | 0x80, (packet::SPAN >> 4) as u8];
        let mut walk = Walk(bytes);
        walk.skip([(packet::TIMESTAMP << 3) as u8])?;
        let delta = walk.varint()?;
        walk.skip([(packet::SEQUENCE << 3) as u8])?;
        let sequence = walk.varint()?;
        walk.skip([(packet::FLAGS << 3) as u8, 2, (packet::TRACK_EVENT << 3) as u8 | 2])?;
        let length = walk.varint()? as usize;
        let (event, rest) = walk.0.split_at_checked(length)?;
        let mut event = Walk(event);
        event.skip([(event::TYPE << 3) as u8])?;
        let (category, name) = match event.varint()? {
            event::BEGIN => {
                event.skip([(event::CATEGORY << 3) as u8])?;
                (Some(event.varint()?), true)
            }
            event::END => (None, false),
            _ => return None,
        };
        event.skip([(event::TRACK << 3) as u8])?;
        let track = event.varint()?;
        let mut plain = Self { delta, sequence, track, bytes: 0, begins: None };
        if let (Some(category), true) = (category, name) {
            event.skip([(event::NAME << 3) as u8])?;
            let name = event.varint()?;
            if let [0x90, 0x02, ..] = event.0 {
                event.skip([0x90, 0x02])?; // the source location, which the symbol's definition tells as well
                event.varint()?;
            }
            if let Some(note) = event.note()? {
                // The resource is the symbol's too; anything else is an argument.
                (note.0.first_chunk() == Some(&[8, KEY_RESOURCE as u8])).then_some(())?;
            }
            let mut rest = Walk(rest);
            rest.skip(SPAN_TAG)?;
            let span = rest.varint()?;
            plain.begins = Some(PlainBegin { category, name, span });
            return (event.0.is_empty() && rest.0.is_empty()).then_some(plain);
        }
        if let Some(mut note) = event.note()? {
            note.skip([8, KEY_BYTES as u8, (annotation::UINT << 3) as u8])?;
            plain.bytes = note.varint()?;
            note.0.is_empty().then_some(())?;
        }
        (event.0.is_empty() && rest.is_empty()).then_some(plain)
    }
}

impl<'a> Walk<'a> {
    /// The annotation that comes next, if one does.
    #[inline(always)]
    fn note(&mut self) -> Option<Option<Walk<'a>>> {
        if self.0.first() != Some(&((event::ANNOTATION << 3) as u8 | 2)) {
            return Some(None);
        }
        self.0 = &self.0[1..];
        let length = self.varint()? as usize;
        let (note, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(Walk(note)))
    }
}
