//! What the dynamic loader has loaded into this process.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::elf::{Elf, Image, Segment};
use super::error::{ElfError, Error};
use super::file::Mapping;

const MAIN: &str = "/proc/self/exe";

/// A loaded module: the program itself, or a library.
#[derive(Clone, Debug)]
pub struct Module {
    /// Where its file is, as the loader knows it; the program's is what `/proc/self/exe` points at.
    pub path: PathBuf,
    /// What is added to its symbols' addresses.
    pub bias: usize,
    /// Whether it is the program.
    pub is_main: bool,
    /// Its loaded parts.
    pub segments: Vec<Segment>,
    name: CString,
    headers: Vec<u8>,
    dynamic: Option<Range<usize>>,
}

/// Every module but the kernel's own and the one that contains `own`, in the order in which names are resolved.
///
/// `own` is an address inside of the module that asks, so that a preloaded library does not find itself.
pub fn loaded(own: *const ()) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    // SAFETY: the callback is given the list below and runs before this returns.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut modules).cast()) };
    if let Some(main) = modules.first_mut() {
        main.is_main = true;
        let named = OsStr::from_bytes(main.name.to_bytes()).to_owned();
        main.path = std::fs::read_link(MAIN).unwrap_or_else(|_| named.into());
    }
    // SAFETY: reads a number that the kernel left with the program.
    let kernel = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let kernel = usize::try_from(kernel).unwrap_or(0);
    modules.retain(|module| {
        !module.range().is_empty() && !module.contains(own as usize) && !module.contains(kernel)
    });
    modules
}

/// The C library among `modules`, glibc's or musl's: the one whose function tells us of errors.
pub fn c_library(modules: &[Module]) -> Option<&Module> {
    modules.iter().find(|module| module.has_code(libc::__errno_location as *const () as usize))
}

unsafe extern "C" fn collect(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader describes a module that stays while the callback runs; `data` is the list of `loaded`, which
    // nobody else uses meanwhile. Program headers are plain numbers.
    let (info, modules, headers) = unsafe {
        let info = &*info;
        let headers: &[libc::Elf64_Phdr] = match info.dlpi_phdr.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)),
        };
        (info, &mut *data.cast::<Vec<Module>>(), headers)
    };
    let name = match info.dlpi_name.is_null() {
        true => CString::default(),
        // SAFETY: the loader's own string.
        false => unsafe { CStr::from_ptr(info.dlpi_name) }.to_owned(),
    };
    let bias = info.dlpi_addr as usize;
    let loads = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
    let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC);
    modules.push(Module {
        path: OsStr::from_bytes(name.to_bytes()).into(),
        bias,
        is_main: false,
        segments: loads
            .map(|header| Segment {
                address: header.p_vaddr,
                size: header.p_memsz,
                offset: header.p_offset,
                file_size: header.p_filesz,
                readable: header.p_flags & libc::PF_R != 0,
                writable: header.p_flags & libc::PF_W != 0,
                executable: header.p_flags & libc::PF_X != 0,
            })
            .collect(),
        name,
        // SAFETY: as above.
        headers: unsafe {
            std::slice::from_raw_parts(headers.as_ptr().cast::<u8>(), size_of_val(headers)).to_vec()
        },
        dynamic: dynamic.map(|header| {
            let start = bias.wrapping_add(header.p_vaddr as usize);
            start..start.saturating_add(header.p_memsz as usize)
        }),
    });
    0
}

impl Module {
    /// The addresses from its first part to the end of its last one. Other mappings may lie between.
    pub fn range(&self) -> Range<usize> {
        let start = self.segments.iter().map(|segment| segment.address).min().unwrap_or(0);
        let end = self.segments.iter().map(|segment| segment.address.saturating_add(segment.size)).max();
        self.address(start)..self.address(end.unwrap_or(0))
    }

    /// Whether an address lies in one of its parts.
    pub fn contains(&self, address: usize) -> bool {
        let inner = self.inner(address);
        self.segments.iter().any(|segment| segment.contains(inner))
    }

    /// Whether an address lies in its code.
    pub fn has_code(&self, address: usize) -> bool {
        let inner = self.inner(address);
        self.segments.iter().any(|segment| segment.executable && segment.contains(inner))
    }

    /// The address of a symbol of its file.
    pub fn address(&self, symbol: u64) -> usize {
        self.bias.wrapping_add(symbol as usize)
    }

    /// What its file would call an address.
    pub fn inner(&self, address: usize) -> u64 {
        address.wrapping_sub(self.bias) as u64
    }

    /// Keeps the module loaded, so that its memory can be read.
    ///
    /// # Errors
    /// When it was unloaded meanwhile, or belongs to another namespace of the loader.
    pub fn hold(&self) -> Result<Held<'_>, Error> {
        if self.is_main {
            return Ok(Held { module: self, handle: None });
        }
        let refused = |reason: String| Error::NotHeld { path: self.path.clone(), reason };
        // SAFETY: loads nothing: only counts up what is loaded under that name.
        let handle = unsafe { libc::dlopen(self.name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        if handle.is_null() {
            return Err(refused(loader_error().unwrap_or_else(|| "it was unloaded".into())));
        }
        let held = Held { module: self, handle: Some(handle) };
        let mut map: *const usize = std::ptr::null();
        // SAFETY: the handle is open. A link map begins with the load bias, in glibc as in musl.
        let bias = unsafe {
            let answered = dlinfo(handle, RTLD_DI_LINKMAP, (&raw mut map).cast()) == 0;
            if answered && !map.is_null() { Some(*map) } else { None }
        };
        if bias != Some(self.bias) {
            return Err(refused("another module is loaded under its name".into()));
        }
        Ok(held)
    }

    /// The mapped file, if it is the one that is loaded.
    pub(super) fn open(&self, memory: &Image<'_>) -> Result<Mapping, Error> {
        // The first is right also where the program was deleted, and wrong where a loader was started with it.
        let main = self.is_main.then(|| MAIN.into());
        let named = Some(OsStr::from_bytes(self.name.to_bytes()).into());
        let named = named.filter(|named: &PathBuf| !named.as_os_str().is_empty());
        let places =
            main.into_iter().chain(named).chain(std::iter::once_with(|| self.mapped_path()).flatten());
        let mut first = Ok(());
        for place in places {
            let opened = Mapping::open(&place).and_then(|mapping| {
                let elf = Elf::parse(&mapping).map_err(|source| self.broken(source))?;
                match elf.is_loaded_as(&self.headers, memory) {
                    true => Ok(mapping),
                    false => Err(self.replaced()),
                }
            });
            match opened {
                Ok(mapping) => return Ok(mapping),
                Err(error) => first = first.and(Err(error)),
            }
        }
        first.and_then(|()| Err(self.replaced()))
    }

    fn replaced(&self) -> Error {
        Error::Replaced { path: self.path.clone() }
    }

    /// Where the kernel says that the module's first part comes from: right also for relative names.
    fn mapped_path(&self) -> Option<PathBuf> {
        let start = format!("{:x}-", self.range().start & !0xfff);
        let maps = std::fs::read("/proc/self/maps").ok()?;
        let mut lines = maps.split(|byte| *byte == b'\n');
        let line = lines.find(|line| line.starts_with(start.as_bytes()))?;
        let path = &line[line.iter().position(|byte| *byte == b'/')?..];
        Some(OsStr::from_bytes(path).into())
    }

    pub(super) fn broken(&self, source: ElfError) -> Error {
        Error::Elf { path: self.path.clone(), source }
    }
}

/// A module that cannot be unloaded while this lives.
#[derive(Debug)]
pub struct Held<'m> {
    module: &'m Module,
    handle: Option<*mut c_void>,
}

impl<'m> Held<'m> {
    /// Which one.
    pub fn module(&self) -> &'m Module {
        self.module
    }

    /// Keeps it for the rest of the process.
    pub fn forever(mut self) {
        self.handle = None;
    }

    /// Its parts that nobody writes to, and its dynamic section.
    pub fn image(&self) -> Image<'_> {
        let module = self.module;
        let fixed = module.segments.iter().filter(|segment| segment.readable && !segment.writable);
        let parts = fixed
            .map(|segment| {
                let start = module.address(segment.address) as *const u8;
                // SAFETY: the loader has mapped the part, it stays while `self` lives, and is not written to.
                // What is detoured later is code, which no user of the image keeps borrowed.
                (segment.address, unsafe { std::slice::from_raw_parts(start, segment.size as usize) })
            })
            .collect();
        let mut image = Image::loaded(module.bias as u64, parts);
        let Some(range) = module.dynamic.clone() else { return image };
        for entry in range.step_by(16) {
            // SAFETY: inside the dynamic section, which is loaded; read by value, for the loader may write to it.
            let (tag, value) = unsafe {
                let entry = entry as *const u64;
                (entry.read_unaligned(), entry.add(1).read_unaligned())
            };
            if !image.push_dynamic(tag, value) {
                break;
            }
        }
        image
    }

    /// The mapped file.
    ///
    /// # Errors
    /// When it cannot be read, or is not what is loaded.
    pub(super) fn open(&self) -> Result<Mapping, Error> {
        self.module.open(&self.image())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            // SAFETY: opened by `hold`; no image borrows `self` any more.
            unsafe { libc::dlclose(handle) };
        }
    }
}

const RTLD_DI_LINKMAP: c_int = 2;

unsafe extern "C" {
    /// In both C libraries; the bindings have it for one of them.
    fn dlinfo(handle: *mut c_void, request: c_int, answer: *mut c_void) -> c_int;
}

fn loader_error() -> Option<String> {
    // SAFETY: the loader's message of this thread, which lasts until its next call.
    unsafe {
        let message: *const c_char = libc::dlerror();
        (!message.is_null()).then(|| CStr::from_ptr(message).to_string_lossy().into_owned())
    }
}
