//! Programs that give up the right to most system calls (seccomp).
//!
//! What we do beside recording takes calls that such a program need not allow, and the answer may be its end. So we have to
//! know before the filter stands: `prctl` and `syscall` are ours for whoever calls them by name, and do what the C library's
//! do. A filter that is set by a `syscall` instruction of the program's own, or in a program that ran before we came, is not
//! seen.

use std::arch::naked_asm;

use tickscope_core::quiet::be_quiet;

use crate::cancel::Uncancelled;
use crate::home;

/// The calls that set a filter.
const PRCTL: u32 = libc::SYS_prctl as u32;
const SECCOMP: u32 = libc::SYS_seccomp as u32;
const SET_SECCOMP: u32 = libc::PR_SET_SECCOMP as u32;

/// The C library's: the arguments are the kernel's, but for where the fourth travels.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn prctl() {
    naked_asm!(
        "cmp edi, {set_seccomp}",
        "jne 2f",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push r8", // five words: the stack is aligned for a call
        "call {about_to_filter}",
        "pop r8",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "2:",
        "mov r10, rcx",
        "mov eax, {prctl}",
        "syscall",
        "cmp rax, -4095",
        "jae 3f",
        "ret",
        "3:",
        "mov rdi, rax",
        "jmp {failed}",
        set_seccomp = const SET_SECCOMP,
        prctl = const PRCTL,
        about_to_filter = sym about_to_filter,
        failed = sym failed,
    )
}

/// The C library's: a number and up to six arguments, one of them on the stack. No frame: a child may return on a stack that
/// holds nothing but the address to return to.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall() {
    naked_asm!(
        "cmp edi, {seccomp}",
        "jne 2f",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push r8",
        "call {about_to_filter}",
        "pop r8",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "2:",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        "syscall",
        "cmp rax, -4095",
        "jae 3f",
        "ret",
        "3:",
        "mov rdi, rax",
        "jmp {failed}",
        seccomp = const SECCOMP,
        about_to_filter = sym about_to_filter,
        failed = sym failed,
    )
}

extern "C" fn failed(answer: isize) -> isize {
    // SAFETY: `errno` of this thread.
    unsafe { *libc::__errno_location() = -answer as i32 };
    -1
}

/// The program is about to filter its system calls: the last moment for any.
extern "C" fn about_to_filter() {
    // SAFETY: `errno` of this thread.
    let errno = unsafe { *libc::__errno_location() };
    let _ = std::panic::catch_unwind(|| {
        let Some(home) = home::get() else { return };
        let _uncancelled = Uncancelled::new();
        home.say("the program filters its system calls: what had no name by then was not recorded");
        tickscope_hooks::lua::end_ticker();
        be_quiet();
    });
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}
