//! The threads that talk to those who ask: one takes connections, each of which has one of its own.
//!
//! A connection is one request and its answer. Everything is bounded: how many there are, how much they send, how long
//! they take to send it and to read the answer.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::wire::{self, Asked, Head, Problem, Reply};

/// For a handler to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
/// For an answer to be taken.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
/// From one look whether the other side is still there to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// For what a refused request still sends, so that its sender reads why.
const LINGER: Duration = Duration::from_millis(500);
/// For answers under way at the end of the run.
const END_LIMIT: Duration = Duration::from_millis(250);

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones are turned away.
    pub connections: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// For a request to arrive.
    pub arrival: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, body: 16 << 20, arrival: Duration::from_secs(20) }
    }
}

/// Sees the head of each request before its body is read; a status refuses it. Called on threads of connections.
pub type Gate = Arc<dyn Fn(Head<'_>) -> Result<(), u16> + Send + Sync>;

/// A request that came whole.
#[derive(Debug)]
pub struct Incoming {
    /// Numbers follow the order of connections.
    pub id: u64,
    /// What they ask.
    pub asked: Asked,
    /// Who asks.
    pub address: SocketAddr,
    /// Dropped, it answers 503.
    pub reply: Sender<Reply>,
}

/// What the program's thread is to know.
#[derive(Debug)]
pub enum News {
    /// Somebody asks.
    Asked(Incoming),
    /// Who asked does not wait for the answer any more.
    Gone(u64),
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    news: Vec<News>,
    /// Open ones, to end them.
    connections: HashMap<u64, TcpStream>,
    /// Those of which a whole request was read and that are not answered.
    answering: usize,
}

impl State {
    /// Somebody went away: a request nobody has heard of yet is forgotten.
    fn gone(&mut self, id: u64) {
        let before = self.news.len();
        self.news.retain(|news| !matches!(news, News::Asked(incoming) if incoming.id == id));
        if self.news.len() == before {
            self.news.push(News::Gone(id));
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    answered: Condvar,
    arrived: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes requests until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens from now on; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or is not this machine's, or there is no thread.
    pub fn bind(address: SocketAddr, limits: Limits, gate: Option<Gate>) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        let address = socket.local_addr()?;
        let shared = Arc::<Shared>::default();
        let sharing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("http server".into())
            .spawn(move || accept(&socket, &sharing, limits, gate.as_ref()))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether there is something to take.
    pub fn has_news(&self) -> bool {
        !self.shared.lock().news.is_empty()
    }

    /// Waits until there is something to take, for so long at most; whether there is.
    pub fn wait(&self, limit: Duration) -> bool {
        let state = self.shared.lock();
        let none = |state: &mut State| state.news.is_empty();
        let waited = self.shared.arrived.wait_timeout_while(state, limit, none);
        !waited.unwrap_or_else(PoisonError::into_inner).0.news.is_empty()
    }

    /// What happened since this was asked last; requests in the order of their numbers.
    pub fn take(&self) -> Vec<News> {
        let mut news = std::mem::take(&mut self.shared.lock().news);
        news.sort_by_key(|news| match news {
            News::Asked(incoming) => (0, incoming.id),
            News::Gone(id) => (1, *id),
        });
        news
    }
}

impl Drop for Listener {
    /// Gives answers that are under way a moment, and ends all connections.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        // whoever still waits to be heard gets a 503
        let news = std::mem::take(&mut state.news);
        drop(state);
        drop(news);
        let limit = Instant::now() + END_LIMIT;
        let mut state = self.shared.lock();
        while state.answering > 0 {
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.answered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        for connection in state.connections.values() {
            let _ = connection.shutdown(Shutdown::Both); // it may have ended by itself
        }
        drop(state);
        // the thread looks when somebody connects; if that cannot be done, it is left to itself
        let own = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let woken = TcpStream::connect_timeout(&(own, self.address.port()).into(), END_LIMIT).is_ok();
        if let Some(thread) = self.thread.take()
            && woken
        {
            let _ = thread.join(); // it cannot panic, and there would be nothing to do about it
        }
    }
}

fn accept(socket: &TcpListener, shared: &Arc<Shared>, limits: Limits, gate: Option<&Gate>) {
    let mut numbers = 0;
    loop {
        let accepted = socket.accept();
        if shared.lock().closed {
            break;
        }
        let Ok((stream, address)) = accepted else {
            // out of file descriptors, most likely: trying again at once would take a whole core
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        numbers += 1;
        let id = numbers;
        let Ok(kept) = stream.try_clone() else { continue };
        let open = {
            let mut state = shared.lock();
            let free = state.connections.len() < limits.connections;
            free.then(|| state.connections.insert(id, kept)).is_some()
        };
        if !open {
            let busy = Reply::plain(503, "Too many connections.").bytes(false);
            let _ = stream.set_nonblocking(true);
            let _ = (&stream).write(&busy); // it fits what a fresh connection holds, or they learn nothing
            continue;
        }
        let (sharing, gate) = (Arc::clone(shared), gate.cloned());
        let thread = std::thread::Builder::new().name("http connection".into());
        let served = thread.spawn(move || {
            converse(&stream, (id, address), &sharing, limits, gate.as_ref());
            sharing.lock().connections.remove(&id);
            let _ = stream.shutdown(Shutdown::Both);
        });
        if served.is_err() {
            shared.lock().connections.remove(&id);
        }
    }
}

/// A stream that is given up at some time.
struct Timed<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(into)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn timed(stream: &TcpStream, limit: Duration) -> Timed<'_> {
    Timed { stream, until: Instant::now() + limit }
}

/// Reads a request, has it answered and sends the answer.
fn converse(
    stream: &TcpStream,
    (id, address): (u64, SocketAddr),
    shared: &Shared,
    limits: Limits,
    gate: Option<&Gate>,
) {
    let _ = stream.set_nodelay(true); // at worst it is slow
    let go_on = || timed(stream, WRITE_LIMIT).write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    let gate = |head: Head<'_>| gate.map_or(Ok(()), |gate| gate(head));
    let asked = match wire::read(&mut timed(stream, limits.arrival), limits.body, gate, go_on) {
        Ok(asked) => asked,
        Err(Problem::Gone) => return,
        Err(Problem::Refused(status)) => {
            let refusal = Reply::plain(status, why(status)).bytes(false);
            if timed(stream, WRITE_LIMIT).write_all(&refusal).is_ok() {
                linger(stream);
            }
            return;
        }
    };
    let head_only = asked.method == "HEAD";
    let (reply, answer) = channel();
    {
        let mut state = shared.lock();
        if state.closed {
            return;
        }
        state.answering += 1;
        state.news.push(News::Asked(Incoming { id, asked, address, reply }));
    }
    shared.arrived.notify_all();
    if let Some(reply) = wait(stream, &answer) {
        let _ = timed(stream, WRITE_LIMIT).write_all(&reply.bytes(head_only)); // nobody else to tell
    } else {
        shared.lock().gone(id);
    }
    shared.lock().answering -= 1;
    shared.answered.notify_all();
}

/// What a refusal says beside its status.
fn why(status: u16) -> &'static str {
    match status {
        401 => "The token is missing or is another.",
        404 => "Nothing is here.",
        405 => "Not with this method.",
        413 => "The request is too large.",
        429 => "Too many requests.",
        _ => "The request cannot be read.",
    }
}

/// Waits for the answer; `None` when the other side has gone.
fn wait(stream: &TcpStream, answer: &Receiver<Reply>) -> Option<Reply> {
    let limit = Instant::now() + ANSWER_LIMIT;
    loop {
        match answer.recv_timeout(LOOK_INTERVAL) {
            Ok(reply) => return Some(reply),
            Err(RecvTimeoutError::Disconnected) => return Some(Reply::plain(503, "Service unavailable.")),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= limit => return None,
            Err(RecvTimeoutError::Timeout) if !is_there(stream) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Whether the other side has not closed the connection.
fn is_there(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    let seen = stream.peek(&mut [0]);
    let blocking = stream.set_nonblocking(false);
    let there = match seen {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    there && blocking.is_ok()
}

/// Reads on for a moment: an end while bytes are on their way would take the answer with it.
fn linger(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let mut stream = timed(stream, LINGER);
    let mut some = [0; 16 << 10];
    while matches!(stream.read(&mut some), Ok(count) if count > 0) {}
}
