//! Messages that the page on troubleshooting quotes: each is in the sources.

use std::path::{Path, PathBuf};

const PAGE: &str = "docs/troubleshooting.md";
/// Shorter pieces between two `…` would be found anywhere.
const SHORTEST: usize = 6;

/// Messages of the page's tables, the code in their first columns, that no source has. A `…` stands for what differs.
pub fn check(texts: &[(PathBuf, String)]) -> Vec<String> {
    let Some((_, page)) = texts.iter().find(|(file, _)| file == Path::new(PAGE)) else {
        return vec![format!("{PAGE} is not there")];
    };
    let sources: Vec<String> =
        texts.iter().filter(|(file, _)| is_source(file)).map(|(_, text)| plain(text)).collect();
    let mut broken = Vec::new();
    for (index, line) in page.lines().enumerate() {
        let Some(cell) = line.strip_prefix("| ").and_then(|line| line.split(" | ").next()) else { continue };
        for message in cell.split('`').skip(1).step_by(2) {
            let mut pieces = message.split('…').map(str::trim).filter(|piece| piece.len() >= SHORTEST);
            if let Some(piece) = pieces.find(|piece| !sources.iter().any(|source| source.contains(piece))) {
                broken.push(format!("{PAGE}:{}: nothing says {piece:?} any more", index + 1));
            }
        }
    }
    broken
}

fn is_source(file: &Path) -> bool {
    let inner = file.components().any(|part| part.as_os_str() == "src") || file.starts_with("resources");
    inner && file.extension().is_some_and(|extension| extension == "rs" || extension == "lua")
}

/// A source with the breaks in its strings undone.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match line.strip_suffix('\\') {
            Some(begun) => {
                plain.push_str(begun);
                let mut next = lines.next().unwrap_or_default().trim_start();
                while let Some(more) = next.strip_suffix('\\') {
                    plain.push_str(more);
                    next = lines.next().unwrap_or_default().trim_start();
                }
                plain.push_str(next);
            }
            None => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_nothing_says_is_named() {
        let page = "| it says | why |\n|---|---|\n| `no room left but … here` | full |\n| `all is well indeed` | it is not |\n\
                    | not code | x |\n";
        let source = "fn f() { bail!(\"{} has no room left \\\n             but {} here\") }\n";
        let texts = [(PAGE, page), ("crates/host/src/a.rs", source), ("docs/b.md", "all is well indeed")];
        let texts = texts.map(|(file, text)| (PathBuf::from(file), text.to_owned()));
        let broken = check(&texts);
        assert_eq!(broken, [format!("{PAGE}:4: nothing says \"all is well indeed\" any more")]);
    }
}
