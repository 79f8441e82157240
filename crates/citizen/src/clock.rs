//! The time scripts see.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2026-01-01 00:00:00 UTC: where virtual time begins.
const VIRTUAL_EPOCH_S: u64 = 1_767_225_600;

/// A server's clock: real, or advancing only from tick to tick.
pub(crate) struct GameClock {
    started: Instant,
    epoch: Duration,
    /// Virtual time since the start; `None` when time is real.
    virtual_now: Option<Cell<Duration>>,
    real_nanotime: bool,
    last_delta: Cell<Duration>,
}

impl GameClock {
    pub(crate) fn new(virtual_time: bool, real_nanotime: bool) -> Self {
        let epoch = if virtual_time {
            Duration::from_secs(VIRTUAL_EPOCH_S)
        } else {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
        };
        Self {
            started: Instant::now(),
            epoch,
            virtual_now: virtual_time.then(Cell::default),
            real_nanotime,
            last_delta: Cell::default(),
        }
    }

    /// One tick goes by, where time is virtual.
    pub(crate) fn advance(&self, interval: Duration) {
        if let Some(now) = &self.virtual_now {
            now.set(now.get() + interval);
        }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.virtual_now.is_some()
    }

    /// Since the server started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.virtual_now.as_ref().map_or_else(|| self.started.elapsed(), Cell::get)
    }

    /// Whether scripts may see how long something took by the machine's time.
    pub(crate) fn is_measured(&self) -> bool {
        self.real_nanotime || !self.is_virtual()
    }

    /// What scripts measure with: the machine's time where that was asked for.
    pub(crate) fn measured(&self) -> Duration {
        if self.real_nanotime { self.started.elapsed() } else { self.elapsed() }
    }

    /// What `GetGameTimer` gives.
    pub(crate) fn millis(&self) -> u64 {
        self.elapsed().as_millis() as u64
    }

    /// Since 1970 UTC.
    pub(crate) fn unix(&self) -> Duration {
        self.epoch + self.elapsed()
    }

    /// Since this was asked last.
    pub(crate) fn delta(&self) -> Duration {
        let now = self.elapsed();
        now.saturating_sub(self.last_delta.replace(now))
    }
}
