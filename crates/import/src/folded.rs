//! Folded stacks: one line per call path, outermost first, and how often it was seen, or for how long: `a;b;c 1234`.

use std::ops::Range;

use tickscope_core::{Runtime, SymbolRef, TrackKind, escape};

use crate::build::{Build, Lane};
use crate::import::{Broken, Format, Pieces};

const EXPECTED: &str = "a line like `main;tick;pay 30`: a call path, a space and a number";
/// Frames of a path that are kept, the outermost: nobody reads what lies further in.
const FRAMES: usize = 1_024;

struct Lines {
    bytes: Vec<u8>,
    at: usize,
    lane: Lane,
    /// What one of what is counted stands for.
    each_ns: u64,
}

/// Whether the first line that says something is one.
pub(crate) fn fits(bytes: &[u8]) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        let line = line(bytes, at);
        at = line.end + 1;
        match parse(bytes, line) {
            Ok(None) => {}
            found => return found.is_ok(),
        }
    }
    false
}

pub(crate) fn open(
    bytes: Vec<u8>,
    samples_hz: Option<u32>,
    build: &mut Build,
) -> Result<(Box<dyn Pieces>, Format), Broken> {
    let lane = build.lane(TrackKind::Thread, "main", "", 1);
    let each_ns = samples_hz.map_or(1, |hz| 1_000_000_000 / u64::from(hz.max(1)));
    Ok((Box::new(Lines { bytes, at: 0, lane, each_ns }), Format::Folded))
}

/// The line that begins at `at`, without its end.
fn line(bytes: &[u8], at: usize) -> Range<usize> {
    let length = bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
    at..at + length
}

/// The path of a line and its number; `None` for an empty line or a comment.
fn parse(bytes: &[u8], line: Range<usize>) -> Result<Option<(&[u8], u64)>, Broken> {
    let text = bytes[line.clone()].trim_ascii();
    if text.is_empty() || text.starts_with(b"#") {
        return Ok(None);
    }
    let broken = |problem: &str| Broken::new(line.start, problem, EXPECTED);
    let space = text.iter().rposition(|byte| byte.is_ascii_whitespace());
    let space = space.ok_or_else(|| broken("a line without a number"))?;
    let number = std::str::from_utf8(&text[space + 1..]).ok().and_then(|number| number.parse::<f64>().ok());
    match number {
        Some(number) if number >= 0.0 => Ok(Some((text[..space].trim_ascii(), number as u64))),
        _ => Err(broken("a line that ends in no number")),
    }
}

impl Pieces for Lines {
    fn next(&mut self, build: &mut Build) -> Result<bool, Broken> {
        while self.at < self.bytes.len() {
            let line = line(&self.bytes, self.at);
            let end = line.end + 1;
            let found = parse(&self.bytes, line)?;
            self.at = end.min(self.bytes.len());
            let Some((path, number)) = found else { continue };
            let frames: Vec<_> = path
                .split(|byte| *byte == b';')
                .filter(|frame| !frame.is_empty())
                .take(FRAMES)
                .map(|frame| {
                    build.symbol(SymbolRef {
                        runtime: Runtime::Native,
                        name: &escape(frame),
                        ..SymbolRef::default()
                    })
                })
                .collect();
            if !frames.is_empty() {
                build.stack(self.lane, &frames, number.saturating_mul(self.each_ns));
                return Ok(true);
            }
        }
        Ok(false)
    }
}
