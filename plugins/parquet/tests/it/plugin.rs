//! The library, loaded, against the host's rules, and what is in its files.

use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use tickscope_core::{Event, Metadata, RecordingSink, Sink, conformance};

use crate::{ALL, files, sink, written};

const SPANS: &str = "server=city_one_ä/hour=2026-09-21-14/spans-1790000000-4711-1.parquet";
const TICKS: &str = "server=city_one_ä/hour=2026-09-21-14/ticks-1790000000-4711-1.parquet";

/// The columns of each row, as text.
fn rows(file: &Path, columns: &[&str]) -> Vec<String> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    assert_eq!(reader.num_row_groups(), 1);
    let shown = |field: &Field| match field {
        Field::Str(text) => text.clone(),
        Field::Null => String::new(),
        other => other.to_string(),
    };
    let row = |row: parquet::record::Row| {
        let known: Vec<(String, String)> =
            row.get_column_iter().map(|(name, field)| (name.clone(), shown(field))).collect();
        let value = |wanted: &&str| known.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
        columns.iter().map(value).collect::<Vec<_>>().join("|")
    };
    reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect()
}

#[test]
fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(|| sink(folder.path().to_str().unwrap()));
}

#[test]
fn every_kind_of_row() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), ALL);
    assert_eq!(files(folder.path()), [SPANS, TICKS]);
    let columns = [
        "category",
        "resource",
        "name",
        "file",
        "line",
        "track",
        "duration_ns",
        "self_ns",
        "bytes",
        "outcome",
        "tick",
        "link_kind",
    ];
    let coroutine = "thread @banking/server/main.lua:12";
    let odd = "odd;one|a\"b\\c\n;\u{1}\\xff <&> =1+1|dir with space/ü.lua|1";
    assert_eq!(
        rows(&folder.path().join(SPANS), &columns),
        [
            format!("function|shops|Account.pay|server/main.lua|40|{coroutine}|9|9|64|ok|7|"),
            format!("native|banking|GET_PLAYER_PED||0|{coroutine}|9|9|0|error|7|"),
            "event|banking|bank:pay|server/main.lua|12|main|60|30|4294967295|ok|7|event".to_owned(),
            format!("function|{odd}|{coroutine}|20|20|10|unwound|7|"),
            "tick||tick||0|main|4000|3920|4096|ok|7|".to_owned(),
            format!("function|banking|Account.pay|server/main.lua|40|{coroutine}|3990|22|128|ok|7|"),
            format!("io|{odd}|download|960||0|truncated||"),
        ]
    );
    let columns = ["number", "duration_ns", "late", "open", "bytes", "involuntary"];
    assert_eq!(rows(&folder.path().join(TICKS), &columns), ["7|4000|true|false|4096|"]);
}

#[test]
fn what_is_written_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "");
    let categories = rows(&folder.path().join(SPANS), &["category"]);
    assert_eq!(categories, ["native", "event", "tick", "io"]);
    let other = tempfile::tempdir().unwrap();
    written(other.path(), ", \"min_duration_us\": 4");
    assert_eq!(rows(&other.path().join(SPANS), &["category"]), ["tick"]);
}

#[test]
fn sinks_of_one_recording_write_to_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let example = conformance::example();
    let options = format!("{{\"folder\": {:?}, \"rows\": 2}}", folder.path());
    let mut sinks = [sink(&options), sink(&options)];
    for sink in &mut sinks {
        sink.open(&example.metadata).unwrap();
        sink.batch(&example.as_batch()).unwrap();
    }
    for sink in &mut sinks {
        sink.finish().unwrap();
    }
    let found = files(folder.path());
    let all: usize = found.iter().map(|file| rows(&folder.path().join(file), &["span"]).len()).sum();
    assert_eq!(all, 2 * 5, "{found:?}");
    assert!(found.iter().all(|file| file.ends_with(".parquet")), "{found:?}");
}

#[test]
fn names_that_are_being_written_are_left_alone_and_old_ones_are_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let server = folder.path().join("server=city_one_ä");
    std::fs::create_dir(&server).unwrap();
    let (old, new) = (
        server.join(".ticks-1700000000-1-1.parquet.part"),
        server.join(".spans-1790000000-4711-1.parquet.part"),
    );
    std::fs::write(&old, "x").unwrap();
    std::fs::write(&new, "x").unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    written(folder.path(), ALL);
    assert!(!old.exists());
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "x");
    let found = files(folder.path());
    assert!(found.iter().any(|file| file.ends_with("/spans-1790000000-4711-2.parquet")), "{found:?}");
}

#[test]
fn a_name_is_as_long_as_file_systems_bear() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(&format!("{{\"folder\": {:?}, \"server\": {:?}}}", folder.path(), "城".repeat(100)));
    sink.open(&Metadata::default()).unwrap();
    assert!(folder.path().join(format!("server={}", "城".repeat(66))).is_dir());
}

/// The example, so many nanoseconds later.
fn later(by_ns: u64) -> RecordingSink {
    let mut example = conformance::example();
    for sample in &mut example.samples {
        sample.time_ns += by_ns;
        if let Event::End(end) = &mut sample.event {
            end.begin_ns += by_ns;
        }
    }
    example
}

#[test]
fn hours_have_folders_and_files_have_so_many_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(&format!("{{\"folder\": {:?}, \"server\": \"..\", \"rows\": 3}}", folder.path()));
    let example = conformance::example();
    sink.open(&example.metadata).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    sink.batch(&later(3_600_000_000_000).as_batch()).unwrap();
    sink.finish().unwrap();
    let (first, second) = ("server=../hour=2026-09-21-14", "server=../hour=2026-09-21-15");
    let found = files(folder.path());
    let count = |file: &String| rows(&folder.path().join(file), &["span"]).len();
    assert_eq!(found.iter().map(count).sum::<usize>(), 2 * 5);
    assert!(found.iter().filter(|file| file.contains("spans-")).all(|file| count(file) <= 3));
    assert!(
        found.iter().any(|file| file.starts_with(first)) && found.iter().any(|file| file.starts_with(second))
    );
}

#[test]
fn threads_that_are_behind_at_the_end_of_an_hour_make_no_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(&format!("{{\"folder\": {:?}}}", folder.path()));
    let example = conformance::example();
    sink.open(&example.metadata).unwrap();
    for _ in 0..20 {
        sink.batch(&example.as_batch()).unwrap();
        sink.batch(&later(3_600_000_000_000).as_batch()).unwrap();
    }
    sink.finish().unwrap();
    let found = files(folder.path());
    let mut kinds: Vec<&str> = found.iter().map(|file| file.split_once('/').unwrap().1).collect();
    kinds.sort_unstable();
    let (first, second) = ("hour=2026-09-21-14", "hour=2026-09-21-15");
    let expected = [(first, "spans", 1), (first, "ticks", 1), (second, "spans", 2), (second, "ticks", 2)];
    assert_eq!(
        kinds,
        expected.map(|(hour, kind, number)| format!("{hour}/{kind}-1790000000-4711-{number}.parquet"))
    );
    let count = |file: &String| rows(&folder.path().join(file), &["span"]).len();
    assert_eq!(found.iter().map(count).sum::<usize>(), 20 * 2 * 5);
}

#[test]
fn a_kill_leaves_whole_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(&format!("{{\"folder\": {:?}, \"rows\": 3}}", folder.path()));
    let example = conformance::example();
    sink.open(&example.metadata).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    // What a kill would leave: the rows that wait are not there.
    let left = files(folder.path());
    let all: usize = left.iter().map(|file| rows(&folder.path().join(file), &["span"]).len()).sum();
    assert!((3..5).contains(&all), "{left:?}");
}

#[test]
fn places_that_cannot_be_written_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let mut first = sink(file.to_str().unwrap());
    let error = first.open(&Metadata::default()).unwrap_err().to_string();
    assert!(error.contains("cannot make the folder") && error.contains("file/server="), "{error}");

    let mut second = sink(folder.path().to_str().unwrap());
    let example = conformance::example();
    second.open(&example.metadata).unwrap();
    second.batch(&example.as_batch()).unwrap();
    let server = folder.path().join("server=examples__quoted_");
    std::fs::remove_dir(&server).unwrap();
    std::fs::write(&server, "x").unwrap();
    second.finish().unwrap();
    let health = second.health.clone().unwrap();
    assert!(health.degraded && health.written == 0 && health.lost == 5, "{health:?}");
    let why = [
        "5 rows are not there: cannot write ",
        "ticks-1790000000-4711-1.parquet",
        "the recording lost 3 events",
    ];
    assert!(why.iter().all(|why| health.message.contains(why)), "{}", health.message);
}

#[test]
fn a_disk_that_has_room_again_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let trial = tickscope_trial::Trial::new("tickscope-parquet");
    let mut sink = trial.direct(&format!("{{\"folder\": {:?}, \"rows\": 5}}", folder.path()));
    let example = conformance::example();
    sink.open(&example.metadata).unwrap();
    let server = folder.path().join("server=examples__quoted_");
    std::fs::remove_dir(&server).unwrap();
    std::fs::write(&server, "x").unwrap();
    sink.batch(&example.as_batch()).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    std::fs::remove_file(&server).unwrap();
    sink.batch(&example.as_batch()).unwrap();
    sink.finish().unwrap();
    let health = sink.health.clone().unwrap();
    assert_eq!((health.written, health.lost), (5, 10), "{health:?}");
    assert_eq!(trial.said().len(), 1, "{:?}", trial.said());
}
