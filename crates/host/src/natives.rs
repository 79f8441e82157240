//! `tickscope natives`: names of natives, from the file that Cfx.re publishes.
//!
//! The file is JSON, `{namespace: {"0xHASH": {name, params, …}}}`. What is kept of it is a text file with a line for
//! each hash, which `tickscope run` reads so that natives it does not know have names.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cli;

/// The first line of what is written.
const HEADER: &str = "tickscope natives 1";

pub(crate) fn run(options: &cli::Natives) -> Result<ExitCode> {
    let cli::NativesCommand::Import { file, output } = &options.command;
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let json = serde_json::from_str(&text)
        .with_context(|| format!("{}: not JSON; expected the published natives.json", file.display()))?;
    let names = read(&json).with_context(|| file.display().to_string())?;
    let output = match output {
        Some(output) => output.clone(),
        None => default_file().context("no home directory is set; say where to write with --output")?,
    };
    if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    std::fs::write(&output, write(&names)).with_context(|| format!("cannot write {}", output.display()))?;
    println!("{} hashes of natives with their names in {}", names.len(), output.display());
    Ok(ExitCode::SUCCESS)
}

/// The names that were imported before, if any were.
pub(crate) fn imported() -> Result<BTreeMap<u64, String>> {
    let Some(path) = default_file().filter(|path| path.exists()) else { return Ok(BTreeMap::new()) };
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text)
        .with_context(|| format!("{} is damaged; import the natives again, or delete it", path.display()))
}

/// `natives.tsv` in the user's folder for data.
fn default_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(Path::new(".local/share"))))?;
    Some(data.join("tickscope/natives.tsv"))
}

/// All hashes of the published file with the names of their natives. Where hashes meet, the first name stays.
fn read(json: &Value) -> Result<BTreeMap<u64, String>> {
    let namespaces = json.as_object().context("expected an object of namespaces at the top")?;
    let mut names = BTreeMap::new();
    for (namespace, natives) in namespaces {
        let natives = natives
            .as_object()
            .with_context(|| format!("namespace {namespace}: expected an object of natives by hash"))?;
        for (key, native) in natives {
            let place = || format!("namespace {namespace}, native {key}");
            let native = native.as_object().with_context(|| format!("{}: expected an object", place()))?;
            let name = match native.get("name") {
                Some(Value::String(name)) => name.as_str(),
                None => "",
                Some(_) => bail!("{}: expected text as name", place()),
            };
            ensure!(
                name.bytes().all(|byte| byte.is_ascii_graphic()),
                "{}: the name {name:?} has characters that no native's has",
                place()
            );
            if name.is_empty() {
                continue; // not every native has one
            }
            let mut add = |text: &str| -> Result<()> {
                let hash = hash(text).with_context(|| {
                    format!("{}: expected a hash such as 0x1234ABCD, got {text:?}", place())
                })?;
                names.entry(hash).or_insert_with(|| name.to_owned());
                Ok(())
            };
            add(key)?;
            for field in ["hash", "jhash"] {
                match native.get(field) {
                    Some(Value::String(text)) if !text.is_empty() => add(text)?,
                    Some(Value::String(_) | Value::Null) | None => {}
                    Some(_) => bail!("{}: expected text as {field}", place()),
                }
            }
        }
    }
    ensure!(!names.is_empty(), "no native in it; expected {{namespace: {{\"0xHASH\": {{name, …}}}}}}");
    Ok(names)
}

fn hash(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

fn write(names: &BTreeMap<u64, String>) -> String {
    let mut text = format!("{HEADER}\n");
    for (hash, name) in names {
        // writing into a string does not fail
        let _ = writeln!(text, "0x{hash:016X}\t{name}");
    }
    text
}

fn parse(text: &str) -> Result<BTreeMap<u64, String>> {
    let mut lines = text.lines();
    ensure!(lines.next() == Some(HEADER), "line 1: expected {HEADER:?}");
    lines
        .enumerate()
        .map(|(index, line)| {
            let columns = line.split_once('\t').and_then(|(key, name)| Some((hash(key)?, name.to_owned())));
            columns.with_context(|| format!("line {}: expected a hash, a tab and a name", index + 2))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../tests/data/natives.json");

    fn refused(json: &str, expected: &str) {
        let error = read(&serde_json::from_str(json).expect("JSON")).expect_err("refused");
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }

    #[test]
    fn the_published_shape_is_read() {
        let names = read(&serde_json::from_str(SAMPLE).expect("JSON")).expect("natives");
        let name = |hash: u64| names.get(&hash).map(String::as_str);
        assert_eq!(name(0x509d_5878_eb39_e842), Some("CREATE_OBJECT"));
        assert_eq!(name(0x2f7a_a05c), Some("CREATE_OBJECT"), "by its older hash too");
        assert_eq!(name(0x1647_f1cb), Some("GET_ENTITY_COORDS"));
        assert_eq!(names.len(), 3, "a native without a name has none");
        assert_eq!(parse(&write(&names)).expect("what was written"), names);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        refused("[]", "expected an object of namespaces");
        refused("{}", "no native in it");
        refused(r#"{"CFX": 1}"#, "namespace CFX: expected an object of natives");
        refused(r#"{"CFX": {"0x1": 1}}"#, "namespace CFX, native 0x1: expected an object");
        refused(r#"{"CFX": {"x": {"name": "A"}}}"#, "expected a hash such as 0x1234ABCD, got \"x\"");
        refused(r#"{"CFX": {"0x1": {"name": 5}}}"#, "expected text as name");
        refused(r#"{"CFX": {"0x1": {"name": "A\tB"}}}"#, "characters that no native's has");
        refused(r#"{"CFX": {"0x1": {"name": "A", "hash": 1}}}"#, "expected text as hash");
        assert!(parse("other").is_err() && parse(&format!("{HEADER}\nx")).is_err());
    }
}
