//! The `tickscope` command: records, explains, converts.

mod cli;
mod collect;
mod config;
mod console;
mod convert;
mod doctor;
#[cfg(test)]
mod documented;
mod feedback;
mod hitch;
mod import;
mod install;
mod live;
mod lua;
mod manual;
mod natives;
mod plugins;
mod present;
mod progress;
mod record;
mod recording;
mod report;
mod resources;
mod run;
mod signals;
mod watch;

use std::process::ExitCode;

use crate::present::tell;

use cli::Command;

fn main() -> ExitCode {
    let command = match config::command_line() {
        Ok(cli) => cli.command,
        Err(code) => return code,
    };
    let result = match command {
        Command::Run(options) => run::run(&options),
        Command::Resources(options) => resources::run(&options),
        Command::Record(options) => record::run(&options),
        Command::Top(options) => live::top::run(&options),
        Command::Ctl(options) => live::ctl::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Natives(options) => natives::run(&options),
        Command::Lua(options) => lua::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Watch(options) => watch::run(&options),
        Command::Collect(options) => collect::run(&options),
        Command::Import(options) => import::run(&options),
        Command::Install(options) => install::install(&options),
        Command::Uninstall(options) => install::uninstall(&options),
        Command::Convert(options) => convert::run(&options),
        Command::Plugins(options) => plugins::run(&options),
        Command::Completions(options) => manual::completions(&options),
        Command::Man(options) => manual::pages(&options),
        Command::Config(options) => config::run(&options),
        Command::PluginHost => plugins::serve_isolated(),
    };
    result.unwrap_or_else(|error| {
        // A reader that has enough (`| head`) is no failure.
        let closed = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(closed) {
            return ExitCode::SUCCESS;
        }
        tell!("tickscope: {error:#}");
        ExitCode::FAILURE
    })
}
