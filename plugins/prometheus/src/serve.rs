//! Who scrapes: one thread that answers, on a server that bounds what it is asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use tickscope_counts::Counts;
use tickscope_http::{Asked, Gate, Head, Limits, Listener, News, Reply};

use crate::exposition::{Format, write};

const LIMITS: Limits = Limits { connections: 16, body: 0, arrival: Duration::from_secs(5) };
/// From one look whether the recording is over to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Answers until it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    scrapes: AtomicU64,
    bytes: AtomicU64,
}

impl Server {
    /// Listens from now on.
    pub fn start(address: SocketAddr, counts: Arc<Mutex<Counts>>) -> io::Result<Self> {
        let reads_only = |head: Head<'_>| match head.method {
            "GET" | "HEAD" => Ok(()),
            _ => Err(405),
        };
        let gate: Gate = Arc::new(reads_only);
        let listener = Listener::bind(address, LIMITS, Some(gate))?;
        let address = listener.address();
        let shared = Arc::<Shared>::default();
        let sharing = Arc::clone(&shared);
        let answer = move || {
            while !sharing.over.load(Ordering::Relaxed) {
                listener.wait(LOOK_INTERVAL);
                for news in listener.take() {
                    if let News::Asked(incoming) = news {
                        let _ = incoming.reply.send(sharing.answer(&incoming.asked, &counts)); // they may have gone
                    }
                }
            }
        };
        let thread = Some(thread::Builder::new().name("prometheus".into()).spawn(answer)?);
        Ok(Self { address, shared, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scrapes, and bytes of their answers.
    pub fn answered(&self) -> (u64, u64) {
        (self.shared.scrapes.load(Ordering::Relaxed), self.shared.bytes.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn answer(&self, asked: &Asked, counts: &Mutex<Counts>) -> Reply {
        let (path, _) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        if path != "/metrics" {
            return Reply::plain(404, "The metrics are at /metrics.\n");
        }
        let head = Head { method: &asked.method, target: &asked.target, headers: &asked.headers };
        let accept = head.value("accept").map(String::from_utf8_lossy).unwrap_or_default();
        let format = Format::accepted(&accept);
        let body = write(&counts.lock().unwrap_or_else(PoisonError::into_inner), format).into_bytes();
        self.scrapes.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        let kind = ("Content-Type".to_owned(), format.content_type().into());
        Reply { status: 200, headers: vec![kind], body }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic of it was printed, and there is nothing else to do about it
        }
    }
}
