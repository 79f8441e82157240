//! Requests to handlers: any bytes are a request or none, however they are cut into pieces.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use tickscope_citizen::read_http_request;

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

fuzz_target!(|bytes: &[u8]| {
    let Some((size, mut bytes)) = bytes.split_first() else { return };
    let pieces = read_http_request(&mut Pieces { bytes, size: usize::from(*size).max(1) });
    let whole = read_http_request(&mut bytes);
    assert_eq!(pieces, whole);
});
