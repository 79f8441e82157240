//! HTTP for scripts: their requests to other servers, and their handlers for what asks this one.
//!
//! Requests are made on other threads and answered on a later tick; see [`outside`](crate::outside). Handlers are reached
//! through a small server of our own, whose threads hand over whole requests and wait for whole answers: what the other
//! side does, or does not do, costs a tick nothing.

mod client;
mod handlers;
mod requests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::outside::Service;

pub(crate) use client::Ask;
pub(crate) use requests::Asker;

use client::Client;
use handlers::{Handler, Open, Running};
use tickscope_http::{Header, Listener};

/// Who makes the requests of scripts.
pub(crate) const CLIENTS: Service = Service { name: "http", threads: 8 };

/// HTTP as the server's thread has it.
pub(crate) struct HttpHost {
    client: Client,
    /// Scripts may make requests.
    allowed: bool,
    /// The number of the next request that is answered by an event.
    numbers: Cell<i64>,
    listen: Option<SocketAddr>,
    listener: RefCell<Option<Listener>>,
    /// It was tried and cannot listen, which was told.
    deaf: Cell<bool>,
    /// By resource.
    handlers: RefCell<HashMap<usize, Rc<Handler>>>,
    /// Requests that a handler has yet to answer, by number.
    open: RefCell<BTreeMap<u64, Open>>,
    /// Coroutines that wait and are part of a handler, by token.
    running: RefCell<HashMap<u64, Running>>,
    /// Requests that were not made because HTTP is turned off, by resource.
    refused: RefCell<BTreeMap<String, u64>>,
}

impl HttpHost {
    pub(crate) fn new(allowed: bool, listen: Option<SocketAddr>) -> Self {
        Self {
            client: Client::default(),
            allowed,
            numbers: Cell::new(0),
            listen,
            listener: RefCell::default(),
            deaf: Cell::new(false),
            handlers: RefCell::default(),
            open: RefCell::default(),
            running: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    /// Why no request leaves, if none does.
    fn refusal(&self) -> Option<&'static str> {
        if !self.allowed { Some("HTTP is turned off for this run") } else { client::ABSENT }
    }

    /// Requests that were refused, by resource, and how many.
    pub(crate) fn refused(&self) -> Vec<(String, u64)> {
        self.refused.borrow().iter().map(|(resource, count)| (resource.clone(), *count)).collect()
    }

    /// Where handlers are reached, once one is set.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.borrow().as_ref().map(Listener::address)
    }

    /// Whether somebody waits for a handler.
    pub(crate) fn is_asked(&self) -> bool {
        !self.open.borrow().is_empty() || self.listener.borrow().as_ref().is_some_and(Listener::has_news)
    }
}
