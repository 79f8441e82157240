//! One function four times, by `--cfg`: without tracing, with macros and with the attribute at a level that is not
//! compiled in, and with a span that is. Compiled by `tests/it/assembly.rs`.

#![allow(unused_imports)]

use tickscope::{Level, async_span, counter, instant, note, profile, span, trace_loop, trace_scope};

#[unsafe(no_mangle)]
#[cfg_attr(attribute, profile(level = Level::Verbose, args(values = values.len(), text = &format!("{values:?}"))))]
pub fn work(values: &[u64]) -> u64 {
    #[cfg(macros)]
    let _span = span!(level: Level::Verbose, "work", text = &format!("{values:?}"));
    #[cfg(macros)]
    let _operation = async_span!(level: Level::Verbose, "work", values = values.len());
    #[cfg(macros)]
    {
        trace_scope!(level: Level::Verbose, "scope");
        instant!(level: Level::Verbose, "moment", text = &format!("{values:?}"));
        counter!(level: Level::Verbose, "values", values.len() as u64);
        drop(note!(level: Level::Verbose, "noted", values = values.len()));
    }
    #[cfg(recorded)]
    let _span = span!("work");
    values.iter().fold(7, |sum, value| sum.rotate_left(5) ^ value.wrapping_mul(31))
}
