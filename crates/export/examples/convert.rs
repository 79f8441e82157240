//! Converts a capture: `cargo run -p tickscope-export --example convert -- city.perfetto-trace city.svg`.
//!
//! The format follows from the name of the output. A third argument counts the time of one resource only.

use std::fs::File;

use tickscope_core::{Source, drain};
use tickscope_export::{Format, Options, open, perfetto::Reader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(input), Some(output)) = (args.next(), args.next()) else {
        return Err("usage: convert CAPTURE OUTPUT [RESOURCE]".into());
    };
    let Some(format) = Format::of_file(&output) else {
        let known = Format::ALL.map(Format::extension).join(", ");
        return Err(format!("{output}: no format ends like this; expected one of {known}").into());
    };
    let mut reader = Reader::open(&input)?;
    let options = Options { resource: args.next(), ..Options::default() };
    let mut sink = open(format, File::create(&output)?, &options);
    drain(&mut reader, &mut *sink)?;
    if reader.truncated() {
        eprintln!("{input} was cut: spans that were open end at its last moment");
    }
    eprintln!("{output}: {}", reader.metadata().subject);
    Ok(())
}
