//! What was looked at and what it was, for people.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::elf::{Elf, Image, Kind, Table};
use super::super::error::{ElfError, Error};
use super::super::file::Mapping;
use super::{FoundLua, IDENT, LuaVersion, PREFIX, Refusal, judge, marks};

/// What a module or file is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// A Lua that is supported.
    Lua {
        /// Which one.
        version: LuaVersion,
        /// What it calls itself.
        release: Option<String>,
    },
    /// A Lua that is not.
    Refused(Refusal),
    /// It exports no Lua, and has no `.symtab` that would tell of one inside.
    Stripped,
    /// Its symbols are all there, and none is Lua's.
    NoLua,
    /// It could not be looked at.
    Unreadable(Error),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lua { release: Some(release), .. } => write!(f, "Lua {release}"),
            Self::Lua { version, release: None } => write!(f, "{version}"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Stripped => {
                f.write_str("exports no Lua and is stripped: a Lua linked into it would not be seen")
            }
            Self::NoLua => f.write_str("no Lua"),
            Self::Unreadable(error) => {
                write!(f, "{error}")?;
                match std::error::Error::source(error) {
                    // An ELF error says its cause itself.
                    Some(source) if matches!(error, Error::Io { .. }) => write!(f, ": {source}"),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What a look into every module of this process gave.
#[derive(Debug, Default)]
pub struct Survey {
    /// Every Lua that is supported.
    pub found: Vec<FoundLua>,
    /// Every module and what it is, the program first.
    pub modules: Vec<(PathBuf, Verdict)>,
}

impl fmt::Display for Survey {
    /// A line for each module that matters; libraries without Lua are only counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut plain, mut stripped) = (0_usize, 0_usize);
        for (index, (path, verdict)) in self.modules.iter().enumerate() {
            match verdict {
                Verdict::NoLua if index > 0 => plain += 1,
                Verdict::Stripped if index > 0 => stripped += 1,
                _ => writeln!(f, "{}: {verdict}", path.display())?,
            }
        }
        write!(f, "{plain} other modules have no Lua, {stripped} export none and are stripped")
    }
}

impl std::error::Error for Survey {}

/// What a program or library on disk is.
#[derive(Debug)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Whether it is, or has in it, a Lua.
    pub verdict: Verdict,
    /// The dynamic loader that it asks for. Into a program without one nothing can be preloaded.
    pub loader: Option<PathBuf>,
    /// The libraries it asks for, by name.
    pub needed: Vec<String>,
    /// A Lua's text, as `Lua 5.4.4`, in a file that has no symbols of one.
    pub text: Option<String>,
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.verdict)?;
        if let Some(text) = &self.text {
            write!(
                f,
                "; it contains the text of {text}, so that is probably linked in: install its debug symbols or build \
                 it unstripped"
            )?;
        }
        if let Some(lua) = self.needed.iter().find(|name| name.to_lowercase().contains("lua")) {
            write!(f, "; it asks for {lua}")?;
        }
        if self.loader.is_none() && self.needed.is_empty() {
            f.write_str("; it is linked statically, so nothing can be preloaded into it")?;
        }
        Ok(())
    }
}

/// Looks into a file that does not run.
///
/// # Errors
/// When it cannot be read or is no ELF file of this machine.
pub fn examine(path: &Path) -> Result<FileReport, Error> {
    let mapping = Mapping::open(path)?;
    let broken = |source| Error::Elf { path: path.to_owned(), source };
    let elf = Elf::parse(&mapping).map_err(broken)?;
    let image = elf.image();
    let dynamic = image.dynamic_table().ok().map(|table| table.table());
    let exported = dynamic.map(names).unwrap_or_default();
    let judged = judge(exported, || match elf.symtab() {
        Ok(table) => Ok(Some(names(table))),
        Err(ElfError::Missing(_)) => Ok(None),
        Err(source) => Err(broken(source)),
    });
    let verdict = match judged {
        Ok((version, _)) => {
            let release = release(&image, [dynamic, elf.symtab().ok()]);
            match marks::check_release(version, release.as_deref()) {
                Ok(()) => Verdict::Lua { version, release },
                Err(refusal) => Verdict::Refused(refusal),
            }
        }
        Err(verdict) => verdict,
    };
    let text = match verdict {
        Verdict::Stripped => image.parts().find_map(marks::text_in),
        _ => None,
    };
    Ok(FileReport {
        path: path.to_owned(),
        verdict,
        loader: elf.loader().map(|loader| OsStr::from_bytes(loader).into()),
        needed: image.needed().into_iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        text,
    })
}

fn names(table: Table<'_>) -> BTreeMap<String, ()> {
    let symbols = table.with_prefix(Kind::Function, PREFIX.as_bytes());
    symbols.filter_map(|symbol| Some((String::from_utf8(symbol.name.to_vec()).ok()?, ()))).collect()
}

fn release(image: &Image<'_>, tables: [Option<Table<'_>>; 2]) -> Option<String> {
    let mut symbols =
        tables.into_iter().flatten().flat_map(|table| table.with_prefix(Kind::Object, IDENT.as_bytes()));
    let symbol = symbols.find(|symbol| symbol.name == IDENT.as_bytes())?;
    marks::release_of(image.at(symbol.address)?)
}
