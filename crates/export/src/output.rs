//! Buffered bytes on their way to a writer, with errors that name the format.

use std::io::Write;

use tickscope_core::SinkError;

/// Bytes after which a buffer is written out.
const CHUNK: usize = 64 << 10;

/// A writer behind a buffer that is reused: no allocation per sample.
#[derive(Debug)]
pub(crate) struct Output<W> {
    writer: W,
    pub(crate) bytes: Vec<u8>,
    format: &'static str,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(format: &'static str, writer: W) -> Self {
        Self { writer, bytes: Vec::with_capacity(CHUNK + (CHUNK >> 1)), format }
    }

    /// Writes the buffer out when it is long enough: call it between samples.
    #[inline]
    pub(crate) fn settle(&mut self) -> Result<(), SinkError> {
        if self.bytes.len() >= CHUNK { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), SinkError> {
        let written = self.writer.write_all(&self.bytes);
        self.bytes.clear();
        written.map_err(|error| SinkError::io(self.format, error))
    }

    pub(crate) fn flush(&mut self) -> Result<(), SinkError> {
        self.write()?;
        self.writer.flush().map_err(|error| SinkError::io(self.format, error))
    }
}
