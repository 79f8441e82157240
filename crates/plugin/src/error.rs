//! Why a plugin is not used: one line each, with what was found and what to do.

use std::path::PathBuf;

use crate::search::SearchPath;

/// Why a file is no plugin for this host.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", file.display())]
pub struct Refusal {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    #[source]
    pub why: Why,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(#[source] std::io::Error),
    /// It is no ELF library.
    #[error("it is no shared library, its first bytes are {found:?}; expected a file such as libmy_sink.so")]
    NoLibrary {
        /// Its first bytes, as text.
        found: String,
    },
    /// It is an ELF file of another kind: an object file, a program, one without segments.
    #[error("it is {found}; expected a shared library, such as `cc -shared` and crate-type cdylib make")]
    OtherElf {
        /// What it is.
        found: &'static str,
    },
    /// It is for another machine.
    #[error("it is built for {found}, this program for {expected}: build it for {expected}")]
    OtherMachine {
        /// What it is for.
        found: String,
        /// What this program runs on.
        expected: &'static str,
    },
    /// The end is missing.
    #[error("it is cut off at {size} of at least {expected} bytes: copy it again")]
    Truncated {
        /// How long it is.
        size: u64,
        /// How long it would be.
        expected: u64,
    },
    /// The system's loader does not take it.
    #[error("the system does not load it: {0}")]
    Loader(String),
    /// It is a library, and no sink.
    #[error(
        "it exports no `tickscope_sink`, so it is no sink; in Rust tickscope_abi::export_sink! makes one, in C the table of tickscope_sink.h"
    )]
    NoTable,
    /// What it exports under that name is something else.
    #[error(
        "its `tickscope_sink` is no table of a sink (it begins with {found:#018x}): build it with version {} of the table",
        crate::version()
    )]
    NoMagic {
        /// Its first number.
        found: u64,
    },
    /// It was made for another major version.
    #[error("it is made for version {found} of the table, this host for {}: {}", crate::version(), if *newer { "take a newer tickscope" } else { "build it against a newer tickscope-abi" })]
    OtherMajor {
        /// The plugin's version.
        found: String,
        /// Whether it is newer than the host.
        newer: bool,
    },
    /// It is newer than the host.
    #[error(
        "it needs version {found} of the table, this host has {}: take a newer tickscope, or build it with version {} of the table",
        crate::version(),
        crate::version()
    )]
    NewerMinor {
        /// The plugin's version.
        found: String,
    },
    /// Its compiler laid the structures out otherwise.
    #[error(
        "its structures lie otherwise than version {version} says (layout {found:#018x}, expected {expected:#018x}): build it against the unchanged header or tickscope-abi"
    )]
    OtherLayout {
        /// The plugin's version.
        version: String,
        /// Its layout.
        found: u64,
        /// That of its version.
        expected: u64,
    },
    /// Its table is too small for its version.
    #[error(
        "its table has {found} bytes, that of version {version} has {expected}: build it against the unchanged header or tickscope-abi"
    )]
    ShortTable {
        /// The plugin's version.
        version: String,
        /// What it says.
        found: usize,
        /// What it would be.
        expected: usize,
    },
    /// A function that each plugin has is NULL.
    #[error("its table has no `{0}`: fill it in")]
    NoFunction(&'static str),
    /// A text of the table is no text.
    #[error("its table's `{field}` is {problem}")]
    BadText {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Its schema cannot be used.
    #[error("the schema of its options cannot be used: {0}")]
    BadSchema(String),
    /// The process it is to be loaded in does not begin.
    #[error("no process for it can be begun: {0}")]
    NoProcess(String),
    /// It has ended the process it was loaded in.
    #[error("its process {0} while it was loaded: its constructors run then")]
    Died(String),
    /// It was not loaded in time.
    #[error("it was not loaded after {} s, and its process was ended: its constructors run then", .0.as_secs())]
    Hung(std::time::Duration),
    /// The process it is loaded in says what is wrong, in the words of the other reasons.
    #[error("{0}")]
    Other(String),
}

/// Why options were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("options of {plugin}: {}", problems.join("; "))]
pub struct OptionsError {
    /// The plugin.
    pub plugin: String,
    /// Each mistake, with its place.
    pub problems: Vec<String>,
}

/// Why there is no sink of that name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// No file has the name.
    #[error("there is no sink {name:?}; looked for {} in {}; `tickscope plugins` lists what there is", files.join(" and "), SearchPath(folders.clone()))]
    Nowhere {
        /// The name.
        name: String,
        /// What its file would be called.
        files: Vec<String>,
        /// Where it was looked for.
        folders: Vec<PathBuf>,
    },
    /// No name was given.
    #[error(
        "a sink without a name; expected NAME, NAME=OPTIONS or a file; `tickscope plugins` lists what there is"
    )]
    NoName,
    /// The file is no plugin for this host.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The options are wrong.
    #[error(transparent)]
    Options(#[from] OptionsError),
}
