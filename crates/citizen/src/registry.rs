//! The resources of a server, by number, name, what they provide, and category.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::database::is_built_in;
use crate::resource::{Resource, ResourceState};

/// All resources, running or not. Their numbers stay as they are: `refresh` adds at the end.
#[derive(Default)]
pub(crate) struct Registry {
    list: RefCell<Vec<Rc<Resource>>>,
    by_name: RefCell<BTreeMap<Rc<str>, usize>>,
    providers: RefCell<HashMap<String, Vec<usize>>>,
}

impl Registry {
    /// The number the next new resource gets.
    pub(crate) fn len(&self) -> usize {
        self.list.borrow().len()
    }

    pub(crate) fn get(&self, id: usize) -> Option<Rc<Resource>> {
        self.list.borrow().get(id).cloned()
    }

    /// Every resource, in the order of their numbers.
    pub(crate) fn all(&self) -> Vec<Rc<Resource>> {
        let mut all = self.list.borrow().clone();
        all.retain(|resource| !is_built_in(&resource.path));
        all
    }

    /// Every resource, in the order of their names.
    pub(crate) fn by_name(&self) -> Vec<Rc<Resource>> {
        let list = self.list.borrow();
        let mut found: Vec<_> =
            self.by_name.borrow().values().filter_map(|id| list.get(*id).cloned()).collect();
        found.retain(|resource| !is_built_in(&resource.path));
        found
    }

    /// The resource of this very name.
    pub(crate) fn named(&self, name: &str) -> Option<Rc<Resource>> {
        self.get(*self.by_name.borrow().get(name)?)
    }

    /// The resource `name` means: the one called so; one that provides it if that is not there, or stopped while a
    /// provider runs.
    pub(crate) fn find(&self, name: &str) -> Option<Rc<Resource>> {
        let named = self.named(name);
        if named.as_ref().is_some_and(|resource| resource.state.get() != ResourceState::Stopped) {
            return named;
        }
        let provided = self.providers.borrow().get(name).and_then(|ids| {
            let mut providers = ids.iter().filter_map(|id| self.get(*id));
            providers.find(|other| named.is_none() || other.state.get() == ResourceState::Started)
        });
        provided.or(named)
    }

    /// The resources in a category, or in one inside it.
    pub(crate) fn in_category(&self, category: &str) -> Vec<Rc<Resource>> {
        let mut found = self.by_name();
        found.retain(|resource| resource.categories.iter().any(|other| other == category));
        found
    }

    /// Adds a resource, or puts it in the place of the one with its number. [`Registry::index_providers`] comes after.
    pub(crate) fn put(&self, resource: Rc<Resource>) {
        let id = resource.id;
        self.by_name.borrow_mut().insert(Rc::clone(&resource.name), id);
        let mut list = self.list.borrow_mut();
        match list.get_mut(id) {
            Some(place) => *place = resource,
            None => list.push(resource),
        }
    }

    /// Looks again at what manifests provide.
    pub(crate) fn index_providers(&self) {
        let mut providers: HashMap<String, Vec<usize>> = HashMap::new();
        for resource in self.list.borrow().iter() {
            for alias in resource.manifest().all("provide") {
                providers.entry(alias.to_owned()).or_default().push(resource.id);
            }
        }
        *self.providers.borrow_mut() = providers;
    }
}
