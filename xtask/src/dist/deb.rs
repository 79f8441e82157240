//! The Debian package: what the archive has, in Debian's places, with a unit of systemd for the collector.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Release;
use super::tree::Tree;
use crate::metadata;
use crate::process;

/// Files of `xtask/debian`, and where they lie in the package.
const OURS: &[(&str, &str)] = &[
    ("tickscope-collect.service", "usr/lib/systemd/system/tickscope-collect.service"),
    ("tickscope-collect.default", "etc/default/tickscope-collect"),
    ("tickscope.tmpfiles", "usr/lib/tmpfiles.d/tickscope.conf"),
    ("copyright", "usr/share/doc/tickscope/copyright"),
];
/// Scripts that dpkg runs.
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];
/// Who the package names when the builder does not say who answers for it: an address that no mail leads to (RFC 2606).
const NOBODY: (&str, &str) = ("The Tickscope authors", "tickscope@tickscope.invalid");

/// What the package is called, without a folder.
pub fn file_name(release: &Release, architecture: &str) -> String {
    format!("tickscope_{}_{architecture}.deb", version(release))
}

/// Debian's word for the processor, where it is known here.
pub fn architecture(release: &Release) -> Option<&'static str> {
    match release.target.split('-').next() {
        Some("x86_64") => Some("amd64"),
        Some("aarch64") => Some("arm64"),
        _ => None,
    }
}

/// What comes before a release sorts before it: in Debian's order only behind `~`.
fn version(release: &Release) -> String {
    release.version.replacen('-', "~", 1)
}

/// `Name <address>`, of whoever answers for the package: `DEBFULLNAME` and `DEBEMAIL`, as Debian's own tools have it.
fn maintainer(name: Option<String>, address: Option<String>) -> Result<String> {
    let name = name.unwrap_or_else(|| NOBODY.0.to_owned());
    let address = address.unwrap_or_else(|| NOBODY.1.to_owned());
    let plain = |text: &str| !text.is_empty() && !text.contains(['<', '>', '\n', '\r']);
    let (local, domain) = address.split_once('@').unwrap_or_default();
    let whole = plain(local) && plain(domain) && !address.contains([' ', ',']) && !domain.contains('@');
    ensure!(
        plain(&name) && !name.contains(','),
        "DEBFULLNAME is `{name}`: expected a name without `,`, `<` and `>`"
    );
    ensure!(whole, "DEBEMAIL is `{address}`: expected an address such as you@example.org");
    Ok(format!("{name} <{address}>"))
}

/// Makes the package of what is in `from`, staged below `work`.
pub fn package(
    from: &Tree,
    release: &Release,
    architecture: &str,
    work: &Path,
    package: &Path,
) -> Result<()> {
    let maintainer = maintainer(std::env::var("DEBFULLNAME").ok(), std::env::var("DEBEMAIL").ok())?;
    let mut tree = Tree::new(work.join("deb"))?;
    for file in from.files() {
        let Some(place) = place(file) else { continue };
        if let Some(plain) = place.strip_suffix(".gz") {
            tree.copy(&from.path(file), plain)?;
            tree.compress(plain)?;
        } else {
            tree.copy(&from.path(file), &place)?;
        }
    }
    let ours = metadata::root().join("xtask/debian");
    for (file, place) in OURS {
        tree.copy(&ours.join(file), place)?;
    }
    let changes = "usr/share/doc/tickscope/changelog";
    tree.text(changes, &changelog(release, &maintainer)?)?;
    tree.compress(changes)?;

    let files: Vec<PathBuf> = tree.files().map(PathBuf::from).collect();
    let (mut bytes, mut programs) = (0, Vec::new());
    for file in tree.files() {
        bytes += fs::metadata(tree.path(file))?.len();
        if file.starts_with("usr/bin/") || file.ends_with(".so") {
            programs.push(tree.path(file));
        }
    }
    let mut sums = Command::new("md5sum");
    sums.current_dir(tree.folder()).arg("--").args(files.iter().filter(|file| !file.starts_with("etc")));
    let sums = String::from_utf8(process::capture(&mut sums)?.stdout)?;
    tree.text("DEBIAN/md5sums", &sums)?;
    tree.text("DEBIAN/conffiles", "/etc/default/tickscope-collect\n")?;
    let depends = depends(work, &programs)?;
    tree.text("DEBIAN/control", &control(release, architecture, &maintainer, bytes, &depends))?;
    for script in SCRIPTS {
        let text = fs::read(ours.join(script)).with_context(|| format!("cannot read {script}"))?;
        tree.bytes(&format!("DEBIAN/{script}"), &text, true)?;
    }
    open_folders(tree.folder())?;

    let mut build = Command::new("dpkg-deb");
    // Not xz: a tenth of the time, for a file that is a quarter larger. Times that are later than the epoch become it.
    build.args(["--root-owner-group", "-Zgzip", "--build"]).arg(tree.folder()).arg(package);
    build.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    process::capture(&mut build)?;
    Ok(())
}

/// Where a file of the archive lies in the package, if it does. What ends in `.gz` is compressed on the way.
fn place(file: &str) -> Option<String> {
    let within = |folder: &str| file.strip_prefix(folder);
    if file == "SHA256SUMS" || file.starts_with("LICENSE-") {
        return None;
    }
    if let Some(name) = within("include/") {
        return Some(format!("usr/include/tickscope/{name}"));
    }
    if let Some(name) = within("share/zsh/site-functions/") {
        return Some(format!("usr/share/zsh/vendor-completions/{name}"));
    }
    if file.starts_with("share/man/") {
        return Some(format!("usr/{file}.gz"));
    }
    if ["bin/", "lib/", "share/"].iter().any(|folder| file.starts_with(folder)) {
        return Some(format!("usr/{file}"));
    }
    Some(format!("usr/share/doc/tickscope/{file}"))
}

fn control(release: &Release, architecture: &str, maintainer: &str, bytes: u64, depends: &str) -> String {
    format!(
        "Package: tickscope\nVersion: {}\nArchitecture: {}\nMaintainer: {maintainer}\nInstalled-Size: {}\n\
         Depends: {depends}\nSection: devel\nPriority: optional\nHomepage: {}\n\
         Description: tells why the tick of a game server was late\n \
         Records what the scripts of a server do, across threads, events, exports and\n \
         coroutines, and names the resource, the function and the line. It plays the\n \
         resources of a FiveM server directory, takes what a live FXServer posts, and\n \
         records programs that have Lua inside, unchanged.\n",
        version(release),
        architecture,
        bytes.div_ceil(1024),
        release.repository,
    )
}

/// Which packages have the libraries that `programs` need, in the versions they need.
fn depends(work: &Path, programs: &[PathBuf]) -> Result<String> {
    // It wants to be where a source package is.
    let folder = work.join("shlibdeps");
    fs::create_dir_all(folder.join("debian"))?;
    fs::write(folder.join("debian/control"), "Source: tickscope\n\nPackage: tickscope\nArchitecture: any\n")?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.current_dir(&folder).arg("-O").args(programs.iter().map(|program| {
        let mut option = std::ffi::OsString::from("-e");
        option.push(program);
        option
    }));
    let output = process::capture(&mut command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let depends = text.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    let depends = depends.context("dpkg-shlibdeps names no package")?;
    ensure!(depends.contains("libc6 (>= "), "dpkg-shlibdeps says {depends}");
    Ok(depends.to_owned())
}

fn changelog(release: &Release, maintainer: &str) -> Result<String> {
    let mut date = Command::new("date");
    let date =
        process::capture(date.env("LC_ALL", "C").args(["-u", "-R", &format!("-d@{}", release.epoch)]))?;
    Ok(format!(
        "tickscope ({}) stable; urgency=medium\n\n  * What changed is in\n    \
         {}/blob/v{}/crates/host/CHANGELOG.md\n\n \
         -- {maintainer}  {}\n",
        version(release),
        release.repository,
        release.version,
        String::from_utf8_lossy(&date.stdout).trim(),
    ))
}

/// Folders are for everybody, whatever the mask of who makes them.
fn open_folders(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maintainer_is_a_name_and_an_address() {
        let of = |name: &str, address: &str| maintainer(Some(name.to_owned()), Some(address.to_owned()));
        assert_eq!(of("A B", "a.b@example.org").unwrap(), "A B <a.b@example.org>");
        assert!(maintainer(None, None).unwrap().ends_with(".invalid>"));
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\nX: y", "<a@b>"] {
            assert!(of("A B", bad).unwrap_err().to_string().starts_with("DEBEMAIL"), "{bad}");
        }
        for bad in ["", "A\nDepends: b", "A <b>", "B, A"] {
            assert!(of(bad, "a@b.c").unwrap_err().to_string().starts_with("DEBFULLNAME"), "{bad}");
        }
    }
}
