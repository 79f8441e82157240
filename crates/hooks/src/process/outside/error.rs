//! Why a process cannot be attached to.

use std::io;

/// What was found, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is none of that number.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// It was there, and has ended.
    #[error("process {0} has ended")]
    Ended(u32),
    /// It has ended and waits for its parent to notice.
    #[error("process {0} has ended already (a zombie); there is nothing to record")]
    Zombie(u32),
    /// That is us.
    #[error("process {0} is this one; give the number of the program to record")]
    Ourselves(u32),
    /// One thread can be traced by one program only.
    #[error("process {pid} is traced by process {tracer} ({name}); end that first")]
    Traced {
        /// The process.
        pid: u32,
        /// Who traces it.
        tracer: u32,
        /// What that is called.
        name: String,
    },
    /// Job control stopped it.
    #[error("process {0} is stopped; let it go on first: kill -CONT {0}")]
    Suspended(u32),
    /// It has other rights than who started it.
    #[error("process {0} runs set-uid: nothing foreign is loaded into it; record a copy without that bit")]
    SetUid(u32),
    /// Its system calls are filtered.
    #[error(
        "process {0} filters its system calls (seccomp): loading a library could end it; start it with tickscope record instead"
    )]
    Filtered(u32),
    /// Its files are others than ours.
    #[error("process {pid} has {what} of its own (a container or chroot): run tickscope in there")]
    Elsewhere {
        /// The process.
        pid: u32,
        /// What it has.
        what: &'static str,
    },
    /// Not for this machine's 64-bit programs.
    #[error("process {pid} is not a 64-bit x86 program: {reason}")]
    Machine {
        /// The process.
        pid: u32,
        /// What its file is.
        reason: String,
    },
    /// Its C library is not glibc.
    #[error("process {pid} has {what}: only programs with glibc can be attached to")]
    Library {
        /// The process.
        pid: u32,
        /// What it has instead.
        what: String,
    },
    /// No Lua that can be recorded.
    #[error("process {pid} has no Lua that can be recorded: {found}")]
    NoLua {
        /// The process.
        pid: u32,
        /// What was looked at and what it was.
        found: String,
    },
    /// The system does not let us.
    #[error("may not attach to process {pid} of user {user}: {advice}")]
    Forbidden {
        /// The process.
        pid: u32,
        /// Whose it is.
        user: u32,
        /// What to do about it.
        advice: String,
    },
    /// Somebody records it already.
    #[error("process {pid} is recorded by process {collector} already; end that first")]
    Recorded {
        /// The process.
        pid: u32,
        /// Who does.
        collector: u32,
    },
    /// Another version of the agent is in it.
    #[error(
        "process {pid} has an agent of another version in it ({path}): restart the process, or use that version of tickscope"
    )]
    OtherAgent {
        /// The process.
        pid: u32,
        /// The agent's file.
        path: String,
    },
    /// A thread would not stop.
    #[error("thread {tid} of process {pid} waits in the kernel and does not stop; try again")]
    Busy {
        /// The process.
        pid: u32,
        /// The thread.
        tid: i32,
    },
    /// No thread could be had where a call does no harm.
    #[error("no thread of process {0} came to a place where a library can be loaded; try again")]
    NoSafePoint(u32),
    /// Threads stood in what was to be patched, each time.
    #[error("a thread of process {0} stands in a function that is to be patched; try again")]
    InTheWay(u32),
    /// A function's bytes are neither the file's nor ours.
    #[error("process {pid} was patched at {address:#x} by somebody else; it is left as it is")]
    Patched {
        /// The process.
        pid: u32,
        /// Where.
        address: u64,
    },
    /// The agent was not loaded, or does not want to.
    #[error("process {pid}: {reason}")]
    Refused {
        /// The process.
        pid: u32,
        /// Why.
        reason: String,
    },
    /// The system refused something.
    #[error("cannot trace process {pid}")]
    Ptrace {
        /// The process.
        pid: u32,
        /// Why not.
        #[source]
        source: io::Error,
    },
}
