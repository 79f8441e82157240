//! Events in a file, as TensorFlow's records: a length, its checksum, the event, its checksum. Numbers are little-endian.

use std::io::{self, Read, Write};

use prost::Message;

use crate::event::Event;

/// Longer records are not read: events here are a few kilobytes.
const MAX_RECORD: u64 = 16 << 20;

/// CRC-32C, turned and shifted as TensorFlow does, so that a checksum of data with checksums in it stays one.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Writes `event`: how many bytes that are.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, event: &Event) -> io::Result<u64> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(&length).to_le_bytes())?;
    out.write_all(&data)?;
    out.write_all(&masked(&data).to_le_bytes())?;
    Ok(16 + data.len() as u64)
}

/// Reads the next event; `None` at the end, and where the last record is cut off.
///
/// # Errors
/// Those of `from`; a checksum that is wrong, or what is no event.
pub fn read(from: &mut impl Read) -> io::Result<Option<Event>> {
    let mut head = [0; 12];
    if !fill(from, &mut head)? {
        return Ok(None);
    }
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (length, sum) = head.split_at(8);
    if masked(length).to_le_bytes() != sum {
        return Err(wrong("the checksum of a record's length is wrong"));
    }
    let length = length.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    if length > MAX_RECORD {
        return Err(wrong("a record is longer than 16 MiB"));
    }
    let mut record = vec![0; length as usize + 4];
    if !fill(from, &mut record)? {
        return Ok(None);
    }
    let (data, sum) = record.split_at(length as usize);
    if masked(data).to_le_bytes() != sum {
        return Err(wrong("the checksum of a record is wrong"));
    }
    Event::decode(data).map(Some).map_err(|error| wrong(&format!("a record is no event: {error}")))
}

/// Whether there was enough.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
