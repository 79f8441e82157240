//! Commands of the server itself, and the files they come in.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tickscope_core::Recorder;

use crate::cfg;
use crate::convars::Shared;
use crate::discovery::discover;
use crate::host::Host;
use crate::lifecycle::Wish;
use crate::report::{ErrorKind, ScriptError};
use crate::resource::{Resource, ResourceState};

/// Bytes a file of commands may have.
const MAX_FILE: u64 = 16 << 20;
/// Files that `exec` each other.
const MAX_NESTING: usize = 16;
/// Files that one file may have run in all: two that run another twice, and so on, would take for ever.
const MAX_FILES: u32 = 1_000;

/// Commands of FXServer that mean nothing here: taken without a word.
const WITHOUT_EFFECT: [&str; 12] = [
    "adhesive_cdnkey",
    "block_net_game_event",
    "con_addchannelfilter",
    "con_removechannelfilter",
    "endpoint_add_tcp",
    "endpoint_add_udp",
    "load_server_icon",
    "fileserver_add",
    "fileserver_remove",
    "increase_pool_size",
    "txaevent",
    "unblock_net_game_event",
];

/// The server's own commands.
const OWN: [&str; 21] = [
    "add_ace",
    "add_principal",
    "cmdlist",
    "ensure",
    "exec",
    "list_aces",
    "list_principals",
    "quit",
    "refresh",
    "remove_ace",
    "remove_principal",
    "restart",
    "set",
    "seta",
    "setr",
    "sets",
    "start",
    "status",
    "stop",
    "test_ace",
    "toggle",
];

/// Whether a command is one of the server's own.
pub(super) fn is_own(name: &str) -> bool {
    OWN.iter().chain(&WITHOUT_EFFECT).any(|own| name.eq_ignore_ascii_case(own))
}

/// Convars of FXServer that are set by their bare name, beside those that start with `sv_`, `onesync` and the like.
const CONVARS: [&str; 9] = [
    "gamename",
    "gametype",
    "mapname",
    "netlib",
    "rcon_password",
    "steam_webapikey",
    "steam_webapidomain",
    "tebex_secret",
    "developer",
];
const CONVAR_PREFIXES: [&str; 5] = ["sv_", "onesync", "ratelimiter_", "con_", "net_"];

/// Where the commands come from that run now.
#[derive(Default)]
pub(crate) struct Origin {
    /// Files that run each other, outermost first, and the line each is at.
    files: RefCell<Vec<(PathBuf, Cell<u32>)>>,
    /// Files run since the outermost began.
    n_files: Cell<u32>,
    /// Commands nobody knows that were told.
    unknown: RefCell<BTreeSet<String>>,
    /// `start` and `ensure` are taken only for these.
    pub(crate) only: RefCell<Option<Vec<String>>>,
}

impl<R: Recorder + 'static> Host<R> {
    /// The host says something to whoever watches the console.
    pub(crate) fn say(&self, text: &str) {
        self.console.borrow_mut().print("", text);
    }

    /// The file of commands that runs, as seen from the server directory, and its line.
    pub(crate) fn cfg_place(&self) -> Option<(String, u32)> {
        if !self.running.borrow().is_empty() {
            return None; // a script is asking, whatever file started it
        }
        let files = self.origin.files.borrow();
        let (path, line) = files.last()?;
        let shown = path.strip_prefix(&self.root).unwrap_or(path);
        Some((shown.display().to_string(), line.get()))
    }

    /// ` (server.cfg:12)`, or nothing.
    fn cfg_suffix(&self) -> String {
        self.cfg_place().map(|(file, line)| format!(" ({file}:{line})")).unwrap_or_default()
    }

    /// Reports what is wrong with a command, with the file and line it is in.
    fn refuse_command(&self, problem: &str) {
        let (file, line) = self.cfg_place().unwrap_or_default();
        let error = ScriptError::of_resource("server", &problem);
        self.report(&ScriptError { kind: ErrorKind::Config, file, line, tick: self.tick.get(), ..error });
    }

    pub(super) fn tell_unknown(&self, name: &str) {
        let in_file = self.cfg_place().is_some();
        let new = self.origin.unknown.borrow_mut().insert(name.to_ascii_lowercase());
        // who types it again wants to hear it again
        if new || !in_file && self.running.borrow().is_empty() {
            self.say(&format!("No such command {name}.{}", self.cfg_suffix()));
        }
    }

    /// A command of the server's own; `false` when it is none.
    pub(super) fn execute_own(self: &Rc<Self>, name: &str, arguments: &[String]) -> bool {
        let command = name.to_ascii_lowercase();
        match (&*command, arguments) {
            ("start" | "stop" | "restart" | "ensure", [target, ..]) => {
                self.change_resources(&command, target)
            }
            ("start" | "stop" | "restart" | "ensure", []) => {
                self.refuse_command(&format!("{command}: expected the name of a resource"));
            }
            ("refresh", _) => self.refresh_resources(),
            ("set" | "seta" | "sets" | "setr", [convar, value, ..]) => {
                let shared = match &*command {
                    "sets" => Shared::ServerInfo,
                    "setr" => Shared::Replicated,
                    _ => Shared::No,
                };
                self.convars.set_as(convar, value, shared);
            }
            ("set" | "seta" | "sets" | "setr", _) => {
                self.refuse_command(&format!("{command}: expected the name of a convar and a value"));
            }
            ("toggle", [convar, rest @ ..]) => self.toggle_convar(convar, rest),
            ("exec", [file, ..]) => self.exec_file(file),
            ("exec", []) => self.refuse_command("exec: expected the name of a file"),
            ("status", _) => self.tell_status(),
            ("cmdlist", _) => self.tell_commands(),
            ("list_aces", _) => self.say_all(self.access.aces()),
            ("list_principals", _) => self.say_all(self.access.memberships()),
            ("quit", _) => self.ending.set(),
            ("add_ace" | "remove_ace" | "add_principal" | "remove_principal" | "test_ace", _) => {
                self.change_access(&command, arguments);
            }
            (ignored, _) if WITHOUT_EFFECT.contains(&ignored) => {}
            _ => return self.convar_command(name, arguments),
        }
        true
    }

    fn say_all(&self, lines: Vec<String>) {
        for line in lines {
            self.say(&line);
        }
    }

    /// Who may do what.
    fn change_access(&self, command: &str, arguments: &[String]) {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let access = &self.access;
        let found = match (command, &words[..]) {
            ("add_ace", [principal, object, kind @ ("allow" | "deny"), ..]) => {
                access.add_ace(principal, object, *kind == "allow");
                true
            }
            ("remove_ace", [principal, object, kind @ ("allow" | "deny"), ..]) => {
                access.remove_ace(principal, object, *kind == "allow")
            }
            ("add_principal", [child, parent, ..]) => {
                access.add_principal(child, parent);
                true
            }
            ("remove_principal", [child, parent, ..]) => access.remove_principal(child, parent),
            ("test_ace", [principal, object, ..]) => {
                self.say(&format!("{principal} -> {object} = {}", access.is_allowed(principal, object)));
                true
            }
            ("add_ace" | "remove_ace", _) => {
                let problem = format!("{command}: expected a principal, an object, and allow or deny");
                return self.refuse_command(&problem);
            }
            ("test_ace", _) => {
                return self.refuse_command("test_ace: expected a principal and an object");
            }
            _ => {
                let problem = format!("{command}: expected a principal and the group it belongs to");
                return self.refuse_command(&problem);
            }
        };
        if !found {
            self.say(&format!("{command}: there is no such entry"));
        }
    }

    /// The bare name of a convar asks for its value, or sets it.
    fn convar_command(&self, name: &str, arguments: &[String]) -> bool {
        let value = self.convars.get(name);
        let lower = name.to_ascii_lowercase();
        let known =
            CONVARS.contains(&&*lower) || CONVAR_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
        match (arguments, value) {
            ([new, ..], value) if known || value.is_some() => self.convars.set(name, new),
            ([], Some(value)) => self.say(&format!("\"{name}\" is \"{value}\"")),
            ([], None) if known => self.say(&format!("\"{name}\" is not set")),
            _ => return false,
        }
        true
    }

    fn toggle_convar(&self, convar: &str, values: &[String]) {
        let (first, second) = match values {
            [first, second, ..] => (&**first, &**second),
            _ => ("1", "0"),
        };
        let Some(value) = self.convars.get(convar) else { return };
        let value = match &*value {
            "true" => "1",
            "false" => "0",
            other => other,
        };
        self.convars.set(convar, if value == first { second } else { first });
    }

    /// `start`, `stop`, `restart` and `ensure`, of a resource or of a `[category]`.
    fn change_resources(self: &Rc<Self>, command: &str, target: &str) {
        let category = target.starts_with('[') && target.ends_with(']');
        let resources: Vec<Rc<Resource>> = if category && command != "restart" {
            self.resources.in_category(target)
        } else {
            self.find(target).into_iter().collect()
        };
        if resources.is_empty() {
            let kind = if category { "resource category" } else { "resource" };
            self.say(&format!("Couldn't find {kind} {target}.{}", self.cfg_suffix()));
            if !category && !self.lives.configured() {
                self.lives.missing(target, format!("there is no resource of this name{}", self.cfg_suffix()));
            }
        }
        for resource in resources {
            let started = resource.state.get() == ResourceState::Started;
            let starts = matches!(command, "start" | "ensure");
            let excluded = |only: &Vec<String>| !only.iter().any(|name| **name == *resource.name);
            if starts && self.origin.only.borrow().as_ref().is_some_and(excluded) {
                continue;
            }
            let wish = match command {
                "stop" => Wish::Stop(resource.id),
                "restart" if !started => {
                    self.say("Can't restart a stopped resource.");
                    continue;
                }
                "restart" => Wish::Restart(resource.id),
                // while the server's files are read, a second line does not restart anything
                "ensure" if started && self.lives.configured() => Wish::Restart(resource.id),
                _ => Wish::Start(resource.id),
            };
            self.wish(wish);
        }
    }

    /// Looks for new resources and changed manifests.
    fn refresh_resources(self: &Rc<Self>) {
        let discovery = match discover(&self.root) {
            Ok(discovery) => discovery,
            Err(error) => return self.refuse_command(&format!("refresh: {error}")),
        };
        let (mut new, mut changed, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for found in discovery.resources.into_values() {
            let name = found.name.clone();
            match self.resources.named(&name) {
                None => {
                    let resource = Resource::new(self.resources.len(), found, self.probe.symbols(&name));
                    self.resources.put(Rc::new(resource));
                    new.push(name);
                }
                Some(old) if old.path != found.path => {
                    if old.state.get() != ResourceState::Stopped {
                        self.wish(Wish::Stop(old.id));
                    }
                    if old.state.get() == ResourceState::Stopped {
                        let resource = Resource::new(old.id, found, old.symbols);
                        resource.generation.set(old.generation.get());
                        self.resources.put(Rc::new(resource));
                    }
                    moved.push(name);
                }
                Some(old) => {
                    if old.set_manifest(found.manifest) {
                        changed.push(name);
                    }
                }
            }
        }
        self.resources.index_providers();
        let told = |what: &str, names: &[String]| match names {
            [] => format!("0 {what}"),
            _ => format!("{} {what} ({})", names.len(), names.join(", ")),
        };
        let mut line = format!("refresh: {}, {}", told("new", &new), told("changed", &changed));
        if !moved.is_empty() {
            line.push_str(&format!(", {}", told("moved and stopped", &moved)));
        }
        self.say(&line);
        for error in discovery.errors {
            self.report(&ScriptError { tick: self.tick.get(), ..error });
        }
    }

    fn tell_status(&self) {
        let all = self.resources.by_name();
        let started = |resource: &&Rc<Resource>| resource.state.get() == ResourceState::Started;
        let running = all.iter().filter(started).count();
        self.say(&format!("tick {}, {running} of {} resources running", self.tick.get(), all.len()));
        for resource in all {
            let name = &resource.name;
            match (resource.machine(), resource.failed.borrow().as_ref()) {
                (Some(machine), _) => {
                    let kib = machine.vm.memory().live_bytes / 1024;
                    self.say(&format!("  {name}: {}, {kib} KiB", resource.state.get().name()));
                }
                (None, Some(problem)) => self.say(&format!("  {name}: stopped: {problem}")),
                (None, None) => self.say(&format!("  {name}: stopped")),
            }
        }
    }

    fn tell_commands(&self) {
        let mut names: BTreeSet<String> = self.commands.borrow().keys().cloned().collect();
        names.extend(OWN.map(str::to_owned));
        for name in names {
            self.say(&name);
        }
        for (name, value, _) in self.convars.all() {
            self.say(&format!("{name} = {value}"));
        }
    }

    /// `exec`: a file in the server directory, or `@resource/file`.
    fn exec_file(self: &Rc<Self>, file: &str) {
        let (base, below) = match file.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
            Some((name, below)) => match self.find(name) {
                Some(resource) => (resource.path.clone(), below),
                None => return self.refuse_command(&format!("exec {file:?}: there is no resource {name:?}")),
            },
            None => (self.root.clone(), file),
        };
        let Ok(path) = base.join(below).canonicalize() else {
            return self
                .refuse_command(&format!("exec {file:?}: there is no such file in {}", base.display()));
        };
        if !base.canonicalize().is_ok_and(|base| path.starts_with(base)) {
            return self.refuse_command(&format!("exec {file:?}: it leads out of {}", base.display()));
        }
        self.exec_path(&path);
    }

    /// Runs the commands of a file.
    pub(crate) fn exec_path(self: &Rc<Self>, path: &Path) {
        let files = &self.origin.files;
        if files.borrow().iter().any(|(other, _)| other == path) {
            let names: Vec<_> = files.borrow().iter().map(|(path, _)| self.below_root(path)).collect();
            let circle = names.join(" → ");
            return self.refuse_command(&format!(
                "exec: the files run each other: {circle} → {}",
                self.below_root(path)
            ));
        }
        let n_files = if files.borrow().is_empty() { 0 } else { self.origin.n_files.get() };
        self.origin.n_files.set(n_files + 1);
        if files.borrow().len() >= MAX_NESTING || n_files >= MAX_FILES {
            return self.refuse_command(&format!(
                "exec {}: more than {MAX_NESTING} files inside each other, or {MAX_FILES} in all",
                self.below_root(path)
            ));
        }
        let read = std::fs::metadata(path).and_then(|data| {
            if data.len() > MAX_FILE || !data.is_file() {
                let problem = format!("expected a file of at most {} MiB", MAX_FILE >> 20);
                return Err(std::io::Error::other(problem));
            }
            std::fs::read(path)
        });
        let source = match read {
            Ok(source) => source,
            Err(error) => {
                return self
                    .refuse_command(&format!("exec {}: cannot read it: {error}", self.below_root(path)));
            }
        };
        files.borrow_mut().push((path.to_owned(), Cell::new(0)));
        if let Some(line) = cfg::broken_lines(&source).next() {
            self.at_line(line);
            self.refuse_command("not UTF-8, and left out like every such line");
        }
        for command in cfg::commands(&source) {
            if self.ending.is_set() {
                break;
            }
            self.at_line(command.line);
            self.ending.rearm();
            self.execute(command.text);
        }
        files.borrow_mut().pop();
    }

    fn at_line(&self, line: u32) {
        if let Some((_, at)) = self.origin.files.borrow().last() {
            at.set(line);
        }
    }

    fn below_root(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}
