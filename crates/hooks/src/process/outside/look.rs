//! What a process is, before it is touched.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::elf::{Elf, Kind};
use super::super::file;
use super::super::lua::{self, Verdict};
use super::memory::Mapped;
use super::{AttachError, memory};

/// A loaded module, seen from outside.
#[derive(Debug)]
pub(super) struct Loaded {
    /// As the process names it.
    pub(super) path: PathBuf,
    /// Where its file can be read.
    file: PathBuf,
    bias: u64,
    pub(super) code: Vec<Mapped>,
    /// A thread in it may hold what the loader or an allocator need.
    pub(super) delicate: bool,
}

/// Lines of `/proc/PID/status`.
struct Status(String);

impl Status {
    fn read(pid: u32) -> Option<Self> {
        std::fs::read_to_string(format!("/proc/{pid}/status")).ok().map(Self)
    }

    fn words(&self, field: &str) -> impl Iterator<Item = &str> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().split_whitespace()
    }

    fn number(&self, field: &str) -> u32 {
        self.words(field).next().and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

/// What the system calls a process.
pub(super) fn name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Refuses a process that cannot be attached to, by what the system says of it.
pub(super) fn check(pid: u32) -> Result<(), AttachError> {
    if pid == std::process::id() {
        return Err(AttachError::Ourselves(pid));
    }
    let status = Status::read(pid).ok_or(AttachError::NoProcess(pid))?;
    if status.number("Tgid") != pid {
        // A thread's number; its process has another.
        return Err(AttachError::NoProcess(pid));
    }
    match status.words("State").next() {
        Some("Z" | "X") => return Err(AttachError::Zombie(pid)),
        Some("T") => return Err(AttachError::Suspended(pid)),
        _ => {}
    }
    let tracer = status.number("TracerPid");
    if tracer != 0 {
        return Err(AttachError::Traced { pid, tracer, name: name(tracer) });
    }
    let ids: Vec<u32> = status.words("Uid").filter_map(|word| word.parse().ok()).collect();
    if ids.len() > 1 && ids[0] != ids[1] {
        return Err(AttachError::SetUid(pid));
    }
    // What only those may read who may trace it.
    let exe = format!("/proc/{pid}/exe");
    if let Err(error) = std::fs::read_link(&exe) {
        if status.words("VmSize").next().is_none() {
            let reason = "it is a thread of the kernel".into();
            return Err(AttachError::Machine { pid, reason });
        }
        return Err(forbidden(pid, ids.first().copied().unwrap_or(0), &error));
    }
    if status.number("Seccomp") == 2 {
        return Err(AttachError::Filtered(pid));
    }
    for (link, what) in [("root", "a file system"), ("ns/mnt", "mounts"), ("ns/pid", "process numbers")] {
        let read = |whose: &str| std::fs::read_link(format!("/proc/{whose}/{link}")).ok();
        if read(&pid.to_string()) != read("self") {
            return Err(AttachError::Elsewhere { pid, what });
        }
    }
    let mut head = [0; 20];
    let read = std::fs::File::open(&exe).and_then(|mut file| file.read_exact(&mut head));
    let reason = match read {
        Err(error) => Some(format!("its file cannot be read: {error}")),
        Ok(()) if head[4] == 1 => Some("it is a 32-bit one".to_owned()),
        Ok(()) if head[18..20] != [62, 0] => Some("it is for another processor".to_owned()),
        Ok(()) => None,
    };
    reason.map_or(Ok(()), |reason| Err(AttachError::Machine { pid, reason }))
}

/// Why the system does not let us, as far as can be told.
pub(super) fn forbidden(pid: u32, user: u32, error: &std::io::Error) -> AttachError {
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    // SAFETY: takes nothing, cannot fail.
    let me = unsafe { libc::geteuid() };
    let advice = match yama.trim() {
        "3" => {
            "kernel.yama.ptrace_scope is 3, which forbids it to everybody until the next start of the system"
                .into()
        }
        "2" if me != 0 => "kernel.yama.ptrace_scope is 2: only root may".into(),
        "1" if me == user => {
            "kernel.yama.ptrace_scope is 1: run tickscope as root, or sysctl kernel.yama.ptrace_scope=0"
                .into()
        }
        _ if me != user && me != 0 => format!("this is user {me}; run tickscope as that user or as root"),
        _ => format!(
            "{error}; tracing needs the capability CAP_SYS_PTRACE here, or a program that lets itself be traced"
        ),
    };
    AttachError::Forbidden { pid, user, advice }
}

/// Whose process it is.
pub(super) fn user(pid: u32) -> u32 {
    Status::read(pid).map_or(0, |status| status.number("Uid"))
}

/// The modules that have code in the process.
pub(super) fn modules(pid: u32, mapped: &[Mapped]) -> Vec<Loaded> {
    let mut files: BTreeMap<&Path, Vec<&Mapped>> = BTreeMap::new();
    for mapping in mapped.iter().filter(|mapping| mapping.path.is_absolute()) {
        files.entry(&mapping.path).or_default().push(mapping);
    }
    let main = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let mut modules = Vec::new();
    for (path, mappings) in files {
        let code: Vec<Mapped> =
            mappings.iter().filter(|one| one.executable).map(|one| (*one).clone()).collect();
        let first = mappings.iter().find(|mapping| mapping.offset == 0);
        let (Some(first), false) = (first, code.is_empty()) else { continue };
        let file = if *path == main {
            format!("/proc/{pid}/exe").into()
        } else if path.to_string_lossy().ends_with(" (deleted)") {
            format!("/proc/{pid}/map_files/{:x}-{:x}", first.range.start, first.range.end).into()
        } else {
            path.to_owned()
        };
        let read = with_elf(&file, |elf| {
            let lowest = elf.segments().iter().map(|segment| segment.address).min()?;
            let image = elf.image();
            let table = image.dynamic_table().ok();
            let has =
                |name: &str| table.is_some_and(|table| table.find(Kind::Function, name.as_bytes()).is_some());
            let delicate = ["malloc", "__tls_get_addr", "pthread_mutex_lock", super::ENTRY_OF_AGENT];
            Some((lowest & !0xfff, delicate.iter().any(|name| has(name))))
        });
        // What cannot be read may be anything.
        let (lowest, delicate) = read.flatten().unwrap_or((0, true));
        let bias = first.range.start.wrapping_sub(lowest);
        modules.push(Loaded { path: path.to_owned(), file, bias, code, delicate });
    }
    // The program first: it is what people ask about.
    modules.sort_by_key(|module| module.path != main);
    modules
}

fn with_elf<T>(path: &Path, look: impl FnOnce(&Elf<'_>) -> T) -> Option<T> {
    let mapping = file::Mapping::open(path).ok()?;
    Elf::parse(&mapping).ok().map(|elf| look(&elf))
}

impl Loaded {
    fn is_called(&self, begins: &str) -> bool {
        self.path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(begins))
    }

    pub(super) fn is_agent(&self) -> bool {
        self.is_called("libtickscope_agent.so")
    }

    /// Where one of its exported symbols is in the process.
    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<u64> {
        let found = with_elf(&self.file, |elf| {
            elf.image().dynamic_table().ok()?.find(kind, name.as_bytes()).map(|symbol| symbol.address)
        });
        Some(self.bias.wrapping_add(found.flatten()?))
    }

    /// Where its code has these bytes.
    pub(super) fn search(&self, memory: &memory::Memory, bytes: &[u8]) -> Option<u64> {
        self.code.iter().find_map(|mapping| {
            let mut code = vec![0; (mapping.range.end - mapping.range.start) as usize];
            memory.read(mapping.range.start, &mut code).ok()?;
            let at = code.windows(bytes.len()).position(|window| window == bytes)?;
            Some(mapping.range.start + at as u64)
        })
    }
}

/// The modules of the C library.
pub(super) fn c_library(pid: u32, modules: &[Loaded], mapped: &[Mapped]) -> Result<Vec<usize>, AttachError> {
    let called = |begins: &str| modules.iter().position(|module| module.is_called(begins));
    if let Some(libc) = called("libc.so.6").or_else(|| called("libc-2.")) {
        let rest = ["libpthread", "libdl"].into_iter().filter_map(called);
        return Ok(std::iter::once(libc).chain(rest).collect());
    }
    let musl = mapped.iter().any(|mapping| mapping.path.to_string_lossy().contains("musl"));
    let what =
        if musl { "musl as its C library" } else { "no C library of its own: it is linked statically" };
    Err(AttachError::Library { pid, what: what.into() })
}

/// Refuses a process without a Lua, with what was found instead.
pub(super) fn lua(pid: u32, modules: &[Loaded]) -> Result<(), AttachError> {
    let (mut others, mut said) = (0, Vec::new());
    for (index, module) in modules.iter().enumerate() {
        match lua::examine(&module.file) {
            Ok(report) => match report.verdict {
                Verdict::Lua { .. } => return Ok(()),
                Verdict::NoLua | Verdict::Stripped if index > 0 && report.text.is_none() => others += 1,
                verdict => {
                    let text = report.text.map(|text| {
                        format!("; it contains the text of {text}, so that is probably linked in: it needs its symbols")
                    });
                    said.push(format!("{}: {verdict}{}", module.path.display(), text.unwrap_or_default()));
                }
            },
            Err(error) => said.push(error.to_string()),
        }
    }
    said.push(format!("{others} other modules have none"));
    Err(AttachError::NoLua { pid, found: said.join("; ") })
}
