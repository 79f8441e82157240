//! From what was counted to the report.

use tickscope_core::CategoryId;

use crate::Analyzer;
use crate::analyzer::pending;
use crate::blame::order;
use crate::operations::Moment;
use crate::report::{Accounting, Machine, OpenSpan, Overflow, Report, ResourceStats, SymbolStats};
use crate::stacks::gain;
use crate::symbols::{Resource, Stat};

impl Analyzer {
    /// What is known now; the analyzer goes on. Spans that are open count up to the last sample's time.
    ///
    /// Costs a copy of the analyzer: for a view now and then, not for each batch.
    pub fn report(&self) -> Report {
        self.clone().into_report()
    }

    /// What is known in the end.
    pub fn into_report(mut self) -> Report {
        let open_spans = self.open_spans();
        self.count_open();
        let overflow = Overflow {
            symbols: self.table.other_symbols,
            resources: self.table.other_resources,
            late_ticks: self.ticks.late_omitted,
            operations: self.slow.overflow + self.ticks.culprits_omitted,
            anomalies: self.anomalies.omitted,
            ..self.overflow
        };
        let total = self.accounts.total();
        let mut late_ticks = std::mem::take(&mut self.ticks.late_ticks);
        late_ticks.sort_by_key(|tick| (tick.begin_ns, tick.tick));
        Report {
            budget_ns: self.budget_ns,
            depth: self.depth,
            first_ns: if self.samples == 0 { 0 } else { self.first_ns },
            last_ns: self.last_ns,
            samples: self.samples,
            ticks: self.ticks.table(),
            late_ticks,
            culprits: self.ticks.culprits(),
            slow_operations: self.slow.report(&self.table),
            resources: self.resources(),
            symbols: self.symbols(),
            accounts: Accounting {
                total,
                holds: total.holds(self.account_rings.len() as u64),
                gaps: self.gaps,
                gap_events: self.gap_events,
            },
            machine: Machine { late_ticks: self.ticks.machine_late, ..self.machine },
            anomalies: std::mem::take(&mut self.anomalies).into_rows(),
            open_spans,
            truncated: self.truncated,
            irregular: self.irregular,
            overflow,
        }
    }

    /// The spans that have not ended, outermost first on each track: what runs now, and what is suspended.
    pub fn open_spans(&self) -> Vec<OpenSpan> {
        let mut out = Vec::new();
        for track in self.tracks.live() {
            let hosts = track.thread.map_or(0, |thread| {
                let chain = &self.threads.slab[thread].chain;
                let below = chain.iter().take_while(|host| self.tracks.slab[**host].id != track.id);
                below.map(|host| self.tracks.slab[*host].frames.len()).sum()
            });
            for (depth, frame) in track.frames.iter().enumerate() {
                out.push(OpenSpan {
                    track: track.id.0,
                    kind: self.table.kind(frame.category),
                    symbol: self.table.symbol(frame.slot).clone(),
                    begin_ns: frame.begin_ns,
                    depth: hosts + depth,
                    running: track.running(),
                });
            }
            for wait in &track.waits {
                out.push(OpenSpan {
                    track: track.id.0,
                    kind: self.table.kind(if wait.sleep { CategoryId::SLEEP } else { CategoryId::AWAIT }),
                    symbol: self.table.symbol(wait.slot).clone(),
                    begin_ns: wait.begin_ns,
                    depth: hosts + track.frames.len(),
                    running: false,
                });
            }
        }
        out
    }

    /// Counts what is open up to now: late ticks, operations, time.
    fn count_open(&mut self) {
        let now = self.last_ns;
        for thread in 0..self.threads.slab.len() {
            self.advance(thread, now);
            if let Some(tick) = self.threads.slab[thread].tick {
                self.judge(thread, tick, now, 0, true);
            }
            for (slot, active) in self.threads.slab[thread].active.iter().enumerate() {
                if active.count > 0 {
                    gain(&mut self.table.stats[slot].total_ns, now.saturating_sub(active.since));
                }
            }
        }
        let (threshold, limit) = (self.options.slow_operation_ns, self.options.operations);
        for track in self.tracks.live() {
            for frame in track.frames.iter().filter(|frame| !frame.detached) {
                let stat = &mut self.table.stats[frame.slot as usize];
                gain(&mut stat.self_ns, frame.self_ns);
                stat.is_a(frame.category);
                gain(&mut self.table.resources[frame.resource as usize].cpu_ns, frame.self_ns);
            }
            if let Some(operation) = &track.operation {
                let at = Moment { now, ran: track.ran(now), tick: 0 };
                let pending = pending(track, &self.threads, now, self.budget_ns);
                self.slow.take(operation, at, pending, true, threshold, limit);
            }
        }
    }

    fn resources(&self) -> Vec<ResourceStats> {
        let mut rows: Vec<ResourceStats> = self
            .table
            .resources
            .iter()
            .map(resource_row)
            .filter(|row| *row != ResourceStats { name: row.name.clone(), ..ResourceStats::default() })
            .collect();
        rows.sort_by(|a, b| b.cpu_ns.cmp(&a.cpu_ns).then_with(|| a.name.cmp(&b.name)));
        rows
    }

    fn symbols(&self) -> Vec<SymbolStats> {
        let seen = |stat: &&Stat| {
            stat.count > 0 || stat.sampled > 0 || stat.self_ns > 0 || stat.total_ns > 0 || stat.awaits > 0
        };
        let mut rows: Vec<SymbolStats> =
            self.table.stats.iter().filter(seen).map(|stat| self.symbol_row(stat)).collect();
        rows.sort_by(|a, b| {
            let totals = || b.total_ns.cmp(&a.total_ns);
            b.self_ns.cmp(&a.self_ns).then_with(totals).then_with(|| order(&a.symbol, &b.symbol))
        });
        rows
    }

    fn symbol_row(&self, stat: &Stat) -> SymbolStats {
        let exact = stat.category.is_some();
        let quantile =
            |q| stat.sketch.quantile(q).map(|nanos| nanos.clamp(stat.min_ns, stat.max_ns.max(stat.min_ns)));
        let (self_ns, total_ns, bytes) = if exact {
            // Samples in which the boundary itself was innermost took nothing from it.
            let own = stat.self_ns.saturating_sub(stat.assigned_ns);
            (own, stat.total_ns, stat.self_bytes.max(0) as u64)
        } else {
            let own = stat.sampled_self_ns;
            (own, stat.sampled_total_ns.max(own), stat.sampled_bytes)
        };
        SymbolStats {
            symbol: stat.symbol.clone(),
            kind: self.table.kind(stat.category.unwrap_or(CategoryId::FUNCTION)),
            count: exact.then_some(stat.count),
            self_ns,
            total_ns,
            min_ns: (stat.count > 0).then_some(stat.min_ns),
            max_ns: (stat.count > 0).then_some(stat.max_ns),
            p50_ns: quantile(0.5),
            p95_ns: quantile(0.95),
            p99_ns: quantile(0.99),
            allocated: bytes,
            sampled: stat.sampled,
            errors: stat.errors,
            awaits: stat.awaits,
            awaited_ns: stat.awaited_ns,
            estimated: if exact { stat.assigned_ns > 0 } else { stat.sampled > 0 },
            throughput: stat.work.as_ref().map(|work| work.0),
        }
    }
}

fn resource_row(resource: &Resource) -> ResourceStats {
    let estimated = !resource.exact && resource.sampled_ns > 0;
    ResourceStats {
        name: resource.name.to_string(),
        cpu_ns: if estimated { resource.sampled_ns } else { resource.cpu_ns },
        estimated,
        allocated: if estimated { resource.sampled_bytes } else { resource.bytes.max(0) as u64 },
        gc_measured_ns: resource.gc_measured_ns,
        gc_inferred_ns: resource.gc_inferred_ns,
        gc_count: resource.count(CategoryId::GC),
        events: resource.count(CategoryId::EVENT),
        state_bags: resource.count(CategoryId::STATE_BAG),
        exports: resource.count(CategoryId::EXPORT),
        natives: resource.count(CategoryId::NATIVE),
        threads: resource.count(CategoryId::THREAD),
        timers: resource.count(CategoryId::TIMER),
        commands: resource.count(CategoryId::COMMAND),
        errors: resource.count(CategoryId::ERROR),
        heap_bytes: resource.heap.map(|heap| heap.bytes),
        heap_peak_bytes: resource.heap.map(|heap| heap.peak),
        heap_first_bytes: resource.heap.map(|heap| heap.first),
    }
}
