//! Lua libraries of the system, with the detours that an agent would set: here their calls among themselves are
//! redirected in their table of imports, so that nothing is patched in code.

mod calls;
mod hooks;
mod memory_use;
mod programs;
mod sampling;
mod signals;

use std::cell::{Cell, OnceCell};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::ptr;

use tickscope_core::{Depth, DepthSwitch, SwitchReason};
use tickscope_hooks::lua::{
    ForeignLua, ForeignOptions, LuaApi, Tracer, Version, lua_Alloc, lua_CFunction, lua_Hook, lua_State,
};

use crate::memory::Memory;

pub const VERSIONS: [Version; 4] = [Version::Lua51, Version::Lua52, Version::Lua53, Version::Lua54];

type Resume = unsafe extern "C-unwind" fn(*mut lua_State, usize, usize, usize) -> c_int;
type NewThread = unsafe extern "C-unwind" fn(*mut lua_State) -> *mut lua_State;
type Load =
    unsafe extern "C-unwind" fn(*mut lua_State, *const c_char, usize, *const c_char, *const c_char) -> c_int;

/// What a program that embeds the library calls.
#[derive(Clone, Copy)]
pub struct Raw {
    pub api: LuaApi,
    resume: Resume,
    newthread: NewThread,
    newstate: unsafe extern "C-unwind" fn() -> *mut lua_State,
    openlibs: unsafe extern "C-unwind" fn(*mut lua_State),
    load: Load,
    setfield: unsafe extern "C-unwind" fn(*mut lua_State, c_int, *const c_char),
}

fn library(version: Version) -> Option<*mut c_void> {
    let name = CString::new(format!("liblua5.{}.so.0", version as u8 + 1)).unwrap();
    // SAFETY: libraries of the system, whose initialisers do nothing.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    (!handle.is_null()).then_some(handle)
}

/// The library, or none with a word about it.
pub fn raw(version: Version) -> Option<Raw> {
    let Some(handle) = library(version) else {
        eprintln!("skipped: liblua5.{} is not installed", version as u8 + 1);
        return None;
    };
    let find = |name: &str| {
        let name = CString::new(name).unwrap();
        // SAFETY: a library that stays loaded.
        let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
        (!address.is_null()).then_some(address.cast_const().cast::<()>())
    };
    let is_old = version == Version::Lua51;
    // SAFETY: the functions of that name; 5.1's load takes one argument less.
    unsafe {
        let raw = Raw {
            api: LuaApi::resolve(version, &mut |name| find(name)).unwrap(),
            resume: transmute::<*const (), Resume>(find("lua_resume").unwrap()),
            newthread: transmute::<*const (), NewThread>(find("lua_newthread").unwrap()),
            newstate: transmute::<*const (), unsafe extern "C-unwind" fn() -> *mut lua_State>(
                find("luaL_newstate").unwrap(),
            ),
            openlibs: transmute::<*const (), unsafe extern "C-unwind" fn(*mut lua_State)>(
                find("luaL_openlibs").unwrap(),
            ),
            load: transmute::<*const (), Load>(
                find(if is_old { "luaL_loadbuffer" } else { "luaL_loadbufferx" }).unwrap(),
            ),
            setfield: transmute::<*const (), unsafe extern "C-unwind" fn(*mut lua_State, c_int, *const c_char)>(
                find("lua_setfield").unwrap(),
            ),
        };
        redirect(raw.api.lua_gettop as usize);
        Some(raw)
    }
}

thread_local! {
    /// The library of this thread's test, and its lab while detours are to tell it.
    static RAW: Cell<Option<Raw>> = const { Cell::new(None) };
    static LAB: Cell<*const Foreign> = const { Cell::new(ptr::null()) };
}

fn original() -> Raw {
    RAW.get().expect("a library function runs in a test")
}

fn lab<'a>() -> Option<&'a Foreign> {
    // SAFETY: cleared before the lab is dropped.
    unsafe { LAB.get().as_ref() }
}

unsafe extern "C-unwind" fn resume(state: *mut lua_State, a: usize, b: usize, c: usize) -> c_int {
    let raw = original();
    // SAFETY: passed on to the caller.
    unsafe {
        match lab().filter(|lab| lab.resumes).and_then(|lab| lab.tracer.get()) {
            Some(tracer) => {
                tracer.enter(state, None);
                let status = (raw.resume)(state, a, b, c);
                tracer.leave(reason(status));
                status
            }
            None => (raw.resume)(state, a, b, c),
        }
    }
}

fn reason(status: c_int) -> SwitchReason {
    match status {
        0 => SwitchReason::Return,
        1 => SwitchReason::Yield,
        _ => SwitchReason::Error,
    }
}

unsafe extern "C-unwind" fn newthread(parent: *mut lua_State) -> *mut lua_State {
    // SAFETY: passed on to the caller.
    unsafe {
        let thread = (original().newthread)(parent);
        if let Some(lab) = lab() {
            lab.lua.new_thread(parent, thread);
        }
        thread
    }
}

unsafe extern "C-unwind" fn sethook(
    state: *mut lua_State,
    hook: Option<lua_Hook>,
    mask: c_int,
    count: c_int,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        match lab() {
            Some(lab) => lab.lua.sethook(state, hook, mask, count),
            None => (original().api.lua_sethook)(state, hook, mask, count),
        }
    }
}

unsafe extern "C-unwind" fn gethook(state: *mut lua_State) -> Option<lua_Hook> {
    // SAFETY: passed on to the caller.
    unsafe {
        match lab() {
            Some(lab) => lab.lua.gethook(state),
            None => (original().api.lua_gethook)(state),
        }
    }
}

unsafe extern "C-unwind" fn gethookmask(state: *mut lua_State) -> c_int {
    // SAFETY: passed on to the caller.
    unsafe {
        match lab() {
            Some(lab) => lab.lua.gethookmask(state),
            None => (original().api.lua_gethookmask)(state),
        }
    }
}

unsafe extern "C-unwind" fn getallocf(state: *mut lua_State, data: *mut *mut c_void) -> Option<lua_Alloc> {
    // SAFETY: passed on to the caller.
    unsafe {
        match lab() {
            Some(lab) => lab.lua.getallocf(state, data),
            None => (original().api.lua_getallocf)(state, data),
        }
    }
}

unsafe extern "C-unwind" fn gc(state: *mut lua_State, what: c_int, a: c_int, b: c_int, c: c_int) -> c_int {
    const COLLECT: c_int = 2;
    // SAFETY: passed on to the caller.
    unsafe {
        let tracer = lab().filter(|_| what == COLLECT).and_then(|lab| lab.tracer.get());
        let collecting = tracer.map(|tracer| (tracer, tracer.collecting(state)));
        let result = (original().api.lua_gc)(state, what, a, b, c);
        if let Some((tracer, collecting)) = collecting {
            tracer.collected(collecting);
        }
        result
    }
}

unsafe extern "C-unwind" fn gethookcount(state: *mut lua_State) -> c_int {
    // SAFETY: passed on to the caller.
    unsafe {
        match lab() {
            Some(lab) => lab.lua.gethookcount(state),
            None => (original().api.lua_gethookcount)(state),
        }
    }
}

/// Makes the library that holds `inside` call the functions above.
unsafe fn redirect(inside: usize) {
    static DONE: std::sync::Mutex<Vec<usize>> = std::sync::Mutex::new(Vec::new());
    let mut done = DONE.lock().unwrap();
    // SAFETY: the address of a function of a loaded library.
    let info = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        libc::dladdr(inside as *const c_void, &mut info);
        info
    };
    let base = info.dli_fbase as usize;
    if done.contains(&base) {
        return;
    }
    done.push(base);
    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
        // SAFETY: called by `dl_iterate_phdr`; the dynamic section of a loaded library is as ELF says.
        unsafe {
            let (info, base) = (&*info, data as usize);
            if info.dlpi_addr as usize == base {
                let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
                let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC).unwrap();
                patch(base, (base + dynamic.p_vaddr as usize) as *const [usize; 2]);
            }
        }
        0
    }
    // SAFETY: the callback fits.
    unsafe { libc::dl_iterate_phdr(Some(each), base as *mut c_void) };
}

unsafe fn patch(base: usize, mut dynamic: *const [usize; 2]) {
    const STRTAB: usize = 5;
    const SYMTAB: usize = 6;
    const JMPREL: usize = 23;
    const PLTRELSZ: usize = 2;
    let mut found = [0usize; 24];
    // SAFETY: see `each`: entries until the null one; glibc has made their addresses absolute.
    unsafe {
        while (*dynamic)[0] != 0 {
            if let Some(place) = found.get_mut((*dynamic)[0]) {
                *place = (*dynamic)[1];
            }
            dynamic = dynamic.add(1);
        }
        for index in 0..found[PLTRELSZ] / 24 {
            let [offset, kind, _] = *(found[JMPREL] as *const [usize; 3]).add(index);
            let symbol = found[SYMTAB] + (kind >> 32) * 24;
            let name = CStr::from_ptr((found[STRTAB] + *(symbol as *const u32) as usize) as *const c_char);
            let ours = match name.to_bytes() {
                b"lua_resume" => resume as *const () as usize,
                b"lua_newthread" => newthread as *const () as usize,
                b"lua_sethook" => sethook as *const () as usize,
                b"lua_gethook" => gethook as *const () as usize,
                b"lua_gethookmask" => gethookmask as *const () as usize,
                b"lua_getallocf" => getallocf as *const () as usize,
                b"lua_gc" => gc as *const () as usize,
                b"lua_gethookcount" => gethookcount as *const () as usize,
                _ => continue,
            };
            let slot = base + offset;
            libc::mprotect((slot & !4095) as *mut c_void, 8192, libc::PROT_READ | libc::PROT_WRITE);
            (slot as *mut usize).write(ours);
        }
    }
}

/// A foreign machine, with detours and a tracer.
pub struct Foreign {
    pub recorder: Memory,
    pub lua: ForeignLua<Memory>,
    pub tracer: OnceCell<Tracer<Memory>>,
    pub depth: &'static DepthSwitch,
    pub raw: Raw,
    pub state: *mut lua_State,
    /// Whether `lua_resume` is detoured.
    resumes: bool,
}

#[derive(Clone, Copy)]
pub struct Setting {
    pub depth: Depth,
    pub direct: bool,
    pub resumes: bool,
    /// Samples a second.
    pub hz: u32,
}

impl From<Depth> for Setting {
    fn from(depth: Depth) -> Self {
        Self { depth, direct: true, resumes: true, hz: 1000 }
    }
}

impl Foreign {
    /// Boxed: detours hold its address.
    pub fn new(raw: Raw, setting: impl Into<Setting>) -> Box<Self> {
        let setting = setting.into();
        RAW.set(Some(raw));
        // SAFETY: all of one library.
        let lua = unsafe { ForeignLua::<Memory>::new(&raw.api) }.unwrap();
        let depth: &'static DepthSwitch = Box::leak(Box::new(DepthSwitch::new(setting.depth)));
        let recorder = Memory::new();
        let options = ForeignOptions {
            depth,
            sample_hz: setting.hz,
            direct: setting.direct,
            memory: true,
            resource: "service".into(),
            name_native: |_| None,
        };
        // SAFETY: this thread's machine is used on it alone.
        let tracer = unsafe { lua.tracer(recorder.clone(), options) }.unwrap();
        // SAFETY: a new machine.
        let state = unsafe { (raw.newstate)() };
        lua.new_state(state);
        let lab = Box::new(Self {
            recorder,
            lua,
            tracer: OnceCell::from(tracer),
            depth,
            raw,
            state,
            resumes: setting.resumes,
        });
        LAB.set(&raw const *lab);
        // SAFETY: as above.
        unsafe { (raw.openlibs)(state) };
        lab
    }

    pub fn tracer(&self) -> &Tracer<Memory> {
        self.tracer.get().unwrap()
    }

    /// Makes a global of a C function.
    pub fn set_global(&self, name: &CStr, function: lua_CFunction) {
        set_global(&self.raw, self.state, name, function);
    }

    pub fn run(&self, source: &str) -> Result<String, String> {
        self.run_as(c"=test", source)
    }

    pub fn run_as(&self, chunk: &CStr, source: &str) -> Result<String, String> {
        // SAFETY: a live machine of this thread.
        unsafe {
            run(&self.raw, self.state, chunk, source, |call| {
                self.tracer().enter(self.state, None);
                let status = call();
                self.tracer().leave_to_program(self.state, reason(status));
                status
            })
        }
    }

    /// The end of the machine, as `lua_close` and its detour bring it.
    pub fn close(&mut self) {
        if !self.state.is_null() {
            // SAFETY: made by `new`, closed once.
            unsafe {
                self.tracer().closed(self.state);
                let closing = self.lua.closing(self.state);
                (self.raw.api.lua_close)(self.state);
                closing.closed();
            }
            self.state = ptr::null_mut();
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.close();
        LAB.set(ptr::null());
    }
}

fn set_global(raw: &Raw, state: *mut lua_State, name: &CStr, function: lua_CFunction) {
    let globals = if raw.api.version == Version::Lua51 { -10_002 } else { 0 };
    // SAFETY: a live machine.
    unsafe {
        (raw.api.lua_pushcclosure)(state, function, 0);
        if globals == 0 {
            (raw.api.lua_getfield)(state, -1_001_000, c"_LOADED".as_ptr());
            (raw.api.lua_getfield)(state, -1, c"_G".as_ptr());
            (raw.api.lua_pushvalue)(state, -3);
            (raw.setfield)(state, -2, name.as_ptr());
            (raw.api.lua_settop)(state, -4);
        } else {
            (raw.setfield)(state, globals, name.as_ptr());
        }
    }
}

unsafe fn run(
    raw: &Raw,
    state: *mut lua_State,
    chunk: &CStr,
    source: &str,
    around: impl FnOnce(&mut dyn FnMut() -> c_int) -> c_int,
) -> Result<String, String> {
    // SAFETY: see the callers.
    unsafe {
        let (text, len) = (source.as_ptr().cast(), source.len());
        let mut status = (raw.load)(state, text, len, chunk.as_ptr(), ptr::null());
        if status == 0 {
            status = around(&mut || (raw.api.lua_pcallk)(state, 0, 1, 0, 0, None));
        }
        let text = (raw.api.lua_tolstring)(state, -1, ptr::null_mut());
        let text =
            if text.is_null() { "?".into() } else { CStr::from_ptr(text).to_string_lossy().into_owned() };
        (raw.api.lua_settop)(state, 0);
        if status == 0 { Ok(text) } else { Err(text) }
    }
}

/// What a program of several chunks does without us: the result of the last. `functions` are globals it has.
pub fn plain(
    raw: Raw,
    functions: &[(&CStr, lua_CFunction)],
    chunks: &[(&CStr, &str)],
) -> Result<String, String> {
    RAW.set(Some(raw));
    assert!(LAB.get().is_null());
    // SAFETY: a machine for this call alone.
    unsafe {
        let state = (raw.newstate)();
        (raw.openlibs)(state);
        for (name, function) in functions {
            set_global(&raw, state, name, *function);
        }
        let mut result = Ok(String::new());
        for (chunk, source) in chunks {
            result = run(&raw, state, chunk, source, |call| call());
        }
        (raw.api.lua_close)(state);
        result
    }
}
