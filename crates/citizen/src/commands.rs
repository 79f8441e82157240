//! Console commands.

use std::rc::Rc;

use mlua::{Function, MultiValue, Value};
use tickscope_core::{CategoryId, Recorder, SymbolId};

use crate::host::{Host, Wish};
use crate::probe::Boundary;
use crate::resource::Resource;

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

/// Splits a command line: white space between words, double quotes around words with white space, `\"` for a quote.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&'"') => {
                word.get_or_insert_default().push('"');
                characters.next();
            }
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            space if space.is_whitespace() && !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
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

    /// Runs a command line; `false` when there is no such command.
    pub(crate) fn execute(self: &Rc<Self>, line: &str) -> bool {
        let line = line.trim();
        let words = words(line);
        let Some((name, arguments)) = words.split_first() else { return false };
        let command = self.commands.borrow().get(&name.to_ascii_lowercase()).cloned();
        let Some(command) = command else { return self.execute_own(name, arguments) };
        let Some(machine) = command.resource.machine() else { return false };
        if command.generation != command.resource.generation.get() {
            return false;
        }
        let values = || -> mlua::Result<MultiValue> {
            let list = machine.lua.create_sequence_from(arguments.iter().map(String::as_str))?;
            let line = machine.lua.create_string(line)?;
            // source 0: the console
            Ok(MultiValue::from_vec(vec![Value::Integer(0), Value::Table(list), Value::String(line)]))
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

    /// Commands of the server itself.
    fn execute_own(&self, name: &str, arguments: &[String]) -> bool {
        let resource = || arguments.first().and_then(|name| self.find(name)).map(|resource| resource.id);
        match (name, resource()) {
            ("start" | "ensure", Some(id)) => self.wishes.borrow_mut().push(Wish::Start(id)),
            ("stop", Some(id)) => self.wishes.borrow_mut().push(Wish::Stop(id)),
            ("restart", Some(id)) => self.wishes.borrow_mut().extend([Wish::Stop(id), Wish::Start(id)]),
            ("set" | "sets" | "setr", _) if arguments.len() == 2 => {
                self.convars.borrow_mut().insert(arguments[0].clone(), arguments[1].clone());
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn lines_are_split_as_the_console_does() {
        let check = |line: &str, expected: &[&str]| assert_eq!(words(line), expected, "{line}");
        check("give 5 bread", &["give", "5", "bread"]);
        check("  say  \"hello  world\" x ", &["say", "hello  world", "x"]);
        check(r#"say "a \"b\"" """#, &["say", "a \"b\"", ""]);
        check("", &[]);
        check("\"open", &["open"]);
    }
}
