//! What a database tells of itself: `SHOW`, and the tables of `information_schema`.

use super::super::dialect::{Show, last_name};
use super::super::functions::DATABASE;
use super::super::tables;
use super::{Sqlite, of_sqlite};
use crate::{Answer, Kind, Rows, SqlError, SqlValue};

/// The tables of `information_schema` that frameworks ask for. They hold what [`Sqlite::describe`] writes.
pub(super) const VIEWS: &str = "
CREATE TEMPORARY TABLE information_schema_tables (
    TABLE_CATALOG TEXT, TABLE_SCHEMA TEXT COLLATE NOCASE, TABLE_NAME TEXT COLLATE NOCASE, TABLE_TYPE TEXT,
    ENGINE TEXT, TABLE_COLLATION TEXT);
CREATE TEMPORARY TABLE information_schema_columns (
    TABLE_SCHEMA TEXT COLLATE NOCASE, TABLE_NAME TEXT COLLATE NOCASE, COLUMN_NAME TEXT COLLATE NOCASE,
    ORDINAL_POSITION BIGINT, COLUMN_DEFAULT TEXT, IS_NULLABLE TEXT, DATA_TYPE TEXT COLLATE NOCASE, COLUMN_TYPE TEXT,
    CHARACTER_MAXIMUM_LENGTH BIGINT, COLUMN_KEY TEXT, EXTRA TEXT);
CREATE TEMPORARY TABLE information_schema_schemata (SCHEMA_NAME TEXT COLLATE NOCASE);
INSERT INTO information_schema_schemata VALUES ('tickscope');
";

/// Whether `text` is like `pattern`, where `%` stands for any run of characters and `_` for one.
fn is_like(pattern: &str, text: &str) -> bool {
    fn like(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'%', rest)) => (0..=text.len()).any(|skip| like(rest, &text[skip..])),
            Some((byte, rest)) => match text.split_first() {
                Some((first, more)) => {
                    (*byte == b'_' || byte.eq_ignore_ascii_case(first)) && like(rest, more)
                }
                None => false,
            },
        }
    }
    like(pattern.as_bytes(), text.as_bytes())
}

fn answer(columns: &[&str], rows: Vec<Vec<SqlValue>>) -> Answer {
    let columns = columns.iter().map(|name| ((*name).to_owned(), Kind::Plain)).collect();
    Answer::Rows(Rows { columns, rows })
}

impl Sqlite {
    /// Writes the tables of `information_schema` anew.
    pub(super) fn describe(&mut self) -> Result<(), SqlError> {
        let failed = |error: rusqlite::Error| of_sqlite(&error);
        self.batch("DELETE FROM information_schema_tables; DELETE FROM information_schema_columns")?;
        let mut names: Vec<_> = self.tables.keys().collect();
        names.sort();
        for table in names.into_iter().filter_map(|name| self.tables.get(name)) {
            let name = last_name(&table.name);
            self.connection
                .execute(
                    "INSERT INTO information_schema_tables VALUES ('def', ?1, ?2, 'BASE TABLE', 'InnoDB', 'utf8mb4_general_ci')",
                    (DATABASE, &name),
                )
                .map_err(failed)?;
            for (index, column) in tables::columns(table).into_iter().enumerate() {
                let data_type = column.declared.split(['(', ' ']).next().unwrap_or_default().to_owned();
                let length =
                    column.declared.split(['(', ')']).nth(1).and_then(|length| length.parse::<i64>().ok());
                let length = length.filter(|_| data_type.contains("char"));
                self.connection
                    .execute(
                        "INSERT INTO information_schema_columns VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                        (
                            DATABASE,
                            &name,
                            &column.name,
                            index as i64 + 1,
                            &column.default,
                            if column.nullable { "YES" } else { "NO" },
                            data_type,
                            &column.declared,
                            length,
                            column.key,
                            column.extra,
                        ),
                    )
                    .map_err(failed)?;
            }
        }
        Ok(())
    }

    pub(super) fn show(&self, show: &Show) -> Result<Answer, SqlError> {
        let wanted =
            |like: &Option<String>, name: &str| like.as_deref().is_none_or(|like| is_like(like, name));
        Ok(match show {
            Show::Tables { like } => {
                let mut names: Vec<_> = self.tables.values().map(|table| last_name(&table.name)).collect();
                names.sort();
                names.retain(|name| wanted(like, name));
                let rows = names.into_iter().map(|name| vec![SqlValue::text(name)]).collect();
                answer(&[&format!("Tables_in_{DATABASE}")], rows)
            }
            Show::Columns { table, like } => {
                let rows = tables::columns(self.known(table)?)
                    .into_iter()
                    .filter(|column| wanted(like, &column.name))
                    .map(|column| {
                        vec![
                            SqlValue::text(column.name),
                            SqlValue::text(column.declared),
                            SqlValue::text(if column.nullable { "YES" } else { "NO" }),
                            SqlValue::text(column.key),
                            column.default.map_or(SqlValue::Null, SqlValue::text),
                            SqlValue::text(column.extra),
                        ]
                    })
                    .collect();
                answer(&["Field", "Type", "Null", "Key", "Default", "Extra"], rows)
            }
            Show::Create { table } => {
                let table = self.known(table)?;
                let row = vec![SqlValue::text(last_name(&table.name)), SqlValue::text(table.to_string())];
                answer(&["Table", "Create Table"], vec![row])
            }
            Show::Databases => answer(&["Database"], vec![vec![SqlValue::text(DATABASE)]]),
            Show::Variables => answer(&["Variable_name", "Value"], Vec::new()),
        })
    }
}
