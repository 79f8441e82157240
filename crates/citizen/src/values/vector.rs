//! Vectors of two to four components, and quaternions stored in the same way.

use std::ffi::CStr;

/// Which of the types a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Vector2,
    Vector3,
    Vector4,
    Quat,
}

impl Kind {
    /// All kinds; each at the index that it is as a number.
    pub(crate) const ALL: [Self; 4] = [Self::Vector2, Self::Vector3, Self::Vector4, Self::Quat];

    /// What `type` answers.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Self::Vector2 => c"vector2",
            Self::Vector3 => c"vector3",
            Self::Vector4 => c"vector4",
            Self::Quat => c"quat",
        }
    }

    /// Number of components.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Vector2 => 2,
            Self::Vector3 => 3,
            Self::Vector4 | Self::Quat => 4,
        }
    }

    /// The vector with so many components, from two to four.
    pub(crate) const fn of_len(len: usize) -> Option<Self> {
        match len {
            2 => Some(Self::Vector2),
            3 => Some(Self::Vector3),
            4 => Some(Self::Vector4),
            _ => None,
        }
    }
}

/// What an arithmetic or bitwise operator of Lua does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

impl Operator {
    /// Of two 32-bit floats. The bitwise ones work on the whole numbers they hold.
    pub(crate) fn apply(self, a: f32, b: f32) -> f32 {
        let whole = |operation: fn(i64, i64) -> i64| operation(a as i64, b as i64) as f32;
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::FloorDiv => (a / b).floor(),
            Self::Mod => a % b, // truncated, as the C library's `fmod`
            Self::Pow => a.powf(b),
            Self::And => whole(|a, b| a & b),
            Self::Or => whole(|a, b| a | b),
            Self::Xor => whole(|a, b| a ^ b),
            Self::ShiftLeft => whole(shift),
            Self::ShiftRight => whole(|a, b| shift(a, b.saturating_neg())),
        }
    }

    /// Whether it is one of the bitwise operators, which take whole numbers.
    pub(crate) const fn is_bitwise(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Xor | Self::ShiftLeft | Self::ShiftRight)
    }
}

/// Left by `by` bits, right when it is negative; all bits are gone at 64.
fn shift(value: i64, by: i64) -> i64 {
    let bits = value.cast_unsigned();
    let by = by.clamp(-64, 64);
    let shifted = match by {
        -64 | 64 => 0,
        0.. => bits << by,
        _ => bits >> -by,
    };
    shifted.cast_signed()
}

/// A vector, or a quaternion with its real part last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Vector {
    kind: Kind,
    /// x, y, z, w. Those the kind lacks are zero, and none is a negative zero: equal vectors have equal bits.
    lanes: [f32; 4],
}

impl Vector {
    /// A vector of that kind; lanes it lacks are ignored.
    pub(crate) fn new(kind: Kind, lanes: [f32; 4]) -> Self {
        let mut kept = [0.0; 4];
        for (kept, lane) in kept.iter_mut().zip(lanes).take(kind.len()) {
            *kept = lane + 0.0; // turns a negative zero into a positive one
        }
        Self { kind, lanes: kept }
    }

    #[cfg(test)]
    pub(crate) fn vector2(x: f32, y: f32) -> Self {
        Self::new(Kind::Vector2, [x, y, 0.0, 0.0])
    }

    pub(crate) fn vector3([x, y, z]: [f32; 3]) -> Self {
        Self::new(Kind::Vector3, [x, y, z, 0.0])
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// All four lanes.
    pub(crate) const fn lanes(&self) -> [f32; 4] {
        self.lanes
    }

    /// The components: two to four.
    pub(crate) fn components(&self) -> &[f32] {
        &self.lanes[..self.kind.len()]
    }

    /// The first three lanes.
    pub(crate) const fn xyz(&self) -> [f32; 3] {
        let [x, y, z, _] = self.lanes;
        [x, y, z]
    }

    pub(crate) const fn is_quat(&self) -> bool {
        matches!(self.kind, Kind::Quat)
    }

    /// A vector of the same kind, lane by lane.
    pub(crate) fn map(&self, of: impl FnMut(f32) -> f32) -> Self {
        Self::new(self.kind, self.lanes.map(of))
    }

    /// A vector of the same kind, lane by lane of two.
    pub(crate) fn zip(&self, other: &Self, mut of: impl FnMut(f32, f32) -> f32) -> Self {
        let mut lanes = [0.0; 4];
        for (index, lane) in lanes.iter_mut().enumerate() {
            *lane = of(self.lanes[index], other.lanes[index]);
        }
        Self::new(self.kind, lanes)
    }

    pub(crate) fn dot(&self, other: &Self) -> f32 {
        self.lanes.iter().zip(other.lanes).map(|(a, b)| a * b).sum()
    }

    /// The length of the arrow, which `#` answers.
    pub(crate) fn magnitude(&self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The same direction with a magnitude of one. A quaternion of magnitude zero gives the identity, a vector NaN.
    pub(crate) fn normalized(&self) -> Self {
        let magnitude = self.magnitude();
        if self.is_quat() && magnitude <= 0.0 {
            return Self::new(Kind::Quat, [0.0, 0.0, 0.0, 1.0]);
        }
        self.map(|lane| lane / magnitude)
    }

    /// Component `index`, from one.
    pub(crate) fn get(&self, index: i64) -> Option<f32> {
        let index = usize::try_from(index.checked_sub(1)?).ok()?;
        self.components().get(index).copied()
    }

    /// The component one letter or digit names.
    pub(crate) fn named(&self, name: u8) -> Option<f32> {
        let index = match name {
            b'x' | b'r' | b'1' => 0,
            b'y' | b'g' | b'2' => 1,
            b'z' | b'b' | b'3' => 2,
            b'w' | b'a' | b'4' => 3,
            _ => return None,
        };
        self.components().get(index).copied()
    }

    /// `zyx` and the like: two to four letters out of `xyzw`. Four of a quaternion stay one while the magnitude is one.
    pub(crate) fn swizzle(&self, names: &[u8]) -> Option<Self> {
        let kind = Kind::of_len(names.len())?;
        let mut lanes = [0.0; 4];
        for (lane, name) in lanes.iter_mut().zip(names) {
            if !matches!(name, b'x'..=b'z' | b'w') {
                return None;
            }
            *lane = self.named(*name)?;
        }
        let swizzled = Self::new(kind, lanes);
        let unit = (swizzled.magnitude() - 1.0).abs() <= 2.0 * f32::EPSILON;
        Some(if self.is_quat() && kind == Kind::Vector4 && unit {
            Self::new(Kind::Quat, lanes)
        } else {
            swizzled
        })
    }

    /// Two vectors of one kind, lane by lane, or two quaternions; `None` where FXServer has no such operation.
    pub(crate) fn operate(&self, operator: Operator, other: &Self) -> Option<Self> {
        match (self.is_quat(), other.is_quat()) {
            (false, false) if self.kind == other.kind => Some(self.zip(other, |a, b| operator.apply(a, b))),
            (true, true) if matches!(operator, Operator::Add | Operator::Sub) => {
                Some(self.zip(other, |a, b| operator.apply(a, b)))
            }
            (true, _) if operator == Operator::Mul => self.rotate(other),
            // from the right a quaternion turns the other way
            (false, true) if operator == Operator::Mul => other.inverse().rotate(self),
            _ => None,
        }
    }

    /// With a number behind the operator.
    pub(crate) fn operate_number(&self, operator: Operator, number: f32) -> Option<Self> {
        if !self.is_quat() {
            return Some(self.map(|lane| operator.apply(lane, number)));
        }
        match operator {
            Operator::Mul => Some(self.map(|lane| lane * number)),
            Operator::Div if number.abs() < f32::EPSILON => Some(Self::new(Kind::Quat, [0.0, 0.0, 0.0, 1.0])),
            Operator::Div => Some(self.map(|lane| lane / number)),
            Operator::Pow => Some(self.power(number)),
            _ => None,
        }
    }

    /// With a number in front of the operator.
    pub(crate) fn operate_from_number(&self, operator: Operator, number: f32) -> Option<Self> {
        match operator {
            Operator::Div if self.is_quat() => Some(self.inverse().map(|lane| number * lane)),
            Operator::Add | Operator::Sub | Operator::Mul | Operator::Div => {
                Some(self.map(|lane| operator.apply(number, lane)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_vectors_have_equal_bits() {
        let zeros = [Vector::vector2(0.0, -0.0), Vector::new(Kind::Vector2, [-0.0, 0.0, 5.0, f32::NAN])];
        for zero in zeros {
            assert_eq!(zero.lanes().map(f32::to_bits), [0; 4]);
        }
    }

    #[test]
    fn a_swizzle_takes_letters_the_vector_has() {
        let v = Vector::vector3([1.0, 2.0, 3.0]);
        assert_eq!(v.swizzle(b"zy"), Some(Vector::vector2(3.0, 2.0)));
        assert_eq!(v.swizzle(b"xyzx"), Some(Vector::new(Kind::Vector4, [1.0, 2.0, 3.0, 1.0])));
        for wrong in [&b"xw"[..], b"rg", b"x", b"xyzxy", b"", b"dim"] {
            assert_eq!(v.swizzle(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn shifts_end_at_64_bits() {
        assert_eq!((shift(1, 3), shift(8, -3), shift(1, 64), shift(-1, -64)), (8, 1, 0, 0));
        assert_eq!((shift(1, i64::MAX), shift(1, i64::MIN)), (0, 0));
    }
}
