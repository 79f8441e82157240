//! Polygons, segments, spheres and boxes.

use super::Entries;
use crate::raw::{Arg, Call, Problem};
use crate::values::polygon::{Point, Reach};
use crate::values::{Operator, Vector, polygon};

pub(super) const POLYGON: Entries = &[
    ("new", new),
    ("contains", |call| contains(call, Reach::Both)),
    ("containsAbove", |call| contains(call, Reach::Above)),
    ("containsBelow", |call| contains(call, Reach::Below)),
    ("containsSegment", contains_segment),
    ("centroid", |call| point(call, polygon::centroid)),
    ("normalCCW", |call| point(call, |points| polygon::plane(points).0)),
    ("normalCW", |call| point(call, |points| polygon::plane(points).0.map(|lane| -lane))),
    ("isPlanar", |call| answer(call, polygon::is_planar)),
    ("isConvex", |call| answer(call, polygon::is_convex)),
    ("isSimple", |call| answer(call, polygon::is_simple)),
    ("isNull", |call| answer(call, <[Point]>::is_empty)),
    ("isDegenerate", |call| answer(call, |points| points.len() < 3 || polygon::area(points) <= f32::EPSILON)),
    ("isfinite", |call| answer(call, |points| points.iter().flatten().all(|lane| lane.is_finite()))),
    ("area", |call| measure(call, polygon::area)),
    ("perimeter", |call| measure(call, polygon::perimeter)),
    ("edge", edge),
    ("planeCCW", plane),
    ("minimalEnclosingAABB", bounds),
];

/// Metamethods of polygons that make new ones.
pub(super) const EVENTS: Entries = &[
    ("__add", |call| moved(call, 1.0)),
    ("__sub", |call| moved(call, -1.0)),
    ("__mul", turned),
    ("__unm", negated),
];

pub(super) const SEGMENT: Entries = &[
    ("getPoint", segment_point),
    ("length", segment_length),
    ("centerPoint", segment_center),
    ("closest", segment_closest),
    ("closestPoint", segment_closest),
    ("distance", segment_distance),
    ("dir", segment_direction),
];

pub(super) const SPHERE: Entries = &[
    ("contains", sphere_contains),
    ("distance", sphere_distance),
    ("intersectsSphere", sphere_meets_sphere),
];

pub(super) const AABB: Entries = &[
    ("new", box_new),
    ("fromCenterAndSize", box_from_center),
    ("contains", box_contains),
    ("centerPoint", box_center),
    ("centroid", box_center),
    ("size", box_size),
    ("halfSize", box_half_size),
    ("closestPoint", box_closest),
    ("distance", box_distance),
    ("intersectsAABB", box_meets_box),
];

const EPSILON: f64 = f32::EPSILON as f64;

fn new(call: &mut Call) -> Result<(), Problem> {
    let len = call.list_len(1)?;
    for index in 1..=len {
        if call.point_of_list(1, index).is_none() {
            return Err(Problem::Expected(1, c"list of vector3"));
        }
    }
    call.push_polygon(len);
    for index in 1..=len {
        if let Some(point) = call.point_of_list(1, index) {
            call.set_point(index - 1, point);
        }
    }
    Ok(())
}

fn contains(call: &mut Call, reach: Reach) -> Result<(), Problem> {
    let (point, thickness) = (call.vector3(2)?, call.number_or(3, EPSILON)? as f32);
    let inside = polygon::contains(call.points(1)?, point, reach, thickness);
    call.push_boolean(inside);
    Ok(())
}

fn contains_segment(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = (call.vector3(2)?, call.vector3(3)?);
    let thickness = call.number_or(4, 1e-3)? as f32;
    let inside = polygon::contains_segment(call.points(1)?, from, to, thickness);
    call.push_boolean(inside);
    Ok(())
}

fn point(call: &mut Call, of: fn(&[Point]) -> Point) -> Result<(), Problem> {
    let point = of(call.points(1)?);
    call.push_vector3(point);
    Ok(())
}

fn answer(call: &mut Call, of: fn(&[Point]) -> bool) -> Result<(), Problem> {
    let answer = of(call.points(1)?);
    call.push_boolean(answer);
    Ok(())
}

fn measure(call: &mut Call, of: fn(&[Point]) -> f32) -> Result<(), Problem> {
    let measure = of(call.points(1)?);
    call.push_number(f64::from(measure));
    Ok(())
}

/// An edge, by its number from one.
fn edge(call: &mut Call) -> Result<(), Problem> {
    let index = call.number(2)? as usize;
    let edge = index.checked_sub(1).and_then(|index| polygon::edge(call.points(1).ok()?, index));
    let (from, to) = edge.ok_or(Problem::Text(c"a polygon has no edge of this number"))?;
    call.push_vector3(from);
    call.push_vector3(to);
    Ok(())
}

fn plane(call: &mut Call) -> Result<(), Problem> {
    let (normal, distance) = polygon::plane(call.points(1)?);
    call.push_vector3(normal);
    call.push_number(f64::from(distance));
    Ok(())
}

fn bounds(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = polygon::bounds(call.points(1)?).unwrap_or_default();
    call.push_vector3(least);
    call.push_vector3(most);
    Ok(())
}

/// A new polygon of the points of argument `index`, each as `of` makes it.
fn mapped(call: &mut Call, index: usize, of: impl Fn(Point) -> Option<Point>) -> Result<(), Problem> {
    let len = call.points(index)?.len();
    call.push_polygon(len);
    for at in 0..len {
        let point = call.points(index)?.get(at).copied().unwrap_or_default();
        let point = of(point).ok_or(Problem::Expected(3 - index, c"quat or matrix"))?;
        call.set_point(at, point);
    }
    Ok(())
}

fn moved(call: &mut Call, times: f32) -> Result<(), Problem> {
    let by = polygon::scale(call.vector3(2)?, times);
    mapped(call, 1, |point| Some(polygon::add(point, by)))
}

fn negated(call: &mut Call) -> Result<(), Problem> {
    mapped(call, 1, |point| Some(point.map(|lane| -lane)))
}

/// A rotation in front of a polygon.
fn turned(call: &mut Call) -> Result<(), Problem> {
    match call.get(1) {
        Arg::Vector(quat) if quat.is_quat() => mapped(call, 2, |point| {
            quat.operate(Operator::Mul, &Vector::vector3(point)).map(|point| point.xyz())
        }),
        Arg::Matrix(matrix) => {
            mapped(call, 2, |point| matrix.times(&Vector::vector3(point)).map(|point| point.xyz()))
        }
        _ => Err(Problem::Expected(1, c"quat or matrix")),
    }
}

/// The ends of a segment, or the corners of a box: two vectors of one kind.
fn ends(call: &Call) -> Result<(Vector, Vector), Problem> {
    let (from, to) = (call.vector(1)?, call.vector(2)?);
    match from.kind() == to.kind() && !from.is_quat() {
        true => Ok((from, to)),
        false => Err(Problem::Expected(2, c"vector of the same size")),
    }
}

/// Argument `index` as a vector of that kind.
fn same(call: &Call, kind: &Vector, index: usize) -> Result<Vector, Problem> {
    let vector = call.vector(index)?;
    match vector.kind() == kind.kind() {
        true => Ok(vector),
        false => Err(Problem::Expected(index, c"vector of the same size")),
    }
}

fn between(a: &Vector, b: &Vector) -> Vector {
    a.zip(b, |a, b| a - b)
}

fn at(from: &Vector, to: &Vector, share: f32) -> Vector {
    from.zip(to, |from, to| (1.0 - share) * from + share * to)
}

fn segment_point(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = ends(call)?;
    let share = call.number(3)? as f32;
    call.push_vector(at(&from, &to, share));
    Ok(())
}

fn segment_length(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = ends(call)?;
    call.push_number(f64::from(between(&to, &from).magnitude()));
    Ok(())
}

fn segment_center(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = ends(call)?;
    call.push_vector(at(&from, &to, 0.5));
    Ok(())
}

fn segment_direction(call: &mut Call) -> Result<(), Problem> {
    let (from, to) = ends(call)?;
    call.push_vector(between(&to, &from).normalized());
    Ok(())
}

/// The point nearest to the third argument, and where it is between the ends, from 0 to 1.
fn nearest(call: &Call) -> Result<(Vector, f32, Vector), Problem> {
    let (from, to) = ends(call)?;
    let point = same(call, &from, 3)?;
    let way = between(&to, &from);
    let square = way.dot(&way);
    let share = if square > 0.0 { (between(&point, &from).dot(&way) / square).clamp(0.0, 1.0) } else { 0.0 };
    Ok((at(&from, &to, share), share, point))
}

fn segment_closest(call: &mut Call) -> Result<(), Problem> {
    let (closest, share, _) = nearest(call)?;
    call.push_vector(closest);
    call.push_number(f64::from(share));
    Ok(())
}

fn segment_distance(call: &mut Call) -> Result<(), Problem> {
    let (closest, share, point) = nearest(call)?;
    call.push_number(f64::from(between(&point, &closest).magnitude()));
    call.push_number(f64::from(share));
    Ok(())
}

fn sphere_contains(call: &mut Call) -> Result<(), Problem> {
    let (center, radius) = (call.vector(1)?, call.number(2)? as f32);
    let far = between(&same(call, &center, 3)?, &center).magnitude();
    let tolerance = call.number_or(4, EPSILON)? as f32;
    call.push_boolean(far <= radius + tolerance);
    Ok(())
}

fn sphere_distance(call: &mut Call) -> Result<(), Problem> {
    let (center, radius) = (call.vector(1)?, call.number(2)? as f32);
    let far = between(&same(call, &center, 3)?, &center).magnitude();
    call.push_number(f64::from((far - radius).max(0.0)));
    Ok(())
}

fn sphere_meets_sphere(call: &mut Call) -> Result<(), Problem> {
    let (center, radius) = (call.vector(1)?, call.number(2)? as f32);
    let far = between(&same(call, &center, 3)?, &center).magnitude();
    let other = call.number(4)? as f32;
    call.push_boolean(far <= radius + other);
    Ok(())
}

/// The smallest box around all arguments.
fn box_new(call: &mut Call) -> Result<(), Problem> {
    let mut least = call.vector(1)?;
    let mut most = least;
    for index in 2..=call.len() {
        let point = same(call, &least, index)?;
        (least, most) = (least.zip(&point, f32::min), most.zip(&point, f32::max));
    }
    call.push_vector(least);
    call.push_vector(most);
    Ok(())
}

fn box_from_center(call: &mut Call) -> Result<(), Problem> {
    let center = call.vector(1)?;
    let half = match call.get(2) {
        Arg::Vector(_) => same(call, &center, 2)?,
        _ => {
            let size = call.number(2)? as f32;
            center.map(|_| size)
        }
    }
    .map(|lane| lane * 0.5);
    call.push_vector(between(&center, &half));
    call.push_vector(center.zip(&half, |center, half| center + half));
    Ok(())
}

fn box_contains(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = ends(call)?;
    let point = same(call, &least, 3)?;
    let inside = (1..=point.components().len() as i64)
        .all(|lane| point.get(lane) >= least.get(lane) && point.get(lane) <= most.get(lane));
    call.push_boolean(inside);
    Ok(())
}

fn box_center(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = ends(call)?;
    call.push_vector(at(&least, &most, 0.5));
    Ok(())
}

fn box_size(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = ends(call)?;
    call.push_vector(between(&most, &least));
    Ok(())
}

fn box_half_size(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = ends(call)?;
    call.push_vector(between(&most, &least).map(|lane| lane * 0.5));
    Ok(())
}

fn box_closest(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = ends(call)?;
    let point = same(call, &least, 3)?;
    call.push_vector(point.zip(&least, f32::max).zip(&most, f32::min));
    Ok(())
}

fn box_distance(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = ends(call)?;
    let point = same(call, &least, 3)?;
    let closest = point.zip(&least, f32::max).zip(&most, f32::min);
    call.push_number(f64::from(between(&point, &closest).magnitude()));
    Ok(())
}

fn box_meets_box(call: &mut Call) -> Result<(), Problem> {
    let (least, most) = ends(call)?;
    let (other_least, other_most) = (same(call, &least, 3)?, same(call, &least, 4)?);
    let meets = (1..=least.components().len() as i64)
        .all(|lane| least.get(lane) <= other_most.get(lane) && other_least.get(lane) <= most.get(lane));
    call.push_boolean(meets);
    Ok(())
}
