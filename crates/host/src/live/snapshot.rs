//! What a recording has come to so far, in numbers that can be subtracted.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tickscope_analysis::Report;

/// Totals since the recording began. Times are nanoseconds, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// What is recorded.
    pub(crate) subject: String,
    /// The depth in force.
    pub(crate) depth: String,
    /// Processes that record now.
    pub(crate) processes: usize,
    /// How long it has been recorded.
    pub(crate) elapsed_ns: u64,
    pub(crate) events: u64,
    pub(crate) dropped: u64,
    pub(crate) work: Work,
    pub(crate) resources: Vec<Resource>,
    pub(crate) functions: Vec<Function>,
}

/// What the program does over and over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// `ticks`, or `calls` of scripts by a program that has no ticks.
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) total_ns: u64,
    /// Ticks over their budget.
    pub(crate) late: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) cpu_ns: u64,
    pub(crate) allocated: u64,
    pub(crate) gc_ns: u64,
    pub(crate) collections: u64,
    pub(crate) errors: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub(crate) resource: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// `file:line`, where known.
    pub(crate) place: String,
    pub(crate) calls: u64,
    pub(crate) self_ns: u64,
    pub(crate) total_ns: u64,
    pub(crate) allocated: u64,
}

impl Snapshot {
    /// Adds what one process has come to.
    pub(crate) fn add(&mut self, report: &Report) {
        self.processes += 1;
        let entries = report.symbols.iter().filter(|symbol| symbol.kind == "entry");
        let (name, count, total_ns) = match report.ticks.count {
            0 => entries.fold(("calls", 0, 0), |(name, count, total), entry| {
                (name, count + entry.count.unwrap_or(0), total + entry.total_ns)
            }),
            count => ("ticks", count, report.ticks.total_ns),
        };
        self.work.name = name.to_owned();
        self.work.count += count;
        self.work.total_ns += total_ns;
        self.work.late += report.ticks.late;
        merge(
            &mut self.resources,
            report.resources.iter().map(Resource::of),
            |one| one.name.clone(),
            Resource::add,
        );
        merge(
            &mut self.functions,
            report
                .symbols
                .iter()
                .filter(|symbol| symbol.self_ns > 0 || symbol.total_ns > 0)
                .map(Function::of),
            Function::key,
            Function::add,
        );
    }

    /// What happened after `before`, a snapshot of the same recording. Rows in which nothing did are left out.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut rest = self.clone();
        rest.elapsed_ns = self.elapsed_ns.saturating_sub(before.elapsed_ns);
        rest.events = self.events.saturating_sub(before.events);
        rest.dropped = self.dropped.saturating_sub(before.dropped);
        let (work, old) = (&mut rest.work, &before.work);
        work.count = work.count.saturating_sub(old.count);
        work.total_ns = work.total_ns.saturating_sub(old.total_ns);
        work.late = work.late.saturating_sub(old.late);
        let old: HashMap<_, _> = before.resources.iter().map(|one| (&one.name, one)).collect();
        for one in &mut rest.resources {
            if let Some(old) = old.get(&one.name) {
                one.subtract(old);
            }
        }
        rest.resources.retain(|one| one.cpu_ns > 0 || one.allocated > 0);
        let old: HashMap<_, _> = before.functions.iter().map(|one| (one.key(), one)).collect();
        for one in &mut rest.functions {
            if let Some(old) = old.get(&one.key()) {
                one.subtract(old);
            }
        }
        rest.functions.retain(|one| one.self_ns > 0 || one.total_ns > 0);
        rest
    }
}

/// Adds `new` rows to those of the same key in `rows`.
fn merge<T, K: std::hash::Hash + Eq>(
    rows: &mut Vec<T>,
    new: impl Iterator<Item = T>,
    key: impl Fn(&T) -> K,
    add: impl Fn(&mut T, &T),
) {
    let mut places: HashMap<K, usize> = rows.iter().map(&key).zip(0..).collect();
    for row in new {
        match places.get(&key(&row)) {
            Some(place) => add(&mut rows[*place], &row),
            None => {
                places.insert(key(&row), rows.len());
                rows.push(row);
            }
        }
    }
}

impl Resource {
    fn of(stats: &tickscope_analysis::ResourceStats) -> Self {
        Self {
            name: stats.name.clone(),
            cpu_ns: stats.cpu_ns,
            allocated: stats.allocated,
            gc_ns: stats.gc_measured_ns + stats.gc_inferred_ns,
            collections: stats.gc_count,
            errors: stats.errors,
        }
    }

    fn add(&mut self, other: &Self) {
        self.cpu_ns += other.cpu_ns;
        self.allocated += other.allocated;
        self.gc_ns += other.gc_ns;
        self.collections += other.collections;
        self.errors += other.errors;
    }

    fn subtract(&mut self, old: &Self) {
        self.cpu_ns = self.cpu_ns.saturating_sub(old.cpu_ns);
        self.allocated = self.allocated.saturating_sub(old.allocated);
        self.gc_ns = self.gc_ns.saturating_sub(old.gc_ns);
        self.collections = self.collections.saturating_sub(old.collections);
        self.errors = self.errors.saturating_sub(old.errors);
    }
}

impl Function {
    fn of(stats: &tickscope_analysis::SymbolStats) -> Self {
        let symbol = &stats.symbol;
        let place = match (symbol.file.is_empty(), symbol.line) {
            (true, _) => String::new(),
            (false, 0) => symbol.file.to_string(),
            (false, line) => format!("{}:{line}", symbol.file),
        };
        Self {
            resource: symbol.resource.to_string(),
            kind: stats.kind.clone(),
            name: symbol.name.to_string(),
            place,
            calls: stats.count.unwrap_or(0),
            self_ns: stats.self_ns,
            total_ns: stats.total_ns,
            allocated: stats.allocated,
        }
    }

    fn key(&self) -> [String; 4] {
        [&self.resource, &self.kind, &self.name, &self.place].map(String::clone)
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.self_ns += other.self_ns;
        self.total_ns += other.total_ns;
        self.allocated += other.allocated;
    }

    fn subtract(&mut self, old: &Self) {
        self.calls = self.calls.saturating_sub(old.calls);
        self.self_ns = self.self_ns.saturating_sub(old.self_ns);
        self.total_ns = self.total_ns.saturating_sub(old.total_ns);
        self.allocated = self.allocated.saturating_sub(old.allocated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, self_ns: u64, calls: u64) -> Function {
        Function { name: name.into(), self_ns, total_ns: self_ns, calls, ..Function::default() }
    }

    #[test]
    fn what_happened_between_two_snapshots() {
        let before = Snapshot {
            elapsed_ns: 100,
            functions: vec![function("old", 10, 1), function("idle", 5, 5)],
            ..Snapshot::default()
        };
        let after = Snapshot {
            elapsed_ns: 150,
            functions: vec![function("idle", 5, 5), function("new", 7, 2), function("old", 40, 4)],
            ..Snapshot::default()
        };
        let between = after.since(&before);
        assert_eq!(between.elapsed_ns, 50);
        assert_eq!(between.functions, [function("new", 7, 2), function("old", 30, 3)]);
    }

    #[test]
    fn processes_add_up() {
        let mut rows = vec![function("a", 1, 1)];
        merge(
            &mut rows,
            [function("b", 2, 2), function("a", 3, 3)].into_iter(),
            Function::key,
            Function::add,
        );
        assert_eq!(rows, [function("a", 4, 4), function("b", 2, 2)]);
    }
}
