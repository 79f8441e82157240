//! Values of a database as scripts get them, and what a statement comes to.

/// A parameter, or a field of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, in UTF-8 as a rule.
    Text(Vec<u8>),
    /// A binary large object: scripts get its bytes as a list of numbers.
    Bytes(Vec<u8>),
}

impl SqlValue {
    /// A value of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }
}

/// What a column is declared as, as far as scripts see a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As the database gives it.
    Plain,
    /// `TINYINT(1)` and `BIT(1)`: true or false, but not for prepared statements.
    Flag,
    /// A date or a date and time: milliseconds since 1970.
    Moment,
    /// An exact number with so many places: text, lest it lose some.
    Decimal(u8),
    /// A binary large object.
    Binary,
}

/// A result: names and kinds of its columns, and its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Names, as MySQL gives them, and kinds.
    pub columns: Vec<(String, Kind)>,
    /// A value for each column.
    pub rows: Vec<Vec<SqlValue>>,
}

/// What a statement came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It selected.
    Rows(Rows),
    /// It changed something, or nothing.
    Done {
        /// Rows that were inserted, deleted or matched.
        affected: u64,
        /// The first number that was given to a new row; 0 without one.
        insert_id: u64,
    },
}

/// Why a statement failed, as the console and the caller are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SqlError(
    /// What went wrong.
    pub String,
);

impl From<String> for SqlError {
    fn from(message: String) -> Self {
        Self(message)
    }
}
