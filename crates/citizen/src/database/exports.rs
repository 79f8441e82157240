//! The exports themselves.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Value};
use tickscope_core::{CategoryId, LinkPoint, Recorder};
use tickscope_sql::Answer as SqlAnswer;
use tickscope_sql::placeholders::{self, Given};

use super::parameters::{self, Shape};
use super::service::{Bound, Done, Task, TaskResult};
use super::stands_in_for;
use crate::callback::callable;
use crate::host::{Answer, Args, Calls, Host, Raise, nothing, one};
use crate::report::{ErrorKind, ScriptError};
use crate::resource::{Resource, ResourceState};
use crate::schedule::Input;

const TRANSACTION: &str = include_str!("../lua/transaction.lua");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Query(Shape),
    /// A prepared statement; its rows in the shape they have, or unpacked.
    Prepared {
        unpack: bool,
        kind: Shape,
    },
    Transaction,
    Store,
    Ready,
    IsReady,
    Begin,
}

/// Whether the host has an export of that name.
pub(crate) fn is_export(name: &str) -> bool {
    method(name).is_some()
}

/// The method an export stands for, and whether it answers by waiting.
fn method(name: &str) -> Option<(Method, bool)> {
    let waits = name.strip_suffix("_async").or_else(|| name.strip_suffix("Sync"));
    let method = match waits.unwrap_or(name) {
        "query" | "execute" | "fetch" | "mysql_fetch_all" => Method::Query(Shape::All),
        "single" | "fetchSingle" => Method::Query(Shape::Single),
        "scalar" | "fetchScalar" | "mysql_fetch_scalar" => Method::Query(Shape::Scalar),
        "insert" | "mysql_insert" => Method::Query(Shape::InsertId),
        "update" | "mysql_execute" => Method::Query(Shape::Affected),
        "prepare" | "mysql_prepare" => Method::Prepared { unpack: true, kind: Shape::All },
        "rawExecute" => Method::Prepared { unpack: false, kind: Shape::All },
        "transaction" | "mysql_transaction" => Method::Transaction,
        "store" | "mysql_store" => Method::Store,
        "ready" => Method::Ready,
        "awaitConnection" => return Some((Method::Ready, true)),
        "isReady" | "is_ready" => Method::IsReady,
        "startTransaction" => Method::Begin,
        _ => return None,
    };
    Some((method, waits.is_some()))
}

/// Who gets the answer.
enum Asker {
    /// The coroutine that waits for a token.
    Token(u64),
    /// A function, which gets errors too when it was called by a library that hands them on.
    Callback {
        callback: Value,
        wants_errors: bool,
    },
    Nobody,
}

/// A query as it was asked.
struct Asked {
    /// Whose name stands in errors.
    invoker: String,
    place: Option<(String, u32)>,
    asker: Asker,
}

impl<R: Recorder + 'static> Host<R> {
    /// The database's export of that name, when `resource` is one whose exports the host has.
    pub(crate) fn database_export(
        self: &Rc<Self>,
        caller: &Rc<Resource>,
        lua: &Lua,
        resource: &str,
        name: &str,
    ) -> Result<Option<Function>, Raise> {
        let Some(found) = self.find(resource).filter(|found| stands_in_for(found)) else {
            return Ok(None);
        };
        if !matches!(found.state.get(), ResourceState::Started | ResourceState::Starting) {
            return Ok(None);
        }
        // what the library calls: it answers by waiting, and is no method
        let (name, by_library) = name.strip_prefix("await:").map_or((name, false), |name| (name, true));
        let Some((method, waits)) = method(name) else { return Ok(None) };
        if method == Method::Begin {
            return Ok(Some(self.transactions(caller, lua)?));
        }
        let call = move |host: &Rc<Self>, caller: &Rc<Resource>, lua: &Lua, mut args: Args| {
            if !by_library {
                args.values.pop_front(); // `exports.oxmysql` itself, from the colon
            }
            host.database_call(caller, lua, (method, waits || by_library), &args)
        };
        Ok(Some(self.native(caller, lua, "database", Calls::Silent, call)?))
    }

    fn database_call(
        self: &Rc<Self>,
        caller: &Rc<Resource>,
        lua: &Lua,
        (method, waits): (Method, bool),
        args: &Args,
    ) -> Answer {
        match method {
            Method::Store => {
                // a stored query is the query
                if let Some(callback) = callable(args.get(1)) {
                    self.call_back(caller, &callback, CategoryId::EXPORT, vec![args.get(0).clone()], None);
                    return nothing();
                }
                return one(lua, args.get(0).clone());
            }
            Method::IsReady => return one(lua, true),
            Method::Ready => {
                if let Some(callback) = callable(args.get(0)) {
                    self.call_back(caller, &callback, CategoryId::EXPORT, Vec::new(), None);
                }
                return one(lua, true);
            }
            _ => {}
        }
        // parameters may be left out
        let (given, callback, rest) = match callable(args.get(1)) {
            Some(callback) => (Value::Nil, Some(callback), 2),
            None => (args.get(1).clone(), callable(args.get(2)), 3),
        };
        // the forms that wait have the resource where the callback would be
        let rest = if waits { 2 } else { rest };
        let invoker = match args.get(rest) {
            Value::String(name) => name.to_string_lossy(),
            _ => caller.name.to_string(),
        };
        let wants_errors = matches!(args.get(rest + 1), Value::Boolean(true));
        let task = task(method, args.get(0), &given);
        let method = match (method, args.get(0)) {
            (Method::Prepared { unpack, .. }, Value::String(query)) => {
                let kind = kind_of(&query.to_string_lossy()).unwrap_or(Shape::All);
                Method::Prepared { unpack, kind }
            }
            (method, _) => method,
        };
        let token = waits.then(|| self.new_token(caller));
        let asker = match (token, callback) {
            (Some(token), _) => Asker::Token(token),
            (None, Some(callback)) => Asker::Callback { callback, wants_errors },
            (None, None) => Asker::Nobody,
        };
        let asked = Asked { invoker, place: place(lua), asker };
        match task {
            Ok((shape, task)) => {
                let of = Rc::clone(caller);
                self.query(caller, None, (shape, task), move |host, result, cause| {
                    host.answer_query(&of, method, asked, result, cause);
                });
            }
            Err(problem) => {
                let error = failure(method, &asked.invoker, "", &problem);
                return Err(Raise::Text(error));
            }
        }
        match token {
            Some(token) => Err(Raise::Wait(token)),
            None => nothing(),
        }
    }

    fn answer_query(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        method: Method,
        asked: Asked,
        result: TaskResult,
        cause: LinkPoint,
    ) {
        let Some(machine) = resource.machine() else { return };
        let result = match result {
            Ok(Done::Answers(answers)) => {
                shaped(&machine.lua, method, &answers).map_err(|error| crate::host::error_text(&error))
            }
            Ok(_) => Ok(Value::Nil),
            Err((statement, error)) => {
                let text = failure(method, &asked.invoker, &statement, &error.0);
                if method == Method::Transaction {
                    // the script learns that it failed, the console why
                    self.report_query(resource, &asked, text);
                    Ok(Value::Boolean(false))
                } else {
                    Err(text)
                }
            }
        };
        match (result, &asked.asker) {
            (Ok(value), Asker::Token(token)) => {
                self.answer_from(*token, Input::Values(MultiValue::from_vec(vec![value])), cause);
            }
            (Err(text), Asker::Token(token)) => self.answer_from(*token, Input::ErrorText(text), cause),
            (Ok(value), Asker::Callback { callback, .. }) => {
                self.call_back(resource, callback, CategoryId::EXPORT, vec![value], cause)
            }
            (Err(text), Asker::Callback { callback, wants_errors: true }) => {
                let text = machine.lua.create_string(text).map_or(Value::Nil, Value::String);
                self.call_back(resource, callback, CategoryId::EXPORT, vec![Value::Nil, text], cause);
            }
            (Ok(_), Asker::Nobody) => {}
            (Err(text), _) => self.report_query(resource, &asked, text),
        }
    }

    fn report_query(&self, resource: &Resource, asked: &Asked, message: String) {
        let mut error =
            ScriptError { tick: self.tick.get(), ..ScriptError::of_resource(&resource.name, &message) };
        error.kind = ErrorKind::Script;
        if let Some((source, line)) = &asked.place {
            error.file = resource.file_of(source).to_owned();
            error.line = *line;
        }
        self.report(&error);
    }

    /// `startTransaction`, which is Lua over three calls of its own.
    fn transactions(self: &Rc<Self>, caller: &Rc<Resource>, lua: &Lua) -> Result<Function, Raise> {
        let begin = self.native(caller, lua, "begin", Calls::Silent, |host, caller, _, _| {
            let token = host.new_token(caller);
            host.open_transaction(caller, move |host, result, cause| {
                let input = match result {
                    Ok(number) => {
                        Input::Values(MultiValue::from_vec(vec![Value::Integer(number.cast_signed())]))
                    }
                    Err(problem) => Input::ErrorText(problem),
                };
                host.answer_from(token, input, cause);
            });
            Err(Raise::Wait(token))
        })?;
        let run = self.native(caller, lua, "query", Calls::Silent, |host, caller, lua, args| {
            let number = args.integer(0)?.cast_unsigned();
            let method = Method::Query(Shape::All);
            let (shape, task) = task(method, args.get(1), args.get(2))?;
            let token = host.new_token(caller);
            let asked =
                Asked { invoker: caller.name.to_string(), place: place(lua), asker: Asker::Token(token) };
            let of = Rc::clone(caller);
            host.query(caller, Some(number), (shape, task), move |host, result, cause| {
                host.answer_query(&of, method, asked, result, cause);
            });
            Err(Raise::Wait(token))
        })?;
        let finish = self.native(caller, lua, "finish", Calls::Silent, |host, caller, _, args| {
            let (number, commit) =
                (args.integer(0)?.cast_unsigned(), matches!(args.get(1), Value::Boolean(true)));
            let token = host.new_token(caller);
            host.close_transaction(caller, (number, commit), move |host, result, cause| {
                let input = match result {
                    Ok(()) => Input::Values(MultiValue::from_vec(vec![Value::Boolean(commit)])),
                    Err(problem) => Input::ErrorText(problem),
                };
                host.answer_from(token, input, cause);
            });
            Err(Raise::Wait(token))
        })?;
        Ok(lua.load(TRANSACTION).set_name("@citizen:/transaction.lua").call((begin, run, finish))?)
    }
}

/// Where in a script a query is asked: the innermost function that is no library's.
fn place(lua: &Lua) -> Option<(String, u32)> {
    for level in 0..16 {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source.as_deref().unwrap_or("").to_owned();
            let library =
                source.what == "C" || name.starts_with("@citizen:") || name.ends_with("lib/MySQL.lua");
            (!library).then(|| (name, debug.current_line().unwrap_or(0) as u32))
        })?;
        if found.is_some() {
            return found;
        }
    }
    None
}

fn failure(method: Method, invoker: &str, statement: &str, problem: &str) -> String {
    let what = if method == Method::Transaction { "transaction" } else { "query" };
    let query = if statement.is_empty() { String::new() } else { format!("\nQuery: {statement}") };
    format!("{invoker} was unable to execute a {what}!{query}\n{problem}")
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.to_string_lossy()),
        other => Err(format!("Expected query to be a string but received {} instead.", other.type_name())),
    }
}

/// What is to be done, and what its span is called.
fn task(method: Method, query: &Value, given: &Value) -> Result<(String, Task), String> {
    match method {
        Method::Transaction => {
            let bound = transaction(query, given)?;
            let first = bound.first().map_or_else(|| "sql".to_owned(), |(text, _)| placeholders::shape(text));
            let shape = format!("sql transaction of {}: {}", bound.len(), first.trim_start_matches("sql "));
            Ok((shape, Task::Transaction(bound)))
        }
        Method::Prepared { .. } => {
            let query = text(query)?;
            kind_of(&query)?;
            let sets = parameters::given_sets(given, placeholders::count(&query))?;
            let bound = sets.iter().map(|set| placeholders::bind(&query, set)).collect::<Result<_, _>>()?;
            Ok((placeholders::shape(&query), Task::Each(bound)))
        }
        _ => {
            let query = text(query)?;
            let bound = placeholders::bind(&query, &parameters::given(given)?)?;
            Ok((placeholders::shape(&query), Task::Each(vec![bound])))
        }
    }
}

/// The statements of a transaction: texts that share parameters, `{ text, parameters }`, or tables with `query` and
/// `values` or `parameters`.
fn transaction(queries: &Value, shared: &Value) -> Result<Vec<Bound>, String> {
    let Value::Table(list) = queries else {
        return Err(format!("Transaction queries must be array type, received {}.", queries.type_name()));
    };
    let shared = parameters::given(shared)?;
    let mut bound = Vec::new();
    for query in list.sequence_values::<Value>() {
        let query = query.map_err(|error| error.to_string())?;
        let (query, given) = match &query {
            Value::Table(table) => {
                let field = |name: &str| table.raw_get::<Value>(name).map_err(|error| error.to_string());
                let text_field = match field("query")? {
                    Value::Nil => table.raw_get::<Value>(1).map_err(|error| error.to_string())?,
                    text => text,
                };
                let mut values = field("parameters")?;
                if values.is_nil() {
                    values = field("values")?;
                }
                if values.is_nil() {
                    values = table.raw_get::<Value>(2).map_err(|error| error.to_string())?;
                }
                (text(&text_field)?, parameters::given(&values)?)
            }
            plain => (text(plain)?, for_one(&shared, &text(plain)?)),
        };
        bound.push(placeholders::bind(&query, &given)?);
    }
    Ok(bound)
}

/// Shared parameters as far as one statement has places for them.
fn for_one(shared: &Given, query: &str) -> Given {
    match shared {
        Given::Positions(all) => {
            let places = placeholders::count(query);
            Given::Positions(
                all.iter().filter(|(at, _)| **at <= places).map(|(at, one)| (*at, one.clone())).collect(),
            )
        }
        names => names.clone(),
    }
}

/// What a prepared statement answers with.
fn kind_of(query: &str) -> Result<Shape, String> {
    let word = query.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match word.as_str() {
        "SELECT" | "WITH" => Ok(Shape::All),
        "INSERT" | "REPLACE" => Ok(Shape::InsertId),
        "UPDATE" | "DELETE" => Ok(Shape::Affected),
        _ => Err("Prepared statements only accept SELECT, INSERT, UPDATE, and DELETE methods.".into()),
    }
}

fn shaped(lua: &Lua, method: Method, answers: &[SqlAnswer]) -> mlua::Result<Value> {
    match method {
        Method::Transaction => Ok(Value::Boolean(true)),
        Method::Query(shape) => {
            answers.first().map_or(Ok(Value::Nil), |answer| parameters::value(lua, answer, shape, false))
        }
        Method::Prepared { unpack, kind } => prepared(lua, answers, unpack, kind),
        _ => Ok(Value::Nil),
    }
}

/// Rows of one selection come as they are; a lone row, unpacked, as the row or its one field.
fn prepared(lua: &Lua, answers: &[SqlAnswer], unpack: bool, kind: Shape) -> mlua::Result<Value> {
    let mut responses = Vec::new();
    for answer in answers {
        match answer {
            SqlAnswer::Rows(rows) if rows.rows.len() > 1 => {
                if let Value::Table(list) = parameters::value(lua, answer, Shape::All, true)? {
                    responses.extend(list.sequence_values::<Value>().collect::<mlua::Result<Vec<_>>>()?);
                }
            }
            SqlAnswer::Done { .. } if unpack => responses.push(parameters::value(lua, answer, kind, true)?),
            SqlAnswer::Rows(rows) if unpack && answers.len() == 1 => {
                let shape = if rows.columns.len() == 1 { Shape::Scalar } else { Shape::Single };
                return parameters::value(lua, answer, shape, true);
            }
            _ => responses.push(parameters::value(lua, answer, Shape::All, true)?),
        }
    }
    match responses.len() {
        1 => Ok(responses.remove(0)),
        _ => Ok(Value::Table(lua.create_sequence_from(responses)?)),
    }
}
