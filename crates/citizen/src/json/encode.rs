//! The writing half.

use std::io::Write;

use mlua::{Lua, Value};

use super::{MAX_DEPTH, MAX_SIZE};
use crate::raw::{self, Key, Shape, Visit};
use crate::values::Vector;

/// How text is laid out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// One element a line, indented by four spaces a level.
    pub indent: bool,
    /// Keys in the order of their bytes.
    pub sort_keys: bool,
    /// Empty tables as `{}`.
    pub empty_as_object: bool,
}

impl Options {
    /// Takes over what a script's table of options has.
    pub(crate) fn read(&mut self, table: &mlua::Table) -> mlua::Result<()> {
        for name in ["indent", "pretty", "sort_keys", "empty_table_as_object", "empty_table_as_array"] {
            match table.get(name)? {
                Value::Nil => {}
                value => self.choose(name, !matches!(value, Value::Boolean(false))),
            }
        }
        Ok(())
    }

    /// Turns an option on or off. Of others nothing changes.
    pub(crate) fn choose(&mut self, name: &str, on: bool) {
        match name {
            "indent" | "pretty" => self.indent = on,
            "sort_keys" => self.sort_keys = on,
            "empty_table_as_object" => self.empty_as_object = on,
            "empty_table_as_array" => self.empty_as_object = !on,
            _ => {}
        }
    }

    /// Whether an option is on; `None` of others.
    pub(crate) fn get(self, name: &str) -> Option<bool> {
        match name {
            "indent" | "pretty" => Some(self.indent),
            "sort_keys" => Some(self.sort_keys),
            "empty_table_as_object" => Some(self.empty_as_object),
            "empty_table_as_array" => Some(!self.empty_as_object),
            _ => None,
        }
    }
}

/// `value` as JSON.
///
/// # Errors
/// A sentence: what cannot be encoded.
pub(crate) fn encode(lua: &Lua, value: &Value, options: Options) -> Result<Vec<u8>, String> {
    let mut writer =
        Writer { out: Vec::with_capacity(128), options, level: 0, open: Vec::new(), pairs: Vec::new() };
    raw::walk(lua, std::slice::from_ref(value), &mut writer, MAX_DEPTH, MAX_SIZE)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    options: Options,
    level: usize,
    /// For each table that is open: whether it has an element.
    open: Vec<bool>,
    /// With sorted keys, for each table that is open: where it and its pairs begin.
    pairs: Vec<Vec<usize>>,
}

/// The key that a pair begins with, quotes and escapes as they are.
fn key_of(pair: &[u8]) -> &[u8] {
    let mut escaped = false;
    let end = pair.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_end
    });
    &pair[..end.map_or(pair.len(), |end| end + 1)]
}

/// Arrays shorter than this may be full of holes.
const FEW: usize = 11;

/// The shortest text that reads back as the same number, laid out as Grisu2 does in RapidJSON: whole numbers with `.0`,
/// an exponent from 1e21 and below 1e-6.
fn write_number(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        let text: &[u8] = match value {
            f64::INFINITY => b"Infinity",
            f64::NEG_INFINITY => b"-Infinity",
            _ => b"NaN",
        };
        out.extend_from_slice(text);
        return;
    }
    let magnitude = value.abs();
    let _ = match magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        true if value.fract() == 0.0 => write!(out, "{value:.1}"),
        true => write!(out, "{value}"),
        false => write!(out, "{value:e}"),
    };
}

impl Writer {
    /// Puts the pairs that begin at these places, and go to the end, in the order of their text, which begins with the
    /// key. What stands between two pairs is the same for all.
    fn sort(&mut self, starts: &[usize]) {
        let Some((first, rest)) = starts.split_first() else { return };
        // behind the comma: a line end and spaces, where there are any
        let gap = match rest.first() {
            Some(_) if self.options.indent => 2 + 4 * self.level,
            _ => 1,
        };
        let ends = rest.iter().map(|start| start - gap).chain([self.out.len()]);
        let mut pairs: Vec<Vec<u8>> =
            starts.iter().zip(ends).map(|(start, end)| self.out[*start..end].to_vec()).collect();
        pairs.sort_by(|a, b| key_of(a).cmp(key_of(b)));
        let between = match rest.first() {
            Some(second) => self.out[second - gap..*second].to_vec(),
            None => Vec::new(),
        };
        self.out.truncate(*first);
        self.out.extend(pairs.join(&between[..]));
    }

    fn line(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + 4 * self.level, b' ');
    }
}

/// Writing to a `Vec` cannot fail, so the results of `write!` below carry nothing.
impl Visit for Writer {
    fn nil(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn integer(&mut self, value: i64) {
        let _ = write!(self.out, "{value}");
    }

    fn number(&mut self, value: f64) {
        write_number(&mut self.out, value);
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0x08 => b"\\b",
                0x0c => b"\\f",
                0..=0x1f => b"",
                _ => continue,
            };
            self.out.extend_from_slice(&bytes[from..at]);
            if escape.is_empty() {
                let _ = write!(self.out, "\\u{byte:04x}");
            } else {
                self.out.extend_from_slice(escape);
            }
            from = at + 1;
        }
        self.out.extend_from_slice(&bytes[from..]);
        self.out.push(b'"');
    }

    fn vector(&mut self, vector: &Vector) {
        self.open(Shape::Map(vector.components().len()));
        for (index, (name, lane)) in [b"x", b"y", b"z", b"w"].into_iter().zip(vector.components()).enumerate()
        {
            self.next(index == 0);
            self.string(name);
            self.between();
            self.number(f64::from(*lane));
        }
        self.close(false);
    }

    fn function(&mut self, _index: usize) -> bool {
        false
    }

    fn open(&mut self, shape: Shape) -> bool {
        let array = match shape {
            Shape::Array { len: 0, .. } => !self.options.empty_as_object,
            Shape::Array { len, holes, n } => len < FEW || len <= n || len - holes >= len / 2,
            Shape::Map(_) => false,
        };
        self.out.push(if array { b'[' } else { b'{' });
        self.level += 1;
        self.open.push(false);
        if self.options.sort_keys {
            self.pairs.push(Vec::new());
        }
        array
    }

    fn next(&mut self, first: bool) {
        if !first {
            self.out.push(b',');
        }
        if let Some(any) = self.open.last_mut() {
            *any = true;
        }
        if self.options.indent {
            self.line();
        }
        let at = self.out.len();
        if let Some(pairs) = self.pairs.last_mut() {
            pairs.push(at);
        }
    }

    fn between(&mut self) {
        self.out.push(b':');
        if self.options.indent {
            self.out.push(b' ');
        }
    }

    fn key(&mut self, key: Key<'_>) -> bool {
        match key {
            Key::String(bytes) => self.string(bytes),
            Key::Integer(value) => {
                let _ = write!(self.out, "\"{value}\"");
            }
            Key::Number(value) => {
                self.out.push(b'"');
                write_number(&mut self.out, value);
                self.out.push(b'"');
            }
            Key::Boolean(_) | Key::Vector(_) => return false,
        }
        true
    }

    fn close(&mut self, array: bool) {
        if let Some(pairs) = self.pairs.pop()
            && !array
        {
            self.sort(&pairs);
        }
        self.level -= 1;
        if self.open.pop() == Some(true) && self.options.indent {
            self.line();
        }
        self.out.push(if array { b']' } else { b'}' });
    }

    fn size(&self) -> usize {
        self.out.len()
    }
}
