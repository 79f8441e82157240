//! Real consumers of what we write, and real programs under our hooks: judges that know nothing of us.
//!
//! The engines come from package registries by name and pinned version, into `target/oracles`; nothing of them is
//! committed. The runners in `xtask/oracles/` are ours.

pub mod captures;
mod engine;
pub mod install;
pub mod lua;
pub mod pages;
pub mod perfetto;
pub mod record;

use std::path::PathBuf;

use crate::metadata;

/// Where engines, captures and screenshots lie.
fn folder() -> PathBuf {
    metadata::target_dir().join("oracles")
}

/// The release build of the command line.
pub fn tickscope() -> PathBuf {
    metadata::target_dir().join("release").join("tickscope")
}

/// A runner of ours.
pub fn runner(name: &str) -> PathBuf {
    metadata::root().join("xtask/oracles").join(name)
}
