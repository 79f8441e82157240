//! Which Lua is in which module, decided by the functions it has.

mod marks;
mod report;

use std::collections::BTreeMap;

pub use marks::{LuaVersion, Refusal};
pub use report::{FileReport, Survey, Verdict, examine};

use super::elf::{Image, Kind};
use super::error::Error;
use super::modules::{self, Held, Module};
use super::symbols::{self, Functions};

/// A module with one of these is a Lua, not a program that uses one. The second is for those before 5.1.
const SIGNS: [&str; 2] = ["lua_newstate", "lua_gettop"];
/// How the functions of a Lua begin: `lua_`, `luaL_`, `luaJIT_`, and the internal ones.
const PREFIX: &str = "lua";
/// The text in which a Lua names its release.
const IDENT: &str = "lua_ident";

/// A Lua in this process.
#[derive(Clone, Debug)]
pub struct FoundLua {
    /// Where it is.
    pub module: Module,
    /// Which one.
    pub version: LuaVersion,
    /// What it calls itself, as `5.4.4`; LuaJIT does not say.
    pub release: Option<String>,
    /// Its functions whose names begin with `lua`. Where it exports them, only the exported ones.
    pub symbols: Functions,
}

/// Every Lua in this process that is supported.
///
/// # Errors
/// When there is none: what was looked at, and what was there instead.
pub fn find_lua() -> Result<Vec<FoundLua>, Survey> {
    let mut survey = survey();
    match survey.found.is_empty() {
        true => Err(survey),
        false => Ok(std::mem::take(&mut survey.found)),
    }
}

/// Looks into every module of this process but our own.
pub fn survey() -> Survey {
    let mut survey = Survey::default();
    for module in modules::loaded(survey_address()) {
        let path = module.path.clone();
        let verdict = match look(module) {
            Ok(found) => {
                let verdict = Verdict::Lua { version: found.version, release: found.release.clone() };
                survey.found.push(found);
                verdict
            }
            Err(verdict) => verdict,
        };
        survey.modules.push((path, verdict));
    }
    survey
}

fn survey_address() -> *const () {
    survey as *const ()
}

fn look(module: Module) -> Result<FoundLua, Verdict> {
    let held = module.hold().map_err(Verdict::Unreadable)?;
    let image = held.image();
    let exports = image
        .dynamic_table()
        .is_ok_and(|table| SIGNS.iter().any(|sign| table.find(Kind::Function, sign.as_bytes()).is_some()));
    let exported = match exports {
        true => symbols::exported(&held, PREFIX).map_err(Verdict::Unreadable)?,
        false => Functions::new(),
    };
    let (version, symbols) = judge(exported, || symbols::unexported(&held, PREFIX))?;
    let release = release(&held, &image, version);
    marks::check_release(version, release.as_deref()).map_err(Verdict::Refused)?;
    drop(image);
    drop(held);
    Ok(FoundLua { module, version, release, symbols })
}

/// What functions a module has says which Lua it is. Those that are not exported are asked for only when the others do
/// not say.
fn judge<T>(
    exported: BTreeMap<String, T>,
    unexported: impl FnOnce() -> Result<Option<BTreeMap<String, T>>, Error>,
) -> Result<(LuaVersion, BTreeMap<String, T>), Verdict> {
    let is_lua = |names: &BTreeMap<String, T>| SIGNS.iter().any(|sign| names.contains_key(*sign));
    let mut verdict = None;
    if is_lua(&exported) {
        match marks::decide(&|name| exported.contains_key(name)) {
            Ok(version) => return Ok((version, exported)),
            Err(refusal) => verdict = Some(Verdict::Refused(refusal)),
        }
    }
    match unexported() {
        Ok(Some(mut names)) => {
            names.extend(exported);
            if !is_lua(&names) {
                return Err(Verdict::NoLua);
            }
            match marks::decide(&|name| names.contains_key(name)) {
                Ok(version) => Ok((version, names)),
                Err(refusal) => Err(Verdict::Refused(refusal)),
            }
        }
        Ok(None) => Err(verdict.unwrap_or(Verdict::Stripped)),
        Err(error) => Err(verdict.unwrap_or(Verdict::Unreadable(error))),
    }
}

fn release(held: &Held<'_>, image: &Image<'_>, version: LuaVersion) -> Option<String> {
    if version == LuaVersion::LuaJit {
        return None;
    }
    let address = symbols::data(held, IDENT)?;
    marks::release_of(image.at(address)?)
}
