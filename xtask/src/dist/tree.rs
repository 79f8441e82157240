//! The folder that is packed: the paths of the repository for what people read, those of a Unix prefix for the rest.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::build::Built;
use super::{Release, pack};
use crate::links;
use crate::metadata;
use crate::process;

/// What of the repository goes along as it is, by how a path begins and ends.
const DOCUMENTS: &[(&str, &str)] = &[
    ("README.md", ""),
    ("LICENSE-", ""),
    ("docs/", ""),
    ("plugins/", "/README.md"),
    ("plugins/c-example/", ""),
    // dashboards
    ("plugins/", ".json"),
    ("resources/", "/README.md"),
];
/// Headers, and where they lie.
const HEADERS: &[&str] = &["crates/agent/include/tickscope.h", "crates/abi/include/tickscope_sink.h"];
/// Shells, with the place where a script of theirs is looked for below a prefix.
pub const SHELLS: &[(&str, &str)] = &[
    ("bash", "share/bash-completion/completions/tickscope"),
    ("zsh", "share/zsh/site-functions/_tickscope"),
    ("fish", "share/fish/vendor_completions.d/tickscope.fish"),
];

/// A folder that is filled.
pub struct Tree {
    folder: PathBuf,
    /// Files in it, relative, sorted.
    files: BTreeSet<String>,
}

impl Tree {
    /// Begins with an empty one.
    pub fn new(folder: PathBuf) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder, files: BTreeSet::new() })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub fn text(&mut self, file: &str, text: &str) -> Result<()> {
        self.bytes(file, text.as_bytes(), false)
    }

    pub fn bytes(&mut self, file: &str, bytes: &[u8], program: bool) -> Result<()> {
        let path = self.path(file);
        let place = || format!("cannot write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(place)?;
        }
        fs::write(&path, bytes).with_context(place)?;
        let mode = if program { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).with_context(place)?;
        self.files.insert(file.to_owned());
        Ok(())
    }

    pub fn copy(&mut self, from: &Path, file: &str) -> Result<()> {
        let read = || format!("cannot read {}", from.display());
        let program = fs::metadata(from).with_context(read)?.permissions().mode() & 0o100 != 0;
        self.bytes(file, &fs::read(from).with_context(read)?, program)
    }

    /// Puts `file.gz` in the place of `file`.
    pub fn compress(&mut self, file: &str) -> Result<()> {
        process::capture(Command::new("gzip").args(["--best", "--no-name", "--force"]).arg(self.path(file)))?;
        self.files.remove(file);
        self.files.insert(format!("{file}.gz"));
        Ok(())
    }

    /// The command, the agent, plugins, and what the command says of itself.
    pub fn built(&mut self, built: &Built) -> Result<()> {
        self.program(&built.tickscope, "bin/tickscope")?;
        self.program(&built.agent, "lib/tickscope/libtickscope_agent.so")?;
        for plugin in &built.plugins {
            let name = plugin.file_name().unwrap_or_default().to_string_lossy();
            self.program(plugin, &format!("lib/tickscope/plugins/{name}"))?;
        }
        let pages = self.folder.with_extension("man");
        process::capture(Command::new(&built.tickscope).arg("man").arg(&pages))?;
        for page in fs::read_dir(&pages)? {
            let page = page?.path();
            let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.copy(&page, &format!("share/man/man1/{name}"))?;
        }
        fs::remove_dir_all(&pages)?;
        for (shell, place) in SHELLS {
            let script = process::capture(Command::new(&built.tickscope).args(["completions", shell]))?;
            self.bytes(place, &script.stdout, false)?;
        }
        Ok(())
    }

    /// Without what only debuggers read, which is most of its size. Messages of panics have file and line all the same.
    fn program(&mut self, from: &Path, file: &str) -> Result<()> {
        let stripped = self.folder.with_extension("stripped");
        let mut strip = Command::new("strip");
        process::capture(strip.args(["--strip-unneeded", "-o"]).arg(&stripped).arg(from))?;
        let bytes = fs::read(&stripped)?;
        fs::remove_file(&stripped)?;
        self.bytes(file, &bytes, file.starts_with("bin/"))
    }

    /// Headers, examples and what people read.
    pub fn documents(&mut self, release: &Release) -> Result<()> {
        let root = metadata::root();
        for header in HEADERS {
            let name = Path::new(header).file_name().unwrap_or_default().to_string_lossy();
            self.copy(&root.join(header), &format!("include/{name}"))?;
        }
        let known = known(root)?;
        // Packages of Rust name crates by paths of the repository.
        let packages: Vec<&str> = known
            .iter()
            .filter_map(|file| file.strip_suffix("Cargo.toml"))
            .filter(|folder| folder.starts_with("examples/"))
            .collect();
        let wanted = |file: &str| {
            let example =
                file.starts_with("examples/") && !packages.iter().any(|folder| file.starts_with(folder));
            let document = |(begin, end): &(&str, &str)| file.starts_with(begin) && file.ends_with(end);
            !file.ends_with(".gitignore") && (example || DOCUMENTS.iter().any(document))
        };
        for file in known.iter().filter(|file| wanted(file)) {
            self.copy(&root.join(file), file)?;
        }
        let pages: Vec<String> =
            self.files().filter(|file| file.ends_with(".md")).map(str::to_owned).collect();
        for page in pages {
            let text = fs::read_to_string(self.path(&page))?;
            let base = format!("{}/blob/v{}", release.repository, release.version);
            self.text(
                &page,
                &links::outward(&text, Path::new(&page), &base, |file| is_there(file, &self.files)),
            )?;
        }
        Ok(())
    }

    /// `SHA256SUMS` of all that is there.
    pub fn sums(&mut self) -> Result<()> {
        let files: Vec<PathBuf> = self.files().map(PathBuf::from).collect();
        let sums = pack::sums(&self.folder, &files)?;
        self.text("SHA256SUMS", &sums)
    }
}

/// Whether `file` is among `files`, or a folder of one.
pub fn is_there(file: &Path, files: &BTreeSet<String>) -> bool {
    let name = file.to_string_lossy();
    let below = format!("{name}/");
    files.contains(name.as_ref())
        || files.range(below.clone()..).next().is_some_and(|file| file.starts_with(&below))
}

/// The files that git knows, relative to the root.
fn known(root: &Path) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    let output = process::capture(command.current_dir(root).args(["ls-files", "-z", "--cached"]))
        .context("what goes into a release is what git knows")?;
    let files: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(!files.is_empty(), "git knows no file in {}", root.display());
    Ok(files)
}
