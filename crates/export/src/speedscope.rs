//! Speedscope's own format: a profile in time per lane, and one of all call paths together, and per resource.
//!
//! The profiles in time hold up to [`Writer::MAX_EVENTS`] frames opened and closed: what the viewer can open, and a
//! bound for memory. Behind that point they end, balanced, and say so in their name; the profiles of call paths hold
//! the whole recording. What counts as time, and how sampled stacks come in, is told in [`paths`](crate::paths): at
//! depth sample the functions stand in the profiles of call paths, the profiles in time show the boundaries.

use std::io::Write;

use tickscope_core::{Batch, Flow, Metadata, Sink, SinkError, SymbolId};

use crate::json;
use crate::output::Output;
use crate::paths::{Paths, Timeline, file};

/// Writes Speedscope's JSON when the recording is over.
///
/// ```
/// use tickscope_core::{Sink, conformance};
/// let mut json = Vec::new();
/// let mut writer = tickscope_export::speedscope::Writer::new(&mut json);
/// writer.batch(&conformance::example().as_batch())?;
/// writer.finish()?;
/// drop(writer);
/// assert!(json.starts_with(b"{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\""));
/// # Ok::<(), tickscope_core::SinkError>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    paths: Paths,
    events: Events,
    resource: Option<String>,
    name: String,
    base_ns: u64,
    writer: W,
}

#[derive(Debug, Default)]
struct Events {
    lanes: Vec<LaneEvents>,
    stored: usize,
}

#[derive(Debug, Default)]
struct LaneEvents {
    /// Symbol, whether it opens, and when.
    events: Vec<(SymbolId, bool, u64)>,
    open: Vec<SymbolId>,
    /// Opened behind the limit: their closes are left out too.
    beyond: u64,
    clipped: bool,
}

impl<W: Write> Writer<W> {
    /// Most frames opened and closed that the profiles in time hold.
    pub const MAX_EVENTS: usize = MAX_EVENTS;

    /// A writer to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            paths: Paths::default(),
            events: Events::default(),
            resource: None,
            name: String::new(),
            base_ns: 0,
            writer,
        }
    }

    /// Writes the call paths of that resource only.
    pub fn resource(mut self, resource: Option<String>) -> Self {
        self.resource = resource;
        self
    }
}

const MAX_EVENTS: usize = 2_000_000;
/// Most profiles in time: asynchronous operations are lanes too, and there may be thousands.
const MAX_LANES: usize = 64;

impl Timeline for Events {
    fn open(&mut self, lane: usize, symbol: SymbolId, time_ns: u64) {
        if lane >= MAX_LANES {
            return;
        }
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, LaneEvents::default);
        }
        let state = &mut self.lanes[lane];
        if state.clipped || self.stored >= MAX_EVENTS {
            state.clipped = true;
            state.beyond += 1;
            return;
        }
        self.stored += 2;
        state.open.push(symbol);
        state.events.push((symbol, true, time_ns));
    }

    fn close(&mut self, lane: usize, _: SymbolId, time_ns: u64) {
        let Some(state) = self.lanes.get_mut(lane) else { return };
        if state.beyond > 0 {
            state.beyond -= 1;
        } else if let Some(symbol) = state.open.pop() {
            state.events.push((symbol, false, time_ns));
        }
    }
}

impl<W: Write> Sink for Writer<W> {
    fn open(&mut self, metadata: &Metadata) -> Result<(), SinkError> {
        self.name.clone_from(&metadata.subject);
        self.base_ns = metadata.start_ns;
        Ok(())
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, SinkError> {
        self.paths.take(batch, &mut self.events);
        Ok(Flow::Continue)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.paths.close(&mut self.events);
        let mut out = Output::new("Speedscope JSON", &mut self.writer);
        let mut frames = Frames { numbers: vec![None; self.paths.symbols().len()], used: Vec::new() };
        out.bytes.extend_from_slice(
            b"{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"tickscope-export ",
        );
        out.bytes.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
        out.bytes.extend_from_slice(b"\",\"activeProfileIndex\":0,\"name\":");
        json::text(&mut out.bytes, if self.name.is_empty() { "recording" } else { &self.name });
        out.bytes.extend_from_slice(b",\"profiles\":[");
        let mut first = true;
        if self.resource.is_none() {
            for (lane, events) in
                self.events.lanes.iter().enumerate().filter(|(_, lane)| !lane.events.is_empty())
            {
                let mut name = self.paths.lane_name(lane).to_owned();
                if events.clipped {
                    name.push_str(" (its beginning: too many events)");
                }
                separate(&mut out.bytes, &mut first);
                evented(&mut out, &mut frames, &name, events, self.base_ns)?;
            }
        }
        let resources: Vec<Option<&str>> = match &self.resource {
            Some(resource) => vec![Some(resource)],
            None => std::iter::once(None).chain(self.paths.resources().into_iter().map(Some)).collect(),
        };
        for resource in resources {
            let (own, _) = self.paths.times(resource);
            let weighty: Vec<u32> = (0..own.len() as u32).filter(|node| own[*node as usize] > 0).collect();
            if weighty.is_empty() && (resource.is_some() || !first) {
                continue;
            }
            separate(&mut out.bytes, &mut first);
            let name = match resource {
                None => "all call paths",
                Some("") => "call paths: the host",
                Some(name) => &format!("call paths: {name}"),
            };
            sampled(&mut out, &mut frames, &self.paths, name, &weighty, &own)?;
        }
        out.bytes.extend_from_slice(b"],\"shared\":{\"frames\":[");
        for (at, symbol) in frames.used.iter().enumerate() {
            if at > 0 {
                out.bytes.push(b',');
            }
            let known = &self.paths.symbols()[symbol.index()];
            out.bytes.extend_from_slice(b"{\"name\":");
            json::text(&mut out.bytes, if known.name.is_empty() { "(no name)" } else { &known.name });
            let file = file(known);
            if !file.is_empty() {
                json::key(&mut out.bytes, "file");
                json::text(&mut out.bytes, &file);
            }
            if known.line != 0 {
                json::key(&mut out.bytes, "line");
                json::digits(&mut out.bytes, u64::from(known.line));
            }
            out.bytes.push(b'}');
            out.settle()?;
        }
        out.bytes.extend_from_slice(b"]}}\n");
        out.flush()
    }
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// Frames as the file numbers them, in the order of their first use.
struct Frames {
    numbers: Vec<Option<u32>>,
    used: Vec<SymbolId>,
}

impl Frames {
    fn number(&mut self, symbol: SymbolId) -> u64 {
        let symbol = if symbol.index() < self.numbers.len() { symbol } else { SymbolId::OTHER };
        let used = &mut self.used;
        let number = self.numbers[symbol.index()].get_or_insert_with(|| {
            used.push(symbol);
            used.len() as u32 - 1
        });
        u64::from(*number)
    }
}

fn evented<W: Write>(
    out: &mut Output<W>,
    frames: &mut Frames,
    name: &str,
    lane: &LaneEvents,
    base_ns: u64,
) -> Result<(), SinkError> {
    out.bytes.extend_from_slice(b"{\"type\":\"evented\",\"name\":");
    json::text(&mut out.bytes, name);
    let time =
        |event: Option<&(SymbolId, bool, u64)>| event.map_or(0, |event| event.2.saturating_sub(base_ns));
    out.bytes.extend_from_slice(b",\"unit\":\"nanoseconds\",\"startValue\":");
    json::digits(&mut out.bytes, time(lane.events.first()));
    json::key(&mut out.bytes, "endValue");
    json::digits(&mut out.bytes, time(lane.events.last()));
    json::key(&mut out.bytes, "events");
    out.bytes.push(b'[');
    for (at, (symbol, opens, time_ns)) in lane.events.iter().enumerate() {
        let kind: &[u8] = if *opens { b"{\"type\":\"O\",\"frame\":" } else { b"{\"type\":\"C\",\"frame\":" };
        if at > 0 {
            out.bytes.push(b',');
        }
        out.bytes.extend_from_slice(kind);
        json::digits(&mut out.bytes, frames.number(*symbol));
        json::key(&mut out.bytes, "at");
        json::digits(&mut out.bytes, time_ns.saturating_sub(base_ns));
        out.bytes.push(b'}');
        out.settle()?;
    }
    out.bytes.extend_from_slice(b"]}");
    Ok(())
}

fn sampled<W: Write>(
    out: &mut Output<W>,
    frames: &mut Frames,
    paths: &Paths,
    name: &str,
    weighty: &[u32],
    own: &[u64],
) -> Result<(), SinkError> {
    out.bytes.extend_from_slice(b"{\"type\":\"sampled\",\"name\":");
    json::text(&mut out.bytes, name);
    out.bytes.extend_from_slice(b",\"unit\":\"nanoseconds\",\"startValue\":0,\"endValue\":");
    json::digits(&mut out.bytes, weighty.iter().map(|node| own[*node as usize]).sum());
    out.bytes.extend_from_slice(b",\"samples\":[");
    let mut stack = Vec::new();
    for (at, node) in weighty.iter().enumerate() {
        stack.clear();
        let mut next = *node;
        while paths.symbol(next).is_some() {
            stack.push(paths.nodes()[next as usize].symbol);
            next = paths.nodes()[next as usize].parent;
        }
        out.bytes.extend_from_slice(if at == 0 { b"[" } else { b",[" });
        for (at, symbol) in stack.iter().rev().enumerate() {
            if at > 0 {
                out.bytes.push(b',');
            }
            json::digits(&mut out.bytes, frames.number(*symbol));
        }
        out.bytes.push(b']');
        out.settle()?;
    }
    out.bytes.extend_from_slice(b"],\"weights\":[");
    for (at, node) in weighty.iter().enumerate() {
        if at > 0 {
            out.bytes.push(b',');
        }
        json::digits(&mut out.bytes, own[*node as usize]);
        out.settle()?;
    }
    out.bytes.extend_from_slice(b"]}");
    Ok(())
}
