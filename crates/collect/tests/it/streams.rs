//! Whatever is posted, it is taken or refused; what was taken balances, and stays bounded.

use std::collections::HashMap;

use proptest::prelude::*;
use tickscope_collect::Post;
use tickscope_core::Event;

use super::*;

/// Spans end once, innermost first, time does not run backwards within a ring, and accounts hold.
fn balanced(all: &RecordingSink) {
    let mut open: HashMap<u32, Vec<_>> = HashMap::new();
    let mut now: HashMap<u32, u64> = HashMap::new();
    for sample in &all.samples {
        let last = now.entry(sample.ring.0).or_default();
        assert!(sample.time_ns >= *last);
        *last = sample.time_ns;
        let open = open.entry(sample.track.0).or_default();
        match sample.event {
            Event::Begin(begin) => {
                assert_eq!(begin.parent, open.last().copied());
                open.push(begin.span);
            }
            Event::End(end) => assert_eq!(open.pop(), Some(end.span)),
            Event::Account(account) => assert!(account.holds(0), "{account:?}"),
            _ => {}
        }
    }
    assert!(open.values().all(Vec::is_empty));
}

/// Numbers as a forger would choose them.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..200_u64, (0..2_000_u64).prop_map(|ms| ms * MS), Just(i64::MAX as u64), any::<u64>()]
}

fn line() -> impl Strategy<Value = String> {
    let few = || prop::collection::vec(number(), 0..6);
    let joined = |numbers: Vec<u64>| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    let name = prop_oneof![
        "(thread|event x|timer|export f|call a.b|other) @a/[a-z]{1,3}\\.lua:[0-9]{1,3}",
        "[ -~]{0,30}",
    ];
    prop_oneof![
        (number(), number(), few())
            .prop_map(move |(first, begin, took)| format!("ticks {first} {begin} {}", joined(took))),
        (number(), "[a-z%0-9]{0,4}").prop_map(|(bytes, name)| format!("heap {bytes} {name}")),
        (number(), number()).prop_map(|(from, to)| format!("period {from} {to}")),
        (number(), number(), name.clone())
            .prop_map(|(calls, took, name)| format!("total {calls} {took} {took} a {name}")),
        (number(), number()).prop_map(|(from, to)| format!("flight {from} {to}")),
        (0..3_u64, number()).prop_map(|(of, lost)| format!("of {} {lost}", ["a", "b", "c"][of as usize])),
        (0..5_u64, name).prop_map(|(symbol, name)| format!("name {symbol} {name}")),
        (prop::collection::vec((number(), number(), 0..5_u64, 0..5_u64, 0..5_u64), 0..8)).prop_map(|rows| {
            let column = |of: fn(&(u64, u64, u64, u64, u64)) -> u64| {
                rows.iter().map(|row| of(row).to_string()).collect::<Vec<_>>().join(" ")
            };
            format!(
                "slices\n{}\n{}\n{}\n{}",
                column(|r| r.0),
                column(|r| r.1),
                column(|r| r.3 << 16 | r.2),
                column(|r| r.4)
            )
        }),
        Just("landed".to_owned()),
        (number(), number()).prop_map(|(posts, flights)| format!("lost {posts} {flights}")),
        "[ -~]{0,20}",
    ]
}

/// What a resource might send: two moments, ticks that follow on each other, slices that nest or do not.
fn flight() -> impl Strategy<Value = String> {
    let row = (0..1_000_u64, 0..300_u64, 2..5_u64, 0..9_u64, 0..9_u64);
    (prop::collection::vec(1..300_u64, 0..8), prop::collection::vec(row, 0..40), any::<bool>()).prop_map(
        |(ticks, rows, over)| {
            let ticks: Vec<String> = ticks.iter().map(|ms| (ms * MS).to_string()).collect();
            let names = "name 2 event x @a/m.lua:1\nname 3 thread @a/m.lua:2\nname 4 call b.c\n";
            let landed = if over { "landed\n" } else { "" };
            format!(
                "ticks 1 0 {}\nflight 0 {}\nof a 3\n{names}{}{landed}",
                ticks.join(" "),
                1_000 * MS,
                slices(&rows)
            )
        },
    )
}

proptest! {
    #[test]
    fn garbage_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Post::read(&bytes);
    }

    #[test]
    fn forged_lines_are_refused_or_balance(
        posts in prop::collection::vec((0..4_u64, number(), prop::collection::vec(line(), 0..12), any::<bool>()), 1..6),
    ) {
        let mut posting = Posting::new();
        for (at, (number, now, lines, other)) in posts.iter().enumerate() {
            let run = if *other { "b" } else { "a" };
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let text = format!("tickscope 1\nfrom {run} {number}\nclock {now} 0\nlate 100\n{text}over\n");
            let _ = posting.post(&text, 1_000 * at as u64);
        }
        balanced(&posting.end().0);
    }

    #[test]
    fn slices_of_any_shape_nest(flights in prop::collection::vec(flight(), 1..4)) {
        let mut posting = Posting::new();
        for (at, lines) in flights.iter().enumerate() {
            prop_assert_eq!(posting.post(&post(at as u64 + 1, 1_000, lines), 1_000), Ok(Taken::New));
        }
        balanced(&posting.end().0);
    }

    #[test]
    fn a_post_that_is_cut_is_refused(lines in flight(), cut in any::<prop::sample::Index>()) {
        let whole = post(1, 1_000, &lines);
        let cut = cut.index(whole.len());
        prop_assert!(Post::read(&whole.as_bytes()[..cut]).is_err());
        prop_assert!(Post::read(whole.as_bytes()).is_ok());
    }
}
