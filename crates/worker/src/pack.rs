//! From a machine into a [`Parcel`].

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ffi::c_void;
use std::sync::Arc;

use mlua::{Error, Lua, Value};

use crate::bytecode;
use crate::error::Refusal;
use crate::machine::Carry;
use crate::numbers::Numbers;
use crate::parcel::{Carried, Function, Item, Parcel, Table, Upvalue};
use crate::raw;

/// Why nothing was packed: the script's affair, or the machine's (out of memory).
#[derive(Debug)]
pub(crate) enum PackError {
    Refused(Refusal),
    Lua(Error),
}

impl From<Error> for PackError {
    fn from(error: Error) -> Self {
        Self::Lua(error)
    }
}

impl From<Refusal> for PackError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

type Result<T> = std::result::Result<T, PackError>;

/// What workers have in common with a machine.
pub(crate) struct Known {
    /// What every worker has by itself, by where it lies in this machine.
    libraries: HashMap<*const c_void, Arc<str>>,
    carry: Option<Carry>,
}

impl Known {
    /// `names` are the libraries of workers: `string`, `string.format`. What this machine has under a name counts as that.
    pub(crate) fn find(lua: &Lua, names: &[Arc<str>], carry: Option<Carry>) -> mlua::Result<Self> {
        let mut libraries = HashMap::new();
        for name in names {
            let mut at = Value::Table(lua.globals());
            for part in name.split('.') {
                at = match at {
                    Value::Table(table) => table.raw_get(part)?,
                    _ => Value::Nil,
                };
            }
            if matches!(at, Value::Table(_) | Value::Function(_)) {
                libraries.insert(at.to_pointer(), name.clone());
            }
        }
        Ok(Self { libraries, carry })
    }
}

/// How a value was reached.
struct Origin {
    from: Option<usize>,
    step: Step,
}

enum Step {
    Named(String),
    Field(String),
    Index(i64),
    Key,
    Metatable,
    Upvalue(String),
    Global { name: String, line: u32 },
}

enum Open {
    Table(mlua::Table),
    Function(mlua::Function),
}

/// Packs values until [`Packer::finish`].
pub(crate) struct Packer<'m> {
    lua: &'m Lua,
    known: &'m Known,
    /// In bytes.
    limit: usize,
    /// Whether globals that functions read are packed as well.
    with_globals: bool,
    environment: *const c_void,
    loaded: HashMap<*const c_void, Box<[u8]>>,
    parcel: Parcel,
    tables: HashMap<*const c_void, u32>,
    functions: HashMap<*const c_void, u32>,
    variables: HashMap<usize, u32>,
    globals: HashSet<Box<[u8]>>,
    origins: Vec<Origin>,
    /// What has a number and was not looked into yet. No recursion: lists may be a million links long.
    open: Vec<(Open, u32, usize)>,
}

impl<'m> Packer<'m> {
    pub(crate) fn new(
        lua: &'m Lua,
        known: &'m Known,
        limit: usize,
        with_globals: bool,
    ) -> mlua::Result<Self> {
        let globals = lua.globals();
        let mut loaded = HashMap::new();
        if let Value::Table(package) = globals.raw_get("package")?
            && let Value::Table(modules) = package.raw_get("loaded")?
        {
            for pair in modules.pairs::<Value, Value>() {
                if let (Value::String(name), value @ (Value::Table(_) | Value::Function(_))) = pair? {
                    loaded.insert(value.to_pointer(), name.as_bytes().to_vec().into());
                }
            }
        }
        Ok(Self {
            lua,
            known,
            limit,
            with_globals,
            environment: globals.to_pointer(),
            loaded,
            parcel: Parcel::default(),
            tables: HashMap::new(),
            functions: HashMap::new(),
            variables: HashMap::new(),
            globals: HashSet::new(),
            origins: Vec::new(),
            open: Vec::new(),
        })
    }

    /// Packs one value, known to the reader of errors as `name`.
    pub(crate) fn add(&mut self, value: &Value, name: &str) -> Result<()> {
        let origin = self.origin(None, Step::Named(name.to_owned()));
        let item = self.item(value, origin)?;
        self.parcel.values.push(item);
        while let Some((open, number, origin)) = self.open.pop() {
            match open {
                Open::Table(table) => self.look_into_table(&table, number, origin)?,
                Open::Function(function) => self.look_into_function(&function, number, origin)?,
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Parcel {
        self.parcel
    }

    fn origin(&mut self, from: Option<usize>, step: Step) -> usize {
        self.origins.push(Origin { from, step });
        self.origins.len() - 1
    }

    /// As a script would write it.
    fn place(&self, origin: usize) -> String {
        let mut steps = Vec::new();
        let mut at = Some(origin);
        while let Some(origin) = at.and_then(|at| self.origins.get(at)) {
            steps.push(&origin.step);
            at = origin.from;
            if matches!(origin.step, Step::Upvalue(_) | Step::Global { .. }) {
                break;
            }
        }
        let mut place = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Named(name) => place += name,
                Step::Field(name) => place += &format!(".{name}"),
                Step::Index(index) => place += &format!("[{index}]"),
                Step::Key => place = format!("a key of {place}"),
                Step::Metatable => place = format!("the metatable of {place}"),
                Step::Upvalue(name) => place = format!("upvalue `{name}`"),
                Step::Global { name, line } => place = format!("global `{name}` (line {line})"),
            }
        }
        place
    }

    fn weigh(&mut self, bytes: usize, origin: usize) -> Result<()> {
        self.parcel.bytes = self.parcel.bytes.saturating_add(bytes);
        if self.parcel.bytes > self.limit {
            return Err(Refusal::Large { place: self.place(origin), limit: self.limit }.into());
        }
        Ok(())
    }

    fn item(&mut self, value: &Value, origin: usize) -> Result<Item> {
        let immovable = |packer: &Self, what| {
            Err(PackError::Refused(Refusal::Immovable { place: packer.place(origin), what }))
        };
        match value {
            Value::Nil => Ok(Item::Nil),
            Value::Boolean(boolean) => Ok(Item::Boolean(*boolean)),
            Value::Integer(integer) => Ok(Item::Integer(*integer)),
            Value::Number(number) => Ok(Item::Number(*number)),
            Value::String(text) => {
                let text = text.as_bytes();
                self.weigh(text.len(), origin)?;
                Ok(Item::Text(text.to_vec().into()))
            }
            Value::Table(table) => self.table(table, origin),
            Value::Function(function) => self.function(function, origin),
            Value::UserData(data) => {
                let carried = match data.borrow::<Numbers>() {
                    Ok(numbers) => Some(Arc::new(numbers.clone()) as Arc<dyn Carried>),
                    Err(_) => self.known.carry.as_ref().and_then(|carry| carry(self.lua, value)),
                };
                let Some(carried) = carried else { return immovable(self, "a userdata") };
                self.weigh(carried.bytes(), origin)?;
                Ok(Item::Carried(carried))
            }
            Value::Thread(_) => immovable(self, "a coroutine"),
            Value::LightUserData(_) => immovable(self, "a pointer"),
            _ => immovable(self, "a value of the host"),
        }
    }

    /// What the other side has by itself.
    fn known(&self, pointer: *const c_void) -> Option<Item> {
        if let Some(name) = self.known.libraries.get(&pointer) {
            return Some(Item::Library(name.clone()));
        }
        self.loaded.get(&pointer).map(|name| Item::Module(name.clone()))
    }

    fn table(&mut self, table: &mlua::Table, origin: usize) -> Result<Item> {
        let pointer = table.to_pointer();
        if pointer == self.environment {
            let (line, file) = match self.origins.get(origin).map(|origin| &origin.step) {
                Some(Step::Global { line, .. }) => (*line, String::new()),
                _ => (0, String::new()),
            };
            return Err(match line {
                0 => Refusal::Immovable { place: self.place(origin), what: "the table of all globals" },
                line => Refusal::Globals { line, file },
            }
            .into());
        }
        if let Some(item) = self.known(pointer) {
            return Ok(item);
        }
        let number = match self.tables.entry(pointer) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let number = self.parcel.tables.len() as u32;
                entry.insert(number);
                self.parcel.tables.push(Table::default());
                self.open.push((Open::Table(table.clone()), number, origin));
                number
            }
        };
        Ok(Item::Table(number))
    }

    fn look_into_table(&mut self, table: &mlua::Table, number: u32, origin: usize) -> Result<()> {
        let mut packed = Table { length: table.raw_len(), ..Table::default() };
        self.weigh(size_of::<Table>(), origin)?;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            self.weigh(2 * size_of::<Item>(), origin)?;
            let step = match &key {
                Value::Integer(index) => Step::Index(*index),
                Value::String(name) => Step::Field(name.to_string_lossy()),
                _ => Step::Key,
            };
            // Plain values need no name, and lists have many.
            let plain = matches!(value, Value::Boolean(_) | Value::Integer(_) | Value::Number(_));
            let at = if plain { origin } else { self.origin(Some(origin), step) };
            let item = self.item(&value, at)?;
            if key == Value::Integer(packed.list.len() as i64 + 1) {
                packed.list.push(item);
                continue;
            }
            let key = match &key {
                Value::Integer(index) => Item::Integer(*index),
                key => {
                    let at = self.origin(Some(origin), Step::Key);
                    self.item(key, at)?
                }
            };
            packed.pairs.push((key, item));
        }
        if let Some(metatable) = table.metatable() {
            let at = self.origin(Some(origin), Step::Metatable);
            if metatable.raw_get::<Value>("__gc")? != Value::Nil {
                let what = "a table with a finalizer (`__gc`)";
                return Err(Refusal::Immovable { place: self.place(origin), what }.into());
            }
            match self.table(&metatable, at)? {
                Item::Table(number) => packed.metatable = Some(number),
                _ => {
                    let what = "a table whose metatable is a library";
                    return Err(Refusal::Immovable { place: self.place(origin), what }.into());
                }
            }
        }
        if let Some(place) = self.parcel.tables.get_mut(number as usize) {
            *place = packed;
        }
        Ok(())
    }

    fn function(&mut self, function: &mlua::Function, origin: usize) -> Result<Item> {
        let pointer = function.to_pointer();
        if let Some(item) = self.known(pointer) {
            return Ok(item);
        }
        if let Some(number) = self.functions.get(&pointer) {
            return Ok(Item::Function(*number));
        }
        if function.info().what == "C" {
            return Err(Refusal::Host { place: self.place(origin) }.into());
        }
        let number = self.parcel.functions.len() as u32;
        self.functions.insert(pointer, number);
        self.parcel.functions.push(Function { code: Vec::new(), upvalues: Vec::new() });
        self.open.push((Open::Function(function.clone()), number, origin));
        Ok(Item::Function(number))
    }

    fn look_into_function(&mut self, function: &mlua::Function, number: u32, origin: usize) -> Result<()> {
        let code = function.dump(false);
        self.weigh(code.len(), origin)?;
        let mut upvalues = Vec::new();
        while let Some(upvalue) = raw::upvalue(self.lua, function, upvalues.len() as i32 + 1)? {
            let index = upvalues.len() as u8;
            if let Value::Table(table) = &upvalue.value
                && table.to_pointer() == self.environment
            {
                let uses =
                    bytecode::uses(&code, index).map_err(|_| Refusal::Code { place: self.place(origin) })?;
                self.look_at_uses(function, uses, origin)?;
                upvalues.push(Upvalue::Environment);
                continue;
            }
            let next = self.parcel.variables.len() as u32;
            let variable = match self.variables.entry(upvalue.variable) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    entry.insert(next);
                    self.parcel.variables.push(Item::Nil);
                    let name = String::from_utf8_lossy(&upvalue.name).into_owned();
                    let at = self.origin(Some(origin), Step::Upvalue(name));
                    let item = self.item(&upvalue.value, at)?;
                    if let Some(place) = self.parcel.variables.get_mut(next as usize) {
                        *place = item;
                    }
                    next
                }
            };
            upvalues.push(Upvalue::Variable(variable));
        }
        if let Some(place) = self.parcel.functions.get_mut(number as usize) {
            *place = Function { code, upvalues };
        }
        Ok(())
    }

    fn look_at_uses(&mut self, function: &mlua::Function, uses: bytecode::Uses, origin: usize) -> Result<()> {
        let file = || function.info().short_src.unwrap_or_default();
        if let Some(line) = uses.whole {
            return Err(Refusal::Globals { line, file: file() }.into());
        }
        if let Some((name, line)) = uses.writes.into_iter().next() {
            let name = String::from_utf8_lossy(&name).into_owned();
            return Err(Refusal::Writes { name, line, file: file() }.into());
        }
        if !self.with_globals {
            return Ok(());
        }
        for (name, line) in uses.reads {
            if self.globals.contains(&name) {
                continue;
            }
            // Hosts make globals when they are asked for; some raise an error for those that there are not.
            let value = self.lua.globals().get::<Value>(self.lua.create_string(&name)?).unwrap_or(Value::Nil);
            let step = Step::Global { name: String::from_utf8_lossy(&name).into_owned(), line };
            let at = self.origin(Some(origin), step);
            let item = self.item(&value, at)?;
            self.globals.insert(name.clone());
            // What is nil here may be the worker's own.
            if !matches!(item, Item::Nil) {
                self.parcel.globals.push((name, item));
            }
        }
        Ok(())
    }
}
