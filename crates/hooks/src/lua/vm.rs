//! What is known of one virtual machine.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;

use tickscope_core::SymbolId;

use super::api::lua_State;
use super::{Allocator, definitions};

/// How a virtual machine is traced.
#[derive(Clone, Default)]
pub struct VmOptions {
    /// The resource its samples belong to; empty for a plain program.
    pub resource: String,
    /// Its memory, when it was created with an [`Allocator`].
    pub allocator: Option<Rc<Pin<Box<Allocator>>>>,
    /// C functions that are the host's own entry points and not worth a span: the trampoline all of a binding's
    /// callbacks share. The host records what lies behind it under its true name.
    pub hidden: Vec<usize>,
    /// Whether C functions that no loaded module has are the host's own too.
    pub hide_unnamed: bool,
}

/// Names of the functions of a chunk, by the line they begin on.
type Lines = HashMap<u32, Vec<Box<str>>>;

/// A machine known to a tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VmId(pub(crate) usize);

pub(crate) struct VmRecord {
    pub(crate) main: *mut lua_State,
    pub(crate) resource: Box<str>,
    pub(crate) allocator: Option<Rc<Pin<Box<Allocator>>>>,
    pub(crate) hidden: RefCell<Vec<usize>>,
    pub(crate) hide_unnamed: bool,
    /// Sets the C functions of one machine apart from those of another in the symbol cache.
    pub(crate) salt: usize,
    pub(crate) gc_measured: SymbolId,
    pub(crate) gc_inferred: SymbolId,
    /// Names of functions by chunk name and line.
    pub(crate) chunks: RefCell<HashMap<Box<[u8]>, Lines>>,
    /// Names of C functions by address.
    pub(crate) natives: RefCell<HashMap<usize, Box<str>>>,
}

impl VmRecord {
    pub(crate) fn register_chunk(&self, name: &[u8], source: &[u8]) {
        let mut lines = Lines::new();
        for (line, name) in definitions(source) {
            lines.entry(line).or_default().push(name.into());
        }
        self.chunks.borrow_mut().insert(name.into(), lines);
    }
}
