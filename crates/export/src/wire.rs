//! Protocol buffers by hand: the few primitives that a trace and a profile need.
//!
//! Writing goes into one buffer that is kept initialised, so that the hot path writes through a fixed-size window
//! without a bounds check per byte. Reading walks the fields of a message in place.

/// Bytes the hot path may write without looking at the buffer again.
pub(crate) const WINDOW: usize = 128;
const MASK: usize = WINDOW - 1;

/// What is left of a message being written: patched with its length when it closes.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

/// A growing buffer of encoded packets.
#[derive(Debug, Default)]
pub(crate) struct Buf {
    /// Initialised throughout; only `..len` is output.
    bytes: Vec<u8>,
    len: usize,
}

impl Buf {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// The next [`WINDOW`] bytes, to be claimed with [`Buf::advance`].
    #[inline]
    pub(crate) fn window(&mut self) -> &mut [u8; WINDOW] {
        if self.bytes.len() < self.len + WINDOW {
            self.grow(WINDOW);
        }
        let window = self.bytes[self.len..].first_chunk_mut();
        window.expect("the buffer was grown by a window")
    }

    /// Makes the first `n` bytes of the window output.
    #[inline]
    pub(crate) fn advance(&mut self, n: usize) {
        self.len += n.min(WINDOW);
    }

    #[cold]
    fn grow(&mut self, by: usize) {
        self.bytes.resize((self.len + by).next_power_of_two().max(4096), 0);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if self.bytes.len() < end {
            self.grow(bytes.len());
        }
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    pub(crate) fn varint(&mut self, value: u64) {
        let used = put_varint(self.window(), 0, value);
        self.advance(used);
    }

    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(value);
    }

    pub(crate) fn fixed64(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3 | 1);
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub(crate) fn text(&mut self, field: u32, text: &str) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(text.len() as u64);
        self.raw(text.as_bytes());
    }

    /// Starts a nested message. Its length takes one byte; [`Buf::close`] makes room where that is too little.
    pub(crate) fn open(&mut self, field: u32) -> Mark {
        self.varint(u64::from(field) << 3 | 2);
        self.raw(&[0]);
        Mark(self.len)
    }

    pub(crate) fn close(&mut self, mark: Mark) {
        let length = self.len - mark.0;
        if length < 0x80 {
            self.bytes[mark.0 - 1] = length as u8;
            return;
        }
        let more = varint_len(length as u64) - 1;
        self.raw(&[0; 10][..more]);
        self.bytes.copy_within(mark.0..mark.0 + length, mark.0 + more);
        let (mut at, mut rest) = (mark.0 - 1, length);
        while rest >= 0x80 {
            self.bytes[at] = rest as u8 | 0x80;
            (at, rest) = (at + 1, rest >> 7);
        }
        self.bytes[at] = rest as u8;
    }
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Writes `value` at `at` of the window and says where it ends. `at + 10` must not pass the window's end: positions
/// wrap there, which keeps the compiler from checking each byte.
#[inline(always)]
pub(crate) fn put_varint(window: &mut [u8; WINDOW], at: usize, value: u64) -> usize {
    debug_assert!(at + varint_len(value) <= WINDOW);
    if value < 1 << 7 {
        window[at & MASK] = value as u8;
        return at + 1;
    }
    if value < 1 << 14 {
        window[at & MASK] = value as u8 | 0x80;
        window[(at + 1) & MASK] = (value >> 7) as u8;
        return at + 2;
    }
    if value < 1 << 21 {
        window[at & MASK] = value as u8 | 0x80;
        window[(at + 1) & MASK] = (value >> 7) as u8 | 0x80;
        window[(at + 2) & MASK] = (value >> 14) as u8;
        return at + 3;
    }
    let (mut at, mut rest) = (at, value);
    while rest >= 0x80 {
        window[at & MASK] = rest as u8 | 0x80;
        (at, rest) = (at + 1, rest >> 7);
    }
    window[at & MASK] = rest as u8;
    at + 1
}

/// A signed difference as an unsigned number that is small when the difference is.
#[inline(always)]
pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Undoes [`zigzag`].
#[inline(always)]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire types 1 and 5.
    Fixed(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The number, or 0 for bytes.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed(number) => number,
            Self::Bytes(_) => 0,
        }
    }

    /// The bytes; none for a number.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The bytes as text; what is not UTF-8 is replaced.
    pub(crate) fn text(self) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.bytes())
    }
}

/// A message that is not one: how far from its start it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) usize);

/// The fields of a message, in their order.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    /// The next field's number and value; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Broken> {
        let start = self.at;
        let broken = Broken(start);
        if start == self.message.len() {
            return Ok(None);
        }
        let key = self.varint().ok_or(broken)?;
        let field = u32::try_from(key >> 3).map_err(|_| broken)?;
        if field == 0 {
            return Err(broken);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint().ok_or(broken)?),
            1 => {
                let bytes = self.message[self.at..].first_chunk::<8>().ok_or(broken)?;
                self.at += 8;
                Value::Fixed(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint().ok_or(broken)?).map_err(|_| broken)?;
                let bytes = self.message[self.at..].get(..length).ok_or(broken)?;
                self.at += length;
                Value::Bytes(bytes)
            }
            5 => {
                let bytes = self.message[self.at..].first_chunk::<4>().ok_or(broken)?;
                self.at += 4;
                Value::Fixed(u64::from(u32::from_le_bytes(*bytes)))
            }
            _ => return Err(broken),
        };
        Ok(Some((field, value)))
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let (value, used) = get_varint(&self.message[self.at..])?;
        self.at += used;
        Some(value)
    }
}

/// A varint from the start of `bytes` and its length; `None` when it is cut or longer than ten bytes.
#[inline]
pub(crate) fn get_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    let mut value = u64::from(first & 0x7f);
    for (at, byte) in bytes.iter().enumerate().take(10).skip(1) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_message_gets_a_longer_length() {
        let mut buf = Buf::default();
        let outer = buf.open(1);
        let inner = buf.open(2);
        buf.raw(&[7; 20_000]);
        buf.close(inner);
        buf.uint(3, 5);
        buf.close(outer);
        let mut fields = Fields::of(buf.as_slice());
        let (field, outer) = fields.next().unwrap().unwrap();
        assert_eq!((field, fields.next()), (1, Ok(None)));
        let mut fields = Fields::of(outer.bytes());
        assert_eq!(fields.next().unwrap().unwrap(), (2, Value::Bytes(&[7; 20_000])));
        assert_eq!(fields.next().unwrap().unwrap(), (3, Value::Varint(5)));
    }

    proptest! {
        #[test]
        fn varints_come_back(value in any::<u64>(), bits in 0u32..64) {
            let value = value >> bits;
            let mut buf = Buf::default();
            buf.varint(value);
            prop_assert_eq!(buf.len(), varint_len(value));
            prop_assert_eq!(get_varint(buf.as_slice()), Some((value, buf.len())));
            prop_assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
        }

        #[test]
        fn garbage_ends_or_breaks(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields::of(&bytes);
            let mut seen = 0;
            while let Ok(Some(_)) = fields.next() { seen += 1; }
            prop_assert!(seen <= bytes.len());
        }
    }
}
