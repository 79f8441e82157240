//! The Debian package, looked at by Debian's own tools and unpacked as dpkg does it; the collector of its unit.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::tally::Tally;

/// The unit's file in the package.
const UNIT: &str = "usr/lib/systemd/system/tickscope-collect.service";
/// How much of the machine the unit may reach, in tenths of what `systemd-analyze security` counts to.
const EXPOSURE: &str = "20";
/// How long one program may take.
const LIMIT: Duration = Duration::from_secs(60);

pub fn judge(package: &Path, work: &Path, tally: &mut Tally) -> Result<()> {
    let root = work.join("root");
    let name = |what: &str| format!("dist: the Debian package {what}");
    tally.judge(&name("belongs to root"), owners(package));
    match process::find("lintian") {
        Some(_) => tally.judge(&name("has nothing that lintian warns of"), lintian(package)),
        None => tally.skip(&name("has nothing that lintian warns of"), "lintian is not installed"),
    }
    let unpacked = unpack(package, &root);
    let good = unpacked.is_ok();
    tally.judge(&name("is unpacked by dpkg"), unpacked);
    if !good {
        return Ok(());
    }
    match process::find("systemd-analyze") {
        Some(_) => tally.judge(&name("has a unit that systemd takes"), unit(&root)),
        None => tally.skip(&name("has a unit that systemd takes"), "systemd-analyze is not installed"),
    }
    tally.judge(&name("has a collector that its unit starts"), collector(&root));
    Ok(())
}

fn owners(package: &Path) -> Result<()> {
    process::capture(Command::new("dpkg-deb").arg("--info").arg(package))?;
    let output = process::capture(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let bad = |line: &&str| {
        let (mode, rest) = line.split_once(' ').unwrap_or_default();
        !rest.trim_start().starts_with("root/root ")
            || mode[1..].contains(['s', 't'])
            || mode.as_bytes()[8] == b'w'
    };
    let bad: Vec<&str> = text.lines().filter(bad).collect();
    ensure!(bad.is_empty(), "not as they should be:\n{}", bad.join("\n"));
    for file in [
        UNIT,
        "usr/bin/tickscope",
        "usr/lib/tickscope/libtickscope_agent.so",
        "usr/share/man/man1/tickscope.1.gz",
    ] {
        ensure!(text.lines().any(|line| line.ends_with(&format!(" ./{file}"))), "there is no {file}");
    }
    Ok(())
}

fn lintian(package: &Path) -> Result<()> {
    let mut command = process::limited("lintian", LIMIT * 5);
    command.args(["--fail-on", "error,warning", "--tag-display-limit", "0"]).arg(package);
    let output = process::output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // With why, for it fails by itself too.
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}\n{said}{failed}", output.status);
    Ok(())
}

/// Its scripts are for the machine itself, and are not run.
fn unpack(package: &Path, root: &Path) -> Result<()> {
    let state = root.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(state.join(folder))?;
    }
    fs::write(state.join("status"), "")?;
    let mut command = process::limited("dpkg", LIMIT);
    command.arg("--root").arg(root).args(["--force-not-root", "--force-bad-path", "--unpack"]).arg(package);
    process::capture(&mut command)?;
    for script in ["postinst", "prerm", "postrm"] {
        let script = state.join(format!("info/tickscope.{script}"));
        process::capture(Command::new("sh").arg("-n").arg(script))?;
    }
    let mut verify = process::limited("dpkg", LIMIT);
    let output = process::capture(verify.arg("--root").arg(root).args(["--verify", "tickscope"]))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // Files of configuration get their names when the package is configured.
    let differ: Vec<&str> = said.lines().filter(|line| !line.contains(" c /etc/")).collect();
    ensure!(differ.is_empty(), "files differ:\n{}", differ.join("\n"));
    Ok(())
}

fn unit(root: &Path) -> Result<()> {
    let unit = root.join(UNIT);
    // The shell is the machine's.
    let mut verify = process::limited("systemd-analyze", LIMIT);
    let output = process::capture(verify.args(["verify", "--man=no"]).arg(&unit))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!said.contains("tickscope"), "systemd-analyze says:\n{said}");
    let mut security = process::limited("systemd-analyze", LIMIT);
    security.args(["security", "--offline=true", &format!("--threshold={EXPOSURE}")]).arg(&unit);
    process::capture(&mut security)?;
    Ok(())
}

/// Runs what the unit starts, with the unpacked package in place of the machine, until it listens; then ends it as
/// systemd does.
fn collector(root: &Path) -> Result<()> {
    let captures = root.join("var/lib/tickscope/captures");
    fs::create_dir_all(&captures)?;
    let text = fs::read_to_string(root.join(UNIT))?;
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).context("no ExecStart")?;
    // systemd's own signs, then the places.
    let mut line = line.replace("$$", "$").replace("%%", "%");
    for place in ["/usr/bin/", "/var/lib/"] {
        ensure!(line.contains(place), "{line} does not speak of {place}");
        line = line.replace(place, &format!("{}{place}", root.display()));
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec {line}")).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("TICKSCOPE_COLLECT_OPTIONS", "--listen 127.0.0.1:0 --for 60s");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stderr.take().context("no standard error")?).lines();
    let mut said = Vec::new();
    let address = loop {
        let line = lines.next().with_context(|| format!("it has ended, and said {said:?}"))??;
        said.push(line.clone());
        if let Some((_, rest)) = line.split_once("takes posts at http://") {
            break rest.split(';').next().unwrap_or_default().to_owned();
        }
    };
    let token = root.join("var/lib/tickscope/token");
    let mode = fs::metadata(&token).context("there is no token")?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "the token has mode {mode:o}");
    let mut stream = TcpStream::connect(&address).with_context(|| format!("nobody listens at {address}"))?;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let _ = stream.read_to_string(&mut answer); // it may close early; what came is looked at
    ensure!(answer.starts_with("HTTP/1.1 40"), "a post without the token is answered {answer:?}");

    process::capture(Command::new("kill").args(["-TERM", &running.0.id().to_string()]))?;
    said.extend(lines.map_while(Result::ok));
    let status = running.0.wait()?;
    ensure!(status.success(), "it ended with {status}, and said {said:?}");
    let made: Vec<PathBuf> = fs::read_dir(&captures)?.flatten().map(|entry| entry.path()).collect();
    ensure!(made.len() == 1, "captures: {made:?}");
    let mut report = process::limited(root.join("usr/bin/tickscope"), LIMIT);
    let output = process::capture(report.args(["report", "--format", "json"]).arg(&made[0]))?;
    let _: Value = serde_json::from_slice(&output.stdout).context("the report is not JSON")?;
    Ok(())
}

/// Ended when it is left.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may be over
        let _ = self.0.wait();
    }
}
