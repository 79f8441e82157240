//! Plain Lua programs: what the `lua` command does with a script, under a tracer.
//!
//! Follows `lua.c` of Lua 5.4: the `arg` table with its negative indices, `LUA_INIT`, scripts from standard input,
//! messages and tracebacks, exit codes, the generational collector. Search paths are those of Debian's `lua5.4`, so
//! that its `lua-*` packages are found. Differences: no options and no interactive mode, and [`Program::at_exit`]
//! runs on every way out, `os.exit` included.
//!
//! C modules find Lua's functions in the executable, which must export them: see the host's `build.rs`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use mlua::ffi;
use tickscope_core::{CategoryId, Outcome, Recorder, Runtime, SwitchReason, SymbolRef, escape};
use tickscope_hooks::lua::{InterruptHandle, TracerOptions};

use crate::vm::{self, Vm, VmError};

/// Where Debian's Lua 5.4 looks for modules.
const PATH: &[u8] = b"/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;\
/usr/local/lib/lua/5.4/?.lua;/usr/local/lib/lua/5.4/?/init.lua;\
/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua;./?.lua;./?/init.lua";

/// Where it looks for C modules.
const CPATH: &[u8] = concat_cpath();

#[cfg(target_arch = "x86_64")]
const fn concat_cpath() -> &'static [u8] {
    b"/usr/local/lib/lua/5.4/?.so;/usr/lib/x86_64-linux-gnu/lua/5.4/?.so;/usr/lib/lua/5.4/?.so;\
/usr/local/lib/lua/5.4/loadall.so;./?.so"
}

#[cfg(target_arch = "aarch64")]
const fn concat_cpath() -> &'static [u8] {
    b"/usr/local/lib/lua/5.4/?.so;/usr/lib/aarch64-linux-gnu/lua/5.4/?.so;/usr/lib/lua/5.4/?.so;\
/usr/local/lib/lua/5.4/loadall.so;./?.so"
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const fn concat_cpath() -> &'static [u8] {
    b"/usr/local/lib/lua/5.4/?.so;/usr/lib/lua/5.4/?.so;/usr/local/lib/lua/5.4/loadall.so;./?.so"
}

/// A script and how to run it.
pub struct Program {
    /// The command line before the script: its last word is `arg[-1]`, and so on.
    pub interpreter: Vec<OsString>,
    /// The script's path, or `-` for standard input.
    pub script: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What stands before the colon in messages; `lua` prints the name it was called by.
    pub progname: String,
    /// How it is traced.
    pub options: TracerOptions,
    /// Called once Lua is ready, with the means to interrupt it from another thread.
    pub on_start: Option<Box<dyn FnOnce(InterruptHandle)>>,
    /// Called once when the process is about to end by `os.exit`, with its exit code; returns the one it ends with. Not called
    /// when [`run`] returns. Lua's machine still exists, unless the script asked for it to be closed.
    pub at_exit: Option<AtExit>,
}

/// What is done before a program ends.
pub type AtExit = Box<dyn FnOnce(i32) -> i32 + Send>;

impl Program {
    /// `script` with `args`, sampled, with messages as plain `lua` prints them.
    pub fn new(script: impl Into<OsString>, args: Vec<OsString>) -> Self {
        Self {
            interpreter: vec!["lua".into()],
            script: script.into(),
            args,
            progname: "lua".into(),
            options: TracerOptions::default(),
            on_start: None,
            at_exit: None,
        }
    }
}

/// What the protected part of [`run`] works on. Owned by `run`, so that an error raised inside drops nothing.
struct Call {
    /// The whole command line; `arg[i - script]` is word `i`.
    words: Vec<CString>,
    script: usize,
    init: Option<(CString, CString)>,
    path: Vec<u8>,
    cpath: Vec<u8>,
    progname: CString,
    ok: bool,
}

/// Runs a program to its end and returns the exit code of plain `lua`: 0, or 1 after an error, which is on standard
/// error by then.
///
/// # Errors
/// When Lua or the tracer cannot be started. Whatever the script does is its exit code.
pub fn run<R: Recorder + 'static>(recorder: R, program: Program) -> Result<i32, VmError> {
    let Program { interpreter, script, args, progname, options, on_start, at_exit } = program;
    let tracer = Rc::new(vm::tracer(recorder, options)?);
    let mut vm = Vm::new(None, None)?;
    vm.attach(&tracer, "", &[])?;
    if script.as_bytes() != b"-"
        && let Some(source) = source_of(&script)
    {
        vm.register_chunk(&format!("@{}", script.to_string_lossy()), &source);
    }
    *AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner) = at_exit;
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    // SAFETY: a function that may run at any exit: it takes what is registered and catches panics.
    REGISTERED.call_once(|| unsafe {
        libc_on_exit(run_at_exit, ptr::null_mut());
    });
    if let Some(on_start) = on_start {
        on_start(tracer.interrupt_handle());
    }
    let index = interpreter.len();
    let words = interpreter.into_iter().chain([script.clone()]).chain(args);
    let mut call = Call {
        words: words.filter_map(|word| CString::new(word.into_vec()).ok()).collect(),
        script: index,
        init: init(),
        path: search_path("LUA_PATH", PATH),
        cpath: search_path("LUA_CPATH", CPATH),
        progname: CString::new(progname.replace('\0', "")).unwrap_or_default(),
        ok: false,
    };
    let name = escape(script.as_bytes());
    let symbol = tracer.recorder().intern_symbol(SymbolRef {
        runtime: Runtime::Lua,
        name: &name,
        file: &name,
        ..SymbolRef::default()
    });
    let span = tracer.span(symbol, CategoryId::COMMAND, None, &[]);
    let main = vm.main_thread();
    // SAFETY: the machine is live and not running; `call` outlives the protected call.
    let status = unsafe {
        let state = main.cast::<ffi::lua_State>();
        tracer.enter(main, Some(symbol));
        ffi::lua_pushcclosure(state, protected, 0);
        ffi::lua_pushlightuserdata(state, ptr::from_mut(&mut call).cast());
        let status = ffi::lua_pcall(state, 1, 0, 0);
        if status != ffi::LUA_OK {
            report(state, &call.progname);
        }
        ffi::lua_settop(state, 0);
        status
    };
    let ok = status == ffi::LUA_OK && call.ok;
    tracer.leave(if ok { SwitchReason::Return } else { SwitchReason::Error });
    tracer.end_span(span, if ok { Outcome::Ok } else { Outcome::Error });
    tracer.clear_interrupt();
    // Finalizers and what is still to be closed run now, as at the end of `lua`.
    drop(vm);
    *AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner) = None;
    Ok(if ok { 0 } else { 1 })
}

/// The text of the script, for the names of its functions. Only of a plain file: another can be read but once.
fn source_of(script: &OsStr) -> Option<Vec<u8>> {
    let path = Path::new(script);
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    std::fs::read(path).ok()
}

/// `LUA_INIT_5_4` or `LUA_INIT`: its chunk name and text.
fn init() -> Option<(CString, CString)> {
    ["LUA_INIT_5_4", "LUA_INIT"].into_iter().find_map(|name| {
        let text = CString::new(std::env::var_os(name)?.into_vec()).ok()?;
        Some((CString::new(format!("={name}")).ok()?, text))
    })
}

/// The search path: of the environment, where `;;` stands for the default.
fn search_path(variable: &str, default: &[u8]) -> Vec<u8> {
    let versioned = std::env::var_os(format!("{variable}_5_4"));
    let Some(path) = versioned.or_else(|| std::env::var_os(variable)) else { return default.to_vec() };
    with_default(path.as_bytes(), default)
}

fn with_default(path: &[u8], default: &[u8]) -> Vec<u8> {
    let Some(mark) = path.windows(2).position(|pair| pair == b";;") else { return path.to_vec() };
    let (before, after) = (&path[..mark], &path[mark + 2..]);
    let parts = [before, default, after];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(&b';')
}

/// What is to be done when the process ends by `os.exit`.
static AT_EXIT: Mutex<Option<AtExit>> = Mutex::new(None);

unsafe extern "C" {
    #[link_name = "on_exit"]
    fn libc_on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    fn fflush(file: *mut c_void) -> c_int;
    fn _exit(code: c_int) -> !;
}

extern "C" fn run_at_exit(code: c_int, _nothing: *mut c_void) {
    let action = AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(action) = action {
        // A panic has nowhere to go at exit.
        let end = catch_unwind(AssertUnwindSafe(|| action(code))).unwrap_or(code);
        if end != code {
            // SAFETY: of the process nothing is left to do but this: what C has buffered goes out, as at every exit.
            unsafe {
                fflush(ptr::null_mut());
                _exit(end);
            }
        }
    }
}

/// `pmain` of `lua.c`, from where the libraries are open. May raise: yes, over frames that own nothing.
unsafe extern "C-unwind" fn protected(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: `run` passes the address of its `Call`, which outlives this; Lua gives a live state.
    unsafe {
        let call = &raw mut *ffi::lua_touserdata(state, 1).cast::<Call>();
        paths(state, &*call);
        arguments(state, &*call);
        ffi::lua_gc(state, ffi::LUA_GCRESTART);
        ffi::lua_gc(state, ffi::LUA_GCGEN, 0, 0);
        if let Some((name, text)) = &(*call).init
            && !initialise(state, name, text, &(*call).progname)
        {
            return 0;
        }
        (*call).ok = script(state, &*call);
    }
    0
}

unsafe fn paths(state: *mut ffi::lua_State, call: &Call) {
    // SAFETY: a live state with room, in a protected call.
    unsafe {
        ffi::lua_getglobal(state, c"package".as_ptr());
        for (field, path) in [(c"path", &call.path), (c"cpath", &call.cpath)] {
            ffi::lua_pushlstring(state, path.as_ptr().cast(), path.len());
            ffi::lua_setfield(state, -2, field.as_ptr());
        }
        ffi::lua_pop(state, 1);
    }
}

/// `createargtable`.
unsafe fn arguments(state: *mut ffi::lua_State, call: &Call) {
    // SAFETY: as in `paths`.
    unsafe {
        let after = call.words.len().saturating_sub(call.script + 1);
        ffi::lua_createtable(state, after as c_int, call.script as c_int + 1);
        for (index, word) in call.words.iter().enumerate() {
            ffi::lua_pushstring(state, word.as_ptr());
            ffi::lua_rawseti(state, -2, index as ffi::lua_Integer - call.script as ffi::lua_Integer);
        }
        ffi::lua_setglobal(state, c"arg".as_ptr());
    }
}

/// `handle_luainit`: whether it went well.
unsafe fn initialise(state: *mut ffi::lua_State, name: &CStr, text: &CStr, progname: &CStr) -> bool {
    // SAFETY: as in `paths`.
    unsafe {
        let bytes = text.to_bytes();
        let mut status = if bytes.first() == Some(&b'@') {
            ffi::luaL_loadfilex(state, text.as_ptr().add(1), ptr::null())
        } else {
            ffi::luaL_loadbufferx(state, text.as_ptr(), bytes.len(), name.as_ptr(), ptr::null())
        };
        if status == ffi::LUA_OK {
            status = docall(state, 0, 0);
        }
        if status != ffi::LUA_OK {
            report(state, progname);
        }
        status == ffi::LUA_OK
    }
}

/// `handle_script`: whether it went well.
unsafe fn script(state: *mut ffi::lua_State, call: &Call) -> bool {
    // SAFETY: as in `paths`.
    unsafe {
        let word = call.words.get(call.script).map_or(c"-", |word| &**word);
        let before = call.script.checked_sub(1).and_then(|index| call.words.get(index));
        let stdin = word == c"-" && before.is_none_or(|before| before.as_bytes() != b"--");
        let mut status =
            ffi::luaL_loadfilex(state, if stdin { ptr::null() } else { word.as_ptr() }, ptr::null());
        if status == ffi::LUA_OK {
            let count = push_arguments(state);
            status = docall(state, count, ffi::LUA_MULTRET);
        }
        if status != ffi::LUA_OK {
            report(state, &call.progname);
        }
        status == ffi::LUA_OK
    }
}

/// `pushargs`.
unsafe fn push_arguments(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `paths`.
    unsafe {
        if ffi::lua_getglobal(state, c"arg".as_ptr()) != ffi::LUA_TTABLE {
            ffi::luaL_error(state, c"'arg' is not a table".as_ptr());
        }
        let count = ffi::luaL_len(state, -1) as c_int;
        ffi::luaL_checkstack(state, count + 3, c"too many arguments to script".as_ptr());
        for index in 1..=count {
            ffi::lua_rawgeti(state, -index, ffi::lua_Integer::from(index));
        }
        ffi::lua_remove(state, -(count + 1));
        count
    }
}

/// `docall`: the chunk below its `count` arguments, with a traceback for errors.
unsafe fn docall(state: *mut ffi::lua_State, count: c_int, results: c_int) -> c_int {
    // SAFETY: as in `paths`.
    unsafe {
        let base = ffi::lua_gettop(state) - count;
        ffi::lua_pushcclosure(state, traceback, 0);
        ffi::lua_insert(state, base);
        let status = ffi::lua_pcall(state, count, results, base);
        ffi::lua_remove(state, base);
        status
    }
}

/// `msghandler`. May raise: what `__tostring` raises.
unsafe extern "C-unwind" fn traceback(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: called by Lua with the error object at index 1; owns nothing.
    unsafe {
        let mut message: *const c_char = ffi::lua_tolstring(state, 1, ptr::null_mut());
        if message.is_null() {
            if ffi::luaL_callmeta(state, 1, c"__tostring".as_ptr()) != 0
                && ffi::lua_type(state, -1) == ffi::LUA_TSTRING
            {
                return 1;
            }
            let kind = ffi::lua_typename(state, ffi::lua_type(state, 1));
            message = ffi::lua_pushfstring(state, c"(error object is a %s value)".as_ptr(), kind);
        }
        ffi::luaL_traceback(state, state, message, 1);
    }
    1
}

/// `report`: the message on top of the stack to standard error, byte for byte, through C's stream as Lua does it.
unsafe fn report(state: *mut ffi::lua_State, progname: &CStr) {
    // SAFETY: a live state with a value on top.
    unsafe {
        let mut message = ffi::lua_tolstring(state, -1, ptr::null_mut());
        if message.is_null() {
            message = c"(error message not a string)".as_ptr();
        }
        let text = CStr::from_ptr(message).to_bytes();
        let name = progname.to_bytes();
        let mut out = std::io::stderr().lock();
        // A closed standard error leaves nobody to tell.
        let _ = std::io::Write::write_all(&mut out, name)
            .and_then(|()| std::io::Write::write_all(&mut out, if name.is_empty() { b"" } else { b": " }))
            .and_then(|()| std::io::Write::write_all(&mut out, text))
            .and_then(|()| std::io::Write::write_all(&mut out, b"\n"));
        ffi::lua_pop(state, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::with_default;

    #[test]
    fn two_semicolons_stand_for_the_default() {
        let check = |path: &str, expected: &str| {
            assert_eq!(String::from_utf8(with_default(path.as_bytes(), b"D")).unwrap(), expected);
        };
        check("a;b", "a;b");
        check(";;", "D");
        check("a;;", "a;D");
        check(";;b", "D;b");
        check("a;;b;;", "a;D;b;;");
    }
}
