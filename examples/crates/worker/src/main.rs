//! A script that computes on two workers while its host ticks on.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tickscope_worker::{Options, Owner, Workers, library};

const SCRIPT: &str = r#"
    local function primes(first, last)
        local count = 0
        for n = first, last do
            local prime = n > 1
            for d = 2, math.floor(math.sqrt(n)) do
                if n % d == 0 then prime = false break end
            end
            if prime then count = count + 1 end
        end
        return count
    end
    coroutine.wrap(function()
        local below, above = Async.All { Async.Run(primes, 1, 60000), Async.Run(primes, 60001, 100000) }
        print(below + above .. ' primes below 100,000')
    end)()
    print(select(2, pcall(Async.Run, function() Wait(0) end)))
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let workers = Arc::new(Workers::start(Options { workers: Some(2), ..Options::default() })?);
    let lua = mlua::Lua::new();
    let owner = Owner::new(&lua, workers, || {})?; // called when an answer is there: to wake a tick that sleeps
    lua.globals().set("Async", library(&lua, &owner)?)?;
    lua.globals().set("Wait", lua.create_function(|_, _: u64| Ok(()))?)?;
    lua.load(SCRIPT).set_name("@primes.lua").exec()?;
    while owner.open() > 0 {
        owner.tick(&lua);
        std::thread::sleep(Duration::from_millis(1)); // the rest of a tick
    }
    Ok(())
}
