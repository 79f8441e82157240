//! Quaternions and matrices.

use super::Entries;
use crate::raw::{Arg, Call, Problem};
use crate::values::{Kind, Matrix, Operator, Vector, polygon};

pub(super) const FUNCTIONS: Entries = &[
    ("angleAxis", angle_axis),
    ("axis", axis),
    ("conjugate", conjugate),
    ("inverse", inverse),
    ("inv", inverse),
    ("slerp", slerp),
    ("rotate", rotate),
    ("eulerAngles", |call| euler(call, None)),
    ("pitch", |call| euler(call, Some(0))),
    ("yaw", |call| euler(call, Some(1))),
    ("roll", |call| euler(call, Some(2))),
    ("rotateFromTo", rotate_from_to),
    ("quatLookRotation", look_rotation),
    ("quatlookRotation", look_rotation),
    ("quatEulerAngleX", |call| quat_euler(call, b"X")),
    ("quatEulerAngleY", |call| quat_euler(call, b"Y")),
    ("quatEulerAngleZ", |call| quat_euler(call, b"Z")),
    ("quatEulerAngleXY", |call| quat_euler(call, b"XY")),
    ("quatEulerAngleXZ", |call| quat_euler(call, b"XZ")),
    ("quatEulerAngleYX", |call| quat_euler(call, b"YX")),
    ("quatEulerAngleYZ", |call| quat_euler(call, b"YZ")),
    ("quatEulerAngleZX", |call| quat_euler(call, b"ZX")),
    ("quatEulerAngleZY", |call| quat_euler(call, b"ZY")),
    ("quatEulerAngleXYZ", |call| quat_euler(call, b"XYZ")),
    ("quatEulerAngleXZY", |call| quat_euler(call, b"XZY")),
    ("quatEulerAngleYXZ", |call| quat_euler(call, b"YXZ")),
    ("quatEulerAngleYZX", |call| quat_euler(call, b"YZX")),
    ("quatEulerAngleZXY", |call| quat_euler(call, b"ZXY")),
    ("quatEulerAngleZYX", |call| quat_euler(call, b"ZYX")),
    ("toQuat", to_quat),
    ("quat_cast", to_quat),
    ("toMat3", |call| to_matrix(call, 3)),
    ("mat3_cast", |call| to_matrix(call, 3)),
    ("toMat4", |call| to_matrix(call, 4)),
    ("mat4_cast", |call| to_matrix(call, 4)),
    ("transpose", transpose),
    ("translate", translate),
];

/// Radians, and an axis of a magnitude of one.
fn angle_axis(call: &mut Call) -> Result<(), Problem> {
    let (angle, axis) = (call.number(1)? as f32, call.vector3(2)?);
    call.push_vector(Vector::angle_axis(angle, axis));
    Ok(())
}

fn axis(call: &mut Call) -> Result<(), Problem> {
    let quat = call.quat(1)?;
    call.push_vector3(quat.axis());
    Ok(())
}

fn conjugate(call: &mut Call) -> Result<(), Problem> {
    let [x, y, z, w] = call.quat(1)?.lanes();
    call.push_vector(Vector::quat(w, [-x, -y, -z]));
    Ok(())
}

fn inverse(call: &mut Call) -> Result<(), Problem> {
    match call.get(1) {
        Arg::Vector(quat) if quat.is_quat() => call.push_vector(quat.inverse()),
        Arg::Matrix(matrix) => match matrix.inverse() {
            Some(inverse) => call.push_matrix(inverse),
            None => return Err(Problem::Expected(1, c"quat or symmetric matrix")),
        },
        _ => return Err(Problem::Expected(1, c"quat or symmetric matrix")),
    }
    Ok(())
}

/// Along the arc from one direction or rotation to another; of rotations the shorter one.
fn slerp(call: &mut Call) -> Result<(), Problem> {
    let (from, mut to) = (call.vector(1)?, call.vector(2)?);
    if from.kind() != to.kind() {
        return Err(Problem::Expected(2, c"vector of the same size"));
    }
    let share = call.number(3)? as f32;
    let mut cos = from.dot(&to);
    if from.is_quat() && cos < 0.0 {
        to = to.map(|lane| -lane);
        cos = -cos;
    }
    let arc = if cos > 1.0 - f32::EPSILON {
        from.zip(&to, |from, to| from * (1.0 - share) + to * share)
    } else {
        let angle = cos.clamp(-1.0, 1.0).acos();
        let (rest, done) = (((1.0 - share) * angle).sin(), (share * angle).sin());
        from.zip(&to, |from, to| (from * rest + to * done) / angle.sin())
    };
    call.push_vector(arc);
    Ok(())
}

/// A vector turned by a quaternion; a quaternion, or a vector, turned by an angle in radians about an axis.
fn rotate(call: &mut Call) -> Result<(), Problem> {
    let first = call.vector(1)?;
    let turned = match (call.get(2), call.get(3)) {
        (Arg::Vector(vector), _) if first.is_quat() => first.operate(Operator::Mul, &vector),
        (_, Arg::Vector(_)) => {
            let turn = Vector::angle_axis(call.number(2)? as f32, polygon::normalize(call.vector3(3)?));
            if first.is_quat() {
                first.operate(Operator::Mul, &turn)
            } else {
                turn.operate(Operator::Mul, &first)
            }
        }
        _ if first.kind() == Kind::Vector2 => {
            let (sin, cos) = (call.number(2)? as f32).sin_cos();
            let [x, y, ..] = first.lanes();
            Some(Vector::new(Kind::Vector2, [x * cos - y * sin, x * sin + y * cos, 0.0, 0.0]))
        }
        _ => None,
    };
    call.push_vector(turned.ok_or(Problem::Expected(2, c"number and vector3, or a quat's vector"))?);
    Ok(())
}

/// Pitch, yaw and roll of a rotation in radians: all three, or one.
fn euler(call: &mut Call, one: Option<usize>) -> Result<(), Problem> {
    let [x, y, z, w] = call.quat(1)?.lanes();
    let pitch = match (2.0 * (y * z + w * x), w * w - x * x - y * y + z * z) {
        (up, ahead) if up.abs() < f32::EPSILON && ahead.abs() < f32::EPSILON => 2.0 * x.atan2(w),
        (up, ahead) => up.atan2(ahead),
    };
    let yaw = (-2.0 * (x * z - w * y)).clamp(-1.0, 1.0).asin();
    let roll = match (2.0 * (x * y + w * z), w * w + x * x - y * y - z * z) {
        (up, ahead) if up.abs() < f32::EPSILON && ahead.abs() < f32::EPSILON => 0.0,
        (up, ahead) => up.atan2(ahead),
    };
    let angles = [pitch, yaw, roll];
    match one {
        Some(index) => call.push_number(f64::from(angles[index])),
        None => call.push_vector3(angles),
    }
    Ok(())
}

fn rotate_from_to(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = (call.vector3(1)?, call.vector3(2)?);
    call.push_vector(Vector::from_to(from, to));
    Ok(())
}

/// The rotation that takes y to `forward` with z as near to `up` as can be.
fn look_rotation(call: &mut Call) -> Result<(), Problem> {
    let forward = polygon::normalize(call.vector3(1)?);
    let up = match call.get(2) {
        Arg::Nil => [0.0, 0.0, 1.0],
        _ => call.vector3(2)?,
    };
    let right = polygon::normalize(polygon::cross(forward, up));
    let mut matrix = Matrix::new(3, 3);
    for (index, column) in [right, forward, polygon::cross(right, forward)].into_iter().enumerate() {
        matrix.set_column(index + 1, &Vector::vector3(column));
    }
    call.push_vector(matrix.to_quat().unwrap_or(Vector::quat(1.0, [0.0; 3])));
    Ok(())
}

/// Rotations about axes one behind the other, each an argument in radians.
fn quat_euler(call: &mut Call, axes: &[u8]) -> Result<(), Problem> {
    let mut turned = Vector::quat(1.0, [0.0; 3]);
    for (index, name) in axes.iter().enumerate() {
        let mut axis = [0.0; 3];
        axis[usize::from(name - b'X')] = 1.0;
        let turn = Vector::angle_axis(call.number(index + 1)? as f32, axis);
        turned = turned.operate(Operator::Mul, &turn).unwrap_or(turned);
    }
    call.push_vector(turned);
    Ok(())
}

fn to_quat(call: &mut Call) -> Result<(), Problem> {
    let quat = match call.get(1) {
        Arg::Matrix(matrix) => matrix.to_quat(),
        _ => None,
    };
    call.push_vector(quat.ok_or(Problem::Expected(1, c"matrix3x3 or matrix4x4"))?);
    Ok(())
}

fn to_matrix(call: &mut Call, size: usize) -> Result<(), Problem> {
    let quat = call.quat(1)?;
    call.push_matrix(Matrix::from_quat(&quat).resized(size, size));
    Ok(())
}

fn transpose(call: &mut Call) -> Result<(), Problem> {
    match call.get(1) {
        Arg::Matrix(matrix) => call.push_matrix(matrix.transposed()),
        _ => return Err(Problem::Expected(1, c"matrix")),
    }
    Ok(())
}

/// A matrix of 4 by 4, moved.
fn translate(call: &mut Call) -> Result<(), Problem> {
    let (matrix, by) = match call.get(1) {
        Arg::Matrix(matrix) if matrix.width() == 4 && matrix.height() == 4 => (matrix, call.vector3(2)?),
        Arg::Vector(_) => (Matrix::diagonal(4, 4, 1.0), call.vector3(1)?),
        _ => return Err(Problem::Expected(1, c"matrix4x4")),
    };
    let [x, y, z] = by;
    let mut moved = Matrix::diagonal(4, 4, 1.0);
    moved.set_column(4, &Vector::new(Kind::Vector4, [x, y, z, 1.0]));
    call.push_matrix(matrix.operate(Operator::Mul, &moved).unwrap_or(moved));
    Ok(())
}
