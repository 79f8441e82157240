//! Whether a process runs, and since when.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Whether a process runs; one that has ended and waits for its parent does not.
pub(crate) fn runs(pid: u32) -> bool {
    field(pid, STATE).is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Whether a process has certainly ended: files that cannot be opened now tell nothing.
pub(super) fn has_ended(pid: u32) -> bool {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let gone = raw.is_none_or(|raw| test_kill_process(raw) == Err(Errno::SRCH));
    gone || field(pid, STATE).is_some_and(|state| state.starts_with(['Z', 'X']))
}

/// Whether process `pid` runs, and is no other that was given the number of one that had it at `then`.
pub(super) fn has_run_since(pid: u32, then: SystemTime) -> bool {
    runs(pid) && began(pid).is_none_or(|began| began <= then + DOUBT)
}

/// What a process's program is called.
pub(super) fn name(pid: u32) -> OsString {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    exe.file_name().map_or_else(|| format!("process-{pid}").into(), OsStr::to_owned)
}

/// The clock may have been set since the system started; its start is known to the second.
const DOUBT: Duration = Duration::from_secs(10);

/// The number here of the process that is `pid` in a namespace. `None` when it has ended, or may not be looked at.
pub(super) fn here(pid: u32, namespace: Option<u64>) -> Option<u32> {
    let of = |process: &str| Some(fs::metadata(format!("/proc/{process}/ns/pid")).ok()?.ino());
    if namespace.is_none() || of("self").is_none_or(|own| Some(own) == namespace) {
        return Some(pid);
    }
    let is_it = |process: &str| {
        let there = || {
            let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            // Its number in each namespace from ours on.
            status
                .lines()
                .find_map(|line| line.strip_prefix("NSpid:"))?
                .split_whitespace()
                .next_back()?
                .parse()
                .ok()
        };
        of(process) == namespace && there() == Some(pid)
    };
    let all = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.find(|number| is_it(&number.to_string()))
}

/// Fields of `/proc/PID/stat` behind the name, from 0.
const STATE: usize = 0;
const START: usize = 19;
/// Of a second: the unit of times there.
const TICKS: u64 = 100;

fn field(pid: u32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name may contain anything, and stands in brackets.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(index).map(str::to_owned)
}

fn began(pid: u32) -> Option<SystemTime> {
    let after: u64 = field(pid, START)?.parse().ok()?;
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())?;
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(boot) + Duration::from_millis(after * 1000 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_since_now_and_not_since_long_ago() {
        let me = std::process::id();
        assert!(runs(me) && has_run_since(me, SystemTime::now()));
        assert!(!has_run_since(me, SystemTime::now() - Duration::from_secs(24 * 3600)));
        assert!(!runs(0x7fff_fffe));
        assert!(!has_ended(me) && has_ended(0x7fff_fffe) && has_ended(u32::MAX));
    }
}
