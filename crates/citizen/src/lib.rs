//! Under construction.

pub mod vm;
