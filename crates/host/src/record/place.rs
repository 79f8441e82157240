//! Where the processes of one recording leave their sessions: a folder in memory that only its owner can read.
//!
//! The folder is called after the process that made it, and holds the sessions (`PID.WHEN.session`), what the agents
//! said, the socket, and the file that tells who collects (`owner.rs`). When that one dies, the processes record on into
//! rings that nobody drains, and another may take the folder over (`lost.rs`). It goes when none of them is left.

pub(crate) mod lost;
mod owner;

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tickscope_core::Metadata;
use tickscope_session::{Collector, OpenError};

use super::running::{has_run_since, name, runs};
use super::watch::{self, NewFiles, Watch};
use crate::present::text::bytes;
use lost::Lost;
use owner::Owner;

/// What every such folder is called, before the number of the process that collects.
const PREFIX: &str = "tickscope-";
/// What a session file is called: `PID.WHEN.session`; and what the agent says of a process: `PID.note`.
const SESSION: &str = "session";
const NOTE: &str = "note";
/// In a note: there is a Lua.
const RAN_NOTHING: &str = "ran nothing";
/// What the agent says in any case: `PID.say`.
const SAY: &str = "say";

/// Bytes of a text that are shown.
const LONGEST_TEXT: u64 = 16 << 10;

/// What one thread's records take, with what a process has once.
const PER_THREAD: u64 = 5 << 20;

/// The folder. It goes with its owner, but for what [`Place::leave`] leaves to the next.
pub(crate) struct Place {
    folder: PathBuf,
    new_files: NewFiles,
    seen: Mutex<HashSet<PathBuf>>,
    left: bool,
    _owner: Owner,
}

/// A session that has just appeared.
pub(super) struct Found {
    path: PathBuf,
    left: bool,
}

impl Found {
    pub(super) fn open(&self, metadata: Metadata) -> Result<Collector, OpenError> {
        Collector::open(&self.path, metadata)
    }

    /// Somebody may go on with it.
    pub(super) fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Found {
    /// A session that nobody collects any more is only memory that is taken.
    fn drop(&mut self) {
        if !self.left {
            let _ = fs::remove_file(&self.path);
        }
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
        let owner = Owner::new(&folder).inspect_err(|_| {
            let _ = fs::remove_dir_all(&folder);
        })?;
        Ok(Self::of(folder, owner))
    }

    /// The folder of a recording whose collector is gone, with all that its processes left and leave there.
    pub(super) fn take_over(lost: &Lost) -> Result<Self> {
        let owner = Owner::after_another(&lost.folder)?;
        Ok(Self::of(lost.folder.clone(), owner))
    }

    fn of(folder: PathBuf, owner: Owner) -> Self {
        let new_files = NewFiles::of(&folder);
        Self { folder, new_files, seen: Mutex::default(), left: false, _owner: owner }
    }

    /// Leaves it to the next one when processes that record are left.
    pub(super) fn leave(mut self) {
        self.left = recording(&self.folder);
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
        fs::metadata(&self.folder).with_context(|| format!("cannot read {}", self.folder.display()))?;
        for SessionFile { path, .. } in session_files(&self.folder) {
            if seen.insert(path.clone()) {
                new.push(Found { path, left: false });
            }
        }
        Ok(new)
    }

    /// What the agents said of processes without a session.
    pub(super) fn why_nothing(&self) -> String {
        let space = rustix::fs::statvfs(&self.folder);
        let free = space.map_or(u64::MAX, |space| space.f_bavail.saturating_mul(space.f_frsize));
        if free < PER_THREAD {
            return format!(
                "{} has no room left but {}, and records take {} and more; in a container: --shm-size=512m",
                root().display(),
                bytes(free),
                bytes(PER_THREAD)
            );
        }
        if !self.folder.exists() {
            return format!("{} was removed while the program ran", self.folder.display());
        }
        let left = self.left_without_records();
        if !left.is_empty() {
            let left = left.iter().map(|(pid, name)| format!("{} ({pid})", name.display()));
            return format!(
                "the program has ended and left {} running, which had run no Lua by then; \
                 keep it in the foreground, or attach to it: tickscope record --pid PID",
                left.collect::<Vec<_>>().join(", ")
            );
        }
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

    /// Processes that run and have a Lua that did not: a server that goes into the background before it needs it.
    fn left_without_records(&self) -> Vec<(u32, OsString)> {
        let notes = self.files(NOTE).unwrap_or_default();
        let has_lua = notes.iter().filter(|note| text(note).is_some_and(|text| text.contains(RAN_NOTHING)));
        let pids = has_lua.filter_map(|note| note.file_stem()?.to_str()?.parse::<u32>().ok());
        pids.filter(|pid| runs(*pid)).map(|pid| (pid, name(pid))).collect()
    }

    /// Each once, sorted.
    fn texts(&self, extension: &str) -> Vec<String> {
        let files = self.files(extension).unwrap_or_default();
        let texts = files.iter().filter_map(|path| text(path));
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

/// What an agent wrote. The folder may belong to another user: no link is followed, and nothing is waited for.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    file.take(LONGEST_TEXT).read_to_string(&mut text).ok()?;
    Some(text)
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Where folders are made: in memory, where there is such a place.
fn root() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

/// A folder of a recording.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// The process that made it.
    maker: u32,
}

impl Folder {
    /// The process that collects; none when it is gone.
    pub(crate) fn collector(&self) -> Option<u32> {
        owner::of(&self.path, self.maker)
    }
}

/// The folders of this user, and those that it gave to the user of a process that it attached to.
pub(crate) fn folders() -> Vec<Folder> {
    let me = fs::metadata("/proc/self").map(|metadata| metadata.uid()).ok();
    let entries = fs::read_dir(root()).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let maker = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
            let metadata = fs::symlink_metadata(entry.path()).ok()?;
            let is_mine = |owner: u32| Some(owner) == me;
            let ours = is_mine(metadata.uid()) || owner::user_of(&entry.path()).is_some_and(is_mine);
            (metadata.is_dir() && ours).then(|| Folder { path: entry.path(), maker })
        })
        .collect()
}

/// Who collects from process `pid`.
pub(super) fn collector_of(pid: u32) -> Option<u32> {
    folders().iter().filter(|folder| has_session_of(&folder.path, pid)).find_map(Folder::collector)
}

/// Whether process `pid` records into `folder`.
pub(crate) fn has_session_of(folder: &Path, pid: u32) -> bool {
    session_files(folder).iter().any(|session| session.pid() == pid && session.is_recording())
}

/// Removes what collectors that died left of a process that records elsewhere now.
pub(super) fn forget(pid: u32) {
    let begins = format!("{pid}.");
    for folder in folders().into_iter().filter(|folder| folder.collector().is_none()) {
        for entry in fs::read_dir(&folder.path).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(begins.as_bytes()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    sweep();
}

/// Removes folders of ours whose collector and whose recording processes are gone: they hold memory.
fn sweep() {
    for folder in folders() {
        if folder.collector().is_none() && !recording(&folder.path) {
            let _ = fs::remove_dir_all(&folder.path);
        }
    }
}

/// Whether a process that records into `folder` runs.
fn recording(folder: &Path) -> bool {
    session_files(folder).iter().any(SessionFile::is_recording)
}

/// A session by its name: `PID.WHEN.session`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SessionFile {
    path: PathBuf,
    pid: u32,
    made: SystemTime,
}

impl SessionFile {
    fn new(path: PathBuf) -> Option<Self> {
        let (pid, when) = path.file_stem()?.to_str()?.split_once('.')?;
        let when = Duration::from_nanos(u64::from_str_radix(when, 16).ok()?);
        let (pid, made) = (pid.parse().ok()?, SystemTime::UNIX_EPOCH.checked_add(when)?);
        path.extension().is_some_and(|extension| extension == SESSION).then_some(Self { path, pid, made })
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process that made it runs.
    fn is_recording(&self) -> bool {
        has_run_since(self.pid, self.made)
    }
}

/// The first to be made first.
fn session_files(folder: &Path) -> Vec<SessionFile> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<SessionFile> = entries.filter_map(|entry| SessionFile::new(entry.path())).collect();
    files.sort_by_key(|file| file.made);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sessions_are_understood_and_nothing_else() {
        let file = SessionFile::new("/dev/shm/tickscope-7/4711.17a3f2e1c0.session".into()).unwrap();
        assert_eq!(
            (file.pid(), file.made),
            (4711, SystemTime::UNIX_EPOCH + Duration::from_nanos(0x17a3f2e1c0))
        );
        for other in
            ["4711.session", "4711.zz.session", "x.17.session", "4711.17.session.new", "4711.17.note", ""]
        {
            assert_eq!(SessionFile::new(other.into()), None, "{other}");
        }
    }
}
