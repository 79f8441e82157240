//! Mono's functions, by name.

use std::ffi::{c_char, c_int, c_void};

use crate::process::elf::Kind;
use crate::process::modules::{self, Module};
use crate::process::symbols;

/// Any of Mono's objects.
pub(super) type Pointer = *mut c_void;

macro_rules! api {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// Functions of a Mono that has the profiler API of 2018 and later (5.12 to 6.12).
        #[derive(Clone, Copy, Debug)]
        pub struct Api {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            /// # Safety
            /// What `find` answers are Mono's functions of those names.
            unsafe fn resolve(find: impl Fn(&str) -> Option<usize>) -> Result<Self, &'static str> {
                Ok(Self {
                    $($name: {
                        let address = find(stringify!($name)).ok_or(stringify!($name))?;
                        // SAFETY: the function has this type in Mono's headers.
                        unsafe {
                            std::mem::transmute::<usize, unsafe extern "C" fn($($argument),*) $(-> $result)?>(address)
                        }
                    },)*
                })
            }
        }
    };
}

/// A callback of any type: Mono declares each event's, and calls it so.
pub(super) type Callback = *const ();

api! {
    mono_profiler_create(Pointer) -> Pointer;
    mono_profiler_enable_allocations() -> c_int;
    mono_profiler_enable_sampling(Pointer) -> c_int;
    mono_profiler_set_sample_mode(Pointer, c_int, u32) -> c_int;
    mono_profiler_set_call_instrumentation_filter_callback(Pointer, Callback);
    mono_profiler_set_runtime_shutdown_begin_callback(Pointer, Callback);
    mono_profiler_set_method_enter_callback(Pointer, Callback);
    mono_profiler_set_method_leave_callback(Pointer, Callback);
    mono_profiler_set_method_tail_call_callback(Pointer, Callback);
    mono_profiler_set_method_exception_leave_callback(Pointer, Callback);
    mono_profiler_set_method_begin_invoke_callback(Pointer, Callback);
    mono_profiler_set_method_end_invoke_callback(Pointer, Callback);
    mono_profiler_set_method_free_callback(Pointer, Callback);
    mono_profiler_set_exception_throw_callback(Pointer, Callback);
    mono_profiler_set_gc_event_callback(Pointer, Callback);
    mono_profiler_set_gc_allocation_callback(Pointer, Callback);
    mono_profiler_set_sample_hit_callback(Pointer, Callback);
    mono_stack_walk_async_safe(Callback, *const c_void, Pointer);
    mono_method_full_name(Pointer, c_int) -> *mut c_char;
    mono_method_get_class(Pointer) -> Pointer;
    mono_class_get_image(Pointer) -> Pointer;
    mono_class_get_name(Pointer) -> *const c_char;
    mono_class_get_namespace(Pointer) -> *const c_char;
    mono_image_get_name(Pointer) -> *const c_char;
    mono_object_get_class(Pointer) -> Pointer;
    mono_object_get_size(Pointer) -> u32;
    mono_gc_get_heap_size() -> i64;
    mono_get_root_domain() -> Pointer;
    mono_free(Pointer);
}

impl Api {
    /// The Mono of this process, and the module it is in. `None` when there is none. `own` is an address in the module that
    /// asks.
    ///
    /// # Errors
    /// Says which function a Mono lacks.
    pub fn find(own: *const ()) -> Option<Result<(Self, Module), String>> {
        modules::loaded(own).into_iter().find_map(|module| {
            let held = module.hold().ok()?;
            held.image().dynamic_table().ok()?.find(Kind::Function, b"mono_profiler_create")?;
            let functions = symbols::exported(&held, "mono_").ok()?;
            // SAFETY: the exported functions of a module that has the profiler API.
            let api = unsafe { Self::resolve(|name| Some(functions.get(name)?.address)) };
            held.forever();
            Some(match api {
                Ok(api) => Ok((api, module)),
                Err(name) => Err(format!("the Mono in {} has no {name}", module.path.display())),
            })
        })
    }
}
