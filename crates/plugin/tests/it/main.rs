//! Plugins as they are: compiled, loaded, and worse.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod built;
mod crossing;
mod isolated;
mod lifecycle;
mod misbehaving;
mod refusals;

use std::path::Path;
use std::sync::{Arc, Mutex};

use tickscope_plugin::{Level, Log, Plugin};

fn load(file: &Path) -> Arc<Plugin> {
    Arc::new(Plugin::load(file).unwrap())
}

/// What sinks say, for tests to look at.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    fn log(&self) -> Log {
        let said = self.0.clone();
        Arc::new(move |name: &str, level: Level, line: &str| {
            said.lock().unwrap().push(format!("{name}: {level:?}: {line}"));
        })
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
