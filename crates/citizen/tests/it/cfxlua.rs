//! CfxLua's syntax in scripts, in chunks that scripts load, and in manifests.

use crate::world::{World, check, check_world};

#[test]
fn scripts_are_cfxlua() {
    check(
        "local n = 1
         n += `adder` /* a
         comment */
         local t = { .a, deep = { n = 1 } }
         t.deep.n += 1
         local a, deep in t
         print(n, t.a, t.deep?.n, t.none?.n, a, deep.n)",
        &["-1216765806\ttrue\t2\tnil\ttrue\t2"],
    );
}

#[test]
fn errors_name_the_users_line() {
    check("\nlocal t = {}\nt.x.y += 1", &["error a: main.lua:3: attempt to index a nil value"]);
    check(
        "x = 1\ny = x?\n",
        &["error a: main.lua:3: expected a field, an index, a method or a call after '?' near <eof>"],
    );
    check("/* \n", &["error a: main.lua:1: unfinished long comment (starting at line 1); expected '*/'"]);
    check("x += 1\nx +=\n", &["error a: main.lua:3: unexpected symbol near <eof>"]);
}

#[test]
fn load_takes_cfxlua() {
    check("print(load('local x = 1 x += ... return x, `adder`')(2))", &["3\t-1216765807"]);
    check(
        "local pieces = { 'return n', '?', '.x', '', 'never' }
         local at = 0
         local chunk = load(function() at += 1 return pieces[at] end, '=pieces', 't', { n = { x = 5 } })
         print(chunk(), at)",
        &["5\t4"],
    );
    check(
        "print(load('x = 1\\nx = a?')) print(load('x = a?', '@@a/file.lua')) print(load('x +'))
         print(load(function() return {} end)) print(load(function() error('mine', 0) end))
         print(load(function() return nil end) ~= nil, pcall(load, {}))",
        &[
            "nil\t[string \"x = 1...\"]:2: expected a field, an index, a method or a call after '?' near <eof>",
            "nil\t@a/file.lua:1: expected a field, an index, a method or a call after '?' near <eof>",
            "nil\t[string \"x +\"]:1: syntax error near '+'",
            "nil\treader function must return a string",
            "nil\tmine",
            "true\tfalse\tbad argument #1 to 'load' (function expected, got table)",
        ],
    );
    check("print(load('\\27Lua'))", &["nil\tattempt to load a binary chunk (mode is 't')"]);
}

#[test]
fn manifests_are_cfxlua() {
    check_world(
        &[
            (
                "a/fxmanifest.lua",
                "fx_version 'cerulean' /* game */ server_script 'x.lua'\nlocal n = 1 n += 1 count(n)",
            ),
            ("a/x.lua", "print(GetResourceMetadata('a', 'count'))"),
        ],
        1,
        &["2"],
    );
}

#[test]
fn hashes_at_run_time() {
    check(
        "print(joaat('ADDER') == `adder`, GetHashKey('Adder') == `adder`, joaat('é') == `é`)",
        &["true\ttrue\ttrue"],
    );
}

#[test]
fn defer_and_each() {
    check(
        "do local _ <close> = defer(function() print('later') end) print('now') end
         for k, v in each { 5 } do print(k, v) end
         local closed = defer(function() print('closed') end)
         local t = setmetatable({}, { __iter = function(t) return next, { x = 1 }, nil, closed end })
         for k, v in each(t) do print(k, v) end
         for k, v in each(setmetatable({}, { __pairs = function() return next, { y = 2 }, nil end })) do print(k, v) end
         print(pcall(each)) print(pcall(defer, 1))",
        &[
            "now",
            "later",
            "1\t5",
            "x\t1",
            "closed",
            "y\t2",
            "false\tbad argument #1 to 'each' (value expected)",
            "false\tbad argument #1 to 'defer' (function expected, got number)",
        ],
    );
}

#[test]
fn functions_keep_their_names_and_lines() {
    let mut world = World::new(&[(
        "a/main.lua",
        "/* one\n two */\nlocal function first(t)\n    return t.x?.y\nend\nfirst({ x = {} })\nload('function second()\\nend', '@@a/more.lua')()\nsecond()",
    )]);
    world.config.depth = tickscope_core::Depth::Trace;
    let (sink, ran) = world.record(1);
    assert_eq!(ran.lines, Vec::<String>::new());
    for (name, file, line) in [("first", "main.lua", 3), ("second", "more.lua", 1)] {
        let found = sink
            .dictionary
            .symbols()
            .iter()
            .any(|symbol| (&*symbol.name, symbol.line) == (name, line) && symbol.file.ends_with(file));
        assert!(found, "{name} in {:?}", sink.dictionary.symbols());
    }
}
