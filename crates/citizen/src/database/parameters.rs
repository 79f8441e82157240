//! Values between scripts and the database.

use std::collections::BTreeMap;

use mlua::{Lua, Value};

use tickscope_sql::placeholders::{Given, Parameter};
use tickscope_sql::{Answer, Kind, Rows, SqlValue};

/// Lists inside each other.
const MAX_DEPTH: usize = 8;

fn one(value: &Value) -> Result<SqlValue, String> {
    Ok(match value {
        Value::Nil => SqlValue::Null,
        Value::Boolean(value) => SqlValue::Bool(*value),
        Value::Integer(number) => SqlValue::Int(*number),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            SqlValue::Int(*number as i64)
        }
        Value::Number(number) => SqlValue::Float(*number),
        Value::String(text) => SqlValue::Text(text.as_bytes().to_vec()),
        other => return Err(format!("a parameter is a {}, which a database cannot hold", other.type_name())),
    })
}

fn parameter(value: &Value, depth: usize) -> Result<Parameter, String> {
    let Value::Table(table) = value else { return one(value).map(Parameter::One) };
    if depth >= MAX_DEPTH {
        return Err(format!("a parameter has more than {MAX_DEPTH} tables inside each other"));
    }
    let (mut list, mut fields) = (BTreeMap::new(), BTreeMap::new());
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        let value = parameter(&value, depth + 1)?;
        match key {
            Value::Integer(index) => {
                list.insert(index, value);
            }
            Value::String(name) => {
                fields.insert(name.to_string_lossy(), value);
            }
            _ => return Err("a parameter has a key that is no number and no text".into()),
        }
    }
    Ok(if fields.is_empty() {
        Parameter::List(list.into_values().collect())
    } else {
        Parameter::Fields(fields.into_iter().collect())
    })
}

/// The parameters a script gave: by position, holes are null, or by name, with or without `@` or `:`.
pub(super) fn given(value: &Value) -> Result<Given, String> {
    let table = match value {
        Value::Nil => return Ok(Given::Positions(BTreeMap::new())),
        Value::Table(table) => table,
        other => {
            return Err(format!("Parameters expected an array but received {} instead.", other.type_name()));
        }
    };
    let (mut positions, mut names) = (BTreeMap::new(), BTreeMap::new());
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        let value = parameter(&value, 0)?;
        match key {
            Value::Integer(index) => {
                let index =
                    usize::try_from(index).map_err(|_| format!("parameter {index}: expected 1 or more"))?;
                positions.insert(index, value);
            }
            Value::String(name) => {
                let name = name.to_string_lossy();
                match name.parse::<usize>() {
                    Ok(index) => {
                        positions.insert(index, value);
                    }
                    Err(_) => {
                        names.insert(name.trim_start_matches(['@', ':']).to_owned(), value);
                    }
                }
            }
            _ => return Err("a parameter has a key that is no number and no text".into()),
        }
    }
    Ok(if names.is_empty() { Given::Positions(positions) } else { Given::Names(names) })
}

/// The sets of parameters of a prepared statement: one, or a list of them.
pub(super) fn given_sets(value: &Value, placeholders: usize) -> Result<Vec<Given>, String> {
    if let Value::Table(table) = value {
        let elements: Vec<Value> =
            table.sequence_values().collect::<mlua::Result<_>>().map_err(|e| e.to_string())?;
        if !elements.is_empty() && elements.iter().all(|element| matches!(element, Value::Table(_))) {
            return elements
                .iter()
                .map(|element| given(element).map(|given| cut(given, placeholders)))
                .collect();
        }
    }
    Ok(vec![cut(given(value)?, placeholders)])
}

fn cut(given: Given, placeholders: usize) -> Given {
    match given {
        Given::Positions(mut all) => {
            all.retain(|position, _| *position <= placeholders);
            Given::Positions(all)
        }
        names => names,
    }
}

fn field(lua: &Lua, value: &SqlValue, kind: Kind, prepared: bool) -> mlua::Result<Value> {
    Ok(match (value, kind) {
        (SqlValue::Null, Kind::Flag) if !prepared => Value::Boolean(false),
        (SqlValue::Int(number), Kind::Flag) if !prepared => Value::Boolean(*number == 1),
        (SqlValue::Null, _) => Value::Nil,
        (SqlValue::Bool(value), _) => Value::Boolean(*value),
        (SqlValue::Int(number), _) => Value::Integer(*number),
        (SqlValue::Float(number), _) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Value::Integer(*number as i64)
        }
        (SqlValue::Float(number), _) => Value::Number(*number),
        (SqlValue::Text(text), _) => Value::String(lua.create_string(text)?),
        (SqlValue::Bytes(bytes), _) => {
            Value::Table(lua.create_sequence_from(bytes.iter().map(|byte| i64::from(*byte)))?)
        }
    })
}

fn row(lua: &Lua, rows: &Rows, index: usize, prepared: bool) -> mlua::Result<Value> {
    let Some(fields) = rows.rows.get(index) else { return Ok(Value::Nil) };
    let table = lua.create_table_with_capacity(0, rows.columns.len())?;
    for ((name, kind), value) in rows.columns.iter().zip(fields) {
        table.raw_set(name.as_str(), field(lua, value, *kind, prepared)?)?;
    }
    Ok(Value::Table(table))
}

/// What a script gets of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Every row, or what was changed.
    All,
    /// The first row.
    Single,
    /// The first field of it.
    Scalar,
    InsertId,
    Affected,
}

/// The value of an answer in that shape.
pub(super) fn value(lua: &Lua, answer: &Answer, shape: Shape, prepared: bool) -> mlua::Result<Value> {
    Ok(match (shape, answer) {
        (Shape::All, Answer::Rows(rows)) => {
            let list = lua.create_table_with_capacity(rows.rows.len(), 0)?;
            for index in 0..rows.rows.len() {
                list.raw_push(row(lua, rows, index, prepared)?)?;
            }
            Value::Table(list)
        }
        (Shape::All, Answer::Done { affected, insert_id }) => {
            let table = lua.create_table()?;
            table.raw_set("affectedRows", *affected as i64)?;
            table.raw_set("insertId", *insert_id as i64)?;
            table.raw_set("fieldCount", 0)?;
            table.raw_set("warningStatus", 0)?;
            table.raw_set("serverStatus", 2)?;
            table.raw_set("info", "")?;
            Value::Table(table)
        }
        (Shape::Single, Answer::Rows(rows)) => row(lua, rows, 0, prepared)?,
        (Shape::Scalar, Answer::Rows(rows)) => {
            match (rows.rows.first().and_then(|row| row.first()), rows.columns.first()) {
                (Some(value), Some((_, kind))) => field(lua, value, *kind, prepared)?,
                _ => Value::Nil,
            }
        }
        (Shape::InsertId, Answer::Done { insert_id, .. }) => Value::Integer(*insert_id as i64),
        (Shape::Affected, Answer::Done { affected, .. }) => Value::Integer(*affected as i64),
        _ => Value::Nil,
    })
}
