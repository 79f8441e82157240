//! The thread sanitizer over the crates whose threads share memory.
//!
//! The sanitizer is a nightly switch that this stable compiler carries too; `RUSTC_BOOTSTRAP` unlocks it. The standard
//! library is the precompiled one and is not instrumented: what it synchronises by itself (thread start and join go
//! through the intercepted pthread calls) is seen, what it does inside is not.

use anyhow::Result;

use crate::cargo::{cargo, run_tests};
use crate::metadata;
use crate::process;
use crate::tally::Tally;

const CRATES: &[&str] = &["tickscope-ring", "tickscope-session"];

pub fn run(tally: &mut Tally) -> Result<()> {
    let host = host_triple()?;
    if !has_runtime(&host)? {
        tally.skip("thread sanitizer", format_args!("the toolchain has no sanitizer runtime for {host}"));
        return Ok(());
    }
    let mut command = cargo(["test", "--no-fail-fast", "--lib", "--tests", "--target", &host]);
    for package in CRATES {
        command.args(["--package", package]);
    }
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("{flags} -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"))
        .env("CARGO_TARGET_DIR", metadata::target_dir().join("tsan"))
        .env("TSAN_OPTIONS", "halt_on_error=1 second_deadlock_stack=1")
        .env("PROPTEST_CASES", "16");
    run_tests("thread sanitizer", &mut command, tally)
}

fn host_triple() -> Result<String> {
    let output = process::capture(std::process::Command::new("rustc").arg("-vV"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| anyhow::anyhow!("`rustc -vV` names no host"))
}

fn has_runtime(host: &str) -> Result<bool> {
    let output = process::capture(std::process::Command::new("rustc").args(["--print", "target-libdir"]))?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let found = std::fs::read_dir(&folder)?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().ends_with("_rt.tsan.a"));
    Ok(found && host.contains("linux"))
}
