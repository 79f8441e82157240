//! Functions that hear when a convar changes: `AddConvarChangeListener`.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Value};
use tickscope_core::{CategoryId, Recorder, SymbolId};

use crate::host::Host;
use crate::probe::Boundary;
use crate::resource::Resource;

/// One that hears of changes.
pub(crate) struct Listener {
    pub(super) id: u64,
    resource: Rc<Resource>,
    generation: u32,
    /// A name, or how names begin if it ends with `*`; `None` for every convar.
    filter: Option<String>,
    function: Function,
    symbol: SymbolId,
}

impl Listener {
    pub(super) fn belongs_to(&self, resource: usize) -> bool {
        self.resource.id == resource
    }

    fn wants(&self, name: &str) -> bool {
        let Some(filter) = &self.filter else { return true };
        match filter.strip_suffix('*') {
            Some(start) => {
                name.get(..start.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
            }
            None => name.eq_ignore_ascii_case(filter),
        }
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Calls `function` with the name of each convar that fits `filter` when it has changed.
    pub(crate) fn add_convar_listener(
        &self,
        resource: &Rc<Resource>,
        filter: Option<String>,
        function: Function,
    ) -> u64 {
        let id = self.convars.next_listener.get() + 1;
        self.convars.next_listener.set(id);
        let symbol = self.probe.named(resource, filter.as_deref().unwrap_or("any convar"), &function);
        let (resource, generation) = (Rc::clone(resource), resource.generation.get());
        let listener = Listener { id, resource, generation, filter, function, symbol };
        self.convars.listeners.borrow_mut().push(Rc::new(listener));
        id
    }

    /// Calls who listens to the convars that changed since this was called last.
    pub(crate) fn tell_convars(self: &Rc<Self>) {
        loop {
            let changed = std::mem::take(&mut *self.convars.changed.borrow_mut());
            if changed.is_empty() {
                return;
            }
            for name in changed {
                self.tell_convar(&name);
            }
        }
    }

    fn tell_convar(self: &Rc<Self>, name: &str) {
        let listeners: Vec<_> =
            self.convars.listeners.borrow().iter().filter(|listener| listener.wants(name)).cloned().collect();
        for listener in listeners {
            let resource = &listener.resource;
            let there = self.convars.listeners.borrow().iter().any(|other| other.id == listener.id);
            if !there || listener.generation != resource.generation.get() {
                continue;
            }
            let Some(machine) = resource.machine() else { continue };
            let boundary = Boundary { symbol: listener.symbol, category: CategoryId::EVENT };
            match arguments(&machine.lua, name) {
                Ok(arguments) => {
                    let ended = self.start(resource, listener.function.clone(), arguments, boundary, None);
                    self.tell(ended);
                }
                Err(error) => self.report(&crate::ScriptError::of_resource(&resource.name, &error)),
            }
        }
    }
}

fn arguments(lua: &Lua, name: &str) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_vec(vec![Value::String(lua.create_string(name)?), Value::Nil]))
}
