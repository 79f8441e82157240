//! Whatever a file holds, it is read or refused, and what was read balances.

use std::collections::HashMap;

use proptest::prelude::*;
use tickscope_core::{Event, RecordingSink};

use super::{account, import};

/// Spans end once, innermost first, and time does not run backwards within a ring.
fn balanced(all: &RecordingSink) {
    let mut open: HashMap<u32, Vec<_>> = HashMap::new();
    let mut now: HashMap<u32, u64> = HashMap::new();
    for sample in &all.samples {
        let last = now.entry(sample.ring.0).or_default();
        assert!(sample.time_ns >= *last);
        *last = sample.time_ns;
        let open = open.entry(sample.track.0).or_default();
        match sample.event {
            Event::Begin(begin) => open.push(begin.span),
            Event::End(end) => assert_eq!(open.pop(), Some(end.span)),
            _ => {}
        }
    }
    assert!(open.values().all(Vec::is_empty));
    let account = account(all);
    assert_eq!(account.attempted, account.delivered + account.discarded);
    let events = all.samples.iter().filter(|sample| !matches!(sample.event, Event::Account(_))).count();
    assert_eq!(account.delivered, events as u64);
}

/// Events of Chrome traces, likely and unlikely.
fn event() -> impl Strategy<Value = String> {
    let phase = prop::sample::select(vec!["B", "E", "X", "i", "C", "b", "e", "M", "s", ""]);
    let name = prop::sample::select(vec![
        "a",
        "tick (x)",
        "event:e (y)",
        "BeginFrame",
        "ActivateLayerTree",
        "UpdateCounters",
    ]);
    let time = prop_oneof![
        (-5i64..50).prop_map(|time| time.to_string()),
        Just("1e300".to_owned()),
        Just("\"7.25\"".to_owned())
    ];
    (phase, name, time, 0i64..40, 1u8..3).prop_map(|(phase, name, time, length, tid)| {
        format!(r#"{{"ph":"{phase}","name":"{name}","ts":{time},"dur":{length},"pid":1,"tid":{tid},"args":{{"v":{length}}}}}"#)
    })
}

proptest! {
    #[test]
    fn any_chrome_trace_balances(events in prop::collection::vec(event(), 0..40), fxserver: bool, cut in 0usize..4_000) {
        let head = r#"{"name":"TracingStartedInBrowser","ph":"I","ts":0,"pid":1,"tid":1,"args":{"name":"CitizenFX"}}"#;
        let all = if fxserver { [&[head.to_owned()], &events[..]].concat() } else { events };
        let text = format!("[{}]", all.join(","));
        for bytes in [text.as_bytes(), &text.as_bytes()[..cut.min(text.len())]] {
            if let Ok((all, _)) = import(bytes) {
                balanced(&all);
            }
        }
    }

    #[test]
    fn any_msgpack_is_read_or_refused(
        events in prop::collection::vec((0i64..3, -1i64..7, any::<i32>(), "[a-z@/ \\[\\].]{0,12}", any::<i8>()), 0..40),
        flip in any::<(u16, u8)>(),
    ) {
        use rmp::encode::*;
        let mut bytes = Vec::new();
        write_map_len(&mut bytes, 1).unwrap();
        write_str(&mut bytes, "events").unwrap();
        write_array_len(&mut bytes, events.len() as u32).unwrap();
        for (who, what, when, place, much) in &events {
            write_array_len(&mut bytes, 6).unwrap();
            for number in [*who, *what, i64::from(*when)] {
                write_sint(&mut bytes, number).unwrap();
            }
            write_str(&mut bytes, place).unwrap();
            write_str(&mut bytes, place).unwrap();
            write_sint(&mut bytes, i64::from(*much)).unwrap();
        }
        if let Ok((all, _)) = import(&bytes) {
            balanced(&all);
        }
        let at = usize::from(flip.0) % bytes.len();
        bytes[at] ^= flip.1;
        if let Ok((all, _)) = import(&bytes) {
            balanced(&all);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((all, _)) = import(&bytes) {
            balanced(&all);
        }
    }

    #[test]
    fn any_lines_are_read_or_refused(text in "([a-c;# ]{0,8} [0-9.e+-]{0,6}\n){0,12}") {
        if let Ok((all, _)) = import(text.as_bytes()) {
            balanced(&all);
        }
    }
}
