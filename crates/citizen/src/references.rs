//! Functions of one VM that others can call: exports by name, and references that travel in payloads.
//!
//! A reference is text, `resource:0:number`. The VM that receives one sees a table that can be called; each such table,
//! and each parcel on its way, counts. A function nobody counts on is let go.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};
use tickscope_core::{CategoryId, LinkKind, Recorder, SymbolId};

use crate::events::Source;
use crate::host::{Answer, Args, Host, Raise, nothing};
use crate::msgpack::Packed;
use crate::probe::{Boundary, link};
use crate::raw::REFERENCE_FIELD;
use crate::resource::{Resource, ResourceState};
use crate::schedule::{CalledExport, Ended};
use crate::world::HostFunction;

/// What the events that ask for exports begin with; the resource, `_` and the name follow.
const EXPORT_EVENT: &str = "__cfx_export_";

/// Bytes of one payload.
pub(crate) const MAX_PARCEL: usize = 256 << 20;

struct Reference {
    resource: Rc<Resource>,
    function: Function,
    symbol: SymbolId,
    count: usize,
}

#[derive(Default)]
struct Held {
    next: u64,
    functions: HashMap<u64, Reference>,
    /// Let go by finalizers: these run in the middle of anything, so they only leave a note.
    released: Vec<u64>,
}

/// Every function that has been given to another VM.
#[derive(Clone, Default)]
pub(crate) struct References {
    table: Rc<RefCell<Held>>,
}

/// The number in the text of a reference.
fn number_of(text: &str) -> Option<u64> {
    text.rsplit_once(':')?.1.parse().ok()
}

impl References {
    /// Counts the tables made for these references.
    pub(crate) fn retain(&self, texts: &[String]) {
        let mut table = self.table.borrow_mut();
        for number in texts.iter().filter_map(|text| number_of(text)) {
            if let Some(reference) = table.functions.get_mut(&number) {
                reference.count += 1;
            }
        }
    }

    /// A table was collected.
    pub(crate) fn release_later(&self, text: &str) {
        if let (Some(number), Ok(mut table)) = (number_of(text), self.table.try_borrow_mut()) {
            table.released.push(number);
        }
    }

    /// Lets go what nobody counts on any more.
    pub(crate) fn sweep(&self) {
        let released = std::mem::take(&mut self.table.borrow_mut().released);
        self.release(&released);
    }

    fn release(&self, numbers: &[u64]) {
        let mut gone = Vec::new();
        let mut table = self.table.borrow_mut();
        for number in numbers {
            if let Some(reference) = table.functions.get_mut(number) {
                reference.count = reference.count.saturating_sub(1);
                if reference.count == 0 {
                    gone.extend(table.functions.remove(number));
                }
            }
        }
        drop(table);
        drop(gone);
    }

    /// Forgets every function of a resource.
    pub(crate) fn clear(&self, resource: usize) {
        let mut table = self.table.borrow_mut();
        let old = std::mem::take(&mut table.functions);
        let (gone, kept): (HashMap<_, _>, HashMap<_, _>) =
            old.into_iter().partition(|(_, reference)| reference.resource.id == resource);
        table.functions = kept;
        drop(table);
        drop(gone);
    }

    /// Whether the function behind a reference is still there.
    fn is_alive(&self, reference: &Table) -> bool {
        let text = reference.raw_get::<String>(REFERENCE_FIELD).unwrap_or_default();
        number_of(&text).is_some_and(|number| self.table.borrow().functions.contains_key(&number))
    }

    /// The function of that reference, whose it is, and its symbol.
    pub(crate) fn get(&self, text: &str) -> Option<(Rc<Resource>, Function, SymbolId)> {
        let table = self.table.borrow();
        let reference = table.functions.get(&number_of(text)?)?;
        Some((Rc::clone(&reference.resource), reference.function.clone(), reference.symbol))
    }

    /// Counts one more on the function of that reference; `false` when it is gone.
    pub(crate) fn duplicate(&self, text: &str) -> bool {
        let mut table = self.table.borrow_mut();
        let reference = number_of(text).and_then(|number| table.functions.get_mut(&number));
        reference.map(|reference| reference.count += 1).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.borrow().functions.len()
    }
}

/// Values on their way from one VM to another. While it exists, the functions in it do.
pub(crate) struct Parcel {
    packed: Packed,
    held: Vec<u64>,
    references: References,
}

impl Parcel {
    pub(crate) fn new(packed: Packed, held: Vec<u64>, references: &References) -> Self {
        Self { packed, held, references: references.clone() }
    }

    pub(crate) fn packed(&self) -> &Packed {
        &self.packed
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.references.release(&self.held);
    }
}

struct Export {
    function: Function,
    symbol: SymbolId,
}

/// Exports by resource and name.
#[derive(Default)]
pub(crate) struct Exports {
    by_resource: RefCell<HashMap<usize, HashMap<String, Rc<Export>>>>,
}

impl Exports {
    pub(crate) fn clear(&self, resource: usize) {
        let gone = self.by_resource.borrow_mut().remove(&resource);
        drop(gone);
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Makes a function known to other VMs: its number, counted once, and its text.
    pub(crate) fn refer(&self, resource: &Rc<Resource>, function: &Function) -> (u64, String) {
        let symbol = self.probe.placed(resource, function);
        let mut table = self.references.table.borrow_mut();
        table.next += 1;
        let number = table.next;
        let (resource, function) = (Rc::clone(resource), function.clone());
        let text = format!("{}:0:{number}", resource.name);
        table.functions.insert(number, Reference { resource, function, symbol, count: 1 });
        (number, text)
    }

    /// `exports('name', fn)`.
    pub(crate) fn add_export(&self, resource: &Rc<Resource>, name: &str, function: Function) {
        let symbol = self.probe.named(resource, name, &function);
        let mut all = self.exports.by_resource.borrow_mut();
        let old =
            all.entry(resource.id).or_default().insert(name.to_owned(), Rc::new(Export { function, symbol }));
        drop(all);
        drop(old);
    }

    /// The export `name` of the resource called `resource` (not of one that provides it), if it runs and has one. A
    /// name the manifest lists is the global function of that name.
    fn export(&self, resource: &str, name: &str) -> Option<(Rc<Resource>, Rc<Export>)> {
        let found = self.resources.named(resource)?;
        if matches!(found.state.get(), ResourceState::Stopped) {
            return None;
        }
        let get = || self.exports.by_resource.borrow().get(&found.id)?.get(name).cloned();
        if let Some(export) = get() {
            return Some((found, export));
        }
        if found.manifest().exports().any(|listed| listed == name)
            && let Some(machine) = found.machine()
            && let Ok(function) = machine.lua.globals().raw_get::<Function>(name)
        {
            self.add_export(&found, name, function);
        }
        let export = get()?;
        Some((found, export))
    }

    /// `exports.resource.name`: the function that calls it. Looked up again with each call.
    pub(crate) fn export_caller(
        self: &Rc<Self>,
        caller: &Rc<Resource>,
        lua: &Lua,
        resource: &str,
        name: &str,
    ) -> Result<Function, Raise> {
        if let Some(function) = self.database_export(caller, lua, resource, name)? {
            return Ok(function);
        }
        let handed = match self.export(resource, name) {
            Some(_) => None,
            None => Some(self.handed_export(caller, lua, resource, name)?),
        };
        let handed = RefCell::new(handed);
        let symbol = self.probe.native(&caller.name, &format!("exports.{resource}:{name}"));
        let called = CalledExport { resource: resource.into(), name: name.into() };
        let call = move |host: &Rc<Self>, caller: &Rc<Resource>, lua: &Lua, mut args: Args| -> Answer {
            args.values.pop_front(); // `exports.resource` itself, from the colon
            let own = host.export(&called.resource, &called.name);
            if own.is_none() {
                let known = handed.borrow().clone().filter(|reference| host.references.is_alive(reference));
                let reference = match known {
                    Some(reference) => reference,
                    None => host.handed_export(caller, lua, &called.resource, &called.name)?,
                };
                *handed.borrow_mut() = Some(reference.clone());
                args.values.push_front(Value::Table(reference));
            }
            let span = host.probe.begin(symbol, CategoryId::NATIVE, None, &[]);
            let answer = match own {
                Some((target, export)) => {
                    let boundary = Boundary { symbol: export.symbol, category: CategoryId::EXPORT };
                    host.call(caller, lua, &target, &export.function, boundary, args.values)
                }
                None => host.call_reference(caller, lua, args),
            };
            let outcome = match &answer {
                Err(Raise::Text(_) | Raise::Value(_)) => tickscope_core::Outcome::Error,
                _ => tickscope_core::Outcome::Ok,
            };
            if let Some(span) = span {
                host.probe.end(span, outcome);
            }
            match answer {
                Err(Raise::Text(problem)) => Err(Raise::Text(called.error(&problem))),
                Err(Raise::Wait(token)) => {
                    host.schedule.comes_from(token, called.clone());
                    Err(Raise::Wait(token))
                }
                answer => answer,
            }
        };
        Ok(self.native(caller, lua, "export", crate::host::Calls::Silent, call)?)
    }

    /// An export that a handler of its event hands out: `AddEventHandler('__cfx_export_r_f', function(set) … end)`
    /// stands in for a resource `r` that may not exist, and calls `set` with the function.
    fn handed_export(
        self: &Rc<Self>,
        caller: &Rc<Resource>,
        lua: &Lua,
        resource: &str,
        name: &str,
    ) -> Result<Table, Raise> {
        let place = Rc::new(RefCell::new(None));
        let set = {
            let place = Rc::clone(&place);
            self.native(caller, lua, "export", crate::host::Calls::Silent, move |_, _, _, args| {
                *place.borrow_mut() = Some(args.table(0)?);
                nothing()
            })?
        };
        let parcel = self.make_parcel(caller, lua, &[Value::Function(set)])?;
        self.trigger(&format!("{EXPORT_EVENT}{resource}_{name}"), &parcel, Source::Server);
        drop(parcel);
        let handed = place.borrow_mut().take();
        handed.ok_or_else(|| Raise::Text(format!("No such export {name} in resource {resource}")))
    }

    /// A script asks for an export itself, by triggering its event with a function that takes it.
    pub(crate) fn hand_out_export(
        self: &Rc<Self>,
        caller: &Rc<Resource>,
        event: &str,
        take: &Function,
    ) -> Result<(), Raise> {
        let Some(wanted) = event.strip_prefix(EXPORT_EVENT) else { return Ok(()) };
        let found = self.resources.all().into_iter().find_map(|resource| {
            let name = wanted.strip_prefix(&*resource.name)?.strip_prefix('_')?;
            self.export(&resource.name, name)
        });
        let Some((target, export)) = found else { return Ok(()) };
        let (Some(machine), Some(own)) = (target.machine(), caller.machine()) else { return Ok(()) };
        let function = Value::Function(export.function.clone());
        let parcel = self.make_parcel(&target, &machine.lua, &[function])?;
        let values = self.open_parcel(caller, &own, parcel)?;
        let boundary =
            Boundary { symbol: self.probe.named(caller, event, take), category: CategoryId::EVENT };
        let ended = self.start(caller, take.clone(), values, boundary, None);
        self.tell(ended);
        Ok(())
    }

    /// The call of a function of another VM: `reference(...)`.
    pub(crate) fn call_reference(
        self: &Rc<Self>,
        caller: &Rc<Resource>,
        lua: &Lua,
        mut args: Args,
    ) -> Answer {
        let Some(Value::Table(this)) = args.values.pop_front() else {
            return Err(Raise::Text("a function reference was called without itself".into()));
        };
        let text: String = this.raw_get(REFERENCE_FIELD)?;
        if let Some(function) = HostFunction::parse(&text) {
            return self.call_host_function(function, caller, lua, &args);
        }
        let Some((target, function, symbol)) = self.references.get(&text) else {
            return Err(Raise::Text(format!("the function {text} is gone: its resource was stopped")));
        };
        let boundary = Boundary { symbol, category: CategoryId::EXPORT };
        self.call(caller, lua, &target, &function, boundary, args.values)
    }

    /// Calls a function of another VM (or, by the same road, of the same one): arguments and results are copied. When
    /// it waits, the caller waits for it.
    fn call(
        self: &Rc<Self>,
        caller: &Rc<Resource>,
        lua: &Lua,
        target: &Rc<Resource>,
        function: &Function,
        boundary: Boundary,
        arguments: MultiValue,
    ) -> Answer {
        let Some(machine) = target.machine() else {
            return Err(Raise::Text(format!("resource {} is not running", target.name)));
        };
        let parcel = self.make_parcel(caller, lua, &arguments.into_vec())?;
        let arguments = self.open_parcel(target, &machine, parcel)?;
        let link = link(LinkKind::Export, self.probe.link_point());
        let token = || self.new_token(caller);
        let (ended, token) =
            self.start_for(target, function.clone(), arguments, boundary, link, Some(&token));
        match (ended, token) {
            (Ended::Returned(values), _) => {
                let parcel = self.make_parcel(target, &machine.lua, &values.into_vec())?;
                let Some(own) = caller.machine() else { return Ok(MultiValue::new()) };
                Ok(self.open_parcel(caller, &own, parcel)?)
            }
            (Ended::Failed(error), _) => Err(Raise::Text(error.located_message())),
            (Ended::Suspended, Some(token)) => Err(Raise::Wait(token)),
            (Ended::Suspended, None) => Ok(MultiValue::new()),
        }
    }
}
