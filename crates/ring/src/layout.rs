//! How a ring lies in memory.
//!
//! ```text
//! 0    tail       next position the producer writes; published last      ┐ the producer's line
//! 8    attempted  events it tried to push                                │
//! 16   dropped    events it refused                                      ┘
//! 128  head       next position the consumer reads                         the consumer's line
//! 256  slots      capacity × 16 bytes; position p lies in slot p mod capacity
//! ```
//!
//! Positions count slots from 0 and never wrap (2^64 slots at 10^8 a second last 5,800 years). The lines are 128 bytes
//! apart because Intel and recent AMD cores fetch cache lines in pairs.

use std::ptr::NonNull;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};
use crate::{Consumer, Producer};

/// The most slots one event may take.
pub const MAX_EVENT_SLOTS: usize = 255;

/// What a ring's memory must be aligned to.
pub const ALIGN: usize = 128;

const HEADER_BYTES: usize = 256;

/// What a full ring does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Refuse the new event and count it.
    #[default]
    Drop,
    /// Overwrite the oldest: a flight recorder, read by [`Consumer::snapshot`].
    Overwrite,
}

/// Shape of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Number of slots: a power of two, at least 2, and above 256 for [`Policy::Overwrite`].
    pub capacity: usize,
    /// What happens when they are all taken.
    pub policy: Policy,
}

/// Why a ring cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The number of slots does not fit the policy.
    Capacity {
        /// The number given.
        capacity: usize,
        /// The least allowed.
        least: usize,
    },
    /// The memory given is too small.
    TooSmall {
        /// Bytes given.
        given: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The memory given does not start at a multiple of [`ALIGN`].
    Misaligned,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Capacity { capacity, least } => {
                write!(f, "ring of {capacity} slots; expected a power of two, at least {least}")
            }
            Self::TooSmall { given, needed } => write!(f, "ring in {given} bytes; it needs {needed}"),
            Self::Misaligned => write!(f, "ring memory is not aligned to {ALIGN} bytes"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Bytes a ring of `capacity` slots takes.
pub const fn required_bytes(capacity: usize) -> usize {
    HEADER_BYTES + capacity * size_of::<[u64; 2]>()
}

/// Two words. Read and written with relaxed atomic accesses, which are plain moves: a reader may look at a slot while
/// it is overwritten and decides afterwards whether to believe it.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Slot {
    words: [AtomicU64; 2],
    /// Lets loom see an access of one side that the other side's may race with.
    #[cfg(loom)]
    guard: loom::cell::UnsafeCell<()>,
}

// SAFETY: under loom the guard is what checks that the protocol gives each side its turn; the words are atomic.
#[cfg(loom)]
unsafe impl Sync for Slot {}

impl Slot {
    /// What it holds.
    #[inline(always)]
    pub fn words(&self) -> [u64; 2] {
        [self.words[0].load(Ordering::Relaxed), self.words[1].load(Ordering::Relaxed)]
    }

    #[inline(always)]
    pub(crate) fn write(&self, words: [u64; 2]) {
        self.words[0].store(words[0], Ordering::Relaxed);
        self.words[1].store(words[1], Ordering::Relaxed);
    }

    /// Under loom: this side owns the slot now.
    #[inline(always)]
    pub(crate) fn claim(&self, _write: bool) {
        #[cfg(loom)]
        if _write {
            self.guard.with_mut(|_| ());
        } else {
            self.guard.with(|_| ());
        }
    }

    #[cfg(loom)]
    fn new() -> Self {
        Self {
            words: [AtomicU64::new(0), AtomicU64::new(0)],
            #[cfg(loom)]
            guard: loom::cell::UnsafeCell::new(()),
        }
    }
}

#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct ProducerLine {
    pub(crate) tail: AtomicU64,
    pub(crate) attempted: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Header {
    pub(crate) producer: ProducerLine,
    pub(crate) head: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Header>() == HEADER_BYTES && align_of::<Header>() == ALIGN);
    assert!(size_of::<Slot>() == 16 && std::mem::offset_of!(Header, head) == 128);
};

/// A ring's memory: where it is, how large, and what keeps it alive.
#[derive(Clone, Debug)]
pub struct Memory {
    header: NonNull<Header>,
    slots: NonNull<Slot>,
    mask: u64,
    policy: Policy,
    _owner: Option<Arc<dyn Send + Sync + Debug>>,
}

use std::fmt::Debug;

// SAFETY: all that is behind the pointers is atomic, and `_owner` (or the contract of `Memory::over`) keeps it mapped.
unsafe impl Send for Memory {}
// SAFETY: as above; sharing gives only atomic accesses.
unsafe impl Sync for Memory {}

impl Memory {
    /// A ring in memory from elsewhere. Zeroed memory is an empty ring; other contents continue where they stopped.
    ///
    /// # Errors
    /// When the capacity, the size or the alignment does not fit.
    ///
    /// # Safety
    /// `base` points to `len` bytes that stay mapped, readable and writable as long as this value and the producer and
    /// consumers made of it live (`owner` may hold what keeps them), and are accessed by others only as a ring.
    #[cfg(not(loom))]
    pub unsafe fn over(
        base: NonNull<u8>,
        len: usize,
        config: Config,
        owner: Option<Arc<dyn Send + Sync + Debug>>,
    ) -> Result<Self, ConfigError> {
        check(config)?;
        let needed = required_bytes(config.capacity);
        if len < needed {
            return Err(ConfigError::TooSmall { given: len, needed });
        }
        if !(base.as_ptr() as usize).is_multiple_of(ALIGN) {
            return Err(ConfigError::Misaligned);
        }
        // SAFETY: within the `needed` bytes just checked; any bit pattern is a valid atomic word.
        let slots = unsafe { base.add(HEADER_BYTES) }.cast();
        let mask = config.capacity as u64 - 1;
        Ok(Self { header: base.cast(), slots, mask, policy: config.policy, _owner: owner })
    }

    /// The end that writes, continuing where an earlier one stopped.
    ///
    /// # Safety
    /// At most one producer of a ring exists at a time, over all processes.
    pub unsafe fn producer(&self) -> Producer {
        Producer::new(self.clone())
    }

    /// The end that reads, continuing where an earlier one stopped.
    ///
    /// # Safety
    /// At most one consumer of a ring drains it at a time, over all processes. [`Consumer::snapshot`] may be used by
    /// any number.
    pub unsafe fn consumer(&self) -> Consumer {
        Consumer::new(self.clone())
    }

    /// Number of slots.
    pub fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// What happens when they are all taken.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    #[inline(always)]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the constructor checked size and alignment, and the memory outlives `self`.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn slot(&self, position: u64) -> &Slot {
        // SAFETY: masked, so within the `capacity` slots the constructor checked.
        unsafe { self.slots.add((position & self.mask) as usize).as_ref() }
    }

    /// The slots of `len` positions from `position`, up to the end of the memory.
    #[inline]
    pub(crate) fn run(&self, position: u64, len: u64) -> &[Slot] {
        let start = position & self.mask;
        let len = len.min(self.capacity() - start);
        // SAFETY: `start + len` is at most `capacity`.
        unsafe { std::slice::from_raw_parts(self.slots.add(start as usize).as_ptr(), len as usize) }
    }
}

fn check(config: Config) -> Result<(), ConfigError> {
    let least = match config.policy {
        Policy::Drop => 2,
        Policy::Overwrite if cfg!(loom) => 2,
        Policy::Overwrite => MAX_EVENT_SLOTS + 2,
    };
    if config.capacity < least || !config.capacity.is_power_of_two() {
        return Err(ConfigError::Capacity { capacity: config.capacity, least });
    }
    Ok(())
}

/// A ring on the heap and its two ends.
///
/// # Errors
/// When the capacity is not a power of two or too small for the policy.
#[cfg(not(loom))]
pub fn heap(config: Config) -> Result<(Producer, Consumer), ConfigError> {
    check(config)?;
    #[derive(Clone, Copy)]
    #[repr(C, align(128))]
    struct Block([u8; ALIGN]);
    let blocks = required_bytes(config.capacity).div_ceil(ALIGN);
    let memory = vec![Block([0; ALIGN]); blocks].into_boxed_slice();
    // One pointer to all blocks: the ring and the owner use the same.
    let base = Box::into_raw(memory).cast::<u8>();
    let owner = HeapBlock(base, blocks * ALIGN);
    let base = NonNull::new(base).expect("a box is not null");
    // SAFETY: the block has the length and alignment asked for and lives as long as `owner`.
    let memory = unsafe { Memory::over(base, blocks * ALIGN, config, Some(Arc::new(owner))) }?;
    // SAFETY: the memory is new and private, so these are its only ends.
    unsafe { Ok((memory.producer(), memory.consumer())) }
}

#[cfg(not(loom))]
#[derive(Debug)]
struct HeapBlock(*mut u8, usize);

// SAFETY: the pointer is only used to free the block, by whoever drops it last.
#[cfg(not(loom))]
unsafe impl Send for HeapBlock {}
// SAFETY: as above.
#[cfg(not(loom))]
unsafe impl Sync for HeapBlock {}

#[cfg(not(loom))]
impl Drop for HeapBlock {
    fn drop(&mut self) {
        // SAFETY: allocated in `heap` as a boxed slice of 128-byte blocks aligned to 128, and freed only here.
        unsafe {
            std::alloc::dealloc(self.0, std::alloc::Layout::from_size_align_unchecked(self.1, ALIGN));
        }
    }
}

/// A ring in loom's memory and its two ends. Leaked at the end of each model run, as loom allows.
///
/// # Errors
/// As without loom.
#[cfg(loom)]
pub fn heap(config: Config) -> Result<(Producer, Consumer), ConfigError> {
    check(config)?;
    #[derive(Debug)]
    struct Owner(Box<Header>, Box<[Slot]>);
    let header = Box::new(Header {
        producer: ProducerLine {
            tail: AtomicU64::new(0),
            attempted: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        },
        head: AtomicU64::new(0),
    });
    let owner = Arc::new(Owner(header, (0..config.capacity).map(|_| Slot::new()).collect()));
    let memory = Memory {
        header: NonNull::from(&*owner.0),
        slots: NonNull::from(&owner.1[0]),
        mask: config.capacity as u64 - 1,
        policy: config.policy,
        _owner: Some(owner),
    };
    // SAFETY: new and private.
    unsafe { Ok((memory.producer(), memory.consumer())) }
}
