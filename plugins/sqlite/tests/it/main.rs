//! The plugin as hosts load it, and what others read of its file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tickscope_core::{RecordingSink, Sink, conformance};
use tickscope_plugin::{Direct, Level, Log, Plugin};

/// The library that cargo made of this package beside the tests.
fn library() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.with_file_name("libtickscope_sqlite.so")
}

/// What sinks say.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    fn log(&self) -> Log {
        let said = self.0.clone();
        Arc::new(move |name: &str, level: Level, line: &str| {
            said.lock().unwrap().push(format!("{name}: {level:?}: {line}"));
        })
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// The sink, without a thread of its own.
fn sink(options: &str, said: &Said) -> Direct {
    let plugin = Arc::new(Plugin::load(&library()).unwrap());
    let options = plugin.schema.read("sqlite", options).unwrap();
    Direct::new(plugin, options, said.log())
}

/// The example of the conformance suite, one of everything, written to `file`; and what was said.
fn written(file: &Path, options: &str) -> Vec<String> {
    let said = Said::default();
    let example = conformance::example();
    let options = format!("{{\"file\": {:?}{options}}}", file.to_str().unwrap());
    let mut sink = sink(&options, &said);
    feed(&mut sink, &example);
    sink.finish().unwrap();
    said.lines()
}

fn feed(sink: &mut Direct, example: &RecordingSink) {
    sink.open(&example.metadata).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    sink.flush().unwrap();
}

/// The rows of a query, each with `|` between its values.
#[track_caller]
fn rows(file: &Path, query: &str) -> Vec<String> {
    let connection = Connection::open(file).unwrap();
    let mut statement = connection.prepare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let values = (0..columns).map(|at| {
            Ok(match row.get_ref(at)? {
                rusqlite::types::ValueRef::Null => String::new(),
                rusqlite::types::ValueRef::Integer(value) => value.to_string(),
                rusqlite::types::ValueRef::Real(value) => value.to_string(),
                other => other.as_str()?.to_owned(),
            })
        });
        Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}
