//! What the rewriter makes of sources, and what Lua makes of that.

mod programs;
mod properties;

use mlua::Lua;

use super::*;
use crate::values::hash::joaat;

/// The rewritten text.
#[track_caller]
fn check(source: &str, expected: &str) {
    let rewritten = rewrite(source.as_bytes()).unwrap_or_else(|error| panic!("{source}: {error}"));
    assert_eq!(String::from_utf8_lossy(&rewritten), expected, "of {source}");
}

#[track_caller]
fn check_unchanged(source: &str) {
    assert!(matches!(rewrite(source.as_bytes()), Ok(Cow::Borrowed(_))), "{source}");
}

#[track_caller]
fn check_error(source: &str, line: u32, expected: &str) {
    let error = rewrite(source.as_bytes()).expect_err(source);
    assert_eq!((error.line, error.message.as_str()), (line, expected), "of {source}");
}

/// What the source gives to `out(…)`, one entry a call, or the error it raises.
#[track_caller]
fn check_run(source: &str, expected: &[&str]) {
    let rewritten = rewrite(source.as_bytes()).unwrap_or_else(|error| panic!("{source}: {error}"));
    assert_eq!(run(&rewritten), expected, "of {source}\nas {}", String::from_utf8_lossy(&rewritten));
}

fn run(source: &[u8]) -> Vec<String> {
    let lua = Lua::new();
    let chunk = lua.create_string(source).unwrap();
    lua.load(
        r#"
        local source = ...
        local said = {}
        function out(...)
            local values = table.pack(...)
            for i = 1, values.n do values[i] = tostring(values[i]) end
            said[#said + 1] = table.concat(values, ' ')
        end
        local times = {}
        -- Says that it was evaluated, and how often.
        function seen(name, ...)
            times[name] = (times[name] or 0) + 1
            out(name .. times[name])
            return ...
        end
        local chunk, problem = load(source, '=t')
        if not chunk then return { problem } end
        local fine, raised = pcall(chunk, 'first', 'second')
        if not fine then out(raised) end
        return said
        "#,
    )
    .call(chunk)
    .unwrap()
}

#[test]
fn plain_lua_is_given_back() {
    for source in [
        "",
        "local a <const>, b <close> = 1, nil",
        "for k, v in pairs(t) do for i in f do end end for i = 1, 2 do end",
        "t = { a = 1, ['b'] = 2, [3] = 4, x.y, f'.z', [a[b]] = c[d]; [ [[k]] ] = 1 }",
        "s = 'a += 1 `b` ?. /* in' .. \"c ?: \\\" -= \" .. [[ `x` \n /* ]] .. [==[ ]] a?.b ]==]",
        "-- a += 1 `b` ?.\n--[[ a ?. b\n]] --[==[ ]] `x` ]==] x = 1",
        "a = b ~= c a = b <= c a = b >= c a = b == c a = b // c a = b << c >> d a = ~b a = b .. c",
        "goto continue ::continue:: do return ... end",
        "x = 3 .. 2 x = 0x1p-4 x = 1e+5 x = 3-2",
        "a.b['c'][1].d:e(f)'g'{h}",
        "#!/usr/bin/lua",
        "local s = '\\z  \n  \\' += '",
    ] {
        check_unchanged(source);
    }
}

#[test]
fn hashes_become_numbers() {
    check("x = `adder`", "x = (-1216765807)");
    check("f`Hello, World!`", "f(1395890823)");
    check("if m == `ADDER` then end", "if m == (-1216765807) then end");
    check("t[`a\\x62c`]", &format!("t[({})]", joaat(b"abc")));
    check("x = `a\\\nb`\ny = 1", &format!("x = ({}\n)\ny = 1", joaat(b"a\nb")));
    check("x = `\\u{48}\\u{20AC}\\u{10FFFF}`", &format!("x = ({})", joaat("H€\u{10FFFF}".as_bytes())));
    check("x = `\\65\\z  \n b`", &format!("x = ({}\n)", joaat(b"Ab")));
    check_run(
        "local h <const> = `adder` out(h, `adder` == -1216765807, -`adder`, `adder` ^ 2 > 0, math.type(`adder`))
         local function f(x) return x end out(f`adder`, ({ [`adder`] = 1 })[-1216765807])",
        &["-1216765807 true 1216765807 true integer", "-1216765807 1"],
    );
}

#[test]
fn c_comments_become_spaces() {
    check("x/* a */=/**/1", "x = 1");
    check("x = 1 /* a\n b\r\n*/ y = 2 -- /* no", "x = 1  \n\r\n y = 2 -- /* no");
    check("x = a //* b", "x = a //* b");
    check("/*/ x */ y = 1", "  y = 1");
}

#[test]
fn sets() {
    check(
        "t = { .a, .b; .c = 1, d = 2, [e], ['f'] = 3, g }",
        "t = { a=true, b=true; c = 1, d = 2, [e]=true, ['f'] = 3, g }",
    );
    check("f{\n.a,\n.b\n}", "f{\na=true,\nb=true\n}");
    check_run("local t = { .a, .b, 'x', [5] } out(t.a, t.b, t.c, t[1], t[5])", &["true true nil x true"]);
}

#[test]
fn compound_assignment_of_names_and_fields() {
    check("a += 1", "a =a+( 1)");
    check("a -= b * 2 c ..= 'x' .. y", "a =a-( b * 2) c =c..( 'x' .. y)");
    check(
        "a.b *= 2 a[1] /= 2 a['k'] //= 2 a[i] %= 2",
        "a.b =a.b*( 2) a[1] =a[ 1 ]/( 2) a['k'] =a[ 'k' ]//( 2) a[i] =a[ i ]%( 2)",
    );
    check("a <<= 1 a >>= 1 a &= 1 a |= 1 a ^= 1", "a =a<<( 1) a =a>>( 1) a =a&( 1) a =a|( 1) a =a~( 1)");
    check("a.b\n  .c += 1", "do local __cfx=a.b\n   __cfx.c =__cfx.c+( 1) end");
    check("f().x += 1", "do local __cfx=f() __cfx.x =__cfx.x+( 1) end");
    check("f()[g()] += 1", "do local __cfx,__cfxk=f(),g() __cfx[__cfxk] =__cfx[__cfxk]+( 1) end");
    check("__cfx.a.b += __cfx_", "do local __cfx__=__cfx.a __cfx__.b =__cfx__.b+( __cfx_) end");
    check("a[\n[[\n]]] += 1", "do local __cfx,__cfxk=a,\n[[\n]] __cfx[__cfxk] =__cfx[__cfxk]+( 1) end");
}

#[test]
fn compound_assignment_runs() {
    check_run("local x = 1 x += 1 x *= 3 + 1 out(x) x -= 2 - 1 out(x)", &["8", "7"]);
    check_run("x = 1 y = 2 x += 1 y += 2 out(x, y)", &["2 4"]);
    check_run("local s = 'a' s ..= 'b' .. 1 s ..= 2 out(s)", &["ab12"]);
    check_run("local a, b, c, d = 7, 7, 6, 1 a //= 2 b %= 4 c ^= 3 d <<= 4 out(a, b, c, d)", &["3 3 5 16"]);
    check_run("local a, b, c = 6, 6, 64 a &= 3 b |= 1 c >>= 2 out(a, b, c)", &["2 7 16"]);
    check_run(
        "local t = { { n = 1 } }
         local function f() return seen('f', t) end
         local function g() return seen('g', 1) end
         f()[g()].n += seen('right', 5)
         out(t[1].n)",
        &["f1", "g1", "right1", "6"],
    );
    check_run(
        "local a = { b = { c = { [3] = { e = 'x' } } } }
         a.b.c[seen('d', 3)].e ..= seen('f', 'y')
         out(a.b.c[3].e)",
        &["d1", "f1", "xy"],
    );
    check_run(
        "local t = setmetatable({}, { __index = function(_, k) return seen('get ' .. k, 1) end,
           __newindex = function(_, k, v) seen('set ' .. k .. '=' .. v) end })
         t.x += 1 t[1] += 2 ({ t })[1].y += 3",
        &["get x1", "set x=21", "get 11", "set 1=31", "get y1", "set y=41"],
    );
    check_run(
        "local n = 0
         n += (function(...)
             local k = 1
             k += select('#', ...)
             return k
         end)(1, 2)
         out(n)
         local function f(...) local t = { n = 1 } ; ({ t })[1].n += select('#', ...) return t.n end
         out(f(1, 2, 3))",
        &["3", "4"],
    );
    check_run(
        "for i = 1, 3 do
            if i == 2 then goto continue end
            T = T or { n = { 0 } }
            T.n[1] += i
            ::continue::
        end out(T.n[1])",
        &["4"],
    );
    check_run(
        "local x = 1 if x then x += 1 end while x < 5 do x += 1 end repeat x -= 1 until x < 2 out(x)",
        &["1"],
    );
}

#[test]
fn safe_navigation_in_expressions() {
    check("x = a?.b", "x = (a and a.b)");
    check("x = a?.b.c(1):d()", "x = (a and a.b.c(1):d())");
    check("x = a?[i]", "x = (a and a[i])");
    check("x = a?:m(1)", "x = (a and a:m(1))");
    check("x = a?(1) + a?'s' + a?{}", "x = (a and a(1)) + (a and a's') + (a and a{})");
    check("x = a?`adder`", "x = (a and a(-1216765807))");
    check("x = f()?.b", "x = (function() local __cfx=f() return __cfx and __cfx.b end)()");
    check("x = a?.b?.c", "x = (function() local __cfx=a and a.b return __cfx and __cfx.c end)()");
    check(
        "x = a.b?.c?[d]?.e",
        "x = (function() local __cfx=a.b __cfx=__cfx and __cfx.c __cfx=__cfx and __cfx[d] return __cfx and __cfx.e end)()",
    );
    check("x = a.b?.c(...)", "x = (function(...) local __cfx=a.b return __cfx and __cfx.c(...) end)(...)");
    check("x = (a?.b).c", "x = ((a and a.b)).c");
    check("x = a?.b(c?.d)", "x = (a and a.b((c and c.d)))");
    check("x = a\n?.b\n.c", "x = (a\n and a.b\n.c)");
}

#[test]
fn safe_navigation_runs() {
    let world = "local nothing, none, t = nil, false, { a = { b = 1, f = function(_, x) return x, 2 end } }
                 local function get(...) return seen('get', ...) end ";
    let checked = |source: &str, expected: &[&str]| check_run(&format!("{world}{source}"), expected);
    checked("out(nothing?.x, none?.x, t?.a.b, t?.x?.y, t?['a']?.b)", &["nil false 1 nil 1"]);
    checked("out(nothing?.x.y.z, nothing?.x(seen('no')), nothing?[seen('no')])", &["nil nil nil"]);
    checked("out(t?.x.y)", &["t:2: attempt to index a nil value (field 'x')"]);
    checked("out(get(t)?.a?.b, get(nil)?.a.b, get()?.x)", &["get1", "get2", "get3", "1 nil nil"]);
    checked("out(t.a?:f(7), (t.a:f(7)))", &["7 7"]);
    checked("out(t?.a:f(1), nothing?:f(1))", &["1 nil"]);
    checked("local a, b = t.a?:f(7) out(a, b) out(select('#', nothing?.x()))", &["7 nil", "1"]);
    checked("if t?.a?.b == 1 and not nothing?.x then out('yes') elseif t.q?.x then out('no') end", &["yes"]);
    checked("while t.a?.b == 1 do t.a.b += 1 end out(t.a?.b)", &["2"]);
    checked("out(-t?.a.b, #t?.a, t?.a.b .. 'x', 2 ^ t.a?.b)", &["-1 0 1x 2.0"]);
    checked("local s = 'x' out(s?:upper(), ('y')?:upper())", &["X Y"]);
    checked("out((function(...) return t.a?.f(t, ...) end)(3))", &["3"]);
    checked("out((function(...) return get(...)?.a end)(t) == t.a)", &["get1", "true"]);
    checked("local r = { t?.a.b, x = t?.a.b, [t?.a.b] = 5 } out(r[1], r.x)", &["1 1"]);
    checked("return out(coroutine.wrap(function() return t.a?.f(t, coroutine.yield(4)) end)())", &["4"]);
}

#[test]
fn safe_navigation_in_statements() {
    check("a?.b(x)", "if a then a.b(x) end");
    check("a?.b = 5", "if a then a.b = 5 end");
    check("f()?.b(x)", "do local __cfx=f() if __cfx then __cfx.b(x) end end");
    check("a?.b?.c(x)", "if a then local __cfx=a.b if __cfx then __cfx.c(x) end end");
    check(
        "a?.b?.c?.d(x)",
        "if a then local __cfx=a.b if __cfx then __cfx=__cfx.c if __cfx then __cfx.d(x) end end end",
    );
    check("a?.b += 1", "if a then a.b =a.b+( 1) end");
    check("a?.b.c += 1", "if a then do local __cfx=a.b __cfx.c =__cfx.c+( 1) end end");
    check(
        "f()?.b[g()] += 1",
        "do local __cfx=f() if __cfx then do local __cfx,__cfxk=__cfx.b,g() __cfx[__cfxk] =__cfx[__cfxk]+( 1) end end end",
    );
    check_run(
        "local nothing, t = nil, { a = { n = 1 } }
         function t.a.f(...) out('called', ...) end
         t.a?.f(1) t?.a?.f(2) nothing?.f(seen('no')) t?.b?.f(seen('no')) seen('call', t)?.a.f(3)
         t?.a.n = 5 nothing?.a.n = seen('no') t.a?.n += 1 t?.b?.n += seen('no') t?.a?['n'] += 1
         out(t.a.n)
         nothing?.x, t.y = seen('no'), 1 t?.x, t.y = 3, 4 out(t.x, t.y)",
        &["called 1", "called 2", "call1", "called 3", "7", "3 4"],
    );
}

#[test]
fn unpacking() {
    check("local a, b in t", "local a, b = t;a,b=a.a,a.b");
    check("local a in f(x)", "local a = f(x).a");
    check(
        "local a <const>, b in t.x",
        "local a <const>, b =(function(__cfx) return __cfx.a,__cfx.b end)( t.x)",
    );
    check("a, b in t", "a, b =(function(__cfx) return __cfx.a,__cfx.b end)( t)");
    check("x.a in t", "x.a = t.a");
    check(
        "x[1], x['k'], y in t",
        "x[1], x['k'], y =(function(__cfx) return __cfx[ 1 ],__cfx[ 'k' ],__cfx.y end)( t)",
    );
    check_run(
        "local t = { a = 1, b = 2, c = 3 }
         local a, b in t
         out(a, b)
         local t, c in seen('once', { t = t, c = 4 })
         out(t.b, c)
         local x = {} x.a, c, y in t out(x.a, c, y)
         local a <const>, a in t out(a)
         local b in t out(b) b in ({ b = 9 }) out(b)
         for k, v in pairs { 1 } do local n in ({ n = k + v }) out(n) end
         local b in t?.q out(b)",
        &["1 2", "once1", "2 4", "1 3 nil", "1", "2", "9", "2", "t:10: attempt to index a nil value"],
    );
}

#[test]
fn many_locals_leave_room() {
    let declare: String = (0..199).map(|index| format!("local v{index} ")).collect();
    check_run(
        &format!(
            "{declare} v0 = {{ x = {{ n = 1 }} }}
             v0.x.n += 1 v0.x?.n += 1 v0?.x?.n += 1 local last = v0.x
             v0.x[seen('key', 'n')] += select('#', ...)
             v0.x?.f() v0.y?.f()
             out(last.n)"
        ),
        &["key1", "t:4: attempt to call a nil value (field 'f')"],
    );
    check_run(
        &format!(
            "{declare} local function f(...) local t = {{ n = {{ 0 }} }} t.n[1] += select('#', ...) return t.n[1] end out(f(1, 2))"
        ),
        &["2"],
    );
}

#[test]
fn errors_of_scripts_stay_on_their_lines() {
    check_run("local t = {}\n\nt.x\n.y += 1\n", &["t:4: attempt to index a nil value (local '__cfx')"]);
    check_run(
        "local t = {}\n/*\n*/ t.n +=\n1\n",
        &["t:3: attempt to perform arithmetic on a nil value (field 'n')"],
    );
    check_run(
        "local t = {}\nlocal x = t\n.a?.b,\nt.b\n.c",
        &["t:5: attempt to index a nil value (field 'b')"],
    );
    check_run("x += 1 )", &["t:1: unexpected symbol near ')'"]);
    check_run("x += 1\nif y? .z then\nelse\nfoo?.bar(\n", &["t:5: unexpected symbol near <eof>"]);
    check_run("f() += 1", &["t:1: unexpected symbol near '+'"]);
    check_run("\na, b += 1", &["t:2: '=' expected near '+'"]);
    check_run("\n(a) += 1", &["t:2: syntax error near '+'"]);
    check_run("x += 1\na?.b", &["t:2: syntax error near <eof>"]);
    check_run("local x <const> = 1\nx += 1", &["t:2: attempt to assign to const variable 'x'"]);
}

#[test]
fn errors_of_our_own() {
    check_error("\nx = a?", 2, "expected a field, an index, a method or a call after '?' near <eof>");
    check_error("\nx = a? + 1", 2, "expected a field, an index, a method or a call after '?' near '+'");
    check_error("x = 1\n/* a\n\n", 2, "unfinished long comment (starting at line 2); expected '*/'");
    check_error("x = `abc\n`", 1, "unfinished hash near '`abc'; expected '`' on the same line");
    check_error("x = `a\\q`", 1, "invalid escape sequence in a hash; expected one of those of strings");
    check_error("x = `\\300`", 1, "decimal escape too large in a hash");
    check_error("x = `\\xg`", 1, "hexadecimal digit expected behind '\\x' in a hash");
    check_error("x = `\\u{}`", 1, "expected '{', hexadecimal digits and '}' behind '\\u' in a hash");
    check_error("x = `\\u{80000000}`", 1, "UTF-8 value too large in a hash");
    check_error(
        "local a,\nb\nin\nnil",
        4,
        "expected a name, a call or an expression in brackets after 'in' near 'nil'",
    );
    check_error(
        "a, b in { a = 1 }",
        1,
        "expected a name, a call or an expression in brackets after 'in' near '{'",
    );
    check_error(
        "t[k] in t",
        1,
        "unexpected assignment key: 'in' needs names, fields or constant keys before it, near 'in'",
    );
}

#[test]
fn messages_do_not_show_our_variables() {
    for (message, expected) in [
        ("attempt to index a nil value (local '__cfx')", "attempt to index a nil value"),
        ("attempt to index a nil value (local '__cfx___') (local '__cfxk')", "attempt to index a nil value"),
        ("attempt to call a nil value (local '__cfxes')", "attempt to call a nil value (local '__cfxes')"),
        ("a (local '__cfx", "a (local '__cfx"),
        ("attempt to index a nil value (field 'x')", "attempt to index a nil value (field 'x')"),
    ] {
        assert_eq!(without_own_variables(message), expected);
    }
}

#[test]
fn chunk_names_are_lua_s() {
    let lua = Lua::new();
    for name in [
        "@server/main.lua",
        "=stdin",
        "x = 1",
        "x = 1\ny = 2",
        "@a/very/long/path/that/goes/on/and/on/and/on/until/it/does/not/fit/any/more.lua",
        "=a very long name that goes on and on and on and on until it does not fit any more",
        "return 'a very long text that goes on and on and on and on until it does not fit'",
        "return 'exactly as long as it may be with three b' ",
        "return 'exactly as long as it may be with three by",
        "return 'exactly as long as it may be with three byt",
        "",
    ] {
        let error = lua.load("?").set_name(name).exec().unwrap_err().to_string();
        let place = String::from_utf8(chunk_name(name.as_bytes())).unwrap();
        assert!(error.contains(&format!(": {place}:1: ")), "{place} of {error}");
    }
}
