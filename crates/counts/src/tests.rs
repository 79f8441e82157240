//! Known samples, and what they count as.

use tickscope_abi::raw::{
    TickscopeAccount, TickscopeBatch, TickscopeCategory, TickscopeStackNode, TickscopeSymbol, TickscopeText,
    TickscopeTrack,
};
use tickscope_abi::{Batch, Begin, CounterValue, End, Event, Instant, Names, Range, Sample, Stack, Switch};

use crate::{CALLS, Counts, OTHER, Recording, Resource, Span, Spans, TICK_BOUNDS_MS, Tick, TickSpan};

const MS: u64 = 1_000_000;
const CATEGORIES: [&str; 8] = ["tick", "event", "native", "thread", "function", "gc", "await", "error"];
/// Resource and name of each symbol, by id.
const SYMBOLS: [(&str, &str); 5] = [
    ("", "tick"),
    ("bank", "bank:pay"),
    ("shop", "getPrice"),
    ("bank", "lua.heap_bytes"),
    ("bank", "lua.heap_bytes 2"),
];
const TICK: u32 = 0;
const PAY: u32 = 1;
const PRICE: u32 = 2;
const HEAP: u32 = 3;
const HEAP_2: u32 = 4;
/// Tracks: a thread, a coroutine, a transfer that no thread runs.
const MAIN: u32 = 1;
const COROUTINE: u32 = 2;
const TRANSFER: u32 = 3;

fn names(symbols: &[(&str, &str)]) -> Names {
    let symbols: Vec<TickscopeSymbol> = (0..)
        .zip(symbols)
        .map(|(id, (resource, name))| TickscopeSymbol {
            id,
            runtime: 0,
            resource: TickscopeText::new(resource),
            name: TickscopeText::new(name),
            file: TickscopeText::new(""),
            line: 0,
            spare: 0,
        })
        .collect();
    let track = |id, kind| TickscopeTrack {
        id,
        kind,
        parent: 0,
        os_id: 0,
        name: TickscopeText::new(""),
        resource: TickscopeText::new(if id == COROUTINE { "bank" } else { "" }),
    };
    let tracks = [track(MAIN, 1), track(COROUTINE, 2), track(TRANSFER, 5)];
    let categories: Vec<TickscopeCategory> = (0..)
        .zip(CATEGORIES)
        .map(|(id, name)| TickscopeCategory {
            id,
            spare: 0,
            name: TickscopeText::new(name),
            description: TickscopeText::new(""),
        })
        .collect();
    let stacks = [TickscopeStackNode { id: 1, parent: 0, symbol: PRICE, line: 0 }];
    let mut names = Names::default();
    let batch = TickscopeBatch {
        symbols: symbols.as_ptr(),
        n_symbols: symbols.len(),
        tracks: tracks.as_ptr(),
        n_tracks: tracks.len(),
        categories: categories.as_ptr(),
        n_categories: categories.len(),
        stacks: stacks.as_ptr(),
        n_stacks: stacks.len(),
        ..TickscopeBatch::EMPTY
    };
    // SAFETY: the arrays live until the end of this function, and have the lengths that are told.
    unsafe { names.take(&batch) };
    names
}

/// Feeds samples of one thread.
struct Feed {
    counts: Counts,
    spans: Spans,
    whole: Vec<(Span, Option<TickSpan>)>,
    ticks: Vec<Tick>,
    names: Names,
    ring: u32,
    track: u32,
    begun: Vec<(u64, u64)>,
}

impl Feed {
    fn new() -> Self {
        let recording = Recording { budget_ns: 50 * MS, ..Recording::default() };
        Self {
            counts: Counts::new(recording, 100),
            spans: Spans::new(50 * MS),
            whole: Vec::new(),
            ticks: Vec::new(),
            names: names(&SYMBOLS),
            ring: 0,
            track: MAIN,
            begun: Vec::new(),
        }
    }

    fn push(&mut self, at_ms: u64, event: Event<'_>) {
        let sample = Sample { time_ns: at_ms * MS, ring: self.ring, track: self.track, event };
        self.ticks.extend(self.counts.sample(&sample, &self.names));
        let raw = TickscopeBatch::EMPTY;
        // SAFETY: it points to nothing.
        let batch = unsafe { Batch::new(&raw, &self.names) };
        self.whole.extend(self.spans.sample(&sample, &batch));
    }

    /// The id of the span.
    fn begin(&mut self, at_ms: u64, category: &str, symbol: u32) -> u64 {
        let category = CATEGORIES.iter().position(|name| *name == category).unwrap() as u32;
        let span = self.begun.len() as u64 + 1;
        self.begun.push((at_ms * MS, symbol.into()));
        let (args, link_kind) = (Range::default(), 0);
        let begin = Begin { span, parent: 0, link: 0, link_kind, symbol, category, args };
        self.push(at_ms, Event::Begin(&begin));
        span
    }

    fn end(&mut self, at_ms: u64, span: u64, bytes: u32) {
        self.end_as(at_ms, span, bytes, 0);
    }

    fn end_as(&mut self, at_ms: u64, span: u64, bytes: u32, outcome: u32) {
        let (begin_ns, symbol) = self.begun[span as usize - 1];
        let end = End { span, begin_ns, symbol: symbol as u32, outcome, bytes, args: Range::default() };
        self.push(at_ms, Event::End(&end));
    }

    fn on(&mut self, track: u32) -> &mut Self {
        self.track = track;
        self
    }

    fn resume(&mut self, at_ms: u64) {
        self.on(COROUTINE).push(at_ms, Event::Resume(&Switch { host: MAIN, reason: 0 }));
    }

    fn suspend(&mut self, at_ms: u64, reason: u32) {
        self.on(COROUTINE).push(at_ms, Event::Suspend(&Switch { host: MAIN, reason }));
        self.track = MAIN;
    }

    #[track_caller]
    fn of(&self, resource: &str) -> &Resource {
        let found = self.counts.resources.list().iter().find(|found| found.name == resource);
        found.unwrap_or_else(|| panic!("{resource} is not told apart"))
    }

    /// Running time in milliseconds and bytes allocated of a resource.
    #[track_caller]
    fn check(&self, resource: &str, running_ms: u64, allocated: u64) {
        let found = self.of(resource);
        assert_eq!((found.running_ns / MS, found.allocated), (running_ms, allocated), "{resource}");
    }
}

fn calls(resource: &Resource, kind: &str) -> u64 {
    resource.calls[CALLS.iter().position(|known| *known == kind).unwrap()]
}

#[test]
fn ticks_are_counted_by_duration_and_against_the_budget() {
    let mut feed = Feed::new();
    for (begin, end) in [(0, 4), (50, 100), (100, 151), (200, 3_200)] {
        let tick = feed.begin(begin, "tick", TICK);
        feed.end(end, tick, 0);
    }
    // One that the recording's end cuts off counts when it is late already.
    for end in [4_010, 4_100] {
        let tick = feed.begin(4_000, "tick", TICK);
        feed.end_as(end, tick, 0, 3);
    }
    assert_eq!((feed.counts.ticks.count(), feed.counts.late), (5, 3));
    assert_eq!(feed.counts.ticks.sum_ns, 3_205 * MS);
    let mut expected = [0; TICK_BOUNDS_MS.len() + 1];
    for bound in [5, 50, 60, 100] {
        expected[TICK_BOUNDS_MS.iter().position(|known| *known == bound).unwrap()] = 1;
    }
    *expected.last_mut().unwrap() = 1;
    assert_eq!(feed.counts.ticks.buckets, expected);
    // Each was told as it ended.
    let told = feed
        .ticks
        .iter()
        .map(|tick| (tick.end_ns / MS, tick.duration_ns / MS, tick.late))
        .collect::<Vec<_>>();
    let expected =
        [(4, 4, false), (100, 50, false), (151, 51, true), (3_200, 3_000, true), (4_100, 100, true)];
    assert_eq!(told, expected);
}

#[test]
fn time_and_memory_are_the_innermost_spans() {
    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    let pay = feed.begin(1, "event", PAY);
    let price = feed.begin(3, "native", PRICE);
    feed.end(8, price, 100);
    let gc = feed.begin(9, "gc", PAY);
    feed.end(11, gc, 0);
    feed.end(12, pay, 340);
    feed.end(14, tick, 1_000);
    // Between ticks nobody runs.
    let tick = feed.begin(50, "tick", TICK);
    feed.end(51, tick, 0);
    feed.check("(host)", 1 + 2 + 1, 660);
    feed.check("bank", 2 + 4, 240);
    feed.check("shop", 5, 100);
    assert_eq!(feed.of("bank").gc_ns, 2 * MS);
    assert_eq!(calls(feed.of("bank"), "event"), 1);
    assert_eq!(calls(feed.of("shop"), "native"), 1);
}

#[test]
fn a_coroutine_runs_inside_of_who_resumes_it_and_is_counted_once() {
    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    let slice = feed.begin(1, "thread", PAY);
    feed.resume(2);
    let call = feed.begin(3, "function", PAY);
    let inner = feed.begin(4, "native", PRICE);
    feed.end(6, inner, 10);
    feed.begin(6, "await", PAY);
    feed.suspend(7, 0);
    feed.end(8, slice, 50);
    feed.end(9, tick, 50);
    let tick = feed.begin(100, "tick", TICK);
    let slice = feed.begin(100, "thread", PAY);
    feed.resume(101);
    // What the call allocated before it was suspended was the first slice's.
    feed.end(103, call, 80);
    feed.suspend(104, 1);
    feed.end(105, slice, 30);
    feed.end(105, tick, 30);
    feed.check("(host)", 2, 0);
    feed.check("bank", 1 + 1 + 1 + 1 + 1 + 5, 40 + 30);
    feed.check("shop", 2, 10);
}

#[test]
fn what_a_span_told_too_much_its_caller_takes_back() {
    let mut feed = Feed::new();
    let pay = feed.begin(0, "event", PAY);
    let native = feed.begin(1, "native", PAY);
    feed.end(2, native, 5_000);
    feed.end(3, pay, 100);
    feed.check("bank", 3, 100);
    // In the middle of it nothing is told that would be taken back.
    let pay = feed.begin(4, "event", PAY);
    let native = feed.begin(5, "native", PAY);
    feed.end(6, native, 5_000);
    feed.check("bank", 5, 100);
    feed.end(7, pay, 100);
    feed.check("bank", 6, 200);
}

#[test]
fn operations_that_no_thread_runs_take_no_time() {
    let mut feed = Feed::new();
    let tick = feed.begin(0, "tick", TICK);
    let transfer = feed.on(TRANSFER).begin(1, "function", PAY);
    feed.on(MAIN).end(5, tick, 0);
    feed.on(TRANSFER).end(900, transfer, 0);
    feed.check("(host)", 5, 0);
    feed.check("bank", 0, 0);
}

#[test]
fn samples_count_where_no_span_is_open() {
    let mut feed = Feed::new();
    let stack = Stack { time_ns: 2 * MS, bytes: 64, stack: 1, spare: 0 };
    feed.push(10, Event::Stack(&stack));
    feed.check("shop", 2, 64);
    let pay = feed.begin(20, "event", PAY);
    feed.push(23, Event::Stack(&stack));
    feed.end(24, pay, 0);
    feed.check("shop", 2, 64);
    feed.check("bank", 4, 0);
}

#[test]
fn heaps_of_a_resource_add_up_and_errors_count() {
    let mut feed = Feed::new();
    for (symbol, bytes) in [(HEAP, 1_000), (HEAP_2, 500), (HEAP, 400)] {
        feed.push(1, Event::Counter { symbol, value: CounterValue::Int(bytes) });
    }
    let error = Instant { symbol: TICK, category: 7, scope: 0, args: Range::default() };
    feed.on(COROUTINE).push(2, Event::Instant(&error));
    assert_eq!(feed.of("bank").heap, Some(900));
    // The symbol has no resource; its track does.
    assert_eq!(feed.of("bank").errors, 1);
}

#[test]
fn what_is_missing_is_told_and_spans_without_an_end_do_not_run_on() {
    let mut feed = Feed::new();
    feed.begin(0, "tick", TICK);
    feed.begin(1, "event", PAY);
    feed.counts.missing(7);
    feed.push(90, Event::Gap(3));
    let tick = feed.begin(100, "tick", TICK);
    feed.end(101, tick, 0);
    feed.check("(host)", 1 + 1, 0);
    feed.check("bank", 0, 0);
    let Counts { missed, lost, samples, ticks, .. } = &feed.counts;
    assert_eq!((*missed, *lost, *samples, ticks.count()), (7, 3, 5, 1));
}

#[test]
fn a_span_that_cannot_tell_how_much_takes_nothing_from_others() {
    let mut feed = Feed::new();
    let outer = feed.begin(0, "event", PAY);
    for _ in 0..3 {
        let inner = feed.begin(0, "native", PRICE);
        feed.end(0, inner, 3 << 30);
    }
    // It allocated 9 GiB, and tells that it was 4 or more.
    feed.end(0, outer, u32::MAX);
    feed.check("shop", 0, 9 << 30);
    feed.check("bank", 0, 0);
    let outer = feed.begin(0, "event", PAY);
    let inner = feed.begin(0, "native", PRICE);
    feed.end(0, inner, 1);
    feed.end(0, outer, u32::MAX);
    feed.check("bank", 0, u64::from(u32::MAX) - 1);
}

#[test]
fn coroutines_that_wait_for_what_never_comes_are_not_all_that_is_followed() {
    let mut feed = Feed::new();
    // Each stops within a function, and another one waits for an answer.
    for leaked in 0..70_000 {
        let track = 10 + leaked;
        feed.on(track).push(1, Event::Resume(&Switch { host: MAIN, reason: 0 }));
        feed.begin(1, "function", PRICE);
        feed.push(1, Event::Suspend(&Switch { host: MAIN, reason: 0 }));
        feed.on(100_000 + leaked).begin(1, "await", PRICE);
    }
    let tick = feed.on(MAIN).begin(100, "tick", TICK);
    let event = feed.begin(110, "event", PAY);
    feed.end(130, event, 0);
    feed.end(140, tick, 0);
    feed.check("bank", 20, 0);
    let spans: Vec<_> =
        feed.whole.iter().map(|(span, tick)| (span.id, span.self_ns, span.tick, *tick)).collect();
    let ended = TickSpan { number: 1, ..TickSpan::default() };
    assert_eq!(spans, [(event, Some(20 * MS), 1, None), (tick, Some(20 * MS), 1, Some(ended))]);
}

#[test]
fn so_many_are_told_apart_and_the_others_share_a_name() {
    let resources: Vec<String> = (0..40).map(|number| format!("resource {number}")).collect();
    let symbols: Vec<(&str, &str)> = resources.iter().map(|resource| (&**resource, "x")).collect();
    let mut feed = Feed::new();
    feed.counts = Counts::new(Recording::default(), 10);
    feed.names = names(&symbols);
    for symbol in (0..40).chain(0..40) {
        feed.begin(0, "native", symbol);
    }
    assert_eq!(feed.counts.resources.list().len(), 10 + 2); // the host, and the others
    assert_eq!(calls(feed.of("resource 9"), "native"), 2);
    assert_eq!(calls(feed.of(OTHER), "native"), 60);
    assert_eq!(feed.counts.resources.beyond(), 30);

    // One that is called as the rest are, or as the host is, is no second of that name.
    let long = "ä".repeat(300);
    feed.names = names(&[("other", "x"), ("(host)", "x"), ("", "x"), (&long, "x")]);
    feed.counts = Counts::new(Recording::default(), 10);
    for symbol in 0..4 {
        feed.begin(0, "native", symbol);
    }
    let found: Vec<&str> =
        feed.counts.resources.list().iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(found, ["(host)", "other", &long[..128]]);
    assert_eq!(calls(feed.of("(host)"), "native"), 2);
}

#[test]
fn whole_spans_have_their_own_time_and_their_tick() {
    let mut feed = Feed::new();
    let tick = feed.begin(100, "tick", TICK);
    let event = feed.begin(110, "event", PAY);
    feed.resume(112);
    let function = feed.begin(115, "function", PRICE);
    feed.suspend(120, 0);
    feed.end(130, event, 0);
    feed.on(TRANSFER);
    let wait = feed.begin(131, "await", PRICE);
    feed.on(MAIN).end(160, tick, 64);
    feed.on(TRANSFER).end(170, wait, 0);
    feed.resume(200);
    feed.end(203, function, 7);
    let seen: Vec<_> = feed
        .whole
        .iter()
        .map(|(span, tick)| {
            (span.id, span.duration_ns() / MS, span.self_ns.map(|ns| ns / MS), span.tick, tick.is_some())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (event, 20, Some(15), 1, false),
            (tick, 60, Some(40), 1, true),
            (wait, 39, None, 1, false),
            (function, 88, Some(8), 1, false),
        ]
    );
    assert_eq!(feed.whole[1].1, Some(TickSpan { number: 1, late: true, ..TickSpan::default() }));
    assert_eq!((feed.whole[3].0.bytes, feed.whole[3].0.category), (7, Some(4)));
    // What began before samples were left out has its end alone.
    let event = feed.on(MAIN).begin(300, "event", PAY);
    feed.spans.missing();
    feed.end(310, event, 0);
    let last = feed.whole.last().unwrap().0;
    assert_eq!((last.duration_ns(), last.category, last.self_ns), (10 * MS, None, None));
}

#[test]
fn threads_that_come_and_go_are_followed_however_many_there_were() {
    let mut feed = Feed::new();
    for ring in 0..10_000 {
        feed.ring = ring;
        let pay = feed.begin(10 * u64::from(ring), "event", PAY);
        feed.end(10 * u64::from(ring) + 2, pay, 3);
    }
    feed.check("bank", 2 * 10_000, 3 * 10_000);
}

#[test]
fn losses_are_what_gaps_or_accounts_tell_of_more() {
    let account = |dropped| TickscopeAccount {
        attempted: 9,
        committed: 9,
        delivered: 9,
        overwritten: 0,
        discarded: 0,
        dropped,
    };
    let mut feed = Feed::new();
    feed.push(1, Event::Gap(3));
    feed.push(2, Event::Account(&account(3)));
    assert_eq!(feed.counts.lost, 3);
    // Of threads that got no ring, and one after which nothing more was recorded.
    feed.ring = 7;
    feed.push(3, Event::Account(&account(5)));
    feed.push(4, Event::Account(&account(6)));
    assert_eq!(feed.counts.lost, 9);
}
