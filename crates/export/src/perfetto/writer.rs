//! Sinks that write captures: to one writer, or to files that rotate by size.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tickscope_core::{Batch, Flow, Metadata, Sink, SinkError};

use super::Options;
use super::encoder::Encoder;

/// Bytes after which the buffer is written out.
const CHUNK: usize = 64 << 10;

/// Writes a recording as one Perfetto trace.
///
/// Samples are encoded into a buffer that goes out every 64 KiB and at [`Sink::flush`]: give it the file itself, a
/// `BufWriter` around it gains nothing.
///
/// ```
/// use tickscope_core::{RecordingSink, conformance, drain};
/// use tickscope_export::perfetto::{Options, Reader, Writer};
///
/// let mut capture = Vec::new();
/// let mut reader = {
///     let mut writer = Writer::new(&mut capture, Options::default());
///     let example = conformance::example();
///     tickscope_core::Sink::open(&mut writer, &example.metadata)?;
///     tickscope_core::Sink::batch(&mut writer, &example.as_batch())?;
///     tickscope_core::Sink::finish(&mut writer)?;
///     Reader::new("example", &capture[..])?
/// };
/// let mut again = RecordingSink::default();
/// drain(&mut reader, &mut again)?;
/// assert_eq!(again.samples.len(), conformance::example().samples.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    encoder: Encoder,
    writer: W,
    name: String,
}

impl<W: Write> Writer<W> {
    /// A writer of a capture to `writer`.
    pub fn new(writer: W, options: Options) -> Self {
        Self { encoder: Encoder::new(options), writer, name: "the capture".into() }
    }

    /// Calls the output `name` in errors.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Bytes of capture so far, those in the buffer included.
    pub fn bytes(&self) -> u64 {
        self.encoder.file_bytes()
    }

    /// What it writes to.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    fn write(&mut self) -> Result<(), SinkError> {
        let written = self.writer.write_all(self.encoder.buf.as_slice());
        self.encoder.drained();
        written.map_err(|error| SinkError::io(self.name.as_str(), error))
    }
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.encoder.open(metadata);
        self.flush()
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.encoder.begin_batch(batch);
        for sample in batch.samples {
            self.encoder.sample(batch, sample);
            if self.encoder.buf.len() >= CHUNK {
                self.write()?;
            }
        }
        Ok(Flow::Continue)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.encoder.tick(end_ns);
        Ok(Flow::Continue)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.write()?;
        self.writer.flush().map_err(|error| SinkError::io(self.name.as_str(), error))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.encoder.finish(false);
        self.flush()
    }
}

/// Writes a recording as a row of captures, a new one whenever `max_bytes` are reached.
///
/// Each capture opens alone: it has its own head and names, and the spans that were open are begun again at its
/// start, marked with the argument `continued_since_ns`. The capture before ends with those spans open; a reader ends
/// them, [`Truncated`](tickscope_core::Outcome::Truncated), at its last time.
pub struct RotatingWriter<W, F> {
    inner: Writer<W>,
    next: F,
    max_bytes: u64,
}

impl<W, F> std::fmt::Debug for RotatingWriter<W, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { inner, max_bytes, .. } = self;
        f.debug_struct("RotatingWriter").field("name", &inner.name).field("max_bytes", max_bytes).finish()
    }
}

impl<W: Write, F: FnMut(u32) -> Result<(W, String), SinkError>> RotatingWriter<W, F> {
    /// A writer of captures of about `max_bytes` each (at least 64 KiB). `next` is called with 0, 1, 2, … and gives
    /// each one's writer and its name for errors.
    ///
    /// # Errors
    /// Those of `next` for the first capture.
    pub fn new(max_bytes: u64, options: Options, mut next: F) -> Result<Self, SinkError> {
        let (writer, name) = next(0)?;
        let inner = Writer::new(writer, options).named(name);
        Ok(Self { inner, next, max_bytes: max_bytes.max(64 << 10) })
    }

    /// How many captures were begun.
    pub fn parts(&self) -> u32 {
        self.inner.encoder.part + 1
    }

    fn rotate(&mut self, batch: &Batch<'_>) -> Result<(), SinkError> {
        // The next file first: when there is none, this one still holds everything.
        let (writer, name) = (self.next)(self.inner.encoder.part + 1)?;
        self.inner.encoder.finish(true);
        self.inner.flush()?;
        (self.inner.writer, self.inner.name) = (writer, name);
        self.inner.encoder.next_part(batch);
        Ok(())
    }
}

impl<W: Write, F: FnMut(u32) -> Result<(W, String), SinkError>> Sink for RotatingWriter<W, F> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.inner.open(metadata)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.inner.encoder.begin_batch(batch);
        for sample in batch.samples {
            if self.inner.bytes() >= self.max_bytes {
                self.rotate(batch)?;
            }
            self.inner.encoder.sample(batch, sample);
            if self.inner.encoder.buf.len() >= CHUNK {
                self.inner.write()?;
            }
        }
        Ok(Flow::Continue)
    }

    fn tick(&mut self, end_ns: u64) -> Result<Flow, SinkError> {
        self.inner.tick(end_ns)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.inner.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.inner.finish()
    }
}

/// The path of capture number `part` of a rotation: `city.perfetto-trace`, `city.1.perfetto-trace`, …
///
/// ```
/// # use std::path::Path;
/// let path = tickscope_export::perfetto::part_path(Path::new("out/city.perfetto-trace"), 2);
/// assert_eq!(path, Path::new("out/city.2.perfetto-trace"));
/// ```
pub fn part_path(path: &Path, part: u32) -> PathBuf {
    if part == 0 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{part}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// A capture on disk, new files when `max_bytes` are reached (`None`: one file without end); see [`part_path`].
///
/// # Errors
/// When the first file cannot be created. Files that exist are replaced.
pub fn create(
    path: impl Into<PathBuf>,
    max_bytes: Option<u64>,
    options: Options,
) -> Result<impl Sink + Send + std::fmt::Debug, SinkError> {
    let path = path.into();
    RotatingWriter::new(max_bytes.unwrap_or(u64::MAX), options, move |part| {
        let path = part_path(&path, part);
        let name = path.display().to_string();
        let file = File::create(&path).map_err(|error| SinkError::io(name.as_str(), error))?;
        Ok((file, name))
    })
}
