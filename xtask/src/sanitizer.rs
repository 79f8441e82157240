//! The thread sanitizer over the crates whose threads share memory.
//!
//! The sanitizer is a nightly switch that this stable compiler carries too; `RUSTC_BOOTSTRAP` unlocks it. The standard
//! library is the precompiled one and is not instrumented: what it synchronises by itself (thread start and join go
//! through the intercepted pthread calls) is seen, what it does inside is not. Nor are stacks that are switched: a fiber's
//! frames count as its thread's, which is right for what happens before what, and wrong only in the stacks of reports.

use anyhow::Result;

use crate::cargo::{cargo, run_tests};
use crate::metadata;
use crate::process;
use crate::tally::Tally;

const CRATES: &[&str] = &["tickscope-ring", "tickscope-session", "tickscope-scheduler"];

/// Synchronisation inside the precompiled standard library, which the sanitizer cannot see. What this hides is a race
/// in the named functions only.
const SUPPRESSIONS: &[(&str, &str)] = &[
    ("race:test::event::CompletedTest", "the test harness hands a result from the test's thread to its own"),
    ("race:std::sync::mpmc", "the same channel"),
    (
        "race:<alloc::sync::Arc<*>* as core::ops::drop::Drop>::drop",
        "a fence before an `Arc` frees what it held; an instrumented library has a load there instead",
    ),
    ("race:crossbeam_epoch", "the garbage of the deques' buffers is kept behind fences, which are not seen"),
    (
        "race:<crossbeam_deque::deque::Buffer<*>>::",
        "a thief reads a slot that is being used again, and throws away what it read when its exchange fails",
    ),
    (
        "race:tickscope_session::arena::Arena>::append",
        "its `Mutex`, when contended, is taken inside the library",
    ),
];

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
    let out = metadata::target_dir().join("tsan");
    std::fs::create_dir_all(&out)?;
    let suppressions = out.join("suppressions.txt");
    let lines: String = SUPPRESSIONS.iter().map(|(line, why)| format!("# {why}\n{line}\n")).collect();
    std::fs::write(&suppressions, lines)?;
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "RUSTFLAGS",
            format!("{flags} --cfg tsan -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"),
        )
        .env("CARGO_TARGET_DIR", &out)
        // Unoptimised: inlining takes away the names that the suppressions know.
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
        .env("RUST_TEST_THREADS", "1")
        .env("TSAN_OPTIONS", format!("halt_on_error=0 exitcode=66 suppressions={}", suppressions.display()))
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
