//! Cargo, and what its test runner prints.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::process;
use crate::tally::Tally;

/// Turns on what is off by default but belongs to what is tested.
pub const FEATURES: [&str; 2] = ["--features", "tickscope-hooks/process,tickscope/scheduler"];

/// The cargo that runs us.
pub fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// What a run of test binaries said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, by name.
    pub failed: Vec<String>,
    /// Tests that are marked as ignored, by name and reason.
    pub ignored: Vec<String>,
    /// What tests that passed said they had skipped, for something is not on this machine.
    pub skipped: BTreeSet<String>,
    /// Test binaries that came to their end.
    pub binaries: u64,
    /// What follows is what tests printed, which may look like anything.
    printed: bool,
}

impl Results {
    /// Takes one line of output.
    pub fn line(&mut self, line: &str) {
        if let Some(what) = line.strip_prefix("skipped: ") {
            self.skipped.insert(what.to_owned());
        } else if matches!(line, "successes:" | "failures:") {
            self.printed = true;
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            self.printed = false;
            self.binaries += 1;
            let number = |word: &str| -> u64 {
                rest.split(['.', ';'])
                    .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
                    .unwrap_or(0)
            };
            self.passed += number("passed");
        } else if let Some((name, verdict)) =
            line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... "))
            && !self.printed
        {
            if verdict.starts_with("FAILED") {
                self.failed.push(name.to_owned());
            } else if verdict.starts_with("ignored") {
                self.ignored.push(format!("{name}: {verdict}"));
            }
        } else if line.starts_with("Testing ") {
            self.bench_seen();
        } else if line == "Success" {
            self.passed += 1;
        }
    }

    fn bench_seen(&mut self) {
        self.binaries += 1;
    }
}

/// Runs a `cargo test` command and adds what it says to the tally. Tests that pass show what they print: it may be what they skip.
pub fn run_tests(what: &str, command: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut results = Results::default();
    if command.get_args().all(|argument| argument != "--") {
        command.args(["--", "--show-output"]);
    }
    let status = process::watch(command, |line| results.line(line))?;
    tally.pass_silently(results.passed);
    for test in &results.failed {
        tally.fail(what, test);
    }
    for test in results.ignored.iter().chain(&results.skipped) {
        tally.skip(what, test);
    }
    ensure!(
        status.success() || !results.failed.is_empty(),
        "`{}` ended with {status}",
        process::words(command)
    );
    ensure!(results.binaries > 0, "no test binary ran");
    Ok(())
}

/// Runs the tests with their golden files accepted as they come out.
pub fn bless(package: Option<&str>, tally: &mut Tally) -> Result<()> {
    let mut command = cargo(["test", "--no-fail-fast"]);
    match package {
        Some(package) => command.args(["--package", package]),
        None => command.arg("--workspace"),
    };
    // `INSTA_UPDATE` is insta's switch; tests that compare plain files look at `TICKSCOPE_BLESS`.
    command.env("INSTA_UPDATE", "always").env("TICKSCOPE_BLESS", "1");
    run_tests("bless", &mut command, tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Results {
        let mut results = Results::default();
        text.lines().for_each(|line| results.line(line));
        results
    }

    #[test]
    fn test_output_is_counted_by_name() {
        let results = read(
            "running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, needs a network\n\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n",
        );
        assert_eq!(results.passed, 1);
        assert_eq!(results.failed, ["c"]);
        assert_eq!(results.ignored, ["d: ignored, needs a network"]);
        assert_eq!(results.binaries, 1);
    }

    #[test]
    fn what_a_test_that_passed_did_not_do_is_told() {
        let results = read(
            "test a ... ok\n\nsuccesses:\n\n---- a stdout ----\nskipped: sqlite3 is not installed\ntest b ... FAILED\n\n\n\
             successes:\n    a\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\ntest c ... FAILED\n",
        );
        assert_eq!(results.skipped, BTreeSet::from(["sqlite3 is not installed".to_owned()]));
        assert_eq!((results.passed, results.failed), (1, vec!["c".to_owned()]));
    }

    #[test]
    fn criterion_in_test_mode_is_counted() {
        assert_eq!(read("Testing ring/push\nSuccess\n").passed, 1);
    }

    #[test]
    fn doc_tests_are_counted() {
        let results = read(
            "test crates/core/src/lib.rs - (line 7) ... ok\ntest x - compile fail ... FAILED\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n",
        );
        assert_eq!((results.passed, results.failed.len()), (1, 1));
    }
}
