//! Who and what is in the game: players, from the moment they ask to connect.

mod connect;
mod inbox;
mod players;

use std::cell::{Cell, RefCell};

pub use connect::Connection;
pub(crate) use connect::HostFunction;
pub use inbox::ClientEvent;
pub(crate) use players::{Player, Players};
pub use players::{PlayerSpec, PlayerView};

use connect::Connecting;

use crate::msgpack::Packed;

/// Handles that scripts get for entities: the network id above this.
const FIRST_HANDLE: u32 = 0x2_0000;

/// The state of the game world.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) players: RefCell<Players>,
    /// Whoever waits for `playerConnecting` to let them in, and how it ended for those before.
    connections: RefCell<Connecting>,
    last_network_id: Cell<u32>,
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

    /// The handle of a new entity.
    fn new_handle(&self) -> u32 {
        self.last_network_id.set(self.last_network_id.get() + 1);
        FIRST_HANDLE + self.last_network_id.get()
    }
}
