//! The archive as its user has it: unpacked into an empty folder, with an empty home and nothing of cargo's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Release, build, chosen, installed, make, tree};
use crate::links;
use crate::metadata::{self, Package};
use crate::oracles::{install, runner};
use crate::process;
use crate::tally::Tally;

/// Plugins whose trees take minutes to build: `cargo xtask dist` has them, this has not.
const HEAVY: &[&str] = &["parquet"];
/// What follows the name of a plugin behind `--sink`, where its defaults are not for a test.
const OPTIONS: &[(&str, &str)] = &[
    ("prometheus", "=127.0.0.1:0"),
    // Where nobody listens: that is their trouble, and no failure.
    ("otlp", "=http://127.0.0.1:9"),
    ("pyroscope", "=http://127.0.0.1:9"),
];
/// Ticks of the city.
const TICKS: u64 = 60;
/// How long any one program may take.
const LIMIT: Duration = Duration::from_secs(120);

pub fn run(tally: &mut Tally) -> Result<()> {
    let mut plugins = chosen(&[])?;
    for heavy in plugins.extract_if(.., |plugin| HEAVY.contains(&plugin.short().as_str())) {
        tally.skip(
            &format!("dist: plugin {}", heavy.short()),
            "takes minutes to build; `cargo xtask soak` has it",
        );
    }
    let release = Release::here()?;
    let built = build::present(&plugins)?;
    let work = metadata::target_dir().join("dist-smoke");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let out = work.join("dist");
    let files = make(&release, &built, &work, &out)?;
    tally.judge("dist: the checksums beside the archive agree", check_sums(&out));
    let unpacked = Unpacked::new(&work.join("unpacked"), &files[0], &release.name())?;
    unpacked.judge(&plugins, tally);
    match files.iter().find(|file| file.extension().is_some_and(|ending| ending == "deb")) {
        Some(package) => installed::judge(package, &work, tally),
        None => {
            tally.skip("dist: the Debian package", "dpkg-deb and dpkg-shlibdeps are not installed");
            Ok(())
        }
    }
}

/// An archive's folder, and a home for whoever uses it.
struct Unpacked {
    top: PathBuf,
    home: PathBuf,
    files: BTreeSet<String>,
}

impl Unpacked {
    fn new(folder: &Path, archive: &Path, name: &str) -> Result<Self> {
        let (place, home) = (folder.join("place"), folder.join("home"));
        for folder in [&place, &home] {
            fs::create_dir_all(folder)?;
        }
        process::capture(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&place))?;
        let tops: Vec<String> = fs::read_dir(&place)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        ensure!(tops == [name], "the archive has {tops:?} at its top");
        let top = place.join(name);
        let mut files = BTreeSet::new();
        list(&top, "", &mut files)?;
        Ok(Self { top, home, files })
    }

    fn judge(&self, plugins: &[Package], tally: &mut Tally) {
        tally.judge("dist: the checksums in the archive agree", self.sums());
        tally.judge("dist: links of pages lead somewhere", self.links());
        tally.judge("dist: the headers compile", self.headers());
        tally.judge("dist: every plugin is found and good", self.plugins(plugins));
        tally.judge("dist: the city runs, with every plugin", self.city(plugins));
        match process::find("lua5.4") {
            Some(lua) => tally.judge("dist: a program is recorded", self.record(&lua)),
            None => tally.skip("dist: a program is recorded", "lua5.4 is not installed"),
        }
        match process::find("groff") {
            Some(_) => tally.judge("dist: groff sets the manual pages without a warning", self.pages()),
            None => tally.skip("dist: manual pages", "groff is not installed"),
        }
        for (shell, script) in tree::SHELLS {
            let name = format!("dist: {shell} reads its completions");
            match process::find(shell) {
                Some(_) => tally.judge(&name, self.completions(shell, script)),
                None => tally.skip(&name, format_args!("{shell} is not installed")),
            }
        }
        tally.judge("dist: licences of all that is linked", self.notices());
        match install::python_with("cyclonedx") {
            Some(python) => tally.judge("dist: the bill of materials is CycloneDX 1.6", self.bill(&python)),
            None => tally.skip("dist: the bill of materials", "cyclonedx-python-lib is not installed"),
        }
    }

    /// A program with nothing of ours around it.
    fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = process::limited(program, LIMIT);
        command.env_clear().env("HOME", &self.home).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").current_dir(&self.home);
        command
    }

    fn tickscope(&self) -> Command {
        self.program(self.top.join("bin/tickscope"))
    }

    fn sums(&self) -> Result<()> {
        check_sums(&self.top)?;
        let text = fs::read_to_string(self.top.join("SHA256SUMS"))?;
        let named: BTreeSet<&str> = text.lines().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
        let without: Vec<&String> = self
            .files
            .iter()
            .filter(|file| *file != "SHA256SUMS" && !named.contains(file.as_str()))
            .collect();
        ensure!(without.is_empty(), "no checksum of {without:?}");
        Ok(())
    }

    fn links(&self) -> Result<()> {
        let mut dead = Vec::new();
        let pages: Vec<&String> = self.files.iter().filter(|file| file.ends_with(".md")).collect();
        ensure!(pages.len() > 10, "only {} pages", pages.len());
        for page in pages {
            let text = fs::read_to_string(self.top.join(page))?;
            dead.extend(
                links::dead(&text, Path::new(page), |file| tree::is_there(file, &self.files))
                    .into_iter()
                    .map(|link| format!("{page}: {link}")),
            );
        }
        ensure!(dead.is_empty(), "dead: {}", dead.join(", "));
        Ok(())
    }

    fn headers(&self) -> Result<()> {
        let headers: Vec<&String> =
            self.files.iter().filter(|file| file.ends_with(".h") && file.starts_with("include/")).collect();
        ensure!(headers.len() == 2, "headers: {headers:?}");
        for header in headers {
            let mut compile = self.program("cc");
            process::capture(
                compile
                    .args(["-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-x", "c"])
                    .arg(self.top.join(header)),
            )?;
        }
        Ok(())
    }

    fn plugins(&self, plugins: &[Package]) -> Result<()> {
        let output = process::capture(self.tickscope().args(["plugins", "--test", "--format", "json"]))?;
        let answer: Value = serde_json::from_slice(&output.stdout).context("no JSON")?;
        let list = answer["plugins"].as_array().context("no `plugins`")?;
        for found in list {
            ensure!(found["usable"] == true && found["warning"].is_null(), "not good: {found}");
        }
        let found: BTreeSet<&str> = list.iter().filter_map(|plugin| plugin["name"].as_str()).collect();
        let wanted: Vec<String> = plugins.iter().map(Package::short).collect();
        ensure!(found == wanted.iter().map(String::as_str).collect(), "found {found:?}, not {wanted:?}");
        Ok(())
    }

    fn city(&self, plugins: &[Package]) -> Result<()> {
        let mut command = self.tickscope();
        command.arg("run").arg(self.top.join("examples/city"));
        command.args(["--virtual-time", "--format", "json", "--ticks", &TICKS.to_string()]);
        let names: Vec<String> = plugins.iter().map(Package::short).collect();
        for name in &names {
            let options =
                OPTIONS.iter().find(|(plugin, _)| plugin == name).map_or("", |(_, options)| options);
            command.arg("--sink").arg(format!("{name}{options}"));
        }
        let output = process::capture(&mut command)?;
        let report: Value = serde_json::from_slice(&output.stdout).context("the report is not JSON")?;
        ensure!(report["ticks"] == TICKS, "{} ticks instead of {TICKS}", report["ticks"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for name in names {
            let begin = format!("sink {name}: took ");
            let line = said.lines().find(|line| line.starts_with(&begin));
            let line = line.with_context(|| format!("nothing is said of {name}:\n{said}"))?;
            ensure!(!line.contains(": took 0 ") && !line.contains("left out"), "{line}");
        }
        Ok(())
    }

    /// The agent is found, and what it writes is a capture.
    fn record(&self, lua: &Path) -> Result<()> {
        let capture = self.home.join("lua.perfetto-trace");
        let mut record = self.tickscope();
        record.args(["record", "--depth", "trace", "-o"]).arg(&capture).arg("--").arg(lua);
        let output =
            process::capture(record.args(["-e", "local function f() end for i = 1, 9 do f() end print(1)"]))?;
        ensure!(output.stdout == b"1\n", "it printed {:?}", String::from_utf8_lossy(&output.stdout));
        let report = process::capture(self.tickscope().args(["report", "--format", "json"]).arg(&capture))?;
        let report: Value = serde_json::from_slice(&report.stdout).context("the report is not JSON")?;
        let symbols = report["symbols"].as_array().context("no `symbols`")?;
        ensure!(
            symbols.iter().any(|symbol| symbol["calls"] == 9),
            "no function was called nine times: {report}"
        );
        Ok(())
    }

    fn pages(&self) -> Result<()> {
        let pages: Vec<&String> = self.files.iter().filter(|file| file.starts_with("share/man/")).collect();
        ensure!(pages.len() > 10, "only {} pages", pages.len());
        for page in pages {
            let output = process::capture(
                self.program("groff").args(["-k", "-man", "-ww", "-Tutf8"]).arg(self.top.join(page)),
            )?;
            ensure!(output.stderr.is_empty(), "{page}: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(text.contains("tickscope") && text.lines().count() > 10, "{page} is set as:\n{text}");
        }
        Ok(())
    }

    fn completions(&self, shell: &str, script: &str) -> Result<()> {
        let script = self.top.join(script);
        let only_read = if shell == "fish" { "--no-execute" } else { "-n" };
        process::capture(self.program(shell).arg(only_read).arg(&script))?;
        if shell == "bash" {
            let ask = "source \"$0\"; COMP_WORDS=(tickscope re); COMP_CWORD=1; _tickscope tickscope re tickscope; \
                       echo \"${COMPREPLY[@]}\"";
            let output = process::capture(self.program("bash").args(["-c", ask]).arg(&script))?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(
                said.contains("record") && said.contains("report"),
                "`tickscope re` is completed to {said}"
            );
        }
        Ok(())
    }

    fn notices(&self) -> Result<()> {
        let text = fs::read_to_string(self.top.join("THIRD-PARTY.txt"))?;
        let bill: Value = serde_json::from_slice(&fs::read(self.top.join("sbom.cdx.json"))?)?;
        let parts = bill["components"].as_array().context("no `components`")?;
        let others: Vec<&Value> = parts.iter().filter(|part| part["hashes"].is_array()).collect();
        ensure!(others.len() > 50, "only {} parts", others.len());
        for part in others {
            let name = format!("{} {}", text_of(&part["name"]), text_of(&part["version"]));
            let licensed = |line: &str| line.split(", ").any(|user| user == name);
            ensure!(text.lines().any(|line| line.starts_with(&format!("{name}: "))), "{name} is not listed");
            ensure!(text.lines().any(licensed), "there is no text of the licence of {name}");
        }
        Ok(())
    }

    fn bill(&self, python: &Path) -> Result<()> {
        process::capture(
            Command::new(python).arg(runner("bill_of_materials.py")).arg(self.top.join("sbom.cdx.json")),
        )?;
        Ok(())
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn check_sums(folder: &Path) -> Result<()> {
    let mut command = Command::new("sha256sum");
    process::capture(command.current_dir(folder).args(["--check", "--strict", "--quiet", "SHA256SUMS"]))?;
    Ok(())
}

/// Files below `folder`, called by their path from there.
fn list(folder: &Path, before: &str, files: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name);
        }
    }
    Ok(())
}
