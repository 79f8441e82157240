//! Vectors as text, as `print` shows them.

use std::io::Write;

use super::{Kind, Matrix, Vector};

/// Text of a bounded length. It lives in a stack frame, which Lua may leave without running destructors.
pub(crate) struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    fn new() -> Self {
        Self { bytes: [0; 1024], len: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The components with commas between them. The longest takes 47 bytes, so that a matrix of sixteen fits.
    fn list(&mut self, components: &[f32]) {
        for (index, component) in components.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let written = match component {
                nan if nan.is_nan() => write!(self, "{comma}nan"),
                number => write!(self, "{comma}{number:.6}"),
            };
            // what does not fit is cut off
            let _ = written;
        }
    }

    fn push(&mut self, text: &str) {
        let _ = self.write_all(text.as_bytes());
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
        self.len += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `vec3(1.000000, 2.000000, 3.000000)`, or `quat(1.000000, {0.000000, 0.000000, 0.000000})` with the real part first.
pub(crate) fn of_vector(vector: &Vector) -> Text {
    let mut text = Text::new();
    if vector.kind() == Kind::Quat {
        let [x, y, z, w] = vector.lanes();
        text.push("quat(");
        text.list(&[w]);
        text.push(", {");
        text.list(&[x, y, z]);
        text.push("})");
        return text;
    }
    let components = vector.components();
    text.push(["vec2(", "vec3(", "vec4("][components.len() - 2]);
    text.list(components);
    text.push(")");
    text
}

/// `mat2x2((1.000000, 0.000000), (0.000000, 1.000000))`: the columns.
pub(crate) fn of_matrix(matrix: &Matrix) -> Text {
    let mut text = Text::new();
    let _ = write!(text, "mat{}x{}(", matrix.width(), matrix.height());
    for index in 1..=matrix.width() {
        text.push(if index == 1 { "(" } else { ", (" });
        if let Some(column) = matrix.column(index) {
            text.list(column.components());
        }
        text.push(")");
    }
    text.push(")");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_have_six_digits() {
        let check = |vector: Vector, expected: &str| {
            assert_eq!(std::str::from_utf8(of_vector(&vector).bytes()), Ok(expected));
        };
        check(Vector::vector2(0.1, -1e-9), "vec2(0.100000, -0.000000)");
        check(
            Vector::vector3([f32::INFINITY, f32::NAN, 1e20]),
            "vec3(inf, nan, 100000002004087734272.000000)",
        );
        check(Vector::quat(1.0, [0.0, 2.0, 0.5]), "quat(1.000000, {0.000000, 2.000000, 0.500000})");
    }
}
