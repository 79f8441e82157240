//! Scenarios: a Lua file that plays the people of a server, and says what it expects.
//!
//! A scenario runs in a VM of its own, in threads like those of scripts, but is no resource: no list shows it, and it
//! starts when all resources have. It has everything that server scripts have, and on top of it what
//! `lua/scenario.lua` defines. `docs/scenarios.md` is its manual.

mod clients;
mod load;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

pub(crate) use clients::install;

use crate::report::ScriptError;
use crate::resource::Resource;

/// Who plays the people of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScenarioConfig {
    /// The scenario. Without one, players do what can be done on any server: come, walk about, talk, go and come back.
    pub file: Option<PathBuf>,
    /// How many players; a scenario of its own finds the number in `PLAYERS`.
    pub players: Option<u32>,
}

impl ScenarioConfig {
    /// The scenario in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { file: Some(path.into()), players: None }
    }

    /// So many players that do what can be done anywhere.
    pub fn players(count: u32) -> Self {
        Self { file: None, players: Some(count) }
    }
}

/// What a scenario came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScenarioOutcome {
    /// Expectations that held.
    pub held: u64,
    /// Expectations that did not.
    pub failed: u64,
    /// Errors of the scenario itself.
    pub errors: u64,
    /// Stories of `rush` that were not over when the run ended.
    pub unfinished: u64,
}

impl ScenarioOutcome {
    /// Whether nothing failed.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.errors == 0
    }
}

/// The name scripts, reports and captures know a scenario by.
pub(crate) const NAME: &str = "scenario";
/// Its place in lists of resources, where no resource is.
pub(crate) const ID: usize = usize::MAX;

/// The scenario of a server, if it has one.
#[derive(Default)]
pub(crate) struct Scenario {
    pub(crate) resource: RefCell<Option<Rc<Resource>>>,
    pub(crate) outcome: RefCell<ScenarioOutcome>,
    pub(crate) finished: Cell<bool>,
    /// Milliseconds of the server's clock.
    pub(crate) began: Cell<u64>,
}

impl Scenario {
    /// An error was told: one of the scenario's own counts.
    pub(crate) fn note(&self, error: &ScriptError) {
        let runs = self.resource.try_borrow().is_ok_and(|resource| resource.is_some());
        if runs && error.resource == NAME && error.kind != crate::ErrorKind::Expectation {
            self.outcome.borrow_mut().errors += 1;
        }
    }
}
