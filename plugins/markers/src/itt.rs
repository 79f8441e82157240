//! Intel's ITT: tasks with times of their own, by Intel's own client, which loads what `INTEL_LIBITTNOTIFY64` names.

use std::collections::{HashMap, HashSet};
use std::ffi::{c_ulonglong, c_void};
use std::ptr::null_mut;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use ittapi_sys::{
    __itt_clock_domain, __itt_clock_info, __itt_domain, __itt_id, __itt_string_handle, __itt_track,
    __itt_track_group,
};

use crate::tool::{Span, Tool, c_text, monotonic_ns};

/// What tools set for the programs that they start.
pub const VARIABLE: &str = "INTEL_LIBITTNOTIFY64";

type BeginOverlapped = unsafe extern "C" fn(
    domain: *const __itt_domain,
    clock: *mut __itt_clock_domain,
    timestamp: c_ulonglong,
    id: __itt_id,
    parent: __itt_id,
    name: *mut __itt_string_handle,
);
type EndOverlapped = unsafe extern "C" fn(
    domain: *const __itt_domain,
    clock: *mut __itt_clock_domain,
    timestamp: c_ulonglong,
    id: __itt_id,
);

// Of the client's C library. They are in its private part, which the bindings leave out.
unsafe extern "C" {
    static mut __itt_task_begin_overlapped_ex_ptr__3_0: Option<BeginOverlapped>;
    static mut __itt_task_end_overlapped_ex_ptr__3_0: Option<EndOverlapped>;
}

const NOTHING: __itt_id = __itt_id { d1: 0, d2: 0, d3: 0 };

/// Tells the clock of samples: nanoseconds, and what time it is.
///
/// # Safety
/// `info` may be written to.
unsafe extern "C" fn clock(info: *mut __itt_clock_info, _data: *mut c_void) {
    // SAFETY: the caller's.
    unsafe {
        (*info).clock_freq = 1_000_000_000;
        (*info).clock_base = monotonic_ns();
    }
}

/// A collector that was loaded.
pub struct Itt {
    domain: *mut __itt_domain,
    clock: *mut __itt_clock_domain,
    group: *mut __itt_track_group,
    begin: BeginOverlapped,
    end: EndOverlapped,
    tracks: Vec<*mut __itt_track>,
    current: Option<usize>,
    names: HashMap<u32, *mut __itt_string_handle>,
    /// Tells it apart from other sinks of this process, whose spans may have the same ids.
    instance: u64,
    /// Spans whose begin was given.
    open: HashSet<u64>,
}

/// Sinks that were opened in this process.
static INSTANCES: AtomicU64 = AtomicU64::new(0);

// SAFETY: what it points to is the collector's for ever, which may be called on any thread.
unsafe impl Send for Itt {}

fn handle(name: &str) -> *mut __itt_string_handle {
    let name = c_text(name);
    // SAFETY: the client sets the pointer on the first call of any function; the name is copied.
    unsafe {
        ittapi_sys::__itt_string_handle_create_ptr__3_0.map_or(null_mut(), |create| create(name.as_ptr()))
    }
}

impl Itt {
    /// The collector that the environment names.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find() -> Result<Self, String> {
        let file = std::env::var_os(VARIABLE).filter(|file| !file.is_empty());
        let Some(file) = file else { return Err(format!("{VARIABLE} is not set, as VTune does")) };
        let missing = || format!("{VARIABLE} names {}, which is no collector", file.display());
        // SAFETY: the first call loads the collector and sets the pointers; `clock` is as the collector wants it.
        let clock = unsafe {
            ittapi_sys::__itt_clock_domain_create_ptr__3_0
                .map_or(null_mut(), |create| create(Some(clock), null_mut()))
        };
        let name = c_text("tickscope");
        // SAFETY: the name is copied.
        let domain = unsafe {
            ittapi_sys::__itt_domain_create_ptr__3_0.map_or(null_mut(), |create| create(name.as_ptr()))
        };
        // SAFETY: they were set by the first call, and are not written to again.
        let calls =
            unsafe { (__itt_task_begin_overlapped_ex_ptr__3_0, __itt_task_end_overlapped_ex_ptr__3_0) };
        let (Some(begin), Some(end), false, false) = (calls.0, calls.1, domain.is_null(), clock.is_null())
        else {
            return Err(missing());
        };
        let group_name = handle("tickscope");
        // SAFETY: as for the others; 0 is `__itt_track_group_type_normal`.
        let group = unsafe {
            ittapi_sys::__itt_track_group_create_ptr__3_0.map_or(null_mut(), |create| create(group_name, 0))
        };
        Ok(Self {
            domain,
            clock,
            group,
            begin,
            end,
            tracks: Vec::new(),
            current: None,
            names: HashMap::new(),
            instance: INSTANCES.fetch_add(1, Relaxed),
            open: HashSet::new(),
        })
    }

    /// Whether the collector takes anything now.
    fn takes(&self) -> bool {
        // SAFETY: domains live for ever; the collector may change the flag, which is read as it is.
        unsafe { (&raw const (*self.domain).flags).read_volatile() != 0 }
    }

    fn id(&self, span: u64) -> __itt_id {
        if span == 0 {
            NOTHING
        } else {
            __itt_id { d1: self.domain as c_ulonglong, d2: span, d3: self.instance }
        }
    }
}

impl Tool for Itt {
    fn lane(&mut self, lane: usize, name: &str) {
        let name = handle(name);
        // SAFETY: group and name are the collector's; 0 is `__itt_track_type_normal`.
        let track = unsafe {
            ittapi_sys::__itt_track_create_ptr__3_0.map_or(null_mut(), |create| create(self.group, name, 0))
        };
        self.tracks.resize(self.tracks.len().max(lane + 1), null_mut());
        self.tracks[lane] = track;
    }

    fn begin(&mut self, lane: usize, span: &Span<'_>) {
        if !self.takes() {
            return;
        }
        let track = self.tracks.get(lane).copied().unwrap_or(null_mut());
        if self.current != Some(lane) && !track.is_null() {
            // SAFETY: the track is the collector's.
            unsafe { ittapi_sys::__itt_set_track_ptr__3_0.map(|set| set(track)) };
            self.current = Some(lane);
        }
        self.open.insert(span.id);
        let name = *self.names.entry(span.symbol).or_insert_with(|| handle(span.label));
        let parent = if self.open.contains(&span.parent) { span.parent } else { 0 };
        let (id, parent) = (self.id(span.id), self.id(parent));
        // SAFETY: all that is pointed to is the collector's.
        unsafe { (self.begin)(self.domain, self.clock, span.time_ns, id, parent, name) };
    }

    fn end(&mut self, _lane: usize, span: u64, time_ns: u64) {
        // What began while nothing was taken has no end either.
        if self.open.remove(&span) && self.takes() {
            // SAFETY: as in `begin`.
            unsafe { (self.end)(self.domain, self.clock, time_ns, self.id(span)) };
        }
    }
}
