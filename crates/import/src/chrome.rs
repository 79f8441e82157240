//! Chrome trace events: `{"traceEvents":[…]}`, or the array alone, which may break off. FXServer's `profiler saveJSON` is
//! one of them, and is read for what it means ([`fxserver`](crate::fxserver)).
//!
//! Begins and ends (`B`, `E`), whole spans (`X`), instants (`i`, `I`), counters (`C`), spans of their own tracks (`b`, `e`)
//! and names (`M`) are taken, arguments where they are plain values. Flows, objects and what else there is are left out.
//! Events are put in the order of their times; a whole span that outlasts the one it began in ends with it. (Source: the
//! Trace Event Format document of the Chromium project.)

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use tickscope_core::{CategoryId, CounterValue, Outcome, SymbolRef, TrackKind};

use crate::build::{Build, Lane, Word};
use crate::fxserver::{Story, nanoseconds};
use crate::import::{Broken, Format, Pieces};

const EXPECTED: &str = "Chrome trace events: objects with ph, ts, pid and tid, in an array or in traceEvents";

/// An event as it stands in the file.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default)]
    ph: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cat: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dur: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Begin,
    End,
    Whole { length_ns: u64 },
    Instant,
    Counter,
}

/// An event without its text.
#[derive(Debug)]
struct Read {
    time_ns: i64,
    what: What,
    lane: u32,
    name: u32,
    category: u32,
    args: Option<Box<str>>,
}

/// Texts, each once.
#[derive(Default)]
struct Texts {
    all: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        match self.numbers.get(text) {
            Some(known) => *known,
            None => {
                let number = self.all.len() as u32;
                self.all.push(text.into());
                self.numbers.insert(text.into(), number);
                number
            }
        }
    }
}

/// A track as the file tells of it.
#[derive(Default)]
struct Told {
    name: Option<String>,
    os_id: u32,
    own: bool,
}

#[derive(Default)]
struct File {
    events: Vec<Read>,
    texts: Texts,
    lanes: Vec<Told>,
    numbers: HashMap<String, u32>,
    process: Option<(String, u32)>,
    /// FXServer played a browser here.
    fxserver: bool,
    cut: Option<Broken>,
}

/// Nanoseconds of a number of microseconds, or of a text that is one.
fn time(raw: Option<&RawValue>) -> Option<i64> {
    let micros: f64 = raw?.get().trim_matches('"').parse().ok()?;
    // Whole microseconds apart, so that large ones keep their fraction.
    let whole = micros.trunc();
    let nanos = whole as i64 as i128 * 1_000 + ((micros - whole) * 1e3).round() as i128;
    Some(nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

fn id(raw: Option<&RawValue>) -> &str {
    raw.map_or("", |raw| raw.get().trim_matches('"'))
}

impl File {
    fn lane(&mut self, key: String, tid: &str, own: bool) -> u32 {
        let next = self.lanes.len() as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.lanes.push(Told { name: None, os_id: tid.parse().unwrap_or(0), own });
        }
        number
    }

    fn take(&mut self, event: &Written<'_>) {
        let (pid, tid) = (id(event.pid), id(event.tid));
        let name = event.name.as_deref().unwrap_or("");
        if event.ph == "M" {
            self.name(name, pid, tid, event.args);
            return;
        }
        if name == "TracingStartedInBrowser" {
            self.fxserver |= event.args.is_some_and(|args| args.get().contains("\"CitizenFX\""));
        }
        let Some(time_ns) = time(event.ts) else { return };
        let what = match &*event.ph {
            "B" | "b" => What::Begin,
            "E" | "e" => What::End,
            "X" => What::Whole { length_ns: time(event.dur).and_then(|ns| ns.try_into().ok()).unwrap_or(0) },
            "i" | "I" | "R" => What::Instant,
            "C" => What::Counter,
            _ => return,
        };
        let category = event.cat.as_deref().unwrap_or("");
        let lane = match &*event.ph {
            "b" | "e" => {
                let lane = self.lane(format!("{pid}/{category}/{}", id(event.id)), "", true);
                self.lanes[lane as usize].name.get_or_insert_with(|| name.to_owned());
                lane
            }
            _ => self.lane(format!("{pid}/{tid}"), tid, false),
        };
        let args = event.args.map(RawValue::get).filter(|args| *args != "{}" && *args != "null");
        let (name, category) = (self.texts.number(name), self.texts.number(category));
        self.events.push(Read { time_ns, what, lane, name, category, args: args.map(Box::from) });
    }

    /// An event that names a process or a thread.
    fn name(&mut self, what: &str, pid: &str, tid: &str, args: Option<&RawValue>) {
        #[derive(Deserialize)]
        struct Args {
            name: String,
        }
        let Some(Args { name }) = args.and_then(|args| serde_json::from_str(args.get()).ok()) else { return };
        match what {
            "process_name" => {
                self.process.get_or_insert((name, pid.parse().unwrap_or(0)));
            }
            "thread_name" => {
                let lane = self.lane(format!("{pid}/{tid}"), tid, false);
                self.lanes[lane as usize].name = Some(name);
            }
            _ => {}
        }
    }
}

/// Reads the events one after the other, until they end or break off.
fn read(bytes: &[u8]) -> Result<File, Broken> {
    let mut file = File::default();
    let mut at = first(bytes)?;
    loop {
        at += bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b',').count();
        match bytes.get(at) {
            Some(b']') => return Ok(file),
            // Chrome's own do, when it is killed.
            None => {
                file.cut = Some(Broken::new(at, "the file ends inside its events", EXPECTED));
                return Ok(file);
            }
            Some(_) => {}
        }
        let mut events = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<Written<'_>>();
        match events.next() {
            Some(Ok(event)) => {
                file.take(&event);
                at += events.byte_offset();
            }
            Some(Err(error)) if error.is_data() => {
                // Something else than an event: passed over, when it is whole.
                let mut values = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<&RawValue>();
                match values.next() {
                    Some(Ok(_)) => at += values.byte_offset(),
                    _ => return broken(file, at, &error),
                }
            }
            Some(Err(error)) => return broken(file, at, &error),
            None => return Ok(file),
        }
    }
}

fn broken(mut file: File, at: usize, error: &serde_json::Error) -> Result<File, Broken> {
    let broken = Broken::new(at, format!("an event that is no JSON ({error})"), EXPECTED);
    if file.events.is_empty() {
        return Err(broken);
    }
    file.cut = Some(broken);
    Ok(file)
}

/// Where the first event stands.
fn first(bytes: &[u8]) -> Result<usize, Broken> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    if bytes.get(start) == Some(&b'[') {
        return Ok(start + 1);
    }
    // The object's members up to the events, which may be last and long.
    let mut at = start + 1;
    let skip = |at: usize, of: &[u8]| at + bytes[at..].iter().take_while(|byte| of.contains(byte)).count();
    loop {
        at = skip(at, b" \t\r\n,");
        let mut keys = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<Cow<'_, str>>();
        let Some(Ok(key)) = keys.next() else {
            return Err(Broken::new(at, "a JSON object without traceEvents", EXPECTED));
        };
        at = skip(at + keys.byte_offset(), b" \t\r\n:");
        if key == "traceEvents" {
            return match bytes.get(at) {
                Some(b'[') => Ok(at + 1),
                _ => Err(Broken::new(at, "traceEvents that are no array", EXPECTED)),
            };
        }
        let mut values = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<&RawValue>();
        let Some(Ok(_)) = values.next() else {
            return Err(Broken::new(at, format!("no JSON behind {key:?}"), EXPECTED));
        };
        at += values.byte_offset();
    }
}

pub(crate) fn open(bytes: Vec<u8>, build: &mut Build) -> Result<(Box<dyn Pieces>, Format), Broken> {
    let mut file = read(&bytes)?;
    drop(bytes);
    file.events.sort_by_key(|event| event.time_ns); // stable: the file's order where times are equal
    for same in file.events.chunk_by_mut(|a, b| {
        let whole = |event: &Read| matches!(event.what, What::Whole { .. });
        whole(a) && whole(b) && a.time_ns == b.time_ns && a.lane == b.lane
    }) {
        same.sort_by_key(|event| match event.what {
            What::Whole { length_ns } => std::cmp::Reverse(length_ns), // what encloses comes first
            _ => std::cmp::Reverse(0),
        });
    }
    let File { events, texts, lanes, process, fxserver, cut, .. } = file;
    let origin = if fxserver { 0 } else { events.first().map_or(0, |event| event.time_ns) };
    let events = Ordered { events: events.into_iter(), texts, origin, cut };
    if fxserver {
        let mut story = Story::default();
        let mut numbers = Vec::new();
        for told in &lanes {
            let number = i64::from(told.os_id);
            if let Some(name) = &told.name {
                story.name(build, number, name);
            }
            numbers.push(number);
        }
        return Ok((Box::new(Server { events, story, numbers }), Format::FxServerJson));
    }
    if let Some((name, pid)) = process {
        build.process(&name, pid);
    }
    let lanes = lanes
        .iter()
        .map(|told| {
            let kind = if told.own { TrackKind::Async } else { TrackKind::Thread };
            let name = told.name.clone().unwrap_or_else(|| format!("thread {}", told.os_id));
            Nest { lane: build.lane(kind, &name, "", told.os_id), ends: Vec::new() }
        })
        .collect();
    Ok((Box::new(Any { events, lanes }), Format::ChromeJson))
}

struct Ordered {
    events: std::vec::IntoIter<Read>,
    texts: Texts,
    origin: i64,
    cut: Option<Broken>,
}

impl Ordered {
    /// The next event, and its time; where the file broke off, why.
    fn next(&mut self) -> Result<Option<(Read, u64)>, Broken> {
        match self.events.next() {
            Some(event) => {
                let time_ns = event.time_ns.saturating_sub(self.origin).try_into().unwrap_or(0);
                Ok(Some((event, time_ns)))
            }
            None => self.cut.take().map_or(Ok(None), Err),
        }
    }

    fn text(&self, number: u32) -> &str {
        &self.texts.all[number as usize]
    }
}

/// A track, and when the spans on it end, where that is known.
struct Nest {
    lane: Lane,
    ends: Vec<Option<u64>>,
}

impl Nest {
    /// Ends what is over by then.
    fn until(&mut self, build: &mut Build, time_ns: u64) {
        while let Some(Some(end)) = self.ends.last()
            && *end <= time_ns
        {
            build.end(self.lane, *end, Outcome::Ok);
            self.ends.pop();
        }
    }
}

struct Any {
    events: Ordered,
    lanes: Vec<Nest>,
}

impl Pieces for Any {
    fn next(&mut self, build: &mut Build) -> Result<bool, Broken> {
        let next = self.events.next();
        let Ok(Some((event, time_ns))) = next else {
            for nest in &mut self.lanes {
                nest.until(build, u64::MAX);
            }
            return next.map(|_| false);
        };
        let nest = &mut self.lanes[event.lane as usize];
        nest.until(build, time_ns);
        let name = self.events.text(event.name);
        let category = self.events.text(event.category).split(',').next().unwrap_or_default();
        let category = match category {
            "" => CategoryId::DEFAULT,
            name => build.category(name),
        };
        let args = event.args.as_deref();
        match event.what {
            What::Begin | What::Whole { .. } => {
                let symbol = build.symbol(SymbolRef::host(name));
                let args = words(build, args);
                build.begin(nest.lane, time_ns, symbol, category, args);
                let end = match event.what {
                    What::Whole { length_ns } => {
                        // No longer than what it stands in.
                        let around = nest.ends.iter().rev().find_map(|end| *end).unwrap_or(u64::MAX);
                        Some(time_ns.saturating_add(length_ns).min(around))
                    }
                    _ => None,
                };
                nest.ends.push(end);
            }
            What::End => {
                // A whole span inside that goes on is cut.
                while let Some(Some(_)) = nest.ends.last() {
                    nest.ends.pop();
                    build.end(nest.lane, time_ns, Outcome::Unwound);
                }
                nest.ends.pop();
                build.end(nest.lane, time_ns, Outcome::Ok);
            }
            What::Instant => {
                let symbol = build.symbol(SymbolRef::host(name));
                let args = words(build, args);
                build.instant(nest.lane, time_ns, symbol, category, args);
            }
            What::Counter => counters(build, nest.lane, time_ns, name, args),
        }
        Ok(true)
    }
}

type Values = serde_json::Map<String, serde_json::Value>;

fn values(args: Option<&str>) -> Values {
    args.and_then(|args| serde_json::from_str(args).ok()).unwrap_or_default()
}

fn words(build: &mut Build, args: Option<&str>) -> tickscope_core::ArgRange {
    let values = values(args);
    build.words(values.iter().filter_map(|(key, value)| {
        let word = match value {
            serde_json::Value::Bool(truth) => Word::Truth(*truth),
            serde_json::Value::Number(number) => {
                number.as_i64().map_or_else(|| Word::Number(number.as_f64().unwrap_or(0.0)), Word::Whole)
            }
            serde_json::Value::String(text) => Word::Text(text),
            _ => return None,
        };
        Some((key.as_str(), word))
    }))
}

/// A value for each of the arguments: `name`, or `name key` where there are several.
fn counters(build: &mut Build, lane: Lane, time_ns: u64, name: &str, args: Option<&str>) {
    let values = values(args);
    for (key, value) in &values {
        let value = match value.as_i64() {
            Some(whole) => CounterValue::Int(whole),
            None => match value.as_f64() {
                Some(number) => CounterValue::Float(number),
                None => continue,
            },
        };
        let name = if values.len() == 1 { name.to_owned() } else { format!("{name} {key}") };
        let symbol = build.symbol(SymbolRef::host(&name));
        build.counter(lane, time_ns, symbol, value);
    }
}

/// What FXServer writes to be looked at in a browser's tools.
struct Server {
    events: Ordered,
    story: Story,
    /// Of the lanes.
    numbers: Vec<i64>,
}

impl Pieces for Server {
    fn next(&mut self, build: &mut Build) -> Result<bool, Broken> {
        let Some((event, _)) = self.events.next()? else { return Ok(false) };
        let time_ns = nanoseconds(event.time_ns / 1_000);
        let thread = self.numbers[event.lane as usize];
        let name = self.events.text(event.name);
        let story = &mut self.story;
        match (event.what, name) {
            (What::Instant, "BeginFrame") => story.begin_tick(build, thread, time_ns),
            (What::Instant, "ActivateLayerTree") => story.end_tick(build, thread, time_ns),
            (What::Instant, "UpdateCounters") => {
                let values = values(event.args.as_deref());
                let bytes = values.get("data").and_then(|data| data.get("jsHeapSizeUsed")?.as_i64());
                if let Some(bytes) = bytes {
                    story.memory(build, thread, time_ns, bytes);
                }
            }
            (What::Begin, _) => match resource(name) {
                Some((why, resource)) => story.enter_resource(build, thread, time_ns, resource, why),
                None => story.enter_scope(build, thread, time_ns, name),
            },
            (What::End, _) => story.exit(build, thread, time_ns),
            _ => {} // frames drawn, and pictures of nothing
        }
        Ok(true)
    }
}

/// `tick (shop)` and `event:shop:buy (shop)`: why a resource was entered, and which. Scopes have names of their own.
fn resource(name: &str) -> Option<(&str, &str)> {
    let (why, resource) = name.strip_suffix(')')?.rsplit_once(" (")?;
    (why == "tick" || why.starts_with("event:")).then_some((why, resource))
}
