//! A span allocates nothing once its place was reached before. A binary of its own, for its allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tickscope::{Recording, args, counter, instant, span};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // An allocator that is traced itself must not get into the recorder's slow paths again.
        let _span = span!("alloc");
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn work(n: u64) {
    let outer = span!("outer");
    let _inner = span!("inner", n = n, text = "some text that takes several slots of the ring");
    args!(outer, late = n);
    instant!("moment", n = n);
    counter!("count", n);
}

#[test]
fn spans_allocate_nothing_and_a_traced_allocator_does_no_harm() {
    let recording = Recording::builder().ring_bytes(32 << 20).start().expect("no other recording");
    work(0);
    let before = ALLOCATIONS.get();
    (1..=10_000).for_each(work);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    drop(vec![1; 100]);
    let account = recording.stop().account;
    assert!(account.holds(0) && account.dropped == 0 && account.discarded == 0, "{account:?}");
    assert!(account.delivered >= 7 * 10_001, "{account:?}");
}
