//! Looking at a recording while it goes on, and changing it, from another process.
//!
//! Whoever records (`run`, `record`) listens on a socket in its folder of memory, which only its owner can enter, and
//! answers with [`snapshot::Snapshot`]s or by recording at another depth. `top` and `ctl` are its clients.

pub(crate) mod control;
pub(crate) mod ctl;
pub(crate) mod screen;
pub(crate) mod snapshot;
pub(crate) mod socket;
pub(crate) mod top;
