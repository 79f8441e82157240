//! The capture reader on any bytes, and every writer on what it makes of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope_core::{RecordingSink, drain};
use tickscope_export::{Format, Options, open, perfetto};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = perfetto::Reader::new("fuzz", bytes) else { return };
    let _ = drain(&mut reader, &mut RecordingSink::default());
    for format in Format::ALL {
        let mut out = Vec::new();
        let Ok(mut reader) = perfetto::Reader::new("fuzz", bytes) else { return };
        let written = drain(&mut reader, &mut *open(format, &mut out, &Options::default()));
        if format == Format::Perfetto && written.is_ok() {
            let mut again = perfetto::Reader::new("again", &out[..]).expect("what we wrote is a capture");
            drain(&mut again, &mut RecordingSink::default()).expect("what we wrote can be read");
        }
    }
});
