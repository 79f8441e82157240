//! The records threads write: 16-byte slots, each of which says what it is.
//!
//! ```text
//! w0 = kind:6 | flags:2 | clock ticks since the session's base:56      (timed kinds)
//! w0 = kind:6 | flags:2 | payload:56                                   (Link, Arg, More, On, Gap)
//!
//! Enter       w1: symbol:32 | category:16 | argument slots behind it:8
//! Exit        w1: position of its Enter, low 32 | bytes allocated:32   flags: outcome
//! Link        w1: id of the link's source      w0 payload: link kind   precedes its Enter
//! Arg         w1: value, or length of the text w0 payload: type:8 | key:32
//! More        15 bytes of text: 7 in w0, 8 in w1; or one value in w1
//! Instant     w1: symbol:32 | category:16 | argument slots:8           flags: scope
//! Counter     w1: symbol:32   More: its value                          flags: 1 = float
//! LinkPoint   w1: 0                                                    its id is its position
//! Resume      w1: track:32                                             the host waits
//! Suspend     w1: 0                                                    flags: reason
//! Stack       w1: node:32 | bytes:32   More: elapsed ticks
//! On          w0 payload: track:32                                     what follows is on that track;
//!                                                                      flags: 1 = an instant noted earlier
//! Of          w1: span id                                              the late argument behind it is that span's
//! ExitOn      w1: span id                                              flags: outcome
//! Gap         w1: events lost here
//! ```

pub(crate) const ENTER: u8 = 1;
pub(crate) const EXIT: u8 = 2;
pub(crate) const LINK: u8 = 3;
pub(crate) const ARG: u8 = 4;
pub(crate) const MORE: u8 = 5;
pub(crate) const INSTANT: u8 = 6;
pub(crate) const COUNTER: u8 = 7;
pub(crate) const LINK_POINT: u8 = 8;
pub(crate) const RESUME: u8 = 9;
pub(crate) const SUSPEND: u8 = 10;
pub(crate) const STACK: u8 = 11;
pub(crate) const ON: u8 = 12;
pub(crate) const EXIT_ON: u8 = 13;
pub(crate) const GAP: u8 = 14;
pub(crate) const OF: u8 = 15;

/// Flag of [`ON`]: the instant behind it was noted before what stands before it.
pub(crate) const NOTED: u8 = 1;

/// Types of arguments.
pub(crate) mod arg {
    pub(crate) const INT: u8 = 0;
    pub(crate) const UINT: u8 = 1;
    pub(crate) const FLOAT: u8 = 2;
    pub(crate) const BOOL: u8 = 3;
    pub(crate) const POINTER: u8 = 4;
    pub(crate) const TEXT: u8 = 5;
}

pub(crate) const TEXT_PER_SLOT: usize = 15;

#[inline(always)]
pub(crate) const fn word(kind: u8, flags: u8, payload: u64) -> u64 {
    kind as u64 | ((flags & 3) as u64) << 6 | payload << 8
}

#[inline(always)]
pub(crate) const fn kind(word: u64) -> u8 {
    word as u8 & 63
}

#[inline(always)]
pub(crate) const fn flags(word: u64) -> u8 {
    (word >> 6) as u8 & 3
}

#[inline(always)]
pub(crate) const fn payload(word: u64) -> u64 {
    word >> 8
}

/// Slot `index` of the text's continuation.
#[inline]
pub(crate) fn text_slot(text: &[u8], index: usize) -> [u64; 2] {
    let rest = text.get(index * TEXT_PER_SLOT..).unwrap_or_default();
    let mut bytes = [0; 16];
    let len = rest.len().min(TEXT_PER_SLOT);
    bytes[1..=len].copy_from_slice(&rest[..len]);
    bytes[0] = MORE;
    let mut words = [[0; 8]; 2];
    words[0].copy_from_slice(&bytes[..8]);
    words[1].copy_from_slice(&bytes[8..]);
    words.map(u64::from_le_bytes)
}

/// The up to 15 bytes of a continuation slot.
#[inline]
pub(crate) fn slot_text(words: [u64; 2]) -> [u8; TEXT_PER_SLOT] {
    let mut bytes = [0; TEXT_PER_SLOT];
    bytes[..7].copy_from_slice(&words[0].to_le_bytes()[1..]);
    bytes[7..].copy_from_slice(&words[1].to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_its_slots() {
        let text = b"exactly fifteen and then some";
        let mut back = Vec::new();
        for index in 0..text.len().div_ceil(TEXT_PER_SLOT) {
            let slot = text_slot(text, index);
            assert_eq!(kind(slot[0]), MORE);
            back.extend(slot_text(slot));
        }
        assert_eq!(&back[..text.len()], text);
    }
}
