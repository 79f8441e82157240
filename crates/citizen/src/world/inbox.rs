//! What was sent to a player's client, for whoever plays that client.

use std::collections::VecDeque;
use std::rc::Rc;

/// Events a client may leave lying.
const MAX_EVENTS: usize = 4_096;
/// Bytes of payload it may leave lying.
const MAX_BYTES: usize = 16 << 20;

/// An event that a script sent to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientEvent {
    /// Its name.
    pub name: Rc<str>,
    /// The arguments in MessagePack, one behind the other.
    pub payload: Rc<[u8]>,
    /// How many arguments there are.
    pub count: usize,
}

/// The events a client has not looked at. The oldest go when there are too many.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    events: VecDeque<ClientEvent>,
    bytes: usize,
    received: u64,
}

impl Inbox {
    pub(crate) fn push(&mut self, event: ClientEvent) {
        self.received += 1;
        self.bytes += event.payload.len();
        self.events.push_back(event);
        while self.events.len() > MAX_EVENTS || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            if let Some(oldest) = self.events.pop_front() {
                self.bytes -= oldest.payload.len();
            }
        }
    }

    pub(crate) fn take(&mut self) -> Vec<ClientEvent> {
        self.bytes = 0;
        self.events.drain(..).collect()
    }

    /// How many events ever came.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_events_go_first() {
        let mut inbox = Inbox::default();
        for number in 0..MAX_EVENTS + 2 {
            inbox.push(ClientEvent { name: number.to_string().into(), payload: [0; 8].into(), count: 1 });
        }
        assert_eq!(inbox.received(), MAX_EVENTS as u64 + 2);
        let events = inbox.take();
        assert_eq!((events.len(), &*events[0].name), (MAX_EVENTS, "2"));
        for _ in 0..5 {
            inbox.push(ClientEvent { name: "big".into(), payload: vec![0; MAX_BYTES / 2].into(), count: 1 });
        }
        assert_eq!(inbox.take().len(), 2);
    }
}
