//! Links in the pages of the repository: each leads to a file that is there, and to a heading that it has. Without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::links::{closing, is_elsewhere, joined, links, percent_decoded, prose};

/// Every link that leads nowhere. `files` are all files that git knows.
pub fn check(files: &[PathBuf], texts: &[(PathBuf, String)]) -> Vec<String> {
    let mut there: BTreeSet<&Path> = BTreeSet::new();
    for file in files {
        there.extend(file.ancestors());
    }
    let pages = || texts.iter().filter(|(file, _)| is_page(file));
    let headings: BTreeMap<&Path, BTreeSet<String>> =
        pages().map(|(file, text)| (file.as_path(), anchors(text))).collect();
    let mut broken = Vec::new();
    for (file, text) in pages() {
        for link in links(text) {
            if let Some(why) = leads_nowhere(file, &link.target, &there, &headings) {
                broken.push(format!("{}:{}: `{}` {why}", file.display(), link.line, link.target));
            }
        }
    }
    broken
}

/// Pages of the book that its table of contents does not have, and entries of that twice.
pub fn book(texts: &[(PathBuf, String)]) -> Vec<String> {
    let summary = Path::new("docs/SUMMARY.md");
    let Some((_, text)) = texts.iter().find(|(file, _)| file == summary) else {
        return vec!["docs/SUMMARY.md, the contents of the book, is not there".to_owned()];
    };
    let mut listed = BTreeSet::new();
    let mut broken = Vec::new();
    for link in links(text) {
        if !listed.insert(Path::new("docs").join(&link.target)) {
            broken.push(format!("docs/SUMMARY.md:{}: {} is there twice", link.line, link.target));
        }
    }
    let chapters = texts.iter().filter(|(file, _)| file.parent() == Some(Path::new("docs")) && is_page(file));
    for (file, _) in chapters.filter(|(file, _)| file != summary && !listed.contains(file)) {
        broken.push(format!("{}: is not in docs/SUMMARY.md, so the book lacks it", file.display()));
    }
    broken
}

fn is_page(file: &Path) -> bool {
    let golden = file.components().any(|part| part.as_os_str() == "data" || part.as_os_str() == "snapshots");
    file.extension().is_some_and(|extension| extension == "md") && !golden
}

fn leads_nowhere(
    file: &Path,
    target: &str,
    there: &BTreeSet<&Path>,
    headings: &BTreeMap<&Path, BTreeSet<String>>,
) -> Option<String> {
    if is_elsewhere(target) {
        return None;
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let path = percent_decoded(path);
    let page = if path.is_empty() {
        file.to_owned()
    } else {
        let Some(page) = joined(file, &path) else {
            return Some("leads out of the repository".to_owned());
        };
        page
    };
    if !there.contains(page.as_path()) {
        return Some(format!("leads to {}, which is not there", page.display()));
    }
    let anchor = anchor?;
    match headings.get(page.as_path()) {
        Some(known) if known.contains(anchor) => None,
        Some(_) => Some(format!("leads to a heading that {} does not have", page.display())),
        None => Some("names a place in a file that is no page".to_owned()),
    }
}

/// What the headings of a page are called in links, as GitHub and mdBook do it.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in headings(text) {
        let mut anchor = String::new();
        for c in line.chars() {
            match c {
                ' ' => anchor.push('-'),
                '-' | '_' => anchor.push(c),
                c if c.is_alphanumeric() => anchor.extend(c.to_lowercase()),
                _ => {}
            }
        }
        let mut unique = anchor.clone();
        let mut number = 0;
        while !anchors.insert(unique.clone()) {
            number += 1;
            unique = format!("{anchor}-{number}");
        }
    }
    anchors
}

/// The headings of a page, without the targets of links in them. Code in a heading counts, so lines are looked at whole.
fn headings(text: &str) -> Vec<String> {
    let numbers: BTreeSet<usize> = prose(text).map(|line| line.number).collect();
    let mut headings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let level = line.chars().take_while(|&c| c == '#').count();
        if !(1..=6).contains(&level) || !numbers.contains(&(index + 1)) || !line[level..].starts_with(' ') {
            continue;
        }
        let mut heading = String::new();
        let mut rest = line[level..].trim();
        while let Some(start) = rest.find("](") {
            heading.push_str(&rest[..start]);
            rest = &rest[start + 2..];
            rest = closing(rest).map_or("", |end| &rest[end + 1..]);
        }
        heading.push_str(rest);
        headings.push(heading);
    }
    headings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(page: &str) -> Vec<String> {
        let other = "# Other\n\n## What it `costs`, in [time](x.md)\n\n## Twice\n## Twice\n";
        let texts = [("docs/a.md", page), ("docs/deep/b.md", other)];
        let texts: Vec<(PathBuf, String)> =
            texts.map(|(file, text)| (file.into(), text.to_owned())).into_iter().collect();
        let files = ["docs/a.md", "docs/deep/b.md", "docs/[in]/c.lua"].map(PathBuf::from);
        check(&files, &texts[..1].iter().chain(&texts[1..]).cloned().collect::<Vec<_>>())
            .into_iter()
            .filter(|line| line.starts_with("docs/a.md"))
            .collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let page = "# A page\n[a](deep/b.md), [b](deep/b.md#what-it-costs-in-time), ![c](%5Bin%5D/c.lua), [d](deep), \
                    [e](https://example.org/x), [f](#a-page), [g](../docs/a.md), [h](deep/b.md#twice-1)\n\n[i]: deep/b.md\n\
                    `[no](link.md)`\n```md\n[no](link.md)\n# Nor a heading\n```\n";
        assert_eq!(broken(page), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let page = "x\n[a](deep/c.md) [b](deep/b.md#costs)\n[c](../../etc) [d](%5Bin%5D/c.lua#L3)\n\n[e]: gone.md\n\
                    ```\n# Nor a heading\n```\n[f](#nor-a-heading)\n";
        let found = broken(page);
        let starts = [
            "docs/a.md:2: ",
            "docs/a.md:2: ",
            "docs/a.md:3: ",
            "docs/a.md:3: ",
            "docs/a.md:5: ",
            "docs/a.md:9: ",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (line, start) in found.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        assert!(found[0].contains("docs/deep/c.md, which is not there"), "{}", found[0]);
        assert!(found[2].contains("out of the repository"), "{}", found[2]);
    }

    #[test]
    fn a_page_the_book_lacks_is_named() {
        let texts = [("docs/SUMMARY.md", "- [A](a.md)\n- [A](a.md)\n"), ("docs/a.md", ""), ("docs/b.md", "")];
        let texts = texts.map(|(file, text)| (PathBuf::from(file), text.to_owned()));
        let found = book(&texts);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].contains("twice") && found[1].starts_with("docs/b.md"), "{found:#?}");
    }
}
