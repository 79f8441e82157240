//! A sink plugin of Tickscope: spans in the timelines of Intel VTune, Tracy and NVIDIA Nsight.
//!
//! ```console
//! $ vtune -collect hotspots -- tickscope run ~/server --ticks 2000 --sink markers
//! ```
//!
//! Samples reach a plugin some milliseconds after they were taken. What a tool is given therefore depends on whether it takes
//! times: ITT's tasks have a clock of one's own, and so have zones of Tracy's GPU contexts; there spans are where they were. NVTX
//! has no times: there is a mark when a tick or a long span is over, whose text says how long it took and how long ago it ended.
//!
//! # Guarantees
//! The recorded threads call no tool; all calls come from the plugin's thread. What is kept is bounded: 100 rows for threads and
//! 100 that other tracks share, 1,000 spans deep; names as the recording has them.
//!
//! # Refuses
//! To show spans at the time of their delivery, which NVTX's ranges and Tracy's plain zones would do. Without any tool it says
//! why, in one line, and lets samples pass.
//!
//! # Deliberately absent
//! Starting a tool, and libraries of theirs: what is there is used. Waits (`await`, `sleep`), in which nothing runs.

mod itt;
mod lanes;
mod nvtx;
#[cfg(test)]
mod tests;
mod tool;
mod tracy;

use std::time::Duration;

use serde::Deserialize;
use tickscope_abi::{Batch, Begin, Error, Event, Flow, Health, Host, Metadata, Names, Sink, export_sink};

use lanes::{Lanes, Open};
use tool::{Span, Tool, monotonic_ns};

/// The options, as the schema has them.
#[derive(Deserialize)]
struct Options {
    tools: Vec<String>,
    tracy: String,
    mark_ms: u64,
}

/// The sink.
struct Markers {
    tools: Vec<Box<dyn Tool>>,
    lanes: Lanes,
    budget_ns: u64,
    mark_ns: u64,
    spans: u64,
    missed: u64,
    label: String,
}

impl Markers {
    fn begin(&mut self, (ring, track, time_ns): (u32, u32, u64), begin: &Begin, names: &Names) {
        if matches!(&*names.category(begin.category).name, "await" | "sleep") {
            return;
        }
        let track_info = names.track(track);
        let own = track_info.kind_name() == "thread";
        let open =
            Open { span: begin.span, symbol: begin.symbol, category: begin.category, begin_ns: time_ns };
        let Some(place) = self.lanes.begin(ring, track, own, open) else { return };
        if place.new {
            let name = match &*track_info.name {
                name if own && !name.is_empty() => name.to_owned(),
                _ if own => format!("thread {}", place.lane),
                _ => format!("shared {}", place.lane),
            };
            self.tools.iter_mut().for_each(|tool| tool.lane(place.lane, &name));
        }
        self.spans += 1;
        let symbol = names.symbol(begin.symbol);
        label(&mut self.label, &symbol.resource, &symbol.name);
        let span = Span {
            id: begin.span,
            parent: place.parent,
            time_ns: place.time_ns,
            symbol: begin.symbol,
            label: &self.label,
            file: &symbol.file,
            line: symbol.line,
        };
        self.tools.iter_mut().for_each(|tool| tool.begin(place.lane, &span));
    }

    fn end(&mut self, track: u32, span: u64, time_ns: u64, names: &Names) {
        let Self { tools, lanes, label: text, budget_ns, mark_ns, .. } = self;
        lanes.end(track, span, time_ns, |lane, end_ns, open| {
            tools.iter_mut().for_each(|tool| tool.end(lane, open.span, end_ns));
            let duration_ns = end_ns.saturating_sub(open.begin_ns);
            let tick = &*names.category(open.category).name == "tick";
            if open.span == span && (tick || duration_ns >= *mark_ns) {
                let symbol = names.symbol(open.symbol);
                label(text, &symbol.resource, &symbol.name);
                let (took, ago) =
                    (duration_ns as f64 / 1e6, monotonic_ns().saturating_sub(end_ns) as f64 / 1e6);
                text.push_str(&format!(": {took:.3} ms, ended {ago:.1} ms ago"));
                let late = tick && *budget_ns > 0 && duration_ns > *budget_ns;
                tools.iter_mut().for_each(|tool| tool.mark(text, duration_ns, late));
            }
        });
    }

    /// Nothing is known to be open any more.
    fn forget(&mut self) {
        let Self { tools, lanes, .. } = self;
        lanes
            .forget(|lane, end_ns, open| tools.iter_mut().for_each(|tool| tool.end(lane, open.span, end_ns)));
    }
}

/// What a span is called, in `text`.
fn label(text: &mut String, resource: &str, name: &str) {
    text.clear();
    if !resource.is_empty() {
        text.push_str(resource);
        text.push_str(": ");
    }
    text.push_str(name);
}

/// A tool, by the name that the options have for it.
fn find(tool: &str, tracy: &str) -> Result<Box<dyn Tool>, String> {
    Ok(match tool {
        "itt" => Box::new(itt::Itt::find()?),
        "nvtx" => Box::new(nvtx::Nvtx::find()?),
        _ => Box::new(tracy::Tracy::find(tracy)?),
    })
}

impl Sink for Markers {
    const NAME: &'static str = "markers";
    const ABOUT: &'static str = "Spans in the timelines of Intel VTune, Tracy and NVIDIA Nsight.";
    const SCHEMA: &'static str = r#"{
        "type": "object",
        "properties": {
            "tools": {
                "type": "array", "items": { "enum": ["itt", "nvtx", "tracy"] },
                "default": ["itt", "nvtx", "tracy"],
                "description": "Which to look for."
            },
            "tracy": {
                "type": "string", "minLength": 1, "default": "libTracyClient.so",
                "description": "Tracy's client: a path, or a name that the system looks for."
            },
            "mark_ms": {
                "type": "integer", "minimum": 0, "maximum": 3600000, "default": 10,
                "description": "NVTX has a mark for each tick, and for other spans that take as long."
            }
        }
    }"#;

    fn open(options: &str, metadata: &Metadata<'_>, host: Host) -> Result<Self, Error> {
        let options: Options = serde_json::from_str(options)?;
        let (mut tools, mut used, mut why) = (Vec::new(), Vec::new(), Vec::new());
        for tool in &options.tools {
            match find(tool, &options.tracy) {
                Ok(found) => {
                    tools.push(found);
                    used.push(tool.as_str());
                }
                Err(reason) => why.push(format!("{tool}: {reason}")),
            }
        }
        if options.tools.is_empty() {
            why.push("none is asked for".to_owned());
        }
        if tools.is_empty() {
            host.info(&format!("no tool to show spans in: {}", why.join("; ")));
        } else {
            host.info(&format!("spans go to {}", used.join(", ")));
        }
        let mark_ns = options.mark_ms * 1_000_000;
        let (lanes, budget_ns) = (Lanes::default(), metadata.raw().budget_ns);
        Ok(Self { tools, lanes, budget_ns, mark_ns, spans: 0, missed: 0, label: String::new() })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Flow, Error> {
        // Asked to stop, a host's test of its plugins would take it for broken where no tool is.
        if self.tools.is_empty() {
            return Ok(Flow::Continue);
        }
        if batch.missed() > 0 {
            self.missed += batch.missed();
            self.forget();
        }
        for sample in batch.samples() {
            match sample.event {
                Event::Begin(begin) => {
                    self.begin((sample.ring, sample.track, sample.time_ns), begin, batch.names());
                }
                Event::End(end) => self.end(sample.track, end.span, sample.time_ns, batch.names()),
                _ => {}
            }
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, _within: Duration) -> Result<(), Error> {
        self.forget();
        Ok(())
    }

    fn health(&self) -> Health {
        let message = match self.lanes.skipped {
            0 if self.tools.is_empty() => "there was no tool to show spans in".to_owned(),
            0 => self.tools.iter().find_map(|tool| tool.note()).unwrap_or_default().to_owned(),
            skipped => format!("{skipped} spans found no row"),
        };
        Health { message, written: self.spans, lost: self.lanes.skipped, ..Health::default() }
    }
}

export_sink!(Markers);
