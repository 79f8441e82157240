//! Lengths, distances, directions and angles.

use super::{Entries, NUMBER_OR_VECTOR};
use crate::raw::{Arg, Call, Problem};
use crate::values::{Vector, polygon, text};

pub(super) const FUNCTIONS: Entries = &[
    ("dot", |call| of_two(call, |a, b| a.dot(b), |a, b| a * b)),
    ("distance", |call| of_two(call, |a, b| between(a, b).magnitude(), |a, b| (a - b).abs())),
    ("distance2", |call| of_two(call, |a, b| square(&between(a, b)), |a, b| (a - b) * (a - b))),
    ("distanceSquared", |call| of_two(call, |a, b| square(&between(a, b)), |a, b| (a - b) * (a - b))),
    ("length", |call| of_one(call, Vector::magnitude, f64::abs)),
    ("magnitude", |call| of_one(call, Vector::magnitude, f64::abs)),
    ("length2", |call| of_one(call, square, |x| x * x)),
    ("lengthSquared", |call| of_one(call, square, |x| x * x)),
    ("sqrMagnitude", |call| of_one(call, square, |x| x * x)),
    ("normalize", normalize),
    ("norm", normalize),
    ("cross", cross),
    ("direction", direction),
    ("reflect", reflect),
    ("proj", project),
    ("perp", perpendicular),
    ("angle", angle),
    ("orientedAngle", oriented_angle),
    ("signedAngle", oriented_angle),
    ("moveTowards", move_towards),
    ("clampLength", clamp_length),
    ("clampMagnitude", clamp_length),
    ("scaleLength", scale_length),
    ("scaleMagnitude", scale_length),
    ("isNormalized", is_normalized),
    ("isNull", is_null),
    ("isZero", is_null),
    ("equal", equal),
    ("allEqual", all_equal),
    ("right", |call| axis(call, [1.0, 0.0, 0.0])),
    ("up", |call| axis(call, [0.0, 0.0, 1.0])),
    ("forward", |call| axis(call, [0.0, 1.0, 0.0])),
    ("unpack", unpack),
    ("to_string", to_string),
];

fn between(a: &Vector, b: &Vector) -> Vector {
    a.zip(b, |a, b| a - b)
}

fn square(vector: &Vector) -> f32 {
    vector.dot(vector)
}

/// Two vectors of one kind.
fn two(call: &Call) -> Result<(Vector, Vector), Problem> {
    let (first, second) = (call.vector(1)?, call.vector(2)?);
    match first.kind() == second.kind() {
        true => Ok((first, second)),
        false => Err(Problem::Expected(2, c"vector of the same size")),
    }
}

fn of_two(
    call: &mut Call,
    vectors: fn(&Vector, &Vector) -> f32,
    numbers: fn(f64, f64) -> f64,
) -> Result<(), Problem> {
    let value = if matches!(call.get(1), Arg::Vector(_)) {
        let (first, second) = two(call)?;
        f64::from(vectors(&first, &second))
    } else {
        let first = call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?;
        numbers(first, call.number(2)?)
    };
    call.push_number(value);
    Ok(())
}

fn of_one(call: &mut Call, vector: fn(&Vector) -> f32, number: fn(f64) -> f64) -> Result<(), Problem> {
    let value = match call.get(1) {
        Arg::Vector(one) => f64::from(vector(&one)),
        _ => number(call.number(1).map_err(|_| Problem::Expected(1, NUMBER_OR_VECTOR))?),
    };
    call.push_number(value);
    Ok(())
}

fn normalize(call: &mut Call) -> Result<(), Problem> {
    let vector = call.vector(1)?;
    call.push_vector(vector.normalized());
    Ok(())
}

fn cross(call: &mut Call) -> Result<(), Problem> {
    let (first, second) = two(call)?;
    match first.components().len() {
        2 => {
            let ([ax, ay, ..], [bx, by, ..]) = (first.lanes(), second.lanes());
            call.push_number(f64::from(ax * by - bx * ay));
        }
        3 => call.push_vector3(polygon::cross(first.xyz(), second.xyz())),
        _ => return Err(Problem::Expected(1, c"vector2 or vector3")),
    }
    Ok(())
}

/// From the first to the second, with a magnitude of one.
fn direction(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = two(call)?;
    call.push_vector(between(&to, &from).normalized());
    Ok(())
}

fn reflect(call: &mut Call) -> Result<(), Problem> {
    let (incident, normal) = two(call)?;
    let share = 2.0 * normal.dot(&incident);
    call.push_vector(incident.zip(&normal, |incident, normal| incident - share * normal));
    Ok(())
}

/// The part of the first that points along the second.
fn along(of: &Vector, onto: &Vector) -> Vector {
    let share = of.dot(onto) / square(onto);
    onto.map(|lane| lane * share)
}

fn project(call: &mut Call) -> Result<(), Problem> {
    let (of, onto) = two(call)?;
    call.push_vector(along(&of, &onto));
    Ok(())
}

fn perpendicular(call: &mut Call) -> Result<(), Problem> {
    let (of, onto) = two(call)?;
    call.push_vector(between(&of, &along(&of, &onto)));
    Ok(())
}

/// Between two directions of a magnitude of one, or that of a rotation; in radians.
fn angle(call: &mut Call) -> Result<(), Problem> {
    let first = call.vector(1)?;
    let angle = if first.is_quat() {
        first.angle()
    } else {
        let (first, second) = two(call)?;
        first.dot(&second).clamp(-1.0, 1.0).acos()
    };
    call.push_number(f64::from(angle));
    Ok(())
}

/// As [`angle`], negative when the way is clockwise: seen from above, or from where the third argument points.
fn oriented_angle(call: &mut Call) -> Result<(), Problem> {
    let (first, second) = two(call)?;
    let angle = first.dot(&second).clamp(-1.0, 1.0).acos();
    let side = match first.components().len() {
        2 => {
            let ([ax, ay, ..], [bx, by, ..]) = (first.lanes(), second.lanes());
            ax * by - bx * ay
        }
        3 => polygon::dot(call.vector3(3)?, polygon::cross(first.xyz(), second.xyz())),
        _ => return Err(Problem::Expected(1, c"vector2 or vector3")),
    };
    call.push_number(f64::from(if side < 0.0 { -angle } else { angle }));
    Ok(())
}

fn move_towards(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = two(call)?;
    let most = call.number(3)? as f32;
    let way = between(&to, &from);
    let far = way.magnitude();
    let moved =
        if far <= most || far == 0.0 { to } else { from.zip(&way, |from, way| from + way / far * most) };
    call.push_vector(moved);
    Ok(())
}

fn clamp_length(call: &mut Call) -> Result<(), Problem> {
    let (vector, most) = (call.vector(1)?, call.number(2)? as f32);
    let magnitude = vector.magnitude();
    call.push_vector(if magnitude > most { vector.map(|lane| lane / magnitude * most) } else { vector });
    Ok(())
}

fn scale_length(call: &mut Call) -> Result<(), Problem> {
    let (vector, len) = (call.vector(1)?, call.number(2)? as f32);
    call.push_vector(vector.normalized().map(|lane| lane * len));
    Ok(())
}

fn is_normalized(call: &mut Call) -> Result<(), Problem> {
    let (vector, far) = (call.vector(1)?, call.number_or(2, f64::from(f32::EPSILON))? as f32);
    call.push_boolean((vector.magnitude() - 1.0).abs() <= 2.0 * far);
    Ok(())
}

fn is_null(call: &mut Call) -> Result<(), Problem> {
    let (vector, far) = (call.vector(1)?, call.number_or(2, f64::from(f32::EPSILON))? as f32);
    call.push_boolean(vector.magnitude() <= far);
    Ok(())
}

/// Component by component, ones and zeros; of numbers a boolean.
fn equal(call: &mut Call) -> Result<(), Problem> {
    let far = call.number_or(3, 0.0)?;
    if matches!(call.get(1), Arg::Vector(_)) {
        let (first, second) = two(call)?;
        call.push_vector(first.zip(&second, |a, b| f32::from(u8::from(f64::from((a - b).abs()) <= far))));
    } else {
        let equal = (call.number(1)? - call.number(2)?).abs() <= far;
        call.push_boolean(equal);
    }
    Ok(())
}

fn all_equal(call: &mut Call) -> Result<(), Problem> {
    let (first, second) = two(call)?;
    let far = call.number_or(3, 0.0)? as f32;
    call.push_boolean(between(&first, &second).components().iter().all(|lane| lane.abs() <= far));
    Ok(())
}

/// The axes of the world: x to the right, y ahead, z up.
fn axis(call: &mut Call, axis: [f32; 3]) -> Result<(), Problem> {
    call.push_vector3(axis);
    Ok(())
}

fn unpack(call: &mut Call) -> Result<(), Problem> {
    let vector = call.vector(1)?;
    let [x, y, z, w] = vector.lanes();
    let quat = [w, x, y, z];
    for lane in if vector.is_quat() { &quat } else { vector.components() } {
        call.push_number(f64::from(*lane));
    }
    Ok(())
}

fn to_string(call: &mut Call) -> Result<(), Problem> {
    let text = match call.get(1) {
        Arg::Vector(vector) => text::of_vector(&vector),
        Arg::Matrix(matrix) => text::of_matrix(&matrix),
        _ => return Err(Problem::Expected(1, c"vector or matrix")),
    };
    call.push_text(text.bytes());
    Ok(())
}
