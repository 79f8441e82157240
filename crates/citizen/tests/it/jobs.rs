//! `Async`: functions of scripts on other threads.

use tickscope_core::{ArgValue, CategoryId, Event, LinkKind};

use crate::world::{World, check, check_world};

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

#[test]
fn vectors_cross_and_are_what_they_were() {
    check(
        "CreateThread(function()
             local here = vector3(1, 2.5, -3)
             local glm = require 'glm'
             local turn = mat3x3(vec3(1, 2, 3), vec3(4, 5, 6), vec3(7, 8, 9))
             local path = { [here] = 'here', vec2(1, 2), quat(1, 0, 0, 0) }
             local there, size, told, length, first = Async.Await(Async.Run(function(path)
                 local glm = require 'glm'
                 local there = here + vec3(1, 1, 1)
                 path[there] = path[here] .. ' and there'
                 return there, #(here - there) ^ 2, { path[there], type(path[1]), type(path[2]), type(turn) }, glm.length(path[1]), turn[2]
             end, path))
             print(there, there == vec3(2, 3.5, -2), size)
             print(table.concat(told, ', '))
             print(math.abs(length - glm.length(vec2(1, 2))) < 1e-6, first == turn[2])
         end)",
        &[
            "vec3(2.000000, 3.500000, -2.000000)\ttrue\t1.7320507764816",
            "here and there, vector2, quat, matrix",
            "true\ttrue",
        ],
    );
}

#[test]
fn workers_read_and_write_json_and_messages() {
    check(
        "CreateThread(function()
             local encode = json.encode
             print(Async.Await(Async.Run(function(text)
                 local bank = json.decode(text)
                 bank.total = 0
                 for _, row in ipairs(bank.rows) do bank.total = bank.total + row end
                 local nothing, place, problem = json.decode('[1,')
                 return encode(bank, { sort_keys = true }), nothing, place, problem
             end, '{\"rows\":[1,2,3]}')))
             print(Async.Await(Async.Run(function()
                 local a, b = msgpack.unpack(msgpack.pack({ 1, 'two' }, vec3(1, 2, 3)))
                 return a[2], b
             end)))
             local function refused(f) return (select(2, pcall(Async.Await, Async.Run(f))):match('^[^\\n]*')) end
             print(refused(function() json.encode({ print }) end))
             print(refused(function() json.encode({}, { exception = print }) end))
             print(refused(function() json.decode(nil) end))
             print(refused(function() msgpack.pack(print) end))
             print(refused(function() msgpack.unpack('\\xc1') end))
             json.encode = nil
             print(Async.Await(Async.Run(function() json.mine = 1 return type(json.encode) end)))
             print(Async.Await(Async.Run(function() return json.mine end)))
         end)",
        &[
            "{\"rows\":[1,2,3],\"total\":6}\tnil\t4\texpected a value, found the end of the text at byte 4",
            "two\tvec3(1.000000, 2.000000, 3.000000)",
            "@a/main.lua:15: json.encode: cannot write a value of type function",
            "@a/main.lua:16: json.encode: `exception` is a function, and there is none on a worker",
            "@a/main.lua:17: json.decode: expected a string, got nil",
            "@a/main.lua:18: msgpack.pack: a function cannot be called from elsewhere while it is on a worker",
            "@a/main.lua:19: msgpack.unpack: a byte that no value begins with at byte 1",
            "function",
            "nil",
        ],
    );
}

#[test]
fn what_went_wrong_in_a_job_that_nobody_awaits_is_told() {
    check(
        "CreateThread(function()
             Async.Run(function() local none; return none.field end)
             Async.Cancel(Async.Run(function() while true do end end))
             local looked_at = Async.Run(function() error('looked at') end)
             Wait(50)
             pcall(Async.Await, looked_at)
             looked_at = nil
             collectgarbage()
             Wait(0)
             print('goes on')
             kept = Async.Run(function() error('kept') end)
         end)",
        &[
            "error a: main.lua:2: attempt to index a nil value (local 'none') (in a job that nobody awaited)",
            "goes on",
            "error a: main.lua:11: kept (in a job that nobody awaited)",
        ],
    );
}

#[test]
fn a_job_is_caused_by_who_gave_it_and_its_queue_wait_stands_apart() {
    let (sink, ran) = World::new(&[(
        "a/main.lua",
        "CreateThread(function()
             local function long() local sum = 0 for n = 1, 3000000 do sum = sum + n end return sum end
             local jobs = {}
             for n = 1, 32 do jobs[n] = Async.Run(long) end
             Async.All(jobs)
             print('over')
         end)",
    )])
    .record(3);
    assert_eq!(ran.lines, ["a: over"]);
    let names = &sink.dictionary;
    let (mut jobs, mut times) = (Vec::new(), Vec::new());
    for sample in &sink.samples {
        match sample.event {
            Event::Begin(begin) if begin.category == CategoryId::TASK => {
                assert_eq!(&*names.symbol(begin.symbol).name, "job main.lua:2");
                assert_eq!(begin.link.map(|link| link.kind), Some(LinkKind::Flow));
                jobs.push(begin.span);
            }
            Event::End(end) if jobs.contains(&end.span) => {
                let batch = sink.as_batch();
                let time = batch.args(end.args).iter().map(|arg| match (names.key(arg.key), arg.value) {
                    ("queued_ns" | "ran_ns", ArgValue::Uint(time)) => time,
                    other => panic!("{other:?}"),
                });
                times.push(time.collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    assert_eq!((jobs.len(), times.len()), (32, 32));
    // With fewer workers than jobs, the last of them waited for longer than one takes.
    let shortest = times.iter().map(|time| time[1]).min().unwrap();
    let most = times.iter().map(|time| time[0]).max().unwrap();
    assert!(
        shortest > 0 && (most > shortest || std::thread::available_parallelism().unwrap().get() > 32),
        "{times:?}"
    );
}
