//! A small HTTP/1.1 server: whole requests in, whole answers out, everything bounded.
//!
//! ```
//! use std::io::{Read, Write};
//! use tickscope_http::{Limits, Listener, News, Reply};
//!
//! let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Limits::default(), None)?;
//! let mut client = std::net::TcpStream::connect(listener.address())?;
//! client.write_all(b"GET /hello HTTP/1.1\r\n\r\n")?;
//! while !listener.wait(std::time::Duration::from_secs(10)) {}
//! for news in listener.take() {
//!     if let News::Asked(incoming) = news {
//!         let answer = Reply::plain(200, &incoming.asked.target);
//!         incoming.reply.send(answer).expect("they wait for it");
//!     }
//! }
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert!(answer.ends_with("/hello"));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Guarantees
//! What the other side does, or does not do, costs the program's thread nothing: connections have threads, and each of them
//! ends. Any bytes are a request or are refused; nothing panics.
//!
//! # Deliberately absent
//! TLS, HTTP/2, connections that are kept, answers in pieces.
#![forbid(unsafe_code)]

mod listener;
pub mod wire;

pub use listener::{Gate, Incoming, Limits, Listener, News};
pub use wire::{Asked, Head, Header, Problem, Reply};
