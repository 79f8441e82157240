//! Files of resources, and the paths that `io` and `os` may touch.

use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Calls, Host, nothing, one};
use crate::manifest::is_inside;
use crate::resource::Resource;

/// Bytes of a file a script may load at once.
const MAX_FILE: u64 = 256 << 20;

/// Where `file` of `resource` is, if it is inside: not through `..`, not through a link that leads out.
fn inside(resource: &Resource, file: &str) -> Option<PathBuf> {
    let file = file.trim_start_matches('/').replace("//", "/");
    if !is_inside(&file) {
        return None;
    }
    let path = resource.path.join(&file);
    real_inside(&resource.path, &path).then_some(path)
}

/// Whether the nearest part of `path` that exists lies in `folder`, links followed.
fn real_inside(folder: &Path, path: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    let real = path.ancestors().find_map(|part| part.canonicalize().ok());
    real.is_some_and(|real| real.starts_with(folder))
}

/// Where the file of that name is to be, within the resource's own folder; or else why it cannot be.
pub(super) fn own_path(resource: &Resource, name: &str) -> Result<PathBuf, &'static str> {
    let given = Path::new(name);
    if name.contains('\0') {
        return Err("it has a zero byte in it");
    }
    if given.is_absolute() {
        return Err("it is absolute");
    }
    if given.components().any(|part| part == Component::ParentDir) {
        return Err("it leads out by '..'");
    }
    let path = resource.path.join(given);
    let (Some(folder), Some(_)) = (path.parent(), given.file_name()) else {
        return Err("it names no file");
    };
    if !folder.is_dir() {
        return Err("its folder is not there");
    }
    if !real_inside(&resource.path, folder) {
        return Err("a link leads out");
    }
    Ok(path)
}

/// Has a file written and put at `path`, whole or not at all. What was there is replaced: a link itself, not what it leads
/// to.
pub(super) fn write_new(
    path: &Path,
    write: impl FnOnce(std::fs::File) -> Result<(), String>,
) -> Result<(), String> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let aside = path.with_file_name(name);
    let told = |error: std::io::Error| error.to_string();
    let file = std::fs::File::options().write(true).create_new(true).open(&aside).map_err(told)?;
    let done = write(file).and_then(|()| std::fs::rename(&aside, path).map_err(told));
    if done.is_err() {
        let _ = std::fs::remove_file(&aside); // the reason it failed is told, not this one
    }
    done
}

/// The path a script gave to `io` or `os`, if one of the server's resources holds it.
fn permitted<R: Recorder + 'static>(host: &Rc<Host<R>>, resource: &Resource, path: &str) -> Option<PathBuf> {
    if path.contains('\0') || Path::new(path).components().any(|part| part == Component::ParentDir) {
        return None;
    }
    if let Some(rest) = path.strip_prefix('@') {
        let (name, file) = rest.split_once('/')?;
        return inside(&*host.find(name)?, file);
    }
    let path = Path::new(path);
    let whole = if path.is_absolute() { path.to_owned() } else { resource.path.join(path) };
    // what `GetResourcePath` gives is relative when the server's directory was given so
    let candidates = [path.to_owned(), whole];
    let resources = host.resources.all();
    candidates.into_iter().find(|path| {
        resources.iter().any(|resource| path.starts_with(&resource.path) && real_inside(&resource.path, path))
    })
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("LoadResourceFile", Calls::Recorded, |host, _, lua, args| {
        let (name, file) = (args.text(0)?, args.text(1)?);
        let found = host.find(&name).and_then(|resource| inside(&resource, &file));
        let Some(path) = found else { return one(lua, Value::Nil) };
        match std::fs::metadata(&path) {
            Ok(data) if data.is_file() && data.len() <= MAX_FILE => {}
            _ => return one(lua, Value::Nil),
        }
        match std::fs::read(path) {
            Ok(bytes) => one(lua, lua.create_string(bytes)?),
            Err(_) => one(lua, Value::Nil),
        }
    })?;
    define.global("SaveResourceFile", Calls::Recorded, |host, _, lua, args| {
        let (name, file, data) = (args.text(0)?, args.text(1)?, args.bytes(2)?);
        let len = match args.get(3) {
            Value::Nil => data.len(),
            _ => usize::try_from(args.integer(3)?).unwrap_or(data.len()).min(data.len()),
        };
        let Some(path) = host.find(&name).and_then(|resource| inside(&resource, &file)) else {
            return one(lua, false);
        };
        // the script goes on when the system has it all, as on a server
        let written = std::fs::File::create(path).and_then(|mut file| file.write_all(&data[..len]));
        one(lua, written.is_ok())
    })?;
    define.private("permitted", Calls::Silent, |host, resource, lua, args| {
        let path = permitted(host, resource, &args.text(0)?);
        one(lua, path.map(|path| path.to_string_lossy().into_owned()))
    })?;
    define.private("list_folder", Calls::Recorded, |host, resource, lua, args| {
        let Some(path) = permitted(host, resource, &args.text(0)?) else { return nothing() };
        let Ok(entries) = std::fs::read_dir(path) else { return nothing() };
        let mut names: Vec<_> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        one(lua, names)
    })?;
    define.private("make_folder", Calls::Recorded, |host, resource, lua, args| {
        let path = permitted(host, resource, &args.text(0)?);
        one(lua, path.is_some_and(|path| std::fs::create_dir_all(path).is_ok()))
    })
}
