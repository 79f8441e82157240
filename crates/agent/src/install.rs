//! Finding the program's Lua and putting the detours in place.

use std::sync::atomic::{AtomicPtr, Ordering};

use tickscope_core::quiet::is_quiet;
use tickscope_hooks::lock::ForkLock;
use tickscope_hooks::lua::{ForeignLua, ForeignOptions, LuaApi, Version};
use tickscope_hooks::process::detour::{Detours, Request};
use tickscope_hooks::process::lua::{FoundLua, LuaVersion, find_lua};
use tickscope_hooks::process::symbols::FunctionNames;
use tickscope_hooks::process::{modules, sites};
use tickscope_session::{Session, ThreadRecorder};

use crate::attach::CONTROL;
use crate::cancel::Uncancelled;
use crate::detours::Function;
use crate::home::Home;
use crate::jit;

/// The program's Lua with the agent in it.
pub(crate) struct Installed {
    pub(crate) api: LuaApi,
    pub(crate) foreign: ForeignLua<&'static ThreadRecorder>,
    /// Whether what machines allocate is counted.
    memory: bool,
    /// The functions themselves, in the order of [`Function::ALL`].
    pub(crate) originals: [*const (); Function::ALL.len()],
}

// SAFETY: pointers to code that stays loaded.
unsafe impl Send for Installed {}
// SAFETY: as above.
unsafe impl Sync for Installed {}

/// Set before the first detour is enabled, and never freed.
static INSTALLED: AtomicPtr<Installed> = AtomicPtr::new(std::ptr::null_mut());

/// The program's Lua. For detours: there is one when they are called.
#[inline(always)]
pub(crate) fn installed() -> &'static Installed {
    // SAFETY: set before the detours were enabled.
    unsafe { &*INSTALLED.load(Ordering::Relaxed) }
}

impl Installed {
    pub(crate) fn options(&self, home: &Home, session: &'static Session) -> ForeignOptions {
        ForeignOptions {
            depth: session.depth(),
            sample_hz: home.settings.hz,
            direct: true,
            memory: self.memory,
            resource: String::new(),
            name_native,
        }
    }
}

/// Who writes the jumps of the detours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// We do, before the program's own code runs.
    BeforeMain,
    /// Somebody outside, while every thread of the program stands still.
    FromOutside,
}

/// Bytes of the jump that a detour writes.
const JUMP: usize = 5;

/// The Lua that has been hooked, in words.
static HOOKED: ForkLock<Option<String>> = ForkLock::new(None);

/// Finds a Lua and hooks it; says why not otherwise. Once is enough: what has been prepared stays.
///
/// # Safety
/// [`Place::BeforeMain`]: no other thread of the program runs the Lua's functions.
pub(crate) unsafe fn install(place: Place) -> Result<String, String> {
    let mut hooked = HOOKED.lock();
    if let Some(described) = &*hooked {
        return Ok(described.clone());
    }
    // SAFETY: passed on to the caller.
    let described = unsafe { install_first(place) }?;
    *hooked = Some(described.clone());
    Ok(described)
}

/// # Safety
/// As for [`install`].
unsafe fn install_first(place: Place) -> Result<String, String> {
    let found = find_lua().map_err(|survey| survey.to_string())?;
    let mut refused = Vec::new();
    for lua in found {
        let described = format!(
            "{} in {}",
            lua.release.as_deref().map_or(lua.version.name().into(), |release| format!("Lua {release}")),
            lua.module.path.display()
        );
        // SAFETY: passed on to the caller.
        match unsafe { install_in(&lua, place) } {
            Ok(()) => return Ok(described),
            Err(why) => refused.push(format!("{described}: {why}")),
        }
    }
    Err(refused.join("; "))
}

/// # Safety
/// As for [`install`].
unsafe fn install_in(lua: &FoundLua, place: Place) -> Result<(), String> {
    let version = match lua.version {
        LuaVersion::V51 => Version::Lua51,
        LuaVersion::V52 => Version::Lua52,
        LuaVersion::V53 => Version::Lua53,
        LuaVersion::V54 => Version::Lua54,
        LuaVersion::LuaJit if place == Place::FromOutside => return Err(jit::NOT_FROM_OUTSIDE.into()),
        // SAFETY: passed on to the caller.
        LuaVersion::LuaJit => return unsafe { jit::install(lua) },
    };
    if !INSTALLED.load(Ordering::Acquire).is_null() {
        return Err("another Lua of this process is recorded already".into());
    }
    let mut requests = Vec::new();
    let mut for_memory = Vec::new();
    for function in Function::ALL {
        let symbol = function.symbol(version);
        let found = *lua.symbols.get(symbol).ok_or_else(|| format!("it has no {symbol}"))?;
        let requests = if function.is_for_memory() { &mut for_memory } else { &mut requests };
        // Debian's 5.1 and 5.2 have a `lua_gethookcount` that is shorter than a jump. Our hooks keep the program's
        // count, so it answers right by itself.
        if function != Function::GetHookCount || found.size >= JUMP {
            requests.push(Request { symbol, function: found, replacement: function.replacement(version) });
        }
    }
    let all = [&*requests, &*for_memory].concat();
    let with_memory = Detours::prepare(&lua.module, &all);
    let memory = with_memory.is_ok();
    let mut detours = with_memory
        .or_else(|_| Detours::prepare(&lua.module, &requests))
        .map_err(|error| error.to_string())?;
    let mut past_detours =
        |name: &str| detours.trampoline(name).or_else(|| Some(lua.symbols.get(name)?.address as *const ()));
    // SAFETY: the symbols are those of one library, found in it.
    let api = unsafe { LuaApi::resolve(version, &mut past_detours) }.map_err(|error| error.to_string())?;
    // SAFETY: as above, past the detours.
    let foreign = unsafe { ForeignLua::new(&api) }.map_err(|error| error.to_string())?;
    let originals = Function::ALL
        .map(|function| detours.trampoline(function.symbol(version)).unwrap_or(std::ptr::null()));
    INSTALLED
        .store(Box::into_raw(Box::new(Installed { api, foreign, memory, originals })), Ordering::Release);
    if place == Place::BeforeMain {
        // SAFETY: no other thread runs, as the caller says; each replacement has its function's signature for this
        // version and lets pass what unwinds; this library is never unloaded.
        unsafe { detours.enable() }.map_err(|error| error.to_string())?;
    }
    // For whoever attaches or detaches from outside.
    let sites = sites::sites(&detours).map_err(|error| error.to_string())?;
    CONTROL.sites.store(sites.as_ptr() as u64, Ordering::Relaxed);
    CONTROL.n_sites.store(sites.len() as u64, Ordering::Release);
    // For ever: a thread may be in a trampoline at any time.
    std::mem::forget(detours);
    Ok(())
}

/// Names of the C functions of what was loaded when the first was asked for. Never freed.
static NAMES: AtomicPtr<FunctionNames> = AtomicPtr::new(std::ptr::null_mut());

/// What symbol tables call the C function at `address`.
pub(crate) fn name_native(address: usize) -> Option<String> {
    if is_quiet() {
        return None; // they are in files
    }
    let _uncancelled = Uncancelled::new();
    let mut names = NAMES.load(Ordering::Acquire);
    if names.is_null() {
        let new = Box::into_raw(Box::new(FunctionNames::new(modules::loaded(install as *const ()))));
        names = match NAMES.compare_exchange(names, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(other) => {
                // SAFETY: made above; nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
                other
            }
        };
    }
    // SAFETY: never freed.
    Some(unsafe { &*names }.name(address)?.function.to_owned())
}

/// Whether there is a Lua that is recorded.
pub(crate) fn is_installed() -> bool {
    !INSTALLED.load(Ordering::Acquire).is_null()
}

/// In the child of a fork: another thread of the parent may have been in the middle of making the names.
pub(crate) fn forked() {
    NAMES.store(std::ptr::null_mut(), Ordering::Release);
}
