//! What an FXServer says by itself: ticks from its `/perf/`, hitches from its console.

use std::error::Error;

use tickscope_watch::{Watch, perf};

/// What `/perf/` answers after so many ticks, a few of them late.
fn answer(ticks: u32, late: u32) -> String {
    format!(
        "tickTime_bucket{{name=\"svMain\",le=\"0.05\"}} {}\ntickTime_bucket{{name=\"svMain\",le=\"+Inf\"}} {ticks}\n\
         tickTime_sum{{name=\"svMain\"}} {}\ntickTime_count{{name=\"svMain\"}} {ticks}\n",
        ticks - late,
        f64::from(ticks) * 0.004
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let second = 1_000_000_000;
    let mut watch = Watch::default();
    // A program fetches and tails; times are nanoseconds of any clock that does not run backwards.
    watch.perf(0, &perf::read(&answer(1_000, 3))?);
    watch.line(2 * second, "[script:oxmysql] shops took 396.6ms to execute a query!");
    watch.line(3 * second, "[citizen] server thread hitch warning: timer interval of 412 milliseconds");
    watch.perf(10 * second, &perf::read(&answer(1_200, 4))?);

    let summary = watch.summary();
    for hitches in &summary.hitches {
        println!("{}: {} hitch, {} ms at most", hitches.thread, hitches.count, hitches.max_ms);
    }
    for near in &summary.near {
        println!("near it: {}", near.what);
    }
    for thread in &summary.threads {
        let (name, ticks) = (&thread.name, &thread.ticks);
        println!("{name}: {} ticks meanwhile, {} longer than 50 ms", ticks.count, ticks.longer_than(0.05));
    }
    Ok(())
}
