//! What methods are called: a table from addresses to symbols that is read without a lock, in signal handlers too.

use std::ffi::{CStr, c_char};
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use tickscope_core::{Recorder, Runtime, SymbolId, SymbolRef, escape};

use super::api::{Api, Pointer};
use crate::lock::ForkLock;

/// Places; a power of two. Methods that find none are not recorded.
const PLACES: usize = 1 << 16;

/// Known, and not to be recorded.
const UNWANTED: u64 = 1 << 32;
/// Compiled so that its calls tell.
const TELLS: u64 = 1 << 33;
const KNOWN: u64 = 1 << 34;

struct Table {
    keys: [AtomicUsize; PLACES],
    values: [AtomicU64; PLACES],
}

static TABLE: Table =
    Table { keys: [const { AtomicUsize::new(0) }; PLACES], values: [const { AtomicU64::new(0) }; PLACES] };

/// Held while a place is taken: how many are.
static TAKEN: ForkLock<usize> = ForkLock::new(0);

/// What is known of a method or a class.
#[derive(Clone, Copy)]
pub(super) struct Known(u64);

impl Known {
    /// Its symbol; `None` when it is not recorded.
    pub(super) fn symbol(self) -> Option<SymbolId> {
        (self.0 & UNWANTED == 0).then_some(SymbolId(self.0 as u32))
    }

    pub(super) fn tells(self) -> bool {
        self.0 & TELLS != 0
    }
}

fn places(key: usize) -> impl Iterator<Item = usize> {
    let start = (key >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    (0..64).map(move |step| (start + step) & (PLACES - 1))
}

/// What is known of the method or class at an address. A few loads; async-signal-safe.
#[inline]
pub(super) fn known(key: usize) -> Option<Known> {
    for place in places(key) {
        match TABLE.keys[place].load(Acquire) {
            found if found == key => {
                let value = TABLE.values[place].load(Relaxed);
                return (value & KNOWN != 0).then_some(Known(value));
            }
            0 => return None,
            _ => {}
        }
    }
    None
}

fn keep(key: usize, value: u64) {
    let value = value | KNOWN;
    let mut taken = TAKEN.lock();
    for place in places(key) {
        let found = TABLE.keys[place].load(Relaxed);
        if found == key {
            TABLE.values[place].store(value, Relaxed);
            return;
        }
        if found == 0 {
            if *taken < PLACES / 4 * 3 {
                TABLE.values[place].store(value, Relaxed);
                TABLE.keys[place].store(key, Release); // pairs with the Acquire in `known`
                *taken += 1;
            }
            return;
        }
    }
}

/// The method is compiled so that its calls tell.
pub(super) fn tells(key: usize, known: Known) {
    keep(key, known.0 | TELLS);
}

/// The method is gone; another may be made at its address.
pub(super) fn forget(key: usize) {
    if places(key).any(|place| TABLE.keys[place].load(Acquire) == key) {
        let _one_at_a_time = TAKEN.lock();
        for place in places(key) {
            if TABLE.keys[place].load(Relaxed) == key {
                TABLE.values[place].store(0, Relaxed);
            }
        }
    }
}

/// What a method is called, found out when it is new.
///
/// # Safety
/// `method` is a method of the Mono of `api`, on a thread that Mono knows.
pub(super) unsafe fn learn<R: Recorder>(api: &Api, recorder: &R, method: Pointer) -> Known {
    if let Some(known) = known(method as usize) {
        return known;
    }
    // SAFETY: passed on to the caller; names are the image's own.
    let value = unsafe {
        let image = (api.mono_class_get_image)((api.mono_method_get_class)(method));
        let assembly = text((api.mono_image_get_name)(image));
        if is_framework(&assembly) { UNWANTED } else { name(api, recorder, method, &assembly) }
    };
    keep(method as usize, value);
    Known(value)
}

/// # Safety
/// As for [`learn`].
unsafe fn name<R: Recorder>(api: &Api, recorder: &R, method: Pointer, assembly: &str) -> u64 {
    // SAFETY: the name is ours to free.
    let name = unsafe {
        let name = (api.mono_method_full_name)(method, 0);
        let copy = text(name);
        (api.mono_free)(name.cast());
        copy
    };
    match name.strip_prefix(TO_NATIVE) {
        Some(name) => symbol(recorder, Runtime::Native, assembly, name),
        // What else Mono makes to get from native code to managed and back.
        None if name.is_empty() || name.starts_with('(') => UNWANTED,
        None => symbol(recorder, Runtime::CSharp, assembly, &name),
    }
}

/// What Mono puts before the name of the method that it makes for one in native code: an internal call, or one by
/// `DllImport`.
const TO_NATIVE: &str = "(wrapper managed-to-native) ";

fn symbol<R: Recorder>(recorder: &R, runtime: Runtime, resource: &str, name: &str) -> u64 {
    let symbol = SymbolRef { runtime, resource, name, ..SymbolRef::default() };
    u64::from(recorder.intern_symbol(symbol).0)
}

/// The symbol and the name of the class of an exception.
///
/// # Safety
/// `class` is a class of the Mono of `api`.
pub(super) unsafe fn exception<R: Recorder>(api: &Api, recorder: &R, class: Pointer) -> (SymbolId, String) {
    // SAFETY: passed on to the caller; names are the image's own.
    let name = unsafe {
        let space = text((api.mono_class_get_namespace)(class));
        let name = text((api.mono_class_get_name)(class));
        if space.is_empty() { name } else { format!("{space}.{name}") }
    };
    if let Some(symbol) = known(class as usize).and_then(Known::symbol) {
        return (symbol, name);
    }
    let value = symbol(recorder, Runtime::CSharp, "", &name);
    keep(class as usize, value);
    (SymbolId(value as u32), name)
}

/// # Safety
/// `text` is null or a C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: passed on to the caller.
    escape(unsafe { CStr::from_ptr(text) }.to_bytes()).into_owned()
}

/// Whether an assembly is of Mono or of the framework, not of the program.
pub(super) fn is_framework(assembly: &str) -> bool {
    matches!(assembly, "mscorlib" | "netstandard" | "System" | "Accessibility" | "WindowsBase" | "I18N")
        || ["System.", "Mono.", "Microsoft.", "I18N."].iter().any(|prefix| assembly.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_known_until_it_is_forgotten() {
        let key = 0x7f00_1234_5678;
        assert!(known(key).is_none());
        keep(key, 77);
        assert_eq!(known(key).unwrap().symbol(), Some(SymbolId(77)));
        tells(key, known(key).unwrap());
        assert!(known(key).unwrap().tells());
        keep(key + 8, UNWANTED);
        assert_eq!(known(key + 8).unwrap().symbol(), None);
        forget(key);
        assert!(known(key).is_none());
        assert!(known(key + 8).is_some());
        keep(key, 78);
        assert_eq!(known(key).unwrap().symbol(), Some(SymbolId(78)));
        assert!(!known(key).unwrap().tells());
    }

    #[test]
    fn the_framework_is_told_from_programs() {
        for framework in ["mscorlib", "System", "System.Core", "Mono.Security", "Microsoft.CSharp"] {
            assert!(is_framework(framework), "{framework}");
        }
        for program in ["Systems", "program", "Monolith", "CitizenFX.Core"] {
            assert!(!is_framework(program), "{program}");
        }
    }
}
