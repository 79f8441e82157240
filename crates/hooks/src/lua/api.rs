//! The Lua C interface as a table of function pointers, in Lua's own spelling.
#![allow(non_camel_case_types, non_snake_case, missing_docs)]

use std::ffi::{c_char, c_int, c_void};

/// A Lua thread, opaque.
#[repr(C)]
pub struct lua_State {
    _opaque: [u8; 0],
    _not_send: std::marker::PhantomData<*mut u8>,
}

/// What Lua tells a hook. What follows the common head differs by version: `Layout` knows where things are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lua_Debug {
    pub event: c_int,
    pub name: *const c_char,
    pub namewhat: *const c_char,
    pub what: *const c_char,
    pub source: *const c_char,
    /// Larger than in any version, so that none writes past the end.
    rest: [usize; 22],
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
            rest: [0; 22],
        }
    }
}

impl Default for lua_Debug {
    fn default() -> Self {
        Self::new()
    }
}

/// A version of Lua, as far as its interface tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Lua51,
    Lua52,
    Lua53,
    Lua54,
}

impl Version {
    /// The pseudo-index of the registry.
    pub const fn registry(self) -> c_int {
        match self {
            Self::Lua51 => -10_000,
            _ => LUA_REGISTRYINDEX,
        }
    }

    /// What the version calls a function of [`LuaApi`]. Where one is older, it has fewer parameters: the callee ignores
    /// the registers they travel in.
    fn symbol(self, name: &'static str) -> &'static str {
        match (self, name) {
            (Self::Lua51, "lua_callk") => "lua_call",
            (Self::Lua51, "lua_pcallk") => "lua_pcall",
            _ => name,
        }
    }

    /// Whether an event of a hook is that of a call that replaces its caller. In 5.1 the same number tells that a caller
    /// so replaced has returned.
    pub(crate) const fn is_tail_call(self, event: c_int) -> bool {
        event == LUA_HOOKTAILCALL && !matches!(self, Self::Lua51)
    }

    /// The bit of a hook's mask that an event belongs to.
    pub(crate) const fn mask_of(self, event: c_int) -> c_int {
        match event {
            LUA_HOOKCALL => LUA_MASKCALL,
            LUA_HOOKRET => LUA_MASKRET,
            LUA_HOOKLINE => LUA_MASKLINE,
            LUA_HOOKTAILCALL if matches!(self, Self::Lua51) => LUA_MASKRET,
            LUA_HOOKTAILCALL => LUA_MASKCALL,
            _ => LUA_MASKCOUNT,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lua 5.{}", *self as u8 + 1)
    }
}

/// A function that a Lua lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{version} without {name}: it cannot be traced")]
pub struct MissingSymbol {
    pub name: &'static str,
    pub version: Version,
}

pub type lua_Integer = i64;
pub type lua_KContext = isize;
pub type lua_CFunction = unsafe extern "C-unwind" fn(*mut lua_State) -> c_int;
pub type lua_KFunction = unsafe extern "C-unwind" fn(*mut lua_State, c_int, lua_KContext) -> c_int;
pub type lua_Hook = unsafe extern "C-unwind" fn(*mut lua_State, *mut lua_Debug);
pub type lua_Reader = unsafe extern "C-unwind" fn(*mut lua_State, *mut c_void, *mut usize) -> *const c_char;
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
pub const LUA_MULTRET: c_int = -1;
pub const LUA_HOOKCALL: c_int = 0;
pub const LUA_HOOKRET: c_int = 1;
pub const LUA_HOOKLINE: c_int = 2;
pub const LUA_HOOKCOUNT: c_int = 3;
pub const LUA_HOOKTAILCALL: c_int = 4;
pub const LUA_MASKCALL: c_int = 1;
pub const LUA_MASKRET: c_int = 2;
pub const LUA_MASKLINE: c_int = 4;
pub const LUA_MASKCOUNT: c_int = 8;

/// Pseudo-index of upvalue `i` (from 1) of the running C function, in every version but 5.1.
pub const fn lua_upvalueindex(i: c_int) -> c_int {
    LUA_REGISTRYINDEX - i
}

macro_rules! table {
    // A macro cannot write the dollar signs of a macro it defines, so it is handed one.
    (($d:tt) tracer { $(fn $name:ident($($type:ty),* $(,)?) $(-> $result:ty)?;)* }
     libraries { $(fn $lname:ident($($ltype:ty),* $(,)?) $(-> $lresult:ty)?;)* }) => {
        /// The functions of one Lua library. All of one library: mixing two is undefined.
        ///
        /// Declared as Lua 5.4 has them; results that older versions do not give are left out.
        #[derive(Clone, Copy)]
        pub struct LuaApi {
            pub version: Version,
            pub lua_gc: unsafe extern "C-unwind" fn(*mut lua_State, c_int, ...) -> c_int,
            pub lua_error: unsafe extern "C-unwind" fn(*mut lua_State) -> c_int,
            $(pub $name: unsafe extern "C-unwind" fn($($type),*) $(-> $result)?,)*
            /// What the replacements of library functions need, which a foreign program does not get.
            pub libraries: Option<LibraryApi>,
        }

        /// The functions of Lua 5.4 that the replacements of library functions call.
        #[derive(Clone, Copy)]
        pub struct LibraryApi {
            $(pub $lname: unsafe extern "C-unwind" fn($($ltype),*) $(-> $lresult)?,)*
        }

        impl LuaApi {
            /// The functions of a Lua that is found by symbols. `find` answers with the address that calls the
            /// function itself, past any detour of it.
            ///
            /// # Errors
            /// When a function is missing.
            ///
            /// # Safety
            /// What `find` answers with are the functions of that name of one Lua library of this version.
            pub unsafe fn resolve(
                version: Version,
                find: &mut dyn FnMut(&str) -> Option<*const ()>,
            ) -> Result<Self, MissingSymbol> {
                let mut get = |name: &'static str| {
                    let name = version.symbol(name);
                    find(name).filter(|address| !address.is_null()).ok_or(MissingSymbol { name, version })
                };
                // SAFETY: the caller vouches for the addresses; older versions' functions take fewer arguments and
                // leave the registers of the others alone.
                unsafe {
                    Ok(Self {
                        version,
                        lua_gc: std::mem::transmute::<
                            *const (),
                            unsafe extern "C-unwind" fn(*mut lua_State, c_int, ...) -> c_int,
                        >(get("lua_gc")?),
                        lua_error: std::mem::transmute::<
                            *const (),
                            unsafe extern "C-unwind" fn(*mut lua_State) -> c_int,
                        >(get("lua_error")?),
                        $($name: std::mem::transmute::<
                            *const (),
                            unsafe extern "C-unwind" fn($($type),*) $(-> $result)?,
                        >(get(stringify!($name))?),)*
                        libraries: None,
                    })
                }
            }
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
                    version: $crate::lua::Version::Lua54,
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
                    libraries: ::std::option::Option::Some($crate::lua::LibraryApi {
                        $($lname: ::std::mem::transmute($d($d part)::+::$lname as *const ()),)*
                    }),
                }
            };
        }
    };
}

table! { ($)
    tracer {
        fn lua_newstate(lua_Alloc, *mut c_void) -> *mut lua_State;
        fn lua_close(*mut lua_State);
        fn lua_load(*mut lua_State, lua_Reader, *mut c_void, *const c_char, *const c_char) -> c_int;
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
        fn lua_checkstack(*mut lua_State, c_int) -> c_int;
        fn lua_type(*mut lua_State, c_int) -> c_int;
        fn lua_tolstring(*mut lua_State, c_int, *mut usize) -> *const c_char;
        fn lua_tocfunction(*mut lua_State, c_int) -> Option<lua_CFunction>;
        fn lua_topointer(*mut lua_State, c_int) -> *const c_void;
        fn lua_pushnil(*mut lua_State);
        fn lua_pushlstring(*mut lua_State, *const c_char, usize);
        fn lua_pushstring(*mut lua_State, *const c_char);
        fn lua_pushcclosure(*mut lua_State, lua_CFunction, c_int);
        fn lua_pushthread(*mut lua_State) -> c_int;
        fn lua_getfield(*mut lua_State, c_int, *const c_char);
        fn lua_rawget(*mut lua_State, c_int);
        fn lua_newthread(*mut lua_State) -> *mut lua_State;
        fn lua_callk(*mut lua_State, c_int, c_int, lua_KContext, Option<lua_KFunction>);
        fn lua_pcallk(*mut lua_State, c_int, c_int, c_int, lua_KContext, Option<lua_KFunction>) -> c_int;
        fn lua_status(*mut lua_State) -> c_int;
        fn lua_next(*mut lua_State, c_int) -> c_int;
    }
    libraries {
        fn lua_rotate(*mut lua_State, c_int, c_int);
        fn lua_xmove(*mut lua_State, *mut lua_State, c_int);
        fn lua_tointegerx(*mut lua_State, c_int, *mut c_int) -> lua_Integer;
        fn lua_tothread(*mut lua_State, c_int) -> *mut lua_State;
        fn lua_pushinteger(*mut lua_State, lua_Integer);
        fn lua_setfield(*mut lua_State, c_int, *const c_char);
        fn lua_rawset(*mut lua_State, c_int);
        fn lua_rawgeti(*mut lua_State, c_int, lua_Integer) -> c_int;
        fn lua_setmetatable(*mut lua_State, c_int) -> c_int;
        fn lua_resume(*mut lua_State, *mut lua_State, c_int, *mut c_int) -> c_int;
        fn lua_closethread(*mut lua_State, *mut lua_State) -> c_int;
        fn lua_concat(*mut lua_State, c_int);
        fn luaL_checklstring(*mut lua_State, c_int, *mut usize) -> *const c_char;
        fn luaL_optinteger(*mut lua_State, c_int, lua_Integer) -> lua_Integer;
        fn luaL_checktype(*mut lua_State, c_int, c_int);
        fn luaL_where(*mut lua_State, c_int);
        fn luaL_getsubtable(*mut lua_State, c_int, *const c_char) -> c_int;
    }
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

    /// The address of the registry: what tells one machine from another.
    ///
    /// # Safety
    /// `thread` is alive and not running on another thread of the process.
    pub(crate) unsafe fn machine(&self, thread: *mut lua_State) -> usize {
        // SAFETY: see the function's contract; the slot is made sure of.
        unsafe {
            (self.lua_checkstack)(thread, 1);
            (self.lua_pushvalue)(thread, self.version.registry());
            let registry = (self.lua_topointer)(thread, -1) as usize;
            self.pop(thread, 1);
            registry
        }
    }
}
