//! The sections of a configuration that are sinks.

use std::path::{Path, PathBuf};

use super::document::{Data, Problem, Table, Value};

/// Names in a sink's section that are the host's. An option of the same name stands in the table `options`.
const OWN: &[&str] = &["enabled", "isolate", "isolate-memory", "options", "plugin"];

/// A sink that the file asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// `prometheus`, of `[sinks.prometheus]`.
    pub(crate) name: String,
    pub(crate) at: usize,
    /// A name, or a file.
    pub(crate) plugin: String,
    pub(crate) enabled: bool,
    pub(crate) isolate: Option<bool>,
    /// Bytes, and where it says so.
    pub(crate) isolate_memory: Option<(u64, usize)>,
    /// As the plugin's options.
    pub(crate) options: Table,
}

/// Every sink of `[sinks]`, in the file's order.
pub(crate) fn read(table: &Table, folder: &Path, problems: &mut Vec<Problem>) -> Vec<Section> {
    let mut sections = Vec::new();
    for (key, value) in table {
        let all = match &value.data {
            Data::Array(values) if !values.is_empty() => {
                values.iter().map(|value| (value.at, value)).collect()
            }
            _ => vec![(key.at, value)],
        };
        for (at, value) in all {
            match &value.data {
                Data::Table(entries) => {
                    sections.push(section(&key.name, at, entries, folder, problems));
                }
                _ => {
                    let place = format!("sinks.{}", key.name);
                    problems.push(expected(value, &place, &format!("a table, as in [{place}]")));
                }
            }
        }
    }
    sections
}

fn expected(value: &Value, place: &str, expected: &str) -> Problem {
    Problem::new(value.at, format!("{place}: expected {expected}, found {}", value.kind()))
}

fn section(name: &str, at: usize, entries: &Table, folder: &Path, problems: &mut Vec<Problem>) -> Section {
    let mut section =
        Section { name: name.to_owned(), at, plugin: name.to_owned(), enabled: true, ..Section::default() };
    for (key, value) in entries {
        let place = format!("sinks.{name}.{}", key.name);
        match (key.name.as_str(), &value.data) {
            ("enabled", Data::Switch(on)) => section.enabled = *on,
            ("isolate", Data::Switch(on)) => section.isolate = Some(*on),
            ("isolate-memory", Data::Text(text)) => match crate::cli::size(text) {
                Ok(size) => section.isolate_memory = Some((size, key.at)),
                Err(problem) => {
                    problems.push(Problem::new(value.at, format!("{place}: {problem}, found {text:?}")));
                }
            },
            ("plugin", Data::Text(plugin)) if plugin.is_empty() => {
                let text = format!(
                    "{place}: expected a name or a file, found nothing; without this line it is {name}"
                );
                problems.push(Problem::new(value.at, text));
            }
            ("plugin", Data::Text(plugin)) => section.plugin = file(plugin, folder),
            ("options", Data::Table(options)) => section.options.extend(options.iter().cloned()),
            ("enabled" | "isolate", _) => problems.push(expected(value, &place, "true or false")),
            ("isolate-memory", _) => problems.push(expected(value, &place, "a size such as \"256MiB\"")),
            ("plugin", _) => problems.push(expected(value, &place, "a name or a file")),
            ("options", _) => problems.push(expected(value, &place, "a table")),
            _ => section.options.push((key.clone(), value.clone())),
        }
    }
    // One of the plugin's that is written like one of the host's is the plugin's to tell: what it has is not known here.
    for (at, (key, _)) in section.options.iter().enumerate() {
        if section.options[..at].iter().any(|(other, _)| other.name == key.name) {
            let text = format!("sinks.{name}.{} is there twice, here and in `options`", key.name);
            problems.push(Problem::new(key.at, text));
        }
    }
    section
}

/// A file as seen from the configuration; names are names.
fn file(plugin: &str, folder: &Path) -> String {
    if tickscope_plugin::is_file(plugin) {
        folder.join(PathBuf::from(plugin)).to_string_lossy().into_owned()
    } else {
        plugin.to_owned()
    }
}

impl Section {
    /// What the host takes from it.
    pub(crate) fn own() -> impl Iterator<Item = &'static str> {
        OWN.iter().copied()
    }
}
