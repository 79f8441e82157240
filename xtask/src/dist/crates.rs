//! The crates that are linked into what is shipped, by what cargo says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo::cargo;
use crate::metadata;
use crate::process;

/// A crate that is linked in.
#[derive(Clone, Debug)]
pub struct Linked {
    pub name: String,
    pub version: String,
    /// SPDX expression.
    pub licence: String,
    pub authors: Vec<String>,
    pub repository: Option<String>,
    /// Its sources.
    pub folder: PathBuf,
    /// Whether it belongs to the workspace.
    pub ours: bool,
    /// SHA-256 of the archive it came in.
    pub checksum: Option<String>,
    /// Those of the list that it uses, by name and version.
    pub uses: BTreeSet<Key>,
}

/// Name and version.
pub type Key = (String, String);

impl Linked {
    pub fn key(&self) -> Key {
        (self.name.clone(), self.version.clone())
    }
}

/// What each of `builds` (packages that are built at once) links, sorted by name and version.
pub fn linked(builds: &[Vec<String>], target: &str) -> Result<Vec<Linked>> {
    let mut keys = BTreeSet::new();
    for packages in builds {
        let mut command = cargo(["tree", "--locked", "--edges", "normal,no-proc-macro", "--target", target]);
        command.args(["--prefix", "none", "--format", "{p}"]);
        command.args(packages.iter().flat_map(|name| ["--package", name]));
        let output = process::capture(command.current_dir(metadata::root()))?;
        keys.extend(String::from_utf8_lossy(&output.stdout).lines().filter_map(key));
    }
    let mut command = cargo(["metadata", "--locked", "--format-version", "1", "--filter-platform", target]);
    let output = process::capture(command.current_dir(metadata::root()))?;
    let document: Value = serde_json::from_slice(&output.stdout).context("cannot read cargo metadata")?;
    let lock = metadata::root().join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let linked = read(&document, keys, &checksums(&lock))?;
    ensure!(linked.iter().any(|linked| !linked.ours), "cargo tree names no dependency");
    Ok(linked)
}

/// `serde v1.0.2 (proc-macro) (*)`.
fn key(line: &str) -> Option<Key> {
    let mut words = line.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
}

fn read(document: &Value, mut keys: BTreeSet<Key>, checksums: &BTreeMap<Key, String>) -> Result<Vec<Linked>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let key_of = |package: &Value| (text(&package["name"]), text(&package["version"]));
    let packages = list(&document["packages"]);
    let by_id: BTreeMap<&str, &Value> =
        packages.iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let mut uses: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    for node in list(&document["resolve"]["nodes"]) {
        let Some(user) = by_id.get(node["id"].as_str().unwrap_or_default()).map(|package| key_of(package))
        else {
            continue;
        };
        if !keys.contains(&user) {
            continue;
        }
        for dependency in list(&node["deps"]) {
            let Some(used) = by_id.get(dependency["pkg"].as_str().unwrap_or_default()) else { continue };
            let is = |kind: &str| list(&dependency["dep_kinds"]).iter().any(|how| how["kind"] == *kind);
            let normal = list(&dependency["dep_kinds"]).iter().any(|how| how["kind"].is_null());
            // A crate that carries C sources for a build script, whose objects are linked.
            let carried = is("build") && text(&used["name"]).ends_with("-src");
            if carried {
                keys.insert(key_of(used));
            }
            if normal || carried {
                uses.entry(user.clone()).or_default().insert(key_of(used));
            }
        }
    }
    let mut linked = Vec::new();
    for package in packages.iter().filter(|package| keys.contains(&key_of(package))) {
        let key = key_of(package);
        let licence = text(&package["license"]).replace('/', " OR ");
        ensure!(!licence.is_empty(), "{} {} names no licence", key.0, key.1);
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let uses = uses.remove(&key).unwrap_or_default().intersection(&keys).cloned().collect();
        linked.push(Linked {
            licence,
            authors: list(&package["authors"]).iter().map(text).collect(),
            repository: package["repository"].as_str().map(str::to_owned),
            folder: manifest.parent().unwrap_or(Path::new("")).to_owned(),
            ours: package["source"].is_null(),
            checksum: checksums.get(&key).cloned(),
            uses,
            name: key.0,
            version: key.1,
        });
    }
    linked.sort_by_key(Linked::key);
    let found: BTreeSet<Key> = linked.iter().map(Linked::key).collect();
    ensure!(found == keys, "cargo metadata does not know {:?}", keys.difference(&found).collect::<Vec<_>>());
    Ok(linked)
}

/// Of the packages in a lock file.
fn checksums(lock: &str) -> BTreeMap<Key, String> {
    let field = |block: &str, name: &str| -> Option<String> {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let blocks = lock.split("[[package]]").skip(1);
    blocks
        .filter_map(|block| {
            Some(((field(block, "name")?, field(block, "version")?), field(block, "checksum")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree_and_of_lock_files() {
        let of = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        assert_eq!(key("serde v1.0.2 (*)"), Some(of("serde", "1.0.2")));
        assert_eq!(key("tickscope-core v0.1.0 (/a/b)"), Some(of("tickscope-core", "0.1.0")));
        assert_eq!(key(""), None);
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ff00\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"0.1.0\"\ndependencies = [\n \"a\",\n]\n";
        assert_eq!(checksums(lock), BTreeMap::from([(of("a", "1.0.0"), "ff00".to_owned())]));
    }

    #[test]
    fn sources_that_a_build_script_compiles_are_linked_and_tools_are_not() {
        let package = |name: &str| {
            serde_json::json!({
                "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": "registry",
                "manifest_path": format!("/r/{name}/Cargo.toml")
            })
        };
        let used = |name: &str, kind: Option<&str>| serde_json::json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let document = serde_json::json!({
            "packages": [package("lua"), package("lua-src"), package("cc"), package("libc"), package("unused")],
            "resolve": { "nodes": [{
                "id": "lua",
                "deps": [used("lua-src", Some("build")), used("cc", Some("build")), used("libc", None)]
            }]}
        });
        let keys = ["lua", "libc"].map(|name| (name.to_owned(), "1.0.0".to_owned()));
        let linked = read(&document, keys.into(), &BTreeMap::new()).unwrap();
        let names: Vec<&str> = linked.iter().map(|linked| linked.name.as_str()).collect();
        assert_eq!(names, ["libc", "lua", "lua-src"]);
        let uses: Vec<&str> = linked[1].uses.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(uses, ["libc", "lua-src"]);
        assert_eq!(linked[0].licence, "MIT OR Apache-2.0");
    }
}
