//! A scenario starts and ends.

use std::rc::Rc;

use mlua::MultiValue;
use mlua::chunk::ChunkMode;
use tickscope_core::{CategoryId, Recorder};

use super::{ID, NAME, ScenarioConfig};
use crate::cfxlua;
use crate::discovery::Found;
use crate::host::{Host, error_text};
use crate::lifecycle::split_syntax_error;
use crate::probe::Boundary;
use crate::resource::{Resource, ResourceState};
use crate::{Error, ErrorKind, Manifest, ScriptError};

const CROWD: &str = include_str!("../lua/crowd.lua");

/// The chunk to run: its name, what it is called in reports, and its source.
struct Chunk {
    name: String,
    file: String,
    source: Vec<u8>,
}

fn chunk(config: &ScenarioConfig) -> Result<Chunk, Error> {
    let Some(path) = &config.file else {
        return Ok(Chunk {
            name: "@citizen:/crowd.lua".into(),
            file: "citizen:/crowd.lua".into(),
            source: CROWD.into(),
        });
    };
    let source = std::fs::read(path).map_err(|source| Error::Scenario { path: path.clone(), source })?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Chunk { name: format!("@@{NAME}/{file}"), file, source })
}

impl<R: Recorder + 'static> Host<R> {
    /// Starts a scenario, when every resource has been started.
    pub(crate) fn start_scenario(self: &Rc<Self>, config: &ScenarioConfig) -> Result<(), Error> {
        let chunk = chunk(config)?;
        let folder = config.file.as_deref().and_then(|path| path.parent());
        let found = Found {
            name: NAME.into(),
            path: folder.unwrap_or(std::path::Path::new(".")).to_owned(),
            manifest: Ok(Manifest::default()),
            categories: Vec::new(),
        };
        let resource = Rc::new(Resource::new(ID, found, self.probe.symbols(NAME)));
        self.scenario.began.set(self.clock.millis());
        let machine = self.machine(&resource)?;
        if let Some(players) = config.players {
            let set = machine.lua.globals().raw_set("PLAYERS", players);
            set.map_err(|error| Error::Lua { resource: NAME.into(), problem: error_text(&error) })?;
        }
        *resource.machine.borrow_mut() = Some(Rc::new(machine));
        resource.state.set(ResourceState::Started);
        *self.scenario.resource.borrow_mut() = Some(Rc::clone(&resource));
        self.run_scenario(&resource, &chunk, config.players.unwrap_or_default());
        Ok(())
    }

    fn run_scenario(self: &Rc<Self>, resource: &Rc<Resource>, chunk: &Chunk, players: u32) {
        let Some(machine) = resource.machine() else { return };
        let text = chunk.source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&chunk.source);
        let text = match cfxlua::rewrite(text) {
            Ok(text) => text,
            Err(problem) => {
                let error = ScriptError::of_resource(NAME, &problem.message);
                let (kind, file, line) = (ErrorKind::Load, chunk.file.clone(), problem.line);
                self.report(&ScriptError { kind, file, line, ..error });
                return;
            }
        };
        machine.vm.register_chunk(&chunk.name, &text);
        let loaded = machine.lua.load(&*text).set_name(&chunk.name).set_mode(ChunkMode::Text).into_function();
        match loaded {
            Ok(function) => {
                let symbol = self.probe.file(resource, &chunk.file);
                let boundary = Boundary { symbol, category: CategoryId::THREAD };
                let arguments = MultiValue::from_vec(vec![mlua::Value::Integer(players.into())]);
                let ended = self.start(resource, function, arguments, boundary, None);
                self.tell(ended);
            }
            Err(error) => {
                let (line, message) = split_syntax_error(&error_text(&error));
                let error = ScriptError::of_resource(NAME, &message);
                let file = chunk.file.clone();
                self.report(&ScriptError { kind: ErrorKind::Load, file, line, ..error });
            }
        }
    }

    /// Takes the scenario's VM away, before the resources say goodbye.
    pub(crate) fn end_scenario(self: &Rc<Self>) {
        let resource = self.scenario.resource.borrow_mut().take();
        if let Some(resource) = resource {
            resource.generation.set(resource.generation.get() + 1);
            self.close(&resource);
            resource.state.set(ResourceState::Stopped);
        }
    }
}
