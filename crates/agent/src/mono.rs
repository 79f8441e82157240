//! The program's Mono, told to tell.

use tickscope_core::{Depth, Ticks};
use tickscope_hooks::mono::{self, Api, Calls};
use tickscope_session::ThreadRecorder;

use crate::{home, thread};

/// Finds a Mono and registers a profiler with it; which one, and why not. `None` when the program has none.
///
/// # Safety
/// No other thread of the program runs.
pub(crate) unsafe fn install(deepest: Depth) -> Option<Result<String, String>> {
    Some(Api::find(install as *const ())?.and_then(|(api, module)| {
        // SAFETY: the program has not begun, so that its Mono has not either.
        unsafe { mono::install::<Agent>(api, deepest) }?;
        Ok(format!("Mono in {}", module.path.display()))
    }))
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
}
