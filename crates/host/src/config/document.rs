//! A TOML file as a tree that knows where each key and value stands.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longer files are no configuration.
const MAX_BYTES: u64 = 1 << 20;
/// More mistakes are not told.
const MAX_PROBLEMS: usize = 50;

/// A file that was read.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// As it is told.
    pub(crate) file: PathBuf,
    pub(crate) top: Table,
    text: Vec<u8>,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Keys and values in the file's order.
pub(crate) type Table = Vec<(Key, Value)>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) at: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) at: usize,
    pub(crate) data: Data,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    Text(String),
    Integer(i64),
    Float(f64),
    Switch(bool),
    Array(Vec<Value>),
    Table(Table),
}

/// A mistake, and the byte where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) at: usize,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(at: usize, text: impl Into<String>) -> Self {
        Self { at, text: text.into() }
    }
}

impl Document {
    /// Reads what was opened as `file`.
    ///
    /// # Errors
    /// One line for each mistake.
    pub(crate) fn read(file: &Path, opened: io::Result<File>) -> Result<Self, Vec<String>> {
        let text = text(opened).map_err(|problem| vec![format!("{}: {problem}", file.display())])?;
        Self::parse(file, &text)
    }

    pub(super) fn parse(file: &Path, text: &[u8]) -> Result<Self, Vec<String>> {
        let breaks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let lines = [0].into_iter().chain(breaks).collect();
        let mut document = Self { file: file.to_owned(), top: Table::new(), text: text.to_owned(), lines };
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let problem = Problem::new(error.valid_up_to(), "this is not UTF-8: save the file as UTF-8");
                return Err(document.tell(&[problem]));
            }
        };
        let (top, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            document.top = table(top.get_ref());
            return Ok(document);
        }
        let problem = |error: &toml::de::Error| {
            let span = error.span().unwrap_or(text.len()..text.len());
            let found = text.get(span.clone()).unwrap_or_default();
            Problem::new(span.start, said(error.message(), found))
        };
        Err(document.tell(&errors.iter().map(problem).collect::<Vec<_>>()))
    }

    /// `tickscope.toml:12:3`: lines and characters count from one.
    pub(crate) fn place(&self, at: usize) -> Place<'_> {
        let line = self.lines.partition_point(|begin| *begin <= at).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = String::from_utf8_lossy(self.text.get(begin..at).unwrap_or_default());
        Place { file: &self.file, line, column: before.chars().count() + 1 }
    }

    /// Mistakes as they are told, in the file's order.
    pub(crate) fn tell(&self, problems: &[Problem]) -> Vec<String> {
        let mut problems: Vec<&Problem> = problems.iter().collect();
        problems.sort_by_key(|problem| problem.at);
        let mut told: Vec<String> = problems
            .iter()
            .take(MAX_PROBLEMS)
            .map(|problem| format!("{}: {}", self.place(problem.at), problem.text))
            .collect();
        if problems.len() > MAX_PROBLEMS {
            told.push(format!("{}: {} more mistakes", self.file.display(), problems.len() - MAX_PROBLEMS));
        }
        told
    }
}

/// Where something stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    file: &'a Path,
    line: usize,
    column: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// What the reader of TOML says of `found`, and what to do where it does not tell.
fn said(message: &str, found: &str) -> String {
    match message {
        "duplicate key" => format!(
            "{} is there already, above; one of them has to go, or several sinks of one name are [[sinks.NAME]] each",
            found.escape_debug()
        ),
        _ if message.starts_with("invalid boolean") => format!("{message}; a text stands in quotes"),
        _ => message.to_owned(),
    }
}

/// What is in the file: no more than a configuration has, and nothing that one would wait for.
fn text(opened: io::Result<File>) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("cannot read it: {error}");
    let opened = opened.map_err(cannot)?;
    if !opened.metadata().map_err(cannot)?.is_file() {
        return Err("it is no file".into());
    }
    let mut text = Vec::new();
    opened.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        return Err("it has more than 1 MiB, so it is no configuration".into());
    }
    Ok(text)
}

fn table(found: &DeTable<'_>) -> Table {
    let mut entries: Table = found
        .iter()
        .map(|(key, found)| (Key { name: key.get_ref().to_string(), at: key.span().start }, value(found)))
        .collect();
    entries.sort_by_key(|(key, _)| key.at);
    entries
}

fn value(found: &Spanned<DeValue<'_>>) -> Value {
    let data = match found.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Text(number.to_string()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            // JSON, in which plugins get it, has no other.
            Ok(number) if f64::is_finite(number) => Data::Float(number),
            _ => Data::Text(number.to_string()),
        },
        DeValue::Boolean(on) => Data::Switch(*on),
        DeValue::Datetime(time) => Data::Text(time.to_string()),
        DeValue::Array(values) => Data::Array(values.iter().map(value).collect()),
        DeValue::Table(entries) => Data::Table(table(entries)),
    };
    Value { at: found.span().start, data }
}

impl Value {
    /// What it is, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Text(_) => "a text",
            Data::Integer(_) | Data::Float(_) => "a number",
            Data::Switch(_) => "true or false",
            Data::Array(_) => "a list",
            Data::Table(_) => "a table",
        }
    }

    /// As JSON. Notes where the keys in it stand, named as a plugin's mistakes name them.
    pub(crate) fn json(&self, place: &str, places: &mut BTreeMap<String, usize>) -> serde_json::Value {
        match &self.data {
            Data::Text(text) => text.as_str().into(),
            Data::Integer(number) => (*number).into(),
            Data::Float(number) => (*number).into(),
            Data::Switch(on) => (*on).into(),
            Data::Array(values) => {
                let each = |(index, value): (usize, &Self)| {
                    let place = format!("{place}[{index}]");
                    places.insert(place.clone(), value.at);
                    value.json(&place, places)
                };
                serde_json::Value::Array(values.iter().enumerate().map(each).collect())
            }
            Data::Table(entries) => {
                let each = |(key, value): &(Key, Self)| {
                    let place = format!("{place}.{}", key.name);
                    places.insert(place.clone(), key.at);
                    (key.name.clone(), value.json(&place, places))
                };
                serde_json::Value::Object(entries.iter().map(each).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Document, Vec<String>> {
        Document::parse(Path::new("a.toml"), text)
    }

    #[test]
    fn every_mistake_of_form_is_told_at_its_place() {
        let problems = parse(b"[run]\ndepth = \nbudget = 5ms\n\n[run]\n").unwrap_err();
        assert!(problems.len() >= 3, "{problems:#?}");
        assert!(problems[0].starts_with("a.toml:2:"), "{problems:#?}");
        assert!(problems.iter().any(|problem| problem.starts_with("a.toml:3:")), "{problems:#?}");
        let problems = parse(b"[run]\n# \xff").unwrap_err();
        assert_eq!(problems, ["a.toml:2:3: this is not UTF-8: save the file as UTF-8"]);
        // However deep, however many.
        assert!(parse("a = ".bytes().chain([b'['; 100_000]).collect::<Vec<_>>().as_slice()).is_err());
        assert!(parse("=\n".repeat(1_000).as_bytes()).unwrap_err().len() <= MAX_PROBLEMS + 1);
    }

    #[test]
    fn keys_and_values_know_where_they_stand() {
        let document = parse("[sinks.a]\n  b = [1,\n  2.5]\n".as_bytes()).unwrap();
        let [(sinks, Value { data: Data::Table(sections), .. })] = &document.top[..] else { panic!() };
        assert_eq!((&*sinks.name, document.place(sinks.at).to_string()), ("sinks", "a.toml:1:2".into()));
        let mut places = BTreeMap::new();
        assert_eq!(sections[0].1.json("a", &mut places).to_string(), r#"{"b":[1,2.5]}"#);
        let place = |name: &str| document.place(places[name]).to_string();
        assert_eq!((place("a.b"), place("a.b[1]")), ("a.toml:2:3".into(), "a.toml:3:3".into()));
    }
}
