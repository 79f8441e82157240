//! Posts to an HTTP endpoint from a thread of its own: a bounded queue, retries with back-off, and nobody waits.
//!
//! ```
//! use std::time::Duration;
//! use tickscope_push::{Header, Post, Pusher, Settings, Target};
//!
//! let collector = Target::new("http://127.0.0.1:9")?; // nobody listens there
//! let pusher = Pusher::start(Settings::default())?;
//! pusher.post(Post {
//!     to: collector.join("/v1/traces")?,
//!     headers: vec![Header::new("Content-Type", "application/json")?],
//!     body: b"{}".to_vec(),
//! });
//! // The program goes on, and at its end:
//! let report = pusher.finish(Duration::from_millis(100));
//! assert_eq!((report.sent, report.lost), (0, 1));
//! println!("{:?}", report.error); // cannot reach http://127.0.0.1:9: Connection refused
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! [`Pusher::post`] never waits, for the network neither. Memory is bounded by [`Settings::queue_posts`] and
//! [`Settings::queue_bytes`]. Every post is sent, lost or waiting, and counted so. [`Pusher::finish`] comes back within its
//! time: a request that hangs is left behind.
//!
//! Tried again are connections that fail, requests that take too long, and answers 429, 502, 503 and 504, after as long as
//! `Retry-After` says or with exponential back-off and jitter; posts behind it wait meanwhile, for it is the receiver that has
//! trouble. What goes to another receiver, or to another path, does not wait for that one where it has a lane of its own: [`Lanes`].
//! So a post may arrive twice, where the answer was lost. No text of this crate has more of an address in it than
//! scheme, host and port, nor a header's value: they are often passwords.
//!
//! # Refuses
//! Answers of all other statuses: the post is lost. Redirects are such, for a post and what authorizes it should go where the
//! user said. Addresses without `http://` or `https://`.
//!
//! # Deliberately absent
//! Several requests at a time, a queue on disk, methods other than POST, certificate authorities beside Mozilla's. Proxies are
//! those of the environment (`HTTPS_PROXY` and so on), and none to this machine itself.
#![forbid(unsafe_code)]

mod attempt;
mod error;
mod lanes;
mod limit;
mod pusher;
mod target;

pub use attempt::Answer;
pub use error::Error;
pub use lanes::{Lanes, News};
pub use limit::Limit;
pub use pusher::{Pusher, Report, Settings};
pub use target::{Header, Post, Target, headers, secret};
