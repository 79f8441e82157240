//! A line that tells how a run is going, on terminals only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::present::text::time;

/// The line, redrawn a few times a second.
pub(crate) struct Progress {
    on: bool,
    total: Option<u64>,
    drawn: Instant,
    late: u64,
    worst: Duration,
    budget: Duration,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>, budget: Duration) -> Self {
        let on = std::io::stderr().is_terminal();
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now);
        Self { on, total, drawn: long_ago, late: 0, worst: Duration::ZERO, budget }
    }

    /// One more tick was played.
    pub(crate) fn tick(&mut self, number: u64, took: Duration) {
        self.late += u64::from(took > self.budget);
        self.worst = self.worst.max(took);
        if self.on && self.drawn.elapsed() > Duration::from_millis(200) {
            self.drawn = Instant::now();
            let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
            let worst = time(self.worst.as_nanos() as u64);
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[Ktick {number}{total}, {} late, longest {worst}",
                self.late
            );
            let _ = std::io::stderr().flush(); // a terminal that is gone needs no progress
        }
    }

    /// Wipes the line, before other output.
    pub(crate) fn clear(&mut self) {
        if self.on {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// A line of any text, redrawn a few times a second on terminals.
pub(crate) struct Line {
    on: bool,
    drawn: Instant,
}

impl Line {
    pub(crate) fn new() -> Self {
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now);
        Self { on: std::io::stderr().is_terminal(), drawn: long_ago }
    }

    /// Draws it if that is due.
    pub(crate) fn draw(&mut self, text: impl FnOnce() -> String) {
        if self.on && self.drawn.elapsed() > Duration::from_millis(200) {
            self.drawn = Instant::now();
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", text());
            let _ = std::io::stderr().flush(); // a terminal that is gone needs no progress
        }
    }

    /// Wipes it, before other output.
    pub(crate) fn clear(&mut self) {
        if self.on {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
