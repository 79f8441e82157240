//! Console commands: those of scripts here, the server's own in [`own`].

mod own;

use std::rc::Rc;

use mlua::{Function, MultiValue, Value};
use tickscope_core::{CategoryId, Recorder, SymbolId};

use crate::cfg;
use crate::host::Host;
use crate::probe::Boundary;
use crate::resource::Resource;

pub(crate) use own::Origin;

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
    /// `RegisterCommand`: the last registration of a name holds.
    pub(crate) fn register_command(&self, resource: &Rc<Resource>, name: &str, function: Function) {
        let command = Command {
            resource: Rc::clone(resource),
            generation: resource.generation.get(),
            symbol: self.probe.named(resource, name, &function),
            function,
        };
        let old = self.commands.borrow_mut().insert(name.to_ascii_lowercase(), Rc::new(command));
        drop(old);
    }

    /// Runs one command; `false` when there is none of that name, which is told.
    pub(crate) fn execute(self: &Rc<Self>, line: &str) -> bool {
        let line = line.trim();
        let words = cfg::words(line);
        let Some((name, arguments)) = words.split_first() else { return false };
        if self.execute_own(name, arguments) || self.execute_registered(0, name, arguments, line) {
            return true;
        }
        self.tell_unknown(name);
        false
    }

    /// Runs a command line that a player typed; `false` when no script registered such a command.
    pub(crate) fn execute_for(self: &Rc<Self>, source: u32, line: &str) -> bool {
        let line = line.trim();
        let words = cfg::words(line);
        let Some((name, arguments)) = words.split_first() else { return false };
        self.execute_registered(source, name, arguments, line)
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
        true
    }
}
