//! Sinks that fail, panic, hang or crawl: the others, and whoever feeds them, go on.

use std::time::{Duration, Instant};

use tickscope_core::{Batch, Sink, conformance};
use tickscope_plugin::{Chosen, End, GRACE, Outcome, Sinks};

use crate::{Said, built, load};

/// Feeds sinks with these options, and a good one, until all that can have ended; how it went with each.
fn feed(behaviours: &[&str], rounds: usize) -> (Vec<Outcome>, Vec<String>) {
    let plugin = load(&built::rust());
    let options = behaviours.iter().chain(&[""]);
    let chosen = options.map(|behaviour| Chosen {
        plugin: plugin.clone(),
        name: format!("odd {behaviour}").trim().to_owned(),
        options: plugin.schema.read("odd", &format!("do={behaviour}")).unwrap(),
    });
    let said = Said::default();
    let mut sinks = Sinks::new(chosen.collect(), said.log());
    let example = conformance::example();
    let whole = example.as_batch();
    sinks.open(&example.metadata).unwrap();
    let begin = Instant::now();
    for _ in 0..rounds {
        sinks.batch(&whole).unwrap();
        sinks.tick(5_000).unwrap();
    }
    let fed = begin.elapsed();
    sinks.flush().unwrap();
    let ending = Instant::now();
    sinks.finish().unwrap();
    let ended = ending.elapsed();
    let hangs = behaviours.iter().any(|behaviour| behaviour.starts_with("hang"));
    // Not how fast this machine is: a sink that hangs does so for an hour.
    assert!(fed < Duration::from_secs(60) && ended < GRACE + Duration::from_secs(60), "{fed:?} {ended:?}");
    assert!(!hangs || ended >= GRACE, "those that hang have their time");
    (sinks.outcomes().to_vec(), said.lines())
}

#[test]
fn a_panic_or_error_in_any_call_ends_that_sink_only() {
    let calls = ["open", "batch", "tick", "flush", "finish"];
    let both = calls.iter().flat_map(|call| [format!("panic {call}"), format!("fail {call}")]);
    let behaviours: Vec<String> = both.chain(["panic health".into()]).collect();
    let behaviours: Vec<&str> = behaviours.iter().map(String::as_str).collect();
    let (outcomes, said) = feed(&behaviours, 3);
    for (behaviour, outcome) in behaviours.iter().zip(&outcomes) {
        let (kind, place) = behaviour.split_once(' ').unwrap();
        let End::Failed { call, reason } = &outcome.end else { panic!("{behaviour}: {outcome:?}") };
        assert_eq!(*call, place);
        if kind == "panic" {
            assert!(reason.starts_with("it panicked at src/lib.rs:"), "{reason}");
            assert!(reason.ends_with(&format!(": {place} is more than it can bear")), "{reason}");
        } else {
            assert_eq!(*reason, format!("{place} is not to its taste"));
        }
        let told =
            format!("odd {behaviour}: Error: is not used any more, for its `{place}` failed: {reason}");
        assert_eq!(said.iter().filter(|line| **line == told).count(), 1, "{said:#?}");
        assert!(outcome.is_bad() && outcome.health.is_none());
    }
    let good = outcomes.last().unwrap();
    let samples = conformance::example().samples.len() as u64;
    assert_eq!((&good.end, good.delivered, good.missed), (&End::Finished, 3 * samples, 0));
}

#[test]
fn a_panic_while_it_is_closed_ends_nothing() {
    let (outcomes, _) = feed(&["panic close", "stop"], 2);
    let ends: Vec<_> = outcomes.iter().map(|outcome| outcome.end.clone()).collect();
    assert_eq!(ends, [End::Finished, End::Finished, End::Finished]);
    assert!(outcomes[1].health.is_some(), "one that wanted no more was finished");
}

#[test]
fn those_that_hang_do_not_hold_up_the_end() {
    let calls = ["open", "batch", "tick", "flush", "finish", "close"];
    let behaviours: Vec<String> = calls.iter().map(|call| format!("hang {call}")).collect();
    let behaviours: Vec<&str> = behaviours.iter().map(String::as_str).collect();
    let (outcomes, _) = feed(&behaviours, 2);
    for (expected, outcome) in calls.iter().zip(&outcomes) {
        let End::Hung { call, killed: false, .. } = outcome.end else { panic!("{expected}: {outcome:?}") };
        assert_eq!(call, *expected);
        assert!(outcome.is_bad());
    }
    assert_eq!(outcomes.last().unwrap().end, End::Finished);
}

/// What the system thinks of the thread of that name.
fn nice_of_thread(name: &str) -> Option<i32> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    // `number (name) state …`, where the nice value is the 19th.
    let mut of_that_name = stats.filter(|stat| stat.contains(&format!("({name})")));
    of_that_name.next()?.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

#[test]
fn a_slow_sink_misses_its_own_samples_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let plugin = load(&built::rust());
    let choose = |name: &str, options: &str| Chosen {
        plugin: plugin.clone(),
        name: name.into(),
        options: plugin.schema.read("odd", options).unwrap(),
    };
    let said = Said::default();
    let slow = choose("slow", &format!("do=wait {}", gate.display()));
    let mut sinks = Sinks::new(vec![slow, choose("fast", "")], said.log());
    let example = conformance::example();
    // Batches of 50,000: one is taken and five wait.
    let samples: Vec<_> = example.samples.iter().copied().cycle().take(50_000).collect();
    let batch = Batch { samples: &samples, ..example.as_batch() };
    sinks.open(&example.metadata).unwrap();
    for _ in 0..20 {
        sinks.batch(&batch).unwrap();
    }
    let ours = rustix::process::getpriority_process(None).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let nicer = (ours + 5).min(19);
    while nice_of_thread("sink slow") != Some(nicer) {
        assert!(Instant::now() < until, "{:?}, and ours is {ours}", nice_of_thread("sink slow"));
        std::thread::yield_now();
    }
    std::fs::write(&gate, "").unwrap();
    sinks.finish().unwrap();
    let [slow, fast] = sinks.outcomes() else { panic!() };
    assert!(slow.missed >= 14 * 50_000, "{slow:?}");
    for outcome in [slow, fast] {
        assert_eq!((&outcome.end, outcome.is_bad()), (&End::Finished, false));
        assert_eq!(outcome.delivered + outcome.missed, 20 * 50_000, "{outcome:?}");
        let (name, delivered, missed) = (&outcome.name, outcome.delivered, outcome.missed);
        let line = format!("{name}: Info: took {delivered} samples, missed {missed}");
        assert!(said.lines().contains(&line), "{:?}", said.lines());
    }
}

#[test]
fn a_flood_of_lines_is_cut_and_counted() {
    let (outcomes, said) = feed(&["chat"], 1);
    let lines: Vec<_> = said.iter().filter(|line| line.starts_with("odd chat: ")).collect();
    // And its last word.
    assert_eq!(lines.len(), 100 + 1);
    assert_eq!(lines[0], "odd chat: Info: line 0  [31m  of many");
    assert_eq!(outcomes[0].unsaid, 900);
}
