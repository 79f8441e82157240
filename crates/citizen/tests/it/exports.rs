//! Exports.

use crate::world::check_world;

#[track_caller]
fn check(exporter: &str, importer: &str, expected: &[&str]) {
    check_world(
        &[
            ("server.cfg", "ensure b\nensure a"),
            ("a/main.lua", importer),
            (
                "b/fxmanifest.lua",
                "fx_version 'cerulean' server_script 'main.lua' provide 'alias' exports { 'listed' } server_export 'other'",
            ),
            ("b/main.lua", exporter),
        ],
        12,
        expected,
    );
}

#[test]
fn both_styles_and_no_aliases() {
    check(
        "exports('add', function(a, b) return a + b, 'second' end)
         function listed(x) return x .. '!' end
         function other() return GetCurrentResourceName(), GetInvokingResource() end",
        "print(exports.b:add(1, 2)) print(exports['b']:listed('x')) print(exports.b:other()) print(pcall(function() exports.alias:add(3, 4) end))
         print(GetInvokingResource())",
        &["3\tsecond", "x!", "b\ta", "false\t@a/main.lua:1: No such export add in resource alias", "nil"],
    );
}

#[test]
fn what_does_not_exist_is_told() {
    check(
        "Thing = 5 function unlisted() end",
        "print(pcall(function() exports.b:nope() end)) print(pcall(function() exports.c:nope() end)) print(pcall(function() exports.b:unlisted() end))
         print(pcall(function() return exports.b.listed end)) print(pcall(exports, 'name', 5))",
        &[
            "false\t@a/main.lua:1: No such export nope in resource b",
            "false\t@a/main.lua:1: No such export nope in resource c",
            "false\t@a/main.lua:1: No such export unlisted in resource b",
            "false\t@a/main.lua:2: No such export listed in resource b",
            "false\tbad argument #3 to 'exports' (function expected, got integer)",
        ],
    );
}

#[test]
fn errors_are_raised_again_with_the_resource_named() {
    check(
        "exports('fail', function() error('no money') end)
         exports('object', function() error({ code = 5 }) end)
         exports('late', function() Wait(50) error('late') end)",
        "CreateThread(function()
            print(pcall(function() exports.b:fail() end)) print(pcall(function() exports.b:object() end))
            print(pcall(function() exports.b:late() end))
            exports.b:fail()
         end)",
        &[
            "false\t@a/main.lua:2: An error occurred while calling export `fail` in resource `b`:\n  @b/main.lua:1: no money",
            "false\t@a/main.lua:2: An error occurred while calling export `object` in resource `b`:\n  @b/main.lua:2: (error object) {\"code\":5}",
            "false\t@a/main.lua:3: An error occurred while calling export `late` in resource `b`:\n  @b/main.lua:3: late",
            "error a: main.lua:4: An error occurred while calling export `fail` in resource `b`:\n  @b/main.lua:1: no money",
        ],
    );
}

#[test]
fn an_export_that_waits_suspends_its_caller() {
    check(
        "exports('slow', function(x) Wait(100) return x, { x } end)
         exports('nested', function() return (exports.b:slow('inner')) end)",
        "CreateThread(function()
            local x, list = exports.b:slow('v') print(x, list[1], GetGameTimer())
            print(exports.b:nested(), GetGameTimer())
         end)",
        &["v\tv\t150", "inner\t250"],
    );
}

#[test]
fn functions_returned_by_exports_stay_callable() {
    check(
        "local n = 0 exports('counter', function() return { next = function(by) n = n + by return n end } end)",
        "local c = exports.b:counter() print(c.next(2), c.next(3)) collectgarbage() collectgarbage() print(c.next(1))
         CreateThread(function() Wait(100) collectgarbage() print(c.next(1)) end)",
        &["2\t5", "6", "7"],
    );
}

#[test]
fn a_stopped_resource_has_no_exports() {
    check_world(
        &[
            ("server.cfg", "ensure b\nensure a"),
            (
                "b/main.lua",
                "exports('f', function() return 'f' end) exports('g', function() return function() end end)",
            ),
            (
                "a/main.lua",
                "local f, g = exports.b.f, exports.b:g()
         CreateThread(function()
            print(exports.b:f(), StopResource('b')) Wait(0) Wait(0)
            print(GetResourceState('b'), pcall(f, nil)) print((select(2, pcall(g)):gsub('%d+ is', 'N is')))
            print(StartResource('b')) Wait(0) Wait(0) print(GetResourceState('b'), exports.b:f())
         end)",
            ),
        ],
        12,
        &[
            "f\t1",
            ": Stopping resource b",
            "stopped\tfalse\tNo such export f in resource b",
            "the function b:0:N is gone: its resource was stopped",
            ": Started resource b",
            "1",
            "started\tf",
        ],
    );
}

#[test]
fn a_handler_of_the_event_stands_in_for_an_export() {
    check(
        "local function stand_in(name, f) AddEventHandler('__cfx_export_' .. name, function(set) set(f) end) end
         stand_in('gone_sum', function(a, b) return a + b, GetInvokingResource() end)
         stand_in('alias_slow', function(x) Wait(100) return x end)
         stand_in('gone_fail', function() error('no') end)",
        "local gone = exports.gone
         print(gone:sum(1, 2)) print(gone.sum(nil, 3, 4)) print(pcall(function() return gone.other end))
         print(pcall(gone.fail))
         CreateThread(function()
            print(exports.alias:slow('v'), GetGameTimer())
            StopResource('b') Wait(0) Wait(0) print(pcall(gone.sum, nil, 1, 2))
            StartResource('b') Wait(0) Wait(0) print(gone:sum(5, 6))
         end)",
        &[
            "3\ta",
            "7\ta",
            "false\t@a/main.lua:2: No such export other in resource gone",
            "false\tAn error occurred while calling export `fail` in resource `gone`:\n  @b/main.lua:4: no",
            "v\t150",
            ": Stopping resource b",
            "false\tNo such export sum in resource gone",
            ": Started resource b",
            "11\ta",
        ],
    );
}

#[test]
fn an_export_can_be_asked_for_by_its_event() {
    check(
        "exports('items', function(x) return x .. ' of ' .. GetCurrentResourceName() end)",
        "TriggerEvent('__cfx_export_b_items', function(f) print(type(f), f('list')) end)
         TriggerEvent('__cfx_export_b_none', function() print('never') end)
         TriggerEvent('__cfx_export_c_items', function() print('never') end)",
        &["table\tlist of b"],
    );
}

#[test]
fn exports_are_only_to_be_called() {
    check(
        "exports('args', function(...) return select('#', ...), ... end)
         exports('table', setmetatable({}, { __call = function(_, x) return 'called', x end }))",
        "print(pcall(function() exports.b = 1 end)) print(pcall(function() exports.b.args = 1 end))
         print(next(exports), next(exports.b), exports.b.args == exports.b.args)
         print(exports.b:args(nil, 2, nil)) print(exports.b.args(nil, 1)) print(exports.b:table('x'))
         print(pcall(exports.b.args, nil, coroutine.create(print)))",
        &[
            "false\t@a/main.lua:1: cannot set values on exports",
            "false\t@a/main.lua:1: cannot set values on an export resource",
            "nil\tnil\ttrue",
            "3\tnil\t2\tnil",
            "1\t1",
            "called\tx",
            "false\tAn error occurred while calling export `args` in resource `b`:\n  cannot write a value of type thread",
        ],
    );
}

#[test]
fn references_are_tables_that_can_be_called_and_not_looked_into() {
    check_world(
        &[
            ("a/main.lua", "exports('give', function() return function(x) return (x or 0) + 1 end end)"),
            (
                "b/main.lua",
                "local f = exports.a:give()
                 print(type(f), type(f.__cfx_functionReference), type(getmetatable(f).__call), f(1))
                 print(pcall(function() return f.name end)) print(pcall(function() f.name = 1 end))
                 local meta = getmetatable(f) meta.__index = nil meta.__newindex = nil f.name = 'mine'
                 print(f.name, f(2), exports.a:give().name)
                 local text = DuplicateFunctionReference(f.__cfx_functionReference)
                 print(text == f.__cfx_functionReference, DuplicateFunctionReference('a:0:999'), DuplicateFunctionReference('x'))
                 DeleteFunctionReference(text) f = nil collectgarbage()
                 SetTimeout(100, function() print(DuplicateFunctionReference(text)) end)",
            ),
        ],
        5,
        &[
            "b: table\tstring\tfunction\t2",
            "b: false\t@b/main.lua:3: Cannot index a funcref",
            "b: false\t@b/main.lua:3: Cannot set indexes on a funcref",
            "b: mine\t3\tnil",
            "b: true\tnil\tnil",
            "b: nil",
        ],
    );
}

#[test]
fn references_as_text_are_called_with_packed_arguments() {
    check_world(
        &[
            ("a/main.lua", "exports('give', function() return Citizen.GetFunctionReference(function(...) return select('#', ...), ... end) end)"),
            (
                "b/main.lua",
                "local text = exports.a:give()
                 print(msgpack.unpack(Citizen.InvokeFunctionReference(text, msgpack.pack_args('x', nil)))[1])
                 print(table.unpack(msgpack.unpack(Citizen.InvokeFunctionReference(text, msgpack.pack_args(1, 2)))))
                 print(#msgpack.unpack(Citizen.InvokeFunctionReference(text, msgpack.pack_args())), Citizen.CanonicalizeRef(7))
                 print(pcall(Citizen.InvokeFunctionReference, 'a:0:999', msgpack.pack_args()))
                 print(pcall(Citizen.InvokeFunctionReference, text, 'x')) print(pcall(Citizen.InvokeFunctionReference, {}))",
            ),
        ],
        1,
        &[
            "b: 2",
            "b: 2\t1\t2",
            "b: 1\tb:0:7",
            "b: false\tthe function a:0:999 is gone: its resource was stopped",
            "b: false\tbad argument #2 to 'InvokeFunctionReference' (packed list expected)",
            "b: false\tbad argument #1 to 'InvokeFunctionReference' (reference expected)",
        ],
    );
}
