//! Matrices of two to four columns and rows, stored by columns as GLM does.

use super::{Kind, Operator, Vector};

/// A matrix. Unlike a vector it may be changed, so equal ones are not the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Matrix {
    /// Lanes outside the matrix are zero.
    columns: [[f32; 4]; 4],
    width: usize,
    height: usize,
}

impl Matrix {
    /// A matrix with all zeros. Sizes are cut to 2 to 4.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { columns: [[0.0; 4]; 4], width: width.clamp(2, 4), height: height.clamp(2, 4) }
    }

    /// With `value` on the diagonal.
    pub(crate) fn diagonal(width: usize, height: usize, value: f32) -> Self {
        let mut matrix = Self::new(width, height);
        for index in 0..matrix.width.min(matrix.height) {
            matrix.columns[index][index] = value;
        }
        matrix
    }

    /// The rotation of a quaternion.
    pub(crate) fn from_quat(quat: &Vector) -> Self {
        let mut matrix = Self::diagonal(3, 3, 1.0);
        for index in 0..3 {
            let mut axis = [0.0; 3];
            axis[index] = 1.0;
            if let Some(turned) = quat.operate(Operator::Mul, &Vector::vector3(axis)) {
                matrix.columns[index] = turned.lanes();
            }
        }
        matrix
    }

    /// The same numbers in another size; what is new is that of the identity.
    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let mut matrix = Self::diagonal(width, height, 1.0);
        for column in 0..matrix.width.min(self.width) {
            for row in 0..matrix.height.min(self.height) {
                matrix.columns[column][row] = self.columns[column][row];
            }
        }
        matrix
    }

    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    pub(crate) const fn height(&self) -> usize {
        self.height
    }

    /// Column `index`, from one.
    pub(crate) fn column(&self, index: usize) -> Option<Vector> {
        let column = self.columns[..self.width].get(index.checked_sub(1)?)?;
        Some(Vector::new(Kind::of_len(self.height)?, *column))
    }

    /// Sets column `index`, from one; the one behind the last makes the matrix wider. `false` when it does not fit.
    pub(crate) fn set_column(&mut self, index: usize, column: &Vector) -> bool {
        if column.components().len() != self.height || index == 0 || index > (self.width + 1).min(4) {
            return false;
        }
        self.columns[index - 1] = column.lanes();
        self.width = self.width.max(index);
        true
    }

    /// Takes the last column away. `false` when there would be fewer than two.
    pub(crate) fn drop_column(&mut self, index: usize) -> bool {
        let fits = index == self.width && self.width > 2;
        if fits {
            self.width -= 1;
            self.columns[self.width] = [0.0; 4];
        }
        fits
    }

    fn rows_of(&self, column: usize) -> &[f32] {
        &self.columns[column][..self.height]
    }

    fn map(&self, mut of: impl FnMut(usize, usize) -> f32) -> Self {
        let mut matrix = Self::new(self.width, self.height);
        for column in 0..self.width {
            for row in 0..self.height {
                matrix.columns[column][row] = of(column, row);
            }
        }
        matrix
    }

    /// With a number behind the operator.
    pub(crate) fn operate_number(&self, operator: Operator, number: f32) -> Option<Self> {
        use Operator::{Add, Div, Mul, Sub};
        matches!(operator, Add | Sub | Mul | Div)
            .then(|| self.map(|column, row| operator.apply(self.columns[column][row], number)))
    }

    /// With a number in front of the operator.
    pub(crate) fn operate_from_number(&self, operator: Operator, number: f32) -> Option<Self> {
        let square = self.width == self.height;
        let known = match operator {
            Operator::Add | Operator::Sub => square,
            Operator::Mul | Operator::Div => true,
            _ => false,
        };
        known.then(|| self.map(|column, row| operator.apply(number, self.columns[column][row])))
    }

    /// Two matrices.
    pub(crate) fn operate(&self, operator: Operator, other: &Self) -> Option<Self> {
        let alike = self.width == other.width && self.height == other.height;
        match operator {
            Operator::Add | Operator::Sub if alike => Some(
                self.map(|column, row| operator.apply(self.columns[column][row], other.columns[column][row])),
            ),
            Operator::Mul if self.width == other.height => {
                let mut product = Self::new(other.width, self.height);
                for column in 0..other.width {
                    for row in 0..self.height {
                        product.columns[column][row] =
                            (0..self.width).map(|at| self.columns[at][row] * other.columns[column][at]).sum();
                    }
                }
                Some(product)
            }
            Operator::Div if alike => self.operate(Operator::Mul, &other.inverse()?),
            _ => None,
        }
    }

    /// A matrix in front of a vector. One of 4 by 4 takes a `vector3` as a point.
    pub(crate) fn times(&self, vector: &Vector) -> Option<Vector> {
        let mut lanes = vector.lanes();
        let point = vector.kind() == Kind::Vector3 && self.width == 4 && self.height == 4;
        if point {
            lanes[3] = 1.0;
        } else if vector.components().len() != self.width || vector.is_quat() {
            return None;
        }
        let mut result = [0.0; 4];
        for (row, result) in result.iter_mut().enumerate().take(self.height) {
            *result = (0..self.width).map(|column| self.columns[column][row] * lanes[column]).sum();
        }
        let kind = if point { Kind::Vector3 } else { Kind::of_len(self.height)? };
        Some(Vector::new(kind, result))
    }

    /// A vector in front of a matrix.
    pub(crate) fn times_from(&self, vector: &Vector) -> Option<Vector> {
        let mut lanes = vector.lanes();
        if vector.kind() == Kind::Vector3 && self.width == 4 && self.height == 4 {
            lanes[3] = 1.0;
        } else if vector.components().len() != self.height || vector.is_quat() {
            return None;
        }
        let mut result = [0.0; 4];
        for (column, result) in result.iter_mut().enumerate().take(self.width) {
            *result = self.rows_of(column).iter().zip(lanes).map(|(a, b)| a * b).sum();
        }
        Some(Vector::new(Kind::of_len(self.width)?, result))
    }

    pub(crate) fn negated(&self) -> Self {
        self.map(|column, row| -self.columns[column][row])
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut matrix = Self::new(self.height, self.width);
        for column in 0..self.width {
            for row in 0..self.height {
                matrix.columns[row][column] = self.columns[column][row];
            }
        }
        matrix
    }

    /// The inverse of a square one, by elimination with the largest pivot; infinite or NaN where there is none.
    pub(crate) fn inverse(&self) -> Option<Self> {
        if self.width != self.height {
            return None;
        }
        let size = self.width;
        let (mut left, mut right) = (self.columns, Self::diagonal(size, size, 1.0).columns);
        for at in 0..size {
            // columns are combined, not rows: the inverse is the same from either side
            let pivot = (at..size).max_by(|a, b| left[*a][at].abs().total_cmp(&left[*b][at].abs()))?;
            left.swap(at, pivot);
            right.swap(at, pivot);
            let scale = 1.0 / left[at][at];
            for row in 0..size {
                left[at][row] *= scale;
                right[at][row] *= scale;
            }
            for column in (0..size).filter(|column| *column != at) {
                let share = left[column][at];
                for row in 0..size {
                    left[column][row] -= share * left[at][row];
                    right[column][row] -= share * right[at][row];
                }
            }
        }
        Some(Self { columns: right, width: size, height: size })
    }

    /// The quaternion of a rotation, from the largest of its four parts.
    pub(crate) fn to_quat(self) -> Option<Vector> {
        if self.width != self.height || self.width < 3 {
            return None;
        }
        let m = &self.columns;
        let parts = [
            m[0][0] + m[1][1] + m[2][2],
            m[0][0] - m[1][1] - m[2][2],
            m[1][1] - m[0][0] - m[2][2],
            m[2][2] - m[0][0] - m[1][1],
        ];
        let (largest, value) =
            parts.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(at, value)| (at, *value))?;
        let part = (value + 1.0).sqrt() * 0.5;
        let scale = 0.25 / part;
        let (a, b, c) =
            ((m[1][2] - m[2][1]) * scale, (m[2][0] - m[0][2]) * scale, (m[0][1] - m[1][0]) * scale);
        let (d, e, f) =
            ((m[0][1] + m[1][0]) * scale, (m[2][0] + m[0][2]) * scale, (m[1][2] + m[2][1]) * scale);
        Some(match largest {
            0 => Vector::quat(part, [a, b, c]),
            1 => Vector::quat(a, [part, d, e]),
            2 => Vector::quat(b, [d, part, f]),
            _ => Vector::quat(c, [e, f, part]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &Matrix, b: &Matrix) -> bool {
        (0..4).all(|column| (0..4).all(|row| (a.columns[column][row] - b.columns[column][row]).abs() < 1e-5))
    }

    #[test]
    fn an_inverse_undoes() {
        let mut matrix = Matrix::diagonal(4, 4, 2.0);
        for (index, lanes) in
            [[0.0, 3.0, 1.0, 0.0], [1.0, 0.0, 0.0, 2.0], [5.0, 1.0, 1.0, 1.0]].iter().enumerate()
        {
            assert!(matrix.set_column(index + 1, &Vector::new(Kind::Vector4, *lanes)));
        }
        let product = matrix.operate(Operator::Mul, &matrix.inverse().unwrap()).unwrap();
        assert!(close(&product, &Matrix::diagonal(4, 4, 1.0)), "{product:?}");
        assert_eq!(Matrix::new(2, 3).inverse(), None);
    }

    #[test]
    fn rotations_are_the_same_as_quaternions() {
        for angle in [0.1, 1.0, 2.5, 3.1, -2.0] {
            for axis in [[1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [0.48, 0.6, -0.64]] {
                let quat = Vector::angle_axis(angle, axis);
                let back = Matrix::from_quat(&quat).to_quat().unwrap();
                // q and -q are one rotation
                assert!((back.dot(&quat).abs() - 1.0).abs() < 1e-5, "{quat:?} is not {back:?}");
                let point = Vector::vector3([1.0, 2.0, 3.0]);
                let turned = quat.operate(Operator::Mul, &point).unwrap();
                let far = Matrix::from_quat(&quat).times(&point).unwrap().zip(&turned, |a, b| a - b);
                assert!(far.magnitude() < 1e-5);
            }
        }
    }
}
