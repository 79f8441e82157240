//! The globals of scripts: CitizenFX's functions, and the standard library with what a server does not give.
//!
//! The parts that are Lua are in `src/lua/`; their functions show up in stacks under `citizen:/`.

mod access;
mod arguments;
mod code;
mod console;
mod entities;
mod events;
mod exports;
pub(crate) mod fidelity;
mod files;
mod globals;
mod http;
mod invoke;
mod jobs;
mod passwords;
mod peds;
mod players;
mod profiler;
mod resources;
mod scopes;
mod server;
mod state_bags;
mod store;
pub(crate) mod table;
mod threads;
mod time;
mod untouched;
mod values;
mod vehicles;

use std::rc::Rc;

use mlua::{Function, Lua, Table};
use tickscope_core::Recorder;

use crate::host::{Answer, Args, Calls, Host};
use crate::raw;
use crate::resource::Resource;

use globals::Globals;

/// What a native does.
type Body<R> = fn(&Rc<Host<R>>, &Rc<Resource>, &Lua, Args) -> Answer;

/// Defines natives of one VM as globals, or as fields of a table.
pub(crate) struct Definer<'a, R: Recorder + 'static> {
    host: &'a Rc<Host<R>>,
    resource: &'a Rc<Resource>,
    lua: &'a Lua,
    globals: Table,
    citizen: Table,
    /// What only the parts in Lua may call.
    private: Table,
    natives: Rc<Globals<R>>,
}

impl<R: Recorder + 'static> Definer<'_, R> {
    fn make(&self, name: &'static str, calls: Calls, body: Body<R>) -> mlua::Result<Function> {
        self.host.native(self.resource, self.lua, name, calls, body)
    }

    /// A native that becomes a global once a script asks for it; at once where Lua has a global of that name.
    fn global(&self, name: &'static str, calls: Calls, body: Body<R>) -> mlua::Result<()> {
        self.natives.add(name, calls, body);
        match self.globals.contains_key(name)? {
            true => self.globals.raw_set(name, self.make(name, calls, body)?),
            false => Ok(()),
        }
    }

    /// A global that is a field of `Citizen` too.
    fn citizen(&self, name: &'static str, calls: Calls, body: Body<R>) -> mlua::Result<()> {
        let function = self.make(name, calls, body)?;
        self.citizen.raw_set(name, &function)?;
        self.globals.raw_set(name, function)
    }

    pub(crate) fn private(&self, name: &'static str, calls: Calls, body: Body<R>) -> mlua::Result<()> {
        self.private.raw_set(name, self.make(name, calls, body)?)
    }
}

/// What Rust keeps of a VM's globals.
pub(crate) struct Installed {
    pub(crate) references: Table,
    pub(crate) subscribe: Function,
    pub(crate) to_string: Function,
    pub(crate) crossing: Option<tickscope_worker::Crossing>,
}

/// Sources of the parts in Lua, with the chunk names their functions show up under.
pub(crate) const LUA_PARTS: [(&str, &str); 4] = [
    ("@citizen:/promise.lua", include_str!("lua/promise.lua")),
    ("@citizen:/state.lua", include_str!("lua/state.lua")),
    ("@citizen:/sandbox.lua", include_str!("lua/sandbox.lua")),
    ("@citizen:/modules.lua", include_str!("lua/modules.lua")),
];

/// What only a scenario has.
pub(crate) const SCENARIO_PART: (&str, &str) = ("@citizen:/scenario.lua", include_str!("lua/scenario.lua"));

/// Gives a fresh VM of `resource` everything its scripts may use.
pub(crate) fn install<R: Recorder + 'static>(
    host: &Rc<Host<R>>,
    resource: &Rc<Resource>,
    lua: &Lua,
) -> mlua::Result<Installed> {
    raw::install_values(lua)?;
    let globals = lua.globals();
    let definer = Definer {
        host,
        resource,
        lua,
        citizen: lua.create_table()?,
        private: lua.create_table()?,
        globals: globals.clone(),
        natives: Rc::default(),
    };
    invoke::install(&definer, &definer.natives)?;
    let to_string: Function = globals.raw_get("tostring")?;
    globals.raw_set("Citizen", &definer.citizen)?;
    let references = threads::install(&definer)?;
    definer.private.raw_set("references", &references)?;
    events::install(&definer)?;
    exports::install(&definer)?;
    access::install(&definer)?;
    state_bags::install(&definer)?;
    resources::install(&definer)?;
    server::install(&definer)?;
    scopes::install(&definer)?;
    profiler::install(&definer)?;
    passwords::install(&definer)?;
    untouched::install(&definer)?;
    files::install(&definer)?;
    players::install(&definer)?;
    entities::install(&definer)?;
    vehicles::install(&definer)?;
    peds::install(&definer)?;
    code::install(&definer)?;
    console::install(&definer)?;
    time::install(&definer)?;
    values::install(&definer)?;
    store::install(&definer)?;
    http::install(&definer)?;
    jobs::install(&definer)?;
    globals::install(host, resource, lua, &definer.natives)?;
    definer.private.raw_set("open_glm", raw::glm_function(lua)?)?;
    for (name, source) in LUA_PARTS {
        lua.load(source).set_name(name).call::<()>(&definer.private)?;
    }
    lua.set_named_registry_value(values::WRITABLE, definer.private.raw_get::<Function>("writable")?)?;
    host.known_natives.get_or_init(|| {
        let made = table::Table::get().rows().iter().map(|row| row.name);
        let made = made.filter(|name| matches!(globals.raw_get(*name), Ok(mlua::Value::Function(_))));
        made.chain(definer.natives.names()).collect()
    });
    if resource.id == crate::scenario::ID {
        crate::scenario::install(&definer)?;
        let (name, source) = SCENARIO_PART;
        lua.load(source).set_name(name).call::<()>(&definer.private)?;
    }
    let subscribe = definer.private.raw_get("subscribe")?;
    // Workers have libraries of their own, whatever is made of them here.
    let crossing = host.crossing(lua)?;
    Ok(Installed { references, subscribe, to_string, crossing })
}
