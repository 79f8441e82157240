//! What goes wrong, in the words of whoever wrote the script.

/// Why a value cannot cross to another machine. Nothing has run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A value that belongs to its machine.
    #[error("{place} is {what}, which cannot cross to another machine")]
    Immovable {
        /// Where it was found: `upvalue rows[3].owner`.
        place: String,
        /// A coroutine, a userdata, a C function, a table with a finalizer.
        what: &'static str,
    },
    /// A function of the host that workers do not have.
    #[error(
        "{place} is a function of the host, which a worker has not; call it before or after, and pass values"
    )]
    Host {
        /// Where it was found.
        place: String,
    },
    /// What the worker did to it would be lost.
    #[error(
        "the global `{name}` is written in line {line} of {file}: a worker has globals of its own; return the value instead"
    )]
    Writes {
        /// The global's name.
        name: String,
        /// Where it is written.
        line: u32,
        /// The chunk's name.
        file: String,
    },
    /// Anything could be read or written through it.
    #[error(
        "line {line} of {file} uses the table of all globals as a value (`_ENV`, `_G`); name the globals instead"
    )]
    Globals {
        /// Where it is used.
        line: u32,
        /// The chunk's name.
        file: String,
    },
    /// A function without debug information, or not of this Lua.
    #[error("the code of {place} cannot be read: it was stripped, or written by another Lua")]
    Code {
        /// Where it was found.
        place: String,
    },
    /// Too much.
    #[error("{place}: with it more than {limit} bytes would be copied")]
    Large {
        /// Where the limit was reached.
        place: String,
        /// In bytes.
        limit: usize,
    },
}

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The script raised an error.
    #[error("{message}\n{traceback}")]
    Script {
        /// What was raised, as text.
        message: String,
        /// The worker's stack where it was raised.
        traceback: String,
    },
    /// What it answered cannot cross.
    #[error("the result cannot be returned: {0}")]
    Result(Refusal),
    /// It was taken back.
    #[error("the job was cancelled")]
    Cancelled,
    /// It took longer than it may.
    #[error("the job took longer than it may")]
    Timeout,
    /// It used more memory than a worker has.
    #[error("the job needs more than {0} bytes, which is what a worker has")]
    Memory(usize),
    /// The worker or its host failed: no memory for a machine, no answer.
    #[error("{0}")]
    Lost(String),
}
