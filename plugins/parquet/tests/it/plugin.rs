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
    written(folder.path(), ", \"min_duration_us\": 4");
    assert_eq!(rows(&folder.path().join(SPANS), &["category"]), ["tick"]);
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
    // Five rows of spans and ticks an hour, three in a file and two when the hour is over.
    assert_eq!(found.len(), 6, "{found:?}");
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
    let error = second.finish().unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("spans-1790000000-4711-1.parquet"), "{error}");
}
