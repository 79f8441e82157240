//! Links in Markdown: where they stand in a page, which file they mean, and how a page is written with others in their place.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

/// A link, as it stands in a page.
pub struct Link {
    /// Its line, from 1.
    pub line: usize,
    pub target: String,
    /// Where the target stands in the page, in bytes.
    at: Range<usize>,
}

/// `[text](target)`, images, and `[name]: target`, outside of code.
pub fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for prose in prose(text) {
        let mut add = |from: usize, within: &str| {
            let inner = within.trim_start();
            let target = inner.split_whitespace().next().unwrap_or_default();
            let opened = target.strip_prefix('<').unwrap_or(target);
            let start = prose.start + from + (within.len() - inner.len()) + (target.len() - opened.len());
            let target = opened.strip_suffix('>').unwrap_or(opened);
            links.push(Link {
                line: prose.number,
                target: target.to_owned(),
                at: start..start + target.len(),
            });
        };
        let line = prose.text.as_str();
        let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        if let Some((name, target)) = defined.filter(|(name, _)| !name.contains(']')) {
            add(name.len() + 4, target);
            continue;
        }
        let mut from = 0;
        while let Some(open) = line[from..].find("](") {
            from += open + 2;
            let Some(end) = closing(&line[from..]) else { break };
            add(from, &line[from..from + end]);
            from += end;
        }
    }
    links
}

/// `text` with what `change` makes of the targets of its links.
pub fn rewrite(text: &str, mut change: impl FnMut(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for link in links(text) {
        if let Some(changed) = change(&link.target) {
            result.push_str(&text[done..link.at.start]);
            result.push_str(&changed);
            done = link.at.end;
        }
    }
    result.push_str(&text[done..]);
    result
}

/// `text` of the page `page`, with links to files that are not `here` leading below `base`. Paths are relative to the root
/// of the repository.
pub fn outward(text: &str, page: &Path, base: &str, here: impl Fn(&Path) -> bool) -> String {
    rewrite(text, |target| {
        let (path, place) = target.split_at(target.find('#').unwrap_or(target.len()));
        let file = meant(page, target)?;
        let written = joined(page, path)?;
        (!here(&file)).then(|| format!("{base}/{}{place}", written.display()))
    })
}

/// Links of the page `page` to files that are not `here`.
pub fn dead(text: &str, page: &Path, here: impl Fn(&Path) -> bool) -> Vec<String> {
    let targets = links(text).into_iter().map(|link| link.target);
    targets.filter(|target| meant(page, target).is_some_and(|file| !here(&file))).collect()
}

/// Whether a link leads to another place than the repository.
pub fn is_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// The file that a link on `page` means, if it is one of the repository and another than the page.
fn meant(page: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split('#').next().unwrap_or_default();
    if is_elsewhere(target) || path.is_empty() {
        return None;
    }
    joined(page, &percent_decoded(path))
}

/// `path` as seen from the folder of `file`, relative to the root.
pub fn joined(file: &Path, path: &str) -> Option<PathBuf> {
    let mut joined = file.parent()?.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => joined.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !joined.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(joined)
}

/// The text with `%20` and the like made what they stand for.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match code {
            Some(code) if *first == b'%' => {
                bytes.push(code);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line of a page that is no code.
pub struct Prose {
    /// From 1.
    pub number: usize,
    /// Where it begins in the page, in bytes.
    start: usize,
    /// With blanks in place of the code in it, byte for byte.
    text: String,
}

/// The lines of a page that are no code.
pub fn prose(text: &str) -> impl Iterator<Item = Prose> {
    let (mut fence, mut next): (Option<String>, usize) = (None, 0);
    text.split_inclusive('\n').enumerate().filter_map(move |(index, line)| {
        let start = next;
        next += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        let trimmed = line.trim_start();
        let marks: String = trimmed.chars().take_while(|&c| c == '`').collect();
        match &fence {
            Some(open) => {
                if marks.len() >= open.len() && trimmed.trim_end() == marks {
                    fence = None;
                }
                None
            }
            None if marks.len() >= 3 => {
                fence = Some(marks);
                None
            }
            None => Some(Prose { number: index + 1, start, text: without_code(line) }),
        }
    })
}

/// `line` with spaces in place of what stands between backquotes.
fn without_code(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        out.push_str(&rest[..start]);
        let run = rest[start..].chars().take_while(|&c| c == '`').count();
        let marks = &rest[start..start + run];
        let behind = &rest[start + run..];
        let Some(end) = behind.find(marks) else {
            out.push_str(&rest[start..]);
            return out;
        };
        out.extend(std::iter::repeat_n(' ', end + 2 * run));
        rest = &behind[end + run..];
    }
    out.push_str(rest);
    out
}

/// Where the bracket that is open before `text` closes.
pub fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(index),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_where_they_stand() {
        let text = "# A\r\nä [a](b.md#x \"title\") ![c]( <d e> ) `[no](no)` [f]((g)) [h](\n\n[i]: j.md\n[k](l) m]: n\n\
                    ~~~\n```md\n[no](no)\n```\n[o](p)";
        let found = links(text);
        let targets: Vec<(usize, &str)> =
            found.iter().map(|link| (link.line, link.target.as_str())).collect();
        assert_eq!(targets, [(2, "b.md#x"), (2, "d"), (2, "(g)"), (4, "j.md"), (5, "l"), (10, "p")]);
        for link in &found {
            assert_eq!(text[link.at.clone()], link.target);
        }
        assert_eq!(rewrite(text, |_| None), text);
        assert_eq!(
            rewrite("[a](b) [c](d)", |target| (target == "d").then(|| "e f".to_owned())),
            "[a](b) [c](e f)"
        );
    }

    #[test]
    fn what_is_not_here_is_linked_to_the_sources() {
        let here = |file: &Path| {
            ["docs/a.md", "docs/b.md", "README.md", "docs/[x].md"].iter().any(|known| file == *known)
        };
        let text = "[b](b.md#x) [c](../crates/c#y) [d](../README.md) [e](https://e.example/a) [f](#here) [x](%5Bx%5D.md)\n\
                    ```\n[g](g)\n```\n`[h](h)` [i](../../i) [j](/j)\n\n[k]: k%20k.md\n";
        let page = Path::new("docs/a.md");
        let changed = outward(text, page, "https://h.example/blob/v1", here);
        let expected = text
            .replace("../crates/c", "https://h.example/blob/v1/crates/c")
            .replace("k%20k.md", "https://h.example/blob/v1/docs/k%20k.md");
        assert_eq!(changed, expected);
        assert_eq!(dead(text, page, here), ["../crates/c#y", "k%20k.md"]);
        assert!(dead(&changed, page, here).is_empty());
    }
}
