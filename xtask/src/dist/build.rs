//! What is compiled for a release, and how two machines come to the same bytes.
//!
//! Compilers write into what they make where the sources lay: messages of panics have it, and so have tables of lines.
//! Those places are given other names. The build has a folder of its own, for cargo takes a library that was made there
//! with other flags for its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Release;
use crate::cargo::cargo;
use crate::metadata::{self, Package};
use crate::process;

/// The command's package.
pub const COMMAND: &str = "tickscope-cli";

/// Files that were built.
pub struct Built {
    pub tickscope: PathBuf,
    pub agent: PathBuf,
    pub plugins: Vec<PathBuf>,
    /// Packages that were built at once, by name.
    pub packages: Vec<Vec<String>>,
}

/// Builds all of it in `folder`, with the places of the sources renamed.
pub fn reproducible(folder: &Path, release: &Release, plugins: &[Package]) -> Result<Built> {
    let places = places(folder)?;
    let rust: Vec<String> =
        places.iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    let c: Vec<String> = places.iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect();
    let prepare = |command: &mut Command| {
        command.env("CARGO_TARGET_DIR", folder);
        command.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"));
        command.env("CFLAGS", c.join(" ")).env("SOURCE_DATE_EPOCH", release.epoch.to_string());
        command.env("CARGO_INCREMENTAL", "0");
    };
    build(&folder.join("release"), plugins, prepare)
}

/// Builds what is missing in the release build of the checkout.
pub fn present(plugins: &[Package]) -> Result<Built> {
    build(&metadata::target_dir().join("release"), plugins, |_| {})
}

fn build(release: &Path, plugins: &[Package], prepare: impl Fn(&mut Command)) -> Result<Built> {
    let mut packages = vec![vec![COMMAND.to_owned()]];
    if !plugins.is_empty() {
        packages.push(plugins.iter().map(|plugin| plugin.name.clone()).collect());
    }
    // Apart, so that what a plugin asks of a crate does not end up in the command.
    for names in &packages {
        let mut command = cargo(["build", "--release", "--locked"]);
        command.current_dir(metadata::root());
        command.args(names.iter().flat_map(|name| ["--package", name]));
        prepare(&mut command);
        process::show(&mut command)?;
    }
    let library = |plugin: &Package| {
        let name = plugin.library.as_deref().unwrap_or_default();
        release.join(format!("lib{name}.so"))
    };
    let built = Built {
        tickscope: release.join("tickscope"),
        // A dependency's file stays there.
        agent: release.join("deps/libtickscope_agent.so"),
        plugins: plugins.iter().map(library).collect(),
        packages,
    };
    for file in [&built.tickscope, &built.agent].into_iter().chain(&built.plugins) {
        ensure!(file.is_file(), "cargo has not built {}", file.display());
    }
    Ok(built)
}

/// Where sources lie on this machine, and what is written in their place. Of two that fit, the later is taken.
pub fn places(folder: &Path) -> Result<Vec<(String, &'static str)>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("no home of cargo")?;
    let sysroot = process::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    let root = metadata::root().canonicalize()?;
    let mut places = vec![
        (sysroot.join("lib/rustlib/src/rust"), "/rust"),
        (root, "/tickscope"),
        (folder.to_owned(), "/build"),
    ];
    // The name of the folder of a registry has a hash in it, of where it is asked.
    let registries = std::fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    places.extend(registries.map(|entry| (entry.path(), "/crates")));
    places
        .into_iter()
        .map(|(from, to)| {
            let from = from.to_str().with_context(|| format!("{} is not UTF-8", from.display()))?.to_owned();
            ensure!(
                !from.contains([' ', '=']),
                "{from} has a space or `=` in it, which flags of compilers cannot"
            );
            Ok((from, to))
        })
        .collect()
}
