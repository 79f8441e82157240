//! Requests of scripts, and how they are answered.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Lua, MultiValue, Table, Value};
use tickscope_core::{CategoryId, LinkPoint, Recorder};

use super::client::{Failure, Got, host_of};
use super::{Ask, CLIENTS, Header};
use crate::events::Source;
use crate::host::{Calls, Host, error_text, one};
use crate::outside::Request;
use crate::report::{ErrorKind, ScriptError};
use crate::resource::Resource;
use crate::schedule::Input;

/// The event that answers `PerformHttpRequestInternal`.
const ANSWER_EVENT: &str = "__cfx_internal:httpResponse";

/// Who gets the answer.
pub(crate) enum Asker {
    /// The coroutine that waits for a token.
    Token(u64),
    Callback(Value),
    /// Handlers of an event, in the resource that asked; with the number of the request.
    Event(i64),
    Nobody,
}

/// A method as it may stand in the name of a span.
fn shown(method: &str) -> &str {
    let plain =
        !method.is_empty() && method.len() <= 16 && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    if plain { method } else { "?" }
}

/// `content-type` as most servers write it.
fn usual(name: &str) -> String {
    let mut start = true;
    let letter = |letter: char| {
        let upper = std::mem::replace(&mut start, letter == '-');
        if upper { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    name.chars().map(letter).collect()
}

impl<R: Recorder + 'static> Host<R> {
    /// The number of a request that is answered by an event.
    pub(crate) fn http_number(&self) -> i64 {
        self.http.numbers.replace(self.http.numbers.get() + 1)
    }

    /// Makes a request; the answer comes with a later tick.
    pub(crate) fn http_request(self: &Rc<Self>, resource: &Rc<Resource>, ask: Ask, asker: Asker) {
        let host = host_of(&ask.url);
        let place = host.as_deref().unwrap_or("?");
        let name = format!("http {} {place}", shown(&ask.method));
        let request = Request {
            service: CLIENTS,
            resource,
            latency: Duration::ZERO,
            symbol: self.probe.native(&resource.name, &name),
            category: CategoryId::HTTP,
        };
        let refusal = self.http.refusal();
        if let Some(why) = refusal {
            self.count_refused(resource, &name, why);
        }
        let client = refusal.is_none().then(|| self.http.client.share());
        let of = Rc::clone(resource);
        let asker = Rc::new(Cell::new(Some(asker)));
        let later = Rc::clone(&asker);
        let submitted = self.submit(
            &request,
            move || match client {
                Some(client) => client.fetch(&ask),
                None => Err(Failure::told(refusal.unwrap_or_default())),
            },
            move |host, answer, cause| {
                let answer = answer.unwrap_or_else(|error| Err(Failure::told(error.to_string())));
                if let Some(asker) = later.take() {
                    host.answer_request(&of, &asker, answer, cause);
                }
            },
        );
        if let Err(error) = submitted
            && let Some(asker) = asker.take()
        {
            self.answer_request(resource, &asker, Err(Failure::told(error.to_string())), None);
        }
    }

    /// A request that is not made: counted, and told once for each resource.
    fn count_refused(&self, resource: &Resource, name: &str, why: &str) {
        let first = {
            let mut refused = self.http.refused.borrow_mut();
            let count = refused.entry(resource.name.to_string()).or_insert(0);
            *count += 1;
            *count == 1
        };
        if first {
            let text =
                format!("{}: {name} is not asked, nor is any other request made: {why}", resource.name);
            self.console.borrow_mut().print("", &text);
        }
    }

    fn answer_request(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        asker: &Asker,
        answer: Result<Got, Failure>,
        cause: LinkPoint,
    ) {
        let Some(machine) = resource.machine() else { return };
        let values = self.answer_values(resource, &machine.lua, answer).map_err(|error| error_text(&error));
        match (asker, values) {
            (Asker::Token(token), Ok(values)) => {
                self.answer_from(*token, Input::Values(MultiValue::from_vec(values)), cause);
            }
            (Asker::Token(token), Err(problem)) => {
                self.answer_from(*token, Input::ErrorText(problem), cause);
            }
            (Asker::Callback(callback), Ok(values)) => {
                self.call_back(resource, callback, CategoryId::HTTP, values, cause);
            }
            (Asker::Event(number), Ok(mut values)) => {
                values.insert(0, Value::Integer(*number));
                match self.make_parcel(resource, &machine.lua, &values) {
                    Ok(parcel) => {
                        self.trigger_in(Some(resource.id), ANSWER_EVENT, &parcel, Source::Server);
                    }
                    Err(problem) => self.report_answer(resource, &problem),
                }
            }
            (Asker::Nobody, Ok(_)) => {}
            (_, Err(problem)) => self.report_answer(resource, &problem),
        }
    }

    fn report_answer(&self, resource: &Resource, problem: &str) {
        let problem = format!("the answer to an HTTP request does not fit: {problem}");
        let error = ScriptError::of_resource(&resource.name, &problem);
        self.report(&ScriptError { tick: self.tick.get(), kind: ErrorKind::Script, ..error });
    }

    /// Status, body, headers and error, as a callback gets them.
    fn answer_values(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        lua: &Lua,
        answer: Result<Got, Failure>,
    ) -> mlua::Result<Vec<Value>> {
        Ok(match answer {
            Ok(got) => vec![
                Value::Integer(got.status.into()),
                Value::String(lua.create_string(got.body)?),
                Value::Table(self.header_table(resource, lua, got.headers)?),
                Value::Nil,
            ],
            Err(failure) => vec![
                Value::Integer(failure.status.into()),
                Value::Nil,
                Value::Table(lua.create_table()?),
                Value::String(lua.create_string(failure.error)?),
            ],
        })
    }

    /// Headers by name, which is found in any case; those that come again are lists.
    fn header_table(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        lua: &Lua,
        headers: Vec<Header>,
    ) -> mlua::Result<Table> {
        let mut by_name: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for (name, value) in headers {
            by_name.entry(usual(&name)).or_default().push(value);
        }
        let table = lua.create_table_with_capacity(0, by_name.len())?;
        for (name, values) in by_name {
            let mut values =
                values.into_iter().map(|value| lua.create_string(value)).collect::<mlua::Result<Vec<_>>>()?;
            match values.len() {
                1 => table.raw_set(name, values.remove(0))?,
                _ => table.raw_set(name, lua.create_sequence_from(values)?)?,
            }
        }
        let meta = lua.create_table()?;
        let index = self.native(resource, lua, "headers", Calls::Silent, |_, _, lua, args| {
            let (Value::Table(table), Value::String(name)) = (args.get(0), args.get(1)) else {
                return one(lua, Value::Nil);
            };
            one(lua, table.raw_get::<Value>(usual(&name.to_string_lossy()))?)
        })?;
        meta.raw_set("__index", index)?;
        table.set_metatable(Some(meta))?;
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_is_usual() {
        assert_eq!(usual("content-TYPE"), "Content-Type");
        assert_eq!(usual("x-rateLimit-remaining"), "X-Ratelimit-Remaining");
        assert_eq!(usual(""), "");
    }

    #[test]
    fn spans_name_plain_methods_only() {
        assert_eq!(shown("POST"), "POST");
        assert_eq!(shown("GET /secret"), "?");
        assert_eq!(shown(""), "?");
    }
}
