//! `glm`: mathematics on numbers, vectors, quaternions, matrices and shapes, as far as server scripts use it.
//!
//! Functions take numbers in 64 bits and vectors in 32, and answer in kind.

mod lanes;
mod rotations;
mod shapes;
mod space;

use crate::raw::{Arg, Call, Function, Problem};

/// Names and what they do.
pub(crate) type Entries = &'static [(&'static str, Function)];

/// The functions of `glm` itself.
pub(crate) const FUNCTIONS: &[Entries] = &[lanes::FUNCTIONS, space::FUNCTIONS, rotations::FUNCTIONS];

/// Tables in `glm`, by name.
pub(crate) const SHAPES: &[(&str, Entries)] = &[
    ("polygon", shapes::POLYGON),
    ("segment", shapes::SEGMENT),
    ("segment2d", shapes::SEGMENT),
    ("sphere", shapes::SPHERE),
    ("circle", shapes::SPHERE),
    ("aabb", shapes::AABB),
    ("aabb2d", shapes::AABB),
];

/// Metamethods of polygons.
pub(crate) const POLYGON_EVENTS: Entries = shapes::EVENTS;

/// What FXServer adds to `math`: the rest of C's mathematics.
pub(crate) const MATH: &[&str] = &[
    "acosh",
    "asinh",
    "atanh",
    "cbrt",
    "clamp",
    "copysign",
    "exp2",
    "expm1",
    "fdim",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "isnormal",
    "log1p",
    "logb",
    "nearbyint",
    "nextafter",
    "remainder",
    "round",
    "scalbn",
    "trunc",
];

/// Constants.
pub(crate) const CONSTANTS: &[(&str, f64)] = &[
    ("pi", std::f64::consts::PI),
    ("tau", std::f64::consts::TAU),
    ("two_pi", std::f64::consts::TAU),
    ("half_pi", std::f64::consts::FRAC_PI_2),
    ("quarter_pi", std::f64::consts::FRAC_PI_4),
    ("e", std::f64::consts::E),
    ("root_two", std::f64::consts::SQRT_2),
    ("golden_ratio", 1.618_033_988_749_895),
    ("epsilon", f64::EPSILON),
    ("eps", f64::EPSILON),
    ("feps", f32::EPSILON as f64),
    ("huge", f64::INFINITY),
    ("zero", 0.0),
    ("one", 1.0),
];

const NUMBER_OR_VECTOR: &std::ffi::CStr = c"number or vector";

/// One argument, component by component.
fn unary(call: &mut Call, number: fn(f64) -> f64, lane: fn(f32) -> f32) -> Result<(), Problem> {
    match call.get(1) {
        Arg::Vector(vector) => call.push_vector(vector.map(lane)),
        Arg::Integer(_) | Arg::Number(_) | Arg::Other => {
            let value = call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?;
            call.push_number(number(value));
        }
        _ => return Err(Problem::Expected(1, NUMBER_OR_VECTOR)),
    }
    Ok(())
}

/// Two arguments, component by component; a number stands for all components.
fn binary(call: &mut Call, number: fn(f64, f64) -> f64, lane: fn(f32, f32) -> f32) -> Result<(), Problem> {
    let (first, second) = (call.get(1), call.get(2));
    match (first, second) {
        (Arg::Vector(a), Arg::Vector(b)) if a.kind() == b.kind() => call.push_vector(a.zip(&b, lane)),
        (Arg::Vector(_), Arg::Vector(_)) => return Err(Problem::Expected(2, c"vector of the same size")),
        (Arg::Vector(a), _) => {
            let b = call.number(2)? as f32;
            call.push_vector(a.map(|a| lane(a, b)));
        }
        _ => {
            let a = call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?;
            call.push_number(number(a, call.number(2)?));
        }
    }
    Ok(())
}
