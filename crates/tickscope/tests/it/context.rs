//! Traces that span processes: headers in and out, and what a recording knows of them.

use proptest::prelude::*;
use tickscope::{
    ArgValue, Baggage, Event, Recording, RecordingSink, SamplingConfig, TraceContext, TraceState,
    context_span, span,
};

use crate::{record, record_with, story};

const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn parse(text: &str) -> Option<TraceContext> {
    text.parse().ok()
}

#[test]
fn traceparent_is_read_and_written_as_the_specification_says() {
    let context = parse(VALID).unwrap();
    assert_eq!(context.trace_id(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_eq!(context.span_id(), 0xb7ad_6b71_6920_3331);
    assert!(context.is_sampled());
    assert_eq!(context.to_string(), VALID);

    // What is written has the length it has to: 12 % of ids begin with a zero.
    let padded = "00-00000000000000000000000000000001-000000000000000a-00";
    assert_eq!(parse(padded).unwrap().to_string(), padded);
    assert!(!parse(padded).unwrap().is_sampled());
    // Spaces around values are HTTP's.
    assert_eq!(parse(&format!("\t {VALID} ")), parse(VALID));
    // Flags nobody knows are not passed on.
    let flags = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff").unwrap();
    assert!(flags.to_string().ends_with("-03"));
    // Later versions may go on behind a dash.
    for later in [
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be-like",
    ] {
        assert_eq!(parse(later), parse(VALID), "{later}");
    }
}

#[test]
fn a_traceparent_that_is_none_is_refused() {
    let cases = [
        "",
        "00",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", // forbidden version
        ".0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "000-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", // upper case
        "00-00000000000000000000000000000000-b7ad6b7169203331-01", // zeros
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-.af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01", // a digit short
        "00-0af7651916cd43dd8448eb211c80319cc-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033311-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-.1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", // not in version 00
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01,00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319ü-b7ad6b7169203331-01",
    ];
    for text in cases {
        assert_eq!(parse(text), None, "{text:?}");
    }
    let error = cases[6].parse::<TraceContext>().unwrap_err();
    assert_eq!(error.to_string(), "traceparent: 'A' at byte 4, expected a digit of 0-9a-f");
}

#[test]
fn tracestate_is_read_and_written_as_the_specification_says() {
    let long_key = "z".repeat(256);
    let tenant = format!("{}@{}", "t".repeat(241), "v".repeat(14));
    let read = |text: &str| text.parse::<TraceState>().map(|state| state.to_string()).ok();
    for (text, expected) in [
        ("foo=1,bar=2", "foo=1,bar=2"),
        ("foo=1 \t , \t bar=2, \t ", "foo=1,bar=2"),
        ("", ""),
        (",,", ""),
        ("foo@bar=1,0t-/*_@b=2", "foo@bar=1,0t-/*_@b=2"),
        ("foo= 1 2", "foo= 1 2"),
        ("foo=1,bar=2,foo=3", "foo=1,bar=2"),
        (&format!("{long_key}=1"), &format!("{long_key}=1")),
        (&format!("{tenant}=1"), &format!("{tenant}=1")),
        (&format!("foo={}", "v".repeat(256)), &format!("foo={}", "v".repeat(256))),
    ] {
        assert_eq!(read(text).as_deref(), Some(expected), "{text:?}");
    }
    for text in [
        "foo",
        "foo=",
        "=1",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1,bar=2",
        "@foo=1,bar=2",
        "foo@@bar=1,bar=2",
        "foo@bar@baz=1,bar=2",
        "1foo=1",
        "foo@1bar=1",
        "foo=1=2",
        "foo=ü",
        &format!("{long_key}z=1"),
        &format!("t{tenant}=1"),
        &format!("{tenant}v=1"),
        &format!("foo={}", "v".repeat(257)),
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
    let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    assert!(read(&members(32)).is_some() && read(&members(33)).is_none());
    // One that nobody has to look at is not looked at.
    let error = format!("{}, ,Bad", members(40)).parse::<TraceState>().unwrap_err();
    assert_eq!(error.to_string(), "tracestate: 41 members, at most 32 are allowed");
    let mut full: TraceState = members(32).parse().unwrap();
    full.insert("tickscope", "7").unwrap();
    full.insert("k3", "changed").unwrap();
    assert!(full.to_string().starts_with("k3=changed,tickscope=7,k0=v,k1=v,k2=v,k4=v"));
    assert_eq!((full.iter().count(), full.get("k31")), (32, None));
    assert!(full.insert("Upper", "1").is_err());
}

#[test]
fn baggage_is_read_and_written_as_the_specification_says() {
    let read = |text: &str| text.parse::<Baggage>();
    // The specification's own examples.
    let baggage =
        read("key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue")
            .unwrap();
    assert_eq!(
        baggage.iter().collect::<Vec<_>>(),
        [("key1", "value1"), ("key2", "value2"), ("key3", "value3")]
    );
    assert_eq!(
        baggage.to_string(),
        "key1=value1;property1;property2,key2=value2,key3=value3; propertyKey=propertyValue"
    );
    assert_eq!(read("userId=Am%C3%A9lie,serverNode=DF%2028").unwrap().get("userId"), Some("Amélie"));
    assert_eq!(
        read("a=1%,b=%zz,c=%ff").unwrap().iter().map(|(_, v)| v).collect::<Vec<_>>(),
        ["1%", "%zz", "\u{fffd}"]
    );
    assert_eq!(read("a=1,b=,a=2").unwrap().to_string(), "a=2,b=");
    for text in ["a", "=1", "a b=1", "a=\"1\"", "a=1 2", "a=ü", "a=1\\2", "a=1;\u{1}"] {
        assert!(read(text).is_err(), "{text:?}");
    }
    let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    assert!(read(&members(180)).is_ok());
    assert_eq!(read(&members(181)).unwrap_err().to_string(), "baggage: 181 members, at most 180 are allowed");
    assert!(
        read(&format!("k={}", "v".repeat(8_190))).is_ok()
            && read(&format!("k={}", "v".repeat(8_191))).is_err()
    );
    let mut full = read(&members(180)).unwrap();
    let before = full.clone();
    assert!(full.insert("more", "1").is_err() && full.insert("k0", &"ü".repeat(1_400)).is_err());
    assert_eq!(full, before);
    full.remove("k0");
    full.insert("more", "a,b;c=d\"").unwrap();
    assert_eq!(full.to_string().parse::<Baggage>().unwrap(), full);
}

#[test]
fn headers_go_in_and_out_and_a_bad_one_is_left_out_alone() {
    let read = |parent: &'static str, state: &'static str, baggage: &'static str| {
        TraceContext::from_headers(|name| {
            let value = match name {
                "traceparent" => parent,
                "tracestate" => state,
                _ => baggage,
            };
            (!value.is_empty()).then(|| value.to_owned())
        })
    };
    let context = read(VALID, "foo=1", "tenant=acme").unwrap();
    let mut headers = Vec::new();
    context.child().inject(|name, value| headers.push((name, value)));
    assert!(headers[0].1.starts_with(&VALID[..36]) && headers[0].1 != VALID);
    assert_eq!(headers[1..], [("tracestate", "foo=1".to_owned()), ("baggage", "tenant=acme".to_owned())]);
    let context = read(VALID, "foo@=1", "tenant").unwrap();
    assert!(context.state().is_empty() && context.baggage().is_empty());
    assert_eq!(read("00-x", "foo=1", "tenant=acme"), None);
    assert_eq!(read("", "foo=1", ""), None);
}

proptest! {
    #[test]
    fn what_is_written_can_be_read(trace in 1u128.., span in 1u64.., flags in 0u8..4) {
        let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        let context: TraceContext = text.parse().unwrap();
        prop_assert_eq!((context.trace_id(), context.span_id()), (trace, span));
        prop_assert_eq!(context.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\t]{0,80}|\\PC{0,40}|00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f.]{2,4}") {
        if let Ok(context) = text.parse::<TraceContext>() {
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }
        if let Ok(state) = text.parse::<TraceState>() {
            prop_assert_eq!(state.to_string().parse(), Ok(state));
        }
        if let Ok(baggage) = text.parse::<Baggage>() {
            prop_assert_eq!(baggage.to_string().parse(), Ok(baggage));
        }
    }

    #[test]
    fn any_value_travels_as_baggage(pairs in prop::collection::vec(("[a-zA-Z!#$&*|~^-]{1,9}", "\\PC{0,30}"), 0..20)) {
        let mut baggage = Baggage::default();
        for (key, value) in &pairs {
            baggage.insert(key, value).unwrap();
        }
        prop_assert_eq!(baggage.to_string().parse(), Ok(baggage));
    }

    #[test]
    fn a_larger_share_includes_a_smaller_one(trace in 1u128.., small in 0.0..1.0f64, large in 0.0..1.0f64) {
        let context: TraceContext = format!("00-{trace:032x}-00000000000000aa-00").parse().unwrap();
        let (small, large) = (small.min(large), small.max(large));
        prop_assert!(!context.is_in_share(small) || context.is_in_share(large));
        prop_assert!(context.is_in_share(1.0) && !context.is_in_share(0.0));
    }
}

#[test]
fn shares_are_those_of_other_sdks() {
    let at = |low: u64| -> TraceContext {
        format!("00-{:016x}{low:016x}-00000000000000aa-00", 7).parse().unwrap()
    };
    // The bounds of TraceIdRatioBased for a half, a quarter and a thousandth.
    for (rate, last) in
        [(0.5, 0x7fff_ffff_ffff_ffff), (0.25, 0x3fff_ffff_ffff_ffff), (0.001, 0x0041_8937_4bc6_a7ef)]
    {
        assert!(at(last).is_in_share(rate) && !at(last + 2).is_in_share(rate), "{rate}");
    }
    let kept = (0..10_000).filter(|_| TraceContext::root(true).is_in_share(0.1)).count();
    assert!((850..1_150).contains(&kept), "{kept} of 10,000: five standard deviations are 150");
}

#[test]
fn ids_are_random_on_all_threads() {
    let ids = || {
        (0..1_000)
            .map(|_| TraceContext::root(true))
            .flat_map(|c| [c.trace_id(), c.span_id().into()])
            .collect()
    };
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(move || -> Vec<u128> { ids() })).collect();
    let all: Vec<u128> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

/// Name, and `trace_id`, `span_id`, `parent_id` of each span.
fn ids(sink: &RecordingSink) -> Vec<(String, [String; 3])> {
    let mut all = Vec::new();
    for sample in &sink.samples {
        let Event::End(end) = sample.event else { continue };
        let text = |wanted: &str| {
            let arg =
                sink.as_batch().args(end.args).iter().find(|arg| sink.dictionary.key(arg.key) == wanted);
            match arg.map(|arg| arg.value) {
                Some(value @ ArgValue::Text { .. }) => sink.as_batch().text(value).to_owned(),
                _ => String::new(),
            }
        };
        let name = sink.dictionary.symbol(end.symbol).name.to_string();
        all.push((name, ["trace_id", "span_id", "parent_id"].map(text)));
    }
    all
}

#[test]
fn nested_spans_are_children_and_restore_their_parents() {
    let mut sent = Vec::new();
    let sink = record(|recording| {
        let incoming = parse(VALID);
        let request = context_span!(from: incoming, "request", player = 7);
        {
            let _plain = span!("plain");
            let query = context_span!("query");
            assert_eq!(TraceContext::current().as_ref(), Some(query.context()));
            query.context().inject(|_, value| sent.push(value));
        }
        assert_eq!(TraceContext::current().as_ref(), Some(request.context()));
        // Dropped in another order than made.
        let [first, second] = [0; 2].map(|_| request.context().child());
        let entered = [first.enter(), second.clone().enter()];
        let [first, outlived] = entered;
        drop(first);
        assert_eq!(TraceContext::current(), Some(second));
        drop(outlived);
        assert_eq!(TraceContext::current().as_ref(), Some(request.context()));
        let context = request.context().clone();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _chosen = recording.on_this_thread();
                assert_eq!(TraceContext::current(), None, "a context moves with the task only");
                let _work = context_span!(from: context, "work");
            });
        });
    });
    assert_eq!(TraceContext::current(), None);
    let ids = ids(&sink);
    let of = |name: &str| &ids.iter().find(|(known, _)| known == name).unwrap().1;
    let request = of("request");
    assert_eq!((request[0].as_str(), request[2].as_str()), (&VALID[3..35], &VALID[36..52]));
    for name in ["query", "work"] {
        let [trace, span, parent] = of(name);
        assert_eq!((trace, parent), (&request[0], &request[1]), "{name}");
        assert!(span.len() == 16 && *span != request[1]);
    }
    assert_eq!(sent, [format!("00-{}-{}-01", request[0], of("query")[1])]);
    assert_eq!(of("plain"), &["", "", ""]);
    assert!(story(&sink)[0].starts_with("begin request player=Int(7)"));
}

#[test]
fn a_context_goes_with_its_future() {
    let context = TraceContext::root(true);
    let seen = context.clone();
    let mut task = Box::pin(context.around(async move {
        assert_eq!(TraceContext::current(), Some(seen.clone()));
        std::future::poll_fn(|_| -> std::task::Poll<()> { std::task::Poll::Pending }).await;
    }));
    assert!(task.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    assert_eq!(TraceContext::current(), None);
}

#[test]
fn contexts_are_passed_on_while_nothing_is_recorded() {
    let request = context_span!(from: parse(VALID), "request");
    assert!(!request.is_recorded() && request.context().is_sampled());
    assert_eq!(request.context().trace_id(), parse(VALID).unwrap().trace_id());
    drop(request);
    let root = context_span!("root");
    assert!(!root.context().is_sampled(), "nobody records it");
}

#[test]
fn the_root_decides_for_every_process() {
    let config = SamplingConfig { rate: 0.5, ..SamplingConfig::default() };
    let mut roots = Vec::new();
    // Two recordings, as two processes have them.
    let first = record_with(Recording::builder().sampling(config), |_| {
        for _ in 0..200 {
            let root = context_span!("root");
            assert_eq!(root.is_recorded(), root.context().is_in_share(0.5));
            let _below = span!("below");
            roots.push(root.context().clone());
        }
    });
    let kept = roots.iter().filter(|root| root.is_sampled()).count();
    assert!((50..150).contains(&kept), "{kept} of 200: seven standard deviations are 50");
    let strict = SamplingConfig { rate: 0.0, ..SamplingConfig::default() };
    let second = record_with(Recording::builder().sampling(strict), |_| {
        for root in &roots {
            let served = context_span!(from: root.clone(), "served");
            assert_eq!(served.is_recorded(), root.is_sampled());
            let _below = span!("below");
        }
        assert!(context_span!(critical: true, "critical").is_recorded());
        assert!(!context_span!("not").is_recorded());
    });
    for (sink, roots) in [(first, kept), (second, kept + 1)] {
        let names: Vec<_> = ids(&sink).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().filter(|name| *name != "below").count(), roots);
        assert_eq!(names.iter().filter(|name| *name == "below").count(), kept);
    }
}
