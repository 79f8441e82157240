//! Files: columns, folders, and names that whole files alone have.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use tickscope_abi::Error;
use tickscope_counts::Utc;

use crate::HOUR_NS;
use crate::rows::{Rows, SymbolTexts};

/// The columns of `spans-*.parquet`.
pub const SPANS: &str = "message spans {
    required int64 begin (TIMESTAMP(NANOS,true));
    required int64 duration_ns;
    optional int64 self_ns;
    required int64 bytes;
    optional int64 tick;
    optional binary category (STRING);
    required binary resource (STRING);
    required binary name (STRING);
    required binary file (STRING);
    required int32 line;
    required binary runtime (STRING);
    required binary track (STRING);
    required binary outcome (STRING);
    required int64 span;
    optional int64 parent;
    optional int64 link;
    optional binary link_kind (STRING);
}";

/// The columns of `ticks-*.parquet`.
pub const TICKS: &str = "message ticks {
    required int64 begin (TIMESTAMP(NANOS,true));
    required int64 number;
    required int64 duration_ns;
    required boolean late;
    required boolean open;
    optional int64 run_delay_ns;
    optional int64 involuntary;
    required int64 bytes;
    required int64 span;
}";

/// Where files go, and what was written.
#[derive(Debug)]
pub struct Table {
    folder: PathBuf,
    /// The recording's part of names. Another sink of it may have the same, and one in another container.
    recording: String,
    files: u64,
    rows: u64,
    bytes: u64,
}

/// The longest name of a server's folder, in bytes: file systems bear 255.
const MAX_NAME: usize = 200;
/// A file is written within seconds. One that nobody wrote to for so long, a killed recording left.
const STALE: Duration = Duration::from_secs(3600);

type Group<'w> = SerializedRowGroupWriter<'w, File>;
type Fill = fn(&mut Group<'_>, &Rows) -> Result<(), ParquetError>;

impl Table {
    /// Makes the server's folder in `folder`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: &Path, server: &str, start_unix_ns: u64, pid: u32) -> Result<Self, Error> {
        let known = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let mut server: String = server.chars().map(|c| if known(c) { c } else { '_' }).collect();
        server.truncate(server.floor_char_boundary(MAX_NAME));
        if server.is_empty() {
            server.push_str("unnamed");
        }
        let folder = folder.join(format!("server={server}"));
        fs::create_dir_all(&folder)
            .map_err(|error| Error::new(format!("cannot make the folder {}: {error}", folder.display())))?;
        remove_stale(&folder);
        let recording = format!("{}-{pid}", start_unix_ns / 1_000_000_000);
        Ok(Self { folder, recording, files: 0, rows: 0, bytes: 0 })
    }

    /// Rows and bytes written.
    pub fn written(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }

    /// Writes the rows that wait, each hour and kind to a file of its own, and forgets them, also those that cannot be written.
    ///
    /// # Errors
    /// How many could not be, and when a file cannot be written, with its name.
    pub fn write(&mut self, rows: &mut Rows) -> Result<(), (u64, Error)> {
        let mut failed = None;
        let hours = std::mem::take(&mut rows.hours);
        let (mut spans, mut ticks) = (std::mem::take(&mut rows.spans), std::mem::take(&mut rows.ticks));
        for hour in &hours {
            if hours.len() > 1 {
                rows.spans = spans.extract_if(.., |row| row.hour == *hour).collect();
                rows.ticks = ticks.extract_if(.., |row| row.hour == *hour).collect();
            } else {
                (rows.spans, rows.ticks) = (std::mem::take(&mut spans), std::mem::take(&mut ticks));
            }
            self.hour(*hour, rows, &mut failed);
        }
        rows.spans.clear();
        rows.ticks.clear();
        failed.map_or(Ok(()), Err)
    }

    /// Writes the rows, which are all of that hour.
    fn hour(&mut self, hour: u64, rows: &Rows, failed: &mut Option<(u64, Error)>) {
        self.files += 1;
        for (kind, schema, count, fill) in
            [("spans", SPANS, rows.spans.len(), spans as Fill), ("ticks", TICKS, rows.ticks.len(), ticks)]
        {
            let count = count as u64;
            if count == 0 {
                continue;
            }
            match self.file(kind, schema, hour, rows, fill) {
                Ok(()) => self.rows += count,
                Err(error) => {
                    let before = failed.take().map_or(0, |(before, _)| before);
                    *failed = Some((before + count, error));
                }
            }
        }
    }

    fn file(&mut self, kind: &str, schema: &str, hour: u64, rows: &Rows, fill: Fill) -> Result<(), Error> {
        let Utc { date: (year, month, day), time, .. } = Utc::of(hour.saturating_mul(HOUR_NS));
        let folder = self.folder.join(format!("hour={year:04}-{month:02}-{day:02}-{:02}", time.0));
        let claimed = fs::create_dir_all(&folder).and_then(|()| self.claim(&folder, kind));
        let Claimed { target, unfinished, file } = claimed.map_err(|error| {
            Error::new(format!("cannot write {}: {error}", self.name(&folder, kind).display()))
        })?;
        let write = || -> Result<u64, Box<dyn std::error::Error>> {
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_created_by(concat!("tickscope-parquet ", env!("CARGO_PKG_VERSION")).to_owned());
            let schema = Arc::new(parse_message_type(schema)?);
            let mut writer = SerializedFileWriter::new(target, schema, Arc::new(properties.build()))?;
            let mut group = writer.next_row_group()?;
            fill(&mut group, rows)?;
            group.close()?;
            let target = writer.into_inner()?;
            target.sync_all()?;
            let bytes = target.metadata()?.len();
            fs::rename(&unfinished, &file)?;
            Ok(bytes)
        };
        match write() {
            Ok(bytes) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&unfinished);
                Err(Error::new(format!("cannot write {}: {error}", file.display())))
            }
        }
    }

    fn name(&self, folder: &Path, kind: &str) -> PathBuf {
        folder.join(format!("{kind}-{}-{}.parquet", self.recording, self.files))
    }

    /// A name that nobody has, and its file under another. Who gives a file its name made the unfinished one before; so a name
    /// that is free while that is there stays free.
    fn claim(&mut self, folder: &Path, kind: &str) -> std::io::Result<Claimed> {
        loop {
            let file = self.name(folder, kind);
            if !file.try_exists()? {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                // Readers of folders leave out what begins with a dot.
                let unfinished = self.folder.join(format!(".{name}.part"));
                match File::create_new(&unfinished) {
                    Ok(_) if file.try_exists()? => fs::remove_file(&unfinished)?,
                    Ok(target) => return Ok(Claimed { target, unfinished, file }),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            self.files += 1;
        }
    }
}

/// A file that gets its name when it is whole.
struct Claimed {
    target: File,
    unfinished: PathBuf,
    file: PathBuf,
}

/// Takes away what killed recordings left unfinished.
fn remove_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = [".spans-", ".ticks-"].iter().any(|begin| name.starts_with(begin))
            && name.ends_with(".parquet.part");
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if ours && age().is_some_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The next column, of values that are all there.
fn column<T: DataType>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = values.collect();
    let mut column = group.next_column()?.expect("the schema has as many columns as are written");
    column.typed::<T>().write_batch(&values, None, None)?;
    column.close()
}

/// The next column, of values that may be missing.
fn optional<T: DataType>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut some, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        some.extend(value);
    }
    let mut column = group.next_column()?.expect("the schema has as many columns as are written");
    column.typed::<T>().write_batch(&some, Some(&levels), None)?;
    column.close()
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Ids are numbers of 64 bits, and 0 is none.
fn id(value: u64) -> Option<i64> {
    Some(value.cast_signed()).filter(|value| *value != 0)
}

fn spans(group: &mut Group<'_>, rows: &Rows) -> Result<(), ParquetError> {
    let spans = || rows.spans.iter();
    let nobody =
        SymbolTexts { runtime: "".into(), resource: "".into(), name: "".into(), file: "".into(), line: 0 };
    let symbols = || spans().map(|row| rows.symbols.get(row.span.symbol as usize).unwrap_or(&nobody));
    let known = |texts: &[ByteArray], number: u32| {
        texts.get(number as usize).or(texts.last()).cloned().unwrap_or_else(|| "".into())
    };
    column::<Int64Type>(group, spans().map(|row| number(row.begin_unix_ns)))?;
    column::<Int64Type>(group, spans().map(|row| number(row.span.duration_ns())))?;
    optional::<Int64Type>(group, spans().map(|row| row.span.self_ns.map(number)))?;
    column::<Int64Type>(group, spans().map(|row| row.span.bytes.into()))?;
    optional::<Int64Type>(group, spans().map(|row| id(row.span.tick)))?;
    optional::<ByteArrayType>(group, spans().map(|row| row.category.clone()))?;
    column::<ByteArrayType>(group, symbols().map(|symbol| symbol.resource.clone()))?;
    column::<ByteArrayType>(group, symbols().map(|symbol| symbol.name.clone()))?;
    column::<ByteArrayType>(group, symbols().map(|symbol| symbol.file.clone()))?;
    column::<Int32Type>(group, symbols().map(|symbol| symbol.line))?;
    column::<ByteArrayType>(group, symbols().map(|symbol| symbol.runtime.clone()))?;
    column::<ByteArrayType>(group, spans().map(|row| row.track.clone()))?;
    column::<ByteArrayType>(group, spans().map(|row| known(&rows.outcomes, row.span.outcome)))?;
    column::<Int64Type>(group, spans().map(|row| row.span.id.cast_signed()))?;
    optional::<Int64Type>(group, spans().map(|row| id(row.span.parent)))?;
    optional::<Int64Type>(group, spans().map(|row| id(row.span.link)))?;
    let kind = |link: u64, kind: u32| id(link).map(|_| known(&rows.link_kinds, kind));
    optional::<ByteArrayType>(group, spans().map(|row| kind(row.span.link, row.span.link_kind)))
}

fn ticks(group: &mut Group<'_>, rows: &Rows) -> Result<(), ParquetError> {
    let ticks = || rows.ticks.iter();
    column::<Int64Type>(group, ticks().map(|row| number(row.begin_unix_ns)))?;
    column::<Int64Type>(group, ticks().map(|row| number(row.tick.number)))?;
    column::<Int64Type>(group, ticks().map(|row| number(row.span.duration_ns())))?;
    column::<BoolType>(group, ticks().map(|row| row.tick.late))?;
    column::<BoolType>(group, ticks().map(|row| row.tick.open))?;
    optional::<Int64Type>(group, ticks().map(|row| row.tick.run_delay_ns.map(number)))?;
    optional::<Int64Type>(group, ticks().map(|row| row.tick.involuntary.map(number)))?;
    column::<Int64Type>(group, ticks().map(|row| row.span.bytes.into()))?;
    column::<Int64Type>(group, ticks().map(|row| row.span.id.cast_signed()))
}
