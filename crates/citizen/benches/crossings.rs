//! What it costs a script to cross into another resource, beside a call from Lua to Rust in the same run; and what
//! recording every crossing adds to a busy server.
//!
//! Before the clock starts, the handlers and exports count that they were called.
#![allow(missing_docs, reason = "a bench has no users")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::Criterion;
use tickscope_citizen::{NoRecorder, Server, ServerConfig, Silent};
use tickscope_core::{Batch, Depth, Flow, Recorder, Sink, SinkError};
use tickscope_session::{Config, Pump, PumpConfig, Session};

const CALLED: &str = "
    local events, calls = 0, 0
    AddEventHandler('empty', function() events = events + 1 end)
    exports('empty', function() calls = calls + 1 end)
    RegisterCommand('check', function(_, args)
        assert(events == tonumber(args[1]) and calls == tonumber(args[2]), 'a crossing is missing')
        Checked = true
    end)";

const CALLER: &str = "
    RegisterCommand('events', function(_, args) for _ = 1, tonumber(args[1]) do TriggerEvent('empty') end end)
    RegisterCommand('exports', function(_, args)
        local other = exports.called
        for _ = 1, tonumber(args[1]) do other:empty() end
    end)";

/// Takes everything and keeps nothing.
struct Nothing;

impl Sink for Nothing {
    fn batch(&mut self, _: &Batch<'_>) -> Result<Flow, SinkError> {
        Ok(Flow::Continue)
    }
}

fn resource(root: &Path, name: &str, script: &str) {
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).expect("a folder of the bench's own");
    std::fs::write(folder.join("fxmanifest.lua"), "fx_version 'cerulean' server_script 'main.lua'")
        .expect("a file of the bench's own");
    std::fs::write(folder.join("main.lua"), script).expect("a file of the bench's own");
}

/// Copies a folder over what is there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder of the bench's own");
    for entry in std::fs::read_dir(from).expect("a folder of the repository").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file of the repository");
        }
    }
}

fn config(root: PathBuf) -> ServerConfig {
    let mut config = ServerConfig::new(root);
    config.virtual_time = true;
    config.depth = Depth::Boundary;
    config
}

/// `per` on a server of this recorder; the least of some rounds.
fn least<R: Recorder + 'static>(
    root: &Path,
    recorder: R,
    rounds: u32,
    round: impl Fn(&mut Server<R>),
) -> Duration {
    let mut server = Server::start(config(root.to_owned()), recorder, Silent).expect("the server starts");
    let mut least = Duration::MAX;
    for _ in 0..rounds {
        let started = Instant::now();
        round(&mut server);
        least = least.min(started.elapsed());
    }
    let outcome = server.stop();
    assert_eq!(outcome.error_count, 0, "{:?}", outcome.errors);
    least
}

/// The same with a recording session and a collector at work beside it.
fn least_recorded(
    root: &Path,
    rounds: u32,
    round: impl Fn(&mut Server<tickscope_session::ThreadRecorder>),
) -> Duration {
    let (session, collector) = Session::new(Config::default()).expect("a session");
    let pump = Pump::start(collector, vec![("nothing".to_owned(), Nothing)], PumpConfig::default());
    let time = least(root, session.thread("main"), rounds, round);
    pump.stop();
    time
}

/// One call from Lua to a function of Rust through mlua: the yardstick.
fn lua_to_rust(calls: u32) -> Duration {
    let lua = mlua::Lua::new();
    let function = lua.create_function(|_, ()| Ok(())).expect("a function");
    lua.globals().set("call", function).expect("a global");
    let run: mlua::Function = lua
        .load("local call = call return function(n) for _ = 1, n do call() end end")
        .eval()
        .expect("a function of Lua");
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let started = Instant::now();
        run.call::<()>(calls).expect("calls of nothing");
        least = least.min(started.elapsed());
    }
    least / calls
}

fn check(root: &Path) {
    let mut server = Server::start(config(root.to_owned()), NoRecorder::default(), Silent).expect("a server");
    for line in ["events 7", "exports 5", "check 7 5"] {
        assert!(server.execute(line), "{line}");
    }
    let outcome = server.stop();
    assert_eq!(outcome.error_count, 0, "{:?}", outcome.errors);
}

/// Each part on a thread of its own: a thread has one server.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("the part ends"))
}

fn main() {
    const CALLS: u32 = 20_000;
    let folder = tempfile::tempdir().expect("a folder of the bench's own");
    let root = &folder.path().join("crossings");
    resource(root, "called", CALLED);
    resource(root, "caller", CALLER);
    alone(|| check(root));

    let yard = lua_to_rust(1_000_000);
    let ns = |time: Duration| time.as_nanos() as f64;
    println!("a call from Lua to Rust: {:.1} ns", ns(yard));
    for (what, goal) in [("events", 150.0), ("exports", 100.0)] {
        let line = format!("{what} {CALLS}");
        let plain = alone(|| {
            least(root, NoRecorder::default(), 10, |server| {
                server.execute(&line);
            })
        });
        let recorded = alone(|| {
            least_recorded(root, 10, |server| {
                server.execute(&line);
            })
        });
        println!(
            "{what}: {:.0} ns, {:.1} x that call (goal {goal}); recorded {:.0} ns, {:.1} x",
            ns(plain / CALLS),
            ns(plain / CALLS) / ns(yard),
            ns(recorded / CALLS),
            ns(recorded / CALLS) / ns(yard),
        );
    }

    let busy = folder.path().join("busy");
    for example in ["city", "city-mended"] {
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example), &busy);
    }
    const TICKS: u32 = 200;
    let (mut plain, mut recorded) = (Duration::MAX, Duration::MAX);
    // in turns, so that what else the machine does falls on both
    for _ in 0..5 {
        plain = plain.min(alone(|| {
            least(&busy, NoRecorder::default(), 1, |server| {
                for _ in 0..TICKS {
                    server.tick();
                }
            })
        }));
        recorded = recorded.min(alone(|| {
            least_recorded(&busy, 1, |server| {
                for _ in 0..TICKS {
                    server.tick();
                }
            })
        }));
    }
    println!(
        "a busy server, {TICKS} ticks: {:.1} ms; recorded at depth boundary x {:.3}",
        ns(plain) / 1e6,
        ns(recorded) / ns(plain)
    );

    let mut criterion = Criterion::default().configure_from_args();
    for what in ["events", "exports"] {
        let line = format!("{what} {CALLS}");
        criterion.bench_function(&format!("crossings/{what}"), |bencher| {
            bencher.iter_custom(|rounds| {
                alone(|| {
                    let mut server = Server::start(config(root.to_owned()), NoRecorder::default(), Silent)
                        .expect("the server starts");
                    let started = Instant::now();
                    for _ in 0..rounds {
                        server.execute(&line);
                    }
                    started.elapsed() / CALLS
                })
            });
        });
    }
    criterion.final_summary();
}
