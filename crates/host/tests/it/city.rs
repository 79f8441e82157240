//! The acceptance test: the city of `examples/city` runs, and its late ticks are explained.
//!
//! Nine faults are planted in it. Under each seed, after renaming its resources and functions, after moving its lines
//! and turning the order round in which its resources start, each fault is named and nobody else is accused; the same
//! server with the faults mended has no late tick and no slow operation of its own making.

mod assemble;
mod findings;
mod probed;

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use assemble::{City, Variant};
use findings::Findings;

/// Two cities at once would make each other's ticks late.
pub static ALONE: Mutex<()> = Mutex::new(());

/// Half a minute of the city: each fault comes at least three times.
const TICKS: u32 = 600;

/// Each fault comes at least once.
const FEWER_TICKS: u32 = 330;

/// Plays `ticks` of `city` with the real command and reads what it says.
#[track_caller]
fn run(city: &City, ticks: u32, seed: u32) -> Findings {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("run")
        .arg(city.root())
        .args([
            "--ticks",
            &ticks.to_string(),
            "--seed",
            &seed.to_string(),
            "--virtual-time",
            "--format",
            "json",
        ])
        .arg("-o")
        .arg(city.scratch().join("city.perfetto-trace"))
        .output()
        .expect("the command can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tickscope run ended with {}:\n{stderr}", output.status);
    let findings = Findings::read(&output.stdout).unwrap_or_else(|problem| panic!("{problem}\n{stderr}"));
    assert_eq!(findings.ticks, u64::from(ticks), "all ticks were played");
    findings
}

/// Accusations that are wrong, three times: a stall of the machine that the system does not account for can hit any tick,
/// but it does not hit the same innocent again and again.
#[track_caller]
fn wrongly_accused(city: &City, ticks: u32, seed: u32, first: &Findings) -> Vec<String> {
    let mut wrong = first.wrongly_accused(city.planted());
    for _ in 0..2 {
        if !wrong.is_empty() {
            let again = run(city, ticks, seed).wrongly_accused(city.planted());
            wrong.retain(|accused| again.contains(accused));
        }
    }
    wrong
}

#[track_caller]
fn check(variant: &Variant, ticks: u32, seed: u32) -> City {
    let city = City::assemble(variant);
    let findings = run(&city, ticks, seed);
    let missed = findings.missed(city.planted());
    assert!(missed.is_empty(), "not named under seed {seed} with {variant:?}: {missed:#?}\n{findings:#?}");
    let wrong = wrongly_accused(&city, ticks, seed, &findings);
    assert!(
        wrong.is_empty(),
        "wrongly accused under seed {seed} with {variant:?}: {wrong:#?}\n{findings:#?}"
    );
    city
}

#[test]
fn each_fault_is_named_and_nobody_else_is() {
    check(&Variant::default(), TICKS, 1);
}

#[test]
fn other_seeds_find_the_same() {
    for seed in [7, 20_260_101] {
        check(&Variant::default(), FEWER_TICKS, seed);
    }
}

#[test]
fn names_and_lines_do_not_matter() {
    check(&Variant { renamed: true, moved_lines: true, ..Variant::default() }, FEWER_TICKS, 2);
}

#[test]
fn the_order_of_start_does_not_matter() {
    check(&Variant { reversed: true, ..Variant::default() }, FEWER_TICKS, 3);
}

#[test]
fn the_clean_twin_is_not_accused() {
    for (seed, renamed) in [(1, false), (4, true)] {
        let variant = Variant { over: Some("city-mended"), renamed, ..Variant::default() };
        let city = City::assemble(&variant);
        let findings = run(&city, TICKS, seed);
        let wrong = wrongly_accused(&city, TICKS, seed, &findings);
        assert!(
            wrong.is_empty(),
            "wrongly accused under seed {seed} with {variant:?}: {wrong:#?}\n{findings:#?}"
        );
    }
}

#[test]
fn a_search_on_a_worker_makes_no_tick_late() {
    let variant = Variant { over: Some("city-async"), ..Variant::default() };
    let city = check(&variant, FEWER_TICKS, 5);
    assert_eq!(city.planted().len() + 1, City::assemble(&Variant::default()).planted().len());
    let report = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .args(["report", "--format", "json"])
        .arg(city.scratch().join("city.perfetto-trace"))
        .output()
        .expect("the command can be started");
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).expect("a report");
    let rows = |list: &str| report[list].as_array().expect("a list").clone();
    let job = rows("symbols").into_iter().find(|row| row["function"] == "job server/garage.lua:12");
    assert_eq!(job.map(|job| (job["kind"].clone(), job["calls"].clone())), Some(("task".into(), 2.into())));
    assert!(rows("culprits").iter().all(|culprit| culprit["resource"] != "vehicles"), "{report:#}");
}

#[test]
fn planted_faults_are_where_the_list_says() {
    for variant in [
        Variant::default(),
        Variant { renamed: true, moved_lines: true, reversed: true, ..Variant::default() },
    ] {
        let city = City::assemble(&variant);
        assert!(city.planted().len() >= 9);
        for fault in city.planted() {
            let line = city.line(fault);
            assert!(
                line.contains(&format!("function {}(", fault.function)),
                "{fault:?}: found {line:?} there"
            );
        }
    }
}

/// Plays a city with the probe in its resources: the late ticks as the report explains them, and those of them that the
/// probe did not explain so on the console.
#[track_caller]
fn run_probed(city: &City) -> (Vec<probed::Late>, Vec<probed::Late>) {
    // each fault at least once
    const TICKS: &str = "192";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("run")
        .arg(city.root())
        .args(["--ticks", TICKS, "--virtual-time", "--real-nanotime", "--format", "json"])
        .args(["--set", "tickscope_late_ms=25", "--set", "tickscope_told=1000", "-o"])
        .arg(city.scratch().join("probed.perfetto-trace"))
        .output()
        .expect("the command can be started");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    let seen = probed::reported(&stdout);
    let unexplained = probed::unexplained(&seen, &probed::told(&stderr));
    (seen, unexplained)
}

#[test]
fn the_probe_explains_each_late_tick_as_this_profiler_does() {
    let city = City::assemble(&Variant::default());
    let mut install = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    let output = install.arg("install").arg(city.root()).args(city.resources()).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (seen, mut unexplained) = run_probed(&city);
    if !unexplained.is_empty() {
        // as above: a stall of the machine hits no tick of the same handler twice
        let again = run_probed(&city).1;
        unexplained.retain(|late| again.iter().any(|other| other.handler == late.handler));
    }
    assert!(unexplained.is_empty(), "not explained as here: {unexplained:#?}");
    for fault in city.planted().iter().filter(|fault| fault.late_tick) {
        assert!(
            seen.iter().any(|late| late.culprit == fault.resource),
            "{fault:?} made no tick late: {seen:#?}"
        );
    }
}

#[test]
fn each_planted_fault_has_a_mended_file() {
    let (city, twin) = (
        City::assemble(&Variant::default()),
        City::assemble(&Variant { over: Some("city-mended"), ..Variant::default() }),
    );
    assert!(twin.planted().is_empty(), "the twin has no fault to find");
    for fault in city.planted() {
        assert_ne!(city.source(fault), twin.source(fault), "{} is mended", fault.file);
    }
}
