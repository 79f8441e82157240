//! Posts as the resource makes them, and as it does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reports;
mod streams;

use tickscope_analysis::{Analyzer, Report};
use tickscope_collect::{Collector, PostError, Taken};
use tickscope_core::{Event, RecordingSink, Sink};

const MS: u64 = 1_000_000;

/// A post of the run `65a1`, made at `now_ms`.
fn post(number: u64, now_ms: u64, lines: &str) -> String {
    of_run("65a1", number, now_ms, lines)
}

fn of_run(run: &str, number: u64, now_ms: u64, lines: &str) -> String {
    format!("tickscope 1\nfrom {run} {number}\nclock {} 1764147600\nlate 100\n{lines}over\n", now_ms * MS)
}

/// `slices` and its four lines, of (start, length, symbol, life, cause) in milliseconds.
fn slices(rows: &[(u64, u64, u64, u64, u64)]) -> String {
    let column = |of: fn(&(u64, u64, u64, u64, u64)) -> u64| {
        rows.iter().map(|row| of(row).to_string()).collect::<Vec<_>>().join(" ")
    };
    let columns = [column(|r| r.0 * MS), column(|r| r.1 * MS), column(|r| r.3 << 16 | r.2), column(|r| r.4)];
    format!("slices\n{}\n", columns.join("\n"))
}

/// Takes posts at the server's time.
struct Posting {
    collector: Collector,
    all: RecordingSink,
}

impl Posting {
    fn new() -> Self {
        Self { collector: Collector::new(), all: RecordingSink::default() }
    }

    fn post(&mut self, text: &str, now_ms: u64) -> Result<Taken, PostError> {
        let taken = self.collector.post(text.as_bytes(), now_ms * MS);
        self.collector.drain(&mut self.all).unwrap();
        taken
    }

    #[track_caller]
    fn taken(mut self, texts: &[(&str, u64)]) -> Self {
        for (text, now_ms) in texts {
            assert_eq!(self.post(text, *now_ms), Ok(Taken::New), "{text}");
        }
        self
    }

    fn end(mut self) -> (RecordingSink, Collector) {
        self.collector.finish();
        self.collector.drain(&mut self.all).unwrap();
        (self.all, self.collector)
    }

    fn report(self) -> Report {
        let (all, collector) = self.end();
        let mut analyzer = Analyzer::new(Default::default());
        analyzer.open(collector.metadata().unwrap()).unwrap();
        analyzer.batch(&all.as_batch()).unwrap();
        analyzer.finish().unwrap();
        analyzer.report()
    }
}

/// Spans as `name(`…`)`, links as `→`, counters as `name=value`.
fn outline(all: &RecordingSink) -> String {
    let name = |symbol| all.dictionary.symbol(symbol).name.to_string();
    let mut out = String::new();
    for sample in &all.samples {
        match sample.event {
            Event::Begin(begin) => {
                out += if begin.link.is_some() { "→" } else { "" };
                out += &format!("{}(", name(begin.symbol));
            }
            Event::End(_) => out += ")",
            Event::Instant { symbol, .. } => out += &format!("!{}", name(symbol)),
            Event::Counter { symbol, value } => out += &format!("{}={value:?}", name(symbol)),
            Event::Gap { events } => out += &format!("-{events}"),
            _ => {}
        }
    }
    out
}
