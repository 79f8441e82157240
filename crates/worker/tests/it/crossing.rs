//! What crosses to a worker, and what is refused before anything runs.

use std::sync::{Arc, Barrier};

use mlua::{Function, Lua, UserDataRef, Value};
use proptest::prelude::*;
use tickscope_worker::{Carried, JobError, Numbers, Options};

use crate::{host, host_with, host_with_both};

#[test]
fn functions_move_with_what_they_captured() {
    let script = r#"
        local factor = 3
        local rows = { { price = 2 }, { price = 5 } }
        rows.self = rows
        local function twice(x) return x * 2 end
        function Discount(x) return x - 1 end
        local job = Async.Run(function(more)
            local sum = 0
            for _, row in ipairs(rows) do sum = sum + twice(row.price) * factor end
            assert(rows.self == rows)
            return Discount(sum) + more, string.format('%d', sum)
        end, 100)
        local sum, text = Async.Await(job)
        return sum .. ' ' .. text
    "#;
    assert_eq!(host().run(script).unwrap(), "141 42");
}

#[test]
fn variables_are_shared_as_they_were() {
    let script = r#"
        local count = 0
        local function up() count = count + 1 end
        local function read() return count end
        local function fact(n) if n < 2 then return 1 end return n * fact(n - 1) end
        local there, number = Async.Await(Async.Run(function() up() up() return read(), fact(10) end))
        return there .. ' ' .. count .. ' ' .. number
    "#;
    assert_eq!(host().run(script).unwrap(), "2 0 3628800");
}

#[test]
fn objects_keep_their_classes() {
    let script = r#"
        local Point = {}
        Point.__index = Point
        Point.__add = function(a, b) return setmetatable({ x = a.x + b.x }, Point) end
        function Point:double() return self + self end
        local one = setmetatable({ x = 4 }, Point)
        local back = Async.Await(Async.Run(function(point) return point:double() end, one))
        return back.x .. ' ' .. tostring(getmetatable(back) == nil) .. ' ' .. back:double().x
    "#;
    assert_eq!(host().run(script).unwrap(), "8 false 16");
}

#[test]
fn answers_may_be_anything_that_crosses() {
    let script = r#"
        local a, b, c, d, e = Async.Await(Async.Run(function(...)
            local list = { 1, 2, nil, 4, [0.5] = 'half', [true] = 'yes' }
            list.me = list
            return nil, list, function(x) return x + #list end, select('#', ...), 'a\0b'
        end, nil, nil))
        return table.concat({ tostring(a), b[4], b[0.5], b[true], tostring(b.me == b), c(1), d, #e }, ' ')
    "#;
    assert_eq!(host().run(script).unwrap(), "nil 4 half yes true 5 2 3");
}

#[test]
fn globals_are_the_workers_own() {
    let host = host();
    host.lua.globals().set("Limit", 7).unwrap();
    let script = r#"
        local first = Async.Await(Async.Run(function() return Limit end))
        -- what a job does to its machine is gone with it
        Async.Await(Async.Run(function()
            string.format = nil
            load('leftover = 1')()
            local text = getmetatable('')
            text.__index = nil
        end))
        for _ = 1, 8 do
            local left, format, length = Async.Await(Async.Run(function()
                return load('return leftover')(), string.format('%d', 3), ('abc'):len()
            end))
            assert(left == nil and format == '3' and length == 3)
        end
        return first
    "#;
    assert_eq!(host.run(script).unwrap(), "7");
}

#[test]
fn modules_are_required_again() {
    let prepare = |lua: &Lua| {
        let package: mlua::Table = lua.globals().get("package")?;
        let preload: mlua::Table = package.get("preload")?;
        let module = lua
            .load("return function() return { add = function(a, b) return a + b end } end")
            .eval::<Function>()?;
        preload.set("sums", module)
    };
    let host = host_with(Options { prepare: Some(Arc::new(prepare)), ..Options::default() });
    prepare(&host.lua).unwrap();
    let script = r#"
        local sums = require 'sums'
        return Async.Await(Async.Run(function() return sums.add(1, 2) + require('sums').add(3, 4) end))
    "#;
    assert_eq!(host.run(script).unwrap(), "10");
}

/// A userdata of a host.
#[derive(Clone, Debug, PartialEq)]
struct Handle(u8);

impl Carried for Handle {
    fn unpack(&self, lua: &Lua) -> mlua::Result<Value> {
        lua.create_any_userdata(self.clone()).map(Value::UserData)
    }

    fn bytes(&self) -> usize {
        usize::from(self.0) << 20
    }
}

#[test]
fn a_host_says_which_userdata_cross() {
    let carry = |_: &Lua, value: &Value| {
        let handle = value.as_userdata()?.borrow::<Handle>().ok()?;
        Some(Arc::new(handle.clone()) as Arc<dyn Carried>)
    };
    let host = host_with(Options { carry: Some(Arc::new(carry)), parcel: 8 << 20, ..Options::default() });
    let lua = &host.lua;
    for (name, value) in [("small", 3), ("large", 9)] {
        lua.globals().set(name, lua.create_any_userdata(Handle(value)).unwrap()).unwrap();
    }
    lua.globals().set("stranger", lua.create_any_userdata(1_u8).unwrap()).unwrap();
    let number = |_: &Lua, handle: UserDataRef<Handle>| Ok(handle.0);
    lua.globals().set("number", lua.create_function(number).unwrap()).unwrap();
    let script = r#"
        local list = Async.Await(Async.Run(function(list) list[2] = list[1] return list end, { small }))
        return number(list[1]) + number(list[2])
    "#;
    assert_eq!(host.run(script).unwrap(), "6");
    let error = host.run("Async.Run(function() return stranger end)").unwrap_err();
    assert!(error.contains("global `stranger` (line 1) is a userdata"), "{error}");
    let error = host.run("Async.Run(function(x) return x end, large)").unwrap_err();
    assert!(error.contains("argument 1"), "{error}");
}

#[test]
fn errors_that_nobody_looked_at_are_kept_for_the_host() {
    let host = host();
    host.run("Async.Run(function() error('alone') end) Async.Await(Async.Run(function() end))").unwrap();
    host.run("pcall(Async.Await, Async.Run(function() error('awaited') end))").unwrap();
    host.lua.gc_collect().unwrap();
    host.lua.gc_collect().unwrap();
    let unheard = host.owner.unheard();
    assert!(
        matches!(&unheard[..], [JobError::Script { message, .. }] if message.ends_with("alone")),
        "{unheard:?}"
    );
    assert_eq!(host.owner.unheard(), []);
}

#[test]
fn what_cannot_cross_is_named_and_nothing_runs() {
    let host = host();
    let lua = &host.lua;
    lua.globals().set("Wait", lua.create_function(|_, _: Value| Ok(())).unwrap()).unwrap();
    lua.globals().set("handle", lua.create_any_userdata(1_u8).unwrap()).unwrap();
    let refused = |body: &str, expected: &str| {
        let script = format!("{body}\nreturn 'it was taken'");
        let error = host.run(&script).expect_err(body);
        assert!(error.contains(expected), "{body}\n  {error}\n  is not: {expected}");
        assert_eq!(host.owner.open(), 0);
    };
    refused("Async.Run(function()\n Wait(0) end)", "global `Wait` (line 2) is a function of the host");
    refused("Async.Run(function() total = 1 end)", "the global `total` is written in line 1 of script.lua");
    refused(
        "Async.Run(function()\n  return function() return function()\n total = 1 end end end)",
        "`total` is written in line 3",
    );
    refused("Async.Run(function() return _G end)", "line 1");
    refused(
        "local name = 'x'\nAsync.Run(function() return _ENV[name] end)",
        "line 2 of script.lua uses the table of all",
    );
    refused(
        "local rows = { {}, { owner = coroutine.create(print) } }\nAsync.Run(function() return rows end)",
        "upvalue `rows`[2].owner is a coroutine",
    );
    refused("Async.Run(function(x) return x end, { { handle } })", "argument 1[1][1] is a userdata");
    refused("Async.Run(function() return handle end)", "global `handle` (line 1) is a userdata");
    refused(
        "Async.Run(print, setmetatable({}, { __gc = function() end }))",
        "argument 1 is a table with a finalizer",
    );
    refused("Async.Run(5)", "expected a function, got a number");
    refused("Async.Await(5)", "expected a job of Async.Run, got a number");
    refused(
        "Async.Run(function() return #big end, string.rep('x', 65 * 1024 * 1024))",
        "argument 1: with it more than",
    );
}

#[test]
fn functions_of_very_many_constants_name_their_globals() {
    let constants: String = (0..300).map(|number| format!("'c{number}', ")).collect();
    let script = format!(
        "Rate = 5\nlocal f = function() local all = {{ {constants} }} return Rate + #all end\nreturn Async.Await(Async.Run(f))"
    );
    assert_eq!(host().run(&script).unwrap(), "305");
    let script = format!("local f = function() local all = {{ {constants} }} Rate = 1 end\nAsync.Run(f)");
    assert!(host().run(&script).unwrap_err().contains("`Rate` is written in line 1"));
}

#[test]
fn a_job_runs_while_its_owner_does() {
    let meet = Arc::new(Barrier::new(2));
    let define = move |lua: &Lua| {
        let meet = meet.clone();
        let thread = lua.create_function(|_, ()| Ok(format!("{:?}", std::thread::current().id())))?;
        lua.globals().set("thread", thread)?;
        // Both have to be in here at one time for either to go on.
        lua.globals().set("meet", lua.create_function(move |_, ()| Ok(meet.wait().is_leader()))?)
    };
    let host = host_with_both(Options::default(), define);
    let script = r#"
        local job = Async.Run(function() for _ = 1, 1000 do end meet() return thread() end)
        meet()
        return tostring(Async.Await(job) ~= thread())
    "#;
    assert_eq!(host.run(script).unwrap(), "true");
}

#[test]
fn packed_numbers_are_not_looked_at() {
    let address = |lua: &Lua| {
        let address = |_: &Lua, numbers: UserDataRef<Numbers>| Ok(numbers.as_slice().as_ptr() as i64);
        lua.globals().set("address", lua.create_function(address)?)
    };
    let host = host_with_both(Options::default(), address);
    let script = r#"
        local numbers = Async.Numbers(1000)
        for i = 1, #numbers do numbers[i] = i end
        local there, sum, back = Async.Await(Async.Run(function(numbers)
            local at, sum = address(numbers), 0
            for i = 1, #numbers do sum = sum + numbers[i] end
            numbers[1] = 100
            return at, sum, numbers
        end, numbers))
        assert(not pcall(function() return numbers[0] end) and not pcall(function() return numbers[1001] end))
        assert(#numbers:totable() == 1000 and Async.Numbers({ 1, 2 })[2] == 2)
        return table.concat({ tostring(there == address(numbers)), sum, numbers[1], back[1] }, ' ')
    "#;
    assert_eq!(host.run(script).unwrap(), "true 500500.0 1.0 100.0");
}

/// A value as Lua source, of numbers, texts, booleans and tables.
fn literal() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        any::<i64>()
            .prop_map(|number| format!("({number} // 1)"))
            .prop_filter("has no literal", |text| !text.contains("-9223372036854775808")),
        any::<i32>().prop_map(|number| format!("{number}.5")),
        any::<bool>().prop_map(|boolean| boolean.to_string()),
        "[a-z]{0,6}".prop_map(|text| format!("'{text}'")),
    ];
    plain.prop_recursive(4, 40, 6, |inner| {
        prop::collection::vec((prop::option::of("[a-f]"), inner), 0..6).prop_map(|fields| {
            let fields = fields.into_iter().map(|(name, value)| match name {
                Some(name) => format!("{name} = {value}, "),
                None => format!("{value}, "),
            });
            format!("{{ {} }}", fields.collect::<String>())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn copies_are_equal(value in literal()) {
        let script = format!(r#"
            local function same(a, b)
                if type(a) ~= 'table' then return a == b and math.type(a) == math.type(b) end
                if type(b) ~= 'table' then return false end
                for key, value in pairs(a) do if not same(value, b[key]) then return false end end
                for key in pairs(b) do if a[key] == nil then return false end end
                return true
            end
            local value = {value}
            local back = Async.Await(Async.Run(function(there) return there, value end, value))
            return tostring(same(value, back))
        "#);
        prop_assert_eq!(host().run(&script).unwrap(), "true");
    }
}
