//! What scripts may ask of the server itself, events whose arguments a script has packed, and natives that older scripts
//! still call.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::convars::Shared;
use crate::events::Source;
use crate::host::{Args, Calls, Raise, nothing, one};
use crate::msgpack::Packed;
use crate::references::Parcel;

/// The build of the game that a server expects of clients, when its files do not say.
const GAME_BUILD: i64 = 1604;

/// The arguments that a script packed with `msgpack.pack_args`, from argument `index` on: text and how long it is.
fn packed(args: &Args, index: usize) -> Result<Packed, Raise> {
    let mut bytes = args.bytes(index)?;
    if !args.get(index + 1).is_nil() {
        bytes.truncate(usize::try_from(args.integer(index + 1)?).unwrap_or(0));
    }
    Packed::from_array(&bytes).ok_or_else(|| args.wrong(index, "packed list of arguments"))
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("GetGameName", Calls::Silent, |_, _, lua, _| one(lua, "fxserver"))?;
    define.global("GetGameBuildNumber", Calls::Silent, |host, _, lua, _| {
        let enforced = host.convars.get("sv_enforceGameBuild");
        one(lua, enforced.and_then(|build| build.trim().parse().ok()).unwrap_or(GAME_BUILD))
    })?;
    define.global("GetInstanceId", Calls::Silent, |host, _, lua, _| {
        // the same in each run of a seed, as everything that is drawn
        one(lua, super::time::seed_of(host.seed, "instance") >> 33)
    })?;
    define.global("SetGameType", Calls::Silent, |host, _, _, args| {
        host.convars.set_as("gametype", &args.text_or(0, "")?, Shared::ServerInfo);
        nothing()
    })?;
    define.global("SetMapName", Calls::Silent, |host, _, _, args| {
        host.convars.set_as("mapname", &args.text_or(0, "")?, Shared::ServerInfo);
        nothing()
    })?;
    for name in [
        // a host among the clients is what a server without OneSync needs
        "EnableEnhancedHostSupport",
        // the server looks for work of resources at every tick, and offers every event to all
        "ScheduleResourceTick",
        "RegisterResourceAsEventHandler",
        // for a monitor that started the server
        "PrintStructuredTrace",
    ] {
        define.global(name, Calls::Silent, |_, _, _, _| nothing())?;
    }
    define.global("FormatStackTrace", Calls::Silent, |_, _, lua, _| one(lua, lua.traceback(None, 0)?))?;
    packed_events(define)?;
    voice(define)?;
    define.global("RconPrint", Calls::Recorded, |host, resource, _, args| {
        host.console.borrow_mut().print(&resource.name, args.text(0)?.trim_end_matches('\n'));
        nothing()
    })?;
    // for tools that read a server's console
    define.global("RconLog", Calls::Silent, |_, _, _, _| nothing())
}

fn packed_events<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("TriggerEventInternal", Calls::Recorded, |host, _, lua, args| {
        let parcel = Parcel::new(packed(&args, 1)?, Vec::new(), &host.references);
        one(lua, host.trigger(&args.text(0)?, &parcel, Source::Server))
    })?;
    define.global("TriggerClientEventInternal", Calls::Recorded, |host, _, _, args| {
        let (event, target, packed) = (args.text(0)?, args.integer(1)?, packed(&args, 2)?);
        host.client_events.set(host.client_events.get() + 1);
        host.world.send(&event, target, &packed);
        nothing()
    })?;
    define.global("TriggerLatentClientEventInternal", Calls::Recorded, |host, _, _, args| {
        let (event, target, packed, rate) =
            (args.text(0)?, args.integer(1)?, packed(&args, 2)?, args.number(4)?);
        host.client_events.set(host.client_events.get() + 1);
        host.send_latent(&event, target, rate, &packed);
        nothing()
    })
}

fn voice<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    // channels are there once somebody speaks of them
    define.global("MumbleCreateChannel", Calls::Silent, |_, _, _, args| {
        args.integer(0).and_then(|_| nothing())
    })?;
    define.global("MumbleSetPlayerMuted", Calls::Silent, |host, _, _, args| {
        let (source, muted) =
            (args.player(0)?, !matches!(args.get(1), Value::Nil | Value::Boolean(false) | Value::Integer(0)));
        if let Some(player) = host.world.players.borrow_mut().get_mut(source) {
            player.is_muted = muted;
        }
        nothing()
    })?;
    define.global("MumbleIsPlayerMuted", Calls::Silent, |host, _, lua, args| {
        let source = args.player(0)?;
        one(lua, host.world.players.borrow().get(source).is_some_and(|player| player.is_muted))
    })
}
