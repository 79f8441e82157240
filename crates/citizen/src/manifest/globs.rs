//! Files of a resource and the patterns that choose among them.
//!
//! `*` stands for any run of characters within a name, `**/` for any folders, and `**.lua`, an old form, for
//! `**/*.lua`. Everything else stands for itself.

use std::path::Path;

/// Folders inside each other, and files, that are looked at.
const MAX_DEPTH: usize = 32;
const MAX_FILES: usize = 100_000;

/// The files of a resource, relative to it, sorted; listed when a pattern first asks.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    files: Option<Vec<String>>,
}

impl Listing {
    /// The files `pattern` chooses: itself when it has no `*`.
    pub(crate) fn expand(&mut self, folder: &Path, pattern: &str) -> Vec<String> {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        if !pattern.contains('*') {
            return vec![pattern.to_owned()];
        }
        let files = self.files.get_or_insert_with(|| {
            let mut files = Vec::new();
            list(folder, "", 0, &mut files);
            files.sort();
            files
        });
        files.iter().filter(|file| matches(pattern, file)).cloned().collect()
    }
}

/// Whether `path` stays inside the folder it is relative to.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\0')
        && !path.contains('\\')
        && Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}

fn list(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        // a name that is not UTF-8 cannot be written in a manifest either
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        if name.starts_with('.') || files.len() >= MAX_FILES {
            continue;
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            if depth < MAX_DEPTH {
                list(&entry.path(), &format!("{path}/"), depth + 1, files);
            }
        } else if kind.is_file() || entry.path().is_file() {
            files.push(path);
        }
    }
}

/// Whether `pattern` chooses `file`.
fn matches(pattern: &str, file: &str) -> bool {
    let mut segments = Vec::new();
    for segment in pattern.split('/') {
        match segment.strip_prefix("**") {
            Some("") => segments.push("**"),
            // `**.lua`, or `**_config.lua`: any folders, then any name that ends so
            Some(_) => segments.extend(["**", &segment[1..]]),
            None => segments.push(segment),
        }
    }
    let names: Vec<_> = file.split('/').collect();
    // matched[n]: the segments so far choose the first n names
    let mut matched = vec![false; names.len() + 1];
    matched[0] = true;
    for segment in segments {
        let mut next = vec![false; names.len() + 1];
        if segment == "**" {
            let first = matched.iter().position(|yes| *yes).unwrap_or(names.len() + 1);
            next.iter_mut().skip(first).for_each(|yes| *yes = true);
        } else {
            for (at, name) in names.iter().enumerate() {
                next[at + 1] = matched[at] && matches_name(segment.as_bytes(), name.as_bytes());
            }
        }
        matched = next;
    }
    // a pattern that ends in `**` chooses what is below, never the folder's own name
    matched[names.len()]
}

fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from, mut star) = (0, 0, None);
    while from < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, from));
            at += 1;
        } else if pattern.get(at) == Some(&name[from]) {
            (at, from) = (at + 1, from + 1);
        } else if let Some((star_at, star_from)) = star {
            (at, from) = (star_at + 1, star_from + 1);
            star = Some((star_at, star_from + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, chosen: &[&str], others: &[&str]) {
        for file in chosen {
            assert!(matches(pattern, file), "{pattern} should choose {file}");
        }
        for file in others {
            assert!(!matches(pattern, file), "{pattern} should not choose {file}");
        }
    }

    #[test]
    fn patterns_choose_as_documented() {
        check(
            "server/*.lua",
            &["server/a.lua", "server/.lua"],
            &["server/x/a.lua", "a.lua", "server/a.luac"],
        );
        check("**/*.lua", &["a.lua", "x/a.lua", "x/y/a.lua"], &["a.js"]);
        check("**.lua", &["a.lua", "x/a.lua"], &["a.lu"]);
        check("server/**.lua", &["server/a.lua", "server/x/y.lua"], &["a.lua"]);
        check(
            "server/**/main.lua",
            &["server/main.lua", "server/a/b/main.lua"],
            &["main.lua", "server/amain.lua"],
        );
        check("*/sv_*.lua", &["a/sv_x.lua"], &["sv_x.lua", "a/b/sv_x.lua"]);
        check("a[1]*.lua", &["a[1]b.lua"], &["a1b.lua"]);
        check("*a*b*", &["xaxbx", "ab"], &["ba"]);
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(2_000), &"a".repeat(1_999)));
        assert!(matches(&"**/".repeat(500), &"x/".repeat(500)));
    }

    #[test]
    fn paths_that_leave_their_folder_are_known() {
        for path in ["../a", "/etc/passwd", "a/../../b", "", "a\0b", "..\\a"] {
            assert!(!is_inside(path), "{path:?}");
        }
        assert!(is_inside("a/b.lua") && is_inside("./a"));
    }
}
