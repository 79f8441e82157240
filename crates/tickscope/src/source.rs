//! What a program knows about itself and nobody asks while nothing is recorded: sources of figures with a life.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use tickscope_core::SinkError;

use crate::attachment;
use crate::error::Error;
use crate::recording::{Inner, lock};

/// Something that has figures to tell as long as a recording goes on: a connection pool, an allocator, the machine.
///
/// All but `setup` is called on one thread, which the recording's sources share; macros there record into that
/// recording, whichever the other threads record into.
///
/// ```
/// use std::time::Duration;
/// use tickscope::{DataSource, Error, MemorySink, ProcessTrack, Recording, counter};
///
/// struct Pool;
///
/// impl DataSource for Pool {
///     fn sample(&mut self) {
///         counter!(on: &ProcessTrack, "connections", 3);
///     }
/// }
///
/// let memory = MemorySink::default();
/// let recording = Recording::builder()
///     .source("pool", Duration::from_millis(10), Pool)
///     .sink("memory", memory.clone())
///     .start()?;
/// recording.stop();
/// assert!(memory.take().samples.iter().any(|s| matches!(s.event, tickscope::Event::Counter { .. })));
/// # Ok::<(), Error>(())
/// ```
pub trait DataSource: Send {
    /// Opens what is needed, before the recording starts, on the thread that starts it.
    ///
    /// # Errors
    /// What is missing. The recording does not start then.
    fn setup(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    /// The recording has started. All of its sources are set up by now, and start in the order in which they were given.
    fn start(&mut self) {}

    /// Tells what there is to tell: once all sources have started, then at the source's interval, and once more before
    /// the end. One that takes longer than its interval is asked less often.
    fn sample(&mut self) {}

    /// The recording is about to stop: what is recorded here is the last of it. In the reverse order.
    fn stop(&mut self) {}
}

/// A source, its name and interval.
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) every: Duration,
    pub(crate) source: Box<dyn DataSource>,
}

/// Sources that panicked, by name.
type Failed = Vec<(String, SinkError)>;

/// The thread of a recording's sources.
#[derive(Debug)]
pub(crate) struct Sources {
    stop: Sender<()>,
    id: ThreadId,
    /// Until somebody waited for it.
    thread: Mutex<Option<JoinHandle<Failed>>>,
    /// Known once it has ended.
    failed: Mutex<Failed>,
}

/// Sets them up, in order.
pub(crate) fn set_up(given: &mut [Given]) -> Result<(), Error> {
    for Given { name, source, .. } in given {
        source.setup().map_err(|cause| Error::Source { name: name.clone(), source: cause })?;
    }
    Ok(())
}

impl Sources {
    /// Starts them, and waits until all have started.
    pub(crate) fn start(given: Vec<Given>, inner: Arc<Inner>) -> Result<Self, Error> {
        let (stop, stopped) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let body = move || {
            let number = inner.number;
            attachment::choose(inner);
            let mut running = Running { given, due: Vec::new(), failed: Vec::new() };
            running.all(|source| source.start());
            running.all(|source| source.sample());
            let now = Instant::now();
            running.due = running.given.iter().map(|given| now.checked_add(given.every)).collect();
            let _ = ready.send(());
            loop {
                // A source whose interval is beyond time is never due.
                let next = running.due.iter().flatten().min();
                let wait = next.map_or(Duration::MAX, |next| next.saturating_duration_since(Instant::now()));
                match stopped.recv_timeout(wait.min(FOREVER)) {
                    Err(RecvTimeoutError::Timeout) => running.ask(),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            running.all(|source| source.sample());
            running.given.reverse();
            running.all(|source| source.stop());
            attachment::unchoose(number);
            running.failed
        };
        let thread = thread::Builder::new().name("tickscope sources".to_owned()).spawn(body)?;
        // Disconnected: cannot be, what sources do is caught.
        let _ = started.recv();
        Ok(Self {
            stop,
            id: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
            failed: Mutex::default(),
        })
    }

    /// Stops them and waits until they have.
    pub(crate) fn stop(&self) {
        let _ = self.stop.send(());
        // One of them stops its own recording: it cannot wait for itself, nor for who waits for it.
        if self.id == thread::current().id() {
            return;
        }
        // Under the lock: another thread that stops too waits until they have.
        let mut thread = lock(&self.thread);
        if let Some(thread) = thread.take() {
            let failed = thread.join().unwrap_or_default();
            *lock(&self.failed) = failed;
        }
    }

    /// Who panicked, as far as is known.
    pub(crate) fn failed(&self) -> Failed {
        std::mem::take(&mut lock(&self.failed))
    }
}

/// Longer waits are not needed, and not every system has them.
const FOREVER: Duration = Duration::from_secs(3_600);

struct Running {
    given: Vec<Given>,
    /// When each is to be asked again; of one that panicked never.
    due: Vec<Option<Instant>>,
    failed: Failed,
}

impl Running {
    /// Calls all but those that panicked before.
    fn all(&mut self, call: impl Fn(&mut dyn DataSource)) {
        let mut index = 0;
        while index < self.given.len() {
            if self.one(index, &call) {
                index += 1;
            }
        }
    }

    /// Whether the source is still there.
    fn one(&mut self, index: usize, call: impl Fn(&mut dyn DataSource)) -> bool {
        let source = &mut *self.given[index].source;
        if catch_unwind(AssertUnwindSafe(|| call(source))).is_ok() {
            return true;
        }
        let Given { name, source, .. } = self.given.remove(index);
        // Its destructor may panic again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
        if index < self.due.len() {
            self.due.remove(index);
        }
        self.failed.push((name, SinkError::Other("the data source panicked".to_owned())));
        false
    }

    fn ask(&mut self) {
        let now = Instant::now();
        let mut index = 0;
        while index < self.given.len() {
            if self.due[index].is_some_and(|due| due <= now) {
                if !self.one(index, |source| source.sample()) {
                    continue;
                }
                // From its end on: one that is slow does not fill the thread.
                self.due[index] = Instant::now().checked_add(self.given[index].every);
            }
            index += 1;
        }
    }
}
