//! Memory for tasks, which one thread allocates and another frees.
//!
//! A general allocator takes that pattern badly: each block goes back across threads by itself. Here a thread keeps the
//! blocks it has freed for its next tasks, and gives and takes whole chains of them where others can have them: a lock per
//! [`CHAIN`] blocks instead of per block.
//!
//! Blocks are made a chain at a time and never given back, so that each lies in cache lines of its own and none stands between
//! what the program itself allocates and frees: single blocks among glibc's made another pool in the same process twice as
//! slow. So the memory of as many tasks as there ever were at one time is kept.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::thread::LocalKey;

use crate::sync::lock;

/// A cache line.
const LINE: usize = 64;
/// There are blocks of one line, in which most tasks fit, and of two. What is larger goes to the allocator.
const SIZES: usize = 2;
/// So many blocks go from thread to thread at once.
const CHAIN: usize = 64;
/// So many blocks before one is used, its memory is called for: the thread that freed it has it.
const AHEAD: usize = 6;

/// Free blocks that are no thread's, by size.
static KEPT: [Mutex<Kept>; SIZES] =
    [const { Mutex::new(Kept { chains: Vec::new(), single: Vec::new() }) }; SIZES];

struct Kept {
    chains: Vec<Chain>,
    /// Of threads that ended.
    single: Vec<*mut u8>,
}

// SAFETY: nobody else knows of the blocks.
unsafe impl Send for Kept {}

/// Free blocks, by address: a list through the blocks would have each wait for the one before to come from the cache of the
/// thread that freed it.
struct Chain([*mut u8; CHAIN]);

/// A thread's free blocks: up to two chains, so that a thread that goes back and forth at a border needs no lock.
struct Own<const LINES: usize> {
    blocks: UnsafeCell<[*mut u8; 2 * CHAIN]>,
    count: Cell<usize>,
}

thread_local! {
    static ONE: Own<1> = const { Own::new() };
    static TWO: Own<2> = const { Own::new() };
}

/// How many lines a block for a value of this layout has; 0 if there are no such blocks.
const fn lines(layout: Layout) -> usize {
    let lines = layout.size().div_ceil(LINE);
    if layout.align() <= LINE && lines <= SIZES { lines } else { 0 }
}

/// Moves a value to memory of its own.
#[inline]
pub(crate) fn put<T>(value: T) -> NonNull<T> {
    let block = match const { lines(Layout::new::<T>()) } {
        1 => take::<1>(&ONE),
        2 => take::<2>(&TWO),
        _ => return NonNull::from(Box::leak(Box::new(value))),
    };
    let block = block.cast::<T>();
    // SAFETY: a block nobody else has, large enough and aligned as `lines` says.
    unsafe { block.write(value) };
    block
}

/// Drops a value and frees its memory.
///
/// # Safety
/// From [`put`], and not used any more.
#[inline]
pub(crate) unsafe fn remove<T>(value: NonNull<T>) {
    /// Gives the block back also if the value panics when dropped.
    struct Back(NonNull<u8>, usize);
    impl Drop for Back {
        #[inline]
        fn drop(&mut self) {
            match self.1 {
                1 => give(&ONE, self.0),
                _ => give(&TWO, self.0),
            }
        }
    }
    let lines = const { lines(Layout::new::<T>()) };
    if lines == 0 {
        // SAFETY: then `put` had it from a box.
        drop(unsafe { Box::from_raw(value.as_ptr()) });
        return;
    }
    let _back = Back(value.cast(), lines);
    // SAFETY: the caller's promise.
    unsafe { value.drop_in_place() };
}

#[inline]
fn take<const LINES: usize>(own: &'static LocalKey<Own<LINES>>) -> NonNull<u8> {
    // A thread that is ending has no blocks of its own any more.
    let block = own.try_with(Own::take).ok().flatten();
    block.unwrap_or_else(|| NonNull::from(Box::leak(Box::new([Line([0; LINE]); LINES]))).cast())
}

#[inline]
fn give<const LINES: usize>(own: &'static LocalKey<Own<LINES>>, block: NonNull<u8>) {
    if own.try_with(|own| own.give(block)).is_err() {
        lock(&KEPT[LINES - 1]).single.push(block.as_ptr());
    }
}

/// As large as a cache line, and in one.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "its size is what it is for")] [u8; LINE]);

/// New blocks.
#[cold]
fn new_chain<const LINES: usize>() -> Chain {
    let blocks = Box::leak(Box::new([[Line([0; LINE]); LINES]; CHAIN]));
    Chain(blocks.each_mut().map(|block| block.as_mut_ptr().cast()))
}

impl<const LINES: usize> Own<LINES> {
    const fn new() -> Self {
        Self { blocks: UnsafeCell::new([ptr::null_mut(); 2 * CHAIN]), count: Cell::new(0) }
    }

    fn blocks(&self) -> *mut *mut u8 {
        self.blocks.get().cast()
    }

    /// Always one.
    #[inline]
    fn take(&self) -> Option<NonNull<u8>> {
        if self.count.get() == 0 {
            self.refill();
        }
        let count = self.count.get() - 1;
        self.count.set(count);
        // SAFETY: within the array, and below the count, or at its beginning.
        prefetch_to_write::<LINES>(unsafe { self.blocks().add(count.saturating_sub(AHEAD)).read() });
        // SAFETY: below the count, on the thread whose blocks they are; nothing refers into the array.
        NonNull::new(unsafe { self.blocks().add(count).read() })
    }

    #[cold]
    fn refill(&self) {
        let chain = lock(&KEPT[LINES - 1]).take().unwrap_or_else(new_chain::<LINES>);
        // SAFETY: within the array, on the thread whose blocks they are; nothing refers into it.
        unsafe { self.blocks().cast::<[*mut u8; CHAIN]>().write(chain.0) };
        self.count.set(CHAIN);
    }

    #[inline]
    fn give(&self, block: NonNull<u8>) {
        if self.count.get() == 2 * CHAIN {
            self.hand_over();
        }
        let count = self.count.get();
        // SAFETY: within the array, on the thread whose blocks they are; nothing refers into it.
        unsafe { self.blocks().add(count).write(block.as_ptr()) };
        self.count.set(count + 1);
    }

    /// Gives one chain away.
    #[cold]
    fn hand_over(&self) {
        // SAFETY: both chains are full, and this is the thread whose blocks they are.
        let chain = Chain(unsafe { self.blocks().add(CHAIN).cast::<[*mut u8; CHAIN]>().read() });
        self.count.set(CHAIN);
        lock(&KEPT[LINES - 1]).chains.push(chain);
    }
}

impl<const LINES: usize> Drop for Own<LINES> {
    fn drop(&mut self) {
        // SAFETY: the blocks below the count, on the thread whose they are; nothing else refers into the array.
        let blocks = unsafe { std::slice::from_raw_parts(self.blocks(), self.count.get()) };
        lock(&KEPT[LINES - 1]).single.extend_from_slice(blocks);
    }
}

impl Kept {
    fn take(&mut self) -> Option<Chain> {
        if let Some(chain) = self.chains.pop() {
            return Some(chain);
        }
        let from = self.single.len().checked_sub(CHAIN)?;
        let chain = self.single.split_off(from).try_into().ok()?;
        Some(Chain(chain))
    }
}

/// A task is written, and the next thing is a locked instruction, which waits for all that was written before it.
#[inline]
fn prefetch_to_write<const LINES: usize>(block: *mut u8) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..LINES {
        let line = block.wrapping_add(line * LINE);
        // SAFETY: a hint, which may be given for any address, and which processors that do not know it pass over.
        unsafe {
            std::arch::asm!("prefetchw [{line}]", line = in(reg) line, options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = block;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn values_come_back_whole_from_other_threads() {
        check::<8>();
        check::<9>();
        check::<17>();
    }

    fn check<const N: usize>() {
        for _ in 0..3 {
            let values: Vec<usize> = (0..1000usize).map(|n| put([n; N]).as_ptr() as usize).collect();
            let sum = std::thread::spawn(move || {
                let mut sum = 0;
                for value in values {
                    let value = NonNull::new(value as *mut [usize; N]).unwrap();
                    // SAFETY: put above, and nobody else's.
                    unsafe {
                        assert!(value.as_ref().iter().all(|n| *n == value.as_ref()[0]));
                        sum += value.as_ref()[0];
                        remove(value);
                    }
                }
                sum
            });
            assert_eq!(sum.join().unwrap(), 999 * 500);
        }
    }

    #[test]
    fn large_values_and_destructors() {
        let alive = Arc::new(());
        let large = put(([0u8; 500], Arc::clone(&alive)));
        let small = put(Arc::clone(&alive));
        assert_eq!(Arc::strong_count(&alive), 3);
        // SAFETY: put above, and nobody else's.
        unsafe {
            remove(large);
            remove(small);
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
