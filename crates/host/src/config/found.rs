//! Which file is the configuration. It decides what code runs, so one that merely lies there is not taken from everybody.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use crate::present::tell;

const FILE: &str = "tickscope.toml";

/// A file that may be the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: PathBuf,
    /// It lies in the folder of the server that is played, and came with it perhaps: it may set flags, and name no code.
    pub(super) of_server: bool,
}

/// The file that is used.
pub(super) fn find(command: &str, matches: &ArgMatches) -> Option<Found> {
    // The rest of the line may be wrong: then there is less.
    let path = |name: &str| matches.try_get_one::<PathBuf>(name).ok().flatten();
    if matches.try_get_one::<bool>("no_config").ok().flatten() == Some(&true) {
        return None;
    }
    if let Some(file) = path("config") {
        return Some(Found { file: file.clone(), of_server: false });
    }
    let server = if matches!(command, "run" | "config") { path("directory") } else { None };
    places(server.map(PathBuf::as_path)).into_iter().find(|found| {
        let stranger = stranger(&found.file);
        if let Some(why) = &stranger {
            tell!(
                "tickscope: {0} is not used: it decides what code runs, and {why}; --config {0} uses it all the same",
                found.file.display()
            );
        }
        // One that leads nowhere is told.
        stranger.is_none() && found.file.symlink_metadata().is_ok()
    })
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

/// Why somebody else than this user and root decides what is in a file, or what its name leads to.
fn stranger(file: &Path) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    for found in [file.symlink_metadata(), file.metadata()].into_iter().flatten() {
        let owner = found.uid();
        if owner != me && owner != 0 {
            return Some(format!("belongs to user {owner}"));
        }
        // A user's own group has the user's number.
        let others = if found.gid() == owner { 0o002 } else { 0o022 };
        if !found.is_symlink() && found.mode() & others != 0 {
            return Some("others may write to it".into());
        }
    }
    None
}
