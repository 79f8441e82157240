//! Known samples, and the spans that are sent of them.

use tickscope_abi::raw::*;
use tickscope_abi::{Batch, Names};
use tickscope_counts::Clock;

use crate::export::{Encoding, encoded};
use crate::follow::{Follower, Thresholds};
use crate::ids::Ids;
use crate::metrics::metrics;
use crate::proto::{self, KeyValue, Span, Traces, Value};

const MS: u64 = 1_000_000;
const CATEGORIES: [&str; 10] =
    ["tick", "event", "native", "thread", "function", "await", "error", "sql", "http", "anomaly"];
const SYMBOLS: [(&str, &str); 4] =
    [("", "tick"), ("bank", "bank:pay"), ("shop", "getPrice"), ("bank", "odd \"one\"")];
const TICK: u32 = 0;
const PAY: u32 = 1;
const PRICE: u32 = 2;
const KEYS: [&str; 6] = ["tick", "message", "trace_id", "span_id", "parent_id", "ratio"];
/// Tracks: a thread, a coroutine, an operation that no thread runs.
const MAIN: u32 = 1;
const COROUTINE: u32 = 2;
const QUERY: u32 = 3;
const TEXT: &str = "no money0af7651916cd43dd8448eb211c80319cb7ad6b716920333100f067aa0ba902b7";

/// Samples of one thread, followed one by one.
struct Feed {
    follower: Follower,
    names: Names,
    ring: u32,
    track: u32,
    begun: Vec<(u64, u32)>,
}

fn clock() -> Clock {
    Clock { start_ns: 0, start_unix_ns: 1_700_000_000_000_000_000 }
}

fn thresholds() -> Thresholds {
    Thresholds { tick_ns: 50 * MS, span_ns: 10 * MS, max_spans: 4 }
}

impl Feed {
    fn new() -> Self {
        Self::with(thresholds(), 1_000)
    }

    fn with(thresholds: Thresholds, per_minute: u32) -> Self {
        let follower = Follower::new(Ids::new(1, 2), clock(), thresholds, per_minute);
        Self { follower, names: names(), ring: 0, track: MAIN, begun: Vec::new() }
    }

    fn push_with(
        &mut self,
        at_ms: u64,
        kind: u32,
        event: TickscopeEvent,
        args: &[TickscopeArg],
        missed: u64,
    ) {
        let sample = TickscopeSample {
            time_ns: at_ms * MS,
            ring: self.ring,
            track: self.track,
            kind,
            spare: 0,
            event,
        };
        let raw = TickscopeBatch {
            missed,
            samples: &sample,
            n_samples: 1,
            args: args.as_ptr(),
            n_args: args.len(),
            text: TickscopeText::new(TEXT),
            ..TickscopeBatch::EMPTY
        };
        // SAFETY: all it points to lives to the end of this function.
        self.follower.take(&unsafe { Batch::new(&raw, &self.names) });
    }

    fn push(&mut self, at_ms: u64, kind: u32, event: TickscopeEvent) {
        self.push_with(at_ms, kind, event, &[], 0);
    }

    fn begin_with(
        &mut self,
        at_ms: u64,
        category: &str,
        symbol: u32,
        link: u64,
        args: &[TickscopeArg],
    ) -> u64 {
        let category = CATEGORIES.iter().position(|name| *name == category).unwrap() as u32;
        let span = self.begun.len() as u64 + 1;
        self.begun.push((at_ms * MS, symbol));
        let args_range = TickscopeRange { start: 0, len: args.len() as u32 };
        let begin =
            TickscopeBegin { span, parent: 0, link, link_kind: 1, symbol, category, args: args_range };
        self.push_with(at_ms, TICKSCOPE_BEGIN, TickscopeEvent { begin }, args, 0);
        span
    }

    fn begin(&mut self, at_ms: u64, category: &str, symbol: u32) -> u64 {
        self.begin_with(at_ms, category, symbol, 0, &[])
    }

    fn end_as(&mut self, at_ms: u64, span: u64, outcome: u32) {
        let (begin_ns, symbol) = self.begun[span as usize - 1];
        let end = TickscopeEnd { span, begin_ns, symbol, outcome, bytes: 0, args: TickscopeRange::default() };
        self.push(at_ms, TICKSCOPE_END, TickscopeEvent { end });
    }

    fn end(&mut self, at_ms: u64, span: u64) {
        self.end_as(at_ms, span, 0);
    }

    fn on(&mut self, track: u32) -> &mut Self {
        self.track = track;
        self
    }

    fn resume(&mut self, at_ms: u64) {
        let resume = TickscopeSwitch { host: MAIN, reason: 0 };
        self.on(COROUTINE).push(at_ms, TICKSCOPE_RESUME, TickscopeEvent { resume });
    }

    fn suspend(&mut self, at_ms: u64, reason: u32) {
        let suspend = TickscopeSwitch { host: MAIN, reason };
        self.on(COROUTINE).push(at_ms, TICKSCOPE_SUSPEND, TickscopeEvent { suspend });
        self.track = MAIN;
    }

    fn sent(&mut self) -> Vec<Span> {
        self.follower.ready()
    }
}

fn names() -> Names {
    let text = TickscopeText::new;
    let symbol = |(id, (resource, name)): (u32, &(&str, &str))| TickscopeSymbol {
        id,
        runtime: 0,
        resource: text(resource),
        name: text(name),
        file: text(if id == PAY { "server/main.lua" } else { "" }),
        line: if id == PAY { 12 } else { 0 },
        spare: 0,
    };
    let symbols: Vec<TickscopeSymbol> = (0..).zip(&SYMBOLS).map(symbol).collect();
    let track = |id, kind| TickscopeTrack {
        id,
        kind,
        parent: 0,
        os_id: 0,
        name: text(if id == MAIN { "main" } else { "" }),
        resource: text(""),
    };
    let tracks = [track(MAIN, 1), track(COROUTINE, 2), track(QUERY, 5)];
    let category = |(id, name): (u32, &&str)| TickscopeCategory {
        id,
        spare: 0,
        name: text(name),
        description: text(""),
    };
    let categories: Vec<TickscopeCategory> = (0..).zip(&CATEGORIES).map(category).collect();
    let key = |(id, name): (u32, &&str)| TickscopeKey { id, spare: 0, name: text(name) };
    let keys: Vec<TickscopeKey> = (0..).zip(&KEYS).map(key).collect();
    let batch = TickscopeBatch {
        symbols: symbols.as_ptr(),
        n_symbols: symbols.len(),
        tracks: tracks.as_ptr(),
        n_tracks: tracks.len(),
        categories: categories.as_ptr(),
        n_categories: categories.len(),
        keys: keys.as_ptr(),
        n_keys: keys.len(),
        ..TickscopeBatch::EMPTY
    };
    let mut names = Names::default();
    // SAFETY: the arrays live until the end of this function, and have the lengths that are told.
    unsafe { names.take(&batch) };
    names
}

fn key(name: &str) -> u32 {
    KEYS.iter().position(|key| *key == name).unwrap() as u32
}

/// An argument whose text is a part of [`TEXT`].
fn words(name: &str, start: u32, len: u32) -> TickscopeArg {
    let value = TickscopeNumber { text: TickscopeRange { start, len } };
    TickscopeArg { key: key(name), kind: TICKSCOPE_ARG_TEXT, value }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<Value> {
    attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value
}

fn string(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.into()))
}

/// Name, name of the parent, and length in milliseconds.
fn tree(spans: &[Span]) -> Vec<(&str, &str, u64)> {
    let of = |id: &[u8]| {
        let found = spans.iter().find(|span| span.span_id == id);
        if id.is_empty() { "" } else { found.map_or("?", |span| &span.name) }
    };
    let line = |span: &Span| (span.end_time_unix_nano - span.start_time_unix_nano) / MS;
    spans.iter().map(|span| (&*span.name, of(&span.parent_span_id), line(span))).collect()
}

#[test]
fn a_late_tick_is_a_trace_of_what_was_started_in_it() {
    let mut feed = Feed::new();
    let number =
        TickscopeArg { key: key("tick"), kind: TICKSCOPE_ARG_UINT, value: TickscopeNumber { uint_value: 7 } };
    let tick = feed.begin_with(100, "tick", TICK, 0, &[number]);
    let pay = feed.begin(101, "event", PAY);
    let fast = feed.begin(102, "native", PRICE);
    feed.end(103, fast);
    let slow = feed.begin(104, "native", PRICE);
    feed.end(130, slow);
    let inner = feed.begin(130, "function", PAY);
    let handler = feed.begin(131, "event", PRICE);
    feed.end(131, handler);
    feed.end(132, inner);
    feed.end(140, pay);
    feed.end(160, tick);
    let spans = feed.sent();
    assert_eq!(
        tree(&spans),
        [
            ("tick", "", 60),
            ("event bank:pay", "tick", 39),
            ("native getPrice", "event bank:pay", 26),
            ("event getPrice", "event bank:pay", 0),
        ]
    );
    let (tick, pay) = (&spans[0], &spans[1]);
    assert!(spans.iter().all(|span| span.trace_id == tick.trace_id && span.trace_id.len() == 16));
    assert!(spans.iter().all(|span| span.span_id.len() == 8 && span.kind == proto::INTERNAL));
    assert_eq!(tick.start_time_unix_nano, 1_700_000_000_100_000_000);
    assert_eq!(attribute(&tick.attributes, "tickscope.arg.tick"), Some(Value::IntValue(7)));
    assert_eq!(attribute(&tick.attributes, "tickscope.late"), Some(Value::BoolValue(true)));
    assert_eq!(attribute(&tick.attributes, "tickscope.spans_left_out"), None);
    assert_eq!(attribute(&pay.attributes, "tickscope.resource"), string("bank"));
    assert_eq!(attribute(&pay.attributes, "tickscope.category"), string("event"));
    assert_eq!(attribute(&pay.attributes, "code.function.name"), string("bank:pay"));
    assert_eq!(attribute(&pay.attributes, "code.file.path"), string("server/main.lua"));
    assert_eq!(attribute(&pay.attributes, "code.line.number"), Some(Value::IntValue(12)));
    assert_eq!(attribute(&pay.attributes, "thread.name"), string("main"));
    assert_eq!(pay.status, None);
}

#[test]
fn of_other_ticks_only_what_is_slow_is_sent() {
    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    let fast = feed.begin(1, "event", PAY);
    feed.end(10, fast);
    feed.end(50, tick);
    assert_eq!(feed.sent(), []);
    let tick = feed.begin(100, "tick", TICK);
    let fast = feed.begin(101, "event", PAY);
    feed.end(102, fast);
    let slow = feed.begin(103, "event", PRICE);
    feed.end(113, slow);
    feed.end(120, tick);
    let spans = feed.sent();
    assert_eq!(tree(&spans), [("tick", "", 20), ("event getPrice", "tick", 10)]);
    assert_eq!(attribute(&spans[0].attributes, "tickscope.late"), None);
}

#[test]
fn without_a_budget_no_tick_is_late() {
    let mut feed = Feed::with(Thresholds { tick_ns: 0, ..thresholds() }, 1_000);
    let tick = feed.begin(0, "tick", TICK);
    feed.end(5_000, tick);
    assert_eq!(feed.sent(), []);
}

#[test]
fn the_longest_spans_of_a_tick_are_kept() {
    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    for at in 0..20 {
        let outer = feed.begin(at * 10, "event", PAY);
        let inner = feed.begin(at * 10, "thread", PRICE);
        feed.end(at * 10 + at / 4, inner);
        feed.end(at * 10 + at / 4, outer);
    }
    feed.end(300, tick);
    let spans = feed.sent();
    let times: Vec<u64> = spans.iter().map(|span| span.start_time_unix_nano % 1_000_000_000 / MS).collect();
    assert_eq!(spans.len(), 5);
    assert_eq!(attribute(&spans[0].attributes, "tickscope.spans_left_out"), Some(Value::IntValue(36)));
    // Of the longest, 4 ms each, whole pairs; nothing is inside of what was left out.
    assert!(times[1..].iter().all(|time| *time >= 160), "{times:?}");
    assert!(tree(&spans).iter().all(|(_, parent, _)| *parent != "?"), "{:?}", tree(&spans));
}

#[test]
fn a_coroutine_is_inside_of_who_resumed_it_in_this_tick() {
    let mut feed = Feed::new();
    // What it has open since an earlier tick is no parent in the later one.
    let tick = feed.begin(0, "tick", TICK);
    let slice = feed.begin(0, "thread", PAY);
    feed.resume(0);
    let export = feed.begin(0, "sql", PRICE);
    let wait = feed.begin(1, "await", PRICE);
    feed.suspend(1, 0);
    feed.end(2, slice);
    feed.end(2, tick);
    let tick = feed.begin(100, "tick", TICK);
    let slice = feed.begin(101, "thread", PAY);
    feed.resume(102);
    feed.end(102, wait);
    let event = feed.begin(103, "event", PRICE);
    feed.end(140, event);
    feed.end(150, export);
    feed.suspend(150, 1);
    feed.end(151, slice);
    feed.end(160, tick);
    let spans = feed.sent();
    // What began in the first tick is of that trace; the tick itself was not sent.
    assert_eq!(
        tree(&spans),
        [
            ("sql getPrice", "?", 150),
            ("tick", "", 60),
            ("thread bank:pay", "tick", 50),
            ("event getPrice", "thread bank:pay", 37),
        ]
    );
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
}

#[test]
fn operations_are_traces_with_links_to_what_caused_them() {
    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    let pay = feed.begin(1, "event", PAY);
    let link_point = TickscopeLinkPoint { id: 900, span: pay };
    feed.push(2, TICKSCOPE_LINK_POINT, TickscopeEvent { link_point });
    let query = feed.on(QUERY).begin_with(3, "sql", PRICE, 900, &[]);
    feed.on(MAIN).end(4, pay);
    feed.end(60, tick);
    feed.on(QUERY).end(200, query);
    // The link may also name a span.
    let other = feed.begin_with(210, "sql", PRICE, pay, &[]);
    feed.end(230, other);
    let unknown = feed.begin_with(240, "sql", PRICE, 12_345, &[]);
    feed.end(260, unknown);
    let spans = feed.sent();
    assert_eq!(
        tree(&spans),
        [
            ("tick", "", 60),
            ("event bank:pay", "tick", 3),
            ("sql getPrice", "", 197),
            ("sql getPrice", "", 20),
            ("sql getPrice", "", 20),
        ]
    );
    for query in &spans[2..4] {
        assert_ne!(query.trace_id, spans[1].trace_id);
        assert_eq!(query.links[0].trace_id, spans[1].trace_id);
        assert_eq!(query.links[0].span_id, spans[1].span_id);
        assert_eq!(attribute(&query.links[0].attributes, "tickscope.link"), string("event"));
    }
    assert_eq!(spans[4].links, []);
}

#[test]
fn spans_of_other_programs_traces_keep_their_ids() {
    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    let context = [words("trace_id", 8, 32), words("span_id", 40, 16), words("parent_id", 56, 16)];
    let http = feed.begin_with(1, "http", PAY, 0, &context);
    let inner = feed.begin(2, "sql", PRICE);
    feed.end(32, inner);
    feed.end(40, http);
    feed.end(60, tick);
    let spans = feed.sent();
    assert_eq!(
        tree(&spans),
        [("sql getPrice", "http bank:pay", 30), ("http bank:pay", "?", 39), ("tick", "", 60),]
    );
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let http = &spans[1];
    assert_eq!(hex(&http.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&http.span_id), "b7ad6b7169203331");
    assert_eq!(hex(&http.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(spans[0].trace_id, http.trace_id);
    assert_eq!((http.kind, &http.links[0].span_id), (proto::SERVER, &spans[2].span_id));
    assert_eq!(attribute(&http.links[0].attributes, "tickscope.link"), string("within"));

    // Ids that are none are arguments like others.
    let odd = [words("trace_id", 0, 32), words("span_id", 40, 16)];
    let span = feed.begin_with(100, "sql", PAY, 0, &odd);
    feed.end(120, span);
    assert_ne!(hex(&feed.sent()[0].span_id), "b7ad6b7169203331");
}

#[test]
fn errors_are_events_and_a_status() {
    let mut feed = Feed::new();
    let pay = feed.begin(0, "event", PAY);
    let error = CATEGORIES.iter().position(|name| *name == "error").unwrap() as u32;
    for _ in 0..20 {
        let instant = TickscopeInstant {
            symbol: PRICE,
            category: error,
            scope: 0,
            args: TickscopeRange { start: 0, len: 1 },
        };
        feed.push_with(5, TICKSCOPE_INSTANT, TickscopeEvent { instant }, &[words("message", 0, 8)], 0);
    }
    feed.end_as(20, pay, 1);
    let span = &feed.sent()[0];
    assert_eq!((span.events.len(), span.dropped_events_count), (16, 4));
    assert_eq!(
        (&*span.events[0].name, span.events[0].time_unix_nano),
        ("exception", clock().unix_ns(5 * MS))
    );
    assert_eq!(attribute(&span.events[0].attributes, "exception.message"), string("no money"));
    assert_eq!(attribute(&span.attributes, "tickscope.outcome"), string("error"));
    assert_eq!(span.status, Some(proto::Status { message: "no money".into(), code: proto::ERROR }));
}

#[test]
fn a_trace_is_one_however_many_spans_of_it_are_slow() {
    let nested = |feed: &mut Feed, at: u64| {
        let outer = feed.begin(at, "http", PAY);
        let inner = feed.begin(at + 1, "sql", PRICE);
        feed.end(at + 21, inner);
        feed.end(at + 30, outer);
        feed.sent().len()
    };
    let mut feed = Feed::with(thresholds(), 2);
    assert_eq!([0, 100, 200, 300].map(|at| nested(&mut feed, at)), [2, 2, 0, 0]);
    assert_eq!(feed.follower.left_out(), 2);
    // One that goes on for ever is bounded as others are.
    let mut feed = Feed::with(thresholds(), 2);
    let outer = feed.begin(0, "http", PAY);
    for at in 1..20 {
        let inner = feed.begin(at * 20, "sql", PRICE);
        feed.end(at * 20 + 15, inner);
    }
    feed.end(500, outer);
    assert_eq!(feed.sent().len(), 2 * thresholds().max_spans);
}

#[test]
fn threads_come_and_go_without_end() {
    let mut feed = Feed::new();
    let busy = feed.begin(0, "tick", TICK);
    for ring in 1..10_000 {
        feed.ring = ring;
        feed.track = if ring % 2 == 0 { COROUTINE } else { QUERY };
        let span = feed.begin(u64::from(ring), "event", PAY);
        feed.end(u64::from(ring), span);
    }
    let slow = feed.begin(10_000, "tick", TICK);
    feed.end(10_060, slow);
    // What began before them goes on.
    feed.ring = 0;
    feed.on(MAIN).end(10_100, busy);
    assert_eq!(tree(&feed.sent()).len(), 1);
    feed.ring = 10_001;
    let slow = feed.begin(10_200, "tick", TICK);
    let pay = feed.begin(10_201, "event", PAY);
    feed.end(10_202, pay);
    feed.end(10_260, slow);
    assert_eq!(tree(&feed.sent()), [("tick", "", 60), ("event bank:pay", "tick", 1)]);
}

#[test]
fn what_is_too_much_is_counted_and_what_is_missing_is_forgotten() {
    let mut feed = Feed::with(thresholds(), 2);
    for at in 0..5 {
        let span = feed.begin(at * 100, "event", PAY);
        feed.end(at * 100 + 20, span);
    }
    assert_eq!((feed.sent().len(), feed.follower.left_out()), (2, 3));

    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    let instant = TickscopeInstant { symbol: 0, category: 0, scope: 0, args: TickscopeRange::default() };
    feed.push_with(1, TICKSCOPE_INSTANT, TickscopeEvent { instant }, &[], 3);
    feed.end(100, tick);
    assert_eq!(feed.sent(), []);
}

#[test]
fn operations_that_never_end_are_not_all_that_is_followed() {
    let mut feed = Feed::new();
    for leaked in 0..70_000 {
        feed.on(100 + leaked).begin(0, "sql", PRICE);
    }
    let event = feed.on(MAIN).begin(100, "event", PAY);
    feed.end(130, event);
    assert_eq!(tree(&feed.sent()), [("event bank:pay", "", 30)]);
}

#[test]
fn odd_streams_send_nothing_odd() {
    let mut feed = Feed::new();
    let nested = feed.begin(0, "event", PAY);
    feed.end(5, nested);
    feed.end(30, nested);
    feed.suspend(31, 0);
    feed.resume(32);
    feed.resume(32);
    feed.end_as(u64::from(u32::MAX), nested, 77);
    let tick = feed.on(QUERY).begin(40, "tick", 4_000_000_000);
    feed.end(0, tick);
    let tick = feed.on(MAIN).begin(50, "tick", TICK);
    feed.begin(51, "tick", TICK);
    feed.end(200, tick);
    let track = u32::MAX;
    let lost = feed.on(track).begin(300, "event", PAY);
    feed.end(400, lost);
    for span in feed.sent() {
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
    }
}

#[test]
fn messages_are_the_same_in_both_encodings() {
    let mut feed = Feed::new();
    let ratio = TickscopeArg {
        key: key("ratio"),
        kind: TICKSCOPE_ARG_FLOAT,
        value: TickscopeNumber { float_value: f64::INFINITY },
    };
    let odd = feed.begin_with(0, "http", 3, 0, &[ratio]);
    feed.end(20, odd);
    let resource = proto::Resource { attributes: vec![KeyValue::int("process.pid", 7_u32)] };
    let scope_spans = vec![proto::ScopeSpans { scope: None, spans: feed.sent() }];
    let message =
        Traces { resource_spans: vec![proto::ResourceSpans { resource: Some(resource), scope_spans }] };
    let protobuf = encoded(&message, Encoding::Protobuf);
    assert_eq!(<Traces as prost::Message>::decode(&*protobuf), Ok(message.clone()));

    let json: serde_json::Value = serde_json::from_slice(&encoded(&message, Encoding::Json)).unwrap();
    let spans = &json["resourceSpans"][0];
    assert_eq!(spans["resource"]["attributes"][0]["value"], serde_json::json!({"intValue": "7"}));
    let span = &spans["scopeSpans"][0]["spans"][0];
    assert_eq!(span["startTimeUnixNano"], "1700000000000000000");
    assert_eq!(span["name"], "http odd \"one\"");
    assert_eq!((&span["kind"], span.get("parentSpanId")), (&serde_json::json!(2), None));
    let id: String = message.resource_spans[0].scope_spans[0].spans[0]
        .span_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(span["spanId"], id);
    let attributes = span["attributes"].as_array().unwrap();
    let ratio = attributes.iter().find(|attribute| attribute["key"] == "tickscope.arg.ratio").unwrap();
    assert_eq!(ratio["value"], serde_json::json!({"doubleValue": "Infinity"}));
}

#[test]
fn the_readme_tells_every_metric() {
    let counts = tickscope_counts::Counts::new(tickscope_counts::Recording::default(), 1);
    let made = metrics(&counts, clock(), 0);
    let readme = include_str!("../README.md");
    let told: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `tickscope.")?.split_once('`'))
        .map(|row| row.0)
        .collect();
    let names: Vec<&str> = made.iter().map(|metric| &metric.name["tickscope.".len()..]).collect();
    assert_eq!(told, names);
    for metric in made {
        assert!(metric.description.ends_with('.') && !metric.unit.is_empty(), "{metric:?}");
    }
}
