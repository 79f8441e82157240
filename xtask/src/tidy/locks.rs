//! Lock files: each is what its manifest asks for. Whoever builds one that is not changes it unseen, or with `--locked` fails.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::Result;

use crate::cargo::cargo;
use crate::process;
use crate::tally::Tally;

/// Asks cargo about each lock file among `files`, relative to `root`. It looks at the registry's index, which it mostly
/// has, and fetches no crate; where it cannot, the file is skipped by name.
pub fn check(root: &Path, files: &[PathBuf], tally: &mut Tally) -> Result<()> {
    for file in files.iter().filter(|file| file.ends_with("Cargo.lock")) {
        let name = format!("tidy lock files: {}", file.display());
        let manifest = file.with_file_name("Cargo.toml").display().to_string();
        let mut command = cargo(["update", "--workspace", "--locked", "--manifest-path", &manifest]);
        match verdict(&process::output(command.current_dir(root))?) {
            Verdict::Good => tally.pass(&name),
            Verdict::Old(changes) => tally.fail(
                &name,
                format_args!("out of date: cargo update --workspace --manifest-path {manifest}\n{changes}"),
            ),
            Verdict::Unknown(why) => tally.skip(&name, why),
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// What cargo would change.
    Old(String),
    /// Why cargo cannot say.
    Unknown(String),
}

fn verdict(output: &Output) -> Verdict {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Verdict::Good;
    }
    let reason = said.lines().find(|line| line.starts_with("error: ")).unwrap_or("error: it says nothing");
    // Cargo has no code of its own for it.
    if reason.contains("--locked") {
        let changes: Vec<&str> = said.lines().filter(|line| line.starts_with("      ")).collect();
        return Verdict::Old(changes.join("\n"));
    }
    Verdict::Unknown(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Two packages and the lock file of the first, which depends on the second only if `old` is not.
    fn judge(name: &str, old: bool) -> (bool, Tally) {
        let root = std::env::temp_dir().join(format!("tickscope-locks-{name}-{}", std::process::id()));
        let package = |name: &str, rest: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}[workspace]\n"
            )
        };
        for (name, rest) in [("one", "[dependencies]\ntwo = { path = \"../two\" }\n"), ("two", "")] {
            fs::create_dir_all(root.join(name).join("src")).unwrap();
            fs::write(root.join(name).join("src/lib.rs"), "").unwrap();
            fs::write(root.join(name).join("Cargo.toml"), package(name, rest)).unwrap();
        }
        let uses = if old { "" } else { "dependencies = [\n \"two\",\n]\n" };
        let second = if old { "" } else { "\n[[package]]\nname = \"two\"\nversion = \"0.1.0\"\n" };
        let lock = format!("version = 4\n\n[[package]]\nname = \"one\"\nversion = \"0.1.0\"\n{uses}{second}");
        fs::write(root.join("one/Cargo.lock"), lock).unwrap();
        let mut tally = Tally::default();
        let files = ["one/Cargo.toml", "one/Cargo.lock"].map(PathBuf::from);
        check(&root, &files, &mut tally).unwrap();
        fs::remove_dir_all(&root).unwrap();
        (tally.is_good(), tally)
    }

    #[test]
    fn a_lock_file_that_lacks_a_package_is_named() {
        assert!(judge("new", false).0);
        let (good, tally) = judge("old", true);
        assert!(!good);
        assert_eq!(tally.line(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn without_a_registry_nothing_is_said() {
        let output = process::output(
            std::process::Command::new("sh")
                .args(["-c", "echo 'error: failed to get `libc` as a dependency' >&2; exit 101"]),
        );
        assert_eq!(
            verdict(&output.unwrap()),
            Verdict::Unknown("error: failed to get `libc` as a dependency".to_owned())
        );
    }
}
