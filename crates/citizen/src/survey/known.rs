//! What a VM has, and what other resources export: the names that scripts find here, and how true they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use mlua::{Lua, Value};

use super::scan::Scanned;
use super::{Fidelity, Host, Use, UseKind, is_answered_for};
use crate::cfxlua::{Argument, Use as Name};
use crate::natives::fidelity;
use crate::natives::table::{Table, snake};
use crate::resource::ResourceState;

/// What is there while scripts run, or once they ask for it.
const LATER: [&str; 3] = ["_ENV", "glm", "source"];

/// How the database is compared to FXServer's.
const DATABASE: &str = "the exports of oxmysql, mysql-async and ghmattimysql";

type Verdict = (Fidelity, String);

/// The globals of a VM.
pub(super) struct Known {
    /// Natives that have behaviour.
    implemented: BTreeSet<&'static str>,
    /// Other globals; those that are plain tables with their fields.
    globals: HashMap<String, Option<BTreeSet<String>>>,
    /// Names of natives that only clients have, as far as they were imported.
    foreign: BTreeMap<u64, String>,
    foreign_names: BTreeSet<String>,
}

impl Known {
    /// Looks at a VM in which no script ran.
    pub(super) fn new(host: &Host, lua: &Lua) -> Self {
        let text = |value: Value| value.as_string().map(|text| text.to_string_lossy());
        let mut globals = HashMap::new();
        for (name, value) in lua.globals().pairs::<Value, Value>().flatten() {
            let fields = value.as_table().filter(|table| table.metatable().is_none()).map(|table| {
                let keys = table.pairs::<Value, Value>().flatten();
                keys.filter_map(|(key, _)| text(key)).collect()
            });
            globals.extend(text(name).map(|name| (name, fields)));
        }
        globals.extend(LATER.map(|name| (name.to_owned(), None)));
        Self {
            implemented: host.known_natives.get().cloned().unwrap_or_default(),
            globals,
            foreign: host.foreign_natives.clone(),
            foreign_names: host.foreign_natives.values().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// What the scripts of a resource use, sorted by kind and name.
    pub(super) fn uses(&self, scanned: &Scanned, exports: &Exports) -> Vec<Use> {
        let mut found: BTreeMap<(UseKind, String), Use> = BTreeMap::new();
        for (file, names) in scanned.files.iter().map(|(file, content)| (file, &content.names)) {
            for name in &names.uses {
                let Some((kind, text, (fidelity, reason))) = self.judge(name, &scanned.sets, exports) else {
                    continue;
                };
                let entry = found.entry((kind, text.clone())).or_insert_with(|| Use {
                    kind,
                    name: text,
                    fidelity,
                    reason,
                    file: file.clone(),
                    line: name.line,
                    places: 0,
                });
                entry.places += 1;
            }
        }
        found.into_values().collect()
    }

    /// What a name is and how true; `None` for one of the scripts' own.
    fn judge(
        &self,
        used: &Name,
        own: &BTreeSet<String>,
        exports: &Exports,
    ) -> Option<(UseKind, String, Verdict)> {
        let (first, rest) = used.path.split_first()?;
        if own.contains(first) {
            return None;
        }
        match (&**first, rest, &used.argument) {
            ("exports", [resource, name, ..], _) => {
                return Some((
                    UseKind::Export,
                    format!("{resource}:{name}"),
                    exports.judge(resource, Some(name)),
                ));
            }
            ("exports", [resource], _) => {
                return Some((UseKind::Export, resource.clone(), exports.judge(resource, None)));
            }
            ("Citizen", [field], Some(Argument::Number(hash))) if field == "InvokeNative" => {
                return Some(self.by_hash(*hash));
            }
            ("require", [], Some(Argument::Text(module))) => {
                let text = format!("require '{module}'");
                if let Some((fidelity, reason)) = fidelity::of_api(&text) {
                    return Some((UseKind::Global, text, (fidelity, reason.to_owned())));
                }
            }
            _ => {}
        }
        let is_native = Table::get().named(first).is_some() || self.implemented.contains(&**first);
        if is_native {
            let (fidelity, reason) = fidelity::of_native(first, &self.implemented);
            return Some((UseKind::Native, first.clone(), (fidelity, reason.to_owned())));
        }
        let told =
            |name: &str| fidelity::of_api(name).map(|(fidelity, reason)| (fidelity, reason.to_owned()));
        match (self.globals.get(first), rest.first()) {
            (Some(Some(fields)), Some(field)) => {
                let name = format!("{first}.{field}");
                if own.contains(&name) {
                    return None;
                }
                let verdict = match fields.contains(field) {
                    true => told(&name).or_else(|| told(first)).unwrap_or((Fidelity::Exact, String::new())),
                    false => told(&name)
                        .filter(|(fidelity, _)| *fidelity == Fidelity::Absent)
                        .unwrap_or_else(|| (Fidelity::Unknown, format!("{first} has no such field"))),
                };
                Some((UseKind::Global, name, verdict))
            }
            (Some(_), _) => Some((
                UseKind::Global,
                first.clone(),
                told(first).unwrap_or((Fidelity::Exact, String::new())),
            )),
            (None, _) if self.foreign_names.contains(&snake(first)) => {
                let reason = "a native of the game's: servers do not have it".to_owned();
                Some((UseKind::Native, first.clone(), (Fidelity::Unknown, reason)))
            }
            (None, _) => {
                let reason = "no script of the resource sets it".to_owned();
                Some((UseKind::Global, first.clone(), (Fidelity::Unknown, reason)))
            }
        }
    }

    fn by_hash(&self, hash: u64) -> (UseKind, String, Verdict) {
        match Table::get().hashed(hash) {
            Some(row) => {
                let (fidelity, reason) = fidelity::of_native(row.name, &self.implemented);
                (UseKind::Native, row.name.to_owned(), (fidelity, reason.to_owned()))
            }
            None => {
                let (name, reason) = match self.foreign.get(&hash) {
                    Some(name) => (name.clone(), "a native of the game's: servers do not have it"),
                    None => (format!("0x{hash:016X}"), "no native of the server's has this hash"),
                };
                (UseKind::Native, name, (Fidelity::Unknown, reason.to_owned()))
            }
        }
    }
}

/// What resources export, as far as it can be seen.
pub(super) struct Exports {
    host: Rc<Host>,
    resources: BTreeMap<String, Exporter>,
    /// `resource` and `name` of exports that a handler of an event stands in for, as in the event's name.
    stand_ins: BTreeSet<String>,
}

#[derive(Default)]
struct Exporter {
    names: BTreeSet<String>,
    /// It exports under names that it computes.
    computes: bool,
    foreign: bool,
}

impl Exports {
    pub(super) fn new<'s>(host: &Rc<Host>, scanned: impl Iterator<Item = (&'s str, &'s Scanned)>) -> Self {
        let mut exports =
            Self { host: Rc::clone(host), resources: BTreeMap::new(), stand_ins: BTreeSet::new() };
        for (name, scanned) in scanned {
            let mut exporter = Exporter::default();
            if let Some(resource) = host.resources.named(name) {
                exporter.names.extend(resource.manifest().exports().map(str::to_owned));
            }
            exporter.foreign = scanned.scripts.iter().any(|script| {
                matches!(script.kind, super::ScriptKind::JavaScript | super::ScriptKind::CSharp)
            });
            for used in scanned.files.iter().flat_map(|(_, content)| &content.names.uses) {
                match (&*used.path[0], used.path.len(), &used.argument) {
                    ("exports", 1, Some(Argument::Text(name))) if used.called => {
                        exporter.names.insert(name.clone());
                    }
                    ("exports", 1, _) if used.called => exporter.computes = true,
                    ("AddEventHandler", 1, Some(Argument::Text(event))) => {
                        exports.stand_ins.extend(event.strip_prefix("__cfx_export_").map(str::to_owned));
                    }
                    _ => {}
                }
            }
            exports.resources.insert(name.to_owned(), exporter);
        }
        exports
    }

    /// The exports of a resource.
    pub(super) fn of(&self, resource: &str) -> Vec<String> {
        self.resources
            .get(resource)
            .map(|exporter| exporter.names.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// How true an export is, or only the resource it is of.
    fn judge(&self, resource: &str, name: Option<&str>) -> Verdict {
        let unknown = |reason: String| (Fidelity::Unknown, reason);
        let stood_in = name.is_some_and(|name| self.stand_ins.contains(&format!("{resource}_{name}")));
        if stood_in {
            return (Fidelity::Exact, String::new());
        }
        if let Some(meant) = self.host.find(resource)
            && is_answered_for(&meant)
        {
            let reason = fidelity::of_api(DATABASE).map_or("", |(_, reason)| reason);
            return match name.is_none_or(crate::database::is_export) {
                true => (Fidelity::Approximated, reason.to_owned()),
                false => unknown(format!("the host's own {} has no such export", meant.name)),
            };
        }
        let Some((there, exporter)) = self.host.resources.named(resource).zip(self.resources.get(resource))
        else {
            return unknown(format!("there is no resource {resource:?}"));
        };
        if there.state.get() != ResourceState::Started {
            return unknown(format!("{resource} does not start"));
        }
        match name {
            Some(name) if !exporter.names.contains(name) => {
                unknown(match (exporter.foreign, exporter.computes) {
                    (true, _) => format!("{resource} has scripts that are not Lua, which do not run here"),
                    (false, true) => format!("{resource} exports under names it computes; this may be one"),
                    (false, false) => format!("{resource} exports nothing of this name"),
                })
            }
            _ => (Fidelity::Exact, String::new()),
        }
    }
}
