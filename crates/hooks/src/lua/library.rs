//! One Lua library of the process: its functions, our hooks for it, and what an examination proved of its structures.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::api::*;
use super::identity::{self, Identity};
use super::layout::Layout;
use super::memory::word;
use super::{Allocator, threads::LuaThread};
use crate::lock::ForkLock;

/// See the module. Lives as long as the process: hooks and threads' records point to it.
pub(crate) struct Lua {
    pub(crate) api: LuaApi,
    pub(crate) layout: &'static Layout,
    /// Our two hooks. Their addresses are taken once, so that they can be told from a program's.
    pub(crate) trace: lua_Hook,
    pub(crate) general: lua_Hook,
    /// Our allocator, which wraps a program's. For the same reason.
    pub(crate) allocate: lua_Alloc,
    /// Whether `CallInfo`, closures and prototypes may be read.
    pub(crate) direct: bool,
    places: Places,
}

/// Offsets of what `lua_sethook` sets in a Lua thread; 0 where they were not found.
#[derive(Clone, Copy, Default)]
struct Places {
    /// `hook`.
    function: usize,
    /// `hookcount`: instructions until the next count event.
    left: usize,
}

static KNOWN: ForkLock<Vec<&'static Lua>> = ForkLock::new(Vec::new());

impl Lua {
    /// The record of a library, made and examined when it is new.
    ///
    /// # Errors
    /// With the reason, when what has to be read is not where this version keeps it.
    ///
    /// # Safety
    /// `api` holds the functions of one Lua library; the hooks fit that version.
    pub(crate) unsafe fn known(
        api: &LuaApi,
        trace: lua_Hook,
        general: lua_Hook,
        allocate: lua_Alloc,
    ) -> Result<&'static Self, &'static str> {
        let mut known = KNOWN.lock();
        let same = |lua: &&&Self| {
            lua.api.lua_sethook as usize == api.lua_sethook as usize
                && lua.general as usize == general as usize
                && lua.trace as usize == trace as usize
        };
        if let Some(lua) = known.iter().find(same) {
            return Ok(*lua);
        }
        // SAFETY: passed on to the caller.
        let (direct, places) = unsafe { examine(api)? };
        let layout = Layout::of(api.version);
        let lua = Box::leak(Box::new(Self { api: *api, layout, trace, general, allocate, direct, places }));
        known.push(lua);
        Ok(lua)
    }

    pub(crate) fn is_ours(&self, hook: Option<lua_Hook>) -> bool {
        hook.is_some_and(|hook| {
            hook as usize == self.general as usize || hook as usize == self.trace as usize
        })
    }

    /// Whether [`Lua::set_hook`] can keep a count.
    pub(crate) fn keeps_count(&self) -> bool {
        self.places.left != 0
    }

    /// `lua_sethook`, but a count that has begun goes on where it was, and where only the function is another, nothing
    /// else is touched.
    ///
    /// # Safety
    /// `thread` is alive. Async-signal-safe, as Lua's `lua_sethook` and the reads and writes around it, but for lines. In
    /// 5.2, 5.3 and 5.4.0 it notes the instruction of the innermost call as the last whose line was told. Where a signal
    /// comes that call may just be ending: its caller then compares lines with an instruction of another function, and Lua
    /// reads far outside of its table of lines. So no handler calls it while lines are asked for, or to ask for them.
    pub(crate) unsafe fn set_hook(
        &self,
        thread: *mut lua_State,
        hook: Option<lua_Hook>,
        mask: c_int,
        count: c_int,
        user_mask: c_int,
    ) {
        // SAFETY: the caller vouches for `thread`; the offset was proved by `find_places`.
        unsafe {
            let standing = (self.api.lua_gethookmask)(thread);
            let same_count = (self.api.lua_gethookcount)(thread) == count;
            if let Some(function) = hook
                && (standing, same_count) == (mask, true)
                && self.replace_function(thread, function)
            {
                return;
            }
            let keep = user_mask & standing & LUA_MASKCOUNT != 0 && self.keeps_count() && same_count;
            let place = thread.byte_add(self.places.left).cast::<c_int>();
            let left = if keep { place.read() } else { 0 };
            (self.api.lua_sethook)(thread, hook, mask, count);
            if keep {
                place.write(left);
            }
        }
    }

    /// Has `function` called for the events that are asked for already, if a hook stands; whether it could.
    ///
    /// # Safety
    /// `thread` is alive. Async-signal-safe: it writes one word, which Lua reads when it calls the hook.
    pub(crate) unsafe fn replace_function(&self, thread: *mut lua_State, function: lua_Hook) -> bool {
        // SAFETY: the caller vouches for `thread`; the offset was proved by `find_places`.
        unsafe {
            if self.places.function == 0 || (self.api.lua_gethookmask)(thread) == 0 {
                return false;
            }
            thread.byte_add(self.places.function).cast::<lua_Hook>().write_volatile(function);
        }
        true
    }
}

impl std::fmt::Debug for Lua {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lua").field("version", &self.api.version).field("direct", &self.direct).finish()
    }
}

/// What is read of structures, checked in a machine of its own: nothing of the program is touched.
unsafe fn examine(api: &LuaApi) -> Result<(bool, Places), &'static str> {
    let memory = Allocator::new(None);
    // SAFETY: the caller vouches for `api`; the machine is closed before its memory's owner goes.
    unsafe {
        let main = (api.lua_newstate)(Allocator::function(), memory.data());
        if main.is_null() {
            return Err("Lua would not make a machine to examine");
        }
        let direct = check(api, main);
        let places = find_places(api, main);
        (api.lua_close)(main);
        Ok((direct?, places))
    }
}

/// Finds where a Lua thread keeps its hook and the number of instructions until its next count event: the one word that
/// is the hook's address, and the second of two equal numbers side by side after `lua_sethook` was given a number nobody
/// else uses.
unsafe fn find_places(api: &LuaApi, main: *mut lua_State) -> Places {
    unsafe extern "C-unwind" fn nothing(_: *mut lua_State, _: *mut lua_Debug) {}
    let size = Layout::of(api.version).thread;
    let mut found = [Places::default(); 2];
    // SAFETY: the thread made here stays on the stack while it is looked at, and never runs; what is read lies in it.
    unsafe {
        let thread = (api.lua_newthread)(main);
        let number = |at: usize| thread.byte_add(at).cast::<c_int>().read();
        let address = |at: usize| thread.byte_add(at).cast::<usize>().read();
        for (places, magic) in found.iter_mut().zip([0x5EED_1234, 0x2BAD_4321]) {
            (api.lua_sethook)(thread, Some(nothing), LUA_MASKCOUNT, magic);
            let is_hook = |at: &usize| address(*at) == nothing as lua_Hook as usize;
            let is_count = |at: &usize| number(*at) == magic && number(*at - 4) == magic;
            places.function = the_only((0..=size - 8).step_by(8).filter(is_hook));
            places.left = the_only((4..=size - 4).step_by(4).filter(is_count));
            (api.lua_sethook)(thread, None, 0, 0);
            if places.function != 0 && address(places.function) != 0 {
                places.function = 0;
            }
        }
    }
    let [first, second] = found;
    Places {
        function: if first.function == second.function { first.function } else { 0 },
        left: if first.left == second.left { first.left } else { 0 },
    }
}

/// 0 unless there is one.
fn the_only(mut places: impl Iterator<Item = usize>) -> usize {
    match (places.next(), places.next()) {
        (Some(place), None) => place,
        _ => 0,
    }
}

/// The program of the check: `inner` calls the probe, which is a C closure, by itself and through a light C function.
const PROGRAM: &[u8] =
    b"\n\nlocal probe, light = ...\nlocal function inner()\nprobe() light(probe) return 1 end\ninner()";
/// Lines that `inner` and the chunk are on while the probe runs, and where they are defined; innermost first.
const LINES: [(c_int, c_int); 2] = [(5, 4), (6, 0)];

/// What the probe found out.
struct Probe {
    api: LuaApi,
    checked: u32,
    lua_functions: usize,
    calls: Vec<*const c_void>,
    debug_wrong: bool,
    direct_wrong: bool,
}

thread_local! {
    /// The check that runs on this thread: `probe` cannot ask Lua for it before it has Lua's functions.
    static PROBE: std::cell::Cell<*mut Probe> = const { std::cell::Cell::new(ptr::null_mut()) };
}

unsafe extern "C-unwind" fn read_program(
    _: *mut lua_State,
    given: *mut c_void,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: Lua calls it with `check`'s flag and a place for the size.
    unsafe {
        let given = given.cast::<bool>();
        *size = if given.read() { 0 } else { PROGRAM.len() };
        given.write(true);
        PROGRAM.as_ptr().cast()
    }
}

/// Whether closures may be read directly; an error when not even `lua_Debug` can be understood.
unsafe fn check(api: &LuaApi, state: *mut lua_State) -> Result<bool, &'static str> {
    let mut found = Probe {
        api: *api,
        checked: 0,
        lua_functions: 0,
        calls: Vec::new(),
        debug_wrong: false,
        direct_wrong: false,
    };
    // SAFETY: a machine of our own with a fresh stack; the program runs under `lua_pcallk`, and `found` outlives it.
    let ran = unsafe {
        let mut given = false;
        let loaded = (api.lua_load)(
            state,
            read_program,
            (&raw mut given).cast(),
            c"=layout check".as_ptr(),
            c"t".as_ptr(),
        );
        PROBE.set(&raw mut found);
        // An upvalue makes it a closure; without one it would be a light C function.
        (api.lua_pushnil)(state);
        (api.lua_pushcclosure)(state, probe, 1);
        (api.lua_pushcclosure)(state, relay, 0);
        let ran = loaded == 0 && (api.lua_pcallk)(state, 2, 0, 0, 0, None) == 0;
        PROBE.set(ptr::null_mut());
        ran
    };
    if !ran || found.checked < 7 {
        return Err("a Lua program of four lines does not run in it");
    }
    if found.debug_wrong {
        return Err("lua_Debug is not laid out as in its version");
    }
    Ok(!found.direct_wrong && !Layout::of(api.version).numbered)
}

/// Calls its argument.
unsafe extern "C-unwind" fn relay(state: *mut lua_State) -> c_int {
    // SAFETY: called by the program of `check`, with one argument.
    unsafe {
        let found = PROBE.get();
        if !found.is_null() {
            ((*found).api.lua_callk)(state, 0, 0, 0, None);
        }
    }
    0
}

/// Compares every call on the stack with what the public interface says. Own use of the Lua stack: 1. May raise: no.
unsafe extern "C-unwind" fn probe(state: *mut lua_State) -> c_int {
    // SAFETY: `check` is running on this thread and has set the address of its `Probe`.
    let found = unsafe { &mut *PROBE.get() };
    let (api, layout) = (found.api, Layout::of(found.api.version));
    found.calls.clear();
    found.lua_functions = 0;
    let mut ar = lua_Debug::new();
    let mut level = 0;
    // SAFETY: a running machine. What is read by a guessed offset is read by the system, which refuses a bad address.
    unsafe {
        while (api.lua_getstack)(state, level, &mut ar) != 0 {
            let call = layout.call(&ar);
            (api.lua_getinfo)(state, c"flS".as_ptr(), &mut ar);
            let function = (api.lua_tocfunction)(state, -1).map_or(0, |function| function as usize);
            let closure = (api.lua_topointer)(state, -1) as usize;
            api.pop(state, 1);
            let lines = (layout.current_line(&ar), layout.line_defined(&ar));
            let expected = if function != 0 {
                (-1, -1)
            } else {
                found.lua_functions += 1;
                LINES.get(found.lua_functions - 1).copied().unwrap_or_default()
            };
            found.debug_wrong |= lines != expected || call.is_null();
            found.debug_wrong |= match found.calls.last() {
                Some(above) if layout.numbered => call as usize + 1 != *above as usize,
                Some(_) => found.calls.contains(&call) || !(call as usize).is_multiple_of(8),
                None => false,
            };
            // Last, because its length is only to be believed when all else is right.
            found.debug_wrong =
                found.debug_wrong || (function == 0 && layout.source(&ar) != b"=layout check");
            if !layout.numbered {
                found.direct_wrong |=
                    !reads_as(call, layout, found.calls.last().copied(), (function, closure, lines.1));
            }
            found.calls.push(call);
            found.checked += 1;
            level += 1;
        }
    }
    0
}

/// Whether a call's function and predecessor, read by offset, are what Lua says they are.
unsafe fn reads_as(
    call: *const c_void,
    layout: &Layout,
    above: Option<*const c_void>,
    (function, closure, line): (usize, usize, c_int),
) -> bool {
    let follow = || {
        let value = word(call as usize)?;
        let object = word(value)?;
        word(value + 8)?;
        if function != 0 {
            // A light C function is the value itself, else it is in the closure.
            return Some(object == function || (object == closure && word(object + 24)? == function));
        }
        let prototype = word(object + 24)?;
        word(prototype + layout.prototype_code)?;
        word(prototype + layout.prototype_line)?;
        Some(object == closure)
    };
    if follow() != Some(true) {
        return false;
    }
    if let Some(above) = above
        && word(above as usize + 16) != Some(call as usize)
    {
        return false;
    }
    // SAFETY: every word it will read was readable just now, and nothing has run since.
    let identity = unsafe { identity::read(call, layout) };
    if function != 0 {
        identity == Identity { key: function, code: 0, line: 0 }
    } else {
        identity.line == line as u32 && identity.code != 0
    }
}

/// What a thread's record needs of its library.
impl Lua {
    /// The record of a Lua thread's address.
    pub(crate) fn thread(&'static self, thread: *mut lua_State) -> &'static LuaThread {
        LuaThread::of(self, thread)
    }
}
