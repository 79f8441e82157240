//! Samples for scripts: `Profiler.SetLuaCallback`, in batches, within ticks.
//!
//! What a callback does is not recorded, but for one span of category `profiler` for each of its slices, so that its time
//! is accounted for; those spans are given to nobody. The same holds for what it starts: threads, timers, handlers. So no
//! callback feeds itself or another.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mlua::{Function, Lua, MultiValue, Table, Value};
use tickscope_core::{CategoryId, Recorder};

use crate::feedback::{Feedback, FeedbackHandle, Given, GivenSample};
use crate::host::{Host, error_text};
use crate::probe::Boundary;
use crate::report::{ErrorKind, ScriptError};
use crate::resource::Resource;

/// How often a callback is called unless its script chooses: with each tick.
const INTERVAL: Duration = Duration::from_millis(16);

/// Who is given samples.
pub(crate) struct Listeners {
    feedback: Option<Arc<dyn Feedback>>,
    tick: Duration,
    /// By resource.
    callbacks: RefCell<BTreeMap<usize, Callback>>,
    intervals: RefCell<BTreeMap<usize, Duration>>,
}

#[derive(Clone)]
struct Callback {
    resource: Rc<Resource>,
    function: Function,
    due: Duration,
}

impl Listeners {
    pub(crate) fn new(feedback: Option<FeedbackHandle>, tick: Duration) -> Self {
        let feedback = feedback.map(|handle| handle.0);
        Self { feedback, tick, callbacks: RefCell::default(), intervals: RefCell::default() }
    }

    /// Where recordings are had from; `None` when nobody has one.
    pub(crate) fn feedback(&self) -> Option<&Arc<dyn Feedback>> {
        self.feedback.as_ref()
    }

    /// How often a resource is given samples.
    pub(crate) fn set_interval(&self, resource: &Resource, interval: Duration) {
        self.intervals.borrow_mut().insert(resource.id, interval);
    }

    /// A resource stops.
    pub(crate) fn forget(&self, resource: usize) {
        self.intervals.borrow_mut().remove(&resource);
        let gone = self.callbacks.borrow_mut().remove(&resource);
        if let (Some(_), Some(feedback)) = (gone, &self.feedback) {
            feedback.forget(resource as u64);
        }
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// `function` is given samples from now on, in place of the one before; `false` when nothing is recorded.
    pub(crate) fn give_samples_to(&self, resource: &Rc<Resource>, function: Option<Function>) -> bool {
        let Some(feedback) = self.listeners.feedback() else { return false };
        let Some(function) = function else {
            if self.listeners.callbacks.borrow_mut().remove(&resource.id).is_some() {
                feedback.forget(resource.id as u64);
            }
            return true;
        };
        let due = self.clock.elapsed();
        let callback = Callback { resource: Rc::clone(resource), function, due };
        let before = self.listeners.callbacks.borrow_mut().insert(resource.id, callback);
        if before.is_none() {
            if self.clock.is_virtual() {
                feedback.settle(); // or it would be chance what is given first
            }
            feedback.listen(resource.id as u64);
        }
        true
    }

    /// Calls the callbacks that are due and have something to be told.
    pub(crate) fn give_samples(self: &Rc<Self>) {
        let Some(feedback) = self.listeners.feedback() else { return };
        let now = self.clock.elapsed();
        let due: Vec<_> = {
            let mut callbacks = self.listeners.callbacks.borrow_mut();
            let intervals = self.listeners.intervals.borrow();
            let due = callbacks.iter_mut().filter(|(_, callback)| callback.due <= now);
            due.map(|(id, callback)| {
                callback.due = now + intervals.get(id).copied().unwrap_or(INTERVAL);
                callback.clone()
            })
            .collect()
        };
        if !due.is_empty() && self.clock.is_virtual() {
            feedback.settle();
        }
        for Callback { resource, function, .. } in due {
            let given = feedback.take(resource.id as u64);
            if given.samples.is_empty() && given.dropped == 0 {
                continue;
            }
            let Some(machine) = resource.machine() else { continue };
            match self.as_table(&machine.lua, &given) {
                Ok(samples) => {
                    let symbol = self.probe.placed(&resource, &function);
                    let boundary = Boundary { symbol, category: CategoryId::PROFILER };
                    let arguments = MultiValue::from_vec(vec![Value::Table(samples)]);
                    let ended = self.start(&resource, function, arguments, boundary, None);
                    self.tell(ended);
                }
                Err(error) => {
                    let problem = format!("its samples could not be given to it: {}", error_text(&error));
                    let error = ScriptError::of_resource(&resource.name, &problem);
                    self.report(&ScriptError { kind: ErrorKind::Script, tick: self.tick.get(), ..error });
                }
            }
        }
    }

    fn as_table(&self, lua: &Lua, given: &Given) -> mlua::Result<Table> {
        let samples = lua.create_table_with_capacity(given.samples.len(), 1)?;
        for (index, sample) in given.samples.iter().enumerate() {
            samples.raw_set(index + 1, self.sample_table(lua, sample)?)?;
        }
        samples.raw_set("dropped", given.dropped)?;
        Ok(samples)
    }

    fn sample_table(&self, lua: &Lua, sample: &GivenSample) -> mlua::Result<Table> {
        let micros = |ns: u64, tick: u64| {
            if self.clock.is_measured() {
                ns / 1_000
            } else {
                // virtual time: where work takes none, and two runs tell the same
                (self.listeners.tick.as_micros() as u64).saturating_mul(tick)
            }
        };
        let table = lua.create_table_with_capacity(0, 12)?;
        table.raw_set("function_name", &*sample.symbol.name)?;
        table.raw_set("resource_name", &*sample.symbol.resource)?;
        table.raw_set("category", &*sample.category)?;
        table.raw_set("file", &*sample.symbol.file)?;
        table.raw_set("line", sample.symbol.line)?;
        table.raw_set("start_us", micros(sample.begin_ns, sample.ticks.0))?;
        table.raw_set("end_us", micros(sample.end_ns, sample.ticks.1))?;
        table.raw_set("tick", sample.ticks.1)?;
        table.raw_set("thread_id", sample.track)?;
        if sample.span > 0 {
            table.raw_set("span_id", sample.span)?;
            table.raw_set("outcome", sample.outcome.name())?;
        }
        if sample.parent > 0 {
            table.raw_set("parent_span_id", sample.parent)?;
        }
        Ok(table)
    }
}
