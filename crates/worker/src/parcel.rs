//! Values on their way from one machine to another: a structure that no machine owns.
//!
//! Tables and functions become entries of lists, so that what was one thing on one side is one thing on the other, cycles
//! included. Variables that functions share are entries too. What another machine has by itself (its libraries, modules it
//! can require) crosses as a name.

use std::sync::Arc;

use mlua::{Lua, Result, Value};

/// A userdata on its way: what is needed to make it again in another machine.
pub trait Carried: Send + Sync {
    /// Makes it.
    ///
    /// # Errors
    /// When the machine is out of memory, or lacks the type.
    fn unpack(&self, lua: &Lua) -> Result<Value>;

    /// About what it takes in memory, in bytes, beyond a few words.
    fn bytes(&self) -> usize {
        0
    }
}

/// Values that can cross, with all that they refer to.
#[derive(Default)]
pub(crate) struct Parcel {
    pub(crate) values: Vec<Item>,
    pub(crate) tables: Vec<Table>,
    pub(crate) functions: Vec<Function>,
    /// Variables of functions.
    pub(crate) variables: Vec<Item>,
    /// Globals that the functions read.
    pub(crate) globals: Vec<(Box<[u8]>, Item)>,
    /// About what it takes in memory.
    pub(crate) bytes: usize,
}

/// A value. Tables, functions and variables are by their number.
#[derive(Clone)]
pub(crate) enum Item {
    Nil,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(Box<[u8]>),
    Table(u32),
    Function(u32),
    /// A library or a part of one: `string`, `string.format`.
    Library(Arc<str>),
    /// What `require` answers for this name.
    Module(Box<[u8]>),
    Carried(Arc<dyn Carried>),
}

#[derive(Default)]
pub(crate) struct Table {
    /// Its `#`: where there are holes, more than one number is right, and scripts count on the one that they get.
    pub(crate) length: usize,
    /// Keys 1, 2, 3 and on.
    pub(crate) list: Vec<Item>,
    pub(crate) pairs: Vec<(Item, Item)>,
    pub(crate) metatable: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Function {
    /// As `string.dump` writes it, with debug information.
    pub(crate) code: Vec<u8>,
    pub(crate) upvalues: Vec<Upvalue>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Upvalue {
    Variable(u32),
    /// The globals of the machine that the function is in.
    Environment,
}
