//! Scripts and their workers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(unsafe_code)]

mod crossing;
mod ends;
mod limits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Function, Lua, Table, Thread, Value};
use tickscope_worker::{Options, Owner, Workers, library};

pub(crate) struct Host {
    pub(crate) lua: Lua,
    pub(crate) owner: Owner,
}

pub(crate) fn host_with(options: Options) -> Host {
    host_with_both(options, |_| Ok(()))
}

/// With a library that owner and workers have.
pub(crate) fn host_with_both(
    mut options: Options,
    prepare: impl Fn(&Lua) -> mlua::Result<()> + Send + Sync + 'static,
) -> Host {
    // Debug information of the tests' own scripts is looked at, so the owner has all libraries.
    // SAFETY: scripts of these tests do nothing to the machine with them.
    let lua = unsafe { Lua::unsafe_new() };
    prepare(&lua).unwrap();
    options.workers = options.workers.or(Some(2));
    if options.prepare.is_none() {
        options.prepare = Some(Arc::new(prepare));
    }
    let workers = Arc::new(Workers::start(options).unwrap());
    let owner = Owner::new(&lua, workers, || {}).unwrap();
    let library: Table = library(&lua, &owner).unwrap();
    lua.globals().set("Async", library).unwrap();
    Host { lua, owner }
}

pub(crate) fn host() -> Host {
    host_with(Options::default())
}

impl Host {
    /// Runs a script in a coroutine, with ticks until it has ended; what it answered, or its error.
    pub(crate) fn run(&self, script: &str) -> Result<String, String> {
        let function: Function = self.lua.load(script).set_name("@script.lua").into_function().unwrap();
        let wrapped: Function = self
            .lua
            .load(
                "local f = ... return function() ended = nil local ok, r = pcall(f) ended = { ok, tostring(r) } end",
            )
            .call(function)
            .unwrap();
        let thread: Thread = self.lua.create_thread(wrapped).unwrap();
        thread.resume::<()>(()).unwrap();
        let start = Instant::now();
        loop {
            if let Value::Table(ended) = self.lua.globals().get::<Value>("ended").unwrap() {
                let text: String = ended.get(2).unwrap();
                return if ended.get(1).unwrap() { Ok(text) } else { Err(text) };
            }
            assert!(start.elapsed() < Duration::from_secs(60), "the script waits for ever");
            let (_, failed) = self.owner.tick(&self.lua);
            assert!(failed.is_empty(), "{failed:?}");
            std::thread::yield_now();
        }
    }
}
