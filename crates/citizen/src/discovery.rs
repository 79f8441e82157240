//! Which resources a server directory has.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use crate::manifest::{FILE_NAMES, Manifest};
use crate::{Error, ScriptError};

/// Folders inside each other that are looked into.
const MAX_DEPTH: usize = 16;

/// A resource as found on disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// Its name: that of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// The categories it is in, outermost first, with their brackets.
    pub categories: Vec<String>,
    /// Its manifest, or what is wrong with it.
    pub manifest: Result<Manifest, String>,
}

/// What a server directory holds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Discovery {
    /// The resources, by name.
    pub resources: BTreeMap<String, Found>,
    /// What is odd about the folders: two of one name, a category with a manifest.
    pub errors: Vec<ScriptError>,
    /// Folders where a resource would be, but without a manifest.
    pub without_manifest: Vec<PathBuf>,
}

/// Finds the resources of the server directory `root`.
///
/// They are the folders with a manifest in `root/resources` if that is there, else in `root`; folders named
/// `[category]` are looked into. A `root` with a manifest of its own is one resource.
///
/// # Errors
/// When `root` is no directory or holds no resource. Broken resources are no error: see [`Found::manifest`].
pub fn discover(root: &Path) -> Result<Discovery, Error> {
    if !root.is_dir() {
        return Err(Error::NotADirectory { path: root.to_owned() });
    }
    let mut search = Search::default();
    if has_manifest(root) {
        // `.` and the like have no name of their own
        let absolute = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        search.add(name, root.to_owned(), &[]);
    } else {
        let below = root.join("resources");
        let start = if below.is_dir() { below } else { root.to_owned() };
        search.look_into(&start, &mut Vec::new())?;
        if search.found.resources.is_empty() {
            return Err(Error::NoResources { path: start });
        }
    }
    Ok(search.found)
}

fn has_manifest(folder: &Path) -> bool {
    FILE_NAMES.iter().any(|name| folder.join(name).is_file())
}

#[derive(Default)]
struct Search {
    found: Discovery,
    /// Categories that were looked into, links followed: a link to one further up would never end.
    seen: HashSet<PathBuf>,
}

impl Search {
    fn look_into(&mut self, folder: &Path, categories: &mut Vec<String>) -> Result<(), Error> {
        if !self.seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_owned())) {
            return Ok(());
        }
        let entries =
            std::fs::read_dir(folder).map_err(|source| Error::Read { path: folder.to_owned(), source })?;
        let mut paths: Vec<_> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('[') && name.ends_with(']') {
                if has_manifest(&path) {
                    let problem = "a category with a manifest in it, which nobody reads; a resource has no [ ] around its name";
                    self.found.errors.push(ScriptError::of_resource(&name, &problem));
                }
                if categories.len() < MAX_DEPTH {
                    categories.push(name);
                    // one that cannot be read is as good as empty
                    if let Err(error) = self.look_into(&path, categories) {
                        let name = categories.last().cloned().unwrap_or_default();
                        self.found.errors.push(ScriptError::of_resource(&name, &error));
                    }
                    categories.pop();
                }
            } else if has_manifest(&path) {
                self.add(name, path, categories);
            } else if !name.starts_with('.') {
                self.found.without_manifest.push(path);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: String, path: PathBuf, categories: &[String]) {
        if let Some(first) = self.found.resources.get(&name) {
            let problem =
                format!("{}: there is a resource of this name at {}", path.display(), first.path.display());
            self.found.errors.push(ScriptError::of_resource(&name, &problem));
            return;
        }
        let manifest = Manifest::read(&path).map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
        let categories = categories.to_vec();
        self.found.resources.insert(name.clone(), Found { name, path, categories, manifest });
    }
}
