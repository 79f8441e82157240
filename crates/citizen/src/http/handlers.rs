//! Handlers of scripts (`SetHttpHandler`), and the requests they answer.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::Sender;

use mlua::{Function, Lua, MultiValue, Table, Value};
use tickscope_core::{CategoryId, Recorder};
use tickscope_http::{Asked, Header, Incoming, Limits, Listener, News, Reply};

use crate::callback::{call_of, callable};
use crate::host::{Args, Calls, Host, Raise, error_text, nothing};
use crate::probe::Boundary;
use crate::report::{ErrorKind, ScriptError};
use crate::resource::Resource;
use crate::schedule::Ended;

/// Bytes of an answer's body.
const MAX_REPLY: usize = 64 << 20;

/// What spans of handlers are called.
const SYMBOL: &str = "http handler";

/// The function a resource answers with.
pub(super) struct Handler {
    function: Function,
    boundary: Boundary,
}

/// A coroutine that waits and is part of a handler.
pub(super) struct Running {
    resource: usize,
    request: u64,
}

/// A request that is not answered yet.
pub(super) struct Open {
    resource: usize,
    reply: Sender<Reply>,
    answer: Reply,
    body: Vec<u8>,
    /// Gets the body, as text or as a list of bytes.
    data: Option<(Value, bool)>,
    cancel: Option<Value>,
}

/// The resource a target names, and what of it is left for its handler.
fn split(target: &str) -> Option<(&str, String)> {
    let path = match target.split_once("://") {
        // what a proxy is asked for
        Some((scheme, rest)) if !scheme.contains('/') => &rest[rest.find('/')?..],
        _ => target,
    };
    let rest = path.strip_prefix('/')?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (name, local) = rest.split_at(end);
    let local = if local.starts_with('/') { local.to_owned() } else { format!("/{local}") };
    (!name.is_empty()).then_some((name, local))
}

/// Whether this may stand in a head: no line can be begun with it.
fn fits_head(name: &[u8], value: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(token) && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// What scripts may not say of an answer: it is said for them.
fn is_ours(name: &str) -> bool {
    ["content-length", "transfer-encoding", "connection"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// The headers in the argument at `index`.
fn headers(args: &Args, index: usize) -> Result<Vec<Header>, Raise> {
    let mut headers = Vec::new();
    if args.get(index).is_nil() {
        return Ok(headers);
    }
    let mut add = |name: &mlua::LuaString, value: Value| {
        let value = match value {
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Integer(number) => number.to_string().into_bytes(),
            Value::Number(number) => format!("{number:?}").into_bytes(),
            other => {
                let (name, got) = (name.to_string_lossy(), other.type_name());
                return Err(Raise::Text(format!("{}: header {name} is a {got}, not text", args.native)));
            }
        };
        if !fits_head(&name.as_bytes(), &value) {
            let name = name.to_string_lossy();
            return Err(Raise::Text(format!(
                "{}: header {name:?} has characters that no header may have",
                args.native
            )));
        }
        headers.push((name.to_string_lossy(), value));
        Ok(())
    };
    for pair in args.table(index)?.pairs::<Value, Value>() {
        let (Value::String(name), value) = pair? else { continue };
        match value {
            Value::Table(list) => {
                for value in list.sequence_values::<Value>() {
                    add(&name, value?)?;
                }
            }
            value => add(&name, value)?,
        }
    }
    headers.retain(|(name, _)| !is_ours(name));
    // the order in a table differs from run to run
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(headers)
}

impl<R: Recorder + 'static> Host<R> {
    /// `SetHttpHandler`: from here on this function gets what asks for the resource.
    pub(crate) fn set_http_handler(self: &Rc<Self>, resource: &Rc<Resource>, function: Function) {
        let symbol = self.probe.named(resource, SYMBOL, &function);
        let handler =
            Rc::new(Handler { function, boundary: Boundary { symbol, category: CategoryId::HTTP } });
        let old = self.http.handlers.borrow_mut().insert(resource.id, handler);
        drop(old);
        let Some(address) = self.http.listen else { return };
        if self.http.address().is_some() || self.http.deaf.get() {
            return;
        }
        match Listener::bind(address, Limits::default(), None) {
            Ok(listener) => {
                let address = listener.address();
                *self.http.listener.borrow_mut() = Some(listener);
                self.say(&format!(
                    "HTTP handlers of resources are reached at http://{address}/resource/path"
                ));
            }
            Err(error) => {
                self.http.deaf.set(true);
                let problem = format!("HTTP handlers are not reached: cannot listen on {address}: {error}");
                let error = ScriptError::of_resource("server", &problem);
                self.report(&ScriptError { kind: ErrorKind::Config, tick: self.tick.get(), ..error });
            }
        }
    }

    /// Hands what was asked since the last tick to the handlers.
    pub(crate) fn serve_http(self: &Rc<Self>) {
        let Some(news) = self.http.listener.borrow().as_ref().map(Listener::take) else { return };
        for news in news {
            if self.ending.is_set() {
                return;
            }
            match news {
                News::Asked(incoming) => self.begin_http(incoming),
                News::Gone(id) => self.cancel_http(id),
            }
        }
        // those that were set while a handler had already waited
        let ready = |open: &Open| open.data.is_some();
        let late: Vec<u64> = {
            let open = self.http.open.borrow();
            open.iter().filter(|(_, open)| ready(open)).map(|(id, _)| *id).collect()
        };
        for id in late {
            self.give_data(id);
        }
    }

    fn begin_http(self: &Rc<Self>, incoming: Incoming) {
        let Incoming { id, asked, address, reply } = incoming;
        let found = split(&asked.target).and_then(|(name, path)| {
            let resource = self.resources.named(name)?;
            let handler = Rc::clone(self.http.handlers.borrow().get(&resource.id)?);
            Some((resource.machine()?, resource, handler, path))
        });
        let Some((machine, resource, handler, path)) = found else {
            let _ = reply.send(Reply::plain(404, "Not found.")); // they may have gone
            return;
        };
        let tables = self.request_table(&resource, &machine.lua, id, (&asked, &path, address));
        let tables = tables.and_then(|request| {
            Ok(vec![Value::Table(request), Value::Table(self.response_table(&resource, &machine.lua, id)?)])
        });
        let answer = Reply { status: 200, headers: Vec::new(), body: Vec::new() };
        let open = Open { resource: resource.id, reply, answer, body: asked.body, data: None, cancel: None };
        self.http.open.borrow_mut().insert(id, open);
        match tables {
            Ok(tables) => {
                let call = (handler.function.clone(), MultiValue::from_vec(tables));
                self.run_http(&resource, id, call, handler.boundary);
                self.give_data(id);
            }
            Err(error) => {
                let error = ScriptError::of_resource(&resource.name, &error_text(&error));
                self.http_failed(id);
                self.report(&ScriptError { kind: ErrorKind::Script, tick: self.tick.get(), ..error });
            }
        }
    }

    /// Runs what is part of a handler: when it fails, the request is answered with 500.
    fn run_http(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        id: u64,
        (function, arguments): (Function, MultiValue),
        boundary: Boundary,
    ) {
        let token = || self.schedule.number();
        let (ended, token) = self.start_for(resource, function, arguments, boundary, None, Some(&token));
        if let Some(token) = token {
            self.http.running.borrow_mut().insert(token, Running { resource: resource.id, request: id });
        }
        if matches!(ended, Ended::Failed(_)) {
            self.http_failed(id);
        }
        self.tell(ended);
    }

    /// A coroutine with a token has ended; `false` when it was no part of a handler.
    pub(crate) fn http_slice_ended(&self, token: u64, ended: &Ended) -> bool {
        let Some(running) = self.http.running.borrow_mut().remove(&token) else { return false };
        if matches!(ended, Ended::Failed(_)) {
            self.http_failed(running.request);
        }
        true
    }

    fn http_failed(&self, id: u64) {
        self.answer_http(id, Reply::plain(500, "The handler failed."));
    }

    fn answer_http(&self, id: u64, reply: Reply) {
        let open = self.http.open.borrow_mut().remove(&id);
        if let Some(open) = open {
            let _ = open.reply.send(reply); // they may have gone
        }
    }

    /// Gives the body to who wants it. A request without one has none to give.
    fn give_data(self: &Rc<Self>, id: u64) {
        let given = {
            let mut all = self.http.open.borrow_mut();
            let Some(open) = all.get_mut(&id) else { return };
            let Some((callback, binary)) = open.data.take() else { return };
            if open.body.is_empty() {
                return;
            }
            (open.resource, callback, binary, std::mem::take(&mut open.body))
        };
        let (resource, callback, binary, body) = given;
        let Some(resource) = self.resources.get(resource) else { return };
        let Some(machine) = resource.machine() else { return };
        let body = if binary {
            machine.lua.create_sequence_from(body.iter().map(|byte| i64::from(*byte))).map(Value::Table)
        } else {
            machine.lua.create_string(&body).map(Value::String)
        };
        match body {
            Ok(body) => {
                let Some(call) = call_of(&callback, vec![body]) else { return };
                let symbol = self.probe.placed(&resource, &call.0);
                self.run_http(&resource, id, call, Boundary { symbol, category: CategoryId::HTTP });
            }
            Err(error) => {
                let error = ScriptError::of_resource(&resource.name, &error_text(&error));
                self.http_failed(id);
                self.report(&ScriptError { kind: ErrorKind::Script, tick: self.tick.get(), ..error });
            }
        }
    }

    /// Nobody waits for the answer any more.
    fn cancel_http(self: &Rc<Self>, id: u64) {
        let open = self.http.open.borrow_mut().remove(&id);
        if let Some(open) = open
            && let Some(callback) = open.cancel
            && let Some(resource) = self.resources.get(open.resource)
        {
            self.call_back(&resource, &callback, CategoryId::HTTP, Vec::new(), None);
        }
    }

    /// A resource stops: its handler goes, and who still waits for it is turned away.
    pub(crate) fn forget_http(&self, resource: usize) {
        let handler = self.http.handlers.borrow_mut().remove(&resource);
        drop(handler);
        let gone: Vec<Open> = {
            let mut open = self.http.open.borrow_mut();
            let ids: Vec<u64> =
                open.iter().filter(|(_, open)| open.resource == resource).map(|(id, _)| *id).collect();
            ids.into_iter().filter_map(|id| open.remove(&id)).collect()
        };
        drop(gone);
        self.http.running.borrow_mut().retain(|_, running| running.resource != resource);
    }

    /// Ends the server of handlers.
    pub(crate) fn close_http(&self) {
        let open = std::mem::take(&mut *self.http.open.borrow_mut());
        drop(open);
        let listener = self.http.listener.borrow_mut().take();
        drop(listener);
    }

    /// What a handler gets first.
    fn request_table(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        lua: &Lua,
        id: u64,
        (asked, path, address): (&Asked, &str, SocketAddr),
    ) -> mlua::Result<Table> {
        let headers = lua.create_table_with_capacity(0, asked.headers.len())?;
        for (name, value) in asked.headers.iter().rev() {
            // of those that come again, the first
            headers.raw_set(name.as_str(), lua.create_string(value)?)?;
        }
        let request = lua.create_table_with_capacity(0, 6)?;
        request.raw_set("method", asked.method.as_str())?;
        request.raw_set("path", path)?;
        request.raw_set("headers", headers)?;
        request.raw_set("address", address.to_string())?;
        let set = self.native(resource, lua, "setDataHandler", Calls::Silent, move |host, _, _, args| {
            let callback = callable(args.get(0)).ok_or_else(|| args.wrong(0, "function"))?;
            let binary = matches!(args.get(1), Value::String(text) if text.as_bytes() == *b"binary");
            let mut all = host.http.open.borrow_mut();
            let old = all.get_mut(&id).and_then(|open| open.data.replace((callback, binary)));
            drop(all);
            drop(old);
            nothing()
        })?;
        request.raw_set("setDataHandler", set)?;
        let set =
            self.native(resource, lua, "setCancelHandler", Calls::Silent, move |host, _, _, args| {
                let callback = callable(args.get(0)).ok_or_else(|| args.wrong(0, "function"))?;
                let mut all = host.http.open.borrow_mut();
                let old = all.get_mut(&id).and_then(|open| open.cancel.replace(callback));
                drop(all);
                drop(old);
                nothing()
            })?;
        request.raw_set("setCancelHandler", set)?;
        Ok(request)
    }

    /// What a handler answers with. What is called once the answer is sent does nothing.
    fn response_table(self: &Rc<Self>, resource: &Rc<Resource>, lua: &Lua, id: u64) -> mlua::Result<Table> {
        let response = lua.create_table_with_capacity(0, 3)?;
        let head = self.native(resource, lua, "writeHead", Calls::Silent, move |host, _, _, args| {
            let status = u16::try_from(args.integer(0)?).ok().filter(|status| (200..=999).contains(status));
            let status = status.ok_or_else(|| args.wrong(0, "a status from 200 to 999"))?;
            let headers = headers(&args, 1)?;
            if let Some(open) = host.http.open.borrow_mut().get_mut(&id) {
                open.answer.status = status;
                open.answer.headers = headers;
            }
            nothing()
        })?;
        response.raw_set("writeHead", head)?;
        let write = self.native(resource, lua, "write", Calls::Silent, move |host, _, _, args| {
            host.write_http(id, &args, &args.bytes(0)?)?;
            nothing()
        })?;
        response.raw_set("write", write)?;
        let send = self.native(resource, lua, "send", Calls::Silent, move |host, _, _, args| {
            if !args.get(0).is_nil() {
                host.write_http(id, &args, &args.bytes(0)?)?;
            }
            let open = host.http.open.borrow_mut().remove(&id);
            if let Some(Open { reply, answer, .. }) = open {
                let _ = reply.send(answer); // they may have gone
            }
            nothing()
        })?;
        response.raw_set("send", send)?;
        Ok(response)
    }

    fn write_http(&self, id: u64, args: &Args, text: &[u8]) -> Result<(), Raise> {
        let mut all = self.http.open.borrow_mut();
        let Some(open) = all.get_mut(&id) else { return Ok(()) };
        if text.len() > MAX_REPLY - open.answer.body.len() {
            return Err(Raise::Text(format!("{}: an answer has at most {MAX_REPLY} bytes", args.native)));
        }
        open.answer.body.extend_from_slice(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_name_a_resource() {
        let split = |target| split(target).map(|(name, path)| format!("{name} {path}"));
        assert_eq!(split("/shop/items?x=1").as_deref(), Some("shop /items?x=1"));
        assert_eq!(split("/shop").as_deref(), Some("shop /"));
        assert_eq!(split("/shop/").as_deref(), Some("shop /"));
        assert_eq!(split("/shop?to=http://b/").as_deref(), Some("shop /?to=http://b/"));
        assert_eq!(split("http://host:1/shop/a").as_deref(), Some("shop /a"));
        for none in ["", "*", "/", "//", "/?a", "http://host", "shop"] {
            assert_eq!(split(none), None, "{none}");
        }
    }

    #[test]
    fn no_header_begins_another() {
        assert!(fits_head(b"X-Name", b"any value: \xff"));
        for (name, value) in
            [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\ny: z"), ("a", "x\n"), ("a", "\0")]
        {
            assert!(!fits_head(name.as_bytes(), value.as_bytes()), "{name:?} {value:?}");
        }
    }
}
