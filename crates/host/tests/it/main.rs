//! The `tickscope` command from outside.

mod city;
mod cli;
mod lua;
