//! Packing: sorted names, one owner, one time, so that the same files make the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Release;
use super::tree::Tree;
use crate::process;

/// Packs the folder of `tree` into a `.tar.gz`.
pub fn archive(tree: &Tree, release: &Release, archive: &Path) -> Result<()> {
    let folder = tree.folder().parent().context("the folder lies nowhere")?;
    let mut command = Command::new("tar");
    command.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    command.args(["--mode=u=rwX,go=rX", &format!("--mtime=@{}", release.epoch)]);
    // Without the name and time of the archive.
    command.args(["--use-compress-program", "gzip --best --no-name"]).arg("--file").arg(archive);
    command.arg("--directory").arg(folder).arg(tree.folder().file_name().unwrap_or_default());
    process::capture(&mut command)?;
    Ok(())
}

/// Lines of `sha256sum` for files, called as they lie from `folder`.
pub fn sums(folder: &Path, files: &[PathBuf]) -> Result<String> {
    let mut command = Command::new("sha256sum");
    command.current_dir(folder).arg("--");
    command.args(files.iter().map(|file| file.strip_prefix(folder).unwrap_or(file)));
    Ok(String::from_utf8(process::capture(&mut command)?.stdout)?)
}
