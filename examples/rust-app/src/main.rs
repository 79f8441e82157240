//! Finds the words that several files share, and records how.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;

use tickscope::{
    AsyncSpan, Category, FlowPoint, Recording, async_span, counter, error_event, span, trace_function,
};
use tracing_subscriber::prelude::*;

static FILES: Category = Category::new("files", "Reading files.");

type Counts = HashMap<String, u64>;

struct Job {
    path: PathBuf,
    requested: FlowPoint,
    operation: AsyncSpan,
}

fn read(path: &PathBuf) -> std::io::Result<String> {
    let mut span = span!(category: FILES, "read");
    let text = span.check(std::fs::read_to_string(path))?;
    span.arg("bytes", text.len());
    Ok(text)
}

fn count(text: &str) -> Counts {
    trace_function!(bytes = text.len());
    let mut counts = Counts::new();
    for word in text.split(|character: char| !character.is_alphabetic()).filter(|word| word.len() > 3) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

fn work(mut job: Job, done: &mpsc::Sender<Counts>) {
    let _work = span!(follows: job.requested, "work");
    match read(&job.path) {
        Ok(text) => {
            let counts = count(&text);
            job.operation.arg("words", counts.len());
            let _ = done.send(counts); // nobody waits any more: the program is ending
        }
        Err(error) => {
            job.operation.fail();
            error_event!(&format!("{}: {error}", job.path.display()), recovered = true);
            eprintln!("{}: {error}", job.path.display());
        }
    }
}

fn merge(counts: mpsc::Receiver<Counts>) -> HashMap<String, (u64, u64)> {
    let mut all = HashMap::<String, (u64, u64)>::new();
    for file in counts {
        let _merge = tracing::info_span!("merge", words = file.len()).entered();
        for (word, count) in file {
            let (files, total) = all.entry(word).or_default();
            *files += 1;
            *total += count;
        }
        counter!("known words", all.len());
    }
    all
}

fn main() -> ExitCode {
    let mut given = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(capture) = given.next() else {
        eprintln!("usage: rust-app CAPTURE FILE…");
        return ExitCode::from(2);
    };
    // The two lines.
    let recording = match Recording::to_file(&capture) {
        Ok(recording) => recording,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    tracing_subscriber::registry().with(tickscope::layer()).init();

    let (done, counts) = mpsc::channel();
    for path in given {
        let operation = async_span!("file");
        operation.arg("path", &*path.to_string_lossy());
        let job = Job { path, requested: FlowPoint::here(), operation };
        let done = done.clone();
        std::thread::spawn(move || work(job, &done));
    }
    drop(done);
    let mut shared: Vec<_> = merge(counts).into_iter().filter(|(_, (files, _))| *files > 1).collect();
    shared.sort_by_key(|(word, (files, total))| (std::cmp::Reverse((*files, *total)), word.clone()));
    for (word, (files, total)) in shared.iter().take(10) {
        println!("{word}: {total} times in {files} files");
    }
    tracing::info!(shared = shared.len(), "done");

    let summary = recording.stop();
    for (sink, error) in &summary.failed {
        eprintln!("{sink}: {error}");
    }
    println!(
        "{}: {} events, {} dropped",
        capture.display(),
        summary.account.delivered,
        summary.account.dropped
    );
    ExitCode::SUCCESS
}
