//! Who is let in, before anything of what they send is read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tickscope_collect::{MAX_POST, Rate, Token};
use tickscope_http::Head;

/// Where posts go.
const TARGET: &str = "/posts";
/// Posts a second; the resource makes one a tick at most, and ticks come at 20 Hz.
const POSTS: u32 = 50;
/// Requests without the token that are answered by saying so.
const STRANGERS: u32 = 10;

/// Knows the token, and counts whom it turns away.
#[derive(Debug)]
pub(super) struct Gate {
    token: Token,
    begin: Instant,
    /// Of posts, and of requests without the token.
    rates: Mutex<(Rate, Rate)>,
    strangers: AtomicU64,
    hurried: AtomicU64,
    others: AtomicU64,
}

impl Gate {
    pub(super) fn new(token: Token) -> Self {
        Self {
            token,
            begin: Instant::now(),
            rates: Mutex::new((Rate::new(POSTS), Rate::new(STRANGERS))),
            strangers: AtomicU64::new(0),
            hurried: AtomicU64::new(0),
            others: AtomicU64::new(0),
        }
    }

    pub(super) fn strangers(&self) -> u64 {
        self.strangers.load(Relaxed)
    }

    pub(super) fn hurried(&self) -> u64 {
        self.hurried.load(Relaxed)
    }

    pub(super) fn others(&self) -> u64 {
        self.others.load(Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.strangers() + self.hurried() + self.others()
    }

    /// Whether a request is a post of who knows the token; the status that refuses it else.
    pub(super) fn admit(&self, head: Head<'_>) -> Result<(), u16> {
        let now_ns = self.begin.elapsed().as_nanos().try_into().unwrap_or(u64::MAX);
        let known = self.token.admits(head.value("authorization"));
        let in_time = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            let rate = if known { &mut rates.0 } else { &mut rates.1 };
            rate.take(now_ns)
        };
        let length = head.value("content-length").and_then(|value| std::str::from_utf8(value).ok());
        let too_large =
            length.and_then(|value| value.parse::<u64>().ok()).is_some_and(|length| length > MAX_POST as u64);
        let (count, status) = match () {
            () if !in_time => (&self.hurried, 429),
            () if !known => (&self.strangers, 401),
            () if head.target != TARGET => (&self.others, 404),
            () if head.method != "POST" => (&self.others, 405),
            () if too_large => (&self.others, 413),
            () => return Ok(()),
        };
        count.fetch_add(1, Relaxed);
        Err(status)
    }
}
