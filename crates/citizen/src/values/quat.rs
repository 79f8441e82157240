//! What only quaternions can do. Formulas are those of GLM.

use super::{Kind, Vector};

fn cross([ax, ay, az]: [f32; 3], [bx, by, bz]: [f32; 3]) -> [f32; 3] {
    [ay * bz - by * az, az * bx - bz * ax, ax * by - bx * ay]
}

impl Vector {
    /// A quaternion, the real part first.
    pub(crate) fn quat(w: f32, [x, y, z]: [f32; 3]) -> Self {
        Self::new(Kind::Quat, [x, y, z, w])
    }

    /// The rotation by `angle` radians about `axis`, which has a magnitude of one.
    pub(crate) fn angle_axis(angle: f32, axis: [f32; 3]) -> Self {
        let (sin, cos) = (angle * 0.5).sin_cos();
        Self::quat(cos, axis.map(|lane| lane * sin))
    }

    /// From pitch, yaw and roll in radians.
    pub(crate) fn from_euler(angles: [f32; 3]) -> Self {
        let [(sx, cx), (sy, cy), (sz, cz)] = angles.map(|angle| (angle * 0.5).sin_cos());
        Self::quat(
            cx * cy * cz + sx * sy * sz,
            [sx * cy * cz - cx * sy * sz, cx * sy * cz + sx * cy * sz, cx * cy * sz - sx * sy * cz],
        )
    }

    /// The shortest rotation that takes the direction `from` to `to`, both of a magnitude of one.
    pub(crate) fn from_to(from: [f32; 3], to: [f32; 3]) -> Self {
        let (from, to) = (Self::vector3(from), Self::vector3(to));
        let norm = (from.dot(&from) * to.dot(&to)).sqrt();
        let real = norm + from.dot(&to);
        let quat = if real < 1e-6 * norm {
            // opposite directions: half a turn about any axis at a right angle
            let [x, y, z] = from.xyz();
            Self::quat(0.0, if x.abs() > z.abs() { [-y, x, 0.0] } else { [0.0, -z, y] })
        } else {
            Self::quat(real, cross(from.xyz(), to.xyz()))
        };
        quat.normalized()
    }

    /// The rotation back; not that of a magnitude of one only.
    pub(crate) fn inverse(&self) -> Self {
        let square = self.dot(self);
        let [x, y, z, w] = self.lanes();
        Self::new(Kind::Quat, [-x / square, -y / square, -z / square, w / square])
    }

    /// Turns a vector of three or four components, or puts a second rotation in front.
    pub(super) fn rotate(&self, other: &Self) -> Option<Self> {
        let [x, y, z, w] = self.lanes();
        match other.kind() {
            Kind::Vector2 => None,
            Kind::Vector3 | Kind::Vector4 => {
                let [vx, vy, vz, vw] = other.lanes();
                let [ux, uy, uz] = cross([x, y, z], [vx, vy, vz]);
                let [uux, uuy, uuz] = cross([x, y, z], [ux, uy, uz]);
                let lane = |v: f32, u: f32, uu: f32| v + ((u * w) + uu) * 2.0;
                Some(Self::new(other.kind(), [lane(vx, ux, uux), lane(vy, uy, uuy), lane(vz, uz, uuz), vw]))
            }
            Kind::Quat => {
                let [ox, oy, oz, ow] = other.lanes();
                Some(Self::quat(
                    w * ow - x * ox - y * oy - z * oz,
                    [
                        w * ox + x * ow + y * oz - z * oy,
                        w * oy + y * ow + z * ox - x * oz,
                        w * oz + z * ow + x * oy - y * ox,
                    ],
                ))
            }
        }
    }

    /// The angle of the rotation, in radians.
    pub(crate) fn angle(&self) -> f32 {
        let [x, y, z, w] = self.lanes();
        if w.abs() > 0.877_582_6 {
            // close to one the arc cosine loses digits
            let angle = (x * x + y * y + z * z).sqrt().asin() * 2.0;
            return if w < 0.0 { std::f32::consts::TAU - angle } else { angle };
        }
        w.acos() * 2.0
    }

    /// The axis of the rotation; z when there is none.
    pub(crate) fn axis(&self) -> [f32; 3] {
        let [x, y, z, w] = self.lanes();
        let square = 1.0 - w * w;
        if square <= 0.0 {
            return [0.0, 0.0, 1.0];
        }
        let scale = 1.0 / square.sqrt();
        [x * scale, y * scale, z * scale]
    }

    /// The rotation, so many times.
    pub(super) fn power(&self, times: f32) -> Self {
        if times.abs() < f32::EPSILON {
            return Self::quat(1.0, [0.0; 3]);
        }
        let magnitude = self.magnitude();
        let [x, y, z, w] = self.lanes();
        let share = w / magnitude;
        let angle = if share.abs() > 0.877_582_6 {
            let vector = (x * x + y * y + z * z).sqrt();
            if vector < f32::MIN_POSITIVE {
                return Self::quat(w.powf(times), [0.0; 3]);
            }
            (vector / magnitude).asin()
        } else {
            share.acos()
        };
        let turned = angle * times;
        let scale = turned.sin() / angle.sin();
        let size = magnitude.powf(times - 1.0);
        Self::quat(turned.cos() * magnitude * size, [x, y, z].map(|lane| lane * scale * size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Vector, b: Vector) {
        let far = a.zip(&b, |a, b| (a - b).abs()).magnitude();
        assert!(a.kind() == b.kind() && far < 1e-5, "{a:?} is not {b:?}");
    }

    #[test]
    fn rotations_turn_and_turn_back() {
        let turn = Vector::angle_axis(std::f32::consts::FRAC_PI_2, [0.0, 0.0, 1.0]);
        let x = Vector::vector3([1.0, 0.0, 0.0]);
        let y = Vector::vector3([0.0, 1.0, 0.0]);
        close(turn.rotate(&x).unwrap(), y);
        close(turn.inverse().rotate(&y).unwrap(), x);
        close(turn.rotate(&turn).unwrap(), turn.power(2.0));
        close(Vector::from_to(x.xyz(), y.xyz()), turn);
        close(Vector::from_euler([0.0, 0.0, std::f32::consts::FRAC_PI_2]), turn);
        assert!((turn.angle() - std::f32::consts::FRAC_PI_2).abs() < 1e-6);
        close(Vector::vector3(turn.axis()), Vector::vector3([0.0, 0.0, 1.0]));
        close(
            Vector::from_to([1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]).rotate(&x).unwrap(),
            Vector::vector3([-1.0, 0.0, 0.0]),
        );
    }
}
