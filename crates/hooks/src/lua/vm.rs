//! What is known of one virtual machine.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;

use tickscope_core::SymbolId;

use super::definitions::registrations;
use super::heap::Heap;
use super::{Allocator, definitions};
use tickscope_core::quiet::is_quiet;

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
    /// What tells it from others: see [`LuaApi::machine`](super::LuaApi::machine).
    pub(crate) machine: usize,
    pub(crate) resource: Box<str>,
    pub(crate) allocator: Option<Rc<Pin<Box<Allocator>>>>,
    pub(crate) hidden: RefCell<Vec<usize>>,
    pub(crate) hide_unnamed: bool,
    /// Sets the C functions of one machine apart from those of another in the symbol cache.
    pub(crate) salt: usize,
    pub(crate) gc_measured: SymbolId,
    pub(crate) gc_inferred: SymbolId,
    /// What was told of its size.
    pub(crate) heap: Heap,
    /// Names of functions.
    pub(crate) sources: Sources,
    /// Names of C functions by address.
    pub(crate) natives: RefCell<HashMap<usize, Box<str>>>,
    /// How often the loaded modules were searched for them.
    pub(crate) walks: Cell<u32>,
    /// Whether what its functions do is recorded, as the depth says.
    pub(crate) recorded: Cell<bool>,
}

/// A file larger than this is hardly a program.
const MAX_SOURCE: u64 = 16 << 20;

/// The text of a Lua file. Only plain files: opening a pipe would take what the program is about to read.
pub(crate) fn read_source(file: &Path) -> Option<Vec<u8>> {
    if is_quiet() {
        return None;
    }
    let data = file.metadata().ok()?;
    if !data.is_file() || data.len() > MAX_SOURCE {
        return None;
    }
    std::fs::read(file).ok().filter(|source| !source.starts_with(b"\x1bLua"))
}

/// What the source of a chunk says of its functions.
#[derive(Default)]
struct Chunk {
    lines: Lines,
    /// What functions are registered as with the program, by the line they begin on.
    registered: HashMap<u32, Box<str>>,
}

/// What is known by chunk name; `None` for a chunk whose source was looked for in vain.
#[derive(Default)]
pub(crate) struct Sources(RefCell<HashMap<Box<[u8]>, Option<Chunk>>>);

impl Sources {
    fn register(&self, name: &[u8], source: &[u8]) {
        let mut chunk = Chunk::default();
        for (line, name) in definitions(source) {
            chunk.lines.entry(line).or_default().push(name.into());
        }
        chunk.registered.extend(registrations(source).into_iter().map(|(line, name)| (line, name.into())));
        self.0.borrow_mut().insert(name.into(), Some(chunk));
    }

    /// Gives what the function that begins on a line is registered as to `then`; empty for nothing.
    pub(crate) fn registered<T>(&self, chunk: &[u8], line: u32, then: impl FnOnce(&str) -> T) -> T {
        let sources = self.0.borrow();
        let chunk = sources.get(chunk).and_then(Option::as_ref);
        then(chunk.and_then(|chunk| chunk.registered.get(&line)).map_or("", |name| name))
    }

    /// Reads the source of a chunk that names its file, unless that was tried before.
    pub(crate) fn find(&self, chunk: &[u8]) {
        if self.0.borrow().contains_key(chunk) {
            return;
        }
        match chunk.strip_prefix(b"@").and_then(|path| read_source(OsStr::from_bytes(path).as_ref())) {
            Some(source) => self.register(chunk, &source),
            None => {
                self.0.borrow_mut().insert(chunk.into(), None);
            }
        }
    }

    /// Whether the chunk's source is known.
    pub(crate) fn has(&self, chunk: &[u8]) -> bool {
        self.0.borrow().get(chunk).is_some_and(Option::is_some)
    }

    /// The name of the function that a known source defines on a line. Where it defines several there, the one that its
    /// caller's word for it fits.
    pub(crate) fn known(&self, chunk: &[u8], line: u32, called: Option<&str>) -> Option<String> {
        let sources = self.0.borrow();
        match sources.get(chunk)?.as_ref()?.lines.get(&line)?.as_slice() {
            [name] => Some(name.to_string()),
            names => names
                .iter()
                .find(|name| called.is_some_and(|called| name.ends_with(called)))
                .map(ToString::to_string),
        }
    }

    /// The name of a function by its source, which is read when it was not, or else by its caller's word for it.
    pub(crate) fn name(&self, chunk: &[u8], line: u32, called: Option<&str>) -> Option<String> {
        self.find(chunk);
        self.known(chunk, line, called).or_else(|| called.filter(|_| !self.has(chunk)).map(ToOwned::to_owned))
    }
}

impl VmRecord {
    pub(crate) fn register_chunk(&self, name: &[u8], source: &[u8]) {
        self.sources.register(name, source);
    }
}
