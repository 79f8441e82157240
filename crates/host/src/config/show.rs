//! `tickscope config`: what is in force, and where each value comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;
use serde_json::Value;

use super::settings::{self, PLUGINS, SETTINGS};
use super::sinks::Section;
use super::{Config, found, isolated};
use crate::cli::{self, Cli};
use crate::present::tell;

/// Where comments begin, if the value is not longer.
const COMMENTS: usize = 40;

pub(crate) fn run(options: &cli::Config) -> Result<ExitCode> {
    let config = &options.config;
    let mut mistakes = config.mistakes.clone();
    let mut text = String::new();
    if let Some(folder) = options.directory.as_deref().filter(|folder| !folder.is_dir()) {
        mistakes.push(format!(
            "there is no folder {}; expected a server's, in which tickscope.toml may lie",
            folder.display()
        ));
    }
    if config.document.file.as_os_str().is_empty() {
        let looked: Vec<String> = found::places(options.directory.as_deref())
            .iter()
            .map(|found| found.file.display().to_string())
            .collect();
        if mistakes.is_empty() {
            writeln!(text, "# no file; looked for {}", looked.join(" and "))?;
        }
    } else {
        writeln!(text, "# {}", config.document.file.display())?;
    }
    if mistakes.is_empty() {
        config.flags(&mut text)?;
        config.shown_sinks(&mut text, &mut mistakes)?;
        std::io::stdout().write_all(text.as_bytes())?;
    }
    mistakes.iter().for_each(|mistake| tell!("tickscope: {mistake}"));
    Ok(if mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line: what is set, and behind it from where.
fn line(text: &mut String, set: &str, from: &str) {
    let room = COMMENTS.saturating_sub(set.chars().count()).max(1);
    text.push_str(&format!("{set}{:room$}# {from}\n", ""));
}

impl Config {
    /// The settings of each command.
    fn flags(&self, text: &mut String) -> Result<()> {
        let parser = settings::apply(settings::switches(Cli::command()), &self.settings);
        let sections = SETTINGS.iter().map(|(command, flags)| (*command, *command, *flags));
        for (section, command, flags) in sections.chain([("plugins", "plugins", PLUGINS)]) {
            let Some(parser) = parser.find_subcommand(command) else { continue };
            writeln!(text, "\n[{section}]")?;
            for arg in parser.get_arguments() {
                let Some(flag) = arg.get_long().filter(|flag| flags.contains(flag)) else { continue };
                let set = |setting: &&settings::Setting| setting.command == command && setting.flag == flag;
                let set = self.settings.iter().find(set);
                let default = arg.get_default_values().first().map(|value| value.to_os_string());
                let value = match (set, default) {
                    (Some(setting), _) => setting.value.clone(),
                    (None, Some(default)) => default,
                    (None, None) => continue,
                };
                let value = value.to_string_lossy().into_owned();
                let value = if matches!(&*value, "true" | "false") { value } else { quoted(&value) };
                let from = set.map(|setting| self.document.place(setting.at).to_string());
                line(text, &format!("{flag} = {value}"), from.as_deref().unwrap_or("default"));
            }
            if section == "plugins" {
                for folder in self.path().0 {
                    let from = match self.folders.contains(&folder) {
                        true => format!("{}", self.document.place(self.folders_at)),
                        false => "default".to_owned(),
                    };
                    let missing = if folder.is_dir() { "" } else { ", which is not there" };
                    line(text, &format!("# folder {}", folder.display()), &format!("{from}{missing}"));
                }
            }
        }
        Ok(())
    }

    /// Each sink with all of its options.
    fn shown_sinks(&self, text: &mut String, mistakes: &mut Vec<String>) -> Result<()> {
        let path = self.path();
        for section in &self.sections {
            let several = self.sections.iter().filter(|other| other.name == section.name).count() > 1;
            let header = match several {
                true => format!("[[sinks.{}]]", key(&section.name)),
                false => format!("[sinks.{}]", key(&section.name)),
            };
            text.push('\n');
            line(text, &header, &self.document.place(section.at).to_string());
            if section.plugin != section.name {
                line(text, &format!("plugin = {}", quoted(&section.plugin)), "of the file");
            }
            if let Some(isolate) = section.isolate {
                line(text, &format!("isolate = {isolate}"), "of the file");
            }
            if let Some((memory, _)) = section.isolate_memory {
                line(text, &format!("isolate-memory = \"{memory}B\""), "of the file");
            }
            if !section.enabled {
                line(text, "enabled = false", "only `--sink` asks for it");
                // Nothing of it is to run: what it says is shown, and what its plugin says of that is not known.
                for (name, value) in &section.options {
                    let json = value.json(&name.name, &mut BTreeMap::new());
                    line(text, &set(&name.name, &json), &self.document.place(name.at).to_string());
                }
                continue;
            }
            let wanted = super::Wanted { name: &section.plugin, section: Some(section), typed: None };
            // To look at a plugin nobody needs it in this process.
            let memory =
                section.isolate_memory.map_or(tickscope_plugin::Isolation::MEMORY, |(memory, _)| memory);
            match self.load(&path, &wanted, Some(&isolated(memory))) {
                Ok(chosen) => {
                    let options: Value = serde_json::from_str(&chosen.options)?;
                    for (name, value) in options.as_object().into_iter().flatten() {
                        let from = section.options.iter().find(|(key, _)| key.name == *name);
                        let from = from.map(|(key, _)| self.document.place(key.at).to_string());
                        let from = from.unwrap_or_else(|| format!("default of {}", chosen.plugin.name));
                        line(text, &set(name, value), &from);
                    }
                }
                Err(problems) => mistakes.extend(problems),
            }
        }
        Ok(())
    }
}

/// An option of a sink. One that is called like something of the host's stands in `options`.
pub(super) fn set(name: &str, value: &Value) -> String {
    let own = if Section::own().any(|own| own == name) { "options." } else { "" };
    format!("{own}{} = {}", key(name), toml(value))
}

/// A text as TOML has it. JSON's escapes are TOML's, but for the slash, which serde_json does not escape.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { quoted(name) }
}

fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entry = |(name, value): (&String, &Value)| format!("{} = {}", key(name), toml(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
