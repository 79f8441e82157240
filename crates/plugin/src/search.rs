//! Where plugins lie, and what a name means.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{FindError, Refusal};
use crate::isolated::Isolation;
use crate::library::Plugin;
use crate::sinks::Chosen;

/// Folders that are looked through, in this order.
#[derive(Clone, Debug, Default)]
pub struct SearchPath(pub Vec<PathBuf>);

/// A file of the search path.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub file: PathBuf,
    /// What it is, or why it is not used.
    pub plugin: Result<Plugin, Refusal>,
    /// A file before it in the search path has the same file name, and is the one that is used.
    pub hidden_by: Option<PathBuf>,
}

impl fmt::Display for SearchPath {
    /// The folders, and which of them are not there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no folder, for TICKSCOPE_PLUGINS is empty");
        }
        for (at, folder) in self.0.iter().enumerate() {
            let (comma, missing) =
                (if at > 0 { ", " } else { "" }, if folder.is_dir() { "" } else { " (not there)" });
            write!(f, "{comma}{}{missing}", folder.display())?;
        }
        Ok(())
    }
}

impl SearchPath {
    /// The folders of a program: those of `TICKSCOPE_PLUGINS` (with colons between); where that is not set, the user's
    /// `tickscope/plugins` below `XDG_DATA_HOME` or `~/.local/share`, then `plugins` beside the program, then
    /// `../lib/tickscope/plugins`.
    pub fn of_this_program() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(folders) = std::env::var_os("TICKSCOPE_PLUGINS") {
            return Self(
                std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty()).collect(),
            );
        }
        let mut folders = Vec::new();
        let home = || set("HOME").map(|home| Path::new(&home).join(".local/share"));
        if let Some(data) = set("XDG_DATA_HOME").map(PathBuf::from).or_else(home) {
            folders.push(data.join("tickscope/plugins"));
        }
        let program = std::env::current_exe().and_then(|program| program.canonicalize());
        if let Some(folder) = program.ok().as_deref().and_then(Path::parent) {
            folders.push(folder.join("plugins"));
            if let Some(prefix) = folder.parent() {
                folders.push(prefix.join("lib/tickscope/plugins"));
            }
        }
        Self(folders)
    }

    /// Every library in the folders, by folder and name, each loaded: here, or isolated.
    pub fn list(&self, isolation: Option<&Isolation>) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for folder in &self.0 {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let library = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "so");
            let files: BTreeSet<PathBuf> = entries.map(|entry| entry.path()).filter(library).collect();
            for file in files {
                let same = |other: &&Found| other.file.file_name() == file.file_name();
                let hidden_by = found.iter().find(same).map(|other| other.file.clone());
                found.push(Found { plugin: Plugin::load_as(&file, isolation), file, hidden_by });
            }
        }
        found
    }

    /// The file that `name` means: `libNAME.so` or `libtickscope_NAME.so` with `_` for `-`, or itself if it is a path.
    ///
    /// # Errors
    /// Where it was looked for.
    pub fn file(&self, name: &str) -> Result<PathBuf, FindError> {
        if is_file(name) {
            return Ok(PathBuf::from(name));
        }
        if name.is_empty() {
            return Err(FindError::NoName);
        }
        let plain = name.replace('-', "_");
        let files = [format!("lib{plain}.so"), format!("libtickscope_{plain}.so")];
        let mut all = self.0.iter().flat_map(|folder| files.iter().map(|file| folder.join(file)));
        all.find(|file| file.is_file()).ok_or_else(|| FindError::Nowhere {
            name: name.to_owned(),
            files: files.to_vec(),
            folders: self.0.clone(),
        })
    }

    /// The plugin that `name` means: of the file that [`file`](Self::file) finds, or else the first in the folders that calls
    /// itself so, as lists show it. For the latter all of them are loaded.
    ///
    /// # Errors
    /// Where it was looked for, or why it is not used.
    pub fn find(&self, name: &str, isolation: Option<&Isolation>) -> Result<Plugin, FindError> {
        let nowhere = match self.file(name) {
            Ok(file) => return Ok(Plugin::load_as(&file, isolation)?),
            Err(nowhere) => nowhere,
        };
        let mut all = self.list(isolation).into_iter().filter_map(|found| found.plugin.ok());
        all.find(|plugin| plugin.name == name).ok_or(nowhere)
    }

    /// What a user asks for: `NAME`, `NAME=OPTIONS`, `FILE.so`, `FILE.so=OPTIONS`; loaded, its options checked.
    ///
    /// # Errors
    /// Why there is no such sink, in one line.
    pub fn choose(&self, asked: &str) -> Result<Chosen, FindError> {
        let (name, options) = split(asked);
        let plugin = self.find(name, None)?;
        let options = plugin.schema.read(&plugin.name, options)?;
        Ok(Chosen { name: plugin.name.clone(), plugin: Arc::new(plugin), options })
    }
}

/// Whether what a user asks for is a file, and no name.
pub fn is_file(asked: &str) -> bool {
    asked.contains('/') || asked.ends_with(".so")
}

/// Name or file, and options. A file's own path may have a `=`.
pub fn split(asked: &str) -> (&str, &str) {
    let file = |path: &str| path.contains('/') && Path::new(path).is_file();
    let mut cuts = asked.match_indices('=').map(|(at, _)| (&asked[..at], &asked[at + 1..]));
    match cuts.clone().find(|(path, _)| file(path)) {
        _ if Path::new(asked).is_file() => (asked, ""),
        Some(cut) => cut,
        None => cuts.next().unwrap_or((asked, "")),
    }
}

/// Sinks of the same name get numbers: `otlp`, `otlp 2`.
pub fn number(chosen: &mut [Chosen]) {
    for at in 1..chosen.len() {
        let name = chosen[at].plugin.name.clone();
        let before = chosen[..at].iter().filter(|other| other.plugin.name == name).count();
        if before > 0 {
            chosen[at].name = format!("{name} {}", before + 1);
        }
    }
}

/// Why somebody else could put code into the plugin `file`: it, or its folder, can be written to by everybody.
pub fn warning(file: &Path) -> Option<String> {
    let open =
        |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o002 != 0);
    let path = file.canonicalize().ok()?;
    let folder = path.parent().filter(|folder| open(folder));
    let culprit = if open(&path) { Some(path.as_path()) } else { folder };
    culprit.map(|culprit| {
        format!(
            "everybody may write to {}, so everybody's code may run from there: chmod o-w {0}",
            culprit.display()
        )
    })
}
