//! Another build of SQLite reads the file: Debian's `sqlite3`.

use std::process::Command;

use crate::{rows, written};

#[test]
fn the_shell_finds_a_whole_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.sqlite");
    written(&file, "");
    let shell = |query: &str| {
        let output = Command::new("sqlite3").arg("-readonly").arg(&file).arg(query).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let Some(check) = shell("PRAGMA integrity_check") else {
        println!("skipped: sqlite3 is not installed: `cargo xtask test --install`, or Debian's sqlite3");
        return;
    };
    assert_eq!(check, "ok\n");
    let spans = "SELECT id, category, begin_ns, duration_ns, self_ns, bytes, outcome, parent, tick FROM spans ORDER BY id";
    let told: Vec<String> = shell(spans).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(told, rows(&file, spans));
    assert_eq!(told.len(), 4);
}
