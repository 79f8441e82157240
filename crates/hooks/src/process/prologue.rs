//! Whether a function's first instructions can be moved away for a jump.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

/// Bytes of the jump that is written over a function's beginning.
pub(super) const PATCH: usize = 5;

/// Checks all of a function's code, which stands at `address`.
///
/// The detour library moves the first instructions; it does not look at the rest, so a jump back into what is
/// overwritten has to be found here. An indirect jump cannot be followed; compilers make those for tables of cases,
/// none of which begins within the first bytes of a function.
pub(super) fn check(code: &[u8], address: u64) -> Result<(), String> {
    if code.len() < PATCH {
        return Err(format!("it has {} bytes, and a jump needs {PATCH}", code.len()));
    }
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut moved = 0_u64;
    let mut targets = Vec::new();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let offset = instruction.ip() - address;
        let in_prologue = offset < PATCH as u64;
        if instruction.is_invalid() {
            return Err(format!("its instruction at +{offset:#x} cannot be read"));
        }
        let mnemonic = instruction.mnemonic();
        if in_prologue {
            moved = instruction.next_ip() - address;
            if mnemonic == Mnemonic::Call {
                // It would return into the copy, through which nothing can unwind.
                return Err("it begins with a call".into());
            }
            let ends = matches!(mnemonic, Mnemonic::Ret | Mnemonic::Jmp | Mnemonic::Ud2 | Mnemonic::Hlt);
            if ends && moved < PATCH as u64 {
                return Err(format!("it may end after {moved} bytes, and a jump needs {PATCH}"));
            }
        }
        if let OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 = instruction.op0_kind() {
            targets.push((instruction.near_branch_target(), mnemonic == Mnemonic::Call));
        }
    }
    for (target, is_call) in targets {
        let offset = target.wrapping_sub(address);
        // A function may call itself.
        if offset < moved && !(is_call && offset == 0) {
            return Err(format!("it jumps back to +{offset:#x}, which would be overwritten"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_code(code: &[u8], expected: Result<(), &str>) {
        let result = check(code, 0x1000);
        match (&result, expected) {
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{code:x?}: {reason}"),
            _ => assert_eq!(result.is_ok(), expected.is_ok(), "{code:x?}: {result:?}"),
        }
    }

    #[test]
    fn plain_beginnings_can_be_moved() {
        // mov rax, [rdi+0x10]; sub rax, [rdi+0x18]; ret
        check_code(&[0x48, 0x8b, 0x47, 0x10, 0x48, 0x2b, 0x47, 0x18, 0xc3], Ok(()));
        // jmp far away: five bytes
        check_code(&[0xe9, 0x00, 0x01, 0x00, 0x00], Ok(()));
        // push rbp; mov rbp, rsp; sub rsp, 8; call the function itself
        check_code(
            &[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x08, 0xe8, 0xf3, 0xff, 0xff, 0xff, 0xc3],
            Ok(()),
        );
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        check_code(&[0xc3], Err("it has 1 bytes"));
        check_code(&[0x31, 0xc0, 0xc3, 0x90, 0x90, 0x90], Err("it may end after 3 bytes"));
        check_code(&[0xe8, 0, 1, 0, 0, 0xc3], Err("it begins with a call"));
        check_code(&[0x06, 0x90, 0x90, 0x90, 0x90], Err("at +0x0 cannot be read"));
        // nop; dec edi; test edi, edi; jne +1; ret
        check_code(&[0x90, 0xff, 0xcf, 0x85, 0xff, 0x75, 0xfa, 0xc3], Err("it jumps back to +0x1"));
        // dec edi; test edi, edi; jne +0; ret
        check_code(&[0xff, 0xcf, 0x85, 0xff, 0x75, 0xfa, 0xc3], Err("it jumps back to +0x0"));
    }
}
