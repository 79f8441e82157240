//! Programs whose C library is musl, with Luas built for it, and the agent that programs of glibc get.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::hostile;
use crate::record::{
    DEPTHS, PROGRAM, SPLIT, conserved, finds_the_split, functions, installed, record, report, same, share,
};

const LOADER: &str = "/lib/ld-musl-x86_64.so.1";

/// What a Lua is called, and where in the package of its sources it lies.
const LUAS: [(&str, &str); 4] =
    [("5.1", "lua-5.1."), ("5.2", "lua-5.2."), ("5.3", "lua-5.3."), ("5.4", "lua-5.4.")];

/// A Lua that was built for musl: its folder has `liblua.so`, and an interpreter of each kind.
struct Lua {
    headers: PathBuf,
    folder: PathBuf,
}

impl Lua {
    /// That of `LUAS`, built once; `None`, said by name, where there is no compiler for musl.
    fn get(index: usize) -> Option<&'static Self> {
        static BUILT: [OnceLock<Option<Lua>>; LUAS.len()] = [const { OnceLock::new() }; LUAS.len()];
        BUILT[index].get_or_init(|| installed("musl-gcc").then(|| Self::build(index))).as_ref()
    }

    fn build(index: usize) -> Self {
        let (name, begins) = LUAS[index];
        let within = sources();
        let headers = within.read_dir().unwrap().flatten().map(|entry| entry.path());
        let headers = headers
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(begins))
            .max()
            .unwrap_or_else(|| panic!("no {begins} in {}", within.display()));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("musl-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let lua = Self { headers, folder };

        let files = lua.headers.read_dir().unwrap().flatten().map(|entry| entry.path());
        let files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|found| found == "c")).collect();
        // POSIX without `dlopen` of modules; 5.1 has its switches one by one.
        let flags = ["-O2", "-fPIC", "-c", "-DLUA_USE_POSIX", "-DLUA_USE_MKSTEMP", "-DLUA_USE_POPEN"];
        lua.compile(flags.iter().map(|flag| (*flag).into()).chain(files));
        let objects = || {
            let files = lua.folder.read_dir().unwrap().flatten().map(|entry| entry.path());
            files.filter(|path| path.extension().is_some_and(|found| found == "o"))
        };
        let words =
            |words: &[&str]| words.iter().map(|word| PathBuf::from(*word)).collect::<Vec<_>>().into_iter();
        let interpreter = source("interpreter.c");
        lua.compile(words(&["-shared", "-o", "liblua.so"]).chain(objects()).chain(words(&["-lm"])));
        // Its functions are in the table of dynamic symbols; in the debugger's only; in a library.
        lua.compile(
            words(&["-rdynamic", "-o", "exported", &interpreter]).chain(objects()).chain(words(&["-lm"])),
        );
        lua.compile(words(&["-o", "inside", &interpreter]).chain(objects()).chain(words(&["-lm"])));
        lua.compile(words(&["-o", "shared", &interpreter, "-L.", "-llua", "-Wl,-rpath,$ORIGIN"]));
        lua
    }

    /// Compiles for musl, in the Lua's folder, with its headers.
    fn compile(&self, words: impl Iterator<Item = PathBuf>) {
        let mut compiler = Command::new("musl-gcc");
        compiler.current_dir(&self.folder).arg("-I").arg(&self.headers).args(words);
        let output = compiler.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn program(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

/// The sources of every Lua: those of the package from which this workspace builds its own.
fn sources() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lua/Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--offline", "--manifest-path"]).arg(manifest);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "lua-src").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

fn source(name: &str) -> String {
    format!("{}/tests/data/c/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn run(folder: &Path, words: &[&str]) -> Output {
    Command::new(words[0]).args(&words[1..]).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// Runs a program alone and recorded, and compares; answers the report.
#[track_caller]
fn check(options: &[&str], script: &str, words: &[&str], code: i32) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("program.lua"), script).unwrap();
    let plain = run(folder.path(), words);
    assert_eq!(plain.status.code(), Some(code), "{}", String::from_utf8_lossy(&plain.stderr));
    let output = record(folder.path(), options, words).output().unwrap();
    println!("{words:?} {options:?}: {}", String::from_utf8_lossy(&output.stderr));
    same(&output, &plain);
    let report = report(&folder.path().join("run.perfetto-trace"));
    conserved(&report, 0);
    report
}

#[track_caller]
fn named(report: &Value) {
    let functions = functions(report);
    for wanted in ["fib", "grumble", "producer"] {
        assert!(functions.iter().any(|name| name == wanted), "{wanted}: {functions:?}");
    }
}

#[test]
fn every_lua_runs_as_without_and_its_functions_are_named() {
    for index in 0..LUAS.len() {
        let Some(lua) = Lua::get(index) else { return };
        for depth in DEPTHS {
            let program = lua.program("exported");
            let report = check(&["--depth", depth], PROGRAM, &[&program, "program.lua", "a", "b"], 7);
            if depth == "trace" {
                named(&report);
            }
        }
    }
}

#[test]
fn a_lua_is_found_in_the_program_and_in_a_library() {
    let Some(lua) = Lua::get(3) else { return };
    for kind in ["inside", "shared"] {
        named(&check(&["--depth", "trace"], PROGRAM, &[&lua.program(kind), "program.lua"], 7));
    }
}

/// As FXServer's `run.sh` does.
#[test]
fn a_program_that_the_loader_is_started_with_is_recorded() {
    let Some(lua) = Lua::get(3) else { return };
    let (folder, program) = (lua.folder.to_str().unwrap(), lua.program("shared"));
    let words = [LOADER, "--library-path", folder, "--", &program, "program.lua"];
    named(&check(&["--depth", "trace"], PROGRAM, &words, 7));
}

#[test]
fn samples_find_what_takes_the_time() {
    for index in [0, 3] {
        let Some(lua) = Lua::get(index) else { return };
        let program = lua.program("exported");
        finds_the_split(LUAS[index].0, 0.03, || share(&check(&[], SPLIT, &[&program, "program.lua"], 0)));
    }
}

#[test]
fn an_error_ends_it_as_without() {
    let script =
        "local function fails(n) if n == 0 then error('no more') end return 1 + fails(n - 1) end fails(20)";
    for index in 0..LUAS.len() {
        let Some(lua) = Lua::get(index) else { return };
        let report = check(&["--depth", "trace"], script, &[&lua.program("exported"), "program.lua"], 1);
        assert!(functions(&report).iter().any(|name| name == "fails"));
    }
}

#[test]
fn what_it_waits_for_is_seen() {
    let Some(lua) = Lua::get(3) else { return };
    let program = lua.program("exported");
    let report = check(&["--io", "--depth", "trace"], "wait(200)", &[&program, "program.lua"], 0);
    let symbols = report["symbols"].as_array().unwrap();
    let wait = symbols.iter().find(|symbol| symbol["kind"] == "io" && symbol["function"] == "poll pipe");
    assert!(wait.is_some_and(|wait| wait["self_ms"].as_f64() >= Some(199.0)), "{symbols:?}");
}

#[test]
fn threads_forks_and_signals_are_survived() {
    let Some(lua) = Lua::get(3) else { return };
    let words = ["-O1", "-g", "-o", "hostile", &source("hostile.c"), "-L.", "-llua", "-Wl,-rpath,$ORIGIN"];
    lua.compile(words.iter().map(PathBuf::from));
    let host = lua.folder.join("hostile");
    for way in hostile::WAYS.iter().filter(|way| **way != "fibers") {
        hostile::check_host(&host, "Lua 5.4 and musl", way);
    }
}

#[test]
fn a_lua_that_a_plugin_brings_is_recorded() {
    let Some(lua) = Lua::get(3) else { return };
    std::fs::create_dir_all(lua.folder.join("plugins")).unwrap();
    let (plugin, loader) = (source("plugin.c"), source("loader.c"));
    let words =
        ["-shared", "-fPIC", "-o", "plugins/libplugin.so", &plugin, "-L.", "-llua", "-Wl,-rpath,$ORIGIN/.."];
    lua.compile(words.iter().map(PathBuf::from));
    lua.compile(["-o", "loader", &loader, "-Wl,-rpath,$ORIGIN/plugins"].iter().map(PathBuf::from));
    let report = check(&["--depth", "trace"], "", &[&lua.program("loader")], 0);
    let symbols = report["symbols"].as_array().unwrap();
    let calls = symbols.iter().find(|symbol| symbol["function"] == "of_the_plugin");
    assert_eq!(calls.map(|symbol| &symbol["calls"]), Some(&2.into()), "{symbols:?}");
}

#[test]
fn doctor_and_record_say_what_there_is() {
    let Some(lua) = Lua::get(3) else { return };
    let tickscope = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tickscope")).args(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (text.into_owned(), output.status.success())
    };
    let (folder, program) = (lua.folder.to_str().unwrap(), lua.program("shared"));
    for words in [&[program.as_str()][..], &[LOADER, "--library-path", folder, "--", &program, "x.lua"]] {
        let (text, good) = tickscope(&[&["doctor", "--"], words].concat());
        assert!(good && text.contains("ok    its C library is musl"), "{text}");
        assert!(
            text.contains("Lua 5.4") && text.contains("liblua.so: depths boundary, sample and trace"),
            "{text}"
        );
    }

    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("waits.lua"), "io.read()").unwrap();
    let mut child =
        Command::new(&program).arg(scratch.path().join("waits.lua")).stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let (text, good) = tickscope(&["doctor", "--pid", &pid]);
    assert!(
        good && text.contains("its C library is musl: what runs already cannot be attached to"),
        "{text}"
    );
    let (text, good) = tickscope(&["record", "--pid", &pid, "--for", "1s"]);
    assert!(!good && text.contains("has musl as its C library"), "{text}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
