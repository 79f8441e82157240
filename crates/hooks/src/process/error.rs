//! What can go wrong with a module, its file, or a detour.

use std::path::PathBuf;

/// Why bytes are not an ELF file that can be read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It does not begin like one.
    #[error("not an ELF file")]
    NotElf,
    /// Another machine's.
    #[error("not for this machine: only little-endian x86-64 files are read")]
    OtherMachine,
    /// A table lies outside of the file, or of what is mapped.
    #[error("its {0} is damaged or cut off")]
    Damaged(&'static str),
    /// It has no such table.
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// Errors of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file or a loaded module is not as it should be.
    #[error("cannot use {path}: {source}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ElfError,
    },
    /// The file at the module's path is another one than what is loaded.
    #[error("{path} is not the file that is loaded: it was replaced or deleted since")]
    Replaced {
        /// Where the module came from.
        path: PathBuf,
    },
    /// The loader does not give a handle to a module.
    #[error("cannot keep {path} loaded: {reason}")]
    NotHeld {
        /// The module.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// A function cannot be detoured, or its detour not be undone.
    #[error("cannot detour {symbol} at {address:#x}: {reason}")]
    Detour {
        /// The function.
        symbol: String,
        /// Where it is.
        address: usize,
        /// Why not.
        reason: String,
    },
}
