//! How true to FXServer each native and API is. The page `docs/compat.md` is made of this.
//!
//! A native that has behaviour is exact unless a row here says otherwise; one that has none gives a neutral value. Add a
//! row to [`NATIVES`] or [`APIS`] where that is not the whole truth.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::table::Table;

/// How something here compares to FXServer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fidelity {
    Exact,
    Approximated,
    Neutral,
    Absent,
}

impl Fidelity {
    const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximated => "approximated",
            Self::Neutral => "neutral",
            Self::Absent => "absent",
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
/// Why most of what concerns the game itself does nothing.
const NO_GAME: &str = "the game of a client would do this; only the server runs here";

/// Natives that are less than exact, or neutral for a reason worth telling. In the order of their names.
const NATIVES: &[Note] = &[
    neutral("CanPlayerStartCommerceSession", NO_SHOP),
    neutral("DoesPlayerOwnSku", NO_SHOP),
    neutral("DoesPlayerOwnSkuExt", NO_SHOP),
    neutral("FlagServerAsPrivate", "no list of servers hears of this one"),
    approximated(
        "GetPlayerGuid",
        "a number made of the identifiers; there is no ticket of Cfx.re to take it from",
    ),
    approximated("GetPlayerLastMsg", "a virtual client has always just been heard of"),
    approximated("GetPlayerPing", "what the scenario says; no network is there to measure"),
    neutral("IsPlayerCommerceInfoLoaded", NO_SHOP),
    neutral("IsPlayerCommerceInfoLoadedExt", NO_SHOP),
    neutral("LoadPlayerCommerceData", NO_SHOP),
    neutral("LoadPlayerCommerceDataExt", NO_SHOP),
    approximated("MumbleCreateChannel", NO_VOICE),
    approximated("MumbleIsPlayerMuted", NO_VOICE),
    approximated("MumbleSetPlayerMuted", NO_VOICE),
    neutral("RequestPlayerCommerceSession", NO_SHOP),
    approximated("TempBanPlayer", "the player is dropped and may connect again at once"),
];

/// What scripts have beside natives.
const APIS: &[Note] = &[
    exact("Citizen.CreateThread, CreateThreadNow, Wait, SetTimeout, ClearTimeout", ""),
    exact("Citizen.Await, promise", ""),
    exact("Citizen.InvokeNative, ResultAs…, PointerValue…, ReturnResultAnyway", ""),
    exact("AddEventHandler, RemoveEventHandler, TriggerEvent, RegisterNetEvent, source", ""),
    exact("net events: refusal, source, latent events", ""),
    approximated(
        "exports",
        "an error names resource, export and place in one line; FXServer adds colours and prints the place apart",
    ),
    exact("GlobalState, Player().state, Entity().state", ""),
    exact("playerConnecting with setKickReason and deferrals, playerJoining, playerDropped", ""),
    exact("json, msgpack", ""),
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
        let note = NATIVES.iter().find(|note| note.name == name);
        rows.push(match note {
            Some(note) => (name, note.fidelity, note.reason),
            None if implemented.contains(name) => (name, Fidelity::Exact, ""),
            None if Table::get().named(name).is_some_and(|row| row.is_rpc) => {
                (name, Fidelity::Neutral, NO_GAME)
            }
            None => (name, Fidelity::Neutral, ""),
        });
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

fn line(page: &mut String, name: &str, fidelity: Fidelity, reason: &str) {
    // writing into a string does not fail
    let _ = writeln!(page, "| {name} | {} | {reason} |", fidelity.word());
}

/// Rows that speak of nothing that exists, or whose order is lost.
fn problems(implemented: &BTreeSet<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    for pair in NATIVES.windows(2) {
        if pair[0].name >= pair[1].name {
            problems.push(format!("{} comes before {}", pair[1].name, pair[0].name));
        }
    }
    for note in NATIVES {
        let has_behaviour = implemented.contains(note.name);
        let fits = match note.fidelity {
            Fidelity::Neutral => !has_behaviour && Table::get().named(note.name).is_some(),
            Fidelity::Absent => !has_behaviour,
            Fidelity::Exact | Fidelity::Approximated => has_behaviour,
        };
        if !fits || note.reason.is_empty() {
            problems.push(format!("{} is not {}, or no reason is given", note.name, note.fidelity.word()));
        }
    }
    problems
}
