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
    /// The categories it is in, outermost first.
    pub(crate) categories: Vec<String>,
    manifest: RefCell<Rc<Manifest>>,
    /// What is wrong with the manifest on disk.
    pub(crate) broken: RefCell<Option<String>>,
    /// The manifest was read since the last start.
    pub(crate) fresh: Cell<bool>,
    /// Why the last start came to nothing.
    pub(crate) failed: RefCell<Option<String>>,
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
    /// The way to the workers.
    pub(crate) crossing: Option<tickscope_worker::Crossing>,
    pub(crate) lua: Lua,
    pub(crate) vm: Vm,
    /// Chunks its scripts loaded under a name of their own.
    pub(crate) named_chunks: Cell<u32>,
}

impl Resource {
    pub(crate) fn new(id: usize, found: Found, symbols: Symbols) -> Self {
        let (manifest, broken) = match found.manifest {
            Ok(manifest) => (manifest, None),
            Err(problem) => (Manifest::default(), Some(problem)),
        };
        Self {
            id,
            name: found.name.into(),
            path: found.path,
            categories: found.categories,
            manifest: RefCell::new(Rc::new(manifest)),
            broken: RefCell::new(broken),
            fresh: Cell::new(true),
            failed: RefCell::new(None),
            state: Cell::new(ResourceState::Stopped),
            generation: Cell::new(0),
            machine: RefCell::new(None),
            heap: Cell::new(0),
            places: RefCell::default(),
            symbols,
        }
    }

    /// Its manifest as of the last time it was read; empty while it never could be.
    pub(crate) fn manifest(&self) -> Rc<Manifest> {
        Rc::clone(&self.manifest.borrow())
    }

    /// Takes what was read from disk; whether it is another than before.
    pub(crate) fn set_manifest(&self, read: Result<Manifest, String>) -> bool {
        self.fresh.set(true);
        match read {
            Ok(manifest) => {
                let was_broken = self.broken.take().is_some();
                let changed = was_broken || **self.manifest.borrow() != manifest;
                if changed {
                    *self.manifest.borrow_mut() = Rc::new(manifest);
                }
                changed
            }
            Err(problem) => self.broken.replace(Some(problem.clone())) != Some(problem),
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
