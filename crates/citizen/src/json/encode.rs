//! The writing half.

use std::io::Write;

use mlua::{Lua, Value};

use super::{MAX_DEPTH, MAX_SIZE};
use crate::raw::{self, Key, Shape, Visit};
use crate::values::Vector;

/// How text is laid out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// One element a line, indented by two spaces a level.
    pub indent: bool,
    /// Empty tables as `{}`.
    pub empty_as_object: bool,
}

/// `value` as JSON.
///
/// # Errors
/// A sentence: what cannot be encoded.
pub(crate) fn encode(lua: &Lua, value: &Value, options: Options) -> Result<Vec<u8>, String> {
    let mut writer = Writer { out: Vec::with_capacity(128), options, level: 0, open: Vec::new() };
    raw::walk(lua, std::slice::from_ref(value), &mut writer, MAX_DEPTH, MAX_SIZE)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    options: Options,
    level: usize,
    /// For each table that is open: whether it has an element.
    open: Vec<bool>,
}

impl Writer {
    fn line(&mut self) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + 2 * self.level, b' ');
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
        if value.is_finite() {
            let _ = write!(self.out, "{value:?}"); // the shortest text that reads back as the same number
        } else {
            self.nil();
        }
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
            Shape::Array { len, holes } => holes <= len / 2,
            Shape::Map(_) => false,
        };
        self.out.push(if array { b'[' } else { b'{' });
        self.level += 1;
        self.open.push(false);
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
                let _ = write!(self.out, "\"{value:?}\"");
            }
            Key::Boolean(_) | Key::Vector(_) => return false,
        }
        true
    }

    fn close(&mut self, array: bool) {
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
