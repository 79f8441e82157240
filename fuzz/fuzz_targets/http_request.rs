//! HTTP requests: any bytes are a request or none, however they are cut into pieces.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use tickscope_http::{Asked, wire};

/// Gives its bytes a few at a time.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.size.min(into.len());
        self.bytes.read(&mut into[..count])
    }
}

fn read(from: &mut impl Read) -> Option<Asked> {
    wire::read(from, 16 << 20, |_| Ok(()), || Ok(())).ok()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, mut bytes)) = bytes.split_first() else { return };
    let pieces = read(&mut Pieces { bytes, size: usize::from(*size).max(1) });
    let whole = read(&mut bytes);
    assert_eq!(pieces, whole);
});
