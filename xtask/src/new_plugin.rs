//! A new sink plugin: a package that builds, loads, and takes all that a recording may hold.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::metadata;

#[derive(Args)]
pub struct Options {
    /// Its name: lower-case letters, digits and `-`.
    name: String,
    /// The folder to make. [default: its name, in the current folder]
    folder: Option<PathBuf>,
}

const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../template/plugin/Cargo.toml.in")),
    ("README.md", include_str!("../template/plugin/README.md.in")),
    ("src/lib.rs", include_str!("../template/plugin/lib.rs.in")),
    ("tests/it.rs", include_str!("../template/plugin/it.rs.in")),
];

/// Makes it. `here` is the folder the command was given in.
pub fn run(options: &Options, here: &std::path::Path) -> Result<()> {
    let name = &options.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain) && !name.ends_with('-'),
        "{name:?} is no name for a plugin; expected lower-case letters, digits and -, such as my-sink"
    );
    let folder = here.join(options.folder.clone().unwrap_or_else(|| name.into()));
    ensure!(!folder.exists(), "{} is there already: choose another folder", folder.display());
    let of_ours = |name: &str| format!("{{ path = {:?} }}", metadata::root().join("crates").join(name));
    for (file, text) in FILES {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        let text = text
            .replace("libmy_sink", &format!("lib{}", name.replace('-', "_")))
            .replace("my-sink", name)
            // Last: the path may have any of these in it.
            .replace("TICKSCOPE_TRIAL", &of_ours("trial"))
            .replace("TICKSCOPE_ABI", &of_ours("abi"));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!(
        "{0}: cargo build --release --manifest-path {0}/Cargo.toml; then see its README.md",
        folder.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::cargo;

    #[test]
    fn what_is_made_builds_and_passes_its_tests() {
        let folder = tempfile::tempdir().unwrap();
        run(&Options { name: "span-count-2".into(), folder: None }, folder.path()).unwrap();
        let made = folder.path().join("span-count-2");
        // Beside the test plugins of tickscope-plugin: what they depend on is built once.
        let target = metadata::target_dir().join("tmp/plugins");
        let mut test = cargo(["test", "--quiet", "--offline", "--target-dir"]);
        let output = test.arg(&target).current_dir(&made).output().unwrap();
        let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("2 passed") && !said.contains("warning"), "{said}");
    }

    #[test]
    fn names_that_are_none_and_folders_that_are_there_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "My-Sink", "9lives", "a_b", "a-", "../x"] {
            assert!(run(&Options { name: name.into(), folder: None }, folder.path()).is_err(), "{name}");
        }
        let there = Options { name: "fine".into(), folder: Some(folder.path().into()) };
        assert!(run(&there, folder.path()).unwrap_err().to_string().contains("is there already"));
    }
}
