//! Go's tool reads what is posted, and finds what the capture would have.

use std::process::{Command, Stdio};

use tickscope_core::Sink;
use tickscope_export::paths::Paths;

use crate::posted;

#[test]
fn all_windows_together_are_the_recording() {
    let (asked, _, recording) = posted("", 3);
    let mut paths = Paths::default();
    paths.batch(&recording.as_batch()).unwrap();
    paths.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("go");
    command
        .args(["tool", "pprof", "-symbolize=none", "-top", "-unit=ns", "-nodefraction=0"])
        .stdin(Stdio::null());
    command.env("GOCACHE", folder.path()).env("PPROF_TMPDIR", folder.path());
    // Time and memory take turns.
    for (number, asked) in asked.iter().step_by(2).enumerate() {
        let file = folder.path().join(format!("{number}.pb.gz"));
        std::fs::write(&file, &asked.body).unwrap();
        command.arg(file);
    }
    let Ok(output) = command.output() else {
        println!(
            "skipped: go tool pprof is not installed: `cargo xtask test --install`, or Debian's golang-go"
        );
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let top = String::from_utf8_lossy(&output.stdout);
    assert!(top.contains("Type: cpu"), "{top}");
    assert!(top.contains(&format!("{}ns total", paths.total_ns())), "{} in {top}", paths.total_ns());
    assert!(top.contains("Account.pay @shops"), "{top}");
}
