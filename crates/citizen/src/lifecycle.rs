//! Resources start and stop.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use mlua::MultiValue;
use mlua::chunk::ChunkMode;
use tickscope_core::{CategoryId, CounterValue, LinkKind, Outcome, Recorder, SwitchReason};

use crate::host::{Host, error_text};
use crate::probe::{Boundary, link};
use crate::raw;
use crate::report::{ErrorKind, ScriptError};
use crate::resource::{Machine, Resource, ResourceState};
use crate::scripts::{self, Entry, Script};
use crate::vm::Vm;
use crate::{Error, Manifest, cfxlua, constraints, natives};

/// How many resources may be starting because of each other.
const MAX_CHAIN: usize = 100;

/// Something to do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Start(usize),
    Stop(usize),
    /// Stop, then start.
    Restart(usize),
}

/// What a server knows of the lives of its resources.
#[derive(Default)]
pub(crate) struct Lives {
    /// What is to be done when no script runs.
    wishes: RefCell<Vec<Wish>>,
    /// Those that run, in the order they were started.
    started: RefCell<Vec<usize>>,
    /// Those that are waiting for their dependencies, outermost first.
    chain: RefCell<Vec<usize>>,
    /// By resource: who was started on top of it.
    dependants: RefCell<BTreeMap<usize, BTreeSet<usize>>>,
    /// By resource: who did not start because it did not.
    held_up: RefCell<BTreeMap<usize, BTreeSet<usize>>>,
    /// Names that were to start and are no resource, and why.
    missing: RefCell<BTreeMap<String, String>>,
    /// The server's files are read: starts and stops are told, and `ensure` restarts.
    configured: Cell<bool>,
    /// Nothing runs: it is only looked at what would.
    only_looking: Cell<bool>,
    /// What made resources start, while it is only looked.
    started_by: RefCell<BTreeMap<usize, StartedBy>>,
}

/// What made a resource start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StartedBy {
    /// File and line of a command.
    Line(String, u32),
    /// One that depends on it.
    Resource(usize),
}

impl Lives {
    /// The resources that run, in the order they were started.
    pub(crate) fn started(&self) -> Vec<usize> {
        self.started.borrow().clone()
    }

    /// A resource that was to start is not there.
    pub(crate) fn missing(&self, name: &str, problem: String) {
        self.missing.borrow_mut().entry(name.to_owned()).or_insert(problem);
    }

    /// Resources that start are noted from here on, and nothing of theirs runs.
    pub(crate) fn only_look(&self) {
        self.only_looking.set(true);
    }

    /// What made a resource start; nothing in particular when everything starts.
    pub(crate) fn started_by(&self, id: usize) -> Option<StartedBy> {
        self.started_by.borrow().get(&id).cloned()
    }

    pub(crate) fn configured(&self) -> bool {
        self.configured.get()
    }

    pub(crate) fn set_configured(&self, configured: bool) {
        self.configured.set(configured);
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Does it, or keeps it for when no script runs. A start needs not wait, unless something else does already.
    ///
    /// Stopping closes a VM, and scripts further out may hold on to it.
    pub(crate) fn wish(self: &Rc<Self>, wish: Wish) -> bool {
        let idle = self.running.borrow().is_empty();
        let first = self.lives.wishes.borrow().is_empty();
        if first && (idle || matches!(wish, Wish::Start(_))) {
            return self.grant(wish);
        }
        self.lives.wishes.borrow_mut().push(wish);
        true
    }

    /// Does what scripts asked for: called when none runs.
    pub(crate) fn grant_wishes(self: &Rc<Self>) {
        let wishes = std::mem::take(&mut *self.lives.wishes.borrow_mut());
        for wish in wishes {
            self.grant(wish);
        }
    }

    fn grant(self: &Rc<Self>, wish: Wish) -> bool {
        let (Wish::Start(id) | Wish::Stop(id) | Wish::Restart(id)) = wish;
        let Some(resource) = self.resources.get(id) else { return false };
        match wish {
            Wish::Start(_) => self.start_resource(&resource),
            Wish::Stop(_) => self.stop_resource(&resource),
            Wish::Restart(_) => self.stop_resource(&resource) && self.start_resource(&resource),
        }
    }

    /// Starts a resource: what it depends on, its VM, its scripts, its events. What goes wrong is reported; what was
    /// loaded runs.
    pub(crate) fn start_resource(self: &Rc<Self>, resource: &Rc<Resource>) -> bool {
        match resource.state.get() {
            ResourceState::Stopped => {}
            state => return matches!(state, ResourceState::Started | ResourceState::Starting),
        }
        if !resource.fresh.take() && resource.set_manifest(read_manifest(resource)) {
            self.resources.index_providers();
        }
        resource.fresh.set(false);
        resource.failed.take();
        resource.state.set(ResourceState::Starting);
        self.lives.chain.borrow_mut().push(resource.id);
        let ready = self.prepare(resource);
        self.lives.chain.borrow_mut().pop();
        let scripts = match ready {
            Ok(scripts) => scripts,
            Err(problem) => {
                resource.state.set(ResourceState::Stopped);
                self.report(&self.problem(resource, &problem));
                *resource.failed.borrow_mut() = Some(problem);
                return false;
            }
        };
        if self.lives.only_looking.get() {
            self.note_start(resource);
            return true;
        }
        self.apply_schema(resource);
        let span = self.probe.begin(resource.symbols.start, CategoryId::RESOURCE, None, &[]);
        let machine = self.machine(resource);
        let outcome = if machine.is_ok() { Outcome::Ok } else { Outcome::Error };
        match machine {
            Ok(machine) => {
                *resource.machine.borrow_mut() = Some(Rc::new(machine));
                self.lives.started.borrow_mut().push(resource.id);
                self.load_scripts(resource, scripts);
                resource.state.set(ResourceState::Started);
                self.trigger_own("onResourceStart", &[&resource.name]);
                self.trigger_own("onServerResourceStart", &[&resource.name]);
            }
            Err(error) => {
                resource.state.set(ResourceState::Stopped);
                self.report(&self.problem(resource, &error));
                *resource.failed.borrow_mut() = Some(error.to_string());
            }
        }
        if let Some(span) = span {
            self.probe.end(span, outcome);
        }
        if outcome == Outcome::Error {
            return false;
        }
        if self.lives.configured() {
            self.say(&format!("Started resource {}", resource.name));
        }
        let held_up = self.lives.held_up.borrow_mut().remove(&resource.id);
        for id in held_up.into_iter().flatten() {
            if let Some(other) = self.resources.get(id) {
                self.start_resource(&other);
            }
        }
        true
    }

    /// A resource starts as far as others can tell, and nothing of it runs.
    fn note_start(&self, resource: &Resource) {
        let needed = self.lives.chain.borrow().last().copied().map(StartedBy::Resource);
        let by = needed.or_else(|| self.cfg_place().map(|(file, line)| StartedBy::Line(file, line)));
        if let Some(by) = by {
            self.lives.started_by.borrow_mut().insert(resource.id, by);
        }
        self.lives.started.borrow_mut().push(resource.id);
        resource.state.set(ResourceState::Started);
    }

    /// All that must hold before a resource starts; answers the scripts to load.
    fn prepare(self: &Rc<Self>, resource: &Rc<Resource>) -> Result<Vec<Entry>, String> {
        if let Some(problem) = resource.broken.borrow().clone() {
            return Err(problem);
        }
        let manifest = resource.manifest();
        let unmet: Vec<_> =
            manifest.constraints().filter_map(|one| constraints::judge(one, &self.convars).err()).collect();
        if !unmet.is_empty() {
            return Err(format!("it cannot run on this server: {}", unmet.join("; ")));
        }
        self.judge_game(&manifest)?;
        self.start_dependencies(resource, &manifest)?;
        let find = |name: &str| self.find(name).map(|other| (other.name.to_string(), other.path.clone()));
        let scripts = scripts::entries(&resource.name, &resource.path, &manifest, &find);
        for entry in &scripts {
            if let Entry::Lua(script) = entry
                && scripts::is_escrowed(&script.path)
            {
                return Err(format!(
                    "its script {} is escrowed, which only FXServer can read; put an open version in its place, or leave the resource out",
                    script.file
                ));
            }
        }
        if !self.trigger_own("onResourceStarting", &[&resource.name]) {
            return Err("a handler of onResourceStarting cancelled its start".into());
        }
        Ok(scripts)
    }

    /// Whether a resource is for the server's game; only judged when `gamename` is set.
    fn judge_game(&self, manifest: &Manifest) -> Result<(), String> {
        let Some(game) = self.convars.get("gamename") else { return Ok(()) };
        let games: Vec<_> = manifest.all("game").collect();
        if games.is_empty() || games.iter().any(|other| *other == game || *other == "common") {
            return Ok(());
        }
        Err(format!("it is for {}, and the convar gamename is {game:?}", games.join(", ")))
    }

    fn start_dependencies(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        manifest: &Manifest,
    ) -> Result<(), String> {
        for (name, version) in manifest.versioned_dependencies() {
            let Some(other) = self.find(name) else {
                return Err(format!(
                    "it depends on {name:?}, which is not there; add that resource or take the line out of its manifest"
                ));
            };
            self.lives.dependants.borrow_mut().entry(other.id).or_default().insert(resource.id);
            if other.state.get() == ResourceState::Starting {
                self.tell_circle(&other);
            } else if self.lives.chain.borrow().len() >= MAX_CHAIN {
                return Err(format!("more than {MAX_CHAIN} resources wait for each other to start"));
            } else if self.failed_already(&other) || !self.start_resource(&other) {
                self.lives.held_up.borrow_mut().entry(other.id).or_default().insert(resource.id);
                return Err(format!("it depends on {name:?}, which cannot start"));
            }
            if let Some(version) = version {
                match other.manifest().first("version") {
                    None => self.say(&format!(
                        "{}: it needs {name} {version}, and {name} does not tell its version",
                        resource.name
                    )),
                    Some(installed) if !constraints::is_new_enough(installed, version) => {
                        return Err(format!("it needs {name} {version} or newer, and {installed} is there"));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }

    /// At the start of the server, what failed once is not tried again for each that needs it.
    fn failed_already(&self, resource: &Resource) -> bool {
        !self.lives.configured() && resource.failed.borrow().is_some()
    }

    /// Tells that `first`, which is starting, is depended on by something it depends on. They start all the same.
    fn tell_circle(&self, first: &Resource) {
        let chain = self.lives.chain.borrow().clone();
        let Some(from) = chain.iter().position(|id| *id == first.id) else { return };
        let mut names: Vec<_> = chain[from..].iter().filter_map(|id| self.resources.get(*id)).collect();
        let Some(last) = names.last().cloned() else { return };
        names.extend(names.first().cloned());
        let names: Vec<_> = names.iter().map(|resource| &*resource.name).collect();
        let circle = names.join(" → ");
        let problem = if names.len() == 2 {
            "it depends on itself; it starts all the same, but take that out of its manifest".to_owned()
        } else {
            format!(
                "its dependencies go in a circle: {circle}; they start all the same, but take one of them out"
            )
        };
        let (file, line) = scripts::manifest_place(&last.path, &first.name);
        let file = file.to_owned();
        self.report(&ScriptError { file, line, ..self.problem(&last, &problem) });
    }

    fn problem(&self, resource: &Resource, problem: &dyn std::fmt::Display) -> ScriptError {
        ScriptError { tick: self.tick.get(), ..ScriptError::of_resource(&resource.name, problem) }
    }

    /// A VM with everything in it but the resource's own scripts.
    pub(crate) fn machine(self: &Rc<Self>, resource: &Rc<Resource>) -> Result<Machine, Error> {
        let lua_error = |problem: String| Error::Lua { resource: resource.name.to_string(), problem };
        let mut vm = Vm::new(None, Some(self.seed as u32)).map_err(|error| lua_error(error.to_string()))?;
        let tracer = self.probe.tracer();
        vm.attach(tracer, &resource.name, &raw::hidden()).map_err(|error| lua_error(error.to_string()))?;
        for (chunk, source) in natives::LUA_PARTS.into_iter().chain([natives::SCENARIO_PART]) {
            vm.register_chunk(chunk, source.as_bytes());
        }
        let lua = vm.lua().clone();
        raw::enter_main(tracer, &vm);
        let installed = natives::install(self, resource, &lua);
        self.probe.leave(SwitchReason::Return);
        let installed = installed.map_err(|error| lua_error(error_text(&error)))?;
        vm.set_memory_limit(Some(self.memory_limit as u64));
        vm.set_recorded(self.profiler.chosen(&resource.name));
        Ok(Machine {
            references: installed.references,
            subscribe: installed.subscribe,
            to_string: installed.to_string,
            crossing: installed.crossing,
            named_chunks: Cell::new(0),
            lua,
            vm,
        })
    }

    /// Loads scripts, each in a thread of its own.
    fn load_scripts(self: &Rc<Self>, resource: &Rc<Resource>, entries: Vec<Entry>) {
        let mut foreign = Vec::new();
        for entry in entries {
            match entry {
                Entry::Lua(script) => self.load_script(resource, &script),
                Entry::Foreign { file, language } => foreign.push(format!("{file} ({language})")),
                Entry::Wrong { pattern, problem } => {
                    let (file, line) = scripts::manifest_place(&resource.path, &pattern);
                    let error = self.problem(resource, &problem);
                    self.report(&ScriptError { kind: ErrorKind::Load, file: file.into(), line, ..error });
                }
            }
            if self.ending.is_set() {
                return;
            }
        }
        if !foreign.is_empty() {
            self.say(&format!("{}: only Lua runs here; left out: {}", resource.name, foreign.join(", ")));
        }
    }

    fn load_script(self: &Rc<Self>, resource: &Rc<Resource>, script: &Script) {
        let Some(machine) = resource.machine() else { return };
        let failed = |line: u32, message: String| ScriptError {
            kind: ErrorKind::Load,
            file: script.file.clone(),
            line,
            ..self.problem(resource, &message)
        };
        let read = match crate::database::built_in_file(&script.path) {
            Some(text) => Ok(text.to_vec()),
            None => std::fs::read(&script.path),
        };
        let source = match read {
            Ok(source) => source,
            Err(error) => {
                let problem =
                    format!("cannot read {}: {error}; the manifest names it", script.path.display());
                self.report(&failed(0, problem));
                return;
            }
        };
        let text = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source);
        let text = match cfxlua::rewrite(text) {
            Ok(text) => text,
            Err(error) => {
                self.report(&failed(error.line, error.message));
                return;
            }
        };
        machine.vm.register_chunk(&script.chunk, &text);
        let chunk =
            machine.lua.load(&*text).set_name(&script.chunk).set_mode(ChunkMode::Text).into_function();
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

    /// Stops a resource: those that were started on top of it, its handlers of `onResourceStop`, then everything it has
    /// is taken away. Only when no script runs. Who depended on it stays stopped, as on FXServer.
    pub(crate) fn stop_resource(self: &Rc<Self>, resource: &Rc<Resource>) -> bool {
        if resource.state.get() != ResourceState::Started {
            return false;
        }
        resource.state.set(ResourceState::Stopping);
        let dependants = self.lives.dependants.borrow_mut().remove(&resource.id);
        let mut dependants: Vec<_> =
            dependants.into_iter().flatten().filter_map(|id| self.resources.get(id)).collect();
        dependants.sort_by(|a, b| a.name.cmp(&b.name));
        for other in dependants {
            if self.stop_resource(&other) && self.lives.configured() {
                self.say(&format!("{} was stopped with {}, which it depends on", other.name, resource.name));
            }
        }
        let span = self.probe.begin(resource.symbols.stop, CategoryId::RESOURCE, None, &[]);
        if self.lives.configured() {
            self.say(&format!("Stopping resource {}", resource.name));
        }
        self.trigger_own("onResourceStop", &[&resource.name]);
        self.trigger_own("onServerResourceStop", &[&resource.name]);
        resource.generation.set(resource.generation.get() + 1);
        self.close(resource);
        resource.state.set(ResourceState::Stopped);
        let recorder = self.probe.recorder();
        if recorder.enabled(CategoryId::METRIC) {
            // Who watches heaps is not to take the last size for what it still has.
            recorder.counter(recorder.now(), resource.symbols.heap_bytes, CounterValue::Int(0));
        }
        if let Some(span) = span {
            self.probe.end(span, Outcome::Ok);
        }
        true
    }

    /// Drops every handle into the VM of a resource, and then the VM.
    pub(crate) fn close(self: &Rc<Self>, resource: &Resource) {
        self.lives.started.borrow_mut().retain(|id| *id != resource.id);
        self.events.clear(resource.id);
        self.forget_listeners(resource.id);
        for scopes in self.schedule.clear(resource.id) {
            self.probe.close_scopes(scopes);
        }
        self.profiler.forget(resource.id);
        self.listeners.forget(resource.id);
        self.forget_queries(resource.id);
        self.forget_outside(resource.id);
        self.forget_http(resource.id);
        self.exports.clear(resource.id);
        self.state_bags.clear(resource.id);
        self.convars.forget(resource.id);
        self.references.clear(resource.id);
        let mut commands = std::mem::take(&mut *self.commands.borrow_mut());
        commands.retain(|_, command| command.resource() != resource.id);
        self.commands.borrow_mut().extend(commands);
        resource.heap.set(0);
        let machine = resource.machine.borrow_mut().take();
        let unheard = machine.as_ref().and_then(|machine| Some(machine.crossing.as_ref()?.unheard().clone()));
        drop(machine);
        self.report_jobs(resource, unheard.map(|unheard| unheard.take()).unwrap_or_default());
        self.references.sweep();
    }

    /// Resources that were to start and do not run, by name, and why.
    pub(crate) fn not_started(&self) -> Vec<(String, String)> {
        let mut all = self.lives.missing.borrow().clone();
        all.retain(|name, _| self.find(name).is_none());
        for resource in self.resources.all() {
            if let Some(problem) = resource.failed.borrow().clone() {
                all.insert(resource.name.to_string(), problem);
            }
        }
        all.into_iter().collect()
    }

    /// Closes every VM without a word to scripts.
    pub(crate) fn close_all(self: &Rc<Self>) {
        self.end_scenario();
        for resource in self.resources.all().iter().rev() {
            resource.generation.set(resource.generation.get() + 1);
            self.close(resource);
            resource.state.set(ResourceState::Stopped);
        }
    }
}

/// Reads the manifest of a resource again.
pub(crate) fn read_manifest(resource: &Resource) -> Result<Manifest, String> {
    Manifest::read(&resource.path).map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

/// Line and message of what Lua says of a chunk that does not compile: `@res/file.lua:12: message`.
pub(crate) fn split_syntax_error(text: &str) -> (u32, String) {
    for (at, _) in text.match_indices(": ") {
        if let Some((_, line)) = text[..at].rsplit_once(':')
            && let Ok(line) = line.parse()
        {
            return (line, text[at + 2..].to_owned());
        }
    }
    (0, text.to_owned())
}
