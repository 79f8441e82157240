//! Folded stacks: one line per call path, `a;b;c 1234`, the input of flame graph tools.
//!
//! The number is the path's self time in nanoseconds; the sum of all lines is the sum of all self times. A frame is
//! a function's name and place; `;` and line ends in it become `:` and spaces, which the format cannot hold.
//! What counts as time is told in [`paths`](crate::paths).

use std::io::Write;

use tickscope_core::{Batch, Flow, Metadata, Sink, SinkError};

use crate::output::Output;
use crate::paths::{Paths, label};

/// Writes the self time of each path of `paths`, of one resource or (`None`) of all.
///
/// # Errors
/// Those of `writer`.
pub fn write(paths: &Paths, resource: Option<&str>, writer: impl Write) -> Result<(), SinkError> {
    let mut out = Output::new("folded stacks", writer);
    let (own, _) = paths.times(resource);
    let lanes = paths.lanes().count();
    let mut frames = Vec::new();
    for (node, nanos) in own.iter().enumerate().filter(|(_, nanos)| **nanos > 0) {
        frames.clear();
        let mut at = node as u32;
        while let Some(symbol) = paths.symbol(at) {
            frames.push(clean(&label(symbol)));
            at = paths.nodes()[at as usize].parent;
        }
        if lanes > 1
            && let Some((name, _)) = paths.lanes().find(|(_, root)| *root == at)
        {
            frames.push(clean(name));
        }
        for (at, frame) in frames.iter().rev().enumerate() {
            if at > 0 {
                out.bytes.push(b';');
            }
            out.bytes.extend_from_slice(frame.as_bytes());
        }
        out.bytes.extend_from_slice(format!(" {nanos}\n").as_bytes());
        out.settle()?;
    }
    out.flush()
}

fn clean(frame: &str) -> String {
    frame
        .chars()
        .map(|character| match character {
            ';' => ':',
            character if character.is_control() => ' ',
            character => character,
        })
        .collect()
}

/// The sink: adds up paths, and writes them when the recording is over.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut folded = Vec::new();
/// let mut writer = tickscope_export::folded::Writer::new(&mut folded);
/// writer.batch(&conformance::example().as_batch())?;
/// writer.finish()?;
/// drop(writer);
/// let line = String::from_utf8(folded).unwrap().lines().next().map(str::to_owned);
/// assert_eq!(line.as_deref(), Some("main;tick 3920"));
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    paths: Paths,
    resource: Option<String>,
    writer: W,
}

impl<W: Write> Writer<W> {
    /// A writer to `writer`.
    pub fn new(writer: W) -> Self {
        Self { paths: Paths::default(), resource: None, writer }
    }

    /// Counts time of that resource only.
    pub fn resource(mut self, resource: Option<String>) -> Self {
        self.resource = resource;
        self
    }
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.paths.open(metadata)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.paths.batch(batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.paths.finish()?;
        write(&self.paths, self.resource.as_deref(), &mut self.writer)
    }
}
