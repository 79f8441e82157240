//! What a script, or a span of the program, waits for: calls of the C library that wait, as spans of category `io`.
//!
//! # How it works
//! Each function is detoured. While the thread has a span open, the call is timed, and recorded when it has taken longer
//! than [`LONG_ENOUGH`]: begin and end, after the fact. So a call that does not wait costs two reads of the clock, nothing is
//! open while one waits, and one that is cancelled or jumped out of leaves nothing behind.
//!
//! # Signals
//! A handler of the program may call `write`, and interrupt us while we record. Its record may then be lost or garbled, which
//! the collector notices; nothing but the ring is written to, and `write` never names anything new.

use std::ffi::{c_int, c_void};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicPtr, Ordering};

use tickscope_core::{ArgInput, CategoryId, KeyId, Outcome, Recorder, Runtime, SymbolId, SymbolRef, Ticks};
use tickscope_hooks::lua::{step_in, step_out};
use tickscope_hooks::process::detour::{Detours, Request};
use tickscope_hooks::process::modules;
use tickscope_hooks::process::symbols;
use tickscope_session::ThreadRecorder;

use crate::cancel::Uncancelled;
use crate::thread::{self, Thread};

/// Waits that took no longer, in microseconds, are not recorded: calls that did not have to wait.
const LONG_ENOUGH: u64 = 20;

/// What a call waits for.
#[derive(Clone, Copy)]
enum On {
    /// The file or socket of that number.
    Descriptor(c_int),
    /// The other end of a connection that is being made.
    Address(*const c_void, u32),
    /// So many at once.
    Several(u64),
    /// Another thread.
    Thread,
}

impl Function {
    /// Whether any signal ends the wait, and the system does not go on with it (man 7 signal).
    const fn ends_early(self) -> bool {
        matches!(self, Self::Poll | Self::Select | Self::EpollWait | Self::Sleep)
    }
}

/// The wait is over: the thread is inside Lua again. The waiter's `errno` stays.
fn come_back() {
    // SAFETY: this thread's own.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        step_in(true);
        *errno = saved;
    }
}

/// What a call that waited came to.
struct Waited {
    function: Function,
    on: On,
    /// Bytes, or a number of descriptors; negative for an error.
    result: i64,
}

macro_rules! waits {
    ($($constant:ident $name:ident ($($argument:ident: $type:ty),*) -> $result:ty, $on:expr;)*) => {
        /// The functions that are detoured.
        #[derive(Clone, Copy)]
        enum Function { $($constant),* }

        const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// The functions themselves, in the order of [`NAMES`]; null where one could not be detoured.
        static ORIGINALS: [AtomicPtr<()>; NAMES.len()] =
            [const { AtomicPtr::new(std::ptr::null_mut()) }; NAMES.len()];

        const REPLACEMENTS: [fn() -> *const (); NAMES.len()] = [$(|| replacement::$name as *const ()),*];

        mod replacement {
            use super::*;
            $(
                pub(super) unsafe extern "C-unwind" fn $name($($argument: $type),*) -> $result {
                    type Original = unsafe extern "C-unwind" fn($($type),*) -> $result;
                    let original = ORIGINALS[Function::$constant as usize].load(Ordering::Relaxed);
                    // SAFETY: set before the detour was enabled, to what has this signature; arguments are passed on.
                    unsafe {
                        let original: Original = std::mem::transmute(original);
                        let inside = Function::$constant.ends_early() && step_out();
                        let begun = begin();
                        let result = original($($argument),*);
                        if inside {
                            come_back();
                        }
                        let Some((thread, began)) = begun else { return result };
                        if is_long(thread.recorder(), began) {
                            let waited = Waited { function: Function::$constant, on: $on, result: result as i64 };
                            record(thread, began, &waited);
                        }
                        result
                    }
                }
            )*
        }
    };
}

waits! {
    Read read(fd: c_int, buffer: *mut c_void, size: usize) -> isize, On::Descriptor(fd);
    Write write(fd: c_int, buffer: *const c_void, size: usize) -> isize, On::Descriptor(fd);
    ReadV readv(fd: c_int, parts: *const c_void, count: c_int) -> isize, On::Descriptor(fd);
    WriteV writev(fd: c_int, parts: *const c_void, count: c_int) -> isize, On::Descriptor(fd);
    PRead pread64(fd: c_int, buffer: *mut c_void, size: usize, at: i64) -> isize, On::Descriptor(fd);
    PWrite pwrite64(fd: c_int, buffer: *const c_void, size: usize, at: i64) -> isize, On::Descriptor(fd);
    Recv recv(fd: c_int, buffer: *mut c_void, size: usize, flags: c_int) -> isize, On::Descriptor(fd);
    Send send(fd: c_int, buffer: *const c_void, size: usize, flags: c_int) -> isize, On::Descriptor(fd);
    RecvFrom recvfrom(fd: c_int, buffer: *mut c_void, size: usize, flags: c_int, from: *mut c_void, length: *mut u32)
        -> isize, On::Descriptor(fd);
    SendTo sendto(fd: c_int, buffer: *const c_void, size: usize, flags: c_int, to: *const c_void, length: u32)
        -> isize, On::Descriptor(fd);
    RecvMsg recvmsg(fd: c_int, message: *mut c_void, flags: c_int) -> isize, On::Descriptor(fd);
    SendMsg sendmsg(fd: c_int, message: *const c_void, flags: c_int) -> isize, On::Descriptor(fd);
    Connect connect(fd: c_int, address: *const c_void, length: u32) -> c_int, On::Address(address, length);
    Accept accept(fd: c_int, address: *mut c_void, length: *mut u32) -> c_int, On::Descriptor(fd);
    Accept4 accept4(fd: c_int, address: *mut c_void, length: *mut u32, flags: c_int) -> c_int, On::Descriptor(fd);
    Poll poll(files: *mut libc::pollfd, count: u64, timeout: c_int) -> c_int,
        if count == 1 && !files.is_null() { On::Descriptor((*files).fd) } else { On::Several(count) };
    Select select(count: c_int, read: *mut c_void, write: *mut c_void, other: *mut c_void, timeout: *mut c_void)
        -> c_int, On::Several(count.max(0) as u64);
    EpollWait epoll_wait(fd: c_int, events: *mut c_void, most: c_int, timeout: c_int) -> c_int, On::Descriptor(fd);
    FSync fsync(fd: c_int) -> c_int, On::Descriptor(fd);
    FDataSync fdatasync(fd: c_int) -> c_int, On::Descriptor(fd);
    Sleep clock_nanosleep(clock: c_int, flags: c_int, time: *const c_void, left: *mut c_void) -> c_int, On::Several(0);
    MutexLock pthread_mutex_lock(mutex: *mut c_void) -> c_int, On::Thread;
    CondWait pthread_cond_wait(condition: *mut c_void, mutex: *mut c_void) -> c_int, On::Thread;
    CondTimedWait pthread_cond_timedwait(condition: *mut c_void, mutex: *mut c_void, until: *const c_void) -> c_int,
        On::Thread;
}

/// Detours what the program waits in; says what could not be.
///
/// # Safety
/// No other thread of the program runs.
pub(crate) unsafe fn install() -> Result<(), String> {
    let modules = modules::loaded(install as *const ());
    let libc = modules::c_library(&modules).ok_or("no C library was found to see waits in")?;
    let held = libc.hold().map_err(|error| error.to_string())?;
    // Newer versions of musl have no second names of these for long files: all are long.
    let plain = NAMES.iter().filter_map(|name| name.strip_suffix("64"));
    let names: Vec<&str> = NAMES.iter().copied().chain(plain).collect();
    let functions = symbols::resolve(&held, &names).map_err(|error| error.to_string())?;
    let mut refused = Vec::new();
    for (index, name) in NAMES.iter().copied().enumerate() {
        let found = functions.get(name).or_else(|| functions.get(name.strip_suffix("64")?));
        let Some(function) = found else {
            refused.push(format!("{name}: not there"));
            continue;
        };
        let request = Request { symbol: name, function: *function, replacement: REPLACEMENTS[index]() };
        match Detours::prepare(libc, &[request]) {
            Ok(mut detours) => {
                let original = detours.trampoline(name).unwrap_or(std::ptr::null());
                ORIGINALS[index].store(original.cast_mut(), Ordering::Relaxed);
                // SAFETY: no other thread runs, as the caller says; the replacement has the function's signature, lets
                // pass what unwinds, and this library is never unloaded.
                if let Err(error) = unsafe { detours.enable() } {
                    refused.push(error.to_string());
                }
                // For ever: a thread may be in a trampoline at any time.
                std::mem::forget(detours);
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(format!("waits not seen: {}", refused.join("; "))) }
}

#[inline]
fn begin() -> Option<(&'static Thread, Ticks)> {
    let thread = thread::existing()?;
    let recorder = thread.recorder();
    recorder.has_open_spans().then(|| (thread, recorder.now()))
}

#[inline]
fn is_long(recorder: &ThreadRecorder, began: Ticks) -> bool {
    recorder.now().0.wrapping_sub(began.0) > LONG_ENOUGH * recorder.ticks_per_micro()
}

/// Names that do not change, of one session.
struct Known {
    generation: u32,
    plain: [SymbolId; NAMES.len()],
    bytes: KeyId,
    error: KeyId,
}

#[cold]
unsafe fn record(thread: &Thread, began: Ticks, waited: &Waited) {
    let recorder = thread.recorder();
    let ended = recorder.now();
    let _uncancelled = Uncancelled::new();
    // SAFETY: this thread's; what is called below may change it.
    let errno = unsafe { *libc::__errno_location() };
    let known = known(recorder, thread.generation());
    let symbol = match waited.function {
        // May be called by a handler of a signal, which must not allocate.
        Function::Write => known.plain[waited.function as usize],
        _ => symbol(recorder, waited),
    };
    let moved = waited.result >= 0 && !matches!(waited.on, On::Thread | On::Several(_) | On::Address(..));
    let arg = match (waited.result < 0, moved) {
        (true, _) => Some((known.error, ArgInput::Int(i64::from(errno)))),
        (false, true) => Some((known.bytes, ArgInput::Int(waited.result))),
        (false, false) => None,
    };
    let outcome = if waited.result < 0 { Outcome::Error } else { Outcome::Ok };
    let span = recorder.enter_with(began, symbol, CategoryId::IO, None, arg.as_slice());
    recorder.exit(ended, span, outcome, 0);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Names what every wait may need, so that none has to while it is recorded.
pub(crate) fn prepare(recorder: &ThreadRecorder, generation: u32) {
    let _ = known(recorder, generation);
}

fn known(recorder: &ThreadRecorder, generation: u32) -> &'static Known {
    static KNOWN: AtomicPtr<Known> = AtomicPtr::new(std::ptr::null_mut());
    // SAFETY: never freed: there is one per session, and a process has one, and another after a fork. The Acquire pairs
    // with the Release below.
    let known = unsafe { KNOWN.load(Ordering::Acquire).as_ref() };
    if let Some(known) = known.filter(|known| known.generation == generation) {
        return known;
    }
    let plain = std::array::from_fn(|index| intern(recorder, NAMES[index]));
    let (bytes, error) = (recorder.intern_key("bytes"), recorder.intern_key("error"));
    let known = Box::leak(Box::new(Known { generation, plain, bytes, error }));
    KNOWN.store(known, Ordering::Release);
    known
}

fn intern(recorder: &ThreadRecorder, name: &str) -> SymbolId {
    recorder.intern_symbol(SymbolRef { runtime: Runtime::Native, resource: "", name, file: "", line: 0 })
}

/// The function and what it waited for: `recv 127.0.0.1:3306`.
fn symbol(recorder: &ThreadRecorder, waited: &Waited) -> SymbolId {
    let function = NAMES[waited.function as usize];
    let on = match waited.on {
        On::Descriptor(fd) => descriptor(fd),
        // SAFETY: what the program gave to `connect`.
        On::Address(address, length) => unsafe { self::address(address, length) },
        On::Several(0) | On::Thread => None,
        On::Several(count) => Some(format!("{count} descriptors")),
    };
    match on {
        Some(on) => intern(recorder, &format!("{function} {on}")),
        None => intern(recorder, function),
    }
}

/// The other end of a socket, or the file's name.
fn descriptor(fd: c_int) -> Option<String> {
    let mut storage = [0_u8; size_of::<libc::sockaddr_storage>()];
    let mut length = storage.len() as u32;
    // SAFETY: room and its length.
    if unsafe { libc::getpeername(fd, storage.as_mut_ptr().cast(), &mut length) } == 0 {
        // SAFETY: the system filled in so much of it.
        return unsafe { address(storage.as_ptr().cast(), length) };
    }
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let path = path.to_string_lossy();
    // `socket:[12345]`, `pipe:[12345]`: the number is another each time.
    Some(match path.split_once(":[") {
        Some((kind, _)) => kind.to_owned(),
        None => path.into_owned(),
    })
}

/// A socket's address in words.
///
/// # Safety
/// Null, or `length` readable bytes.
unsafe fn address(address: *const c_void, length: u32) -> Option<String> {
    if address.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    let bytes = unsafe { std::slice::from_raw_parts(address.cast::<u8>(), length as usize) };
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    let mut text = String::new();
    match c_int::from(family) {
        libc::AF_INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            write!(text, "{}:{}", Ipv4Addr::from(address), port()?).ok()?;
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            write!(text, "[{}]:{}", Ipv6Addr::from(address), port()?).ok()?;
        }
        libc::AF_UNIX => {
            let path = bytes.get(2..)?;
            let path = path.split(|byte| *byte == 0).next()?;
            text = if path.is_empty() {
                "unix socket".into()
            } else {
                String::from_utf8_lossy(path).into_owned()
            };
        }
        _ => return None,
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_words() {
        let check = |bytes: &[u8], wanted: Option<&str>| {
            // SAFETY: a slice and its length.
            let text = unsafe { address(bytes.as_ptr().cast(), bytes.len() as u32) };
            assert_eq!(text.as_deref(), wanted);
        };
        check(&[2, 0, 0x0c, 0xea, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], Some("127.0.0.1:3306"));
        let mut six = vec![10, 0, 0, 80, 0, 0, 0, 0];
        six.extend([0; 15]);
        six.extend([1, 0, 0, 0, 0]);
        check(&six, Some("[::1]:80"));
        check(b"\x01\0/run/mysqld.sock\0", Some("/run/mysqld.sock"));
        check(b"\x01\0", Some("unix socket"));
        check(b"\x01", None);
        check(b"", None);
        check(&[2, 0, 1], None);
        check(&[16, 0, 1, 2], None);
    }
}
