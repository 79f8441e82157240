//! Whether a program ends its threads from outside, with `Thread.Abort`.
//!
//! Mono looks at the stack of a thread that it aborts, and ends the process (`mono-threads.c`: an assertion) when its own
//! sampling signal comes to that thread meanwhile. So a program that can abort threads is not sampled. What an assembly calls
//! of others is in its table `MemberRef` (ECMA-335, II.22.25).

use std::ffi::{CStr, c_int};

use super::api::{Api, Pointer};

const TYPE_REF: c_int = 0x01;
const MEMBER_REF: c_int = 0x0a;
/// Columns of both tables.
const CLASS: u32 = 0;
const NAME: u32 = 1;
const NAMESPACE: u32 = 2;
/// `MemberRefParent`: the kind in three bits, and a row counted from 1.
const KIND: u32 = 7;
const IS_TYPE_REF: u32 = 1;

/// Whether the assembly in `image` calls `System.Threading.Thread.Abort`.
///
/// # Safety
/// `image` is a loaded image of the Mono of `api`.
pub(super) unsafe fn calls_abort(api: &Api, image: Pointer) -> bool {
    // SAFETY: the image's tables, rows within them; names are the image's own.
    unsafe {
        let members = (api.mono_image_get_table_info)(image, MEMBER_REF);
        let types = (api.mono_image_get_table_info)(image, TYPE_REF);
        if members.is_null() || types.is_null() {
            return false;
        }
        let is = |table: Pointer, row: c_int, column: u32, name: &CStr| {
            let at = (api.mono_metadata_decode_row_col)(table, row, column);
            let found = (api.mono_metadata_string_heap)(image, at);
            !found.is_null() && CStr::from_ptr(found) == name
        };
        let n_types = (api.mono_table_info_get_rows)(types);
        (0..(api.mono_table_info_get_rows)(members)).any(|row| {
            let class = (api.mono_metadata_decode_row_col)(members, row, CLASS);
            let of = (class >> 3) as c_int - 1;
            class & KIND == IS_TYPE_REF
                && (0..n_types).contains(&of)
                && is(members, row, NAME, c"Abort")
                && is(types, of, NAME, c"Thread")
                && is(types, of, NAMESPACE, c"System.Threading")
        })
    }
}
