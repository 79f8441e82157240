//! Threads, waits, timers, promises.

use crate::world::{check, check_world};

#[test]
fn threads_start_with_the_next_tick_and_wait_in_ticks() {
    check(
        "CreateThread(function() print('begins', GetGameTimer()) Wait(0) print('next', GetGameTimer()) Wait(60) print('later', GetGameTimer()) end)
         Citizen.CreateThreadNow(function() print('now', GetGameTimer()) Citizen.Wait(0) print('now next', GetGameTimer()) end)
         print('main ends')",
        &["now\t0", "main ends", "begins\t50", "now next\t50", "next\t100", "later\t200"],
    );
}

#[test]
fn waits_of_any_kind_end() {
    check(
        "CreateThread(function() Wait() print('nothing', GetGameTimer()) Wait(-5) print('negative', GetGameTimer()) Wait(0.7) print('fraction', GetGameTimer()) coroutine.yield() print('yield', GetGameTimer()) Wait('50') print('text', GetGameTimer()) print(Wait(0)) print(pcall(Wait, 'x')) end)",
        &[
            "nothing\t100",
            "negative\t150",
            "fraction\t200",
            "yield\t250",
            "text\t300",
            "",
            "false\tbad argument #1 to 'Wait' (number expected, got string)",
        ],
    );
}

#[test]
fn a_file_may_wait_and_the_next_one_is_loaded_meanwhile() {
    check_world(
        &[
            ("a/fxmanifest.lua", "fx_version 'cerulean' server_scripts { '1.lua', '2.lua' }"),
            ("a/1.lua", "print('first') Wait(50) print('first again')"),
            ("a/2.lua", "print('second')"),
        ],
        3,
        &["first", "second", "first again"],
    );
}

#[test]
fn timers_fire_once_and_can_be_taken_back() {
    check(
        "local id = SetTimeout(100, function() print('never') end)
         SetTimeout(100, function() print('fired', GetGameTimer()) SetTimeout(0, function() print('nested', GetGameTimer()) end) end)
         ClearTimeout(id) ClearTimeout(12345)
         SetTimeout(50, function() Wait(100) print('a timer may wait', GetGameTimer()) end)",
        &["fired\t100", "nested\t150", "a timer may wait\t150"],
    );
}

#[test]
fn equal_times_run_in_the_order_they_were_asked_for() {
    check(
        "for i = 1, 5 do CreateThread(function() for _ = 1, 2 do print(i) Wait(0) end end) end",
        &["1", "2", "3", "4", "5", "1", "2", "3", "4", "5"],
    );
}

#[test]
fn promises_settle_once_and_chain() {
    check(
        "local p = promise.new()
         p:next(function(v) print('got', v) return v + 1 end):next(function(v) print('then', v) error('broken') end)
          :next(function() print('skipped') end, function(why) print('caught', (why:gsub('^.-: ', ''))) return promise.new():resolve('x') end)
          :next(function(v) print('last', v) end)
         p:resolve(1) p:resolve(2) p:reject(3)
         p:next(function(v) print('late', v) end)
         promise.all({ promise.new():resolve('a'), promise.new():resolve('b') }):next(function(l) print(#l, l[1], l[2]) end)
         promise.first({ promise.new(), promise.new():reject('no') }):next(nil, function(why) print('first', why) end)
         promise.new(function(own) own:resolve(9) end):next(print)
         print(p.state, p.value)",
        &["got\t1", "then\t2", "caught\tbroken", "last\tx", "late\t1", "2\ta\tb", "first\tno", "9", "3\t1"],
    );
}

#[test]
fn a_promise_made_with_a_colon_is_an_ordinary_one() {
    check("local p = promise:new() print(p.state) p:resolve('v') print(p.state, p.value)", &["0", "3\tv"]);
}

#[test]
fn lists_of_promises_end_when_all_have_ended() {
    check(
        "local slow = promise.new()
         promise.all({ promise.new():reject('no'), slow }):next(print, function(list) print('ended', list[1], list[2]) end)
         print('waits') slow:resolve('yes')
         promise.map({ 1, 2, 3 }, function(n) print('start', n) return promise.new():resolve(n * 2) end)
            :next(function(list) print(table.concat(list, ' ')) end)
         promise.map({ 1, 2 }, function(n) return promise.new():reject('at ' .. n) end):next(nil, print)",
        &["waits", "ended\tno\tyes", "start\t1", "start\t2", "start\t3", "2 4 6", "at 1"],
    );
}

#[test]
fn threads_are_called_with_their_number() {
    check(
        "local made = CreateThread(function(id) print('later', id == made_global) end) made_global = made
         local now = CreateThreadNow(function(id) print('now', math.type(id)) seen = id end)
         print(now == seen, made ~= now)
         SetTimeout(0, function(...) print('timers are not', select('#', ...)) end)",
        &["now\tinteger", "true\ttrue", "later\ttrue", "timers are not\t0"],
    );
}

#[test]
fn what_can_be_called_serves_as_a_function() {
    check(
        "local callable = setmetatable({ name = 'c' }, { __call = function(self, ...) print(self.name, select('#', ...), ...) end })
         AddEventHandler('e', callable) TriggerEvent('e', 1, 2)
         SetTimeout(0, callable) CreateThreadNow(setmetatable({}, { __call = function() Wait(50) print('waited') end }))
         RegisterCommand('c', setmetatable({}, { __call = function(_, source, args, raw) print(source, #args, raw) end }))
         ExecuteCommand('c x')
         print(pcall(SetTimeout, 0, {}))",
        &[
            "c\t2\t1\t2",
            "0\t1\tc x",
            "false\tbad argument #2 to 'SetTimeout' (function expected, got table)",
            "c\t0",
            "waited",
        ],
    );
}

#[test]
fn awaits_suspend_until_the_answer_and_go_on_at_once() {
    check(
        "local function later(ms, what, value) local p = promise.new() SetTimeout(ms, function() p[what](p, value) end) return p end
         CreateThread(function()
            print(Citizen.Await(promise.new():resolve('at once')), GetGameTimer())
            print(Citizen.Await(later(100, 'resolve', 'value')), GetGameTimer())
            print(pcall(Citizen.Await, later(0, 'reject', 'reason')))
            local ok, why = pcall(Citizen.Await, later(0, 'reject', { code = 5 })) print(ok, why.code)
            print(pcall(Citizen.Await, 5))
            Citizen.Await(promise.new():reject('uncaught'))
         end)",
        &[
            "at once\t50",
            "value\t150",
            "false\treason",
            "false\t5",
            "false\tbad argument #1 to 'Await' (table expected, got integer)",
            "error a: main.lua:8: uncaught",
        ],
    );
}

#[test]
fn two_coroutines_may_await_one_promise() {
    check(
        "local p = promise.new()
         for i = 1, 2 do CreateThread(function() print(i, Citizen.Await(p)) end) end
         SetTimeout(100, function() p:resolve('v') end)",
        &["1\tv", "2\tv"],
    );
}

#[test]
fn scripts_may_use_coroutines_of_their_own() {
    check(
        "CreateThread(function()
            local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
            print(gen(), gen(), gen())
            local co = coroutine.create(function() error('inside') end)
            print(coroutine.resume(co))
            print(coroutine.status(co), coroutine.isyieldable())
         end)",
        &["1\t2\t3", "false\t@a/main.lua:4: inside", "dead\ttrue"],
    );
}

#[test]
fn a_token_a_script_makes_up_wakes_nobody() {
    check(
        "CreateThread(function()
            local co = coroutine.wrap(function() return Citizen.Await(promise.new()) end)
            local tag, token = co()
            coroutine.yield(tag, token + 1000)
            print('never')
         end)
         CreateThread(function() Wait(0) print('others run') end)",
        &["others run"],
    );
}
