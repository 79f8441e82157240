//! Frames of isolated plugins: a host believes nothing that comes back, and a plugin's process reads whole calls or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_plugin::fuzzing::{host_reads, process_reads};

fuzz_target!(|bytes: &[u8]| {
    host_reads(bytes);
    process_reads(bytes);
});
