//! Runs the resources of a CitizenFX (FiveM, RedM) server directory offline: an embedded Lua 5.4, a VM per resource,
//! threads, events, exports, timers and promises, and 20 ticks a second, in real or virtual time. Every crossing is
//! recorded: see [`Server`].
//!
//! # Guarantees
//! - A broken manifest, a script that does not load, raises, loops for ever or eats all memory is reported with
//!   resource, file and line, and everything else runs on.
//! - With virtual time, the same directory and seed give the same run, the order of `pairs` included; only keys that
//!   are tables, functions or userdata come in an order of their addresses.
//! - Scripts reach the files of the server's resources, and nothing else of the machine.
//!
//! # Deliberately absent
//! The game itself (nothing moves by itself), scripts in other languages. What a script calls that is not
//! there is one clear error.
#![deny(unsafe_code)]

mod access;
mod callback;
pub mod cfg;
pub mod cfxlua;
mod clock;
mod commands;
mod config;
mod console;
mod constraints;
mod convars;
mod database;
mod discovery;
mod error;
mod events;
mod feedback;
mod host;
mod http;
mod jobs;
mod json;
mod latent;
mod lifecycle;
mod manifest;
mod msgpack;
mod mute;
mod natives;
mod no_recorder;
mod outside;
mod probe;
mod profiler;
mod raw;
mod references;
mod registry;
mod report;
mod resource;
mod samples;
mod scenario;
mod schedule;
mod scopes;
mod scripts;
mod server;
pub mod standalone;
mod state_bags;
mod store;
mod survey;
mod thread_load;
mod values;
pub mod vm;
mod world;

pub use config::ServerConfig;
pub use constraints::SERVER_BUILD;
pub use database::DatabaseConfig;
pub use discovery::{Discovery, Found, discover};
pub use error::Error;
pub use feedback::{ExportFormat, Feedback, FeedbackHandle, Given, GivenSample};
#[doc(hidden)]
pub use manifest::Manifest;
pub use no_recorder::NoRecorder;
pub use report::{Console, ErrorKind, ScriptError, Silent, StdConsole};
pub use resource::ResourceState;
pub use scenario::{ScenarioConfig, ScenarioOutcome};
pub use server::{RunOutcome, Server, StopHandle, TickReport};
pub use survey::{Dependency, Fidelity, Script, ScriptKind, Start, Survey, Surveyed, Use, UseKind, survey};
pub use world::{ClientEvent, Connection, PlayerSpec, PlayerView};
