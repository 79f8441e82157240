//! Polygons: points on a plane in space, and what scripts ask about them.
//!
//! The definitions are those of MathGeoLib, as LuaGLM documents them. Points may come from anywhere, so nothing here
//! assumes more than that there are some.

/// A point or direction.
pub(crate) type Point = [f32; 3];

const EPSILON: f32 = f32::EPSILON;

pub(crate) fn add(a: Point, b: Point) -> Point {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: Point, by: f32) -> Point {
    a.map(|lane| lane * by)
}

pub(crate) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Point, b: Point) -> Point {
    [a[1] * b[2] - b[1] * a[2], a[2] * b[0] - b[2] * a[0], a[0] * b[1] - b[0] * a[1]]
}

pub(crate) fn length(a: Point) -> f32 {
    dot(a, a).sqrt()
}

pub(crate) fn normalize(a: Point) -> Point {
    let len = length(a);
    a.map(|lane| lane / len)
}

/// The mean of the points.
pub(crate) fn centroid(points: &[Point]) -> Point {
    if points.is_empty() {
        return [0.0; 3];
    }
    scale(points.iter().fold([0.0; 3], |sum, point| add(sum, *point)), 1.0 / points.len() as f32)
}

/// Whether all points lie on the plane of the first three.
pub(crate) fn is_planar(points: &[Point]) -> bool {
    match points {
        [] => false,
        [first, second, third, others @ ..] => {
            let normal = cross(sub(*second, *first), sub(*third, *first));
            let square = dot(normal, normal);
            others.iter().all(|point| {
                let far = dot(normal, sub(*point, *first));
                far * far <= EPSILON * square
            })
        }
        _ => true,
    }
}

/// The plane the points lie on: its normal, of a magnitude of one, and its distance from the origin. The normal points
/// to where the points go round counter-clockwise.
pub(crate) fn plane(points: &[Point]) -> (Point, f32) {
    for (index, first) in points.iter().enumerate() {
        for (at, second) in points.iter().enumerate().skip(index + 1) {
            for third in &points[at + 1..] {
                let normal = cross(sub(*second, *first), sub(*third, *first));
                let square = dot(normal, normal);
                if square > EPSILON {
                    let normal = scale(normal, 1.0 / square.sqrt());
                    return (normal, dot(normal, *first));
                }
            }
            if index > 8 {
                break; // points on one line: no plane will come up
            }
        }
    }
    ([0.0, 0.0, 1.0], points.first().map_or(0.0, |point| point[2]))
}

/// The two axes of the polygon's own plane.
fn basis(points: &[Point]) -> (Point, Point) {
    let [first, second, ..] = points else { return ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]) };
    let u = normalize(sub(*second, *first));
    (u, normalize(cross(plane(points).0, u)))
}

fn flat(points: &[Point], (u, v): (Point, Point), point: Point) -> [f32; 2] {
    let from = sub(point, points.first().copied().unwrap_or_default());
    [dot(from, u), dot(from, v)]
}

/// Whether every segment between two points inside is inside. Points that go round clockwise count as not.
pub(crate) fn is_convex(points: &[Point]) -> bool {
    let count = points.len();
    if count <= 3 {
        return count > 0;
    }
    let axes = basis(points);
    (0..count).all(|at| {
        let [a, b, c] = [0, 1, 2].map(|step| flat(points, axes, points[(at + step) % count]));
        (a[0] - c[0]) * (b[1] - c[1]) - (a[1] - c[1]) * (b[0] - c[0]) >= 0.0
    })
}

/// Edge `index`, from zero, which goes on to the first point behind the last.
pub(crate) fn edge(points: &[Point], index: usize) -> Option<(Point, Point)> {
    Some((*points.get(index)?, points[(index + 1) % points.len()]))
}

/// Whether two segments on one plane touch.
fn segments_touch(a: [[f32; 2]; 2], b: [[f32; 2]; 2]) -> bool {
    let side =
        |p: [f32; 2], q: [f32; 2], r: [f32; 2]| (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]);
    let within = |p: [f32; 2], q: [f32; 2], r: [f32; 2]| {
        (0..2).all(|axis| r[axis] >= p[axis].min(q[axis]) && r[axis] <= p[axis].max(q[axis]))
    };
    let sides =
        [side(b[0], b[1], a[0]), side(b[0], b[1], a[1]), side(a[0], a[1], b[0]), side(a[0], a[1], b[1])];
    if sides[0] * sides[1] < 0.0 && sides[2] * sides[3] < 0.0 {
        return true;
    }
    sides[0] == 0.0 && within(b[0], b[1], a[0])
        || sides[1] == 0.0 && within(b[0], b[1], a[1])
        || sides[2] == 0.0 && within(a[0], a[1], b[0])
        || sides[3] == 0.0 && within(a[0], a[1], b[1])
}

/// Whether no two edges that are not neighbours touch.
pub(crate) fn is_simple(points: &[Point]) -> bool {
    let (count, axes) = (points.len(), basis(points));
    let side = |at: usize| [at, at + 1].map(|at| flat(points, axes, points[at % count]));
    !(0..count).any(|first| {
        (first + 2..count)
            .filter(|second| first != 0 || *second != count - 1)
            .any(|second| segments_touch(side(first), side(second)))
    })
}

pub(crate) fn perimeter(points: &[Point]) -> f32 {
    (0..points.len()).filter_map(|at| edge(points, at)).map(|(a, b)| length(sub(b, a))).sum()
}

pub(crate) fn area(points: &[Point]) -> f32 {
    if points.len() < 3 {
        return 0.0;
    }
    let sum = (0..points.len())
        .filter_map(|at| edge(points, at))
        .fold([0.0; 3], |sum, (a, b)| add(sum, cross(a, b)));
    dot(plane(points).0, sum).abs() * 0.5
}

/// How far a point may be from the plane, and on which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Both,
    Above,
    Below,
}

/// Whether `point` is inside: within reach of the plane, and an odd number of edges on one side of it.
pub(crate) fn contains(points: &[Point], point: Point, reach: Reach, thickness: f32) -> bool {
    let [first, .., last] = points else { return false };
    if points.len() < 3 {
        return false;
    }
    let (u, v) = basis(points);
    if [u, v].iter().any(|axis| (length(*axis) - 1.0).abs() > 1e-3) || dot(u, v).abs() > 1e-3 {
        return false; // no plane
    }
    let far = dot(cross(u, v), sub(*first, point));
    let (square, limit) = (far * far, thickness * thickness);
    let near = match reach {
        Reach::Both => 0.25 * square <= limit,
        Reach::Above => far >= 0.0 && square <= limit,
        Reach::Below => far <= 0.0 && square <= limit,
    };
    if !near {
        return false;
    }
    // a point level with a corner counts as just below it, so that no corner is met twice
    let seen = |corner: Point| {
        let from = sub(corner, point);
        let (x, y) = (dot(from, u), dot(from, v));
        (x, if y.abs() < EPSILON { -EPSILON } else { y })
    };
    let (mut before, mut crossings) = (seen(*last), 0);
    for corner in points {
        let after = seen(*corner);
        if before.1 * after.1 < 0.0 {
            let share = -before.1 / (after.1 - before.1);
            if before.0 + share * (after.0 - before.0) > 0.0 {
                crossings += 1;
            }
        }
        before = after;
    }
    crossings % 2 == 1
}

/// Whether both ends are inside and no edge is touched between them.
pub(crate) fn contains_segment(points: &[Point], from: Point, to: Point, thickness: f32) -> bool {
    if points.len() < 3 {
        return false;
    }
    let (normal, distance) = plane(points);
    let far = [from, to].map(|end| dot(normal, end) - distance);
    if far.iter().any(|far| far.abs() > thickness) {
        return false;
    }
    let [from, to] = [(from, far[0]), (to, far[1])].map(|(end, far)| sub(end, scale(normal, far)));
    let inside = |end| contains(points, end, Reach::Both, thickness.max(1e-3));
    if !inside(from) || !inside(to) {
        return false;
    }
    let axes = basis(points);
    let segment = [from, to].map(|end| flat(points, axes, end));
    !(0..points.len())
        .filter_map(|at| edge(points, at))
        .any(|(a, b)| segments_touch([flat(points, axes, a), flat(points, axes, b)], segment))
}

/// The least and the greatest of each lane.
pub(crate) fn bounds(points: &[Point]) -> Option<(Point, Point)> {
    let (first, others) = points.split_first()?;
    Some(others.iter().fold((*first, *first), |(mut least, mut most), point| {
        for axis in 0..3 {
            least[axis] = least[axis].min(point[axis]);
            most[axis] = most[axis].max(point[axis]);
        }
        (least, most)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: [Point; 4] = [[0.0, 0.0, 5.0], [4.0, 0.0, 5.0], [4.0, 4.0, 5.0], [0.0, 4.0, 5.0]];
    const ARROW: [Point; 4] = [[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 4.0, 0.0]];

    #[test]
    fn shapes_are_told_apart() {
        let bow = [SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]];
        assert!(is_convex(&SQUARE) && is_simple(&SQUARE) && is_planar(&SQUARE));
        assert!(!is_convex(&ARROW) && is_simple(&ARROW));
        assert!(!is_simple(&bow));
        assert!(!is_planar(&[SQUARE[0], SQUARE[1], SQUARE[2], [0.0, 4.0, 6.0]]));
        assert_eq!((area(&SQUARE), perimeter(&SQUARE), centroid(&SQUARE)), (16.0, 16.0, [2.0, 2.0, 5.0]));
        assert_eq!(plane(&SQUARE), ([0.0, 0.0, 1.0], 5.0));
    }

    #[test]
    fn containment_counts_crossings_within_reach() {
        let inside = |points: &[Point], point, thickness| contains(points, point, Reach::Both, thickness);
        assert!(inside(&SQUARE, [1.0, 1.0, 5.0], 0.1));
        assert!(!inside(&SQUARE, [5.0, 1.0, 5.0], 0.1));
        assert!(inside(&SQUARE, [1.0, 1.0, 6.9], 1.0) && !inside(&SQUARE, [1.0, 1.0, 7.1], 1.0));
        assert!(inside(&ARROW, [0.5, 0.5, 0.0], 1.0) && !inside(&ARROW, [2.0, 2.0, 0.0], 1.0));
        assert!(contains(&SQUARE, [1.0, 1.0, 4.5], Reach::Above, 1.0));
        assert!(!contains(&SQUARE, [1.0, 1.0, 4.5], Reach::Below, 1.0));
        assert!(contains_segment(&SQUARE, [1.0, 1.0, 5.0], [3.0, 3.0, 5.0], 0.1));
        assert!(!contains_segment(&ARROW, [3.0, 0.1, 0.0], [0.1, 3.0, 0.0], 0.1));
    }

    #[test]
    fn too_few_points_are_no_shape() {
        for points in [&[][..], &SQUARE[..1], &SQUARE[..2], &[[1.0; 3]; 5], &[[f32::NAN; 3]; 4]] {
            assert!(!contains(points, [0.0; 3], Reach::Both, 1e9), "{points:?}");
            assert!(!contains_segment(points, [0.0; 3], [1.0; 3], 1e9));
            let _ = (centroid(points), is_planar(points), is_convex(points), is_simple(points));
            let _ = (plane(points), area(points), perimeter(points), bounds(points), edge(points, 7));
        }
    }
}
