//! What only the part of a scenario in Lua may call: the clients of players, and its own account.

use mlua::{IntoLuaMulti, MultiValue, Value};
use tickscope_core::Recorder;

use super::NAME;
use crate::events::Source;
use crate::host::{Calls, nothing, one};
use crate::msgpack::{self, Packed};
use crate::natives::Definer;
use crate::report::{ErrorKind, ScriptError};
use crate::world::{Connection, PlayerSpec};

/// The event that the chat of a client sends for what is typed, and the colour of the name with it.
const CHAT_EVENT: &str = "_chat:messageEntered";
const CHAT_COLOUR: [i64; 3] = [255, 255, 255];

pub(crate) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    connections(define)?;
    clients(define)?;
    account(define)
}

/// `state, source or ticket or reason, message` of a connection.
fn told(lua: &mlua::Lua, connection: Option<Connection>) -> mlua::Result<MultiValue> {
    let text = |text: &str| lua.create_string(text).map(Value::String);
    let values = match connection {
        Some(Connection::Joined { source }) => vec![text("joined")?, Value::Integer(source.into())],
        Some(Connection::Waiting { ticket, message }) => {
            vec![text("waiting")?, Value::Integer(ticket.into()), text(&message)?]
        }
        Some(Connection::Refused { reason }) => vec![text("refused")?, text(&reason)?],
        None => vec![text("refused")?, text("the connection was given up")?],
    };
    Ok(MultiValue::from_vec(values))
}

fn connections<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.private("connect", Calls::Silent, |host, _, lua, args| {
        let number = host.world.players.borrow().asked() + 1;
        let mut player = PlayerSpec::new(args.text_or(0, &format!("Player {number}"))?);
        player.identifiers = args.table(1)?.sequence_values().collect::<mlua::Result<_>>()?;
        player.tokens = args.table(2)?.sequence_values().collect::<mlua::Result<_>>()?;
        if !args.get(3).is_nil() {
            player.endpoint = Some(args.text(3)?);
        }
        if !args.get(4).is_nil() {
            player.ping = args.integer(4)?.try_into().unwrap_or(0);
        }
        Ok(told(lua, Some(host.connect(player)))?)
    })?;
    define.private("connection", Calls::Silent, |host, _, lua, args| {
        let ticket = args.integer(0)?.try_into().unwrap_or(0);
        Ok(told(lua, host.connection(ticket))?)
    })?;
    define.private("give_up", Calls::Silent, |host, _, lua, args| {
        let ticket = args.integer(0)?.try_into().unwrap_or(0);
        one(lua, host.give_up(ticket))
    })?;
    define.private("card", Calls::Silent, |host, _, lua, args| {
        let ticket = args.integer(0)?.try_into().unwrap_or(0);
        match host.next_card(ticket) {
            Some((card, resource)) => Ok((card, resource).into_lua_multi(lua)?),
            None => nothing(),
        }
    })?;
    define.private("answer", Calls::Silent, |host, _, lua, args| {
        let ticket = args.integer(0)?.try_into().unwrap_or(0);
        one(lua, host.answer_card(ticket, &args.text(1)?, &args.text(2)?)?)
    })?;
    define.private("drop", Calls::Silent, |host, _, lua, args| {
        let source = args.integer(0)?.try_into().unwrap_or(0);
        one(lua, host.drop_player(source, &args.text(1)?, None))
    })?;
    define.private("set_ping", Calls::Silent, |host, _, _, args| {
        let (source, ping) = (args.integer(0)?.try_into().unwrap_or(0), args.integer(1)?);
        if let Some(player) = host.world.players.borrow_mut().get_mut(source) {
            player.ping = ping.clamp(0, i64::from(u32::MAX)) as u32;
        }
        nothing()
    })
}

fn clients<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.private("trigger", Calls::Silent, |host, resource, lua, args| {
        let (source, event) = (args.integer(0)?.try_into().unwrap_or(0), args.text(1)?);
        if host.world.players.borrow().get(source).is_none() {
            return one(lua, false);
        }
        let values: Vec<_> = args.values.into_iter().skip(2).collect();
        let parcel = host
            .make_parcel(resource, lua, &values)
            .map_err(|problem| format!("event {event}: {problem}"))?;
        one(lua, host.trigger(&event, &parcel, Source::Client(source)))
    })?;
    define.private("say", Calls::Silent, |host, resource, lua, args| {
        let (source, text) = (args.integer(0)?.try_into().unwrap_or(0), args.text(1)?);
        let name = match host.world.players.borrow().get(source) {
            Some(player) => player.name.clone(),
            None => return one(lua, false),
        };
        if !host.events.takes_net(CHAT_EVENT) {
            return one(lua, false);
        }
        let colour = lua.create_sequence_from(CHAT_COLOUR)?;
        let values = [
            Value::String(lua.create_string(name)?),
            Value::Table(colour),
            Value::String(lua.create_string(text)?),
        ];
        let parcel = host.make_parcel(resource, lua, &values)?;
        one(lua, host.trigger(CHAT_EVENT, &parcel, Source::Client(source)))
    })?;
    define.private("command", Calls::Silent, |host, _, lua, args| {
        let source = args.integer(0)?.try_into().unwrap_or(0);
        one(lua, host.execute_for(source, &args.text(1)?))
    })?;
    // what was sent to a client: name, payload, count, name, …; nil for one that is gone
    define.private("take", Calls::Silent, |host, _, lua, args| {
        let source = args.integer(0)?.try_into().unwrap_or(0);
        let events = match host.world.players.borrow_mut().get_mut(source) {
            Some(player) => player.inbox.take(),
            None => return nothing(),
        };
        let list = lua.create_table_with_capacity(events.len() * 3, 0)?;
        for event in events {
            list.raw_push(&*event.name)?;
            list.raw_push(lua.create_string(&event.payload)?)?;
            list.raw_push(event.count)?;
        }
        one(lua, list)
    })?;
    define.private("unpack", Calls::Silent, |host, resource, lua, args| {
        let Some(machine) = resource.machine() else { return nothing() };
        let packed = Packed { bytes: args.bytes(0)?, count: args.integer(1)?.try_into().unwrap_or(0) };
        let mut seen = Vec::new();
        let values = msgpack::unpack(lua, &machine.references, &packed, &mut seen);
        host.references.retain(&seen);
        Ok(values.map_err(|problem| problem.to_string())?)
    })
}

fn account<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.private("held", Calls::Silent, |host, _, _, _| {
        host.scenario.outcome.borrow_mut().held += 1;
        nothing()
    })?;
    define.private("failed", Calls::Silent, |host, resource, _, args| {
        host.scenario.outcome.borrow_mut().failed += 1;
        let (message, source) = (args.text(0)?, args.text(1)?);
        let file = resource.file_of(&source).to_owned();
        let line = if file.is_empty() { 0 } else { args.integer(2)?.try_into().unwrap_or(0) };
        let kind = ErrorKind::Expectation;
        let error = ScriptError::of_resource(NAME, &message);
        host.report(&ScriptError { kind, file, line, tick: host.tick.get(), ..error });
        nothing()
    })?;
    define.private("stories", Calls::Silent, |host, _, _, args| {
        let mut outcome = host.scenario.outcome.borrow_mut();
        outcome.unfinished = outcome.unfinished.saturating_add_signed(args.integer(0)?);
        nothing()
    })?;
    define.private("log", Calls::Silent, |host, _, _, args| {
        let text = args.text(0)?;
        host.console.borrow_mut().print(NAME, &text);
        nothing()
    })?;
    define.private("finish", Calls::Silent, |host, _, _, _| {
        host.scenario.finished.set(true);
        nothing()
    })?;
    define
        .private("began", Calls::Silent, |host, _, lua, _| one(lua, host.scenario.began.get().cast_signed()))
}
