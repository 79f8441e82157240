//! `Profiler`: what scripts tell a profiler, and what it gives back; see [`profiler`](crate::profiler).

use std::ops::RangeInclusive;
use std::time::Duration;

use mlua::{Lua, Table, Value};
use tickscope_core::{ArgInput, KeyId, Recorder};

use super::files::{own_path, write_new};
use super::{Body, Definer};
use crate::feedback::ExportFormat;
use crate::host::{Answer, Args, Calls, Host, Raise, nothing};
use crate::profiler::Caller;
use crate::resource::Resource;

/// Values that come with a span or a moment, at most.
const MAX_FIELDS: usize = 16;

/// How often a script may want samples, in milliseconds.
const FLUSH_MS: RangeInclusive<f64> = 1.0..=1000.0;

/// Why there is nothing to be had.
const NOTHING: &str = "nothing is recorded";

/// Resources that an error names.
const MAX_NAMES: usize = 40;

/// A value that can be recorded.
enum Field {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
}

impl Field {
    fn as_input(&self) -> ArgInput<'_> {
        match self {
            Self::Int(number) => ArgInput::Int(*number),
            Self::Float(number) => ArgInput::Float(*number),
            Self::Bool(truth) => ArgInput::Bool(*truth),
            Self::Text(text) => ArgInput::Text(text),
        }
    }
}

/// The name in the first argument.
fn name(args: &Args) -> Result<String, Raise> {
    let name = args.text(0)?;
    if name.is_empty() { Err(problem(args, 0, "a name expected, got an empty string")) } else { Ok(name) }
}

fn problem(args: &Args, index: usize, what: &str) -> Raise {
    Raise::Text(format!("bad argument #{} to '{}' ({what})", index + 1, args.native))
}

/// The named values in an argument, by name; none where there is no argument.
fn fields(args: &Args, index: usize, expected: &str) -> Result<Vec<(String, Field)>, Raise> {
    let table = match args.get(index) {
        Value::Nil => return Ok(Vec::new()),
        Value::Table(table) => table,
        _ => return Err(args.wrong(index, expected)),
    };
    let mut fields = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Value::String(key) = key else {
            let what = format!("names of values expected to be strings, got {}", key.type_name());
            return Err(problem(args, index, &what));
        };
        let key = tickscope_core::escape(&key.as_bytes()).into_owned();
        let field = match value {
            Value::Integer(number) => Field::Int(number),
            Value::Number(number) => Field::Float(number),
            Value::Boolean(truth) => Field::Bool(truth),
            Value::String(text) => Field::Text(tickscope_core::escape(&text.as_bytes()).into_owned()),
            other => {
                let what =
                    format!("string, number or boolean expected in field '{key}', got {}", other.type_name());
                return Err(problem(args, index, &what));
            }
        };
        if fields.len() == MAX_FIELDS {
            return Err(problem(args, index, &format!("at most {MAX_FIELDS} values expected, got more")));
        }
        fields.push((key, field));
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(fields)
}

/// The values as a recorder takes them.
fn inputs<'a, R: Recorder + 'static>(
    host: &Host<R>,
    fields: &'a [(String, Field)],
) -> Vec<(KeyId, ArgInput<'a>)> {
    let recorder = host.probe.recorder();
    fields.iter().map(|(key, field)| (recorder.intern_key(key), field.as_input())).collect()
}

/// True, or false and why not.
fn done(lua: &Lua, problem: Option<&str>) -> Answer {
    let mut values = vec![Value::Boolean(problem.is_none())];
    if let Some(problem) = problem {
        values.push(Value::String(lua.create_string(problem)?));
    }
    Ok(mlua::MultiValue::from_vec(values))
}

/// Chooses the resource in the first argument.
fn choose<R: Recorder + 'static>(host: &Host<R>, args: &Args, wanted: bool) -> Result<(), Raise> {
    let name = name(args)?;
    let Some(resource) = host.find(&name) else {
        let all = host.resources.by_name();
        let mut known: Vec<&str> = all.iter().map(|resource| &*resource.name).take(MAX_NAMES).collect();
        if all.len() > MAX_NAMES {
            known.push("…");
        }
        let what = format!("a resource of this server expected ({}), got '{name}'", known.join(", "));
        return Err(problem(args, 0, &what));
    };
    host.choose(&resource, wanted);
    Ok(())
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    let library = define.lua.create_table()?;
    spans(define, &library)?;
    choices(define, &library)?;
    samples(define, &library)?;
    exports(define, &library)?;
    define.globals.raw_set("Profiler", library)
}

/// Adds `Profiler.{name}`.
fn add<R: Recorder + 'static>(
    define: &Definer<'_, R>,
    library: &Table,
    name: &'static str,
    body: Body<R>,
) -> mlua::Result<()> {
    let field = name.trim_start_matches("Profiler.");
    library.raw_set(field, define.make(name, Calls::Silent, body)?)
}

fn spans<R: Recorder + 'static>(define: &Definer<'_, R>, library: &Table) -> mlua::Result<()> {
    add(define, library, "Profiler.Begin", |host, resource, _, args| {
        let (name, fields) = (name(&args)?, fields(&args, 1, "table")?);
        host.probe.enter_scope(resource, &name, &inputs(host, &fields));
        nothing()
    })?;
    add(define, library, "Profiler.End", |host, resource, lua, args| {
        let name = name(&args)?;
        if !host.probe.exit_named_scope(&name) {
            let problem = format!(
                "Profiler.End('{name}'): nothing of that name is open in this coroutine; begin it first, or end it once"
            );
            host.tell_misuse(resource, &Caller::of(lua, resource), &problem);
        }
        nothing()
    })?;
    add(define, library, "Profiler.ReportAnomaly", |host, resource, lua, args| {
        let kind = name(&args)?;
        let fields = match args.get(1) {
            Value::String(text) => {
                let text = tickscope_core::escape(&text.as_bytes()).into_owned();
                vec![("details".to_owned(), Field::Text(text))]
            }
            _ => fields(&args, 1, "string or table")?,
        };
        let caller = Caller::of(lua, resource);
        let reported = host.report_anomaly(resource, &caller, &kind, &inputs(host, &fields));
        done(lua, (!reported).then_some(NOTHING))
    })
}

fn choices<R: Recorder + 'static>(define: &Definer<'_, R>, library: &Table) -> mlua::Result<()> {
    add(define, library, "Profiler.Enable", |host, _, lua, _| {
        host.choose_all(true);
        done(lua, host.no_functions())
    })?;
    add(define, library, "Profiler.Disable", |host, _, lua, _| {
        host.choose_all(false);
        done(lua, None)
    })?;
    add(define, library, "Profiler.EnableForResource", |host, _, lua, args| {
        choose(host, &args, true)?;
        done(lua, host.no_functions())
    })?;
    add(define, library, "Profiler.DisableForResource", |host, _, lua, args| {
        choose(host, &args, false)?;
        done(lua, None)
    })
}

fn samples<R: Recorder + 'static>(define: &Definer<'_, R>, library: &Table) -> mlua::Result<()> {
    add(define, library, "Profiler.SetFlushInterval", |host, resource, _, args| {
        let ms = args.number(0)?;
        if !FLUSH_MS.contains(&ms) {
            let what = format!("{} to {} milliseconds expected, got {ms}", FLUSH_MS.start(), FLUSH_MS.end());
            return Err(problem(&args, 0, &what));
        }
        host.listeners.set_interval(resource, Duration::from_secs_f64(ms / 1e3));
        nothing()
    })?;
    add(define, library, "Profiler.SetLuaCallback", |host, resource, lua, args| {
        let function = match args.get(0) {
            Value::Nil if !args.values.is_empty() => None,
            Value::Function(function) => Some(function.clone()),
            _ => return Err(args.wrong(0, "function or nil")),
        };
        let known = host.give_samples_to(resource, function);
        done(lua, (!known).then_some(NOTHING))
    })
}

fn exports<R: Recorder + 'static>(define: &Definer<'_, R>, library: &Table) -> mlua::Result<()> {
    add(define, library, "Profiler.ExportSpeedscope", |host, resource, lua, args| {
        export(host, resource, lua, &args, ExportFormat::Speedscope)
    })?;
    add(define, library, "Profiler.ExportFlameGraph", |host, resource, lua, args| {
        export(host, resource, lua, &args, ExportFormat::FlameGraph)
    })?;
    add(define, library, "Profiler.ExportCSV", |host, resource, lua, args| {
        export(host, resource, lua, &args, ExportFormat::Csv)
    })
}

/// Writes a file of the calling resource.
fn export<R: Recorder + 'static>(
    host: &Host<R>,
    resource: &Resource,
    lua: &Lua,
    args: &Args,
    format: ExportFormat,
) -> Answer {
    let name = name(args)?;
    let path = own_path(resource, &name).map_err(|why| {
        problem(args, 0, &format!("a path within the resource's own folder expected, got '{name}': {why}"))
    })?;
    let Some(feedback) = host.listeners.feedback() else { return done(lua, Some(NOTHING)) };
    let written = write_new(&path, |file| feedback.export(format, file));
    let told = written.err().map(|why| format!("cannot write {name}: {why}"));
    done(lua, told.as_deref())
}
