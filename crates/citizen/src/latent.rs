//! Events that take their time: `TriggerLatentClientEvent`, and its counterpart on clients.
//!
//! A payload of so many bytes at so many bytes a second arrives that much later, whole. Several travel side by side.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tickscope_core::Recorder;

use crate::events::Source;
use crate::host::Host;
use crate::msgpack::Packed;
use crate::references::Parcel;

/// Who gets an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Client(u32),
    /// The server, from this client.
    Server(u32),
}

#[derive(Debug)]
struct Travelling {
    to: To,
    event: Rc<str>,
    packed: Rc<Packed>,
}

/// The events on their way, by when they arrive and in which order they were sent.
#[derive(Debug, Default)]
pub(crate) struct Latent {
    sent: Cell<u64>,
    travelling: RefCell<BTreeMap<(u64, u64), Travelling>>,
}

impl Latent {
    fn push(&self, due_ms: u64, to: To, event: &Rc<str>, packed: &Rc<Packed>) {
        self.sent.set(self.sent.get() + 1);
        let travelling = Travelling { to, event: Rc::clone(event), packed: Rc::clone(packed) };
        self.travelling.borrow_mut().insert((due_ms, self.sent.get()), travelling);
    }

    fn pop(&self, now_ms: u64) -> Option<Travelling> {
        let mut travelling = self.travelling.borrow_mut();
        let first = travelling.first_entry()?;
        (first.key().0 <= now_ms).then(|| first.remove())
    }
}

/// How long so many bytes take at `rate` bytes a second; a rate that is none asks for the next tick.
fn travel_ms(len: usize, rate: f64) -> u64 {
    if rate > 0.0 { (len as f64 * 1000.0 / rate).ceil() as u64 } else { 0 }
}

impl<R: Recorder + 'static> Host<R> {
    /// Sends an event to the client of a player, or with -1 to all that are there now.
    pub(crate) fn send_latent(&self, event: &str, target: i64, rate: f64, packed: &Packed) {
        let due = self.clock.millis().saturating_add(travel_ms(packed.bytes.len(), rate));
        let (event, packed) = (Rc::from(event), Rc::new(packed.clone()));
        let players = self.world.players.borrow();
        match u32::try_from(target) {
            Ok(player) => self.latent.push(due, To::Client(player), &event, &packed),
            Err(_) => {
                for player in players.in_game() {
                    self.latent.push(due, To::Client(player.source), &event, &packed);
                }
            }
        }
    }

    /// A player's client sends an event to the server.
    pub(crate) fn receive_latent(&self, player: u32, event: &str, rate: f64, packed: Packed) {
        let due = self.clock.millis().saturating_add(travel_ms(packed.bytes.len(), rate));
        self.latent.push(due, To::Server(player), &Rc::from(event), &Rc::new(packed));
    }

    /// Hands over what has arrived. Whoever left meanwhile gets nothing, and says nothing more.
    pub(crate) fn deliver_latent(self: &Rc<Self>, now_ms: u64) {
        while let Some(Travelling { to, event, packed }) = self.latent.pop(now_ms) {
            match to {
                To::Client(player) => self.world.send(&event, player.into(), &packed),
                To::Server(player) if self.world.players.borrow().get(player).is_none() => {}
                To::Server(player) => {
                    let packed = Rc::try_unwrap(packed).unwrap_or_else(|packed| (*packed).clone());
                    let parcel = Parcel::new(packed, Vec::new(), &self.references);
                    self.trigger(&event, &parcel, Source::Client(player));
                }
            }
            if self.ending.is_set() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::travel_ms;

    #[test]
    fn time_is_length_by_rate() {
        assert_eq!(travel_ms(50_000, 25_000.0), 2_000);
        assert_eq!(travel_ms(1, 1e9), 1);
        for rate in [0.0, -1.0, f64::NAN] {
            assert_eq!(travel_ms(50_000, rate), 0, "{rate}");
        }
        assert_eq!(travel_ms(50_000, f64::MIN_POSITIVE), u64::MAX);
    }
}
