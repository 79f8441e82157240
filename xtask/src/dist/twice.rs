//! Whether a release is the same bytes wherever it is built: two clones, two folders of builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::build;
use crate::cargo::cargo;
use crate::metadata;
use crate::process;
use crate::tally::Tally;

pub fn run(tally: &mut Tally) {
    let (mut made, work) = (Vec::new(), metadata::target_dir().join("dist-twice"));
    if work.exists()
        && let Err(error) = fs::remove_dir_all(&work)
    {
        tally.fail("dist twice", error);
        return;
    }
    for (index, place) in ["one", "another/and/deeper"].into_iter().enumerate() {
        println!("dist twice: release {} of 2, in {place}; some minutes", index + 1);
        match release(&work.join(place)) {
            Ok(folder) => made.push(folder),
            Err(error) => tally.fail("dist twice", format_args!("{error:#}")),
        }
    }
    if let [one, other] = made.as_slice() {
        tally.judge("dist twice: the same bytes", same(one, other));
        for folder in [one, other] {
            tally.judge("dist twice: nothing tells where it was built", silent(folder, &work));
        }
    }
}

/// Clones what is committed and makes a release of it. Where its files are.
fn release(place: &Path) -> Result<PathBuf> {
    let clone = place.join("clone");
    fs::create_dir_all(place)?;
    process::capture(Command::new("git").args(["clone", "--quiet"]).arg(metadata::root()).arg(&clone))?;
    let out = place.join("out");
    let mut command = cargo(["run", "--quiet", "--package", "xtask", "--", "dist", "--out"]);
    command.arg(&out).arg("--build").arg(place.join("build"));
    // Its own chores, for they know where their root is; what they depend on is built once for both. Not where ours are:
    // whoever starts those meanwhile would get these.
    let tools = metadata::target_dir().join("dist-tools");
    process::show(command.current_dir(&clone).env("CARGO_TARGET_DIR", tools))?;
    Ok(out)
}

fn same(one: &Path, other: &Path) -> Result<()> {
    let names = |folder: &Path| -> Result<Vec<_>> {
        let mut names: Vec<_> = fs::read_dir(folder)?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        Ok(names)
    };
    let all = names(one)?;
    ensure!(all == names(other)?, "one has {all:?}, the other {:?}", names(other)?);
    ensure!(all.len() >= 3, "only {all:?}");
    for name in all {
        if fs::read(one.join(&name))? != fs::read(other.join(&name))? {
            bail!("{} differ", name.display());
        }
    }
    Ok(())
}

/// Looks for the places of this machine in all that was packed.
fn silent(out: &Path, work: &Path) -> Result<()> {
    let mut files = fs::read_dir(out)?.flatten().map(|entry| entry.path());
    let archive = files.find(|path| path.to_string_lossy().ends_with(".tar.gz"));
    let archive = archive.context("there is no archive")?;
    let folder = out.with_extension("unpacked");
    fs::create_dir_all(&folder)?;
    process::capture(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&folder))?;
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--files-with-matches", "--fixed-strings", "--text"]);
    for (place, _) in build::places(work)? {
        grep.arg("-e").arg(place);
    }
    let found = process::output(grep.arg("--").arg(&folder))?;
    ensure!(found.status.code() == Some(1), "in {}", String::from_utf8_lossy(&found.stdout));
    Ok(())
}
