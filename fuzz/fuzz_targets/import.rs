//! Any file is imported or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_core::{RecordingSink, drain};
use tickscope_import::{Import, Options};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut import) = Import::new("fuzz", bytes.to_vec(), &Options::default()) {
        let _ = drain(&mut import, &mut RecordingSink::default());
    }
});
