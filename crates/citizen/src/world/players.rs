//! Players: who they are and how they are connected.

use std::collections::BTreeMap;

use super::entities::Entities;
use super::inbox::Inbox;

/// Numbers of players that are still connecting begin above this; those of players in the game are below.
pub(super) const FIRST_TEMPORARY: u32 = 0x1_0000;

/// Whoever wants to connect. What is left out gets a value made of the player's number, the same in each run.
///
/// ```
/// use tickscope_citizen::PlayerSpec;
///
/// let spec = PlayerSpec::new("Ada").identifier("license:1111").ping(40);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlayerSpec {
    /// What others see.
    pub name: String,
    /// `type:value`, such as `license:…`, `steam:…`, `discord:…`, `fivem:…`, `ip:…`. When none is given: one of each.
    pub identifiers: Vec<String>,
    /// Hardware tokens.
    pub tokens: Vec<String>,
    /// The address, `ip:port`; without one, `127.0.0.1`.
    pub endpoint: Option<String>,
    /// Round-trip time in milliseconds.
    pub ping: u32,
    /// Where the player's ped is at first.
    pub position: [f32; 3],
}

impl PlayerSpec {
    /// A player called `name`, with a ping of 30 ms.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            identifiers: Vec::new(),
            tokens: Vec::new(),
            endpoint: None,
            ping: 30,
            position: [0.0; 3],
        }
    }

    /// Adds an identifier, `type:value`.
    #[must_use]
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifiers.push(identifier.into());
        self
    }

    /// Sets where the player's ped is at first.
    #[must_use]
    pub fn at(mut self, position: [f32; 3]) -> Self {
        self.position = position;
        self
    }

    /// Sets the ping, in milliseconds.
    #[must_use]
    pub fn ping(mut self, ping: u32) -> Self {
        self.ping = ping;
        self
    }
}

/// A player that is connected or about to be.
#[derive(Debug)]
pub(crate) struct Player {
    /// What scripts call `source`.
    pub(crate) source: u32,
    pub(crate) name: String,
    pub(crate) identifiers: Vec<String>,
    pub(crate) tokens: Vec<String>,
    pub(crate) endpoint: String,
    pub(crate) ping: u32,
    /// The entity; 0 while it is not there.
    pub(crate) ped: u32,
    pub(crate) bucket: u32,
    /// Where the ped is to be.
    pub(crate) position: [f32; 3],
    pub(crate) invincible: bool,
    pub(crate) wanted_level: i32,
    /// When the player joined, by the server's clock.
    pub(crate) joined_ms: u64,
    /// `playerDropped` is being triggered.
    pub(crate) leaving: bool,
    /// Nobody hears the player.
    pub(crate) is_muted: bool,
    pub(crate) inbox: Inbox,
}

impl Player {
    pub(crate) fn new(source: u32, serial: u64, spec: PlayerSpec) -> Self {
        let mut made = Made(serial);
        let endpoint = spec.endpoint.unwrap_or_else(|| "127.0.0.1".into());
        let identifiers = match spec.identifiers.is_empty() {
            false => spec.identifiers,
            true => vec![
                format!("steam:{}", made.hex(15)),
                format!("license:{}", made.hex(40)),
                format!("license2:{}", made.hex(40)),
                format!("discord:{}", made.digits(18)),
                format!("fivem:{}", made.digits(7)),
                format!("ip:{}", endpoint.split(':').next().unwrap_or_default()),
            ],
        };
        let tokens = match spec.tokens.is_empty() {
            false => spec.tokens,
            true => (2..5).map(|kind| format!("{kind}:{}", made.hex(64))).collect(),
        };
        Self {
            source,
            name: spec.name,
            identifiers,
            tokens,
            endpoint,
            ping: spec.ping,
            ped: 0,
            bucket: 0,
            position: spec.position,
            invincible: false,
            wanted_level: 0,
            joined_ms: 0,
            leaving: false,
            is_muted: false,
            inbox: Inbox::default(),
        }
    }

    /// Whether `playerJoining` has been.
    pub(crate) fn is_in_game(&self) -> bool {
        self.source <= FIRST_TEMPORARY
    }

    /// The identifier of a type, with the type in front.
    pub(crate) fn identifier(&self, kind: &str) -> Option<&str> {
        let of_kind = |text: &&String| text.split_once(':').is_some_and(|(type_, _)| type_ == kind);
        self.identifiers.iter().find(of_kind).map(String::as_str)
    }

    /// What a player is told from others by, as older scripts ask for it: a number that does not change.
    pub(crate) fn guid(&self) -> String {
        let guid = self
            .identifiers
            .iter()
            .flat_map(|text| text.bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        guid.to_string()
    }

    pub(crate) fn view(&self, entities: &Entities) -> PlayerView {
        PlayerView {
            source: self.source,
            name: self.name.clone(),
            identifiers: self.identifiers.clone(),
            endpoint: self.endpoint.clone(),
            ping: self.ping,
            ped: self.ped,
            position: entities.get(self.ped).map_or([0.0; 3], |ped| entities.position(ped)),
            routing_bucket: self.bucket,
            events_received: self.inbox.received(),
        }
    }
}

/// A player in the game, as it was when asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlayerView {
    /// What scripts call `source`.
    pub source: u32,
    /// What others see.
    pub name: String,
    /// `type:value`.
    pub identifiers: Vec<String>,
    /// The address.
    pub endpoint: String,
    /// Round-trip time in milliseconds.
    pub ping: u32,
    /// The handle of the player's ped.
    pub ped: u32,
    /// Where that is.
    pub position: [f32; 3],
    /// The routing bucket the player is in.
    pub routing_bucket: u32,
    /// How many events were sent to the player's client.
    pub events_received: u64,
}

/// All players by number, so that lists always come in the order they joined.
#[derive(Debug, Default)]
pub(crate) struct Players {
    by_source: BTreeMap<u32, Player>,
    last_source: u32,
    last_temporary: u32,
    /// How many ever asked to connect.
    serial: u64,
}

impl Players {
    pub(crate) fn get(&self, source: u32) -> Option<&Player> {
        self.by_source.get(&source)
    }

    pub(crate) fn get_mut(&mut self, source: u32) -> Option<&mut Player> {
        self.by_source.get_mut(&source)
    }

    /// How many ever asked to connect.
    pub(crate) fn asked(&self) -> u64 {
        self.serial
    }

    /// Those in the game.
    pub(crate) fn in_game(&self) -> impl Iterator<Item = &Player> {
        self.by_source.range(..FIRST_TEMPORARY).map(|(_, player)| player)
    }

    pub(crate) fn in_game_mut(&mut self) -> impl Iterator<Item = &mut Player> {
        self.by_source.range_mut(..FIRST_TEMPORARY).map(|(_, player)| player)
    }

    /// Takes in whoever connects, under a temporary number.
    pub(crate) fn add(&mut self, spec: PlayerSpec) -> u32 {
        self.serial += 1;
        self.last_temporary += 1;
        let source = FIRST_TEMPORARY + self.last_temporary;
        self.by_source.insert(source, Player::new(source, self.serial, spec));
        source
    }

    /// Gives a player that was let in a number of the game. Numbers are not used again before all were used.
    pub(crate) fn join(&mut self, temporary: u32) -> Option<u32> {
        let mut player = self.by_source.remove(&temporary)?;
        loop {
            self.last_source = self.last_source % (FIRST_TEMPORARY - 2) + 1;
            if !self.by_source.contains_key(&self.last_source) {
                break;
            }
        }
        player.source = self.last_source;
        self.by_source.insert(self.last_source, player);
        Some(self.last_source)
    }

    pub(crate) fn remove(&mut self, source: u32) -> Option<Player> {
        self.by_source.remove(&source)
    }
}

/// Digits that look arbitrary and are always the same for a number (SplitMix64, Steele et al., OOPSLA 2014).
struct Made(u64);

impl Made {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn hex(&mut self, len: usize) -> String {
        (0..len).filter_map(|_| char::from_digit((self.next() % 16) as u32, 16)).collect()
    }

    /// Does not begin with 0.
    fn digits(&mut self, len: usize) -> String {
        let first = char::from_digit(1 + (self.next() % 9) as u32, 10);
        let rest = (1..len).filter_map(|_| char::from_digit((self.next() % 10) as u32, 10));
        first.into_iter().chain(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_up_and_are_not_used_again_at_once() {
        let mut players = Players::default();
        let join = |players: &mut Players| {
            let temporary = players.add(PlayerSpec::new("p"));
            players.join(temporary).unwrap()
        };
        assert_eq!([join(&mut players), join(&mut players)], [1, 2]);
        players.remove(1);
        assert_eq!(join(&mut players), 3);
        players.last_source = FIRST_TEMPORARY - 2;
        assert_eq!([join(&mut players), join(&mut players)], [1, 4], "2 and 3 are taken");
        assert_eq!(players.in_game().map(|player| player.source).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn who_says_nothing_of_himself_gets_the_same_identity_in_each_run() {
        let one = Player::new(1, 1, PlayerSpec::new("a"));
        assert_eq!(one.identifiers, Player::new(9, 1, PlayerSpec::new("b")).identifiers);
        assert_ne!(one.identifiers, Player::new(1, 2, PlayerSpec::new("a")).identifiers);
        assert!(one.identifier("license").is_some_and(|text| text.len() == "license:".len() + 40));
        assert_eq!(one.identifier("ip"), Some("ip:127.0.0.1"));
        assert_eq!(one.identifier("xbl"), None);
    }
}
