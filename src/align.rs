//! Stage *align*: the five-point similarity and the warp from the frame into an upright crop.

use crate::geometry::{ImagePx, Point};
use serde::{Deserialize, Serialize};

/// Which five points of a face an aligner was given. A template belongs to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointScheme {
    /// Right eye, left eye, nose tip, right and left mouth corner.
    FivePoint,
    /// dlib's: both corners of the left eye, both of the right eye (outer first), base of the nose.
    DlibFive,
}

/// Five points found on a face, in the order of their scheme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlignmentPoints {
    /// What the points are.
    pub scheme: PointScheme,
    /// Where they are in the source image.
    pub points: [Point<ImagePx>; 5],
}

/// An upright square face crop: `size` × `size` RGB bytes, rows without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlignedCrop {
    /// Side, pixels.
    pub size: u32,
    /// `size * size * 3` bytes, red first.
    pub rgb: Vec<u8>,
}
