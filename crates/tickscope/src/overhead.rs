//! What recording costs the program that is recorded.

use std::fmt;
use std::time::Duration;

use tickscope_core::{Account, Overhead, Stopwatch};
use tickscope_session::Collector;

/// The recording's own operations: how often, how long, and what share of one core they took.
#[derive(Clone, Debug)]
pub struct OverheadReport {
    /// How long the recording has been going on.
    pub elapsed: Duration,
    /// Where the events went.
    pub account: Account,
    /// Collecting, exporting, naming, and the cost of one recorded span.
    pub operations: Overhead,
    /// Capturing the stacks of errors.
    pub backtraces: Stopwatch,
    /// What head sampling decided; none where it is off.
    pub sampled: Option<Sampled>,
    /// Time all of this took, as a share of one core since the start: recording in the program's threads, collecting
    /// and exporting in the collector's.
    pub share: f64,
}

/// What head sampling decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// Roots that were recorded.
    pub kept: u64,
    /// Roots the rate decided against.
    pub sampled_out: u64,
    /// Roots the limit decided against.
    pub limited: u64,
    /// Spans and moments below those roots that were not recorded. None of them counts as attempted or dropped.
    pub skipped: u64,
    /// The rate now in force.
    pub rate: f64,
}

impl fmt::Display for OverheadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { attempted, delivered, overwritten, discarded, dropped, .. } = self.account;
        writeln!(f, "recorded for {:.1?}, {:.3} % of one core", self.elapsed, self.share * 100.0)?;
        writeln!(
            f,
            "events: {attempted} attempted, {delivered} delivered, {dropped} dropped, {overwritten} overwritten, {discarded} discarded"
        )?;
        if let Some(Sampled { kept, sampled_out, limited, skipped, rate }) = self.sampled {
            writeln!(
                f,
                "roots: {kept} kept, {sampled_out} sampled out, {limited} over the limit ({skipped} events below them), rate {rate}"
            )?;
        }
        writeln!(f, "one span: {:.1} ns", self.operations.pair_ns)?;
        writeln!(
            f,
            "{:<11}{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}",
            "", "count", "total", "mean", "50 %", "99 %", "max"
        )?;
        let operations = [
            ("collect", &self.operations.collect),
            ("export", &self.operations.export),
            ("name", &self.operations.intern),
            ("backtrace", &self.backtraces),
        ];
        for (name, watch) in operations {
            let show = |time: Option<Duration>| time.map_or("-".to_owned(), |time| format!("{time:.1?}"));
            writeln!(
                f,
                "{name:<11}{:>9}{:>12}{:>12}{:>12}{:>12}{:>12}",
                watch.count(),
                show(Some(watch.total())),
                show(watch.mean()),
                show(watch.quantile(0.5)),
                show(watch.quantile(0.99)),
                show(Some(watch.max())),
            )?;
        }
        Ok(())
    }
}

/// The newest figures, and those of the look before.
#[derive(Debug)]
pub(crate) struct Watch {
    now: Figures,
    before: Figures,
    account: Account,
    operations: Overhead,
}

/// Time spent and time passed since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    cost_ns: f64,
    elapsed: Duration,
}

impl Watch {
    pub(crate) fn new(collector: &Collector) -> Self {
        Self {
            now: Figures::default(),
            before: Figures::default(),
            account: collector.account(),
            operations: collector.overhead(),
        }
    }

    pub(crate) fn update(&mut self, account: Account, operations: Overhead, elapsed: Duration) {
        // A begin and an end are two events.
        let recording_ns = account.attempted as f64 * 0.5 * operations.pair_ns;
        let collecting = operations.collect.total() + operations.export.total();
        let cost_ns = recording_ns + collecting.as_nanos() as f64;
        (self.before, self.now) = (self.now, Figures { cost_ns, elapsed });
        (self.account, self.operations) = (account, operations);
    }

    /// Share of one core between the last two looks.
    pub(crate) fn recent_share(&self) -> f64 {
        share(self.now.cost_ns - self.before.cost_ns, self.now.elapsed.saturating_sub(self.before.elapsed))
    }

    pub(crate) fn report(
        &self,
        elapsed: Duration,
        sampled: Option<Sampled>,
        backtraces: Stopwatch,
    ) -> OverheadReport {
        let (account, operations) = (self.account, self.operations.clone());
        let share = share(self.now.cost_ns + backtraces.total().as_nanos() as f64, elapsed);
        OverheadReport { elapsed, account, operations, backtraces, sampled, share }
    }
}

fn share(cost_ns: f64, elapsed: Duration) -> f64 {
    let elapsed_ns = elapsed.as_nanos() as f64;
    if elapsed_ns > 0.0 { cost_ns / elapsed_ns } else { 0.0 }
}
