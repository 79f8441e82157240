//! State bags: values by bag and key that scripts and clients share, and handlers that hear of changes.
//!
//! Bags are called `global`, `player:number` and `entity:network id`. A value is kept packed, as FXServer keeps it, and
//! unpacked anew for each reader. Handlers are told before the new value is in place.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Value};
use tickscope_core::{CategoryId, LinkKind, Recorder, SymbolId};

use crate::host::Host;
use crate::msgpack::Packed;
use crate::probe::{Boundary, link};
use crate::references::Parcel;
use crate::resource::Resource;
use crate::{ErrorKind, ScriptError};

/// nil in MessagePack.
const NIL: u8 = 0xc0;

type Bag = BTreeMap<Rc<str>, Rc<Parcel>>;

struct ChangeHandler {
    id: u64,
    resource: Rc<Resource>,
    generation: u32,
    /// Only this key, only this bag.
    key: Option<String>,
    bag: Option<String>,
    function: Function,
    symbol: SymbolId,
    removed: Cell<bool>,
}

impl ChangeHandler {
    fn wants(&self, bag: &str, key: &str) -> bool {
        let fits = |filter: &Option<String>, name| filter.as_deref().is_none_or(|wanted| wanted == name);
        fits(&self.key, key) && fits(&self.bag, bag)
    }
}

/// Who changes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// A script of the server.
    Server,
    /// A player's client.
    Client(u32),
}

/// The bags there are, and who hears of changes.
#[derive(Default)]
pub(crate) struct StateBags {
    bags: RefCell<HashMap<String, Bag>>,
    handlers: RefCell<Rc<Vec<Rc<ChangeHandler>>>>,
    next: Cell<u64>,
}

impl StateBags {
    /// Makes a bag, if it is not there.
    pub(crate) fn ensure(&self, bag: &str) {
        let mut bags = self.bags.borrow_mut();
        if !bags.contains_key(bag) {
            bags.insert(bag.to_owned(), Bag::new());
        }
    }

    /// What the bag belongs to is gone.
    pub(crate) fn remove(&self, bag: &str) {
        let gone = self.bags.borrow_mut().remove(bag);
        drop(gone);
    }

    /// The value of a key, packed.
    pub(crate) fn get(&self, bag: &str, key: &str) -> Option<Rc<Parcel>> {
        self.bags.borrow().get(bag)?.get(key).cloned()
    }

    /// The keys that have a value, sorted.
    pub(crate) fn keys(&self, bag: &str) -> Vec<Rc<str>> {
        self.bags.borrow().get(bag).map_or_else(Vec::new, |bag| bag.keys().cloned().collect())
    }

    fn store(&self, bag: &str, key: &str, value: Rc<Parcel>) {
        let mut bags = self.bags.borrow_mut();
        // a handler may have taken the owner away
        let Some(bag) = bags.get_mut(bag) else { return };
        let old = if value.packed().bytes == [NIL] { bag.remove(key) } else { bag.insert(key.into(), value) };
        drop(bags);
        drop(old);
    }

    /// Takes a handler back.
    pub(crate) fn remove_handler(&self, id: u64) {
        self.retain(|handler| handler.id != id);
    }

    /// Forgets the handlers of a resource. Its values stay, as on a server.
    pub(crate) fn clear(&self, resource: usize) {
        self.retain(|handler| handler.resource.id != resource);
    }

    fn retain(&self, keep: impl Fn(&ChangeHandler) -> bool) {
        let mut handlers = self.handlers.borrow_mut();
        let (kept, gone): (Vec<_>, Vec<_>) = handlers.iter().cloned().partition(|handler| keep(handler));
        let old = std::mem::replace(&mut *handlers, Rc::new(kept));
        drop(handlers);
        for handler in &gone {
            handler.removed.set(true);
        }
        drop((old, gone));
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Calls `function` with each change of that key in that bag; its number takes it out again.
    pub(crate) fn add_change_handler(
        &self,
        resource: &Rc<Resource>,
        key: Option<String>,
        bag: Option<String>,
        function: Function,
    ) -> u64 {
        let id = self.state_bags.next.get() + 1;
        self.state_bags.next.set(id);
        let name = key.as_deref().or(bag.as_deref()).unwrap_or("any");
        let symbol = self.probe.named(resource, name, &function);
        let generation = resource.generation.get();
        let (resource, removed) = (Rc::clone(resource), Cell::new(false));
        let handler = ChangeHandler { id, resource, generation, key, bag, function, symbol, removed };
        Rc::make_mut(&mut self.state_bags.handlers.borrow_mut()).push(Rc::new(handler));
        id
    }

    /// Whether there is such a bag, which is made when its owner is there.
    fn has_bag(&self, bag: &str) -> bool {
        if self.state_bags.bags.borrow().contains_key(bag) {
            return true;
        }
        let number = |text: &str| text.parse().ok();
        let exists = match bag.split_once(':') {
            None => bag == "global",
            Some(("player", source)) => {
                number(source).is_some_and(|source| self.world.players.borrow().get(source).is_some())
            }
            Some(_) => false,
        };
        if exists {
            self.state_bags.ensure(bag);
        }
        exists
    }

    /// Sets a key of a bag; `false` when there is no such bag. Handlers hear of it first.
    pub(crate) fn set_state(
        self: &Rc<Self>,
        bag: &str,
        key: &str,
        value: Parcel,
        replicated: bool,
        by: Writer,
    ) -> bool {
        if !self.has_bag(bag) {
            return false;
        }
        let value = Rc::new(value);
        let handlers = Rc::clone(&self.state_bags.handlers.borrow());
        let link = match handlers.is_empty() {
            true => None,
            false => link(LinkKind::Event, self.probe.link_point()),
        };
        let player = match by {
            Writer::Server => None,
            Writer::Client(player) => Some(player),
        };
        let before = self.events.set_player(player);
        for handler in handlers.iter().filter(|handler| handler.wants(bag, key)) {
            let resource = &handler.resource;
            if handler.removed.get() || handler.generation != resource.generation.get() {
                continue;
            }
            let Some(machine) = resource.machine() else { continue };
            let arguments = || -> mlua::Result<MultiValue> {
                let mut seen = Vec::new();
                let packed = value.packed();
                let values = crate::msgpack::unpack(&machine.lua, &machine.references, packed, &mut seen);
                self.references.retain(&seen);
                let values = values.map_err(mlua::Error::runtime)?;
                Ok(MultiValue::from_vec(vec![
                    Value::String(machine.lua.create_string(bag)?),
                    Value::String(machine.lua.create_string(key)?),
                    values.into_iter().next().unwrap_or(Value::Nil),
                    Value::Integer(player.unwrap_or(0).into()),
                    Value::Boolean(replicated),
                ]))
            };
            match arguments() {
                Ok(arguments) => {
                    let boundary = Boundary { symbol: handler.symbol, category: CategoryId::STATE_BAG };
                    let ended = self.start(resource, handler.function.clone(), arguments, boundary, link);
                    self.tell(ended);
                }
                Err(error) => {
                    let problem = crate::host::error_text(&error);
                    let problem = format!("state bag {bag}, key {key}: its value does not fit: {problem}");
                    let error = ScriptError::of_resource(&resource.name, &problem);
                    self.report(&ScriptError { tick: self.tick.get(), kind: ErrorKind::Script, ..error });
                }
            }
        }
        self.events.set_player(before);
        self.state_bags.store(bag, key, value);
        true
    }

    /// A player's client sets a key of its own bag. Refused for other bags, and when the server writes state alone
    /// (`sv_stateBagStrictMode`).
    pub(crate) fn set_state_from(self: &Rc<Self>, player: u32, bag: &str, key: &str, value: Packed) -> bool {
        let strict = self.convars.get("sv_stateBagStrictMode");
        if strict.is_some_and(|strict| matches!(strict.trim(), "true" | "1")) {
            return false;
        }
        if bag != format!("player:{player}") {
            return false;
        }
        let parcel = Parcel::new(value, Vec::new(), &self.references);
        self.set_state(bag, key, parcel, true, Writer::Client(player))
    }

    /// The value of a key for scripts in `lua`.
    pub(crate) fn state_value(
        &self,
        resource: &Resource,
        lua: &Lua,
        bag: &str,
        key: &str,
    ) -> Result<Value, String> {
        let (Some(value), Some(machine)) = (self.state_bags.get(bag, key), resource.machine()) else {
            return Ok(Value::Nil);
        };
        let mut seen = Vec::new();
        let values = crate::msgpack::unpack(lua, &machine.references, value.packed(), &mut seen);
        self.references.retain(&seen);
        let values = values.map_err(|error| error.to_string())?;
        Ok(values.into_iter().next().unwrap_or(Value::Nil))
    }
}
