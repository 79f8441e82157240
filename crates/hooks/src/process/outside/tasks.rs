//! Threads of another process, stopped by ptrace.
//!
//! `PTRACE_SEIZE` and `PTRACE_INTERRUPT` stop a thread without a signal that the program could see, and a system call
//! that was interrupted goes on as if nothing had been. A tracer that dies lets its threads go.

use std::io;
use std::time::{Duration, Instant};

use super::AttachError;

/// Kernel constants that the bindings lack.
const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;
const NT_X86_XSTATE: usize = 0x202;
const PTRACE_EVENT_STOP: i32 = 128;
/// More than any processor's vector state.
const XSTATE_BYTES: usize = 16 << 10;

/// How a traced thread stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// As we asked, or with the whole group.
    Event,
    /// Before or after a system call.
    Call,
    /// A signal is about to reach it.
    Signal(i32),
    /// It ended.
    Gone,
}

/// A thread that we trace and that stands still.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) tid: i32,
    /// A signal that was about to reach it: it does when we let go.
    signal: i32,
    gone: bool,
}

/// All that a call of ours changes.
pub(super) struct Saved {
    pub(super) registers: libc::user_regs_struct,
    pub(super) vectors: Vec<u8>,
    pub(super) mask: u64,
}

fn ptrace(request: libc::c_uint, tid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: what `data` points at, where it does, is valid for the request: see the callers.
    let answer = unsafe { libc::ptrace(request, tid, address, data) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What a thread does next, if it does within `patience`.
fn wait(tid: i32, patience: Duration) -> io::Result<Option<Stop>> {
    let until = Instant::now() + patience;
    let mut rounds = 0;
    loop {
        let mut status = 0;
        // SAFETY: a valid place for the status.
        let answer = unsafe { libc::waitpid(tid, &mut status, libc::__WALL | libc::WNOHANG) };
        if answer == tid {
            return Ok(Some(if !libc::WIFSTOPPED(status) {
                Stop::Gone
            } else if status >> 16 == PTRACE_EVENT_STOP {
                Stop::Event
            } else if libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80 {
                Stop::Call
            } else {
                Stop::Signal(libc::WSTOPSIG(status))
            }));
        }
        if answer == -1 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ECHILD) => Ok(Some(Stop::Gone)),
                Some(libc::EINTR) => continue,
                _ => Err(error),
            };
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        rounds += 1;
        if rounds > 64 {
            std::thread::sleep(Duration::from_micros(20));
        } else {
            std::thread::yield_now();
        }
    }
}

/// Asks a thread to stop. `None` when it is gone.
fn seize(tid: i32) -> io::Result<Option<Task>> {
    let options = libc::PTRACE_O_TRACESYSGOOD as usize;
    if let Err(error) = ptrace(libc::PTRACE_SEIZE, tid, 0, options) {
        let ended = error.raw_os_error() == Some(libc::ESRCH)
            || state(tid).is_none_or(|state| b"ZX".contains(&state));
        return if ended { Ok(None) } else { Err(error) };
    }
    let task = Task { tid, signal: 0, gone: false };
    // One that ended meanwhile says so when it is waited for.
    let _ = ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0);
    Ok(Some(task))
}

/// The letter that the system has for a thread's state.
pub(super) fn state(tid: i32) -> Option<u8> {
    let stat = std::fs::read(format!("/proc/{tid}/stat")).ok()?;
    let after = stat.iter().rposition(|byte| *byte == b')')? + 2;
    stat.get(after).copied()
}

/// Numbers of the process's threads.
pub(super) fn threads(pid: u32) -> io::Result<Vec<i32>> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

impl Task {
    /// Stops one thread. `None` when it is gone, or does not stop in time: it waits in the kernel then, and runs on.
    pub(super) fn stop(tid: i32, patience: Duration) -> io::Result<Option<Self>> {
        match seize(tid)? {
            Some(task) => task.settle(patience),
            None => Ok(None),
        }
    }

    fn settle(mut self, patience: Duration) -> io::Result<Option<Self>> {
        match wait(self.tid, patience)? {
            Some(Stop::Gone) => {
                self.gone = true;
                Ok(None)
            }
            Some(Stop::Signal(signal)) => {
                self.signal = signal;
                Ok(Some(self))
            }
            Some(_) => Ok(Some(self)),
            None => Ok(None),
        }
    }

    /// Whether it was stopped by us, and not on its way into a signal's handler.
    pub(super) fn is_plain(&self) -> bool {
        self.signal == 0
    }

    pub(super) fn registers(&self) -> io::Result<libc::user_regs_struct> {
        // SAFETY: plain numbers, all valid as zero.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        ptrace(libc::PTRACE_GETREGS, self.tid, 0, (&raw mut registers) as usize)?;
        Ok(registers)
    }

    fn set_registers(&self, registers: &libc::user_regs_struct) -> io::Result<()> {
        ptrace(libc::PTRACE_SETREGS, self.tid, 0, std::ptr::from_ref(registers) as usize)
    }

    fn mask(&self) -> io::Result<u64> {
        let mut mask = 0_u64;
        ptrace(PTRACE_GETSIGMASK, self.tid, 8, (&raw mut mask) as usize)?;
        Ok(mask)
    }

    fn set_mask(&self, mask: u64) -> io::Result<()> {
        ptrace(PTRACE_SETSIGMASK, self.tid, 8, (&raw const mask) as usize)
    }

    /// Takes down all that calls change. They block signals until [`Task::restore`].
    pub(super) fn save(&self) -> io::Result<Saved> {
        let mut vectors = vec![0; XSTATE_BYTES];
        let mut part = libc::iovec { iov_base: vectors.as_mut_ptr().cast(), iov_len: vectors.len() };
        ptrace(libc::PTRACE_GETREGSET, self.tid, NT_X86_XSTATE, (&raw mut part) as usize)?;
        vectors.truncate(part.iov_len);
        Ok(Saved { registers: self.registers()?, vectors, mask: self.mask()? })
    }

    /// Puts everything back, wherever the thread is now. An interrupted system call goes on afterwards.
    ///
    /// The registers come last: up to there the thread finds back by itself, should we die (`frame.rs`).
    pub(super) fn restore(&self, saved: &Saved) -> io::Result<()> {
        // Registers may only be those of an interrupted call where the kernel looks at them again: in a stop that we
        // asked for, not in one at a system call.
        let mut here = self.registers()?;
        here.orig_rax = u64::MAX;
        self.set_registers(&here)?;
        ptrace(libc::PTRACE_INTERRUPT, self.tid, 0, 0)?;
        self.resume(libc::PTRACE_CONT, Duration::from_secs(1))?;
        let mut vectors = saved.vectors.clone();
        let mut part = libc::iovec { iov_base: vectors.as_mut_ptr().cast(), iov_len: vectors.len() };
        ptrace(libc::PTRACE_SETREGSET, self.tid, NT_X86_XSTATE, (&raw mut part) as usize)?;
        self.set_mask(saved.mask)?;
        self.set_registers(&saved.registers)
    }

    /// Lets it run until the next stop. A signal that no mask keeps away (SIGSTOP) is sent again afterwards.
    fn resume(&self, how: libc::c_uint, patience: Duration) -> io::Result<Stop> {
        let until = Instant::now() + patience;
        loop {
            ptrace(how, self.tid, 0, 0)?;
            match wait(self.tid, until.saturating_duration_since(Instant::now()))? {
                None => return Err(io::ErrorKind::TimedOut.into()),
                Some(Stop::Gone) => return Err(io::Error::from_raw_os_error(libc::ESRCH)),
                Some(Stop::Signal(libc::SIGSTOP)) => {
                    // SAFETY: numbers only.
                    unsafe { libc::kill(self.tid, libc::SIGSTOP) };
                    ptrace(libc::PTRACE_INTERRUPT, self.tid, 0, 0)?;
                }
                Some(Stop::Event) if how == libc::PTRACE_SYSCALL => {}
                Some(stop) => return Ok(stop),
            }
        }
    }

    /// Has it make a system call, with the instruction for that at `gadget`; a return behind it leads to what is at
    /// `stack`.
    pub(super) fn system_call(
        &self,
        saved: &Saved,
        (gadget, stack): (u64, u64),
        number: i64,
        arguments: [u64; 6],
    ) -> io::Result<u64> {
        let mut registers = saved.registers;
        (registers.rip, registers.rsp) = (gadget, stack);
        registers.rax = number as u64;
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = arguments;
        self.set_registers(&registers)?;
        // After the registers: from there the thread finds back to its own mask by itself.
        self.set_mask(!0)?;
        for _ in 0..2 {
            match self.resume(libc::PTRACE_SYSCALL, Duration::from_secs(1))? {
                Stop::Call => {}
                other => return Err(io::Error::other(format!("a system call ended in {other:?}"))),
            }
        }
        let answer = self.registers()?.rax as i64;
        if (-4095..0).contains(&answer) {
            return Err(io::Error::from_raw_os_error(-answer as i32));
        }
        Ok(answer as u64)
    }

    /// Calls a function on the stack that ends at `top`, where the address of [`super::frame::code`] for `frame` stands.
    ///
    /// # Errors
    /// When it does not return in time, or crashes. [`Task::restore`] is right in either case.
    pub(super) fn call(
        &self,
        saved: &Saved,
        function: u64,
        arguments: [u64; 4],
        (top, frame): (u64, u64),
        patience: Duration,
    ) -> io::Result<u64> {
        let until = Instant::now() + patience;
        let mut registers = saved.registers;
        registers.rip = function;
        // The return address is there already; a function begins 8 bytes off a multiple of 16.
        registers.rsp = top;
        registers.rax = 0;
        registers.orig_rax = u64::MAX;
        // No single steps, and strings run upwards.
        registers.eflags &= !0x500;
        [registers.rdi, registers.rsi, registers.rdx, registers.rcx] = arguments;
        self.set_registers(&registers)?;
        // As above.
        self.set_mask(!0)?;
        loop {
            match self.resume(libc::PTRACE_SYSCALL, until.saturating_duration_since(Instant::now())) {
                Ok(Stop::Call) => {
                    let here = self.registers()?;
                    // It has returned, and is about to restore itself.
                    if here.rsp == frame && here.orig_rax as i64 == libc::SYS_rt_sigreturn {
                        return Ok(here.rdi);
                    }
                }
                Ok(other) => return Err(io::Error::other(format!("a function ended in {other:?}"))),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    // It waits for something: stopped there, it can be put back.
                    ptrace(libc::PTRACE_INTERRUPT, self.tid, 0, 0)?;
                    wait(self.tid, Duration::from_secs(1))?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        if ptrace(libc::PTRACE_DETACH, self.tid, 0, self.signal as usize).is_err() {
            // Not stopped yet: it is let go when it is, or with us.
            if let Ok(Some(stop)) = wait(self.tid, Duration::from_secs(1)) {
                let signal = if let Stop::Signal(signal) = stop { signal } else { 0 };
                let _ = ptrace(libc::PTRACE_DETACH, self.tid, 0, signal as usize);
            }
        }
    }
}

/// Every thread of a process, standing still until dropped.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) tasks: Vec<Task>,
}

impl Stopped {
    /// Stops all threads, those too that are started meanwhile.
    pub(super) fn all(pid: u32, patience: Duration) -> Result<Self, AttachError> {
        let until = Instant::now() + patience;
        let failed = |source| AttachError::Ptrace { pid, source };
        let mut stopped = Self { tasks: Vec::new() };
        let mut seen = std::collections::HashSet::new();
        loop {
            let new: Vec<i32> = threads(pid).map_err(|_| AttachError::Ended(pid))?;
            let new: Vec<i32> = new.into_iter().filter(|tid| seen.insert(*tid)).collect();
            if new.is_empty() {
                break;
            }
            // All are asked before any is waited for: that is what keeps the stop short.
            let mut asked = Vec::new();
            for tid in new {
                asked.extend(seize(tid).map_err(failed)?);
            }
            for task in asked {
                let tid = task.tid;
                let left = until.saturating_duration_since(Instant::now());
                match task.settle(left).map_err(failed)? {
                    Some(task) => stopped.tasks.push(task),
                    None if state(tid).is_none_or(|state| b"ZX".contains(&state)) => {}
                    None => return Err(AttachError::Busy { pid, tid }),
                }
            }
        }
        match stopped.tasks.is_empty() {
            true => Err(AttachError::Ended(pid)),
            false => Ok(stopped),
        }
    }
}
