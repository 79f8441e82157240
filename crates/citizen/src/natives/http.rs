//! Requests to other servers, and the handler of what asks this one.

use mlua::{Table, Value};
use tickscope_core::Recorder;

use super::Definer;
use crate::callback::callable;
use crate::host::{Args, Calls, Raise, nothing, one};
use crate::http::{Ask, Asker};
use crate::json;
use crate::raw::BuildError;

/// The text of a value that is meant as such.
fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(format!("{number:?}").into_bytes()),
        _ => None,
    }
}

/// The fields of a request as scripts give them.
struct Given<'a> {
    native: &'static str,
    url: &'a Value,
    method: &'a Value,
    data: &'a Value,
    headers: &'a Value,
    follow: Value,
}

impl Given<'_> {
    fn wrong(&self, what: &str, got: &Value) -> Raise {
        Raise::Text(format!("bad {what} of '{}' (string expected, got {})", self.native, got.type_name()))
    }

    /// What is not given, or false, is `default`: so `x and y` may stand for any of it.
    fn text(&self, what: &str, value: &Value, default: &str) -> Result<Vec<u8>, Raise> {
        match value {
            Value::Nil | Value::Boolean(false) => Ok(default.as_bytes().to_vec()),
            value => text(value).ok_or_else(|| self.wrong(what, value)),
        }
    }

    fn ask(&self) -> Result<Ask, Raise> {
        let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let mut headers = Vec::new();
        match self.headers {
            Value::Nil | Value::Boolean(false) => {}
            Value::Table(table) => {
                for pair in table.pairs::<Value, Value>() {
                    // a list is what an empty table is taken for on the way to FXServer
                    let (Value::String(name), value) = pair? else { continue };
                    let name = name.to_string_lossy();
                    let value = text(&value).ok_or_else(|| self.wrong(&format!("header {name}"), &value))?;
                    headers.push((name, value));
                }
            }
            other => {
                let (native, got) = (self.native, other.type_name());
                return Err(Raise::Text(format!("bad headers of '{native}' (table expected, got {got})")));
            }
        }
        // the order in a table differs from run to run
        headers.sort();
        Ok(Ask {
            url: lossy(self.text("URL", self.url, "")?),
            method: lossy(self.text("method", self.method, "GET")?),
            headers,
            body: self.text("data", self.data, "")?,
            follow: !matches!(self.follow, Value::Boolean(false)),
        })
    }
}

/// URL first; method, data, headers and options from `rest` on.
fn ask(args: &Args, rest: usize) -> Result<Ask, Raise> {
    let follow = match args.get(rest + 3) {
        Value::Table(options) => options.raw_get("followLocation")?,
        _ => Value::Nil,
    };
    let (url, method, data, headers) = (args.get(0), args.get(rest), args.get(rest + 1), args.get(rest + 2));
    Given { native: args.native, url, method, data, headers, follow }.ask()
}

/// All of it in one table.
fn ask_of_table(native: &'static str, table: &Table) -> Result<Ask, Raise> {
    let get = |name| table.raw_get::<Value>(name);
    let (url, method, data, headers) = (&get("url")?, &get("method")?, &get("data")?, &get("headers")?);
    Given { native, url, method, data, headers, follow: get("followLocation")? }.ask()
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("PerformHttpRequest", Calls::Recorded, |host, resource, _, args| {
        let asker = callable(args.get(1)).map_or(Asker::Nobody, Asker::Callback);
        host.http_request(resource, ask(&args, 2)?, asker);
        nothing()
    })?;
    define.global("PerformHttpRequestAwait", Calls::Recorded, |host, resource, _, args| {
        let ask = ask(&args, 1)?;
        let token = host.new_token(resource);
        host.http_request(resource, ask, Asker::Token(token));
        Err(Raise::Wait(token))
    })?;
    define.global("PerformHttpRequestInternalEx", Calls::Recorded, |host, resource, lua, args| {
        let ask = ask_of_table(args.native, &args.table(0)?)?;
        let number = host.http_number();
        host.http_request(resource, ask, Asker::Event(number));
        one(lua, number)
    })?;
    define.global("PerformHttpRequestInternal", Calls::Recorded, |host, resource, lua, args| {
        let text = args.bytes(0)?;
        let Some(machine) = resource.machine() else { return nothing() };
        let given = match json::decode(lua, &machine.references, &text) {
            Ok(Value::Table(table)) => table,
            Ok(_) => return Err(args.wrong(0, "an object in JSON")),
            Err(BuildError::Input { offset, problem }) => {
                return Err(Raise::Text(format!("{}: {problem} at byte {}", args.native, offset + 1)));
            }
            Err(BuildError::Lua(error)) => return Err(error.into()),
        };
        let ask = ask_of_table(args.native, &given)?;
        let number = host.http_number();
        host.http_request(resource, ask, Asker::Event(number));
        one(lua, number)
    })?;
    define.global("SetHttpHandler", Calls::Silent, |host, resource, lua, args| {
        let function = args.callable(lua, 0)?;
        host.set_http_handler(resource, function);
        nothing()
    })
}
