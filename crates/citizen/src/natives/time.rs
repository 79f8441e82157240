//! Clocks.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Calls, Raise, one};

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetGameTimer", Calls::Silent, |host, _, lua, _| {
        one(lua, host.clock.millis().cast_signed())
    })?;
    define.private("nanotime", Calls::Silent, |host, _, lua, _| {
        one(lua, (host.clock.measured().as_nanos() as u64).cast_signed())
    })?;
    define.private("microtime", Calls::Silent, |host, _, lua, _| {
        one(lua, (host.clock.measured().as_micros() as u64).cast_signed())
    })?;
    define
        .private("deltatime", Calls::Silent, |host, _, lua, _| one(lua, host.clock.delta().as_secs_f64()))?;
    define.private("unix", Calls::Silent, |host, _, lua, _| {
        one(lua, host.clock.unix().as_secs().cast_signed())
    })?;
    // processor time is real time's; where time is virtual, so is it
    define.private("virtual_clock", Calls::Silent, |host, _, lua, _| match host.clock.is_virtual() {
        true => one(lua, host.clock.elapsed().as_secs_f64()),
        false => one(lua, Value::Nil),
    })?;
    // a seed for each time a script asks for a random one
    let draws = std::cell::Cell::new(seed_of(define.host.seed, &define.resource.name));
    let seed = define.host.native(
        define.resource,
        define.lua,
        "randomseed",
        Calls::Silent,
        move |_, _, lua, args| {
            if !args.get(0).is_nil() {
                return Err(Raise::Text("no arguments expected".into()));
            }
            let next = draws.get().wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            draws.set(next);
            one(lua, next.cast_signed())
        },
    )?;
    define.private.raw_set("next_seed", seed)
}

/// A seed for one resource: the run's, and the resource's name (FNV-1a), so that resources differ and a resource's
/// numbers do not depend on which others run.
pub(super) fn seed_of(seed: u64, name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
