//! `fxmanifest.lua`: evaluated by Lua itself, in a state of its own that can do nothing but collect directives.
//!
//! Any global is a directive: `name 'value'`, `names { 'a', 'b' }` (one trailing `s` is dropped), and
//! `name 'value' (extra)`, which adds the entry `name_extra` with the extra as JSON.

mod globs;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use mlua::{HookTriggers, Lua, LuaOptions, StdLib, Value, VmState};

pub(crate) use globs::{Listing, is_inside};

use crate::{Error, cfxlua, json};

/// Names of the file, in the order they are tried.
pub const FILE_NAMES: [&str; 2] = ["fxmanifest.lua", "__resource.lua"];

/// Instructions a manifest may run, in units of [`HOOK_PERIOD`].
const MAX_HOOKS: u32 = 2_000;
const HOOK_PERIOD: u32 = 10_000;
const MAX_MEMORY: usize = 64 << 20;
const MAX_ENTRIES: usize = 1 << 16;

/// The directives of a resource, in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<(String, String)>,
}

impl Manifest {
    /// Evaluates `source`. `file` is used in messages.
    ///
    /// # Errors
    /// One sentence with file and line: a syntax error, a runtime error, a directive given something else than text or
    /// a list, a manifest that runs for too long or takes too much memory.
    ///
    /// ```
    /// use tickscope_citizen::Manifest;
    /// let manifest = Manifest::parse("fxmanifest.lua", b"fx_version 'cerulean'\nserver_scripts { 'a.lua', 'b.lua' }")?;
    /// assert_eq!(manifest.all("server_script").collect::<Vec<_>>(), ["a.lua", "b.lua"]);
    /// # Ok::<(), String>(())
    /// ```
    pub fn parse(file: &str, source: &[u8]) -> Result<Self, String> {
        let entries = Rc::new(RefCell::new(Vec::new()));
        evaluate(file, source, &entries).map_err(|error| message_of(&error))?;
        let entries = entries.take();
        Ok(Self { entries })
    }

    /// Reads the manifest in the folder of a resource.
    ///
    /// # Errors
    /// When there is none, or it cannot be read or evaluated, or it names no `fx_version`.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = FILE_NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let path = path.ok_or_else(|| Error::Manifest {
            path: folder.to_owned(),
            problem: "no fxmanifest.lua in this folder".into(),
        })?;
        let source = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest =
            Self::parse(&name, &source).map_err(|problem| Error::Manifest { path: path.clone(), problem })?;
        // the older kind of manifest says nothing of versions, or has one of its own
        let told =
            ["fx_version", "resource_manifest_version"].iter().any(|key| manifest.first(key).is_some());
        if name == FILE_NAMES[0] && !told {
            let problem = "no fx_version; expected a line like: fx_version 'cerulean'".into();
            return Err(Error::Manifest { path, problem });
        }
        Ok(manifest)
    }

    /// Every value of `key`, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.entries.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The first value of `key`.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every entry.
    pub fn entries(&self) -> &[(String, String)] {
        &self.entries
    }

    /// Names of resources that must run before this one. Constraints on the server and versions are left out.
    pub fn dependencies(&self) -> impl Iterator<Item = &str> {
        self.versioned_dependencies().map(|(name, _)| name)
    }

    /// Dependencies, with the version that is the least: `'ox_lib:3.0.0'`.
    pub fn versioned_dependencies(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.demands().filter(|name| !name.starts_with('/')).map(|name| match name.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (name, None),
        })
    }

    /// What is demanded of the server: `/onesync`, `/server:4500`.
    pub fn constraints(&self) -> impl Iterator<Item = &str> {
        self.demands().filter(|name| name.starts_with('/'))
    }

    fn demands(&self) -> impl Iterator<Item = &str> {
        // `dependencies { … }` loses its `s` like every list
        self.all("dependency").chain(self.all("dependencie"))
    }

    /// Patterns of the scripts a server loads, in the order it does.
    pub fn server_scripts(&self) -> impl Iterator<Item = &str> {
        self.all("shared_script").chain(self.all("server_script"))
    }

    /// Names of global functions that are exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.all("export").chain(self.all("server_export"))
    }
}

/// Keeps directives; a table is a list of values, a call of the result adds `_extra`.
const PRELUDE: &str = r#"
local add, add_extra = ...
local ipairs, type, error = ipairs, type, error
local function text(key, value)
    local kind = type(value)
    if kind == 'string' then return value end
    if kind == 'number' or kind == 'boolean' then return tostring(value) end
    error(("directive '%s': expected text or a list, got %s"):format(key, kind), 3)
end
setmetatable(_G, { __index = function(_, key)
    if type(key) ~= 'string' then return nil end
    return function(value)
        local name = key
        if type(value) == 'table' then
            name = key:gsub('s$', '')
            for _, item in ipairs(value) do add(name, text(key, item)) end
        else
            add(name, text(key, value))
        end
        return function(extra)
            local problem = add_extra(name .. '_extra', extra)
            if problem then error(("directive '%s': %s"):format(key, problem), 2) end
        end
    end
end })
"#;

fn evaluate(file: &str, source: &[u8], entries: &Rc<RefCell<Vec<(String, String)>>>) -> mlua::Result<()> {
    let libs = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
    let lua = Lua::new_with(libs, LuaOptions::new())?;
    lua.set_memory_limit(MAX_MEMORY)?;
    let globals = lua.globals();
    let store = |entries: &Rc<RefCell<Vec<(String, String)>>>, key, value| {
        let mut entries = entries.borrow_mut();
        if entries.len() >= MAX_ENTRIES {
            return Err(mlua::Error::runtime(format!("more than {MAX_ENTRIES} entries")));
        }
        entries.push((key, value));
        Ok(())
    };
    let add = lua.create_function({
        let entries = Rc::clone(entries);
        move |_, (key, value): (mlua::LuaString, mlua::LuaString)| {
            store(&entries, key.to_string_lossy(), value.to_string_lossy())
        }
    })?;
    let add_extra = lua.create_function({
        let entries = Rc::clone(entries);
        move |lua, (key, value): (mlua::LuaString, Value)| match json::encode(
            lua,
            &value,
            json::Options::default(),
        ) {
            Ok(text) => {
                store(&entries, key.to_string_lossy(), String::from_utf8_lossy(&text).into_owned())?;
                Ok(None)
            }
            Err(problem) => Ok(Some(problem)),
        }
    })?;
    lua.load(PRELUDE).set_name("=manifest").call::<()>((add, add_extra))?;
    // what could load code or touch the system; a name that is gone becomes a directive like any other
    for name in ["load", "loadfile", "dofile", "require", "collectgarbage", "print", "warn"] {
        globals.raw_set(name, Value::Nil)?;
    }
    let hooks = std::cell::Cell::new(0);
    // global: coroutines made by the manifest count too
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(HOOK_PERIOD), move |_, _| {
        hooks.set(hooks.get() + 1);
        if hooks.get() > MAX_HOOKS {
            return Err(mlua::Error::runtime("the manifest runs for too long; expected only directives"));
        }
        Ok(VmState::Continue)
    })?;
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let source = cfxlua::rewrite(source).map_err(|error| {
        let message = format!("{file}:{}: {}", error.line, error.message);
        mlua::Error::SyntaxError { message, incomplete_input: false }
    })?;
    lua.load(&*source).set_name(format!("@{file}")).set_mode(mlua::chunk::ChunkMode::Text).exec()
}

/// The message of an error without mlua's traceback.
fn message_of(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => message_of(cause),
        mlua::Error::SyntaxError { message, .. }
        | mlua::Error::RuntimeError(message)
        | mlua::Error::MemoryError(message) => message.lines().next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(source: &str, expected: &[(&str, &str)]) {
        let manifest = Manifest::parse("fxmanifest.lua", source.as_bytes()).unwrap();
        let entries: Vec<_> = manifest.entries().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(entries, expected);
    }

    #[test]
    fn directives_are_kept_in_order() {
        check(
            "fx_version 'cerulean' games { 'gta5', 'rdr3' }",
            &[("fx_version", "cerulean"), ("game", "gta5"), ("game", "rdr3")],
        );
        check(
            "server_only 'yes'\nlua54 'yes'\nmy_key(5)",
            &[("server_only", "yes"), ("lua54", "yes"), ("my_key", "5")],
        );
        check(
            "data_file 'HANDLING' 'data/handling.meta'",
            &[("data_file", "HANDLING"), ("data_file_extra", "\"data/handling.meta\"")],
        );
        check("thing 'x' { a = { 1, 2 } }", &[("thing", "x"), ("thing_extra", r#"{"a":[1,2]}"#)]);
        check("/* CfxLua */ thing `adder`", &[("thing", "-1216765807")]);
        check("for i = 1, 2 do file('f' .. i) end", &[("file", "f1"), ("file", "f2")]);
    }

    #[track_caller]
    fn check_error(source: &str, expected: &str) {
        let error = Manifest::parse("fxmanifest.lua", source.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        check_error("fx_version 'cerulean'\nserver_script {", "fxmanifest.lua:2:");
        check_error(
            "\nserver_script(nil)",
            "fxmanifest.lua:2: directive 'server_script': expected text or a list, got nil",
        );
        check_error("\nx = a?", "fxmanifest.lua:2: expected a field");
        check_error("while true do end", "runs for too long");
        check_error("coroutine.wrap(function() while true do end end)()", "runs for too long");
        check_error("x = string.rep('a', 1000000000)", "not enough memory");
        check_error("os.exit(1)", "attempt to index");
        check_error(
            "\nthing 'x' (function() end)",
            "fxmanifest.lua:2: directive 'thing': cannot write a function",
        );
        check_error("\x1bLua", "attempt to load a binary chunk");
    }

    #[test]
    fn lists_of_dependencies_are_found_whatever_their_key() {
        let manifest = Manifest::parse("m", b"dependencies { 'a:1.2', '/onesync' } dependency 'b'").unwrap();
        assert_eq!(manifest.dependencies().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(manifest.versioned_dependencies().last(), Some(("a", Some("1.2"))));
        assert_eq!(manifest.constraints().collect::<Vec<_>>(), ["/onesync"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn garbage_never_panics(source in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::parse("fxmanifest.lua", &source);
        }

        #[test]
        fn near_manifests_never_panic(source in "([a-z_]{1,8} ?['{(]?[a-z*/.]{0,6}['})]?,?\n?){0,12}") {
            let _ = Manifest::parse("fxmanifest.lua", source.as_bytes());
        }
    }
}
