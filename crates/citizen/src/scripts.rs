//! Which files the manifest of a resource makes a server load.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Manifest;
use crate::manifest::{FILE_NAMES, Listing, is_inside};

/// What the first bytes of an escrowed file are.
const ESCROWED: &[u8] = b"FXAP";

/// A Lua script to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) path: PathBuf,
    /// As samples and reports name it: `server/main.lua`, `@other/file.lua`.
    pub(crate) file: String,
    /// The name of its chunk: `@@resource/file.lua`.
    pub(crate) chunk: String,
}

/// What a script entry of a manifest stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Lua(Script),
    /// A script in another language.
    Foreign {
        file: String,
        language: &'static str,
    },
    /// Something that is wrong with the manifest's entry `pattern`.
    Wrong {
        pattern: String,
        problem: String,
    },
}

/// Name and folder of another resource.
pub(crate) type Other = (String, PathBuf);

/// The scripts a server loads for the resource `name` in `folder`: shared ones, then its own, each in the order of the
/// manifest. `find` knows the other resources.
pub(crate) fn entries(
    name: &str,
    folder: &Path,
    manifest: &Manifest,
    find: &dyn Fn(&str) -> Option<Other>,
) -> Vec<Entry> {
    let mut listing = Listing::default();
    let mut entries = Vec::new();
    for pattern in manifest.server_scripts() {
        let wrong = |problem: String| Entry::Wrong { pattern: pattern.to_owned(), problem };
        let (owner, files) = match pattern.strip_prefix('@') {
            None => ((name.to_owned(), folder.to_owned()), listing.expand(folder, pattern)),
            Some(rest) => {
                let Some((other, files)) = rest.split_once('/') else {
                    entries.push(wrong(format!("script {pattern:?}: expected @resource/file.lua")));
                    continue;
                };
                let Some(owner) = find(other) else {
                    entries.push(wrong(format!("script {pattern:?}: there is no resource {other:?}")));
                    continue;
                };
                if crate::database::is_built_in(&owner.1) {
                    entries.push(built_in(owner, files).unwrap_or_else(|| {
                        wrong(format!("script {pattern:?}: the host's own {other} has no such file"))
                    }));
                    continue;
                }
                let files = Listing::default().expand(&owner.1, files);
                (owner, files)
            }
        };
        // FXServer is silent about patterns that choose nothing, and many manifests have one
        for file in files {
            entries.extend(entry(name, &owner, pattern, file));
        }
    }
    entries
}

/// A file of a resource that the host has itself.
fn built_in((owner, folder): Other, file: &str) -> Option<Entry> {
    let path = folder.join(file);
    crate::database::built_in_file(&path)?;
    let (file, chunk) = (format!("@{owner}/{file}"), format!("@@{owner}/{file}"));
    Some(Entry::Lua(Script { path, file, chunk }))
}

fn entry(name: &str, (owner, folder): &Other, pattern: &str, file: String) -> Option<Entry> {
    let wrong = |problem: String| Some(Entry::Wrong { pattern: pattern.to_owned(), problem });
    if !is_inside(&file) {
        return wrong(format!("script {file:?}: expected a path inside the resource"));
    }
    // FXServer looks for `.lua` anywhere in the name
    let language = match &*file {
        lua if lua.contains(".lua") => None,
        js if js.ends_with(".js") => Some("JavaScript"),
        cs if cs.ends_with(".net.dll") => Some("C#"),
        // a pattern may choose more than scripts
        _ if pattern.contains('*') => return None,
        _ => Some("not a script"),
    };
    let path = folder.join(&file);
    let shown = if owner == name { file.clone() } else { format!("@{owner}/{file}") };
    if let Some(language) = language {
        return Some(Entry::Foreign { file: shown, language });
    }
    if !path.is_file() {
        return wrong(format!("script {shown:?}: there is no such file; mend its path, or take it out"));
    }
    // a link may lead anywhere
    let real = |path: &Path| path.canonicalize().ok();
    if !real(&path).zip(real(folder)).is_some_and(|(path, folder)| path.starts_with(folder)) {
        return wrong(format!("script {shown:?}: it is a link that leads out of its resource"));
    }
    Some(Entry::Lua(Script { path, chunk: format!("@@{owner}/{file}"), file: shown }))
}

/// Whether a file is encrypted by the escrow of FXServer's makers.
pub(crate) fn is_escrowed(path: &Path) -> bool {
    let mut start = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == ESCROWED
}

/// The name of the manifest in `folder`, and the line that holds `text` in quotes; 0 when none does.
pub(crate) fn manifest_place(folder: &Path, text: &str) -> (&'static str, u32) {
    let Some(name) = FILE_NAMES.into_iter().find(|name| folder.join(name).is_file()) else {
        return (FILE_NAMES[0], 0);
    };
    let source = std::fs::read(folder.join(name)).unwrap_or_default();
    let source = String::from_utf8_lossy(&source);
    let quoted = [format!("'{text}'"), format!("\"{text}\"")];
    let holds = |line: &str| quoted.iter().any(|quoted| line.contains(quoted));
    (name, (1..).zip(source.lines()).find(|(_, line)| holds(line)).map_or(0, |(number, _)| number))
}
