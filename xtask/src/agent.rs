//! Whether the agent's file is what programs of glibc and of musl can take: what it asks for, and what it gives.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tally::Tally;
use crate::{metadata, oracles, process};

/// Libraries that musl takes for itself when it is asked for them. The unwinder and glibc's loader are not among them.
const C_LIBRARIES: &[&str] =
    &["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1"];
/// Each C library with what belongs to it.
const GLIBC: &[&str] = &["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"];
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
/// Functions whose second names for long files musl has only in its loader since 1.2.4 (`get_lfs64` in `ldso/dynlink.c`).
/// Those that we may need.
const LONG_FILES: &[&str] = &[
    "fallocate",
    "fstat",
    "fstatat",
    "ftruncate",
    "lseek",
    "lstat",
    "mmap",
    "open",
    "openat",
    "pread",
    "pwrite",
    "readdir",
    "stat",
    "statfs",
    "truncate",
];
/// What whoever attaches looks for, beside the functions of `tickscope.h`.
const FOR_ATTACHING: &[&str] = &["tickscope_attach", "tickscope_control", "tickscope_release"];
/// The C library's, which are ours in a program that is recorded: see `filter.rs` of the agent.
const IN_PLACE: &[&str] = &["prctl", "syscall"];

/// Checks the agent of the release build.
pub fn run(tally: &mut Tally) -> Result<()> {
    // A dependency's file stays in `deps`; that of a build of its own package is beside the command.
    let places = ["deps/libtickscope_agent.so", "libtickscope_agent.so"]
        .map(|name| oracles::tickscope().with_file_name(name));
    let made = |place: &PathBuf| std::fs::metadata(place).and_then(|file| file.modified()).ok();
    let newest = places.iter().filter(|place| place.is_file()).max_by_key(|place| made(place));
    let agent = newest.with_context(|| {
        format!("there is no {}; run `cargo xtask test --only release`", places[0].display())
    })?;
    let asked = symbols(agent, "--undefined-only")?;
    tally.judge("the agent asks for C libraries alone", needs(agent));
    tally.judge("the agent exports what its header says", exports(agent));
    let glibc = GLIBC.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    tally.judge("glibc has what the agent asks for", has(&asked, &glibc));
    if Path::new(MUSL).is_file() {
        tally.judge("musl has what the agent asks for", has(&asked, &[MUSL.into()]).and(long_files(&asked)));
    } else {
        tally.skip("musl has what the agent asks for", format_args!("{MUSL} is not installed"));
    }
    Ok(())
}

/// A symbol: its name without a version, and the letter that `nm` has for its kind.
type Symbol = (String, char);

fn symbols(file: &Path, which: &str) -> Result<Vec<Symbol>> {
    let mut command = Command::new("nm");
    let output = process::capture(command.args(["--dynamic", "--format=posix", which]).arg(file))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let symbol = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.split('@').next()?.to_owned();
        Some((name, words.next()?.chars().next()?))
    };
    let symbols: Vec<Symbol> = text.lines().filter_map(symbol).collect();
    ensure!(!symbols.is_empty(), "nm finds no symbols in {}", file.display());
    Ok(symbols)
}

/// Where the C compiler finds a library.
fn find(name: &str) -> Result<PathBuf> {
    let output = process::capture(Command::new("cc").arg(format!("-print-file-name={name}")))?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    ensure!(path.is_absolute(), "the C compiler knows no {name}");
    Ok(path)
}

fn needs(agent: &Path) -> Result<()> {
    let output = process::capture(Command::new("readelf").args(["--dynamic", "--wide"]).arg(agent))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    let needed: Vec<&str> = needed.filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    ensure!(!needed.is_empty(), "it needs nothing, not even a C library");
    let others: Vec<&str> = needed.into_iter().filter(|name| !C_LIBRARIES.contains(name)).collect();
    ensure!(others.is_empty(), "it needs {}, which a program of musl may not have", others.join(", "));
    Ok(())
}

/// What it exports gets between a program and its libraries, if they have the same.
fn exports(agent: &Path) -> Result<()> {
    let path = metadata::root().join("crates/agent/include/tickscope.h");
    let header = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let others = symbols(agent, "--defined-only")?.into_iter().map(|(name, _)| name);
    let others: Vec<String> = others
        .filter(|name| {
            ![FOR_ATTACHING, IN_PLACE].concat().contains(&name.as_str())
                && !header.contains(&format!("{name}("))
        })
        .collect();
    ensure!(others.is_empty(), "it exports {} as well", others.join(", "));
    Ok(())
}

/// Whether everything that is asked for in any case is in `libraries`.
fn has(asked: &[Symbol], libraries: &[PathBuf]) -> Result<()> {
    let mut there = BTreeSet::new();
    for library in libraries {
        there.extend(symbols(library, "--defined-only")?.into_iter().map(|(name, _)| name));
    }
    // `w` and `v` may stay without an answer.
    let missing = asked.iter().filter(|(name, kind)| *kind == 'U' && !there.contains(name));
    let missing: Vec<&str> = missing.map(|(name, _)| name.as_str()).collect();
    ensure!(
        missing.is_empty(),
        "it has no {}: do without, or look it up while the program runs, as crates/agent/src/c_library.rs does",
        missing.join(", ")
    );
    Ok(())
}

fn long_files(asked: &[Symbol]) -> Result<()> {
    let plain = asked.iter().filter_map(|(name, _)| name.strip_suffix("64"));
    let unknown: Vec<&str> = plain.filter(|name| !LONG_FILES.contains(name)).collect();
    ensure!(unknown.is_empty(), "newer versions may lack the 64-bit names of {}", unknown.join(", "));
    Ok(())
}
