//! Lua that comes late, by `dlopen`, and LuaJIT.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::record::{SPLIT, conserved, finds_the_split, functions, report, share};

fn record(folder: &Path, depth: &str, program: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(["record", "--depth", depth, "-o", "run.perfetto-trace", "--"]).args(program);
    command.current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// Compiles; false, said by name, where there is no compiler.
fn compile(folder: &Path, words: &[&str]) -> bool {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/c");
    let Ok(output) = Command::new("cc").current_dir(folder).arg("-I").arg(&data).args(words).output() else {
        println!("skipped: there is no cc");
        return false;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

fn source(name: &str) -> String {
    format!("{}/tests/data/c/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A plugin with the Lua in `headers` and `library`; the report of its recording.
fn plugin(headers: &str, library: &str, depth: &str) -> Option<serde_json::Value> {
    if !Path::new(headers).is_dir() {
        println!("skipped: the headers of {library} are not installed");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    let (plugin, loader) = (source("plugin.c"), source("loader.c"));
    let library = format!("-l{library}");
    let words = ["-shared", "-fPIC", "-o", "plugins/libplugin.so", &plugin, "-I", headers, &library];
    if !compile(folder.path(), &words)
        || !compile(folder.path(), &["-o", "loader", &loader, "-Wl,-rpath,$ORIGIN/plugins", "-ldl"])
    {
        return None;
    }
    let plain = Command::new(folder.path().join("loader")).output().unwrap();
    assert!(plain.status.success(), "{}", String::from_utf8_lossy(&plain.stderr));
    let output = record(folder.path(), depth, &["./loader"]);
    assert_eq!(
        (output.status.code(), &output.stdout),
        (Some(0), &plain.stdout),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = report(&folder.path().join("run.perfetto-trace"));
    conserved(&report, 0);
    Some(report)
}

#[test]
fn a_lua_that_a_plugin_brings_is_recorded() {
    for (headers, library) in [("/usr/include/lua5.1", "lua5.1"), ("/usr/include/lua5.4", "lua5.4")] {
        let Some(report) = plugin(headers, library, "trace") else { continue };
        let symbols = report["symbols"].as_array().unwrap();
        let calls = symbols.iter().find(|symbol| symbol["function"] == "of_the_plugin");
        assert_eq!(calls.map(|symbol| &symbol["calls"]), Some(&2.into()), "{library}: {symbols:?}");
    }
}

#[test]
fn so_is_a_luajit() {
    let Some(report) = plugin("/usr/include/luajit-2.1", "luajit-5.1", "boundary") else { return };
    let symbols = report["symbols"].as_array().unwrap();
    let calls = symbols.iter().find(|symbol| symbol["function"] == "main chunk");
    assert_eq!(calls.map(|symbol| &symbol["calls"]), Some(&2.into()), "{symbols:?}");
}

fn luajit() -> bool {
    let found = Command::new("luajit").arg("-v").output().is_ok();
    if !found {
        println!("skipped: luajit is not installed");
    }
    found
}

#[test]
fn luajit_is_sampled_with_its_compiler_on() {
    if !luajit() {
        return;
    }
    for depth in ["sample", "trace"] {
        finds_the_split(depth, 0.05, || {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("split.lua"), SPLIT).unwrap();
            let output = record(folder.path(), depth, &["luajit", "split.lua"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            assert_eq!(said.contains("LuaJIT has no trace"), depth == "trace", "{said}");
            let report = report(&folder.path().join("run.perfetto-trace"));
            conserved(&report, 0);
            share(&report)
        });
    }
}

#[test]
fn luajit_runs_as_without_and_profiles_itself_where_it_wants() {
    const PROGRAM: &str = r#"
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local co = coroutine.wrap(function() for i = 1, 30 do coroutine.yield(fib(i % 15)) end end)
local sum = 0
for i = 1, 30 do sum = sum + co() end
print(sum, pcall(error, "boom", 0))
local lines = 0
debug.sethook(function() lines = lines + 1 end, "l")
local x = 1
x = x + 1
debug.sethook()
print(lines, debug.gethook())
local profile, seen = require("jit.profile"), 0
profile.start("fi2", function(thread, samples) seen = seen + samples end)
local stop = os.clock() + 0.5
while os.clock() < stop do fib(15) end
profile.stop()
print(seen > 0)
profile.stop()
os.exit(3)
"#;
    if !luajit() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("program.lua"), PROGRAM).unwrap();
    let plain = Command::new("luajit").arg("program.lua").current_dir(folder.path()).output().unwrap();
    assert_eq!(plain.status.code(), Some(3), "{}", String::from_utf8_lossy(&plain.stderr));
    for depth in ["boundary", "sample", "trace"] {
        let output = record(folder.path(), depth, &["luajit", "program.lua"]);
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stdout)),
            (Some(3), String::from_utf8_lossy(&plain.stdout)),
            "at depth {depth}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let report = report(&folder.path().join("run.perfetto-trace"));
        conserved(&report, 1);
        assert!(functions(&report).iter().any(|name| name == "main chunk"));
    }
}
