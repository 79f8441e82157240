//! One row per sample, as RFC 4180 has it: for spreadsheets and data frames.
//!
//! Fields are quoted where they must be, lines end in CR LF. A text cell that a spreadsheet would take for a formula
//! (it begins with `=`, `+`, `-`, `@`, tab or carriage return) gets an apostrophe in front; cells that hold numbers
//! only are left alone.
//!
//! The last column holds what has no column of its own, as one JSON object: arguments, an account's numbers.

use std::io::Write;

use tickscope_core::{
    ArgRange, Batch, CategoryId, CounterValue, Event, Flow, Metadata, Sample, Sink, SinkError, SymbolId,
    TrackId,
};

use crate::json;
use crate::output::Output;

/// The columns, in their order.
pub const COLUMNS: [&str; 19] = [
    "time_ns",
    "ring",
    "track",
    "track_name",
    "event",
    "span",
    "parent",
    "category",
    "runtime",
    "resource",
    "name",
    "file",
    "line",
    "duration_ns",
    "outcome",
    "bytes",
    "value",
    "link",
    "args",
];

/// Writes comma-separated values.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut csv = Vec::new();
/// let example = conformance::example();
/// let mut writer = tickscope_export::csv::Writer::new(&mut csv);
/// writer.open(&example.metadata)?;
/// writer.batch(&example.as_batch())?;
/// writer.finish()?;
/// drop(writer);
/// assert!(csv.starts_with(b"time_ns,ring,track,track_name,event,"));
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    out: Output<W>,
    row: Row,
    json: Vec<u8>,
    headed: bool,
}

/// The cells of a row behind the event's name; emptied after each.
#[derive(Debug, Default)]
struct Row {
    span: u64,
    parent: u64,
    category: Option<CategoryId>,
    symbol: Option<SymbolId>,
    duration_ns: Option<u64>,
    outcome: &'static str,
    bytes: Option<u64>,
    value: Option<CounterValue>,
    link: u64,
}

impl<W: Write> Writer<W> {
    /// A writer to `writer`.
    pub fn new(writer: W) -> Self {
        Self { out: Output::new("CSV", writer), row: Row::default(), json: Vec::new(), headed: false }
    }

    fn head(&mut self) {
        self.headed = true;
        self.out.bytes.extend_from_slice(COLUMNS.join(",").as_bytes());
        self.out.bytes.extend_from_slice(b"\r\n");
    }

    fn sample(&mut self, batch: &Batch<'_>, sample: &Sample) {
        self.row = Row::default();
        self.json.clear();
        let row = &mut self.row;
        let mut args = ArgRange::NONE;
        let event = match sample.event {
            Event::Begin(begin) => {
                (row.span, row.parent) = (begin.span.raw(), begin.parent.map_or(0, |parent| parent.raw()));
                (row.symbol, row.category) = (Some(begin.symbol), Some(begin.category));
                row.link = begin.link.map_or(0, |link| link.source.raw());
                if let Some(link) = begin.link {
                    json::key(&mut self.json, "link");
                    json::text(&mut self.json, link.kind.name());
                }
                args = begin.args;
                "begin"
            }
            Event::End(end) => {
                (row.span, row.symbol, row.outcome) = (end.span.raw(), Some(end.symbol), end.outcome.name());
                row.duration_ns = Some(sample.time_ns.saturating_sub(end.begin_ns));
                row.bytes = Some(u64::from(end.bytes));
                args = end.args;
                "end"
            }
            Event::Instant { symbol, category, args: range, .. } => {
                (row.symbol, row.category) = (Some(symbol), Some(category));
                args = range;
                "instant"
            }
            Event::Counter { symbol, value } => {
                (row.symbol, row.value) = (Some(symbol), Some(value));
                "counter"
            }
            Event::Resume { host } => {
                json::key(&mut self.json, "host");
                json::digits(&mut self.json, u64::from(host.0));
                "resume"
            }
            Event::Suspend { host, reason } => {
                row.outcome = reason.name();
                json::key(&mut self.json, "host");
                json::digits(&mut self.json, u64::from(host.0));
                "suspend"
            }
            Event::LinkPoint { id, span } => {
                (row.link, row.span) = (id.raw(), span.map_or(0, |span| span.raw()));
                "link"
            }
            Event::Stack { stack, weight } => {
                (row.duration_ns, row.bytes) = (Some(weight.time_ns), Some(weight.bytes));
                json::key(&mut self.json, "stack");
                stack_text(&mut self.json, batch, stack);
                row.symbol = batch.dictionary.frames(stack).next().map(|node| node.symbol);
                "stack"
            }
            Event::Gap { events } => {
                json::key(&mut self.json, "events");
                json::uint(&mut self.json, events);
                "gap"
            }
            Event::Account(account) => {
                for (key, value) in [
                    ("attempted", account.attempted),
                    ("committed", account.committed),
                    ("delivered", account.delivered),
                    ("overwritten", account.overwritten),
                    ("discarded", account.discarded),
                    ("dropped", account.dropped),
                ] {
                    json::key(&mut self.json, key);
                    json::uint(&mut self.json, value);
                }
                "account"
            }
        };
        json::args(&mut self.json, batch, args);
        self.write_row(batch, sample, event);
    }

    fn write_row(&mut self, batch: &Batch<'_>, sample: &Sample, event: &str) {
        let (out, row) = (&mut self.out.bytes, &self.row);
        let track = TrackId(sample.track.0);
        json::digits(out, sample.time_ns);
        number(out, Some(u64::from(sample.ring.0)));
        number(out, Some(u64::from(track.0)));
        cell(out, &batch.dictionary.track(track).name);
        cell(out, event);
        number(out, Some(row.span).filter(|id| *id != 0));
        number(out, Some(row.parent).filter(|id| *id != 0));
        cell(out, row.category.map_or("", |id| &batch.dictionary.category(id).name));
        match row.symbol {
            Some(symbol) => {
                let symbol = batch.dictionary.symbol(symbol);
                cell(out, symbol.runtime.name());
                cell(out, &symbol.resource);
                cell(out, &symbol.name);
                cell(out, &symbol.file);
                number(out, Some(u64::from(symbol.line)).filter(|line| *line != 0));
            }
            None => out.extend_from_slice(b",,,,,"),
        }
        number(out, row.duration_ns);
        cell(out, row.outcome);
        number(out, row.bytes);
        out.push(b',');
        match row.value {
            Some(CounterValue::Int(value)) => out.extend_from_slice(value.to_string().as_bytes()),
            Some(CounterValue::Float(value)) if value.is_finite() => json::float(out, value),
            _ => {}
        }
        number(out, Some(row.link).filter(|id| *id != 0));
        if let Some(first) = self.json.first_mut() {
            *first = b'{'; // in place of the comma before the first key
            self.json.push(b'}');
        }
        cell(out, std::str::from_utf8(&self.json).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the frames of a stack as one string, outermost first.
pub(crate) fn stack_text(out: &mut Vec<u8>, batch: &Batch<'_>, stack: tickscope_core::StackId) {
    let mut names: Vec<&str> =
        batch.dictionary.frames(stack).map(|node| &*batch.dictionary.symbol(node.symbol).name).collect();
    names.reverse();
    json::text(out, &names.join(";"));
}

fn number(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(b',');
    if let Some(value) = value {
        json::digits(out, value);
    }
}

/// A text cell, with the comma before it.
fn cell(out: &mut Vec<u8>, text: &str) {
    out.push(b',');
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !text.contains([',', '"', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, _: &Metadata) -> Result<(), SinkError> {
        self.head();
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        if !self.headed {
            self.head();
        }
        for sample in batch.samples {
            self.sample(batch, sample);
            self.out.settle()?;
        }
        Ok(Flow::Continue)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut out = Vec::new();
        cell(&mut out, text);
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    }

    #[test]
    fn cells_are_quoted_and_formulas_defused() {
        check("plain", ",plain");
        check("a,b", ",\"a,b\"");
        check("say \"hi\"", ",\"say \"\"hi\"\"\"");
        check("=HYPERLINK(\"x\")", ",\"'=HYPERLINK(\"\"x\"\")\"");
        check("@res/file.lua", ",\"'@res/file.lua\"");
        check("-1+cmd", ",\"'-1+cmd\"");
        check("two\nlines", ",\"two\nlines\"");
    }
}
