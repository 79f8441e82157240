//! Console commands: those of scripts here, the server's own in [`own`].

mod own;

use std::rc::Rc;

use mlua::{Function, MultiValue, Value};
use tickscope_core::{CategoryId, Recorder, SymbolId};

use crate::access::{CONSOLE, EVERYONE};
use crate::cfg;
use crate::events::Source;
use crate::host::Host;
use crate::probe::Boundary;
use crate::references::Parcel;
use crate::resource::Resource;

pub(crate) use own::Origin;

/// What a player types that is no command: an event that only the server triggers.
pub(crate) const COMMAND_FALLBACK: &str = "__cfx_internal:commandFallback";

/// Who runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller<'a> {
    /// The console, or a file of commands: may do everything.
    Console,
    /// A script of this resource.
    Resource(&'a str),
    Player(u32),
}

/// What one must be allowed to do to run a command.
fn object(command: &str) -> String {
    format!("command.{}", command.to_ascii_lowercase())
}

pub(crate) struct Command {
    resource: Rc<Resource>,
    generation: u32,
    function: Function,
    symbol: SymbolId,
}

impl Command {
    pub(crate) fn resource(&self) -> usize {
        self.resource.id
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// `RegisterCommand`: the last registration of a name holds. One that is not restricted is everybody's.
    pub(crate) fn register_command(
        &self,
        resource: &Rc<Resource>,
        name: &str,
        function: Function,
        restricted: bool,
    ) {
        let command = Command {
            resource: Rc::clone(resource),
            generation: resource.generation.get(),
            symbol: self.probe.named(resource, name, &function),
            function,
        };
        if !restricted {
            self.access.add_ace(EVERYONE, &object(name), true);
        }
        let old = self.commands.borrow_mut().insert(name.to_ascii_lowercase(), Rc::new(command));
        drop(old);
    }

    /// Runs one command of the console's; `false` when there is none of that name, which is told.
    pub(crate) fn execute(self: &Rc<Self>, line: &str) -> bool {
        self.execute_by(Caller::Console, line)
    }

    /// Runs what a player typed behind the slash; `false` when there is no such command. What no command is goes to
    /// handlers of `__cfx_internal:commandFallback`, the chat's.
    pub(crate) fn execute_for(self: &Rc<Self>, source: u32, line: &str) -> bool {
        let line = line.trim();
        self.execute_by(Caller::Player(source), line.strip_prefix('/').unwrap_or(line))
    }

    /// Whether a player may do `object`, by number or by one of the identifiers.
    pub(crate) fn player_may(&self, source: u32, object: &str) -> bool {
        let principals = self.principals(Caller::Player(source));
        principals.iter().any(|principal| self.access.is_allowed(principal, object))
    }

    fn principals(&self, caller: Caller<'_>) -> Vec<String> {
        match caller {
            Caller::Console => vec![CONSOLE.to_owned()],
            Caller::Resource(name) => vec![format!("resource.{name}")],
            Caller::Player(source) => match self.world.players.borrow().get(source) {
                None => Vec::new(),
                Some(player) => std::iter::once(format!("player.{source}"))
                    .chain(player.identifiers.iter().map(|identifier| format!("identifier.{identifier}")))
                    .collect(),
            },
        }
    }

    /// Runs one command for somebody; `false` when there is none of that name, which is told. One that is not allowed is
    /// told too. Commands that this one runs may do what this one may.
    pub(crate) fn execute_by(self: &Rc<Self>, caller: Caller<'_>, line: &str) -> bool {
        let line = line.trim();
        let words = cfg::words(line);
        let Some((name, arguments)) = words.split_first() else { return false };
        let before = self.access.enter(self.principals(caller));
        let known = self.run_command(caller, name, arguments, line);
        self.access.leave(before);
        known
    }

    fn run_command(
        self: &Rc<Self>,
        caller: Caller<'_>,
        name: &str,
        arguments: &[String],
        line: &str,
    ) -> bool {
        let registered = self.commands.borrow().contains_key(&name.to_ascii_lowercase());
        if !self.access.is_allowed_now(&object(name)) {
            if registered || own::is_own(name) || self.convars.get(name).is_some() {
                self.say(&format!("Access denied for command {name}."));
                return true;
            }
        } else if self.execute_own(name, arguments) {
            return true;
        } else if registered {
            let source = if let Caller::Player(source) = caller { source } else { 0 };
            return self.execute_registered(source, name, arguments, line);
        }
        if let Caller::Player(source) = caller {
            let parcel = Parcel::new(crate::msgpack::pack_texts(&[line]), Vec::new(), &self.references);
            // it is the player who is told, not the console
            return !self.trigger(COMMAND_FALLBACK, &parcel, Source::Player(source));
        }
        self.tell_unknown(name);
        false
    }

    /// Runs a command that a script registered, for a player or, with source 0, for the console.
    fn execute_registered(
        self: &Rc<Self>,
        source: u32,
        name: &str,
        arguments: &[String],
        line: &str,
    ) -> bool {
        let command = self.commands.borrow().get(&name.to_ascii_lowercase()).cloned();
        let Some(command) = command else { return false };
        let Some(machine) = command.resource.machine() else { return false };
        if command.generation != command.resource.generation.get() {
            return false;
        }
        let values = || -> mlua::Result<MultiValue> {
            let list = machine.lua.create_sequence_from(arguments.iter().map(String::as_str))?;
            let line = machine.lua.create_string(line)?;
            Ok(MultiValue::from_vec(vec![
                Value::Integer(source.into()),
                Value::Table(list),
                Value::String(line),
            ]))
        };
        let boundary = Boundary { symbol: command.symbol, category: CategoryId::COMMAND };
        let before = self.events.set_player((source != 0).then_some(source));
        match values() {
            Ok(values) => {
                let ended = self.start(&command.resource, command.function.clone(), values, boundary, None);
                self.tell(ended);
            }
            Err(error) => {
                let text = crate::host::error_text(&error);
                self.report(&crate::ScriptError::of_resource(&command.resource.name, &text));
            }
        }
        self.events.set_player(before);
        true
    }
}
