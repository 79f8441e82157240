//! Ends what hangs, so that the test which waits for it fails by its name and the others run on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

/// A program that a test runs.
const PROGRAM: Duration = Duration::from_secs(6 * 60);
/// A binary of tests.
const TESTS: Duration = Duration::from_secs(25 * 60);
const ROUND: Duration = Duration::from_secs(15);
/// Of the kernel's clock, in which `/proc` tells when a process started; the same on all machines that Linux runs on.
const TICKS_A_SECOND: u64 = 100;

/// Looks every few seconds at the processes that descend from this one. Linux; elsewhere nothing is ended.
pub fn watch() {
    thread::spawn(|| {
        loop {
            thread::sleep(ROUND);
            let processes = processes(Path::new("/proc"));
            for (pid, age) in overdue(&processes, std::process::id(), PROGRAM, TESTS) {
                println!("overdue: {} s: {}", age.as_secs(), story(pid));
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
    });
}

struct Process {
    parent: u32,
    age: Duration,
    program: PathBuf,
}

fn processes(proc: &Path) -> HashMap<u32, Process> {
    let uptime = fs::read_to_string(proc.join("uptime")).unwrap_or_default();
    let uptime = uptime.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let Ok(entries) = fs::read_dir(proc) else { return HashMap::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| Some((pid, process(&proc.join(pid.to_string()), uptime)?))).collect()
}

fn process(folder: &Path, uptime: u64) -> Option<Process> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // After the name, which may hold anything: state, parent, and 17 fields on the start (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let started = fields.get(19)?.parse::<u64>().ok()? / TICKS_A_SECOND;
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        age: Duration::from_secs(uptime.saturating_sub(started)),
        program: fs::read_link(folder.join("exe")).unwrap_or_default(),
    })
}

/// Cargo keeps binaries of tests, and nothing else that runs for long, in folders of this name.
fn is_tests(process: &Process) -> bool {
    process.program.parent().is_some_and(|folder| folder.ends_with("deps"))
}

/// What descends from `root` and has run too long.
fn overdue(
    processes: &HashMap<u32, Process>,
    root: u32,
    program: Duration,
    tests: Duration,
) -> Vec<(u32, Duration)> {
    let limit = |pid: u32| {
        let mut limit = is_tests(processes.get(&pid)?).then_some(tests);
        let mut above = processes.get(&pid)?.parent;
        while above != root {
            let process = processes.get(&above)?;
            limit = if is_tests(process) { Some(program) } else { limit };
            above = process.parent;
        }
        limit
    };
    let late = |(pid, process): (&u32, &Process)| (process.age > limit(*pid)?).then_some((*pid, process.age));
    processes.iter().filter_map(late).collect()
}

/// What is known of where a process stands.
fn story(pid: u32) -> String {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let words = fs::read(folder.join("cmdline")).unwrap_or_default();
    let mut story = String::from_utf8_lossy(&words).replace('\0', " ");
    for task in fs::read_dir(folder.join("task")).into_iter().flatten().flatten() {
        let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        story += &format!("\n  thread {} waits in {}", read("comm").trim(), read("wchan").trim());
    }
    story
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_runs_is_late_before_the_tests_are() {
        let process = |parent, age, program: &str| Process {
            parent,
            age: Duration::from_secs(age),
            program: program.into(),
        };
        let processes = HashMap::from([
            (1, process(0, 9_000, "/sbin/init")),
            (10, process(1, 900, "/t/debug/xtask")),
            (11, process(10, 900, "/bin/cargo")),
            (12, process(11, 800, "/t/debug/deps/it-1")),
            (13, process(12, 500, "/t/debug/tickscope")),
            (14, process(13, 500, "/bin/mono")),
            (15, process(12, 5, "/bin/lua")),
            (16, process(1, 900, "/t/debug/deps/of-another")),
        ]);
        let late = |program, tests| -> Vec<u32> {
            let late = overdue(&processes, 10, Duration::from_secs(program), Duration::from_secs(tests));
            let mut pids: Vec<u32> = late.into_iter().map(|(pid, _)| pid).collect();
            pids.sort_unstable();
            pids
        };
        assert!(late(600, 1_000).is_empty());
        assert_eq!(late(360, 1_000), [13, 14]);
        assert_eq!(late(600, 700), [12]);
    }

    #[test]
    fn this_process_is_known() {
        let processes = processes(Path::new("/proc"));
        if let Some(own) = processes.get(&std::process::id()) {
            assert!(is_tests(own), "{}", own.program.display());
            assert!(own.age < Duration::from_secs(3_600));
        } else {
            println!("skipped: there is no /proc");
        }
    }
}
