//! Two producers paced at 5 million spans a second together, collected and written as a capture: does anything drop?
//!
//! ```console
//! $ cargo run --release -p tickscope --example paced -- --seconds 10 --spans-per-second 5000000 -o out.perfetto-trace
//! {"seconds":10.0,"producers":2,"spans_per_second":4998200.0,"attempted":99964000,"dropped":0,…}
//! ```
//!
//! Prints one line of JSON. Exits with 1 when an event was dropped, or spans came out that nobody recorded.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tickscope::{Recording, span};

const PRODUCERS: u64 = 2;
/// A burst, then a pause: how real threads behave, and how a paced one gives the processor back.
const BURST: Duration = Duration::from_millis(1);

struct Options {
    seconds: f64,
    spans_per_second: u64,
    output: PathBuf,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 10.0,
        spans_per_second: 5_000_000,
        output: std::env::temp_dir().join(format!("paced.{}.perfetto-trace", std::process::id())),
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} wants a value"))?;
        let number = |text: &str| text.parse().map_err(|_| format!("{name} {text}: expected a number"));
        match &*name {
            "--seconds" => options.seconds = number(&value)?,
            "--spans-per-second" => options.spans_per_second = number(&value)? as u64,
            "-o" => options.output = value.into(),
            _ => return Err(format!("{name}: expected --seconds, --spans-per-second or -o")),
        }
    }
    Ok(options)
}

/// Records spans at the pace until the time is over; how many.
fn produce(per_second: f64, time: Duration) -> u64 {
    let (start, mut done) = (Instant::now(), 0);
    loop {
        let elapsed = start.elapsed();
        if elapsed >= time {
            return done;
        }
        // At most two bursts at once: a producer that was off the processor does not make up for all it missed.
        let due = (elapsed.as_secs_f64() * per_second) as u64;
        let most = (per_second * BURST.as_secs_f64() * 2.0) as u64;
        for _ in 0..due.saturating_sub(done).min(most.max(1)) {
            let _span = span!("paced");
            done += 1;
        }
        std::thread::sleep(BURST.saturating_sub(start.elapsed() - elapsed));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    let recording = Recording::builder().file(&options.output).start()?;
    let time = Duration::from_secs_f64(options.seconds);
    let per_second = options.spans_per_second as f64 / PRODUCERS as f64;
    let start = Instant::now();
    let spans: u64 = std::thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS).map(|_| scope.spawn(|| produce(per_second, time))).collect();
        producers.into_iter().map(|producer| producer.join().unwrap_or(0)).sum()
    });
    let took = start.elapsed().as_secs_f64();
    let summary = recording.stop();
    let account = summary.account;
    let bytes = std::fs::metadata(&options.output)?.len();
    let share = summary.overhead.share;
    println!(
        "{{\"seconds\":{took:.3},\"producers\":{PRODUCERS},\"spans_per_second\":{:.0},\"attempted\":{},\"delivered\":{},\
         \"dropped\":{},\"capture_bytes\":{bytes},\"pair_ns\":{:.1},\"share_of_a_core\":{share:.3}}}",
        spans as f64 / took,
        account.attempted,
        account.delivered,
        account.dropped,
        summary.overhead.operations.pair_ns,
    );
    std::fs::remove_file(&options.output)?;
    for (sink, error) in &summary.failed {
        eprintln!("{sink}: {error}");
    }
    let lost = account.dropped > 0 || account.attempted != 2 * spans || !summary.failed.is_empty();
    std::process::exit(i32::from(lost));
}
