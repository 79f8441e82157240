//! Who and what is in the game: players, from the moment they ask to connect, and entities.

mod connect;
mod entities;
mod inbox;
mod life;
mod models;
mod players;

use std::cell::RefCell;

pub use connect::Connection;
pub(crate) use connect::HostFunction;
pub(crate) use entities::{Body, Entities, Entity, Ped, Vehicle};
pub use inbox::ClientEvent;
pub(crate) use models::kind;
pub(crate) use players::{Player, Players};
pub use players::{PlayerSpec, PlayerView};

use connect::Connecting;
use life::News;

use crate::msgpack::Packed;

/// The state of the game world.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) players: RefCell<Players>,
    /// Whoever waits for `playerConnecting` to let them in, and how it ended for those before.
    connections: RefCell<Connecting>,
    pub(crate) entities: RefCell<Entities>,
    news: RefCell<Vec<News>>,
}

impl World {
    /// Sends an event to the client of a player, or to all with -1.
    pub(crate) fn send(&self, event: &str, target: i64, packed: &Packed) {
        let mut players = self.players.borrow_mut();
        let sent = || ClientEvent {
            name: event.into(),
            payload: packed.bytes.as_slice().into(),
            count: packed.count,
        };
        match u32::try_from(target) {
            Ok(source) => {
                if let Some(player) = players.get_mut(source) {
                    player.inbox.push(sent());
                }
            }
            Err(_) => {
                let mut event = None;
                for player in players.in_game_mut() {
                    player.inbox.push(event.get_or_insert_with(sent).clone());
                }
            }
        }
    }
}
