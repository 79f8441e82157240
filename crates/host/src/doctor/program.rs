//! What there is to record in a program: in its file and libraries, or in a process that runs.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tickscope_hooks::process::lua::{FileReport, LuaVersion, Verdict, examine};

use super::{Finding, machine};

/// Scripts may be run by scripts, but not for ever.
const MOST_INTERPRETERS: usize = 4;
/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;

pub(super) fn look_at_file(program: &OsStr, args: &[OsString]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut path = on_path(program)?;
    // By the name it was given: a loader may be a link to what has another.
    let started = behind_loader(Path::new(program), args);
    let (mut loader, mut options) = (None, &args[..0]);
    if let Some((program, before)) = started {
        findings.push(Finding::good(format!(
            "{} is a loader, which runs {}",
            path.display(),
            program.display()
        )));
        (loader, options) = (Some(path), before);
        path = PathBuf::from(program);
    }
    for _ in 0..MOST_INTERPRETERS {
        let Some(interpreter) = interpreter(&path)? else { break };
        findings.push(Finding::good(format!(
            "{} is a script, run by {}",
            path.display(),
            interpreter.display()
        )));
        path = on_path(&interpreter)?;
    }
    if fs::metadata(&path)?.permissions().mode() & SET_ID != 0 {
        findings.push(Finding::bad(
            format!("{} is set-uid: the loader preloads nothing into it", path.display()),
            "record it as the user it becomes, from a copy without that bit",
        ));
    }
    let report = examine(&path).with_context(|| format!("cannot look into {}", path.display()))?;
    let loader = loader.or_else(|| report.loader.clone());
    if loader.is_none() {
        findings.push(Finding::bad(
            format!("{} is linked statically: nothing can be preloaded into it", path.display()),
            "build it against shared libraries (as a Lua in one), or attach to it while it runs with --pid",
        ));
    }
    let libraries = loader.as_deref().map(|loader| libraries(loader, options, &path)).unwrap_or_default();
    findings.extend(of_modules(report, &libraries));
    if loader.is_some_and(|loader| is_musl(&loader)) {
        findings.push(Finding::good("its C library is musl"));
    }
    Ok(findings)
}

pub(super) fn look_at_process(pid: u32) -> Result<Vec<Finding>> {
    let folder = Path::new("/proc").join(pid.to_string());
    ensure!(folder.is_dir(), "there is no process {pid}");
    let mut findings = Vec::new();
    let program = fs::read_link(folder.join("exe"));
    let Ok(program) = program else {
        return Ok(vec![Finding::bad(
            format!("process {pid} belongs to another user, or is the system's"),
            "ask as that user, or as root",
        )]);
    };
    findings.push(Finding::good(format!("runs {}", program.display())));
    findings.push(tracing(&folder));
    let modules = mapped(&folder);
    // As the process sees the file: it may have been replaced since, or lie in another root.
    let report =
        examine(&folder.join("exe")).with_context(|| format!("cannot look into {}", program.display()))?;
    let others: Vec<PathBuf> = modules.into_iter().filter(|module| *module != program).collect();
    findings.extend(of_modules(FileReport { path: program, ..report }, &others));
    if others.iter().any(|module| is_musl(module)) {
        findings.push(Finding::note(
            "its C library is musl: what runs already cannot be attached to",
            "start it with `tickscope record -- …`",
        ));
    }
    Ok(findings)
}

/// Whether somebody may attach.
fn tracing(folder: &Path) -> Finding {
    let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse::<u32>().ok());
    if let Some(tracer) = tracer.filter(|tracer| *tracer != 0) {
        let name = fs::read_to_string(format!("/proc/{tracer}/comm")).unwrap_or_default();
        return Finding::bad(
            format!("is traced by {} ({tracer}) already", name.trim()),
            "a process has one tracer: end that one",
        );
    }
    let me = rustix::process::geteuid();
    let owner = fs::metadata(folder).map(|metadata| metadata.uid()).unwrap_or_default();
    if !me.is_root() && (owner != me.as_raw() || machine::scope().is_some_and(|scope| scope > 0)) {
        return Finding::bad(
            "this user may not attach to it",
            "attach as root, or start it with `tickscope record -- …`",
        );
    }
    Finding::good("can be attached to")
}

/// What the program and its libraries have inside.
fn of_modules(program: FileReport, libraries: &[PathBuf]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut reports = vec![program];
    reports.extend(libraries.iter().filter_map(|library| examine(library).ok()));
    for report in &reports {
        findings.extend(of_module(report));
    }
    let mono = reports.iter().find(|report| {
        report.path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("libmono") || name.starts_with("mono-sgen") || name == "mono"
        })
    });
    if let Some(mono) = mono {
        findings.push(Finding::good(format!("Mono in {}", mono.path.display())));
    }
    if findings.is_empty() {
        let program = &reports[0];
        findings.push(Finding::bad(
            format!("no Lua and no Mono in {} and its {} libraries", program.path.display(), reports.len() - 1),
            "one that it loads while it runs is not seen here: look into the process with `tickscope doctor --pid`",
        ));
    }
    findings
}

fn of_module(report: &FileReport) -> Option<Finding> {
    let place = report.path.display();
    match &report.verdict {
        Verdict::Lua { version: LuaVersion::LuaJit, .. } => Some(Finding::note(
            format!("LuaJIT in {place}: depths boundary and sample"),
            "every call cannot be traced: hooks would switch its compiler off",
        )),
        Verdict::Lua { .. } => {
            Some(Finding::good(format!("{} in {place}: depths boundary, sample and trace", report.verdict)))
        }
        Verdict::Refused(_) | Verdict::Unreadable(_) => {
            Some(Finding::bad(report.to_string(), "versions 5.1 to 5.4 and LuaJIT are recorded"))
        }
        Verdict::Stripped if report.text.is_some() => {
            Some(Finding::bad(report.to_string(), "functions are found by their names"))
        }
        _ => None,
    }
}

/// Alpine's is one file, `ld-musl-x86_64.so.1`; Debian's is called `libc.so`, in a folder for musl.
fn is_musl(library: &Path) -> bool {
    let is_called = |name: std::borrow::Cow<'_, str>| name.starts_with("ld-musl-") || name == "libc.so";
    library.file_name().is_some_and(|name| is_called(name.to_string_lossy()))
        && library.to_string_lossy().contains("musl")
}

/// The program that a loader is started with (`ld-musl-x86_64.so.1 --library-path … -- FXServer`), and the words before.
fn behind_loader<'a>(program: &Path, args: &'a [OsString]) -> Option<(&'a OsStr, &'a [OsString])> {
    const WITH_VALUE: [&str; 6] =
        ["--library-path", "--preload", "--argv0", "--inhibit-rpath", "--audit", "--glibc-hwcaps-prepend"];
    let name = program.file_name()?.to_string_lossy();
    if !["ld-musl-", "ld-linux", "ld.so"].iter().any(|loader| name.starts_with(loader)) {
        return None;
    }
    let mut index = 0;
    while let Some(word) = args.get(index).filter(|word| word.as_bytes().starts_with(b"--")) {
        if word.as_bytes() == b"--" {
            return Some((args.get(index + 1)?, &args[..index]));
        }
        index += if WITH_VALUE.iter().any(|option| word == option) { 2 } else { 1 };
    }
    Some((args.get(index)?, &args[..index]))
}

/// The program as a shell would find it.
fn on_path(program: &OsStr) -> Result<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        let path = PathBuf::from(program);
        ensure!(path.is_file(), "there is no program {}", path.display());
        return Ok(path.canonicalize()?);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| {
        fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    });
    Ok(found
        .with_context(|| format!("no folder of PATH has a program {}", program.display()))?
        .canonicalize()?)
}

/// What a script names in its first line: the program behind `env`, if that is it.
fn interpreter(path: &Path) -> Result<Option<OsString>> {
    let mut line = Vec::new();
    fs::File::open(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .take(256)
        .read_to_end(&mut line)?;
    let Some(line) = line.strip_prefix(b"#!") else { return Ok(None) };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let Some(program) = words.next() else { return Ok(None) };
    let named = if program.ends_with(b"/env") {
        words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))
    } else {
        Some(program)
    };
    Ok(named.map(|name| OsStr::from_bytes(name).to_owned()))
}

/// The libraries that `loader` would load for `program`, with theirs: it lists them, and runs nothing of the program.
fn libraries(loader: &Path, options: &[OsString], program: &Path) -> Vec<PathBuf> {
    let listed = Command::new(loader).args(options).arg("--list").arg(program).output();
    let Ok(listed) = listed.as_ref().map(|listed| String::from_utf8_lossy(&listed.stdout)) else {
        return Vec::new();
    };
    // name => path (address); the loader itself stands there without a name, the kernel's part without a path
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

/// The files of which a process has code in memory.
fn mapped(folder: &Path) -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
    maps.lines()
        .filter(|line| line.split_whitespace().nth(1).is_some_and(|rights| rights.contains('x')))
        .filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_is_started_with_a_program() {
        let check = |words: &str, wanted: Option<(&str, usize)>| {
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            let found = behind_loader(Path::new(&words[0]), &words[1..]);
            assert_eq!(
                found.map(|(program, options)| (program.to_str().unwrap(), options.len())),
                wanted,
                "{words:?}"
            );
        };
        check("/bin/lua5.4 --library-path a b", None);
        check("opt/ld-musl-x86_64.so.1 --library-path a:b -- FXServer +set a b", Some(("FXServer", 2)));
        check("/lib/ld-musl-x86_64.so.1 --library-path=a ./lua x.lua", Some(("./lua", 1)));
        check("/lib64/ld-linux-x86-64.so.2 /bin/lua5.4", Some(("/bin/lua5.4", 0)));
        check("ld.so --list", None);
    }

    #[test]
    fn scripts_name_their_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, wanted: Option<&str>| {
            let path = folder.path().join("script");
            fs::write(&path, text).unwrap();
            assert_eq!(interpreter(&path).unwrap().as_deref(), wanted.map(OsStr::new), "{text:?}");
        };
        check("#!/usr/bin/lua5.4\nprint(1)", Some("/usr/bin/lua5.4"));
        check("#! /usr/bin/env lua5.4", Some("lua5.4"));
        check("#!/usr/bin/env -S A=1 lua5.4 -W\n", Some("lua5.4"));
        check("#!\n", None);
        check("print(1)", None);
        check("", None);
        check("\u{7f}ELF", None);
    }
}
