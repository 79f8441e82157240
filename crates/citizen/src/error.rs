//! What can keep a server from starting. Errors of scripts are no such thing: see [`ScriptError`](crate::ScriptError).

use std::path::PathBuf;

/// Why a server or one of its resources cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server directory is not there, or not a directory.
    #[error("{}: not a directory; expected a server directory with resources in it", path.display())]
    NotADirectory {
        /// What was given.
        path: PathBuf,
    },
    /// There is not one resource below the directory.
    #[error(
        "{}: no resource found; expected folders with a fxmanifest.lua, in it or in its `resources` folder",
        path.display()
    )]
    NoResources {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// A name that was asked for is no resource.
    #[error("no resource is called {name:?}; there are: {known}")]
    UnknownResource {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The file of commands that was chosen is not there.
    #[error("{}: no such file, here or in {}; expected a file of console commands such as server.cfg", path.display(), root.display())]
    NoCfg {
        /// What was chosen.
        path: PathBuf,
        /// The server directory.
        root: PathBuf,
    },
    /// A scenario cannot be read.
    #[error("cannot read the scenario {}: {source}", path.display())]
    Scenario {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A manifest cannot be used.
    #[error("{}: {problem}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Line and problem, what was expected, what to do.
        problem: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Lua could not be set up.
    #[error("cannot set up Lua for {resource}: {problem}")]
    Lua {
        /// The resource.
        resource: String,
        /// What Lua said.
        problem: String,
    },
    /// The tracer could not be set up.
    #[error("cannot record scripts")]
    Tracer(#[from] tickscope_hooks::lua::TracerError),
    /// The thread that watches the tick limit could not be started.
    #[error("cannot start the thread that watches the tick limit")]
    Thread(#[source] std::io::Error),
}
