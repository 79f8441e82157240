//! The library, loaded, against the host's rules, and what is in its tables.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use tickscope_core::{Event, Metadata, Sink, SpanId, conformance};

use crate::{feed, rows, trial, written};

#[test]
fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.sqlite");
    trial().conforms(file.to_str().unwrap());
}

#[test]
fn every_kind_of_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let all = ", \"categories\": [\"tick\", \"event\", \"function\", \"native\", \"io\"]";
    let before = written(&file, all);
    assert_eq!(before, Vec::<String>::new());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "there is one file at the end");

    assert_eq!(
        rows(&file, "SELECT number, begin_ns, duration_ns, late, open, bytes FROM ticks"),
        ["7|100|4000|1|0|4096"]
    );
    let spans = "SELECT category, resource, name, track_name, s.begin_ns, s.duration_ns, self_ns, s.bytes, outcome, number
        FROM named_spans s LEFT JOIN ticks ON ticks.span = tick ORDER BY s.begin_ns, s.duration_ns DESC";
    assert_eq!(
        rows(&file, spans),
        [
            "tick||tick|main|100|4000|3920|4096|ok|7",
            "event|banking|bank:pay|main|120|60|30|4294967295|ok|7",
            "function|banking|Account.pay|thread @banking/server/main.lua:12|140|3990|22|128|ok|7",
            "function|shops|Account.pay|thread @banking/server/main.lua:12|141|9|9|64|ok|7",
            "native|banking|GET_PLAYER_PED|thread @banking/server/main.lua:12|151|9|9|0|error|7",
            "function|odd;one|a\"b\\c\n;\u{1}\\xff <&> =1+1|thread @banking/server/main.lua:12|200|20|20|10|unwound|7",
            "io|odd;one|a\"b\\c\n;\u{1}\\xff <&> =1+1|download|4140|960||0|truncated|",
        ]
    );
    assert_eq!(
        rows(
            &file,
            "SELECT kind, s.category, t.category FROM links JOIN spans s ON s.id = source JOIN spans t ON t.id = target"
        ),
        ["event|tick|event"]
    );
    assert_eq!(
        rows(
            &file,
            "SELECT category, key, span_args.value FROM span_args JOIN spans ON spans.id = span ORDER BY begin_ns, key"
        ),
        [
            "tick|run_delay_ns|18446744073709552000",
            "tick|tick|7",
            "event|player|-14",
            "native|ok|0",
            "native|ped|0xdeadbeef",
            "function|ratio|0.5"
        ]
    );
    assert_eq!(
        rows(
            &file,
            "SELECT time_ns, category, key, value FROM instants JOIN instant_args ON instant = id ORDER BY key"
        ),
        ["210|error|nan|inf", "210|error|text|player said \"hi\"\n"]
    );
    assert_eq!(
        rows(&file, "SELECT time_ns, name, value FROM counters JOIN symbols ON id = symbol"),
        ["230|players|64", "240|players|63.5"]
    );
    let facts = rows(&file, "SELECT name, value FROM recording ORDER BY name");
    for fact in
        ["budget_ns|2000", "end_ns|5100", "lost|3", "missed|0", "seed|7", "subject|examples \"quoted\""]
    {
        assert!(facts.iter().any(|found| found == fact), "no {fact} in {facts:?}");
    }
    assert_eq!(rows(&file, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql <> ''"), ["7"]);
}

#[test]
fn the_queries_of_the_readme_find_something() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    // All that is there by default but functions.
    written(&file, "");
    let readme = include_str!("../../README.md");
    let queries: Vec<&str> =
        readme.split("```sql\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(queries.len() >= 6);
    for query in queries {
        assert!(!rows(&file, query).is_empty(), "{query} finds nothing");
    }
}

#[test]
fn what_is_written_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let categories = "SELECT category FROM spans ORDER BY category";
    written(&file, "");
    assert_eq!(rows(&file, categories), ["event", "io", "native", "tick"]);
    written(&file, ", \"categories\": [\"function\", \"event\"], \"args\": false");
    assert_eq!(rows(&file, categories), ["event", "function", "function", "function"]);
    assert_eq!(rows(&file, "SELECT * FROM span_args"), Vec::<String>::new());
    written(&file, ", \"min_duration_us\": 4");
    assert_eq!(rows(&file, categories), ["tick"]);
}

#[test]
fn a_kill_leaves_what_was_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let mut sink = trial().direct(file.to_str().unwrap());
    feed(&mut sink, &conformance::example());
    // It is read while it is written.
    assert_eq!(rows(&file, "SELECT count(*) FROM ticks"), ["1"]);
    // What a kill would leave.
    let left = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
        }
    }
    let copy = left.path().join("city.sqlite");
    assert_eq!(rows(&copy, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(rows(&copy, "SELECT count(*) FROM spans"), ["4"]);
    // The next recording replaces what is left.
    written(&copy, "");
    assert_eq!(rows(&copy, "SELECT count(*) FROM spans"), ["4"]);
}

#[test]
fn a_full_file_gets_ticks_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let trial = trial();
    let mut sink =
        trial.direct(&format!("{{\"file\": {file:?}, \"max_mb\": 1, \"categories\": [\"tick\"]}}"));
    let mut example = conformance::example();
    sink.open(&example.metadata).unwrap();
    // The text of its one instant, made long.
    example.text = "x".repeat(20_000);
    for arg in &mut example.args {
        if let tickscope_core::ArgValue::Text { len, .. } = &mut arg.value {
            *len = 20_000;
        }
    }
    for _ in 0..100 {
        sink.batch(&example.as_batch()).unwrap();
    }
    let instants = rows_of(&file, &mut sink);
    let line = "sqlite: Warning: 1 MB are full: only ticks are written on; max_mb, min_duration_us and categories say what fits";
    assert_eq!(trial.said(), [line]);
    sink.batch(&example.as_batch()).unwrap();
    assert_eq!(rows_of(&file, &mut sink), instants, "a row was written to a full file");
    sink.finish().unwrap();
    assert_eq!(rows(&file, "SELECT count(*) FROM ticks"), ["1"]);
    let left_out: u64 =
        rows(&file, "SELECT value FROM recording WHERE name = 'left_out'")[0].parse().unwrap();
    assert!(left_out > 100, "{left_out}");
    assert!(file.metadata().unwrap().len() < 3 << 20);
}

#[test]
fn ticks_of_months_end_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let trial = trial();
    let options =
        format!("{{\"file\": {:?}, \"max_mb\": 1, \"categories\": [\"tick\"]}}", file.to_str().unwrap());
    let mut sink = trial.direct(&options);
    let mut server = tickscope_trial::Server::new();
    let pay = server.symbol("bank", "pay");
    server.ticks(60_000, 50, 40, pay);
    server.play(&mut sink).unwrap();
    assert_eq!(trial.said().len(), 2, "{:?}", trial.said());
    assert_eq!(trial.said()[1], "sqlite: Warning: 2 MB are full: nothing is written on");
    let ticks: u64 = rows(&file, "SELECT count(*) FROM ticks")[0].parse().unwrap();
    let health = sink.health.clone().unwrap();
    assert!(ticks > 10_000 && ticks < 60_000 && health.lost >= 60_000 - ticks, "{ticks}, {health:?}");
    // Indices are made nevertheless.
    assert!(file.metadata().unwrap().len() < 5 << 20);
}

fn rows_of(file: &Path, sink: &mut impl Sink) -> Vec<String> {
    sink.flush().unwrap();
    rows(file, "SELECT count(*) FROM instants")
}

#[test]
fn files_of_others_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let try_open = |file: &Path| {
        let mut sink = trial().direct(file.to_str().unwrap());
        sink.open(&Metadata::default()).unwrap_err().to_string()
    };
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "remember the milk").unwrap();
    assert!(
        try_open(&notes)
            .contains("notes.txt is there and is no database of this plugin; name another with file=FILE")
    );
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "remember the milk");

    let theirs = folder.path().join("theirs.sqlite");
    Connection::open(&theirs).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    assert!(try_open(&theirs).contains("is no database of this plugin"));
    assert_eq!(rows(&theirs, "SELECT name FROM sqlite_schema"), ["a"]);

    let ours = folder.path().join("ours.sqlite");
    let mut first = trial().direct(ours.to_str().unwrap());
    feed(&mut first, &conformance::example());
    assert!(try_open(&ours).contains("is being written by another recording"), "{}", try_open(&ours));
    first.batch(&conformance::example().as_batch()).unwrap();
    first.finish().unwrap();
    assert_eq!(rows(&ours, "SELECT count(*) FROM counters"), ["4"]);

    let nowhere = folder.path().join("no/folder/x.sqlite");
    assert!(try_open(&nowhere).contains("cannot write"), "{}", try_open(&nowhere));
}

#[test]
fn numbers_that_begin_again_are_ticks_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let mut sink = trial().direct(file.to_str().unwrap());
    let mut example = conformance::example();
    feed(&mut sink, &example);
    let later = |span: SpanId| SpanId::from_raw(span.raw() | 1 << 40).unwrap();
    for sample in &mut example.samples {
        match &mut sample.event {
            Event::Begin(begin) => begin.span = later(begin.span),
            Event::End(end) => end.span = later(end.span),
            _ => {}
        }
    }
    // As captures have it, which know no other numbers.
    for arg in &mut example.args {
        if let tickscope_core::ArgValue::Uint(7) = arg.value {
            arg.value = tickscope_core::ArgValue::Int(7);
        }
    }
    sink.batch(&example.as_batch()).unwrap();
    sink.finish().unwrap();
    assert_eq!(rows(&file, "SELECT number FROM ticks"), ["7", "7"]);
    let by_tick = "SELECT count(*) FROM spans JOIN ticks ON ticks.span = tick GROUP BY ticks.span";
    assert_eq!(rows(&file, by_tick), ["3", "3"]);
}

#[test]
fn a_recording_holds_its_file_between_transactions_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let lock = folder.path().join("city.sqlite-lock");
    let held = std::fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    let mut sink = trial().direct(file.to_str().unwrap());
    let error = sink.open(&Metadata::default()).unwrap_err().to_string();
    assert!(error.contains("is being written by another recording"), "{error}");
    // As a kill leaves it.
    drop(held);
    written(&file, "");
    assert!(file.exists() && !lock.exists());
}

/// Another program that has the file open: SQLite's locks hold between processes. It is this one again, as the test `child`.
struct Other {
    process: Child,
    said: BufReader<ChildStdout>,
}

const FILE: &str = "SQLITE_TEST_FILE";
const STATEMENTS: &str = "SQLITE_TEST_STATEMENTS";

#[test]
fn child() {
    let (Ok(file), Ok(statements)) = (std::env::var(FILE), std::env::var(STATEMENTS)) else { return };
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::ZERO).unwrap();
    while connection.execute_batch(&statements).is_err() {}
    println!("has it");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

impl Other {
    /// One that does this as soon as it can.
    fn start(file: &Path, statements: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "plugin::child", "--nocapture"]).env(FILE, file).env(STATEMENTS, statements);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// It has done it, and holds what it has.
    fn wait(&mut self) {
        let mut line = String::new();
        while !line.contains("has it") {
            line.clear();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "it has ended");
        }
    }

    fn end(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

#[test]
fn another_program_that_holds_the_file_costs_rows_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let trial = trial();
    let mut sink = trial.direct(file.to_str().unwrap());
    let example = conformance::example();
    feed(&mut sink, &example);
    // It gets the lock in the moment in which there is no transaction.
    let mut other = Other::start(&file, "BEGIN IMMEDIATE");
    while trial.said().is_empty() {
        sink.flush().unwrap();
    }
    let line = "sqlite: Warning: another program holds the file: rows are left out until it lets go";
    assert_eq!(trial.said(), [line]);
    other.wait();
    sink.batch(&example.as_batch()).unwrap();
    other.end();
    sink.flush().unwrap();
    sink.batch(&example.as_batch()).unwrap();
    sink.finish().unwrap();
    let health = sink.health.clone().unwrap();
    assert!(health.degraded && health.lost > 0, "{health:?}");
    assert!(health.message.contains("another program held the file"), "{health:?}");
    // Twice of three times.
    assert_eq!(rows(&file, "SELECT count(*) FROM counters"), ["4"]);
}

#[test]
fn one_who_reads_at_the_end_keeps_the_log_and_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    let mut sink = trial().direct(file.to_str().unwrap());
    feed(&mut sink, &conformance::example());
    let mut reader = Other::start(&file, "BEGIN; SELECT count(*) FROM spans");
    reader.wait();
    sink.finish().unwrap();
    let health = sink.health.clone().unwrap();
    assert!(health.message.contains("the -wal file beside it belongs to it"), "{health:?}");
    reader.end();
    assert_eq!(rows(&file, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql <> ''"), ["7"]);
    assert_eq!(rows(&file, "SELECT count(*) FROM spans"), ["4"]);
}

#[test]
fn a_process_has_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    written(&folder.path().join("city-{pid}.sqlite"), "");
    assert!(folder.path().join("city-4711.sqlite").is_file());
}
