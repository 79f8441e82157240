//! `tickscope install` and `uninstall`: the resource `tickscope` in a server directory, and its line in manifests.

mod edit;

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use tickscope_citizen::{Discovery, Found, Manifest, discover};

use crate::cli;
use crate::present::tell;
use edit::LINE;

/// The resource, as it is written into a server.
const FILES: [(&str, &str); 5] = [
    ("fxmanifest.lua", include_str!("../resources/tickscope/fxmanifest.lua")),
    ("probe.lua", include_str!("../resources/tickscope/probe.lua")),
    ("transport.lua", include_str!("../resources/tickscope/transport.lua")),
    ("server.lua", include_str!("../resources/tickscope/server.lua")),
    ("README.md", include_str!("../resources/tickscope/README.md")),
];

/// Its name, and so its folder's.
const NAME: &str = "tickscope";

/// What the manifest was, beside it.
const BACKUP: &str = "before-tickscope";

pub(crate) fn install(options: &cli::Install) -> Result<ExitCode> {
    let found = discover(&options.server)?;
    let chosen = choose(&found, &options.resources)?;
    // everything is looked at before anything is changed
    let mut edits = Vec::new();
    for resource in chosen {
        let manifest = manifest_of(&resource.path)?;
        let before = fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        match add(resource, &before)? {
            Some(after) => edits.push((resource, manifest, before, after)),
            None => tell!("tickscope: {}: has the line already", resource.name),
        }
    }
    let folder = place(&options.server, &found)?;
    write_resource(&folder)?;
    for (resource, manifest, before, after) in &edits {
        let backup = backup_of(manifest);
        // one that is there is from before the first time, and stays that
        if !backup.exists() {
            write(&backup, before, manifest)?;
        }
        write(manifest, after, manifest)?;
        tell!("tickscope: {}: {} begins with the probe", resource.name, manifest.display());
    }
    if !edits.is_empty() {
        tell!("tickscope: put `ensure {NAME}` into server.cfg above the resources, and restart the server");
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn uninstall(options: &cli::Uninstall) -> Result<ExitCode> {
    let found = discover(&options.server)?;
    let chosen: Vec<_> = match options.resources.as_slice() {
        [] => found.resources.values().collect(),
        names => choose(&found, names)?,
    };
    let mut undone = 0;
    for resource in chosen {
        let Ok(manifest) = manifest_of(&resource.path) else { continue };
        let now = fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let Some(after) = edit::remove(&now) else {
            if !options.resources.is_empty() {
                tell!("tickscope: {}: does not have the line", resource.name);
            }
            continue;
        };
        write(&manifest, &after, &manifest)?;
        let backup = backup_of(&manifest);
        match fs::read(&backup) {
            Ok(before) if before != after => {
                tell!("tickscope: {}: the line is out; what else was changed since stays", resource.name);
            }
            _ => tell!("tickscope: {}: {} is as it was", resource.name, manifest.display()),
        }
        match fs::remove_file(&backup) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", backup.display()));
            }
            _ => undone += 1,
        }
    }
    ensure!(undone > 0 || options.resources.is_empty(), "nothing was taken out");
    // the others cannot start without it
    let left = discover(&options.server)?.resources.into_values().filter(has_line);
    let users: Vec<_> = left.map(|resource| resource.name).collect();
    let folder = place(&options.server, &found)?;
    if users.is_empty() && folder.is_dir() {
        remove_resource(&folder)?;
    } else if !users.is_empty() {
        tell!("tickscope: {} stays for {}", folder.display(), users.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(found: &'a Discovery, names: &[String]) -> Result<Vec<&'a Found>> {
    let mut chosen = Vec::new();
    for name in names {
        ensure!(name != NAME, "{NAME} is the one that measures; name the resources to look into");
        let Some(resource) = found.resources.get(name) else {
            let all: Vec<_> = found.resources.keys().filter(|name| *name != NAME).cloned().collect();
            bail!("there is no resource {name:?}; there are: {}", all.join(", "));
        };
        chosen.push(resource);
    }
    Ok(chosen)
}

fn has_line(resource: &Found) -> bool {
    let manifest = resource.manifest.as_ref().ok();
    manifest.is_some_and(|manifest| manifest.all("shared_script").any(|script| script == edit::SCRIPT))
}

/// The manifest with the line; `None` when it begins with it already.
fn add(resource: &Found, before: &[u8]) -> Result<Option<Vec<u8>>> {
    let name = &resource.name;
    let manifest = match &resource.manifest {
        Ok(manifest) => manifest,
        Err(problem) => bail!("{name}: {problem}; nothing was changed"),
    };
    if manifest.first("shared_script") == Some(edit::SCRIPT) {
        return Ok(None);
    }
    ensure!(
        !has_line(resource),
        "{name}: the probe is in its manifest, but not as the first shared script; take it out by hand. Nothing was changed"
    );
    let has_lua = manifest.server_scripts().any(|script| script.contains(".lua"));
    ensure!(has_lua, "{name}: it has no script in Lua for the server to measure; nothing was changed");
    let after = edit::add(before);
    // what the server will read is what was meant, and nothing else changed
    let read = Manifest::parse(name, &after);
    let expected = [("shared_script".to_owned(), edit::SCRIPT.to_owned())];
    let fits = read.is_ok_and(|read| {
        read.entries().starts_with(&expected) && read.entries()[1..] == *manifest.entries()
    });
    ensure!(fits, "{name}: its manifest is not understood; add the line `{LINE}` above its scripts by hand");
    Ok(Some(after))
}

/// The file that the server reads. What a link leads to is edited, not the link.
fn manifest_of(folder: &Path) -> Result<PathBuf> {
    let file = ["fxmanifest.lua", "__resource.lua"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file());
    let file = file.with_context(|| format!("{} has no manifest", folder.display()))?;
    fs::canonicalize(&file).with_context(|| format!("cannot find {}", file.display()))
}

fn backup_of(manifest: &Path) -> PathBuf {
    let mut name = OsString::from(manifest);
    name.push(".");
    name.push(BACKUP);
    name.into()
}

/// Puts `bytes` in the place of `file` at once, with the permissions of `like`: no server reads half of it.
fn write(file: &Path, bytes: &[u8], like: &Path) -> Result<()> {
    let context = || format!("cannot write {}", file.display());
    let mut name = OsString::from(file);
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, bytes).with_context(context)?;
    let permissions = fs::metadata(like).with_context(context)?.permissions();
    fs::set_permissions(&new, permissions).with_context(context)?;
    fs::rename(&new, file).with_context(context)
}

/// Where the resource is, or is to be.
fn place(server: &Path, found: &Discovery) -> Result<PathBuf> {
    if let Some(there) = found.resources.get(NAME) {
        return Ok(there.path.clone());
    }
    ensure!(
        !["fxmanifest.lua", "__resource.lua"].iter().any(|name| server.join(name).is_file()),
        "{} is one resource; give the folder of the server, where {NAME} is put beside it",
        server.display()
    );
    let resources = server.join("resources");
    Ok(if resources.is_dir() { resources } else { server.to_owned() }.join(NAME))
}

/// Whether a folder is the resource, of this version or another.
fn is_ours(folder: &Path) -> bool {
    Manifest::read(folder).is_ok_and(|manifest| {
        manifest.first("name") == Some(NAME) && manifest.all("file").any(|file| file == "probe.lua")
    })
}

fn write_resource(folder: &Path) -> Result<()> {
    ensure!(
        !folder.exists() || is_ours(folder),
        "{} is there and is something else; move it away. Nothing was changed",
        folder.display()
    );
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in FILES {
        let file = folder.join(name);
        if fs::read(&file).is_ok_and(|there| there == text.as_bytes()) {
            continue;
        }
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn remove_resource(folder: &Path) -> Result<()> {
    if !is_ours(folder) {
        tell!("tickscope: {} is something else and stays", folder.display());
        return Ok(());
    }
    for (name, _) in FILES {
        let file = folder.join(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", file.display()));
            }
            _ => {}
        }
    }
    match fs::remove_dir(folder) {
        Ok(()) => tell!("tickscope: {} is gone; take `ensure {NAME}` out of server.cfg", folder.display()),
        Err(_) => tell!("tickscope: {} holds other files and stays", folder.display()),
    }
    Ok(())
}
