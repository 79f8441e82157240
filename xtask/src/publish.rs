//! The crates as they would be published: packaged, compared with what they were, and judged by `deny.toml`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

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
    // Nobody debugs what is built here.
    command.arg(&folder).env("CARGO_PROFILE_DEV_DEBUG", "false");
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

/// Whether each crate can be used as it was at `since`, a tag or commit, or its version says that it cannot. Without
/// `since`: at its last release. Before the first release there is none, and nothing to keep.
pub fn semver(since: Option<&str>, tally: &mut Tally) -> Result<()> {
    let crates = metadata::root().join("crates");
    let members = metadata::members()?;
    let ours = members.iter().filter(|member| member.callable && member.folder.starts_with(&crates));
    let (mut pairs, mut unreleased) = (Vec::new(), Vec::new());
    for member in ours {
        let name = format!("semver: {}", member.name);
        let Some(baseline) = since.map(str::to_owned).or_else(|| released(&member.name)) else {
            unreleased.push(member.name.as_str());
            continue;
        };
        if git(&["rev-parse", "--quiet", "--verify", &format!("{baseline}^{{commit}}")]).is_none() {
            bail!("git knows no `{baseline}`; --since takes a tag or a commit");
        }
        let manifest = format!("{baseline}:crates/{}/Cargo.toml", member.short());
        match git(&["cat-file", "-t", &manifest]) {
            Some(_) => pairs.push((name, member, baseline)),
            None => tally.skip(&name, format_args!("it is newer than {baseline}")),
        }
    }
    if !unreleased.is_empty() {
        tally.skip(
            "semver",
            format_args!(
                "never released, so that nobody relies on it; --since <commit> compares all the same: {}",
                unreleased.join(", ")
            ),
        );
    }
    if !pairs.is_empty() && process::find("cargo-semver-checks").is_none() {
        tally.skip(
            "semver",
            "cargo-semver-checks is not installed (cargo install cargo-semver-checks --locked)",
        );
        return Ok(());
    }
    let all = pairs.len();
    for (index, (name, member, baseline)) in pairs.into_iter().enumerate() {
        println!("{name} since {baseline}, {} of {all}", index + 1);
        let mut command = cargo(["semver-checks", "--package", &member.name, "--baseline-rev", &baseline]);
        tally.judge(&name, process::show(command.current_dir(metadata::root())));
    }
    Ok(())
}

/// The last release of a crate before this commit: its own tag, or one of all.
fn released(name: &str) -> Option<String> {
    git(&["describe", "--tags", "--abbrev=0", "--match", &format!("{name}-v[0-9]*"), "--match", "v[0-9]*"])
}

/// What git answers, where it does.
fn git(arguments: &[&str]) -> Option<String> {
    let output = process::output(Command::new("git").current_dir(metadata::root()).args(arguments)).ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
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
