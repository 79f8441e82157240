//! The memory of a session: one mapping without pointers.
//!
//! ```text
//! 0        Header     magic, version, sizes, arena length, ring count, refusals
//! 4096     directory  MAX_RINGS entries: where each ring lies, whose it is
//! …        arena      definitions, append-only
//! …        rings      equal parts, handed out lazily, reused after their thread is gone
//! ```

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tickscope_ring::{ConfigError as RingError, Memory, Policy, required_bytes};

/// The most rings that exist at one time.
pub(crate) const MAX_RINGS: usize = 1_024;
const HEADER_BYTES: usize = 4_096;
const MAGIC: u64 = u64::from_le_bytes(*b"tickscop");

/// State of a directory entry.
pub(crate) mod state {
    pub(crate) const EMPTY: u32 = 0;
    pub(crate) const LIVE: u32 = 1;
    pub(crate) const CLOSED: u32 = 2;
}

#[repr(C)]
pub(crate) struct Header {
    magic: AtomicU64,
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
}

#[repr(C)]
pub(crate) struct Entry {
    /// One of [`state`]. Stored last (Release) when it becomes live, and when its thread is gone.
    pub(crate) state: AtomicU32,
    /// The ring's number in span ids.
    pub(crate) number: AtomicU32,
    /// The thread's track.
    pub(crate) track: AtomicU32,
    _spare: AtomicU32,
}

const ENTRY_BYTES: usize = size_of::<Entry>();

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
        required_bytes(self.ring_slots).next_multiple_of(4_096)
    }
    fn arena_offset(self) -> usize {
        HEADER_BYTES + (MAX_RINGS * ENTRY_BYTES).next_multiple_of(4_096)
    }
    fn rings_offset(self) -> usize {
        self.arena_offset() + self.arena_bytes.next_multiple_of(4_096)
    }
    fn bytes(self) -> usize {
        self.rings_offset() + self.ring_bytes() * self.rings
    }
}

/// A session's memory. Pages cost nothing until they are touched.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    shape: Shape,
}

// SAFETY: everything in the mapping is accessed as atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(shape: Shape) -> std::io::Result<Arc<Self>> {
        // SAFETY: a fresh anonymous mapping; no address is asked for.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                shape.bytes(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| std::io::Error::other("mapped at address 0"))?;
        let mapping = Self { base, shape };
        mapping.header().magic.store(MAGIC, Ordering::Relaxed);
        Ok(Arc::new(mapping))
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
        // SAFETY: within the directory, aligned to 16.
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

    /// The memory of ring `index`, as it was left.
    pub(crate) fn ring(self: &Arc<Self>, index: usize) -> Result<Memory, RingError> {
        assert!(index < self.shape.rings);
        let offset = self.shape.rings_offset() + index * self.shape.ring_bytes();
        let config = tickscope_ring::Config { capacity: self.shape.ring_slots, policy: self.shape.policy };
        // SAFETY: the part of the mapping set aside for this ring, page-aligned; the `Arc` keeps it mapped.
        unsafe { Memory::over(self.base.add(offset), self.shape.ring_bytes(), config, Some(self.clone())) }
    }

    /// Makes ring `index` empty again.
    ///
    /// # Safety
    /// Nobody uses the ring.
    pub(crate) unsafe fn clear_ring(&self, index: usize) {
        assert!(index < self.shape.rings);
        let offset = self.shape.rings_offset() + index * self.shape.ring_bytes();
        // Only the header: slots are overwritten before they are published again.
        // SAFETY: within the ring's part of the mapping, and the caller says that nobody else looks.
        unsafe { self.base.add(offset).as_ptr().write_bytes(0, 256) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; everything made of it holds an `Arc` of `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.shape.bytes()) };
    }
}
