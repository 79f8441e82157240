//! Recording that begins while the program runs, and that ends before it does.
//!
//! Whoever attaches starts a thread in the process that calls [`tickscope_attach`], writes the jumps of the detours
//! itself while every thread stands still, and says through [`CONTROL`] when it is over. Threads of the program notice at
//! their next call of Lua or at the end of one: they let go of what they had for the recording before and, when there
//! is another, make what they need for that. See `tickscope_hooks::process::outside` for the other side.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tickscope_hooks::lock::ForkLock;
use tickscope_hooks::process::handover::{self, Block, Control};

use crate::home::{self, Home};
use crate::install::{self, Place};
use crate::jit;
use crate::settings::Settings;

/// What is seen from outside.
#[unsafe(export_name = "tickscope_control")]
pub(crate) static CONTROL: Control = Control {
    version: AtomicU32::new(handover::VERSION),
    epoch: AtomicU32::new(0),
    threads: AtomicU32::new(0),
    collector: AtomicU32::new(0),
    depth: AtomicU64::new(0),
    sites: AtomicU64::new(0),
    n_sites: AtomicU64::new(0),
    scratch: AtomicU64::new(0),
};

/// The recording in force; 0 for none. One load.
#[inline(always)]
pub(crate) fn epoch() -> u32 {
    CONTROL.epoch.load(Ordering::Acquire) // pairs with the Release in `begin`
}

/// Recordings are begun one after the other.
static BEGUN: ForkLock<u32> = ForkLock::new(0);

/// What is recorded here cannot be let go of: methods of Mono call us for as long as they are there.
static STAYS: AtomicBool = AtomicBool::new(false);

/// See [`STAYS`].
pub(crate) fn stays() {
    STAYS.store(true, Ordering::Relaxed);
}

/// Recording begins as `home` says.
pub(crate) fn begin(settings: Settings) -> &'static Home {
    let mut begun = BEGUN.lock();
    CONTROL.collector.store(settings.collector().unwrap_or(0), Ordering::Relaxed);
    let home = home::set(Home::new(settings));
    tickscope_hooks::lua::leave_meters();
    *begun = begun.wrapping_add(1).max(1);
    CONTROL.epoch.store(*begun, Ordering::Release); // pairs with the Acquire in `epoch`
    home
}

/// Begins to record in a program that runs. Called on a thread of its own, which was started from outside.
///
/// # Safety
/// `block` is a live [`Block`] that nobody else uses meanwhile.
#[unsafe(no_mangle)]
unsafe extern "C" fn tickscope_attach(block: *mut Block) {
    // SAFETY: the caller's.
    let block = unsafe { &mut *block };
    CONTROL.scratch.store((&raw const *block) as u64, Ordering::Relaxed);
    // Nothing unwinds into the code that called.
    let said = std::panic::catch_unwind(|| {
        let settings = Settings::parse(OsStr::from_bytes(Block::text(&block.settings)))
            .ok_or("the agent does not understand its settings")?;
        if STAYS.load(Ordering::Relaxed) {
            return Err("its Mono is recorded since its start, and that cannot be taken over".into());
        }
        if jit::is_installed() {
            return Err(jit::NOT_FROM_OUTSIDE.into());
        }
        // SAFETY: the jumps are written from outside, while every thread stands still.
        let lua = unsafe { install::install(Place::FromOutside) }?;
        crate::watch_forks();
        begin(settings).note(&format!("{lua} ran nothing"));
        Ok::<_, String>(lua)
    });
    let (agreed, text) = match said {
        Ok(Ok(lua)) => (1, lua),
        Ok(Err(why)) => (0, why),
        Err(_) => (0, "the agent failed".into()),
    };
    Block::put(&mut block.answer, text.as_bytes());
    block.agreed = agreed;
}

/// Tidies up after a recording that ended: the detours are off, and so is [`Control::epoch`].
///
/// # Safety
/// As for [`tickscope_attach`].
#[unsafe(no_mangle)]
unsafe extern "C" fn tickscope_release(block: *mut Block) {
    let _ = std::panic::catch_unwind(|| {
        tickscope_hooks::lua::stop_ticker();
        if let Some(home) = home::get() {
            home.end();
        }
    });
    // SAFETY: the caller's.
    unsafe { (*block).agreed = 1 };
}
