//! The standard library's atomics, or loom's, and the orderings of the protocol by name.
//!
//! Each ordering can be weakened by `--cfg weaken="NAME"`; the loom model must then fail (`cargo xtask loom`).

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, fence};

pub(crate) use std::sync::atomic::Ordering;

macro_rules! ordering {
    ($(#[$doc:meta])* $name:ident, $weaken:literal, $strong:ident) => {
        $(#[$doc])*
        pub(crate) const $name: Ordering =
            if cfg!(weaken = $weaken) { Ordering::Relaxed } else { Ordering::$strong };
    };
}

ordering! {
    /// The producer's store of `tail`: its slots are visible before it. Pairs with [`OBSERVE`].
    PUBLISH, "publish", Release
}
ordering! {
    /// The consumer's load of `tail`. Pairs with [`PUBLISH`].
    OBSERVE, "observe", Acquire
}
ordering! {
    /// The consumer's store of `head`: it is done with the slots before it. Pairs with [`RECLAIM`].
    RELEASE, "release", Release
}
ordering! {
    /// The producer's load of `head`. Pairs with [`RELEASE`].
    RECLAIM, "reclaim", Acquire
}

/// Orders the store of `tail` before the slots of the next event. Pairs with [`check_fence`]: a reader that saw a slot
/// of that event sees at least that `tail`. Free on x86, where stores stay in order.
#[inline(always)]
pub(crate) fn overwrite_fence() {
    if !cfg!(weaken = "overwrite_fence") {
        fence(Ordering::Release);
    }
}

/// Orders the slots a snapshot copied before its second look at `tail`. Pairs with [`overwrite_fence`].
#[inline(always)]
pub(crate) fn check_fence() {
    if !cfg!(weaken = "check_fence") {
        fence(Ordering::Acquire);
    }
}
