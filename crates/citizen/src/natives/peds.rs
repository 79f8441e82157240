//! Peds and their weapons, and what the game keeps of a player.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use super::arguments::{ask, change, place, signed};
use crate::host::{Answer, Args, Calls, Host, nothing, one};
use crate::world::{Entity, Ped, Player};

const ZERO: Value = Value::Integer(0);
const NO: Value = Value::Boolean(false);

/// Changes the ped in the first argument.
fn change_ped<R: Recorder + 'static>(host: &Host<R>, args: &Args, with: impl FnOnce(&mut Ped)) -> Answer {
    change(host, args, |entity| {
        if let Some(ped) = entity.ped_mut() {
            with(ped);
        }
    })
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("IsPedAPlayer", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, NO, |entity| {
            Ok(Value::Boolean(entity.ped().is_some_and(|ped| ped.player.is_some())))
        })
    })?;
    define.global("GetPedMaxHealth", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| Ok(Value::Integer(entity.max_health.into())))
    })?;
    define.global("GetPedArmour", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| {
            Ok(Value::Integer(entity.ped().map_or(0, |ped| ped.armour).into()))
        })
    })?;
    define.global("SetPedArmour", Calls::Recorded, |host, _, _, args| {
        let armour = args.whole(1)?.clamp(0, 100) as i32;
        change_ped(host, &args, |ped| ped.armour = armour)
    })?;
    define.global("GetPedDesiredHeading", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Number(0.0), |entity| Ok(Value::Number(entity.heading().into())))
    })?;
    weapons(define)?;
    players(define)
}

fn weapons<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    for name in ["GetSelectedPedWeapon", "GetCurrentPedWeapon"] {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            ask(host, lua, &args, ZERO, |entity| Ok(entity.ped().map_or(ZERO, |ped| signed(ped.weapon))))
        })?;
    }
    define.global("GiveWeaponToPed", Calls::Recorded, |host, _, _, args| {
        let (weapon, ammunition, in_hand) = (args.hash(1)?, args.whole(2)? as i32, args.flag(4));
        change_ped(host, &args, |ped| {
            let held = ped.weapons.entry(weapon).or_insert(0);
            *held = held.saturating_add(ammunition);
            if in_hand {
                ped.weapon = weapon;
            }
        })
    })?;
    define.global("SetCurrentPedWeapon", Calls::Recorded, |host, _, _, args| {
        let weapon = args.hash(1)?;
        change_ped(host, &args, |ped| ped.weapon = weapon)
    })?;
    define.global("SetPedAmmo", Calls::Recorded, |host, _, _, args| {
        let (weapon, ammunition) = (args.hash(1)?, args.whole(2)? as i32);
        change_ped(host, &args, |ped| {
            if let Some(held) = ped.weapons.get_mut(&weapon) {
                *held = ammunition;
            }
        })
    })?;
    define.global("RemoveWeaponFromPed", Calls::Recorded, |host, _, _, args| {
        let weapon = args.hash(1)?;
        change_ped(host, &args, |ped| ped.disarm(weapon))
    })?;
    define.global("RemoveAllPedWeapons", Calls::Recorded, |host, _, _, args| {
        change_ped(host, &args, |ped| {
            ped.weapons.clear();
            ped.disarm(ped.weapon);
        })
    })
}

/// What `answer` says of the player in the first argument, or `nobody`.
fn player<R: Recorder + 'static>(
    host: &Host<R>,
    lua: &mlua::Lua,
    args: &Args,
    nobody: Value,
    answer: impl FnOnce(&Player) -> Value,
) -> Answer {
    let source = args.player(0)?;
    one(lua, host.world.players.borrow().get(source).map_or(nobody, answer))
}

/// Changes the player in the first argument.
fn change_player<R: Recorder + 'static>(
    host: &Host<R>,
    args: &Args,
    with: impl FnOnce(&mut Player),
) -> Answer {
    let source = args.player(0)?;
    if let Some(player) = host.world.players.borrow_mut().get_mut(source) {
        with(player);
    }
    nothing()
}

fn players<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("SetPlayerModel", Calls::Recorded, |host, _, _, args| {
        let (source, model) = (args.player(0)?, args.hash(1)?);
        let ped = host.world.players.borrow().get(source).map_or(0, |player| player.ped);
        if let Some(entity) = host.world.entities.borrow_mut().get_mut(ped) {
            entity.model = model;
        }
        nothing()
    })?;
    define.global("GetPlayerInvincible", Calls::Silent, |host, _, lua, args| {
        player(host, lua, &args, NO, |player| Value::Boolean(player.invincible))
    })?;
    define.global("SetPlayerInvincible", Calls::Recorded, |host, _, _, args| {
        let invincible = args.flag(1);
        change_player(host, &args, |player| player.invincible = invincible)
    })?;
    define.global("GetPlayerWantedLevel", Calls::Silent, |host, _, lua, args| {
        player(host, lua, &args, ZERO, |player| Value::Integer(player.wanted_level.into()))
    })?;
    define.global("SetPlayerWantedLevel", Calls::Recorded, |host, _, _, args| {
        let level = args.whole(1)?.clamp(0, 5) as i32;
        change_player(host, &args, |player| player.wanted_level = level)
    })?;
    define.global("ClearPlayerWantedLevel", Calls::Recorded, |host, _, _, args| {
        change_player(host, &args, |player| player.wanted_level = 0)
    })?;
    define.global("GetPlayerMaxHealth", Calls::Silent, |host, _, lua, args| {
        player(host, lua, &args, ZERO, |_| Value::Integer(200))
    })?;
    define.global("GetPlayerMaxArmour", Calls::Silent, |host, _, lua, args| {
        player(host, lua, &args, ZERO, |_| Value::Integer(100))
    })?;
    define.global("GetPlayerFocusPos", Calls::Silent, |host, _, lua, args| {
        let source = args.player(0)?;
        let ped = host.world.players.borrow().get(source).map_or(0, |player| player.ped);
        let entities = host.world.entities.borrow();
        let position = entities.get(ped).map_or([0.0; 3], |ped: &Entity| entities.position(ped));
        one(lua, place(lua, position)?)
    })
}
