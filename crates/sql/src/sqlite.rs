//! The embedded database: SQLite, which is made to take MySQL's dialect.
//!
//! MySQL's definition of each table is kept beside it, for `SHOW` and `ALTER TABLE`: SQLite changes a table by making a
//! new one.

mod catalog;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rusqlite::hooks::Action;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement};
use sqlparser::ast::{AlterTable, CreateTable};

use super::dialect::{self, Change, Plan, last_name, quoted};
use super::functions::{self, State};
use super::{Database, dates, tables};
use crate::{Answer, Kind, Rows, SqlError, SqlValue};

/// Statements whose plans are kept.
const KEPT_PLANS: usize = 1_000;

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Memory,
    File(PathBuf),
}

pub(crate) struct Sqlite {
    connection: Connection,
    state: Arc<State>,
    /// Rows inserted by the statement that runs.
    inserted: Arc<AtomicI64>,
    /// MySQL's definitions, by lower-case name.
    tables: HashMap<String, CreateTable>,
    plans: HashMap<String, Arc<Plan>>,
}

impl Sqlite {
    /// Opens or makes the database. Its random numbers follow from `seed`.
    ///
    /// # Errors
    /// When the file cannot be used, with its name.
    pub(crate) fn open(storage: &Storage, seed: u64) -> Result<Self, SqlError> {
        let (connection, name) = match storage {
            Storage::Memory => (Connection::open_in_memory(), "the database in memory".to_owned()),
            Storage::File(path) => (Connection::open(path), path.display().to_string()),
        };
        let failed = |error: rusqlite::Error| {
            SqlError(format!(
                "cannot use {name} as the database: {error}; expected a file that tickscope made, or none"
            ))
        };
        let mut connection = connection.map_err(failed)?;
        let state = Arc::new(State::default());
        state.random.store(seed, Ordering::Relaxed);
        functions::register(&connection, &state).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = ON; PRAGMA journal_mode = WAL; \
                 PRAGMA synchronous = NORMAL; \
                 CREATE TABLE IF NOT EXISTS tickscope_tables (name TEXT PRIMARY KEY COLLATE NOCASE, definition TEXT NOT NULL); \
                 CREATE TABLE IF NOT EXISTS tickscope_files (name TEXT PRIMARY KEY);",
            )
            .map_err(failed)?;
        connection.execute_batch(catalog::VIEWS).map_err(failed)?;
        let inserted = Arc::new(AtomicI64::new(0));
        let counted = Arc::clone(&inserted);
        connection
            .update_hook(Some(move |action: Action, _: &str, table: &str, _: i64| {
                if action == Action::SQLITE_INSERT && !table.starts_with("tickscope_") {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }))
            .map_err(failed)?;
        let mut database =
            Self { connection, state, inserted, tables: HashMap::new(), plans: HashMap::new() };
        database.load().map_err(|error| SqlError(format!("cannot use {name} as the database: {error}")))?;
        Ok(database)
    }

    fn load(&mut self) -> Result<(), SqlError> {
        let mut statement = self
            .connection
            .prepare("SELECT definition FROM tickscope_tables")
            .map_err(|error| of_sqlite(&error))?;
        let definitions = statement
            .query_map([], |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map_err(|error| of_sqlite(&error))?;
        drop(statement);
        for definition in definitions {
            if let sqlparser::ast::Statement::CreateTable(table) = dialect::parse(&definition)? {
                self.tables.insert(last_name(&table.name).to_ascii_lowercase(), table);
            }
        }
        Ok(())
    }

    fn plan(&mut self, statement: &str) -> Result<Arc<Plan>, SqlError> {
        if let Some(plan) = self.plans.get(statement) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(dialect::plan(dialect::parse(statement)?)?);
        if self.plans.len() >= KEPT_PLANS {
            self.plans.clear();
        }
        self.plans.insert(statement.to_owned(), Arc::clone(&plan));
        Ok(plan)
    }

    fn select(&self, sql: &str, sums: &[bool], values: &[SqlValue]) -> Result<Answer, SqlError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| rewritten(&error, sql))?;
        let columns: Vec<(String, Kind)> = statement
            .columns()
            .map(|column| (column.name().to_owned(), column.decl_type().map_or(Kind::Plain, tables::kind)))
            .collect();
        bind(&mut statement, values)?;
        let mut rows = Rows { columns, rows: Vec::new() };
        let mut found = statement.raw_query();
        while let Some(row) = found.next().map_err(|error| of_sqlite(&error))? {
            let mut fields = Vec::with_capacity(rows.columns.len());
            for (index, (_, kind)) in rows.columns.iter().enumerate() {
                let value = row.get_ref(index).map_err(|error| of_sqlite(&error))?;
                let sum = sums.get(index).copied().unwrap_or(false);
                fields.push(field(value, *kind, sum));
            }
            rows.rows.push(fields);
        }
        Ok(Answer::Rows(rows))
    }

    fn change(&self, sql: &str, table: &str, kind: Change, values: &[SqlValue]) -> Result<Answer, SqlError> {
        self.inserted.store(0, Ordering::Relaxed);
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| rewritten(&error, sql))?;
        bind(&mut statement, values)?;
        let changed = statement.raw_execute().map_err(|error| of_sqlite(&error))? as i64;
        let inserted = self.inserted.load(Ordering::Relaxed).min(changed);
        let affected = match kind {
            Change::Upsert => inserted + 2 * (changed - inserted),
            _ => changed,
        };
        let numbered = self
            .tables
            .get(&table.to_ascii_lowercase())
            .is_none_or(|table| tables::auto_increment(table).is_some());
        let inserts = matches!(kind, Change::Insert | Change::Upsert | Change::Replace);
        let insert_id = match inserts && numbered && changed > 0 {
            // MySQL tells the first of the numbers it gave
            true => self.connection.last_insert_rowid() - (inserted - 1).max(0),
            false => 0,
        };
        if insert_id > 0 {
            self.state.last_insert_id.store(insert_id, Ordering::Relaxed);
        }
        self.state.row_count.store(affected, Ordering::Relaxed);
        Ok(Answer::Done { affected: affected as u64, insert_id: insert_id.max(0) as u64 })
    }

    fn batch(&self, sql: &str) -> Result<(), SqlError> {
        self.connection.execute_batch(sql).map_err(|error| rewritten(&error, sql))
    }

    fn exists(&self, table: &str) -> bool {
        self.tables.contains_key(&table.to_ascii_lowercase())
    }

    /// Does several things, or none.
    fn atomically(&mut self, work: impl FnOnce(&mut Self) -> Result<(), SqlError>) -> Result<(), SqlError> {
        self.batch("SAVEPOINT tickscope")?;
        match work(self) {
            Ok(()) => self.batch("RELEASE tickscope"),
            Err(error) => {
                self.batch("ROLLBACK TO tickscope; RELEASE tickscope")?;
                Err(error)
            }
        }
    }

    fn define(&mut self, mut table: CreateTable) -> Result<(), SqlError> {
        tables::tidy(&mut table);
        let name = last_name(&table.name);
        self.connection
            .execute("INSERT OR REPLACE INTO tickscope_tables VALUES (?1, ?2)", (&name, table.to_string()))
            .map_err(|error| of_sqlite(&error))?;
        self.tables.insert(name.to_ascii_lowercase(), table);
        self.describe()
    }

    fn forget(&mut self, table: &str) -> Result<(), SqlError> {
        self.connection
            .execute("DELETE FROM tickscope_tables WHERE name = ?1", [table])
            .map_err(|error| of_sqlite(&error))?;
        self.tables.remove(&table.to_ascii_lowercase());
        self.describe()
    }

    fn create(&mut self, table: &CreateTable) -> Result<(), SqlError> {
        let name = last_name(&table.name);
        if self.exists(&name) {
            if table.if_not_exists {
                return Ok(());
            }
            return Err(SqlError(format!("Table '{name}' already exists")));
        }
        let statements = tables::create(table, &name)?;
        let table = table.clone();
        self.atomically(|this| {
            for statement in &statements {
                this.batch(statement)?;
            }
            this.define(table)
        })
    }

    fn known(&self, name: &str) -> Result<&CreateTable, SqlError> {
        self.tables
            .get(&name.to_ascii_lowercase())
            .ok_or_else(|| SqlError(format!("Table '{}.{name}' doesn't exist", functions::DATABASE)))
    }

    fn alter(&mut self, alter: &AlterTable) -> Result<(), SqlError> {
        let name = last_name(&alter.name);
        let before = match self.known(&name) {
            Err(_) if alter.if_exists => return Ok(()),
            known => known?.clone(),
        };
        let mut table = before.clone();
        let renamed = tables::alter(&mut table, &alter.operations)?;
        if table == before {
            return Ok(());
        }
        let new_name = last_name(&table.name);
        let beside = format!("tickscope_new_{new_name}");
        let mut statements = tables::create(&table, &beside)?.into_iter();
        let create = statements.next().unwrap_or_default();
        let new_of = |old: &str| {
            let found = renamed.iter().find(|(from, _)| from.eq_ignore_ascii_case(old));
            found.map_or(old, |(_, to)| to).to_owned()
        };
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for column in &before.columns {
            let wanted = new_of(&column.name.value);
            if let Some(column_now) =
                table.columns.iter().find(|column| column.name.value.eq_ignore_ascii_case(&wanted))
            {
                from.push(quoted(&column.name.value));
                to.push(quoted(&column_now.name.value));
            }
        }
        // what is new and may not be null is empty or zero in the rows there are
        for column in tables::columns(&table) {
            let quoted_name = quoted(&column.name);
            if !to.contains(&quoted_name)
                && !column.nullable
                && column.default.is_none()
                && column.extra.is_empty()
            {
                let text = column.declared.contains("char") || column.declared.contains("text");
                from.push(if text { "''".into() } else { "0".into() });
                to.push(quoted_name);
            }
        }
        let (from, to) = (from.join(", "), to.join(", "));
        let after: Vec<String> = tables::create(&table, &new_name)?
            .into_iter()
            .skip(1)
            .filter(|sql| !sql.starts_with("INSERT"))
            .collect();
        self.batch("PRAGMA foreign_keys = OFF")?;
        let done = self.atomically(|this| {
            this.batch(&create)?;
            this.batch(&format!(
                "INSERT INTO {} ({to}) SELECT {from} FROM {}",
                quoted(&beside),
                quoted(&name)
            ))?;
            this.batch(&format!("DROP TABLE {}", quoted(&name)))?;
            this.batch(&format!("ALTER TABLE {} RENAME TO {}", quoted(&beside), quoted(&new_name)))?;
            for statement in &after {
                this.batch(statement)?;
            }
            this.forget(&name)?;
            this.define(table)
        });
        self.batch("PRAGMA foreign_keys = ON")?;
        done
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), SqlError> {
        let mut table = self.known(from)?.clone();
        table.name = sqlparser::ast::ObjectName::from(vec![sqlparser::ast::Ident::with_quote('`', to)]);
        self.atomically(|this| {
            this.batch(&format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to)))?;
            this.forget(from)?;
            this.define(table)
        })
    }

    fn carry_out(&mut self, plan: &Plan, values: &[SqlValue]) -> Result<Answer, SqlError> {
        match plan {
            Plan::Select { sql, sums } => return self.select(sql, sums, values),
            Plan::Change { sql, table, kind } => return self.change(sql, table, *kind, values),
            Plan::Show(show) => return self.show(show),
            Plan::Plain(sql) if sql == "BEGIN" && !self.connection.is_autocommit() => {
                self.batch("COMMIT; BEGIN")?
            }
            Plan::Plain(sql) if (sql == "COMMIT" || sql == "ROLLBACK") && self.connection.is_autocommit() => {
            }
            Plan::Plain(sql) => self.batch(sql)?,
            Plan::Create(table) => self.create(table)?,
            Plan::Alter(alter) => self.alter(alter)?,
            Plan::Drop { tables, if_exists } => {
                for table in tables {
                    if !self.exists(table) && *if_exists {
                        continue;
                    }
                    self.known(table)?;
                    self.batch(&format!("DROP TABLE {}", quoted(table)))?;
                    self.forget(table)?;
                }
            }
            Plan::Rename(renames) => {
                for (from, to) in renames {
                    self.rename(from, to)?;
                }
            }
            Plan::Truncate(tables) => {
                for table in tables {
                    self.known(table)?;
                    self.batch(&format!("DELETE FROM {}", quoted(table)))?;
                    if tables::auto_increment(self.known(table)?).is_some() {
                        let name = super::dialect_literal(table);
                        self.batch(&format!(
                            "DELETE FROM sqlite_sequence WHERE name = {name} COLLATE NOCASE"
                        ))?;
                    }
                }
            }
            Plan::Index { table, sql, if_not_exists, name } => {
                self.known(table)?;
                let there = self
                    .connection
                    .query_row(
                        "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = ?1",
                        [name],
                        |row| row.get::<_, i64>(0),
                    )
                    .map_err(|error| of_sqlite(&error))?;
                if there == 0 {
                    self.batch(sql)?;
                } else if !if_not_exists {
                    return Err(SqlError(format!(
                        "Duplicate key name '{}'",
                        name.rsplit('.').next().unwrap_or(name)
                    )));
                }
            }
            Plan::ForeignKeys(on) => {
                self.batch(if *on { "PRAGMA foreign_keys = ON" } else { "PRAGMA foreign_keys = OFF" })?;
            }
            Plan::Nothing => {}
        }
        Ok(Answer::Done { affected: 0, insert_id: 0 })
    }
}

impl Database for Sqlite {
    fn run(&mut self, statement: &str, values: &[SqlValue], now: Duration) -> Result<Answer, SqlError> {
        self.state.now.store(now.as_secs() as i64, Ordering::Relaxed);
        let plan = self.plan(statement)?;
        self.carry_out(&plan, values)
    }

    fn takes_schema(&mut self, name: &str) -> Result<bool, SqlError> {
        let added = self
            .connection
            .execute("INSERT OR IGNORE INTO tickscope_files VALUES (?1)", [name])
            .map_err(|error| of_sqlite(&error))?;
        Ok(added > 0)
    }
}

fn bind(statement: &mut Statement<'_>, values: &[SqlValue]) -> Result<(), SqlError> {
    let wanted = statement.parameter_count();
    for (index, value) in values.iter().enumerate().take(wanted) {
        let value = match value {
            SqlValue::Null => Value::Null,
            SqlValue::Bool(value) => Value::Integer(i64::from(*value)),
            SqlValue::Int(value) => Value::Integer(*value),
            SqlValue::Float(value) => Value::Real(*value),
            SqlValue::Text(bytes) => match String::from_utf8(bytes.clone()) {
                Ok(text) => Value::Text(text),
                Err(_) => Value::Blob(bytes.clone()),
            },
            SqlValue::Bytes(bytes) => Value::Blob(bytes.clone()),
        };
        statement.raw_bind_parameter(index + 1, value).map_err(|error| of_sqlite(&error))?;
    }
    // parameters beyond those given are null
    Ok(())
}

/// A field of a row, as a column of this kind is given.
fn field(value: ValueRef<'_>, kind: Kind, sum: bool) -> SqlValue {
    match (value, kind) {
        (ValueRef::Null, _) => SqlValue::Null,
        (ValueRef::Integer(number), _) if sum => SqlValue::text(number.to_string()),
        (ValueRef::Integer(number), Kind::Decimal(places)) => SqlValue::text(decimal(number as f64, places)),
        (ValueRef::Real(number), Kind::Decimal(places)) => SqlValue::text(decimal(number, places)),
        (ValueRef::Integer(number), _) => SqlValue::Int(number),
        (ValueRef::Real(number), _) => SqlValue::Float(number),
        (ValueRef::Text(bytes), Kind::Moment) => {
            let moment = std::str::from_utf8(bytes).ok().and_then(dates::parse);
            moment.map_or(SqlValue::Null, |moment| SqlValue::Int(moment.seconds * 1_000))
        }
        (ValueRef::Text(bytes) | ValueRef::Blob(bytes), Kind::Binary) => SqlValue::Bytes(bytes.to_vec()),
        (ValueRef::Text(bytes) | ValueRef::Blob(bytes), _) => SqlValue::Text(bytes.to_vec()),
    }
}

fn decimal(number: f64, places: u8) -> String {
    format!("{number:.*}", usize::from(places.min(30)))
}

/// An error of SQLite in MySQL's words, where these are known.
fn of_sqlite(error: &rusqlite::Error) -> SqlError {
    let text = match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let column = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let told = if let Some(table) = text.strip_prefix("no such table: ") {
        format!("Table '{}.{table}' doesn't exist", functions::DATABASE)
    } else if let Some(name) = text.strip_prefix("no such column: ") {
        format!("Unknown column '{name}' in 'field list'")
    } else if let Some(keys) = text.strip_prefix("UNIQUE constraint failed: ") {
        format!("Duplicate entry for key '{keys}'")
    } else if let Some(name) = text.strip_prefix("NOT NULL constraint failed: ") {
        format!("Column '{}' cannot be null", column(name))
    } else if let Some((_, rest)) = text.split_once(" has no column named ") {
        format!("Unknown column '{rest}' in 'field list'")
    } else if text.starts_with("FOREIGN KEY constraint failed") {
        "Cannot add, update or delete a row: a foreign key constraint fails".into()
    } else if let Some(name) = text.strip_prefix("no such function: ") {
        format!("FUNCTION {name} does not exist in the embedded database")
    } else {
        text
    };
    SqlError(told)
}

/// An error of a statement that SQLite does not take, with that statement where it is not what the script wrote.
fn rewritten(error: &rusqlite::Error, sql: &str) -> SqlError {
    let told = of_sqlite(error);
    if told.0.contains("syntax error") || told.0.contains("no such function") {
        return SqlError(format!("{} (for SQLite: {sql})", told.0));
    }
    told
}

#[cfg(test)]
mod tests;
