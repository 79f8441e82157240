//! What recording needs of the machine.

use std::fs;
use std::path::Path;

use super::Finding;
use crate::present::text::bytes;
use crate::record;

/// One recorded process may use so much shared memory.
const PER_PROCESS: u64 = 80 << 20;
/// Since when pages of a file can be had before they are written to (`MADV_POPULATE_WRITE`).
const KERNEL: (u32, u32) = (5, 14);

pub(super) fn look() -> Vec<Finding> {
    let mut findings = vec![agent(), memory(), attaching()];
    findings.extend([kernel(), clock(), preloaded()].into_iter().flatten());
    findings
}

fn agent() -> Finding {
    match record::agent() {
        Ok(path) => Finding::good(format!("the agent is {}", path.display())),
        Err(error) => {
            Finding::bad(format!("{error:#}"), "`tickscope record` needs it; `run` and `report` do not")
        }
    }
}

fn memory() -> Finding {
    let shared = Path::new("/dev/shm");
    let Ok(space) = rustix::fs::statvfs(shared) else {
        return Finding::note(
            "there is no /dev/shm",
            "records go through files in the folder for temporary files, which may be slow: mount a tmpfs there",
        );
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < PER_PROCESS {
        return Finding::bad(
            format!("/dev/shm has room for {}", bytes(free)),
            format!("a process may need {}; in a container: --shm-size=512m", bytes(PER_PROCESS)),
        );
    }
    Finding::good(format!("/dev/shm has room for {}: {} processes", bytes(free), free / PER_PROCESS))
}

/// Yama's switch: who may trace whom.
pub(super) fn scope() -> Option<u32> {
    fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?.trim().parse().ok()
}

fn attaching() -> Finding {
    let root = rustix::process::geteuid().is_root();
    match scope() {
        None | Some(0) => Finding::good("processes of this user can be attached to"),
        Some(1 | 2) if root => Finding::good("processes can be attached to, by root"),
        Some(1) => Finding::note(
            "the system lets only root attach to processes that run (ptrace_scope is 1)",
            "start the program with `tickscope record -- …`, or attach with sudo",
        ),
        Some(scope) => Finding::note(
            format!("the system forbids attaching to processes that run (ptrace_scope is {scope})"),
            "start the program with `tickscope record -- …`",
        ),
    }
}

fn kernel() -> Option<Finding> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let release = release.trim();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map_while(|number| number.parse().ok());
    let version: (u32, u32) = (numbers.next()?, numbers.next()?);
    (version < KERNEL).then(|| {
        Finding::bad(
            format!("Linux is {release}, and `record` needs {}.{} or newer", KERNEL.0, KERNEL.1),
            "`run` and `report` work",
        )
    })
}

fn clock() -> Option<Finding> {
    let flags = fs::read_to_string("/proc/cpuinfo").ok()?;
    let flags = flags.lines().find(|line| line.starts_with("flags"))?;
    let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
    Some(if has("constant_tsc") && has("nonstop_tsc") {
        Finding::good("the time stamp counter is steady: reading the clock takes some 10 ns")
    } else {
        Finding::note(
            "the time stamp counter is not steady here",
            "the system's clock is read instead: traced calls cost about twice as much",
        )
    })
}

fn preloaded() -> Option<Finding> {
    let others = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty())?;
    Some(Finding::note(
        format!("LD_PRELOAD is {} already", others.display()),
        "both are loaded, the agent first; if the program misbehaves, try without the other",
    ))
}
