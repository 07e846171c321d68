//! Points, boxes, landmarks and transforms, each in a named space, so that pixels of the camera
//! image, of a network's input and of an aligned crop cannot be mixed.
//!
//! Coordinates are floats, x right, y down; integer coordinates are pixel *centres*, as OpenCV's
//! `warpAffine` and dlib assume.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::ops::Mul;

/// Pixels of the source image, as the camera delivered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagePx {}
/// Pixels of a detector's input tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputPx {}
/// Pixels of an aligned face crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CropPx {}

/// A point in the space `S`, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<S> {
    /// Rightwards.
    pub x: f32,
    /// Downwards.
    pub y: f32,
    space: PhantomData<S>,
}

impl<S: Copy> Point<S> {
    /// The point (x, y).
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y, space: PhantomData }
    }

    /// Euclidean distance in pixels.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The point halfway to `other`.
    #[must_use]
    pub fn midpoint(self, other: Self) -> Self {
        Self::new(0.5 * (self.x + other.x), 0.5 * (self.y + other.y))
    }
}

/// An axis-aligned box in the space `S`, in pixels: corners `x1 y1 x2 y2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BBox<S> {
    /// Left.
    pub x1: f32,
    /// Top.
    pub y1: f32,
    /// Right.
    pub x2: f32,
    /// Bottom.
    pub y2: f32,
    space: PhantomData<S>,
}

impl<S: Copy> BBox<S> {
    /// The box with these corners; `x1 <= x2` and `y1 <= y2` are the caller's to keep.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2, space: PhantomData }
    }

    /// The box around a centre.
    pub fn from_centre(cx: f32, cy: f32, width: f32, height: f32) -> Self {
        Self::new(cx - 0.5 * width, cy - 0.5 * height, cx + 0.5 * width, cy + 0.5 * height)
    }

    /// Width, pixels; never negative.
    pub fn width(&self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Height, pixels; never negative.
    pub fn height(&self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// Area, square pixels.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// Centre of the box.
    pub fn centre(&self) -> Point<S> {
        Point::new(0.5 * (self.x1 + self.x2), 0.5 * (self.y1 + self.y2))
    }

    /// True when all four corners are finite numbers and the box is not empty.
    pub fn is_proper(&self) -> bool {
        [self.x1, self.y1, self.x2, self.y2].iter().all(|v| v.is_finite()) && self.x1 < self.x2 && self.y1 < self.y2
    }

    /// Area shared with `other`, square pixels.
    pub fn intersection(&self, other: &Self) -> f32 {
        let w = self.x2.min(other.x2) - self.x1.max(other.x1);
        let h = self.y2.min(other.y2) - self.y1.max(other.y1);
        w.max(0.0) * h.max(0.0)
    }

    /// Intersection over union, 0..=1.
    pub fn iou(&self, other: &Self) -> f32 {
        let shared = self.intersection(other);
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// The box grown on every side by `share` of its own width and height.
    #[must_use]
    pub fn grown(&self, share: f32) -> Self {
        let (dx, dy) = (self.width() * share, self.height() * share);
        Self::new(self.x1 - dx, self.y1 - dy, self.x2 + dx, self.y2 + dy)
    }

    /// The corners as the messages carry them.
    pub const fn to_array(&self) -> [f32; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }
}

/// Five points of a face in the space `S`, named by the *subject's* side, so that in an
/// unmirrored picture `right_eye` has the smaller x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Landmarks5<S> {
    /// Right eye, left eye, nose tip, right mouth corner, left mouth corner.
    pub points: [Point<S>; 5],
}

impl<S: Copy> Landmarks5<S> {
    /// From points in the order right eye, left eye, nose, right and left mouth corner.
    pub const fn new(points: [Point<S>; 5]) -> Self {
        Self { points }
    }

    /// Centre of the subject's right eye.
    pub const fn right_eye(&self) -> Point<S> {
        self.points[0]
    }

    /// Centre of the subject's left eye.
    pub const fn left_eye(&self) -> Point<S> {
        self.points[1]
    }

    /// Distance between the eyes, pixels.
    pub fn inter_ocular(&self) -> f32 {
        self.right_eye().distance(self.left_eye())
    }

    /// `x y` pairs as the messages carry them.
    pub fn to_array(&self) -> [f32; 10] {
        let mut flat = [0.0; 10];
        for (pair, point) in flat.chunks_exact_mut(2).zip(&self.points) {
            pair.copy_from_slice(&[point.x, point.y]);
        }
        flat
    }
}

/// An affine map from the space `From` to the space `To`; name values `to_from_from`,
/// as in `image_from_crop`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine<To, From> {
    /// Rows of the 2×3 matrix.
    pub rows: [[f32; 3]; 2],
    spaces: PhantomData<(To, From)>,
}

impl<To: Copy, From: Copy> Affine<To, From> {
    /// From the two rows of the matrix.
    pub const fn new(rows: [[f32; 3]; 2]) -> Self {
        Self { rows, spaces: PhantomData }
    }

    /// A scaling and a shift, without rotation.
    pub const fn scale_shift(scale: f32, dx: f32, dy: f32) -> Self {
        Self::new([[scale, 0.0, dx], [0.0, scale, dy]])
    }

    /// Pixels of `To` per pixel of `From` (square root of the determinant's size).
    pub fn scale(&self) -> f32 {
        let [[a, b, _], [c, d, _]] = self.rows;
        (a * d - b * c).abs().sqrt()
    }

    /// The map back, or `None` when this one is singular.
    pub fn inverse(&self) -> Option<Affine<From, To>> {
        let [[a, b, tx], [c, d, ty]] = self.rows.map(|row| row.map(f64::from));
        let det = a * d - b * c;
        if !det.is_finite() || det.abs() < 1e-12 {
            return None;
        }
        let (ia, ib, ic, id) = (d / det, -b / det, -c / det, a / det);
        Some(Affine::new([
            [ia as f32, ib as f32, (-(ia * tx + ib * ty)) as f32],
            [ic as f32, id as f32, (-(ic * tx + id * ty)) as f32],
        ]))
    }
}

impl<To: Copy, From: Copy> Mul<Point<From>> for Affine<To, From> {
    type Output = Point<To>;
    fn mul(self, p: Point<From>) -> Point<To> {
        let [[a, b, tx], [c, d, ty]] = self.rows;
        Point::new(a * p.x + b * p.y + tx, c * p.x + d * p.y + ty)
    }
}

impl<A: Copy, B: Copy, C: Copy> Mul<Affine<B, C>> for Affine<A, B> {
    type Output = Affine<A, C>;
    fn mul(self, rhs: Affine<B, C>) -> Affine<A, C> {
        let [[a, b, tx], [c, d, ty]] = self.rows;
        let [[e, f, ux], [g, h, uy]] = rhs.rows;
        Affine::new([
            [a * e + b * g, a * f + b * h, a * ux + b * uy + tx],
            [c * e + d * g, c * f + d * h, c * ux + d * uy + ty],
        ])
    }
}

/// A share or probability: finite and in 0..=1. Detector scores and thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64", extend("minimum" = 0.0, "maximum" = 1.0))]
pub struct UnitInterval(f64);

impl UnitInterval {
    /// Clamps into 0..=1; NaN becomes 0.
    pub fn clamped(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for UnitInterval {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(format!("must lie in 0..=1, got {value}")) }
    }
}

impl From<UnitInterval> for f64 {
    fn from(value: UnitInterval) -> f64 {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_affine_times_its_inverse_is_the_identity(
            angle in -3.2_f32..3.2, scale in 0.05_f32..20.0, tx in -500.0_f32..500.0, ty in -500.0_f32..500.0,
            x in -500.0_f32..500.0, y in -500.0_f32..500.0,
        ) {
            let (s, c) = angle.sin_cos();
            let forward = Affine::<ImagePx, CropPx>::new([[scale * c, -scale * s, tx], [scale * s, scale * c, ty]]);
            let back = forward.inverse().unwrap() * (forward * Point::new(x, y));
            prop_assert!(back.distance(Point::new(x, y)) < 0.05);
            prop_assert!((forward.scale() - scale).abs() < 1e-3 * scale);
        }

        #[test]
        fn iou_is_symmetric_and_at_most_one(a in prop::array::uniform4(0.0_f32..100.0), b in prop::array::uniform4(0.0_f32..100.0)) {
            let make = |v: [f32; 4]| BBox::<ImagePx>::from_centre(v[0], v[1], v[2], v[3]);
            let (p, q) = (make(a), make(b));
            prop_assert!((p.iou(&q) - q.iou(&p)).abs() < 1e-6);
            prop_assert!((0.0..=1.0001).contains(&p.iou(&q)));
        }
    }

    #[test]
    fn a_singular_map_has_no_inverse() {
        assert!(Affine::<ImagePx, CropPx>::new([[0.0; 3]; 2]).inverse().is_none());
    }

    #[test]
    fn unit_interval_refuses_nonsense() {
        assert!(UnitInterval::try_from(7.5).unwrap_err().contains("0..=1"));
        assert!(UnitInterval::try_from(f64::NAN).is_err());
    }
}
