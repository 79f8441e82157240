//! Ticks in numbers, and the late ones with their causes.

use std::cmp::Reverse;
use std::collections::HashMap;

use tickscope_core::Symbol;

use crate::report::{Blame, Culprit, LateTick, TickTable, WorstTick};
use crate::{Options, Sketch};

/// Running totals of ticks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticks {
    count: u64,
    late: u64,
    total_ns: u64,
    min_ns: u64,
    max_ns: u64,
    sketch: Sketch,
    worst: Vec<WorstTick>,
    pub late_ticks: Vec<LateTick>,
    pub late_omitted: u64,
    culprits: HashMap<Symbol, Culprit>,
    pub culprits_omitted: u64,
    pub machine_late: u64,
}

impl Ticks {
    /// A tick ended, or one that is late already is looked at.
    pub fn take(&mut self, tick: u64, begin_ns: u64, duration_ns: u64, options: &Options) {
        self.min_ns = if self.count == 0 { duration_ns } else { self.min_ns.min(duration_ns) };
        self.max_ns = self.max_ns.max(duration_ns);
        self.count += 1;
        self.total_ns = self.total_ns.saturating_add(duration_ns);
        self.sketch.add(duration_ns);
        let order = |worst: &WorstTick| (Reverse(worst.duration_ns), worst.begin_ns, worst.tick);
        let this = WorstTick { tick, begin_ns, duration_ns };
        let place = self.worst.partition_point(|worst| order(worst) <= order(&this));
        if place < options.worst_ticks {
            self.worst.insert(place, this);
            self.worst.truncate(options.worst_ticks);
        }
    }

    /// A late tick was judged.
    pub fn late(&mut self, tick: LateTick, options: &Options) {
        self.late += 1;
        self.machine_late += u64::from(tick.blame == Blame::Machine);
        for (index, chain) in tick.chains.iter().enumerate() {
            let Some(culprit) = chain.culprit() else { continue };
            let seen =
                |chain: &crate::Chain| chain.culprit().is_some_and(|other| other.symbol == culprit.symbol);
            if tick.chains[..index].iter().any(seen) {
                continue;
            }
            if self.culprits.len() >= options.operations && !self.culprits.contains_key(&culprit.symbol) {
                self.culprits_omitted += 1;
                continue;
            }
            let entry = self.culprits.entry(culprit.symbol.clone()).or_insert_with(|| Culprit {
                kind: culprit.kind.clone(),
                symbol: culprit.symbol.clone(),
                ticks: 0,
                total_ns: 0,
                worst_ns: 0,
                worst_tick: 0,
            });
            entry.ticks += 1;
            entry.total_ns = entry.total_ns.saturating_add(culprit.total_ns);
            if culprit.total_ns > entry.worst_ns {
                (entry.worst_ns, entry.worst_tick) = (culprit.total_ns, tick.tick);
            }
        }
        self.late_ticks.push(tick);
        if self.late_ticks.len() > options.late_ticks {
            let shortest = self
                .late_ticks
                .iter()
                .enumerate()
                .min_by_key(|(_, tick)| (tick.duration_ns, Reverse(tick.begin_ns)))
                .map(|(index, _)| index);
            if let Some(index) = shortest {
                self.late_ticks.swap_remove(index);
                self.late_omitted += 1;
            }
        }
    }

    pub fn table(&self) -> TickTable {
        // The exact ends are known: no estimate lies outside of them.
        let quantile = |q| self.sketch.quantile(q).unwrap_or(0).clamp(self.min_ns, self.max_ns);
        TickTable {
            count: self.count,
            late: self.late,
            total_ns: self.total_ns,
            min_ns: self.min_ns,
            max_ns: self.max_ns,
            p50_ns: quantile(0.5),
            p95_ns: quantile(0.95),
            p99_ns: quantile(0.99),
            worst: self.worst.clone(),
        }
    }

    pub fn culprits(&self) -> Vec<Culprit> {
        let mut rows: Vec<Culprit> = self.culprits.values().cloned().collect();
        rows.sort_by(|a, b| {
            b.total_ns.cmp(&a.total_ns).then_with(|| crate::blame::order(&a.symbol, &b.symbol))
        });
        rows
    }
}
