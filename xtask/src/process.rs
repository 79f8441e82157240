//! Running other programs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Runs `command` with its output shown; an error when it does not succeed.
pub fn show(command: &mut Command) -> Result<()> {
    println!("$ {}", words(command));
    std::io::stdout().flush()?;
    let status = command.status().with_context(|| format!("cannot start {}", words(command)))?;
    ensure!(status.success(), "`{}` ended with {status}", words(command));
    Ok(())
}

/// Runs `command` with its standard output shown and given to `line`, line by line.
pub fn watch(command: &mut Command, mut line: impl FnMut(&str)) -> Result<ExitStatus> {
    println!("$ {}", words(command));
    std::io::stdout().flush()?;
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", words(command)))?;
    let stdout = child.stdout.take().context("the child has no standard output")?;
    let mut reader = BufReader::new(stdout);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        print!("{text}");
        line(text.trim_end_matches(['\n', '\r']));
        bytes.clear();
    }
    Ok(child.wait()?)
}

/// Runs `command` and returns what it wrote; an error, with its last words, when it does not succeed.
pub fn capture(command: &mut Command) -> Result<Output> {
    let output = output(command)?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}\n{}{}",
            words(command),
            output.status,
            tail(&output.stdout),
            tail(&output.stderr)
        );
    }
    Ok(output)
}

/// Runs `command` to its end, whatever that is, and returns what it wrote.
pub fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", words(command)))
}

/// `program`, ended with all its children when it runs longer than `limit`.
pub fn limited(program: impl AsRef<OsStr>, limit: Duration) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(limit.as_secs().to_string()).arg(program);
    command
}

/// Where `program` lies on the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The command as someone would type it, shortened.
pub fn words(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    if text.chars().count() > 200 { text.chars().take(197).chain("...".chars()).collect() } else { text }
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let mut tail = lines[lines.len().saturating_sub(15)..].join("\n");
    if !tail.is_empty() {
        tail.push('\n');
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo to-stdout; echo to-stderr >&2; exit 3"]);
        let error = capture(&mut command).unwrap_err().to_string();
        assert!(error.contains("to-stdout") && error.contains("to-stderr") && error.contains('3'), "{error}");
    }

    #[test]
    fn lines_arrive_in_order() {
        let mut command = Command::new("sh");
        command.args(["-c", "printf 'one\\ntwo'"]);
        let mut lines = Vec::new();
        watch(&mut command, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn a_limited_program_ends() {
        let mut command = limited("sleep", Duration::from_secs(1));
        command.arg("600");
        assert_eq!(output(&mut command).unwrap().status.code(), Some(124));
    }
}
