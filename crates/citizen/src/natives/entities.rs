//! Entities: making and deleting them, where and how they are, who owns them, and blips.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use super::arguments::{ask, change, place, signed};
use crate::host::{Calls, nothing, one};
use crate::world::{Body, Entity, Ped, Vehicle};

const ZERO: Value = Value::Integer(0);
const NO: Value = Value::Boolean(false);

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    making(define)?;
    places(define)?;
    states(define)?;
    ownership(define)?;
    lists(define)?;
    blips(define)
}

fn making<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    for name in ["CreateVehicle", "CreateAutomobile"] {
        define.global(name, Calls::Recorded, |host, resource, lua, args| {
            let args = args.spread(lua);
            let (model, position, heading) = (args.hash(0)?, args.reals(1)?, args.real(4)?);
            let by_client = args.native == "CreateVehicle";
            let kind = if by_client { crate::world::kind(model) } else { "automobile" };
            let body = |handle| Body::Vehicle(Vehicle::new(kind.into(), handle));
            one(lua, host.create_entity(resource, by_client, position, heading, model, body))
        })?;
    }
    define.global("CreateVehicleServerSetter", Calls::Recorded, |host, resource, lua, args| {
        let args = args.spread(lua);
        let (model, kind, position, heading) = (args.hash(0)?, args.text(1)?, args.reals(2)?, args.real(5)?);
        const KINDS: [&str; 8] =
            ["automobile", "bike", "boat", "heli", "plane", "submarine", "trailer", "train"];
        if !KINDS.contains(&kind.as_str()) {
            return one(lua, 0);
        }
        let body = |handle| Body::Vehicle(Vehicle::new(kind, handle));
        one(lua, host.create_entity(resource, false, position, heading, model, body))
    })?;
    define.global("CreatePed", Calls::Recorded, |host, resource, lua, args| {
        let args = args.spread(lua);
        let (model, position, heading) = (args.hash(1)?, args.reals(2)?, args.real(5)?);
        one(lua, host.create_entity(resource, true, position, heading, model, |_| Body::Ped(Ped::new(None))))
    })?;
    define.global("CreatePedInsideVehicle", Calls::Recorded, |host, resource, lua, args| {
        let (vehicle, model, seat) = (args.handle(0)?, args.hash(2)?, args.whole(3)? as i32);
        let position = host.world.entities.borrow().get(vehicle).map(|vehicle| vehicle.position);
        let Some(position) = position else { return one(lua, 0) };
        let ped = host.create_entity(resource, true, position, 0.0, model, |_| Body::Ped(Ped::new(None)));
        host.world.entities.borrow_mut().enter_vehicle(ped, vehicle, seat);
        one(lua, ped)
    })?;
    for name in ["CreateObject", "CreateObjectNoOffset"] {
        define.global(name, Calls::Recorded, |host, resource, lua, args| {
            let args = args.spread(lua);
            let (model, position) = (args.hash(0)?, args.reals(1)?);
            one(lua, host.create_entity(resource, true, position, 0.0, model, |_| Body::Object))
        })?;
    }
    for name in ["DeleteEntity", "DeleteVehicle", "DeletePed", "DeleteObject", "DeleteTrain"] {
        define.global(name, Calls::Recorded, |host, _, _, args| {
            host.delete_entity(args.handle(0)?);
            nothing()
        })?;
    }
    define.global("DoesEntityExist", Calls::Silent, |host, _, lua, args| {
        let handle = args.handle(0)?;
        one(lua, host.world.entities.borrow().get(handle).is_some())
    })
}

fn places<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetEntityCoords", Calls::Silent, |host, _, lua, args| {
        let none = place(lua, [0.0; 3])?;
        ask(host, lua, &args, none, |entity| place(lua, host.world.entities.borrow().position(entity)))
    })?;
    define.global("SetEntityCoords", Calls::Recorded, |host, _, lua, args| {
        let args = args.spread(lua);
        let (handle, position) = (args.handle(0)?, args.reals(1)?);
        host.world.entities.borrow_mut().leave_vehicle(handle);
        change(host, &args, |entity| entity.position = position)
    })?;
    define.global("GetEntityHeading", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Number(0.0), |entity| Ok(Value::Number(entity.heading().into())))
    })?;
    define.global("SetEntityHeading", Calls::Recorded, |host, _, _, args| {
        let heading = args.real(1)?;
        change(host, &args, |entity| entity.set_heading(heading))
    })?;
    define.global("GetEntityRotation", Calls::Silent, |host, _, lua, args| {
        let none = place(lua, [0.0; 3])?;
        ask(host, lua, &args, none, |entity| place(lua, entity.rotation))
    })?;
    define.global("SetEntityRotation", Calls::Recorded, |host, _, lua, args| {
        let args = args.spread(lua);
        let rotation = args.reals(1)?;
        change(host, &args, |entity| entity.rotation = rotation)
    })?;
    define.global("GetEntityVelocity", Calls::Silent, |host, _, lua, args| {
        let none = place(lua, [0.0; 3])?;
        ask(host, lua, &args, none, |entity| place(lua, entity.velocity))
    })?;
    define.global("SetEntityVelocity", Calls::Recorded, |host, _, lua, args| {
        let args = args.spread(lua);
        let velocity = args.reals(1)?;
        change(host, &args, |entity| entity.velocity = velocity)
    })?;
    define.global("GetEntityRotationVelocity", Calls::Silent, |host, _, lua, args| {
        let none = place(lua, [0.0; 3])?;
        ask(host, lua, &args, none, |entity| place(lua, entity.rotation_velocity))
    })?;
    define.global("GetEntitySpeed", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Number(0.0), |entity| {
            let speed = entity.velocity.iter().map(|lane| lane * lane).sum::<f32>().sqrt();
            Ok(Value::Number(speed.into()))
        })
    })?;
    define.global("FreezeEntityPosition", Calls::Recorded, |host, _, _, args| {
        let frozen = args.flag(1);
        change(host, &args, |entity| entity.frozen = frozen)
    })?;
    define.global("IsEntityPositionFrozen", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, NO, |entity| Ok(Value::Boolean(entity.frozen)))
    })
}

fn states<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetEntityModel", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| Ok(signed(entity.model)))
    })?;
    define.global("GetEntityType", Calls::Silent, |host, _, lua, args| {
        let handle = args.handle(0)?;
        let entities = host.world.entities.borrow();
        let kind = entities.get(handle).map_or(0, |entity| match entity.body {
            Body::Ped(_) => 1,
            Body::Vehicle(_) => 2,
            Body::Object => 3,
        });
        one(lua, kind)
    })?;
    define.global("GetEntityHealth", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| Ok(Value::Integer(entity.health.into())))
    })?;
    define.global("GetEntityMaxHealth", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| Ok(Value::Integer(entity.max_health.into())))
    })?;
    define.global("GetEntityPopulationType", Calls::Silent, |host, _, lua, args| {
        // 7: made by a script; all of them are here
        ask(host, lua, &args, ZERO, |_| Ok(Value::Integer(7)))
    })?;
    define.global("IsEntityVisible", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, NO, |_| Ok(Value::Boolean(true)))
    })?;
    define.global("GetEntityScript", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Nil, |entity| match &entity.script {
            Some(name) => lua.create_string(&**name).map(Value::String),
            None => Ok(Value::Nil),
        })
    })?;
    define.global("GetEntityRoutingBucket", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| Ok(Value::Integer(entity.bucket.into())))
    })?;
    define.global("SetEntityRoutingBucket", Calls::Silent, |host, _, _, args| {
        let bucket = args.whole(1)? as u32;
        change(host, &args, |entity| entity.bucket = bucket)
    })?;
    define.global("GetEntityOrphanMode", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| Ok(Value::Integer(entity.orphan_mode.into())))
    })?;
    define.global("SetEntityOrphanMode", Calls::Silent, |host, _, _, args| {
        let mode = args.whole(1)?;
        if !(0..=2).contains(&mode) {
            return Err(format!("SetEntityOrphanMode: expected a mode from 0 to 2, got {mode}").into());
        }
        change(host, &args, |entity| entity.orphan_mode = mode as i32)
    })
}

fn ownership<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("NetworkGetNetworkIdFromEntity", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| Ok(Value::Integer(entity.network_id.into())))
    })?;
    define.global("NetworkGetEntityFromNetworkId", Calls::Silent, |host, _, lua, args| {
        let id = args.handle(0)?;
        one(lua, host.world.entities.borrow().networked(id).unwrap_or(0))
    })?;
    define.global("NetworkGetEntityOwner", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Integer(-1), |entity| {
            let owner = host.world.entities.borrow().owner(entity);
            Ok(Value::Integer(owner.map_or(-1, Into::into)))
        })
    })?;
    define.global("NetworkGetFirstEntityOwner", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Integer(-1), |entity| {
            Ok(Value::Integer(entity.first_owner.map_or(-1, Into::into)))
        })
    })
}

/// The handles of the entities that `choose` chooses.
fn list<R: Recorder + 'static>(
    host: &crate::host::Host<R>,
    lua: &mlua::Lua,
    choose: impl Fn(&Entity) -> bool,
) -> crate::host::Answer {
    let entities = host.world.entities.borrow();
    one(lua, lua.create_sequence_from(entities.iter().filter(|entity| choose(entity)).map(|e| e.handle))?)
}

fn lists<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetAllPeds", Calls::Recorded, |host, _, lua, _| {
        list(host, lua, |entity| entity.ped().is_some())
    })?;
    define.global("GetAllVehicles", Calls::Recorded, |host, _, lua, _| {
        list(host, lua, |entity| entity.vehicle().is_some())
    })?;
    define.global("GetAllObjects", Calls::Recorded, |host, _, lua, _| {
        list(host, lua, |entity| matches!(entity.body, Body::Object))
    })?;
    define.global("GetGamePool", Calls::Recorded, |host, _, lua, args| {
        let pool = args.text(0)?;
        list(host, lua, |entity| match (pool.as_str(), &entity.body) {
            ("CPed", Body::Ped(_)) | ("CVehicle", Body::Vehicle(_)) | ("CObject", Body::Object) => true,
            (other, _) => other == "CNetObject",
        })
    })?;
    define.global("GetEntitiesInRadius", Calls::Recorded, |host, _, lua, args| {
        let args = args.spread(lua);
        let (center, radius, kind, sorted) = (args.reals(0)?, args.real(3)?, args.whole(4)?, args.flag(5));
        let models: Option<Vec<i64>> = match args.get(6) {
            Value::Table(table) => Some(table.sequence_values().collect::<mlua::Result<_>>()?),
            _ => None,
        };
        let entities = host.world.entities.borrow();
        let mut found: Vec<(f32, u32)> = Vec::new();
        for entity in entities.iter() {
            let fits = match entity.body {
                Body::Ped(_) => kind == 1,
                Body::Vehicle(_) => kind == 2,
                Body::Object => kind == 3,
            };
            let wanted = |models: &Vec<i64>| models.iter().any(|model| *model as u32 == entity.model);
            let here = entities.position(entity);
            let distance = center.iter().zip(here).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
            if fits && distance <= radius && models.as_ref().is_none_or(wanted) {
                found.push((distance, entity.handle));
            }
        }
        if sorted {
            found.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        one(lua, lua.create_sequence_from(found.into_iter().map(|(_, handle)| handle))?)
    })
}

fn blips<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    for name in ["AddBlipForArea", "AddBlipForCoord", "AddBlipForEntity", "AddBlipForRadius"] {
        define.global(name, Calls::Recorded, |host, _, lua, args| {
            args.spread(lua).real(0)?;
            one(lua, host.world.entities.borrow_mut().add_blip())
        })?;
    }
    define.global("RemoveBlip", Calls::Recorded, |host, _, _, args| {
        let blip = args.whole(0)?;
        host.world.entities.borrow_mut().blips.remove(&blip);
        nothing()
    })?;
    define.global("SetBlipSprite", Calls::Recorded, |host, _, _, args| {
        let (blip, sprite) = (args.whole(0)?, args.whole(1)?);
        if let Some(kept) = host.world.entities.borrow_mut().blips.get_mut(&blip) {
            *kept = sprite;
        }
        nothing()
    })?;
    define.global("GetBlipSprite", Calls::Silent, |host, _, lua, args| {
        let blip = args.whole(0)?;
        one(lua, host.world.entities.borrow().blips.get(&blip).copied().unwrap_or(0))
    })
}
