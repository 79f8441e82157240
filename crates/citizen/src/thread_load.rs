//! What the machine did to the main thread: time it waited for a processor, and switches it did not ask for.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Counters of the calling thread, read from `/proc`. Both are 0 where there is no such file.
pub(crate) struct ThreadLoad {
    schedstat: Option<File>,
    status: Option<File>,
    buffer: [u8; 4096],
}

/// A reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Nanoseconds the thread was ready to run but did not.
    pub run_delay_ns: u64,
    /// Context switches that were forced on it.
    pub involuntary: u64,
}

impl Load {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            run_delay_ns: self.run_delay_ns.saturating_sub(earlier.run_delay_ns),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }
}

impl ThreadLoad {
    /// Opens the calling thread's files; they stay those of this thread.
    pub(crate) fn of_this_thread() -> Self {
        let open = |name| File::open(format!("/proc/thread-self/{name}")).ok();
        Self { schedstat: open("schedstat"), status: open("status"), buffer: [0; 4096] }
    }

    /// The counters now: two reads, some microseconds.
    pub(crate) fn read(&mut self) -> Load {
        let Self { schedstat, status, buffer } = self;
        let mut text = |file: &Option<File>| {
            let len = file.as_ref().and_then(|file| file.read_at(buffer, 0).ok()).unwrap_or(0);
            String::from_utf8_lossy(&buffer[..len]).into_owned()
        };
        let run_delay_ns =
            text(schedstat).split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0);
        let involuntary = text(status)
            .lines()
            .find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))
            .and_then(|field| field.trim().parse().ok())
            .unwrap_or(0);
        Load { run_delay_ns, involuntary }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn counters_of_a_thread_only_grow() {
        let mut load = ThreadLoad::of_this_thread();
        assert!(load.schedstat.is_some() && load.status.is_some());
        let before = load.read();
        let after = load.read();
        assert!(after.run_delay_ns >= before.run_delay_ns && after.involuntary >= before.involuntary);
        assert_eq!(
            Load { run_delay_ns: 1, involuntary: 0 }.since(Load { run_delay_ns: 3, involuntary: 2 }),
            Load::default()
        );
    }
}
