//! One resource and the VM it runs in.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use mlua::{Function, Lua, Table};
use tickscope_core::SymbolId;

use crate::Manifest;
use crate::discovery::Found;
use crate::vm::Vm;

/// What a resource is doing, in the words of `GetResourceState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceState {
    /// Not running.
    Stopped,
    /// Its scripts are being loaded.
    Starting,
    /// Running.
    Started,
    /// Its handlers of `onResourceStop` are being called.
    Stopping,
}

impl ResourceState {
    /// The word scripts get.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Stopping => "stopping",
        }
    }
}

pub(crate) struct Resource {
    /// Position in the server's list.
    pub(crate) id: usize,
    pub(crate) name: Rc<str>,
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) state: Cell<ResourceState>,
    /// Counts starts: what belongs to an earlier one is stale.
    pub(crate) generation: Cell<u32>,
    /// Its VM while it runs.
    pub(crate) machine: RefCell<Option<Rc<Machine>>>,
    /// Heap size when its counter was last recorded.
    pub(crate) heap: Cell<usize>,
    /// Symbols of thread-like boundaries, by chunk name and line.
    pub(crate) places: RefCell<HashMap<String, HashMap<u32, SymbolId>>>,
    pub(crate) symbols: Symbols,
}

/// Symbols each resource needs again and again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Symbols {
    pub(crate) heap_bytes: SymbolId,
    pub(crate) start: SymbolId,
    pub(crate) stop: SymbolId,
    pub(crate) error: SymbolId,
}

/// What Rust keeps of a VM. Handles first, the VM last: they are dropped in this order.
pub(crate) struct Machine {
    /// Metatable of functions of other VMs.
    pub(crate) references: Table,
    /// `subscribe(promise, token)`: tells the host when the promise is settled.
    pub(crate) subscribe: Function,
    /// `tostring`, as it was before scripts ran.
    pub(crate) to_string: Function,
    pub(crate) lua: Lua,
    pub(crate) vm: Vm,
}

impl Resource {
    pub(crate) fn new(id: usize, found: Found, symbols: Symbols) -> Self {
        Self {
            id,
            name: found.name.into(),
            path: found.path,
            manifest: found.manifest,
            state: Cell::new(ResourceState::Stopped),
            generation: Cell::new(0),
            machine: RefCell::new(None),
            heap: Cell::new(0),
            places: RefCell::default(),
            symbols,
        }
    }

    /// Its VM, if it runs.
    pub(crate) fn machine(&self) -> Option<Rc<Machine>> {
        self.machine.borrow().clone()
    }

    /// The file a chunk name stands for, as samples and reports name it: relative to this resource, or with
    /// `@other/` in front.
    pub(crate) fn file_of<'a>(&self, source: &'a str) -> &'a str {
        let Some(path) = source.strip_prefix('@') else { return source.strip_prefix('=').unwrap_or("") };
        match path.strip_prefix('@').and_then(|path| path.strip_prefix(&*self.name)) {
            Some(own) if own.starts_with('/') => &own[1..],
            _ => path,
        }
    }
}
