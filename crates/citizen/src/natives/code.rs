//! What `load` does before Lua loads.

use std::borrow::Cow;

use mlua::{MultiValue, Value};
use tickscope_core::Recorder;

use super::Definer;
use crate::cfxlua;
use crate::host::{Calls, one};

/// How many chunks a VM may name so that the tracer keeps the names of their functions.
const MAX_NAMED: u32 = 4_096;

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    // text and chunk name in; text out, or nil and a message
    define.private("load", Calls::Silent, |_, resource, lua, args| {
        let name = args.bytes(1)?;
        let Value::String(chunk) = args.get(0) else { return one(lua, args.get(0).clone()) };
        let source = chunk.as_bytes();
        let text = match cfxlua::rewrite(&source) {
            Ok(text) => text,
            Err(error) => {
                let mut message = cfxlua::chunk_name(&name);
                message.extend_from_slice(format!(":{}: {}", error.line, error.message).as_bytes());
                let message = Value::String(lua.create_string(message)?);
                return Ok(MultiValue::from_vec(vec![Value::Nil, message]));
            }
        };
        if let (Some(machine), Ok(name)) = (resource.machine(), std::str::from_utf8(&name))
            && name.starts_with("@@")
            && machine.named_chunks.get() < MAX_NAMED
        {
            machine.named_chunks.set(machine.named_chunks.get() + 1);
            machine.vm.register_chunk(name, &text);
        }
        match text {
            Cow::Borrowed(_) => one(lua, chunk.clone()),
            Cow::Owned(text) => one(lua, lua.create_string(text)?),
        }
    })
}
