//! What scripts tell a profiler, beside [scopes](crate::scopes): whose functions are recorded, and what they found.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tickscope_core::{ArgInput, CategoryId, Depth, KeyId, Recorder, Runtime, Scope, SymbolRef};

use crate::host::Host;
use crate::resource::Resource;

/// Places of one run that are told as wrong; further ones are not.
const MAX_TOLD: usize = 1_000;

/// Whose functions are recorded: everybody's until a script chooses.
#[derive(Debug, Default)]
pub(crate) enum Choice {
    /// No script has chosen.
    #[default]
    Open,
    All {
        but: BTreeSet<Rc<str>>,
    },
    None {
        but: BTreeSet<Rc<str>>,
    },
}

impl Choice {
    fn holds(&self, resource: &str) -> bool {
        match self {
            Self::Open => true,
            Self::All { but } => !but.contains(resource),
            Self::None { but } => but.contains(resource),
        }
    }

    /// Chooses one resource. The first choice leaves the others as they would be without it: out, where one is wanted.
    fn choose(&mut self, resource: &Rc<str>, wanted: bool) {
        if let Self::Open = self {
            let but = BTreeSet::new();
            *self = if wanted { Self::None { but } } else { Self::All { but } };
        }
        match self {
            Self::All { but } if wanted => drop(but.remove(resource)),
            Self::None { but } if !wanted => drop(but.remove(resource)),
            Self::All { but } | Self::None { but } => drop(but.insert(Rc::clone(resource))),
            Self::Open => {}
        }
    }
}

/// What a server keeps of it.
#[derive(Debug, Default)]
pub(crate) struct Profiler {
    choice: RefCell<Choice>,
    /// Resource, file and line of what was told as wrong.
    told: RefCell<BTreeSet<(usize, String, u32)>>,
}

impl Profiler {
    /// Whether the functions of a resource are to be recorded.
    pub(crate) fn chosen(&self, resource: &str) -> bool {
        self.choice.borrow().holds(resource)
    }

    /// A resource stops. What was chosen for it holds when it starts again.
    pub(crate) fn forget(&self, resource: usize) {
        self.told.borrow_mut().retain(|(of, ..)| *of != resource);
    }
}

/// Where in a script a native was called.
pub(crate) struct Caller {
    /// As samples and reports name it.
    pub(crate) file: String,
    pub(crate) line: u32,
}

impl Caller {
    /// The innermost function on the stack that is a script's.
    pub(crate) fn of(lua: &mlua::Lua, resource: &Resource) -> Self {
        for level in 0..16 {
            let found = lua.inspect_stack(level, |debug| {
                let source = debug.source();
                let name = source.source.as_deref().unwrap_or("");
                (source.what != "C" && !name.starts_with("@citizen:"))
                    .then(|| (resource.file_of(name).to_owned(), debug.current_line().unwrap_or(0) as u32))
            });
            match found {
                Some(Some((file, line))) => return Self { file, line },
                Some(None) => {}
                None => break,
            }
        }
        Self { file: String::new(), line: 0 }
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// All functions are recorded from now on, or none.
    pub(crate) fn choose_all(&self, wanted: bool) {
        let but = BTreeSet::new();
        self.profiler.choice.replace(if wanted { Choice::All { but } } else { Choice::None { but } });
        self.apply_choice();
    }

    /// The functions of one resource are recorded from now on, or not.
    pub(crate) fn choose(&self, resource: &Resource, wanted: bool) {
        self.profiler.choice.borrow_mut().choose(&resource.name, wanted);
        self.apply_choice();
    }

    fn apply_choice(&self) {
        for resource in self.resources.all() {
            if let Some(machine) = resource.machine() {
                machine.vm.set_recorded(self.profiler.chosen(&resource.name));
            }
        }
    }

    /// Why no functions are recorded, whatever is chosen.
    pub(crate) fn no_functions(&self) -> Option<&'static str> {
        if !self.probe.recorder().enabled(CategoryId::FUNCTION) {
            return Some("nothing is recorded");
        }
        let depth = self.probe.tracer().depth();
        (depth == Depth::Boundary)
            .then_some("depth boundary records no functions; run with --depth sample or --depth trace")
    }

    /// Says on the console that a script does something wrong at a place: once for each.
    pub(crate) fn tell_misuse(&self, resource: &Resource, caller: &Caller, problem: &str) {
        let mut told = self.profiler.told.borrow_mut();
        if told.len() >= MAX_TOLD || !told.insert((resource.id, caller.file.clone(), caller.line)) {
            return;
        }
        drop(told);
        let text = format!("{}:{}: {problem}", caller.file, caller.line);
        self.console.borrow_mut().print(&resource.name, &text);
    }

    /// Records what a script found, as a moment on the current track.
    pub(crate) fn report_anomaly(
        &self,
        resource: &Resource,
        caller: &Caller,
        kind: &str,
        details: &[(KeyId, ArgInput<'_>)],
    ) -> bool {
        let recorder = self.probe.recorder();
        if !recorder.enabled(CategoryId::ANOMALY) {
            return false;
        }
        let symbol = recorder.intern_symbol(SymbolRef {
            runtime: Runtime::Lua,
            resource: &resource.name,
            name: kind,
            file: &caller.file,
            line: caller.line,
        });
        recorder.instant(recorder.now(), symbol, CategoryId::ANOMALY, Scope::Track, details);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_choice_decides_about_the_others() {
        let (a, b): (Rc<str>, Rc<str>) = ("a".into(), "b".into());
        let held = |choice: &Choice| (choice.holds("a"), choice.holds("b"));
        let mut choice = Choice::default();
        assert_eq!(held(&choice), (true, true));
        choice.choose(&a, true);
        assert_eq!(held(&choice), (true, false), "the one that is chosen");
        choice.choose(&b, true);
        assert_eq!(held(&choice), (true, true));
        choice.choose(&a, false);
        assert_eq!(held(&choice), (false, true));
        let mut choice = Choice::default();
        choice.choose(&a, false);
        assert_eq!(held(&choice), (false, true), "all but the one that is not wanted");
        choice.choose(&a, true);
        assert_eq!(held(&choice), (true, true));
    }
}
