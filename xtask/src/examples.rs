//! The examples outside the workspace, built and run as a user's program would be.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::alone;
use crate::cargo::cargo;
use crate::metadata;
use crate::process;
use crate::tally::Tally;

pub fn run(tally: &mut Tally) -> Result<()> {
    let folder = metadata::root().join("examples");
    let mut found = false;
    let mut entries: Vec<_> =
        fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries.iter().filter(|path| path.join("Cargo.toml").is_file() && path.join("src").is_dir()) {
        found = true;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Its own folder for what it writes, so that it leaves nothing beside its sources.
        let out = metadata::target_dir().join("example-output").join(&name);
        fs::create_dir_all(&out)?;
        let mut command: Command = cargo(["run", "--locked", "--manifest-path"]);
        // Each takes the capture to write, and files to work on.
        command
            .arg(path.join("Cargo.toml"))
            .args(["--", "example.perfetto-trace"])
            .args(["README.md", "ARCHITECTURE.md"].map(|file| metadata::root().join(file)))
            .current_dir(&out)
            .env("CARGO_TARGET_DIR", metadata::target_dir().join("examples"));
        tally.judge(&format!("example {name} runs"), process::show(&mut command));
    }
    if !found {
        tally.skip("examples", "no package below examples/");
    }
    alone::run(tally)
}
