//! The rules no compiler knows.

mod edges;
mod licences;
mod links;
mod locks;
mod messages;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::alone;
use crate::header;
use crate::metadata;
use crate::process;
use crate::tally::Tally;

/// Checks every rule and reports each under its own name.
pub fn run(tally: &mut Tally) -> Result<()> {
    let root = metadata::root();
    let packages = metadata::packages()?;
    let members: Vec<_> = packages.iter().filter(|package| package.member).cloned().collect();
    let architecture = std::fs::read_to_string(root.join("ARCHITECTURE.md"))
        .context("cannot read ARCHITECTURE.md, which holds the table of crates")?;
    report(tally, "edges", edges::check(&architecture, root, &members)?);

    let files = files(root)?;
    let mut texts = Vec::new();
    for file in &files {
        if let Ok(text) = std::fs::read_to_string(root.join(file)) {
            texts.push((file.clone(), text));
        }
    }
    report(tally, "module docs", each(&texts, sources::module_docs));
    report(tally, "file lengths", each(&texts, sources::length));
    report(tally, "words", each(&texts, sources::words));
    report(tally, "machine paths", each(&texts, sources::machine_paths));
    report(tally, "safe crates", sources::forbids_unsafe(&texts));
    report(tally, "crate files", crate_files(root, &members));

    report(tally, "links", links::check(&files, &texts));
    report(tally, "book", links::book(&texts));
    report(tally, "messages", messages::check(&texts));
    report(tally, "crates alone", alone::check(&members, &files, &texts));

    locks::check(root, &files, tally)?;

    report(tally, "header", header::check()?);

    let policy = std::fs::read_to_string(root.join("deny.toml")).context("cannot read deny.toml")?;
    report(tally, "licences", licences::check(&policy, &packages)?);
    Ok(())
}

fn report(tally: &mut Tally, rule: &str, broken: Vec<String>) {
    if broken.is_empty() {
        tally.pass(&format!("tidy {rule}"));
    }
    for place in broken {
        tally.fail(&format!("tidy {rule}"), place);
    }
}

fn each(texts: &[(PathBuf, String)], rule: fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    texts.iter().flat_map(|(file, text)| rule(file, text)).collect()
}

/// Every file under version control, and those about to be: relative to the root.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut command = Command::new("git");
    command.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = process::capture(&mut command).context("tidy looks at the files git knows")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

fn crate_files(root: &Path, members: &[metadata::Package]) -> Vec<String> {
    let mut broken = Vec::new();
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "README.md"] {
        if !root.join(name).is_file() {
            broken.push(format!("the root has no {name}"));
        }
    }
    let published = |package: &&metadata::Package| {
        ["crates", "plugins"].iter().any(|place| package.folder.starts_with(root.join(place)))
    };
    for package in members.iter().filter(published) {
        for file in ["README.md", "CHANGELOG.md"] {
            if !package.folder.join(file).is_file() {
                broken.push(format!("{} has no {file}", package.name));
            }
        }
        let read = |file: &str| std::fs::read_to_string(package.folder.join(file)).unwrap_or_default();
        let page = ["README.md", "src/lib.rs", "src/main.rs"].map(read).concat();
        for word in ["Guarantees", "Deliberately absent"] {
            if !page.contains(word) {
                broken.push(format!("{}: neither README.md nor the crate's page says: {word}", package.name));
            }
        }
        for (key, filled) in package.described {
            if !filled {
                broken.push(format!("{} has no `{key}` in its manifest", package.name));
            }
        }
        if package.licence.as_deref() != Some("MIT OR Apache-2.0") {
            broken.push(format!("{} is not under `MIT OR Apache-2.0`", package.name));
        }
    }
    broken
}
