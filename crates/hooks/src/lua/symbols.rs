//! Names: of functions, of coroutines' tracks, and of whole stacks. All cold: once per function, or per sample.

use std::ffi::{CStr, c_char, c_int};

use tickscope_core::{
    Recorder, Runtime, StackId, StackNode, SymbolId, SymbolRef, Track, TrackId, TrackKind, escape,
};

use super::api::*;
use super::coroutine::{Context, Coroutine};
use super::entries::Entry;
use super::hook::{self, HIDDEN};
use super::state::State;
use super::vm::VmRecord;
use super::{identity, natives, resource};

/// Frames of one coroutine in a sampled stack; what lies further out is cut.
const FRAMES: usize = 256;

/// What a function is called, and where it is defined.
struct Named {
    name: String,
    file: String,
    line: u32,
    native: bool,
    /// What the program calls the script of its chunk; empty where that is not known.
    script: String,
}

impl<R: Recorder + 'static> State<R> {
    /// The symbol of the function of the call `ar` describes; `address` is the C function's, if it is one.
    ///
    /// # Safety
    /// `ar` describes a live call of `thread`, which has free stack slots.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn name(
        &self,
        coroutine: &Coroutine,
        thread: *mut lua_State,
        ar: *mut lua_Debug,
        address: usize,
    ) -> SymbolId {
        // SAFETY: a coroutine's machine is kept as long as the coroutine.
        let vm = unsafe { coroutine.vm.as_ref() };
        // SAFETY: passed on to the caller; `nS` pushes nothing.
        let named = unsafe {
            (self.api.lua_getinfo)(thread, c"nS".as_ptr(), ar);
            if is_c(&*ar) {
                let function = if self.direct.get() { address } else { self.c_function(thread, ar) };
                if vm.is_some_and(|vm| vm.hidden.borrow().contains(&function)) {
                    return HIDDEN;
                }
                let name = self.native_name(vm, thread, function);
                if name == "?" && vm.is_some_and(|vm| vm.hide_unnamed) {
                    return HIDDEN;
                }
                Named { name, file: String::new(), line: 0, native: true, script: String::new() }
            } else {
                self.lua_name(vm, &*ar)
            }
        };
        self.intern(vm, &named)
    }

    unsafe fn native_name(&self, vm: Option<&VmRecord>, thread: *mut lua_State, function: usize) -> String {
        let Some(vm) = vm else { return "?".into() };
        // Without symbol tables the search in modules is the last word, and is repeated.
        let symbol = self.foreign.as_ref().map(|foreign| foreign.name_native);
        // SAFETY: see `name`.
        unsafe { natives::name(self.api, thread, vm, function, symbol) }
    }

    unsafe fn c_function(&self, thread: *mut lua_State, ar: *mut lua_Debug) -> usize {
        // SAFETY: see `name`.
        unsafe {
            (self.api.lua_getinfo)(thread, c"f".as_ptr(), ar);
            let function = (self.api.lua_tocfunction)(thread, -1).map_or(0, |function| function as usize);
            self.api.pop(thread, 1);
            function
        }
    }

    fn intern(&self, vm: Option<&VmRecord>, named: &Named) -> SymbolId {
        let scripts = self.scripts.borrow();
        let mut resource = named.script.as_str();
        if resource.is_empty() {
            resource = scripts.name(self.script.get());
        }
        if resource.is_empty() {
            resource = vm.map_or("", |vm| &vm.resource);
        }
        self.recorder.intern_symbol(SymbolRef {
            runtime: if named.native { Runtime::Native } else { Runtime::Lua },
            resource,
            name: &named.name,
            file: &named.file,
            line: named.line,
        })
    }

    /// # Safety
    /// `ar` was filled with `nS` for a Lua function.
    unsafe fn lua_name(&self, vm: Option<&VmRecord>, ar: &lua_Debug) -> Named {
        // SAFETY: Lua's strings are valid while the function is.
        let (source, called) = unsafe { (self.layout.source(ar), text(ar.name)) };
        // SAFETY: as above.
        let line = u32::try_from(unsafe { self.layout.line_defined(ar) }).unwrap_or(0);
        let file = file_name(source, vm.map_or("", |vm| &vm.resource));
        let mut script = String::new();
        if self.foreign.is_some()
            && let Some(vm) = vm
        {
            // As soon as the chunk runs: the program may give up the right to read it.
            vm.sources.find(source);
            script = vm.sources.registered(source, line, str::to_owned);
            if script.is_empty() {
                script = resource::of_chunk(source);
            }
        }
        // SAFETY: as above.
        if unsafe { ar.what.read() } == b'm' as c_char {
            return Named { name: "main chunk".into(), file, line: 0, native: false, script };
        }
        let name = vm
            .and_then(|vm| vm.sources.known(source, line, called.as_deref()))
            .or_else(|| called.filter(|_| !vm.is_some_and(|vm| vm.sources.has(source))))
            .unwrap_or_else(|| format!("function <{file}:{line}>"));
        Named { name, file, line, native: false, script }
    }

    /// # Safety
    /// See [`Tracer::function_symbol`](super::Tracer::function_symbol).
    pub(crate) unsafe fn function_symbol(&self, thread: *mut lua_State, index: c_int) -> SymbolId {
        // SAFETY: passed on to the caller.
        unsafe {
            let coroutine = self.coroutine(thread);
            match self.describe(&*coroutine, thread, index) {
                Some(named) => self.intern((*coroutine).vm.as_ref(), &named),
                None => SymbolId::OTHER,
            }
        }
    }

    /// The symbol of the function at `index`, which the program calls from outside of Lua; what runs until the next such
    /// call belongs to its script. Names are made once per function and script.
    ///
    /// # Safety
    /// As for [`Self::function_symbol`].
    pub(crate) unsafe fn entry_symbol(&self, thread: *mut lua_State, index: c_int) -> SymbolId {
        // SAFETY: passed on to the caller; coroutines' machines are kept as long as they.
        unsafe {
            let lua_function = (self.api.lua_type)(thread, index) == LUA_TFUNCTION
                && (self.api.lua_tocfunction)(thread, index).is_none()
                && (self.api.lua_checkstack)(thread, 6) != 0;
            let vm = if lua_function { (*self.coroutine(thread)).vm.as_ref() } else { None };
            let Some(vm) = vm else {
                self.set_script(0);
                return self.function_symbol(thread, index);
            };
            let mut ar = lua_Debug::new();
            (self.api.lua_pushvalue)(thread, index);
            (self.api.lua_getinfo)(thread, c">S".as_ptr(), &mut ar);
            let source = self.layout.source(&ar);
            // Which of them is called is not in the chunk.
            let kept = resource::key_prefix(source).map(|prefix| self.kept(thread, index, prefix));
            let call = Entry {
                machine: vm.machine,
                function: identity::of_text(self.layout, &ar),
                kept: kept.unwrap_or(0),
            };
            if let Some((symbol, script)) = self.entries.get(&call) {
                self.set_script(script);
                return symbol;
            }
            let script = kept.unwrap_or_else(|| self.script_of(vm, source, &ar));
            self.set_script(script);
            let symbol = self.intern(Some(vm), &self.lua_name(Some(vm), &ar));
            self.entries.insert(call, symbol, script);
            symbol
        }
    }

    /// What runs belongs to a script, by its number.
    pub(crate) fn set_script(&self, script: u32) {
        self.script.set(script);
        self.script_salt.set((script as usize).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }

    /// The number of the script that a chunk's source or name tells of.
    ///
    /// # Safety
    /// `ar` was filled with `S` for a Lua function.
    unsafe fn script_of(&self, vm: &VmRecord, source: &[u8], ar: &lua_Debug) -> u32 {
        // SAFETY: passed on to the caller.
        let line = u32::try_from(unsafe { self.layout.line_defined(ar) }).unwrap_or(0);
        vm.sources.find(source);
        match vm.sources.registered(source, line, |name| self.scripts.borrow_mut().number(name)) {
            0 => self.scripts.borrow_mut().number(&resource::of_chunk(source)),
            number => number,
        }
    }

    /// The number of the script that the host keeps by a key that begins with `prefix`.
    unsafe fn kept(&self, thread: *mut lua_State, index: c_int, prefix: &[u8]) -> u32 {
        const GLOBALS_OF_51: c_int = -10_002;
        let api = self.api;
        // SAFETY: passed on to the caller, who made room for six values; the stack's height is kept. Rust's own values that
        // live meanwhile are borrowed or plain.
        unsafe {
            let top = (api.lua_gettop)(thread);
            let address = (api.lua_topointer)(thread, index) as usize;
            // No borrow is held while Lua is called: it may jump.
            let known = self.scripts.borrow().function(address);
            if let Some(number) = known {
                let mut key = [0_u8; 128];
                let name = self.scripts.borrow().name(number).len() + prefix.len();
                if name < key.len() {
                    key[..prefix.len()].copy_from_slice(prefix);
                    key[prefix.len()..name].copy_from_slice(self.scripts.borrow().name(number).as_bytes());
                    let mut still = false;
                    for table in [api.version.registry(), GLOBALS_OF_51] {
                        if table == GLOBALS_OF_51 && api.version != Version::Lua51 {
                            continue;
                        }
                        (api.lua_pushvalue)(thread, table);
                        (api.lua_pushlstring)(thread, key.as_ptr().cast(), name);
                        (api.lua_rawget)(thread, -2);
                        still |= (api.lua_topointer)(thread, -1) as usize == address;
                        (api.lua_settop)(thread, top);
                    }
                    if still {
                        return number;
                    }
                }
            }
            let mut number = 0;
            for table in [api.version.registry(), GLOBALS_OF_51] {
                if number != 0 || (table == GLOBALS_OF_51 && api.version != Version::Lua51) {
                    continue;
                }
                (api.lua_pushvalue)(thread, table);
                (api.lua_pushnil)(thread);
                while number == 0 && (api.lua_next)(thread, -2) != 0 {
                    if (api.lua_topointer)(thread, -1) as usize == address
                        && (api.lua_type)(thread, -2) == LUA_TSTRING
                    {
                        let mut len = 0;
                        let text = (api.lua_tolstring)(thread, -2, &mut len);
                        let key = std::slice::from_raw_parts(text.cast::<u8>(), len);
                        if let Some(name) = key.strip_prefix(prefix) {
                            number = self.scripts.borrow_mut().number(&escape(name));
                        }
                    }
                    api.pop(thread, 1);
                }
                (api.lua_settop)(thread, top);
            }
            if number != 0 {
                self.scripts.borrow_mut().found(address, number);
            }
            number
        }
    }

    unsafe fn describe(&self, coroutine: &Coroutine, thread: *mut lua_State, index: c_int) -> Option<Named> {
        // SAFETY: see `function_symbol`.
        unsafe {
            if (self.api.lua_type)(thread, index) != LUA_TFUNCTION
                || (self.api.lua_checkstack)(thread, 2) == 0
            {
                return None;
            }
            let vm = coroutine.vm.as_ref();
            if let Some(function) = (self.api.lua_tocfunction)(thread, index) {
                let function = function as usize;
                let name = self.native_name(vm, thread, function);
                return Some(Named {
                    name,
                    file: String::new(),
                    line: 0,
                    native: true,
                    script: String::new(),
                });
            }
            (self.api.lua_pushvalue)(thread, index);
            let mut ar = lua_Debug::new();
            (self.api.lua_getinfo)(thread, c">S".as_ptr(), &mut ar);
            Some(self.lua_name(vm, &ar))
        }
    }

    /// The track of a coroutine, made when it has none.
    ///
    /// # Safety
    /// The coroutine is alive.
    pub(crate) unsafe fn track(&self, coroutine: &Coroutine) -> TrackId {
        if coroutine.is_main {
            return self.recorder.track();
        }
        if let Some(track) = coroutine.track.get() {
            return track;
        }
        let thread = coroutine.state();
        let mut ar = lua_Debug::new();
        // SAFETY: the coroutine is alive. One that has not run yet holds its function at the bottom of its stack; of
        // one that runs, the outermost call is its function.
        let named = unsafe {
            if (self.api.lua_getstack)(thread, 0, &mut ar) == 0 {
                self.describe(coroutine, thread, 1)
            } else {
                let mut level = 1;
                let mut outer = lua_Debug::new();
                while (self.api.lua_getstack)(thread, level, &mut outer) != 0 {
                    ar = outer;
                    level += 1;
                }
                if (self.api.lua_checkstack)(thread, 2) != 0 {
                    (self.api.lua_getinfo)(thread, c"f".as_ptr(), &mut ar);
                    let named = self.describe(coroutine, thread, -1);
                    self.api.pop(thread, 1);
                    named
                } else {
                    None
                }
            }
        };
        let name = named.map_or_else(
            || "coroutine".into(),
            |named| match (named.line, named.name.starts_with("function <")) {
                (0, _) | (_, true) => named.name,
                (line, false) => format!("{} {}:{line}", named.name, named.file),
            },
        );
        // SAFETY: a coroutine's machine is kept as long as the coroutine.
        let resource = unsafe { coroutine.vm.as_ref() }.map_or("", |vm| &vm.resource);
        let track = self.recorder.new_track(Track {
            kind: TrackKind::Coroutine,
            parent: self.host_track(),
            os_id: 0,
            name: name.as_str().into(),
            resource: resource.into(),
        });
        coroutine.track.set(Some(track));
        track
    }

    /// The track new coroutines are shown under: the thread's own.
    fn host_track(&self) -> TrackId {
        self.thread_track
    }

    /// The stack that is running: every context's boundary and calls, outermost first.
    ///
    /// # Safety
    /// The coroutines in the contexts are alive and stand still: in a hook, or in a C function they called.
    pub(crate) unsafe fn current_stack(&self) -> StackId {
        let contexts = self.context_stack();
        let known = contexts.iter().rposition(|context| context.stack.get().is_some());
        let mut stack = known.and_then(|index| contexts[index].stack.get()).unwrap_or(StackId::ROOT);
        let from = known.map_or(0, |index| index + 1);
        for (index, context) in contexts.iter().enumerate().skip(from) {
            if let Some(boundary) = context.boundary {
                stack = self.node(stack, boundary, 0);
            }
            // Where a context further in runs on the same coroutine, this one's calls end where that one began.
            let above = contexts[index + 1..]
                .iter()
                .find(|above| std::ptr::eq(above.coroutine, context.coroutine))
                .map(|above| above.base);
            if self.foreign.is_some() && context.inferred && index + 1 < contexts.len() {
                continue; // it may have ended since
            }
            // SAFETY: passed on to the caller.
            stack = unsafe { self.calls(stack, context, above) };
            if index + 1 < contexts.len() {
                context.stack.set(Some(stack));
            }
        }
        stack
    }

    /// Adds a context's calls to `stack`.
    unsafe fn calls(
        &self,
        mut stack: StackId,
        context: &Context,
        above: Option<*const std::ffi::c_void>,
    ) -> StackId {
        // SAFETY: records of coroutines in contexts are kept.
        let coroutine = unsafe { &*context.coroutine };
        if coroutine.dead.get() {
            return stack;
        }
        let thread = coroutine.state();
        let mut frames = [(SymbolId::OTHER, 0u32); FRAMES];
        let (mut taken, mut level) = (0, 0);
        let mut cut = false;
        // SAFETY: the coroutine stands still; `l` pushes nothing, and naming a function keeps the stack's height.
        unsafe {
            let mut ar = lua_Debug::new();
            let mut there = (self.api.lua_getstack)(thread, 0, &mut ar) != 0;
            if let Some(start) = above {
                if start.is_null() {
                    there = false;
                }
                while there && self.layout.call(&ar) != start {
                    level += 1;
                    there = (self.api.lua_getstack)(thread, level, &mut ar) != 0;
                }
            }
            if there && (self.api.lua_checkstack)(thread, 8) == 0 {
                there = false;
            }
            // In 5.1 a caller that was replaced is a level without a call; a context without a base has them all.
            let is_base = |call: *const std::ffi::c_void| !call.is_null() && call == context.base;
            while there && !is_base(self.layout.call(&ar)) {
                if taken == FRAMES {
                    cut = true;
                    break;
                }
                let replaced = self.layout.call(&ar).is_null();
                let symbol = if replaced {
                    HIDDEN
                } else if level == 0
                    && self.layout.yield_moves_function
                    && (self.api.lua_status)(thread) == LUA_YIELD
                {
                    let identity = identity::ask(self.api, self.layout, thread, &mut ar);
                    hook::symbol_of(self, coroutine, thread, &mut ar, identity)
                } else {
                    hook::symbol(self, coroutine, thread, &mut ar)
                };
                if symbol != HIDDEN {
                    (self.api.lua_getinfo)(thread, c"l".as_ptr(), &mut ar);
                    frames[taken] = (symbol, u32::try_from(self.layout.current_line(&ar)).unwrap_or(0));
                    taken += 1;
                }
                level += 1;
                there = if self.direct.get() {
                    // Asking for a level walks down from the top each time; following the calls does not.
                    let call = identity::previous(self.layout.call(&ar));
                    self.layout.set_call(&mut ar, call);
                    !call.is_null() && !identity::previous(call).is_null()
                } else {
                    (self.api.lua_getstack)(thread, level, &mut ar) != 0
                };
            }
        }
        if cut {
            stack = self.node(stack, self.truncated, 0);
        }
        for (symbol, line) in frames[..taken].iter().rev() {
            stack = self.node(stack, *symbol, *line);
        }
        stack
    }

    fn node(&self, parent: StackId, symbol: SymbolId, line: u32) -> StackId {
        // SAFETY: one thread; interning calls the recorder, which calls nothing of ours.
        let stacks = unsafe { &mut *self.stacks.get() };
        *stacks
            .entry((parent, symbol, line))
            .or_insert_with(|| self.recorder.intern_stack(StackNode { parent, symbol, line }))
    }
}

fn is_c(ar: &lua_Debug) -> bool {
    // SAFETY: Lua sets `what` to one of its constant strings.
    unsafe { ar.what.read() == b'C' as c_char }
}

/// # Safety
/// `pointer` is null or a C string.
pub(crate) unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: see the function's contract.
    Some(escape(unsafe { CStr::from_ptr(pointer) }.to_bytes()).into_owned())
}

/// The file of a chunk name: relative to the resource for the machine's own, `@resource/file` for another's, the path
/// for plain files, and what Lua shows for text.
pub(crate) fn file_name(source: &[u8], resource: &str) -> String {
    match source {
        [b'@', b'@', rest @ ..] => {
            let own = rest.strip_prefix(resource.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
            match own {
                Some(file) if !resource.is_empty() => escape(file).into_owned(),
                _ => format!("@{}", escape(rest)),
            }
        }
        [b'@', path @ ..] | [b'=', path @ ..] => escape(path).into_owned(),
        text => {
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let cut = line.len() < text.len() || line.len() > 40;
            let line = escape(&line[..line.len().min(40)]);
            format!("[string \"{line}{}\"]", if cut { "..." } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_relative_to_their_resource() {
        assert_eq!(file_name(b"@@shops/server/main.lua", "shops"), "server/main.lua");
        assert_eq!(file_name(b"@@core/lib.lua", "shops"), "@core/lib.lua");
        assert_eq!(file_name(b"@@shops2/lib.lua", "shops"), "@shops2/lib.lua");
        assert_eq!(file_name(b"@/usr/share/x.lua", "shops"), "/usr/share/x.lua");
        assert_eq!(file_name(b"=stdin", ""), "stdin");
        assert_eq!(file_name(b"return 1\nreturn 2", ""), "[string \"return 1...\"]");
    }
}
