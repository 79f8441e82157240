//! The programs below `examples/crates`: each depends on one crate alone, and is what that crate's README shows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cargo::cargo;
use crate::metadata::{self, Package};
use crate::process;
use crate::tally::Tally;

/// Library crates without such a program, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("agent", "programs do not link it"),
    ("citizen", "its program is a server; `crates/citizen/examples` has two"),
    ("counts", "for plugins, which depend on `tickscope-abi` as well: `plugins/prometheus`"),
    ("host", "a command"),
    ("macros", "comes with `tickscope`"),
    ("push", "the TLS below it takes a minute to build"),
    ("sql", "the engines below it take minutes to build"),
    ("trial", "for tests of plugins; its README shows one"),
    ("tickscope", "its program is `examples/rust-app`"),
];

fn folder() -> PathBuf {
    metadata::root().join("examples/crates")
}

/// The names of the programs: those of the crates.
fn names(files: &[PathBuf]) -> Vec<String> {
    let name = |file: &PathBuf| {
        let within = file.strip_prefix("examples/crates").ok()?;
        let (name, manifest) = within.to_str()?.split_once('/')?;
        (manifest == "Cargo.toml").then(|| name.to_owned())
    };
    files.iter().filter_map(name).collect()
}

/// What a program's README shows otherwise than it is, crates that have none, and programs that depend on more than one crate.
pub fn check(members: &[Package], files: &[PathBuf], texts: &[(PathBuf, String)]) -> Vec<String> {
    let text_of =
        |file: &str| texts.iter().find(|(path, _)| path == Path::new(file)).map(|(_, text)| &**text);
    let programs = names(files);
    let mut broken = Vec::new();
    for package in members {
        let Ok(name) = package.folder.strip_prefix(metadata::root().join("crates")) else { continue };
        let name = name.to_string_lossy();
        let excused = WITHOUT.iter().any(|(without, _)| *without == name);
        match (programs.iter().any(|program| *program == name), excused) {
            (false, false) => {
                broken.push(format!(
                    "examples/crates/{name}, a program with {} alone, is not there",
                    package.name
                ));
            }
            (true, true) => {
                broken.push(format!("examples/crates/{name} is there, and WITHOUT in xtask says it is not"))
            }
            _ => {}
        }
    }
    for name in &programs {
        let manifest = format!("examples/crates/{name}/Cargo.toml");
        let dependencies = text_of(&manifest).map(ours).unwrap_or_default();
        let only = format!("tickscope-{name} = {{ path = \"../../../crates/{name}\" }}");
        if dependencies != [&*only] {
            broken.push(format!(
                "{manifest}: depends on {dependencies:?} of ours instead of on tickscope-{name} alone"
            ));
        }
        let readme = format!("crates/{name}/README.md");
        let sources = ["main.rs", "lib.rs"].map(|file| format!("examples/crates/{name}/src/{file}"));
        let Some((source, code)) = sources.iter().find_map(|file| Some((file, text_of(file)?))) else {
            broken.push(format!("examples/crates/{name} has no source"));
            continue;
        };
        let shown = text_of(&readme).unwrap_or_default();
        if first_block(shown, "rust").is_none_or(|(block, _)| block != code) {
            broken.push(format!("{readme}: its first Rust block is not {source}"));
        }
    }
    broken
}

/// The lines of a manifest that name a crate of ours.
fn ours(manifest: &str) -> Vec<&str> {
    manifest.lines().filter(|line| line.starts_with("tickscope")).collect()
}

/// The first block of code in `language`, and what stands behind it.
fn first_block<'a>(text: &'a str, language: &str) -> Option<(&'a str, &'a str)> {
    let open = format!("```{language}\n");
    let start = match text.strip_prefix(&open) {
        Some(_) => open.len(),
        None => text.find(&format!("\n{open}"))? + 1 + open.len(),
    };
    let end = start + text[start..].find("\n```\n")? + 1;
    Some((&text[start..end], &text[end + 4..]))
}

/// Builds all programs, runs them, and compares what they print with what the README says they do.
pub fn run(tally: &mut Tally) -> Result<()> {
    let target = metadata::target_dir().join("examples");
    let out = metadata::target_dir().join("example-output/crates");
    std::fs::create_dir_all(&out)?;
    let mut names: Vec<String> = std::fs::read_dir(folder())?
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in &names {
        // One after the other: built together, each would have the features that the others ask for.
        let mut build =
            cargo(["build", "--quiet", "--locked", "--package", &format!("alone-{name}"), "--manifest-path"]);
        build.arg(folder().join("Cargo.toml")).env("CARGO_TARGET_DIR", &target);
        tally.judge(&format!("tickscope-{name} alone builds"), process::show(&mut build));
    }
    let programs = target.join("debug");
    for name in names.iter().filter(|name| folder().join(name).join("src/main.rs").is_file()) {
        let mut command = process::limited(programs.join(format!("alone-{name}")), Duration::from_secs(60));
        command.current_dir(&out);
        if name == "plugin" {
            command.arg(programs.join("libspans.so")); // the program for tickscope-abi
        }
        tally
            .judge(&format!("tickscope-{name} alone does what its README says"), compare(name, &mut command));
    }
    Ok(())
}

fn compare(name: &str, command: &mut std::process::Command) -> Result<()> {
    let output = process::capture(command)?;
    let printed = String::from_utf8(output.stdout).context("what it prints is no text")?;
    let readme = metadata::root().join("crates").join(name).join("README.md");
    let text =
        std::fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
    let (_, behind) = first_block(&text, "rust").context("no Rust block")?;
    let (shown, _) = first_block(behind, "text").context("no block of text behind the program")?;
    ensure!(printed == shown, "{} shows\n{shown}and the program prints\n{printed}", readme.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_by_their_language() {
        let text = "# A\n```toml\nx = 1\n```\n\n```rust\nfn main() {}\n```\nprints\n```text\n1\n2\n```\n";
        let (code, behind) = first_block(text, "rust").unwrap();
        assert_eq!(code, "fn main() {}\n");
        assert_eq!(first_block(behind, "text").unwrap().0, "1\n2\n");
        assert!(first_block(text, "rust,ignore").is_none());
        assert_eq!(first_block("```rust\n1\n```\n", "rust").unwrap().0, "1\n");
    }

    fn broken(manifest: &str, readme: &str) -> Vec<String> {
        let texts = [
            ("examples/crates/ring/Cargo.toml", manifest),
            ("examples/crates/ring/src/main.rs", "fn main() {}\n"),
            ("crates/ring/README.md", readme),
        ];
        let texts = texts.map(|(file, text)| (PathBuf::from(file), text.to_owned()));
        let files: Vec<PathBuf> = texts.iter().map(|(file, _)| file.clone()).collect();
        check(&[], &files, &texts)
    }

    #[test]
    fn a_readme_that_shows_something_else_and_a_second_crate_are_named() {
        let alone = "[dependencies]\ntickscope-ring = { path = \"../../../crates/ring\" }\nlibc = \"0.2\"\n";
        let shown = "# ring\n```rust\nfn main() {}\n```\n";
        assert_eq!(broken(alone, shown), Vec::<String>::new());
        assert!(broken(alone, "# ring\n```rust\nfn main() { }\n```\n")[0].contains("crates/ring/README.md"));
        let two = format!("{alone}tickscope-core = {{ path = \"../../../crates/core\" }}\n");
        assert!(broken(&two, shown)[0].contains("examples/crates/ring/Cargo.toml"));
    }
}
