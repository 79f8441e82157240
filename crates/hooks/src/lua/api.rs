//! The Lua C interface as a table of function pointers, in Lua's own spelling.
#![allow(non_camel_case_types, non_snake_case, missing_docs)]

use std::ffi::{c_char, c_int, c_void};

/// A Lua thread, opaque.
#[repr(C)]
pub struct lua_State {
    _opaque: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

/// What Lua tells a hook, as laid out by Lua 5.4.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lua_Debug {
    pub event: c_int,
    pub name: *const c_char,
    pub namewhat: *const c_char,
    pub what: *const c_char,
    pub source: *const c_char,
    pub srclen: usize,
    pub currentline: c_int,
    pub linedefined: c_int,
    pub lastlinedefined: c_int,
    pub nups: u8,
    pub nparams: u8,
    pub isvararg: c_char,
    pub istailcall: c_char,
    pub ftransfer: u16,
    pub ntransfer: u16,
    pub short_src: [c_char; 60],
    /// Private to Lua: the call's `CallInfo`.
    pub i_ci: *const c_void,
    /// Room for later versions' additions, so that they cannot write past the end.
    _room: [usize; 8],
}

impl lua_Debug {
    /// All fields null or zero.
    pub const fn new() -> Self {
        Self {
            event: 0,
            name: std::ptr::null(),
            namewhat: std::ptr::null(),
            what: std::ptr::null(),
            source: std::ptr::null(),
            srclen: 0,
            currentline: 0,
            linedefined: 0,
            lastlinedefined: 0,
            nups: 0,
            nparams: 0,
            isvararg: 0,
            istailcall: 0,
            ftransfer: 0,
            ntransfer: 0,
            short_src: [0; 60],
            i_ci: std::ptr::null(),
            _room: [0; 8],
        }
    }
}

impl Default for lua_Debug {
    fn default() -> Self {
        Self::new()
    }
}

pub type lua_Integer = i64;
pub type lua_KContext = isize;
pub type lua_CFunction = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;
pub type lua_KFunction = unsafe extern "C-unwind" fn(*mut lua_State, c_int, lua_KContext) -> c_int;
pub type lua_Hook = unsafe extern "C-unwind" fn(*mut lua_State, *mut lua_Debug);
pub type lua_Alloc = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize) -> *mut c_void;

pub const LUA_OK: c_int = 0;
pub const LUA_YIELD: c_int = 1;
pub const LUA_ERRMEM: c_int = 4;
pub const LUA_TNONE: c_int = -1;
pub const LUA_TNIL: c_int = 0;
pub const LUA_TBOOLEAN: c_int = 1;
pub const LUA_TSTRING: c_int = 4;
pub const LUA_TTABLE: c_int = 5;
pub const LUA_TFUNCTION: c_int = 6;
pub const LUA_TTHREAD: c_int = 8;
/// Tag of a prototype in the allocator's `osize`; internal to Lua 5.4.
pub(crate) const LUA_TPROTO: usize = 10;
pub const LUA_REGISTRYINDEX: c_int = -1_000_000 - 1000;
pub const LUA_RIDX_MAINTHREAD: lua_Integer = 1;
pub const LUA_MULTRET: c_int = -1;
pub const LUA_HOOKCALL: c_int = 0;
pub const LUA_HOOKRET: c_int = 1;
pub const LUA_HOOKLINE: c_int = 2;
pub const LUA_HOOKTAILCALL: c_int = 4;
pub const LUA_MASKCALL: c_int = 1;
pub const LUA_MASKRET: c_int = 2;
pub const LUA_MASKLINE: c_int = 4;
pub const LUA_MASKCOUNT: c_int = 8;

/// Pseudo-index of upvalue `i` (from 1) of the running C function.
pub const fn lua_upvalueindex(i: c_int) -> c_int {
    LUA_REGISTRYINDEX - i
}

macro_rules! table {
    // A macro cannot write the dollar signs of a macro it defines, so it is handed one.
    (($d:tt) $(fn $name:ident($($type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        /// The functions of one Lua library. All of one library: mixing two is undefined.
        #[derive(Clone, Copy)]
        pub struct LuaApi {
            pub lua_gc: unsafe extern "C-unwind" fn(*mut lua_State, c_int, ...) -> c_int,
            pub lua_error: unsafe extern "C-unwind" fn(*mut lua_State) -> c_int,
            $(pub $name: unsafe extern "C-unwind" fn($($type),*) $(-> $result)?,)*
        }

        /// Fills a [`LuaApi`](crate::lua::LuaApi) from a module that declares Lua 5.4's functions under their own
        /// names: `lua_api_from!(mlua::ffi)`.
        ///
        /// Expands to an expression that transmutes function pointers, so it belongs into an `unsafe` block: the
        /// module's functions must be those of Lua 5.4's C interface.
        #[macro_export]
        macro_rules! lua_api_from {
            ($d($d part:ident)::+) => {
                $crate::lua::LuaApi {
                    lua_gc: ::std::mem::transmute::<*const (), unsafe extern "C-unwind" fn(
                        *mut $crate::lua::lua_State, ::std::ffi::c_int, ...
                    ) -> ::std::ffi::c_int>($d($d part)::+::lua_gc as *const ()),
                    lua_error: {
                        // Bindings declare it with one of several result types: a frame of ours evens that out.
                        unsafe extern "C-unwind" fn raise(
                            state: *mut $crate::lua::lua_State,
                        ) -> ::std::ffi::c_int {
                            // SAFETY: as `lua_error` itself; nothing here needs dropping.
                            unsafe { $d($d part)::+::lua_error(state.cast()) }
                        }
                        raise
                    },
                    $($name: ::std::mem::transmute($d($d part)::+::$name as *const ()),)*
                }
            };
        }
    };
}

table! { ($)
    fn lua_sethook(*mut lua_State, Option<lua_Hook>, c_int, c_int);
    fn lua_gethook(*mut lua_State) -> Option<lua_Hook>;
    fn lua_gethookmask(*mut lua_State) -> c_int;
    fn lua_gethookcount(*mut lua_State) -> c_int;
    fn lua_getinfo(*mut lua_State, *const c_char, *mut lua_Debug) -> c_int;
    fn lua_getstack(*mut lua_State, c_int, *mut lua_Debug) -> c_int;
    fn lua_getallocf(*mut lua_State, *mut *mut c_void) -> Option<lua_Alloc>;
    fn lua_setallocf(*mut lua_State, lua_Alloc, *mut c_void);
    fn lua_gettop(*mut lua_State) -> c_int;
    fn lua_settop(*mut lua_State, c_int);
    fn lua_pushvalue(*mut lua_State, c_int);
    fn lua_rotate(*mut lua_State, c_int, c_int);
    fn lua_checkstack(*mut lua_State, c_int) -> c_int;
    fn lua_xmove(*mut lua_State, *mut lua_State, c_int);
    fn lua_type(*mut lua_State, c_int) -> c_int;
    fn lua_toboolean(*mut lua_State, c_int) -> c_int;
    fn lua_tointegerx(*mut lua_State, c_int, *mut c_int) -> lua_Integer;
    fn lua_tolstring(*mut lua_State, c_int, *mut usize) -> *const c_char;
    fn lua_tocfunction(*mut lua_State, c_int) -> Option<lua_CFunction>;
    fn lua_touserdata(*mut lua_State, c_int) -> *mut c_void;
    fn lua_tothread(*mut lua_State, c_int) -> *mut lua_State;
    fn lua_topointer(*mut lua_State, c_int) -> *const c_void;
    fn lua_pushnil(*mut lua_State);
    fn lua_pushinteger(*mut lua_State, lua_Integer);
    fn lua_pushlstring(*mut lua_State, *const c_char, usize) -> *const c_char;
    fn lua_pushstring(*mut lua_State, *const c_char) -> *const c_char;
    fn lua_pushcclosure(*mut lua_State, lua_CFunction, c_int);
    fn lua_pushboolean(*mut lua_State, c_int);
    fn lua_pushlightuserdata(*mut lua_State, *mut c_void);
    fn lua_pushthread(*mut lua_State) -> c_int;
    fn lua_getfield(*mut lua_State, c_int, *const c_char) -> c_int;
    fn lua_setfield(*mut lua_State, c_int, *const c_char);
    fn lua_rawget(*mut lua_State, c_int) -> c_int;
    fn lua_rawset(*mut lua_State, c_int);
    fn lua_rawgeti(*mut lua_State, c_int, lua_Integer) -> c_int;
    fn lua_createtable(*mut lua_State, c_int, c_int);
    fn lua_setmetatable(*mut lua_State, c_int) -> c_int;
    fn lua_newthread(*mut lua_State) -> *mut lua_State;
    fn lua_callk(*mut lua_State, c_int, c_int, lua_KContext, Option<lua_KFunction>);
    fn lua_pcallk(*mut lua_State, c_int, c_int, c_int, lua_KContext, Option<lua_KFunction>) -> c_int;
    fn lua_resume(*mut lua_State, *mut lua_State, c_int, *mut c_int) -> c_int;
    fn lua_closethread(*mut lua_State, *mut lua_State) -> c_int;
    fn lua_status(*mut lua_State) -> c_int;
    fn lua_next(*mut lua_State, c_int) -> c_int;
    fn lua_concat(*mut lua_State, c_int);
    fn luaL_argerror(*mut lua_State, c_int, *const c_char) -> c_int;
    fn luaL_checklstring(*mut lua_State, c_int, *mut usize) -> *const c_char;
    fn luaL_optinteger(*mut lua_State, c_int, lua_Integer) -> lua_Integer;
    fn luaL_checktype(*mut lua_State, c_int, c_int);
    fn luaL_where(*mut lua_State, c_int);
    fn luaL_getsubtable(*mut lua_State, c_int, *const c_char) -> c_int;
    fn luaL_loadbufferx(*mut lua_State, *const c_char, usize, *const c_char, *const c_char) -> c_int;
}

impl LuaApi {
    /// `lua_pop`.
    ///
    /// # Safety
    /// `n` values are on the stack of the live `state`.
    pub unsafe fn pop(&self, state: *mut lua_State, n: c_int) {
        // SAFETY: see the function's contract.
        unsafe { (self.lua_settop)(state, -n - 1) }
    }

    /// `lua_insert`.
    ///
    /// # Safety
    /// `index` is valid in the live `state`.
    pub unsafe fn insert(&self, state: *mut lua_State, index: c_int) {
        // SAFETY: see the function's contract.
        unsafe { (self.lua_rotate)(state, index, 1) }
    }

    /// `lua_remove`.
    ///
    /// # Safety
    /// `index` is valid in the live `state`.
    pub unsafe fn remove(&self, state: *mut lua_State, index: c_int) {
        // SAFETY: see the function's contract.
        unsafe {
            (self.lua_rotate)(state, index, -1);
            self.pop(state, 1);
        }
    }
}
