//! CfxLua's rewriter: any bytes are a program on the same lines, or an error on one of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_citizen::cfxlua::rewrite;

fn lines(source: &[u8]) -> usize {
    source.iter().filter(|byte| **byte == b'\n').count() + 1
}

fuzz_target!(|source: &[u8]| {
    match rewrite(source) {
        Ok(plain) => assert!(lines(&plain) >= lines(source), "lines went missing"),
        Err(error) => assert!(error.line >= 1 && !error.message.contains('\n'), "{error}"),
    }
});
