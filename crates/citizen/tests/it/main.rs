//! Tests of whole servers: small resource trees, written into a folder, run, and looked at.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod api;
mod cfxlua;
mod compat;
mod database;
mod entities;
mod errors;
mod events;
mod exports;
mod frameworks;
mod http;
mod jobs;
mod library;
mod lifecycle;
mod mariadb;
mod natives;
mod players;
mod probe;
mod profiler;
mod scenario;
mod scopes;
mod server_cfg;
mod spans;
mod state_bags;
mod store;
mod threads;
mod values;
mod vectors;
mod world;
