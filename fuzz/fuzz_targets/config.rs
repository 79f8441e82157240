//! `tickscope.toml`, as the command reads it: the command is no library, so its files are this program's as well.
#![no_main]
#![allow(dead_code, unused_imports, reason = "most of them is not asked here")]

use host::{cli, config};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/host/src"]
mod host {
    pub(crate) mod cli;
    pub(crate) mod config;
}

/// What it says goes nowhere.
mod present {
    macro_rules! tell {
        ($($arg:tt)*) => {{
            let _ = format!($($arg)*);
        }};
    }
    pub(crate) use tell;
}

fuzz_target!(|text: &[u8]| config::fuzzing::read(text));
