//! A resource's manifest: any bytes are a manifest or an error in one line of words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_citizen::Manifest;

fuzz_target!(|source: &[u8]| {
    match Manifest::parse("fxmanifest.lua", source) {
        Ok(manifest) => {
            let _ = (manifest.dependencies().count(), manifest.exports().count(), manifest.entries().len());
        }
        Err(error) => assert!(!error.is_empty() && !error.contains('\n'), "{error}"),
    }
});
