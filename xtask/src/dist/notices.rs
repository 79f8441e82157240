//! The licences of what is linked in, with their texts out of the sources of each crate.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Release;
use super::crates::Linked;
use crate::metadata;
use crate::process;

/// How files with licences begin, in lower case.
const NAMES: &[&str] = &["license", "licence", "copying", "copyright", "notice", "unlicense"];
/// Folders in which files of such names are of no concern: nothing in them is linked.
const ASIDE: &[&str] = &["tests", "test", "testdata", "benches", "examples", "target", "fuzz"];
/// How deep they are looked for: what a crate brings along of others lies in folders of its own.
const DEPTH: usize = 4;
/// What is linked and is no crate.
const BESIDE: &str = "\
Lua is part of lua-src, under the licence that stands there; SQLite is part of libsqlite3-sys, and in the public domain.
libtickscope_agent.so has GCC's unwinder linked in, which is under GPL-3.0-or-later WITH GCC-exception-3.1: the exception
allows that for works under any licence.
";

pub fn text(release: &Release, linked: &[Linked]) -> Result<String> {
    let others: Vec<&Linked> = linked.iter().filter(|linked| !linked.ours).collect();
    let rustc = process::capture(Command::new("rustc").arg("-V"))?;
    let rustc = String::from_utf8_lossy(&rustc.stdout).trim().to_owned();
    let mut page = format!(
        "What is linked into the programs and libraries of Tickscope {}, beside what is its own.\n\n",
        release.version
    );
    for linked in &others {
        let place = linked.repository.as_deref().unwrap_or("");
        let _ = writeln!(page, "{} {}: {}  {place}", linked.name, linked.version, linked.licence);
    }
    let library =
        "https://github.com/rust-lang/rust, whose COPYRIGHT-library.html names who wrote what of it";
    let _ = write!(page, "\nThe standard library of {rustc}: MIT OR Apache-2.0, {library}\n{BESIDE}");
    // Texts that differ in spaces alone are one.
    let mut texts: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for linked in &others {
        for text in texts_of(linked)? {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let name = format!("{} {}", linked.name, linked.version);
            let (users, _) = texts.entry(words).or_insert_with(|| (Vec::new(), text));
            if users.last() != Some(&name) {
                users.push(name);
            }
        }
    }
    // By who has it first.
    let mut texts: Vec<(Vec<String>, String)> = texts.into_values().collect();
    texts.sort();
    for (users, text) in texts {
        let _ = write!(page, "\n{}\n{}\n\n{}\n", "=".repeat(78), users.join(", "), text.trim());
    }
    Ok(page)
}

fn texts_of(linked: &Linked) -> Result<Vec<String>> {
    let mut files = Vec::new();
    find(&linked.folder, DEPTH, &mut files)
        .with_context(|| format!("cannot look through {}", linked.folder.display()))?;
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        texts.push(String::from_utf8_lossy(&bytes).replace('\r', ""));
    }
    if texts.is_empty() {
        texts.push(standard(linked)?);
    }
    Ok(texts)
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    // As REUSE has it: each file in there is one, called after the licence.
    let all = folder.file_name().is_some_and(|name| name == "LICENSES");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if entry.file_type()?.is_dir() {
            if depth > 1 && !ASIDE.contains(&name.as_str()) && !name.starts_with('.') {
                find(&entry.path(), depth - 1, files)?;
            }
        } else if (all || NAMES.iter().any(|begin| name.starts_with(begin))) && is_text(&name) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// `license.rs` is a program.
fn is_text(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    ending.is_none_or(|ending| !["rs", "c", "h", "py", "go", "toml", "json"].contains(&ending))
}

/// The text of the licence that a crate names without having it.
fn standard(linked: &Linked) -> Result<String> {
    let names = |name: &str| linked.licence.split([' ', '(', ')']).any(|word| word == name);
    if names("MIT") {
        let text = fs::read_to_string(metadata::root().join("LICENSE-MIT"))?;
        let ours = text.lines().find(|line| line.starts_with("Copyright")).context("no line of copyright")?;
        let authors = match linked.authors.as_slice() {
            [] => format!("the authors of {}", linked.name),
            some => some.join(", "),
        };
        return Ok(text.replace(ours, &format!("Copyright (c) {authors}")));
    }
    if names("Apache-2.0") {
        return Ok(fs::read_to_string(metadata::root().join("LICENSE-APACHE"))?);
    }
    bail!(
        "{} {} is under {} and has no text of it: put one into `standard` in {}",
        linked.name,
        linked.version,
        linked.licence,
        file!()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_once_and_missing_ones_are_made_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for (name, file, text) in [
            ("a", "LICENSE", "Do what\nyou like"),
            ("b", "third/x/COPYING.txt", "Do  what you like\n"),
            ("b", "LICENSES/Own.txt", "Own words"),
            ("c", "tests/LICENSE", "no"),
            ("d", "license.rs", "fn main() {}"),
        ] {
            let path = place(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let linked = |name: &str, licence: &str| Linked {
            name: name.into(),
            version: "1.0.0".into(),
            licence: licence.into(),
            authors: vec!["Ann".into()],
            repository: None,
            folder: place(name),
            ours: false,
            checksum: None,
            uses: [].into(),
        };
        let release = Release { version: "1".into(), target: "t".into(), epoch: 0, repository: "r".into() };
        let all =
            [linked("a", "X"), linked("b", "X"), linked("c", "MIT OR Apache-2.0"), linked("d", "Apache-2.0")];
        let page = text(&release, &all).unwrap();
        assert!(page.contains("\na 1.0.0, b 1.0.0\n\nDo what\nyou like\n"), "{page}");
        assert!(page.contains("Copyright (c) Ann\n"), "{page}");
        assert!(page.contains("\nb 1.0.0\n\nOwn words\n"), "{page}");
        let error = text(&release, &[linked("c", "Zlib")]).unwrap_err().to_string();
        assert!(error.starts_with("c 1.0.0 is under Zlib"), "{error}");
    }
}
