//! Events: handlers of every resource, called one after the other, each in a coroutine of its own.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use mlua::{Function, MultiValue, Value};
use tickscope_core::{CategoryId, LinkKind, Recorder, SymbolId};

use crate::host::Host;
use crate::probe::{Boundary, link};
use crate::references::Parcel;
use crate::resource::{Machine, Resource};
use crate::{ErrorKind, ScriptError};

struct Handler {
    id: u64,
    resource: Rc<Resource>,
    generation: u32,
    function: Function,
    symbol: SymbolId,
    removed: Cell<bool>,
}

/// Who triggers an event: what its handlers see as `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A script or the server: the empty string.
    Server,
    /// The server, about a player: the player's number.
    Player(u32),
    /// A player's client: the player's number, and only handlers in resources that registered the event run.
    Client(u32),
}

impl Source {
    /// The player it is or is about.
    pub(crate) fn player(self) -> Option<u32> {
        match self {
            Self::Server => None,
            Self::Player(number) | Self::Client(number) => Some(number),
        }
    }
}

/// Handlers by event, and the events that are being handled.
#[derive(Default)]
pub(crate) struct Events {
    next: Cell<u64>,
    handlers: RefCell<HashMap<String, Rc<Vec<Rc<Handler>>>>>,
    /// Whether each event at work was cancelled, outermost first.
    at_work: RefCell<Vec<bool>>,
    /// Whether the event that ended last was cancelled.
    last_cancelled: Cell<bool>,
    /// The player on whose behalf scripts are being started: recorded with their spans.
    player: Cell<Option<u32>>,
    /// Events that clients may trigger, by resource.
    net: RefCell<HashMap<usize, HashSet<String>>>,
}

impl Events {
    pub(crate) fn cancel(&self) {
        if let Some(cancelled) = self.at_work.borrow_mut().last_mut() {
            *cancelled = true;
        }
    }

    pub(crate) fn was_cancelled(&self) -> bool {
        self.last_cancelled.get()
    }

    pub(crate) fn register_net(&self, resource: &Resource, name: &str) {
        self.net.borrow_mut().entry(resource.id).or_default().insert(name.to_owned());
    }

    /// The player on whose behalf scripts are being started.
    pub(crate) fn player(&self) -> Option<u32> {
        self.player.get()
    }

    /// Scripts that are started from now on are started for this player; answers who it was before.
    pub(crate) fn set_player(&self, player: Option<u32>) -> Option<u32> {
        self.player.replace(player)
    }

    fn is_net(&self, resource: usize, name: &str) -> bool {
        self.net.borrow().get(&resource).is_some_and(|names| names.contains(name))
    }

    /// Whether any resource lets clients trigger this event.
    pub(crate) fn takes_net(&self, name: &str) -> bool {
        self.net.borrow().values().any(|names| names.contains(name))
    }

    /// Removes a handler; `false` when there is none of that number.
    pub(crate) fn remove(&self, event: &str, id: u64) -> bool {
        let mut handlers = self.handlers.borrow_mut();
        let Some(list) = handlers.get_mut(event) else { return false };
        let Some(at) = list.iter().position(|handler| handler.id == id) else { return false };
        let removed = Rc::make_mut(list).remove(at);
        removed.removed.set(true); // one that is being called around us keeps its own list
        if list.is_empty() {
            handlers.remove(event);
        }
        drop(handlers);
        true
    }

    /// Forgets everything of a resource.
    pub(crate) fn clear(&self, resource: usize) {
        let mut gone = Vec::new();
        self.handlers.borrow_mut().retain(|_, list| {
            if list.iter().any(|handler| handler.resource.id == resource) {
                let (out, kept): (Vec<_>, Vec<_>) =
                    list.iter().cloned().partition(|handler| handler.resource.id == resource);
                gone.extend(out);
                *list = Rc::new(kept);
            }
            !list.is_empty()
        });
        self.net.borrow_mut().remove(&resource);
        for handler in gone {
            handler.removed.set(true);
        }
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Adds a handler; its number takes it out again.
    pub(crate) fn add_handler(&self, resource: &Rc<Resource>, event: &str, function: Function) -> u64 {
        let id = self.events.next.get() + 1;
        self.events.next.set(id);
        let handler = Handler {
            id,
            resource: Rc::clone(resource),
            generation: resource.generation.get(),
            symbol: self.probe.named(resource, event, &function),
            function,
            removed: Cell::new(false),
        };
        let mut handlers = self.events.handlers.borrow_mut();
        Rc::make_mut(handlers.entry(event.to_owned()).or_default()).push(Rc::new(handler));
        id
    }

    /// Calls every handler of `event`, in the order they were added, and tells whether none cancelled it. `source` is
    /// what scripts see as `source` meanwhile.
    pub(crate) fn trigger(self: &Rc<Self>, event: &str, parcel: &Parcel, source: Source) -> bool {
        self.trigger_in(None, event, parcel, source)
    }

    /// [`Host::trigger`], of one resource's handlers only when `only` is its number.
    pub(crate) fn trigger_in(
        self: &Rc<Self>,
        only: Option<usize>,
        event: &str,
        parcel: &Parcel,
        source: Source,
    ) -> bool {
        let handlers = self.events.handlers.borrow().get(event).cloned();
        let Some(handlers) = handlers else {
            self.events.last_cancelled.set(false);
            return true;
        };
        let link = link(LinkKind::Event, self.probe.link_point());
        self.events.at_work.borrow_mut().push(false);
        let before = self.events.set_player(source.player());
        let mut refused = Vec::new();
        // the values are unpacked once in each VM, and its handlers share them
        let mut unpacked: HashMap<usize, (MultiValue, Value)> = HashMap::new();
        for handler in handlers.iter() {
            let resource = &handler.resource;
            if handler.removed.get()
                || handler.generation != resource.generation.get()
                || only.is_some_and(|id| id != resource.id)
            {
                continue;
            }
            if matches!(source, Source::Client(_)) && !self.events.is_net(resource.id, event) {
                if !refused.contains(&resource.id) {
                    refused.push(resource.id);
                    let words = format!("event {event} was not safe for net");
                    self.console.borrow_mut().print(&resource.name, &words);
                }
                continue;
            }
            let Some(machine) = resource.machine() else { continue };
            if let Entry::Vacant(place) = unpacked.entry(resource.id) {
                match self.deliver(&machine, parcel, source) {
                    Ok(delivered) => {
                        place.insert(delivered);
                    }
                    Err(problem) => {
                        let problem = format!("event {event}: its arguments do not fit: {problem}");
                        let error = ScriptError::of_resource(&resource.name, &problem);
                        self.report(&ScriptError { tick: self.tick.get(), kind: ErrorKind::Script, ..error });
                        continue;
                    }
                }
            }
            let values = unpacked.get(&resource.id).map(|(values, _)| values.clone()).unwrap_or_default();
            let boundary = Boundary { symbol: handler.symbol, category: CategoryId::EVENT };
            let ended = self.start(resource, handler.function.clone(), values, boundary, link);
            self.tell(ended);
        }
        for (id, (_, before)) in unpacked {
            let scenario = || self.scenario.resource.borrow().clone().filter(|resource| resource.id == id);
            let resource = self.resources.get(id).or_else(scenario);
            if let Some(machine) = resource.and_then(|resource| resource.machine()) {
                let _ = machine.lua.globals().raw_set("source", before);
            }
        }
        self.events.set_player(before);
        let cancelled = self.events.at_work.borrow_mut().pop().unwrap_or(false);
        self.events.last_cancelled.set(cancelled);
        !cancelled
    }

    /// Unpacks the arguments of an event in a VM and sets `source` there; answers what it was before.
    fn deliver(
        &self,
        machine: &Machine,
        parcel: &Parcel,
        source: Source,
    ) -> Result<(MultiValue, Value), String> {
        let mut seen = Vec::new();
        let values = crate::msgpack::unpack(&machine.lua, &machine.references, parcel.packed(), &mut seen);
        self.references.retain(&seen);
        let values = values.map_err(|error| error.to_string())?;
        let globals = machine.lua.globals();
        let before = globals.raw_get("source").unwrap_or(Value::Nil);
        let source = match source {
            Source::Server => {
                Value::String(machine.lua.create_string("").map_err(|error| error.to_string())?)
            }
            Source::Player(number) | Source::Client(number) => Value::Integer(number.into()),
        };
        let _ = globals.raw_set("source", source); // fails only without memory, which the handler meets too
        Ok((values, before))
    }

    /// Triggers an event of the host's own, with plain text arguments.
    pub(crate) fn trigger_own(self: &Rc<Self>, event: &str, texts: &[&str]) -> bool {
        let parcel = Parcel::new(crate::msgpack::pack_texts(texts), Vec::new(), &self.references);
        self.trigger(event, &parcel, Source::Server)
    }
}
