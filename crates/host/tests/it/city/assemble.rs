//! Copies of the city to run: as it is, mended, under other names, in another order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::Value;
use tempfile::TempDir;

/// How a copy differs from the city as it stands in `examples`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variant {
    /// A folder of `examples` that is laid over it; faults in files that it replaces are gone.
    pub over: Option<&'static str>,
    /// Resources, and functions with a fault, have other names.
    pub renamed: bool,
    /// Every script has more lines at its top.
    pub moved_lines: bool,
    /// Resources sort the other way round, and so start in another order where their dependencies let them.
    pub reversed: bool,
}

/// A fault that is in the city on purpose.
#[derive(Clone, Debug)]
pub struct Fault {
    pub resource: String,
    pub function: String,
    pub file: String,
    pub line: u64,
    /// It makes a late tick; otherwise it makes a slow operation.
    pub late_tick: bool,
}

/// A copy of the city in a folder of its own, with the list of its faults.
pub struct City {
    folder: TempDir,
    planted: Vec<Fault>,
    folders: BTreeMap<String, PathBuf>,
}

impl City {
    pub fn assemble(variant: &Variant) -> Self {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let city = examples.join("city");
        let mut files = BTreeMap::new();
        collect(&city, Path::new(""), &mut files).expect("the city can be read");
        let list = files.remove(Path::new("planted.json")).expect("the city has a list of its faults");
        let mut planted = faults(&list);
        if let Some(over) = variant.over {
            let mut others = BTreeMap::new();
            collect(&examples.join(over), Path::new(""), &mut others).expect("they can be read");
            others.remove(Path::new("README.md"));
            for (path, text) in others {
                planted.retain(|fault| !path.ends_with(Path::new(&fault.resource).join(&fault.file)));
                let replaced = files.insert(path.clone(), text);
                assert!(replaced.is_some(), "{} is a file of the city", path.display());
            }
        }
        files.retain(|path, _| path.extension().is_some_and(|kind| kind == "lua" || kind == "json"));

        let names = names(variant, &files, &faults(&list));
        let folder = TempDir::new().expect("a folder for the copy");
        let mut folders = BTreeMap::new();
        for (place, (path, text)) in files.iter().enumerate() {
            let copied: PathBuf =
                path.components().map(|part| replaced(&part.as_os_str().to_string_lossy(), &names)).collect();
            let mut text = replaced(text, &names);
            if variant.moved_lines && path.extension().is_some_and(|kind| kind == "lua") {
                let lines = 1 + place % 7;
                text = "-- moved\n".repeat(lines) + &text;
                for fault in &mut planted {
                    if path.ends_with(Path::new(&fault.resource).join(&fault.file)) {
                        fault.line += lines as u64;
                    }
                }
            }
            let target = folder.path().join("city").join(&copied);
            fs::create_dir_all(target.parent().expect("a file lies in a folder"))
                .expect("a folder can be made");
            fs::write(&target, text).expect("a file can be written");
            if path.ends_with("fxmanifest.lua")
                && let Some(resource) = target.parent()
            {
                let name =
                    resource.file_name().expect("a resource has a name").to_string_lossy().into_owned();
                folders.insert(name, resource.to_owned());
            }
        }
        for fault in &mut planted {
            fault.resource = replaced(&fault.resource, &names);
            fault.function = replaced(&fault.function, &names);
        }
        Self { folder, planted, folders }
    }

    /// The server directory.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("city")
    }

    /// The names of its resources.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.folders.keys().map(String::as_str)
    }

    /// A folder for what a run writes.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    pub fn planted(&self) -> &[Fault] {
        &self.planted
    }

    /// The text of the file a fault is, or was, in.
    pub fn source(&self, fault: &Fault) -> String {
        let folder = &self.folders[&fault.resource];
        fs::read_to_string(folder.join(&fault.file)).expect("the file of a fault can be read")
    }

    /// The line a fault is said to be in.
    pub fn line(&self, fault: &Fault) -> String {
        self.source(fault).lines().nth(fault.line as usize - 1).unwrap_or_default().to_owned()
    }
}

fn collect(root: &Path, below: &Path, files: &mut BTreeMap<PathBuf, String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_none_or(|kind| kind != "save") {
            files.insert(path, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

fn faults(list: &str) -> Vec<Fault> {
    let list: Vec<Value> = serde_json::from_str(list).expect("planted.json is a list");
    let text = |fault: &Value, key: &str| fault[key].as_str().expect("a text").to_owned();
    list.iter()
        .map(|fault| Fault {
            resource: text(fault, "resource"),
            function: text(fault, "function"),
            file: text(fault, "file"),
            line: fault["line"].as_u64().expect("a line"),
            late_tick: match fault["effect"].as_str() {
                Some("late_tick") => true,
                Some("slow_op") => false,
                other => panic!("unknown effect {other:?}"),
            },
        })
        .collect()
}

/// Old words and their new ones. Letters and digits only: some names end up in queries.
fn names(
    variant: &Variant,
    files: &BTreeMap<PathBuf, String>,
    planted: &[Fault],
) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let resources = files.keys().filter(|path| path.ends_with("fxmanifest.lua"));
    let resources: Vec<String> = resources
        .filter_map(|path| Some(path.parent()?.file_name()?.to_string_lossy().into_owned()))
        .collect();
    if variant.renamed {
        for (n, resource) in resources.iter().enumerate() {
            names.insert(resource.clone(), format!("pack{}", n * 37 % 100));
        }
        for (n, word) in planted.iter().flat_map(|fault| fault.function.split('.')).enumerate() {
            names.insert(word.to_owned(), format!("fn{n}"));
        }
    }
    if variant.reversed {
        let mut sorted: Vec<_> =
            resources.iter().map(|name| names.get(name).unwrap_or(name).clone()).collect();
        sorted.sort();
        for resource in &resources {
            let name = names.get(resource).unwrap_or(resource).clone();
            let place = sorted.iter().position(|other| *other == name).expect("every resource was sorted");
            names.insert(resource.clone(), format!("s{:02}{name}", sorted.len() - place));
        }
        for (category, place) in [("core", "zz"), ("gameplay", "mm")] {
            names.entry(category.to_owned()).or_insert(format!("{place}{category}"));
        }
    }
    names
}

/// `text` with whole words replaced.
fn replaced(text: &str, names: &BTreeMap<String, String>) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        out.push_str(names.get(word).map_or(word, String::as_str));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}
