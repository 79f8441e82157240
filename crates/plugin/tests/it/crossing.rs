//! What crosses is what was recorded.

use std::fmt::Write;
use std::sync::Arc;

use tickscope_core::{ArgValue, Batch, CounterValue, Event, Sample, Sink, conformance};
use tickscope_plugin::{Direct, End, Sinks};

use crate::{Said, built, isolated, load};

fn note(out: &mut String, batch: &Batch<'_>, sample: &Sample) {
    let names = batch.dictionary;
    let track = names.track(sample.track);
    write!(out, "{} {} {} {:?}", sample.time_ns, sample.ring.0, track.kind.name(), track.name).unwrap();
    let symbol = |id| {
        let symbol = names.symbol(id);
        let (runtime, line) = (symbol.runtime.name(), symbol.line);
        format!(" {runtime} {:?} {:?} {:?} {line}", symbol.resource, symbol.name, symbol.file)
    };
    let id = |id: Option<tickscope_core::SpanId>| id.map_or(0, |id| id.raw());
    let (text, args) = match sample.event {
        Event::Begin(begin) => {
            let category = &names.category(begin.category).name;
            let link = begin.link.map(|link| format!(" {} {}", link.kind.name(), link.source.raw()));
            let (span, parent) = (begin.span.raw(), id(begin.parent));
            let symbol = symbol(begin.symbol);
            (format!(" begin {span} {parent} {category}{symbol}{}", link.unwrap_or_default()), begin.args)
        }
        Event::End(end) => {
            let (span, outcome) = (end.span.raw(), end.outcome.name());
            (format!(" end {span} {} {outcome} {}{}", end.begin_ns, end.bytes, symbol(end.symbol)), end.args)
        }
        Event::Instant { symbol: what, category, scope, args } => {
            let category = &names.category(category).name;
            (format!(" instant {category} {}{}", scope as u8, symbol(what)), args)
        }
        Event::Counter { symbol: what, value } => {
            let value = match value {
                CounterValue::Int(value) => format!("Int({value})"),
                CounterValue::Float(value) => format!("Float({value:?})"),
            };
            (format!(" counter {value}{}", symbol(what)), Default::default())
        }
        Event::Stack { stack, weight } => {
            let frames = names.frames(stack);
            let frames: Vec<_> =
                frames.map(|frame| format!(" {}:{}", names.symbol(frame.symbol).name, frame.line)).collect();
            (format!(" stack {} {}{}", weight.time_ns, weight.bytes, frames.concat()), Default::default())
        }
        Event::Resume { host } => (format!(" resume {}", host.0), Default::default()),
        Event::Suspend { host, reason } => {
            (format!(" suspend {} {}", host.0, reason as u8), Default::default())
        }
        Event::LinkPoint { id: point, span } => {
            (format!(" point {} {}", point.raw(), id(span)), Default::default())
        }
        Event::Gap { events } => (format!(" gap {events}"), Default::default()),
        Event::Account(account) => {
            let (attempted, committed, delivered) = (account.attempted, account.committed, account.delivered);
            let (overwritten, discarded, dropped) = (account.overwritten, account.discarded, account.dropped);
            let text =
                format!(" account {attempted} {committed} {delivered} {overwritten} {discarded} {dropped}");
            (text, Default::default())
        }
    };
    out.push_str(&text);
    for arg in batch.args(args) {
        let value = match arg.value {
            ArgValue::Text { .. } => format!("{:?}", batch.text(arg.value)),
            other => format!("{other:?}"),
        };
        write!(out, " {}={value}", names.key(arg.key)).unwrap();
    }
    out.push('\n');
}

#[test]
fn every_field_of_every_sample_crosses() {
    let folder = tempfile::tempdir().unwrap();
    let example = conformance::example();
    let whole = example.as_batch();
    let metadata = &example.metadata;
    let mut expected = format!("{:?} {} seed=7\n", metadata.subject, metadata.pid);
    whole.samples.iter().for_each(|sample| note(&mut expected, &whole, sample));
    expected.push_str("tick 5000\nmissed 0\n");

    let plugins = [load(&built::rust()), isolated::load(&built::rust())];
    for (plugin, size) in plugins.iter().flat_map(|plugin| [usize::MAX, 7, 1].map(|size| (plugin, size))) {
        let file = folder.path().join(format!("{size}.txt"));
        let options = plugin.schema.read("odd", &format!("file={}", file.display())).unwrap();
        let mut sink = Direct::new(plugin.clone(), options, Said::default().log());
        sink.open(metadata).unwrap();
        for samples in whole.samples.chunks(size.min(whole.samples.len())) {
            sink.batch(&Batch { samples, ..whole }).unwrap();
        }
        sink.tick(5_000).unwrap();
        sink.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected, "{size} samples a batch");
        assert_eq!(sink.health.clone().unwrap().written, whole.samples.len() as u64);
    }
}

#[test]
fn sinks_in_all_languages_conform() {
    let folder = tempfile::tempdir().unwrap();
    let cpp = folder.path().join("libcpp_count.so");
    built::compile(include_str!("../data/sink.cpp"), &cpp, &["c++", "-x", "c++", "-std=c++11"]);
    let files = [built::rust(), built::c(folder.path(), "c_count", &[]), cpp];
    for plugin in files.iter().flat_map(|file| [load(file), isolated::load(file)]) {
        let options = plugin.schema.read(&plugin.name, "").unwrap();
        let said = Said::default();
        conformance::check(|| Direct::new(plugin.clone(), options.clone(), said.log()));
        conformance::check(|| {
            let name = plugin.name.clone();
            let chosen = tickscope_plugin::Chosen { plugin: plugin.clone(), name, options: options.clone() };
            Sinks::new(vec![chosen], said.log())
        });
    }
}

#[test]
fn a_sink_in_c_counts_and_tells() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = load(&built::c(folder.path(), "c_count", &[]));
    assert_eq!((&*plugin.version, plugin.abi), ("1.2.3", (1, 0)));
    assert_eq!(plugin.capabilities(), ["flush", "finish", "health"]);
    let options = plugin.schema.read("c-count", "").unwrap();
    let said = Said::default();
    let name = "c-count".to_owned();
    let mut sinks =
        Sinks::new(vec![tickscope_plugin::Chosen { plugin: Arc::clone(&plugin), name, options }], said.log());
    let example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    sinks.batch(&example.as_batch()).unwrap();
    sinks.finish().unwrap();
    let outcome = &sinks.outcomes()[0];
    assert_eq!((&outcome.end, outcome.delivered), (&End::Finished, example.samples.len() as u64));
    let health = outcome.health.as_ref().unwrap();
    assert_eq!((&*health.message, health.written), ("counted in C", example.samples.len() as u64));
    assert_eq!(
        said.lines(),
        [
            r#"c-count: Info: opened for examples "quoted" with {"loud":false}"#,
            "c-count: Info: tick: 1",
            "c-count: Info: event: 1",
            "c-count: Info: native: 1",
            "c-count: Info: function: 3",
            "c-count: Info: io: 1",
        ]
    );
}
