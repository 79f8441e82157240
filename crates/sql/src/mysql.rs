//! A MySQL or MariaDB server. Values go into the statement's text, as the script's own driver puts them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mysql::consts::{CapabilityFlags, ColumnType};
use mysql::prelude::Queryable;
use mysql::{Column, Conn, OptsBuilder, Value};

use super::{Database, connection, dates, placeholders};
use crate::{Answer, Kind, Rows, SqlError, SqlValue};

/// The character set of bytes that are no text.
const BINARY: u16 = 63;

pub(crate) struct MySql {
    options: OptsBuilder,
    connection: Option<Conn>,
}

impl MySql {
    /// A server by its connection string. It is connected to with the first statement.
    ///
    /// # Errors
    /// When the string is not understood.
    pub(crate) fn new(text: &str) -> Result<Self, SqlError> {
        let address = connection::parse(text)?;
        let options = OptsBuilder::new()
            .ip_or_hostname(Some(address.host))
            .tcp_port(address.port)
            .user(address.user)
            .pass(address.password)
            .db_name(address.database)
            .prefer_socket(false)
            .socket(address.socket)
            .tcp_connect_timeout(Some(Duration::from_secs(10)))
            // an update counts the rows it found, as it does for scripts on a real server
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
            .init(vec!["SET NAMES utf8mb4, time_zone = '+00:00'"]);
        Ok(Self { options, connection: None })
    }

    fn connected(&mut self) -> Result<&mut Conn, SqlError> {
        if self.connection.is_none() {
            let connected = Conn::new(self.options.clone()).map_err(|error| {
                SqlError(format!("cannot connect to the database server: {}", told(&error)))
            })?;
            self.connection = Some(connected);
        }
        self.connection.as_mut().ok_or_else(|| SqlError("no connection".into()))
    }
}

impl Database for MySql {
    fn run(&mut self, statement: &str, values: &[SqlValue], now: Duration) -> Result<Answer, SqlError> {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = written(statement, values);
        let connection = self.connected()?;
        let mut run = || {
            if real.abs_diff(now) > Duration::from_secs(5) {
                // the server's clock is another: NOW() follows it
                connection.query_drop(format!("SET timestamp = {}", now.as_secs()))?;
            }
            answer(connection, &text)
        };
        match run() {
            Ok(answer) => Ok(answer),
            Err(error) => {
                if !matches!(error, mysql::Error::MySqlError(_)) {
                    self.connection = None; // the next statement connects again
                }
                Err(SqlError(told(&error)))
            }
        }
    }

    fn takes_schema(&mut self, _: &str) -> Result<bool, SqlError> {
        Ok(false) // a server's owner has set it up
    }
}

fn answer(connection: &mut Conn, text: &str) -> mysql::Result<Answer> {
    let mut result = connection.query_iter(text)?;
    let columns: Vec<Column> = result.columns().as_ref().to_vec();
    if columns.is_empty() {
        let insert_id = result.last_insert_id().unwrap_or(0);
        return Ok(Answer::Done { affected: result.affected_rows(), insert_id });
    }
    let kinds = columns.iter().map(|column| (column.name_str().into_owned(), kind(column))).collect();
    let mut rows = Rows { columns: kinds, rows: Vec::new() };
    if let Some(set) = result.iter() {
        for row in set {
            let fields = row?.unwrap();
            rows.rows
                .push(fields.into_iter().zip(&columns).map(|(value, column)| field(value, column)).collect());
        }
    }
    Ok(Answer::Rows(rows))
}

fn kind(column: &Column) -> Kind {
    use ColumnType as Type;
    match column.column_type() {
        Type::MYSQL_TYPE_TINY | Type::MYSQL_TYPE_BIT if column.column_length() == 1 => Kind::Flag,
        _ => Kind::Plain,
    }
}

fn field(value: Value, column: &Column) -> SqlValue {
    use ColumnType as Type;
    let Value::Bytes(bytes) = value else { return SqlValue::Null };
    let text = String::from_utf8_lossy(&bytes);
    match column.column_type() {
        Type::MYSQL_TYPE_TINY
        | Type::MYSQL_TYPE_SHORT
        | Type::MYSQL_TYPE_LONG
        | Type::MYSQL_TYPE_INT24
        | Type::MYSQL_TYPE_LONGLONG
        | Type::MYSQL_TYPE_YEAR => text.parse().map_or(SqlValue::Text(bytes.clone()), SqlValue::Int),
        Type::MYSQL_TYPE_FLOAT | Type::MYSQL_TYPE_DOUBLE => {
            text.parse().map_or(SqlValue::Text(bytes.clone()), SqlValue::Float)
        }
        Type::MYSQL_TYPE_DATE
        | Type::MYSQL_TYPE_NEWDATE
        | Type::MYSQL_TYPE_DATETIME
        | Type::MYSQL_TYPE_DATETIME2
        | Type::MYSQL_TYPE_TIMESTAMP
        | Type::MYSQL_TYPE_TIMESTAMP2 => {
            dates::parse(&text).map_or(SqlValue::Null, |moment| SqlValue::Int(moment.seconds * 1_000))
        }
        Type::MYSQL_TYPE_BIT => {
            SqlValue::Int(bytes.iter().fold(0i64, |number, byte| number.wrapping_shl(8) | i64::from(*byte)))
        }
        Type::MYSQL_TYPE_TINY_BLOB
        | Type::MYSQL_TYPE_MEDIUM_BLOB
        | Type::MYSQL_TYPE_LONG_BLOB
        | Type::MYSQL_TYPE_BLOB
            if column.character_set() == BINARY =>
        {
            SqlValue::Bytes(bytes)
        }
        _ => SqlValue::Text(bytes),
    }
}

fn told(error: &mysql::Error) -> String {
    match error {
        mysql::Error::MySqlError(error) => error.message.clone(),
        other => other.to_string(),
    }
}

/// The statement with its values in it.
fn written(statement: &str, values: &[SqlValue]) -> String {
    let mut values = values.iter();
    placeholders::fill(statement, |text| match values.next() {
        Some(value) => literal(text, value),
        None => text.push_str("NULL"),
    })
}

fn literal(text: &mut String, value: &SqlValue) {
    use std::fmt::Write;
    let _ = match value {
        SqlValue::Null => write!(text, "NULL"),
        SqlValue::Bool(value) => write!(text, "{value}"),
        SqlValue::Int(number) => write!(text, "{number}"),
        SqlValue::Float(number) if number.is_finite() => write!(text, "{number:?}"),
        SqlValue::Float(_) => write!(text, "NULL"),
        SqlValue::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(plain) => {
                text.push('\'');
                for character in plain.chars() {
                    match character {
                        '\0' => text.push_str("\\0"),
                        '\n' => text.push_str("\\n"),
                        '\r' => text.push_str("\\r"),
                        '\u{1a}' => text.push_str("\\Z"),
                        '\'' | '"' | '\\' => {
                            text.push('\\');
                            text.push(character);
                        }
                        other => text.push(other),
                    }
                }
                text.push('\'');
                Ok(())
            }
            Err(_) => hex(text, bytes),
        },
        SqlValue::Bytes(bytes) => hex(text, bytes),
    };
}

fn hex(text: &mut String, bytes: &[u8]) -> std::fmt::Result {
    use std::fmt::Write;
    text.push_str("X'");
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    text.push('\'');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        let values = [
            SqlValue::text("it's \\ \"x\"\n"),
            SqlValue::Int(5),
            SqlValue::Null,
            SqlValue::Bytes(vec![0, 255]),
        ];
        let text = written("a = ? AND b = ? AND c = '?' AND d IS ? AND e = ?", &values);
        assert_eq!(text, r#"a = 'it\'s \\ \"x\"\n' AND b = 5 AND c = '?' AND d IS NULL AND e = X'00ff'"#);
    }
}
