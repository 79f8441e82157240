//! The database: one transaction from flush to flush, indices at the end.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use tickscope_abi::{ArgValue, CounterValue, Error, LinkPoint, Names, Track, link_kind_name, outcome_name};
use tickscope_counts::{Span, TickSpan};

/// The tables.
pub const SCHEMA: &str = include_str!("schema.sql");
/// What the header of a file of ours says of itself: "Tick".
const APPLICATION_ID: i32 = 0x5469_636b;
/// Made when all rows are there, the most useful first.
const INDICES: [&str; 7] = [
    "CREATE INDEX ticks_number ON ticks (number)",
    "CREATE INDEX spans_tick ON spans (tick)",
    "CREATE INDEX spans_symbol ON spans (symbol)",
    "CREATE INDEX spans_parent ON spans (parent)",
    "CREATE INDEX span_args_span ON span_args (span)",
    "CREATE INDEX instant_args_instant ON instant_args (instant)",
    "CREATE INDEX counters_symbol ON counters (symbol, time_ns)",
];

/// How long another program that writes into the database is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// When the log beside the file has so many bytes it goes into the file.
const CHECKPOINT_BYTES: u64 = 4 << 20;

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
    /// A transaction is open. Where another program holds the lock, or the disk is full, there is none, and rows are left out.
    writes: bool,
    /// Of the rows and of the symbols, what the transaction has that is open.
    pending: u64,
    committed_symbols: usize,
    left_out: u64,
    /// Why rows were left out.
    gaps: Gaps,
    /// Held to the end: no other recording takes the file.
    _lock: Lock,
}

/// Why rows were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Another program held the file.
    pub held: bool,
    /// It could not be written, as on a disk that is full; what SQLite said.
    pub unwritable: Option<String>,
}

/// What a file lacks at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Indices that were not made.
    pub indices: bool,
    /// The log is still beside it.
    pub log: bool,
}

impl Database {
    /// Makes the file. One that this plugin wrote before is replaced.
    ///
    /// # Errors
    /// When there is another, when it is being written, when it cannot be made.
    pub fn create(file: &Path, start_ns: u64) -> Result<Self, Error> {
        let told = |error: rusqlite::Error| Error::new(format!("cannot write {}: {error}", file.display()));
        let lock = Lock::take(file)?;
        if file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            clear(file)?;
        }
        let connection = Connection::open(file).map_err(told)?;
        connection.busy_timeout(Duration::ZERO).map_err(told)?;
        let prepare = || {
            // Rows lie in the log until it is a few megabytes long; who reads sees them, and nobody waits for the disk.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            // When there is time for it: see `commit`. The log that was emptied does not keep the size it had.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "journal_size_limit", CHECKPOINT_BYTES.cast_signed())?;
            connection.pragma_update(None, "cache_size", -16_384)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.set_prepared_statement_cache_capacity(32);
            connection.execute_batch("BEGIN IMMEDIATE")?;
            connection.execute_batch(SCHEMA)
        };
        prepare().map_err(told)?;
        let (file, tracks) = (file.to_owned(), Vec::new());
        Ok(Self {
            connection,
            file,
            start_ns,
            symbols: 0,
            tracks,
            rows: 0,
            writes: true,
            pending: 0,
            committed_symbols: 0,
            left_out: 0,
            gaps: Gaps::default(),
            _lock: lock,
        })
    }

    /// Monotonic time of the recording's start.
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that could not be written.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Why they could not.
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Bytes of the log beside the file: some megabytes, and more while somebody reads for long.
    pub fn log_bytes(&self) -> u64 {
        beside(&self.file, "-wal").metadata().map_or(0, |metadata| metadata.len())
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
        if !self.writes {
            self.left_out += 1;
            return Ok(());
        }
        let inserted = self.connection.prepare_cached(statement).and_then(|mut known| known.execute(values));
        self.rows += 1;
        self.pending += 1;
        inserted.map(|_| ()).or_else(|error| self.roll_back(error))
    }

    /// The rows of the transaction are not there: SQLite keeps all of them or none. A disk that is full may have room again for
    /// those of the next.
    fn roll_back(&mut self, error: rusqlite::Error) -> Result<(), Error> {
        if !is_unwritable(&error) {
            return Err(self.told(error));
        }
        let _ = self.connection.execute_batch("ROLLBACK"); // SQLite may have done so
        self.writes = false;
        self.rows -= self.pending;
        self.left_out += std::mem::take(&mut self.pending);
        self.symbols = self.committed_symbols;
        self.tracks.clear();
        self.gaps.unwritable.get_or_insert_with(|| error.to_string());
        Ok(())
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
                span.id.cast_signed(),
                tick.number.cast_signed(),
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
                some(span.tick_span),
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
        if !self.writes {
            return Ok(());
        }
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
        if !self.writes || at >= names.tracks().len() || self.tracks.get(at) == Some(track) {
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

    /// What was written can be read, and a kill does not take it. Whether rows can be written on: another program may hold the
    /// file, or the disk be full, and then they are left out until a later call finds it otherwise.
    pub fn commit(&mut self) -> Result<bool, Error> {
        self.end()?;
        if self.log_bytes() >= CHECKPOINT_BYTES {
            self.checkpoint()?;
        }
        self.connection.busy_timeout(PATIENCE).map_err(|error| self.told(error))?;
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        self.connection.busy_timeout(Duration::ZERO).map_err(|error| self.told(error))?;
        match begun {
            Err(error) if is_busy(&error) => self.gaps.held = true,
            Err(error) => self.roll_back(error)?,
            Ok(()) => self.writes = true,
        }
        Ok(self.writes)
    }

    /// Ends the transaction.
    fn end(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.writes) {
            if let Err(error) = self.connection.execute_batch("COMMIT") {
                return self.roll_back(error);
            }
            self.pending = 0;
            self.committed_symbols = self.symbols;
        }
        Ok(())
    }

    /// Moves the log into the file, as far as nobody reads it and there is room.
    fn checkpoint(&self) -> Result<(), Error> {
        let done = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        match done {
            Err(error) if !is_busy(&error) && !is_unwritable(&error) => Err(self.told(error)),
            _ => Ok(()),
        }
    }

    /// The last rows, indices, and one file without a log beside it, as far as there is time; what it lacks.
    pub fn finish(&mut self, within: Duration) -> Result<Lacks, Error> {
        let begin = Instant::now();
        let mut lacks = Lacks::default();
        self.end()?;
        // SQLite takes its time to stop when it is told to, and one file of two needs the other half.
        let until = begin + within.mul_f32(0.4);
        let late = move || Instant::now() > until;
        self.connection.progress_handler(10_000, Some(late)).map_err(|error| self.told(error))?;
        // All rows are there: an index that cannot be made is no reason to call the file bad.
        lacks.indices = INDICES.iter().any(|index| late() || self.connection.execute_batch(index).is_err());
        self.connection.progress_handler(0, None::<fn() -> bool>).map_err(|error| self.told(error))?;
        // One who reads holds it up; then the log stays, which the next reader takes.
        lacks.log = begin.elapsed() > within / 2
            || match self.connection.pragma_update(None, "journal_mode", "DELETE") {
                Err(error) if is_busy(&error) || is_unwritable(&error) => true,
                left => left.map(|()| false).map_err(|error| self.told(error))?,
            };
        if lacks.log {
            // Closing would do what there is no time for.
            let kept = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            kept.map_err(|error| self.told(error))?;
        }
        Ok(lacks)
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whatever a disk may say that is full, or fails.
fn is_unwritable(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly))
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// That a recording writes a database. SQLite's own lock is free between two transactions, and its file must not be opened by
/// others than SQLite: so there is a file beside it, whose lock a kill frees.
#[derive(Debug)]
struct Lock {
    name: PathBuf,
    _held: File,
}

impl Lock {
    fn take(file: &Path) -> Result<Self, Error> {
        let name = beside(file, "-lock");
        let told = |error: std::io::Error| {
            Error::new(format!("cannot write {}: cannot lock {}: {error}", file.display(), name.display()))
        };
        loop {
            let held = File::options().read(true).append(true).create(true).open(&name).map_err(told)?;
            match held.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(format!(
                        "{} is being written by another recording; name another with file=FILE, in which {{pid}} stands for the process",
                        file.display()
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(told(error)),
            }
            // Who had it took it away at its end, perhaps after it was opened here.
            let locked = held.metadata().map_err(told)?;
            if name.metadata().is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino())) {
                return Ok(Self { name, _held: held });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // One that has something in it is somebody's.
        if self.name.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let _ = fs::remove_file(&self.name);
        }
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
            "{} is being written by another program; name another with file=FILE",
            file.display()
        )));
    }
    drop(connection);
    for ending in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(file, ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::new(format!("cannot replace {}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tickscope_abi::raw::{TickscopeBatch, TickscopeSymbol, TickscopeText};

    use super::*;

    fn name(names: &mut Names, id: u32) {
        let text = TickscopeText::new("pay");
        let (resource, file) = (text, text);
        let symbol = TickscopeSymbol { id, runtime: 0, resource, name: text, file, line: 1, spare: 0 };
        let batch = TickscopeBatch { symbols: &symbol, n_symbols: 1, ..TickscopeBatch::EMPTY };
        // SAFETY: the symbol lives until the end of this function, and its texts for ever.
        unsafe { names.take(&batch) };
    }

    #[test]
    fn a_disk_that_is_full_costs_the_rows_of_its_time_and_no_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut database = Database::create(&folder.path().join("city.sqlite"), 0).expect("a file");
        let mut names = Names::default();
        let mut second = |database: &mut Database, id: u32| {
            name(&mut names, id);
            database.names(&names).expect("names");
            for time_ns in 0..1_000 {
                database.instant(id, 0, time_ns, "anomaly", &[]).expect("a row");
            }
            database.commit().expect("a commit")
        };
        assert!(second(&mut database, 0));
        let room = |database: &Database, pages: i64| {
            let set = database.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
            set.expect("a limit");
        };
        // No page more than there are.
        room(&database, 1);
        assert!(second(&mut database, 1) && database.gaps().unwritable.is_some());
        let left_out = database.left_out();
        assert!(left_out > 0 && left_out <= 1_001, "{left_out}");
        room(&database, 1 << 20);
        assert!(second(&mut database, 2));
        assert_eq!((database.rows(), database.left_out()), (2_003, left_out));
        assert_eq!(database.finish(Duration::from_secs(60)).expect("an end"), Lacks::default());
        let count =
            |query| database.connection.query_row(query, [], |row| row.get::<_, i64>(0)).expect("a count");
        assert_eq!(count("SELECT count(*) FROM instants"), 2_000);
        // The one whose rows are not there too: later ones may have it.
        assert_eq!(count("SELECT count(*) FROM symbols WHERE name = 'pay'"), 3);
    }
}
