//! Sinks in processes of their own: what they do there ends nothing but themselves.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tickscope_core::{Sink, conformance};
use tickscope_plugin::{Chosen, Direct, End, Isolation, Outcome, Plugin, Sinks, serve_isolated};

use crate::{Said, built};

/// This program, as the process of a sink.
fn isolation() -> Isolation {
    let arguments =
        ["--exact", "isolated::the_process_of_a_sink", "--ignored", "--nocapture", "--test-threads=1"];
    Isolation {
        program: std::env::current_exe().unwrap(),
        arguments: arguments.map(Into::into).into(),
        memory: Isolation::MEMORY,
        // A machine under load is slow.
        patience: Duration::from_secs(120),
    }
}

#[test]
#[ignore = "begun by the other tests, with a socket"]
fn the_process_of_a_sink() {
    match serve_isolated() {
        Ok(()) => std::process::exit(0),
        Err(why) => assert!(why.to_string().contains("of no use by hand"), "{why}"),
    }
}

pub fn load(file: &Path) -> Arc<Plugin> {
    Arc::new(Plugin::load_isolated(file, &isolation()).unwrap())
}

/// Feeds sinks with these behaviours and one in this process that notes what it gets: how it went with each, what was said,
/// what was noted.
fn feed(behaviours: &[&str]) -> (Vec<Outcome>, Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.txt");
    let (plugin, good) = (load(&built::rust()), crate::load(&built::rust()));
    let mut chosen: Vec<Chosen> = behaviours
        .iter()
        .map(|behaviour| Chosen {
            plugin: plugin.clone(),
            name: (*behaviour).to_owned(),
            options: plugin.schema.read("odd", &format!("do={behaviour}")).unwrap(),
        })
        .collect();
    let options = good.schema.read("odd", &format!("file={}", notes.display())).unwrap();
    chosen.push(Chosen { plugin: good, name: "good".into(), options });
    let said = Said::default();
    let mut sinks = Sinks::new(chosen, said.log());
    let example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    for _ in 0..3 {
        sinks.batch(&example.as_batch()).unwrap();
        sinks.tick(5_000).unwrap();
    }
    sinks.flush().unwrap();
    // The end gives them 2 s: on a machine under load a process is not even there by then.
    let until = Instant::now() + Duration::from_secs(120);
    let ready = |behaviour: &&str| {
        said.lines().iter().any(|line| line.starts_with(&format!("{behaviour}: ")))
            || processes(behaviour) > 0
    };
    while Instant::now() < until && !behaviours.iter().all(ready) {
        std::thread::sleep(Duration::from_millis(10));
    }
    sinks.finish().unwrap();
    let noted = std::fs::read_to_string(&notes).unwrap();
    (sinks.outcomes().to_vec(), said.lines(), noted)
}

/// How many processes serve a sink of that name.
fn processes(name: &str) -> usize {
    serving(name).len()
}

fn serving(name: &str) -> Vec<rustix::process::Pid> {
    let expected: String = format!("sink {name}").chars().take(15).collect();
    // The name of a thread of this program's may be the same.
    let own = std::process::id().to_string();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let serves = |process: &std::fs::DirEntry| {
        let threads = std::fs::read_dir(process.path().join("task")).into_iter().flatten().flatten();
        let mut names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
        names.any(|name| name.trim_end() == expected)
    };
    let all = all.filter(|process| process.file_name().to_str() != Some(&own)).filter(serves);
    let number = |process: std::fs::DirEntry| process.file_name().to_str()?.parse().ok();
    all.filter_map(number).filter_map(rustix::process::Pid::from_raw).collect()
}

/// What one that does nothing odd notes of the same.
fn expected() -> String {
    feed(&[]).2
}

#[test]
fn one_that_dies_is_told_with_how_and_the_others_get_all() {
    let ways = [
        ("abort open", "open", "died of SIGABRT"),
        ("abort batch", "batch", "died of SIGABRT"),
        ("segfault batch", "batch", "died of SIGSEGV"),
        ("segfault tick", "tick", "died of SIGSEGV"),
        ("memory batch", "batch", "died of SIGABRT"),
        ("exit batch", "batch", "ended its process (exit code 0)"),
        ("garble batch", "batch", "wrote into its connection to this program, and was ended"),
        ("shut batch", "batch", "closed its connection, and was ended"),
        ("abort close", "close", "died of SIGABRT"),
    ];
    let (outcomes, said, noted) = feed(&ways.map(|(behaviour, ..)| behaviour));
    for ((behaviour, place, expected), outcome) in ways.iter().zip(&outcomes) {
        let End::Died { call, how } = &outcome.end else { panic!("{behaviour}: {outcome:?}") };
        assert_eq!((call, how.as_str()), (place, *expected), "{behaviour}");
        let line = format!("{behaviour}: Error: {how} in its `{call}`; the recording goes on without it");
        assert_eq!(said.iter().filter(|said| **said == line).count(), 1, "{said:#?}");
        assert!(outcome.is_bad());
        assert_eq!(outcome.health.is_some(), *place == "close");
        assert_eq!(processes(behaviour), 0);
    }
    assert_eq!(noted, expected());
}

#[test]
fn that_one_is_gone_is_told_before_there_is_more_for_it() {
    let plugin = load(&built::rust());
    let options = plugin.schema.read("odd", "do=look batch").unwrap();
    let said = Said::default();
    let mut sinks = Sinks::new(vec![Chosen { plugin, name: "idle".into(), options }], said.log());
    let example = conformance::example();
    sinks.open(&example.metadata).unwrap();
    sinks.batch(&example.as_batch()).unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    let wait_for = |line: &str| {
        while Instant::now() < until && !said.lines().iter().any(|said| said.contains(line)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(said.lines().iter().any(|said| said.contains(line)), "{line}: {:#?}", said.lines());
    };
    wait_for("Info: open: ");
    let [pid] = serving("idle")[..] else { panic!("it has one process") };
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_for("idle: Error: died of SIGKILL ");
    sinks.finish().unwrap();
    assert!(sinks.outcomes()[0].is_bad());
}

#[test]
fn one_that_hangs_on_the_callers_thread_is_ended() {
    let isolation = Isolation { patience: Duration::from_secs(5), ..isolation() };
    let until = Instant::now() + Duration::from_secs(120);
    let plugin = loop {
        match Plugin::load_isolated(&built::rust(), &isolation) {
            Ok(plugin) => break Arc::new(plugin),
            Err(refusal) => assert!(Instant::now() < until, "{refusal}"),
        }
    };
    let options = plugin.schema.read("odd", "do=spin batch").unwrap();
    let mut sink = Direct::new(plugin, options, Said::default().log());
    let example = conformance::example();
    let opened = sink.open(&example.metadata);
    let error = opened.and_then(|()| sink.batch(&example.as_batch())).unwrap_err();
    assert_eq!(error.to_string(), "it did not answer");
}

#[test]
fn one_that_hangs_is_ended_with_the_recording() {
    let behaviours = ["spin open", "spin batch", "hang tick", "spin finish", "spin close"];
    let (outcomes, said, noted) = feed(&behaviours);
    let calls = ["open", "batch", "tick", "finish", "close"];
    for ((behaviour, expected), outcome) in behaviours.iter().zip(calls).zip(&outcomes) {
        let End::Hung { call, killed: true, .. } = outcome.end else { panic!("{behaviour}: {outcome:?}") };
        assert_eq!(call, expected);
        let line = format!("{behaviour}: Error: ");
        assert!(!said.iter().any(|said| said.starts_with(&line)), "{said:#?}");
        let until = Instant::now() + Duration::from_secs(60);
        while processes(behaviour) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(processes(behaviour), 0, "{behaviour} is left behind");
    }
    assert_eq!(noted, expected());
}

#[test]
fn what_it_was_lent_is_its_own() {
    let (outcomes, _, noted) = feed(&["scribble", "chat", "stop", "panic batch"]);
    let ends: Vec<_> = outcomes.iter().map(|outcome| &outcome.end).collect();
    assert_eq!(ends[..3], [&End::Finished; 3]);
    assert!(
        matches!(ends[3], End::Failed { call: "batch", reason } if reason.contains("more than it can bear"))
    );
    let samples = 3 * conformance::example().samples.len() as u64;
    assert_eq!((outcomes[0].delivered, outcomes[0].health.as_ref().unwrap().written), (samples, samples));
    assert_eq!(outcomes[1].unsaid, 900);
    assert_eq!(outcomes[2].health.as_ref().unwrap().written, samples / 3);
    assert_eq!(noted, expected());
}

#[test]
fn its_process_has_no_files_of_the_host() {
    // One that is handed to every process that is begun.
    let folder = tempfile::tempdir().unwrap();
    let secret = std::fs::File::create(folder.path().join("secret")).unwrap();
    let inherited = rustix::io::dup(&secret).unwrap();
    let said = Said::default();
    let plugin = load(&built::rust());
    let options = plugin.schema.read("odd", "do=look open").unwrap();
    let mut sink = Direct::new(plugin, options, said.log());
    sink.open(&conformance::example().metadata).unwrap();
    drop(sink);
    drop(inherited);
    let stderr = std::fs::read_link("/proc/self/fd/2").unwrap().display().to_string();
    let lines = said.lines();
    let open = lines.iter().find_map(|line| line.strip_prefix("odd: Info: open: ")).expect("it has looked");
    let open: Vec<_> = open.split(' ').filter(|file| **file != stderr).collect();
    assert!(matches!(&open[..], ["/dev/null", socket] if socket.starts_with("socket:")), "{open:?}");
}

#[test]
fn a_library_that_cannot_even_be_looked_at_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |file: &Path, isolation: &Isolation, expected: &str| {
        let error = Plugin::load_isolated(file, isolation).unwrap_err().to_string();
        assert_eq!(error, format!("{}: {expected}", file.display()));
    };
    let constructors =
        [("aborts", "abort()", "died of SIGABRT"), ("exits", "_Exit(3)", "ended its process (exit code 3)")];
    for (name, constructor, how) in constructors {
        let file = built::c(folder.path(), name, &[&format!("constructor = {constructor}")]);
        let expected = format!("its process {how} while it was loaded: its constructors run then");
        refused(&file, &isolation(), &expected);
    }
    let hangs = built::c(folder.path(), "hangs", &["constructor = for (;;) {}"]);
    let short = Isolation { patience: Duration::from_secs(1), ..isolation() };
    let expected = "it was not loaded after 1 s, and its process was ended: its constructors run then";
    refused(&hangs, &short, expected);
    let other = built::c(folder.path(), "other", &["major = 2"]);
    let expected = "it is made for version 2.0 of the table, this host for 1.0: take a newer tickscope";
    refused(&other, &isolation(), expected);
    let nobody = Isolation { program: "/nowhere/at/all".into(), ..isolation() };
    let expected = "no process for it can be begun: No such file or directory (os error 2)";
    refused(&other, &nobody, expected);
    let deaf = Isolation { program: "/bin/true".into(), ..isolation() };
    let expected =
        "its process ended its process (exit code 0) while it was loaded: its constructors run then";
    refused(&other, &deaf, expected);
}
