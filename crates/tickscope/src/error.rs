//! Why a recording cannot start.

use tickscope_core::{SamplingError, SinkError};
use tickscope_session::ConfigError;

/// Why a recording cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The macros record into another recording already.
    #[error("a recording is in progress: stop it first, or start this one with `start_apart`")]
    InProgress,
    /// A size is out of range, or memory could not be had.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sampling configuration is not valid.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The capture cannot be created.
    #[error(transparent)]
    Output(#[from] SinkError),
}
