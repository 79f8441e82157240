//! Files of other profilers, read as their users would.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fxserver;
mod others;
mod streams;

use tickscope_analysis::{Analyzer, Report};
use tickscope_core::{Account, Event, RecordingSink, SourceError, drain};
use tickscope_import::{Import, Options};

fn import(bytes: &[u8]) -> Result<(RecordingSink, Option<String>), SourceError> {
    let mut import = Import::new("test", bytes.to_vec(), &Options::default())?;
    let mut all = RecordingSink::default();
    drain(&mut import, &mut all)?;
    Ok((all, import.cut().map(str::to_owned)))
}

fn report(bytes: &[u8]) -> Report {
    let mut import = Import::new("test", bytes.to_vec(), &Options::default()).unwrap();
    let mut analyzer = Analyzer::new(Default::default());
    drain(&mut import, &mut analyzer).unwrap();
    analyzer.report()
}

/// Begins and ends as `name(`…`)`, with what is open; instants as `!name`, counters as `name=value`.
fn outline(all: &RecordingSink) -> String {
    let name = |symbol| all.dictionary.symbol(symbol).name.to_string();
    let mut out = String::new();
    for sample in &all.samples {
        match sample.event {
            Event::Begin(begin) => out += &format!("{}(", name(begin.symbol)),
            Event::End(end) => {
                let outcome =
                    if end.outcome == tickscope_core::Outcome::Ok { "" } else { end.outcome.name() };
                out += &format!("{outcome})");
            }
            Event::Instant { symbol, .. } => out += &format!("!{}", name(symbol)),
            Event::Counter { symbol, value } => out += &format!("{}={value:?}", name(symbol)),
            _ => {}
        }
    }
    out
}

fn account(all: &RecordingSink) -> Account {
    let mut sum = Account::default();
    for sample in &all.samples {
        if let Event::Account(account) = sample.event {
            sum.attempted += account.attempted;
            sum.committed += account.committed;
            sum.delivered += account.delivered;
            sum.discarded += account.discarded;
        }
    }
    sum
}
