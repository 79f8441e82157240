//! The crates as they would be published: packaged, compared with what they were, and judged by `deny.toml`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::cargo;
use crate::metadata;
use crate::oracles::install;
use crate::process;
use crate::tally::Tally;

/// What an archive may have, compressed: sources, their tests and small samples.
const MAX_BYTES: u64 = 1 << 20;

/// Packages every crate in the order of its dependencies, each built from archives alone.
pub fn packages(tally: &mut Tally) -> Result<()> {
    let folder = metadata::target_dir().join("packages");
    if folder.join("package").exists() {
        fs::remove_dir_all(folder.join("package"))?;
    }
    let members = metadata::members()?;
    let mut command = cargo(["package", "--workspace", "--locked", "--allow-dirty", "--target-dir"]);
    command.arg(&folder);
    for member in members.iter().filter(|member| !member.published) {
        command.args(["--exclude", &member.name]);
    }
    tally.command("packages: each is built from its archive", command)?;
    for member in members.iter().filter(|member| member.published) {
        let name = format!("{}-{}", member.name, member.version);
        let archive = folder.join("package").join(format!("{name}.crate"));
        tally.judge(&format!("packages: {name} is small and has its licences"), whole(&archive, &name));
    }
    Ok(())
}

fn whole(archive: &Path, name: &str) -> Result<()> {
    let bytes = fs::metadata(archive).with_context(|| format!("there is no {}", archive.display()))?.len();
    ensure!(bytes <= MAX_BYTES, "it has {bytes} bytes, more than {MAX_BYTES}: `include` less");
    let list = process::capture(Command::new("tar").arg("-tzf").arg(archive))?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "README.md"] {
        let file = format!("{name}/{file}");
        ensure!(
            list.lines().any(|line| line == file),
            "it has no {file}; its folder is to link to the root's"
        );
    }
    Ok(())
}

/// Whether public functions are what they were at `since`, a tag or commit, or a version says that they are not.
pub fn semver(since: Option<&str>, tally: &mut Tally) -> Result<()> {
    const NAME: &str = "semver";
    let Some(since) = since else {
        tally.skip(NAME, "nothing is published yet, so there is no baseline; give one with --since");
        return Ok(());
    };
    if process::find("cargo-semver-checks").is_none() {
        tally.skip(NAME, "cargo-semver-checks is not installed (cargo install cargo-semver-checks --locked)");
        return Ok(());
    }
    let mut command = cargo(["semver-checks", "--workspace", "--baseline-rev", since]);
    for member in metadata::members()?.iter().filter(|member| !member.published) {
        command.args(["--exclude", &member.name]);
    }
    tally.command(NAME, command)
}

/// `deny.toml`. Advisories are left out: their database is fetched from elsewhere.
pub fn deny(tally: &mut Tally) -> Result<()> {
    let Some(program) = install::cargo_deny() else {
        tally.skip("deny", "cargo-deny is not installed");
        return Ok(());
    };
    let mut command = Command::new(program);
    command.args(["--workspace", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
    tally.command("deny: licences, bans and sources", command)
}
