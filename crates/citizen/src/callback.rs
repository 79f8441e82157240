//! Functions that scripts hand over to be called once something is done.

use std::rc::Rc;

use mlua::{Function, MultiValue, Value};
use tickscope_core::{CategoryId, LinkKind, LinkPoint, Recorder};

use crate::host::Host;
use crate::probe::{Boundary, link};
use crate::resource::Resource;

/// A function, or what can be called like one.
pub(crate) fn callable(value: &Value) -> Option<Value> {
    match value {
        Value::Function(_) => Some(value.clone()),
        Value::Table(table)
            if table
                .metatable()
                .is_some_and(|meta| matches!(meta.raw_get("__call"), Ok(Value::Function(_)))) =>
        {
            Some(value.clone())
        }
        _ => None,
    }
}

/// The function behind a [`callable`], and what it is to be called with.
pub(crate) fn call_of(callback: &Value, values: Vec<Value>) -> Option<(Function, MultiValue)> {
    match callback {
        Value::Function(function) => Some((function.clone(), MultiValue::from_vec(values))),
        // a function of another VM: a table that can be called
        Value::Table(table) => {
            let call = table.metatable()?.raw_get::<Function>("__call").ok()?;
            Some((call, std::iter::once(callback.clone()).chain(values).collect()))
        }
        _ => None,
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Runs a callback in a coroutine of its own.
    pub(crate) fn call_back(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        callback: &Value,
        category: CategoryId,
        values: Vec<Value>,
        cause: LinkPoint,
    ) {
        let Some((function, arguments)) = call_of(callback, values) else { return };
        let boundary = Boundary { symbol: self.probe.placed(resource, &function), category };
        let source = cause.or_else(|| self.probe.link_point());
        let link = link(LinkKind::Await, source);
        let ended = self.start(resource, function, arguments, boundary, link);
        self.tell(ended);
    }
}
