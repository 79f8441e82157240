//! The reading half: a recursive descent over bytes that pushes what it reads.

use mlua::{Lua, MultiValue, Table, Value};

use super::MAX_DEPTH;
use crate::raw::{self, Build, BuildError, Builder};

/// The value in `text`, which may have white space around it.
pub(crate) fn decode(lua: &Lua, metatable: &Table, text: &[u8]) -> Result<Value, BuildError> {
    let mut scratch = Vec::new();
    let values = raw::build(lua, metatable, &mut Parser { text, at: 0, scratch: &mut scratch })?;
    Ok(values.into_iter().next().unwrap_or(Value::Nil))
}

/// What scripts get instead of a value: nil, where it went wrong (from 1), and why.
pub(crate) fn not_json(lua: &Lua, offset: usize, problem: &str) -> mlua::Result<MultiValue> {
    let message = lua.create_string(format!("{problem} at byte {}", offset + 1))?;
    Ok(MultiValue::from_vec(vec![Value::Nil, Value::Integer(offset as i64 + 1), Value::String(message)]))
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// Strings with escapes are put together here. Borrowed, so that a jump out of a frame leaks nothing.
    scratch: &'a mut Vec<u8>,
}

type Problem = (usize, &'static str);

impl Build for Parser<'_> {
    fn build(&mut self, out: &mut Builder) -> Result<(), Problem> {
        if self.text.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        self.value(out, 0)?;
        self.space();
        if self.at < self.text.len() {
            return Err((self.at, "expected the end of the text"));
        }
        Ok(())
    }
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Problem> {
        if !self.text[self.at..].starts_with(word) {
            return Err((self.at, "expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn value(&mut self, out: &mut Builder, depth: usize) -> Result<(), Problem> {
        self.space();
        if depth > MAX_DEPTH || !out.room(6) {
            return Err((self.at, "too many tables inside each other"));
        }
        match self.peek() {
            Some(b'"') => self.string(out),
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b't') => self.word(b"true").map(|()| out.boolean(true)),
            Some(b'f') => self.word(b"false").map(|()| out.boolean(false)),
            Some(b'n') => self.word(b"null").map(|()| out.nil()),
            Some(b'-' | b'0'..=b'9') => self.number(out),
            Some(_) => Err((self.at, "expected a value")),
            None => Err((self.at, "expected a value, found the end of the text")),
        }
    }

    fn array(&mut self, out: &mut Builder, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        out.table(0, 0);
        self.space();
        if self.eat(b']') {
            return Ok(());
        }
        for index in 1.. {
            self.value(out, depth + 1)?;
            out.set_index(index);
            self.space();
            if self.eat(b']') {
                break;
            }
            if !self.eat(b',') {
                return Err((self.at, "expected `,` or `]`"));
            }
        }
        Ok(())
    }

    fn object(&mut self, out: &mut Builder, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        out.table(0, 0);
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err((self.at, "expected a key in quotes"));
            }
            self.string(out)?;
            self.space();
            if !self.eat(b':') {
                return Err((self.at, "expected `:`"));
            }
            self.value(out, depth + 1)?;
            out.set_pair();
            self.space();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err((self.at, "expected `,` or `}`"));
            }
        }
    }

    fn digits(&mut self) -> bool {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at > from
    }

    fn number(&mut self, out: &mut Builder) -> Result<(), Problem> {
        let from = self.at;
        let mut whole = true;
        self.eat(b'-');
        let zero = self.peek() == Some(b'0');
        let first = self.at;
        if !self.digits() || (zero && self.at > first + 1) {
            return Err((from, "expected a number"));
        }
        if self.eat(b'.') {
            whole = false;
            if !self.digits() {
                return Err((self.at, "expected a digit behind the point"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            whole = false;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if !self.digits() {
                return Err((self.at, "expected a digit in the exponent"));
            }
        }
        // only ASCII was passed over
        let text = std::str::from_utf8(&self.text[from..self.at]).unwrap_or("0");
        match text.parse::<i64>() {
            Ok(value) if whole && (value != 0 || !text.starts_with('-')) => out.integer(value),
            _ => out.number(text.parse().unwrap_or(f64::NAN)),
        }
        Ok(())
    }

    fn string(&mut self, out: &mut Builder) -> Result<(), Problem> {
        self.at += 1;
        let from = self.at;
        self.scratch.clear();
        let mut plain = from;
        loop {
            match self.peek() {
                None => return Err((from - 1, "a string without its closing quote")),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.scratch.extend_from_slice(&self.text[plain..self.at]);
                    self.escape()?;
                    plain = self.at;
                }
                Some(_) => self.at += 1,
            }
        }
        if plain == from {
            out.string(&self.text[from..self.at]);
        } else {
            self.scratch.extend_from_slice(&self.text[plain..self.at]);
            out.string(self.scratch);
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Problem> {
        let at = self.at;
        let wrong = (at, "an escape that JSON does not know");
        let byte = *self.text.get(at + 1).ok_or(wrong)?;
        self.at += 2;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit = self.hex().ok_or(wrong)?;
                if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
                    let back = self.at;
                    self.at += 2;
                    match self.hex() {
                        Some(low @ 0xdc00..=0xdfff) => {
                            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        }
                        _ => self.at = back,
                    }
                }
                let mut buffer = [0; 4];
                let text = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.scratch.extend_from_slice(text.encode_utf8(&mut buffer).as_bytes());
                return Ok(());
            }
            _ => return Err(wrong),
        };
        self.scratch.push(plain);
        Ok(())
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let mut value = 0;
        for digit in digits {
            value = value << 4 | char::from(*digit).to_digit(16)?;
        }
        self.at += 4;
        Some(value)
    }
}
