//! The source that reads captures: framing, cut tails, and errors that say where.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tickscope_core::{Flow, Metadata, Progress, Sink, Source, SourceError};

use super::replay::{Problem, Replay, Step};
use crate::wire::get_varint;

/// The longest packet believed. The writer's are a few kilobytes; the head grows with its facts.
const MAX_PACKET: usize = 64 << 20;
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// Samples pushed at a time.
const BATCH: usize = 1 << 10;

/// Reads a capture written by [`Writer`](super::Writer), from its first packet to its last whole one.
///
/// Memory: a read buffer, a batch, the names, and the open spans.
pub struct Reader<R> {
    input: R,
    from: String,
    /// Bytes read and not yet understood: `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the file of `buffer[start]`.
    offset: u64,
    replay: Replay,
    metadata: Metadata,
    state: State,
    /// Found after samples that have to be pushed first.
    error: Option<SourceError>,
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, offset, metadata, state, .. } = self;
        let mut out = f.debug_struct("Reader");
        out.field("from", from).field("offset", offset).field("metadata", metadata).field("state", state);
        out.finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// All packets were read, the spans left open are still to be ended.
    Closing,
    Ended,
}

impl Reader<File> {
    /// Opens the capture at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or does not begin as a capture does.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let from = path.display().to_string();
        let file = File::open(path).map_err(|source| SourceError::Io { from: from.clone(), source })?;
        Self::new(from, file)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the head of a capture. `from` names it in errors.
    ///
    /// # Errors
    /// When `input` fails, does not begin as a capture does, or is of a newer schema.
    pub fn new(from: impl Into<String>, input: R) -> Result<Self, SourceError> {
        let mut reader = Self {
            input,
            from: from.into(),
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            replay: Replay::default(),
            metadata: Metadata::default(),
            state: State::Reading,
            error: None,
        };
        reader.read_head()?;
        Ok(reader)
    }

    /// Whether the capture ended before its recording did: it was cut, or the recorder killed. Known at the end.
    pub fn truncated(&self) -> bool {
        self.state == State::Ended && !self.replay.finished
    }

    /// Whether the recording goes on in another file. Known at the end.
    pub fn continues(&self) -> bool {
        self.replay.continues
    }

    /// Number of this file in a rotation, from 0.
    pub fn part(&self) -> u32 {
        self.replay.part
    }

    fn read_head(&mut self) -> Result<(), SourceError> {
        let expected = "a capture written by Tickscope";
        let packet = match self.packet() {
            Ok(Some(packet)) => packet,
            Ok(None) if self.end == 0 => return Err(self.malformed(0, "the file is empty", expected)),
            Ok(None) => return Err(self.malformed(0, "the file ends inside its head", expected)),
            Err(error) => {
                let start = &self.buffer[self.start..self.end];
                let problem = match start {
                    [0x1f, 0x8b, ..] => "a gzip file",
                    [b'{' | b'[', ..] => "a JSON file",
                    [b'P', b'K', ..] => "a zip archive",
                    _ => return Err(error),
                };
                return Err(self.malformed(0, problem, expected));
            }
        };
        self.replay.packet(&self.buffer[packet.0..packet.1]).map_err(|problem| self.explain(0, problem))?;
        match self.replay.metadata.take() {
            Some(metadata) => {
                self.metadata = metadata;
                Ok(())
            }
            None => Err(self.malformed(
                0,
                "a Perfetto trace of another tool",
                "a capture written by Tickscope; open this one at ui.perfetto.dev",
            )),
        }
    }

    /// The next whole packet as a range of the buffer; `None` at the end or before a cut.
    fn packet(&mut self) -> Result<Option<(usize, usize)>, SourceError> {
        loop {
            let rest = &self.buffer[self.start..self.end];
            if let Some(tag) = rest.first() {
                if *tag != 0x0a {
                    let problem = format!("byte {tag:#04x} where a packet begins");
                    return Err(self.malformed(
                        self.offset,
                        &problem,
                        "a packet (0x0a); the file was damaged or something else was written into it",
                    ));
                }
                if let Some((length, used)) = get_varint(&rest[1..]) {
                    if length > MAX_PACKET as u64 {
                        let problem = format!("a packet of {length} bytes");
                        let expected = format!("at most {MAX_PACKET} bytes; the file was damaged");
                        return Err(self.malformed(self.offset, &problem, &expected));
                    }
                    let begin = self.start + 1 + used;
                    let end = begin + length as usize;
                    if end <= self.end {
                        self.offset += (end - self.start) as u64;
                        self.start = end;
                        return Ok(Some((begin, end)));
                    }
                } else if rest.len() > 10 {
                    return Err(self.malformed(
                        self.offset,
                        "a packet's length longer than ten bytes",
                        "a varint; the file was damaged",
                    ));
                }
            }
            if self.refill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads more behind what is there. The buffer doubles at most: a length alone never makes it grow.
    fn refill(&mut self) -> Result<usize, SourceError> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < self.end + CHUNK {
            self.buffer.resize(self.end + CHUNK, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(SourceError::Io { from: self.from.clone(), source }),
            }
        }
    }

    fn malformed(&self, offset: u64, problem: &str, expected: &str) -> SourceError {
        SourceError::Malformed {
            from: self.from.clone(),
            offset,
            problem: problem.into(),
            expected: expected.into(),
        }
    }

    fn explain(&self, offset: u64, problem: Problem) -> SourceError {
        self.malformed(offset, &problem.what, &problem.expected)
    }

    fn push(&mut self, sink: &mut dyn Sink) -> Result<Progress, SourceError> {
        let pushed = self.replay.samples.len();
        let flow = sink.batch(&self.replay.as_batch())?;
        self.replay.clear();
        if flow == Flow::Stop {
            self.state = State::Ended;
            self.error = None;
            return Ok(Progress::End);
        }
        Ok(Progress::Pushed(pushed))
    }
}

impl<R: Read> Source for Reader<R> {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn poll(&mut self, sink: &mut dyn Sink) -> Result<Progress, SourceError> {
        if let Some(error) = self.error.take() {
            self.state = State::Ended;
            return Err(error);
        }
        while self.state == State::Reading && self.replay.samples.len() < BATCH {
            let offset = self.offset;
            let packet = match self.packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => {
                    self.state = State::Closing;
                    break;
                }
                Err(error) => {
                    self.error = Some(error);
                    return self.push(sink);
                }
            };
            match self.replay.packet(&self.buffer[packet.0..packet.1]) {
                Ok(Step::On) => {}
                Ok(Step::Tick(end_ns)) => {
                    let progress = self.push(sink)?;
                    if progress != Progress::End && sink.tick(end_ns)? == Flow::Stop {
                        self.state = State::Ended;
                        return Ok(Progress::End);
                    }
                    return Ok(progress);
                }
                Err(problem) => {
                    self.error = Some(self.explain(offset, problem));
                    return self.push(sink);
                }
            }
        }
        match self.state {
            State::Reading => self.push(sink),
            State::Closing => {
                self.replay.close();
                let progress = self.push(sink)?;
                self.state = State::Ended;
                Ok(progress)
            }
            State::Ended => Ok(Progress::End),
        }
    }
}
