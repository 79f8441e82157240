//! A plugin's library, loaded and looked at. It is never unloaded: threads of its own may run in it.

use std::fs::File;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use tickscope_abi::LAYOUTS;
use tickscope_abi::raw::{TICKSCOPE_MAGIC, TICKSCOPE_MAJOR, TickscopeSink, TickscopeText};
use tickscope_core::Metadata;

use crate::error::{Refusal, Why};
use crate::instance::Instance;
use crate::isolated::{Isolated, Isolation, Leash};
use crate::opened::{Failure, Log, Opened, printable};
use crate::options::Schema;

/// Where the fields that every version has end: magic, version, layout and size.
const HEAD: usize = std::mem::offset_of!(TickscopeSink, name);
/// Sizes of the table by minor version: a new one appends, the others stay.
const SIZES: &[usize] = &[152];
const _: () =
    assert!(SIZES[SIZES.len() - 1] == size_of::<TickscopeSink>(), "a minor version has no size yet");
/// A name, a version, a line.
const MAX_TEXT: usize = 256;
const MAX_SCHEMA: usize = 1 << 20;

/// A sink plugin, ready to be opened.
#[derive(Debug)]
pub struct Plugin {
    /// Its file.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One line about it.
    pub about: String,
    /// Major and minor version of the table it was made for.
    pub abi: (u32, u32),
    /// What options there are.
    pub schema: Schema,
    pub(crate) able: Able,
    pub(crate) code: Code,
}

/// Where its functions are.
#[derive(Debug)]
pub(crate) enum Code {
    /// In this process: what it exports, completed by this host's idea of the table.
    Here(Arc<TickscopeSink>),
    /// In a process for each sink.
    Isolated(Isolation),
}

/// Which of the functions that a plugin may leave out it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Able {
    pub(crate) tick: bool,
    pub(crate) flush: bool,
    pub(crate) finish: bool,
    pub(crate) health: bool,
}

/// What a plugin says of itself.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) about: String,
    pub(crate) abi: (u32, u32),
    pub(crate) schema: String,
    pub(crate) able: Able,
}

impl Described {
    /// Whether it can be shown and referred to.
    pub(crate) fn checked(self) -> Result<Self, Why> {
        let texts = [
            ("name", &self.name, MAX_TEXT),
            ("version", &self.version, MAX_TEXT),
            ("about", &self.about, MAX_TEXT),
            ("schema", &self.schema, MAX_SCHEMA),
        ];
        for (field, text, most) in texts {
            if text.len() > most {
                return Err(Why::BadText { field, problem: "too long" });
            }
            if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
                return Err(Why::BadText { field, problem: "not printable" });
            }
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            let problem = "no name: expected lower-case letters, digits, - and _";
            return Err(Why::BadText { field: "name", problem });
        }
        Ok(self)
    }
}

impl Plugin {
    /// Loads `file`. Code of its own runs only if it has constructors.
    ///
    /// # Errors
    /// What is wrong with the file, in one line.
    pub fn load(file: &Path) -> Result<Self, Refusal> {
        read(file).map_err(|why| Refusal { file: file.to_owned(), why })
    }

    /// Has `file` loaded in a process of its own, now to look at it, and for each sink that is opened.
    ///
    /// # Errors
    /// What is wrong with the file, or what became of its process, in one line.
    pub fn load_isolated(file: &Path, isolation: &Isolation) -> Result<Self, Refusal> {
        crate::isolated::load(file, isolation).map_err(|why| Refusal { file: file.to_owned(), why })
    }

    /// As one of the two above.
    ///
    /// # Errors
    /// As above.
    pub fn load_as(file: &Path, isolation: Option<&Isolation>) -> Result<Self, Refusal> {
        match isolation {
            None => Self::load(file),
            Some(isolation) => Self::load_isolated(file, isolation),
        }
    }

    /// Whether its sinks run in processes of their own.
    pub fn is_isolated(&self) -> bool {
        matches!(self.code, Code::Isolated(_))
    }

    /// Opens a sink called `name` with options that the schema allows. If it gets a process, `leash` holds it.
    pub(crate) fn open(
        &self,
        name: &str,
        options: &str,
        metadata: &Metadata,
        log: Log,
        leash: &Arc<Leash>,
    ) -> Result<Box<dyn Opened>, Failure> {
        Ok(match &self.code {
            Code::Here(table) => Box::new(Instance::open(table.clone(), name, options, metadata, log)?),
            Code::Isolated(isolation) => {
                Box::new(Isolated::open(self, isolation, name, options, metadata, log, leash.clone())?)
            }
        })
    }

    /// What it can do beyond taking batches: `ticks`, `flush`, `finish`, `health`.
    pub fn capabilities(&self) -> Vec<&'static str> {
        let Able { tick, flush, finish, health } = self.able;
        let able = [("ticks", tick), ("flush", flush), ("finish", finish), ("health", health)];
        able.into_iter().filter(|(_, able)| *able).map(|(name, _)| name).collect()
    }
}

fn read(file: &Path) -> Result<Plugin, Why> {
    let mut opened = File::open(file).map_err(Why::Unreadable)?;
    let path = file.canonicalize().map_err(Why::Unreadable)?;
    crate::elf::check(&mut opened)?;
    // SAFETY: constructors run, as in every program that links the library: whoever names a plugin trusts it.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    // What was loaded stays, even if it is refused: code of its may run already.
    let library = ManuallyDrop::new(library.map_err(|error| Why::Loader(loader_says(&error, &path)))?);
    // SAFETY: only its address is used, until it is known what is there.
    let symbol = unsafe { library.get::<*const u8>(b"tickscope_sink\0") }.map_err(|_| Why::NoTable)?;
    let address: *const u8 = symbol.into_raw().cast();
    // SAFETY: a symbol that names data or code has eight bytes behind it.
    let table = unsafe { table(address) }?;
    let (name, version) = (text("name", table.name, MAX_TEXT)?, text("version", table.version, MAX_TEXT)?);
    let about = text("about", table.about, MAX_TEXT)?;
    let schema = text("schema", table.schema, MAX_SCHEMA)?;
    let able = Able {
        tick: table.tick.is_some(),
        flush: table.flush.is_some(),
        finish: table.finish.is_some(),
        health: table.health.is_some(),
    };
    let abi = (table.major, table.minor);
    let described = Described { name, version, about, abi, schema, able }.checked()?;
    let functions =
        [("open", table.open.is_some()), ("batch", table.batch.is_some()), ("close", table.close.is_some())];
    if let Some((missing, _)) = functions.iter().find(|(_, there)| !there) {
        return Err(Why::NoFunction(missing));
    }
    let Described { name, version, about, schema, .. } = described;
    let schema = Schema::parse(&schema).map_err(|problem| Why::BadSchema(printable(&problem)))?;
    let code = Code::Here(Arc::new(table));
    Ok(Plugin { file: file.to_owned(), name, version, about, abi, schema, able, code })
}

/// The loader's words without the path, which is said already.
fn loader_says(error: &libloading::Error, path: &Path) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    let prefix = format!("{}: ", path.display());
    text.replace(&prefix, "").chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Copies the table out, as much of it as plugin and host both know.
///
/// # Safety
/// `address` has eight bytes, and is a table if these are the magic number.
unsafe fn table(address: *const u8) -> Result<TickscopeSink, Why> {
    // SAFETY: the caller's.
    let found = unsafe { address.cast::<u64>().read_unaligned() };
    if found != TICKSCOPE_MAGIC {
        return Err(Why::NoMagic { found });
    }
    let mut table = MaybeUninit::<TickscopeSink>::zeroed();
    // SAFETY: every version's table begins with these fields.
    unsafe { table.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(address, HEAD) };
    // SAFETY: numbers, pointers that may be null and functions that may be missing: all zeros are one.
    let head = unsafe { table.assume_init_ref() };
    let (major, minor, size, layout) = (head.major, head.minor, head.size, head.layout);
    let version = format!("{major}.{minor}");
    if major != TICKSCOPE_MAJOR {
        return Err(Why::OtherMajor { found: version, newer: major > TICKSCOPE_MAJOR });
    }
    // As long as this host's minor version says.
    let known = LAYOUTS.get(minor as usize).zip(SIZES.get(minor as usize));
    let Some((&expected, &whole)) = known else {
        return Err(Why::NewerMinor { found: version });
    };
    if layout != expected {
        return Err(Why::OtherLayout { version, found: layout, expected });
    }
    if size < whole {
        return Err(Why::ShortTable { version, found: size, expected: whole });
    }
    // SAFETY: it says that it has as many bytes, and so does its version; what the host knows beyond stays zero.
    unsafe { table.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(address, whole) };
    // SAFETY: as above.
    Ok(unsafe { table.assume_init() })
}

fn text(field: &'static str, text: TickscopeText, most: usize) -> Result<String, Why> {
    if text.bytes.is_null() || text.len == 0 {
        return Ok(String::new());
    }
    if text.len > most {
        return Err(Why::BadText { field, problem: "too long" });
    }
    // SAFETY: a plugin whose table has this version's layout says how long its texts are.
    let bytes = unsafe { std::slice::from_raw_parts(text.bytes.cast::<u8>(), text.len) };
    let text = std::str::from_utf8(bytes).map_err(|_| Why::BadText { field, problem: "not UTF-8" })?;
    Ok(text.to_owned())
}
