//! Features only add: each library builds with none of its features, with the default ones, and with all.

use anyhow::{Result, ensure};

use crate::cargo::cargo;
use crate::metadata;
use crate::process;
use crate::tally::Tally;

/// Checks each package by itself: together they would have the features that others ask for.
pub fn run(tally: &mut Tally) -> Result<()> {
    let crates = metadata::root().join("crates");
    let mut checked = 0;
    for package in metadata::members()?.iter().filter(|package| package.folder.starts_with(&crates)) {
        let sets: &[&[&str]] = match package.features.is_empty() {
            true => &[&[]],
            false => &[&["--no-default-features"], &[], &["--all-features"]],
        };
        for set in sets {
            let mut check = cargo(["check", "--quiet", "--package", &package.name]);
            check.args(*set).env("RUSTFLAGS", "-D warnings");
            check.env("CARGO_TARGET_DIR", metadata::target_dir().join("features"));
            let with = set.first().map_or("default features", |set| set.trim_start_matches("--"));
            tally.judge(&format!("{} with {with}", package.name), process::show(&mut check));
            checked += 1;
        }
    }
    ensure!(checked > 0, "no package was checked");
    Ok(())
}
