//! Rules about single files.

use std::path::{Path, PathBuf};

const MAX_LINES: usize = 800;

/// Words that praise instead of saying something, and notes to oneself. Written apart so that this file may name them.
const WORDS: &[&str] = &[
    concat!("blaz", "ing"),
    concat!("cutting", "-edge"),
    concat!("cutting", " edge"),
    concat!("state", "-of-the-art"),
    concat!("state", " of the art"),
    concat!("world", "-class"),
    concat!("revolution", "ary"),
    concat!("seam", "less"),
    concat!("effort", "less"),
    concat!("game", "-chang"),
    concat!("next", "-generation"),
    concat!("enterprise", "-grade"),
    concat!("production", "-ready"),
    concat!("best", "-in-class"),
    concat!("super", "charge"),
    concat!("lightning", "-fast"),
    concat!("lightning", " fast"),
    concat!("battle", "-tested"),
    concat!("comprehen", "sive"),
    concat!("to", "do:"),
    concat!("fix", "me"),
    concat!("phase", " 1"),
    concat!("phase", " 2"),
];

/// Places that exist on one machine only: somebody's home.
const PLACES: &[&str] = &[concat!("/root", "/"), concat!("/Us", "ers/")];

/// Crates that must not have unsafe code.
const SAFE: &[&str] = &["core", "analysis", "export"];

/// A Rust file says what it is before anything else.
pub fn module_docs(file: &Path, text: &str) -> Vec<String> {
    if !is_ours(file) || text.trim_start().starts_with("//!") {
        return Vec::new();
    }
    vec![format!("{}:1: a module begins with `//!` and says what it is", file.display())]
}

/// A Rust file can be read in one sitting. One that is generated says `@generated` in its first lines.
pub fn length(file: &Path, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let generated = text.lines().take(5).any(|line| line.contains("@generated"));
    if !is_ours(file) || lines <= MAX_LINES || generated {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines; past {MAX_LINES} a file is split", file.display())]
}

/// Plain words only.
pub fn words(file: &Path, text: &str) -> Vec<String> {
    if !is_text(file) {
        return Vec::new();
    }
    find(file, text, |line| {
        let line = line.to_lowercase();
        WORDS.iter().find(|word| line.contains(**word)).map(|word| format!("`{word}` says nothing; drop it"))
    })
}

/// Nothing depends on where one person keeps things.
pub fn machine_paths(file: &Path, text: &str) -> Vec<String> {
    if !is_text(file) {
        return Vec::new();
    }
    find(file, text, |line| {
        PLACES
            .iter()
            .find(|place| line.contains(**place))
            .map(|place| format!("`{place}` is one machine's path"))
    })
}

/// The crates that are only data and pure functions say so to the compiler.
pub fn forbids_unsafe(texts: &[(PathBuf, String)]) -> Vec<String> {
    let mut broken = Vec::new();
    for name in SAFE {
        let file = PathBuf::from(format!("crates/{name}/src/lib.rs"));
        let forbids = texts
            .iter()
            .any(|(path, text)| *path == file && text.lines().any(|line| line == "#![forbid(unsafe_code)]"));
        if !forbids {
            broken.push(format!("{}: lacks `#![forbid(unsafe_code)]`", file.display()));
        }
    }
    broken
}

fn find(file: &Path, text: &str, rule: impl Fn(&str) -> Option<String>) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| Some(format!("{}:{}: {}", file.display(), index + 1, rule(line)?)))
        .collect()
}

fn is_ours(file: &Path) -> bool {
    let code = file.extension().is_some_and(|extension| extension == "rs");
    let data = file.components().any(|part| part.as_os_str() == "data" || part.as_os_str() == "ui");
    code && !data && ["crates", "plugins", "xtask"].iter().any(|place| file.starts_with(place))
}

fn is_text(file: &Path) -> bool {
    let known = ["rs", "md", "toml", "lua", "mjs", "js", "json", "html", "css", "sh", "cfg", "yml"];
    let licence = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("LICENSE"));
    let golden = file.components().any(|part| part.as_os_str() == "data" || part.as_os_str() == "snapshots");
    let named = file.extension().is_none_or(|extension| known.iter().any(|known| extension == *known));
    named && !licence && !golden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_docs_is_named() {
        assert_eq!(module_docs(Path::new("crates/a/src/b.rs"), "use x;\n").len(), 1);
        assert_eq!(module_docs(Path::new("plugins/a/src/b.rs"), "use x;\n").len(), 1);
        assert!(module_docs(Path::new("crates/a/src/b.rs"), "//! B.\n").is_empty());
        assert!(module_docs(Path::new("crates/a/tests/data/b.rs"), "use x;\n").is_empty());
        assert!(module_docs(Path::new("crates/a/README.md"), "# A\n").is_empty());
    }

    #[test]
    fn a_long_file_is_named_unless_generated() {
        let long = "x\n".repeat(801);
        assert_eq!(length(Path::new("xtask/src/x.rs"), &long).len(), 1);
        assert!(length(Path::new("xtask/src/x.rs"), &format!("// @generated\n{long}")).is_empty());
        assert!(length(Path::new("xtask/src/x.rs"), &"x\n".repeat(800)).is_empty());
    }

    #[test]
    fn praise_is_named_with_its_line() {
        let text = format!("# A\n\nA {} tool.\n", WORDS[0]);
        assert!(words(Path::new("README.md"), &text)[0].starts_with("README.md:3: "));
        assert!(words(Path::new("a.png"), &text).is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_named() {
        let text = format!("see {}/x\n", PLACES[0]);
        assert_eq!(machine_paths(Path::new("docs/a.md"), &text).len(), 1);
        assert!(machine_paths(Path::new("docs/a.md"), "see /proc/self/maps\n").is_empty());
    }
}
