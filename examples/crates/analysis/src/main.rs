//! Explains a late tick: feeds a recording made by hand to the analyzer and prints what it says.

use tickscope_analysis::tickscope_core::{
    ArgRange, Begin, CategoryId, Depth, End, Event, Metadata, Outcome, RecordingSink, RingId, Runtime,
    Sample, Sink, SinkError, SpanId, SymbolId, SymbolRef, Track, TrackId, TrackKind,
};
use tickscope_analysis::{Analyzer, Options};

fn main() -> Result<(), SinkError> {
    let recording = recording();
    let mut analyzer = Analyzer::new(Options::default());
    analyzer.open(&recording.metadata)?;
    analyzer.batch(&recording.as_batch())?;
    analyzer.finish()?;

    for late in analyzer.into_report().late_ticks {
        println!("tick {} took {} ms; blame: {}", late.tick, late.duration_ns / 1_000_000, late.blame.name());
        for cause in late.chains.iter().flat_map(|chain| &chain.causes) {
            let symbol = &cause.symbol;
            let mark = if cause.culprit { "  <- here" } else { "" };
            let place =
                if symbol.line > 0 { format!(" {}:{}", symbol.file, symbol.line) } else { String::new() };
            let (indent, millis) = (2 * cause.depth, cause.total_ns / 1_000_000);
            let (kind, resource, name) = (&cause.kind, &symbol.resource, &symbol.name);
            println!("{:indent$}{kind} {resource} {name}{place} {millis} ms{mark}", "");
        }
    }
    Ok(())
}

/// One tick with an event handler in it that sorts for 380 ms. A program gets this from a session or a capture.
fn recording() -> RecordingSink {
    let mut out = RecordingSink {
        metadata: Metadata { budget_ns: 50_000_000, depth: Depth::Trace, ..Metadata::default() },
        ..RecordingSink::default()
    };
    let main = out.dictionary.push_track(Track {
        kind: TrackKind::Thread,
        parent: TrackId::PROCESS,
        os_id: 1,
        name: "main".into(),
        resource: "".into(),
    });
    let lua = |name, line| SymbolRef {
        runtime: Runtime::Lua,
        resource: "shops",
        name,
        file: "server/main.lua",
        line,
    };
    let spans = [
        (out.dictionary.push_symbol(SymbolRef::host("tick").into()), CategoryId::TICK, 0, 412),
        (out.dictionary.push_symbol(lua("shops:open", 80).into()), CategoryId::EVENT, 1, 400),
        (out.dictionary.push_symbol(lua("restock", 88).into()), CategoryId::FUNCTION, 5, 385),
    ];
    let ids = (1..).filter_map(|position| SpanId::new(RingId(1), position));
    let spans: Vec<(SpanId, (SymbolId, CategoryId, u64, u64))> = ids.zip(spans).collect();
    let args = ArgRange::NONE;
    let sample =
        |millis: u64, event| Sample { time_ns: millis * 1_000_000, ring: RingId(1), track: main, event };
    for (span, (symbol, category, begin, _)) in spans.iter().copied() {
        let begin_event = Begin { span, parent: None, symbol, category, link: None, args };
        out.samples.push(sample(begin, Event::Begin(begin_event)));
    }
    for (span, (symbol, _, begin, end)) in spans.iter().rev().copied() {
        let begin_ns = begin * 1_000_000;
        let end_event = End { span, symbol, begin_ns, outcome: Outcome::Ok, bytes: 0, args };
        out.samples.push(sample(end, Event::End(end_event)));
    }
    out
}
