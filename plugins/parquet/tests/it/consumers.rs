//! Another implementation reads the files: hyparquet, in JavaScript.

use std::path::Path;
use std::process::Command;

use crate::{ALL, files, written};

/// Where `cargo xtask test --install` puts it.
const HYPARQUET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../oracles/hyparquet/src/node.js");

const SCRIPT: &str = "
const [library, file] = process.argv.slice(-2)
const { asyncBufferFromFile, parquetReadObjects } = await import(library)
const rows = await parquetReadObjects({ file: await asyncBufferFromFile(file) })
const text = (_, value) => typeof value === 'bigint' ? value.toString() : value
for (const row of rows) console.log(JSON.stringify(row, text))
";

#[test]
fn hyparquet_reads_what_was_written() {
    if !Path::new(HYPARQUET).is_file() {
        println!("skipped: hyparquet is not installed: `cargo xtask test --install`");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), ALL);
    let read = |file: &str| {
        let mut command = Command::new("node");
        command
            .args(["--input-type=module", "--eval", SCRIPT, "--", HYPARQUET])
            .arg(folder.path().join(file));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let files = files(folder.path());
    let (spans, ticks) = (read(&files[0]), read(&files[1]));
    assert_eq!(spans.len(), 7);
    let event = &spans[2];
    for (column, expected) in [
        ("begin", "2026-09-21T14:13:20.000Z"),
        ("duration_ns", "60"),
        ("self_ns", "30"),
        ("bytes", "4294967295"),
        ("tick", "7"),
        ("category", "event"),
        ("resource", "banking"),
        ("name", "bank:pay"),
        ("outcome", "ok"),
        ("link_kind", "event"),
    ] {
        assert_eq!(event[column], expected, "{column} in {event}");
    }
    assert_eq!(spans[3]["file"], "dir with space/ü.lua");
    assert!(spans[6]["self_ns"].is_null() && spans[6]["tick"].is_null(), "{}", spans[6]);
    assert_eq!((ticks.len(), &ticks[0]["late"], &ticks[0]["number"]), (1, &true.into(), &"7".into()));
}
