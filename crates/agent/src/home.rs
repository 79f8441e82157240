//! The agent's place in its process: settings, session, notes for whoever records.

use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::SystemTime;

use tickscope_core::Metadata;
use tickscope_core::quiet::is_quiet;
use tickscope_hooks::lock::ForkLock;
use tickscope_session::{Config, ConfigError, Session};

use crate::attach::{CONTROL, epoch};
use crate::install;
use crate::settings::Settings;

/// Rings for so many threads at a time, of 4 MiB each, made when a thread first runs Lua: 64 MiB at most.
const THREADS: usize = 16;
/// Room for names.
const ARENA_BYTES: usize = 16 << 20;

static HOME: AtomicPtr<Home> = AtomicPtr::new(std::ptr::null_mut());

/// The recording in force, or the last one.
pub(crate) fn get() -> Option<&'static Home> {
    // SAFETY: set below, never freed.
    unsafe { HOME.load(Ordering::Acquire).as_ref() } // pairs with the Release below
}

/// Another recording is in force from now on.
pub(crate) fn set(home: Home) -> &'static Home {
    let home = Box::leak(Box::new(home));
    let before = HOME.swap(home, Ordering::AcqRel);
    // SAFETY: as above.
    if let Some(before) = unsafe { before.as_ref() } {
        before.end();
    }
    home
}

/// What the process has of a recording. Never freed: detours may run until the last moment.
pub(crate) struct Home {
    pub(crate) settings: Settings,
    /// The session of this process; null before the first Lua runs, and again after a fork. Freed by
    /// `end` only.
    session: AtomicPtr<Session>,
    making: ForkLock<bool>,
    /// Which session of the process it is: names have other numbers in each.
    generation: AtomicU32,
}

impl Home {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            session: AtomicPtr::new(std::ptr::null_mut()),
            making: ForkLock::new(true),
            generation: AtomicU32::new(0),
        }
    }

    /// The session of this process, made when there is none. `None`, for ever, when it cannot be made.
    pub(crate) fn session(&self) -> Option<&Session> {
        let made = self.session.load(Ordering::Acquire); // pairs with the Release below
        if !made.is_null() {
            // SAFETY: made below, and not freed while a thread records.
            return Some(unsafe { &*made });
        }
        let mut possible = self.making.lock();
        let made = self.session.load(Ordering::Acquire);
        if made.is_null() && *possible {
            *possible = self.keep(Session::create(&self.session_file(), &program(), self.config()));
        }
        // SAFETY: as above.
        unsafe { self.session.load(Ordering::Acquire).as_ref() }
    }

    /// The session of this process, if there is one. One load.
    #[inline]
    pub(crate) fn made(&self) -> Option<&Session> {
        // SAFETY: made by `session` and never freed.
        unsafe { self.session.load(Ordering::Acquire).as_ref() }
    }

    /// The number of its session, from 1; another after a fork.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed) // ordered by the session's pointer
    }

    fn config(&self) -> Config {
        Config {
            threads: THREADS,
            arena_bytes: ARENA_BYTES,
            metadata: Metadata { depth: self.settings.depth, ..Metadata::default() },
            ..Config::default()
        }
    }

    /// Whether there is one.
    fn keep(&self, session: Result<Session, ConfigError>) -> bool {
        match session {
            Ok(session) => {
                static SESSIONS: AtomicU32 = AtomicU32::new(0);
                self.generation.store(SESSIONS.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                CONTROL.depth.store(std::ptr::from_ref(session.depth()) as u64, Ordering::Release);
                self.session.store(Box::into_raw(Box::new(session)), Ordering::Release);
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                let why = format!("no session: {error}{}", cause.unwrap_or_default());
                self.note(&why);
                // Others may be recorded: this one is told of in any case.
                self.say(&format!("process {} ({}): {why}", std::process::id(), program()));
                false
            }
        }
    }

    /// This process is the child of the one that had the session. It gets one of its own now: it may be about to give up
    /// the rights to make one.
    pub(crate) fn forked(&self) {
        let parents = self.session.swap(std::ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: made by `session` and never freed.
        match unsafe { parents.as_ref() } {
            Some(parents) if !is_quiet() => {
                *self.making.lock() =
                    self.keep(parents.create_for_child(&self.session_file(), &program(), self.config()));
            }
            // It may be a server that goes into the background before it runs any.
            None if epoch() != 0 && install::is_installed() => self.note("its Lua ran nothing"),
            _ => {}
        }
    }

    /// The recording is over. Its memory goes when no thread has anything of it.
    pub(crate) fn end(&self) {
        CONTROL.depth.store(0, Ordering::Release);
        let session = self.session.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !session.is_null() && CONTROL.threads.load(Ordering::Acquire) == 0 {
            // SAFETY: made by `keep`. Threads count themselves before they ask for it, and none does now: whoever calls
            // has ended the recording before.
            drop(unsafe { Box::from_raw(session) });
        }
    }

    /// A name that no other program of this process has had: `exec` keeps the number.
    fn session_file(&self) -> PathBuf {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.file(&format!("{:x}.session", now.as_nanos()))
    }

    /// Leaves a line for `tickscope record` to show in any case.
    pub(crate) fn say(&self, text: &str) {
        self.leave("say", || text.to_owned());
    }

    /// Leaves a line for `tickscope record` to show when nothing is recorded.
    pub(crate) fn note(&self, text: &str) {
        self.leave("note", || format!("{}: {text}\n", program()));
    }

    fn leave(&self, extension: &str, text: impl FnOnce() -> String) {
        if !is_quiet() {
            // Nobody may be there to read it.
            let _ = std::fs::write(self.file(extension), text());
        }
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.settings.folder.join(format!("{}.{extension}", std::process::id()))
    }
}

/// The name of the program's file.
pub(crate) fn program() -> String {
    let path = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
