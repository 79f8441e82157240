//! What a server directory holds, needs and would find here, without running a script.
//!
//! The server's files are followed by the same code that follows them at a start: what starts, in which order, and what
//! keeps something from starting. Only the VMs are left out. The scripts are then compiled, which finds what Lua would
//! refuse, and walked for the global names they speak of.
//!
//! # Deliberately absent
//! What a script does with names it computes, and files that a script loads itself (`LoadResourceFile` and `load`, the
//! `require` of libraries): they are known when they run.

mod known;
mod scan;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

use crate::database::is_built_in;
use crate::lifecycle::StartedBy;
use crate::resource::{Resource, ResourceState};
use crate::scripts::{self, Entry};
use crate::server::{Server, cfg_file};
use crate::{Error, NoRecorder, ScriptError, ServerConfig, Silent, constraints};

pub use crate::natives::fidelity::Fidelity;
use known::Known;
use scan::{Scan, Scanned};

type Host = crate::host::Host<NoRecorder>;

/// What [`survey`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// The file of commands that says what starts; without one everything does.
    pub cfg: Option<PathBuf>,
    /// Those that start, in the order they do; then the others, by name.
    pub resources: Vec<Surveyed>,
    /// What is wrong with the server's files and folders, apart from single resources.
    pub problems: Vec<ScriptError>,
    /// Names that were to start and are no resource, and why.
    pub missing: Vec<(String, String)>,
    /// Folders where a resource would be, but without a manifest.
    pub without_manifest: Vec<PathBuf>,
}

/// A resource as it was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Surveyed {
    /// Its name: that of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// The categories it is in, outermost first, with their brackets.
    pub categories: Vec<String>,
    /// `version` of its manifest.
    pub version: Option<String>,
    /// `author` of its manifest.
    pub author: Option<String>,
    /// What makes it start; `None` when nothing does, or it cannot.
    pub start: Option<Start>,
    /// Resources it needs.
    pub dependencies: Vec<Dependency>,
    /// What it demands of the server, and why that is not met, if it is not.
    pub constraints: Vec<(String, Option<String>)>,
    /// Names it stands in for.
    pub provides: Vec<String>,
    /// The scripts a server loads, in the order it does.
    pub scripts: Vec<Script>,
    /// Exports that can be seen without running it.
    pub exports: Vec<String>,
    /// What its Lua scripts use of the server, of each name once.
    pub uses: Vec<Use>,
    /// What `run` would report about it before the first tick, as far as can be told.
    pub problems: Vec<ScriptError>,
}

/// Why a resource starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// A line in a file of commands.
    Line {
        /// As seen from the server directory.
        file: String,
        /// From 1.
        line: u32,
    },
    /// Something that starts depends on it.
    Needed {
        /// The first that does.
        by: String,
    },
    /// There is no file of commands, so everything starts.
    Always,
}

/// A dependency of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// As the manifest says it.
    pub name: String,
    /// The least version that will do.
    pub version: Option<String>,
    /// The resource that is meant, which may be one that provides the name; `None` when there is none.
    pub resource: Option<String>,
}

/// A script of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// As reports name it: relative to the resource, or `@other/file.lua`; a pattern that leads nowhere as it is.
    pub file: String,
    /// What becomes of it here.
    pub kind: ScriptKind,
}

/// What becomes of a script here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptKind {
    /// It runs here.
    Lua,
    /// It does not run here.
    JavaScript,
    /// It does not run here.
    CSharp,
    /// It is no script.
    Other,
    /// Encrypted: only FXServer can read it.
    Escrowed,
    /// There is no such file, or it may not be loaded.
    Missing,
    /// It cannot be read, or is no Lua.
    Broken,
}

/// What kind of name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum UseKind {
    /// A native, by name or hash.
    Native,
    /// Another global, or a function of a library.
    Global,
    /// An export of a resource: `resource:name`.
    Export,
}

/// A name that scripts of a resource use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Use {
    /// What kind of name it is.
    pub kind: UseKind,
    /// The name.
    pub name: String,
    /// How true it is to FXServer; [`Fidelity::Unknown`] when nothing here has it.
    pub fidelity: Fidelity,
    /// Why not more; may be empty.
    pub reason: String,
    /// The first script that uses it.
    pub file: String,
    /// The line there, from 1.
    pub line: u32,
    /// How many places use it.
    pub places: usize,
}

impl Survey {
    /// Whether all that is to start would, without an error.
    pub fn is_complete(&self) -> bool {
        let wanted = |resource: &&Surveyed| !resource.problems.is_empty() && resource.is_wanted();
        self.problems.is_empty() && self.missing.is_empty() && !self.resources.iter().any(|one| wanted(&one))
    }
}

impl Surveyed {
    /// Whether it is to start: it does, or was to and cannot.
    pub fn is_wanted(&self) -> bool {
        self.start.is_some() || self.problems.iter().any(|problem| problem.kind == crate::ErrorKind::Resource)
    }
}

/// Looks at the server directory of `config`; of the rest, `cfg`, `convars`, `resources` and `native_names` count.
///
/// ```
/// use tickscope_citizen::{ServerConfig, survey};
/// # let folder = tempfile::tempdir()?;
/// # std::fs::create_dir(folder.path().join("hello"))?;
/// # std::fs::write(folder.path().join("hello/fxmanifest.lua"), "fx_version 'cerulean' server_script 'main.lua'")?;
/// # std::fs::write(folder.path().join("hello/main.lua"), "print(#GetPlayers())")?;
/// # let root = folder.path();
/// let found = survey(ServerConfig::new(root))?;
/// assert!(found.is_complete());
/// let names: Vec<_> = found.resources[0].uses.iter().map(|used| &*used.name).collect();
/// assert_eq!(names, ["GetPlayers", "print"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the directory could not be run at all; see [`Error`].
pub fn survey(mut config: ServerConfig) -> Result<Survey, Error> {
    config.virtual_time = true;
    config.depth = tickscope_core::Depth::Boundary;
    config.tick_limit = None;
    config.data = None;
    config.scenario = None;
    let root = config.root.canonicalize().unwrap_or_else(|_| config.root.clone());
    let cfg = cfg_file(&root, config.cfg.as_deref())?;
    let without_manifest = crate::discover(&config.root)?.without_manifest;
    let server = Server::look(config, NoRecorder::default(), Silent)?;
    let host = server.host();
    let any = host.resources.get(0).ok_or_else(|| Error::NoResources { path: root.clone() })?;
    let machine = host.machine(&any)?;
    let known = Known::new(host, &machine.lua);

    let started: Vec<_> = host.lives.started().into_iter().filter_map(|id| host.resources.get(id)).collect();
    let mut all = started.clone();
    all.extend(host.resources.by_name().into_iter().filter(|one| one.state.get() != ResourceState::Started));
    let mut scan = Scan::new(&machine.lua);
    let scanned: Vec<Scanned> = all.iter().map(|one| scan.resource(one, &entries(host, one))).collect();
    let exports = known::Exports::new(host, all.iter().map(|one| &*one.name).zip(&scanned));
    let errors = host.reports.borrow().errors.clone();
    let resources: Vec<_> = all
        .iter()
        .zip(&scanned)
        .map(|(resource, scanned)| surveyed(host, resource, scanned, &errors, &known, &exports))
        .collect();
    let names: BTreeSet<&str> = all.iter().map(|one| &*one.name).collect();
    let problems = errors.iter().filter(|error| !names.contains(&*error.resource)).cloned().collect();
    let mut missing = host.not_started();
    missing.retain(|(name, _)| !names.contains(&**name));
    Ok(Survey { cfg, resources, problems, missing, without_manifest })
}

fn entries(host: &Rc<Host>, resource: &Resource) -> Vec<Entry> {
    let find = |name: &str| host.find(name).map(|other| (other.name.to_string(), other.path.clone()));
    scripts::entries(&resource.name, &resource.path, &resource.manifest(), &find)
}

fn surveyed(
    host: &Rc<Host>,
    resource: &Rc<Resource>,
    scanned: &Scanned,
    errors: &[ScriptError],
    known: &Known,
    exports: &known::Exports,
) -> Surveyed {
    let manifest = resource.manifest();
    let start = (resource.state.get() == ResourceState::Started).then(|| {
        let by = host.lives.started_by(resource.id);
        match by {
            Some(StartedBy::Line(file, line)) => Start::Line { file, line },
            Some(StartedBy::Resource(by)) => Start::Needed {
                by: host.resources.get(by).map_or_else(String::new, |other| other.name.to_string()),
            },
            None => Start::Always,
        }
    });
    let meant = |name: &str| host.find(name).map(|other| other.name.to_string());
    let dependencies = manifest.versioned_dependencies().map(|(name, version)| Dependency {
        name: name.to_owned(),
        version: version.map(str::to_owned),
        resource: meant(name),
    });
    let constraints =
        manifest.constraints().map(|one| (one.to_owned(), constraints::judge(one, &host.convars).err()));
    let mut problems: Vec<_> =
        errors.iter().filter(|error| error.resource == *resource.name).cloned().collect();
    if start.is_none() && problems.is_empty() {
        // nobody tried
        problems.extend(resource.broken.borrow().iter().map(|broken| {
            let error = ScriptError::of_resource(&resource.name, broken);
            ScriptError { kind: crate::ErrorKind::Load, ..error }
        }));
    }
    if start.is_some() || problems.is_empty() {
        problems.extend(scanned.problems.iter().cloned());
    }
    let words = |key: &str| manifest.first(key).map(str::to_owned);
    Surveyed {
        name: resource.name.to_string(),
        path: resource.path.clone(),
        categories: resource.categories.clone(),
        version: words("version"),
        author: words("author"),
        start,
        dependencies: dependencies.collect(),
        constraints: constraints.collect(),
        provides: manifest.all("provide").map(str::to_owned).collect(),
        scripts: scanned.scripts.clone(),
        exports: exports.of(&resource.name),
        uses: known.uses(scanned, exports),
        problems,
    }
}

/// Whether the host answers in place of a resource.
fn is_answered_for(resource: &Resource) -> bool {
    is_built_in(&resource.path) || crate::database::stands_in_for(resource)
}
