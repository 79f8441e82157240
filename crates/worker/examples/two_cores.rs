//! A script that computes on two workers while its own tick goes on.
//!
//! ```console
//! $ cargo run --release -p tickscope-worker --example two_cores
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
        local below, above = Async.All { Async.Run(primes, 1, 300000), Async.Run(primes, 300001, 500000) }
        print(below + above .. ' primes below 500,000')
    end)()
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let workers = Arc::new(Workers::start(Options { workers: Some(2), ..Options::default() })?);
    let lua = mlua::Lua::new();
    let owner = Owner::new(&lua, workers, || {})?;
    lua.globals().set("Async", library(&lua, &owner)?)?;
    lua.load(SCRIPT).exec()?;
    let (mut ticks, mut longest) = (0, Duration::ZERO);
    while owner.open() > 0 {
        let start = Instant::now();
        owner.tick(&lua);
        longest = longest.max(start.elapsed());
        ticks += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{ticks} ticks meanwhile, the longest {:.2} ms", longest.as_secs_f64() * 1_000.0);
    Ok(())
}
