//! When alerts begin, end and are told, second by second.

use tickscope_counts::Clock;

use crate::engine::{Engine, Episode, State};
use crate::rules::{Limit, Measure, Rule, Severity};
use crate::summary;
use crate::window::{Measured, SECOND_NS, Window};

fn rule(limit: Limit) -> Rule {
    Rule {
        name: "busy".into(),
        measure: Measure::MsPerTick,
        resource: "*".into(),
        limit,
        severity: Severity::Critical,
        window_s: 10,
        for_ns: 0,
        clear_ns: 0,
    }
}

/// Gives one value each second, from second 1 on; in which seconds something is told, and what of which alert.
fn play(engine: &mut Engine, from: u64, values: &[f64]) -> Vec<(u64, State, u64)> {
    let mut told = Vec::new();
    for (second, value) in (from..).zip(values) {
        let measured = Measured { resource: Some(1), value: *value, blame: None };
        let notice = engine.step(0, &measured, Some("bank"), second * SECOND_NS);
        told.extend(notice.map(|notice| (notice.time_ns / SECOND_NS, notice.state, notice.alert)));
    }
    told
}

use State::{Firing, Resolved};

#[test]
fn an_alert_begins_beyond_the_limit_and_ends_well_within_it() {
    let mut engine = Engine::new(vec![rule(Limit::Above(50.0))], 0, 0.1);
    let told = play(&mut engine, 1, &[50.0, 51.0, 60.0, 50.0, 46.0, 45.0, 51.0]);
    // 46 is within the limit, and not yet away from it.
    assert_eq!(told, [(2, Firing, 1), (6, Resolved, 1), (7, Firing, 2)]);
    let mut engine = Engine::new(vec![rule(Limit::Below(20.0))], 0, 0.1);
    assert_eq!(play(&mut engine, 1, &[20.0, 19.0, 21.0, 22.0]), [(2, Firing, 1), (4, Resolved, 1)]);
}

#[test]
fn a_rule_may_ask_for_time_on_both_sides() {
    let patient = Rule { for_ns: 2 * SECOND_NS, clear_ns: 3 * SECOND_NS, ..rule(Limit::Above(50.0)) };
    let mut engine = Engine::new(vec![patient], 0, 0.0);
    // Interrupted once on the way there and once on the way back.
    let told =
        play(&mut engine, 1, &[60.0, 60.0, 0.0, 60.0, 60.0, 60.0, 0.0, 0.0, 60.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(told, [(6, Firing, 1), (13, Resolved, 1)]);
}

#[test]
fn the_same_is_told_once_in_the_cool_down() {
    let mut engine = Engine::new(vec![rule(Limit::Above(50.0))], 10 * SECOND_NS, 0.0);
    // Told at 1; what begins at 3 and 5 is held back; what begins at 8 goes on, and is told at 11.
    let told =
        play(&mut engine, 1, &[60.0, 0.0, 60.0, 0.0, 60.0, 0.0, 0.0, 60.0, 60.0, 60.0, 60.0, 60.0, 0.0]);
    assert_eq!(told, [(1, Firing, 1), (2, Resolved, 1), (11, Firing, 4), (13, Resolved, 4)]);
    let statistics = engine.statistics()[0];
    assert_eq!((statistics.fired, statistics.resolved, statistics.held_back), (4, 4, 2));
    // Of another resource it is another alert.
    let measured = Measured { resource: Some(2), value: 60.0, blame: None };
    assert!(engine.step(0, &measured, Some("shop"), 14 * SECOND_NS).is_some());
}

#[test]
fn seconds_in_which_nothing_is_measured_are_neither_broken_nor_well() {
    let patient = Rule { for_ns: 3 * SECOND_NS, clear_ns: 3 * SECOND_NS, ..rule(Limit::Above(50.0)) };
    let mut engine = Engine::new(vec![patient], 0, 0.0);
    assert_eq!(play(&mut engine, 1, &[60.0, 60.0]), []);
    assert_eq!(play(&mut engine, 60, &[60.0, 60.0, 0.0]), [(61, Firing, 1)]);
    assert_eq!(play(&mut engine, 90, &[0.0, 0.0, 0.0]), [(92, Resolved, 1)]);
}

#[test]
fn statistics_and_history_are_exact() {
    let mut engine = Engine::new(vec![rule(Limit::Above(50.0))], 0, 0.0);
    play(&mut engine, 1, &[60.0, 70.0, 65.0, 0.0, 80.0, 0.0, 0.0, 90.0, 91.0]);
    let statistics = engine.statistics()[0];
    // From 1 to 4, and from 5 to 6.
    assert_eq!((statistics.fired, statistics.resolved, statistics.open_ns), (3, 2, 4 * SECOND_NS));
    assert_eq!(statistics.mean_ns(), Some(2 * SECOND_NS));
    let window = Window::new(tickscope_counts::Recording::default(), 10, engine.rules());
    let episode = |fired: u64, resolved: Option<u64>, worst| {
        let (fired_ns, resolved_ns) = (fired * SECOND_NS, resolved.map(|resolved| resolved * SECOND_NS));
        // The window of this test knows no resources.
        let resource = Some(if resolved.is_some() { "bank".to_owned() } else { String::new() });
        Episode { rule: 0, resource, fired_ns, resolved_ns, worst, told: true }
    };
    let expected = [episode(1, Some(4), 70.0), episode(5, Some(6), 80.0), episode(8, None, 91.0)];
    assert_eq!(engine.history(&window), expected);
    assert_eq!((engine.fired(Severity::Critical), engine.fired(Severity::Warning)), (3, 0));

    let clock = Clock { start_ns: 0, start_unix_ns: 1_795_716_245 * SECOND_NS };
    assert_eq!(
        summary(&engine, &window, 5, clock),
        [
            "3 alerts: 3 critical; 2 over, after 2 s on average; 1 still open; 5 not told by a channel, for there were too many a minute",
            "busy (critical): 3 times, over after 2 s on average",
            "18:04:06 UTC busy of bank, for 3 s, at worst 70",
            "18:04:10 UTC busy of bank, for 1 s, at worst 80",
            "18:04:13 UTC busy of , still open, at worst 91",
        ]
    );
    let nothing = Engine::new(vec![rule(Limit::Above(50.0))], 0, 0.0);
    assert_eq!(summary(&nothing, &window, 0, clock), Vec::<String>::new());
}

#[test]
fn history_is_bounded_and_sums_are_not() {
    let mut engine = Engine::new(vec![rule(Limit::Above(50.0))], 0, 0.0);
    let values: Vec<f64> = (0..1_000).map(|second| if second % 2 == 0 { 60.0 } else { 0.0 }).collect();
    play(&mut engine, 1, &values);
    let window = Window::new(tickscope_counts::Recording::default(), 10, engine.rules());
    assert_eq!((engine.history(&window).len(), engine.statistics()[0].fired), (256, 500));
    let lines = summary(&engine, &window, 0, Clock { start_ns: 0, start_unix_ns: 0 });
    assert_eq!((lines.len(), &*lines[12]), (2 + 10 + 1, "and 490 before these"));
}

#[test]
fn the_readme_tells_every_measure_and_option() {
    let readme = include_str!("../README.md");
    let schema: serde_json::Value = serde_json::from_str(include_str!("schema.json")).unwrap();
    let properties = &schema["properties"];
    let names = |object: &serde_json::Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut told = names(properties);
    told.extend(names(&properties["rules"]["items"]["properties"]));
    told.extend(names(&properties["channels"]["items"]["properties"]));
    let measures = properties["rules"]["items"]["properties"]["measure"]["enum"].as_array().unwrap();
    told.extend(measures.iter().map(|name| name.as_str().unwrap().to_owned()));
    for name in told {
        assert!(readme.contains(&format!("`{name}`")), "the README does not tell of {name}");
    }
}
