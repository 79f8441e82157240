//! What the resource `tickscope` costs scripts: the city of the examples without the probe, with it loaded but disarmed,
//! and armed, in turns.
//!
//! The processor time of the server's thread is compared, from the first tick to the last; the clock that scripts measure
//! with is real. Before anything is compared, the three servers have to have said and sent the same.
#![allow(missing_docs, reason = "a bench has no users")]

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tickscope_citizen::{Console, NoRecorder, ScriptError, Server, ServerConfig};
use tickscope_core::Depth;

const LINE: &str = "shared_script '@tickscope/probe.lua'\n";

/// The worst there is (a storm of 54,000 handler calls that do next to nothing), and each of the city's faults once.
const SPANS: [(&str, u64, usize); 2] =
    [("the first 60 ticks, with the event storm", 60, 15), ("330 ticks", 330, 5)];

/// In what order the servers run; each is compared with the first.
const MODES: [&str; 3] = ["none", "disarmed", "armed"];

/// Pieces of work that do next to nothing, so that what is around them is what is measured.
const TINY: &str = "
    local done = 0
    local function work() done = done + 1 end
    AddEventHandler('tiny', work)
    exports('tiny', work)
    RegisterCommand('events', function(_, args) for _ = 1, args[1] do TriggerEvent('tiny', 1, 'two') end end)
    RegisterCommand('exports', function(_, args)
        local own = exports.tiny
        for _ = 1, args[1] do own:tiny(1) end
    end)
    RegisterCommand('timers', function(_, args) for _ = 1, args[1] do SetTimeout(0, work) end end)
    RegisterCommand('waits', function(_, args)
        for _ = 1, args[1] do CreateThread(function() for _ = 1, 10 do Wait(0) work() end end) end
    end)
    RegisterCommand('done', function() print(done) end)";

/// A command of [`TINY`], how many pieces it is told to do, and ticks until they are done.
const PIECES: [(&str, u64, u64, u64); 4] = [
    ("events", 2_000, 2_000, 0),
    ("exports", 2_000, 2_000, 0),
    ("timers", 500, 500, 2),
    ("waits", 100, 1_000, 12),
];

#[derive(Clone, Default)]
struct Transcript(Rc<RefCell<Vec<String>>>);

impl Console for Transcript {
    fn print(&mut self, resource: &str, text: &str) {
        if resource != "tickscope" {
            self.0.borrow_mut().push(format!("{resource}: {text}"));
        }
    }

    fn error(&mut self, error: &ScriptError) {
        self.0.borrow_mut().push(format!("error: {error}"));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder of the bench's own");
    for entry in fs::read_dir(from).expect("a folder of the repository").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file of the repository");
        }
    }
}

/// Puts the probe on top of each manifest below.
fn probe(folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder of the bench's own").flatten() {
        let path = entry.path();
        if path.is_dir() {
            probe(&path);
        } else if path.ends_with("fxmanifest.lua") {
            let text = fs::read_to_string(&path).expect("a manifest");
            fs::write(&path, format!("{LINE}{text}")).expect("a file of the bench's own");
        }
    }
}

fn city(mode: &str, folder: &Path) -> PathBuf {
    let root = folder.join(mode);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/city"), &root);
    equip(mode, &root);
    root
}

fn tiny(mode: &str, folder: &Path) -> PathBuf {
    let root = folder.join(format!("tiny {mode}"));
    let tiny = root.join("tiny");
    fs::create_dir_all(&tiny).expect("a folder of the bench's own");
    fs::write(tiny.join("fxmanifest.lua"), "fx_version 'cerulean' server_script 'main.lua'")
        .expect("a file of its own");
    fs::write(tiny.join("main.lua"), TINY).expect("a file of its own");
    equip(mode, &root);
    root
}

fn equip(mode: &str, root: &Path) {
    if mode != "none" {
        probe(root);
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../resources/tickscope"),
            &root.join("tickscope"),
        );
    }
}

fn config(mode: &str, root: &Path) -> ServerConfig {
    let mut config = ServerConfig::new(root);
    config.virtual_time = true;
    config.real_nanotime = true;
    config.depth = Depth::Boundary;
    config.seed = 7;
    config.convars.push(("tickscope_armed".into(), (mode == "armed").to_string()));
    // what a late tick is explained with is no cost of measuring
    config.convars.push(("tickscope_late_ms".into(), "1000000".into()));
    config
}

/// Processor time of this thread in nanoseconds.
fn processor_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec).cast_unsigned()
}

/// Processor time of so many ticks, and what the server said and sent.
fn play(mode: &str, root: &Path, ticks: u64) -> (u64, (Vec<String>, String)) {
    // what the city saved when it ran before
    let saved = root.join("[core]/framework/characters.save");
    if saved.exists() {
        fs::remove_file(saved).expect("a file of the bench's own");
    }
    let transcript = Transcript::default();
    let mut server = Server::start(config(mode, root), NoRecorder::default(), transcript.clone())
        .expect("the city starts");
    let before = processor_ns();
    for _ in 0..ticks {
        server.tick();
    }
    let took = processor_ns() - before;
    let outcome = server.stop();
    (took, (transcript.0.take(), format!("{:?} {}", outcome.client_events, outcome.error_count)))
}

/// Nanoseconds of processor time for each piece of work of each command; the least of some rounds.
fn pieces(mode: &str, root: &Path) -> Vec<f64> {
    let transcript = Transcript::default();
    let mut server =
        Server::start(config(mode, root), NoRecorder::default(), transcript.clone()).expect("a server");
    server.tick();
    let mut all = Vec::new();
    let mut expected = 0;
    for (command, count, pieces, ticks) in PIECES {
        let mut least = u64::MAX;
        for _ in 0..50 {
            let before = processor_ns();
            server.execute(&format!("{command} {count}"));
            for _ in 0..ticks {
                server.tick();
            }
            least = least.min(processor_ns() - before);
            server.tick();
            expected += pieces;
        }
        all.push(least as f64 / pieces as f64);
    }
    server.execute("done");
    assert_eq!(server.stop().error_count, 0);
    assert_eq!(*transcript.0.borrow(), [format!("tiny: {expected}")], "all was done, once");
    all
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder of the bench's own");
    let roots: Vec<PathBuf> = MODES.iter().map(|mode| city(mode, folder.path())).collect();
    let tiny: Vec<PathBuf> = MODES.iter().map(|mode| tiny(mode, folder.path())).collect();
    // `cargo test` runs each once, to see that the results are the same.
    let measures = std::env::args().any(|word| word == "--bench");
    let mut costs = vec![vec![f64::INFINITY; PIECES.len()]; MODES.len()];
    for _ in 0..if measures { 5 } else { 1 } {
        for (at, mode) in MODES.iter().enumerate() {
            let once =
                std::thread::scope(|scope| scope.spawn(|| pieces(mode, &tiny[at])).join().expect("it runs"));
            costs[at].iter_mut().zip(once).for_each(|(least, once)| *least = least.min(once));
        }
    }
    for (at, (what, ..)) in PIECES.iter().enumerate() {
        let [none, disarmed, armed] = [costs[0][at], costs[1][at], costs[2][at]];
        println!(
            "one of {what} that do nothing: {none:.0} ns, {disarmed:.0} ns disarmed, {armed:.0} ns armed"
        );
    }
    let only: Option<u64> = std::env::args().find_map(|word| word.parse().ok());
    let spans = SPANS.iter().take(if measures { SPANS.len() } else { 1 });
    for (what, ticks, rounds) in spans.filter(|(_, ticks, _)| only.is_none_or(|only| only == *ticks)) {
        let rounds = if measures { *rounds } else { 1 };
        let mut times = vec![Vec::new(); MODES.len()];
        for round in 0..rounds {
            let mut said = Vec::new();
            // each is first in turn
            for at in (0..MODES.len()).map(|at| (at + round) % MODES.len()) {
                // each on a thread of its own: a thread has one server
                let (took, came) = std::thread::scope(|scope| {
                    scope.spawn(|| play(MODES[at], &roots[at], *ticks)).join().expect("the city runs")
                });
                times[at].push(took as f64);
                said.push(came);
            }
            assert!(said.iter().all(|other| *other == said[0]), "the probe changed what the city does");
        }
        println!(
            "{what}, {rounds} rounds: {:.0} ms of processor time without the probe",
            median(times[0].clone()) / 1e6
        );
        for (mode, of) in MODES.iter().zip(&times).skip(1) {
            let mut ratios: Vec<f64> =
                of.iter().zip(&times[0]).map(|(with, without)| with / without).collect();
            ratios.sort_by(f64::total_cmp);
            let quarter = ratios.len() / 4;
            println!(
                "  {mode}: x {:.3} (ratio of medians), x {:.3} (median of rounds, the middle half {:.3} to {:.3})",
                median(of.clone()) / median(times[0].clone()),
                median(ratios.clone()),
                ratios[quarter],
                ratios[ratios.len() - 1 - quarter],
            );
        }
    }
}
