//! What passed, failed and was skipped, and how long each stage took.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process;

/// The running result of a chore.
#[derive(Default)]
pub struct Tally {
    passed: u64,
    failed: Vec<String>,
    skipped: Vec<String>,
    stages: Vec<(String, Duration)>,
}

impl Tally {
    /// Runs one stage: says its name, times it, and turns an error that it returns into a failure of that name.
    pub fn stage(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result<()>) {
        println!("\n=== {name}");
        let start = Instant::now();
        if let Err(error) = body(self) {
            self.fail(name, format_args!("{error:#}"));
        }
        let took = start.elapsed();
        println!("=== {name}: {:.1} s", took.as_secs_f64());
        self.stages.push((name.to_owned(), took));
    }

    /// One check passed.
    pub fn pass(&mut self, name: &str) {
        println!("ok      {name}");
        self.passed += 1;
    }

    /// Checks passed that said so themselves.
    pub fn pass_silently(&mut self, count: u64) {
        self.passed += count;
    }

    /// One check failed.
    pub fn fail(&mut self, name: &str, why: impl std::fmt::Display) {
        let why = why.to_string();
        println!("FAILED  {name}: {why}");
        // The list at the end is for finding the place above, where the whole story stands.
        self.failed.push(format!("{name}: {}", why.lines().next().unwrap_or_default()));
    }

    /// One check could not run here.
    pub fn skip(&mut self, name: &str, why: impl std::fmt::Display) {
        let why = why.to_string();
        // Tests of it skip nothing that anybody has to know of.
        if !cfg!(test) {
            println!("skipped: {name}: {why}");
        }
        self.skipped.push(format!("{name}: {}", why.lines().next().unwrap_or_default()));
    }

    /// Passes or fails by what a check found.
    pub fn judge(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.pass(name),
            Err(error) => self.fail(name, format_args!("{error:#}")),
        }
    }

    /// Runs a command that must succeed, its output shown.
    pub fn command(&mut self, name: &str, mut command: Command) -> Result<()> {
        let result = process::show(&mut command);
        self.judge(name, result);
        Ok(())
    }

    /// Whether nothing failed and anything passed.
    pub fn is_good(&self) -> bool {
        self.failed.is_empty() && self.passed > 0
    }

    /// Prints the times, what failed and what was skipped, and last the line of sums.
    pub fn finish(&self) {
        println!("\nstage times:");
        for (name, took) in &self.stages {
            println!("{:>9.1} s  {name}", took.as_secs_f64());
        }
        for skipped in &self.skipped {
            println!("skipped: {skipped}");
        }
        for failed in &self.failed {
            println!("failed: {failed}");
        }
        println!("{}", self.line());
    }

    /// The line of sums.
    pub fn line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_stage_is_a_failure() {
        let mut tally = Tally::default();
        tally.stage("one", |tally| {
            tally.pass("a");
            anyhow::bail!("broke")
        });
        tally.skip("b", "absent");
        assert_eq!(tally.line(), "1 passed, 1 failed, 1 skipped");
        assert!(!tally.is_good());
    }

    #[test]
    fn nothing_passed_is_not_good() {
        let mut tally = Tally::default();
        tally.skip("all", "absent");
        assert!(!tally.is_good());
    }
}
