//! Who takes what a plugin sends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tickscope_http::{Limits, Listener, News, Reply};

use crate::LIMIT;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Got {
    /// Path and query.
    pub target: String,
    headers: Vec<(String, Vec<u8>)>,
    /// What was sent.
    pub body: Vec<u8>,
}

impl Got {
    /// The header of that name, in whatever letters.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(&found.1).into_owned())
    }
}

/// An HTTP server on this machine that keeps what it is sent, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: String,
    got: Arc<Mutex<Vec<Got>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that answers each request so.
    ///
    /// # Panics
    /// When this machine has no port to listen on.
    pub fn start(status: u16, content_type: &'static str, body: &'static [u8]) -> Self {
        let kind = ("Content-Type".to_owned(), content_type.into());
        Self::answering(move |_| Reply { status, headers: vec![kind.clone()], body: body.to_vec() })
    }

    /// One that answers as the request is.
    ///
    /// # Panics
    /// When this machine has no port to listen on.
    pub fn answering(answer: impl Fn(&Got) -> Reply + Send + 'static) -> Self {
        let limits = Limits { connections: 16, body: 16 << 20, arrival: LIMIT };
        let listener =
            Listener::bind(([127, 0, 0, 1], 0).into(), limits, None).expect("this machine has a free port");
        let address = listener.address().to_string();
        let (got, over) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::<AtomicBool>::default());
        let (keep, end) = (Arc::clone(&got), Arc::clone(&over));
        let serve = move || {
            while !end.load(Ordering::Relaxed) {
                listener.wait(Duration::from_millis(20));
                for news in listener.take() {
                    let News::Asked(incoming) = news else { continue };
                    let asked = &incoming.asked;
                    let headers =
                        asked.headers.iter().map(|(name, value)| (name.to_string(), value.to_vec()));
                    let headers = headers.collect();
                    let got = Got { target: asked.target.clone(), headers, body: asked.body.clone() };
                    let reply = answer(&got);
                    keep.lock().unwrap_or_else(PoisonError::into_inner).push(got);
                    let _ = incoming.reply.send(reply);
                }
            }
        };
        let thread = Some(std::thread::spawn(serve));
        Self { address, got, over, thread }
    }

    /// Address and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All that came so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
