//! What `lmprof`, the profiler in FXServer's Lua, reports in its modes other than `trace`: who called whom, how often, and what
//! that took, as a Lua table.
//!
//! ```lua
//! return { header = { clockid = "micro", … }, records = { { func = "5c98", parent = "1", name = "pay", time = 38, … }, … } }
//! ```
//!
//! A record is a function under one of its callers; `time` is its own. So each becomes a stack of two functions and that much
//! time: what each function took itself is as it was measured, callers are known one step up. (Source: `lmprof_report.h` and the
//! examples in `docs` of github.com/gottfriedleibniz/lmprof.)

use std::collections::HashMap;

use tickscope_core::{Runtime, SymbolId, SymbolRef, TrackKind, escape};

use crate::build::{Build, Lane};
use crate::import::{Broken, Format, Pieces};

const EXPECTED: &str = "a table of lmprof: `return { header = { … }, records = { … } }`";
/// Tables within tables.
const DEEPEST: usize = 8;

/// Whether it begins as a Lua script that returns a table.
pub(crate) fn fits(bytes: &[u8]) -> bool {
    let mut reader = Reader { bytes, at: 0 };
    reader.word(b"return") && reader.peek() == Some(b'{')
}

pub(crate) fn open(
    bytes: &[u8],
    samples_hz: Option<u32>,
    build: &mut Build,
) -> Result<(Box<dyn Pieces>, Format), Broken> {
    let mut reader = Reader { bytes, at: 0 };
    reader.word(b"return");
    let start = reader.at;
    let report = reader.value(0)?;
    let missing = |what: &str| Broken::new(start, format!("a table without {what}"), EXPECTED);
    let header = report.field("header").ok_or_else(|| missing("`header`"))?;
    let Some(Value::Table(records)) = report.field("records") else { return Err(missing("`records`")) };
    let clock = header.text("clockid");
    // Where only instructions are counted there is no time.
    let counts = !header.is_true("instrument") && header.is_true("sample");
    let each_ns = match (counts, clock) {
        (true, _) => samples_hz.map_or(1.0, |hz| 1e9 / f64::from(hz.max(1))),
        (false, b"nano") => 1.0,
        (false, b"micro") => 1e3,
        (false, clock) => {
            let clock = escape(clock);
            let problem = format!("times in `{clock}`, of which the file does not say how long they are");
            return Err(Broken::new(start, problem, "a report with lmprof's option `micro`"));
        }
    };
    let lane = build.lane(TrackKind::Thread, "main", "", 1);
    let mut symbols: HashMap<&[u8], SymbolId> = HashMap::new();
    for (_, record) in records {
        symbols.entry(record.text("func")).or_insert_with(|| symbol(record, build));
    }
    let stack = |(_, record): &(Option<Vec<u8>>, Value)| {
        let much = if counts { record.number("count") } else { record.number("time") };
        let own = *symbols.get(record.text("func"))?;
        let caller = symbols.get(record.text("parent")).filter(|caller| **caller != own);
        let root = record.text("func") == record.text("parent");
        Some((caller.copied().filter(|_| !root), own, (much.max(0.0) * each_ns) as u64))
    };
    let stacks: Vec<_> = records.iter().filter_map(stack).filter(|(_, _, weight)| *weight > 0).collect();
    Ok((Box::new(Stacks { lane, stacks: stacks.into_iter() }), Format::Lmprof))
}

/// `pay (@shop/server.lua:12)`, `insert [C]`.
fn symbol(record: &Value, build: &mut Build) -> SymbolId {
    let source = String::from_utf8_lossy(record.text("source")).into_owned();
    let name = escape(record.text("name"));
    let place = source.rsplit_once(" (").and_then(|(_, place)| place.strip_suffix(')'));
    let (file, line) = place.and_then(|place| place.rsplit_once(':')).unwrap_or(("", ""));
    let (resource, file) = file.strip_prefix('@').and_then(|file| file.split_once('/')).unwrap_or(("", file));
    build.symbol(SymbolRef {
        runtime: if record.text("what") == b"C" { Runtime::Native } else { Runtime::Lua },
        resource: &escape(resource.as_bytes()),
        name: &name,
        file: &escape(file.as_bytes()),
        line: line.parse().unwrap_or(0),
    })
}

struct Stacks {
    lane: Lane,
    stacks: std::vec::IntoIter<(Option<SymbolId>, SymbolId, u64)>,
}

impl Pieces for Stacks {
    fn next(&mut self, build: &mut Build) -> Result<bool, Broken> {
        let Some((caller, own, weight_ns)) = self.stacks.next() else { return Ok(false) };
        match caller {
            Some(caller) => build.stack(self.lane, &[caller, own], weight_ns),
            None => build.stack(self.lane, &[own], weight_ns),
        }
        Ok(true)
    }
}

enum Value {
    Text(Vec<u8>),
    Number(f64),
    True,
    /// `false` and `nil`.
    Nothing,
    Table(Vec<(Option<Vec<u8>>, Self)>),
}

impl Value {
    fn field(&self, name: &str) -> Option<&Self> {
        let Self::Table(fields) = self else { return None };
        fields.iter().find(|(key, _)| key.as_deref() == Some(name.as_bytes())).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> &[u8] {
        match self.field(name) {
            Some(Self::Text(text)) => text,
            _ => b"",
        }
    }

    fn number(&self, name: &str) -> f64 {
        match self.field(name) {
            Some(Self::Number(number)) => *number,
            _ => 0.0,
        }
    }

    fn is_true(&self, name: &str) -> bool {
        matches!(self.field(name), Some(Self::True))
    }
}

/// Reads the part of Lua that reports are written in: a table of tables, texts, numbers and booleans.
struct Reader<'f> {
    bytes: &'f [u8],
    at: usize,
}

impl Reader<'_> {
    fn broken(&self, problem: &str) -> Broken {
        Broken::new(self.at, problem, EXPECTED)
    }

    /// The next byte that is neither space nor comment.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            if rest.first()?.is_ascii_whitespace() {
                self.at += 1;
            } else if rest.starts_with(b"--") {
                self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else {
                return rest.first().copied();
            }
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &[u8]) -> bool {
        self.peek();
        let found = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, Broken> {
        match self.peek() {
            Some(b'{') if depth < DEEPEST => self.table(depth),
            Some(b'{') => Err(self.broken("tables within tables within tables")),
            Some(b'"' | b'\'') => self.text().map(Value::Text),
            Some(b'-' | b'.' | b'0'..=b'9') => self.number(),
            Some(_) if self.word(b"true") => Ok(Value::True),
            Some(_) if self.word(b"false") || self.word(b"nil") => Ok(Value::Nothing),
            Some(byte) => Err(self.broken(&format!("byte {byte:#04x}"))),
            None => Err(self.broken("the end of the file within the table")),
        }
    }

    fn table(&mut self, depth: usize) -> Result<Value, Broken> {
        self.take(b'{');
        let mut fields = Vec::new();
        while !self.take(b'}') {
            let key = self.key()?;
            fields.push((key, self.value(depth + 1)?));
            if !self.take(b',') && !self.take(b';') && self.peek() != Some(b'}') {
                return Err(self.broken("no comma between two fields"));
            }
        }
        Ok(Value::Table(fields))
    }

    /// `name =` and `["name"] =`; `None` for an element of a list.
    fn key(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        self.peek();
        let start = self.at;
        if self.take(b'[') {
            let key = match self.value(DEEPEST)? {
                Value::Text(text) => Some(text),
                _ => None,
            };
            return match self.take(b']') && self.take(b'=') {
                true => Ok(key),
                false => Err(self.broken("a key without `] =`")),
            };
        }
        let rest = &self.bytes[start..];
        let length = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        let name = &rest[..length.unwrap_or(rest.len())];
        self.at += name.len();
        if !name.is_empty() && self.take(b'=') {
            return Ok(Some(name.to_vec()));
        }
        self.at = start;
        Ok(None)
    }

    fn text(&mut self) -> Result<Vec<u8>, Broken> {
        let quote = self.bytes.get(self.at).copied();
        let mut text = Vec::new();
        loop {
            self.at += 1;
            match self.bytes.get(self.at).copied() {
                None => return Err(self.broken("the end of the file within a text")),
                byte if byte == quote => break,
                Some(b'\\') => {
                    self.at += 1;
                    text.push(match self.bytes.get(self.at).copied() {
                        None => return Err(self.broken("the end of the file within a text")),
                        Some(b'n' | b'\n') => b'\n',
                        Some(b't') => b'\t',
                        Some(b'r') => b'\r',
                        Some(b'0'..=b'9') => self.decimal(),
                        Some(other) => other,
                    });
                }
                Some(byte) => text.push(byte),
            }
        }
        self.at += 1;
        Ok(text)
    }

    /// `\065`, of which it stands at the first digit; stays at the last.
    fn decimal(&mut self) -> u8 {
        let digits = self.bytes[self.at..].iter().take(3).take_while(|byte| byte.is_ascii_digit());
        let (number, count) = digits
            .fold((0_u32, 0), |(number, count), digit| (number * 10 + u32::from(digit - b'0'), count + 1));
        self.at += count - 1;
        number as u8
    }

    fn number(&mut self) -> Result<Value, Broken> {
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let number = std::str::from_utf8(&rest[..length]).ok().and_then(|text| text.parse::<f64>().ok());
        let number = number.ok_or_else(|| self.broken("what is no number"))?;
        self.at += length;
        Ok(Value::Number(number))
    }
}
