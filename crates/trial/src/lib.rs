//! Sink plugins of Tickscope in their tests: loaded as hosts load them, fed a server's recording, and listened to.
//!
//! A dev-dependency of a plugin. In its `tests/`:
//!
//! ```no_run
//! use tickscope_trial::{Server, Trial};
//!
//! # fn test() {
//! let trial = Trial::new("my-sink"); // libmy_sink.so, which cargo built beside the test
//! trial.conforms("limit=5");
//!
//! let mut server = Server::new();
//! let pay = server.symbol("bank", "pay");
//! server.ticks(20, 50, 8, pay); // 20 ticks of 8 ms, one every 50 ms, in which `bank` pays
//! let outcome = trial.record("limit=5", &server);
//! assert_eq!(outcome.delivered, 80);
//! assert_eq!(trial.said(), ["my-sink: Info: bank: 20"]);
//! # }
//! ```
//!
//! # Guarantees
//! The library is loaded and checked by the code that `tickscope` loads it with, and the server's samples keep the rules that
//! recorded ones do. A sink has [`LIMIT`], 30 s, for what hosts give it a second or two: nothing else
//! depends on how fast the machine is, and [`wait`] gives up after as long.
//!
//! # Panics
//! Everything here is for tests: what is not as a test needs it ends the test, with what to do.

mod receiver;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tickscope_core::{Sink, conformance};
use tickscope_plugin::{Chosen, Direct, Level, Log, Outcome, Plugin, Sinks};

pub use receiver::{Got, Receiver};
pub use server::Server;
pub use tickscope_http::Reply;

/// A plugin that was loaded, and what it said since.
#[derive(Debug)]
pub struct Trial {
    plugin: Arc<Plugin>,
    said: Arc<Mutex<Vec<String>>>,
    within: Duration,
}

impl Trial {
    /// The library that cargo built of the package of that name, for the test that runs.
    ///
    /// # Panics
    /// When there is none, or the host refuses it.
    #[track_caller]
    pub fn new(package: &str) -> Self {
        let test = std::env::current_exe().expect("a test is a file");
        let name = format!("lib{}.so", package.replace('-', "_"));
        Self::of(&test.with_file_name(name))
    }

    /// The library in a file.
    ///
    /// # Panics
    /// When the host refuses it.
    #[track_caller]
    pub fn of(file: &Path) -> Self {
        match Plugin::load(file) {
            Ok(plugin) => Self { plugin: Arc::new(plugin), said: Arc::default(), within: LIMIT },
            Err(refusal) => panic!("{refusal}; has its package crate-type = [\"cdylib\", \"rlib\"]?"),
        }
    }

    /// With less time to end than [`LIMIT`]: for a sink that will use all of it in vain.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// The plugin.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// With options as behind `--sink name=`.
    ///
    /// # Panics
    /// When its schema refuses them.
    #[track_caller]
    pub fn chosen(&self, options: &str) -> Chosen {
        let (plugin, name) = (self.plugin.clone(), self.plugin.name.clone());
        match plugin.schema.read(&name, options) {
            Ok(options) => Chosen { plugin, name, options },
            Err(error) => panic!("{error}"),
        }
    }

    /// The sink as it is in a recording: on its own thread, behind its queue.
    #[track_caller]
    pub fn sinks(&self, options: &str) -> Sinks {
        Sinks::new(vec![self.chosen(options)], self.log()).with_grace(self.within)
    }

    /// The sink without a thread: each call is made at once, and what it answers is seen.
    #[track_caller]
    pub fn direct(&self, options: &str) -> Direct {
        let Chosen { plugin, options, .. } = self.chosen(options);
        Direct::new(plugin, options, self.log()).with_time(self.within)
    }

    /// Whether it bears all that a recording may hold: the conformance suite.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn conforms(&self, options: &str) {
        conformance::check(|| self.direct(options));
    }

    /// Records a server into it, and tells how that ended.
    #[track_caller]
    pub fn record(&self, options: &str, server: &Server) -> Outcome {
        let mut sinks = self.sinks(options);
        server.play(&mut sinks).expect("sinks on threads never fail");
        sinks.outcomes()[0].clone()
    }

    /// Records the example of the conformance suite into it, one of everything, and tells how that ended.
    #[track_caller]
    pub fn record_example(&self, options: &str) -> Outcome {
        let (mut sinks, example) = (self.sinks(options), conformance::example());
        let fed = sinks.open(&example.metadata).and_then(|()| sinks.batch(&example.as_batch()));
        fed.and_then(|_| sinks.finish()).expect("sinks on threads never fail");
        sinks.outcomes()[0].clone()
    }

    /// The lines that it has said: its name, their level, and they.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What keeps the lines, for sinks that are made otherwise.
    pub fn log(&self) -> Log {
        let said = self.said.clone();
        Arc::new(move |name: &str, level: Level, line: &str| {
            said.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name}: {level:?}: {line}"));
        })
    }
}

/// For anything to happen that a test waits for, and for a sink to end.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `look` finds something.
///
/// # Panics
/// After [`LIMIT`].
#[track_caller]
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "no {what} in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A Python that has the modules named, to judge by: in the folder `oracles/python` of cargo's target folder, or the system's. Where
/// there is none, says that what needs it is skipped.
pub fn python(modules: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let made = test.ancestors().map(|folder| folder.join("oracles/python/bin/python3"));
    let has = |python: &PathBuf| {
        let mut ask = Command::new(python);
        ask.args(["-c", &format!("import {modules}")]).stdin(Stdio::null()).stderr(Stdio::null());
        ask.status().is_ok_and(|status| status.success())
    };
    let found = made.filter(|python| python.is_file()).chain(["python3".into()]).find(has);
    if found.is_none() {
        println!("skipped: Python has no {modules}: `cargo xtask test --install`, or pip");
    }
    found
}
