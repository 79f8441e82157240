//! `Citizen.InvokeNative`: natives by hash, and the marks that say what to make of their results.

use std::ffi::c_void;
use std::rc::Rc;

use mlua::{LightUserData, Lua, MultiValue, Value};
use tickscope_core::{CategoryId, Outcome, Recorder};

use super::Definer;
use super::globals::Globals;
use super::table::{Table, joaat};
use crate::host::{Args, Calls, Raise, one};
use crate::raw;
use crate::values::Vector;

/// The marks, each an address of its own that scripts cannot make.
static MARKS: [u8; 11] = [0; 11];

const NAMES: [&str; 11] = [
    "ResultAsInteger",
    "ResultAsLong",
    "ResultAsFloat",
    "ResultAsString",
    "ResultAsVector",
    "ResultAsObject",
    "ResultAsObject2",
    "ReturnResultAnyway",
    "PointerValueInt",
    "PointerValueFloat",
    "PointerValueVector",
];

/// How the result of an invocation is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    AsIs,
    Integer,
    Float,
    String,
    Vector,
}

fn mark(index: usize) -> *mut c_void {
    (&raw const MARKS[index]).cast_mut().cast()
}

fn mark_of(value: &Value) -> Option<usize> {
    let Value::LightUserData(LightUserData(address)) = value else { return None };
    (0..MARKS.len()).find(|index| mark(*index) == *address)
}

/// Takes the marks out of the arguments; the last one that says how to read the result holds.
fn without_marks(values: MultiValue) -> (MultiValue, Reading) {
    let mut reading = Reading::AsIs;
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        match mark_of(&value) {
            None => kept.push(value),
            Some(0 | 1) => reading = Reading::Integer,
            Some(2) => reading = Reading::Float,
            Some(3) => reading = Reading::String,
            Some(4) => reading = Reading::Vector,
            Some(5 | 6) => reading = Reading::AsIs,
            Some(_) => {} // pointers are results that come anyway
        }
    }
    (MultiValue::from_vec(kept), reading)
}

fn read(lua: &Lua, value: &Value, reading: Reading) -> mlua::Result<Value> {
    Ok(match (reading, value) {
        (Reading::AsIs, value) => value.clone(),
        (Reading::Integer, Value::Integer(_)) => value.clone(),
        (Reading::Integer, Value::Number(number)) => Value::Integer(*number as i64),
        (Reading::Integer, other) => Value::Integer(other.as_boolean().unwrap_or(false).into()),
        (Reading::Float, Value::Integer(number)) => Value::Number(*number as f64),
        (Reading::Float, Value::Number(_)) => value.clone(),
        (Reading::Float, _) => Value::Number(0.0),
        (Reading::String, Value::String(_)) => value.clone(),
        (Reading::String, _) => Value::Nil,
        (Reading::Vector, Value::Nil | Value::Boolean(_) | Value::Integer(_) | Value::Number(_)) => {
            raw::into_value(lua, Vector::vector3([0.0; 3]))?
        }
        (Reading::Vector, other) => other.clone(),
    })
}

/// The hash in the first argument: a number, signed or not, or text in hexadecimal.
fn hash_of(args: &Args) -> Result<u64, Raise> {
    let number = match args.get(0) {
        Value::String(text) => {
            let text = text.to_string_lossy();
            let digits = text.trim().trim_start_matches("0x").trim_start_matches("0X");
            return u64::from_str_radix(digits, 16).map_err(|_| args.wrong(0, "native hash"));
        }
        _ => args.integer(0)?,
    };
    // a hash of a name has 32 bits; written as a negative number it is the same one
    let signed = i64::from(i32::MIN)..0;
    Ok(if signed.contains(&number) { u64::from(number as u32) } else { number.cast_unsigned() })
}

pub(super) fn install<R: Recorder + 'static>(
    define: &Definer<'_, R>,
    natives: &Rc<Globals<R>>,
) -> mlua::Result<()> {
    let natives = Rc::clone(natives);
    let invoke = define.host.native(
        define.resource,
        define.lua,
        "InvokeNative",
        Calls::Silent,
        move |host, resource, lua, args| {
            let hash = hash_of(&args)?;
            let Some(row) = Table::get().hashed(hash) else {
                let name = host.native_name(hash);
                return Err(Raise::Text(format!("attempt to call a nil value (native '{name}')")));
            };
            let mut values = args.values;
            values.pop_front();
            let (values, reading) = without_marks(values);
            let symbol = host.probe.native(&resource.name, row.name);
            let span = host.probe.begin(symbol, CategoryId::NATIVE, None, &[]);
            let answer = natives.call(host, resource, lua, row, values);
            if let Some(span) = span {
                let failed = matches!(answer, Err(Raise::Text(_) | Raise::Value(_)));
                host.probe.end(span, if failed { Outcome::Error } else { Outcome::Ok });
            }
            let mut values = answer?;
            if let Some(first) = values.front_mut() {
                *first = read(lua, first, reading)?;
            }
            Ok(values)
        },
    )?;
    define.citizen.raw_set("InvokeNative", invoke)?;
    for (index, name) in NAMES.into_iter().enumerate() {
        let value = Value::LightUserData(LightUserData(mark(index)));
        let get =
            define.host.native(define.resource, define.lua, name, Calls::Silent, move |_, _, lua, _| {
                one(lua, value.clone())
            })?;
        define.citizen.raw_set(name, get)?;
    }
    for (name, of) in [("PointerValueIntInitialized", 8), ("PointerValueFloatInitialized", 9)] {
        define.citizen.raw_set(name, define.citizen.raw_get::<Value>(NAMES[of])?)?;
    }
    define.global("GetHashKey", Calls::Silent, |_, _, lua, args| {
        let hash = match args.get(0) {
            Value::Nil => 0,
            _ => joaat(&args.text(0)?),
        };
        one(lua, i64::from(hash.cast_signed()))
    })
}
