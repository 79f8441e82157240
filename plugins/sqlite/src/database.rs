//! The database: one transaction from flush to flush, indices at the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use tickscope_abi::{ArgValue, CounterValue, Error, LinkPoint, Names, Track, link_kind_name, outcome_name};
use tickscope_counts::{Span, TickSpan};

/// The tables.
pub const SCHEMA: &str = include_str!("schema.sql");
/// What the header of a file of ours says of itself: "Tick".
const APPLICATION_ID: i32 = 0x5469_636b;
/// Made when all rows are there, the most useful first.
const INDICES: [&str; 6] = [
    "CREATE INDEX spans_tick ON spans (tick)",
    "CREATE INDEX spans_symbol ON spans (symbol)",
    "CREATE INDEX spans_parent ON spans (parent)",
    "CREATE INDEX span_args_span ON span_args (span)",
    "CREATE INDEX instant_args_instant ON instant_args (instant)",
    "CREATE INDEX counters_symbol ON counters (symbol, time_ns)",
];

/// A value of an argument or a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A whole number.
    Int(i64),
    /// Any other, and whole ones beyond 63 bits.
    Float(f64),
    /// Text; addresses in hexadecimal.
    Text(String),
}

impl Arg {
    /// What crossed.
    pub fn of(value: ArgValue<'_>) -> Self {
        match value {
            ArgValue::Int(value) => Self::Int(value),
            ArgValue::Uint(value) => i64::try_from(value).map_or(Self::Float(value as f64), Self::Int),
            ArgValue::Float(value) => Self::Float(value),
            ArgValue::Bool(value) => Self::Int(value.into()),
            ArgValue::Pointer(value) => Self::Text(format!("{value:#x}")),
            ArgValue::Text(value) => Self::Text(value.to_owned()),
            _ => Self::Text(String::new()),
        }
    }
}

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Self::Float(value) => ToSqlOutput::Owned(Value::Real(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        })
    }
}

/// A file that is written.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    file: PathBuf,
    start_ns: u64,
    symbols: usize,
    tracks: Vec<Track>,
    rows: u64,
}

impl Database {
    /// Makes the file. One that this plugin wrote before is replaced.
    ///
    /// # Errors
    /// When there is another, when it is being written, when it cannot be made.
    pub fn create(file: &Path, start_ns: u64) -> Result<Self, Error> {
        let told = |error: rusqlite::Error| Error::new(format!("cannot write {}: {error}", file.display()));
        if file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            clear(file)?;
        }
        let connection = Connection::open(file).map_err(told)?;
        connection.busy_timeout(Duration::ZERO).map_err(told)?;
        let prepare = || {
            // Rows lie in the log until it is a few megabytes long; who reads sees them, and nobody waits for the disk.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "cache_size", -16_384)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.set_prepared_statement_cache_capacity(32);
            connection.execute_batch("BEGIN IMMEDIATE")?;
            connection.execute_batch(SCHEMA)
        };
        prepare().map_err(told)?;
        let (file, tracks) = (file.to_owned(), Vec::new());
        Ok(Self { connection, file, start_ns, symbols: 0, tracks, rows: 0 })
    }

    /// Monotonic time of the recording's start.
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the file, with what is not in it yet.
    ///
    /// # Errors
    /// SQLite's.
    pub fn bytes(&self) -> Result<u64, Error> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = pragma("page_count").map_err(|error| self.told(error))?;
        let size = pragma("page_size").map_err(|error| self.told(error))?;
        Ok(pages.unsigned_abs() * size.unsigned_abs())
    }

    fn told(&self, error: rusqlite::Error) -> Error {
        Error::new(format!("cannot write {}: {error}", self.file.display()))
    }

    fn insert(&mut self, statement: &str, values: &[&dyn ToSql]) -> Result<(), Error> {
        let inserted = self.connection.prepare_cached(statement).and_then(|mut known| known.execute(values));
        self.rows += 1;
        inserted.map(|_| ()).map_err(|error| self.told(error))
    }

    /// Nanoseconds since the recording's start.
    fn since(&self, time_ns: u64) -> i64 {
        time_ns.wrapping_sub(self.start_ns).cast_signed()
    }

    /// A fact of the recording.
    ///
    /// # Errors
    /// SQLite's, as of all that follow.
    pub fn fact(&mut self, name: &str, value: &Arg) -> Result<(), Error> {
        self.insert("INSERT OR REPLACE INTO recording VALUES (?, ?)", params![name, value])
    }

    /// A tick that ended.
    pub fn tick(&mut self, span: &Span, tick: &TickSpan) -> Result<(), Error> {
        let number = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        let begin = self.since(span.begin_ns);
        self.insert(
            "INSERT OR REPLACE INTO ticks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                tick.number.cast_signed(),
                span.id.cast_signed(),
                begin,
                span.duration_ns().cast_signed(),
                tick.late,
                tick.open,
                number(tick.run_delay_ns),
                number(tick.involuntary),
                span.bytes
            ],
        )
    }

    /// A span that ended.
    pub fn span(&mut self, span: &Span, category: Option<&str>) -> Result<(), Error> {
        let some = |number: u64| Some(number.cast_signed()).filter(|number| *number != 0);
        let begin = self.since(span.begin_ns);
        self.insert(
            "INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                span.id.cast_signed(),
                span.track,
                span.symbol,
                category,
                begin,
                span.duration_ns().cast_signed(),
                span.self_ns.map(u64::cast_signed),
                span.bytes,
                outcome_name(span.outcome),
                some(span.parent),
                some(span.tick),
                some(span.link),
                some(span.link).map(|_| link_kind_name(span.link_kind)),
            ],
        )
    }

    /// Arguments of a span.
    pub fn span_args(&mut self, span: u64, args: &[(String, Arg)]) -> Result<(), Error> {
        args.iter().try_for_each(|(key, value)| {
            self.insert("INSERT INTO span_args VALUES (?, ?, ?)", params![span.cast_signed(), key, value])
        })
    }

    /// Where a link comes from.
    pub fn link_point(&mut self, point: &LinkPoint, track: u32, time_ns: u64) -> Result<(), Error> {
        let (span, time) = (Some(point.span.cast_signed()).filter(|span| *span != 0), self.since(time_ns));
        self.insert(
            "INSERT OR REPLACE INTO link_points VALUES (?, ?, ?, ?)",
            params![point.id.cast_signed(), span, track, time],
        )
    }

    /// A moment, and its arguments.
    pub fn instant(
        &mut self,
        symbol: u32,
        track: u32,
        time_ns: u64,
        category: &str,
        args: &[(String, Arg)],
    ) -> Result<(), Error> {
        let time = self.since(time_ns);
        self.insert(
            "INSERT INTO instants (time_ns, track, symbol, category) VALUES (?, ?, ?, ?)",
            params![time, track, symbol, category],
        )?;
        let id = self.connection.last_insert_rowid();
        args.iter().try_for_each(|(key, value)| {
            self.insert("INSERT INTO instant_args VALUES (?, ?, ?)", params![id, key, value])
        })
    }

    /// A value of a counter.
    pub fn counter(
        &mut self,
        symbol: u32,
        track: u32,
        time_ns: u64,
        value: CounterValue,
    ) -> Result<(), Error> {
        let value = match value {
            CounterValue::Int(value) => Arg::Int(value),
            CounterValue::Float(value) => Arg::Float(value),
        };
        let time = self.since(time_ns);
        self.insert("INSERT INTO counters VALUES (?, ?, ?, ?)", params![time, track, symbol, value])
    }

    /// Symbols and tracks that are new.
    pub fn names(&mut self, names: &Names) -> Result<(), Error> {
        for id in self.symbols..names.symbols().len() {
            let symbol = &names.symbols()[id];
            self.insert(
                "INSERT OR REPLACE INTO symbols VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    id as i64,
                    symbol.runtime_name(),
                    &*symbol.resource,
                    &*symbol.name,
                    &*symbol.file,
                    symbol.line
                ],
            )?;
        }
        self.symbols = names.symbols().len();
        for id in self.tracks.len()..names.tracks().len() {
            self.track(id as u32, names)?;
        }
        Ok(())
    }

    /// A track, if it is new or has another name now.
    pub fn track(&mut self, id: u32, names: &Names) -> Result<(), Error> {
        let (at, track) = (id as usize, names.track(id));
        if at >= names.tracks().len() || self.tracks.get(at) == Some(track) {
            return Ok(());
        }
        self.insert(
            "INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?, ?, ?)",
            params![id, track.kind_name(), track.parent, track.os_id, &*track.name, &*track.resource],
        )?;
        if self.tracks.len() <= at {
            self.tracks.resize(at + 1, Track::default());
        }
        self.tracks[at].clone_from(track);
        Ok(())
    }

    /// What was written can be read, and a kill does not take it.
    pub fn commit(&mut self) -> Result<(), Error> {
        // The next one begins at once: no other recording can have the file in between.
        let done = self.connection.execute_batch("COMMIT; BEGIN IMMEDIATE");
        done.map_err(|error| self.told(error))
    }

    /// The last rows, one file without a log beside it, and indices; whether there was time for all of them until `until`.
    pub fn finish(&mut self, until: Instant) -> Result<bool, Error> {
        self.connection.execute_batch("COMMIT").map_err(|error| self.told(error))?;
        // One who reads holds it up; then the log stays, which the next reader takes.
        let left = self.connection.pragma_update(None, "journal_mode", "DELETE");
        if let Err(error) = left
            && error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy)
            && error.sqlite_error_code() != Some(ErrorCode::DatabaseLocked)
        {
            return Err(self.told(error));
        }
        let late = move || Instant::now() > until;
        self.connection.progress_handler(10_000, Some(late)).map_err(|error| self.told(error))?;
        for index in INDICES {
            match self.connection.execute_batch(index) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                    return Ok(false);
                }
                made => made.map_err(|error| self.told(error))?,
            }
        }
        Ok(true)
    }
}

/// Takes a file of ours away that an earlier recording wrote.
fn clear(file: &Path) -> Result<(), Error> {
    let other =
        format!("{} is there and is no database of this plugin; name another with file=FILE", file.display());
    let Ok(connection) = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE) else {
        return Err(Error::new(other));
    };
    connection.busy_timeout(Duration::ZERO)?;
    let id = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
    if id.ok() != Some(APPLICATION_ID) {
        return Err(Error::new(other));
    }
    if connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err() {
        return Err(Error::new(format!(
            "{} is being written by another recording; name another with file=FILE, in which {{pid}} stands for the process",
            file.display()
        )));
    }
    drop(connection);
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut beside = file.as_os_str().to_owned();
        beside.push(ending);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::new(format!("cannot replace {}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}
