//! Work done on other threads (queries, requests), whose answer comes back at the start of a later tick.
//!
//! In real time an answer is given at the first tick at which it is there and its latency is over. In virtual time it is
//! due at the time of the request plus the latency, answers go in the order of (due, request), and where the work is not
//! done yet the server waits for it before the tick begins: virtual work takes no time, and two runs are the same.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tickscope_core::{CategoryId, LinkPoint, Outcome, Recorder, SymbolId};

use crate::host::Host;
use crate::http;
use crate::probe::Operation;
use crate::resource::Resource;

/// Requests that wait for a thread of one service. More are refused.
const MAX_QUEUE: usize = 10_000;

/// How long the end of a run waits for work that was asked for.
const END_LIMIT: Duration = Duration::from_secs(2);

/// How long a tick in virtual time waits for one answer, before it is given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Who does the work: a name for its threads, and how many there are at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// Requests are begun in their order; with one thread each is done before the next begins.
    pub(crate) threads: usize,
}

/// One request to a service.
pub(crate) struct Request<'a> {
    pub(crate) service: Service,
    /// Who asked: when it stops, the answer is dropped.
    pub(crate) resource: &'a Rc<Resource>,
    /// Time that passes at least until the answer.
    pub(crate) latency: Duration,
    /// What the span of the operation is called.
    pub(crate) symbol: SymbolId,
    pub(crate) category: CategoryId,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutsideError {
    #[error(
        "{service}: {MAX_QUEUE} requests wait already; the one that was just made is refused (is one made in each tick, for ever?)"
    )]
    Full { service: &'static str },
    #[error("{service}: no answer within {} s of real time; it was given up", ANSWER_LIMIT.as_secs())]
    TimedOut { service: &'static str },
    #[error("{service}: the work failed on its thread (an error of this program, please report it)")]
    Broken { service: &'static str },
    #[error("{service}: no thread could be started for it")]
    NoThread { service: &'static str },
}

type Work = Box<dyn FnOnce() + Send>;

/// What the threads of one service share with the server.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread of the service does until the run is over.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                // A panic ends the request, whose answer its owner then misses, and not the service.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                state = self.lock();
            } else if state.closed {
                break;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
        state.threads -= 1;
        self.changed.notify_all();
    }
}

/// How long a piece of work took on its thread, in real time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// From the request to its beginning.
    pub(crate) queued: Duration,
    pub(crate) ran: Duration,
}

/// An answer from another thread.
pub(crate) struct Done<T> {
    pub(crate) value: T,
    pub(crate) took: Took,
}

/// A request on its way, by the type of its answer.
trait Reply<R: Recorder + 'static> {
    /// Waits for the answer until `until`; without one it only looks. Whether it is there, or never will be.
    fn ready(&mut self, until: Option<Instant>) -> bool;
    fn give_up(&mut self, error: OutsideError);
    /// Of an answer that is there.
    fn took(&self) -> Option<Took>;
    fn deliver(self: Box<Self>, host: &Rc<Host<R>>, cause: LinkPoint);
}

struct Awaited<T, D> {
    service: &'static str,
    from: Receiver<Done<T>>,
    answer: Option<Result<Done<T>, OutsideError>>,
    done: D,
}

impl<R, T, D> Reply<R> for Awaited<T, D>
where
    R: Recorder + 'static,
    D: FnOnce(&Rc<Host<R>>, Result<T, OutsideError>, LinkPoint),
{
    fn ready(&mut self, until: Option<Instant>) -> bool {
        if self.answer.is_some() {
            return true;
        }
        let broken = Err(OutsideError::Broken { service: self.service });
        self.answer = match until {
            None => match self.from.try_recv() {
                Ok(answer) => Some(Ok(answer)),
                Err(TryRecvError::Disconnected) => Some(broken),
                Err(TryRecvError::Empty) => None,
            },
            Some(until) => match self.from.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(answer) => Some(Ok(answer)),
                Err(RecvTimeoutError::Disconnected) => Some(broken),
                Err(RecvTimeoutError::Timeout) => None,
            },
        };
        self.answer.is_some()
    }

    fn give_up(&mut self, error: OutsideError) {
        self.answer = Some(Err(error));
    }

    fn took(&self) -> Option<Took> {
        self.answer.as_ref()?.as_ref().ok().map(|done| done.took)
    }

    fn deliver(self: Box<Self>, host: &Rc<Host<R>>, cause: LinkPoint) {
        if let Some(answer) = self.answer {
            (self.done)(host, answer.map(|done| done.value), cause);
        }
    }
}

struct Pending<R: Recorder + 'static> {
    service: &'static str,
    resource: usize,
    operation: Option<Operation>,
    /// It was asked by a callback of samples: neither is what follows recorded.
    mute: bool,
    reply: Box<dyn Reply<R>>,
}

/// Everything that other threads do for a server.
pub(crate) struct Outside<R: Recorder + 'static> {
    queues: RefCell<BTreeMap<&'static str, Arc<Queue>>>,
    /// By the time they are due and their number.
    pending: RefCell<BTreeMap<(Duration, u64), Pending<R>>>,
    numbers: Cell<u64>,
}

impl<R: Recorder + 'static> Default for Outside<R> {
    fn default() -> Self {
        Self { queues: RefCell::default(), pending: RefCell::default(), numbers: Cell::new(0) }
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Has `work` done on a thread of a service. `done` runs on the server's thread within a later tick, before its
    /// jobs, with the source for links to what follows; not at all when the resource stops first.
    ///
    /// # Errors
    /// When too many requests wait, or there is no thread; then nothing was begun and `done` is dropped.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        request: &Request<'_>,
        work: impl FnOnce() -> T + Send + 'static,
        done: impl FnOnce(&Rc<Self>, Result<T, OutsideError>, LinkPoint) + 'static,
    ) -> Result<(), OutsideError> {
        let (to, from) = channel();
        let asked = Instant::now();
        let work = Box::new(move || {
            let begun = Instant::now();
            let value = work();
            let took = Took { queued: begun.duration_since(asked), ran: begun.elapsed() };
            let _ = to.send(Done { value, took }); // nobody waits any more when its resource was stopped
        });
        self.outside.enqueue(request.service, work)?;
        self.expect(request, from, done);
        Ok(())
    }

    /// As [`submit`](Self::submit), for work that is under way on threads of its own; its answer comes `from` there.
    pub(crate) fn expect<T: Send + 'static>(
        &self,
        request: &Request<'_>,
        from: Receiver<Done<T>>,
        done: impl FnOnce(&Rc<Self>, Result<T, OutsideError>, LinkPoint) + 'static,
    ) {
        let service = request.service.name;
        let number = self.outside.numbers.replace(self.outside.numbers.get() + 1);
        let due = self.clock.elapsed() + request.latency;
        let operation = self.probe.begin_operation(request.symbol, request.category);
        let reply = Box::new(Awaited { service, from, answer: None, done });
        let mute = self.probe.recorder().is_mute();
        let pending = Pending { service, resource: request.resource.id, operation, mute, reply };
        self.outside.pending.borrow_mut().insert((due, number), pending);
    }

    /// In virtual time: waits for the answers that are due at `now`, which take no time there. Called before a tick.
    /// Not for those of requests while a handler of this server has yet to answer: it may be what they ask.
    pub(crate) fn await_outside(&self, now: Duration) {
        let mut pending = self.outside.pending.borrow_mut();
        for (_, pending) in pending.range_mut(..=(now, u64::MAX)) {
            let limit = Instant::now() + ANSWER_LIMIT;
            while !pending.reply.ready(Some(limit.min(Instant::now() + Duration::from_millis(50)))) {
                if self.ending.is_set() {
                    return;
                }
                if pending.service == http::CLIENTS.name && self.http.is_asked() {
                    break;
                }
                if Instant::now() >= limit {
                    pending.reply.give_up(OutsideError::TimedOut { service: pending.service });
                    break;
                }
            }
        }
    }

    /// Gives the answers that are there and due at `now`.
    pub(crate) fn deliver_outside(self: &Rc<Self>, now: Duration) {
        let ready: Vec<_> = {
            let mut pending = self.outside.pending.borrow_mut();
            let due = pending.range_mut(..=(now, u64::MAX));
            let ready: Vec<_> =
                due.filter_map(|(key, pending)| pending.reply.ready(None).then_some(*key)).collect();
            ready.into_iter().filter_map(|key| pending.remove(&key)).collect()
        };
        for pending in ready {
            let cause = self.end_operation(pending.operation, pending.reply.took(), Outcome::Ok);
            let mute = self.probe.recorder().set_mute(pending.mute);
            pending.reply.deliver(self, cause);
            self.probe.recorder().set_mute(mute);
        }
    }

    fn end_operation(&self, operation: Option<Operation>, took: Option<Took>, outcome: Outcome) -> LinkPoint {
        operation.and_then(|operation| self.probe.end_operation(operation, took, outcome))
    }

    /// Drops the answers a resource waits for; the work itself is done all the same.
    pub(crate) fn forget_outside(&self, resource: usize) {
        let all = std::mem::take(&mut *self.outside.pending.borrow_mut());
        let (gone, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.into_iter().partition(|(_, pending)| pending.resource == resource);
        *self.outside.pending.borrow_mut() = kept;
        for (_, pending) in gone {
            self.end_operation(pending.operation, None, Outcome::Unwound);
        }
    }

    /// Takes no more work, and gives what was begun a moment to finish. `false` when some did not: its threads are left
    /// to themselves.
    pub(crate) fn close_outside(&self) -> bool {
        let limit = Instant::now() + END_LIMIT;
        let queues = std::mem::take(&mut *self.outside.queues.borrow_mut());
        let mut all = true;
        for queue in queues.values() {
            let mut state = queue.lock();
            state.closed = true;
            queue.changed.notify_all();
            while state.threads > 0 {
                let left = limit.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    state.work.clear();
                    all = false;
                    break;
                }
                state = queue.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        all
    }
}

impl<R: Recorder + 'static> Outside<R> {
    fn enqueue(&self, service: Service, work: Work) -> Result<(), OutsideError> {
        let queue = Arc::clone(self.queues.borrow_mut().entry(service.name).or_default());
        let mut state = queue.lock();
        if state.work.len() >= MAX_QUEUE {
            return Err(OutsideError::Full { service: service.name });
        }
        if state.idle <= state.work.len() && state.threads < service.threads {
            let serving = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(service.name.into());
            match thread.spawn(move || serving.serve()) {
                Ok(_) => state.threads += 1,
                Err(_) if state.threads > 0 => {}
                Err(_) => return Err(OutsideError::NoThread { service: service.name }),
            }
        }
        state.work.push_back(work);
        queue.changed.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
