//! What is said on the console: it goes to whoever started the server, is kept for a while, and is told to scripts that
//! listen.

use std::collections::VecDeque;
use std::rc::Rc;

use mlua::{Function, MultiValue, Value};
use tickscope_core::{CategoryId, Recorder};

use crate::host::Host;
use crate::probe::Boundary;
use crate::report::{Console, ScriptError};
use crate::resource::Resource;

/// How many bytes of what was said are kept.
const KEPT: usize = 64 << 10;
/// How many lines listeners are told of in one tick; further ones they miss.
const TOLD: usize = 1_000;

/// A script that is told what is said.
#[derive(Clone)]
struct Listener {
    resource: Rc<Resource>,
    function: Function,
}

/// A line, and whose it is.
struct Line {
    channel: String,
    text: String,
}

/// The console.
pub(crate) struct Log {
    out: Box<dyn Console>,
    kept: VecDeque<String>,
    kept_bytes: usize,
    listeners: Vec<Listener>,
    /// What listeners have not been told yet.
    news: Vec<Line>,
    /// Listeners are at work: what they say themselves is no news.
    telling: bool,
}

impl Log {
    pub(crate) fn new(out: impl Console + 'static) -> Self {
        Self {
            out: Box::new(out),
            kept: VecDeque::new(),
            kept_bytes: 0,
            listeners: Vec::new(),
            news: Vec::new(),
            telling: false,
        }
    }

    /// A script of `resource` printed `text`; empty for the host's own words.
    pub(crate) fn print(&mut self, resource: &str, text: &str) {
        self.out.print(resource, text);
        self.keep(resource, text.to_owned());
    }

    /// Something went wrong.
    pub(crate) fn error(&mut self, error: &ScriptError) {
        self.out.error(error);
        self.keep(&error.resource, format!("SCRIPT ERROR: {error}"));
    }

    fn keep(&mut self, resource: &str, text: String) {
        if !self.listeners.is_empty() && !self.telling && self.news.len() < TOLD {
            let channel = if resource.is_empty() { "citizen".into() } else { format!("script:{resource}") };
            self.news.push(Line { channel, text: text.clone() });
        }
        self.kept_bytes += text.len() + 1;
        self.kept.push_back(text);
        while self.kept_bytes > KEPT
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_bytes -= oldest.len() + 1;
        }
    }

    /// What was said of late, line by line.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(self.kept_bytes);
        for line in &self.kept {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// `function` is told from now on what is said.
    pub(crate) fn listen(&self, resource: &Rc<Resource>, function: Function) {
        let listener = Listener { resource: Rc::clone(resource), function };
        self.console.borrow_mut().listeners.push(listener);
    }

    /// A resource listens no more.
    pub(crate) fn forget_listeners(&self, resource: usize) {
        let gone: Vec<_> = {
            let mut console = self.console.borrow_mut();
            console.listeners.extract_if(.., |listener| listener.resource.id == resource).collect()
        };
        drop(gone);
    }

    /// Tells listeners what was said since they were last told.
    pub(crate) fn tell_listeners(self: &Rc<Self>) {
        let (news, listeners) = {
            let mut console = self.console.borrow_mut();
            if console.news.is_empty() {
                return;
            }
            console.telling = true;
            (std::mem::take(&mut console.news), console.listeners.clone())
        };
        for line in news {
            for Listener { resource, function } in &listeners {
                self.tell_line(resource, function, &line);
            }
        }
        self.console.borrow_mut().telling = false;
    }

    fn tell_line(self: &Rc<Self>, resource: &Rc<Resource>, function: &Function, line: &Line) {
        let Some(machine) = resource.machine() else { return };
        let text = |text: &str| machine.lua.create_string(text).map(Value::String);
        let arguments = [text(&line.channel), text(&format!("{}\n", line.text))];
        let Ok(arguments) = arguments.into_iter().collect::<mlua::Result<Vec<_>>>() else { return };
        let boundary =
            Boundary { symbol: self.probe.placed(resource, function), category: CategoryId::EVENT };
        let arguments = MultiValue::from_vec(arguments);
        let ended = self.start(resource, function.clone(), arguments, boundary, None);
        self.tell(ended);
    }
}
