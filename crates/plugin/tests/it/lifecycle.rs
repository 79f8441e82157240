//! Recordings that begin and end again and again in one process.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tickscope_core::{Sink, conformance};
use tickscope_plugin::{Chosen, End, Sinks};

use crate::{Said, built, load};

const TEST: &str = "lifecycle::a_hundred_recordings_leave_no_thread_and_no_descriptor_behind";

/// In a process of its own: other tests have threads and files too.
#[test]
fn a_hundred_recordings_leave_no_thread_and_no_descriptor_behind() {
    if std::env::var_os("TICKSCOPE_ALONE").is_none() {
        built::rust();
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let output =
            alone.args(["--exact", TEST, "--nocapture"]).env("TICKSCOPE_ALONE", "1").output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plugins = [load(&built::rust()), load(&built::c(folder.path(), "c_count", &[]))];
    let example = conformance::example();
    let before = held();
    for round in 0..100 {
        let said = Said::default();
        let chosen = plugins.iter().map(|plugin| Chosen {
            plugin: plugin.clone(),
            name: plugin.name.clone(),
            options: plugin.schema.read(&plugin.name, "").unwrap(),
        });
        let mut sinks = Sinks::new(chosen.collect(), said.log());
        sinks.open(&example.metadata).unwrap();
        sinks.batch(&example.as_batch()).unwrap();
        sinks.finish().unwrap();
        // A recording that has ended may be ended again.
        sinks.finish().unwrap();
        let ends: Vec<&End> = sinks.outcomes().iter().map(|outcome| &outcome.end).collect();
        assert_eq!(ends, [&End::Finished, &End::Finished], "round {round}: {:?}", said.lines());
        // A thread that has said its last word still has to end.
        let limit = Instant::now() + Duration::from_secs(30);
        while held() != before {
            assert!(Instant::now() < limit, "round {round}: {:?}, before {before:?}", held());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Threads and descriptors.
fn held() -> [usize; 2] {
    ["task", "fd"].map(|what| fs::read_dir(format!("/proc/self/{what}")).unwrap().count())
}
