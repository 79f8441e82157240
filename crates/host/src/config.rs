//! `tickscope.toml`: sinks that are always on, folders of plugins, and other defaults for flags.
//!
//! One file is used: that of `--config`, or the first that is there of `tickscope.toml` in the current folder, in the server's
//! folder, and the user's `tickscope/config.toml`. The defaults are given to the parser of the command line, so that flags win.

mod document;
mod found;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod pairs;
mod settings;
mod show;
mod sinks;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use serde_json::{Map, Value};
use tickscope_plugin::{Isolation, Plugin, SearchPath};

use crate::cli::{self, Cli, Command};
use crate::present::tell;
use document::{Data, Document, Problem, Table};
use found::Found;
use settings::{PLUGINS, SETTINGS, Setting, WITH_SINKS};
pub(crate) use show::run;
use sinks::Section;

/// What a file says, and the command line with it.
#[derive(Debug, Default)]
pub(crate) struct Config {
    document: Document,
    settings: Vec<Setting>,
    folders: Vec<PathBuf>,
    folders_at: usize,
    sections: Vec<Section>,
    /// Mistakes, one a line. Only `tickscope config` goes on with them.
    mistakes: Vec<String>,
    /// What is left out of a server's file, one a line.
    left_out: Vec<String>,
    /// What `--isolate` and `--isolate-memory` are on the command line, where they are there.
    isolate: Option<bool>,
    isolate_memory: Option<u64>,
}

/// The command line, with the defaults of the configuration.
///
/// # Errors
/// The configuration has mistakes, which were told.
pub(crate) fn command_line() -> Result<Cli, ExitCode> {
    let parser = settings::switches(Cli::command());
    let parse = |parser: clap::Command| {
        let matches = parser.get_matches();
        let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        (cli, matches)
    };
    let lenient = parser.clone().ignore_errors(true).try_get_matches();
    let Some((command, matches)) = lenient.as_ref().ok().and_then(ArgMatches::subcommand) else {
        return Ok(parse(parser).0);
    };
    let takes_settings = SETTINGS.iter().any(|(name, _)| *name == command);
    if !(takes_settings || WITH_SINKS.contains(&command) || command == "config") {
        return Ok(parse(parser).0);
    }
    let mut config =
        found::find(command, matches).map(|found| Config::read(&found.0, found.1)).unwrap_or_default();
    if !config.mistakes.is_empty() && command != "config" {
        config.mistakes.iter().for_each(|mistake| tell!("tickscope: {mistake}"));
        return Err(ExitCode::from(2));
    }
    let warning = tickscope_plugin::warning(&config.document.file);
    config.left_out.iter().chain(&warning).for_each(|line| tell!("tickscope: {line}"));
    let (mut cli, matches) = parse(settings::apply(parser, &config.settings));
    if let Some(matches) = matches.subcommand_matches(command).filter(|_| WITH_SINKS.contains(&command)) {
        let typed = |flag: &str| matches.value_source(flag) == Some(ValueSource::CommandLine);
        config.isolate = typed("isolate").then(|| matches.get_flag("isolate"));
        let memory = typed("isolate_memory").then(|| matches.get_one("isolate_memory").copied());
        config.isolate_memory = memory.flatten();
    }
    if let Err(problem) = pairs::check(&mut cli, &config) {
        tell!("tickscope: {problem}");
        return Err(ExitCode::from(2));
    }
    let config = Arc::new(config);
    match &mut cli.command {
        Command::Run(run) => run.recording.sinks.config = config,
        Command::Lua(lua) => lua.recording.sinks.config = config,
        Command::Record(record) => record.recording.sinks.config = config,
        Command::Collect(collect) => collect.sinks.config = config,
        Command::Plugins(plugins) => plugins.config = config,
        Command::Config(shown) => shown.config = config,
        _ => {}
    }
    Ok(cli)
}

impl Config {
    fn read(found: &Found, opened: std::io::Result<File>) -> Self {
        match Document::read(&found.file, opened) {
            Ok(document) => {
                let mut config = Self::of(document);
                if found.of_server {
                    config.leave_code_out();
                }
                config
            }
            Err(mistakes) => Self { mistakes, ..Self::default() },
        }
    }

    /// Whoever plays a server does not mean to run its native code as well.
    fn leave_code_out(&mut self) {
        let Self { document, left_out, .. } = self;
        let mut leave_out = |at: usize, what: &str| {
            left_out.push(format!(
                "{}: {what} is not used, for code is not taken from a server's folder; --config {} takes it",
                document.place(at),
                document.file.display()
            ));
        };
        if !std::mem::take(&mut self.folders).is_empty() {
            leave_out(self.folders_at, "plugins.folders");
        }
        self.sections.retain(|section| {
            let of_file = tickscope_plugin::is_file(&section.plugin);
            if of_file {
                leave_out(section.at, &format!("sinks.{}", section.name));
            }
            !of_file
        });
    }

    fn of(document: Document) -> Self {
        let mut config = Self::default();
        let mut problems = Vec::new();
        let parser = Cli::command();
        let folder = document.file.parent().unwrap_or(Path::new("")).to_owned();
        for (key, value) in &document.top {
            let flags = SETTINGS.iter().find(|(command, _)| *command == key.name);
            let known = SETTINGS.iter().map(|(command, _)| *command).chain(["plugins", "sinks"]);
            let Data::Table(table) = &value.data else {
                let table = if key.name == "sinks" { "sinks.NAME" } else { &key.name };
                let text = match known.clone().any(|known| known == key.name) {
                    true => {
                        format!("{}: expected a table, as in [{table}], found {}", key.name, value.kind())
                    }
                    false => format!("{} {}", key.name, tickscope_plugin::not_known(&key.name, known)),
                };
                problems.push(Problem::new(key.at, text));
                continue;
            };
            match (key.name.as_str(), flags) {
                (_, Some((command, flags))) => {
                    let read =
                        settings::read(&parser, (command, command), flags, table, &folder, &mut problems);
                    config.settings.extend(read);
                }
                ("plugins", _) => config.plugins(&parser, table, &folder, &mut problems),
                ("sinks", _) => config.sections = sinks::read(table, &folder, &mut problems),
                (name, _) => {
                    let text = format!("{name} {}", tickscope_plugin::not_known(name, known));
                    problems.push(Problem::new(key.at, text));
                }
            }
        }
        // A command line may isolate all: what is meant for that stands in [plugins].
        let isolated = |setting: &Setting| setting.flag == "isolate" && setting.value == "true";
        let isolated = config.settings.iter().any(isolated);
        for section in config.sections.iter().filter(|section| !section.isolate.unwrap_or(isolated)) {
            if let Some((_, at)) = section.isolate_memory {
                let text = format!(
                    "sinks.{0}.isolate-memory limits nothing, for it is not isolated; set sinks.{0}.isolate = true",
                    section.name
                );
                problems.push(Problem::new(at, text));
            }
        }
        config.mistakes = document.tell(&problems);
        config.document = document;
        config
    }

    /// `[plugins]`.
    fn plugins(&mut self, parser: &clap::Command, table: &Table, folder: &Path, problems: &mut Vec<Problem>) {
        let mut flags = Table::new();
        for (key, value) in table {
            if key.name != "folders" {
                if PLUGINS.contains(&key.name.as_str()) {
                    flags.push((key.clone(), value.clone()));
                } else {
                    let known = PLUGINS.iter().copied().chain(["folders"]);
                    let known = tickscope_plugin::not_known(&key.name, known);
                    problems.push(Problem::new(key.at, format!("plugins.{} {known}", key.name)));
                }
                continue;
            }
            let Data::Array(folders) = &value.data else {
                let text = format!("plugins.folders: expected a list of texts, found {}", value.kind());
                problems.push(Problem::new(value.at, text));
                continue;
            };
            self.folders_at = key.at;
            for value in folders {
                match &value.data {
                    Data::Text(path) => self.folders.push(folder.join(path)),
                    _ => {
                        let text = format!("plugins.folders: expected a text, found {}", value.kind());
                        problems.push(Problem::new(value.at, text));
                    }
                }
            }
        }
        // Each is told once.
        let (first, others) = (WITH_SINKS[0], &WITH_SINKS[1..]);
        let settings = settings::read(parser, ("plugins", first), PLUGINS, &flags, folder, problems);
        for &command in others {
            self.settings.extend(settings.iter().cloned().map(|setting| Setting { command, ..setting }));
        }
        self.settings.extend(settings);
    }

    /// Where plugins are looked for: the file's folders come first, but for those of `TICKSCOPE_PLUGINS`.
    pub(crate) fn path(&self) -> SearchPath {
        let mut path = SearchPath::of_this_program();
        if std::env::var_os("TICKSCOPE_PLUGINS").is_none() {
            path.0.splice(0..0, self.folders.iter().cloned());
        }
        path
    }

    /// The sinks that the file and `--sink` ask for: each loaded, or why it is not, in lines.
    pub(crate) fn sinks(
        &self,
        asked: &[String],
        isolation: &cli::Isolation,
    ) -> Vec<Result<tickscope_plugin::Chosen, Vec<String>>> {
        let path = self.path();
        let wanted = self.wanted(asked);
        let load = |wanted: &Wanted<'_>| {
            let isolate = self.isolate.or(wanted.section.and_then(|section| section.isolate));
            let memory = wanted.section.and_then(|section| section.isolate_memory).map(|(memory, _)| memory);
            let memory = self.isolate_memory.or(memory).unwrap_or(isolation.isolate_memory);
            let isolation = isolate.unwrap_or(isolation.isolate).then(|| isolated(memory));
            self.load(&path, wanted, isolation.as_ref())
        };
        wanted.iter().map(load).collect()
    }

    fn wanted<'a>(&'a self, asked: &'a [String]) -> Vec<Wanted<'a>> {
        let mut wanted: Vec<Wanted<'_>> = self
            .sections
            .iter()
            .map(|section| Wanted { name: &section.plugin, section: Some(section), typed: None })
            .collect();
        for asked in asked {
            let (name, typed) = tickscope_plugin::split(asked);
            // What the file says of the same name once is the default of what is asked for first.
            let same = |wanted: &&mut Wanted<'_>| wanted.section.is_some_and(|section| section.name == name);
            let mut all: Vec<&mut Wanted<'_>> = wanted.iter_mut().filter(same).collect();
            match &mut all[..] {
                [one] if one.typed.is_none() => one.typed = Some(typed),
                _ => wanted.push(Wanted { name, section: None, typed: Some(typed) }),
            }
        }
        wanted
            .retain(|wanted| wanted.typed.is_some() || wanted.section.is_some_and(|section| section.enabled));
        wanted
    }

    fn load(
        &self,
        path: &SearchPath,
        wanted: &Wanted<'_>,
        isolation: Option<&Isolation>,
    ) -> Result<tickscope_plugin::Chosen, Vec<String>> {
        let section = wanted.section;
        let at = |text: String| match section {
            Some(section) => {
                format!("{}: sinks.{}: {text}", self.document.place(section.at), section.name)
            }
            None => text,
        };
        let plugin = path.find(wanted.name, isolation).map_err(|error| vec![at(error.to_string())])?;
        let options = self.options(wanted, &plugin)?;
        Ok(tickscope_plugin::Chosen { name: plugin.name.clone(), plugin: Arc::new(plugin), options })
    }

    /// The options of a sink: those of the file, and over them those of the command line; checked and completed.
    fn options(&self, wanted: &Wanted<'_>, plugin: &Plugin) -> Result<String, Vec<String>> {
        let typed = plugin.schema.value(wanted.typed.unwrap_or_default());
        let typed = typed.map_err(|problem| vec![format!("options of {}: {problem}", plugin.name)])?;
        let (mut all, mut places) = (Map::new(), BTreeMap::new());
        for (key, value) in wanted.section.map_or(&[][..], |section| &section.options) {
            places.insert(key.name.clone(), key.at);
            all.insert(key.name.clone(), value.json(&key.name, &mut places));
        }
        for (name, value) in typed.as_object().into_iter().flatten() {
            places.retain(|place, _| place.split(['.', '[']).next() != Some(name.as_str()));
            all.insert(name.clone(), value.clone());
        }
        let mut all = Value::Object(all);
        let problems = plugin.schema.complete(&mut all);
        if problems.is_empty() {
            return Ok(all.to_string());
        }
        let Some(section) = wanted.section else {
            let problems: Vec<String> = problems.into_iter().map(|problem| problem.text).collect();
            return Err(vec![format!("options of {}: {}", plugin.name, problems.join("; "))]);
        };
        let problem = |problem: &tickscope_plugin::Problem| {
            // What is missing is missing where it would be.
            let mut place = problem.place.as_str();
            let at = loop {
                if let Some(at) = places.get(place) {
                    break *at;
                }
                match place.rfind(['.', '[']) {
                    Some(cut) => place = &place[..cut],
                    None => break section.at,
                }
            };
            // What is like a word of the host's is perhaps no option of the plugin's.
            let mistyped = problem.text.split_once(" is not known; there are ").map(|(name, _)| name);
            let own = mistyped.and_then(|name| tickscope_plugin::nearest(name, Section::own()));
            let own = own.map_or(String::new(), |own| format!("; did you mean {own}, which every sink has?"));
            Problem::new(at, format!("sinks.{}.{}{own}", section.name, problem.text))
        };
        Err(self.document.tell(&problems.iter().map(problem).collect::<Vec<_>>()))
    }
}

fn isolated(memory: u64) -> Isolation {
    Isolation { memory, ..Isolation::of_this_program(cli::PLUGIN_HOST) }
}

/// A sink that is asked for.
struct Wanted<'a> {
    /// A name, or a file.
    name: &'a str,
    section: Option<&'a Section>,
    /// Options of the command line, where it asks.
    typed: Option<&'a str>,
}
