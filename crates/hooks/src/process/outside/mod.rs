//! Another process, into which the agent is loaded while it runs.
//!
//! # How it works
//! Everything about the process is read first, from its files and `/proc`; what cannot be attached to is refused by then,
//! untouched. Then, in steps that each stop as little as possible for as short as possible:
//!
//! 1. One thread is stopped where it holds no lock of the C library, and starts another thread there
//!    (`pthread_create`). It is put back as it was, in the middle of a system call too. Should we be killed meanwhile, it
//!    puts itself back: what it calls returns into the frame of a signal (`frame.rs`).
//! 2. The new thread loads the agent and calls it, while the program runs. The agent finds the Lua and prepares detours,
//!    but writes none.
//! 3. All threads are stopped, until none stands in the bytes that change; the jumps are written from here.
//!
//! Detaching is the same backwards: the agent is told that it is over and its threads let go of what they record with, the
//! bytes are put back while everything stands still, and a thread tidies up. The library and the trampolines stay, for a
//! thread may still return through them; attaching again uses them.
//!
//! # Why from outside
//! A process cannot stop its own threads without signals, which end their system calls early and which they may block;
//! and the one that stops the others must not wait for a lock that a stopped one holds. From here nothing of the sort can
//! happen: nothing of the process runs while its bytes change.

mod error;
mod frame;
mod look;
mod memory;
mod tasks;

use std::path::Path;
use std::time::{Duration, Instant};

use super::elf::Kind;
use super::handover::{self, Block, Control, Site, at};
use super::prologue::PATCH;
use look::Loaded;
use memory::{Mapped, Memory};
use tasks::{Stopped, Task};

pub use error::AttachError;

const ENTRY_OF_AGENT: &str = handover::ATTACH;
/// A block and the stack of the thread that starts another; behind it a page of code.
const SCRATCH: u64 = 64 << 10;
const PAGE: u64 = 4096;
/// Where in the code page the new thread begins; what restores the thread that starts it stands before.
const THREAD: u64 = 32;
/// Where in the scratch memory that one's frame is, behind the block: a multiple of 64.
const FRAME: u64 = 8 << 10;
/// What no function's frame uses below the stack pointer but as it runs; and how much is taken there, of how much.
const RED_ZONE: u64 = 128;
const TAKEN: u64 = 16 << 10;
const ROOM: u64 = 48 << 10;
/// `mov rax, 15; syscall`: how a signal's handler ends.
const RESTORER: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// `syscall; ret`.
const SYSCALL: [u8; 3] = [0x0f, 0x05, 0xc3];
/// How long one stop of all threads may wait for the last of them.
const STOP: Duration = Duration::from_millis(40);
/// How long to look for a thread at a safe place, and how long to insist on the safest.
const LOOK: Duration = Duration::from_secs(3);
const INSIST: Duration = Duration::from_millis(300);
/// How long the agent may take, on its own thread.
const WORK: Duration = Duration::from_secs(20);

/// A process that runs, and that can be attached to as far as its files tell.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    memory: Memory,
    modules: Vec<Loaded>,
    /// `pthread_self`, `pthread_detach`, `dlopen`, `dlsym`, `dlerror`.
    functions: [u64; 5],
    pthread_create: u64,
    gadget: u64,
    restorer: u64,
    /// Where the agent that is in it shows itself, and its file.
    agent: Option<(u64, std::path::PathBuf)>,
    longest: Duration,
}

impl Process {
    /// Looks at a process, without touching it.
    ///
    /// # Errors
    /// When it cannot be attached to: what was found, and what to do.
    pub fn look(pid: u32) -> Result<Self, AttachError> {
        look::check(pid)?;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => look::forbidden(pid, look::user(pid), &error),
            std::io::ErrorKind::NotFound => AttachError::NoProcess(pid),
            _ => AttachError::Ptrace { pid, source: error },
        };
        let memory = Memory::open(pid).map_err(failed)?;
        let mapped = memory::mapped(pid).map_err(failed)?;
        let modules = look::modules(pid, &mapped);
        look::lua(pid, &modules)?;
        let library = look::c_library(pid, &modules, &mapped)?;
        let function = |name: &str| {
            let found = library.iter().find_map(|index| modules[*index].find(Kind::Function, name));
            found.ok_or_else(|| AttachError::Library { pid, what: format!("a C library without {name}") })
        };
        let functions = [
            function("pthread_self")?,
            function("pthread_detach")?,
            function("dlopen")?,
            function("dlsym")?,
            function("dlerror")?,
        ];
        let pthread_create = function("pthread_create")?;
        let code = |bytes: &[u8]| {
            let found = library.iter().find_map(|index| modules[*index].search(&memory, bytes));
            found.ok_or_else(|| AttachError::Library { pid, what: "a C library of an unknown kind".into() })
        };
        let (gadget, restorer) = (code(&SYSCALL)?, code(&RESTORER)?);
        let mut process = Self {
            pid,
            memory,
            modules,
            functions,
            pthread_create,
            gadget,
            restorer,
            agent: None,
            longest: Duration::ZERO,
        };
        process.find_agent()?;
        Ok(process)
    }

    /// A process that has the agent in it already, to detach from it: one that was forked by one that was attached to.
    ///
    /// # Errors
    /// As for [`Process::look`]; when it has none.
    pub fn with_agent(pid: u32) -> Result<Self, AttachError> {
        let has = memory::mapped(pid)
            .map_err(|_| AttachError::Ended(pid))?
            .iter()
            .any(|mapping| mapping.path.to_string_lossy().contains("libtickscope_agent.so"));
        if has { Self::look(pid) } else { Err(AttachError::NoProcess(pid)) }
    }

    fn find_agent(&mut self) -> Result<(), AttachError> {
        let Some(module) = self.modules.iter().find(|module| module.is_agent()) else { return Ok(()) };
        let path = module.path.clone();
        let control = module.find(Kind::Object, handover::CONTROL);
        let version = control.and_then(|control| self.memory.half(control).ok());
        match (control, version) {
            (Some(control), Some(handover::VERSION)) => self.agent = Some((control, path)),
            _ => {
                let path = path.display().to_string();
                return Err(AttachError::OtherAgent { pid: self.pid, path });
            }
        }
        Ok(())
    }

    /// The process that collects from this one, as far as the agent in it knows.
    pub fn collector(&self) -> Option<u32> {
        let (control, _) = self.agent.as_ref()?;
        let field = |offset: usize| self.memory.half(control + offset as u64).unwrap_or(0);
        let recording = field(std::mem::offset_of!(Control, epoch)) != 0;
        recording.then(|| field(std::mem::offset_of!(Control, collector)))
    }

    /// Loads the agent if it is not there, has it record as `settings` say, and puts the detours in place. What the
    /// agent says it found.
    ///
    /// # Errors
    /// When that is not possible. The process is as it was then, but for the library, which may be loaded.
    pub fn attach(&mut self, agent: &Path, settings: &[u8]) -> Result<String, AttachError> {
        let said = self.start(agent, handover::ATTACH, settings)?;
        if self.agent.is_none() {
            let mapped = memory::mapped(self.pid).map_err(|_| AttachError::Ended(self.pid))?;
            self.modules = look::modules(self.pid, &mapped);
            self.find_agent()?;
        }
        match self.patch(true) {
            Ok(()) => Ok(said),
            Err(error) => {
                // Whatever the agent made ready is of no use.
                let _ = self.detach();
                Err(error)
            }
        }
    }

    /// Takes the detours out again and has the agent tidy up. Threads that were in Lua let go of theirs first, as far as
    /// they come by.
    ///
    /// # Errors
    /// When the detours could not be taken out: then they stay, and record nothing.
    pub fn detach(&mut self) -> Result<(), AttachError> {
        let Some((control, path)) = self.agent.clone() else { return Ok(()) };
        let field = |offset: usize| control + offset as u64;
        let failed = |source| AttachError::Ptrace { pid: self.pid, source };
        let depth = self.memory.word(field(std::mem::offset_of!(Control, depth))).map_err(failed)?;
        if depth != 0 {
            self.memory.write(depth, &[0]).map_err(failed)?;
        }
        self.memory.write(field(std::mem::offset_of!(Control, epoch)), &[0; 4]).map_err(failed)?;
        let until = Instant::now() + Duration::from_millis(100);
        while self.memory.half(field(std::mem::offset_of!(Control, threads))).is_ok_and(|threads| threads > 0)
            && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.patch(false)?;
        // Without a safe place nobody tidies up: hooks that are left go when they are next called.
        let _ = self.start(&path, handover::RELEASE, b"");
        Ok(())
    }

    /// The longest time that threads of the process stood still so far.
    pub fn longest_stop(&self) -> Duration {
        self.longest
    }

    /// Starts a thread in the process that has the agent do something, and waits for it. What it says.
    fn start(&mut self, agent: &Path, entry: &str, settings: &[u8]) -> Result<String, AttachError> {
        let pid = self.pid;
        let failed = |source| AttachError::Ptrace { pid, source };
        let task = self.safe_thread()?;
        let stopped = Instant::now();
        let saved = task.save().map_err(failed)?;
        let made = self.start_from(&task, &saved, agent, entry, settings);
        let restored = task.restore(&saved);
        drop(task);
        self.longest = self.longest.max(stopped.elapsed());
        let block = made.map_err(failed)?;
        restored.map_err(failed)?;
        self.answer(block)
    }

    /// What the stopped thread does: memory, once, and a thread.
    fn start_from(
        &self,
        task: &Task,
        saved: &tasks::Saved,
        agent: &Path,
        entry: &str,
        settings: &[u8],
    ) -> std::io::Result<u64> {
        let left = self.agent.as_ref().and_then(|(control, _)| {
            self.memory.word(control + std::mem::offset_of!(Control, scratch) as u64).ok()
        });
        let mut landing = None;
        let block = match left {
            Some(block) if block != 0 => block,
            _ => {
                let writable = (libc::PROT_READ | libc::PROT_WRITE) as u64;
                let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
                let map = [0, SCRATCH + PAGE, writable, private, u64::MAX, 0];
                landing = self.landing(saved)?;
                let place = (self.gadget, landing.unwrap_or(saved.registers.rsp));
                let block = task.system_call(saved, place, libc::SYS_mmap, map)?;
                let code = (libc::PROT_READ | libc::PROT_EXEC) as u64;
                let protect = [block + SCRATCH, PAGE, code, 0, 0, 0];
                task.system_call(saved, place, libc::SYS_mprotect, protect)?;
                block
            }
        };
        let (code, frame) = (block + SCRATCH, block + FRAME);
        self.memory.write(code, &frame::code(frame))?;
        self.memory.write(frame, &frame::frame(saved, frame))?;
        self.memory.write(code + THREAD, &thread_code())?;
        self.memory.write(block, &self.block(agent, entry, settings))?;
        // A function begins 8 bytes off a multiple of 16, at its return address.
        let top = block + SCRATCH - 64 - 8;
        self.memory.write(top, &code.to_le_bytes())?;
        let thread = block + SCRATCH - 16;
        let arguments = [thread, 0, code + THREAD, block];
        let stack = (top, frame);
        let answer = task.call(saved, self.pthread_create, arguments, stack, Duration::from_millis(500))?;
        if let Some(landing) = landing {
            // What is left there must not look like a signal's.
            self.memory.write(landing, &[0; 8])?;
        }
        match answer as i32 {
            0 => Ok(block),
            error => Err(std::io::Error::from_raw_os_error(error)),
        }
    }

    /// A stack on which a return has the thread restore itself: as for a signal, below what it uses of its own. Where that
    /// is not plainly a stack with room its own is left alone, and so is what would become of it.
    fn landing(&self, saved: &tasks::Saved) -> std::io::Result<Option<u64>> {
        let pointer = saved.registers.rsp;
        if memory::room_on_stack(&memory::mapped(self.pid)?, pointer) < ROOM {
            return Ok(None);
        }
        let frame = (pointer - RED_ZONE - TAKEN) & !63;
        self.memory.write(frame, &frame::frame(saved, frame))?;
        self.memory.write(frame - 8, &self.restorer.to_le_bytes())?;
        Ok(Some(frame - 8))
    }

    fn block(&self, agent: &Path, entry: &str, settings: &[u8]) -> Vec<u8> {
        let mut block = Block {
            functions: self.functions,
            error: 0,
            handle: 0,
            done: 0,
            agreed: 0,
            entry: [0; _],
            path: [0; _],
            settings: [0; _],
            answer: [0; _],
        };
        Block::put(&mut block.entry, entry.as_bytes());
        // One that is there already goes by the name it was loaded under.
        let agent = self.agent.as_ref().map_or(agent, |(_, path)| path);
        Block::put(&mut block.path, agent.as_os_str().as_encoded_bytes());
        Block::put(&mut block.settings, settings);
        // SAFETY: plain numbers without gaps between them: see the test.
        unsafe { std::slice::from_raw_parts((&raw const block).cast::<u8>(), size_of::<Block>()).to_vec() }
    }

    fn answer(&self, block: u64) -> Result<String, AttachError> {
        let refused = |reason: String| AttachError::Refused { pid: self.pid, reason };
        let ended = |_| AttachError::Ended(self.pid);
        let until = Instant::now() + WORK;
        loop {
            match self.memory.half(block + at::DONE as u64).map_err(ended)? {
                0 if Instant::now() > until => {
                    return Err(refused("the agent did not answer; the process waits for its loader".into()));
                }
                0 if tasks::state(self.pid as i32).is_none_or(|state| b"ZX".contains(&state)) => {
                    return Err(AttachError::Ended(self.pid));
                }
                0 => std::thread::sleep(Duration::from_micros(200)),
                1 => break,
                _ => {
                    let mut text = [0; 512];
                    let at = self.memory.word(block + at::ERROR as u64).map_err(ended)?;
                    let read = self.memory.read_some(at, &mut text);
                    let text = String::from_utf8_lossy(Block::text(&text[..read])).into_owned();
                    return Err(refused(format!("the agent cannot be loaded: {text}")));
                }
            }
        }
        let mut text = [0; 0x800];
        let answer = std::mem::offset_of!(Block, answer) as u64;
        self.memory.read(block + answer, &mut text).map_err(ended)?;
        let text = String::from_utf8_lossy(Block::text(&text)).into_owned();
        let agreed = std::mem::offset_of!(Block, agreed) as u64;
        match self.memory.half(block + agreed).map_err(ended)? {
            1 => Ok(text),
            _ => Err(refused(text)),
        }
    }

    /// Stops one thread that holds nothing that starting another needs.
    fn safe_thread(&self) -> Result<Task, AttachError> {
        let pid = self.pid;
        let begin = Instant::now();
        loop {
            let insist = begin.elapsed() < INSIST;
            for tid in tasks::threads(pid).map_err(|_| AttachError::Ended(pid))? {
                let stopped = Task::stop(tid, Duration::from_millis(20));
                let stopped = stopped.map_err(|error| match error.kind() {
                    std::io::ErrorKind::PermissionDenied => look::forbidden(pid, look::user(pid), &error),
                    _ => AttachError::Ptrace { pid, source: error },
                })?;
                if let Some(task) = stopped
                    && task.is_plain()
                    && self.is_safe(&task, insist).unwrap_or(false)
                {
                    return Ok(task);
                }
            }
            if begin.elapsed() > LOOK {
                return Err(AttachError::NoSafePoint(pid));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether a stopped thread is neither in the C library nor in an allocator, nor interrupted one by a signal; a call
    /// that waits for the outside world is made with no lock held. Without `insist`, one that waits for other threads
    /// will do.
    fn is_safe(&self, task: &Task, insist: bool) -> std::io::Result<bool> {
        let registers = task.registers()?;
        let mut stack = vec![0; 32 << 10];
        let read = self.memory.read_some(registers.rsp, &mut stack);
        if self.is_in_handler(&stack[..read]) {
            return Ok(false);
        }
        let call = registers.orig_rax as i64;
        if call < 0 {
            let here = self
                .modules
                .iter()
                .find(|module| module.code.iter().any(|code: &Mapped| code.range.contains(&registers.rip)));
            return Ok(here.is_some_and(|module| !module.delicate));
        }
        Ok(match call {
            libc::SYS_epoll_wait
            | libc::SYS_epoll_pwait
            | libc::SYS_epoll_pwait2
            | libc::SYS_poll
            | libc::SYS_ppoll
            | libc::SYS_select
            | libc::SYS_pselect6
            | libc::SYS_nanosleep
            | libc::SYS_clock_nanosleep
            | libc::SYS_accept
            | libc::SYS_accept4
            | libc::SYS_recvfrom
            | libc::SYS_recvmsg
            | libc::SYS_wait4
            | libc::SYS_waitid
            | libc::SYS_pause
            | libc::SYS_rt_sigtimedwait => true,
            // The loader reads files as well.
            libc::SYS_read | libc::SYS_write | libc::SYS_readv | libc::SYS_writev => {
                let file = std::fs::read_link(format!("/proc/{}/fd/{}", self.pid, registers.rdi as i32));
                file.is_ok_and(|file| !file.is_absolute() || file.starts_with("/dev"))
            }
            libc::SYS_futex => !insist,
            _ => false,
        })
    }

    /// Whether a signal's frame is on the stack. The address it begins with may also be left from setting a handler, so
    /// what follows it is looked at: flags, no link, and the segment of 64-bit code (`struct rt_sigframe` of Linux).
    fn is_in_handler(&self, stack: &[u8]) -> bool {
        let stack: Vec<u64> = words(stack).collect();
        stack.iter().enumerate().any(|(at, word)| {
            *word == self.restorer
                && matches!(stack.get(at + 1..at + 3), Some([1..=7, 0]))
                && stack.get(at + 24).is_some_and(|segments| segments & 0xffff == 0x33)
        })
    }

    /// Writes the jumps, or what was there before, while every thread stands still and none in what is written.
    fn patch(&mut self, on: bool) -> Result<(), AttachError> {
        let pid = self.pid;
        let failed = |source| AttachError::Ptrace { pid, source };
        let sites = self.sites().map_err(failed)?;
        for _ in 0..500 {
            let stopping = Instant::now();
            let stopped = Stopped::all(pid, STOP);
            let done = match &stopped {
                // Waiting in the kernel is a matter of moments, or of another try by who asked.
                Err(AttachError::Busy { .. }) => Ok(false),
                Err(_) => {
                    stopped?;
                    continue;
                }
                Ok(stopped) => match self.is_clear(stopped, &sites).map_err(failed)? {
                    true => self.write(&sites, on).map(|()| true),
                    false => Ok(false),
                },
            };
            drop(stopped);
            self.longest = self.longest.max(stopping.elapsed());
            if done? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(AttachError::InTheWay(pid))
    }

    /// What the agent prepared.
    fn sites(&self) -> std::io::Result<Vec<Site>> {
        let Some((control, _)) = &self.agent else { return Ok(Vec::new()) };
        let at = self.memory.word(control + std::mem::offset_of!(Control, sites) as u64)?;
        let n = self.memory.word(control + std::mem::offset_of!(Control, n_sites) as u64)?.min(4096) as usize;
        let mut bytes = vec![0; n * size_of::<Site>()];
        self.memory.read(at, &mut bytes)?;
        let sites = bytes.chunks_exact(size_of::<Site>()).map(|site| Site {
            address: word(site),
            original: site[8..8 + PATCH].try_into().unwrap_or_default(),
            jump: site[8 + PATCH..8 + 2 * PATCH].try_into().unwrap_or_default(),
        });
        Ok(sites.collect())
    }

    /// Whether no thread stands in what is to be written, nor will return there from a signal's handler.
    fn is_clear(&self, stopped: &Stopped, sites: &[Site]) -> std::io::Result<bool> {
        let lowest = sites.iter().map(|site| site.address).min().unwrap_or(0);
        let highest = sites.iter().map(|site| site.address).max().unwrap_or(0) + PATCH as u64;
        // At the first byte it has not begun, and will find either.
        let inside = |word: u64| {
            (lowest..highest).contains(&word)
                && sites.iter().any(|site| word > site.address && word < site.address + PATCH as u64)
        };
        let depth = if stopped.tasks.len() > 128 { 8 << 10 } else { 64 << 10 };
        let mut stack = vec![0; depth];
        for task in &stopped.tasks {
            let registers = task.registers()?;
            let read = self.memory.read_some(registers.rsp, &mut stack);
            if inside(registers.rip) || words(&stack[..read]).any(inside) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(&self, sites: &[Site], on: bool) -> Result<(), AttachError> {
        let failed = |source| AttachError::Ptrace { pid: self.pid, source };
        for site in sites {
            let mut there = [0; PATCH];
            self.memory.read(site.address, &mut there).map_err(failed)?;
            if there != site.original && there != site.jump {
                return Err(AttachError::Patched { pid: self.pid, address: site.address });
            }
        }
        let bytes = |site: &Site, on: bool| if on { site.jump } else { site.original };
        for (index, site) in sites.iter().enumerate() {
            if let Err(error) = self.memory.write(site.address, &bytes(site, on)) {
                for site in &sites[..index] {
                    // All or none; what could be written once can be written again.
                    let _ = self.memory.write(site.address, &bytes(site, !on));
                }
                return Err(failed(error));
            }
        }
        Ok(())
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).map(word)
}

/// What the new thread does with its [`Block`], whose address it is given.
fn thread_code() -> Vec<u8> {
    let mut code = vec![0x53, 0x48, 0x89, 0xfb]; // push rbx; mov rbx, rdi
    let call = |index: u8| [0xff, 0x53, index * 8]; // call [rbx + …]
    let lea = |register: u8, offset: usize| {
        let [a, b, ..] = (offset as u32).to_le_bytes();
        [0x48, 0x8d, register, a, b, 0, 0] // lea …, [rbx + …]
    };
    const RDI: u8 = 0xbb;
    const RSI: u8 = 0xb3;
    let failed = |code: &[u8]| code.len();
    code.extend(call(0)); // pthread_self
    code.extend([0x48, 0x89, 0xc7]); // mov rdi, rax
    code.extend(call(1)); // pthread_detach
    code.extend(lea(RDI, at::PATH));
    code.extend([0xbe, libc::RTLD_NOW as u8, 0, 0, 0]); // mov esi, RTLD_NOW
    code.extend(call(2)); // dlopen
    code.extend([0x48, 0x89, 0x43, at::HANDLE as u8]); // mov [rbx + …], rax
    code.extend([0x48, 0x85, 0xc0, 0x74, 0]); // test rax, rax; je failed
    let first = failed(&code);
    code.extend([0x48, 0x89, 0xc7]);
    code.extend(lea(RSI, at::ENTRY));
    code.extend(call(3)); // dlsym
    code.extend([0x48, 0x85, 0xc0, 0x74, 0]);
    let second = failed(&code);
    code.extend([0x48, 0x89, 0xdf, 0xff, 0xd0]); // mov rdi, rbx; call rax
    let end = |done: u8| [0xc7, 0x43, at::DONE as u8, done, 0, 0, 0, 0x31, 0xc0, 0x5b, 0xc3]; // …; xor eax, eax; pop rbx; ret
    code.extend(end(1));
    for jump in [first, second] {
        code[jump - 1] = (code.len() - jump) as u8;
    }
    code.extend(call(4)); // dlerror
    code.extend([0x48, 0x89, 0x43, at::ERROR as u8]);
    code.extend(end(2));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_sites_have_no_surprises() {
        let fields = 5 * 8 + 8 + 8 + 4 + 4 + 0x40 + 0x400 + 0x400 + 0x800;
        assert_eq!(size_of::<Block>(), fields, "no gaps");
        assert!((size_of::<Block>() as u64) < FRAME);
        assert_eq!(size_of::<Site>(), 24);
        const { assert!(at::DONE < 128 && at::HANDLE < 128 && at::ERROR < 128, "one-byte offsets") };
    }

    #[test]
    fn the_code_of_the_thread_is_what_it_should_be() {
        let code = thread_code();
        let mut decoder = iced_x86::Decoder::new(64, &code, iced_x86::DecoderOptions::NONE);
        let mut calls = 0;
        let mut last = iced_x86::Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut last);
            assert!(!last.is_invalid());
            calls += usize::from(last.mnemonic() == iced_x86::Mnemonic::Call);
            if last.mnemonic() == iced_x86::Mnemonic::Je {
                // Both go where `dlerror` is called.
                let target = last.near_branch_target() as usize;
                assert_eq!(code[target..target + 3], [0xff, 0x53, 0x20]);
            }
        }
        assert_eq!((calls, last.mnemonic()), (6, iced_x86::Mnemonic::Ret));
    }
}
