//! How jobs end, and who hears of it.

use std::time::{Duration, Instant};

use tickscope_worker::Options;

use crate::{host, host_with};

#[test]
fn errors_carry_both_stacks() {
    let script = r#"
        local function deep() error('no such row') end
        local job = Async.Run(function() deep() end)
        local fine, problem = xpcall(Async.Await, debug.traceback, job)
        assert(not fine)
        assert(problem:find('script.lua:2: no such row', 1, true), problem)
        assert(problem:find("in upvalue 'deep'", 1, true), problem)
        local _, stacks = problem:gsub('stack traceback', '')
        assert(stacks == 2, problem)
        return 'ok'
    "#;
    assert_eq!(host().run(script).unwrap(), "ok");
}

#[test]
fn anything_may_be_raised() {
    let script = r#"
        local function raised(f) return select(2, pcall(Async.Await, Async.Run(f))) end
        local object = raised(function() error({ code = 404 }) end)
        assert(object.code == 404)
        assert(raised(function() error(nil) end) == nil)
        assert(raised(function() error(coroutine.create(print)) end):find('thread'))
        assert(raised(function() error(setmetatable({}, { __tostring = function() return 'me' end })) end))
        local job = Async.Run(function() error({}) end)
        pcall(Async.Await, job)
        assert(job:traceback():find('script.lua:8'), job:traceback())
        return 'ok'
    "#;
    assert_eq!(host().run(script).unwrap(), "ok");
}

#[test]
fn many_may_wait_for_one_job_and_again() {
    let script = r#"
        local job = Async.Run(function() return { 1 } end)
        local heard = 0
        for _ = 1, 3 do
            coroutine.wrap(function() if Async.Await(job)[1] == 1 then heard = heard + 1 end end)()
        end
        local first, again = Async.Await(job), Async.Await(job)
        return heard .. ' ' .. tostring(first == again)
    "#;
    assert_eq!(host().run(script).unwrap(), "3 true");
}

#[test]
fn only_coroutines_wait() {
    let host = host();
    let error = host.lua.load("Async.Await(Async.Run(function() end))").exec().unwrap_err().to_string();
    assert!(error.contains("only a coroutine can wait for a job"), "{error}");
}

#[test]
fn lists_of_jobs() {
    let script = r#"
        local function after(turns, value) return Async.Run(function(turns, value)
            for i = 1, turns do end
            return value
        end, turns, value) end
        local a, b, c = Async.All { after(1000000, 'a'), after(1, nil), after(1, 'c') }
        local at, value = Async.Race { after(300000000, 'slow'), after(1, 'fast') }
        assert(not pcall(Async.Race, {}) and select('#', Async.All {}) == 0)
        local fine, problem = pcall(Async.All, { after(1, 1), Async.Run(function() error('broken', 0) end) })
        assert(not fine and problem:find('^broken'))
        return table.concat({ a, tostring(b), c, at, value }, ' ')
    "#;
    assert_eq!(host().run(script).unwrap(), "a nil c 2 fast");
}

#[test]
fn a_job_is_taken_back() {
    let script = r#"
        local endless = Async.Run(function() while true do pcall(function() while true do end end) end end)
        local turns = Async.Run(function() local co = coroutine.wrap(function() while true do end end) co() end)
        local queued = Async.Run(function() return 'ran' end)
        assert(Async.Cancel(queued) and Async.Cancel(endless) and Async.Cancel(turns))
        for _, job in ipairs { endless, turns, queued } do
            local fine, problem = pcall(Async.Await, job)
            assert(not fine and problem:find('cancelled'), problem)
        end
        local over = Async.Run(function() return 'over' end)
        Async.Await(over)
        assert(Async.Cancel(over) == false and Async.Await(over) == 'over')
        -- the workers are as before
        return Async.Await(Async.Run(function() return 'fine' end))
    "#;
    assert_eq!(host().run(script).unwrap(), "fine");
}

#[test]
fn a_job_that_takes_too_long_is_stopped() {
    let script = r#"
        local job = Async.Timeout(Async.Run(function()
            local co = coroutine.create(function() while true do pcall(error) end end)
            while true do coroutine.resume(co) end
        end), 50)
        local fine, problem = pcall(Async.Await, job)
        assert(not fine)
        assert(Async.Await(Async.Timeout(Async.Run(function() return 1 end), 60000)) == 1)
        return problem
    "#;
    assert!(host().run(script).unwrap().contains("longer than it may"));
}

#[test]
fn work_is_cut_to_a_budget() {
    let host = host();
    let script = r#"
        local sum, ticks = 0, 0
        local done = coroutine.wrap(function()
            Async.Budget(0.5, function(i) for _ = 1, 20000 do end sum = sum + i end, 1, 200)
            return 'done'
        end)
        while true do
            ticks = ticks + 1
            if done() == 'done' then break end
        end
        return sum .. ' ' .. tostring(ticks > 1)
    "#;
    assert_eq!(host.run(script).unwrap(), "20100 true");
}

#[test]
fn an_owner_that_is_gone_leaves_no_job() {
    let host = host_with(Options { workers: Some(1), ..Options::default() });
    let start = Instant::now();
    host.lua.load("for i = 1, 3 do Async.Run(function() while true do end end) end").exec().unwrap();
    assert_eq!(host.owner.open(), 3);
    drop(host); // returns: each of the three was stopped or never began
    assert!(start.elapsed() < Duration::from_secs(60));
}
