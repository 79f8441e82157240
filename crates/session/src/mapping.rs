//! The memory of a session: one mapping without pointers, anonymous or in a file that a collector opens.
//!
//! ```text
//! 0        Header     magic, version, shape, whose it is, clock, arena length, ring count, refusals
//! 4096     directory  MAX_RINGS entries: whose each ring is, and how far collectors have come with it
//! …        arena      definitions, append-only
//! …        rings      equal parts, handed out lazily, reused after their thread is gone
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tickscope_core::DepthSwitch;
use tickscope_ring::{ConfigError as RingError, Memory, Policy, required_bytes};

use crate::marks::Marks;
use tickscope_core::quiet::is_quiet;

/// The most rings that exist at one time.
pub(crate) const MAX_RINGS: usize = 1_024;
const HEADER_BYTES: usize = 4_096;
const MAGIC: u64 = u64::from_le_bytes(*b"tickscop");
/// Version of this layout and of the records in it. Both sides must agree.
pub(crate) const VERSION: u32 = 2;
/// Room for the program's name.
const NAME_WORDS: usize = 32;

/// State of a directory entry.
pub(crate) mod state {
    pub(crate) const EMPTY: u32 = 0;
    pub(crate) const LIVE: u32 = 1;
    pub(crate) const CLOSED: u32 = 2;
    /// A collector is about to make it empty. One that died then left that to the next.
    pub(crate) const FREED: u32 = 3;
}

#[repr(C)]
pub(crate) struct Header {
    magic: AtomicU64,
    version: AtomicU32,
    policy: AtomicU32,
    arena_bytes: AtomicU64,
    ring_slots: AtomicU64,
    rings: AtomicU64,
    /// The process that records.
    pub(crate) pid: AtomicU32,
    /// 1 when the clock is the time stamp counter, 0 when it is the system's monotonic clock.
    pub(crate) tsc: AtomicU32,
    /// The session's start on its clock and on the system's.
    pub(crate) base_ticks: AtomicU64,
    pub(crate) base_ns: AtomicU64,
    /// The depth that the collector asks for, see [`crate::Session::depth`].
    pub(crate) depth: DepthSwitch,
    /// The recording is over: the process left it in peace.
    pub(crate) finished: AtomicU32,
    name: [AtomicU64; NAME_WORDS],
    /// Bytes of the arena that are complete. Stored last (Release).
    pub(crate) arena_len: AtomicU64,
    /// Definitions that did not fit.
    pub(crate) arena_refused: AtomicU64,
    /// Directory entries ever used: the collector looks at these.
    pub(crate) entries: AtomicU32,
    /// Ring numbers given out.
    pub(crate) numbers: AtomicU32,
    /// Events of threads that got no ring, all dropped.
    pub(crate) ringless: AtomicU64,
    /// Those of them that a collector has reported.
    pub(crate) ringless_told: AtomicU64,
    /// Collectors that opened the session so far.
    pub(crate) collectors: AtomicU32,
    /// Where the process has its number, see [`crate::Collector::pid_namespace`]; 0 when that cannot be told.
    pub(crate) pid_namespace: AtomicU64,
}

impl Header {
    pub(crate) fn set_name(&self, name: &str) {
        let room = NAME_WORDS * 8 - 1;
        let name = &name[..name.floor_char_boundary(room)];
        for (word, chunk) in self.name.iter().zip(name.as_bytes().chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
    }

    pub(crate) fn name(&self) -> String {
        let bytes: Vec<u8> =
            self.name.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

const _: () = assert!(size_of::<Header>() <= HEADER_BYTES);

#[repr(C)]
pub(crate) struct Entry {
    /// One of [`state`]. Stored last (Release) when it becomes live, and when its thread is gone.
    pub(crate) state: AtomicU32,
    /// The ring's number in span ids.
    pub(crate) number: AtomicU32,
    /// The thread's track.
    pub(crate) track: AtomicU32,
    _spare: AtomicU32,
    /// The collector's.
    pub(crate) marks: Marks,
}

const ENTRY_BYTES: usize = size_of::<Entry>();
const _: () = assert!(ENTRY_BYTES == 64);
const PAGE: usize = 4_096;
/// The arena of a file grows in steps of this size.
const ARENA_STEP: usize = 256 << 10;

/// Sizes of a session's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) arena_bytes: usize,
    pub(crate) ring_slots: usize,
    pub(crate) rings: usize,
    pub(crate) policy: Policy,
}

impl Shape {
    fn ring_bytes(self) -> usize {
        required_bytes(self.ring_slots).next_multiple_of(PAGE)
    }
    fn arena_offset(self) -> usize {
        HEADER_BYTES + (MAX_RINGS * ENTRY_BYTES).next_multiple_of(PAGE)
    }
    fn rings_offset(self) -> usize {
        self.arena_offset() + self.arena_bytes.next_multiple_of(PAGE)
    }
    fn bytes(self) -> usize {
        self.rings_offset() + self.ring_bytes() * self.rings
    }

    /// A shape that a session can have, so that offsets computed from it cannot overflow.
    pub(crate) fn is_sound(self) -> bool {
        let ring = self.ring_slots.saturating_mul(16);
        (64 << 10..=1 << 30).contains(&self.arena_bytes)
            && self.arena_bytes.is_multiple_of(8)
            && (8 << 10..=1 << 30).contains(&ring)
            && ring.is_power_of_two()
            && (1..=MAX_RINGS).contains(&self.rings)
    }
}

/// Why a file is no session that can be collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened or mapped.
    #[error("cannot open the session {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its head is not that of a session.
    #[error("{path} is no session: {what}")]
    NoSession {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It was made by another version.
    #[error(
        "the session {path} has layout {found}, this program reads {VERSION}; use one version of tickscope for both"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
}

/// A session's memory. Pages cost nothing until they are touched.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    shape: Shape,
    /// Backed by a file: a page that cannot be had there would kill whoever touches it, so pages are had before.
    in_file: bool,
    /// How much of a file's arena can be written.
    arena_ready: AtomicU64,
}

// SAFETY: everything in the mapping is accessed as atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(shape: Shape) -> io::Result<Arc<Self>> {
        let base = map(shape.bytes(), None)?;
        let mapping = Self { base, shape, in_file: false, arena_ready: AtomicU64::new(u64::MAX) };
        mapping.header().magic.store(MAGIC, Ordering::Relaxed);
        Ok(Arc::new(mapping))
    }

    /// A session's memory in the new file `path`, readable and writable by its owner only.
    pub(crate) fn create(path: &Path, shape: Shape) -> io::Result<Arc<Self>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let made = Self::fill(&file, shape);
        if made.is_err() {
            // Nobody knows of it yet.
            let _ = std::fs::remove_file(path);
        }
        made
    }

    fn fill(file: &File, shape: Shape) -> io::Result<Arc<Self>> {
        check_size(shape.bytes())?;
        file.set_len(shape.bytes() as u64)?;
        let base = map(shape.bytes(), Some(file))?;
        let mapping = Self { base, shape, in_file: true, arena_ready: AtomicU64::new(0) };
        mapping.have(0, HEADER_BYTES + shape.rings * ENTRY_BYTES)?;
        let header = mapping.header();
        header.version.store(VERSION, Ordering::Relaxed);
        header.policy.store(u32::from(shape.policy == Policy::Overwrite), Ordering::Relaxed);
        header.arena_bytes.store(shape.arena_bytes as u64, Ordering::Relaxed);
        header.ring_slots.store(shape.ring_slots as u64, Ordering::Relaxed);
        header.rings.store(shape.rings as u64, Ordering::Relaxed);
        header.pid.store(std::process::id(), Ordering::Relaxed);
        let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |space| space.ino());
        header.pid_namespace.store(namespace, Ordering::Relaxed);
        header.magic.store(MAGIC, Ordering::Release); // pairs with the Acquire in `open`
        Ok(Arc::new(mapping))
    }

    /// The memory of a session that another process made.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let wrong = |what| OpenError::NoSession { path: path.to_owned(), what };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(wrong("it is not a file"));
        }
        let length = usize::try_from(metadata.len()).map_err(|_| wrong("it is too long"))?;
        if length < HEADER_BYTES {
            return Err(wrong("it is too short"));
        }
        let base = map(length, Some(&file)).map_err(io)?;
        let head = Head { base, length };
        let header = head.header();
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(wrong("it does not begin as one"));
        }
        let found = header.version.load(Ordering::Relaxed);
        if found != VERSION {
            return Err(OpenError::Version { path: path.to_owned(), found });
        }
        let size = |value: &AtomicU64| usize::try_from(value.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let shape = Shape {
            arena_bytes: size(&header.arena_bytes),
            ring_slots: size(&header.ring_slots),
            rings: size(&header.rings),
            policy: match header.policy.load(Ordering::Relaxed) {
                0 => Policy::Drop,
                _ => Policy::Overwrite,
            },
        };
        if !shape.is_sound() || shape.bytes() != length {
            return Err(wrong("its sizes contradict each other"));
        }
        std::mem::forget(head);
        Ok(Arc::new(Self { base, shape, in_file: true, arena_ready: AtomicU64::new(u64::MAX) }))
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: at the start of a mapping of at least a page; any bits are valid atomics.
        unsafe { self.base.cast().as_ref() }
    }

    /// Directory entry `index`, below [`MAX_RINGS`].
    pub(crate) fn entry(&self, index: usize) -> &Entry {
        assert!(index < MAX_RINGS);
        // SAFETY: within the directory, aligned to 64.
        unsafe { self.base.add(HEADER_BYTES + index * ENTRY_BYTES).cast().as_ref() }
    }

    /// The arena as words.
    pub(crate) fn arena(&self) -> &[AtomicU64] {
        // SAFETY: `arena_bytes` from `arena_offset` on lie within the mapping and belong to the arena only.
        unsafe {
            std::slice::from_raw_parts(
                self.base.add(self.shape.arena_offset()).cast().as_ptr(),
                self.shape.arena_bytes / 8,
            )
        }
    }

    /// Makes sure that the first `bytes` of the arena can be written. One caller at a time.
    pub(crate) fn have_arena(&self, bytes: usize) -> bool {
        let ready = self.arena_ready.load(Ordering::Relaxed);
        if bytes as u64 <= ready {
            return true;
        }
        let end = bytes.next_multiple_of(ARENA_STEP).min(self.shape.arena_bytes.next_multiple_of(PAGE));
        let ready = ready as usize;
        let had = self.have(self.shape.arena_offset() + ready, end - ready).is_ok();
        if had {
            self.arena_ready.store(end as u64, Ordering::Relaxed);
        }
        had
    }

    /// The memory of ring `index`, as it was left.
    pub(crate) fn ring(self: &Arc<Self>, index: usize) -> Result<Memory, RingError> {
        assert!(index < self.shape.rings);
        let config = tickscope_ring::Config { capacity: self.shape.ring_slots, policy: self.shape.policy };
        let base = self.base.as_ptr().wrapping_add(self.ring_offset(index));
        // SAFETY: the part of the mapping set aside for this ring, page-aligned; the `Arc` keeps it mapped.
        unsafe {
            let base = NonNull::new_unchecked(base);
            Memory::over(base, self.shape.ring_bytes(), config, Some(self.clone()))
        }
    }

    /// Makes sure that ring `index` can be written.
    pub(crate) fn have_ring(&self, index: usize) -> bool {
        self.have(self.ring_offset(index), self.shape.ring_bytes()).is_ok()
    }

    fn ring_offset(&self, index: usize) -> usize {
        self.shape.rings_offset() + index * self.shape.ring_bytes()
    }

    /// Has the system give a file's pages now. Touching a page that the file system has no room for kills the process;
    /// asking for it answers an error.
    fn have(&self, offset: usize, length: usize) -> io::Result<()> {
        if !self.in_file {
            return Ok(());
        }
        if is_quiet() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        // SAFETY: within the mapping; the call changes no contents.
        let answer = unsafe {
            libc::madvise(self.base.add(offset).as_ptr().cast(), length, libc::MADV_POPULATE_WRITE)
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Makes ring `index` empty again.
    ///
    /// # Safety
    /// Nobody uses the ring.
    pub(crate) unsafe fn clear_ring(&self, index: usize) {
        assert!(index < self.shape.rings);
        // Only the header: slots are overwritten before they are published again.
        // SAFETY: within the ring's part of the mapping, and the caller says that nobody else looks.
        unsafe { self.base.add(self.ring_offset(index)).as_ptr().write_bytes(0, 256) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length; everything made of it holds an `Arc` of `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.shape.bytes()) };
    }
}

/// A mapped file whose head has not been believed yet.
struct Head {
    base: NonNull<u8>,
    length: usize,
}

impl Head {
    fn header(&self) -> &Header {
        // SAFETY: at least a page is mapped; any bits are valid atomics.
        unsafe { self.base.cast().as_ref() }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and nothing refers to it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// A file that grows beyond its process's limit kills the process: SIGXFSZ. Asked before, that is an error.
fn check_size(bytes: usize) -> io::Result<()> {
    // SAFETY: zeroed is a valid `rlimit`, and nothing but it is written.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur
    };
    // RLIM_INFINITY is the largest number.
    if bytes as u64 > limit {
        let text = format!(
            "a file of this process may have {limit} bytes (RLIMIT_FSIZE; ulimit -f, LimitFSIZE=), and a session has {bytes}"
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(())
}

fn map(length: usize, file: Option<&File>) -> io::Result<NonNull<u8>> {
    let (flags, descriptor) = match file {
        Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
        None => (libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1),
    };
    // SAFETY: a fresh mapping; no address is asked for.
    let base = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, descriptor, 0)
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))
}
