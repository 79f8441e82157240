//! Everything about SQL that knows no script: values, the rewriting of MySQL's dialect, and the two databases that
//! answer.

mod connection;
mod dates;
mod dialect;
mod functions;
mod mysql;
pub(crate) mod placeholders;
mod sqlite;
mod tables;
pub(crate) mod value;

use std::path::Path;
use std::time::Duration;

use value::{Answer, SqlError, SqlValue};

/// A string as SQLite writes it.
fn dialect_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A database that takes MySQL's dialect.
pub(crate) trait Database: Send {
    /// Runs one statement, whose `?` stand for `values`, at this time since 1970 UTC.
    ///
    /// # Errors
    /// In the words of MySQL where it has some.
    fn run(&mut self, statement: &str, values: &[SqlValue], now: Duration) -> Result<Answer, SqlError>;

    /// Whether the statements of the file `name` are to set it up: not on a server, and once only.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn takes_schema(&mut self, name: &str) -> Result<bool, SqlError>;
}

/// The server of a connection string, or else the embedded database, in a file or in memory.
///
/// # Errors
/// When it cannot be used, and why.
pub(crate) fn open(
    file: Option<&Path>,
    connection: Option<&str>,
    seed: u64,
) -> Result<Box<dyn Database>, SqlError> {
    if let Some(connection) = connection {
        return Ok(Box::new(mysql::MySql::new(connection)?));
    }
    let storage = file.map_or(sqlite::Storage::Memory, |file| sqlite::Storage::File(file.to_owned()));
    Ok(Box::new(sqlite::Sqlite::open(&storage, seed)?))
}

/// SQLite's statements for one of MySQL's, a line each.
pub(crate) fn rewrite(statement: &str) -> Result<String, SqlError> {
    use dialect::Plan;
    Ok(match dialect::plan(dialect::parse(statement)?)? {
        Plan::Select { sql, .. } | Plan::Change { sql, .. } | Plan::Index { sql, .. } | Plan::Plain(sql) => {
            sql
        }
        Plan::Create(table) => tables::create(&table, &dialect::last_name(&table.name))?.join("\n"),
        _ => String::new(),
    })
}

/// One statement after the other of a text with many, comments left out. `DELIMITER` lines are no statements: what
/// stands between them is left out.
pub(crate) fn statements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        match placeholders::skip(bytes, at) {
            Some(end) => at = end,
            None => {
                if bytes[at] == b';' {
                    found.push(placeholders::without_comments_before(&text[start..at]));
                    start = at + 1;
                }
                at += 1;
            }
        }
    }
    found.push(placeholders::without_comments_before(&text[start..]));
    found.retain(|statement| !statement.is_empty());
    found
}
