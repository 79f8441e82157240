//! Ctrl-C and SIGTERM: the first ends the run, and everything is written; the second ends the program at once. While
//! another program is recorded, signals are for that.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Signals, SignalsInfo};

use crate::present::tell;

/// Signals that are not as they were by the time a program is started: we take them, or the standard library sets them.
const CHANGED: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE];

/// Those of [`CHANGED`] that were ignored when this program began, as under `nohup`: a bit for each.
static IGNORED: AtomicU32 = AtomicU32::new(0);

/// Called by the loader before `main`: the standard library ignores SIGPIPE before that begins.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    for signal in CHANGED {
        // SAFETY: zeroed is a valid `sigaction`, and nothing but it is written.
        let ignored = unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
        };
        IGNORED.fetch_or(u32::from(ignored) << signal, Ordering::Relaxed);
    }
}

fn was_ignored(signal: i32) -> bool {
    IGNORED.load(Ordering::Relaxed) & 1 << signal != 0
}

/// What was ignored when we began is ignored by the program that `command` starts, as without us.
pub(crate) fn keep_ignored(command: &mut Command) {
    if IGNORED.load(Ordering::Relaxed) == 0 {
        return;
    }
    let ignore = || {
        for signal in CHANGED.into_iter().filter(|signal| was_ignored(*signal)) {
            // SAFETY: changes only what becomes of a signal, in the child.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        Ok(())
    };
    // SAFETY: `signal` may be called between fork and exec; nothing is allocated.
    unsafe { command.pre_exec(ignore) };
}

/// From now on the first signal calls `at_first`, on a thread of its own.
pub(crate) fn watch(at_first: impl FnOnce() + Send + 'static) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot watch for Ctrl-C")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut at_first = Some(at_first);
            for signal in signals.forever() {
                match at_first.take() {
                    Some(at_first) => {
                        at_first();
                        tell!("\ntickscope: ending the run; once more ends it at once");
                    }
                    None => std::process::exit(128 + signal),
                }
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// Passes signals on to a program.
#[derive(Clone, Default)]
pub(crate) struct Forwarding(Arc<Forwarded>);

#[derive(Default)]
struct Forwarded {
    /// 0 before it runs.
    pid: AtomicU32,
    interrupted: AtomicBool,
}

impl Forwarding {
    /// From now on signals go to process `pid`.
    pub(crate) fn to(&self, pid: u32) {
        self.0.pid.store(pid, Ordering::Release);
    }

    /// Whether a signal came that asks to end.
    pub(crate) fn interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::Acquire)
    }
}

/// From now on the signals that people and service managers send no longer end this process but go to another. What the
/// terminal sends (Ctrl-C) reaches that by itself.
pub(crate) fn forward() -> Result<Forwarding> {
    let forwarding = Forwarding::default();
    let mut signals = SignalsInfo::<WithOrigin>::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2])
        .context("cannot watch for signals")?;
    let forwarded = forwarding.0.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for origin in signals.forever() {
                // Under `nohup` the end of the terminal ends nothing.
                let ends = match origin.signal {
                    SIGUSR1 | SIGUSR2 => false,
                    SIGHUP => !was_ignored(SIGHUP),
                    _ => true,
                };
                forwarded.interrupted.fetch_or(ends, Ordering::Release);
                let pid = i32::try_from(forwarded.pid.load(Ordering::Acquire)).ok().and_then(Pid::from_raw);
                // One that a process sent; the terminal's have none.
                if let (Some(pid), Some(_), Some(signal)) =
                    (pid, origin.process, Signal::from_named_raw(origin.signal))
                {
                    // It may have ended just now.
                    let _ = kill_process(pid, signal);
                }
            }
        })
        .context("cannot start a thread")?;
    Ok(forwarding)
}
