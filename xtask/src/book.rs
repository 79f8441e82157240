//! The book: mdBook over `docs/`. Its pages are those that people read in the repository too, so they link to files beside
//! the book: a preprocessor makes those links lead to the repository.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::oracles::install;
use crate::process;
use crate::tally::Tally;
use crate::{links, metadata};

const REPOSITORY: &str = "https://github.com/tickscope/tickscope/blob/main";

/// Builds the book into `target/book`, and looks whether each page is there, with links that lead out of it changed.
pub fn run(tally: &mut Tally) -> Result<()> {
    let Some(mdbook) = install::mdbook() else {
        tally.skip("book", "no mdbook; `cargo xtask test --install` fetches it");
        return Ok(());
    };
    let docs = metadata::root().join("docs");
    let out = metadata::target_dir().join("book");
    let mut command = std::process::Command::new(mdbook);
    command.arg("build").arg("--dest-dir").arg(&out).arg(&docs);
    command.env("CARGO_TARGET_DIR", metadata::target_dir());
    let output = process::capture(&mut command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    ensure!(!said.contains("WARN") && !said.contains("ERROR"), "mdbook warns, see above");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).context("cannot read docs/SUMMARY.md")?;
    let mut pages = 0;
    for link in links::links(&summary) {
        let page = out.join(&link.target).with_extension("html");
        let html =
            std::fs::read_to_string(&page).with_context(|| format!("the book lacks {}", page.display()))?;
        if let Some(link) = html.split("href=\"").skip(1).find(|rest| rest.starts_with("../")) {
            bail!(
                "{}: links out of the book: {}",
                page.display(),
                link.split('"').next().unwrap_or_default()
            );
        }
        pages += 1;
    }
    ensure!(pages > 10, "the book has {pages} pages");
    tally.pass(&format!("the book: {pages} pages"));
    Ok(())
}

/// mdBook's protocol: `[context, book]` comes, the book goes. Asked whether it knows a renderer, it says yes.
pub fn preprocess(supports: bool) -> Result<()> {
    if supports {
        return Ok(());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read what mdbook gives")?;
    let mut given: Value = serde_json::from_str(&text).context("this is for mdbook to call")?;
    let book = given.get_mut(1).context("expected [context, book], as mdbook gives")?;
    chapters(book);
    writeln!(std::io::stdout(), "{book}").context("cannot answer mdbook")?;
    Ok(())
}

/// Changes the links of all chapters below `value`.
fn chapters(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(chapters),
        Value::Object(fields) => {
            let path = fields.get("source_path").and_then(Value::as_str).map(PathBuf::from);
            if let (Some(path), Some(Value::String(content))) = (path, fields.get_mut("content")) {
                *content = outward(&path, content);
            }
            fields.values_mut().for_each(chapters);
        }
        _ => {}
    }
}

/// `content` of the page `path`, seen from `docs`, with links out of `docs` leading to the repository.
fn outward(path: &Path, content: &str) -> String {
    links::outward(content, &Path::new("docs").join(path), REPOSITORY, |file| file.starts_with("docs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_lead_to_the_repository() {
        let page =
            "[a](record.md#x) [b](../crates/ring) [c](../README.md#start), `x](../y`\n![d](city.png)\n";
        let changed = outward(Path::new("guide.md"), page);
        assert!(changed.contains("(record.md#x)") && changed.contains("(city.png)"), "{changed}");
        assert!(changed.contains(&format!("({REPOSITORY}/crates/ring)")), "{changed}");
        assert!(changed.contains(&format!("({REPOSITORY}/README.md#start)")), "{changed}");
    }

    #[test]
    fn chapters_are_found_at_any_depth() {
        let chapter = |name: &str, inner: Value| serde_json::json!({ "Chapter": { "source_path": name, "content": "[x](../LICENSE-MIT)", "sub_items": inner } });
        let mut book = serde_json::json!({ "items": [chapter("a.md", serde_json::json!([chapter("b.md", Value::Null)]))] });
        chapters(&mut book);
        assert_eq!(book.to_string().matches(&format!("({REPOSITORY}/LICENSE-MIT)")).count(), 2);
    }
}
