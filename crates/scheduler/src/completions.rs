//! For a thread that looks at its tasks on each tick: which of them are done?

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::error::TaskError;
use crate::handle::Handle;
use crate::inbox::{Inbox, Linked};
use crate::pool;
use crate::sync::lock;

/// Handles that somebody looks at together, on the thread that owns them.
///
/// Asking whether any is done is one load, however many there are, and those that are done come out in the order in which
/// they were. The owner can sleep until one is done, or have something called that wakes it.
///
/// ```
/// use tickscope_scheduler::{Completions, Pool};
///
/// let pool = Pool::builder().workers(1).build()?;
/// let mut jobs = Completions::new();
/// for n in 0..3u64 {
///     jobs.add(n, pool.spawn(move || n * n));
/// }
/// let mut sum = 0;
/// while !jobs.is_empty() {
///     // On each tick, or whenever there is something:
///     jobs.wait(None);
///     for (n, result) in jobs.take() {
///         assert_eq!(result, Ok(n * n));
///         sum += n;
///     }
/// }
/// assert_eq!(sum, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Completions<K, T> {
    done: Arc<Done>,
    /// By the addresses of their notes, which are kept alive by being here.
    waiting: HashMap<usize, Job<K, T>>,
}

struct Job<K, T> {
    _note: Arc<Note>,
    key: K,
    handle: Handle<T>,
}

/// Where those that are done are noted.
struct Done {
    notes: Inbox<Note>,
    /// Whom to tell that there is one where there was none.
    told: Mutex<Option<Waker>>,
}

/// A handle's place in the inbox of those that are done.
struct Note {
    link: AtomicPtr<Note>,
    /// In the inbox, or never to go there again.
    noted: AtomicBool,
    done: Weak<Done>,
}

// SAFETY: one field; only inboxes write it, and `noted` lets a note be in one once.
unsafe impl Linked for Note {
    fn link(&self) -> &AtomicPtr<Self> {
        &self.link
    }
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        // A note goes in once: afterwards its handle has an answer. The order is that of the task's own state.
        if self.noted.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(done) = self.done.upgrade() else { return };
        let note = Arc::into_raw(self).cast_mut();
        // SAFETY: from an `Arc`, whose count keeps it alive until it is taken; and in no inbox before, as `noted` says.
        let first = unsafe { done.notes.push(NonNull::new_unchecked(note)) };
        if first {
            let told = lock(&done.told).clone();
            if let Some(told) = told {
                told.wake();
            }
        }
    }
}

fn address(note: &Arc<Note>) -> usize {
    Arc::as_ptr(note) as usize
}

impl<K, T> fmt::Debug for Completions<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl<K, T> Default for Completions<K, T> {
    fn default() -> Self {
        let done = Done { notes: Inbox::new(), told: Mutex::new(None) };
        Self { done: Arc::new(done), waiting: HashMap::new() }
    }
}

impl<K, T> Completions<K, T> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks after a handle; `key` comes out with its result.
    pub fn add(&mut self, key: K, mut handle: Handle<T>) {
        let note = Arc::new(Note {
            link: AtomicPtr::new(ptr::null_mut()),
            noted: AtomicBool::new(false),
            done: Arc::downgrade(&self.done),
        });
        if handle.listen(&Waker::from(Arc::clone(&note))) {
            Arc::clone(&note).wake();
        }
        self.waiting.insert(address(&note), Job { _note: note, key, handle });
    }

    /// How many were added and not taken.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all that were added were taken.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether [`take`](Self::take) would give something. One load.
    #[inline]
    pub fn is_ready(&self) -> bool {
        !self.done.notes.is_empty()
    }

    /// Those that are done, in the order in which they were.
    pub fn take(&mut self) -> Vec<(K, Result<T, TaskError>)> {
        let mut results = Vec::new();
        let notes: Vec<_> = self.done.notes.take().collect();
        for note in notes.into_iter().rev() {
            // SAFETY: the count that the inbox kept.
            let note = unsafe { Arc::from_raw(note.as_ptr().cast_const()) };
            let Some(Job { key, mut handle, .. }) = self.waiting.remove(&address(&note)) else { continue };
            match handle.try_join() {
                Some(result) => results.push((key, result)),
                None => self.add(key, handle),
            }
        }
        results
    }

    /// The handles that are not taken yet, to cancel or to ask.
    pub fn handles(&self) -> impl Iterator<Item = (&K, &Handle<T>)> {
        self.waiting.values().map(|job| (&job.key, &job.handle))
    }

    /// Called by the worker that ends a task, when one is done and none was before: something short, like writing to the
    /// descriptor that the owner polls. At once, if there is one already.
    pub fn on_ready(&mut self, call: impl Fn() + Send + Sync + 'static) {
        struct Call<F>(F);
        impl<F: Fn() + Send + Sync> Wake for Call<F> {
            fn wake(self: Arc<Self>) {
                (self.0)();
            }
        }
        self.tell(Waker::from(Arc::new(Call(call))));
    }

    fn tell(&mut self, waker: Waker) {
        *lock(&self.done.told) = Some(waker.clone());
        // Whoever was first before this may have looked for a waker too early. The lock orders us with those after it.
        if self.is_ready() {
            waker.wake();
        }
    }

    /// Waits until one is done, or so long; true if there is one. Does not wait if there is none to wait for. Takes the
    /// place of what [`on_ready`](Self::on_ready) was given.
    pub fn wait(&mut self, time: Option<Duration>) -> bool {
        if self.is_ready() || self.is_empty() {
            return self.is_ready();
        }
        pool::wait_for(time, |context| {
            self.tell(context.waker().clone());
            if self.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        self.is_ready()
    }
}

impl<K, T> Future for &mut Completions<K, T> {
    type Output = ();

    /// Ready when one is done, or there is none.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.tell(context.waker().clone());
        if this.is_ready() || this.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        for note in self.notes.take() {
            // SAFETY: the count that the inbox kept.
            drop(unsafe { Arc::from_raw(note.as_ptr().cast_const()) });
        }
    }
}
