//! Plain Lua programs under `tickscope lua`: what they print is what plain `lua` prints, at each depth.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `script` with `arguments` at `depth`.
fn run(depth: &str, script: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickscope"));
    command.args(["lua", "--depth", depth, "-o"]).arg(folder.path().join("run.perfetto-trace"));
    command.arg("-").args(arguments).env_remove("LUA_INIT").env_remove("LUA_INIT_5_4");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("the program reads it");
    child.wait_with_output().expect("ends")
}

#[track_caller]
fn check(script: &str, arguments: &[&str], out: &str, err: &str, code: i32) {
    for depth in ["boundary", "sample", "trace"] {
        let output = run(depth, script, arguments);
        assert_eq!(String::from_utf8_lossy(&output.stdout), out, "at depth {depth}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), err, "at depth {depth}");
        assert_eq!(output.status.code(), Some(code), "at depth {depth}");
    }
}

#[test]
fn arguments_and_their_indices() {
    check("print(#arg, arg[0], arg[1], arg[-2], ...)", &["a", "b"], "2\t-\ta\tnil\ta\tb\n", "", 0);
}

#[test]
fn errors_end_with_a_traceback() {
    let traceback = "lua: stdin:1: boom\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in local 'f'\n\tstdin:2: in main chunk\n\t[C]: in ?\n";
    check("local function f() error('boom') end\nf()", &[], "", traceback, 1);
    check("error(setmetatable({}, { __tostring = function() return 'own' end }))", &[], "", "lua: own\n", 1);
}

#[test]
fn syntax_errors() {
    check("x = = 1", &[], "", "lua: stdin:1: unexpected symbol near '='\n", 1);
}

#[test]
fn exit_codes_and_what_is_still_to_be_closed() {
    check("os.exit(7)", &[], "", "", 7);
    check("os.exit(true)", &[], "", "", 0);
    check(
        "local c <close> = setmetatable({}, { __close = function() print('closed') end })
        setmetatable({}, { __gc = function() print('collected') end })
        os.exit(3, true)",
        &[],
        "closed\ncollected\n",
        "",
        3,
    );
    check("setmetatable({}, { __gc = function() print('collected') end })", &[], "collected\n", "", 0);
}

#[test]
fn messages_of_replaced_functions_are_those_of_lua() {
    check(
        "print(pcall(coroutine.resume, 1)) print(pcall(coroutine.wrap, 1)) print(pcall(collectgarbage, 'x'))
        print(pcall(coroutine.wrap(function() error('e') end)))
        print(coroutine.close(coroutine.create(print))) print(pcall(coroutine.close, coroutine.running()))
        print(pcall(debug.sethook, 1)) print(pcall(os.exit, {}))",
        &[],
        "false\tbad argument #1 to 'coroutine.resume' (thread expected, got number)
false\tbad argument #1 to 'coroutine.wrap' (function expected, got number)
false\tbad argument #1 to 'collectgarbage' (invalid option 'x')
false\tstdin:2: e
true
false\tcannot close a running coroutine
false\tbad argument #2 to 'debug.sethook' (string expected, got no value)
false\tbad argument #1 to 'os.exit' (number expected, got table)
",
        "",
        0,
    );
}
