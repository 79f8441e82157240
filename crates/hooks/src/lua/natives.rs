//! Names of C functions: Lua does not know them, so they are looked up where programs find them.

use std::ffi::CStr;

use tickscope_core::escape;

use super::api::*;
use super::vm::VmRecord;

/// Notes the C functions in every loaded module, and the methods in every metatable of the registry.
///
/// # Safety
/// `state` is live, belongs to the machine of `vm`, and may be given ten stack slots.
pub(crate) unsafe fn walk(api: &LuaApi, state: *mut lua_State, vm: &VmRecord) {
    // SAFETY: passed on to the caller. Tables are read without metamethods; keys that are not strings are left as they
    // are, for converting one would break the traversal.
    unsafe {
        if (api.lua_checkstack)(state, 12) == 0 {
            return;
        }
        let top = (api.lua_gettop)(state);
        // Made now: below, Rust strings are alive, and nothing may raise an error over them.
        (api.lua_pushstring)(state, c"__index".as_ptr());
        (api.lua_getfield)(state, api.version.registry(), c"_LOADED".as_ptr());
        if (api.lua_type)(state, -1) == LUA_TTABLE {
            (api.lua_pushnil)(state);
            while (api.lua_next)(state, -2) != 0 {
                if let Some(module) = key(api, state)
                    && (api.lua_type)(state, -1) == LUA_TTABLE
                {
                    let prefix = if module == "_G" { String::new() } else { format!("{module}.") };
                    functions(api, state, vm, &prefix);
                }
                api.pop(state, 1);
            }
        }
        (api.lua_settop)(state, top + 1);
        (api.lua_pushvalue)(state, api.version.registry());
        (api.lua_pushnil)(state);
        while (api.lua_next)(state, -2) != 0 {
            if let Some(class) = key(api, state)
                && !class.starts_with('_')
                && (api.lua_type)(state, -1) == LUA_TTABLE
            {
                let class = class.trim_end_matches('*').to_owned() + ":";
                (api.lua_pushvalue)(state, top + 1);
                (api.lua_rawget)(state, -2);
                if (api.lua_type)(state, -1) == LUA_TTABLE {
                    functions(api, state, vm, &class);
                }
                api.pop(state, 1);
                functions(api, state, vm, &class);
            }
            api.pop(state, 1);
        }
        (api.lua_settop)(state, top);
    }
}

/// Notes the C functions of the table on top of the stack.
unsafe fn functions(api: &LuaApi, state: *mut lua_State, vm: &VmRecord, prefix: &str) {
    // SAFETY: see `walk`.
    unsafe {
        (api.lua_pushnil)(state);
        while (api.lua_next)(state, -2) != 0 {
            if let Some(function) = (api.lua_tocfunction)(state, -1)
                && let Some(name) = key(api, state)
            {
                let name = format!("{prefix}{name}").into_boxed_str();
                let mut natives = vm.natives.borrow_mut();
                let known = natives.entry(function as usize).or_insert_with(|| name.clone());
                // Traversal order varies from run to run; the name must not. Shorter first, then alphabetical.
                if &**known == "?" || (name.len(), &*name) < (known.len(), &**known) {
                    *known = name;
                }
            }
            api.pop(state, 1);
        }
    }
}

/// The key below the value on top of the stack, when it is a string.
unsafe fn key(api: &LuaApi, state: *mut lua_State) -> Option<String> {
    // SAFETY: see `walk`; `lua_tolstring` leaves strings alone.
    unsafe {
        if (api.lua_type)(state, -2) != LUA_TSTRING {
            return None;
        }
        let text = (api.lua_tolstring)(state, -2, std::ptr::null_mut());
        (!text.is_null()).then(|| escape(CStr::from_ptr(text).to_bytes()).into_owned())
    }
}

/// How often the modules of one foreign machine are searched: it goes on loading while it is traced.
const WALKS: u32 = 32;

/// The name of a C function; `?` when no module has it. Looks again at what was loaded meanwhile before it gives up.
///
/// In a foreign program `symbol` knows what its symbol tables call the function.
///
/// # Safety
/// As for [`walk`].
pub(crate) unsafe fn name(
    api: &LuaApi,
    state: *mut lua_State,
    vm: &VmRecord,
    function: usize,
    symbol: Option<fn(usize) -> Option<String>>,
) -> String {
    let known = |vm: &VmRecord| vm.natives.borrow().get(&function).map(|name| name.to_string());
    if let Some(name) = known(vm) {
        return name;
    }
    let called = symbol.and_then(|symbol| symbol(function));
    // Openers of libraries stand in no module, and come while there is little to search.
    let opener = called.as_ref().is_some_and(|name| name.starts_with("luaopen_"));
    if !opener && (symbol.is_none() || vm.walks.get() < WALKS) {
        vm.walks.set(vm.walks.get() + 1);
        // SAFETY: passed on to the caller.
        unsafe { walk(api, state, vm) };
    }
    // Remember that nobody has it, so that the next look is short.
    known(vm).unwrap_or_else(|| {
        let name = called.unwrap_or_else(|| "?".into());
        vm.natives.borrow_mut().insert(function, name.as_str().into());
        name
    })
}
