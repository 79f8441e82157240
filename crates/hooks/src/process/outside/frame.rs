//! What a thread needs to become what it was by itself, should we die while it runs something of ours: the frame of a
//! signal, as the kernel makes it (`struct rt_sigframe` of x86-64), and code that has the kernel restore it.
//!
//! An interrupted system call is made again, as after a handler that says so; one that waits for a time ends with
//! `EINTR`, for only a tracer can have it go on.

use super::tasks::Saved;

/// Where the frame's parts are, from its beginning: the context, and the vector state behind it.
const CONTEXT: usize = 304;
const VECTORS: usize = 512;
/// `UC_FP_XSTATE`, `UC_SIGCONTEXT_SS`, `UC_STRICT_RESTORE_SS`.
const FLAGS: u64 = 0x7;
/// The vector state of a thread that was not given the largest registers (AMX) ends here at the latest.
const USUAL: usize = 2696;
/// Of the largest registers.
const LARGE: u64 = 0x6_0000;
/// Around the vector state: what it is, and that all of it is there.
const MAGIC_FIRST: u32 = 0x4650_5853;
const MAGIC_LAST: u32 = 0x4650_5845;
/// In the vector state: bytes that the hardware leaves to software.
const SOFTWARE: usize = 464;

/// Answers of interrupted system calls, as the kernel keeps them for itself.
const ERESTARTSYS: i64 = -512;
const ERESTARTNOINTR: i64 = -513;
const ERESTARTNOHAND: i64 = -514;
const ERESTART_RESTARTBLOCK: i64 = -516;

/// Where what was called returns to: the kernel restores the `frame`, and when it is kept from that, is asked again. The
/// answer of what was called stays in `rdi`.
pub(super) fn code(frame: u64) -> Vec<u8> {
    let mut code = vec![0x48, 0x89, 0xc7]; // mov rdi, rax
    code.extend([0x48, 0xbc]); // again: mov rsp, frame
    code.extend(frame.to_le_bytes());
    code.extend([0xb8, libc::SYS_rt_sigreturn as u8, 0, 0, 0, 0x0f, 0x05]); // mov eax, …; syscall
    code.extend([0xeb, 0xed]); // jmp again
    code
}

/// The frame for address `at`, a multiple of 64.
pub(super) fn frame(saved: &Saved, at: u64) -> Vec<u8> {
    let mut frame = vec![0; VECTORS];
    let mut put = |offset: usize, word: u64| frame[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
    let registers = &saved.registers;
    let (mut rax, mut rip) = (registers.rax, registers.rip);
    if registers.orig_rax as i64 >= 0 {
        match rax as i64 {
            ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND => (rax, rip) = (registers.orig_rax, rip - 2),
            ERESTART_RESTARTBLOCK => rax = -i64::from(libc::EINTR) as u64,
            _ => {}
        }
    }
    put(0, FLAGS);
    let general = [
        registers.r8,
        registers.r9,
        registers.r10,
        registers.r11,
        registers.r12,
        registers.r13,
        registers.r14,
        registers.r15,
        registers.rdi,
        registers.rsi,
        registers.rbp,
        registers.rbx,
        registers.rdx,
        rax,
        registers.rcx,
        registers.rsp,
        rip,
        registers.eflags,
        (registers.cs & 0xffff) | (registers.ss & 0xffff) << 48,
    ];
    // Behind the flags, the link, and the alternative stack.
    for (index, word) in general.into_iter().enumerate() {
        put(40 + index * 8, word);
    }
    put(40 + 23 * 8, at + VECTORS as u64);
    put(CONTEXT - 8, saved.mask);
    frame.extend(vectors(&saved.vectors));
    frame
}

/// The vector state as a signal's frame has it.
fn vectors(state: &[u8]) -> Vec<u8> {
    let mut vectors = state[..state.len().min(USUAL)].to_vec();
    if vectors.len() <= 576 {
        return vectors; // the oldest kind, without extensions
    }
    let size = vectors.len() as u32;
    // The kernel has put the mask of what there is first among the bytes for software.
    let features = state[SOFTWARE..].first_chunk().map_or(0, |mask| u64::from_le_bytes(*mask));
    let features = (features & !LARGE).to_le_bytes();
    let mut software = Vec::with_capacity(48);
    software.extend(MAGIC_FIRST.to_le_bytes());
    software.extend((size + 4).to_le_bytes());
    software.extend(features);
    software.extend(size.to_le_bytes());
    software.resize(48, 0);
    vectors[SOFTWARE..SOFTWARE + 48].copy_from_slice(&software);
    vectors.extend(MAGIC_LAST.to_le_bytes());
    vectors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_asks_the_kernel_until_it_restores() {
        let code = code(0x1234_5678_9abc);
        let mut decoder = iced_x86::Decoder::new(64, &code, iced_x86::DecoderOptions::NONE);
        let instructions: Vec<String> = decoder.iter().map(|one| format!("{:?}", one.mnemonic())).collect();
        assert_eq!(instructions, ["Mov", "Mov", "Mov", "Syscall", "Jmp"]);
        let last = iced_x86::Decoder::new(64, &code, iced_x86::DecoderOptions::NONE).iter().last();
        assert_eq!(last.map(|jump| jump.near_branch_target()), Some(3));
    }

    #[test]
    fn an_interrupted_call_is_made_again() {
        // SAFETY: plain numbers, all valid as zero.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        (registers.rip, registers.orig_rax, registers.rax) = (0x1002, 7, ERESTARTSYS as u64);
        let saved = Saved { registers, vectors: vec![0; 832], mask: 5 };
        let frame = frame(&saved, 0x40_0000);
        let word = |at: usize| u64::from_le_bytes(*frame[at..].first_chunk().unwrap());
        assert_eq!((word(40 + 13 * 8), word(40 + 16 * 8)), (7, 0x1000), "rax and rip");
        assert_eq!((word(40 + 23 * 8), word(296)), (0x40_0200, 5), "the vector state and the mask");
        assert_eq!(frame.len(), VECTORS + 832 + 4);
        assert_eq!(frame[VECTORS + SOFTWARE..][..4], MAGIC_FIRST.to_le_bytes());
    }
}
