//! Lua and Mono that are loaded while the program runs, by `dlopen`.
//!
//! Whoever loads a library asks for one of its symbols next, before any of its functions can run but those that the loader
//! calls itself. So `dlsym` and `dlopen` are detoured, and look for what is new before they do their work. Both learn who
//! called them from the return address, on which `$ORIGIN`, `RUNPATH` and `RTLD_NEXT` depend. So what stands in for them
//! does not call them: it looks, and jumps.
//!
//! In musl only `dlsym` asks who called it, and cannot be detoured: it is two instructions of assembly whose symbol does not
//! say how long it is. There it is looked when `dlopen` is back.

use std::arch::naked_asm;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use tickscope_hooks::process::detour::{Detours, Request};
use tickscope_hooks::process::{modules, symbols};

use crate::cancel::Uncancelled;
use crate::{Found, home};

static DLSYM: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
static DLOPEN: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
/// Libraries that were loaded, ever, when it was looked last.
static LOADED: AtomicU64 = AtomicU64::new(0);
/// Somebody is looking, or nobody needs to look any more.
static LOOKING: AtomicBool = AtomicBool::new(false);

/// A function that looks, and goes on in another with the same arguments, stack and return address.
macro_rules! look_and_jump {
    ($name:ident, $original:ident) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                "push rdi",
                "push rsi",
                "push rdx", // three words: the stack is aligned for a call
                "call {look}",
                "pop rdx",
                "pop rsi",
                "pop rdi",
                "jmp qword ptr [rip + {original}]",
                look = sym look,
                original = sym $original,
            )
        }
    };
}

look_and_jump!(dlsym, DLSYM);
look_and_jump!(dlopen, DLOPEN);

/// Stands in for musl's `dlopen`.
unsafe extern "C-unwind" fn dlopen_and_look(name: *const c_char, mode: c_int) -> *mut c_void {
    type Original = unsafe extern "C-unwind" fn(*const c_char, c_int) -> *mut c_void;
    // SAFETY: set before the detour was enabled; called as `dlopen`.
    let handle = unsafe {
        let original = std::mem::transmute::<*mut (), Original>(DLOPEN.load(Ordering::Relaxed));
        original(name, mode)
    };
    look();
    handle
}

/// Begins to watch what is loaded; says why not otherwise.
///
/// # Safety
/// No other thread of the program runs.
pub(crate) unsafe fn watch() -> Result<(), String> {
    LOADED.store(loaded(), Ordering::Relaxed);
    let modules = modules::loaded(watch as *const ());
    let wanted = ["dlsym", "dlopen"];
    let find = |module: &modules::Module| {
        let held = module.hold().ok()?;
        symbols::resolve(&held, &wanted).ok().filter(|found| found.len() == wanted.len())
    };
    // A library of its own before glibc 2.34.
    let libdl =
        modules.iter().find(|module| module.path.file_name().is_some_and(|name| name == "libdl.so.2"));
    let mut places = modules::c_library(&modules).into_iter().chain(libdl);
    let found = places.find_map(|module| Some((module, find(module)?)));
    let (module, functions) = found.ok_or("its C library has no dlopen and dlsym")?;
    let request = |symbol, replacement| Request { symbol, function: functions[symbol], replacement };
    let requests = match functions["dlsym"].size {
        0 => vec![request("dlopen", dlopen_and_look as *const ())],
        _ => vec![request("dlsym", dlsym as *const ()), request("dlopen", dlopen as *const ())],
    };
    let mut detours = Detours::prepare(module, &requests).map_err(|error| error.to_string())?;
    for (place, symbol) in [(&DLSYM, "dlsym"), (&DLOPEN, "dlopen")] {
        if let Some(original) = detours.trampoline(symbol) {
            place.store(original.cast_mut(), Ordering::Release);
        }
    }
    // SAFETY: no other thread runs, as the caller says; the replacements pass on what they are given, and stay.
    unsafe { detours.enable() }.map_err(|error| error.to_string())?;
    std::mem::forget(detours);
    Ok(())
}

/// Looks for a Lua and a Mono if a library was loaded since the last look. Called with the program's registers behind it: changes
/// nothing that it can see.
extern "C" fn look() {
    if LOOKING.swap(true, Ordering::Acquire) {
        return; // another thread does, or this one: looking opens libraries itself
    }
    // SAFETY: `errno` of this thread.
    let errno = unsafe { *libc::__errno_location() };
    let found = std::panic::catch_unwind(|| {
        if loaded() == LOADED.load(Ordering::Relaxed) {
            return false;
        }
        let Some(home) = home::get() else { return true };
        let _uncancelled = Uncancelled::new();
        // SAFETY: the library was loaded by who asks for its first symbol now, or will, so no thread runs its functions.
        let found = unsafe { Found::look(home) };
        LOADED.store(loaded(), Ordering::Relaxed);
        found.note(home, None);
        found.everything()
    });
    if !found.unwrap_or(true) {
        LOOKING.store(false, Ordering::Release);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// How many libraries this process has loaded so far.
fn loaded() -> u64 {
    unsafe extern "C" fn first(info: *mut libc::dl_phdr_info, _: usize, count: *mut c_void) -> c_int {
        // SAFETY: the loader's description, and the number of `loaded`.
        unsafe { *count.cast::<u64>() = (*info).dlpi_adds };
        1
    }
    let mut count = 0_u64;
    // SAFETY: the callback stores a number.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut count).cast()) };
    count
}
