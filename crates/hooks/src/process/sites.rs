//! Detours whose jumps are written from outside, while every thread of the process is stopped.
//!
//! [`Detours::prepare`] makes the trampolines as for a program that we start. Here come the jumps: five bytes reach two
//! gigabytes far, and a library that was loaded late lies farther from the program, so each jumps to an island near its
//! function that jumps on.

use std::ptr;

use super::detour::{Detours, refuse};
use super::error::Error;
use super::handover::Site;
use super::prologue::PATCH;

/// `jmp [rip]`, and the address behind it.
const ISLAND: usize = 16;
const PAGE: usize = 4096;
/// How far from its functions an island may lie: less than a jump reaches, for a module may be large.
const NEAR: usize = 1 << 30;

/// The bytes to be written, in memory that stays; of detours that are enabled, what was written. The functions are not
/// touched.
///
/// # Errors
/// When there is no room near one of the functions.
pub fn sites(detours: &Detours) -> Result<&'static [Site], Error> {
    let mut islands = Islands::default();
    let mut sites = Vec::new();
    for patch in detours.patches() {
        let (address, to) = (patch.address, patch.replacement);
        let jump = patch
            .jump
            .or_else(|| reach(address, to))
            .or_else(|| reach(address, islands.to(address, to)?))
            .ok_or_else(|| refuse(&patch.symbol, address, "there is no free memory near it".into()))?;
        sites.push(Site { address: address as u64, original: patch.original, jump });
    }
    match islands.finish() {
        true => Ok(Vec::leak(sites)),
        false => Err(refuse("the jumps", islands.page, "the system lets no memory become code".into())),
    }
}

/// The jump at `from` to `to`, if it reaches so far.
fn reach(from: usize, to: usize) -> Option<[u8; PATCH]> {
    let distance = (to as i64).checked_sub(from.checked_add(PATCH)? as i64)?;
    let [a, b, c, d] = i32::try_from(distance).ok()?.to_le_bytes();
    Some([0xe9, a, b, c, d])
}

/// A page of islands.
#[derive(Default)]
struct Islands {
    page: usize,
    used: usize,
}

impl Islands {
    fn to(&mut self, near: usize, target: usize) -> Option<usize> {
        if self.page == 0 || self.page.abs_diff(near) > NEAR || self.used + ISLAND > PAGE {
            if !self.finish() {
                return None;
            }
            *self = Self { page: page_near(near)?, used: 0 };
        }
        let island = self.page + self.used;
        self.used += ISLAND;
        let mut code = [0xcc; ISLAND];
        code[..6].copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0]);
        code[6..14].copy_from_slice(&target.to_le_bytes());
        // SAFETY: within a page of ours that is writable until `finish` and that nobody executes yet.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), island as *mut u8, ISLAND) };
        Some(island)
    }

    /// From here on the page is code. Whether the system agreed.
    fn finish(&self) -> bool {
        // SAFETY: a page of ours.
        self.page == 0
            || unsafe { libc::mprotect(self.page as *mut _, PAGE, libc::PROT_READ | libc::PROT_EXEC) == 0 }
    }
}

/// A fresh page within reach of `near`; what others map there is left alone.
fn page_near(near: usize) -> Option<usize> {
    let near = near & !(PAGE - 1);
    // Modules are packed densely: step over them a megabyte at a time, above and below in turn.
    (1..NEAR >> 20)
        .flat_map(|step| [near.checked_sub(step << 20), near.checked_add(step << 20)])
        .flatten()
        .find(|place| {
            // SAFETY: a new mapping, or none: `MAP_FIXED_NOREPLACE` replaces nothing.
            let page = unsafe {
                libc::mmap(
                    *place as *mut _,
                    PAGE,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
                    -1,
                    0,
                )
            };
            if page != libc::MAP_FAILED && page as usize != *place {
                // SAFETY: just mapped. A kernel before 4.17 takes the flag for a hint.
                unsafe { libc::munmap(page, PAGE) };
            }
            page as usize == *place
        })
}
