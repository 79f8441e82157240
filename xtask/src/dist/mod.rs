//! `cargo xtask dist`: what a server owner downloads.
//!
//! The same commit gives the same bytes, wherever it is built with the same toolchain: see `build.rs` for what is
//! compiled, `pack.rs` for how it is packed. `cargo xtask soak` builds it twice and compares.

mod build;
mod crates;
mod deb;
mod installed;
mod notices;
mod pack;
mod sbom;
pub mod smoke;
mod tree;
pub mod twice;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::metadata::{self, Package};
use crate::process;
use build::Built;
use tree::Tree;

#[derive(Args)]
pub struct Options {
    /// Only these plugins, by the names of their folders; `none` for no plugin. [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    plugins: Vec<String>,
    /// Where the files go.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// Also from files that are not committed: what is made is then nobody's release.
    #[arg(long)]
    dirty: bool,
    /// Where cargo builds them; what other builds leave there is not made anew, so keep it for this.
    #[arg(long, value_name = "DIR")]
    build: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<()> {
    let plugins = chosen(&options.plugins)?;
    let mut status = Command::new("git");
    status.current_dir(metadata::root()).args(["status", "--porcelain"]);
    // Sources without a history are as they were given.
    let changed = process::output(&mut status).map(|output| output.stdout).unwrap_or_default();
    let changed = String::from_utf8_lossy(&changed);
    ensure!(
        options.dirty || changed.is_empty(),
        "not committed:\n{changed}commit it, or take it all the same with --dirty"
    );
    let folder = options.build.clone().unwrap_or_else(|| metadata::target_dir().join("dist"));
    fs::create_dir_all(&folder)?;
    let release = Release::here()?;
    let built = build::reproducible(&folder.canonicalize()?, &release, &plugins)?;
    for file in make(&release, &built, &folder.join("staged"), &options.out)? {
        println!("{}", file.display());
    }
    Ok(())
}

/// What of this checkout does not depend on where it lies.
pub struct Release {
    /// Version of the command.
    version: String,
    /// What it is built for, as rustc calls it.
    target: String,
    /// When the commit was made, or what `SOURCE_DATE_EPOCH` says, in seconds since 1970.
    epoch: u64,
    /// Where the sources are published.
    repository: String,
}

impl Release {
    fn here() -> Result<Self> {
        let members = metadata::members()?;
        let command = members.into_iter().find(|member| member.name == build::COMMAND);
        let command = command.context("the command is not in the workspace")?;
        let said = process::capture(Command::new("rustc").arg("-vV"))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let target = said.lines().find_map(|line| line.strip_prefix("host: "));
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_) => {
                let mut log = Command::new("git");
                log.current_dir(metadata::root()).args(["log", "-1", "--format=%ct"]);
                let time = process::capture(&mut log).context("no commit's time; set SOURCE_DATE_EPOCH")?;
                String::from_utf8_lossy(&time.stdout).into_owned()
            }
        };
        Ok(Self {
            version: command.version,
            target: target.context("rustc does not say what it builds for")?.to_owned(),
            epoch: epoch.trim().parse().with_context(|| format!("`{}` is no time", epoch.trim()))?,
            repository: command.repository.context("tickscope-cli has no `repository`")?,
        })
    }

    /// The name of the archive and of the folder in it.
    fn name(&self) -> String {
        format!("tickscope-{}-{}", self.version, self.target)
    }
}

/// Packages below `plugins/` that make a library, by the names of their folders, all or those that are asked for.
fn chosen(names: &[String]) -> Result<Vec<Package>> {
    let folder = metadata::root().join("plugins");
    let mut all: Vec<Package> = metadata::members()?
        .into_iter()
        .filter(|member| member.folder.parent() == Some(&folder) && member.library.is_some())
        .collect();
    all.sort_by(|one, other| one.folder.cmp(&other.folder));
    if names.is_empty() {
        return Ok(all);
    }
    let known: Vec<String> = all.iter().map(Package::short).collect();
    for name in names.iter().filter(|name| *name != "none") {
        ensure!(known.contains(name), "there is no plugin `{name}`; there are {}", known.join(", "));
    }
    all.retain(|member| names.contains(&member.short()));
    Ok(all)
}

/// Stages what was built and all that goes with it below `work`, and packs it into `out`. The files that were made.
fn make(release: &Release, built: &Built, work: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let linked = crates::linked(&built.packages, &release.target)?;
    let mut tree = Tree::new(work.join(release.name()))?;
    tree.built(built)?;
    tree.documents(release)?;
    tree.text("THIRD-PARTY.txt", &notices::text(release, &linked)?)?;
    tree.text("sbom.cdx.json", &sbom::document(release, &built.packages, &linked)?)?;
    tree.sums()?;

    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let archive = out.join(format!("{}.tar.gz", release.name()));
    pack::archive(&tree, release, &archive)?;
    let bill = out.join(format!("{}.cdx.json", release.name()));
    fs::copy(tree.path("sbom.cdx.json"), &bill)?;
    let mut made = vec![archive, bill];
    let tools = process::find("dpkg-deb").is_some() && process::find("dpkg-shlibdeps").is_some();
    match deb::architecture(release) {
        Some(architecture) if tools => {
            let package = out.join(deb::file_name(release, architecture));
            deb::package(&tree, release, architecture, work, &package)?;
            made.push(package);
        }
        Some(_) => println!("no Debian package: dpkg-deb and dpkg-shlibdeps are not installed (dpkg-dev)"),
        None => println!("no Debian package: Debian's name for {} is not known here", release.target),
    }
    let sums = out.join("SHA256SUMS");
    fs::write(&sums, pack::sums(out, &made)?)?;
    Ok([made, vec![sums]].concat())
}
