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
    /// A data source could not be set up.
    #[error("the data source {name} cannot be set up")]
    Source {
        /// Its name.
        name: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread of the data sources cannot be started.
    #[error("cannot start the thread of the data sources")]
    Thread(#[from] std::io::Error),
    /// The capture cannot be created.
    #[error(transparent)]
    Output(#[from] SinkError),
}
