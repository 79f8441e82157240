//! The scripts of a resource, compiled and walked for names; each file once, whoever includes it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::Lua;
use mlua::chunk::ChunkMode;

use super::{Script, ScriptKind};
use crate::cfxlua::{self, Names};
use crate::host::error_text;
use crate::lifecycle::split_syntax_error;
use crate::resource::Resource;
use crate::scripts::{self, Entry};
use crate::{ErrorKind, ScriptError};

/// Bytes a script may have to be looked into.
const MAX_SCRIPT: u64 = 16 << 20;

/// Scripts that were looked into.
pub(super) struct Scan<'l> {
    lua: &'l Lua,
    files: HashMap<PathBuf, Rc<File>>,
}

/// What one file says, or what is wrong with it: line and message.
pub(super) struct File {
    pub(super) names: Names,
    problem: Option<(u32, String)>,
}

/// The scripts of a resource.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) scripts: Vec<Script>,
    /// By file, in the order they load.
    pub(super) files: Vec<(String, Rc<File>)>,
    /// Globals that any of them sets; fields of globals as `table.name`.
    pub(super) sets: BTreeSet<String>,
    pub(super) problems: Vec<ScriptError>,
}

impl<'l> Scan<'l> {
    pub(super) fn new(lua: &'l Lua) -> Self {
        Self { lua, files: HashMap::new() }
    }

    pub(super) fn resource(&mut self, resource: &Resource, entries: &[Entry]) -> Scanned {
        let mut scanned = Scanned::default();
        let problem = |file: &str, line: u32, message: &str| ScriptError {
            kind: ErrorKind::Load,
            file: file.to_owned(),
            line,
            ..ScriptError::of_resource(&resource.name, &message)
        };
        for entry in entries {
            let (file, kind) = match entry {
                Entry::Foreign { file, language } => {
                    let kind = match *language {
                        "JavaScript" => ScriptKind::JavaScript,
                        "C#" => ScriptKind::CSharp,
                        _ => ScriptKind::Other,
                    };
                    (file, kind)
                }
                Entry::Wrong { pattern, problem: wrong } => {
                    let (file, line) = scripts::manifest_place(&resource.path, pattern);
                    scanned.problems.push(problem(file, line, wrong));
                    (pattern, ScriptKind::Missing)
                }
                Entry::Lua(script) if scripts::is_escrowed(&script.path) => {
                    (&script.file, ScriptKind::Escrowed)
                }
                Entry::Lua(script) => {
                    let found = self.file(&script.path, &script.chunk);
                    let kind = match &found.problem {
                        Some((line, message)) => {
                            scanned.problems.push(problem(&script.file, *line, message));
                            ScriptKind::Broken
                        }
                        None => ScriptKind::Lua,
                    };
                    scanned.sets.extend(found.names.sets.iter().cloned());
                    scanned.files.push((script.file.clone(), found));
                    (&script.file, kind)
                }
            };
            scanned.scripts.push(Script { file: file.clone(), kind });
        }
        scanned
    }

    fn file(&mut self, path: &Path, chunk: &str) -> Rc<File> {
        if let Some(known) = self.files.get(path) {
            return Rc::clone(known);
        }
        let file = Rc::new(look(self.lua, path, chunk));
        self.files.insert(path.to_owned(), Rc::clone(&file));
        file
    }
}

fn look(lua: &Lua, path: &Path, chunk: &str) -> File {
    let unread = |problem: String| File { names: Names::default(), problem: Some((0, problem)) };
    let read = match crate::database::built_in_file(path) {
        Some(text) => Ok(text.to_vec()),
        None => std::fs::metadata(path).and_then(|data| match data.len() {
            ..=MAX_SCRIPT => std::fs::read(path),
            _ => Err(std::io::Error::other(format!("it has more than {} MiB", MAX_SCRIPT >> 20))),
        }),
    };
    let source = match read {
        Ok(source) => source,
        Err(error) => {
            return unread(format!("cannot read {}: {error}; the manifest names it", path.display()));
        }
    };
    let text = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source);
    let names = cfxlua::names(text);
    let problem = match cfxlua::rewrite(text) {
        Err(error) => Some((error.line, error.message)),
        // compiled, and never called
        Ok(plain) => lua
            .load(&*plain)
            .set_name(chunk)
            .set_mode(ChunkMode::Text)
            .into_function()
            .err()
            .map(|error| split_syntax_error(&error_text(&error))),
    };
    File { names, problem }
}
