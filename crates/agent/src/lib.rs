//! The library that `tickscope record` preloads into a program, or loads into one that runs: it finds the Lua and the
//! Mono inside and records what they do.
//!
//! # How it works
//! The loader calls `start` before the program's `main`. It looks for a Lua among the loaded modules, by symbols, and
//! detours ten of its functions; when there is none, it watches what is loaded later (`late.rs`). With a Mono it registers a
//! profiler (`mono.rs`). The first thread that has something to record makes the session, a file in shared memory that
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
//! Mono that is loaded by `dlopen` or was there before us, and musl: not yet. Traces of LuaJIT: it is sampled, see `jit.rs`.
mod attach;
pub mod c;
mod detours;
mod home;
mod install;
mod io;
mod jit;
mod late;
mod mono;
mod settings;
mod thread;

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
        let (lua, mono) =
            unsafe { (install::install(Place::BeforeMain), mono::install(home.settings.depth)) };
        if let Some(Ok(_)) = mono {
            attach::stays();
        }
        // SAFETY: as above.
        let watched = if lua.is_err() { unsafe { late::watch() } } else { Ok(()) };
        let unseen = watched.err().map(|why| format!("; what it loads later is not seen: {why}"));
        match (lua, mono) {
            (Ok(lua), Some(Ok(mono))) => home.note(&format!("{lua} and {mono} ran nothing")),
            (Ok(found), _) | (_, Some(Ok(found))) => home.note(&format!("{found} ran nothing")),
            (Err(_), Some(Err(why))) | (Err(why), None) => {
                home.note(&format!("{why}{}", unseen.unwrap_or_default()));
            }
        }
        if home.settings.io {
            // SAFETY: as above.
            if let Err(why) = unsafe { io::install() } {
                home.note(&why);
            }
        }
    });
}

/// From now on the children of forks know that they are.
fn watch_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: the handler only stores, and leaves behind what was the parent's.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(forked));
    });
}

/// In the child of a fork, on its only thread.
unsafe extern "C" fn forked() {
    if let Some(home) = home::get() {
        tickscope_hooks::lua::after_fork();
        tickscope_hooks::mono::after_fork();
        c::forked();
        thread::forked();
        install::forked();
        home.forked();
    }
}
