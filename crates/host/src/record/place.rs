//! Where the processes of one recording leave their sessions: a folder in memory that only its owner can read.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tickscope_core::Metadata;
use tickscope_session::{Collector, OpenError};

use super::watch::{self, NewFiles, Watch};

/// What every such folder is called, before the number of the process that collects.
const PREFIX: &str = "tickscope-";
/// What a session file is called: `PID.WHEN.session`; and what the agent says of a process: `PID.note`.
const SESSION: &str = "session";
const NOTE: &str = "note";
/// What the agent says in any case: `PID.say`.
const SAY: &str = "say";

/// The folder; it goes with its owner.
pub(crate) struct Place {
    folder: PathBuf,
    new_files: NewFiles,
    seen: Mutex<HashSet<PathBuf>>,
}

/// A session that has just appeared.
pub(super) struct Found {
    path: PathBuf,
}

impl Found {
    pub(super) fn open(&self, metadata: Metadata) -> Result<Collector, OpenError> {
        Collector::open(&self.path, metadata)
    }
}

impl Drop for Found {
    /// A session that nobody collects any more is only memory that is taken.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Place {
    /// A new folder, after those of recordings that died were removed.
    pub(crate) fn new() -> Result<Self> {
        sweep();
        let folder = root().join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).with_context(|| {
            format!("cannot make the folder {} for the program's records", folder.display())
        })?;
        let new_files = NewFiles::of(&folder);
        Ok(Self { folder, new_files, seen: Mutex::default() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until there may be a new session, or one of `processes` ends; at most for `at_most`, and some 50 ms.
    pub(super) fn wait<'a>(&'a self, processes: impl IntoIterator<Item = &'a Watch>, at_most: Duration) {
        watch::wait(&self.new_files, processes, at_most);
    }

    /// Lets the user of a process write here.
    pub(super) fn give_to(&self, pid: u32) -> Result<()> {
        let process =
            fs::metadata(format!("/proc/{pid}")).with_context(|| format!("process {pid} has ended"))?;
        let folder = self.folder.display();
        let own = fs::metadata(&self.folder).with_context(|| format!("cannot read {folder}"))?;
        if (process.uid(), process.gid()) != (own.uid(), own.gid()) {
            std::os::unix::fs::chown(&self.folder, Some(process.uid()), Some(process.gid()))
                .with_context(|| format!("cannot give {folder} to user {}", process.uid()))?;
        }
        Ok(())
    }

    /// Sessions that were not there before.
    pub(super) fn new_sessions(&self) -> Result<Vec<Found>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for path in self.files(SESSION)? {
            if seen.insert(path.clone()) {
                new.push(Found { path });
            }
        }
        Ok(new)
    }

    /// What the agents said of processes without a session.
    pub(super) fn why_nothing(&self) -> String {
        let notes = self.texts(NOTE);
        if notes.is_empty() {
            return "the agent was not loaded; a static or set-uid program takes no LD_PRELOAD".into();
        }
        notes.join("; ")
    }

    /// What the agents have to say of processes that record.
    pub(super) fn says(&self) -> Vec<String> {
        self.texts(SAY)
    }

    /// Each once, sorted.
    fn texts(&self, extension: &str) -> Vec<String> {
        let files = self.files(extension).unwrap_or_default();
        let texts = files.iter().filter_map(|path| fs::read_to_string(path).ok());
        let texts: BTreeSet<String> = texts.map(|text| text.trim().to_owned()).collect();
        texts.into_iter().collect()
    }

    fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let entries =
            fs::read_dir(&self.folder).with_context(|| format!("cannot read {}", self.folder.display()))?;
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        files.sort();
        Ok(files)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where folders are made: in memory, where there is such a place.
fn root() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

/// The folders of this user, each with the number of the process that made it.
pub(crate) fn folders() -> Vec<(u32, PathBuf)> {
    let me = fs::metadata("/proc/self").map(|metadata| metadata.uid()).ok();
    let entries = fs::read_dir(root()).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
            let metadata = fs::symlink_metadata(entry.path()).ok()?;
            (metadata.is_dir() && Some(metadata.uid()) == me).then(|| (pid, entry.path()))
        })
        .collect()
}

/// Removes what collectors that died left of a process that records elsewhere now.
pub(super) fn forget(pid: u32) {
    let begins = format!("{pid}.");
    for (collector, folder) in folders() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !runs(collector) && name.as_encoded_bytes().starts_with(begins.as_bytes()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    sweep();
}

/// Removes folders of ours whose collector and whose recording processes are gone: they hold memory.
fn sweep() {
    for (pid, folder) in folders() {
        if !runs(pid) && !recording(&folder) {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

/// Whether a process that records into `folder` runs.
fn recording(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|extension| extension == SESSION)
            && path
                .file_stem()
                .and_then(|stem| stem.to_str()?.split('.').next()?.parse().ok())
                .is_some_and(runs)
    })
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
