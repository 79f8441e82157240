//! Functions that work on each component by itself.

use super::{Entries, NUMBER_OR_VECTOR, binary, unary};
use crate::raw::{Arg, Call, Problem};
use crate::values::Vector;

/// `name => number, lane` for one argument and for two.
macro_rules! entries {
    (one { $($one:literal => $number:expr, $lane:expr;)* } two { $($two:literal => $number2:expr, $lane2:expr;)* } $($rest:expr,)*) => {
        &[
            $(($one, |call| unary(call, $number, $lane)),)*
            $(($two, |call| binary(call, $number2, $lane2)),)*
            $($rest,)*
        ]
    };
}

pub(super) const FUNCTIONS: Entries = entries! {
    one {
        "trunc" => f64::trunc, f32::trunc;
        "round" => f64::round, f32::round;
        "roundEven" => f64::round_ties_even, f32::round_ties_even;
        "nearbyint" => f64::round_ties_even, f32::round_ties_even;
        "fract" => |x| x - x.floor(), |x| x - x.floor();
        "sign" => |x| if x == 0.0 { 0.0 } else { x.signum() }, |x| if x == 0.0 { 0.0 } else { x.signum() };
        "sqrt" => f64::sqrt, f32::sqrt;
        "inversesqrt" => |x| 1.0 / x.sqrt(), |x| 1.0 / x.sqrt();
        "cbrt" => f64::cbrt, f32::cbrt;
        "exp" => f64::exp, f32::exp;
        "exp2" => f64::exp2, f32::exp2;
        "expm1" => f64::exp_m1, f32::exp_m1;
        "log2" => f64::log2, f32::log2;
        "log10" => f64::log10, f32::log10;
        "log1p" => f64::ln_1p, f32::ln_1p;
        "logb" => |x| x.abs().log2().floor(), |x| x.abs().log2().floor();
        "sin" => f64::sin, f32::sin;
        "cos" => f64::cos, f32::cos;
        "tan" => f64::tan, f32::tan;
        "asin" => f64::asin, f32::asin;
        "acos" => f64::acos, f32::acos;
        "sinh" => f64::sinh, f32::sinh;
        "cosh" => f64::cosh, f32::cosh;
        "tanh" => f64::tanh, f32::tanh;
        "asinh" => f64::asinh, f32::asinh;
        "acosh" => f64::acosh, f32::acosh;
        "atanh" => f64::atanh, f32::atanh;
        "rad" => f64::to_radians, f32::to_radians;
        "radians" => f64::to_radians, f32::to_radians;
        "deg" => f64::to_degrees, f32::to_degrees;
        "degrees" => f64::to_degrees, f32::to_degrees;
        "saturate" => |x| x.clamp(0.0, 1.0), |x| x.clamp(0.0, 1.0);
    }
    two {
        "pow" => f64::powf, f32::powf;
        "mod" => |x, y| x - y * (x / y).floor(), |x, y| x - y * (x / y).floor();
        "fmod" => |x, y| x % y, |x, y| x % y;
        "step" => |edge, x| f64::from(u8::from(x >= edge)), |edge, x| f32::from(u8::from(x >= edge));
        "hypot" => f64::hypot, f32::hypot;
        "copysign" => f64::copysign, f32::copysign;
        "fdim" => |x, y| (x - y).max(0.0), |x, y| (x - y).max(0.0);
        "remainder" => |x, y| x - y * (x / y).round_ties_even(), |x, y| x - y * (x / y).round_ties_even();
        "nextafter" => next_after, next_after_lane;
        "scalbn" => |x, n| x * n.trunc().exp2(), |x, n| x * n.trunc().exp2();
        "snap" => |x, size| if size == 0.0 { x } else { (x / size + 0.5).floor() * size },
            |x, size| if size == 0.0 { x } else { (x / size + 0.5).floor() * size };
        "loopRepeat" => |t, length| (t - (t / length).floor() * length).clamp(0.0, length.max(0.0)),
            |t, length| (t - (t / length).floor() * length).clamp(0.0, length.max(0.0));
        "pingPong" => ping_pong, |t, length| ping_pong(f64::from(t), f64::from(length)) as f32;
        "deltaAngle" => delta_angle, |a, b| delta_angle(f64::from(a), f64::from(b)) as f32;
    }
    ("abs", |call| whole_or(call, i64::wrapping_abs, f64::abs, f32::abs)),
    ("fabs", |call| whole_or(call, i64::wrapping_abs, f64::abs, f32::abs)),
    ("floor", |call| rounded(call, f64::floor, f32::floor)),
    ("ceil", |call| rounded(call, f64::ceil, f32::ceil)),
    ("log", log),
    ("atan", arc_tangent),
    ("atan2", arc_tangent),
    ("sincos", sincos),
    ("min", |call| extreme(call, i64::min, f64::min, f32::min)),
    ("max", |call| extreme(call, i64::max, f64::max, f32::max)),
    ("clamp", clamp),
    ("mix", mix),
    ("lerp", mix),
    ("lerpAngle", lerp_angle),
    ("smoothstep", smoothstep),
    ("isnan", |call| asked(call, f64::is_nan)),
    ("isinf", |call| asked(call, f64::is_infinite)),
    ("isfinite", |call| asked(call, f64::is_finite)),
    ("isnormal", |call| asked(call, f64::is_normal)),
    ("tointeger", to_integer),
    ("toint", to_integer),
};

fn next_after(x: f64, y: f64) -> f64 {
    match x.partial_cmp(&y) {
        Some(std::cmp::Ordering::Less) => x.next_up(),
        Some(std::cmp::Ordering::Greater) => x.next_down(),
        Some(std::cmp::Ordering::Equal) => y,
        None => f64::NAN,
    }
}

fn next_after_lane(x: f32, y: f32) -> f32 {
    match x.partial_cmp(&y) {
        Some(std::cmp::Ordering::Less) => x.next_up(),
        Some(std::cmp::Ordering::Greater) => x.next_down(),
        Some(std::cmp::Ordering::Equal) => y,
        None => f32::NAN,
    }
}

fn ping_pong(t: f64, length: f64) -> f64 {
    let double = length * 2.0;
    length - (t - (t / double).floor() * double - length).abs()
}

/// From one angle to another by the shorter way.
fn delta_angle(from: f64, to: f64) -> f64 {
    let turn = std::f64::consts::TAU;
    let delta = (to - from) - ((to - from) / turn).floor() * turn;
    if delta > std::f64::consts::PI { delta - turn } else { delta }
}

/// A whole number stays one.
fn whole_or(
    call: &mut Call,
    whole: fn(i64) -> i64,
    number: fn(f64) -> f64,
    lane: fn(f32) -> f32,
) -> Result<(), Problem> {
    match call.get(1) {
        Arg::Integer(value) => call.push_integer(whole(value)),
        _ => return unary(call, number, lane),
    }
    Ok(())
}

/// A number gives a whole number if there is one, as in Lua's own `floor`.
fn rounded(call: &mut Call, number: fn(f64) -> f64, lane: fn(f32) -> f32) -> Result<(), Problem> {
    match call.get(1) {
        Arg::Integer(value) => call.push_integer(value),
        Arg::Number(value) => {
            let rounded = number(value);
            if rounded.abs() < 9.0e18 { call.push_integer(rounded as i64) } else { call.push_number(rounded) }
        }
        _ => return unary(call, number, lane),
    }
    Ok(())
}

fn log(call: &mut Call) -> Result<(), Problem> {
    if matches!(call.get(2), Arg::Nil) {
        return unary(call, f64::ln, f32::ln);
    }
    binary(call, f64::log, f32::log)
}

fn arc_tangent(call: &mut Call) -> Result<(), Problem> {
    if matches!(call.get(2), Arg::Nil) {
        return unary(call, f64::atan, f32::atan);
    }
    binary(call, f64::atan2, f32::atan2)
}

fn sincos(call: &mut Call) -> Result<(), Problem> {
    if let Arg::Vector(vector) = call.get(1) {
        call.push_vector(vector.map(f32::sin));
        call.push_vector(vector.map(f32::cos));
    } else {
        let (sin, cos) = call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?.sin_cos();
        call.push_number(sin);
        call.push_number(cos);
    }
    Ok(())
}

/// The least or greatest of all arguments.
fn extreme(
    call: &mut Call,
    whole: fn(i64, i64) -> i64,
    number: fn(f64, f64) -> f64,
    lane: fn(f32, f32) -> f32,
) -> Result<(), Problem> {
    let mut found = call.get(1);
    for index in 2..=call.len().max(2) {
        found = match (found, call.get(index)) {
            (Arg::Integer(a), Arg::Integer(b)) => Arg::Integer(whole(a, b)),
            (Arg::Vector(a), Arg::Vector(b)) if a.kind() == b.kind() => Arg::Vector(a.zip(&b, lane)),
            (Arg::Vector(a), _) => {
                let b = call.number(index)? as f32;
                Arg::Vector(a.map(|a| lane(a, b)))
            }
            (found, Arg::Nil) if call.len() < 2 => found,
            (found, _) => {
                let a = match found {
                    Arg::Integer(a) => a as f64,
                    Arg::Number(a) => a,
                    _ => call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?,
                };
                Arg::Number(number(a, call.number(index)?))
            }
        };
    }
    give(call, found)
}

fn give(call: &mut Call, value: Arg) -> Result<(), Problem> {
    match value {
        Arg::Integer(value) => call.push_integer(value),
        Arg::Number(value) => call.push_number(value),
        Arg::Vector(value) => call.push_vector(value),
        _ => return Err(Problem::Expected(1, NUMBER_OR_VECTOR)),
    }
    Ok(())
}

/// The second or third argument as a vector like the first.
fn like(call: &Call, vector: &Vector, index: usize) -> Result<Vector, Problem> {
    match call.get(index) {
        Arg::Vector(other) if other.kind() == vector.kind() => Ok(other),
        _ => call
            .number(index)
            .map(|number| vector.map(|_| number as f32))
            .map_err(|_| Problem::Expected(index, c"number or vector of the same size")),
    }
}

fn clamp(call: &mut Call) -> Result<(), Problem> {
    if let Arg::Vector(vector) = call.get(1) {
        let (least, most) = (like(call, &vector, 2)?, like(call, &vector, 3)?);
        call.push_vector(vector.zip(&least, f32::max).zip(&most, f32::min));
        return Ok(());
    }
    if let (Arg::Integer(value), Arg::Integer(least), Arg::Integer(most)) =
        (call.get(1), call.get(2), call.get(3))
    {
        call.push_integer(value.max(least).min(most));
        return Ok(());
    }
    let value = call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?;
    call.push_number(value.max(call.number_or(2, 0.0)?).min(call.number_or(3, 1.0)?));
    Ok(())
}

fn mix(call: &mut Call) -> Result<(), Problem> {
    if let Arg::Vector(from) = call.get(1) {
        let (to, share) = (like(call, &from, 2)?, like(call, &from, 3)?);
        let rest = share.map(|share| 1.0 - share);
        let mixed = from
            .zip(&rest, |from, rest| from * rest)
            .zip(&to.zip(&share, |to, share| to * share), |a, b| a + b);
        call.push_vector(mixed);
        return Ok(());
    }
    let (from, to, share) = (call.number(1)?, call.number(2)?, call.number(3)?);
    call.push_number(from * (1.0 - share) + to * share);
    Ok(())
}

fn lerp_angle(call: &mut Call) -> Result<(), Problem> {
    if let Arg::Vector(from) = call.get(1) {
        let (to, share) = (like(call, &from, 2)?, like(call, &from, 3)?);
        let step =
            from.zip(&to, |a, b| delta_angle(f64::from(a), f64::from(b)) as f32).zip(&share, |a, b| a * b);
        call.push_vector(from.zip(&step, |a, b| a + b));
        return Ok(());
    }
    let (from, to, share) = (call.number(1)?, call.number(2)?, call.number(3)?);
    call.push_number(from + delta_angle(from, to) * share);
    Ok(())
}

fn smoothstep(call: &mut Call) -> Result<(), Problem> {
    let ease = |t: f64| t * t * (3.0 - 2.0 * t);
    if let Arg::Vector(vector) = call.get(3) {
        let (from, to) = (like(call, &vector, 1)?, like(call, &vector, 2)?);
        let share =
            vector.zip(&from, |x, from| x - from).zip(&to.zip(&from, |to, from| to - from), |a, b| a / b);
        call.push_vector(share.map(|t| ease(f64::from(t.clamp(0.0, 1.0))) as f32));
        return Ok(());
    }
    let (from, to, x) = (call.number(1)?, call.number(2)?, call.number(3)?);
    call.push_number(ease(((x - from) / (to - from)).clamp(0.0, 1.0)));
    Ok(())
}

/// A question about a number; of a vector, ones and zeros.
fn asked(call: &mut Call, question: fn(f64) -> bool) -> Result<(), Problem> {
    if let Arg::Vector(vector) = call.get(1) {
        call.push_vector(vector.map(|lane| f32::from(u8::from(question(f64::from(lane))))));
    } else {
        let value = call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?;
        call.push_boolean(question(value));
    }
    Ok(())
}

/// A whole number if it is one, else nil.
fn to_integer(call: &mut Call) -> Result<(), Problem> {
    match call.get(1) {
        Arg::Integer(value) => call.push_integer(value),
        Arg::Vector(vector) => call.push_vector(vector.map(f32::trunc)),
        _ => match call.number(1) {
            Ok(value) if value.fract() == 0.0 && value.abs() < 9.0e18 => call.push_integer(value as i64),
            _ => call.push_nil(),
        },
    }
    Ok(())
}
