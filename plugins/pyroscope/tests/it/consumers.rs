//! Go's tool reads what is posted, and finds what the capture would have.

use std::process::{Command, Stdio};

use tickscope_core::Sink;
use tickscope_export::paths::Paths;

use crate::posted;
use tickscope_trial::Got;

/// What `go tool pprof` says of every second body from `first` on: time and memory take turns.
fn top(asked: &[Got], first: usize, unit: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-symbolize=none", "-top", unit, "-nodefraction=0"]).stdin(Stdio::null());
    command.env("GOCACHE", folder.path()).env("PPROF_TMPDIR", folder.path());
    for (number, asked) in asked.iter().skip(first).step_by(2).enumerate() {
        let file = folder.path().join(format!("{number}.pb.gz"));
        std::fs::write(&file, &asked.body).unwrap();
        command.arg(file);
    }
    let Ok(output) = command.output() else {
        println!(
            "skipped: go tool pprof is not installed: `cargo xtask test --install`, or Debian's golang-go"
        );
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn all_windows_together_are_the_recording() {
    let (asked, _, recording) = posted("", 3);
    let mut paths = Paths::default();
    paths.batch(&recording.as_batch()).unwrap();
    paths.finish().unwrap();
    let Some(time) = top(&asked, 0, "-unit=ns") else { return };
    assert!(time.contains("Type: cpu"), "{time}");
    assert!(time.contains(&format!("{}ns total", paths.total_ns())), "{} in {time}", paths.total_ns());
    assert!(time.contains("Account.pay @shops"), "{time}");
    let Some(memory) = top(&asked, 1, "-unit=B") else { return };
    assert!(memory.contains("Type: alloc_space"), "{memory}");
    let allocated: u64 = paths.allocated().iter().sum();
    assert!(allocated > 0 && memory.contains(&format!("{allocated}B total")), "{allocated} in {memory}");
}
