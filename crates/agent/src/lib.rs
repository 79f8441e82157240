//! The library that `tickscope record` preloads into a program, or loads into one that runs: it finds the Lua and the
//! Mono inside and records what they do.
//!
//! # How it works
//! The loader calls `start` before the program's `main`. It looks for a Lua among the loaded modules, by symbols, and
//! detours thirteen of its functions; with a Mono it registers a profiler (`mono.rs`). What is not there may be loaded later, and
//! is looked for then (`late.rs`). The first thread that has something to record makes the session, a file in shared memory that
//! `tickscope record` collects from; each such thread gets a ring there, and what runs Lua a tracer.
//!
//! When it is loaded into a program that runs, a thread that was started from outside calls it instead, and the jumps of
//! the detours are written, and taken out again, from outside.
//!
//! # Guarantees
//! - A program behaves as without the agent: arguments, results, errors, yields and its own hooks pass through.
//! - What cannot be done is noted for `tickscope record` to show, and the program runs unrecorded.
//! - Nothing unwinds into the program, and no frame that Lua's errors jump over owns anything.
//! - The child of a fork records into a session of its own, never into its parent's rings.
//!
//! # Deliberately absent
//! Mono whose runtime had started before we came: it takes no sampler any more. Traces of LuaJIT: it is sampled, see
//! `jit.rs`.
mod attach;
pub mod c;
mod c_library;
mod cancel;
mod detours;
mod filter;
mod home;
mod install;
mod io;
mod jit;
mod late;
mod mono;
mod reserve;
mod settings;
mod thread;

use cancel::Uncancelled;
use home::Home;
use install::Place;
use settings::Settings;

/// Called by the loader before `main`, while the process has one thread.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    // Nothing unwinds into the loader; a program whose agent fails runs without.
    let _ = std::panic::catch_unwind(|| {
        let Some(settings) = std::env::var_os(settings::VARIABLE).and_then(|text| Settings::parse(&text))
        else {
            return;
        };
        let home = attach::begin(settings);
        watch_forks();
        // SAFETY: the loader runs constructors before the program can start a thread.
        let found = unsafe { Found::look(home) };
        // SAFETY: as above.
        let watched = if found.everything() { Ok(()) } else { unsafe { late::watch() } };
        found.note(home, watched.err().map(|why| format!("; what it loads later is not seen: {why}")));
        if home.settings.io {
            // SAFETY: as above.
            if let Err(why) = unsafe { io::install() } {
                home.note(&why);
            }
        }
    });
}

/// What of the program can be recorded, and why not otherwise.
struct Found {
    lua: Result<String, String>,
    mono: Option<Result<String, String>>,
}

impl Found {
    /// Finds and hooks what is not hooked yet.
    ///
    /// # Safety
    /// No other thread of the program runs a Lua that was not there at the last look.
    unsafe fn look(home: &Home) -> Self {
        // SAFETY: passed on to the caller.
        let lua = unsafe { install::install(Place::BeforeMain) };
        Self { lua, mono: mono::install(home.settings.depth) }
    }

    /// Whether there is nothing left to look for.
    fn everything(&self) -> bool {
        self.lua.is_ok() && self.mono.is_some()
    }

    /// Leaves word of it for `tickscope record`.
    fn note(&self, home: &Home, unseen: Option<String>) {
        match (&self.lua, &self.mono) {
            (Ok(lua), Some(Ok(mono))) => home.note(&format!("{lua} and {mono} ran nothing")),
            (Ok(lua), Some(Err(why))) => {
                home.note(&format!("{lua} ran nothing; {why}"));
                home.say(why);
            }
            (Ok(found), _) | (_, Some(Ok(found))) => home.note(&format!("{found} ran nothing")),
            (Err(_), Some(Err(why))) | (Err(why), None) => {
                home.note(&format!("{why}{}", unseen.unwrap_or_default()));
            }
        }
    }
}

/// From now on the children of forks know that they are.
fn watch_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: the handler only stores, and leaves behind what was the parent's.
    ONCE.call_once(|| unsafe { c_library::at_fork(forked) });
}

/// In the child of a fork, on its only thread.
unsafe extern "C" fn forked() {
    if let Some(home) = home::get() {
        let _uncancelled = Uncancelled::new();
        tickscope_hooks::lua::after_fork();
        tickscope_hooks::mono::after_fork();
        c::forked();
        thread::forked();
        install::forked();
        home.forked();
    }
}
