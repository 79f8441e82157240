//! Which format a file has, and the source that reads it.

use tickscope_core::{Flow, Metadata, Progress, Sink, Source, SourceError};

use crate::build::Build;
use crate::{chrome, folded, fxserver, lmprof};

/// Samples pushed at a time.
const BATCH: usize = 4_096;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// FXServer's `profiler save`.
    FxServer,
    /// FXServer's `profiler saveJSON`.
    FxServerJson,
    /// Chrome trace events of anything else.
    ChromeJson,
    /// Folded stacks.
    Folded,
    /// What `lmprof` reports of callers and callees.
    Lmprof,
}

impl Format {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FxServer => "a recording of FXServer's profiler",
            Self::FxServerJson => "a recording of FXServer's profiler, as JSON",
            Self::ChromeJson => "Chrome trace JSON",
            Self::Folded => "folded stacks",
            Self::Lmprof => "a report of lmprof",
        }
    }
}

/// What a file does not say itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Folded stacks, and reports of lmprof without times, count samples, so many a second; `None`: nanoseconds.
    pub samples_hz: Option<u32>,
    /// How long a tick may take, in nanoseconds; `None`: 50 ms, FXServer's, where there are ticks.
    pub budget_ns: Option<u64>,
}

/// Where reading stopped, and why.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Bytes from the start of the file.
    pub(crate) offset: usize,
    pub(crate) problem: String,
    pub(crate) expected: &'static str,
}

impl Broken {
    pub(crate) fn new(offset: usize, problem: impl Into<String>, expected: &'static str) -> Self {
        Self { offset, problem: problem.into(), expected }
    }
}

/// Reads a piece at a time.
pub(crate) trait Pieces: Send {
    /// Adds what comes next to `build`; false when nothing does.
    fn next(&mut self, build: &mut Build) -> Result<bool, Broken>;
}

/// A file of another profiler, as a [`Source`].
///
/// Memory: the file, and for JSON its events without their names, some 60 bytes each.
pub struct Import {
    format: Format,
    metadata: Metadata,
    pieces: Box<dyn Pieces>,
    build: Build,
    cut: Option<String>,
    over: bool,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("format", &self.format).field("cut", &self.cut).finish_non_exhaustive()
    }
}

impl Import {
    /// Reads the start of a file. `from` names it in errors and becomes the recording's subject.
    ///
    /// # Errors
    /// When it is of none of the formats, or breaks off before anything was recorded.
    pub fn new(from: &str, bytes: Vec<u8>, options: &Options) -> Result<Self, SourceError> {
        let mut build = Build::default();
        let (pieces, format) = open(bytes, options, &mut build).map_err(|broken| malformed(from, broken))?;
        let ticks = matches!(format, Format::FxServer | Format::FxServerJson);
        let metadata = Metadata {
            producer: format!("{}, imported", format.name()),
            subject: from.to_owned(),
            budget_ns: if ticks { options.budget_ns.unwrap_or(50_000_000) } else { 0 },
            facts: vec![("imported from".into(), from.to_owned())],
            ..Metadata::default()
        };
        let mut import = Self { format, metadata, pieces, build, cut: None, over: false };
        // The first piece tells whether there is anything.
        match import.pieces.next(&mut import.build) {
            Ok(more) => import.over = !more,
            Err(broken) => return Err(malformed(from, broken)),
        }
        Ok(import)
    }

    /// Which format it has.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Why what stands behind was not read. Known at the end.
    pub fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }
}

fn open(bytes: Vec<u8>, options: &Options, build: &mut Build) -> Result<(Box<dyn Pieces>, Format), Broken> {
    const EXPECTED: &str = "what FXServer's `profiler save` or `saveJSON` or its lmprof wrote, Chrome trace JSON, or folded stacks";
    if let [0x0a, length, ..] = *bytes
        && !length.is_ascii_graphic()
        && !length.is_ascii_whitespace()
    {
        return Err(Broken::new(0, "a Perfetto trace", EXPECTED));
    }
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
    match &bytes[start..] {
        [] => Err(Broken::new(0, "the file is empty", EXPECTED)),
        [0x1f, 0x8b, ..] => Err(Broken::new(0, "a gzip file", "an unpacked one: gunzip it first")),
        [b'P', b'K', 3, 4, ..] => Err(Broken::new(0, "a zip archive", "an unpacked file")),
        [b'{' | b'[', ..] => chrome::open(bytes, build),
        [0x80..=0x8f | 0xde | 0xdf, ..] if start == 0 => fxserver::open(bytes, build),
        _ if lmprof::fits(&bytes) => lmprof::open(&bytes, options.samples_hz, build),
        _ if folded::fits(&bytes) => folded::open(bytes, options.samples_hz, build),
        [first, ..] => Err(Broken::new(start, format!("byte {first:#04x}"), EXPECTED)),
    }
}

fn malformed(from: &str, broken: Broken) -> SourceError {
    SourceError::Malformed {
        from: from.to_owned(),
        offset: broken.offset as u64,
        problem: broken.problem,
        expected: broken.expected.to_owned(),
    }
}

impl Source for Import {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn poll(&mut self, sink: &mut dyn Sink) -> Result<Progress, SourceError> {
        if self.over && self.build.is_empty() {
            return Ok(Progress::End);
        }
        while !self.over && self.build.len() < BATCH {
            match self.pieces.next(&mut self.build) {
                Ok(more) => self.over = !more,
                Err(broken) => {
                    self.cut = Some(format!("{} at byte {}", broken.problem, broken.offset));
                    self.over = true;
                }
            }
        }
        if self.over {
            self.build.close();
        }
        let pushed = self.build.len();
        let mut stopped = false;
        self.build.drain(|batch, tick| {
            let mut flow = sink.batch(&batch)?;
            if let (Flow::Continue, Some(end_ns)) = (flow, tick) {
                flow = sink.tick(end_ns)?;
            }
            stopped |= flow == Flow::Stop;
            Ok::<_, SourceError>(())
        })?;
        self.over |= stopped;
        Ok(Progress::Pushed(pushed))
    }
}
