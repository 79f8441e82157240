//! Runs a Lua script as `lua` does, under a tracer that records nothing:
//! `cargo run --example lua -- [--depth boundary|sample|trace] script.lua arguments`.

use std::ffi::OsString;
use std::process::ExitCode;

use tickscope_citizen::{NoRecorder, standalone};
use tickscope_core::Depth;

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let mut depth = Depth::Sample;
    if words.get(1).is_some_and(|word| word == "--depth") {
        let name = words.get(2).and_then(|name| name.to_str()).and_then(Depth::from_name);
        let Some(name) = name else {
            eprintln!("--depth wants boundary, sample or trace");
            return ExitCode::FAILURE;
        };
        depth = name;
        words.drain(1..3);
    }
    let mut words = words.into_iter();
    let interpreter: Vec<OsString> = words.next().into_iter().collect();
    let Some(script) = words.next() else {
        eprintln!("usage: lua [--depth boundary|sample|trace] script.lua [arguments]");
        return ExitCode::FAILURE;
    };
    let mut program = standalone::Program::new(script, words.collect());
    program.options.depth = depth;
    program.interpreter = interpreter;
    if let Ok(progname) = std::env::var("PROGNAME") {
        program.progname = progname;
    }
    match standalone::run(NoRecorder::default(), program) {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
