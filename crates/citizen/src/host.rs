//! What natives reach: the state of a server, shared by everything on its thread.
//!
//! Rule: no `RefCell` stays borrowed while a script may run. Scripts call back into all of this, nested.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};
use tickscope_core::{ArgInput, CategoryId, Outcome, Recorder, Scope};

use crate::cfxlua;
use crate::clock::GameClock;
use crate::commands::{Command, Origin};
use crate::console::Log;
use crate::convars::Convars;
use crate::database::DatabaseHost;
use crate::events::Events;
use crate::http::HttpHost;
use crate::lifecycle::Lives;
use crate::outside::Outside;
use crate::probe::Probe;
use crate::raw::{self, Failure};
use crate::references::{Exports, References};
use crate::registry::Registry;
use crate::report::{ErrorKind, Reports, ScriptError};
use crate::resource::Resource;
use crate::schedule::Schedule;
use crate::world::World;

/// How deep events, exports and threads may nest.
pub(crate) const MAX_NESTING: usize = 48;

pub(crate) struct Host<R: Recorder + 'static> {
    pub(crate) probe: Probe<R>,
    pub(crate) clock: GameClock,
    pub(crate) tick: Cell<u64>,
    pub(crate) seed: u64,
    pub(crate) memory_limit: usize,
    /// The server directory, links followed.
    pub(crate) root: PathBuf,
    pub(crate) resources: Registry,
    pub(crate) lives: Lives,
    /// The resources at work, outermost first.
    pub(crate) running: RefCell<Vec<Rc<Resource>>>,
    pub(crate) schedule: Schedule,
    /// What other threads do for it.
    pub(crate) outside: Outside<R>,
    pub(crate) jobs: crate::jobs::Jobs,
    pub(crate) profiler: crate::profiler::Profiler,
    pub(crate) listeners: crate::samples::Listeners,
    pub(crate) database: DatabaseHost<R>,
    pub(crate) http: HttpHost,
    pub(crate) events: Events,
    pub(crate) references: References,
    pub(crate) exports: Exports,
    pub(crate) convars: Convars,
    pub(crate) commands: RefCell<BTreeMap<String, Rc<Command>>>,
    pub(crate) store: RefCell<crate::store::Store>,
    pub(crate) console: RefCell<Log>,
    /// Passwords that were hashed: none gets the salt of another.
    pub(crate) passwords: Cell<u64>,
    pub(crate) reports: RefCell<Reports>,
    /// The files of commands that run.
    pub(crate) origin: Origin,
    pub(crate) client_events: Cell<u64>,
    pub(crate) access: crate::access::Access,
    pub(crate) latent: crate::latent::Latent,
    pub(crate) state_bags: crate::state_bags::StateBags,
    pub(crate) world: World,
    /// Natives that do nothing here, and how often they were called.
    pub(crate) neutral: RefCell<BTreeMap<&'static str, u64>>,
    /// The natives that have behaviour: the same in every VM.
    pub(crate) known_natives: OnceCell<BTreeSet<&'static str>>,
    /// Calls of natives that do nothing are errors.
    pub(crate) strict: bool,
    /// Names of natives that are not known here, by hash.
    pub(crate) foreign_natives: BTreeMap<u64, String>,
    pub(crate) scenario: crate::scenario::Scenario,
    /// The interrupt in force was told: the errors it raises further out are the same one.
    pub(crate) interrupt_told: Cell<bool>,
    /// The run is to end: no more jobs.
    pub(crate) ending: std::sync::Arc<crate::server::StopFlag>,
}

/// Why a native does not return plainly.
pub(crate) enum Raise {
    /// An error; scripts get the position of the call in front of it.
    Text(String),
    /// An error object, as it is.
    Value(Value),
    /// The calling coroutine waits for the answer to this token.
    Wait(u64),
}

impl From<String> for Raise {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<mlua::Error> for Raise {
    fn from(error: mlua::Error) -> Self {
        Self::Text(error_text(&error))
    }
}

pub(crate) type Answer = Result<MultiValue, Raise>;

/// An answer of one value.
pub(crate) fn one(lua: &Lua, value: impl mlua::IntoLua) -> Answer {
    Ok(MultiValue::from_vec(vec![value.into_lua(lua)?]))
}

/// An answer of nothing.
pub(crate) fn nothing() -> Answer {
    Ok(MultiValue::new())
}

/// The arguments of a native.
pub(crate) struct Args {
    pub(crate) native: &'static str,
    pub(crate) values: MultiValue,
}

impl Args {
    pub(crate) fn get(&self, index: usize) -> &Value {
        self.values.get(index).unwrap_or(&Value::Nil)
    }

    pub(crate) fn wrong(&self, index: usize, expected: &str) -> Raise {
        let got = match self.values.get(index) {
            Some(value) => value.type_name(),
            None => "no value",
        };
        Raise::Text(format!(
            "bad argument #{} to '{}' ({expected} expected, got {got})",
            index + 1,
            self.native
        ))
    }

    /// Text, or a number as text; bytes that are not UTF-8 are escaped.
    pub(crate) fn text(&self, index: usize) -> Result<String, Raise> {
        match self.get(index) {
            Value::String(text) => Ok(tickscope_core::escape(&text.as_bytes()).into_owned()),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Number(number) => Ok(format!("{number:?}")),
            _ => Err(self.wrong(index, "string")),
        }
    }

    pub(crate) fn text_or(&self, index: usize, default: &str) -> Result<String, Raise> {
        if self.get(index).is_nil() { Ok(default.to_owned()) } else { self.text(index) }
    }

    pub(crate) fn bytes(&self, index: usize) -> Result<Vec<u8>, Raise> {
        match self.get(index) {
            Value::String(text) => Ok(text.as_bytes().to_vec()),
            _ => self.text(index).map(String::into_bytes),
        }
    }

    /// A function, or a table that can be called (a function of another VM is one).
    pub(crate) fn function(&self, index: usize) -> Result<Function, Raise> {
        match self.get(index) {
            Value::Function(function) => Ok(function.clone()),
            Value::Table(table) => {
                let call = table.metatable().and_then(|meta| meta.raw_get::<Function>("__call").ok());
                let call = call.ok_or_else(|| self.wrong(index, "function"))?;
                Ok(call.bind(table)?)
            }
            _ => Err(self.wrong(index, "function")),
        }
    }

    /// A function, or a function that calls the table given: one of another VM, for example.
    pub(crate) fn callable(&self, lua: &Lua, index: usize) -> Result<Function, Raise> {
        match self.get(index) {
            Value::Function(function) => Ok(function.clone()),
            Value::Table(table)
                if table
                    .metatable()
                    .is_some_and(|meta| matches!(meta.raw_get("__call"), Ok(Value::Function(_)))) =>
            {
                let source = "local target = ... return function(...) return target(...) end";
                Ok(lua.load(source).set_name("@citizen:/callable.lua").call(table)?)
            }
            _ => Err(self.wrong(index, "function")),
        }
    }

    pub(crate) fn table(&self, index: usize) -> Result<Table, Raise> {
        match self.get(index) {
            Value::Table(table) => Ok(table.clone()),
            _ => Err(self.wrong(index, "table")),
        }
    }

    pub(crate) fn number(&self, index: usize) -> Result<f64, Raise> {
        match self.get(index) {
            Value::Integer(number) => Ok(*number as f64),
            Value::Number(number) => Ok(*number),
            Value::String(text) => {
                let text = text.to_string_lossy();
                text.trim().parse().map_err(|_| self.wrong(index, "number"))
            }
            _ => Err(self.wrong(index, "number")),
        }
    }

    /// A whole number; a fraction is cut off.
    pub(crate) fn integer(&self, index: usize) -> Result<i64, Raise> {
        match self.get(index) {
            Value::Integer(number) => Ok(*number),
            _ => self.number(index).map(|number| number as i64),
        }
    }
}

/// Whether a native's calls are recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// As spans: it does real work or crosses into another VM.
    Recorded,
    /// Not: it only looks something up, and a span would cost more than the call.
    Silent,
}

impl<R: Recorder + 'static> Host<R> {
    /// A native for scripts of `resource`.
    pub(crate) fn native(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        lua: &Lua,
        name: &'static str,
        calls: Calls,
        body: impl Fn(&Rc<Self>, &Rc<Resource>, &Lua, Args) -> Answer + 'static,
    ) -> mlua::Result<Function> {
        let (host, resource) = (Rc::downgrade(self), Rc::downgrade(resource));
        let symbol = match calls {
            Calls::Recorded => {
                self.upgraded(&resource).map(|resource| self.probe.native(&resource.name, name))
            }
            Calls::Silent => None,
        };
        let inner = lua.create_function(move |lua, values: MultiValue| {
            // both outlive the VM; a finalizer that runs while it is closed finds them still there
            let (Some(host), Some(resource)) = (host.upgrade(), resource.upgrade()) else {
                return Ok(MultiValue::new());
            };
            let span = symbol.and_then(|symbol| host.probe.begin(symbol, CategoryId::NATIVE, None, &[]));
            let answer = body(&host, &resource, lua, Args { native: name, values });
            if let Some(span) = span {
                let failed = matches!(answer, Err(Raise::Text(_) | Raise::Value(_)));
                host.probe.end(span, if failed { Outcome::Error } else { Outcome::Ok });
            }
            Ok(match answer {
                Ok(values) => values,
                Err(Raise::Text(text)) => raw::tagged_raise(Value::String(lua.create_string(text)?)),
                Err(Raise::Value(value)) => raw::tagged_raise(value),
                Err(Raise::Wait(token)) => raw::tagged_wait(token),
            })
        })?;
        raw::native(lua, inner)
    }

    fn upgraded(&self, resource: &std::rc::Weak<Resource>) -> Option<Rc<Resource>> {
        resource.upgrade()
    }

    /// What a native is called that does not exist here: its hash, and its name where one was imported.
    pub(crate) fn native_name(&self, hash: u64) -> String {
        match self.foreign_natives.get(&hash) {
            Some(name) => format!("{name} (0x{hash:016X})"),
            None => format!("0x{hash:016X}"),
        }
    }

    /// The resource called `name`, or the one that provides it: see [`Registry::find`].
    pub(crate) fn find(&self, name: &str) -> Option<Rc<Resource>> {
        self.resources.find(name)
    }

    /// Writes the key-value store to its file, if it has one and changed.
    pub(crate) fn save_store(&self) {
        let saved = self.store.borrow_mut().save();
        if let Err(problem) = saved {
            let error = ScriptError::of_resource("server", &problem);
            self.report(&ScriptError { tick: self.tick.get(), ..error });
        }
    }

    /// Reports an error, and records it as a moment on the current track.
    pub(crate) fn report(&self, error: &ScriptError) {
        if !self.reports.borrow_mut().add(error) {
            return;
        }
        self.scenario.note(error);
        let symbol =
            self.find(&error.resource).map_or_else(Default::default, |resource| resource.symbols.error);
        let recorder = self.probe.recorder();
        if recorder.enabled(CategoryId::ERROR) {
            let args = [(self.probe.keys.message, ArgInput::Text(&error.message))];
            recorder.instant(recorder.now(), symbol, CategoryId::ERROR, Scope::Track, &args);
        }
        self.console.borrow_mut().error(error);
    }

    /// The report of an error that ended a coroutine of `resource`.
    pub(crate) fn script_error(
        &self,
        resource: &Resource,
        machine_text: String,
        failure: &Failure,
    ) -> ScriptError {
        let (position, message) = split_position(&machine_text);
        // `error(message, 2)` names the caller, and what is raised again where it came from
        let (source, line) = match (position, &failure.place) {
            (Some((source, line)), _) if source.starts_with('@') => (format!("@{source}"), line),
            (_, Some(place)) => (place.source.clone(), place.line),
            (_, None) => Default::default(),
        };
        let file = resource.file_of(&source).to_owned();
        let mut error = ScriptError {
            kind: ErrorKind::Script,
            resource: resource.name.to_string(),
            line: if file.is_empty() { 0 } else { line },
            file,
            message: cfxlua::without_own_variables(message),
            traceback: failure.traceback.clone(),
            tick: self.tick.get(),
        };
        if let Some(name) = missing_native(&error.message) {
            error.message = format!(
                "native {name} does not exist in this host; the call failed, the rest runs on (only a native's first call is reported)"
            );
            error.kind = ErrorKind::MissingNative(name);
        }
        error
    }
}

/// The message of an error object.
pub(crate) fn text_of(to_string: &Function, lua: &Lua, value: &Value) -> String {
    match value {
        Value::String(text) => tickscope_core::escape(&text.as_bytes()).into_owned(),
        Value::Error(error) => error_text(error),
        Value::Nil => "nil".into(),
        Value::Table(table) => {
            let speaks = table
                .metatable()
                .is_some_and(|meta| matches!(meta.raw_get("__tostring"), Ok(Value::Function(_))));
            let text = if speaks { to_string.call::<mlua::LuaString>(value).ok() } else { None };
            match text {
                Some(text) => tickscope_core::escape(&text.as_bytes()).into_owned(),
                None => match crate::json::encode(lua, value, Default::default()) {
                    Ok(json) => format!("(error object) {}", tickscope_core::escape(&json)),
                    Err(_) => "(error object is a table value)".into(),
                },
            }
        }
        other => to_string
            .call::<mlua::LuaString>(other)
            .map_or_else(|_| "?".into(), |text| text.to_string_lossy()),
    }
}

/// The message of an error of mlua, without its traceback.
pub(crate) fn error_text(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => error_text(cause),
        mlua::Error::RuntimeError(message)
        | mlua::Error::MemoryError(message)
        | mlua::Error::SyntaxError { message, .. } => message.lines().next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

/// The `@file:12: ` that Lua puts in front of a message, and the rest.
fn split_position(message: &str) -> (Option<(&str, u32)>, &str) {
    if !message.starts_with('@') && !message.starts_with("...") {
        return (None, message);
    }
    for (at, _) in message.match_indices(": ") {
        let head = &message[..at];
        if let Some((source, line)) = head.rsplit_once(':')
            && let Ok(line) = line.parse()
        {
            return (Some((source, line)), &message[at + 2..]);
        }
        if head.contains('\n') {
            break;
        }
    }
    (None, message)
}

/// The native in Lua's words for the call of a global that is nil, if its name looks like one.
fn missing_native(message: &str) -> Option<String> {
    let rest = message.strip_prefix("attempt to call a nil value (")?;
    if let Some(name) = rest.strip_prefix("global '").and_then(|rest| rest.strip_suffix("')")) {
        let mut bytes = name.bytes();
        let pascal = bytes.next().is_some_and(|first| first.is_ascii_uppercase())
            && name.bytes().any(|byte| byte.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return pascal.then(|| name.to_owned());
    }
    if let Some(name) = rest.strip_prefix("native '").and_then(|rest| rest.strip_suffix("')")) {
        return Some(name.to_owned());
    }
    let name = rest.strip_prefix("field 'Citizen.").and_then(|rest| rest.strip_suffix("')"))?;
    Some(format!("Citizen.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_taken_off() {
        let place = Some(("@shop/server/main.lua", 12));
        assert_eq!(split_position("@shop/server/main.lua:12: no money"), (place, "no money"));
        assert_eq!(
            split_position("...ong/path/main.lua:3: a: b"),
            (Some(("...ong/path/main.lua", 3)), "a: b")
        );
        assert_eq!(split_position("plain: text"), (None, "plain: text"));
        assert_eq!(split_position("@home: text"), (None, "@home: text"));
    }

    #[test]
    fn natives_are_told_from_other_globals() {
        let call = |what: &str| missing_native(&format!("attempt to call a nil value ({what})"));
        assert_eq!(call("global 'GetPlayerPed'").as_deref(), Some("GetPlayerPed"));
        assert_eq!(call("global 'lib'"), None);
        assert_eq!(call("global 'ESX'"), None);
        assert_eq!(call("method 'GetPlayer'"), None);
        assert_eq!(missing_native("attempt to index a nil value (global 'Config')"), None);
    }
}
