//! The plugin as hosts load it, and what others read of its files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use std::path::Path;

use tickscope_core::{Sink, conformance};
use tickscope_plugin::Direct;
use tickscope_trial::Trial;

/// The sink, without a thread of its own.
fn sink(options: &str) -> Direct {
    Trial::new("tickscope-parquet").direct(options)
}

/// Spans of all kinds that the example of the conformance suite has.
const ALL: &str = r#", "categories": ["tick", "event", "function", "native", "io"]"#;

/// The example of the conformance suite, one of everything, written into the folder.
fn written(folder: &Path, options: &str) {
    let example = conformance::example();
    let mut sink = sink(&format!("{{\"folder\": {folder:?}, \"server\": \"city one/ä\"{options}}}"));
    sink.open(&example.metadata).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    sink.finish().unwrap();
}

/// The files in the folder and those in it, from there, by name.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}
