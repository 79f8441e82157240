//! What FXServer's `profiler save` writes, and how its profiler names things.
//!
//! A file is one msgpack map: `ticks` (indices, not needed), `events`, and since 2022 `threads`. An event is
//! `[who, what, when, where, why, much]`, and was `[when, what, where, why]` before: `what` counts from 0 as begin tick, enter
//! resource, exit resource, enter scope, exit scope, end tick; `when` is in whole microseconds since the recording's
//! start, `much` the bytes of a resource's memory or 0. (Source: `Profiler.h` and `Profiler.cpp` of citizen-scripting-core
//! in github.com/citizenfx/fivem.)
//!
//! # What becomes of it
//! A tick is a span of category `tick`. Between entering and leaving a resource there is a span of its category: `resource`
//! for its part of the tick, `event` for one of its event handlers. Of scopes, `thread @shop/server.lua[12..40]` is a script's
//! thread, `event NAME [@…]` and `ref call [@…]` (an export, or a callback) say where the function is. The scope that FXServer
//! puts around each tick is left out.

use std::collections::HashMap;

use rmp::Marker;
use tickscope_core::{ArgRange, CategoryId, CounterValue, Outcome, Runtime, SymbolRef, TrackKind, escape};

use crate::build::{Build, Lane, Word};
use crate::import::{Broken, Format, Pieces};

const EXPECTED: &str = "a file that FXServer's `profiler save` wrote";
/// How deep values may nest that nobody looks at.
const DEEPEST: usize = 64;
/// The thread that runs resources.
const MAIN: i64 = 2;

/// Ticks, scopes and resources as FXServer's profiler tells them, of which there is one stack per thread.
#[derive(Debug, Default)]
pub(crate) struct Story {
    threads: HashMap<i64, Thread>,
    ticks: i64,
}

#[derive(Debug)]
struct Thread {
    lane: Lane,
    open: Vec<Opened>,
}

#[derive(Debug)]
struct Opened {
    /// The resource that is entered from here on.
    resource: Box<str>,
    /// A scope that has no span.
    left_out: bool,
    tick: bool,
}

impl Story {
    /// Says what a thread is called, before anything happens on it.
    pub(crate) fn name(&mut self, build: &mut Build, thread: i64, name: &str) {
        let make = || Thread::new(build, thread, name);
        self.threads.entry(main(thread)).or_insert_with(make);
    }

    fn thread(&mut self, build: &mut Build, thread: i64) -> &mut Thread {
        let make = || Thread::new(build, thread, &format!("thread {thread}"));
        self.threads.entry(main(thread)).or_insert_with(make)
    }

    pub(crate) fn begin_tick(&mut self, build: &mut Build, thread: i64, time_ns: u64) {
        self.ticks += 1;
        let tick = self.ticks;
        let thread = self.thread(build, thread);
        // What is open began before the recording, or was never left: a tick stands on nothing.
        while thread.open.pop().is_some() {}
        while build.depth(thread.lane) > 0 {
            build.end(thread.lane, time_ns, Outcome::Unwound);
        }
        let symbol = build.symbol(SymbolRef::host("tick"));
        let args = build.words([("tick", Word::Whole(tick))]);
        build.begin(thread.lane, time_ns, symbol, CategoryId::TICK, args);
        thread.open.push(Opened { resource: "".into(), left_out: false, tick: true });
    }

    pub(crate) fn end_tick(&mut self, build: &mut Build, thread: i64, time_ns: u64) {
        let thread = self.thread(build, thread);
        if thread.open.iter().any(|opened| opened.tick) {
            while let Some(opened) = thread.open.pop() {
                let outcome = if opened.tick { Outcome::Ok } else { Outcome::Unwound };
                if !opened.left_out {
                    build.end(thread.lane, time_ns, outcome);
                }
                if opened.tick {
                    break;
                }
            }
        }
    }

    pub(crate) fn enter_resource(
        &mut self,
        build: &mut Build,
        thread: i64,
        time_ns: u64,
        resource: &str,
        why: &str,
    ) {
        let (name, category) = match why.strip_prefix("event:") {
            Some(event) => (event, CategoryId::EVENT),
            None => (why, CategoryId::RESOURCE),
        };
        let name = escape(name.as_bytes());
        let symbol =
            build.symbol(SymbolRef { runtime: Runtime::Lua, resource, name: &name, ..SymbolRef::default() });
        let thread = self.thread(build, thread);
        build.begin(thread.lane, time_ns, symbol, category, ArgRange::NONE);
        thread.open.push(Opened { resource: resource.into(), left_out: false, tick: false });
    }

    pub(crate) fn enter_scope(&mut self, build: &mut Build, thread: i64, time_ns: u64, scope: &str) {
        let thread = self.thread(build, thread);
        let around = thread.open.last();
        let resource = around.map_or("", |opened| &*opened.resource);
        let whole_tick = matches!(scope, "Resource Tick" | "Resource Manager Tick");
        let opened = Opened {
            resource: resource.into(),
            left_out: whole_tick && around.is_some_and(|opened| opened.tick),
            tick: false,
        };
        if !opened.left_out {
            let named = Named::parse(scope);
            let symbol = build.symbol(SymbolRef {
                runtime: if named.file.is_empty() { Runtime::Host } else { Runtime::Lua },
                resource: if resource.is_empty() { named.owner } else { resource },
                name: &escape(named.name.as_bytes()),
                file: named.file,
                line: named.line,
            });
            build.begin(thread.lane, time_ns, symbol, named.category, ArgRange::NONE);
        }
        thread.open.push(opened);
    }

    pub(crate) fn exit(&mut self, build: &mut Build, thread: i64, time_ns: u64) {
        let thread = self.thread(build, thread);
        match thread.open.pop() {
            Some(opened) if opened.tick => thread.open.push(opened),
            Some(opened) if opened.left_out => {}
            // Without one, it was entered before the recording began: counted there.
            _ => build.end(thread.lane, time_ns, Outcome::Ok),
        }
    }

    /// The memory of the resource that is at work.
    pub(crate) fn memory(&mut self, build: &mut Build, thread: i64, time_ns: u64, bytes: i64) {
        let thread = self.thread(build, thread);
        let resource = thread.open.last().map_or("", |opened| &*opened.resource);
        let symbol = build.symbol(SymbolRef {
            runtime: Runtime::Lua,
            resource,
            name: "lua.heap_bytes",
            ..SymbolRef::default()
        });
        build.counter(thread.lane, time_ns, symbol, CounterValue::Int(bytes));
    }
}

impl Thread {
    fn new(build: &mut Build, thread: i64, name: &str) -> Self {
        let (name, resource) = if main(thread) == MAIN { ("main", "") } else { (name, name) };
        let os_id = u32::try_from(thread).unwrap_or(0);
        Self { lane: build.lane(TrackKind::Thread, name, resource, os_id), open: Vec::new() }
    }
}

/// Threads 1 and 2 are the browser's that FXServer plays: ticks are told of one, what they do of the other.
fn main(thread: i64) -> i64 {
    if thread == 1 { MAIN } else { thread }
}

/// What the name of a scope says.
struct Named<'a> {
    name: &'a str,
    category: CategoryId,
    /// The resource whose file it is.
    owner: &'a str,
    file: &'a str,
    line: u32,
}

impl<'a> Named<'a> {
    fn parse(scope: &'a str) -> Self {
        let plain = Self { name: scope, category: CategoryId::SCOPE, owner: "", file: "", line: 0 };
        let (what, place) = match scope.split_once(' ') {
            Some(("thread", place)) => ("", place),
            _ => match scope.strip_suffix(']').and_then(|scope| scope.split_once(" [")) {
                Some((what, place)) => (what, place),
                None => return plain,
            },
        };
        let Some((file, lines)) = place.strip_suffix(']').and_then(|place| place.rsplit_once('[')) else {
            return plain;
        };
        let Some(line) = lines.split("..").next().and_then(|line| line.parse().ok()) else { return plain };
        let (owner, own_file) =
            file.strip_prefix('@').and_then(|file| file.split_once('/')).unwrap_or(("", file));
        let (name, category) = match what.split_once(' ') {
            None if what.is_empty() => (file, CategoryId::THREAD),
            Some(("event", name)) => (name, CategoryId::EVENT),
            Some(("ref", "call")) => (file, CategoryId::EXPORT),
            _ => (what, CategoryId::SCOPE),
        };
        Self { name, category, owner, file: own_file, line }
    }
}

/// Reads msgpack, and knows where.
struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn broken(&self, problem: &str) -> Broken {
        Broken::new(self.at, problem, EXPECTED)
    }

    /// What `read` takes from what is left.
    fn take<T, E>(
        &mut self,
        problem: &str,
        read: impl FnOnce(&mut &'a [u8]) -> Result<T, E>,
    ) -> Result<T, Broken> {
        let mut rest = &self.all[self.at..];
        match read(&mut rest) {
            Ok(value) => {
                self.at = self.all.len() - rest.len();
                Ok(value)
            }
            Err(_) if self.at >= self.all.len() => Err(self.broken("the file ends")),
            Err(_) => Err(self.broken(problem)),
        }
    }

    fn array(&mut self) -> Result<u32, Broken> {
        self.take("no array", rmp::decode::read_array_len)
    }

    fn map(&mut self) -> Result<u32, Broken> {
        self.take("no map", rmp::decode::read_map_len)
    }

    fn int(&mut self) -> Result<i64, Broken> {
        self.take("no whole number", |rest| {
            let before = *rest;
            rmp::decode::read_int::<i64, _>(rest).or_else(|_| {
                // A time before the recording's start is a huge number.
                *rest = before;
                rmp::decode::read_int::<u64, _>(rest).map(|number| number as i64)
            })
        })
    }

    fn text(&mut self) -> Result<&'a [u8], Broken> {
        let length = self.take("no text", rmp::decode::read_str_len)? as usize;
        let text = self.all.get(self.at..).and_then(|rest| rest.get(..length));
        let text = text.ok_or_else(|| self.broken("the file ends inside a text"))?;
        self.at += length;
        Ok(text)
    }

    /// Passes over a value.
    fn skip(&mut self, depth: usize) -> Result<(), Broken> {
        if depth > DEEPEST {
            return Err(self.broken("values within values within values"));
        }
        let marker = self.take("no value", rmp::decode::read_marker)?;
        self.at -= 1;
        let bytes = match marker {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                for _ in 0..self.array()? {
                    self.skip(depth + 1)?;
                }
                return Ok(());
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                for _ in 0..self.map()? {
                    self.skip(depth + 1)?;
                    self.skip(depth + 1)?;
                }
                return Ok(());
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                return self.text().map(drop);
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                self.take("no bytes", rmp::decode::read_bin_len)? as usize
            }
            Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => 1,
            Marker::U8 | Marker::I8 => 2,
            Marker::U16 | Marker::I16 => 3,
            Marker::U32 | Marker::I32 | Marker::F32 => 5,
            Marker::U64 | Marker::I64 | Marker::F64 => 9,
            _ => return Err(self.broken("a value of a kind that FXServer does not write")),
        };
        if bytes > self.all.len() - self.at {
            return Err(self.broken("the file ends inside a value"));
        }
        self.at += bytes;
        Ok(())
    }
}

struct Events {
    bytes: Vec<u8>,
    at: usize,
    left: u32,
    story: Story,
}

/// Finds the events, and names the threads.
pub(crate) fn open(bytes: Vec<u8>, build: &mut Build) -> Result<(Box<dyn Pieces>, Format), Broken> {
    let mut reader = Bytes { all: &bytes, at: 0 };
    let (mut events, mut story) = (None, Story::default());
    let mut look = || -> Result<(), Broken> {
        for _ in 0..reader.map()? {
            match reader.text()? {
                b"events" => {
                    let count = reader.array()?;
                    events = Some((reader.at, count));
                    for _ in 0..count {
                        reader.skip(0)?;
                    }
                }
                b"threads" => {
                    for _ in 0..reader.array()? {
                        let (id, name) = thread(&mut reader)?;
                        story.name(build, id, &name);
                    }
                }
                _ => reader.skip(0)?,
            }
        }
        Ok(())
    };
    let looked = look();
    let Some((at, left)) = events else {
        return Err(looked.err().unwrap_or_else(|| Broken::new(0, "msgpack without events", EXPECTED)));
    };
    // Where the file breaks off is found again, behind what can be had of it.
    Ok((Box::new(Events { bytes, at, left, story }), Format::FxServer))
}

/// A thread's number and name: as an array, or as a map.
fn thread(reader: &mut Bytes<'_>) -> Result<(i64, String), Broken> {
    let before = reader.at;
    let (mut id, mut name) = (0, String::new());
    if let Ok(2) = reader.array() {
        id = reader.int()?;
        name = String::from_utf8_lossy(reader.text()?).into_owned();
        return Ok((id, name));
    }
    reader.at = before;
    for _ in 0..reader.map()? {
        match reader.text()? {
            b"thread_id" | b"id" => id = reader.int()?,
            b"name" => name = String::from_utf8_lossy(reader.text()?).into_owned(),
            _ => reader.skip(0)?,
        }
    }
    Ok((id, name))
}

/// Microseconds since the recording's start in nanoseconds; what was before it is at it.
pub(crate) fn nanoseconds(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).saturating_mul(1_000)
}

impl Pieces for Events {
    fn next(&mut self, build: &mut Build) -> Result<bool, Broken> {
        if self.left == 0 {
            return Ok(false);
        }
        let mut reader = Bytes { all: &self.bytes, at: self.at };
        let fields = reader.array()?;
        let (who, what, when) = match fields {
            4 => {
                let when = reader.int()?;
                (MAIN, reader.int()?, when)
            }
            6.. => (reader.int()?, reader.int()?, reader.int()?),
            _ => return Err(reader.broken("an event that is neither of four nor of six parts")),
        };
        let (place, why) = (reader.text()?, reader.text()?);
        let much = if fields >= 6 { reader.int()? } else { 0 };
        for _ in 6..fields {
            reader.skip(0)?;
        }
        let time_ns = nanoseconds(when);
        let (place, why) = (String::from_utf8_lossy(place), String::from_utf8_lossy(why));
        let story = &mut self.story;
        // What a resource has when it is left is its own.
        if much != 0 && matches!(what, 2 | 4) {
            story.memory(build, who, time_ns, much);
        }
        match what {
            0 => story.begin_tick(build, who, time_ns),
            1 => story.enter_resource(build, who, time_ns, &place, &why),
            3 => story.enter_scope(build, who, time_ns, &place),
            2 | 4 => story.exit(build, who, time_ns),
            5 => story.end_tick(build, who, time_ns),
            _ => return Err(reader.broken(&format!("an event of kind {what}"))),
        }
        if much != 0 && matches!(what, 1 | 3) {
            story.memory(build, who, time_ns, much);
        }
        self.at = reader.at;
        self.left -= 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_named_as_fxserver_names_them() {
        let named = |scope| {
            let Named { name, category, owner, file, line } = Named::parse(scope);
            (name, category, owner, file, line)
        };
        assert_eq!(
            named("thread @shop/server/main.lua[12..40]"),
            ("@shop/server/main.lua", CategoryId::THREAD, "shop", "server/main.lua", 12)
        );
        assert_eq!(
            named("event shop:buy [@shop/server.lua[7..9]]"),
            ("shop:buy", CategoryId::EVENT, "shop", "server.lua", 7)
        );
        assert_eq!(
            named("ref call [@es_extended/server.lua[1..2]]"),
            ("@es_extended/server.lua", CategoryId::EXPORT, "es_extended", "server.lua", 1)
        );
        for scope in ["save all", "thread", "thread x", "a [b]", "event [x[y..z]]", "", "]", " [[..]]"] {
            assert_eq!(named(scope), (scope, CategoryId::SCOPE, "", "", 0));
        }
    }
}
