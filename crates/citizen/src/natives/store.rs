//! The key-value store.

use mlua::Value;
use tickscope_core::Recorder;

use super::Definer;
use crate::host::{Answer, Args, Calls, Host, nothing, one};
use crate::store::Kept;

fn text<R: Recorder + 'static>(host: &Host<R>, lua: &mlua::Lua, of: &str, key: &str) -> Answer {
    let found = match host.store.borrow().get(of, key) {
        Some(Kept::Text(bytes)) => Some(bytes.clone()),
        _ => None,
    };
    match found {
        Some(bytes) => one(lua, lua.create_string(bytes)?),
        None => one(lua, Value::Nil),
    }
}

fn integer<R: Recorder + 'static>(host: &Host<R>, lua: &mlua::Lua, of: &str, key: &str) -> Answer {
    let found = match host.store.borrow().get(of, key) {
        Some(Kept::Integer(value)) => *value,
        _ => 0,
    };
    one(lua, found)
}

fn float<R: Recorder + 'static>(host: &Host<R>, lua: &mlua::Lua, of: &str, key: &str) -> Answer {
    let found = match host.store.borrow().get(of, key) {
        Some(Kept::Float(value)) => *value,
        _ => 0.0,
    };
    one(lua, found)
}

fn set<R: Recorder + 'static>(host: &Host<R>, of: &str, args: &Args, value: Kept) -> Answer {
    host.store.borrow_mut().set(of, args.text(0)?, value);
    nothing()
}

pub(super) fn install<R: Recorder + 'static>(define: &Definer<'_, R>) -> mlua::Result<()> {
    for name in ["SetResourceKvp", "SetResourceKvpNoSync"] {
        define.global(name, Calls::Recorded, |host, resource, _, args| {
            set(host, &resource.name, &args, Kept::Text(args.bytes(1)?))
        })?;
    }
    for name in ["SetResourceKvpInt", "SetResourceKvpIntNoSync"] {
        define.global(name, Calls::Recorded, |host, resource, _, args| {
            set(host, &resource.name, &args, Kept::Integer(args.integer(1)?))
        })?;
    }
    for name in ["SetResourceKvpFloat", "SetResourceKvpFloatNoSync"] {
        define.global(name, Calls::Recorded, |host, resource, _, args| {
            set(host, &resource.name, &args, Kept::Float(args.number(1)?))
        })?;
    }
    define.global("GetResourceKvpString", Calls::Recorded, |host, resource, lua, args| {
        text(host, lua, &resource.name, &args.text(0)?)
    })?;
    define.global("GetResourceKvpInt", Calls::Recorded, |host, resource, lua, args| {
        integer(host, lua, &resource.name, &args.text(0)?)
    })?;
    define.global("GetResourceKvpFloat", Calls::Recorded, |host, resource, lua, args| {
        float(host, lua, &resource.name, &args.text(0)?)
    })?;
    define.global("GetExternalKvpString", Calls::Recorded, |host, _, lua, args| {
        text(host, lua, &args.text(0)?, &args.text(1)?)
    })?;
    define.global("GetExternalKvpInt", Calls::Recorded, |host, _, lua, args| {
        integer(host, lua, &args.text(0)?, &args.text(1)?)
    })?;
    define.global("GetExternalKvpFloat", Calls::Recorded, |host, _, lua, args| {
        float(host, lua, &args.text(0)?, &args.text(1)?)
    })?;
    for name in ["DeleteResourceKvp", "DeleteResourceKvpNoSync"] {
        define.global(name, Calls::Recorded, |host, resource, _, args| {
            host.store.borrow_mut().delete(&resource.name, &args.text(0)?);
            nothing()
        })?;
    }
    define.global("FlushResourceKvp", Calls::Recorded, |host, _, _, _| {
        host.save_store();
        nothing()
    })?;
    define.global("StartFindKvp", Calls::Recorded, |host, resource, lua, args| {
        one(lua, host.store.borrow_mut().find(&resource.name, &args.text(0)?))
    })?;
    define.global("StartFindExternalKvp", Calls::Recorded, |host, _, lua, args| {
        one(lua, host.store.borrow_mut().find(&args.text(0)?, &args.text(1)?))
    })?;
    define.global("FindKvp", Calls::Silent, |host, _, lua, args| {
        let key = host.store.borrow_mut().next(args.integer(0)?);
        one(lua, key)
    })?;
    define.global("EndFindKvp", Calls::Silent, |host, _, _, args| {
        host.store.borrow_mut().end_find(args.integer(0)?);
        nothing()
    })
}
