//! Another process's memory and what is mapped there.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A mapping of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    pub(super) range: Range<u64>,
    pub(super) executable: bool,
    pub(super) writable: bool,
    /// Nobody may do anything there.
    pub(super) guard: bool,
    pub(super) offset: u64,
    /// Its file, as the process names it; empty for none, in brackets for the kernel's.
    pub(super) path: PathBuf,
}

/// What `/proc/PID/maps` says.
pub(super) fn mapped(pid: u32) -> io::Result<Vec<Mapped>> {
    let text = std::fs::read(format!("/proc/{pid}/maps"))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// A line: `55d0-55d8 r-xp 00002000 fd:00 1234    /usr/bin/lua5.4`.
fn parse(line: &[u8]) -> Option<Mapped> {
    let mut at = 0;
    let mut word = || {
        at += line[at..].iter().take_while(|byte| **byte == b' ').count();
        let start = at;
        at += line[at..].iter().take_while(|byte| **byte != b' ').count();
        (at > start).then(|| std::str::from_utf8(&line[start..at]).ok()).flatten()
    };
    let (start, end) = word()?.split_once('-')?;
    let flags = word()?;
    let offset = word()?;
    let (_device, _inode) = (word()?, word()?);
    let path = line[at..].trim_ascii_start();
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    Some(Mapped {
        range: number(start)?..number(end)?,
        executable: flags.as_bytes().get(2) == Some(&b'x'),
        writable: flags.as_bytes().get(1) == Some(&b'w'),
        guard: flags.starts_with("---"),
        offset: number(offset)?,
        path: std::ffi::OsString::from_vec(path.to_vec()).into(),
    })
}

/// How many bytes below `address` belong to the same stack; 0 when it is not plainly one: the process's first, or one with
/// a guard before it.
pub(super) fn room_on_stack(mapped: &[Mapped], address: u64) -> u64 {
    let Some(at) = mapped.iter().position(|one| one.writable && one.range.contains(&address)) else {
        return 0;
    };
    let guarded = at
        .checked_sub(1)
        .is_some_and(|before| mapped[before].guard && mapped[before].range.end == mapped[at].range.start);
    let is_stack = guarded || mapped[at].path.as_os_str() == "[stack]";
    if is_stack { address - mapped[at].range.start } else { 0 }
}

/// `/proc/PID/mem`: reads and writes also what the process itself may only execute.
#[derive(Debug)]
pub(super) struct Memory(File);

impl Memory {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?))
    }

    pub(super) fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, address)
    }

    /// As many bytes as are there, from `address`.
    pub(super) fn read_some(&self, address: u64, into: &mut [u8]) -> usize {
        self.0.read_at(into, address).unwrap_or(0)
    }

    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, address)
    }

    pub(super) fn word(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn half(&self, address: u64) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_understood() {
        let mapping = parse(b"7f00-7f10 r-xp 00002000 fd:00 1234       /opt/my lib.so (deleted)").unwrap();
        assert_eq!((mapping.range, mapping.executable, mapping.offset), (0x7f00..0x7f10, true, 0x2000));
        assert_eq!(mapping.path, PathBuf::from("/opt/my lib.so (deleted)"));
        assert_eq!(parse(b"7f00-7f10 rw-p 00000000 00:00 0").unwrap().path, PathBuf::new());
        for wrong in [&b""[..], b"7f00", b"7f00-7f10", b"x-y r-xp 0 0 0", b"7f00-7f10 r-xp"] {
            assert_eq!(parse(wrong), None);
        }
    }

    #[test]
    fn a_stack_is_told_from_other_memory() {
        let lines = [
            &b"1000-2000 ---p 0 0:0 0"[..],
            b"2000-9000 rw-p 0 0:0 0",
            b"a000-c000 rw-p 0 0:0 0",
            b"d000-f000 rw-p 0 0:0 0    [stack]",
        ];
        let mapped: Vec<Mapped> = lines.into_iter().filter_map(parse).collect();
        let room = |address| room_on_stack(&mapped, address);
        assert_eq!((room(0x8000), room(0xb000), room(0xd800), room(0xc800)), (0x6000, 0, 0x800, 0));
    }

    #[test]
    fn our_own_mappings_are_there() {
        let here = our_own_mappings_are_there as *const () as u64;
        let mapped = mapped(std::process::id()).unwrap();
        assert!(mapped.iter().any(|mapping| mapping.executable && mapping.range.contains(&here)));
    }
}
