//! Coroutines and when they run: threads, timers, and what waits for an answer.

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, MultiValue, Thread, Value};
use tickscope_core::{ArgInput, CategoryId, Link, LinkKind, LinkPoint, Outcome, Recorder, SwitchReason};
use tickscope_hooks::lua::HostSpan;

use crate::host::{Host, MAX_NESTING, Raise, text_of};
use crate::msgpack;
use crate::probe::{Boundary, link};
use crate::raw::{self, Failure, Resumed};
use crate::references::Parcel;
use crate::report::{ErrorKind, ScriptError};
use crate::resource::{Machine, Resource};
use crate::scopes::Scopes;

/// A coroutine of a script that the host runs.
pub(crate) struct Coroutine {
    resource: Rc<Resource>,
    generation: u32,
    thread: Thread,
    boundary: Boundary,
    /// The span of the wait it is in, and since when by the server's clock.
    wait: Option<HostSpan>,
    waits_since: Duration,
    /// Who waits for what it returns.
    caller: Option<u64>,
    /// The player on whose behalf it was started.
    player: Option<u32>,
    scopes: Scopes,
}

/// What a coroutine goes on with.
pub(crate) enum Input {
    Values(MultiValue),
    /// Values from another VM.
    Parcel(Parcel),
    /// An error to raise where it waits.
    Error(Value),
    ErrorText(String),
}

enum Job {
    Resume {
        coroutine: Box<Coroutine>,
        input: Input,
        link: Option<Link>,
    },
    Start {
        resource: Rc<Resource>,
        generation: u32,
        function: Function,
        boundary: Boundary,
        link: Option<Link>,
        timer: Option<u64>,
        /// What the function is called with: a thread gets its number.
        argument: Option<u64>,
    },
}

struct Entry {
    due_ms: u64,
    number: u64,
    job: Job,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due_ms, self.number).cmp(&(other.due_ms, other.number))
    }
}

enum Waiting {
    /// The token is out; nobody has suspended on it yet.
    Nobody {
        resource: usize,
    },
    /// The answer came first.
    Answered {
        resource: usize,
        input: Input,
        link: Option<Link>,
    },
    Coroutine(Box<Coroutine>),
}

/// Everything that will run later.
#[derive(Default)]
pub(crate) struct Schedule {
    queue: RefCell<BinaryHeap<Reverse<Entry>>>,
    numbers: Cell<u64>,
    timers: RefCell<HashSet<u64>>,
    waiting: RefCell<HashMap<u64, Waiting>>,
    /// Exports whose callers wait, by token: an error of theirs names them.
    exports: RefCell<HashMap<u64, CalledExport>>,
    slices: Cell<u64>,
}

impl Schedule {
    /// A number that nothing else has: of a job, a token.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }

    fn push(&self, due_ms: u64, job: Job) {
        let number = self.number();
        self.queue.borrow_mut().push(Reverse(Entry { due_ms, number, job }));
    }

    /// The next job that is due at `now_ms` and was there before job `before`.
    fn pop(&self, now_ms: u64, before: u64) -> Option<Job> {
        let mut queue = self.queue.borrow_mut();
        let Reverse(next) = queue.peek()?;
        if next.due_ms > now_ms {
            return None;
        }
        // What was made during this tick for a time that has come already waits for the next one. Nothing older hides
        // behind it: it is due no earlier than the tick began, and equal times go by number.
        if next.number >= before {
            return None;
        }
        queue.pop().map(|Reverse(entry)| entry.job)
    }

    /// How many slices ran so far.
    pub(crate) fn slices(&self) -> u64 {
        self.slices.get()
    }

    /// Forgets everything of a resource; answers the scopes that its coroutines leave open, in an order that is the
    /// same in each run.
    pub(crate) fn clear(&self, resource: usize) -> Vec<Scopes> {
        let mut open = Vec::new();
        let old = std::mem::take(&mut *self.queue.borrow_mut());
        let (gone, kept): (Vec<_>, Vec<_>) = old.into_iter().partition(|Reverse(entry)| match &entry.job {
            Job::Resume { coroutine, .. } => coroutine.resource.id == resource,
            Job::Start { resource: of, .. } => of.id == resource,
        });
        self.queue.borrow_mut().extend(kept);
        for Reverse(Entry { number, job, .. }) in gone {
            if let Job::Resume { coroutine, .. } = job {
                open.push((number, coroutine.scopes));
            }
        }
        let mut waiting = self.waiting.borrow_mut();
        let old = std::mem::take(&mut *waiting);
        let (gone, kept): (HashMap<_, _>, HashMap<_, _>) =
            old.into_iter().partition(|(_, waiting)| match waiting {
                Waiting::Nobody { resource: of } | Waiting::Answered { resource: of, .. } => *of == resource,
                Waiting::Coroutine(coroutine) => coroutine.resource.id == resource,
            });
        *waiting = kept;
        self.exports.borrow_mut().retain(|token, _| waiting.contains_key(token));
        drop(waiting);
        for (token, waiting) in gone {
            if let Waiting::Coroutine(coroutine) = waiting {
                open.push((token, coroutine.scopes));
            }
        }
        open.retain(|(_, scopes)| scopes.is_open());
        open.sort_by_key(|(number, _)| *number);
        open.into_iter().map(|(_, scopes)| scopes).collect()
    }

    /// What the answer to `token` comes from.
    pub(crate) fn comes_from(&self, token: u64, export: CalledExport) {
        self.exports.borrow_mut().insert(token, export);
    }
}

/// An export that was called, for the error it may raise in its caller.
#[derive(Clone, Debug)]
pub(crate) struct CalledExport {
    pub(crate) resource: Rc<str>,
    pub(crate) name: Rc<str>,
}

impl CalledExport {
    pub(crate) fn error(&self, problem: &str) -> String {
        let Self { resource, name } = self;
        format!("An error occurred while calling export `{name}` in resource `{resource}`:\n  {problem}")
    }
}

/// How a slice ended, for whoever started it.
pub(crate) enum Ended {
    Returned(MultiValue),
    /// It goes on later; [`Host::forward`] tells who gets its results.
    Suspended,
    Failed(ScriptError),
}

impl<R: Recorder + 'static> Host<R> {
    /// A thread that starts with the next tick, or after `delay_ms`; answers its number.
    pub(crate) fn start_later(
        &self,
        resource: &Rc<Resource>,
        function: Function,
        category: CategoryId,
        delay_ms: u64,
    ) -> u64 {
        let symbol = self.probe.placed(resource, &function);
        let id = self.schedule.number();
        let (kind, timer, argument) = if category == CategoryId::TIMER {
            self.schedule.timers.borrow_mut().insert(id);
            (LinkKind::Timer, Some(id), None)
        } else {
            (LinkKind::Spawn, None, Some(id))
        };
        let boundary = self.muted(Boundary { symbol, category });
        let link = link(kind, self.probe.link_point());
        let generation = resource.generation.get();
        let resource = Rc::clone(resource);
        let due = self.clock.millis().saturating_add(delay_ms);
        self.schedule
            .push(due, Job::Start { resource, generation, function, boundary, link, timer, argument });
        id
    }

    /// A thread that runs now, until it first waits; answers its number.
    pub(crate) fn start_now(self: &Rc<Self>, resource: &Rc<Resource>, function: Function) -> u64 {
        let boundary =
            Boundary { symbol: self.probe.placed(resource, &function), category: CategoryId::THREAD };
        let link = link(LinkKind::Spawn, self.probe.link_point());
        let id = self.schedule.number();
        let ended = self.start(resource, function, thread_argument(id), boundary, link);
        self.tell(ended);
        id
    }

    /// Takes a timer back.
    pub(crate) fn clear_timer(&self, id: u64) {
        self.schedule.timers.borrow_mut().remove(&id);
    }

    /// A token a native gives to the coroutine it suspends.
    pub(crate) fn new_token(&self, resource: &Resource) -> u64 {
        let token = self.schedule.number();
        self.schedule.waiting.borrow_mut().insert(token, Waiting::Nobody { resource: resource.id });
        token
    }

    /// Answers a token: the coroutine that waits on it goes on, before this returns. A token nobody knows is ignored.
    pub(crate) fn answer(self: &Rc<Self>, token: u64, input: Input) {
        let source = if self.is_awaited(token) { self.probe.link_point() } else { None };
        self.answer_from(token, input, source);
    }

    fn is_awaited(&self, token: u64) -> bool {
        self.schedule.waiting.borrow().contains_key(&token)
    }

    /// [`Host::answer`] with what the answer came from.
    pub(crate) fn answer_from(self: &Rc<Self>, token: u64, input: Input, source: LinkPoint) {
        let export = self.schedule.exports.borrow_mut().remove(&token);
        let input = match (input, export) {
            (Input::ErrorText(problem), Some(export)) => Input::ErrorText(export.error(&problem)),
            (input, _) => input,
        };
        let found = self.schedule.waiting.borrow_mut().remove(&token);
        let link = link(LinkKind::Await, source);
        match found {
            Some(Waiting::Coroutine(coroutine)) => {
                if self.running.borrow().len() >= MAX_NESTING {
                    // answers that answer each other: the rest comes with the next tick
                    self.schedule.push(self.clock.millis(), Job::Resume { coroutine, input, link });
                } else if coroutine.generation == coroutine.resource.generation.get() {
                    let before = self.events.set_player(None);
                    self.slice(coroutine, input, link);
                    self.events.set_player(before);
                }
            }
            Some(Waiting::Nobody { resource } | Waiting::Answered { resource, .. }) => {
                let answered = Waiting::Answered { resource, input, link };
                self.schedule.waiting.borrow_mut().insert(token, answered);
            }
            None => {}
        }
    }

    /// Runs everything that is due and was there when the tick began.
    pub(crate) fn run_due(self: &Rc<Self>, now_ms: u64) {
        let before = self.schedule.numbers.get();
        while !self.ending.is_set() {
            let Some(job) = self.schedule.pop(now_ms, before) else { break };
            match job {
                Job::Resume { coroutine, input, link } => {
                    if coroutine.generation == coroutine.resource.generation.get() {
                        self.slice(coroutine, input, link);
                    }
                }
                Job::Start { resource, generation, function, boundary, link, timer, argument } => {
                    let wanted = timer.is_none_or(|id| self.schedule.timers.borrow_mut().remove(&id));
                    if wanted && generation == resource.generation.get() {
                        let arguments = argument.map_or_else(MultiValue::new, thread_argument);
                        let ended = self.start(&resource, function, arguments, boundary, link);
                        self.tell(ended);
                    }
                }
            }
        }
    }

    /// Reports the error of a slice that nobody else wants to hear of.
    pub(crate) fn tell(&self, ended: Ended) {
        if let Ended::Failed(error) = ended
            && error.kind != ErrorKind::TickLimit
        {
            self.report(&error);
        }
    }

    /// Runs `function` in a coroutine of its own, now, until it first waits.
    pub(crate) fn start(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        function: Function,
        arguments: MultiValue,
        boundary: Boundary,
        link: Option<Link>,
    ) -> Ended {
        self.start_for(resource, function, arguments, boundary, link, None).0
    }

    /// Like [`Host::start`]. With a `caller`, a coroutine that waits will answer that token when it ends.
    pub(crate) fn start_for(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        function: Function,
        arguments: MultiValue,
        boundary: Boundary,
        link: Option<Link>,
        caller: Option<&dyn Fn() -> u64>,
    ) -> (Ended, Option<u64>) {
        let Some(machine) = resource.machine() else {
            return (Ended::Failed(ScriptError::of_resource(&resource.name, &"it is not running")), None);
        };
        if self.running.borrow().len() >= MAX_NESTING {
            let problem =
                format!("events, exports and threads are nested {MAX_NESTING} deep; does one call itself?");
            let mut error = ScriptError::of_resource(&resource.name, &problem);
            error.kind = ErrorKind::Script;
            error.tick = self.tick.get();
            return (Ended::Failed(error), None);
        }
        let thread = match machine.lua.create_thread(function) {
            Ok(thread) => thread,
            Err(error) => {
                let mut error = ScriptError::of_resource(&resource.name, &crate::host::error_text(&error));
                error.kind = ErrorKind::Script;
                error.tick = self.tick.get();
                return (Ended::Failed(error), None);
            }
        };
        let player = match boundary.category {
            CategoryId::EVENT | CategoryId::COMMAND | CategoryId::STATE_BAG => self.events.player(),
            _ => None,
        };
        let boundary = self.muted(boundary);
        self.probe.new_track(resource, &thread, boundary);
        let coroutine = Box::new(Coroutine {
            resource: Rc::clone(resource),
            generation: resource.generation.get(),
            thread,
            boundary,
            wait: None,
            waits_since: Duration::ZERO,
            caller: None,
            player,
            scopes: Scopes::default(),
        });
        let (ended, suspended) = self.run(&machine, coroutine, arguments, link);
        let token = match (suspended, caller) {
            (Some(mut suspended), Some(caller)) => {
                let token = caller();
                suspended.coroutine.caller = Some(token);
                self.park(suspended);
                Some(token)
            }
            (Some(suspended), None) => {
                self.park(suspended);
                None
            }
            (None, _) => None,
        };
        (ended, token)
    }

    /// One more slice of a coroutine that waited.
    fn slice(self: &Rc<Self>, coroutine: Box<Coroutine>, input: Input, link: Option<Link>) {
        let resource = Rc::clone(&coroutine.resource);
        let Some(machine) = resource.machine() else { return };
        let caller = coroutine.caller;
        let arguments = match input {
            Input::Values(values) => values,
            Input::Parcel(parcel) => match self.open_parcel(&resource, &machine, parcel) {
                Ok(values) => values,
                Err(problem) => self.raised(&machine, problem),
            },
            Input::Error(value) => raw::tagged_raise(value),
            Input::ErrorText(text) => self.raised(&machine, text),
        };
        let (ended, suspended) = self.run(&machine, coroutine, arguments, link);
        if let Some(suspended) = suspended {
            self.park(suspended);
            return;
        }
        if let Some(token) = caller
            && self.http_slice_ended(token, &ended)
        {
            self.tell(ended);
            return;
        }
        match (caller, ended) {
            (Some(token), Ended::Returned(values)) => {
                let input = match self.make_parcel(&resource, &machine.lua, &values.into_vec()) {
                    Ok(parcel) => Input::Parcel(parcel),
                    Err(problem) => Input::ErrorText(problem),
                };
                self.answer(token, input);
            }
            (Some(token), Ended::Failed(error)) => {
                self.answer(token, Input::ErrorText(error.located_message()))
            }
            (_, ended) => self.tell(ended),
        }
    }

    /// What is started by a callback that is given samples is recorded no more than that.
    fn muted(&self, boundary: Boundary) -> Boundary {
        if self.probe.recorder().is_mute() {
            Boundary { category: CategoryId::PROFILER, ..boundary }
        } else {
            boundary
        }
    }

    fn raised(&self, machine: &Machine, text: String) -> MultiValue {
        let value = machine.lua.create_string(text).map_or(Value::Nil, Value::String);
        raw::tagged_raise(value)
    }

    /// One slice: boundary span, switch of tracks, `lua_resume`, and whatever span the end calls for.
    fn run(
        self: &Rc<Self>,
        machine: &Machine,
        mut coroutine: Box<Coroutine>,
        arguments: MultiValue,
        link: Option<Link>,
    ) -> (Ended, Option<Suspended>) {
        let resource = Rc::clone(&coroutine.resource);
        let boundary = coroutine.boundary;
        self.schedule.slices.set(self.schedule.slices.get() + 1);
        self.running.borrow_mut().push(Rc::clone(&resource));
        let player = coroutine.player.map(|number| (self.probe.keys.player, ArgInput::Uint(number.into())));
        let span = self.probe.begin(boundary.symbol, boundary.category, link, player.as_slice());
        self.probe.enter(&coroutine.thread, boundary);
        self.probe.resume_scopes(std::mem::take(&mut coroutine.scopes));
        if let Some(wait) = coroutine.wait.take() {
            if self.clock.is_virtual() {
                // The recording's clock does not tell how long this was for the script.
                let waited = self.clock.elapsed().saturating_sub(coroutine.waits_since);
                self.probe
                    .recorder()
                    .arg(self.probe.keys.waited_ns, ArgInput::Uint(waited.as_nanos() as u64));
            }
            self.probe.end(wait, Outcome::Ok);
        }
        let recorder = self.probe.recorder();
        let mute = recorder.set_mute(recorder.is_mute() || boundary.category == CategoryId::PROFILER);
        let resumed = raw::resume(&machine.lua, &coroutine.thread, arguments);
        let scopes = self.probe.suspend_scopes();
        coroutine.waits_since = self.clock.elapsed();
        let (ended, suspended, outcome) = match resumed {
            Resumed::Awaits { token, by } => {
                coroutine.scopes = scopes;
                coroutine.wait =
                    self.probe.begin_wait(&resource, &coroutine.thread, by.as_ref(), CategoryId::AWAIT);
                self.probe.leave(SwitchReason::Yield);
                (Ended::Suspended, Some(Suspended { coroutine, until: Until::Answer(token) }), Outcome::Ok)
            }
            Resumed::Yielded { values, by } => {
                coroutine.scopes = scopes;
                coroutine.wait =
                    self.probe.begin_wait(&resource, &coroutine.thread, by.as_ref(), CategoryId::SLEEP);
                self.probe.leave(SwitchReason::Yield);
                let until = Until::Time(milliseconds(values.front()));
                (Ended::Suspended, Some(Suspended { coroutine, until }), Outcome::Ok)
            }
            Resumed::Returned(values) => {
                self.probe.close_scopes(scopes);
                self.probe.leave(SwitchReason::Return);
                (Ended::Returned(values), None, Outcome::Ok)
            }
            Resumed::Failed(failure) => {
                self.probe.close_scopes(scopes);
                let error = self.describe(&resource, machine, &failure);
                self.probe.leave(SwitchReason::Error);
                (Ended::Failed(error), None, Outcome::Error)
            }
        };
        recorder.set_mute(mute);
        if let Some(span) = span {
            self.probe.end(span, outcome);
        }
        let outermost = {
            let mut running = self.running.borrow_mut();
            running.pop();
            running.is_empty()
        };
        if outermost {
            self.settle_interrupt();
        }
        (ended, suspended)
    }

    fn describe(&self, resource: &Rc<Resource>, machine: &Machine, failure: &Failure) -> ScriptError {
        let text = text_of(&machine.to_string, &machine.lua, &failure.value);
        let mut error = self.script_error(resource, text, failure);
        if self.probe.tracer().interrupt_handle().is_pending() {
            error.kind = ErrorKind::TickLimit;
            // told here, where it struck; what it raises further out is the same one
            if !self.interrupt_told.replace(true) {
                self.report(&error);
            }
        }
        error
    }

    /// The outermost script has come back: an interrupt has done its work.
    fn settle_interrupt(&self) {
        let tracer = self.probe.tracer();
        if tracer.interrupt_handle().is_pending() && !self.ending.is_set() {
            tracer.clear_interrupt();
            self.interrupt_told.set(false);
            self.ending.rearm();
        }
    }

    /// Puts a suspended coroutine where it is found again.
    fn park(&self, suspended: Suspended) {
        let Suspended { coroutine, until } = suspended;
        match until {
            Until::Time(delay_ms) => {
                let due = self.clock.millis().saturating_add(delay_ms);
                let input = Input::Values(MultiValue::new());
                self.schedule.push(due, Job::Resume { coroutine, input, link: None });
            }
            Until::Answer(token) => {
                let mut waiting = self.schedule.waiting.borrow_mut();
                match waiting.remove(&token) {
                    Some(Waiting::Nobody { .. }) => {
                        waiting.insert(token, Waiting::Coroutine(coroutine));
                    }
                    Some(Waiting::Answered { input, link, .. }) => {
                        drop(waiting);
                        self.schedule.push(self.clock.millis(), Job::Resume { coroutine, input, link });
                    }
                    // a script made the token up, or yielded one twice: nothing will ever answer
                    other => {
                        if let Some(other) = other {
                            waiting.insert(token, other);
                        }
                        drop(waiting);
                        self.probe.close_scopes(coroutine.scopes);
                    }
                }
            }
        }
    }

    /// Packs values of `resource` for another VM.
    pub(crate) fn make_parcel(
        &self,
        resource: &Rc<Resource>,
        lua: &mlua::Lua,
        values: &[Value],
    ) -> Result<Parcel, String> {
        let mut held = Vec::new();
        let packed = msgpack::pack(lua, values, crate::references::MAX_PARCEL, &mut |function| {
            let (id, text) = self.refer(resource, function);
            held.push(id);
            text
        })?;
        Ok(Parcel::new(packed, held, &self.references))
    }

    /// Unpacks a parcel in the VM of `resource`.
    pub(crate) fn open_parcel(
        &self,
        _resource: &Rc<Resource>,
        machine: &Machine,
        parcel: Parcel,
    ) -> Result<MultiValue, String> {
        let mut seen = Vec::new();
        let values = msgpack::unpack(&machine.lua, &machine.references, parcel.packed(), &mut seen);
        self.references.retain(&seen);
        values.map_err(|error| error.to_string())
    }
}

/// What the function of a thread is called with: the number of the thread.
fn thread_argument(id: u64) -> MultiValue {
    MultiValue::from_vec(vec![Value::Integer(id.cast_signed())])
}

struct Suspended {
    coroutine: Box<Coroutine>,
    until: Until,
}

enum Until {
    Time(u64),
    Answer(u64),
}

/// How long a yielded value asks to wait; anything but a number is the next tick.
fn milliseconds(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Integer(ms)) => u64::try_from(*ms).unwrap_or(0),
        Some(Value::Number(ms)) => *ms as u64, // saturates; NaN is 0
        _ => 0,
    }
}

impl From<ScriptError> for Raise {
    fn from(error: ScriptError) -> Self {
        Self::Text(error.message)
    }
}
