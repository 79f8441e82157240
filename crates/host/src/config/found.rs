//! Which file is the configuration. It decides what code runs, so one that merely lies there is not taken from everybody.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use rustix::fs::{Mode, OFlags};

use crate::present::tell;

const FILE: &str = "tickscope.toml";

/// A file that may be the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: PathBuf,
    /// It lies in the folder of the server that is played, and came with it perhaps: it may set flags, and name no code.
    pub(super) of_server: bool,
}

/// Links that are followed from one name.
const MAX_LINKS: usize = 40;

/// The file that is used, opened, or why it cannot be. What it is judged by is the open file, not its name, which may lead
/// elsewhere by the time it is read.
pub(super) fn find(command: &str, matches: &ArgMatches) -> Option<(Found, io::Result<File>)> {
    // The rest of the line may be wrong: then there is less.
    let path = |name: &str| matches.try_get_one::<PathBuf>(name).ok().flatten();
    if matches.try_get_one::<bool>("no_config").ok().flatten() == Some(&true) {
        return None;
    }
    if let Some(file) = path("config") {
        let opened = open(file, READ);
        return Some((Found { file: file.clone(), of_server: false }, opened));
    }
    let server = if matches!(command, "run" | "config") { path("directory") } else { None };
    places(server.map(PathBuf::as_path)).into_iter().find_map(|found| match ours(&found.file) {
        Ok(opened) => Some((found, Ok(opened))),
        Err(Not::There) => None,
        Err(Not::Ours(why)) => {
            tell!(
                "tickscope: {0} is not used: it decides what code runs, and {why}; --config {0} uses it all the same",
                found.file.display()
            );
            None
        }
        // One that leads nowhere is told.
        Err(Not::Readable(error)) => Some((found, Err(error))),
    })
}

/// Why a file that may be the configuration is not opened.
#[derive(Debug)]
enum Not {
    There,
    /// Somebody else decides what is in it: why.
    Ours(String),
    Readable(io::Error),
}

/// Nothing is waited for where it is no file.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// To look at it, whatever it is.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

fn open(file: &Path, how: OFlags) -> io::Result<File> {
    Ok(File::from(rustix::fs::open(file, how | OFlags::CLOEXEC, Mode::empty())?))
}

/// Opens what `file` leads to, if it and each link on the way there are this user's or root's.
fn ours(file: &Path) -> Result<File, Not> {
    let judge = |file: &File| match file.metadata() {
        Ok(found) => stranger(&found).map_or(Ok(found), |why| Err(Not::Ours(why))),
        Err(error) => Err(Not::Readable(error)),
    };
    let mut path = file.to_owned();
    for links in 0..=MAX_LINKS {
        let seen =
            open(&path, LOOK).map_err(|error| if links == 0 { Not::There } else { Not::Readable(error) })?;
        if judge(&seen)?.is_symlink() {
            let target = rustix::fs::readlinkat(&seen, c"", Vec::new())
                .map_err(|error| Not::Readable(error.into()))?;
            path.pop();
            path.push(OsStr::from_bytes(target.to_bytes()));
            continue;
        }
        let opened = open(&path, READ | OFlags::NOFOLLOW).map_err(Not::Readable)?;
        // What was seen may be exchanged by now.
        judge(&opened)?;
        return Ok(opened);
    }
    Err(Not::Readable(rustix::io::Errno::LOOP.into()))
}

/// Where files are looked for.
pub(super) fn places(server: Option<&Path>) -> Vec<Found> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let user = user.map(|folder| folder.join("tickscope/config.toml"));
    let is_here = |folder: &Path| {
        folder
            .canonicalize()
            .is_ok_and(|folder| Path::new(".").canonicalize().is_ok_and(|here| here == folder))
    };
    let here = Found { file: FILE.into(), of_server: server.is_some_and(is_here) };
    let server = server.map(|folder| Found { file: folder.join(FILE), of_server: true });
    let user = user.map(|file| Found { file, of_server: false });
    [Some(here), server, user].into_iter().flatten().collect()
}

/// Why somebody else than this user and root decides what is in a file, or where a link leads.
fn stranger(found: &Metadata) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    let owner = found.uid();
    if owner != me && owner != 0 {
        return Some(format!("belongs to user {owner}"));
    }
    // A user's own group has the user's number.
    let others = if found.gid() == owner { 0o002 } else { 0o022 };
    (!found.is_symlink() && found.mode() & others != 0).then(|| "others may write to it".into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_is_exchanged_while_it_is_opened_is_judged_as_it_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, mode) in [("mine", 0o600), ("everybodys", 0o666)] {
            fs::write(at(name), name).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let exchange = |name: &str| {
            fs::hard_link(at(name), at("next")).unwrap();
            fs::rename(at("next"), at(FILE)).unwrap();
            // Of two names of one file neither is gone.
            let _ = fs::remove_file(at("next"));
        };
        exchange("mine");
        let over = AtomicBool::new(false);
        let (mut taken, mut refused) = (0, 0);
        // Told at the end: a panic in between would leave the other thread at work for ever.
        let mut wrong = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    exchange("everybodys");
                    exchange("mine");
                }
            });
            for _ in 0..20_000 {
                match ours(&at(FILE)) {
                    Ok(opened) => {
                        taken += 1;
                        let mode = opened.metadata().map_or(0, |opened| opened.mode() & 0o777);
                        if mode != 0o600 {
                            wrong.push(format!("opened with mode {mode:o}"));
                        }
                    }
                    Err(Not::Ours(why)) => {
                        refused += 1;
                        if why != "others may write to it" {
                            wrong.push(why);
                        }
                    }
                    Err(other) => wrong.push(format!("{other:?}")),
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(wrong.is_empty(), "{wrong:?}");
        println!("taken {taken} times, refused {refused} times");
        exchange("mine");
        assert!(ours(&at(FILE)).is_ok());
        exchange("everybodys");
        assert!(matches!(ours(&at(FILE)), Err(Not::Ours(_))));
    }
}
