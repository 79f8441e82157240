//! Flags that need one another or exclude one another, where one is from the file: the parser looks at what is typed.

use super::Config;
use crate::cli::{Cli, Command};
use crate::present::tell;

/// What the agents of a recording were told when it began.
const BEGUN_WITH: &[&str] = &["depth", "hz", "io"];

/// Turns off what has no effect, which is told.
///
/// # Errors
/// What is missing.
pub(super) fn check(cli: &mut Cli, config: &Config) -> Result<(), String> {
    match &mut cli.command {
        Command::Watch(watch) => {
            let needs = |flag: &str, needed: &str, missing: bool| match missing {
                true => Err(format!("{} needs {needed} as well", config.said("watch", flag))),
                false => Ok(()),
            };
            needs("from-start", "--log FILE", watch.from_start && watch.log.is_none())?;
            needs("user", "--password-file FILE", watch.user.is_some() && watch.password_file.is_none())?;
            needs("password-file", "--user NAME", watch.password_file.is_some() && watch.user.is_none())
        }
        Command::Record(record) if record.pid.is_some() && record.io => {
            // What is typed with --pid is refused by the parser.
            tell!(
                "tickscope: {} has no effect with --pid: what a process that runs waits for is not recorded",
                config.said("record", "io")
            );
            record.io = false;
            Ok(())
        }
        Command::Record(record) if record.attach.is_some() => {
            let set: Vec<String> = BEGUN_WITH.iter().filter_map(|flag| config.set("record", flag)).collect();
            if !set.is_empty() {
                let have = if set.len() == 1 { "has" } else { "have" };
                tell!(
                    "tickscope: {} {have} no effect with --attach: the recording goes on as it was begun; its depth changes with tickscope ctl depth",
                    set.join(" and "),
                );
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Config {
    /// A flag with the place that sets it, or as it is typed.
    fn said(&self, command: &str, flag: &str) -> String {
        self.set(command, flag).unwrap_or_else(|| format!("--{flag}"))
    }

    /// A flag that the file sets, with the place.
    fn set(&self, command: &str, flag: &str) -> Option<String> {
        let set = self.settings.iter().find(|setting| setting.command == command && setting.flag == flag)?;
        Some(format!("{}: {command}.{flag}", self.document.place(set.at)))
    }
}
