//! How true to FXServer each native and API is. The page `docs/compat.md` is made of this.
//!
//! A native that has behaviour is exact unless a row here says otherwise; one that has none gives a neutral value. Add a
//! row to [`NATIVES`] or [`APIS`] where that is not the whole truth.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::table::Table;
use super::untouched;

/// How something here compares to FXServer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fidelity {
    /// As FXServer does it.
    Exact,
    /// It works, with a difference.
    Approximated,
    /// It does nothing, and gives what FXServer gives when the thing asked about is not there.
    Neutral,
    /// Known, and not here.
    Absent,
    /// Nothing here knows the name.
    Unknown,
}

impl Fidelity {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximated => "approximated",
            Self::Neutral => "neutral",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

/// A row: a name, how true it is, and why not more.
struct Note {
    name: &'static str,
    fidelity: Fidelity,
    reason: &'static str,
}

const fn exact(name: &'static str, reason: &'static str) -> Note {
    Note { name, fidelity: Fidelity::Exact, reason }
}

const fn approximated(name: &'static str, reason: &'static str) -> Note {
    Note { name, fidelity: Fidelity::Approximated, reason }
}

const fn neutral(name: &'static str, reason: &'static str) -> Note {
    Note { name, fidelity: Fidelity::Neutral, reason }
}

const fn absent(name: &'static str, reason: &'static str) -> Note {
    Note { name, fidelity: Fidelity::Absent, reason }
}

/// Why nothing is ever sold.
const NO_SHOP: &str = "Tebex is not reached from here";
/// What voice is without clients.
const NO_VOICE: &str = "kept, and given back; nobody speaks here";
/// Why the finer state of things is that of new ones.
const NEW: &str = "part of a game that is not played here: as of a thing that is new";
/// Why the state of things that clients change stays what it was.
const UNTOUCHED: &str = "nothing here changes it: as of a thing that is new";
/// Why most of what concerns the game itself does nothing.
const NO_GAME: &str = "the game of a client would do this; only the server runs here";

/// Why what a server asks a client to do is not quite as there.
const AT_ONCE: &str =
    "done at once; a server asks a client, who does it some ticks later, or never if none is near";

/// How answers to requests differ.
const HTTP_ANSWERS: &str = "HTTP/1.1; at most 64 MiB within 30 s; names of headers are written Like-This; errors have words of their own; a 307 or 308 that answers a body is not followed";

/// Natives that are less than exact, or neutral for a reason worth telling.
const NATIVES: &[Note] = &[
    approximated("AddBlipForArea", AT_ONCE),
    approximated("AddBlipForCoord", AT_ONCE),
    approximated("AddBlipForEntity", AT_ONCE),
    approximated("AddBlipForRadius", AT_ONCE),
    neutral("ApplyForceToEntity", "nothing moves by itself here, so a push moves nothing"),
    neutral("CanPlayerStartCommerceSession", "Tebex is not reached from here, so nobody can buy"),
    neutral("ClearPedTasks", "peds have no tasks here that could be cleared; nothing else is changed by it"),
    approximated(
        "ClearPedTasksImmediately",
        "peds have no tasks; it takes one out of its vehicle, as in the game",
    ),
    approximated("ClearPlayerWantedLevel", AT_ONCE),
    approximated("CreateObject", AT_ONCE),
    approximated("CreateObjectNoOffset", AT_ONCE),
    approximated("CreatePed", AT_ONCE),
    approximated("CreatePedInsideVehicle", AT_ONCE),
    approximated("CreateVehicle", AT_ONCE),
    approximated("DeleteEntity", "gone at once; a server waits for the owner"),
    neutral("DoesPlayerOwnSku", "Tebex is not reached from here, so nobody owns a package"),
    neutral("DoesPlayerOwnSkuExt", NO_SHOP),
    neutral("FlagServerAsPrivate", "no list of servers hears of this one"),
    approximated("FormatStackTrace", "the resource's own part of the stack, as Lua writes it"),
    approximated("FreezeEntityPosition", AT_ONCE),
    approximated("GetConsoleBuffer", "the last 64 KiB of what this host and the scripts said"),
    approximated("GetEntityMaxHealth", "that of the kind of entity, not of the model"),
    approximated("GetIsVehicleEngineRunning", "true while somebody sits at the wheel"),
    approximated("GetLastPedInVehicleSeat", "who sits there now"),
    approximated("GetPedDesiredHeading", "the heading it has"),
    approximated("GetPedMaxHealth", "that of the kind of entity, not of the model"),
    approximated("GetPlayerFocusPos", "where the ped is; there is no camera"),
    approximated(
        "GetPlayerGuid",
        "a number made of the identifiers; there is no ticket of Cfx.re to take it from",
    ),
    approximated("GetPlayerLastMsg", "a virtual client has always just been heard of"),
    neutral(
        "GetPlayerTeam",
        "clients tell their team, and none does here: what a server gives before they do",
    ),
    approximated("GetPlayerMaxArmour", "always that of a new player"),
    approximated("GetPlayerMaxHealth", "always that of a new player"),
    approximated("GetPlayerPing", "what the scenario says; no network is there to measure"),
    approximated("GetVehicleEngineHealth", "nothing damages an engine here: 1000"),
    approximated("GetVehiclePetrolTankHealth", "nothing damages a tank here: 1000"),
    approximated(
        "GetVehicleType",
        "what CreateVehicleServerSetter was given; of CreateVehicle, that of the game's own models, and automobile for others",
    ),
    neutral(
        "GiveWeaponComponentToPed",
        "weapons have no parts here, and no native of a server asks for them",
    ),
    approximated("GiveWeaponToPed", AT_ONCE),
    approximated("IsEntityVisible", "everything is visible"),
    neutral("IsPlayerCommerceInfoLoaded", NO_SHOP),
    neutral("IsPlayerCommerceInfoLoadedExt", NO_SHOP),
    neutral("LoadPlayerCommerceData", NO_SHOP),
    neutral("LoadPlayerCommerceDataExt", NO_SHOP),
    approximated("MumbleCreateChannel", NO_VOICE),
    approximated("MumbleIsPlayerMuted", NO_VOICE),
    approximated("MumbleSetPlayerMuted", NO_VOICE),
    approximated(
        "NetworkGetEntityOwner",
        "the nearest player within 424 m in the same routing bucket, computed when asked",
    ),
    approximated("PerformHttpRequest", HTTP_ANSWERS),
    approximated("PerformHttpRequestAwait", HTTP_ANSWERS),
    approximated("PerformHttpRequestInternal", HTTP_ANSWERS),
    approximated("PerformHttpRequestInternalEx", HTTP_ANSWERS),
    approximated("RemoveAllPedWeapons", AT_ONCE),
    approximated("RemoveBlip", AT_ONCE),
    approximated("RemoveWeaponFromPed", AT_ONCE),
    approximated(
        "RegisterConsoleListener",
        "told at the end of the tick; what listeners print is not told to them",
    ),
    neutral("RegisterResourceAsset", "no client downloads files from here"),
    neutral(
        "RegisterResourceBuildTaskFactory",
        "for scripts in JavaScript that build resources; those do not run here",
    ),
    neutral("RequestPlayerCommerceSession", NO_SHOP),
    neutral(
        "ScanResourceRoot",
        "resources are found when the server starts and by refresh, in its own folder only",
    ),
    approximated("SetBlipSprite", AT_ONCE),
    approximated("SetCurrentPedWeapon", AT_ONCE),
    approximated("SetEntityCoords", AT_ONCE),
    neutral("SetEntityDistanceCullingRadius", "entities are not streamed to anybody, however far away"),
    approximated("SetEntityHeading", AT_ONCE),
    neutral("SetEntityIgnoreRequestControlFilter", "no client asks to own an entity here"),
    neutral("SetEntityRemoteSyncedScenesAllowed", "no client plays synchronised scenes here"),
    approximated("SetEntityRotation", AT_ONCE),
    approximated("SetEntityVelocity", "kept and told again, but nothing moves by itself"),
    approximated("SetPedAmmo", AT_ONCE),
    approximated("SetPedArmour", AT_ONCE),
    approximated("SetPedIntoVehicle", AT_ONCE),
    approximated(
        "SetHttpHandler",
        "called once the body is there; the answer leaves whole, with `send`; no limit of requests a second",
    ),
    neutral("SetPlayerCullingRadius", "nothing is streamed to players, however near"),
    approximated("SetPlayerInvincible", AT_ONCE),
    approximated("SetPlayerModel", AT_ONCE),
    approximated("SetPlayerWantedLevel", AT_ONCE),
    neutral(
        "SetRoutingBucketEntityLockdownMode",
        "clients make no entities of their own here that could be refused",
    ),
    neutral("SetRoutingBucketPopulationEnabled", "no bucket has a population of peds and traffic here"),
    approximated("SetVehicleBodyHealth", AT_ONCE),
    approximated("SetVehicleColours", AT_ONCE),
    approximated("SetVehicleCustomPrimaryColour", AT_ONCE),
    approximated("SetVehicleCustomSecondaryColour", AT_ONCE),
    approximated("SetVehicleDirtLevel", AT_ONCE),
    approximated("SetVehicleDoorsLocked", AT_ONCE),
    approximated("SetVehicleNumberPlateText", "done at once; short plates are filled up at their end"),
    approximated("TaskEnterVehicle", "done at once; the way to the seat or out of it takes no time"),
    approximated("TaskEveryoneLeaveVehicle", "done at once; the way to the seat or out of it takes no time"),
    approximated("TaskLeaveAnyVehicle", "done at once; the way to the seat or out of it takes no time"),
    approximated("TaskLeaveVehicle", "done at once; the way to the seat or out of it takes no time"),
    approximated("TaskWarpPedIntoVehicle", AT_ONCE),
    approximated("TempBanPlayer", "the player is dropped and may connect again at once"),
];

/// What scripts have beside natives.
const APIS: &[Note] = &[
    exact("Citizen.CreateThread, CreateThreadNow, Wait, SetTimeout, ClearTimeout", ""),
    exact("Citizen.Await, promise", ""),
    exact("Citizen.InvokeNative, ResultAs…, PointerValue…, ReturnResultAnyway", ""),
    exact("AddEventHandler, RemoveEventHandler, TriggerEvent, RegisterNetEvent, source", ""),
    exact("add_ace, remove_ace, add_principal, remove_principal, test_ace, restricted commands", ""),
    exact("net events: refusal, source, latent events", ""),
    approximated(
        "exports",
        "an error names resource, export and place in one line; FXServer adds colours and prints the place apart",
    ),
    exact("GlobalState, Player().state, Entity().state", ""),
    exact("playerConnecting with setKickReason and deferrals, playerJoining, playerDropped", ""),
    approximated(
        "entityCreating, entityCreated, serverEntityCreated, entityRemoved",
        "with the next tick; entityCreating comes for what a server has a client create",
    ),
    exact("json", ""),
    approximated(
        "msgpack",
        "an entity in a message is its handle, not its network id; no msgpack.extend and settype; of setoption's, ignore_invalid",
    ),
    approximated(
        "vec, vec2, vec3, vec4, vector, vector2, vector3, vector4, quat",
        "equal by value, as table keys too; but a zero is never negative, and a vector with a NaN equals itself",
    ),
    approximated(
        "mat, mat2x2, mat2x3, mat2x4, mat3x2, mat3x3, mat3x4, mat4x2, mat4x3, mat4x4",
        "a matrix given to be filled again is taken as a column that does not fit",
    ),
    approximated(
        "require, glm",
        "glm is what servers use: numbers, vectors, rotations, polygon, segment, sphere, aabb; a function beyond that \
         raises an error with its name when it is called. The shapes of polygons are computed as MathGeoLib defines them",
    ),
    approximated(
        "the exports of oxmysql, mysql-async and ghmattimysql",
        "over SQLite by default, which takes most of MySQL's dialect, or a MySQL or MariaDB server; see docs/database.md",
    ),
    absent("require 'lmprof'", "the run is recorded from outside"),
    approximated(
        "table.type",
        "told by the keys; FXServer looks at how the table came to be: `{ [1] = 1 }` is a hash there, an array here",
    ),
    exact(
        "table.create, clone, wipe; string.strsplit, strjoin, strtrim, strconcat, tostringall; joaat, scrub",
        "",
    ),
    exact("math", ""),
    absent("math.erf, math.erfc, math.gamma, math.lgamma", "of C's functions only these are not here"),
    absent("scripts in JavaScript and C#", "only Lua runs here; they are named when their resource starts"),
];

/// The page, for natives of these names that have behaviour.
///
/// # Errors
/// The rows that the code contradicts.
pub(crate) fn page(implemented: &BTreeSet<&str>) -> Result<String, String> {
    let problems = problems(implemented);
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    let mut rows: Vec<(&str, Fidelity, &str)> = Vec::new();
    let mut names: BTreeSet<&str> = implemented.clone();
    names.extend(Table::get().rows().iter().map(|row| row.name));
    for name in names {
        let (fidelity, reason) = of_native(name, implemented);
        rows.push((name, fidelity, reason));
    }
    let count = |fidelity| rows.iter().filter(|(_, of, _)| *of == fidelity).count();
    let mut page = format!(
        "<!-- Made from the code: `TICKSCOPE_BLESS=1 cargo test -p tickscope-citizen compat`. -->\n\
         # What of FXServer is here\n\n\
         *exact*: as FXServer does it. *approximated*: it works, with the difference told. *neutral*: it takes its \
         arguments and gives what FXServer gives when the thing asked about is not there (0, false, nil, an empty list, \
         `vector3(0, 0, 0)`); the first call is told on the console, all are counted, and `--strict` makes them errors. \
         *absent*: not here; a call is an error.\n\n\
         Of {} natives {} are exact, {} approximated, {} neutral.\n\n## APIs\n\n| | | |\n|---|---|---|\n",
        rows.len(),
        count(Fidelity::Exact),
        count(Fidelity::Approximated),
        count(Fidelity::Neutral),
    );
    for note in APIS {
        line(&mut page, note.name, note.fidelity, note.reason);
    }
    page.push_str("\n## Natives\n\n| | | |\n|---|---|---|\n");
    for (name, fidelity, reason) in &rows {
        line(&mut page, name, *fidelity, reason);
    }
    Ok(page)
}

/// How true the native `name` is, and why not more; it is one that is known.
pub(crate) fn of_native(name: &str, implemented: &BTreeSet<&str>) -> (Fidelity, &'static str) {
    match NATIVES.iter().find(|note| note.name == name) {
        Some(note) => (note.fidelity, note.reason),
        None if untouched::names().any(|of| of == name) => (Fidelity::Approximated, UNTOUCHED),
        None if implemented.contains(name) => (Fidelity::Exact, ""),
        None if Table::get().named(name).is_some_and(|row| row.is_rpc) => (Fidelity::Neutral, NO_GAME),
        None if of_game(name) => (Fidelity::Neutral, NEW),
        None => (Fidelity::Neutral, ""),
    }
}

/// How true something is that scripts have beside natives: by its name, or the words of the name of a row.
pub(crate) fn of_api(name: &str) -> Option<(Fidelity, &'static str)> {
    let names = |note: &&Note| {
        note.name == name || note.name.split([',', ';', ' ']).any(|word| word.trim_end_matches("()") == name)
    };
    APIS.iter()
        .find(|note| note.name == name)
        .or_else(|| APIS.iter().find(names))
        .map(|note| (note.fidelity, note.reason))
}

/// Whether a native asks about something in the game.
fn of_game(name: &str) -> bool {
    const THINGS: [&str; 8] =
        ["vehicle", "ped", "heli", "train", "jetpack", "entity", "playerSrc", "playerId"];
    let asks = ["Get", "Is", "Has", "Does", "NetworkGet"].iter().any(|start| name.starts_with(start));
    let first = Table::get().named(name).and_then(|row| row.parameters.first());
    asks && first.is_some_and(|(parameter, _)| THINGS.contains(parameter))
}

fn line(page: &mut String, name: &str, fidelity: Fidelity, reason: &str) {
    // writing into a string does not fail
    let _ = writeln!(page, "| {name} | {} | {reason} |", fidelity.word());
}

/// Rows that speak of nothing that exists, or twice of one thing.
fn problems(implemented: &BTreeSet<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for note in NATIVES.iter().filter(|note| !seen.insert(note.name)) {
        problems.push(format!("{} has two rows", note.name));
    }
    for note in NATIVES {
        let has_behaviour = implemented.contains(note.name);
        let fits = match note.fidelity {
            Fidelity::Neutral => !has_behaviour && Table::get().named(note.name).is_some(),
            Fidelity::Absent | Fidelity::Unknown => !has_behaviour,
            Fidelity::Exact | Fidelity::Approximated => has_behaviour,
        };
        if !fits || note.reason.is_empty() {
            problems.push(format!("{} is not {}, or no reason is given", note.name, note.fidelity.word()));
        }
    }
    problems
}
