//! Following a log: from standard input, or a file that grows, is cut, or makes place for another of its name.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Seen;

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The longest line that is kept; what stands behind is left out.
const LINE: usize = 64 << 10;

/// Sends each line of `path` (`-`: of standard input) that comes from now on, or all.
pub(super) fn follow(path: &Path, from_start: bool, lines: Sender<Seen>) -> Result<()> {
    let reads: Box<dyn FnOnce() + Send> = if path == Path::new("-") {
        Box::new(move || stdin(&lines))
    } else {
        let mut log = Log::open(path).with_context(|| format!("cannot read the log {}", path.display()))?;
        if !from_start {
            log.file.seek(SeekFrom::End(0)).with_context(|| format!("cannot read {}", path.display()))?;
        }
        Box::new(move || {
            while log.look(&lines) {
                thread::sleep(LOOK_EVERY)
            }
        })
    };
    thread::Builder::new().name("log".into()).spawn(reads).context("cannot start a thread")?;
    Ok(())
}

fn stdin(lines: &Sender<Seen>) {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LINE as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                if lines.send(Seen::Line(String::from_utf8_lossy(&line).into_owned())).is_err() {
                    return;
                }
            }
        }
    }
    // Nobody listens any more, or does.
    let _ = lines.send(Seen::LogEnded);
}

struct Log {
    path: PathBuf,
    file: File,
    /// A line without its end yet.
    rest: Vec<u8>,
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::open(path)?, rest: Vec::new() })
    }

    /// Sends what is new. False when nobody listens any more.
    fn look(&mut self, lines: &Sender<Seen>) -> bool {
        let place = self.file.stream_position().unwrap_or(0);
        let note = |text: String| lines.send(Seen::Note(text)).is_ok();
        match self.file.metadata() {
            Ok(file) if file.len() < place => {
                self.rest.clear();
                if self.file.rewind().is_err()
                    || !note(format!("{} was cut: read from its start", self.path.display()))
                {
                    return false;
                }
            }
            _ => {}
        }
        if !self.read(lines) {
            return false;
        }
        // Another file of that name: what this one had was read.
        let own = self.file.metadata().map(|file| (file.dev(), file.ino())).ok();
        let named = std::fs::metadata(&self.path).map(|file| (file.dev(), file.ino())).ok();
        if named.is_some()
            && named != own
            && let Ok(file) = File::open(&self.path)
        {
            (self.file, self.rest) = (file, Vec::new());
            return note(format!("{} is another file now: read from its start", self.path.display()))
                && self.read(lines);
        }
        true
    }

    fn read(&mut self, lines: &Sender<Seen>) -> bool {
        let mut piece = [0; 8 << 10];
        loop {
            let read = match self.file.read(&mut piece) {
                Ok(0) | Err(_) => return true,
                Ok(read) => read,
            };
            for part in piece[..read].split_inclusive(|byte| *byte == b'\n') {
                let room = LINE.saturating_sub(self.rest.len()).min(part.len());
                self.rest.extend_from_slice(&part[..room]);
                if part.ends_with(b"\n") {
                    let line = String::from_utf8_lossy(&self.rest).trim_end().to_owned();
                    self.rest.clear();
                    if lines.send(Seen::Line(line)).is_err() {
                        return false;
                    }
                }
            }
        }
    }
}
