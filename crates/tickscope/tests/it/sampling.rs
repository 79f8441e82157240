//! Head sampling: whole trees or nothing of them.

use std::sync::Arc;

use tickscope::{Recording, SamplingConfig, Summary, error_event, instant, span};

use crate::{record_with, story};

fn sampled(config: SamplingConfig, program: impl FnOnce()) -> (Vec<String>, Arc<Summary>) {
    let mut summary = None;
    let sink = record_with(Recording::builder().sampling(config), |recording| {
        program();
        summary = Some(recording.stop());
    });
    (story(&sink), summary.expect("the program ran"))
}

#[test]
fn trees_are_kept_or_dropped_whole() {
    let config = SamplingConfig { rate: 0.1, ..SamplingConfig::default() };
    let (told, summary) = sampled(config, || {
        for n in 0..2_000 {
            let _root = span!("root", n = n);
            let _child = span!("child");
            instant!("moment");
        }
    });
    let count = |prefix: &str| told.iter().filter(|line| line.starts_with(prefix)).count();
    let roots = count("begin root");
    assert!((120..280).contains(&roots), "200 expected, 6 sigma: {roots}");
    assert_eq!((count("begin child"), count("instant moment"), count("end ")), (roots, roots, 2 * roots));
    let sampled = summary.overhead.sampled.unwrap();
    assert_eq!((sampled.kept, sampled.sampled_out), (roots as u64, 2_000 - roots as u64));
    assert_eq!(sampled.skipped, 2 * sampled.sampled_out);
    assert_eq!((summary.account.attempted, summary.account.dropped), (5 * roots as u64, 0));
}

#[test]
fn critical_spans_and_errors_pass_at_rate_and_limit_zero() {
    let config = SamplingConfig { rate: 0.0, max_per_second: Some(0), overhead_budget: None };
    let (told, _) = sampled(config, || {
        let _root = span!("root");
        let _payment = span!(critical: true, "payment");
        let _below = span!("below");
        drop((_below, _payment));
        let _sibling = span!("sibling");
        instant!(critical: true, "alarm");
        error_event!("bad");
    });
    assert_eq!(
        told,
        [
            "begin payment",
            "begin below",
            "end below",
            "end payment",
            "instant alarm Track",
            "stack",
            "instant error Track message=\"bad\""
        ]
    );
}

#[test]
fn one_trace_is_decided_alike_everywhere() {
    let config = SamplingConfig { rate: 0.5, ..SamplingConfig::default() };
    let run = || {
        let program = || (0..200u64).for_each(|id| drop(span!(trace: id, "request", id = id)));
        sampled(config, program).0
    };
    let first = run();
    assert_eq!(first, run());
    assert!((100..300).contains(&first.len()), "{}", first.len());
}

#[test]
fn guards_left_in_another_order_leave_nothing_behind() {
    let config = SamplingConfig { rate: 0.5, ..SamplingConfig::default() };
    let recording = Recording::builder().sampling(config).start_apart().unwrap();
    let chosen = recording.on_this_thread();
    for id in 0..100u64 {
        let root = span!(trace: id, "root");
        let child = span!("child");
        drop(root);
        drop(child);
    }
    drop(chosen);
    let sampled = recording.stop().overhead.sampled.unwrap();
    assert_eq!(sampled.kept + sampled.sampled_out, 100, "each root was decided about");
    assert!(sampled.kept > 0 && sampled.skipped == sampled.sampled_out);
}

#[test]
fn the_limit_counts_what_it_refuses() {
    let config = SamplingConfig { max_per_second: Some(5), ..SamplingConfig::default() };
    let (told, summary) = sampled(config, || (0..100).for_each(|_| drop(span!("root"))));
    let sampled = summary.overhead.sampled.unwrap();
    assert_eq!(sampled.kept + sampled.limited, 100);
    assert_eq!(told.len() as u64, 2 * sampled.kept);
    assert!(sampled.limited > 0);
}

#[test]
fn a_bad_rate_is_named() {
    let config = SamplingConfig { rate: 2.0, ..SamplingConfig::default() };
    let error = Recording::builder().sampling(config).start_apart().unwrap_err();
    assert_eq!(error.to_string(), "sampling rate 2 is not between 0 and 1");
}
