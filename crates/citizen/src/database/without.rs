//! What stands in for SQL where it was left out of the build: it answers every query with an error that says so.

use std::path::Path;
use std::time::Duration;

use value::{Answer, SqlError, SqlValue};

#[path = "sql/placeholders.rs"]
pub(crate) mod placeholders;
#[path = "sql/value.rs"]
pub(crate) mod value;

/// See the module of the same name in a build with databases.
pub(crate) trait Database: Send {
    fn run(&mut self, statement: &str, values: &[SqlValue], now: Duration) -> Result<Answer, SqlError>;
    fn takes_schema(&mut self, name: &str) -> Result<bool, SqlError>;
}

pub(crate) fn open(_: Option<&Path>, _: Option<&str>, _: u64) -> Result<Box<dyn Database>, SqlError> {
    Err(SqlError("this program was built without its feature `database`; build it with it for SQL".into()))
}

/// No statement is looked at: none could be run.
pub(crate) fn statements(_: &str) -> Vec<&str> {
    Vec::new()
}
