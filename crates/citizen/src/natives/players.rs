//! What scripts may ask of players, and do with them.

use mlua::{Lua, Value};
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Answer, Args, Calls, Host, Raise, one};
use crate::world::Player;

/// What `GetPlayerLastMsg` gives for nobody.
const NEVER: i64 = 0x7fff_ffff;

impl Args {
    /// A player's number, which scripts give as a number or as text. Text that is no number is nobody.
    pub(super) fn player(&self, index: usize) -> Result<u32, Raise> {
        match self.get(index) {
            Value::String(text) => Ok(text.to_string_lossy().trim().parse().unwrap_or(0)),
            _ => Ok(self.integer(index)?.try_into().unwrap_or(0)),
        }
    }
}

/// What `answer` says of the player in the first argument, or `nobody`.
fn of<R: Recorder + 'static>(
    host: &Host<R>,
    lua: &Lua,
    args: &Args,
    nobody: Value,
    answer: impl FnOnce(&Player) -> mlua::Result<Value>,
) -> Answer {
    let source = args.player(0)?;
    let players = host.world.players.borrow();
    match players.get(source) {
        Some(player) => one(lua, answer(player)?),
        None => one(lua, nobody),
    }
}

/// The text in a list at the place that the second argument tells, from 0.
fn nth(lua: &Lua, list: &[String], index: i64) -> mlua::Result<Value> {
    match usize::try_from(index).ok().and_then(|index| list.get(index)) {
        Some(text) => Ok(Value::String(lua.create_string(text)?)),
        None => Ok(Value::Nil),
    }
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetPlayers", Calls::Silent, |host, _, lua, _| {
        let list = lua.create_table()?;
        for player in host.world.players.borrow().in_game() {
            list.raw_push(player.source.to_string())?;
        }
        one(lua, list)
    })?;
    define.global("GetNumPlayerIndices", Calls::Silent, |host, _, lua, _| {
        one(lua, host.world.players.borrow().in_game().count())
    })?;
    define.global("GetPlayerFromIndex", Calls::Silent, |host, _, lua, args| {
        let index = usize::try_from(args.integer(0)?).ok();
        let players = host.world.players.borrow();
        let player = index.and_then(|index| players.in_game().nth(index));
        one(lua, player.map(|player| player.source.to_string()))
    })?;
    define.global("DoesPlayerExist", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Boolean(false), |_| Ok(Value::Boolean(true)))
    })?;
    define.global("GetPlayerName", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Nil, |player| Ok(Value::String(lua.create_string(&player.name)?)))
    })?;
    for name in ["GetPlayerEndpoint", "GetPlayerEP"] {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            of(host, lua, &args, Value::Nil, |player| Ok(Value::String(lua.create_string(&player.endpoint)?)))
        })?;
    }
    define.global("GetPlayerGuid", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Nil, |player| Ok(Value::String(lua.create_string(player.guid())?)))
    })?;
    define.global("GetPlayerPing", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Integer(0), |player| Ok(Value::Integer(player.ping.into())))
    })?;
    define.global("GetPlayerLastMsg", Calls::Silent, |host, _, lua, args| {
        // a virtual client has always just said something
        of(host, lua, &args, Value::Integer(NEVER), |_| Ok(Value::Integer(0)))
    })?;
    define.global("GetPlayerTimeOnline", Calls::Silent, |host, _, lua, args| {
        let now = host.clock.millis();
        of(host, lua, &args, Value::Integer(0), |player| {
            let seconds = now.saturating_sub(player.joined_ms) / 1000;
            Ok(Value::Integer(if player.is_in_game() { seconds.cast_signed() } else { 0 }))
        })
    })?;
    define.global("GetPlayerPed", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Integer(0), |player| Ok(Value::Integer(player.ped.into())))
    })?;
    for name in ["DropPlayer", "TempBanPlayer"] {
        define.global(name, Calls::Recorded, |host, resource, lua, args| {
            let (source, reason) = (args.player(0)?, args.text_or(1, "")?);
            one(lua, host.drop_player(source, &reason, Some(&resource.name)))
        })?;
    }
    define.global("GetHostId", Calls::Silent, |host, _, lua, _| {
        let players = host.world.players.borrow();
        let first = players.in_game().next().map(|player| player.source.to_string());
        one(lua, first)
    })?;
    identities(define)?;
    buckets(define)
}

fn identities<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetPlayerIdentifiers", Calls::Silent, |host, _, lua, args| {
        let none = Value::Table(lua.create_table()?);
        of(host, lua, &args, none, |player| {
            lua.create_sequence_from(player.identifiers.iter().map(String::as_str)).map(Value::Table)
        })
    })?;
    define.global("GetNumPlayerIdentifiers", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Integer(0), |player| Ok(Value::Integer(player.identifiers.len() as i64)))
    })?;
    define.global("GetPlayerIdentifier", Calls::Silent, |host, _, lua, args| {
        let index = if args.get(1).is_nil() { 0 } else { args.integer(1)? };
        of(host, lua, &args, Value::Nil, |player| nth(lua, &player.identifiers, index))
    })?;
    define.global("GetPlayerIdentifierByType", Calls::Silent, |host, _, lua, args| {
        let kind = args.text(1)?;
        of(host, lua, &args, Value::Nil, |player| match player.identifier(&kind) {
            Some(identifier) => lua.create_string(identifier).map(Value::String),
            None => Ok(Value::Nil),
        })
    })?;
    define.global("GetPlayerTokens", Calls::Silent, |host, _, lua, args| {
        let none = Value::Table(lua.create_table()?);
        of(host, lua, &args, none, |player| {
            lua.create_sequence_from(player.tokens.iter().map(String::as_str)).map(Value::Table)
        })
    })?;
    define.global("GetNumPlayerTokens", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Integer(0), |player| Ok(Value::Integer(player.tokens.len() as i64)))
    })?;
    define.global("GetPlayerToken", Calls::Silent, |host, _, lua, args| {
        let index = args.integer(1)?;
        of(host, lua, &args, Value::Nil, |player| nth(lua, &player.tokens, index))
    })
}

fn buckets<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetPlayerRoutingBucket", Calls::Silent, |host, _, lua, args| {
        of(host, lua, &args, Value::Integer(0), |player| Ok(Value::Integer(player.bucket.into())))
    })?;
    define.global("SetPlayerRoutingBucket", Calls::Silent, |host, _, _, args| {
        let (source, bucket) = (args.player(0)?, args.integer(1)?);
        if let Some(player) = host.world.players.borrow_mut().get_mut(source) {
            player.bucket = bucket as u32;
            if let Some(ped) = host.world.entities.borrow_mut().get_mut(player.ped) {
                ped.bucket = bucket as u32;
            }
        }
        crate::host::nothing()
    })
}
