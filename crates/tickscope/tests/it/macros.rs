//! Spans, moments, counters and their arguments.

use std::cell::Cell;

use tickscope::{
    CategoryId, Event, FlowPoint, Level, ProcessTrack, Recording, Scope, args, begin, counter, end,
    error_event, instant, span, trace_function, trace_scope,
};

use crate::{check, record, record_with, story};

#[test]
fn spans_nest_and_two_in_one_scope_do_not_clash() {
    check(
        |_| {
            let _a = span!("a");
            let _b = span!("b");
            trace_scope!("c");
            trace_scope!("d");
        },
        &["begin a", "begin b", "begin c", "begin d", "end d", "end c", "end b", "end a"],
    );
}

#[test]
fn every_type_of_argument_arrives() {
    check(
        |_| {
            let text = String::from("né");
            let _span = span!(
                "args",
                int = -1i8,
                uint = u64::MAX,
                float = 0.5,
                yes = true,
                text = &text,
                literal = "x",
                pointer = 0x10 as *const u8,
            );
        },
        &[
            "begin args int=Int(-1) uint=Uint(18446744073709551615) float=Float(0.5) yes=Bool(true) text=\"né\" \
             literal=\"x\" pointer=Pointer(16)",
            "end args",
        ],
    );
}

#[test]
fn arguments_can_be_added_while_inner_spans_are_open() {
    check(
        |_| {
            let outer = span!("outer");
            let _inner = span!("inner");
            outer.arg("rows", 3);
            args!(outer, cached = false, table = "items");
        },
        &[
            "begin outer",
            "begin inner",
            "end inner",
            "end outer rows=Int(3) cached=Bool(false) table=\"items\"",
        ],
    );
}

#[test]
fn a_panic_ends_its_spans_as_unwound() {
    check(
        |_| {
            let caught = std::panic::catch_unwind(|| {
                let _outer = span!("outer");
                let _inner = span!("inner", n = 1);
                std::panic::resume_unwind(Box::new(()));
            });
            assert!(caught.is_err());
            let _after = span!("after");
        },
        &[
            "begin outer",
            "begin inner n=Int(1)",
            "end inner unwound",
            "end outer unwound",
            "begin after",
            "end after",
        ],
    );
}

#[test]
fn a_failed_span_says_so() {
    check(
        |_| {
            let mut span = span!("parse");
            assert!(span.check("x".parse::<i32>()).is_err());
        },
        &["begin parse", "end parse error"],
    );
}

#[test]
fn nothing_is_evaluated_when_the_category_is_off() {
    static OFF: tickscope::Category = tickscope::Category::new("test.macros.off", "");
    let evaluated = Cell::new(0);
    let count = || {
        evaluated.set(evaluated.get() + 1);
        true
    };
    let sink = record_with(Recording::builder().filter("*,-test.macros.*"), |_| {
        let _a = span!(category: OFF, "off", n = count());
        let _b = span!(category: OFF, if: count(), "off");
        instant!(category: OFF, "off", n = count());
        counter!(category: OFF, "off", i64::from(count()));
        let _c = tickscope::async_span!(category: OFF, "off", n = count());
        let _d = span!(if: false, "off", n = count());
        let _e = span!(if: count(), "on");
    });
    assert_eq!(evaluated.get(), 1);
    assert_eq!(story(&sink), ["begin on", "end on"]);
}

#[test]
fn levels_follow_the_features() {
    let evaluated = Cell::new(0);
    let count = || evaluated.set(evaluated.get() + 1);
    let sink = record(|_| {
        let _a = span!(level: Level::General, "general", n = { count(); 1 });
        let _b = span!(level: Level::Verbose, "verbose", n = { count(); 1 });
        let _c = span!(level: Level::Performance, "performance");
        instant!(level: Level::Verbose, "verbose", n = { count(); 1 });
    });
    let general = usize::from(cfg!(feature = "general"));
    let verbose = usize::from(cfg!(feature = "verbose"));
    assert_eq!(evaluated.get(), general + 2 * verbose);
    assert_eq!(story(&sink).len(), 2 + 2 * general + 3 * verbose);
}

#[test]
fn moments_and_counters_have_scope_and_type() {
    check(
        |_| {
            instant!("joined", id = 7, name = &format!("A{}", "nn"));
            instant!(scope: Scope::Process, "loaded");
            instant!(on: &ProcessTrack, scope: Scope::Global, "rebooted");
            counter!("queue", 3u8);
            counter!("load", 0.5);
            counter!(on: &ProcessTrack, "huge", u64::MAX);
        },
        &[
            "instant joined Track id=Int(7) name=\"Ann\"",
            "instant loaded Process",
            "process it: instant rebooted Global",
            "counter queue Int(3)",
            "counter load Float(0.5)",
            "process it: counter huge Float(1.8446744073709552e19)",
        ],
    );
}

#[test]
fn what_follows_is_linked() {
    check(
        |_| {
            let cause = {
                let _span = span!("cause");
                FlowPoint::here()
            };
            let _effect = span!(follows: cause, "effect", n = 1);
            let _nothing = span!(follows: FlowPoint::default(), "alone");
        },
        &[
            "begin cause",
            "link point",
            "end cause",
            "begin effect <-flow n=Int(1)",
            "begin alone",
            "end alone",
            "end effect",
        ],
    );
}

fn outer_function() {
    trace_function!();
    let closure = || {
        trace_function!(n = 2);
    };
    closure();
}

#[test]
fn functions_are_recorded_under_their_paths() {
    check(
        |_| outer_function(),
        &[
            "begin it::macros::outer_function[function]",
            "begin it::macros::outer_function[function] n=Int(2)",
            "end it::macros::outer_function",
            "end it::macros::outer_function",
        ],
    );
}

#[test]
fn an_end_closes_down_to_its_begin_and_one_without_is_an_error() {
    check(
        |_| {
            begin!("a");
            begin!("b");
            begin!("c");
            end!("b");
            end!("x");
            end!("a");
        },
        &[
            "begin a",
            "begin b",
            "begin c",
            "end c unwound",
            "end b",
            "instant x Track message=\"end without a begin of that name\"",
            "end a",
        ],
    );
}

#[inline(never)]
fn refuse_card() {
    error_event!("card refused", code = 402, recovered = true);
    std::hint::black_box(()); // no tail call: the frame must stand
}

#[test]
fn an_error_carries_the_stack_that_led_to_it() {
    // Looking names up is bounded in time: on a busy machine some remain numbers, and are looked up again next time.
    let mut frames: Vec<String> = Vec::new();
    for _ in 0..100 {
        let sink = record(|_| refuse_card());
        assert_eq!(
            story(&sink),
            ["stack", "instant error Track message=\"card refused\" code=Int(402) recovered=Bool(true)"]
        );
        let stack = sink.samples.iter().find_map(|sample| match sample.event {
            Event::Stack { stack, .. } => Some(stack),
            _ => None,
        });
        frames = sink
            .dictionary
            .frames(stack.unwrap())
            .map(|frame| sink.dictionary.symbol(frame.symbol).name.to_string())
            .collect();
        if !frames.iter().any(|name| name.starts_with("0x")) {
            break;
        }
    }
    assert!(frames[0].ends_with("refuse_card"), "our own frames are left out: {frames:?}");
    assert!(frames.iter().any(|name| name.contains("an_error_carries_the_stack")), "{frames:?}");
    assert!(frames.len() <= 64);
}

#[test]
fn names_carry_their_place() {
    let sink = record(|_| drop(span!(category: CategoryId::SQL, "here")));
    let symbol = sink.dictionary.symbols().iter().find(|symbol| &*symbol.name == "here").unwrap();
    assert!(symbol.file.ends_with("tests/it/macros.rs") && symbol.line > 0);
}
