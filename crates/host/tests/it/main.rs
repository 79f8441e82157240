//! The `tickscope` command from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attach;
#[path = "../../../plugin/tests/it/built.rs"]
mod built;
mod city;
mod cli;
mod collect;
mod config;
mod crossing;
mod deterministic;
mod doctor;
mod hostile;
mod install;
mod io;
mod kills;
mod late;
mod limits;
mod live;
mod lua;
#[path = "../../../citizen/tests/it/mariadb.rs"]
mod mariadb;
mod memory;
mod mono;
mod musl;
mod native;
mod plugins;
mod profiler;
mod record;
mod resources;
mod roleplay;
mod terminal;
mod trouble;
mod watch;
