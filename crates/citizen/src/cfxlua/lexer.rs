//! The tokens of CfxLua, as fast as one look at each byte allows. What is a single token, hashes and C comments, is
//! rewritten here.

use super::{Edits, Error};
use crate::values::hash::joaat;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Eof,
    Name,
    Number,
    Text,
    /// `` `name` ``
    Hash,
    /// An operator that can only stand between two expressions; `-`, `~` and `..` are apart.
    Binary,
    /// `+=` and the like.
    Compound,
    Question,
    Dot,
    Dots,
    Concat,
    Colon,
    DoubleColon,
    Comma,
    Semicolon,
    Equals,
    Less,
    Greater,
    Minus,
    Tilde,
    Length,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    Break,
    Do,
    Else,
    Elseif,
    End,
    For,
    Function,
    Goto,
    If,
    In,
    Local,
    Not,
    Repeat,
    Return,
    Then,
    Until,
    While,
    /// `nil`, `true`, `false`.
    Constant,
    /// No token of Lua; Lua says what is wrong with it.
    Other,
    /// A hash or C comment that is wrong; the lexer has the error.
    Bad,
}

/// A token and where its bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) struct Lexer<'s> {
    source: &'s [u8],
    at: usize,
    pub(super) edits: Edits,
    /// Why a token is [`Kind::Bad`].
    pub(super) error: Option<Error>,
}

/// Bytes that go on a name.
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s [u8]) -> Self {
        Self { source, at: 0, edits: Edits::default(), error: None }
    }

    #[inline]
    fn peek(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next token; [`Kind::Eof`] again and again at the end.
    pub(super) fn next(&mut self) -> Token {
        loop {
            let start = self.at;
            let Some(&byte) = self.source.get(start) else {
                return Token { kind: Kind::Eof, start, end: start };
            };
            let kind = match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                    self.at += 1;
                    continue;
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    let rest = &self.source[start..];
                    let len = rest.iter().position(|byte| !NAME[usize::from(*byte)]).unwrap_or(rest.len());
                    self.at += len;
                    word(&rest[..len])
                }
                b'-' if self.peek(1) == b'-' => {
                    self.comment();
                    continue;
                }
                b'/' if self.peek(1) == b'*' => match self.c_comment() {
                    true => continue,
                    false => Kind::Bad,
                },
                b'"' | b'\'' => self.text(byte),
                b'`' => self.hash(),
                b'0'..=b'9' => self.number(),
                b'.' if self.peek(1).is_ascii_digit() => self.number(),
                b'[' => match self.long_level() {
                    Some(level) => self.long(level),
                    None if self.peek(1) == b'=' => self.take(2, Kind::Other),
                    None => self.take(1, Kind::OpenBracket),
                },
                _ => self.sign(byte),
            };
            return Token { kind, start, end: self.at };
        }
    }

    fn take(&mut self, len: usize, kind: Kind) -> Kind {
        self.at += len;
        kind
    }

    fn sign(&mut self, byte: u8) -> Kind {
        let next = self.peek(1);
        match (byte, next) {
            (b'.', b'.') => match self.peek(2) {
                b'.' => self.take(3, Kind::Dots),
                b'=' => self.take(3, Kind::Compound),
                _ => self.take(2, Kind::Concat),
            },
            (b'<', b'<') | (b'>', b'>') | (b'/', b'/') if self.peek(2) == b'=' => {
                self.take(3, Kind::Compound)
            }
            (b'<', b'<' | b'=') | (b'>', b'>' | b'=') | (b'/', b'/') | (b'=' | b'~', b'=') => {
                self.take(2, Kind::Binary)
            }
            (b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'&' | b'|', b'=') => self.take(2, Kind::Compound),
            (b'+' | b'*' | b'/' | b'%' | b'^' | b'&' | b'|', _) => self.take(1, Kind::Binary),
            (b':', b':') => self.take(2, Kind::DoubleColon),
            (b':', _) => self.take(1, Kind::Colon),
            (b'.', _) => self.take(1, Kind::Dot),
            (b'-', _) => self.take(1, Kind::Minus),
            (b'~', _) => self.take(1, Kind::Tilde),
            (b'#', _) => self.take(1, Kind::Length),
            (b'<', _) => self.take(1, Kind::Less),
            (b'>', _) => self.take(1, Kind::Greater),
            (b'=', _) => self.take(1, Kind::Equals),
            (b',', _) => self.take(1, Kind::Comma),
            (b';', _) => self.take(1, Kind::Semicolon),
            (b'?', _) => self.take(1, Kind::Question),
            (b'(', _) => self.take(1, Kind::OpenParen),
            (b')', _) => self.take(1, Kind::CloseParen),
            (b']', _) => self.take(1, Kind::CloseBracket),
            (b'{', _) => self.take(1, Kind::OpenBrace),
            (b'}', _) => self.take(1, Kind::CloseBrace),
            _ => self.take(1, Kind::Other),
        }
    }

    /// Moves behind the first byte that `found` accepts, or to the end; whether there was one.
    fn skip_past(&mut self, found: impl Fn(u8) -> bool) -> bool {
        let rest = &self.source[self.at..];
        let place = rest.iter().position(|byte| found(*byte));
        self.at += place.map_or(rest.len(), |place| place + 1);
        place.is_some()
    }

    fn comment(&mut self) {
        self.at += 2;
        match self.long_level() {
            Some(level) => drop(self.long(level)),
            None => drop(self.skip_past(|byte| matches!(byte, b'\n' | b'\r'))),
        }
    }

    /// `/* … */` becomes a space and the line breaks in it; whether it ends.
    fn c_comment(&mut self) -> bool {
        let start = self.at;
        self.at += 2;
        while self.skip_past(|byte| byte == b'*') {
            if self.peek(0) == b'/' {
                self.at += 1;
                let breaks = line_breaks(&self.source[start..self.at]);
                self.edits.replace(start..self.at, &[b" ", &breaks]);
                return true;
            }
        }
        let line = line_of(self.source, start);
        self.fail(start, format!("unfinished long comment (starting at line {line}); expected '*/'"));
        false
    }

    /// At `[`: how many `=` stand before the second bracket, if it opens a long string.
    fn long_level(&self) -> Option<usize> {
        if self.peek(0) != b'[' {
            return None;
        }
        let level = self.source[self.at + 1..].iter().take_while(|byte| **byte == b'=').count();
        (self.peek(1 + level) == b'[').then_some(level)
    }

    fn long(&mut self, level: usize) -> Kind {
        self.at += level + 2;
        while self.skip_past(|byte| byte == b']') {
            let rest = &self.source[self.at..];
            let signs = rest.iter().take(level).take_while(|byte| **byte == b'=').count();
            if signs == level && rest.get(level) == Some(&b']') {
                self.at += level + 1;
                return Kind::Text;
            }
        }
        Kind::Other
    }

    /// A string in quotes. What its escapes stand for is Lua's business.
    fn text(&mut self, quote: u8) -> Kind {
        self.at += 1;
        while self.skip_past(|byte| byte == quote || matches!(byte, b'\\' | b'\n' | b'\r')) {
            match self.source[self.at - 1] {
                b'\\' => self.escape(),
                byte if byte == quote => return Kind::Text,
                _ => break,
            }
        }
        Kind::Other
    }

    /// Behind a backslash: moves over what it makes part of the string, whatever it looks like.
    fn escape(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (b'z', _) => {
                self.at += 1;
                while is_space(self.peek(0)) {
                    self.at += 1;
                }
            }
            (b'\n', b'\r') | (b'\r', b'\n') => self.at += 2,
            _ => self.at = (self.at + 1).min(self.source.len()),
        }
    }

    fn number(&mut self) -> Kind {
        let hex = self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X');
        if hex {
            self.at += 2;
        }
        loop {
            let byte = self.peek(0);
            let exponent = if hex { matches!(byte, b'p' | b'P') } else { matches!(byte, b'e' | b'E') };
            if exponent && matches!(self.peek(1), b'+' | b'-') {
                self.at += 2;
            } else if byte == b'.' || NAME[usize::from(byte)] {
                self.at += 1;
            } else {
                return Kind::Number;
            }
        }
    }

    /// `` `name` ``: escapes as in strings. In brackets, so that it can be a value and the argument of a call alike.
    fn hash(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        let mut name = Vec::new();
        loop {
            let from = self.at;
            let found = self.skip_past(|byte| matches!(byte, b'`' | b'\\' | b'\n' | b'\r'));
            let end = if found { self.at - 1 } else { self.at };
            name.extend_from_slice(&self.source[from..end]);
            match self.source.get(end) {
                Some(b'`') => break,
                Some(b'\\') => {
                    if let Err(problem) = self.hash_escape(&mut name) {
                        self.fail(end, problem.into());
                        return Kind::Bad;
                    }
                }
                _ => {
                    let text = shortened(&self.source[start..end]);
                    self.fail(start, format!("unfinished hash near '{text}'; expected '`' on the same line"));
                    return Kind::Bad;
                }
            }
        }
        let breaks = line_breaks(&self.source[start..self.at]);
        self.edits.replace(start..self.at, &[b"(", joaat(&name).to_string().as_bytes(), &breaks, b")"]);
        Kind::Hash
    }

    fn hash_escape(&mut self, name: &mut Vec<u8>) -> Result<(), &'static str> {
        let plain = match self.peek(0) {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' | b'\n' | b'\r' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            byte @ (b'\\' | b'"' | b'\'') => byte,
            b'z' => {
                self.escape();
                return Ok(());
            }
            b'x' => {
                let digits = self.source.get(self.at + 1..self.at + 3).unwrap_or_default();
                let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                name.push(byte.ok_or("hexadecimal digit expected behind '\\x' in a hash")?);
                self.at += 3;
                return Ok(());
            }
            b'0'..=b'9' => {
                let rest = &self.source[self.at..];
                let len = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
                let value =
                    rest[..len].iter().fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
                name.push(u8::try_from(value).map_err(|_| "decimal escape too large in a hash")?);
                self.at += len;
                return Ok(());
            }
            b'u' => return self.hash_code_point(name),
            _ => return Err("invalid escape sequence in a hash; expected one of those of strings"),
        };
        self.escape();
        name.push(plain);
        Ok(())
    }

    /// `\u{XXX}`, up to 2^31 as in Lua.
    fn hash_code_point(&mut self, name: &mut Vec<u8>) -> Result<(), &'static str> {
        const WRONG: &str = "expected '{', hexadecimal digits and '}' behind '\\u' in a hash";
        let rest = self.source[self.at..].strip_prefix(b"u{").ok_or(WRONG)?;
        let len = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let mut value = 0u32;
        for byte in &rest[..len] {
            let digit = char::from(*byte).to_digit(16).unwrap_or(0);
            value = Some(value).filter(|value| *value < 1 << 27).ok_or("UTF-8 value too large in a hash")?
                << 4
                | digit;
        }
        if len == 0 || rest.get(len) != Some(&b'}') {
            return Err(WRONG);
        }
        self.at += len + 3;
        if value < 0x80 {
            name.push(value as u8);
            return Ok(());
        }
        // the lead byte has one bit less room with each byte that follows
        let mut tail = Vec::new();
        let mut room = 0x3f;
        while value > room {
            tail.push(0x80 | (value & 0x3f) as u8);
            value >>= 6;
            room >>= 1;
        }
        name.push(((!room << 1) | value) as u8);
        name.extend(tail.iter().rev());
        Ok(())
    }

    fn fail(&mut self, at: usize, message: String) {
        self.error = Some(Error { line: line_of(self.source, at), message });
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The line breaks in `text`, and nothing else.
fn line_breaks(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| matches!(byte, b'\n' | b'\r')).collect()
}

/// The line of the byte at `at`, from 1, as Lua counts: `\r\n` and `\n\r` are one break.
pub(super) fn line_of(source: &[u8], at: usize) -> u32 {
    let mut line = 1;
    let mut bytes = source[..at.min(source.len())].iter().peekable();
    while let Some(byte) = bytes.next() {
        if matches!(byte, b'\n' | b'\r') {
            line += 1;
            bytes.next_if(|next| matches!(next, b'\n' | b'\r') && *next != byte);
        }
    }
    line
}

/// Some text of a source, fit for a message: of its first line, as much as helps.
pub(super) fn shortened(text: &[u8]) -> String {
    const ROOM: usize = 40;
    let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let room = line.len().min(ROOM);
    let shown = tickscope_core::escape(&line[..room]);
    if text.len() > room { format!("{shown}...") } else { shown.into_owned() }
}

fn word(bytes: &[u8]) -> Kind {
    match bytes {
        b"and" | b"or" => Kind::Binary,
        b"break" => Kind::Break,
        b"do" => Kind::Do,
        b"else" => Kind::Else,
        b"elseif" => Kind::Elseif,
        b"end" => Kind::End,
        b"false" | b"nil" | b"true" => Kind::Constant,
        b"for" => Kind::For,
        b"function" => Kind::Function,
        b"goto" => Kind::Goto,
        b"if" => Kind::If,
        b"in" => Kind::In,
        b"local" => Kind::Local,
        b"not" => Kind::Not,
        b"repeat" => Kind::Repeat,
        b"return" => Kind::Return,
        b"then" => Kind::Then,
        b"until" => Kind::Until,
        b"while" => Kind::While,
        _ => Kind::Name,
    }
}
