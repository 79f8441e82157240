//! Links of pages that lie in an archive: what is not in it is where the sources are published.

use std::collections::BTreeSet;

/// `text` of the page `page`, with links to what is not among `files` made links below `base`. Paths are relative to the
/// root of the repository.
pub fn outward(text: &str, page: &str, files: &BTreeSet<String>, base: &str) -> String {
    each(text, |target| {
        let (path, place) = target.split_at(target.find('#').unwrap_or(target.len()));
        let path = resolve(page, path)?;
        (!is_there(&path, files)).then(|| format!("{base}/{path}{place}"))
    })
}

/// Links of `text` that lead to nothing among `files`.
pub fn dead(text: &str, page: &str, files: &BTreeSet<String>) -> Vec<String> {
    let mut dead = Vec::new();
    each(text, |target| {
        let path = resolve(page, target.split('#').next().unwrap_or_default())?;
        if !is_there(&path, files) {
            dead.push(target.to_owned());
        }
        None
    });
    dead
}

/// Calls `change` with the target of each relative link outside of code, and puts what it returns in its place.
fn each(text: &str, mut change: impl FnMut(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut fenced = false;
    for line in text.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```");
        let mut rest = line;
        while let Some(open) = rest.find("](").filter(|_| !fenced) {
            let (before, after) = rest.split_at(open + 2);
            result.push_str(before);
            let end = after.find([')', ' ']).unwrap_or(0);
            let target = &after[..end];
            let elsewhere = target.is_empty() || target.starts_with(['#', '/']) || target.contains(':');
            match (!elsewhere).then(|| change(target)).flatten() {
                Some(changed) => result.push_str(&changed),
                None => result.push_str(target),
            }
            rest = &after[end..];
        }
        result.push_str(rest);
    }
    result
}

/// The path that a link on `page` means, if it stays within the root.
fn resolve(page: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn is_there(path: &str, files: &BTreeSet<String>) -> bool {
    let below = format!("{path}/");
    files.contains(path) || files.range(below.clone()..).next().is_some_and(|file| file.starts_with(&below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_archive_is_linked_to_the_sources() {
        let files = ["docs/a.md", "docs/b.md", "README.md"].map(str::to_owned).into();
        let text = "[b](b.md#x) [c](../crates/c) [d](../README.md) [e](https://e.example/a) [f](#here)\n\
                    ```\n[g](g)\n```\n";
        let changed = outward(text, "docs/a.md", &files, "https://h.example/blob/v1");
        assert_eq!(changed, text.replace("../crates/c", "https://h.example/blob/v1/crates/c"));
        assert_eq!(dead(text, "docs/a.md", &files), ["../crates/c"]);
        assert!(dead(&changed, "docs/a.md", &files).is_empty());
        assert!(dead("[docs](docs) and [out](../../x)", "README.md", &files).is_empty());
    }
}
