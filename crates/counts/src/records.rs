//! Records at the end of a file.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};

/// Bytes that are gathered before they are written.
const GATHERED: usize = 64 << 10;
/// Bytes that wait for a disk that is full.
const MAX_WAITING: usize = 1 << 20;

/// Writes records to the end of a file whose disk may be full for a while. No record is cut off in the middle by one behind it:
/// what was not written is gone on with where it stopped, and what finds no room meanwhile, 1 MiB, is left out whole and counted.
///
/// ```
/// let mut file = Vec::new();
/// let mut records = tickscope_counts::Records::new(&mut file);
/// records.push(b"a line\n");
/// records.flush()?;
/// assert_eq!((records.written(), records.lost()), (1, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Records<W> {
    out: W,
    waiting: Vec<u8>,
    /// Of the records that wait; of the first, what is left of it.
    lengths: VecDeque<usize>,
    written: u64,
    bytes: u64,
    left_out: u64,
    /// The newest write failed.
    failing: bool,
    told: bool,
}

impl<W: Write> Records<W> {
    /// Nothing written yet.
    pub fn new(out: W) -> Self {
        let (waiting, lengths) = (Vec::new(), VecDeque::new());
        Self { out, waiting, lengths, written: 0, bytes: 0, left_out: 0, failing: false, told: false }
    }

    /// One more. It is written with others, at the latest when it is flushed.
    pub fn push(&mut self, record: &[u8]) {
        if self.waiting.len().saturating_add(record.len()) > MAX_WAITING {
            self.left_out += 1;
            return;
        }
        self.waiting.extend_from_slice(record);
        self.lengths.push_back(record.len());
        if self.waiting.len() >= GATHERED && !self.failing {
            let _ = self.flush(); // told by the flush that follows
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// When not all could be written; a later flush goes on with it.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        let mut result = Ok(());
        while done < self.waiting.len() {
            match self.out.write(&self.waiting[done..]) {
                Ok(0) => {
                    result = Err(ErrorKind::WriteZero.into());
                    break;
                }
                Ok(written) => done += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.waiting.drain(..done);
        self.bytes += done as u64;
        while let Some(first) = self.lengths.front_mut() {
            if *first > done {
                *first -= done;
                break;
            }
            done -= *first;
            self.lengths.pop_front();
            self.written += 1;
        }
        let result = result.and_then(|()| self.out.flush());
        self.failing = result.is_err();
        result
    }

    /// The same; what a user is to be told of it, once: why `place` is not written, or that it is again.
    pub fn flush_and_tell(&mut self, place: &str) -> Option<Result<String, String>> {
        let flushed = self.flush();
        let told = std::mem::replace(&mut self.told, flushed.is_err());
        match flushed {
            Err(error) if !told => Some(Err(format!(
                "cannot write {place}: {error}; what finds no room until it can is left out"
            ))),
            Ok(()) if told => {
                Some(Ok(format!("{place} is written again; {} records are not there", self.left_out)))
            }
            _ => None,
        }
    }

    /// Records that are in the file whole.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that are not there: those that were left out, and those that wait because the newest write failed.
    pub fn lost(&self) -> u64 {
        self.left_out + if self.failing { self.lengths.len() as u64 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    #[derive(Default)]
    struct Disk {
        room: usize,
        file: Vec<u8>,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.file.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_is_full_for_a_while_costs_whole_records_and_no_others() {
        let mut disk = Disk { room: 10, ..Disk::default() };
        let mut records = Records::new(&mut disk);
        for line in [&b"one\n"[..], b"two\n", b"three\n"] {
            records.push(line);
        }
        assert!(matches!(records.flush_and_tell("x"), Some(Err(why)) if why.starts_with("cannot write x: ")));
        assert_eq!((records.written(), records.lost(), records.flush_and_tell("x")), (2, 1, None));
        let long = vec![b'-'; MAX_WAITING - 10];
        records.push(&long);
        records.push(b"too many\n");
        assert_eq!((records.written(), records.lost()), (2, 3));
        records.out.room = usize::MAX;
        let told = records.flush_and_tell("x");
        assert_eq!(told, Some(Ok("x is written again; 1 records are not there".into())));
        records.push(b"\nfour\n");
        records.flush().expect("there is room");
        assert_eq!((records.written(), records.lost()), (5, 1));
        let expected = [&b"one\ntwo\nthree\n"[..], &long, b"\nfour\n"].concat();
        assert_eq!((records.bytes(), disk.file == expected), (expected.len() as u64, true));
    }

    #[test]
    fn what_is_gathered_is_written_before_it_is_much() {
        let mut disk = Disk { room: usize::MAX, ..Disk::default() };
        let mut records = Records::new(&mut disk);
        for _ in 0..GATHERED {
            records.push(b"abc");
        }
        assert!(records.waiting.len() < GATHERED && records.bytes() >= 2 * GATHERED as u64);
        assert_eq!((records.written() + records.lengths.len() as u64, records.lost()), (GATHERED as u64, 0));
    }
}
