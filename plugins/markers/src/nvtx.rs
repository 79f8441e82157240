//! NVIDIA's NVTX 3: a program loads what `NVTX_INJECTION64_PATH` names, hands it tables of places for functions, and calls what
//! it puts there. That is what NVIDIA's header does where it is compiled in; here it is done for marks, which are all that is used.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};

use crate::tool::{Span, Tool, c_text};

/// What tools set for the programs that they start.
pub const VARIABLE: &str = "NVTX_INJECTION64_PATH";

/// How many functions each module has: core, CUDA, OpenCL, CUDA runtime, core with domains, synchronisation. The first of each
/// is none.
const SIZES: [usize; 7] = [0, 16, 9, 15, 7, 16, 7];
const CORE2: usize = 5;
const DOMAIN_MARK: usize = 1;
const DOMAIN_CREATE: usize = 12;

/// Ids of tables that a tool may ask for.
const CALLBACKS: u32 = 1;
const VERSION_INFO: u32 = 3;
const VERSION: u32 = 3;

const COLOUR_ARGB: i32 = 1;
const PAYLOAD_DOUBLE: i32 = 3;
const MESSAGE_ASCII: i32 = 1;

/// `nvtxEventAttributes_t`.
#[repr(C)]
struct Attributes {
    version: u16,
    size: u16,
    category: u32,
    colour_type: i32,
    colour: u32,
    payload_type: i32,
    reserved: i32,
    payload: f64,
    message_type: i32,
    message: *const c_char,
}

type Place = AtomicPtr<c_void>;

/// `NvtxExportTableCallbacks`.
#[repr(C)]
struct Callbacks {
    size: usize,
    table: unsafe extern "C" fn(module: c_int, table: *mut *const *const Place, size: *mut c_uint) -> c_int,
}

/// `NvtxExportTableVersionInfo`.
#[repr(C)]
struct VersionInfo {
    size: usize,
    version: u32,
    reserved: u32,
    set: unsafe extern "C" fn(version: u32),
}

static PLACES: [[Place; 16]; 7] = [const { [const { AtomicPtr::new(null_mut()) }; 16] }; 7];
static EXPORTED: Callbacks = Callbacks { size: size_of::<Callbacks>(), table };
static INFO: VersionInfo =
    VersionInfo { size: size_of::<VersionInfo>(), version: VERSION, reserved: 0, set: set_version };

/// Pointers to the places of one module.
struct Table([*const Place; 17]);

// SAFETY: it is never written to, and what it points to is shared by atomics.
unsafe impl Sync for Table {}
// SAFETY: as above.
unsafe impl Send for Table {}

/// # Safety
/// `out` and `size` may be written to, or are NULL.
unsafe extern "C" fn table(module: c_int, out: *mut *const *const Place, size: *mut c_uint) -> c_int {
    static TABLES: OnceLock<Vec<Table>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| {
        let table = |(places, size): (&'static [Place; 16], usize)| {
            let mut table = [std::ptr::null(); 17];
            for (pointer, place) in table.iter_mut().zip(places).take(size).skip(1) {
                *pointer = place;
            }
            Table(table)
        };
        PLACES.iter().zip(SIZES).map(table).collect()
    });
    let Some(module) = usize::try_from(module).ok().filter(|module| (1..SIZES.len()).contains(module)) else {
        return 0;
    };
    // SAFETY: the caller's.
    unsafe {
        if !out.is_null() {
            *out = tables[module].0.as_ptr();
        }
        if !size.is_null() {
            *size = SIZES[module] as c_uint;
        }
    }
    1
}

unsafe extern "C" fn set_version(_version: u32) {}

unsafe extern "C" fn export(id: u32) -> *const c_void {
    match id {
        CALLBACKS => (&raw const EXPORTED).cast(),
        VERSION_INFO => (&raw const INFO).cast(),
        _ => std::ptr::null(),
    }
}

type Mark = unsafe extern "C" fn(domain: *mut c_void, attributes: *const Attributes);
type Create = unsafe extern "C" fn(name: *const c_char) -> *mut c_void;
type Initialize = unsafe extern "C" fn(export: unsafe extern "C" fn(id: u32) -> *const c_void) -> c_int;

/// A tool that was loaded, once in a process.
pub struct Nvtx {
    domain: *mut c_void,
    mark: Mark,
}

// SAFETY: the domain is the tool's, for ever, and its functions may be called on any thread.
unsafe impl Send for Nvtx {}

/// Loads the tool.
fn load() -> Result<(), String> {
    let file = std::env::var_os(VARIABLE).filter(|file| !file.is_empty());
    let Some(file) = file else { return Err(format!("{VARIABLE} is not set, as Nsight does")) };
    let refused = |why: &str| format!("{VARIABLE} names {}, {why}", file.display());
    // SAFETY: a library that the tool named, whose constructors may run anywhere.
    let library = unsafe { Library::open(Some(&file), RTLD_LAZY | RTLD_LOCAL) };
    let library = library.map_err(|_| refused("which does not load"))?;
    // SAFETY: its type is NVTX's.
    let initialize = unsafe { library.get::<Initialize>(b"InitializeInjectionNvtx2\0") }.map(|found| *found);
    let initialize = initialize.map_err(|_| refused("which is no tool for NVTX 3"))?;
    std::mem::forget(library);
    // SAFETY: `export` answers as NVTX's does, for ever.
    if unsafe { initialize(export) } == 0 {
        return Err(refused("which does not want to be used"));
    }
    Ok(())
}

impl Nvtx {
    /// The tool that the environment names.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find() -> Result<Self, String> {
        static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
        LOADED.get_or_init(load).clone()?;
        let place = |number: usize| PLACES[CORE2][number].load(Ordering::Acquire);
        let (create, mark) = (place(DOMAIN_CREATE), place(DOMAIN_MARK));
        if create.is_null() || mark.is_null() {
            return Err(format!("the tool of {VARIABLE} takes no marks"));
        }
        // SAFETY: the tool put functions of these types there.
        let (create, mark) = unsafe {
            (
                std::mem::transmute::<*mut c_void, Create>(create),
                std::mem::transmute::<*mut c_void, Mark>(mark),
            )
        };
        let name = c_text("tickscope");
        // SAFETY: as NVTX has it; the name is copied.
        let domain = unsafe { create(name.as_ptr()) };
        Ok(Self { domain, mark })
    }
}

impl Tool for Nvtx {
    // Ranges of NVTX begin and end when they are called: of what is over already there are marks only.
    fn lane(&mut self, _lane: usize, _name: &str) {}
    fn begin(&mut self, _lane: usize, _span: &Span<'_>) {}
    fn end(&mut self, _lane: usize, _span: u64, _time_ns: u64) {}

    fn mark(&mut self, text: &str, duration_ns: u64, late: bool) {
        let text = c_text(text);
        let attributes = Attributes {
            version: VERSION as u16,
            size: size_of::<Attributes>() as u16,
            category: 0,
            colour_type: COLOUR_ARGB,
            colour: if late { 0xffd0_3030 } else { 0xff30_90d0 },
            payload_type: PAYLOAD_DOUBLE,
            reserved: 0,
            payload: duration_ns as f64 / 1e6,
            message_type: MESSAGE_ASCII,
            message: text.as_ptr(),
        };
        // SAFETY: as NVTX has it; what is pointed to lives until it returns.
        unsafe { (self.mark)(self.domain, &raw const attributes) };
    }
}
