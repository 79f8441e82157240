//! Walks over a Lua value without making a handle per element.

use std::ffi::c_int;

use mlua::{Function, Lua, Value, ffi};

use super::values::{type_name_at, vector_at};
use crate::values::Vector;

/// What a table looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Every key is a whole number from 1 to this; `holes` of them are missing. With `n`, the field of `table.pack` that
    /// tells a length (0: there is none), which counts for `len`.
    Array { len: usize, holes: usize, n: usize },
    /// Anything else, with so many pairs. An empty table is `Array { len: 0, .. }`.
    Map(usize),
}

/// Takes the parts of a value as [`walk`] meets them.
pub(crate) trait Visit {
    fn nil(&mut self);
    fn boolean(&mut self, value: bool);
    fn integer(&mut self, value: i64);
    fn number(&mut self, value: f64);
    fn string(&mut self, bytes: &[u8]);
    fn vector(&mut self, vector: &Vector);
    /// A function, number `index` of [`Walked::functions`]; `false` when functions cannot be written.
    fn function(&mut self, index: usize) -> bool;
    /// A table begins; answers whether it is walked as an array (holes as nil).
    fn open(&mut self, shape: Shape) -> bool;
    /// Before each element of an array, or each pair of a map. `false` refuses the key in front of it.
    fn next(&mut self, first: bool);
    /// Between key and value of a pair; `key` is told by the call before. See [`Visit::key`].
    fn between(&mut self);
    /// The key of a pair.
    fn key(&mut self, key: Key<'_>) -> bool;
    fn close(&mut self, array: bool);
    /// A table with this field holding a string is taken as that string: a function of another VM.
    fn reference(&mut self, _text: &[u8]) -> bool {
        false
    }
    /// An object that stands for an entity or a player: `kind` as its metatable says, and which.
    fn object(&mut self, _kind: i64, _id: i64) -> bool {
        false
    }
    /// A value of a type that cannot be written; `true` when something stands for it now.
    fn invalid(&mut self) -> bool {
        false
    }
    /// Bytes written so far.
    fn size(&self) -> usize;
}

/// The key of a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    Integer(i64),
    Number(f64),
    Boolean(bool),
    String(&'a [u8]),
    Vector(&'a Vector),
}

/// Limits and outcome of a walk.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Functions met, in order.
    pub functions: Vec<Function>,
}

/// Why a walk stopped.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Depth,
    Size,
    Type(&'static str),
    Key(&'static str),
    Stack,
}

struct Limits {
    depth: usize,
    size: usize,
}

/// The field that marks a table as a function of another VM.
pub(crate) const REFERENCE_FIELD: &str = "__cfx_functionReference";

/// Walks `values` one after the other. At most `depth` tables inside each other and `size` bytes.
///
/// # Errors
/// A sentence that says what cannot be written and why.
pub(crate) fn walk(
    lua: &Lua,
    values: &[Value],
    visitor: &mut dyn Visit,
    depth: usize,
    size: usize,
) -> Result<Walked, String> {
    let limits = Limits { depth, size };
    let mut functions = Vec::new();
    for value in values {
        match value {
            Value::Nil => visitor.nil(),
            Value::Boolean(value) => visitor.boolean(*value),
            Value::Integer(value) => visitor.integer(*value),
            Value::Number(value) => visitor.number(*value),
            Value::String(text) => visitor.string(&text.as_bytes()),
            Value::Table(_) | Value::UserData(_) => {
                walk_inside(lua, value, visitor, &limits, &mut functions)?
            }
            Value::Function(function) => {
                if !visitor.function(functions.len()) {
                    return Err("cannot write a function".into());
                }
                functions.push(function.clone());
            }
            Value::LightUserData(null) if null.0.is_null() => visitor.nil(),
            _ if visitor.invalid() => {}
            other => return Err(format!("cannot write a value of type {}", other.type_name())),
        }
        if visitor.size() > size {
            return Err(size_error(size));
        }
    }
    Ok(Walked { functions })
}

fn size_error(size: usize) -> String {
    format!("the result is larger than {} MiB", size >> 20)
}

fn walk_inside(
    lua: &Lua,
    value: &Value,
    visitor: &mut dyn Visit,
    limits: &Limits,
    functions: &mut Vec<Function>,
) -> Result<(), String> {
    let mut stopped = Ok(());
    let mut count = functions.len();
    // Stack: 1 the value, 2 the name of the reference field, 3 a table that collects functions.
    // SAFETY: the closure borrows everything from this frame and owns nothing; what may raise (a table that grows)
    // is caught by the protected call.
    let found: mlua::Result<mlua::Table> = unsafe {
        lua.exec_raw((value, REFERENCE_FIELD), |state| {
            ffi::lua_createtable(state, 0, 0);
            ffi::lua_pushvalue(state, 1);
            let mut walker = Walker { state, visitor, limits, first: count, count: &mut count };
            stopped = walker.value(0);
            ffi::lua_settop(state, 3);
            ffi::lua_replace(state, 1);
            ffi::lua_settop(state, 1);
        })
    };
    let found = found.map_err(|error| error.to_string())?;
    stopped.map_err(|stop| match stop {
        Stop::Depth => {
            format!("more than {} tables inside each other (does one contain itself?)", limits.depth)
        }
        Stop::Size => size_error(limits.size),
        Stop::Type(kind) => format!("cannot write a value of type {kind}"),
        Stop::Key(kind) => format!("cannot write a key of type {kind}"),
        Stop::Stack => "the value is nested too deeply for Lua's stack".into(),
    })?;
    functions.extend(found.sequence_values::<Function>().flatten());
    Ok(())
}

/// What `type` calls the value at `index`.
///
/// # Safety
/// `index` is acceptable. Does not raise.
unsafe fn type_name(state: *mut ffi::lua_State, index: c_int) -> &'static str {
    // SAFETY: as the caller says.
    unsafe { type_name_at(state, index) }.to_str().unwrap_or("?")
}

struct Walker<'a> {
    state: *mut ffi::lua_State,
    visitor: &'a mut dyn Visit,
    limits: &'a Limits,
    first: usize,
    count: &'a mut usize,
}

impl Walker<'_> {
    /// Walks the table on top of the stack and leaves it there.
    ///
    /// # Safety
    /// Within the protected call of [`walk_inside`].
    unsafe fn table(&mut self, depth: usize) -> Result<(), Stop> {
        if depth > self.limits.depth {
            return Err(Stop::Depth);
        }
        let state = self.state;
        let array;
        // SAFETY: six free slots are asked for first; `lua_next` is given keys it returned itself and nothing
        // changes the table meanwhile.
        unsafe {
            if ffi::lua_checkstack(state, 6) == 0 {
                return Err(Stop::Stack);
            }
            let table = ffi::lua_gettop(state);
            if ffi::lua_getmetatable(state, table) != 0 {
                if let Some((kind, id)) = object(state, table)
                    && self.visitor.object(kind, id)
                {
                    ffi::lua_settop(state, table);
                    return Ok(());
                }
                ffi::lua_settop(state, table);
                ffi::lua_pushvalue(state, 2);
                if ffi::lua_rawget(state, table) == ffi::LUA_TSTRING
                    && self.visitor.reference(bytes(state, -1))
                {
                    ffi::lua_settop(state, table);
                    return Ok(());
                }
                ffi::lua_settop(state, table);
            }
            let shape = shape(state, table);
            array = self.visitor.open(shape);
            match shape {
                Shape::Array { len, .. } if array => {
                    for index in 1..=len {
                        self.visitor.next(index == 1);
                        ffi::lua_rawgeti(state, table, index as ffi::lua_Integer);
                        self.value(depth)?;
                        ffi::lua_settop(state, table);
                    }
                }
                _ => {
                    ffi::lua_pushnil(state);
                    let mut first = true;
                    while ffi::lua_next(state, table) != 0 {
                        self.visitor.next(first);
                        first = false;
                        let vector = vector_at(state, table + 1);
                        let key = match ffi::lua_type(state, table + 1) {
                            ffi::LUA_TSTRING => Key::String(bytes(state, table + 1)),
                            ffi::LUA_TBOOLEAN => Key::Boolean(ffi::lua_toboolean(state, table + 1) != 0),
                            ffi::LUA_TNUMBER if ffi::lua_isinteger(state, table + 1) != 0 => {
                                Key::Integer(ffi::lua_tointeger(state, table + 1))
                            }
                            ffi::LUA_TNUMBER => Key::Number(ffi::lua_tonumber(state, table + 1)),
                            _ => match &vector {
                                Some(vector) => Key::Vector(vector),
                                None => return Err(Stop::Key(type_name(state, table + 1))),
                            },
                        };
                        if !self.visitor.key(key) {
                            return Err(Stop::Key(type_name(state, table + 1)));
                        }
                        self.visitor.between();
                        self.value(depth)?;
                        ffi::lua_settop(state, table + 1);
                    }
                }
            }
        }
        self.visitor.close(array);
        Ok(())
    }

    /// Writes the value on top of the stack.
    ///
    /// # Safety
    /// As [`Walker::table`].
    unsafe fn value(&mut self, depth: usize) -> Result<(), Stop> {
        let state = self.state;
        // SAFETY: each read matches the type just looked at.
        unsafe {
            match ffi::lua_type(state, -1) {
                ffi::LUA_TNIL => self.visitor.nil(),
                ffi::LUA_TBOOLEAN => self.visitor.boolean(ffi::lua_toboolean(state, -1) != 0),
                ffi::LUA_TNUMBER if ffi::lua_isinteger(state, -1) != 0 => {
                    self.visitor.integer(ffi::lua_tointeger(state, -1));
                }
                ffi::LUA_TNUMBER => self.visitor.number(ffi::lua_tonumber(state, -1)),
                ffi::LUA_TSTRING => self.visitor.string(bytes(state, -1)),
                ffi::LUA_TTABLE => self.table(depth + 1)?,
                ffi::LUA_TUSERDATA => match vector_at(state, -1) {
                    Some(vector) => self.visitor.vector(&vector),
                    None if self.visitor.invalid() => {}
                    None => return Err(Stop::Type(type_name(state, -1))),
                },
                ffi::LUA_TFUNCTION if self.visitor.function(*self.count) => {
                    *self.count += 1;
                    ffi::lua_pushvalue(state, -1);
                    ffi::lua_rawseti(state, 3, (*self.count - self.first) as ffi::lua_Integer);
                }
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(state, -1).is_null() => self.visitor.nil(),
                _ if self.visitor.invalid() => {}
                _ => return Err(Stop::Type(type_name(state, -1))),
            }
        }
        if self.visitor.size() > self.limits.size { Err(Stop::Size) } else { Ok(()) }
    }
}

/// The string at `index`.
///
/// # Safety
/// There is a string at `index`, and it stays there while the bytes are used.
unsafe fn bytes<'a>(state: *mut ffi::lua_State, index: c_int) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: for a string, `lua_tolstring` gives its own bytes and does not convert or allocate.
    unsafe {
        let data = ffi::lua_tolstring(state, index, &mut len);
        std::slice::from_raw_parts(data.cast(), len)
    }
}

/// Looks at every key of the table at `table`.
///
/// # Safety
/// There is a table at `table` and three slots are free.
unsafe fn shape(state: *mut ffi::lua_State, table: c_int) -> Shape {
    let (mut count, mut max, mut n, mut array, mut others) = (0usize, 0i64, 0i64, true, 0usize);
    // SAFETY: `lua_next` is given keys it returned itself.
    unsafe {
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, table) != 0 {
            if ffi::lua_isinteger(state, table + 1) != 0 {
                let key = ffi::lua_tointeger(state, table + 1);
                array &= key > 0;
                max = max.max(key);
                count += 1;
            } else {
                let is_n = ffi::lua_type(state, table + 1) == ffi::LUA_TSTRING
                    && bytes(state, table + 1) == b"n"
                    && ffi::lua_isinteger(state, table + 2) != 0
                    && ffi::lua_tointeger(state, table + 2) > 0;
                if is_n {
                    n = ffi::lua_tointeger(state, table + 2);
                } else {
                    array = false;
                }
                others += 1;
            }
            ffi::lua_settop(state, table + 1);
        }
    }
    match (usize::try_from(max.max(n)), usize::try_from(n)) {
        (Ok(len), Ok(n)) if array => Shape::Array { len, holes: len - count, n },
        _ => Shape::Map(count + others),
    }
}

/// What the table at `table` stands for, whose metatable is on top.
///
/// # Safety
/// As said, and three slots are free.
unsafe fn object(state: *mut ffi::lua_State, table: c_int) -> Option<(i64, i64)> {
    // SAFETY: plain reads of what was pushed.
    unsafe {
        let metatable = ffi::lua_gettop(state);
        ffi::lua_pushstring(state, c"__ext".as_ptr());
        ffi::lua_rawget(state, metatable);
        let kind = (ffi::lua_isinteger(state, -1) != 0).then(|| ffi::lua_tointeger(state, -1))?;
        ffi::lua_pushstring(state, c"__data".as_ptr());
        ffi::lua_rawget(state, table);
        (ffi::lua_isinteger(state, -1) != 0).then(|| (kind, ffi::lua_tointeger(state, -1)))
    }
}
