//! Recordings whose `tickscope` is gone while the program that is recorded runs on.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{SessionFile, folders, session_files};
use crate::record::running;

/// One of them: a folder that nobody collects from, and the processes that record into it, the first to begin first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(super) folder: PathBuf,
    /// The `tickscope` that made it.
    pub(crate) collector: u32,
    pub(crate) processes: Vec<u32>,
}

impl Lost {
    fn has(&self, pid: u32) -> bool {
        self.processes.contains(&pid)
    }
}

/// All that there are, of this user.
pub(crate) fn all() -> Vec<Lost> {
    let mut all: Vec<Lost> = folders()
        .into_iter()
        .filter(|folder| folder.collector().is_none())
        .map(|folder| {
            let mut processes: Vec<u32> = Vec::new();
            let sessions = session_files(&folder.path);
            for pid in sessions.iter().filter(|session| session.is_recording()).map(SessionFile::pid) {
                if !processes.contains(&pid) {
                    processes.push(pid);
                }
            }
            Lost { folder: folder.path, collector: folder.maker, processes }
        })
        .filter(|lost| !lost.processes.is_empty())
        .collect();
    all.sort_by_key(|lost| lost.collector);
    all
}

/// The one that process `pid` is recorded by, or that process `pid` collected; without, the only one there is.
///
/// # Errors
/// When it cannot be told which, with those that there are.
pub(crate) fn choose(pid: Option<u32>) -> Result<Lost> {
    among(all(), pid)
}

fn among(all: Vec<Lost>, pid: Option<u32>) -> Result<Lost> {
    let listed = match all.len() {
        0 => "none is left without its tickscope".to_owned(),
        _ => format!("left without their tickscope are: {}", list(&all)),
    };
    let Some(pid) = pid else {
        return match <[Lost; 1]>::try_from(all) {
            Ok([only]) => Ok(only),
            Err(all) if all.is_empty() => {
                bail!(
                    "there is no recording to go on with: {listed}; to record a program that runs: --pid PID"
                )
            }
            Err(_) => bail!("several recordings can go on; choose a process with --attach PID; {listed}"),
        };
    };
    if let Some(found) = all.into_iter().find(|lost| lost.has(pid) || lost.collector == pid) {
        return Ok(found);
    }
    if let Some(collector) = super::collector_of(pid) {
        bail!("process {pid} is recorded by process {collector}, which runs; end that first");
    }
    bail!("process {pid} has no recording to go on with; {listed}; to record it from now on: --pid {pid}")
}

fn list(all: &[Lost]) -> String {
    let named = |pid: &u32| format!("{pid} ({})", running::name(*pid).display());
    all.iter().filter_map(|lost| lost.processes.first()).map(named).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(collector: u32, processes: &[u32]) -> Lost {
        Lost { folder: PathBuf::from("/x"), collector, processes: processes.to_vec() }
    }

    #[test]
    fn one_is_chosen_or_all_are_told() {
        let two = || vec![lost(10, &[0x7fff_fff0, 0x7fff_fff1]), lost(20, &[0x7fff_fff2])];
        let error = |all, pid| among(all, pid).unwrap_err().to_string();
        assert_eq!(among(vec![lost(10, &[11])], None).unwrap().collector, 10);
        assert_eq!(among(two(), Some(0x7fff_fff1)).unwrap().collector, 10);
        assert_eq!(among(two(), Some(20)).unwrap().collector, 20);
        assert!(error(Vec::new(), None).starts_with("there is no recording to go on with"));
        let several = error(two(), None);
        assert!(several.contains("--attach PID") && several.contains("2147483632 (process-2147483632)"));
        let another = error(two(), Some(0x7fff_fff5));
        assert!(another.contains("has no recording") && another.contains("2147483634"), "{another}");
    }
}
