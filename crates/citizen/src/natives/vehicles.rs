//! Vehicles: plate, colours, health, locks, and who sits where.

use mlua::{MultiValue, Value};
use tickscope_core::Recorder;

use super::Definer;
use super::arguments::{ask, change};
use crate::host::{Answer, Calls, nothing};
use crate::world::{Entity, Vehicle};

const ZERO: Value = Value::Integer(0);
const NO: Value = Value::Boolean(false);

/// What `answer` says of a vehicle, or `other` of something else.
fn of(entity: &Entity, other: Value, answer: impl FnOnce(&Vehicle) -> Value) -> mlua::Result<Value> {
    Ok(entity.vehicle().map_or(other, answer))
}

fn number(value: f32) -> Value {
    Value::Number(value.into())
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    looks(define)?;
    health(define)?;
    seats(define)
}

fn looks<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetVehicleType", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Nil, |entity| match entity.vehicle() {
            Some(vehicle) => lua.create_string(&vehicle.kind).map(Value::String),
            None => Ok(Value::Nil),
        })
    })?;
    define.global("GetVehicleNumberPlateText", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Nil, |entity| match entity.vehicle() {
            Some(vehicle) => lua.create_string(&vehicle.plate).map(Value::String),
            None => Ok(Value::Nil),
        })
    })?;
    define.global("SetVehicleNumberPlateText", Calls::Recorded, |host, _, _, args| {
        let text = args.text_or(1, "")?;
        change(host, &args, |entity| {
            if let Some(vehicle) = entity.vehicle_mut() {
                vehicle.set_plate(&text);
            }
        })
    })?;
    define.global("GetVehicleColours", Calls::Silent, |host, _, lua, args| {
        let mut colours = (0, 0);
        ask(host, lua, &args, ZERO, |entity| {
            colours = entity.vehicle().map_or((0, 0), |vehicle| vehicle.colours);
            Ok(Value::Nil)
        })?;
        let values = [colours.0, colours.1].map(|colour| Value::Integer(colour.into()));
        Ok(MultiValue::from_iter(values))
    })?;
    define.global("SetVehicleColours", Calls::Recorded, |host, _, _, args| {
        let colours = (args.whole(1)? as i32, args.whole(2)? as i32);
        change(host, &args, |entity| {
            if let Some(vehicle) = entity.vehicle_mut() {
                vehicle.colours = colours;
            }
        })
    })?;
    for name in ["SetVehicleCustomPrimaryColour", "SetVehicleCustomSecondaryColour"] {
        define.global(name, Calls::Recorded, |host, _, _, args| {
            let colour = [args.whole(1)? as u8, args.whole(2)? as u8, args.whole(3)? as u8];
            let primary = args.native.contains("Primary");
            change(host, &args, |entity| {
                if let Some(vehicle) = entity.vehicle_mut() {
                    let place =
                        if primary { &mut vehicle.custom_primary } else { &mut vehicle.custom_secondary };
                    *place = Some(colour);
                }
            })
        })?;
    }
    for name in ["GetVehicleCustomPrimaryColour", "GetVehicleCustomSecondaryColour"] {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            let primary = args.native.contains("Primary");
            let mut colour = [0; 3];
            ask(host, lua, &args, ZERO, |entity| {
                let custom = entity.vehicle().and_then(|vehicle| match primary {
                    true => vehicle.custom_primary,
                    false => vehicle.custom_secondary,
                });
                colour = custom.unwrap_or_default();
                Ok(Value::Nil)
            })?;
            Ok(MultiValue::from_iter(colour.map(|lane| Value::Integer(lane.into()))))
        })?;
    }
    define.global("GetIsVehiclePrimaryColourCustom", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, NO, |entity| {
            of(entity, NO, |vehicle| Value::Boolean(vehicle.custom_primary.is_some()))
        })
    })?;
    define.global("GetIsVehicleSecondaryColourCustom", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, NO, |entity| {
            of(entity, NO, |vehicle| Value::Boolean(vehicle.custom_secondary.is_some()))
        })
    })?;
    define.global("GetVehicleDirtLevel", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, number(0.0), |entity| of(entity, number(0.0), |vehicle| number(vehicle.dirt)))
    })?;
    define.global("SetVehicleDirtLevel", Calls::Recorded, |host, _, _, args| {
        let dirt = args.real(1)?.clamp(0.0, 15.0);
        change(host, &args, |entity| {
            if let Some(vehicle) = entity.vehicle_mut() {
                vehicle.dirt = dirt;
            }
        })
    })
}

fn health<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetVehicleBodyHealth", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, number(0.0), |entity| {
            of(entity, number(0.0), |vehicle| number(vehicle.body_health))
        })
    })?;
    define.global("SetVehicleBodyHealth", Calls::Recorded, |host, _, _, args| {
        let health = args.real(1)?.clamp(0.0, 1000.0);
        change(host, &args, |entity| {
            if let Some(vehicle) = entity.vehicle_mut() {
                vehicle.body_health = health;
            }
        })
    })?;
    for name in ["GetVehicleEngineHealth", "GetVehiclePetrolTankHealth"] {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            ask(host, lua, &args, number(0.0), |entity| of(entity, number(0.0), |_| number(1000.0)))
        })?;
    }
    define.global("GetVehicleDoorLockStatus", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, ZERO, |entity| of(entity, ZERO, |vehicle| Value::Integer(vehicle.lock.into())))
    })?;
    define.global("SetVehicleDoorsLocked", Calls::Recorded, |host, _, _, args| {
        let lock = args.whole(1)? as i32;
        change(host, &args, |entity| {
            if let Some(vehicle) = entity.vehicle_mut() {
                // the game syncs "unlocked" as "not set"
                vehicle.lock = if lock == 1 { 0 } else { lock };
            }
        })
    })?;
    define.global("GetIsVehicleEngineRunning", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, NO, |entity| {
            of(entity, NO, |vehicle| Value::Boolean(vehicle.seats.contains_key(&-1)))
        })
    })
}

fn seats<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    for name in ["GetPedInVehicleSeat", "GetLastPedInVehicleSeat"] {
        define.global(name, Calls::Silent, |host, _, lua, args| {
            let seat = args.whole(1)? as i32;
            ask(host, lua, &args, ZERO, |entity| {
                of(entity, ZERO, |vehicle| {
                    Value::Integer(vehicle.seats.get(&seat).copied().unwrap_or(0).into())
                })
            })
        })?;
    }
    define.global("GetVehiclePedIsIn", Calls::Silent, |host, _, lua, args| {
        let last = args.flag(1);
        ask(host, lua, &args, ZERO, |entity| {
            let vehicle = entity.ped().map_or(0, |ped| match ped.seat {
                Some((vehicle, _)) => vehicle,
                None if last => ped.last_vehicle,
                None => 0,
            });
            Ok(Value::Integer(vehicle.into()))
        })
    })?;
    define.global("GetSeatPedIsUsing", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, Value::Integer(-3), |entity| {
            let seat = entity.ped().and_then(|ped| ped.seat).map_or(-3, |(_, seat)| seat);
            Ok(Value::Integer(seat.into()))
        })
    })?;
    define.global("IsPedInAnyVehicle", Calls::Silent, |host, _, lua, args| {
        ask(host, lua, &args, NO, |entity| {
            Ok(Value::Boolean(entity.ped().is_some_and(|ped| ped.seat.is_some())))
        })
    })?;
    define.global("IsPedInVehicle", Calls::Silent, |host, _, lua, args| {
        let vehicle = args.handle(1)?;
        ask(host, lua, &args, NO, |entity| {
            let seat = entity.ped().and_then(|ped| ped.seat);
            Ok(Value::Boolean(seat.is_some_and(|(in_, _)| in_ == vehicle)))
        })
    })?;
    for name in ["SetPedIntoVehicle", "TaskWarpPedIntoVehicle"] {
        define.global(name, Calls::Recorded, |host, _, _, args| {
            enter(host, args.handle(0)?, args.handle(1)?, args.whole(2)?)
        })?;
    }
    define.global("TaskEnterVehicle", Calls::Recorded, |host, _, _, args| {
        enter(host, args.handle(0)?, args.handle(1)?, args.whole(3)?)
    })?;
    for name in ["TaskLeaveVehicle", "TaskLeaveAnyVehicle", "ClearPedTasksImmediately"] {
        define.global(name, Calls::Recorded, |host, _, _, args| {
            let ped = args.handle(0)?;
            host.world.entities.borrow_mut().leave_vehicle(ped);
            nothing()
        })?;
    }
    define.global("TaskEveryoneLeaveVehicle", Calls::Recorded, |host, _, _, args| {
        let vehicle = args.handle(0)?;
        let mut entities = host.world.entities.borrow_mut();
        let inside = entities.get(vehicle).and_then(Entity::vehicle).map(|vehicle| vehicle.seats.clone());
        for ped in inside.unwrap_or_default().into_values() {
            entities.leave_vehicle(ped);
        }
        nothing()
    })
}

fn enter<R: Recorder + 'static>(host: &crate::host::Host<R>, ped: u32, vehicle: u32, seat: i64) -> Answer {
    host.world.entities.borrow_mut().enter_vehicle(ped, vehicle, seat as i32);
    nothing()
}
