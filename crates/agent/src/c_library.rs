//! What glibc and musl do not have alike.
//!
//! The library asks for functions that both have (`build.rs`), and two that only glibc has are had here: one is looked up
//! while the program runs, the other is written again.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

type Handler = unsafe extern "C" fn();

/// Has `child` called in the child of each fork from now on.
///
/// In glibc `pthread_atfork` is no function of the shared library, but part of each that calls it; in musl it is one.
///
/// # Safety
/// `child` may be called on a thread of any kind, as the only one of a new process.
pub(crate) unsafe fn at_fork(child: Handler) {
    type Register =
        unsafe extern "C" fn(Option<Handler>, Option<Handler>, Option<Handler>, *mut c_void) -> c_int;
    // The last argument is glibc's: what is unloaded with its handlers. This library never is.
    for name in [c"__register_atfork", c"pthread_atfork"] {
        // SAFETY: a look-up by name.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        if !found.is_null() {
            // SAFETY: either function is called so; the second does not look at the last argument.
            unsafe {
                let register = std::mem::transmute::<*mut c_void, Register>(found);
                register(None, None, Some(child), std::ptr::null_mut());
            }
            return;
        }
    }
}

/// What `_dl_find_object` answers, `struct dl_find_object` of glibc's `dlfcn.h` on x86-64.
#[repr(C)]
struct Found {
    flags: u64,
    map_start: *const c_void,
    map_end: *const c_void,
    link_map: *const c_void,
    eh_frame: *const c_void,
    reserved: [u64; 7],
}

/// A question that is on its way through the modules.
struct Question {
    address: usize,
    answer: Option<Found>,
}

// The unwinder that is linked into this library, GCC's since 12, asks glibc's loader where the tables of a piece of code
// are. Hidden, so that the program's own unwinder finds the loader's.
std::arch::global_asm!(
    ".globl _dl_find_object",
    ".hidden _dl_find_object",
    ".type _dl_find_object, @function",
    "_dl_find_object:",
    "jmp {find_object}",
    ".size _dl_find_object, . - _dl_find_object",
    find_object = sym find_object,
);

/// Stands in for glibc's `_dl_find_object`: slower, and only panics come here.
///
/// # Safety
/// `answer` has room for a [`Found`].
unsafe extern "C" fn find_object(address: *const c_void, answer: *mut MaybeUninit<Found>) -> c_int {
    let mut question = Question { address: address as usize, answer: None };
    // SAFETY: the callback is given the question and runs before this returns.
    unsafe { libc::dl_iterate_phdr(Some(look_into), (&raw mut question).cast()) };
    let Some(found) = question.answer else { return -1 };
    // SAFETY: the caller's.
    unsafe { (*answer).write(found) };
    0
}

/// Must not panic: panics come here.
unsafe extern "C" fn look_into(info: *mut libc::dl_phdr_info, _size: usize, question: *mut c_void) -> c_int {
    // SAFETY: the loader describes a module that stays while this runs, and passes on the question of `find_object`.
    let (info, question) = unsafe { (&*info, &mut *question.cast::<Question>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: as above.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let at = |address: u64| (info.dlpi_addr as usize).wrapping_add(address as usize);
    let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    if !loads().any(|load| question.address.wrapping_sub(at(load.p_vaddr)) < load.p_memsz as usize) {
        return 0;
    }
    if let Some(tables) = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME) {
        question.answer = Some(Found {
            flags: 0,
            map_start: loads().map(|load| at(load.p_vaddr)).min().unwrap_or(0) as *const c_void,
            map_end: loads().map(|load| at(load.p_vaddr + load.p_memsz)).max().unwrap_or(0) as *const c_void,
            link_map: std::ptr::null(),
            eh_frame: at(tables.p_vaddr) as *const c_void,
            reserved: [0; 7],
        });
    }
    1
}

// The detour library looks for a free page near a function and maps its trampolines over it. In a program that runs, another
// thread may have got that page in between. Hidden, as above: the program's own calls go to the C library.
std::arch::global_asm!(
    ".globl mmap",
    ".hidden mmap",
    ".type mmap, @function",
    "mmap:",
    "jmp {map}",
    ".size mmap, . - mmap",
    map = sym map,
);

/// Stands in for `mmap` in this library: nothing here means to replace what is mapped, so what asks for a certain place gets
/// it when it is free.
///
/// # Safety
/// As for `mmap`.
unsafe extern "C" fn map(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    let fixed = flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0;
    let flags = if fixed { flags & !libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE } else { flags };
    // SAFETY: passed on to the caller; nothing is replaced.
    unsafe {
        let mapped =
            libc::syscall(libc::SYS_mmap, address, length, protection, flags, file, offset) as *mut c_void;
        if fixed && mapped != address && mapped != libc::MAP_FAILED {
            // Before Linux 4.17 the address is no more than a wish.
            libc::munmap(mapped, length);
            *libc::__errno_location() = libc::EEXIST;
            return libc::MAP_FAILED;
        }
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_never_replaced() {
        const PAGE: usize = 4096;
        let ask = |address: *mut c_void, flags: c_int| {
            let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a new mapping, or none, as is tested here.
            unsafe { libc::mmap(address, PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) }
        };
        let page = ask(std::ptr::null_mut(), 0);
        assert_ne!(page, libc::MAP_FAILED);
        // SAFETY: just mapped.
        unsafe { page.cast::<u64>().write(4711) };
        for flags in [libc::MAP_FIXED, libc::MAP_FIXED_NOREPLACE] {
            assert_eq!(ask(page, flags), libc::MAP_FAILED);
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EEXIST));
        }
        // SAFETY: still mapped.
        assert_eq!(unsafe { page.cast::<u64>().read() }, 4711);
        assert_ne!(ask(page, 0), page, "without either, the address is a wish");
    }

    #[test]
    fn tables_are_found_where_glibc_finds_them() {
        type Find = unsafe extern "C" fn(*const c_void, *mut MaybeUninit<Found>) -> c_int;
        // SAFETY: a look-up by name; ours is hidden.
        let theirs = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
        if theirs.is_null() {
            println!("skipped: glibc is older than 2.35");
            return;
        }
        // SAFETY: its signature.
        let theirs = unsafe { std::mem::transmute::<*mut c_void, Find>(theirs) };
        let tables = |find: Find, address: *const c_void| {
            let mut found = MaybeUninit::uninit();
            // SAFETY: room for the answer, which is there when the result is 0.
            unsafe { (find(address, &mut found) == 0).then(|| found.assume_init().eh_frame) }
        };
        let (ours, libc) = (find_object as *const c_void, libc::abort as *const c_void);
        assert!(tables(find_object, ours).is_some_and(|found| Some(found) != tables(find_object, libc)));
        for address in [ours, libc, std::ptr::null(), std::ptr::without_provenance(usize::MAX)] {
            assert_eq!(tables(find_object, address), tables(theirs, address), "{address:?}");
        }
    }
}
