//! The plugin as hosts load it, and what others read of its file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consumers;
mod plugin;

use std::path::Path;

use rusqlite::Connection;
use tickscope_core::{RecordingSink, Sink, conformance};
use tickscope_plugin::Direct;
use tickscope_trial::Trial;

fn trial() -> Trial {
    Trial::new("tickscope-sqlite")
}

/// The example of the conformance suite, one of everything, written to `file`; and what was said.
fn written(file: &Path, options: &str) -> Vec<String> {
    let trial = trial();
    let example = conformance::example();
    let options = format!("{{\"file\": {:?}{options}}}", file.to_str().unwrap());
    let mut sink = trial.direct(&options);
    feed(&mut sink, &example);
    sink.finish().unwrap();
    trial.said()
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
