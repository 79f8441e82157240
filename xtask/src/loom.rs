//! The loom models: each must hold, and must fail once any ordering it names is weakened.
//!
//! A crate takes part by a test target called `loom`, by switching orderings with `cfg(weaken = "name")`, and by listing
//! the names in its manifest, `[package.metadata.loom] weaken = […]`; a name that only its sources have is run as well.
//! Weakening reaches our own crates only, through a compiler wrapper, so that loom itself is built once.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::{Results, cargo};
use crate::metadata::{self, Package};
use crate::process;
use crate::tally::Tally;

#[derive(Args, Default)]
pub struct Options {
    /// Only this package.
    #[arg(short, long)]
    package: Option<String>,
}

pub fn run(options: &Options, tally: &mut Tally) -> Result<()> {
    let mut found = false;
    for package in metadata::members()? {
        let wanted = options.package.as_ref().is_none_or(|name| *name == package.name);
        if wanted && package.tests.iter().any(|test| test == "loom") {
            found = true;
            models(&package, tally)?;
        }
    }
    if !found {
        tally.skip("loom", "no package has a test target called `loom`");
    }
    Ok(())
}

fn models(package: &Package, tally: &mut Tally) -> Result<()> {
    let name = &package.name;
    let mut results = Results::default();
    let status = process::watch(&mut command(package), |line| results.line(line))?;
    tally.judge(&format!("loom {name}: {} models hold", results.passed), {
        if status.success() && results.passed > 0 {
            Ok(())
        } else {
            Err(anyhow::anyhow!("ended with {status}"))
        }
    });
    let mut weakenings = weakenings(&package.folder.join("src"))?;
    weakenings.extend(package.weakenings.iter().cloned());
    if weakenings.is_empty() {
        tally.fail(
            &format!("loom {name}"),
            "names no ordering to weaken, so nothing shows that the models can fail",
        );
    }
    for weakening in weakenings {
        let mut command = command(package);
        command.env("RUSTC_WORKSPACE_WRAPPER", wrapper(&weakening)?);
        let output = process::output(&mut command)?;
        let mut results = Results::default();
        String::from_utf8_lossy(&output.stdout).lines().for_each(|line| results.line(line));
        // A model that finds a deadlock or leaks may abort its process: then no result line follows.
        let ran = String::from_utf8_lossy(&output.stdout).contains("running ");
        let check = format!("loom {name}: fails with {weakening} weakened");
        if !ran {
            tally.fail(&check, format_args!("did not build\n{}", String::from_utf8_lossy(&output.stderr)));
        } else if output.status.success() {
            tally.fail(&check, "every model still passes, so none depends on this ordering");
        } else {
            tally.pass(&check);
        }
    }
    Ok(())
}

fn command(package: &Package) -> Command {
    let mut command = cargo(["test", "--release", "--test", "loom", "--package", &package.name]);
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command
        .env("RUSTFLAGS", format!("{flags} --cfg loom"))
        .env("CARGO_TARGET_DIR", metadata::target_dir().join("loom"));
    command
}

/// Every name in `weaken = "name"` below `folder`.
fn weakenings(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            names.extend(weakenings(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(names_in(&fs::read_to_string(&path)?));
        }
    }
    Ok(names)
}

fn names_in(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("weaken = \"").skip(1))
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .filter(|name| !name.is_empty() && !name.contains('$'))
        .collect()
}

/// A compiler wrapper that adds the weakening. Its path is part of what cargo compares, so each weakening is built
/// apart, and only for packages of the workspace.
fn wrapper(weakening: &str) -> Result<PathBuf> {
    let folder = metadata::target_dir().join("loom");
    fs::create_dir_all(&folder)?;
    let path =
        folder.join(format!("weaken-{}", weakening.replace(|c: char| !c.is_ascii_alphanumeric(), "_")));
    fs::write(&path, format!("#!/bin/sh\nexec \"$@\" --cfg 'weaken=\"{weakening}\"'\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_code_not_comments() {
        let text = "// cfg(weaken = \"none\")\nif cfg!(weaken = \"tail\") {} #[cfg(weaken = \"head\")]\n";
        assert_eq!(names_in(text), BTreeSet::from(["head".to_owned(), "tail".to_owned()]));
    }
}
