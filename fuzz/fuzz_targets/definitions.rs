//! The scanner that finds where a Lua source defines its functions.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &[u8]| {
    let lines = source.iter().filter(|byte| **byte == b'\n' || **byte == b'\r').count() as u32 + 1;
    for (line, name) in tickscope_hooks::lua::definitions(source) {
        assert!((1..=lines).contains(&line), "line {line} of {lines}");
        assert!(!name.is_empty());
    }
});
