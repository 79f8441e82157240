//! A recording becomes a capture, the capture is read back, and becomes the stacks that flame graph tools take.

use std::error::Error;
use std::fs::{self, File};

use tickscope_export::perfetto::Reader;
use tickscope_export::tickscope_core::{Sink, Source, conformance, drain};
use tickscope_export::{Format, Options, open};

fn main() -> Result<(), Box<dyn Error>> {
    // A program has a session's collector, which `drain` and `Pump` feed to sinks.
    let recording = conformance::example();
    let mut capture = open(Format::Perfetto, File::create("example.perfetto-trace")?, &Options::default());
    capture.open(&recording.metadata)?;
    capture.batch(&recording.as_batch())?;
    capture.finish()?;

    // Opens at ui.perfetto.dev, and here.
    for format in [Format::Folded, Format::Svg, Format::Chrome] {
        let file = format!("example.{}", format.extension());
        let mut reader = Reader::open("example.perfetto-trace")?;
        drain(&mut reader, &mut *open(format, File::create(&file)?, &Options::default()))?;
        println!("{file}, of {}", reader.metadata().subject);
    }
    print!("{}", fs::read_to_string("example.folded")?);
    Ok(())
}
