//! Our own memory, with a reserve for when there is none.
//!
//! Rust ends a process that has no memory left. A program with a limit may live with that, so it must not be our request
//! that ends it: where the C library refuses one, it is served from a reserve, and nothing new is begun from then on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tickscope_core::quiet::be_quiet;

/// For what is under way when memory ends, and for what is known then. A large request is refused long before small ones
/// are: the table of coroutines asks for 1.1 MB when there are 28,673, for twice as much at twice as many. Untouched pages
/// cost nothing.
const BYTES: usize = 4 << 20;

#[repr(align(64))]
struct Pool(UnsafeCell<[u8; BYTES]>);

// SAFETY: every part is handed out once.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([0; BYTES]));
static USED: AtomicUsize = AtomicUsize::new(0);

struct Reserve;

#[global_allocator]
static MEMORY: Reserve = Reserve;

/// A part of the pool, zeroed. It is never given back.
#[cold]
fn take(layout: Layout) -> *mut u8 {
    be_quiet();
    let bytes = layout.size().saturating_add(layout.align());
    let used =
        USED.fetch_update(Relaxed, Relaxed, |used| used.checked_add(bytes).filter(|end| *end <= BYTES));
    match used {
        // SAFETY: the part lies in the pool, with room to align it.
        Ok(at) => unsafe {
            let part = POOL.0.get().cast::<u8>().add(at);
            part.add(part.align_offset(layout.align()))
        },
        Err(_) => ptr::null_mut(),
    }
}

fn is_of_pool(block: *mut u8) -> bool {
    (block as usize).wrapping_sub(POOL.0.get() as usize) < BYTES
}

// SAFETY: the system's allocator, or parts of the pool, each handed out once and never again.
unsafe impl GlobalAlloc for Reserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        let block = unsafe { System.alloc(layout) };
        if block.is_null() { take(layout) } else { block }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        let block = unsafe { System.alloc_zeroed(layout) };
        if block.is_null() { take(layout) } else { block }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !is_of_pool(block) {
            // SAFETY: passed on to the caller.
            unsafe { System.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_of_pool(block) {
            // SAFETY: passed on to the caller.
            let moved = unsafe { System.realloc(block, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the caller's layout, but for the size, which is sound.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_aligned_and_their_own_until_there_are_none() {
        let layout = Layout::from_size_align(1_000, 64).unwrap();
        let mut before = 0;
        loop {
            let part = take(layout);
            if part.is_null() {
                break;
            }
            assert!(is_of_pool(part) && (part as usize).is_multiple_of(64));
            assert!(part as usize >= before + 1_000);
            before = part as usize;
        }
        assert!(before > POOL.0.get() as usize + BYTES - 3_000);
        let other = Box::new(1_u8);
        assert!(!is_of_pool(ptr::from_ref(&*other).cast_mut()));
    }
}
