//! Functions that are called instead of others, in a program that we start.
//!
//! A detour writes a jump over a function's first bytes; what stood there is copied to a trampoline, which is how the
//! function itself is called from then on. Sets of detours go in two steps: [`Detours::prepare`] checks everything and
//! makes the trampolines, so that replacements know where to go on to; [`Detours::enable`] writes the jumps.
//!
//! # Guarantees
//! All of a set are enabled, or none. A function is refused whose bytes are not those of its file (somebody else has
//! patched it), whose first instructions cannot be moved, or which jumps back into them. Its library is never unloaded
//! and a trampoline never freed, since a thread may be in it. What was patched over by others meanwhile is not undone.
//!
//! # Deliberately absent
//! Anything about other threads: see the contract of [`Detours::enable`]. In a program that runs already, the jumps are
//! written from outside: see [`sites`](super::sites) and [`outside`](super::outside).
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use retour::RawDetour;

use super::elf::Elf;
use super::error::Error;
use super::modules::{Held, Module};
use super::prologue::{self, PATCH};
use super::symbols::Function;

/// Bytes that the detour library reads from a function's beginning.
const READ: usize = PATCH + 15;
const PAGE: usize = 4096;

/// One function and what is to be called instead.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The function's name, for errors.
    pub symbol: &'a str,
    /// Where it is.
    pub function: Function,
    /// A function of the same signature.
    pub replacement: *const (),
}

/// A set of detours in one module.
#[derive(Debug)]
pub struct Detours {
    patches: Vec<Patch>,
}

#[derive(Debug)]
pub(super) struct Patch {
    pub(super) symbol: String,
    pub(super) address: usize,
    pub(super) replacement: usize,
    /// Never dropped: a thread may be in its trampoline.
    detour: ManuallyDrop<RawDetour>,
    pub(super) original: [u8; PATCH],
    /// What stands there while it is enabled.
    pub(super) jump: Option<[u8; PATCH]>,
}

impl Detours {
    /// Checks every function and makes its trampoline. Nothing is patched yet.
    ///
    /// From here on the module stays loaded.
    ///
    /// # Errors
    /// When the module cannot be kept loaded, or one of the functions cannot be detoured: which, and why.
    pub fn prepare(module: &Module, requests: &[Request<'_>]) -> Result<Self, Error> {
        let held = module.hold()?;
        if let Some(request) = requests.first() {
            writable_code().map_err(|reason| refuse(request.symbol, request.function.address, reason))?;
        }
        let mut ready: Vec<(RawDetour, [u8; PATCH])> = Vec::new();
        let file = held.open().ok();
        let file = file.as_deref().and_then(|file| Elf::parse(file).ok());
        for (index, request) in requests.iter().enumerate() {
            let same = requests[..index]
                .iter()
                .find(|other| other.function.address.abs_diff(request.function.address) < PATCH);
            let made = match same {
                Some(other) => Err(format!("it is the same function as {}", other.symbol)),
                None => prepare_one(&held, file.as_ref(), request),
            };
            ready.push(made.map_err(|reason| refuse(request.symbol, request.function.address, reason))?);
        }
        held.forever();
        let patches = requests.iter().zip(ready).map(|(request, (detour, original))| Patch {
            symbol: request.symbol.to_owned(),
            address: request.function.address,
            replacement: request.replacement as usize,
            detour: ManuallyDrop::new(detour),
            original,
            jump: None,
        });
        Ok(Self { patches: patches.collect() })
    }

    /// Where to call the function itself.
    pub fn trampoline(&self, symbol: &str) -> Option<*const ()> {
        let patch = self.patches.iter().find(|patch| patch.symbol == symbol)?;
        Some(std::ptr::from_ref(patch.detour.trampoline()))
    }

    pub(super) fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Whether its functions are patched.
    pub fn is_enabled(&self) -> bool {
        self.patches.iter().any(|patch| patch.jump.is_some())
    }

    /// Patches every function, or none.
    ///
    /// # Errors
    /// When one was patched since by others, or its page cannot be made writable. Those before it are restored.
    ///
    /// # Safety
    /// - No other thread executes one of the functions' first bytes meanwhile: the program's threads do not run yet, or
    ///   are known to be elsewhere. The jump is not written in one step.
    /// - Each replacement has its function's signature and calling convention, lets pass what unwinds or jumps through
    ///   it (`extern "C-unwind"`), and stays loaded until the process ends.
    pub unsafe fn enable(&mut self) -> Result<(), Error> {
        for index in 0..self.patches.len() {
            let patch = &mut self.patches[index];
            if patch.jump.is_some() {
                continue;
            }
            // SAFETY: passed on to the caller.
            if let Err(reason) = unsafe { patch.enable() } {
                let error = patch.refuse(reason);
                for patch in &mut self.patches[..index] {
                    // SAFETY: as above. What cannot be restored stays enabled and is kept as such.
                    let _ = unsafe { patch.disable() };
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Restores every function's bytes. Trampolines stay, for calls that are under way.
    ///
    /// # Errors
    /// When others patched one of the functions over ours: then none is restored, for their patch may lead to ours.
    /// When a page cannot be made writable: that function stays patched, and this can be tried again.
    ///
    /// # Safety
    /// As for [`enable`](Self::enable), where threads are concerned.
    pub unsafe fn disable(&mut self) -> Result<(), Error> {
        if let Some(patch) = self.patches.iter().find(|patch| !patch.is_ours()) {
            return Err(patch.refuse("somebody else patched it since".into()));
        }
        let mut first = Ok(());
        for patch in self.patches.iter_mut().rev() {
            // SAFETY: passed on to the caller.
            if let Err(reason) = unsafe { patch.disable() } {
                first = first.and(Err(patch.refuse(reason)));
            }
        }
        first
    }
}

impl Patch {
    unsafe fn enable(&mut self) -> Result<(), String> {
        if read(self.address) != self.original {
            return Err("somebody else patched it since".into());
        }
        // SAFETY: see `Detours::enable`.
        attempt(|| unsafe { self.detour.enable() })?;
        self.jump = Some(read(self.address));
        Ok(())
    }

    unsafe fn disable(&mut self) -> Result<(), String> {
        if self.jump.is_none() {
            return Ok(());
        }
        // SAFETY: see `Detours::disable`.
        attempt(|| unsafe { self.detour.disable() })?;
        self.jump = None;
        Ok(())
    }

    /// Whether its function is as we left it.
    fn is_ours(&self) -> bool {
        self.jump.is_none_or(|jump| read(self.address) == jump)
    }

    fn refuse(&self, reason: String) -> Error {
        refuse(&self.symbol, self.address, reason)
    }
}

fn prepare_one(
    held: &Held<'_>,
    file: Option<&Elf<'_>>,
    request: &Request<'_>,
) -> Result<(RawDetour, [u8; PATCH]), String> {
    let Function { address, size } = request.function;
    let module = held.module();
    if size == 0 {
        return Err("its symbol does not say how long it is".into());
    }
    let end = address.checked_add(size).ok_or("its symbol is damaged")?;
    let in_same = module.segments.iter().find(|segment| segment.contains(module.inner(address)));
    let Some(segment) = in_same.filter(|segment| segment.executable && segment.readable) else {
        return Err(format!("it is not in the readable code of {}", module.path.display()));
    };
    let limit = module.address(segment.address.saturating_add(segment.size)).next_multiple_of(PAGE);
    if end > limit || address.saturating_add(READ) > limit {
        return Err("it reaches past the end of its code".into());
    }
    // SAFETY: the range is in a loaded, readable part of a held module. Nothing writes to it before the copy is made.
    let code = unsafe { std::slice::from_raw_parts(address as *const u8, size) }.to_vec();
    // A file that is gone cannot speak against what is loaded; the check below still stands.
    if let Some(file) = file {
        match file.bytes_at(module.inner(address), size) {
            Some(there) if there == code => {}
            Some(_) => return Err("its code differs from its file's: somebody else has patched it".into()),
            None => return Err("its code is not in its file".into()),
        }
    }
    prologue::check(&code, address as u64)?;
    // SAFETY: the bytes that are read from the function are mapped, see above; nothing is written to it.
    let detour = attempt(|| unsafe { RawDetour::new(address as *const (), request.replacement) })?;
    Ok((detour, read(address)))
}

/// Whether the system gives memory that is writable and executable. Where it does not, the detour library would ask for each
/// page in reach of a jump, and read the list of mappings for each: minutes.
fn writable_code() -> Result<(), String> {
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new page at a place of the system's choice, given back at once.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), PAGE, all, flags, -1, 0);
        if page == libc::MAP_FAILED {
            let why = std::io::Error::last_os_error();
            return Err(format!("the system gives no memory that is writable and executable: {why}"));
        }
        libc::munmap(page, PAGE);
    }
    Ok(())
}

/// The first bytes of a function in a module that is kept loaded.
fn read(address: usize) -> [u8; PATCH] {
    // SAFETY: `prepare` found the address in a readable part of a module that it keeps. Patching is not concurrent.
    unsafe { (address as *const [u8; PATCH]).read_volatile() }
}

pub(super) fn refuse(symbol: &str, address: usize, reason: String) -> Error {
    Error::Detour { symbol: symbol.to_owned(), address, reason }
}

/// Calls the detour library, which asserts where it meets what it did not expect.
fn attempt<T>(work: impl FnOnce() -> retour::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let text = error.to_string();
            let mut letters = text.chars();
            let first = letters.next().map(|letter| letter.to_ascii_lowercase());
            Err(first.into_iter().chain(letters).collect())
        }
        Err(_) => Err("the detour library failed on it".into()),
    }
}
