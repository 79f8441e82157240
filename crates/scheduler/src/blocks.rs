//! Memory for tasks, which one thread allocates and another frees.
//!
//! A general allocator takes that pattern badly: each block goes back across threads by itself. Here a thread keeps the
//! blocks it has freed for its next tasks, and gives and takes whole chains of them where others can have them: a lock per
//! [`CHAIN`] blocks instead of per block.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};
use std::sync::Mutex;

use crate::sync::lock;

/// The size of nearly all tasks. Larger ones go to the allocator.
const BLOCK: Layout = match Layout::from_size_align(128, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};
/// So many blocks go from thread to thread at once.
const CHAIN: usize = 64;
/// So many chains are kept for later: 8 MiB, as many blocks as tasks can wait in a pool by default.
const KEPT: usize = 1024;

/// So many blocks before one is used, its memory is called for: the thread that freed it has it.
const AHEAD: usize = 6;

static CHAINS: Mutex<Vec<Chain>> = Mutex::new(Vec::new());

/// Free blocks, by address: a list through the blocks would have each wait for the one before to come from the cache of the
/// thread that freed it.
struct Chain([*mut u8; CHAIN]);

// SAFETY: nobody else knows of the blocks.
unsafe impl Send for Chain {}

/// A thread's free blocks: up to two chains, so that a thread that goes back and forth at a border needs no lock.
struct Own {
    blocks: UnsafeCell<[*mut u8; 2 * CHAIN]>,
    count: Cell<usize>,
}

thread_local! {
    static OWN: Own =
        const { Own { blocks: UnsafeCell::new([ptr::null_mut(); 2 * CHAIN]), count: Cell::new(0) } };
}

/// Whether a value of this layout lies in a block.
const fn fits(layout: Layout) -> bool {
    layout.size() <= BLOCK.size() && layout.align() <= BLOCK.align()
}

/// Moves a value to memory of its own.
#[inline]
pub(crate) fn put<T>(value: T) -> NonNull<T> {
    if !fits(Layout::new::<T>()) {
        return NonNull::from(Box::leak(Box::new(value)));
    }
    let block = take_block().cast::<T>();
    // SAFETY: a block nobody else has, large enough and aligned as `fits` says.
    unsafe { block.write(value) };
    block
}

/// Drops a value and frees its memory.
///
/// # Safety
/// From [`put`], and not used any more.
#[inline]
pub(crate) unsafe fn remove<T>(value: NonNull<T>) {
    if !fits(Layout::new::<T>()) {
        // SAFETY: then `put` had it from a box.
        drop(unsafe { Box::from_raw(value.as_ptr()) });
        return;
    }
    /// Gives the block back also if the value panics when dropped.
    struct Back(NonNull<u8>);
    impl Drop for Back {
        fn drop(&mut self) {
            give_block(self.0);
        }
    }
    let _back = Back(value.cast());
    // SAFETY: the caller's promise.
    unsafe { value.drop_in_place() };
}

#[inline]
fn take_block() -> NonNull<u8> {
    OWN.try_with(Own::take).ok().flatten().unwrap_or_else(new_block)
}

#[cold]
fn new_block() -> NonNull<u8> {
    // SAFETY: its size is not zero.
    NonNull::new(unsafe { alloc(BLOCK) }).unwrap_or_else(|| handle_alloc_error(BLOCK))
}

#[inline]
fn give_block(block: NonNull<u8>) {
    if OWN.try_with(|own| own.give(block)).is_err() {
        // The thread is ending, and its own blocks are gone.
        free(block.as_ptr());
    }
}

impl Own {
    fn blocks(&self) -> *mut *mut u8 {
        self.blocks.get().cast()
    }

    #[inline]
    fn take(&self) -> Option<NonNull<u8>> {
        if self.count.get() == 0 {
            self.refill()?;
        }
        let count = self.count.get() - 1;
        self.count.set(count);
        // SAFETY: within the array, and below the count, or at its beginning.
        prefetch_to_write(unsafe { self.blocks().add(count.saturating_sub(AHEAD)).read() });
        // SAFETY: below the count, on the thread whose blocks they are; nothing refers into the array.
        NonNull::new(unsafe { self.blocks().add(count).read() })
    }

    #[cold]
    fn refill(&self) -> Option<()> {
        let chain = lock(&CHAINS).pop()?;
        // SAFETY: within the array, on the thread whose blocks they are; nothing refers into it.
        unsafe { self.blocks().cast::<[*mut u8; CHAIN]>().write(chain.0) };
        self.count.set(CHAIN);
        Some(())
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
        let mut chains = lock(&CHAINS);
        if chains.len() < KEPT {
            chains.push(chain);
        } else {
            drop(chains);
            chain.0.into_iter().for_each(free);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        while self.count.get() > 0 {
            self.take().into_iter().for_each(|block| free(block.as_ptr()));
        }
    }
}

/// A task is written, and the next thing is a locked instruction, which waits for all that was written before it.
#[inline]
fn prefetch_to_write(block: *mut u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which may be given for any address, and which processors that do not know it pass over.
    unsafe {
        std::arch::asm!(
            "prefetchw [{block}]",
            "prefetchw [{block} + 64]",
            block = in(reg) block,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = block;
}

fn free(block: *mut u8) {
    // SAFETY: a free block, and they are allocated so.
    unsafe { dealloc(block, BLOCK) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn values_come_back_whole_from_other_threads() {
        for _ in 0..3 {
            let values: Vec<usize> = (0..1000usize).map(|n| put([n; 16]).as_ptr() as usize).collect();
            let sum = std::thread::spawn(move || {
                let mut sum = 0;
                for value in values {
                    let value = NonNull::new(value as *mut [usize; 16]).unwrap();
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
