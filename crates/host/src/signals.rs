//! Ctrl-C and SIGTERM: the first ends the run, and everything is written; the second ends the program at once. While
//! another program is recorded, signals are for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Signals, SignalsInfo};

use crate::present::tell;

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
                let ends = !matches!(origin.signal, SIGUSR1 | SIGUSR2);
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
