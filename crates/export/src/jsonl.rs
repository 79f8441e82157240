//! JSON lines: everything a recording holds, one object per line, names in place of ids.
//!
//! The first line has `"type":"metadata"`, the last `"type":"end"`. Each other line is a sample: `type`, `time_ns`,
//! `ring`, `track` (number and name), and the fields of its kind. Whole numbers beyond 2^53 are strings, what is no
//! number is `null`. Span ids are strings in hexadecimal.

use std::io::Write;

use tickscope_core::{
    ArgRange, Batch, CounterValue, Event, Flow, Metadata, Sample, Scope, Sink, SinkError, SpanId, SymbolId,
    TrackId,
};

use crate::json;
use crate::output::Output;

/// Writes JSON lines.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut lines = Vec::new();
/// let example = conformance::example();
/// let mut writer = tickscope_export::jsonl::Writer::new(&mut lines);
/// writer.open(&example.metadata)?;
/// writer.batch(&example.as_batch())?;
/// writer.finish()?;
/// drop(writer);
/// assert!(lines.starts_with(b"{\"type\":\"metadata\",\"schema\":1,"));
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    out: Output<W>,
    samples: u64,
}

impl<W: Write> Writer<W> {
    /// A writer to `writer`.
    pub fn new(writer: W) -> Self {
        Self { out: Output::new("JSON lines", writer), samples: 0 }
    }

    fn sample(&mut self, batch: &Batch<'_>, sample: &Sample) {
        self.samples += 1;
        let out = &mut self.out.bytes;
        let kind = match sample.event {
            Event::Begin(_) => "begin",
            Event::End(_) => "end",
            Event::Instant { .. } => "instant",
            Event::Counter { .. } => "counter",
            Event::Resume { .. } => "resume",
            Event::Suspend { .. } => "suspend",
            Event::LinkPoint { .. } => "link",
            Event::Stack { .. } => "stack",
            Event::Gap { .. } => "gap",
            Event::Account(_) => "account",
        };
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"time_ns\":");
        json::uint(out, sample.time_ns);
        json::key(out, "ring");
        json::digits(out, u64::from(sample.ring.0));
        track(out, batch, "track", sample.track);
        match sample.event {
            Event::Begin(begin) => {
                span(out, "span", Some(begin.span));
                span(out, "parent", begin.parent);
                json::key(out, "category");
                json::text(out, &batch.dictionary.category(begin.category).name);
                symbol(out, batch, begin.symbol);
                if let Some(link) = begin.link {
                    json::key(out, "link");
                    out.extend_from_slice(b"{\"kind\":");
                    json::text(out, link.kind.name());
                    span(out, "source", Some(link.source));
                    out.push(b'}');
                }
                args(out, batch, begin.args);
            }
            Event::End(end) => {
                span(out, "span", Some(end.span));
                symbol(out, batch, end.symbol);
                json::key(out, "duration_ns");
                json::uint(out, sample.time_ns.saturating_sub(end.begin_ns));
                json::key(out, "outcome");
                json::text(out, end.outcome.name());
                json::key(out, "bytes");
                json::digits(out, u64::from(end.bytes));
                args(out, batch, end.args);
            }
            Event::Instant { symbol: id, category, scope, args: range } => {
                json::key(out, "category");
                json::text(out, &batch.dictionary.category(category).name);
                json::key(out, "scope");
                json::text(
                    out,
                    match scope {
                        Scope::Track => "track",
                        Scope::Process => "process",
                        Scope::Global => "global",
                    },
                );
                symbol(out, batch, id);
                args(out, batch, range);
            }
            Event::Counter { symbol: id, value } => {
                symbol(out, batch, id);
                json::key(out, "value");
                match value {
                    CounterValue::Int(value) => json::int(out, value),
                    CounterValue::Float(value) => json::float(out, value),
                }
            }
            Event::Resume { host } => track(out, batch, "host", host),
            Event::Suspend { host, reason } => {
                track(out, batch, "host", host);
                json::key(out, "reason");
                json::text(out, reason.name());
            }
            Event::LinkPoint { id, span: around } => {
                span(out, "id", Some(id));
                span(out, "span", around);
            }
            Event::Stack { stack, weight } => {
                json::key(out, "weight_ns");
                json::uint(out, weight.time_ns);
                json::key(out, "bytes");
                json::uint(out, weight.bytes);
                json::key(out, "frames");
                out.push(b'[');
                for (at, node) in batch.dictionary.frames(stack).enumerate() {
                    out.extend_from_slice(if at == 0 { b"{\"line\":" } else { b",{\"line\":" });
                    json::digits(out, u64::from(node.line));
                    symbol(out, batch, node.symbol);
                    out.push(b'}');
                }
                out.push(b']');
            }
            Event::Gap { events } => {
                json::key(out, "events");
                json::uint(out, events);
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
                    json::key(out, key);
                    json::uint(out, value);
                }
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

fn span(out: &mut Vec<u8>, key: &str, id: Option<SpanId>) {
    let Some(id) = id else { return };
    json::key(out, key);
    out.extend_from_slice(format!("\"{:#x}\"", id.raw()).as_bytes());
}

fn track(out: &mut Vec<u8>, batch: &Batch<'_>, key: &str, id: TrackId) {
    json::key(out, key);
    out.extend_from_slice(b"{\"id\":");
    json::digits(out, u64::from(id.0));
    let known = batch.dictionary.track(id);
    json::key(out, "kind");
    json::text(out, known.kind.name());
    json::key(out, "name");
    json::text(out, &known.name);
    out.push(b'}');
}

fn symbol(out: &mut Vec<u8>, batch: &Batch<'_>, id: SymbolId) {
    let known = batch.dictionary.symbol(id);
    json::key(out, "name");
    json::text(out, &known.name);
    json::key(out, "runtime");
    json::text(out, known.runtime.name());
    json::key(out, "resource");
    json::text(out, &known.resource);
    json::key(out, "file");
    json::text(out, &known.file);
    json::key(out, "defined");
    json::digits(out, u64::from(known.line));
}

fn args(out: &mut Vec<u8>, batch: &Batch<'_>, range: ArgRange) {
    if range.is_empty() {
        return;
    }
    json::key(out, "args");
    let start = out.len();
    json::args(out, batch, range);
    if let Some(first) = out.get_mut(start) {
        *first = b'{'; // in place of the comma before the first key
        out.push(b'}');
    } else {
        out.extend_from_slice(b"{}");
    }
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        let out = &mut self.out.bytes;
        out.extend_from_slice(b"{\"type\":\"metadata\",\"schema\":");
        json::digits(out, u64::from(metadata.schema));
        for (key, value) in [
            ("producer", metadata.producer.as_str()),
            ("subject", &metadata.subject),
            ("depth", metadata.depth.name()),
            ("clock", &metadata.clock.source),
        ] {
            json::key(out, key);
            json::text(out, value);
        }
        for (key, value) in [
            ("budget_ns", metadata.budget_ns),
            ("pid", u64::from(metadata.pid)),
            ("start_ns", metadata.start_ns),
            ("start_unix_ns", metadata.start_unix_ns),
            ("clock_error_ns", metadata.clock.error_ns),
        ] {
            json::key(out, key);
            json::uint(out, value);
        }
        json::key(out, "facts");
        out.push(b'[');
        for (at, (name, value)) in metadata.facts.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"[" } else { b",[" });
            json::text(out, name);
            out.push(b',');
            json::text(out, value);
            out.push(b']');
        }
        out.extend_from_slice(b"]}\n");
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        for sample in batch.samples {
            self.sample(batch, sample);
            self.out.settle()?;
        }
        Ok(Flow::Continue)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.out.bytes.extend_from_slice(b"{\"type\":\"tick\",\"end_ns\":");
        json::uint(&mut self.out.bytes, end_ns);
        self.out.bytes.extend_from_slice(b"}\n");
        Ok(Flow::Continue)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.bytes.extend_from_slice(b"{\"type\":\"end\",\"samples\":");
        json::uint(&mut self.out.bytes, self.samples);
        self.out.bytes.extend_from_slice(b"}\n");
        self.out.flush()
    }
}
