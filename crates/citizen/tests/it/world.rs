//! A server directory written by a test, and what running it printed, reported and recorded.

use std::cell::RefCell;
use std::rc::Rc;

use tempfile::TempDir;
use tickscope_citizen::{Console, Error, NoRecorder, RunOutcome, ScriptError, Server, ServerConfig};
use tickscope_core::{Depth, RecordingSink};
use tickscope_session::{Config, Session, ThreadRecorder};

/// Keeps what is said.
#[derive(Clone, Default)]
pub struct Transcript {
    pub lines: Rc<RefCell<Vec<String>>>,
}

impl Console for Transcript {
    fn print(&mut self, resource: &str, text: &str) {
        self.lines.borrow_mut().push(format!("{resource}: {text}"));
    }

    fn error(&mut self, error: &ScriptError) {
        self.lines.borrow_mut().push(format!("error {error}"));
    }
}

/// A server directory.
pub struct World {
    pub folder: TempDir,
    pub config: ServerConfig,
}

/// What a run came to.
pub struct Ran {
    pub lines: Vec<String>,
    pub outcome: RunOutcome,
}

impl World {
    /// Files by path. A resource without a manifest in the list gets one that loads `main.lua`.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for (path, _) in files {
            if let Some(resource) = path.strip_suffix("/main.lua") {
                let manifest = folder.path().join(resource).join("fxmanifest.lua");
                if !manifest.exists() {
                    std::fs::write(manifest, "fx_version 'cerulean' game 'gta5' server_script 'main.lua'")
                        .unwrap();
                }
            }
        }
        let mut config = ServerConfig::new(folder.path());
        config.virtual_time = true;
        config.depth = Depth::Boundary;
        Self { folder, config }
    }

    pub fn start(&self, transcript: &Transcript) -> Result<Server<NoRecorder>, Error> {
        Server::start(self.config.clone(), NoRecorder::default(), transcript.clone())
    }

    /// Runs so many ticks without recording.
    pub fn run(&self, ticks: u64) -> Ran {
        let transcript = Transcript::default();
        let mut server = self.start(&transcript).unwrap();
        for _ in 0..ticks {
            server.tick();
        }
        let outcome = server.stop();
        Ran { lines: transcript.lines.take(), outcome }
    }

    /// Runs so many ticks and keeps every sample.
    pub fn record(&self, ticks: u64) -> (RecordingSink, Ran) {
        self.record_play(|server| {
            for _ in 0..ticks {
                server.tick();
            }
        })
    }

    /// Does `play` with the server and keeps every sample.
    pub fn record_play(&self, play: impl FnOnce(&mut Server<ThreadRecorder>)) -> (RecordingSink, Ran) {
        let (session, collector) = Session::new(Config::default()).unwrap();
        let transcript = Transcript::default();
        let mut server =
            Server::start(self.config.clone(), session.thread("main"), transcript.clone()).unwrap();
        play(&mut server);
        let outcome = server.stop();
        let mut sink = RecordingSink::default();
        let account = session.finish(collector, &mut sink).unwrap();
        assert!(account.holds(0), "{account:?}");
        assert_eq!((account.dropped, account.discarded), (0, 0));
        (sink, Ran { lines: transcript.lines.take(), outcome })
    }
}

/// What the resource `a`, with this script, prints within ten ticks; the prefix `a: ` is taken off.
#[track_caller]
pub fn check(script: &str, expected: &[&str]) {
    check_world(&[("a/main.lua", script)], 10, expected);
}

#[track_caller]
pub fn check_world(files: &[(&str, &str)], ticks: u64, expected: &[&str]) {
    let ran = World::new(files).run(ticks);
    let lines: Vec<_> =
        ran.lines.iter().map(|line| line.strip_prefix("a: ").unwrap_or(line).to_owned()).collect();
    assert_eq!(lines, expected, "in {files:?}");
}
