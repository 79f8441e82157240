//! Natives about what clients change and nothing changes here: they give what a server gives of a thing that is new.

use mlua::{Lua, MultiValue, Value};
use tickscope_core::Recorder;

use super::Definer;
use super::arguments::ask;
use crate::host::{Answer, Args, Calls, Host, one};
use crate::world::{Entity, Vehicle};

const YES: Value = Value::Boolean(true);
const NO: Value = Value::Boolean(false);

/// Of vehicles: what a new one has, and what anything else has.
const OF_VEHICLES: [(&str, Value, Value); 5] = [
    ("GetVehicleDoorsLockedForPlayer", NO, NO),
    ("HasEntityBeenMarkedAsNoLongerNeeded", NO, NO),
    ("IsVehicleExtraTurnedOn", YES, NO),
    ("IsVehicleTyreBurst", NO, NO),
    ("IsVehicleWindowIntact", YES, NO),
];

/// Of helicopters: what a new one has.
const OF_HELICOPTERS: [(&str, Value); 9] = [
    ("GetHeliBodyHealth", Value::Integer(1000)),
    ("GetHeliEngineHealth", Value::Integer(1000)),
    ("GetHeliGasTankHealth", Value::Integer(1000)),
    ("GetHeliMainRotorDamageScale", Value::Number(1.0)),
    ("GetHeliMainRotorHealth", Value::Number(1000.0)),
    ("GetHeliRearRotorDamageScale", Value::Number(1.0)),
    ("GetHeliRearRotorHealth", Value::Number(1000.0)),
    ("GetHeliTailRotorDamageScale", Value::Number(1.0)),
    ("GetHeliTailRotorHealth", Value::Number(1000.0)),
];

/// Of players in the game: what a new one has, and what nobody has.
const OF_PLAYERS: [(&str, Value, Value); 7] = [
    ("GetAirDragMultiplierForPlayersVehicle", Value::Number(1.0), Value::Number(0.0)),
    ("GetPlayerMeleeWeaponDamageModifier", Value::Number(1.0), Value::Number(0.0)),
    ("GetPlayerTimeInPursuit", Value::Integer(-1), Value::Integer(-1)),
    ("GetPlayerWeaponDamageModifier", Value::Number(1.0), Value::Number(0.0)),
    ("GetPlayerWeaponDefenseModifier", Value::Number(1.0), Value::Number(0.0)),
    ("GetPlayerWeaponDefenseModifier_2", Value::Number(1.0), Value::Number(0.0)),
    ("IsPlayerUsingSuperJump", NO, NO),
];

/// The names of all of these.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OF_VEHICLES
        .iter()
        .map(|(name, ..)| *name)
        .chain(OF_HELICOPTERS.iter().map(|(name, _)| *name))
        .chain(OF_PLAYERS.iter().map(|(name, ..)| *name))
        .chain(["GetPedSourceOfDamage", "GetPedSourceOfDeath", "GetVehicleTyreSmokeColor"])
}

fn vehicle<R: Recorder + 'static>(
    host: &Host<R>,
    lua: &Lua,
    args: &Args,
    new: Value,
    other: Value,
    fits: impl Fn(&Vehicle) -> bool,
) -> Answer {
    ask(host, lua, args, other.clone(), |entity| {
        Ok(if entity.vehicle().is_some_and(fits) { new } else { other })
    })
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    for (name, ..) in OF_VEHICLES {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            let row = OF_VEHICLES.into_iter().find(|(name, ..)| *name == args.native);
            let (_, new, other) = row.unwrap_or(("", NO, NO));
            vehicle(host, lua, &args, new, other, |_| true)
        })?;
    }
    for (name, _) in OF_HELICOPTERS {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            let row = OF_HELICOPTERS.into_iter().find(|(name, _)| *name == args.native);
            let (_, new) = row.unwrap_or(("", Value::Integer(0)));
            let none = if new.is_integer() { Value::Integer(0) } else { Value::Number(0.0) };
            vehicle(host, lua, &args, new, none, |vehicle| vehicle.kind == "heli")
        })?;
    }
    for (name, ..) in OF_PLAYERS {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            let row = OF_PLAYERS.into_iter().find(|(name, ..)| *name == args.native);
            let (_, new, nobody) = row.unwrap_or(("", NO, NO));
            let source = args.player(0)?;
            let is_there = host.world.players.borrow().get(source).is_some();
            one(lua, if is_there { new } else { nobody })
        })?;
    }
    // nothing damages a ped
    for name in ["GetPedSourceOfDamage", "GetPedSourceOfDeath"] {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            ask(host, lua, &args, Value::Integer(0), |_| Ok(Value::Integer(0)))
        })?;
    }
    define.global("GetVehicleTyreSmokeColor", Calls::Silent, |host, _, lua, args| {
        let mut colour = 0;
        ask(host, lua, &args, Value::Nil, |entity| {
            colour = if entity.vehicle().is_some() { 255 } else { 0 };
            Ok(Value::Nil)
        })?;
        Ok(MultiValue::from_iter([Value::Integer(colour), Value::Integer(colour), Value::Integer(colour)]))
    })?;
    define.global("GetNetTypeFromEntity", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Integer(0), |entity| Ok(Value::Integer(net_type(entity))))
    })
}

/// The number of the kind of an entity, as clients and server agree on it.
fn net_type(entity: &Entity) -> i64 {
    let Some(vehicle) = entity.vehicle() else {
        return match entity.ped() {
            Some(ped) if ped.player.is_some() => 11,
            Some(_) => 6,
            None => 5,
        };
    };
    match vehicle.kind.as_str() {
        "bike" => 1,
        "boat" => 2,
        "heli" => 4,
        "plane" => 9,
        "submarine" => 10,
        "trailer" => 12,
        "train" => 13,
        _ => 0,
    }
}
