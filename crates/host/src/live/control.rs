//! What others may ask of a recording: how it goes, and another depth for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tickscope_core::{Account, Depth};
use tickscope_session::{Collector, Observer};

use super::snapshot::Snapshot;
use crate::recording::SharedAnalyzer;

/// Shared by the recording's threads.
#[derive(Clone)]
pub(crate) struct Control(Arc<Shared>);

struct Shared {
    subject: String,
    began: Instant,
    depth: Mutex<Chosen>,
    watched: Mutex<Vec<Weak<Watched>>>,
}

/// The depth, and when it ends.
struct Chosen {
    depth: Depth,
    /// When, and what is in force then.
    until: Option<(Instant, Depth)>,
}

/// One process that records.
struct Watched {
    analyzer: SharedAnalyzer,
    account: Mutex<Account>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    pub(crate) fn new(subject: String, depth: Depth) -> Self {
        Self(Arc::new(Shared {
            subject,
            began: Instant::now(),
            depth: Mutex::new(Chosen { depth, until: None }),
            watched: Mutex::default(),
        }))
    }

    /// The depth that is wanted now.
    pub(crate) fn depth(&self) -> Depth {
        let mut chosen = lock(&self.0.depth);
        if let Some((until, then)) = chosen.until
            && Instant::now() >= until
        {
            *chosen = Chosen { depth: then, until: None };
        }
        chosen.depth
    }

    /// Records at `depth` from now on; with `for_`, at what was in force before when that time is over.
    pub(crate) fn choose(&self, depth: Depth, for_: Option<Duration>) {
        let now = self.depth();
        let mut chosen = lock(&self.0.depth);
        // A visit within a visit goes back to where the first one does.
        let back = chosen.until.map_or(now, |(_, then)| then);
        let until = for_.and_then(|time| Instant::now().checked_add(time)).map(|until| (until, back));
        *chosen = Chosen { depth, until };
    }

    /// What the pump of one process calls: the process follows the depth, and is part of snapshots until it ends.
    pub(crate) fn observe(&self, analyzer: SharedAnalyzer) -> Observer {
        let watched = Arc::new(Watched { analyzer, account: Mutex::default() });
        lock(&self.0.watched).push(Arc::downgrade(&watched));
        let control = self.clone();
        Box::new(move |collector: &Collector| {
            collector.want_depth(control.depth());
            *lock(&watched.account) = collector.account();
        })
    }

    /// How it goes.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            subject: self.0.subject.clone(),
            depth: self.depth().name().to_owned(),
            elapsed_ns: u64::try_from(self.0.began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            ..Snapshot::default()
        };
        let watched: Vec<Arc<Watched>> = {
            let mut all = lock(&self.0.watched);
            all.retain(|watched| watched.strong_count() > 0);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        for process in watched {
            let account = *lock(&process.account);
            snapshot.events += account.delivered;
            snapshot.dropped += account.dropped;
            snapshot.add(&process.analyzer.with(|analyzer| analyzer.report()));
        }
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_for_a_while_ends_by_itself() {
        let control = Control::new("x".into(), Depth::Sample);
        control.choose(Depth::Trace, Some(Duration::from_secs(3600)));
        assert_eq!(control.depth(), Depth::Trace);
        // asked again before the first is over: back to what was there at first
        control.choose(Depth::Boundary, Some(Duration::ZERO));
        assert_eq!(control.depth(), Depth::Sample);
        control.choose(Depth::Trace, None);
        assert_eq!(control.depth(), Depth::Trace);
    }
}
