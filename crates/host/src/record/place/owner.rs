//! Who collects from a folder: a file that it keeps locked. The system lets go of the lock whatever ends the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What the file is called. Its text is the number of the process.
const NAME: &str = "collector";

/// That this process collects from a folder, until it is dropped.
#[derive(Debug)]
pub(super) struct Owner {
    _locked: File,
}

impl Owner {
    /// Of a new folder.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        // Locked before anybody sees it under its name.
        let hidden = folder.join("collector.new");
        let file = open(&hidden, true).with_context(|| format!("cannot make {}", hidden.display()))?;
        let owner = Self::lock(file, folder)?;
        std::fs::rename(&hidden, folder.join(NAME))
            .with_context(|| format!("cannot name {}", hidden.display()))?;
        Ok(owner)
    }

    /// Of a folder whose collector is gone.
    pub(super) fn after_another(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let file = open(&path, true).with_context(|| format!("cannot open {}", path.display()))?;
        Self::lock(file, folder)
    }

    fn lock(mut file: File, folder: &Path) -> Result<Self> {
        // Whoever only looks holds it for a moment.
        for _ in 0..50 {
            match file.try_lock() {
                Ok(()) => {
                    let said = file.set_len(0).and_then(|()| file.write_all(pid().as_bytes()));
                    said.with_context(|| format!("cannot write into {}", folder.display()))?;
                    return Ok(Self { _locked: file });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", folder.display()));
                }
            }
        }
        bail!("another tickscope collects from {}", folder.display())
    }
}

/// The process that collects from `folder`, which `maker` made; none when it is gone.
pub(super) fn of(folder: &Path, maker: u32) -> Option<u32> {
    let Ok(file) = open(&folder.join(NAME), false) else {
        // It is being made, or it was made by another version.
        return super::runs(maker).then_some(maker);
    };
    match file.try_lock_shared() {
        Ok(()) => None,
        Err(_) => {
            let said = std::fs::read_to_string(folder.join(NAME)).unwrap_or_default();
            Some(said.trim().parse().unwrap_or(maker))
        }
    }
}

/// The user who collects from `folder`, or did: it stays theirs when the folder is given to another.
pub(super) fn user_of(folder: &Path) -> Option<u32> {
    let file = std::fs::symlink_metadata(folder.join(NAME)).ok()?;
    file.is_file().then(|| file.uid())
}

/// The folder may belong to another user, who puts there what they like: no link is followed.
fn open(path: &Path, make: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(make).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

fn pid() -> String {
    std::process::id().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_until_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let of = || of(folder.path(), 0x7fff_fffe);
        assert_eq!(of(), None);
        let owner = Owner::new(folder.path()).unwrap();
        assert_eq!(of(), Some(std::process::id()));
        let refused = Owner::after_another(folder.path()).unwrap_err();
        assert!(refused.to_string().starts_with("another tickscope collects from"), "{refused}");
        drop(owner);
        assert_eq!(of(), None);
        let _next = Owner::after_another(folder.path()).unwrap();
        assert_eq!(of(), Some(std::process::id()));
    }
}
