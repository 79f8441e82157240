//! Flags of commands whose defaults a configuration may set, and the parser with these defaults.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};

use super::document::{Data, Problem, Table, Value};

/// Commands, and those of their flags that somebody leaves on. What is said once (`--ticks`, `-o`) is no setting.
pub(crate) const SETTINGS: &[(&str, &[&str])] = &[
    (
        "run",
        &[
            "budget",
            "cfg",
            "data",
            "database",
            "db-latency",
            "depth",
            "format",
            "http-listen",
            "max-size",
            "memory-limit",
            "on-hitch",
            "perfetto-compat",
            "strict",
            "tick-limit",
            "top",
        ],
    ),
    ("lua", &["depth", "max-size", "perfetto-compat", "report"]),
    ("record", &["depth", "hz", "io", "max-size", "perfetto-compat", "report"]),
    ("collect", &["listen", "max-size", "output", "token-file"]),
    ("watch", &["every", "format", "log", "metrics", "password-file", "server", "summary", "user"]),
    ("top", &["depth", "every", "resources", "rows", "sort"]),
    ("report", &["format", "top"]),
];
/// Flags of `[plugins]`: they are those of every command that has sinks.
pub(crate) const PLUGINS: &[&str] = &["isolate", "isolate-memory"];
/// These commands.
pub(crate) const WITH_SINKS: &[&str] = &["run", "lua", "record", "collect", "plugins"];

/// A flag's default, from the file.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) command: &'static str,
    pub(crate) flag: &'static str,
    pub(crate) value: OsString,
    pub(crate) at: usize,
}

/// The settings of a section, for a command.
pub(crate) fn read(
    parser: &Command,
    (section, command): (&str, &'static str),
    flags: &[&'static str],
    entries: &Table,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (key, value) in entries {
        let Some(flag) = flags.iter().find(|flag| **flag == key.name) else {
            let known = tickscope_plugin::not_known(&key.name, flags.iter().copied());
            problems.push(Problem::new(key.at, format!("{section}.{} {known}", key.name)));
            continue;
        };
        let Some(arg) = parser.find_subcommand(command).and_then(|parser| arg(parser, flag)) else {
            continue;
        };
        match text(arg, value, folder) {
            Ok(value) => settings.push(Setting { command, flag, value, at: key.at }),
            Err(problem) => {
                problems.push(Problem::new(value.at, format!("{section}.{}: {problem}", key.name)));
            }
        }
    }
    settings
}

fn arg<'a>(parser: &'a Command, flag: &str) -> Option<&'a Arg> {
    parser.get_arguments().find(|arg| arg.get_long() == Some(flag))
}

/// A value as it would be written on the command line.
fn text(arg: &Arg, value: &Value, folder: &Path) -> Result<OsString, String> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match &value.data {
            Data::Switch(on) => Ok(on.to_string().into()),
            _ => Err(format!("expected true or false, found {}", value.kind())),
        };
    }
    let mut text = match &value.data {
        Data::Text(text) => OsString::from(text),
        Data::Integer(number) => number.to_string().into(),
        Data::Float(number) => number.to_string().into(),
        _ => return Err(format!("expected a text or a number, found {}", value.kind())),
    };
    if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() && text != "-" {
        // As seen from the file.
        text = folder.join(text).into_os_string();
    }
    let alone = Arg::new("it").long("it").value_parser(arg.get_value_parser().clone());
    let mut given = OsString::from("--it=");
    given.push(&text);
    match Command::new("it").arg(alone).try_get_matches_from([OsStr::new("it"), given.as_os_str()]) {
        Ok(_) => Ok(text),
        Err(error) => {
            let possible = arg.get_possible_values();
            let names: Vec<&str> = possible.iter().map(clap::builder::PossibleValue::get_name).collect();
            Err(match (names.split_last(), std::error::Error::source(&error)) {
                (Some((last, rest)), _) => {
                    format!("expected {} or {last}, found {}", rest.join(", "), text.display())
                }
                (None, Some(source)) => format!("{source}, found {:?}", text.display().to_string()),
                (None, None) => "it must not be empty".into(),
            })
        }
    }
}

/// The parser, in which each switch that a file may turn on can be turned off: `--switch=false`. All of them always, for what
/// the parser does not know hides what follows it.
pub(crate) fn switches(mut parser: Command) -> Command {
    let plugins = WITH_SINKS.iter().map(|command| (*command, PLUGINS));
    for (command, flags) in SETTINGS.iter().copied().chain(plugins) {
        parser = parser.mut_subcommand(command, |mut parser| {
            for flag in flags {
                let Some(arg) = arg(&parser, flag) else { continue };
                if !matches!(arg.get_action(), ArgAction::SetTrue) {
                    continue;
                }
                let id = arg.get_id().clone();
                parser = parser.mut_arg(id, |arg| {
                    let arg = arg.action(ArgAction::Set).value_parser(clap::value_parser!(bool));
                    let arg = arg.value_name("BOOL").num_args(0..=1).require_equals(true);
                    let arg = arg.default_missing_value("true").default_value("false");
                    arg.hide_default_value(true).hide_possible_values(true)
                });
            }
            parser
        });
    }
    parser
}

/// A parser with [`switches`] with these defaults. What is on the command line wins.
pub(crate) fn apply(mut parser: Command, settings: &[Setting]) -> Command {
    for setting in settings {
        parser = parser.mut_subcommand(setting.command, |parser| {
            let Some(arg) = arg(&parser, setting.flag) else { return parser };
            let id = arg.get_id().clone();
            // Once in a process.
            let value: &'static OsStr = Box::leak(setting.value.clone().into_boxed_os_str());
            parser.mut_arg(id, |arg| arg.required(false).default_value(value))
        });
    }
    parser
}
