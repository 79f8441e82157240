//! `Async`: functions of scripts on other threads.

use crate::world::{check, check_world};

#[test]
fn a_job_is_awaited_and_takes_no_virtual_time() {
    check(
        "local rates = { 2, 3, 5 }
         CreateThread(function()
             local job = Async.Run(function(n)
                 local sum = 0
                 for _, rate in ipairs(rates) do sum = sum + rate * n end
                 print('on a worker', sum)
                 return sum, nil, 'text'
             end, 10)
             print('asked', GetGameTimer(), job:done())
             print(Async.Await(job))
             print('there', GetGameTimer(), job:done(), (select('#', Async.Await(job))))
         end)",
        &["asked\t50\tfalse", "on a worker\t100", "100\tnil\ttext", "there\t100\ttrue\t3"],
    );
}

#[test]
fn jobs_are_waited_for_together() {
    check(
        "CreateThread(function()
             local function twice(x) return x * 2 end
             print(Async.All { Async.Run(twice, 1), Async.Run(twice, 2), Async.Run(twice, 3) })
             local at, value = Async.Race { Async.Run(twice, 4), Async.Run(twice, 4) }
             print(at == 1 or at == 2, value, GetGameTimer())
             local job = Async.Run(twice, 5)
             CreateThread(function() print('another', Async.Await(job)) end)
             Wait(50)
             print('one', Async.Await(job))
         end)",
        &["2\t4\t6", "true\t8\t150", "another\t10", "one\t10"],
    );
}

#[test]
fn errors_of_jobs_are_raised_where_they_are_awaited() {
    check(
        "CreateThread(function()
             local fine, problem = pcall(Async.Await, Async.Run(function() local none; return none.field end))
             print(fine, problem:match('^[^\\n]*'))
             print(problem:find('stack traceback') ~= nil)
             print(select(2, pcall(Async.Await, Async.Run(function() error({ code = 7 }) end))).code)
             print(pcall(Async.Run, function() Wait(0) end))
             print(pcall(Async.Run, function() total = 1 end))
             print(pcall(Async.Run, function() TriggerEvent('x') end))
             print(pcall(Async.Run, 'x'))
         end)",
        &[
            "false\t@a/main.lua:2: attempt to index a nil value (local 'none')",
            "true",
            "7",
            "false\tAsync.Run: global `Wait` (line 6) is a function of the host, which a worker has not; call it before or after, and pass values",
            "false\tAsync.Run: the global `total` is written in line 7 of @a/main.lua: a worker has globals of its own; return the value instead",
            "false\tAsync.Run: global `TriggerEvent` (line 8) is a function of the host, which a worker has not; call it before or after, and pass values",
            "false\tAsync.Run: expected a function, got a string",
        ],
    );
}

#[test]
fn jobs_end_with_their_resource() {
    check_world(
        &[
            ("a/fxmanifest.lua", "fx_version 'cerulean' server_script 's.lua'"),
            (
                "a/s.lua",
                "CreateThread(function() Async.Cancel(Async.Run(function() while true do end end)) local job = Async.Run(function() for _ = 1, 30000000 do end end) Wait(100) Async.Await(job) print('never') end)",
            ),
            ("b/fxmanifest.lua", "fx_version 'cerulean' server_script 's.lua'"),
            (
                "b/s.lua",
                "CreateThread(function() StopResource('a') Wait(100) print(Async.Await(Async.Run(function() return 'still there' end))) end)",
            ),
        ],
        6,
        &[": Stopping resource a", "b: still there"],
    );
}

#[test]
fn long_work_is_cut_to_a_budget() {
    check(
        "CreateThread(function()
             local sum, from = 0, GetGameTimer()
             Async.Budget(0.1, function(i) for _ = 1, 100000 do end sum = sum + i end, 1, 4)
             print(sum, GetGameTimer() > from)
             local numbers = Async.Numbers({ 1, 2, 3 })
             print(Async.Await(Async.Run(function(numbers) return #numbers + numbers[3] end, numbers)))
         end)",
        &["10\ttrue", "6.0"],
    );
}
