//! The formats by name, and one function that opens any of them.

use std::io::Write;
use std::str::FromStr;

use tickscope_core::Sink;

use crate::perfetto::StackFormat;
use crate::{chrome, csv, folded, jsonl, perfetto, pprof, speedscope, svg};

/// A format that a recording can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The capture: a Perfetto trace, read back without loss.
    Perfetto,
    /// Chrome's trace event JSON.
    Chrome,
    /// Speedscope's JSON.
    Speedscope,
    /// Folded stacks.
    Folded,
    /// A flame graph.
    Svg,
    /// Comma-separated values.
    Csv,
    /// JSON lines.
    Jsonl,
    /// A profile of `pprof`.
    Pprof,
}

/// A name that no format has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no format is called {name:?}; expected one of {}", Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat {
    /// The name.
    pub name: String,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 8] = [
        Self::Perfetto,
        Self::Chrome,
        Self::Speedscope,
        Self::Folded,
        Self::Svg,
        Self::Csv,
        Self::Jsonl,
        Self::Pprof,
    ];

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Perfetto => "perfetto",
            Self::Chrome => "chrome",
            Self::Speedscope => "speedscope",
            Self::Folded => "folded",
            Self::Svg => "svg",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Pprof => "pprof",
        }
    }

    /// How its files end, without the dot before.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Perfetto => "perfetto-trace",
            Self::Chrome => "trace.json",
            Self::Speedscope => "speedscope.json",
            Self::Folded => "folded",
            Self::Svg => "svg",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Pprof => "pb.gz",
        }
    }

    /// The format of a file with that name, told by its end.
    ///
    /// ```
    /// use tickscope_export::Format;
    /// assert_eq!(Format::of_file("out/city.speedscope.json"), Some(Format::Speedscope));
    /// assert_eq!(Format::of_file("city.pprof"), Some(Format::Pprof)); // or city.pb.gz
    /// assert_eq!(Format::of_file("city.txt"), None);
    /// ```
    pub fn of_file(name: &str) -> Option<Self> {
        let ends = |end| name.strip_suffix(end).is_some_and(|stem| stem.ends_with('.'));
        let found = Self::ALL.into_iter().find(|format| ends(format.extension()));
        found.or_else(|| ends("pprof").then_some(Self::Pprof))
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat { name: name.to_owned() })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a format may be told; each takes what concerns it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Folded, Speedscope, flame graph, pprof: count time of that resource only.
    pub resource: Option<String>,
    /// Flame graph: its title; else the recording's subject.
    pub title: Option<String>,
    /// Chrome: leave arguments out.
    pub without_args: bool,
    /// Capture: how stack samples are shown in Perfetto.
    pub stacks: StackFormat,
}

/// A sink that writes `format` to `writer`.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// use tickscope_export::{Format, Options};
///
/// let mut out = Vec::new();
/// let example = conformance::example();
/// let mut sink = tickscope_export::open("folded".parse()?, &mut out, &Options::default());
/// sink.open(&example.metadata)?;
/// sink.batch(&example.as_batch())?;
/// sink.finish()?;
/// drop(sink);
/// assert!(String::from_utf8(out)?.contains("tick;bank:pay"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open<'w>(
    format: Format,
    writer: impl Write + Send + 'w,
    options: &Options,
) -> Box<dyn Sink + Send + 'w> {
    let resource = options.resource.clone();
    match format {
        Format::Perfetto => {
            Box::new(perfetto::Writer::new(writer, perfetto::Options { stacks: options.stacks }))
        }
        Format::Chrome if options.without_args => Box::new(chrome::Writer::new(writer).without_args()),
        Format::Chrome => Box::new(chrome::Writer::new(writer)),
        Format::Speedscope => Box::new(speedscope::Writer::new(writer).resource(resource)),
        Format::Folded => Box::new(folded::Writer::new(writer).resource(resource)),
        Format::Svg => Box::new(svg::Writer::new(writer).resource(resource).title(options.title.clone())),
        Format::Csv => Box::new(csv::Writer::new(writer)),
        Format::Jsonl => Box::new(jsonl::Writer::new(writer)),
        Format::Pprof => Box::new(pprof::Writer::new(writer).resource(resource)),
    }
}
