//! What a worker may use.

use std::sync::Arc;

use tickscope_worker::Options;

use crate::host_with;

#[test]
fn memory_is_limited_and_the_worker_goes_on() {
    let host = host_with(Options { memory: 16 << 20, ..Options::default() });
    let script = r#"
        local fine, problem = pcall(Async.Await, Async.Run(function()
            local all = {}
            while true do all[#all + 1] = string.rep('x', 100000) .. #all end
        end))
        assert(not fine and problem:find('more than 16777216 bytes'), problem)
        -- one that catches the error keeps running, and is in bounds
        local caught = Async.Await(Async.Run(function()
            local fine = pcall(function() return string.rep('x', 1 << 28) end)
            return tostring(fine)
        end))
        return caught
    "#;
    assert_eq!(host.run(script).unwrap(), "false");
}

#[test]
fn results_are_limited() {
    let host = host_with(Options { parcel: 1 << 20, ..Options::default() });
    let script = r#"
        local fine, problem = pcall(Async.Await, Async.Run(function() return { text = string.rep('x', 2 << 20) } end))
        return problem
    "#;
    let problem = host.run(script).unwrap();
    assert!(
        problem.contains("the result cannot be returned: result 1.text: with it more than 1048576 bytes"),
        "{problem}"
    );
    let script = r#"
        local fine, problem = pcall(Async.Await, Async.Run(function() return coroutine.create(print) end))
        return problem
    "#;
    assert!(host.run(script).unwrap().contains("result 1 is a coroutine"));
}

#[test]
fn a_full_queue_refuses() {
    let host = host_with(Options { workers: Some(1), queue: 4, ..Options::default() });
    let script = r#"
        local jobs, problem = {}, nil
        for i = 1, 100 do
            local fine, job = pcall(Async.Run, function() while true do end end)
            if not fine then problem = job break end
            jobs[#jobs + 1] = job
        end
        for _, job in ipairs(jobs) do Async.Cancel(job) end
        return problem
    "#;
    let problem = host.run(script).unwrap();
    assert!(problem.contains("full"), "{problem}");
}

#[test]
fn hosts_that_cannot_prepare_are_told() {
    let prepare = Arc::new(|_: &mlua::Lua| Err(mlua::Error::runtime("no such library")));
    let error = tickscope_worker::Workers::start(Options { prepare: Some(prepare), ..Options::default() });
    assert!(error.err().unwrap().to_string().contains("no such library"));
}
