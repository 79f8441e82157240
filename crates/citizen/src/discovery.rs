//! Which resources a server directory has, and the order they start in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::manifest::{FILE_NAMES, Manifest};
use crate::{Error, ScriptError};

/// Folders inside each other that are looked into.
const MAX_DEPTH: usize = 16;

/// A resource as found on disk.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name: that of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What was found, in the order to start.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Resources that can start; each behind those it depends on.
    pub resources: Vec<Found>,
    /// Resources that cannot, and why.
    pub errors: Vec<ScriptError>,
}

/// Finds the resources of the server directory `root`.
///
/// They are the folders with a manifest in `root/resources` if that is there, else in `root`; folders named
/// `[category]` are looked into. A `root` with a manifest of its own is one resource. With `wanted`, only those and
/// what they depend on.
///
/// # Errors
/// When `root` is no directory, holds no resource, or a wanted name is unknown. Broken resources are no error here but
/// listed in [`Discovery::errors`].
pub fn discover(root: &Path, wanted: Option<&[String]>) -> Result<Discovery, Error> {
    if !root.is_dir() {
        return Err(Error::NotADirectory { path: root.to_owned() });
    }
    let mut folders = BTreeMap::new();
    let mut errors = Vec::new();
    if has_manifest(root) {
        // `.` and the like have no name of their own
        let absolute = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folders.insert(name, root.to_owned());
    } else {
        let below = root.join("resources");
        let start = if below.is_dir() { below } else { root.to_owned() };
        look_into(&start, 0, &mut folders, &mut errors)?;
        if folders.is_empty() {
            return Err(Error::NoResources { path: start });
        }
    }
    let known = || folders.keys().cloned().collect::<Vec<_>>().join(", ");
    if let Some(name) = wanted.into_iter().flatten().find(|name| !folders.contains_key(*name)) {
        return Err(Error::UnknownResource { name: name.clone(), known: known() });
    }

    let mut found = BTreeMap::new();
    for (name, path) in folders {
        match Manifest::read(&path) {
            Ok(manifest) => {
                found.insert(name.clone(), Found { name, path, manifest });
            }
            Err(error) => errors.push(ScriptError::of_resource(&name, &error)),
        }
    }
    let resources = order(found, wanted, &mut errors);
    Ok(Discovery { resources, errors })
}

fn has_manifest(folder: &Path) -> bool {
    FILE_NAMES.iter().any(|name| folder.join(name).is_file())
}

fn look_into(
    folder: &Path,
    depth: usize,
    folders: &mut BTreeMap<String, PathBuf>,
    errors: &mut Vec<ScriptError>,
) -> Result<(), Error> {
    let entries =
        std::fs::read_dir(folder).map_err(|source| Error::Read { path: folder.to_owned(), source })?;
    let mut paths: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if has_manifest(&path) {
            if let Some(first) = folders.get(&name) {
                let problem =
                    format!("{}: there is a resource of this name at {}", path.display(), first.display());
                errors.push(ScriptError::of_resource(&name, &problem));
            } else {
                folders.insert(name, path);
            }
        } else if name.starts_with('[') && name.ends_with(']') && depth < MAX_DEPTH {
            look_into(&path, depth + 1, folders, errors)?;
        }
    }
    Ok(())
}

/// Sorts by name, then moves each behind what it depends on. What depends on something that is missing, or on itself,
/// is left out and told.
fn order(
    mut found: BTreeMap<String, Found>,
    wanted: Option<&[String]>,
    errors: &mut Vec<ScriptError>,
) -> Vec<Found> {
    let mut providers: HashMap<String, String> = HashMap::new();
    for resource in found.values() {
        for alias in resource.manifest.all("provide") {
            providers.entry(alias.to_owned()).or_insert_with(|| resource.name.clone());
        }
    }
    let provider = |found: &BTreeMap<String, Found>, name: &str| {
        if found.contains_key(name) { Some(name.to_owned()) } else { providers.get(name).cloned() }
    };
    let mut order = Vec::new();
    let mut state: BTreeMap<String, Visit> = BTreeMap::new();
    let starts: Vec<_> = match wanted {
        Some(names) => names.iter().filter(|name| found.contains_key(*name)).cloned().collect(),
        None => found.keys().cloned().collect(),
    };
    for start in starts {
        // depth first with an explicit stack: (resource, its dependencies not yet looked at)
        let mut stack = vec![start];
        while let Some(name) = stack.last().cloned() {
            match state.get(&name) {
                Some(Visit::Done | Visit::Failed) => {
                    stack.pop();
                    continue;
                }
                Some(Visit::Open) | None => {}
            }
            state.insert(name.clone(), Visit::Open);
            let Some(resource) = found.get(&name) else {
                stack.pop();
                continue;
            };
            let mut problem = None;
            let mut next = None;
            for dependency in resource.manifest.dependencies() {
                match provider(&found, dependency) {
                    None => {
                        problem = Some(format!(
                            "it depends on {dependency:?}, which is not there; add that resource or take the line out of its manifest"
                        ))
                    }
                    Some(real) if real == name => {}
                    Some(real) => match state.get(&real) {
                        Some(Visit::Done) => {}
                        Some(Visit::Failed) => {
                            problem = Some(format!("it depends on {dependency:?}, which cannot start"))
                        }
                        Some(Visit::Open) => problem = Some(cycle(&stack, &real)),
                        None => next = Some(real),
                    },
                }
                if problem.is_some() {
                    break;
                }
            }
            match (problem, next) {
                (Some(problem), _) => {
                    errors.push(ScriptError::of_resource(&name, &problem));
                    state.insert(name, Visit::Failed);
                    stack.pop();
                }
                (None, Some(next)) => stack.push(next),
                (None, None) => {
                    state.insert(name.clone(), Visit::Done);
                    order.push(name);
                    stack.pop();
                }
            }
        }
    }
    let unique: BTreeSet<_> = order.iter().cloned().collect();
    debug_assert_eq!(unique.len(), order.len());
    order.into_iter().filter_map(|name| found.remove(&name)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Open,
    Done,
    Failed,
}

fn cycle(stack: &[String], first: &str) -> String {
    let from = stack.iter().position(|name| name == first).unwrap_or(0);
    let mut names = stack[from..].to_vec();
    names.push(first.to_owned());
    format!("its dependencies go in a circle: {}; take one of them out of its manifest", names.join(" → "))
}
