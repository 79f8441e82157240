//! Arguments of natives that concern the game: vectors count as their components, nil and false as 0, true as 1.

use mlua::{Lua, Value};
use tickscope_core::Recorder;

use super::table::joaat;
use crate::host::{Answer, Args, Host, Raise, nothing, one};
use crate::raw;
use crate::values::Vector;
use crate::world::Entity;

impl Args {
    /// The same arguments, with each vector as its components.
    pub(super) fn spread(mut self, lua: &Lua) -> Self {
        self.values = raw::spread(lua, self.values);
        self
    }

    pub(super) fn whole(&self, index: usize) -> Result<i64, Raise> {
        match self.get(index) {
            Value::Nil | Value::Boolean(false) => Ok(0),
            Value::Boolean(true) => Ok(1),
            _ => self.integer(index),
        }
    }

    pub(super) fn real(&self, index: usize) -> Result<f32, Raise> {
        match self.get(index) {
            Value::Nil | Value::Boolean(false) => Ok(0.0),
            Value::Boolean(true) => Ok(1.0),
            _ => self.number(index).map(|number| number as f32),
        }
    }

    /// Three numbers from `index` on.
    pub(super) fn reals(&self, index: usize) -> Result<[f32; 3], Raise> {
        Ok([self.real(index)?, self.real(index + 1)?, self.real(index + 2)?])
    }

    pub(super) fn flag(&self, index: usize) -> bool {
        !matches!(self.get(index), Value::Nil | Value::Boolean(false) | Value::Integer(0))
    }

    /// A hash: a number, or text that is hashed.
    pub(super) fn hash(&self, index: usize) -> Result<u32, Raise> {
        match self.get(index) {
            Value::String(text) => Ok(joaat(&text.to_string_lossy())),
            _ => Ok(self.whole(index)? as u32),
        }
    }

    /// A handle of an entity, 0 for none.
    pub(super) fn handle(&self, index: usize) -> Result<u32, Raise> {
        Ok(u32::try_from(self.whole(index)?).unwrap_or(0))
    }
}

/// What `answer` says of the entity in the first argument; `nothing` for handle 0, an error for one that is not there.
pub(super) fn ask<R: Recorder + 'static>(
    host: &Host<R>,
    lua: &Lua,
    args: &Args,
    nothing: Value,
    answer: impl FnOnce(&Entity) -> mlua::Result<Value>,
) -> Answer {
    let handle = args.handle(0)?;
    if handle == 0 {
        return one(lua, nothing);
    }
    let entities = host.world.entities.borrow();
    match entities.get(handle) {
        Some(entity) => one(lua, answer(entity)?),
        None => Err(Raise::Text(format!("Tried to access invalid entity: {handle}"))),
    }
}

/// Changes the entity in the first argument, if it is there: a client would be asked to, and nobody waits for it.
pub(super) fn change<R: Recorder + 'static>(
    host: &Host<R>,
    args: &Args,
    change: impl FnOnce(&mut Entity),
) -> Answer {
    let handle = args.handle(0)?;
    if let Some(entity) = host.world.entities.borrow_mut().get_mut(handle) {
        change(entity);
    }
    nothing()
}

/// A position as a value.
pub(super) fn place(lua: &Lua, position: [f32; 3]) -> mlua::Result<Value> {
    raw::into_value(lua, Vector::vector3(position))
}

/// A hash as scripts see it: signed.
pub(super) fn signed(hash: u32) -> Value {
    Value::Integer(hash.cast_signed().into())
}
