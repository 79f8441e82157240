//! Finding and detouring the Lua libraries of Debian in this very process.
//!
//! Where a library is not installed, a test says `skipped: …` and passes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tickscope_hooks::process::Error;
use tickscope_hooks::process::detour::{Detours, Request};
use tickscope_hooks::process::elf::Kind;
use tickscope_hooks::process::lua::{FoundLua, LuaVersion, Verdict, examine, find_lua, survey};
use tickscope_hooks::process::modules::{self, Module};
use tickscope_hooks::process::symbols::{Function, FunctionNames, resolve};

/// Patching is for one thread, and tests run on several.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Library {
    file: &'static str,
    package: &'static str,
    version: LuaVersion,
    number: Option<&'static str>,
}

const LIBRARIES: [Library; 5] = [
    Library {
        file: "liblua5.1.so.0",
        package: "liblua5.1-0",
        version: LuaVersion::V51,
        number: Some("5.1."),
    },
    Library {
        file: "liblua5.2.so.0",
        package: "liblua5.2-0",
        version: LuaVersion::V52,
        number: Some("5.2."),
    },
    Library {
        file: "liblua5.3.so.0",
        package: "liblua5.3-0",
        version: LuaVersion::V53,
        number: Some("5.3."),
    },
    Library {
        file: "liblua5.4.so.0",
        package: "liblua5.4-0",
        version: LuaVersion::V54,
        number: Some("5.4."),
    },
    Library {
        file: "libluajit-5.1.so.2",
        package: "libluajit2-5.1-2",
        version: LuaVersion::LuaJit,
        number: None,
    },
];

fn load(path: &Path) -> bool {
    let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: initialisers of Lua libraries, and of those compiled below, do nothing.
    !unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) }.is_null()
}

fn find(file: &str) -> Option<FoundLua> {
    let found = find_lua().ok()?;
    found.into_iter().find(|found| found.module.path.ends_with(file))
}

/// Calls `body` with each library that is installed.
fn each_library(body: impl Fn(&Library, FoundLua)) {
    let _alone = alone();
    for library in &LIBRARIES {
        if load(Path::new(library.file)) {
            let found = find(library.file).unwrap_or_else(|| panic!("{} not found", library.file));
            body(library, found);
        } else {
            println!("skipped: {} is not installed, see package {}", library.file, library.package);
        }
    }
}

impl Library {
    /// `lua_pcall` is a macro since 5.2.
    fn pcall(&self) -> &'static str {
        match self.version {
            LuaVersion::V51 | LuaVersion::LuaJit => "lua_pcall",
            _ => "lua_pcallk",
        }
    }
}

#[test]
fn each_lua_is_found_with_its_version_and_functions() {
    each_library(|library, found| {
        assert_eq!(found.version, library.version, "{}", library.file);
        match (library.number, &found.release) {
            (Some(number), Some(release)) => assert!(release.starts_with(number), "{release}"),
            (number, release) => assert_eq!(number, release.as_deref(), "{}", library.file),
        }
        let held = found.module.hold().unwrap();
        let names = ["lua_newstate", "lua_gettop", library.pcall(), "luaL_openlibs", "lua_nonsense"];
        let resolved = resolve(&held, &names).unwrap();
        assert_eq!(resolved.len(), 4, "{resolved:?}");
        let path = CString::new(found.module.path.as_os_str().as_encoded_bytes()).unwrap();
        for (name, function) in resolved {
            assert_eq!(found.symbols[&name], function);
            let name = CString::new(name).unwrap();
            // SAFETY: the library is loaded; asking the loader for a name changes nothing.
            let known = unsafe { libc::dlsym(libc::dlopen(path.as_ptr(), libc::RTLD_NOW), name.as_ptr()) };
            assert_eq!(function.address, known as usize, "{name:?}");
        }
    });
}

#[test]
fn every_name_of_a_table_is_found_through_its_hash() {
    each_library(|_, found| {
        let held = found.module.hold().unwrap();
        let image = held.image();
        let table = image.dynamic_table().unwrap();
        let mut count = 0;
        for symbol in table.table().with_prefix(Kind::Function, b"") {
            let again = table.find(Kind::Function, symbol.name).unwrap();
            assert_eq!(again.name, symbol.name);
            count += 1;
        }
        assert!(count > 100, "{count}");
        assert!(table.find(Kind::Function, b"lua_nonsense").is_none());
    });
}

static NEWSTATES: AtomicUsize = AtomicUsize::new(0);
static GETTOPS: AtomicUsize = AtomicUsize::new(0);
static PCALLS: AtomicUsize = AtomicUsize::new(0);
static NEXT_NEWSTATE: AtomicUsize = AtomicUsize::new(0);
static NEXT_GETTOP: AtomicUsize = AtomicUsize::new(0);
static NEXT_PCALL: AtomicUsize = AtomicUsize::new(0);

type State = *mut c_void;
type Newstate = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void) -> State;
type Gettop = unsafe extern "C-unwind" fn(State) -> c_int;
/// Since 5.2; the earlier one takes the first four, and the rest comes in registers that it does not look at.
type Pcall = unsafe extern "C-unwind" fn(State, c_int, c_int, c_int, isize, *const ()) -> c_int;

unsafe extern "C-unwind" fn on_newstate(alloc: *mut c_void, data: *mut c_void) -> State {
    NEWSTATES.fetch_add(1, SeqCst);
    // SAFETY: the trampoline of a function of this type.
    unsafe { transmute::<usize, Newstate>(NEXT_NEWSTATE.load(SeqCst))(alloc, data) }
}

unsafe extern "C-unwind" fn on_gettop(state: State) -> c_int {
    GETTOPS.fetch_add(1, SeqCst);
    // SAFETY: as above.
    unsafe { transmute::<usize, Gettop>(NEXT_GETTOP.load(SeqCst))(state) }
}

unsafe extern "C-unwind" fn on_pcall(
    state: State,
    arguments: c_int,
    results: c_int,
    handler: c_int,
    context: isize,
    k: *const (),
) -> c_int {
    PCALLS.fetch_add(1, SeqCst);
    // SAFETY: as above; the frame owns nothing, so an error or a yield may jump over it.
    unsafe {
        transmute::<usize, Pcall>(NEXT_PCALL.load(SeqCst))(state, arguments, results, handler, context, k)
    }
}

/// Counts since the last time: new states, calls of `lua_pcall`, calls of `lua_gettop`.
fn counts() -> [usize; 3] {
    [&NEWSTATES, &PCALLS, &GETTOPS].map(|count| count.swap(0, SeqCst))
}

/// 100 protected calls, half of which fail, and a yield across one.
const CHUNK: &std::ffi::CStr = c"
local caught = 0
for i = 1, 100 do
    local ok, message = pcall(i % 2 == 0 and error or tostring, 'x')
    if not ok and message == 'x' then caught = caught + 1 end
end
local thread = coroutine.create(function() pcall(coroutine.yield) return 7 end)
coroutine.resume(thread)
coroutine.resume(thread)
return caught + select('#', 1, 2, 3)
";

/// Runs the chunk through the library's own functions.
fn run_chunk(library: &Library, found: &FoundLua) -> f64 {
    let function = |name: &str| found.symbols.get(name).map(|function| function.address);
    let get = |name: &str| function(name).unwrap_or_else(|| panic!("{} has no {name}", library.file));
    // SAFETY: the functions are those of one Lua, called as its manual says.
    unsafe {
        let state = transmute::<usize, unsafe extern "C-unwind" fn() -> State>(get("luaL_newstate"))();
        assert!(!state.is_null());
        transmute::<usize, unsafe extern "C-unwind" fn(State)>(get("luaL_openlibs"))(state);
        type Load = unsafe extern "C-unwind" fn(State, *const c_char) -> c_int;
        assert_eq!(transmute::<usize, Load>(get("luaL_loadstring"))(state, CHUNK.as_ptr()), 0);
        let pcall = transmute::<usize, Pcall>(get(library.pcall()));
        assert_eq!(pcall(state, 0, 1, 0, 0, std::ptr::null()), 0);
        assert_eq!(transmute::<usize, Gettop>(get("lua_gettop"))(state), 1);
        type Number = unsafe extern "C-unwind" fn(State, c_int, *mut c_int) -> f64;
        let number = function("lua_tonumberx").unwrap_or_else(|| get("lua_tonumber"));
        let result = transmute::<usize, Number>(number)(state, -1, std::ptr::null_mut());
        transmute::<usize, unsafe extern "C-unwind" fn(State)>(get("lua_close"))(state);
        result
    }
}

/// A copy of all of a module's code.
fn code(module: &Module) -> Vec<u8> {
    let parts = module.segments.iter().filter(|segment| segment.executable);
    parts
        .flat_map(|segment| {
            // SAFETY: loaded, readable, and nobody patches it meanwhile.
            unsafe {
                std::slice::from_raw_parts(
                    module.address(segment.address) as *const u8,
                    segment.size as usize,
                )
            }
            .to_vec()
        })
        .collect()
}

fn request<'a>(found: &FoundLua, symbol: &'a str, replacement: *const ()) -> Request<'a> {
    Request { symbol, function: found.symbols[symbol], replacement }
}

fn prepare(library: &Library, found: &FoundLua) -> Detours {
    let detours = Detours::prepare(
        &found.module,
        &[
            request(found, "lua_newstate", on_newstate as *const ()),
            request(found, "lua_gettop", on_gettop as *const ()),
            request(found, library.pcall(), on_pcall as *const ()),
        ],
    )
    .unwrap();
    let next = |symbol| detours.trampoline(symbol).unwrap() as usize;
    NEXT_NEWSTATE.store(next("lua_newstate"), SeqCst);
    NEXT_GETTOP.store(next("lua_gettop"), SeqCst);
    NEXT_PCALL.store(next(library.pcall()), SeqCst);
    detours
}

#[test]
fn detours_count_calls_and_leave_no_trace() {
    each_library(|library, found| {
        let before = code(&found.module);
        let mut detours = prepare(library, &found);
        assert_eq!(code(&found.module), before, "preparing patches nothing");
        for _ in 0..3 {
            counts();
            // SAFETY: only this thread calls Lua: the lock is held, and the signatures are right.
            unsafe { detours.enable() }.unwrap();
            assert!(detours.is_enabled());
            assert_eq!(run_chunk(library, &found), 53.0, "{}", library.file);
            // The one that runs the chunk; LuaJIT does `pcall` itself.
            let pcalls = if library.version == LuaVersion::LuaJit { 1 } else { 102 };
            let [newstates, seen, gettops] = counts();
            assert_eq!((newstates, seen), (1, pcalls), "{}", library.file);
            assert!(gettops >= 1);
            // SAFETY: as above.
            unsafe { detours.disable() }.unwrap();
            assert!(!detours.is_enabled());
            assert_eq!(code(&found.module), before, "{}", library.file);
            assert_eq!(run_chunk(library, &found), 53.0);
            assert_eq!(counts(), [0, 0, 0]);
        }
    });
}

#[test]
fn what_an_agent_needs_can_be_detoured() {
    extern "C" fn replacement() {}
    each_library(|library, found| {
        let needed = [
            "lua_newstate",
            "lua_close",
            "lua_newthread",
            "lua_resume",
            library.pcall(),
            if library.pcall() == "lua_pcall" { "lua_call" } else { "lua_callk" },
            "lua_sethook",
            "lua_gethook",
            "lua_gethookmask",
            "lua_gethookcount",
            "lua_setallocf",
        ];
        let one = |name| Detours::prepare(&found.module, &[request(&found, name, replacement as *const ())]);
        for name in needed {
            match library.version {
                // The whole function is shorter than a jump.
                LuaVersion::V51 | LuaVersion::V52 if name == "lua_gethookcount" => {
                    check_refused(one(name), name, "it has 4 bytes")
                }
                _ => drop(one(name).unwrap()),
            }
        }
        let refused = found.symbols.keys().filter(|name| one(name).is_err()).count();
        assert!(refused * 5 < found.symbols.len(), "{}: {refused} functions refused", library.file);
    });
}

/// Writes one byte of code, as somebody else's patch would.
fn poke(address: usize, byte: u8) {
    let page = address & !4095;
    // SAFETY: one byte of code that no thread is in; the page is as it was afterwards.
    unsafe {
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        assert_eq!(libc::mprotect(page as *mut c_void, 4096, all), 0);
        (address as *mut u8).write_volatile(byte);
        libc::mprotect(page as *mut c_void, 4096, libc::PROT_READ | libc::PROT_EXEC);
    }
}

#[track_caller]
fn check_refused(result: Result<impl Sized, Error>, symbol: &str, reason: &str) {
    let text = result.err().unwrap().to_string();
    assert!(text.contains(&format!("cannot detour {symbol} at 0x")) && text.contains(reason), "{text}");
}

#[test]
fn a_set_is_detoured_as_a_whole_or_not_at_all() {
    each_library(|library, found| {
        let before = code(&found.module);
        let good = request(&found, "lua_newstate", on_newstate as *const ());
        let gettop = request(&found, "lua_gettop", on_gettop as *const ());
        let set = |last: Request<'_>| Detours::prepare(&found.module, &[good, gettop, last]);

        let data = Function { address: &raw const PCALLS as usize, size: 16 };
        let outside = Request { symbol: "outside", function: data, ..good };
        check_refused(set(outside), "outside", "it is not in the readable code of");
        check_refused(
            set(Request { symbol: "again", ..gettop }),
            "again",
            "it is the same function as lua_gettop",
        );
        let short = Function { size: 2, ..found.symbols["lua_close"] };
        check_refused(set(Request { symbol: "short", function: short, ..good }), "short", "it has 2 bytes");
        let unknown = Function { size: 0, ..found.symbols["lua_close"] };
        let unknown = Request { symbol: "unknown", function: unknown, ..good };
        check_refused(set(unknown), "unknown", "does not say how long it is");
        let endless = Function { size: usize::MAX / 2, ..found.symbols["lua_close"] };
        let endless = Request { symbol: "endless", function: endless, ..good };
        check_refused(set(endless), "endless", "past the end of its code");
        assert_eq!(code(&found.module), before);

        let mut first = Detours::prepare(&found.module, &[gettop]).unwrap();
        let mut second = Detours::prepare(&found.module, &[good, gettop]).unwrap();
        NEXT_GETTOP.store(first.trampoline("lua_gettop").unwrap() as usize, SeqCst);
        // SAFETY: only this thread calls Lua, and the signatures are right. So for the rest.
        unsafe { first.enable() }.unwrap();
        let enabled = code(&found.module);
        // SAFETY: as above.
        check_refused(unsafe { second.enable() }, "lua_gettop", "somebody else patched it since");
        assert!(!second.is_enabled());
        assert_eq!(code(&found.module), enabled, "what the second set had patched is restored");
        check_refused(set(gettop), "lua_gettop", "it differs from".replace("it", "its code").as_str());

        let address = gettop.function.address;
        // SAFETY: reads a byte of code.
        let byte = unsafe { (address as *const u8).read_volatile() };
        poke(address, 0xcc);
        // SAFETY: as above.
        check_refused(unsafe { first.disable() }, "lua_gettop", "somebody else patched it since");
        assert!(first.is_enabled());
        poke(address, byte);
        // SAFETY: as above.
        unsafe { first.disable() }.unwrap();
        assert_eq!(code(&found.module), before, "{}", library.file);
    });
}

#[test]
fn functions_are_named_by_address() {
    each_library(|library, found| {
        let names = FunctionNames::new(modules::loaded(std::ptr::null()));
        for symbol in ["lua_gettop", "lua_newstate", library.pcall()] {
            let function = found.symbols[symbol];
            let place = names.name(function.address + function.size - 1).unwrap();
            assert_eq!((place.function, place.offset), (symbol, function.size - 1));
            assert_eq!(place.module, found.module.path);
        }
        let own = names.name(on_gettop as *const () as usize).unwrap();
        assert!(own.function.contains("on_gettop"), "{own:?}");
        let libc = names.name(libc::getenv as *const () as usize).unwrap();
        assert_eq!(libc.function, "getenv");
        assert_eq!(names.name(1), None);
    });
}

#[test]
fn modules_are_this_programs() {
    let all = modules::loaded(std::ptr::null());
    assert!(all[0].is_main);
    assert_eq!(all[0].path, std::env::current_exe().unwrap());
    let ours = modules_are_this_programs as *const ();
    assert!(all[0].has_code(ours as usize) && all[0].range().contains(&(ours as usize)));
    assert!(all.iter().any(|module| module.has_code(libc::strtol as *const () as usize)));
    assert!(!all.iter().any(|module| module.path.to_string_lossy().contains("vdso")));
    let others = modules::loaded(ours);
    assert!(!others.iter().any(|module| module.is_main));
    assert_eq!(others.len(), all.len() - 1);
}

/// A library of functions that do nothing, compiled for one test.
fn compile(name: &str, functions: &str, options: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, target) = (folder.join(format!("{name}.c")), folder.join(name));
    let mut text = String::new();
    for function in functions.split_whitespace() {
        text.push_str(&format!("int {function}(int x) {{ return x + 1; }}\n"));
    }
    text.push_str("const char lua_ident[] = \"$LuaVersion: Lua 5.4.6  Copyright\";\n");
    text.push_str("void _start(void) { for (;;) {} }\n");
    std::fs::write(&source, text).unwrap();
    let _ = std::fs::remove_file(&target);
    let status = Command::new("cc").args(["-O1", "-o"]).arg(&target).arg(&source).args(options).status();
    assert!(status.unwrap().success());
    target
}

const LUA_54: &str = "lua_newstate lua_gettop lua_callk lua_pcallk lua_rotate lua_isyieldable lua_toclose";
const HIDDEN: &[&str] = &["-shared", "-fPIC", "-nostdlib", "-fvisibility=hidden"];

#[test]
fn a_lua_that_is_not_exported_is_found_in_the_symbols_of_the_file() {
    let _alone = alone();
    let path = compile("hidden.so", LUA_54, HIDDEN);
    assert!(load(&path));
    let found = find("hidden.so").unwrap();
    assert_eq!((found.version, found.release.as_deref()), (LuaVersion::V54, Some("5.4.6")));
    assert_eq!(found.symbols.len(), LUA_54.split_whitespace().count());
    // SAFETY: a function of that type, compiled above.
    let gettop =
        unsafe { transmute::<usize, extern "C" fn(c_int) -> c_int>(found.symbols["lua_gettop"].address) };
    assert_eq!(gettop(4), 5);

    // Another file in its place must not lend its symbols to what is loaded.
    compile("hidden.so", &format!("lua_first {LUA_54}"), HIDDEN);
    assert!(find("hidden.so").is_none());
    let survey = survey().to_string();
    assert!(survey.contains("hidden.so is not the file that is loaded"), "{survey}");
}

#[test]
fn a_lua_whose_file_is_gone_is_found_in_memory() {
    let _alone = alone();
    let path = compile("gone.so", LUA_54, &["-shared", "-fPIC", "-nostdlib"]);
    assert!(load(&path));
    std::fs::remove_file(&path).unwrap();
    let found = find("gone.so").unwrap();
    assert_eq!(found.version, LuaVersion::V54);
}

#[test]
fn an_unknown_lua_is_refused_with_what_was_seen() {
    let _alone = alone();
    let next = format!("{LUA_54} lua_numbertocstring");
    assert!(load(&compile("next.so", &next, HIDDEN)));
    assert!(load(&compile(
        "odd.so",
        "lua_newstate lua_gettop lua_callk",
        &["-shared", "-fPIC", "-nostdlib"]
    )));
    assert!(find("next.so").is_none() && find("odd.so").is_none());
    let survey = survey().to_string();
    assert!(survey.contains("next.so: refused: Lua 5.5 is not supported"), "{survey}");
    assert!(
        survey.contains("odd.so: refused: no version of Lua that is known")
            && survey.contains("it has lua_callk, lua_newstate, and lacks"),
        "{survey}"
    );
    assert!(survey.contains("other modules have no Lua"), "{survey}");
}

fn check_file(path: &Path, expected: &str) {
    let report = examine(path).unwrap().to_string();
    let report = report.strip_prefix(&format!("{}: ", path.display())).unwrap();
    assert!(report.contains(expected), "{}: {report}", path.display());
}

#[test]
fn files_that_do_not_run_are_examined() {
    check_file(&compile("plain", LUA_54, &["-nostdlib", "-static"]), "Lua 5.4.6; it is linked statically");
    let stripped = compile("stripped", LUA_54, &["-nostdlib", "-s"]);
    check_file(
        &stripped,
        "is stripped: a Lua linked into it would not be seen; it contains the text of Lua 5.4.6",
    );
    assert!(examine(&stripped).unwrap().loader.is_some());
    let program = Path::new("/usr/bin/lua5.4");
    if program.exists() {
        let report = examine(program).unwrap();
        assert!(report.loader.is_some());
        assert!(matches!(
            report.verdict,
            Verdict::Lua { version: LuaVersion::V54, release: Some(ref release) } if release.starts_with("5.4.")
        ));
    } else {
        println!("skipped: {} is not installed, see package lua5.4", program.display());
    }
}

#[track_caller]
fn check_unreadable(path: &Path, expected: &str) {
    assert!(examine(path).unwrap_err().to_string().contains(expected), "{}", path.display());
}

#[test]
fn files_that_are_none_are_errors() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    check_unreadable(&folder.join("nowhere"), "cannot read");
    check_unreadable(folder, "cannot read");
    check_unreadable(Path::new("/dev/zero"), "cannot read");
    check_unreadable(&write("empty", b""), "not an ELF file");
    check_unreadable(&write("text", b"#!/bin/sh\n"), "not an ELF file");
    check_unreadable(&write("short", b"\x7fELF\x02\x01\x01"), "file header is damaged or cut off");
    let mut other = b"\x7fELF\x01\x01\x01".to_vec();
    other.resize(64, 0);
    check_unreadable(&write("other", &other), "not for this machine");
}
