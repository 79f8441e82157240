//! MySQL's dialect of SQL, answered by an embedded SQLite or by a MySQL or MariaDB server.
//!
//! ```
//! use std::time::Duration;
//! use tickscope_sql::{Answer, SqlValue};
//!
//! let mut database = tickscope_sql::open(None, None, 7)?; // SQLite in memory
//! let mut run = |text: &str, values: &[SqlValue]| database.run(text, values, Duration::from_secs(1_767_225_600));
//! run("CREATE TABLE `users` (`id` INT(11) NOT NULL AUTO_INCREMENT, `name` VARCHAR(60), PRIMARY KEY (`id`)) ENGINE=InnoDB", &[])?;
//! let done = run("INSERT IGNORE INTO users SET name = ?", &[SqlValue::text("Ann")])?;
//! assert_eq!(done, Answer::Done { affected: 1, insert_id: 1 });
//! # Ok::<(), tickscope_sql::SqlError>(())
//! ```
//!
//! # How
//! A statement is parsed, its tree rewritten, and written out as SQLite takes it; MySQL's functions are added to SQLite,
//! and MySQL's definition of each table is kept beside it. Time is the caller's: `NOW()` follows what [`Database::run`]
//! is told, and `RAND()` a seed.
//!
//! # Guarantees
//! No text makes it panic. What is not understood is an error that says what.
//!
//! # Deliberately absent
//! How long a server would take: only what it would answer. Dialects other than MySQL's. What it does not do of that one is in
//! `docs/database.md`.
//!
//! # Features
//! `engines` (default): the parser and the databases. Without it [`open`] gives an error that says so, and only values
//! and [`placeholders`] are there: for programs that can do without a database and their build without its cost.
#![forbid(unsafe_code)]

#[cfg(feature = "engines")]
mod connection;
#[cfg(feature = "engines")]
mod dates;
#[cfg(feature = "engines")]
mod dialect;
#[cfg(feature = "engines")]
mod functions;
#[cfg(feature = "engines")]
mod mysql;
pub mod placeholders;
#[cfg(feature = "engines")]
mod sqlite;
#[cfg(feature = "engines")]
mod tables;
mod value;

pub use value::{Answer, Kind, Rows, SqlError, SqlValue};

use std::path::Path;
use std::time::Duration;

/// A string as SQLite writes it.
#[cfg(feature = "engines")]
fn dialect_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A database that takes MySQL's dialect.
pub trait Database: Send {
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
#[cfg(feature = "engines")]
pub fn open(file: Option<&Path>, connection: Option<&str>, seed: u64) -> Result<Box<dyn Database>, SqlError> {
    if let Some(connection) = connection {
        return Ok(Box::new(mysql::MySql::new(connection)?));
    }
    let storage = file.map_or(sqlite::Storage::Memory, |file| sqlite::Storage::File(file.to_owned()));
    Ok(Box::new(sqlite::Sqlite::open(&storage, seed)?))
}

/// The database, had it been built in.
///
/// # Errors
/// Always.
#[cfg(not(feature = "engines"))]
pub fn open(_: Option<&Path>, _: Option<&str>, _: u64) -> Result<Box<dyn Database>, SqlError> {
    Err(SqlError("this program was built without its feature `database`; build it with it for SQL".into()))
}

/// What the embedded database makes of one statement in MySQL's dialect: SQLite's statements for it, a line each. Empty
/// for those without meaning there, such as `SET NAMES`.
///
/// # Errors
/// What of the statement is not understood.
#[cfg(feature = "engines")]
pub fn rewrite(statement: &str) -> Result<String, SqlError> {
    use dialect::Plan;
    Ok(match dialect::plan(dialect::parse(statement)?)? {
        Plan::Select { sql, .. } | Plan::Change { sql, .. } | Plan::Index { sql, .. } | Plan::Plain(sql) => {
            sql
        }
        Plan::Create(table) => tables::create(&table, &dialect::last_name(&table.name))?.join("\n"),
        _ => String::new(),
    })
}

/// One statement after the other of a text with many, without the comments before each.
pub fn statements(text: &str) -> Vec<&str> {
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
