//! The program's Mono, told to tell.

use tickscope_core::{Depth, Ticks};
use tickscope_hooks::lock::ForkLock;
use tickscope_hooks::mono::{self, Api, Calls};
use tickscope_session::ThreadRecorder;

use crate::{attach, home, thread};

/// The Mono that was found: which one it is, or why it is not recorded.
static FOUND: ForkLock<Option<Result<String, String>>> = ForkLock::new(None);

/// Finds a Mono and registers a profiler with it; which one, and why not. `None` when the program has none. Once is enough.
pub(crate) fn install(deepest: Depth) -> Option<Result<String, String>> {
    let mut found = FOUND.lock();
    if found.is_none() {
        *found = Some(Api::find(install as *const ())?.and_then(|(api, module)| {
            let module = module.path.display();
            // SAFETY: what was found stays loaded.
            unsafe { mono::install::<Agent>(api, deepest) }
                .map_err(|why| format!("the Mono in {module} is not recorded: {why}"))?;
            attach::stays();
            Ok(format!("Mono in {module}"))
        }));
    }
    found.clone()
}

struct Agent;

impl mono::Host for Agent {
    type Recorder = ThreadRecorder;

    #[inline]
    fn here(make: bool) -> Option<(&'static ThreadRecorder, &'static Calls)> {
        let thread = if make { thread::current() } else { thread::existing() }?;
        Some((thread.recorder(), thread.managed()))
    }

    fn own_thread(name: &str) -> Option<ThreadRecorder> {
        Some(home::get()?.session()?.thread(name))
    }

    #[inline]
    fn depth() -> Depth {
        home::get().map_or(Depth::Boundary, |home| match home.made() {
            Some(session) => session.depth().get(),
            None => home.settings.depth,
        })
    }

    fn now() -> Ticks {
        home::get().and_then(|home| home.made()).map_or(Ticks(0), |session| session.clock().now())
    }

    fn sample_hz() -> u32 {
        home::get().map_or(1_000, |home| home.settings.hz)
    }

    fn say(text: &str) {
        if let Some(home) = home::get() {
            home.say(text);
        }
    }
}
