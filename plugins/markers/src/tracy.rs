//! Tracy: zones with times of their own are those of its GPU contexts, so each lane is one. Its client is a library.

use std::ffi::c_char;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::tool::{Span, Tool, monotonic_ns};

/// Structures of `TracyC.h`, which go by value.
mod sys {
    use std::ffi::c_char;

    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct NewContext {
        pub gpu_time: i64,
        pub period: f32,
        pub context: u8,
        pub flags: u8,
        pub kind: u8,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct ContextName {
        pub context: u8,
        pub name: *const c_char,
        pub len: u16,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct ZoneBegin {
        pub source: u64,
        pub query: u16,
        pub context: u8,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct ZoneEnd {
        pub query: u16,
        pub context: u8,
    }

    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct Time {
        pub gpu_time: i64,
        pub query: u16,
        pub context: u8,
    }

    /// `GpuContextType::Custom`.
    pub const CUSTOM: u8 = 7;
}

/// The last argument, a colour, came with Tracy 0.11; earlier clients do not look at it.
type Source = unsafe extern "C" fn(
    line: u32,
    file: *const c_char,
    file_len: usize,
    function: *const c_char,
    function_len: usize,
    name: *const c_char,
    name_len: usize,
    colour: u32,
) -> u64;

struct Functions {
    connected: unsafe extern "C" fn() -> i32,
    source: Source,
    new_context: unsafe extern "C" fn(sys::NewContext),
    context_name: unsafe extern "C" fn(sys::ContextName),
    begin: unsafe extern "C" fn(sys::ZoneBegin),
    end: unsafe extern "C" fn(sys::ZoneEnd),
    time: unsafe extern "C" fn(sys::Time),
}

#[derive(Default)]
struct Lane {
    name: String,
    /// What Tracy knows it as, once it does; `Some(None)` where it has no room for it.
    context: Option<Option<u8>>,
    /// Spans whose begin was given.
    open: Vec<u64>,
}

/// Contexts that Tracy was told of, by all sinks of this process: the client knows them by one byte, and 255 is none.
static CONTEXTS: AtomicU8 = AtomicU8::new(0);

fn next_context() -> Option<u8> {
    CONTEXTS.fetch_update(Relaxed, Relaxed, |used| used.checked_add(1)).ok()
}

/// A client that was loaded. It is never unloaded: it has threads.
pub struct Tracy {
    functions: Functions,
    lanes: Vec<Lane>,
    query: u16,
    /// Somebody looked.
    seen: bool,
}

impl Tracy {
    /// The client in `file`: a path, or a name that the system looks for.
    ///
    /// # Errors
    /// Why it is not used.
    pub fn find(file: &str) -> Result<Self, String> {
        // SAFETY: a library that the user named, or Tracy's own, whose constructors may run anywhere.
        let library = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|_| format!("{file} is not there"))?;
        // SAFETY: the types are those of `TracyC.h`.
        let functions = unsafe { Self::functions(&library) };
        let functions =
            functions.map_err(|name| format!("{file} has no {name}: it was built without TRACY_ENABLE"))?;
        std::mem::forget(library);
        Ok(Self { functions, lanes: Vec::new(), query: 0, seen: false })
    }

    /// # Safety
    /// What the library has under these names is Tracy's.
    unsafe fn functions(library: &Library) -> Result<Functions, &'static str> {
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the caller's.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(|_| $name)?
            };
        }
        Ok(Functions {
            connected: function!("___tracy_connected"),
            source: function!("___tracy_alloc_srcloc_name"),
            new_context: function!("___tracy_emit_gpu_new_context_serial"),
            context_name: function!("___tracy_emit_gpu_context_name_serial"),
            begin: function!("___tracy_emit_gpu_zone_begin_alloc_serial"),
            end: function!("___tracy_emit_gpu_zone_end_serial"),
            time: function!("___tracy_emit_gpu_time_serial"),
        })
    }

    /// Whether somebody looks. Where nobody does the client would keep everything for ever.
    fn connected(&self) -> bool {
        // SAFETY: Tracy's, without arguments.
        unsafe { (self.functions.connected)() != 0 }
    }

    /// Says when what was asked under `query` happened.
    fn time(&self, context: u8, query: u16, time_ns: u64) {
        let time = sys::Time { gpu_time: time_ns.cast_signed(), query, context };
        // SAFETY: as `TracyC.h` has it.
        unsafe { (self.functions.time)(time) };
    }

    /// What was begun for one that has gone is nobody's: who comes next gets no ends of it.
    fn forget(&mut self) {
        self.lanes.iter_mut().for_each(|row| row.open.clear());
    }

    fn next_query(&mut self) -> u16 {
        self.query = self.query.wrapping_add(1);
        self.query
    }
}

impl Tool for Tracy {
    fn lane(&mut self, lane: usize, name: &str) {
        self.lanes.resize_with(self.lanes.len().max(lane + 1), Lane::default);
        self.lanes[lane].name = name.to_owned();
    }

    fn begin(&mut self, lane: usize, span: &Span<'_>) {
        if !self.connected() {
            self.forget();
            return;
        }
        self.seen = true;
        let row = &mut self.lanes[lane];
        let new = row.context.is_none();
        let Some(context) = *row.context.get_or_insert_with(next_context) else { return };
        row.open.push(span.id);
        if new {
            let made = sys::NewContext {
                // Now, in the clock of samples: Tracy takes its own clock in the same moment.
                gpu_time: monotonic_ns().cast_signed(),
                period: 1.0,
                context,
                flags: 0,
                kind: sys::CUSTOM,
            };
            let len = u16::try_from(row.name.len()).unwrap_or(u16::MAX);
            let name = sys::ContextName { context, name: row.name.as_ptr().cast(), len };
            // SAFETY: as `TracyC.h` has it; the name is copied.
            unsafe {
                (self.functions.new_context)(made);
                (self.functions.context_name)(name);
            }
        }
        let short = |text: &str| text.floor_char_boundary(1_000);
        let (file, label) = (span.file, span.label);
        let query = self.next_query();
        // SAFETY: the texts are as long as they are said to be, and are copied; what is allocated goes to `begin`, which has
        // it freed.
        unsafe {
            let source = (self.functions.source)(
                span.line,
                file.as_ptr().cast(),
                short(file),
                label.as_ptr().cast(),
                short(label),
                label.as_ptr().cast(),
                short(label),
                0,
            );
            (self.functions.begin)(sys::ZoneBegin { source, query, context });
        }
        self.time(context, query, span.time_ns);
    }

    fn end(&mut self, lane: usize, span: u64, time_ns: u64) {
        if !self.connected() {
            self.forget();
            return;
        }
        let Some(row) = self.lanes.get_mut(lane) else { return };
        if let Some(Some(context)) = row.context
            && row.open.pop_if(|open| *open == span).is_some()
        {
            let query = self.next_query();
            // SAFETY: as `TracyC.h` has it.
            unsafe { (self.functions.end)(sys::ZoneEnd { query, context }) };
            self.time(context, query, time_ns);
        }
    }

    fn note(&self) -> Option<&'static str> {
        if self.lanes.iter().any(|row| row.context == Some(None)) {
            return Some("Tracy has no room for more rows");
        }
        (!self.seen).then_some("nobody was connected to Tracy")
    }
}
