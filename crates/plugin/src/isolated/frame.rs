//! What goes through the socket between a host and the process of a sink: frames.
//!
//! ```text
//! length of the body   u32     little-endian, as all numbers are
//! kind                 u8
//! number of the call   u32     an answer has that of its call
//! body                 numbers, and texts with a u32 in front that says how many bytes
//! ```

use std::io::{ErrorKind, Read, Write};

/// Length of a frame's head.
const HEAD: usize = 9;

/// Kinds of frames: what the host asks for, then what comes back.
pub(crate) mod kind {
    pub(crate) const LOAD: u8 = 1;
    pub(crate) const OPEN: u8 = 2;
    pub(crate) const NAMES: u8 = 3;
    pub(crate) const BATCH: u8 = 4;
    pub(crate) const TICK: u8 = 5;
    pub(crate) const FLUSH: u8 = 6;
    pub(crate) const FINISH: u8 = 7;
    pub(crate) const HEALTH: u8 = 8;
    pub(crate) const CLOSE: u8 = 9;
    pub(crate) const ANSWER: u8 = 64;
    pub(crate) const LINE: u8 = 65;
}

/// Head of a frame, without its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) call: u32,
}

/// What came is not what is said here: where it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled(pub(crate) &'static str);

/// A frame that is written.
#[derive(Debug, Default)]
pub(crate) struct Out(Vec<u8>);

impl Out {
    /// Begins a frame, in the memory of the one before.
    pub(crate) fn begin(&mut self, head: Head) {
        self.0.clear();
        self.0.extend([0; 4]);
        self.0.push(head.kind);
        self.u32(head.call);
    }

    pub(crate) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(crate) fn u32s(&mut self, numbers: &[u32]) {
        numbers.iter().for_each(|number| self.u32(*number));
    }

    pub(crate) fn u64s(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.u64(*number));
    }

    /// How many follow.
    pub(crate) fn count(&mut self, number: usize) {
        // What is too many for this is too much for a frame, which is then not sent.
        self.u32(u32::try_from(number).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Sends it.
    ///
    /// # Errors
    /// That it is longer than a length can say, or that of the socket.
    pub(crate) fn send(&mut self, mut to: impl Write) -> std::io::Result<()> {
        let length = u32::try_from(self.0.len() - HEAD).map_err(|_| ErrorKind::FileTooLarge)?;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        to.write_all(&self.0)
    }
}

/// Reads a frame into `body`; `None` where there is none more. Takes memory for what comes, not for what it says will come.
///
/// # Errors
/// `InvalidData` where it says that it has more than `most` bytes; `UnexpectedEof` where it has fewer than it says.
pub(crate) fn read(mut from: impl Read, most: u32, body: &mut Vec<u8>) -> std::io::Result<Option<Head>> {
    body.clear();
    let mut head = [0; HEAD];
    if from.by_ref().take(HEAD as u64).read_to_end(body)? == 0 {
        return Ok(None);
    }
    if body.len() < HEAD {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    head.copy_from_slice(body);
    let [a, b, c, d, kind, call @ ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]);
    if length > most {
        return Err(ErrorKind::InvalidData.into());
    }
    body.clear();
    if from.take(length.into()).read_to_end(body)? < length as usize {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Head { kind, call: u32::from_le_bytes(call) }))
}

/// The body of a frame that is read, from its front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Garbled("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Garbled> {
        self.take().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Garbled> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Garbled> {
        self.take().map(u64::from_le_bytes)
    }

    /// How many follow, each with `least` bytes at least: so many can be there.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, Garbled> {
        let count = self.u32()? as usize;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= self.0.len() => Ok(count),
            _ => Err(Garbled("a count is larger than what follows")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Garbled> {
        let length = self.count(1)?;
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Garbled> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Garbled("a text is not UTF-8"))
    }

    /// That nothing is left.
    pub(crate) fn end(self) -> Result<(), Garbled> {
        if self.0.is_empty() { Ok(()) } else { Err(Garbled("more follows than there is")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(head: Head, text: &str) -> Vec<u8> {
        let (mut out, mut bytes) = (Out::default(), Vec::new());
        out.begin(head);
        out.text(text);
        out.send(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_length_is_believed_only_as_far_as_bytes_come() {
        let head = Head { kind: kind::LINE, call: 7 };
        let bytes = sent(head, "a line");
        let mut body = Vec::new();
        assert_eq!(read(&bytes[..], 100, &mut body).unwrap(), Some(head));
        assert_eq!(In(&body).text(), Ok("a line"));
        assert_eq!(read(&bytes[..], 9, &mut body).unwrap_err().kind(), ErrorKind::InvalidData);
        for cut in 1..bytes.len() {
            let error = read(&bytes[..cut], 100, &mut body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
        assert_eq!(read(&b""[..], 100, &mut body).unwrap(), None);
        // 4 GiB that do not come are not taken.
        let mut body = Vec::new();
        let error = read(&[0xff; HEAD + 5][..], u32::MAX, &mut body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(body.capacity() < 1 << 20, "{}", body.capacity());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(kind: u8, call: u32, text: String) {
            let bytes = sent(Head { kind, call }, &text);
            let mut body = Vec::new();
            prop_assert_eq!(read(&bytes[..], u32::MAX, &mut body).unwrap(), Some(Head { kind, call }));
            let mut body = In(&body);
            prop_assert_eq!(body.text(), Ok(&*text));
            prop_assert_eq!(body.end(), Ok(()));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>) {
            let (mut from, mut body) = (&bytes[..], Vec::new());
            while let Ok(Some(_)) = read(&mut from, 1 << 16, &mut body) {
                let mut body = In(&body);
                while body.text().is_ok() {}
            }
        }
    }
}
