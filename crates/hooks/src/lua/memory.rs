//! Reading memory whose address is only guessed.

use std::ffi::c_void;

/// The word at `address`; `None` when nothing is there. Where the system does not offer to look, as under some
/// sandboxes, the word is read as if the address were good: the callers' guesses are right for every Lua they name.
pub(crate) fn word(address: usize) -> Option<usize> {
    if !address.is_multiple_of(4) || address < 4096 {
        return None;
    }
    let mut value = 0usize;
    let here = libc::iovec { iov_base: (&raw mut value).cast(), iov_len: size_of::<usize>() };
    let there = libc::iovec { iov_base: address as *mut c_void, iov_len: size_of::<usize>() };
    // SAFETY: the system copies into `value` or fails.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &here, 1, &there, 1, 0) };
    if copied == size_of::<usize>() as isize {
        return Some(value);
    }
    match std::io::Error::last_os_error().raw_os_error() {
        // SAFETY: see above.
        Some(libc::EPERM | libc::ENOSYS) => Some(unsafe { (address as *const usize).read_unaligned() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn what_is_not_there_is_not_read() {
        let value = 0x1234_5678_usize;
        assert_eq!(word(&raw const value as usize), Some(value));
        assert_eq!(word(0), None);
        assert_eq!(word(1 << 46), None);
    }
}
