//! Convars: the server's settings by name, whatever its case.

mod listeners;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::constraints::SERVER_BUILD;

/// Who else learns of a convar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shared {
    /// Nobody: `set`.
    #[default]
    No,
    /// The server list: `sets`.
    ServerInfo,
    /// Clients: `setr`.
    Replicated,
}

#[derive(Clone, Debug)]
struct Convar {
    name: String,
    value: String,
    shared: Shared,
    /// Chosen by whoever runs the server: its files do not change it.
    pinned: bool,
}

/// The convars of a server.
pub(crate) struct Convars {
    by_name: RefCell<BTreeMap<String, Convar>>,
    /// Who hears of changes, and the names of those that nobody was told of yet.
    listeners: RefCell<Vec<Rc<listeners::Listener>>>,
    changed: RefCell<Vec<String>>,
    next_listener: Cell<u64>,
    /// The server's files are being read.
    configuring: Cell<bool>,
}

impl Default for Convars {
    /// What FXServer sets by itself and scripts look at.
    fn default() -> Self {
        let convars = Self {
            by_name: RefCell::default(),
            listeners: RefCell::default(),
            changed: RefCell::default(),
            next_listener: Cell::new(0),
            configuring: Cell::new(false),
        };
        convars.set("version", &format!("FXServer-tickscope SERVER v1.0.0.{SERVER_BUILD} linux"));
        convars
    }
}

impl Convars {
    /// Convars with these values, which the server's files cannot change.
    pub(crate) fn with(pinned: Vec<(String, String)>) -> Self {
        let convars = Self::default();
        for (name, value) in pinned {
            let convar = Convar { name: name.clone(), value, shared: Shared::No, pinned: true };
            convars.by_name.borrow_mut().insert(name.to_ascii_lowercase(), convar);
        }
        convars.configuring.set(true);
        convars
    }

    /// The server's files are read: from here every convar can change.
    pub(crate) fn configured(&self) {
        self.configuring.set(false);
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.by_name.borrow().get(&name.to_ascii_lowercase()).map(|convar| convar.value.clone())
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        self.set_as(name, value, Shared::No);
    }

    /// Sets a convar. Once shared, it stays so.
    pub(crate) fn set_as(&self, name: &str, value: &str, shared: Shared) {
        let mut by_name = self.by_name.borrow_mut();
        let mut changed = false;
        let convar = by_name.entry(name.to_ascii_lowercase()).or_insert_with(|| {
            changed = true;
            Convar { name: name.to_owned(), value: value.to_owned(), shared, pinned: false }
        });
        if !(convar.pinned && self.configuring.get()) && convar.value != value {
            value.clone_into(&mut convar.value);
            changed = true;
        }
        if shared != Shared::No {
            convar.shared = shared;
        }
        if changed && !self.listeners.borrow().is_empty() {
            self.changed.borrow_mut().push(convar.name.clone());
        }
    }

    /// Nobody listens under this number any more.
    pub(crate) fn remove_listener(&self, id: u64) {
        let gone = self.listeners.borrow_mut().extract_if(.., |listener| listener.id == id).last();
        drop(gone);
    }

    /// Forgets the listeners of a resource.
    pub(crate) fn forget(&self, resource: usize) {
        let gone: Vec<_> = {
            let mut listeners = self.listeners.borrow_mut();
            listeners.extract_if(.., |listener| listener.belongs_to(resource)).collect()
        };
        drop(gone);
    }

    /// Name, as it was first written, value, and who else learns of it; in the order of names.
    pub(crate) fn all(&self) -> Vec<(String, String, Shared)> {
        let by_name = self.by_name.borrow();
        by_name.values().map(|convar| (convar.name.clone(), convar.value.clone(), convar.shared)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_files_do_not_change_what_was_chosen() {
        let convars = Convars::with(vec![("Chosen".into(), "yes".into())]);
        convars.set("chosen", "no");
        convars.set_as("Other", "1", Shared::Replicated);
        convars.set("OTHER", "2");
        convars.configured();
        assert_eq!(convars.get("CHOSEN").as_deref(), Some("yes"));
        assert_eq!(convars.all()[1], ("Other".into(), "2".into(), Shared::Replicated));
        convars.set("chosen", "later");
        assert_eq!(convars.get("chosen").as_deref(), Some("later"));
        assert_eq!(convars.get("absent"), None);
    }
}
