//! Profiles of `pprof`: gzip'd `profile.proto`, which Go's tool, Pyroscope, Parca and others read.
//!
//! A sample of a profile is a call path: its self time, the bytes it allocated itself, and how often it was called. What
//! counts as time, and what as a call, is told in [`paths`](crate::paths); a function that only stack samples tell of has no
//! calls. Each sample has the labels `resource` (the innermost function's), `track` (the thread, or the operation that no
//! thread runs) and `kind` (`event`, `native`, `function` …): `pprof -tagfocus resource=banking`, `-tagroot track`.
//!
//! Names of functions have their resource behind them, for the tool takes functions of one name for one function. Lines are
//! those of definitions.
//!
//! [`Profile`] writes profiles of anything.

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tickscope_core::{Batch, Categories, Flow, Metadata, Sink, SinkError, SymbolId};

use crate::paths::{Paths, file};
use crate::wire::Buf;

/// What errors call the format.
const FORMAT: &str = "pprof";
/// Bytes after which encoded samples are compressed.
const CHUNK: usize = 64 << 10;

/// A kind of number that samples have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueType<'a> {
    /// What is counted: `cpu`, `alloc_space`.
    pub name: &'a str,
    /// In what: `nanoseconds`, `bytes`, `count`.
    pub unit: &'a str,
}

/// A function of a [`Profile`], by the order it was named in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Function(u64);

/// What a profile says of itself, behind its samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// What was profiled; shown as the program.
    pub program: &'a str,
    /// Wall-clock time of the begin, in nanoseconds since 1970 UTC; 0 when unknown.
    pub begin_unix_ns: u64,
    /// How long it is, in nanoseconds; 0 when unknown.
    pub duration_ns: u64,
    /// What a sample stands for, and how much of it: of a profile that comes from sampling.
    pub period: Option<(ValueType<'a>, u64)>,
    /// Lines that `pprof -comments` shows.
    pub comments: &'a [String],
}

/// Writes one profile. Samples go out as they come; names of functions, files and labels are kept to the end.
///
/// ```
/// use tickscope_export::pprof::{About, Profile, ValueType};
///
/// let mut out = Vec::new();
/// let time = ValueType { name: "time", unit: "nanoseconds" };
/// let mut profile = Profile::new(&mut out, &[time]);
/// let main = profile.function("main", "main.lua", 1);
/// let work = profile.function("work", "main.lua", 10);
/// profile.sample(&[work, main], &[1_500], &[("resource", "banking")])?;
/// profile.finish(time.name, &About::default())?;
/// assert_eq!(out[..2], [0x1f, 0x8b]);
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Profile<W: Write> {
    out: GzEncoder<W>,
    buf: Buf,
    strings: HashMap<Box<str>, u64>,
    /// Their order.
    table: Vec<Box<str>>,
    functions: HashMap<[u64; 3], Function>,
    /// Name and file, in the string table, and line.
    defined: Vec<[u64; 3]>,
    values: usize,
}

impl<W: Write> Profile<W> {
    /// A profile to `writer` whose samples have numbers of `types`.
    pub fn new(writer: W, types: &[ValueType<'_>]) -> Self {
        let mut profile = Self {
            out: GzEncoder::new(writer, Compression::default()),
            buf: Buf::default(),
            strings: HashMap::new(),
            table: Vec::new(),
            functions: HashMap::new(),
            defined: Vec::new(),
            values: types.len(),
        };
        profile.string(""); // has number 0
        for kind in types {
            profile.value_type(1, kind);
        }
        profile
    }

    fn string(&mut self, text: &str) -> u64 {
        if let Some(number) = self.strings.get(text) {
            return *number;
        }
        let number = self.table.len() as u64;
        self.table.push(text.into());
        self.strings.insert(text.into(), number);
        number
    }

    fn value_type(&mut self, field: u32, kind: &ValueType<'_>) {
        let (name, unit) = (self.string(kind.name), self.string(kind.unit));
        let message = self.buf.open(field);
        self.buf.uint(1, name);
        self.buf.uint(2, unit);
        self.buf.close(message);
    }

    /// A function, for samples; the same one for the same name, file and line. `line` is that of its definition, 0 when
    /// unknown; `file` may be empty.
    pub fn function(&mut self, name: &str, file: &str, line: u32) -> Function {
        let key = [self.string(name), self.string(file), u64::from(line)];
        let next = Function(self.defined.len() as u64 + 1);
        let function = *self.functions.entry(key).or_insert(next);
        if function == next {
            self.defined.push(key);
        }
        function
    }

    /// A call path, innermost function first, with a number for each of the profile's types (those that are missing are 0)
    /// and labels, whose names must not begin with `pprof::`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn sample(
        &mut self,
        path: &[Function],
        values: &[u64],
        labels: &[(&str, &str)],
    ) -> Result<(), SinkError> {
        let message = self.buf.open(2);
        let locations = self.buf.open(1);
        for function in path {
            self.buf.varint(function.0); // the number of its location too
        }
        self.buf.close(locations);
        let numbers = self.buf.open(2);
        for at in 0..self.values {
            let value = values.get(at).copied().unwrap_or(0);
            self.buf.varint(value.min(i64::MAX as u64));
        }
        self.buf.close(numbers);
        for (name, value) in labels.iter().filter(|label| !label.1.is_empty()) {
            let (name, value) = (self.string(name), self.string(value));
            let label = self.buf.open(3);
            self.buf.uint(1, name);
            self.buf.uint(2, value);
            self.buf.close(label);
        }
        self.buf.close(message);
        if self.buf.len() >= CHUNK { self.settle() } else { Ok(()) }
    }

    fn settle(&mut self) -> Result<(), SinkError> {
        let written = self.out.write_all(self.buf.as_slice());
        self.buf.clear();
        written.map_err(|error| SinkError::io(FORMAT, error))
    }

    /// Writes what is left; viewers begin with the values of the type `first`. Gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self, first: &str, about: &About<'_>) -> Result<W, SinkError> {
        let program = self.string(about.program);
        let mapping = self.buf.open(3);
        self.buf.uint(1, 1);
        self.buf.uint(5, program);
        for has in 7..=10 {
            self.buf.uint(has, 1); // functions, files, lines, inlined frames: nothing is left to look up
        }
        self.buf.close(mapping);
        for at in 0..self.defined.len() {
            let number = at as u64 + 1;
            let [name, file, line] = self.defined[at];
            let location = self.buf.open(4);
            self.buf.uint(1, number);
            self.buf.uint(2, 1);
            let place = self.buf.open(4);
            self.buf.uint(1, number);
            self.buf.uint(2, line);
            self.buf.close(place);
            self.buf.close(location);
            let function = self.buf.open(5);
            self.buf.uint(1, number);
            // No system name: where it equals the name, the tool takes `<…>` and `(…)` in it for C++ and cuts them.
            self.buf.uint(2, name);
            self.buf.uint(4, file);
            self.buf.uint(5, line);
            self.buf.close(function);
            if self.buf.len() >= CHUNK {
                self.settle()?;
            }
        }
        let first = self.string(first);
        let comments: Vec<u64> = about.comments.iter().map(|comment| self.string(comment)).collect();
        self.buf.uint(9, about.begin_unix_ns);
        self.buf.uint(10, about.duration_ns);
        if let Some((kind, period)) = about.period {
            self.value_type(11, &kind);
            self.buf.uint(12, period);
        }
        for comment in comments {
            self.buf.uint(13, comment);
        }
        self.buf.uint(14, first);
        for at in 0..self.table.len() {
            self.buf.text(6, &self.table[at]);
            if self.buf.len() >= CHUNK {
                self.settle()?;
            }
        }
        self.settle()?;
        let written = self.out.finish().and_then(|mut writer| writer.flush().map(|()| writer));
        written.map_err(|error| SinkError::io(FORMAT, error))
    }
}

/// How often the path's last function was called; 0 where only stack samples tell of it.
pub const CALLS: ValueType<'static> = ValueType { name: "calls", unit: "count" };
/// What the path's last function allocated itself.
pub const ALLOCATED: ValueType<'static> = ValueType { name: "alloc_space", unit: "bytes" };
/// Time spent in the path's last function itself: what viewers begin with.
pub const TIME: ValueType<'static> = ValueType { name: "time", unit: "nanoseconds" };

/// Writes each path of `paths`, those that end in one resource or (`None`) all, with [`CALLS`], [`ALLOCATED`] and [`TIME`].
///
/// # Errors
/// Those of `writer`.
pub fn write<W: Write>(
    paths: &Paths,
    resource: Option<&str>,
    about: &About<'_>,
    writer: W,
) -> Result<W, SinkError> {
    let mut profile = Profile::new(writer, &[CALLS, ALLOCATED, TIME]);
    let mut functions = Functions::default();
    let (own, _) = paths.times(resource);
    let allocated = paths.allocated();
    let roots = paths.roots();
    let tracks: HashMap<u32, &str> = paths.lanes().map(|(name, root)| (root, name)).collect();
    for (node, nanos) in own.iter().enumerate() {
        let Some(symbol) = paths.symbol(node as u32) else { continue };
        if resource.is_some_and(|wanted| wanted != &*symbol.resource) {
            continue;
        }
        let known = &paths.nodes()[node];
        let values = [known.calls, allocated[node], *nanos];
        if values == [0; 3] {
            continue;
        }
        let category = Categories::global().get(known.category);
        let kind = category.as_ref().map_or("", |category| &category.name);
        let resource = symbol.resource.clone();
        let path = functions.path(&mut profile, paths, node as u32);
        let track = tracks.get(&roots[node]).copied().unwrap_or_default();
        profile.sample(path, &values, &[("resource", &resource), ("track", track), ("kind", kind)])?;
    }
    profile.finish(TIME.name, about)
}

/// The functions of a profile that symbols have become, each once.
#[derive(Debug, Default)]
pub struct Functions {
    of_symbol: Vec<Option<Function>>,
    path: Vec<Function>,
}

impl Functions {
    /// The functions of a path, innermost first. Symbols of all paths must come from one recording.
    pub fn path<W: Write>(&mut self, profile: &mut Profile<W>, paths: &Paths, mut node: u32) -> &[Function] {
        self.path.clear();
        while paths.symbol(node).is_some() {
            let known = &paths.nodes()[node as usize];
            let function = self.function(profile, paths, known.symbol);
            self.path.push(function);
            node = known.parent;
        }
        &self.path
    }

    fn function<W: Write>(&mut self, profile: &mut Profile<W>, paths: &Paths, id: SymbolId) -> Function {
        let id = if id.index() < paths.symbols().len() { id } else { SymbolId::OTHER };
        if self.of_symbol.len() <= id.index() {
            self.of_symbol.resize(paths.symbols().len(), None);
        }
        if let Some(function) = self.of_symbol[id.index()] {
            return function;
        }
        let symbol = &paths.symbols()[id.index()];
        let name = if symbol.name.is_empty() { "(no name)" } else { &*symbol.name };
        let mut name = name.replace(char::is_control, " ");
        if !symbol.resource.is_empty() {
            name = format!("{name} @{}", symbol.resource);
        }
        *self.of_symbol[id.index()].insert(profile.function(&name, &file(symbol), symbol.line))
    }
}

/// The sink: adds up paths, and writes them when the recording is over.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut profile = Vec::new();
/// let mut writer = tickscope_export::pprof::Writer::new(&mut profile);
/// writer.batch(&conformance::example().as_batch())?;
/// writer.finish()?;
/// drop(writer);
/// assert_eq!(profile[..2], [0x1f, 0x8b]); // gzip
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    paths: Paths,
    resource: Option<String>,
    metadata: Metadata,
    last_ns: u64,
    writer: W,
}

impl<W: Write> Writer<W> {
    /// A writer to `writer`.
    pub fn new(writer: W) -> Self {
        let metadata = Metadata::default();
        Self { paths: Paths::default(), resource: None, metadata, last_ns: 0, writer }
    }

    /// Counts what ends in that resource only.
    pub fn resource(mut self, resource: Option<String>) -> Self {
        self.resource = resource;
        self
    }
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.metadata = metadata.clone();
        self.paths.open(metadata)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        let last_ns = batch.samples.iter().map(|sample| sample.time_ns).max();
        self.last_ns = self.last_ns.max(last_ns.unwrap_or(0));
        self.paths.batch(batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.paths.finish()?;
        let metadata = &self.metadata;
        let mut comments = vec![format!("depth: {}", metadata.depth.name())];
        if !metadata.producer.is_empty() {
            comments.push(format!("producer: {}", metadata.producer));
        }
        comments.extend(metadata.facts.iter().map(|(name, value)| format!("{name}: {value}")));
        let about = About {
            program: &metadata.subject,
            begin_unix_ns: metadata.start_unix_ns,
            duration_ns: self.last_ns.saturating_sub(metadata.start_ns),
            period: None,
            comments: &comments,
        };
        write(&self.paths, self.resource.as_deref(), &about, &mut self.writer)?;
        Ok(())
    }
}
