//! Values of a database as scripts get them, and what a statement comes to.

/// A parameter, or a field of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SqlValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Vec<u8>),
    /// A binary large object: scripts get its bytes as a list of numbers.
    Bytes(Vec<u8>),
}

impl SqlValue {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }
}

/// What a column is declared as, as far as scripts see a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As the database gives it.
    Plain,
    /// `TINYINT(1)` and `BIT(1)`: true or false, but not for prepared statements.
    Flag,
    /// A date or a date and time: milliseconds since 1970.
    Moment,
    /// An exact number with so many places: text, lest it lose some.
    Decimal(u8),
    Binary,
}

/// A result: names and kinds of its columns, and its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<(String, Kind)>,
    pub(crate) rows: Vec<Vec<SqlValue>>,
}

/// What a statement came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Rows(Rows),
    Done { affected: u64, insert_id: u64 },
}

/// Why a statement failed, as the console and the caller are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SqlError(pub(crate) String);

impl From<String> for SqlError {
    fn from(message: String) -> Self {
        Self(message)
    }
}
