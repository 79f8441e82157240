//! MessagePack: how values cross from one VM to another, and what `msgpack.pack` and `msgpack.unpack` give scripts.
//!
//! Functions cross as extension 10 holding the text of a reference, as in CitizenFX; see [`crate::references`].

use std::ffi::CStr;

use mlua::{Function, Lua, MultiValue, Table, Value};

use crate::raw::{self, Build, BuildError, Builder, Key, Shape, Visit};
use crate::values::{Kind, Vector};

/// Tables inside each other.
const MAX_DEPTH: usize = 128;
/// Extension types that hold an entity and a player, as text, and the names of their metatables.
const OBJECTS: [(u8, &CStr); 2] = [(41, c"entity"), (42, c"player")];
/// Extension types that hold a function reference: a remote and a local one.
const REFERENCES: [u8; 2] = [10, 11];
/// Extension type of the first kind of vector; the others follow in the order of [`Kind::ALL`]. Their data are the
/// components as 32-bit floats, a quaternion's real part last.
const VECTORS: u8 = 20;

/// Values, packed one behind the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many values.
    pub count: usize,
}

impl Packed {
    /// The values of the list that is the one value in `bytes`; `None` when it does not begin like a list.
    pub(crate) fn from_array(bytes: &[u8]) -> Option<Self> {
        let (count, head) = match bytes {
            [tag @ 0x90..=0x9f, ..] => (usize::from(tag & 0xf), 1),
            [0xdc, high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 3),
            [0xdd, a, b, c, d, ..] => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, 5),
            _ => return None,
        };
        Some(Self { bytes: bytes[head..].to_vec(), count })
    }
}

/// What a script chose with `msgpack.setoption`, for its VM.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// nil stands for what cannot be packed.
    pub ignore_invalid: bool,
    /// Positive integers in the signed forms.
    pub signed: bool,
    /// Floats in 32 bits.
    pub single: bool,
    /// Lists with holes as lists with nils, not as maps.
    pub holes: bool,
    /// In which forms strings are written.
    pub strings: Strings,
}

/// The forms of strings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Strings {
    /// Without the form for up to 255 bytes, which the first MessagePack did not have.
    #[default]
    Compatible,
    /// All forms of strings.
    All,
    /// As binary data.
    Binary,
}

impl Options {
    /// Chooses by the word of a setting: what `msgpack.set_integer` and its kind take. `false` when there is no such.
    pub(crate) fn choose(&mut self, setting: &str, word: &str) -> bool {
        match (setting, word) {
            ("integer", "signed" | "unsigned") => self.signed = word == "signed",
            ("number", "float" | "double") => self.single = word == "float",
            ("array", "with_hole" | "without_hole") => self.holes = word == "with_hole",
            ("string", "string_compat") => self.strings = Strings::Compatible,
            ("string", "string") => self.strings = Strings::All,
            ("string", "binary") => self.strings = Strings::Binary,
            _ => return false,
        }
        true
    }
}

/// Packs `values`. Each function is given to `refer`, which answers the text of a reference to it.
///
/// # Errors
/// A sentence: what cannot be packed.
pub(crate) fn pack(
    lua: &Lua,
    values: &[Value],
    limit: usize,
    refer: &mut dyn FnMut(&Function) -> String,
) -> Result<Packed, String> {
    let options = lua.app_data_ref::<Options>().map_or_else(Options::default, |options| *options);
    let mut writer = Writer { out: Vec::with_capacity(64), options, ..Writer::default() };
    let walked = raw::walk(lua, values, &mut writer, MAX_DEPTH, limit)?;
    let mut bytes = writer.out;
    if !writer.places.is_empty() {
        // references are put in behind the walk: making one needs the VM
        let (mut whole, mut from) = (Vec::with_capacity(bytes.len() + 64), 0);
        for (place, function) in writer.places.iter().zip(&walked.functions) {
            whole.extend_from_slice(&bytes[from..*place]);
            write_reference(&mut whole, refer(function).as_bytes());
            from = *place;
        }
        whole.extend_from_slice(&bytes[from..]);
        bytes = whole;
    }
    Ok(Packed { bytes, count: values.len() })
}

/// Values the host itself writes, one behind the other: arguments of events it triggers.
#[derive(Default)]
pub(crate) struct Message {
    writer: Writer,
}

impl Message {
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.writer.string(text.as_bytes());
        self
    }

    pub(crate) fn integer(&mut self, value: i64) -> &mut Self {
        self.writer.integer(value);
        self
    }

    /// A function, by its reference.
    pub(crate) fn reference(&mut self, text: &str) -> &mut Self {
        write_reference(&mut self.writer.out, text.as_bytes());
        self
    }

    /// So many pairs of key and value follow; together they are one value.
    pub(crate) fn open_map(&mut self, pairs: usize) -> &mut Self {
        self.writer.open(Shape::Map(pairs));
        self
    }

    /// The message, which holds `count` values.
    pub(crate) fn finish(self, count: usize) -> Packed {
        Packed { bytes: self.writer.out, count }
    }
}

/// Packs `values` as one list, holes and all: what `msgpack.pack_args` gives.
///
/// # Errors
/// A sentence: what cannot be packed.
pub(crate) fn pack_list(
    lua: &Lua,
    values: &[Value],
    limit: usize,
    refer: &mut dyn FnMut(&Function) -> String,
) -> Result<Vec<u8>, String> {
    let mut head = Writer::default();
    head.open(Shape::Array { len: values.len(), holes: 0, n: 0 });
    let mut bytes = head.out;
    bytes.extend(pack(lua, values, limit, refer)?.bytes);
    Ok(bytes)
}

/// Packs plain text values: arguments of events the host triggers.
pub(crate) fn pack_texts(texts: &[&str]) -> Packed {
    let mut writer = Writer::default();
    for text in texts {
        writer.string(text.as_bytes());
    }
    Packed { bytes: writer.out, count: texts.len() }
}

/// The values packed in `bytes`. The text of each reference is added to `seen`.
pub(crate) fn unpack(
    lua: &Lua,
    metatable: &Table,
    packed: &Packed,
    seen: &mut Vec<String>,
) -> Result<MultiValue, BuildError> {
    raw::build(lua, metatable, &mut Reader { bytes: &packed.bytes, at: 0, values: packed.count, seen })
}

/// Every value in a message from outside, one behind the other.
pub(crate) fn unpack_message(
    lua: &Lua,
    metatable: &Table,
    bytes: &[u8],
    seen: &mut Vec<String>,
) -> Result<MultiValue, BuildError> {
    raw::build(lua, metatable, &mut Reader { bytes, at: 0, values: usize::MAX, seen })
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    /// Offsets where a function goes.
    places: Vec<usize>,
    options: Options,
}

impl Writer {
    fn head(&mut self, len: usize, small: (u8, usize), wide: [u8; 2]) {
        match len {
            _ if len < small.1 => self.out.push(small.0 | len as u8),
            0..=0xffff => {
                self.out.push(wide[0]);
                self.out.extend_from_slice(&(len as u16).to_be_bytes());
            }
            _ => {
                self.out.push(wide[1]);
                // a walk stops at its size limit, far below 4 GiB
                self.out.extend_from_slice(&(len as u32).to_be_bytes());
            }
        }
    }
}

fn write_reference(out: &mut Vec<u8>, text: &[u8]) {
    // a reference is `resource:instance:number`: always far below 64 KiB
    out.push(0xc8);
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.push(REFERENCES[0]);
    out.extend_from_slice(text);
}

impl Visit for Writer {
    fn nil(&mut self) {
        self.out.push(0xc0);
    }

    fn boolean(&mut self, value: bool) {
        self.out.push(0xc2 | u8::from(value));
    }

    fn integer(&mut self, value: i64) {
        // the shortest form, unsigned where it can be
        let (tag, width) = match value {
            -32..=127 => return self.out.push(value as u8),
            128.. if self.options.signed => match value {
                128..=0x7fff => (0xd1, 2),
                0x8000..=0x7fff_ffff => (0xd2, 4),
                _ => (0xd3, 8),
            },
            128..=0xff => (0xcc, 1),
            0x100..=0xffff => (0xcd, 2),
            0x1_0000..=0xffff_ffff => (0xce, 4),
            0x1_0000_0000.. => (0xcf, 8),
            -0x80..=-33 => (0xd0, 1),
            -0x8000..=-0x81 => (0xd1, 2),
            -0x8000_0000..=-0x8001 => (0xd2, 4),
            _ => (0xd3, 8),
        };
        self.out.push(tag);
        self.out.extend_from_slice(&value.to_be_bytes()[8 - width..]);
    }

    fn number(&mut self, value: f64) {
        if self.options.single {
            self.out.push(0xca);
            return self.out.extend_from_slice(&(value as f32).to_be_bytes());
        }
        self.out.push(0xcb);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn string(&mut self, bytes: &[u8]) {
        let short = u8::try_from(bytes.len()).ok();
        match (self.options.strings, short) {
            (Strings::All, Some(len @ 32..)) => self.out.extend_from_slice(&[0xd9, len]),
            (Strings::Binary, Some(len)) => self.out.extend_from_slice(&[0xc4, len]),
            (Strings::Binary, None) => self.head(bytes.len(), (0, 0), [0xc5, 0xc6]),
            _ => self.head(bytes.len(), (0xa0, 32), [0xda, 0xdb]),
        }
        self.out.extend_from_slice(bytes);
    }

    fn vector(&mut self, vector: &Vector) {
        let kind = VECTORS + vector.kind() as u8;
        match vector.kind() {
            Kind::Vector2 => self.out.extend_from_slice(&[0xd7, kind]),
            Kind::Vector3 => self.out.extend_from_slice(&[0xc7, 12, kind]),
            Kind::Vector4 | Kind::Quat => self.out.extend_from_slice(&[0xd8, kind]),
        }
        for lane in vector.components() {
            self.out.extend_from_slice(&lane.to_be_bytes());
        }
    }

    fn function(&mut self, _index: usize) -> bool {
        self.places.push(self.out.len());
        true
    }

    fn open(&mut self, shape: Shape) -> bool {
        match shape {
            Shape::Array { len, holes, .. } if holes == 0 || self.options.holes => {
                self.head(len, (0x90, 16), [0xdc, 0xdd]);
                true
            }
            Shape::Array { len, holes, n } => {
                self.head(len - holes + usize::from(n > 0), (0x80, 16), [0xde, 0xdf]);
                false
            }
            Shape::Map(pairs) => {
                self.head(pairs, (0x80, 16), [0xde, 0xdf]);
                false
            }
        }
    }

    fn next(&mut self, _first: bool) {}

    fn between(&mut self) {}

    fn key(&mut self, key: Key<'_>) -> bool {
        match key {
            Key::Integer(value) => self.integer(value),
            Key::Number(value) => self.number(value),
            Key::Boolean(value) => self.boolean(value),
            Key::String(bytes) => self.string(bytes),
            Key::Vector(vector) => self.vector(vector),
        }
        true
    }

    fn close(&mut self, _array: bool) {}

    fn reference(&mut self, text: &[u8]) -> bool {
        if text.len() > usize::from(u16::MAX) {
            return false;
        }
        write_reference(&mut self.out, text);
        true
    }

    fn object(&mut self, kind: i64, id: i64) -> bool {
        let Some((kind, _)) = OBJECTS.into_iter().find(|(known, _)| i64::from(*known) == kind) else {
            return false;
        };
        let text = id.to_string();
        self.out.extend_from_slice(&[0xc7, text.len() as u8, kind]);
        self.out.extend_from_slice(text.as_bytes());
        true
    }

    fn invalid(&mut self) -> bool {
        if self.options.ignore_invalid {
            self.nil();
        }
        self.options.ignore_invalid
    }

    fn size(&self) -> usize {
        self.out.len()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many values; `usize::MAX` for all that the bytes hold, at least one.
    values: usize,
    seen: &'a mut Vec<String>,
}

type Problem = (usize, &'static str);

impl Build for Reader<'_> {
    fn build(&mut self, out: &mut Builder) -> Result<(), Problem> {
        if self.values == usize::MAX {
            loop {
                self.value(out, 0)?;
                if self.at == self.bytes.len() {
                    return Ok(());
                }
            }
        }
        for _ in 0..self.values {
            self.value(out, 0)?;
        }
        if self.at != self.bytes.len() {
            return Err((self.at, "bytes behind the end of the message"));
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Result<&[u8], Problem> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or((self.at, "the message ends in the middle of a value"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, Problem> {
        Ok(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn len(&mut self, width: usize) -> Result<usize, Problem> {
        self.unsigned(width).map(|len| len as usize)
    }

    fn value(&mut self, out: &mut Builder, depth: usize) -> Result<(), Problem> {
        let at = self.at;
        if depth > MAX_DEPTH || !out.room(6) {
            return Err((at, "too many tables inside each other"));
        }
        let tag = self.take(1)?[0];
        match tag {
            0x00..=0x7f => out.integer(i64::from(tag)),
            0xe0..=0xff => out.integer(i64::from(tag.cast_signed())),
            0xc0 => out.nil(),
            0xc2 | 0xc3 => out.boolean(tag == 0xc3),
            0xca => {
                let bits = self.unsigned(4)? as u32;
                out.number(f64::from(f32::from_bits(bits)));
            }
            0xcb => {
                let bits = self.unsigned(8)?;
                out.number(f64::from_bits(bits));
            }
            0xcc..=0xcf => {
                let value = self.unsigned(1 << (tag - 0xcc))?;
                match i64::try_from(value) {
                    Ok(value) => out.integer(value),
                    Err(_) => out.number(value as f64),
                }
            }
            0xd0..=0xd3 => {
                let width = 1usize << (tag - 0xd0);
                let value = self.unsigned(width)?.cast_signed();
                let unused = 64 - 8 * width as u32;
                out.integer(value << unused >> unused);
            }
            0xa0..=0xbf => out.string(self.take(usize::from(tag & 0x1f))?),
            0xd9..=0xdb | 0xc4..=0xc6 => {
                let width = 1 << if tag >= 0xd9 { tag - 0xd9 } else { tag - 0xc4 };
                let len = self.len(width)?;
                out.string(self.take(len)?);
            }
            0x90..=0x9f => self.array(out, usize::from(tag & 0xf), depth)?,
            0xdc | 0xdd => {
                let len = self.len(2 << (tag - 0xdc))?;
                self.array(out, len, depth)?;
            }
            0x80..=0x8f => self.map(out, usize::from(tag & 0xf), depth)?,
            0xde | 0xdf => {
                let len = self.len(2 << (tag - 0xde))?;
                self.map(out, len, depth)?;
            }
            0xd4..=0xd8 => self.extension(out, 1 << (tag - 0xd4))?,
            0xc7..=0xc9 => {
                let len = self.len(1 << (tag - 0xc7))?;
                self.extension(out, len)?;
            }
            0xc1 => return Err((at, "a byte that no value begins with")),
        }
        Ok(())
    }

    fn array(&mut self, out: &mut Builder, len: usize, depth: usize) -> Result<(), Problem> {
        out.table(len.min(self.bytes.len() - self.at), 0);
        for index in 1..=len {
            self.value(out, depth + 1)?;
            out.set_index(index as i64);
        }
        Ok(())
    }

    fn map(&mut self, out: &mut Builder, len: usize, depth: usize) -> Result<(), Problem> {
        out.table(0, len.min((self.bytes.len() - self.at) / 2));
        for _ in 0..len {
            self.value(out, depth + 1)?;
            self.value(out, depth + 1)?;
            out.set_pair();
        }
        Ok(())
    }

    fn extension(&mut self, out: &mut Builder, len: usize) -> Result<(), Problem> {
        let kind = self.take(1)?[0];
        let at = self.at;
        self.take(len)?;
        let data = &self.bytes[at..at + len];
        if REFERENCES.contains(&kind) {
            // pushed first: once the text is owned by `seen`, nothing here can raise
            out.reference(data);
            self.seen.push(String::from_utf8_lossy(data).into_owned());
        } else if let Some(kind) = kind.checked_sub(VECTORS).and_then(|kind| Kind::ALL.get(usize::from(kind)))
        {
            if len != 4 * kind.len() {
                return Err((at, "a vector of the wrong length"));
            }
            let mut lanes = [0.0; 4];
            for (lane, bytes) in lanes.iter_mut().zip(data.chunks_exact(4)) {
                *lane = f32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
            out.vector(Vector::new(*kind, lanes));
        } else if let Some((_, metatable)) = OBJECTS.into_iter().find(|(known, _)| *known == kind)
            && let Some(id) = std::str::from_utf8(data).ok().and_then(|text| text.parse().ok())
        {
            out.object(metatable, id);
        } else {
            out.string(data);
        }
        Ok(())
    }
}
