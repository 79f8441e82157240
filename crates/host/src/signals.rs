//! Ctrl-C and SIGTERM: the first ends the run, and everything is written; the second ends the program at once.

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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
