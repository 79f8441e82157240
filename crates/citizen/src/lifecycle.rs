//! Resources start and stop.

use std::rc::Rc;

use mlua::MultiValue;
use mlua::chunk::ChunkMode;
use tickscope_core::{CategoryId, LinkKind, Outcome, Recorder, SwitchReason};

use crate::host::{Host, Wish, error_text};
use crate::manifest::{Listing, is_inside};
use crate::probe::{Boundary, link};
use crate::raw;
use crate::report::{ErrorKind, ScriptError};
use crate::resource::{Machine, Resource, ResourceState};
use crate::vm::Vm;
use crate::{Error, natives};

/// A script to load: where it is, and what chunk name it gets.
struct Script {
    path: std::path::PathBuf,
    /// As the manifest says it: `server/main.lua`, `@other/file.lua`.
    file: String,
    /// `@@resource/file.lua`.
    chunk: String,
}

impl<R: Recorder + 'static> Host<R> {
    /// Does what scripts asked for: called when none runs.
    pub(crate) fn grant_wishes(self: &Rc<Self>) {
        let wishes = std::mem::take(&mut *self.wishes.borrow_mut());
        for wish in wishes {
            match wish {
                Wish::Start(id) => self.start_resource(&Rc::clone(&self.resources[id])),
                Wish::Stop(id) => self.stop_resource(&Rc::clone(&self.resources[id])),
            }
        }
    }

    /// Starts a resource: its VM, its scripts, its events. What goes wrong is reported; what was loaded runs.
    pub(crate) fn start_resource(self: &Rc<Self>, resource: &Rc<Resource>) {
        if resource.state.get() != ResourceState::Stopped {
            return;
        }
        for dependency in resource.manifest.dependencies() {
            let runs = self.find(dependency).is_some_and(|other| other.state.get() == ResourceState::Started);
            if !runs {
                let problem = format!("it depends on {dependency:?}, which does not run; start that first");
                self.report(&self.problem(resource, &problem));
                return;
            }
        }
        if !self.trigger_own("onResourceStarting", &[&resource.name]) {
            self.report(&self.problem(resource, &"a handler of onResourceStarting cancelled its start"));
            return;
        }
        let span = self.probe.begin(resource.symbols.start, CategoryId::RESOURCE, None, &[]);
        let outcome = match self.machine(resource) {
            Ok(machine) => {
                resource.state.set(ResourceState::Starting);
                *resource.machine.borrow_mut() = Some(Rc::new(machine));
                self.load_scripts(resource);
                resource.state.set(ResourceState::Started);
                self.trigger_own("onResourceStart", &[&resource.name]);
                self.trigger_own("onServerResourceStart", &[&resource.name]);
                Outcome::Ok
            }
            Err(error) => {
                self.report(&self.problem(resource, &error));
                Outcome::Error
            }
        };
        if let Some(span) = span {
            self.probe.end(span, outcome);
        }
    }

    fn problem(&self, resource: &Resource, problem: &dyn std::fmt::Display) -> ScriptError {
        ScriptError { tick: self.tick.get(), ..ScriptError::of_resource(&resource.name, problem) }
    }

    /// A VM with everything in it but the resource's own scripts.
    fn machine(self: &Rc<Self>, resource: &Rc<Resource>) -> Result<Machine, Error> {
        let lua_error = |problem: String| Error::Lua { resource: resource.name.to_string(), problem };
        let mut vm = Vm::new(None, Some(self.seed as u32)).map_err(|error| lua_error(error.to_string()))?;
        let tracer = self.probe.tracer();
        vm.attach(tracer, &resource.name, &raw::hidden()).map_err(|error| lua_error(error.to_string()))?;
        for (chunk, source) in natives::LUA_PARTS {
            vm.register_chunk(chunk, source.as_bytes());
        }
        let lua = vm.lua().clone();
        raw::enter_main(tracer, &vm);
        let installed = natives::install(self, resource, &lua);
        self.probe.leave(SwitchReason::Return);
        let installed = installed.map_err(|error| lua_error(error_text(&error)))?;
        vm.set_memory_limit(Some(self.memory_limit as u64));
        Ok(Machine {
            references: installed.references,
            subscribe: installed.subscribe,
            to_string: installed.to_string,
            lua,
            vm,
        })
    }

    /// Loads the shared scripts, then the server scripts, each in a thread of its own.
    fn load_scripts(self: &Rc<Self>, resource: &Rc<Resource>) {
        let mut listing = Listing::default();
        for key in ["shared_script", "server_script"] {
            for pattern in resource.manifest.all(key) {
                for script in self.scripts(resource, &mut listing, pattern) {
                    match script {
                        Ok(script) => self.load_script(resource, &script),
                        Err(error) => self.report(&error),
                    }
                    if self.ending.is_set() {
                        return;
                    }
                }
            }
        }
    }

    /// The scripts one entry of the manifest stands for.
    fn scripts(
        &self,
        resource: &Rc<Resource>,
        listing: &mut Listing,
        pattern: &str,
    ) -> Vec<Result<Script, Box<ScriptError>>> {
        let wrong = |problem: String| {
            let error = self.problem(resource, &problem);
            Box::new(ScriptError { kind: ErrorKind::Load, file: "fxmanifest.lua".into(), ..error })
        };
        let mut other_listing = Listing::default();
        let (owner, files) = match pattern.strip_prefix('@') {
            None => (Rc::clone(resource), listing.expand(&resource.path, pattern)),
            Some(rest) => {
                let Some((name, files)) = rest.split_once('/') else {
                    return vec![Err(wrong(format!("script {pattern:?}: expected @resource/file.lua")))];
                };
                match self.find(name) {
                    Some(owner) => (Rc::clone(owner), other_listing.expand(&owner.path, files)),
                    None => {
                        return vec![Err(wrong(format!(
                            "script {pattern:?}: there is no resource {name:?}"
                        )))];
                    }
                }
            }
        };
        if files.is_empty() {
            // FXServer is silent about patterns that choose nothing, and many manifests have one
            return Vec::new();
        }
        files
            .into_iter()
            .filter(|file| file.contains(".lua") || !pattern.contains('*'))
            .map(|file| {
                if !is_inside(&file) {
                    return Err(wrong(format!("script {file:?}: expected a path inside the resource")));
                }
                if !file.contains(".lua") {
                    return Err(wrong(format!("script {file:?}: only Lua runs here; it is left out")));
                }
                Ok(Script {
                    path: owner.path.join(&file),
                    chunk: format!("@@{}/{file}", owner.name),
                    file: if owner.id == resource.id { file } else { format!("@{}/{file}", owner.name) },
                })
            })
            .collect()
    }

    fn load_script(self: &Rc<Self>, resource: &Rc<Resource>, script: &Script) {
        let Some(machine) = resource.machine() else { return };
        let failed = |line: u32, message: String| ScriptError {
            kind: ErrorKind::Load,
            file: script.file.clone(),
            line,
            ..self.problem(resource, &message)
        };
        let source = match std::fs::read(&script.path) {
            Ok(source) => source,
            Err(error) => {
                let problem =
                    format!("cannot read {}: {error}; the manifest names it", script.path.display());
                self.report(&failed(0, problem));
                return;
            }
        };
        let text = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source);
        machine.vm.register_chunk(&script.chunk, text);
        let chunk = machine.lua.load(text).set_name(&script.chunk).set_mode(ChunkMode::Text).into_function();
        match chunk {
            Ok(function) => {
                let symbol = self.probe.file(resource, &script.file);
                let boundary = Boundary { symbol, category: CategoryId::RESOURCE };
                let link = link(LinkKind::Spawn, self.probe.link_point());
                let ended = self.start(resource, function, MultiValue::new(), boundary, link);
                self.tell(ended);
            }
            Err(error) => {
                let (line, message) = split_syntax_error(&error_text(&error));
                self.report(&failed(line, message));
            }
        }
    }

    /// Stops a resource: its handlers of `onResourceStop`, then everything it has is taken away. Only when no script
    /// runs.
    pub(crate) fn stop_resource(self: &Rc<Self>, resource: &Rc<Resource>) {
        if resource.state.get() != ResourceState::Started {
            return;
        }
        let span = self.probe.begin(resource.symbols.stop, CategoryId::RESOURCE, None, &[]);
        resource.state.set(ResourceState::Stopping);
        self.trigger_own("onResourceStop", &[&resource.name]);
        self.trigger_own("onServerResourceStop", &[&resource.name]);
        resource.generation.set(resource.generation.get() + 1);
        self.close(resource);
        resource.state.set(ResourceState::Stopped);
        if let Some(span) = span {
            self.probe.end(span, Outcome::Ok);
        }
    }

    /// Drops every handle into the VM of a resource, and then the VM.
    fn close(&self, resource: &Resource) {
        self.events.clear(resource.id);
        self.schedule.clear(resource.id);
        self.forget_outside(resource.id);
        self.exports.clear(resource.id);
        self.state_bags.clear(resource.id);
        self.references.clear(resource.id);
        let mut commands = std::mem::take(&mut *self.commands.borrow_mut());
        commands.retain(|_, command| command.resource() != resource.id);
        self.commands.borrow_mut().extend(commands);
        resource.heap.set(0);
        let machine = resource.machine.borrow_mut().take();
        drop(machine);
        self.references.sweep();
    }

    /// Closes every VM without a word to scripts.
    pub(crate) fn close_all(&self) {
        for resource in self.resources.iter().rev() {
            resource.generation.set(resource.generation.get() + 1);
            self.close(resource);
            resource.state.set(ResourceState::Stopped);
        }
    }
}

/// Line and message of what Lua says of a chunk that does not compile: `@res/file.lua:12: message`.
fn split_syntax_error(text: &str) -> (u32, String) {
    for (at, _) in text.match_indices(": ") {
        if let Some((_, line)) = text[..at].rsplit_once(':')
            && let Ok(line) = line.parse()
        {
            return (line, text[at + 2..].to_owned());
        }
    }
    (0, text.to_owned())
}
