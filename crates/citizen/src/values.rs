//! The value types that CfxLua adds to Lua: vectors, quaternions and matrices, and the mathematics of `glm`.
//!
//! Here is what they are and their arithmetic, in 32-bit floats as FXServer computes; how scripts see them is in
//! [`crate::raw`].
//!
//! # Where this differs from FXServer
//! A vector is an object that exists once per value, so that equality and table keys go by value as there. Two things
//! follow. There is no negative zero in a vector: it would be a second key for an equal value. A vector with a NaN in it
//! equals itself, as long as it is the same one.

pub(crate) mod glm;
pub(crate) mod hash;
mod matrix;
pub(crate) mod polygon;
mod quat;
pub(crate) mod text;
mod vector;

pub(crate) use matrix::Matrix;
pub(crate) use polygon::Point;
pub(crate) use vector::{Kind, Operator, Vector};
