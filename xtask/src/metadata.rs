//! What `cargo metadata` says about the workspace.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{cargo, process};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The target directory in use, shared by all stages.
pub fn target_dir() -> &'static Path {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    })
}

/// A package of the dependency tree.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Licence expression, as its manifest has it.
    pub licence: Option<String>,
    /// Whether it belongs to this workspace.
    pub member: bool,
    /// Folder of its manifest.
    pub folder: PathBuf,
    /// Whether it may be published.
    pub published: bool,
    /// Whether the manifest has a description, keywords, categories and a readme.
    pub described: [(&'static str, bool); 4],
    /// What it depends on, by name.
    pub dependencies: Vec<Dependency>,
    /// Where its manifest says that its sources are published.
    pub repository: Option<String>,
    /// Name of the shared library that it makes.
    pub library: Option<String>,
    /// Whether other crates can call it: it has a library of Rust that is no macro.
    pub callable: bool,
    /// Names of its features, and of optional dependencies that are some.
    pub features: Vec<String>,
    /// Names of its test targets.
    pub tests: Vec<String>,
    /// Orderings that its loom models depend on: `weaken` of `[package.metadata.loom]`.
    pub weakenings: Vec<String>,
}

impl Package {
    /// The name of its folder.
    pub fn short(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A line of a `[dependencies]` table.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// Whether it is one of ours, by path.
    pub path: bool,
    /// Whether only tests, examples and benches use it.
    pub dev: bool,
}

/// Every package in the tree of the workspace in the current directory.
pub fn packages() -> Result<Vec<Package>> {
    let mut command = cargo::cargo(["metadata", "--format-version", "1", "--all-features"]);
    let output = process::capture(&mut command)?;
    parse(&serde_json::from_slice(&output.stdout).context("cannot read the answer of cargo metadata")?)
}

/// The packages of the workspace itself.
pub fn members() -> Result<Vec<Package>> {
    let mut command = cargo::cargo(["metadata", "--format-version", "1", "--no-deps"]);
    let output = process::capture(&mut command)?;
    parse(&serde_json::from_slice(&output.stdout).context("cannot read the answer of cargo metadata")?)
}

fn parse(document: &Value) -> Result<Vec<Package>> {
    let members = document["workspace_members"].as_array().context("no workspace_members")?;
    let packages = document["packages"].as_array().context("no packages")?;
    Ok(packages.iter().map(|package| read_package(package, members.contains(&package["id"]))).collect())
}

fn read_package(package: &Value, member: bool) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |key: &str| package[key].as_array().into_iter().flatten();
    let filled = |key: &'static str| {
        let value = &package[key];
        let some = match value {
            Value::Array(items) => !items.is_empty(),
            Value::String(text) => !text.trim().is_empty(),
            _ => false,
        };
        (key, some)
    };
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    Package {
        name: text(&package["name"]),
        version: text(&package["version"]),
        licence: package["license"].as_str().map(str::to_owned),
        member,
        folder: manifest.parent().unwrap_or(Path::new("")).to_owned(),
        published: package["publish"].as_array().is_none_or(|places| !places.is_empty()),
        described: [filled("description"), filled("keywords"), filled("categories"), filled("readme")],
        dependencies: list("dependencies")
            .map(|dependency| Dependency {
                name: text(&dependency["name"]),
                path: dependency["path"].is_string(),
                dev: dependency["kind"] == "dev",
            })
            .collect(),
        repository: package["repository"].as_str().map(str::to_owned),
        library: list("targets")
            .find(|target| {
                target["crate_types"].as_array().is_some_and(|types| types.contains(&"cdylib".into()))
            })
            .map(|target| text(&target["name"])),
        callable: list("targets").any(|target| {
            let types = target["crate_types"].as_array();
            types.is_some_and(|types| types.iter().any(|kind| kind == "lib" || kind == "rlib"))
        }),
        features: package["features"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect(),
        tests: list("targets")
            .filter(|target| target["kind"][0] == "test")
            .map(|target| text(&target["name"]))
            .collect(),
        weakenings: package["metadata"]["loom"]["weaken"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect(),
    }
}
