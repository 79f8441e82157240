//! How players come and go: `playerConnecting` with its deferrals, `playerJoining`, `playerDropped`.

use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Value};
use tickscope_core::{CategoryId, Recorder};

use super::PlayerSpec;
use crate::events::Source;
use crate::host::{Answer, Args, Host, error_text, nothing};
use crate::msgpack::{Message, Packed};
use crate::probe::Boundary;
use crate::raw::BuildError;
use crate::references::Parcel;
use crate::resource::Resource;

/// Results that nobody asked for yet.
const MAX_ENDED: usize = 4_096;

/// How far a player is that asked to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// A handler of `playerConnecting` makes the player wait (`deferrals.defer`). Ask again after a tick.
    Waiting {
        /// What to ask with, and the player's `source` meanwhile.
        ticket: u32,
        /// What the player sees, a line for each resource that defers: `resource: message`.
        message: String,
    },
    /// The player is in the game.
    Joined {
        /// What scripts call `source`.
        source: u32,
    },
    /// The server does not want the player.
    Refused {
        /// What the player sees.
        reason: String,
    },
}

/// Functions of the host that handlers of `playerConnecting` get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    SetKickReason,
    Defer,
    Update,
    PresentCard,
    Handover,
    Done,
}

/// A function of the host that travels in payloads: which, and for which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostFunction {
    ticket: u32,
    step: Step,
}

const STEPS: [(Step, &str); 6] = [
    (Step::SetKickReason, "setKickReason"),
    (Step::Defer, "defer"),
    (Step::Update, "update"),
    (Step::PresentCard, "presentCard"),
    (Step::Handover, "handover"),
    (Step::Done, "done"),
];

impl HostFunction {
    const PREFIX: &str = "citizen:connecting:";

    fn text(ticket: u32, name: &str) -> String {
        format!("{}{ticket}:{name}", Self::PREFIX)
    }

    /// The function a reference stands for, if it is one of the host's.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (ticket, name) = text.strip_prefix(Self::PREFIX)?.split_once(':')?;
        let (step, _) = STEPS.iter().find(|(_, known)| *known == name)?;
        Some(Self { ticket: ticket.parse().ok()?, step: *step })
    }
}

/// A card that the player is to fill in.
struct Card {
    text: String,
    /// The function that gets the answers, and what keeps it.
    answer: Option<(String, Parcel)>,
    /// The player has been shown it.
    shown: bool,
}

/// What one resource said about a connection.
struct Deferral {
    message: String,
    card: Option<Card>,
    done: bool,
    rejected: bool,
}

struct Pending {
    kick_reason: String,
    deferrals: BTreeMap<Rc<str>, Deferral>,
}

impl Pending {
    /// Whether it is decided, and how: as soon as one resource rejects, or when all are done.
    fn decision(&self) -> Option<Result<(), String>> {
        if let Some(rejecting) = self.deferrals.values().find(|deferral| deferral.rejected) {
            return Some(Err(rejecting.message.clone()));
        }
        self.deferrals.values().all(|deferral| deferral.done).then_some(Ok(()))
    }

    fn message(&self) -> String {
        let waiting = self.deferrals.iter().filter(|(_, deferral)| !deferral.done);
        waiting.map(|(name, deferral)| format!("{name}: {}\n", deferral.message)).collect()
    }
}

/// The connections that are not decided, and the results of those that were.
#[derive(Default)]
pub(super) struct Connecting {
    pending: BTreeMap<u32, Pending>,
    ended: BTreeMap<u32, Connection>,
}

impl<R: Recorder + 'static> Host<R> {
    /// Triggers `playerConnecting`; lets the player in at once when no handler cancels the event or defers.
    pub(crate) fn connect(self: &Rc<Self>, spec: PlayerSpec) -> Connection {
        let name = spec.name.clone();
        let ticket = self.world.players.borrow_mut().add(spec);
        let pending =
            Pending { kick_reason: "Resource prevented connection.".into(), deferrals: BTreeMap::new() };
        self.world.connections.borrow_mut().pending.insert(ticket, pending);

        let mut message = Message::default();
        message.text(&name).reference(&HostFunction::text(ticket, "setKickReason"));
        message.open_map(STEPS.len() - 1);
        for (_, name) in &STEPS[1..] {
            message.text(name).reference(&HostFunction::text(ticket, name));
        }
        let parcel = Parcel::new(message.finish(3), Vec::new(), &self.references);
        let allowed = self.trigger("playerConnecting", &parcel, Source::Player(ticket));
        if !allowed {
            let reason = self.world.connections.borrow_mut().pending.remove(&ticket);
            let reason = reason.map_or_else(String::new, |pending| pending.kick_reason);
            return self.refuse(ticket, reason);
        }
        self.settle(ticket)
    }

    /// How far the player with that ticket is. An end is told once.
    pub(crate) fn connection(&self, ticket: u32) -> Option<Connection> {
        let mut connections = self.world.connections.borrow_mut();
        if let Some(pending) = connections.pending.get(&ticket) {
            return Some(Connection::Waiting { ticket, message: pending.message() });
        }
        connections.ended.remove(&ticket)
    }

    /// Lets in, or sends away, those whose deferrals are decided: called with each tick, when no script runs.
    pub(crate) fn settle_connections(self: &Rc<Self>) {
        let tickets: Vec<u32> = self.world.connections.borrow().pending.keys().copied().collect();
        for ticket in tickets {
            let ended = self.settle(ticket);
            if matches!(ended, Connection::Waiting { .. }) {
                continue;
            }
            let mut connections = self.world.connections.borrow_mut();
            connections.ended.insert(ticket, ended);
            if connections.ended.len() > MAX_ENDED {
                connections.ended.pop_first();
            }
        }
    }

    fn settle(self: &Rc<Self>, ticket: u32) -> Connection {
        let decision = {
            let mut connections = self.world.connections.borrow_mut();
            let pending = connections.pending.get(&ticket);
            let decision = pending.map_or(Some(Ok(())), Pending::decision);
            if decision.is_some() {
                connections.pending.remove(&ticket);
            }
            decision
        };
        match decision {
            None => self.connection(ticket).unwrap_or(Connection::Refused { reason: String::new() }),
            Some(Ok(())) => self.join(ticket),
            Some(Err(reason)) => self.refuse(ticket, reason),
        }
    }

    fn join(self: &Rc<Self>, ticket: u32) -> Connection {
        let Some(source) = self.world.players.borrow_mut().join(ticket) else {
            return Connection::Refused { reason: "The player is gone.".into() };
        };
        let position = self.world.players.borrow().get(source).map_or([0.0; 3], |player| player.position);
        let ped = self.create_player_ped(source, position);
        if let Some(player) = self.world.players.borrow_mut().get_mut(source) {
            player.ped = ped;
            player.joined_ms = self.clock.millis();
        }
        let mut message = Message::default();
        message.text(&ticket.to_string());
        let parcel = Parcel::new(message.finish(1), Vec::new(), &self.references);
        self.trigger("playerJoining", &parcel, Source::Player(source));
        Connection::Joined { source }
    }

    fn refuse(&self, ticket: u32, reason: String) -> Connection {
        self.world.players.borrow_mut().remove(ticket);
        Connection::Refused { reason }
    }

    /// Whoever asked to connect has gone away before it was decided; `false` when nobody waits with that ticket.
    pub(crate) fn give_up(&self, ticket: u32) -> bool {
        let pending = self.world.connections.borrow_mut().pending.remove(&ticket);
        if pending.is_some() {
            self.world.players.borrow_mut().remove(ticket);
        }
        pending.is_some()
    }

    /// A card that the player with that ticket has not been shown yet, as JSON, and the resource it is from.
    pub(crate) fn next_card(&self, ticket: u32) -> Option<(String, String)> {
        let mut connections = self.world.connections.borrow_mut();
        let deferrals = &mut connections.pending.get_mut(&ticket)?.deferrals;
        deferrals.iter_mut().filter(|(_, deferral)| !deferral.done).find_map(|(name, deferral)| {
            let card = deferral.card.as_mut().filter(|card| !card.shown)?;
            card.shown = true;
            Some((card.text.clone(), name.to_string()))
        })
    }

    /// What the player filled into the card of `resource`, as JSON, goes to the function that came with it. `false`
    /// when there is no such card, or it came without a function.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub(crate) fn answer_card(
        self: &Rc<Self>,
        ticket: u32,
        resource: &str,
        answers: &str,
    ) -> Result<bool, String> {
        let reference = {
            let connections = self.world.connections.borrow();
            let deferral = connections.pending.get(&ticket).and_then(|of| of.deferrals.get(resource));
            let card = deferral.filter(|deferral| !deferral.done).and_then(|deferral| deferral.card.as_ref());
            card.and_then(|card| card.answer.as_ref()).map(|(reference, _)| reference.clone())
        };
        let found = reference.and_then(|reference| self.references.get(&reference));
        let Some((target, function, symbol)) = found else { return Ok(false) };
        let Some(machine) = target.machine() else { return Ok(false) };
        let data = crate::json::decode(&machine.lua, &machine.references, answers.as_bytes()).map_err(
            |problem| match problem {
                BuildError::Input { offset, problem } => format!("{problem} at byte {}", offset + 1),
                BuildError::Lua(error) => error_text(&error),
            },
        )?;
        let text = machine.lua.create_string(answers).map_err(|error| error_text(&error))?;
        let arguments = MultiValue::from_vec(vec![data, Value::String(text)]);
        let boundary = Boundary { symbol, category: CategoryId::EVENT };
        let ended = self.start(&target, function, arguments, boundary, None);
        self.tell(ended);
        Ok(true)
    }

    /// Takes a player out of the game; `false` when there is none of that number, or it is leaving already. `by` is the
    /// resource that wants it, or nothing when the player leaves by itself.
    pub(crate) fn drop_player(self: &Rc<Self>, source: u32, reason: &str, by: Option<&str>) -> bool {
        {
            let mut players = self.world.players.borrow_mut();
            match players.get_mut(source) {
                Some(player) if player.is_in_game() && !player.leaving => player.leaving = true,
                _ => return false,
            }
        }
        // the numbers are those of the drop reasons: 1 a resource, 2 the client itself
        let (by, why) = by.map_or(("client", 2), |name| (name, 1));
        let mut message = Message::default();
        message.text(reason).text(by).integer(why);
        let parcel = Parcel::new(message.finish(3), Vec::new(), &self.references);
        self.trigger("playerDropped", &parcel, Source::Player(source));
        let player = self.world.players.borrow_mut().remove(source);
        self.forget_player(source, player.map_or(0, |player| player.ped));
        self.state_bags.remove(&format!("player:{source}"));
        true
    }

    /// The call of a function that a handler of `playerConnecting` got.
    pub(crate) fn call_host_function(
        &self,
        function: HostFunction,
        caller: &Rc<Resource>,
        lua: &Lua,
        args: &Args,
    ) -> Answer {
        let mut connections = self.world.connections.borrow_mut();
        // once it is decided, these do nothing
        let Some(pending) = connections.pending.get_mut(&function.ticket) else { return nothing() };
        if pending.decision().is_some_and(|_| !pending.deferrals.is_empty()) {
            return nothing();
        }
        let text = match (function.step, args.get(0)) {
            (Step::Defer | Step::Handover, _) => String::new(),
            (Step::PresentCard, Value::Table(_)) => {
                let card = crate::json::encode(lua, args.get(0), Default::default())
                    .map_err(|problem| format!("deferrals.presentCard: {problem}"))?;
                String::from_utf8_lossy(&card).into_owned()
            }
            (_, Value::Nil) => String::new(),
            _ => args.text(0)?,
        };
        if function.step == Step::SetKickReason {
            pending.kick_reason = text;
            return nothing();
        }
        if function.step == Step::Handover {
            return nothing(); // what is handed to the client, which is not here
        }
        let deferral = pending.deferrals.entry(Rc::clone(&caller.name)).or_insert_with(|| Deferral {
            message: "Deferring connection...".into(),
            card: None,
            done: false,
            rejected: false,
        });
        match function.step {
            Step::Update => {
                deferral.message = text;
                deferral.card = None;
            }
            Step::PresentCard => {
                let answer = args.callable(lua, 1).ok().map(|answer| {
                    let (number, reference) = self.refer(caller, &answer);
                    (reference, Parcel::new(Packed::default(), vec![number], &self.references))
                });
                deferral.message.clone_from(&text);
                deferral.card = Some(Card { text, answer, shown: false });
            }
            Step::Done => {
                deferral.done = true;
                if !args.get(0).is_nil() {
                    deferral.message = text;
                    deferral.rejected = true;
                }
            }
            Step::SetKickReason | Step::Defer | Step::Handover => {}
        }
        nothing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_host_are_told_from_others() {
        let done = HostFunction { ticket: 65_537, step: Step::Done };
        assert_eq!(HostFunction::parse(&HostFunction::text(65_537, "done")), Some(done));
        for other in ["a:0:1", "citizen:connecting:1:x", "citizen:connecting:x:done", "citizen:connecting:1"]
        {
            assert_eq!(HostFunction::parse(other), None, "{other}");
        }
    }
}
