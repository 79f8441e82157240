//! Whether a file can be handed to the system's loader, which dies of a file that is shorter than it says.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::error::Why;

const HEADER: usize = 64;
const SEGMENT: usize = 56;
/// A library has about ten.
const MAX_SEGMENTS: usize = 4096;

/// Number and name of the machines that are likely.
const MACHINES: &[(u16, &str)] =
    &[(3, "x86"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64"), (22, "s390x")];

/// Looks at the head of `file`, a 64-bit little-endian ELF library for this machine, and whether the segments it speaks of are in it.
pub(crate) fn check(file: &mut File) -> Result<(), Why> {
    let size = file.metadata().map_err(Why::Unreadable)?.len();
    let mut head = Vec::new();
    file.by_ref().take(HEADER as u64).read_to_end(&mut head).map_err(Why::Unreadable)?;
    if !head.starts_with(b"\x7fELF") {
        let found = String::from_utf8_lossy(&head[..head.len().min(8)]).into_owned();
        return Err(Why::NoLibrary { found });
    }
    if head.len() < HEADER {
        return Err(Why::Truncated { size, expected: HEADER as u64 });
    }
    let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let (class, order, kind, machine) = (head[4], head[5], half(16), half(18));
    let found = MACHINES.iter().find(|(number, _)| *number == machine);
    let found = found.map_or_else(|| format!("machine {machine}"), |(_, name)| (*name).to_owned());
    if class != 2 || order != 1 || found != std::env::consts::ARCH {
        let bits = if class == 1 { " (32 bits)" } else { "" };
        let expected = std::env::consts::ARCH;
        return Err(Why::OtherMachine { found: format!("{found}{bits}"), expected });
    }
    if kind != 3 {
        return Err(Why::OtherElf { found: "an ELF file that is no shared object" });
    }
    let (at, each, count) = (word(&head, 32), usize::from(half(54)), usize::from(half(56)));
    if each != SEGMENT || count == 0 || count > MAX_SEGMENTS {
        return Err(Why::OtherElf { found: "an ELF file without segments" });
    }
    let mut segments = Vec::new();
    file.seek(SeekFrom::Start(at)).map_err(Why::Unreadable)?;
    file.take((each * count) as u64).read_to_end(&mut segments).map_err(Why::Unreadable)?;
    let mut expected = at.saturating_add((each * count) as u64);
    for segment in segments.chunks_exact(SEGMENT) {
        expected = expected.max(word(segment, 8).saturating_add(word(segment, 32)));
    }
    if size < expected {
        return Err(Why::Truncated { size, expected });
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
