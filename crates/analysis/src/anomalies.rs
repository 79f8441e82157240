//! What scripts reported by themselves: moments of category `anomaly`.

use std::fmt::Write;

use tickscope_core::{Arg, ArgValue, Batch, Symbol};

/// Most that are kept; further ones are counted.
const MAX_ANOMALIES: usize = 100;

/// Longest text of details, in bytes.
const MAX_DETAILS: usize = 1_000;

/// Something that a script reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The tick it was reported in; 0 for none.
    pub tick: u64,
    /// When.
    pub time_ns: u64,
    /// What the script called it, its resource, and file and line that reported it.
    pub symbol: Symbol,
    /// What came with it, as `name=value, name=value`.
    pub details: String,
}

/// The first ones, and how many there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Anomalies {
    kept: Vec<Anomaly>,
    pub(crate) omitted: u64,
}

impl Anomalies {
    pub(crate) fn take(&mut self, tick: u64, time_ns: u64, symbol: &Symbol, args: &[Arg], batch: &Batch<'_>) {
        if self.kept.len() >= MAX_ANOMALIES {
            self.omitted += 1;
            return;
        }
        let details = details(args, batch);
        self.kept.push(Anomaly { tick, time_ns, symbol: symbol.clone(), details });
    }

    /// In the order they were reported.
    pub(crate) fn into_rows(mut self) -> Vec<Anomaly> {
        self.kept.sort_by_key(|anomaly| anomaly.time_ns);
        self.kept
    }
}

fn details(args: &[Arg], batch: &Batch<'_>) -> String {
    let mut text = String::new();
    for arg in args {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{}=", batch.dictionary.key(arg.key)); // a String takes everything
        let _ = match arg.value {
            ArgValue::Int(number) => write!(text, "{number}"),
            ArgValue::Uint(number) => write!(text, "{number}"),
            ArgValue::Float(number) => write!(text, "{number}"),
            ArgValue::Bool(truth) => write!(text, "{truth}"),
            ArgValue::Pointer(address) => write!(text, "{address:#x}"),
            ArgValue::Text { .. } => write!(text, "{}", batch.text(arg.value)),
        };
        if text.len() > MAX_DETAILS {
            text.truncate(text.floor_char_boundary(MAX_DETAILS));
            text.push('…');
            break;
        }
    }
    text
}
