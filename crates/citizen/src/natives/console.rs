//! What scripts print.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Calls, nothing, one, text_of};

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    define.global("print", Calls::Recorded, |host, resource, lua, args| {
        let machine = resource.machine();
        let mut line = String::new();
        for (index, value) in args.values.iter().enumerate() {
            if index > 0 {
                line.push('\t');
            }
            match (value, &machine) {
                (
                    Value::Table(_) | Value::UserData(_) | Value::Function(_) | Value::Thread(_),
                    Some(machine),
                ) => match machine.to_string.call::<mlua::LuaString>(value) {
                    Ok(text) => line.push_str(&tickscope_core::escape(&text.as_bytes())),
                    Err(error) => return Err(error.into()),
                },
                (Value::Boolean(value), _) => line.push_str(if *value { "true" } else { "false" }),
                (Value::Integer(value), _) => line.push_str(&value.to_string()),
                (Value::Number(_), Some(machine)) => {
                    line.push_str(&machine.to_string.call::<mlua::LuaString>(value)?.to_string_lossy());
                }
                (Value::Number(value), None) => line.push_str(&format!("{value:?}")),
                (Value::String(text), _) => line.push_str(&String::from_utf8_lossy(&text.as_bytes())),
                (other, Some(machine)) => line.push_str(&text_of(&machine.to_string, lua, other)),
                (_, None) => line.push('?'),
            }
        }
        host.console.borrow_mut().print(&resource.name, &line);
        nothing()
    })?;
    define.global("RegisterConsoleListener", Calls::Recorded, |host, resource, lua, args| {
        host.listen(resource, args.callable(lua, 0)?);
        nothing()
    })?;
    define.global("GetConsoleBuffer", Calls::Recorded, |host, _, lua, _| {
        let text = host.console.borrow().text();
        one(lua, text)
    })?;
    let trace = define.make("Trace", Calls::Recorded, |host, resource, _, args| {
        host.console.borrow_mut().print(&resource.name, args.text(0)?.trim_end_matches('\n'));
        nothing()
    })?;
    define.citizen.raw_set("Trace", trace)
}
