//! Lua programs that nobody here wrote, under `tickscope lua`: what they print must not change by a byte, and what
//! was recorded must name their functions and balance.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{engine, folder, install, tickscope};
use crate::process;
use crate::tally::Tally;

pub(super) const DEPTHS: &[&str] = &["boundary", "sample", "trace"];

/// Where Debian keeps modules that it ships for Lua 5.1 only, pure Lua that any version runs.
const OLD_MODULES: &str = "/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua;;";

struct Program {
    name: String,
    folder: PathBuf,
    /// The script and its arguments.
    words: Vec<String>,
    /// `LUA_PATH_5_4`, where the program needs more than Lua's own.
    path: Option<&'static str>,
    /// Functions of it that a recording at depth trace must name.
    named: &'static [&'static str],
}

pub fn run(tally: &mut Tally) -> Result<()> {
    ensure!(tickscope().is_file(), "there is no release build; run `cargo xtask test --only release`");
    if process::find("lua5.4").is_none() {
        tally.skip("lua programs", "lua5.4 is not installed");
        return Ok(());
    }
    for program in programs(tally)? {
        let plain = match reference(&program) {
            Ok(plain) => plain,
            Err(error) => {
                tally.skip(&format!("lua {}", program.name), format_args!("{error:#}"));
                continue;
            }
        };
        for depth in DEPTHS {
            let result = under_hooks(&program, depth, &plain, tally);
            tally.judge(&format!("lua {} at depth {depth}", program.name), result);
        }
    }
    Ok(())
}

/// Every program that is installed; the others are skipped by name.
fn programs(tally: &mut Tally) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match install::tree() {
        Some(folder) if Path::new("/usr/bin/luacheck").is_file() => programs.push(Program {
            name: "luacheck over prosody, with lfs".into(),
            folder,
            // A part of the tree: a trace of the whole, 1.2 GB, outgrows the 32-bit memory of the trace processor.
            words: words(&[
                "/usr/bin/luacheck",
                "usr/lib/prosody/net",
                "--no-color",
                "--no-cache",
                "--codes",
            ]),
            path: Some(OLD_MODULES),
            named: &["parse_block", "parse_expression", "next_token", "attributes"],
        }),
        _ => tally.skip("lua luacheck", "luacheck or the tree it checks is not installed"),
    }
    let mut suite = |name: &str, source: &str, inner: &str, script: &[&str], path, named, needs: &str| {
        let found = install::source(source).map(|folder| folder.join(inner));
        match found {
            Some(folder) if needs.is_empty() || Path::new(needs).is_file() => {
                programs.push(Program { name: name.into(), folder, words: words(script), path, named });
            }
            _ => tally.skip(
                &format!("lua {name}"),
                format_args!("the source of {source}, or {needs}, is not installed"),
            ),
        }
    };
    let busted = "/usr/bin/busted";
    let spec = [busted, "-o", "TAP"];
    suite("lpeg's tests, a C module", "lua-lpeg", "", &["test.lua"], None, &["checkeq"], "");
    suite(
        "argparse's spec under busted",
        "lua-argparse",
        "",
        &spec,
        Some("src/?.lua;;"),
        &["describe"],
        busted,
    );
    suite("inspect's spec under busted", "lua-inspect", "", &spec, None, &["describe"], busted);
    match install::source("lua-penlight") {
        Some(folder) => {
            programs.extend(penlight(&folder)?);
            tally.skip(
                &format!("lua penlight {CALLS_LUA}"),
                "it shows the version of the interpreter it is run by",
            );
        }
        None => tally.skip("lua penlight's tests", "the source of lua-penlight is not installed"),
    }
    Ok(programs)
}

/// A test that runs the interpreter it finds in `arg[-1]` and shows its version.
const CALLS_LUA: &str = "test-utils3.lua";

/// Penlight's test-suite: one program for each of its files.
fn penlight(folder: &Path) -> Result<Vec<Program>> {
    let mut names: Vec<String> = fs::read_dir(folder.join("tests"))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("test-") && name.ends_with(".lua") && name != CALLS_LUA)
        .collect();
    names.sort();
    Ok(names
        .into_iter()
        .map(|name| Program {
            name: format!("penlight {name}"),
            folder: folder.to_owned(),
            words: vec![format!("tests/{name}")],
            path: Some("lua/?.lua;lua/?/init.lua;;"),
            named: &[],
        })
        .collect())
}

/// What plain Lua prints. A program that does not print the same twice cannot be compared.
fn reference(program: &Program) -> Result<Output> {
    let run = || {
        let mut command = process::limited("lua5.4", Duration::from_secs(120));
        environment(&mut command, program);
        process::output(command.args(&program.words))
    };
    let (first, second) = (run()?, run()?);
    ensure!(first.stdout == second.stdout, "plain Lua prints something else each time");
    ensure!(first.status.code() != Some(124), "plain Lua takes too long");
    Ok(first)
}

fn under_hooks(program: &Program, depth: &str, plain: &Output, tally: &mut Tally) -> Result<()> {
    let captures = folder().join("lua");
    fs::create_dir_all(&captures)?;
    let stem: String =
        program.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let capture = captures.join(format!("{stem}-{depth}.perfetto-trace"));
    let mut command = process::limited(tickscope(), Duration::from_secs(300));
    environment(&mut command, program);
    command.args(["lua", "--depth", depth, "-o"]).arg(&capture).args(&program.words);
    let output = process::output(&mut command)?;
    if output.stdout != plain.stdout {
        fs::write(captures.join("expected.txt"), &plain.stdout)?;
        fs::write(captures.join("actual.txt"), &output.stdout)?;
        anyhow::bail!(
            "it prints something else than under plain Lua ({} and {} bytes, kept in {}); {}",
            output.stdout.len(),
            plain.stdout.len(),
            captures.display(),
            String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default()
        );
    }
    ensure!(
        output.status.code() == plain.status.code(),
        "it ends with {} instead of {}",
        output.status,
        plain.status
    );
    balanced(&capture, depth, program.named)?;
    if install::trace_processor().is_some() && process::find("node").is_some() {
        engine::sound(&capture)?;
    } else {
        tally.skip(&format!("soundness of {}", capture.display()), "the trace processor is not installed");
    }
    fs::remove_file(&capture)?;
    Ok(())
}

fn environment(command: &mut Command, program: &Program) {
    command.current_dir(&program.folder).env("LC_ALL", "C").env_remove("LUA_INIT");
    if let Some(path) = program.path {
        command.env("LUA_PATH_5_4", path);
    }
}

/// The capture's report: every event accounted for, none unbalanced, functions by their names.
fn balanced(capture: &Path, depth: &str, named: &[&str]) -> Result<()> {
    let mut command = process::limited(tickscope(), Duration::from_secs(300));
    command.args(["report", "--format", "json"]).arg(capture);
    let output = process::capture(&mut command)?;
    let report: Value = serde_json::from_slice(&output.stdout).context("the report is not JSON")?;
    conserved(&report)?;
    ensure!(report["irregular"] == 0, "{} samples are irregular", report["irregular"]);
    let symbols = report["symbols"].as_array().context("the report has no `symbols`")?;
    let names: Vec<&str> = symbols.iter().filter_map(|symbol| symbol["function"].as_str()).collect();
    ensure!(names.len() == symbols.len(), "a symbol of the report has no `function`");
    // A C closure that no table holds, such as the iterator of `string.gmatch`, has no name to find.
    let lua = symbols.iter().filter(|symbol| symbol["runtime"] != "Native" && symbol["runtime"] != "native");
    let nameless = lua.filter(|symbol| symbol["function"] == "?" || symbol["function"] == "").count();
    ensure!(nameless == 0, "{nameless} of {} functions have no name", names.len());
    if depth == "trace" {
        for wanted in named {
            let found = names.iter().any(|name| name.rsplit(['.', ':']).next() == Some(wanted));
            ensure!(found, "the function `{wanted}` is not among the {} in the report", names.len());
        }
    }
    Ok(())
}

/// The law of conservation, and nothing thrown away as unbalanced.
pub(super) fn conserved(report: &Value) -> Result<()> {
    let number =
        |key: &str| report[key].as_u64().with_context(|| format!("the report has no number `{key}`"));
    let (attempted, committed, dropped) = (number("attempted")?, number("committed")?, number("dropped")?);
    let (delivered, overwritten, discarded) =
        (number("delivered")?, number("overwritten")?, number("discarded")?);
    ensure!(attempted > 0, "nothing was recorded");
    ensure!(
        attempted == committed + dropped,
        "attempted {attempted} ≠ committed {committed} + dropped {dropped}"
    );
    ensure!(
        committed == delivered + overwritten + discarded,
        "committed {committed} ≠ delivered {delivered} + overwritten {overwritten} + discarded {discarded}"
    );
    ensure!(discarded == 0, "{discarded} events did not balance");
    Ok(())
}
