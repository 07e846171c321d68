//! Stage *align*: the five-point similarity, and the warp from the frame into an upright crop.
//!
//! The similarity is the least-squares one without reflection (Umeyama 1991), in its closed form for
//! two dimensions. Pixels are sampled straight from the frame: nothing is cropped or resized first.

use crate::frame::{ChannelOrder, ImageView};
use crate::geometry::{Affine, CropPx, ImagePx, Point};
use serde::{Deserialize, Serialize};
use wide::{f32x4, i16x8, i32x4, u8x16};

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

/// Points that no upright face can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlignError {
    /// They coincide or are not finite.
    #[error("the five points do not span a face")]
    Degenerate,
}

/// A fitted similarity and how well it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Where each crop pixel lies in the source image.
    pub image_from_crop: Affine<ImagePx, CropPx>,
    /// Root mean square distance of the points from the fitted template, as a share of the
    /// template's spread (root mean square distance from its centre); near 0 for a frontal face.
    pub residual: f32,
}

/// Fits `template` (crop pixels) to `points` (image pixels) by least squares over rotation, uniform
/// scale and shift.
///
/// # Errors
/// [`AlignError::Degenerate`] when the points coincide or are not finite.
pub fn fit(points: &[Point<ImagePx>; 5], template: &[Point<CropPx>; 5]) -> Result<Fit, AlignError> {
    let (cx, cy) = centroid(points);
    let (tx, ty) = centroid(template);
    let (mut dot, mut cross, mut template_spread, mut point_spread) = (0.0, 0.0, 0.0, 0.0);
    for (p, t) in points.iter().zip(template) {
        let (x, y) = (f64::from(t.x) - tx, f64::from(t.y) - ty);
        let (u, v) = (f64::from(p.x) - cx, f64::from(p.y) - cy);
        dot += x * u + y * v;
        cross += x * v - y * u;
        template_spread += x * x + y * y;
        point_spread += u * u + v * v;
    }
    let (a, b) = (dot / template_spread, cross / template_spread);
    let scale_squared = a * a + b * b;
    if !scale_squared.is_finite() || scale_squared < 1e-6 {
        return Err(AlignError::Degenerate);
    }
    // What least squares leaves over: spread of the points minus what the similarity explains.
    let unexplained = (point_spread - scale_squared * template_spread).max(0.0);
    let (dx, dy) = (cx - (a * tx - b * ty), cy - (b * tx + a * ty));
    Ok(Fit {
        image_from_crop: Affine::new([[a as f32, -b as f32, dx as f32], [b as f32, a as f32, dy as f32]]),
        residual: (unexplained / (scale_squared * template_spread)).sqrt() as f32,
    })
}

fn centroid<S: Copy>(points: &[Point<S>; 5]) -> (f64, f64) {
    let sum = points.iter().fold((0.0, 0.0), |(x, y), p| (x + f64::from(p.x), y + f64::from(p.y)));
    (sum.0 / 5.0, sum.1 / 5.0)
}

/// Fills `crop` with the pixels that `image_from_crop` names, bilinearly; black outside the image.
///
/// Where a crop pixel covers more than two image pixels, it is the mean of several samples spread
/// over its area, so that a large face is not aliased.
pub fn warp(image: ImageView<'_>, image_from_crop: Affine<ImagePx, CropPx>, size: u32, crop: &mut AlignedCrop) {
    crop.size = size;
    crop.rgb.resize(size as usize * size as usize * 3, 0);
    let samples = (image_from_crop.scale() / 2.0).ceil().clamp(1.0, 16.0).max(1.0) as u32;
    match Grid::new(image_from_crop, samples) {
        Some(grid) if grid.is_inside(image, size) => {
            grid.touch(image, size);
            grid.fill(crop, image.order(), |at| inside(image, at));
        }
        Some(grid) => grid.fill(crop, image.order(), |at| at_border(image, at)),
        None => crop.rgb.fill(0),
    }
}

/// Binary digits of a sample's place behind the point.
const FRACTION: u32 = 24;
/// Coordinates beyond this many pixels are no image's.
const FARTHEST: f64 = (1 << 24) as f64;

/// Bytes that come from memory together.
const CACHE_LINE: usize = 64;

/// Where the samples of a crop lie: `samples` × `samples` for each of its pixels, in 2⁻²⁴ image pixels. Whole
/// numbers are cheap to add up and to cut into a pixel and a share.
struct Grid {
    samples: u32,
    first: [i64; 2],
    /// From one sample to the next on its right, and to the next below.
    right: [i64; 2],
    down: [i64; 2],
}

impl Grid {
    /// None when the crop lies nowhere.
    fn new(image_from_crop: Affine<ImagePx, CropPx>, samples: u32) -> Option<Self> {
        let step = 1.0 / f64::from(samples);
        let corner = 0.5 * step - 0.5;
        let number = |pixels: f64| (pixels.abs() <= FARTHEST).then_some((pixels * f64::from(1 << FRACTION)) as i64);
        let [[a, b, x], [c, d, y]] = image_from_crop.rows.map(|row| row.map(f64::from));
        Some(Self {
            samples,
            first: [number((a + b) * corner + x)?, number((c + d) * corner + y)?],
            right: [number(a * step)?, number(c * step)?],
            down: [number(b * step)?, number(d * step)?],
        })
    }

    /// The pixels that its outermost samples lie in, column and row.
    fn corners(&self, size: u32) -> [[i64; 2]; 4] {
        let last = i64::from(size * self.samples) - 1;
        [(0, 0), (last, 0), (0, last), (last, last)].map(|(column, row)| {
            [0, 1].map(|axis| (self.first[axis] + column * self.right[axis] + row * self.down[axis]) >> FRACTION)
        })
    }

    /// Whether all samples lie at least a pixel inside the image.
    fn is_inside(&self, image: ImageView<'_>, size: u32) -> bool {
        let sides = [image.width(), image.height()].map(i64::from);
        self.corners(size).iter().all(|at| (0..2).all(|axis| (1..sides[axis] - 2).contains(&at[axis])))
    }

    /// Reads a byte of every cache line under a grid that lies inside the image. A network has run since these
    /// pixels came: here the processor waits for many of their lines at once, between the samples for one at a time.
    fn touch(&self, image: ImageView<'_>, size: u32) {
        let ([left, top], [right, bottom]) =
            self.corners(size).iter().fold(([i64::MAX; 2], [0; 2]), |([left, top], [right, bottom]), [x, y]| {
                ([left.min(*x), top.min(*y)], [right.max(*x), bottom.max(*y)])
            });
        let columns = left as usize * 3..right as usize * 3;
        let rows = (top as u32..=bottom as u32).map(|y| &image.row(y)[columns.clone()]);
        std::hint::black_box(rows.flat_map(|row| row.iter().step_by(CACHE_LINE)).fold(0, |sum, byte| sum ^ byte));
    }

    /// Sets every pixel to the mean of its samples. Plain loops: what is called for every sample must not be
    /// left to the compiler's taste.
    fn fill(&self, crop: &mut AlignedCrop, order: ChannelOrder, sample: impl Fn([i64; 2]) -> i32x4) {
        let Self { samples, right, down, .. } = *self;
        let (weight, step) = (1.0 / (samples * samples * (ONE * ONE) as u32) as f32, i64::from(samples));
        let mut first_of_row = self.first;
        for row in crop.rgb.as_chunks_mut::<3>().0.chunks_exact_mut(crop.size.max(1) as usize) {
            let mut first_of_pixel = first_of_row;
            for pixel in row {
                // The 256 samples that a pixel may have still fit.
                let mut sum = i32x4::ZERO;
                let mut leftmost = first_of_pixel;
                for _ in 0..samples {
                    let mut at = leftmost;
                    for _ in 0..samples {
                        sum += sample(at);
                        at = [at[0] + right[0], at[1] + right[1]];
                    }
                    leftmost = [leftmost[0] + down[0], leftmost[1] + down[1]];
                }
                let [a, b, c] = bytes(sum.round_float() * weight);
                *pixel = if order == ChannelOrder::Rgb { [a, b, c] } else { [c, b, a] };
                first_of_pixel = [first_of_pixel[0] + step * right[0], first_of_pixel[1] + step * right[1]];
            }
            first_of_row = [first_of_row[0] + step * down[0], first_of_row[1] + step * down[1]];
        }
    }
}

/// The nearest whole numbers to three in 0..=255: beside 2²³ a float has no digits behind the point.
#[inline]
fn bytes(values: f32x4) -> [u8; 3] {
    // No `map`: it is called and not inlined, for every pixel.
    let [a, b, c, _] = (values + 8_388_608.0).to_array();
    [a.to_bits() as u8, b.to_bits() as u8, c.to_bits() as u8]
}

/// A whole pixel, in the steps that the place of a sample is weighed by; their square fits 16 bits with a sign.
const ONE: i32 = 128;

/// How far a sample lies right of or below its pixel, in steps.
#[inline]
fn share(at: i64) -> i32 {
    (at >> (FRACTION - ONE.ilog2())) as i32 & (ONE - 1)
}

/// The three bytes at a place that is at least a pixel from the border, in the image's own order, interpolated
/// between the four pixels around it, times [`ONE`] squared; and a fourth number, of no meaning.
#[inline]
fn inside(image: ImageView<'_>, at: [i64; 2]) -> i32x4 {
    let start = (at[1] >> FRACTION) as usize * image.stride() + (at[0] >> FRACTION) as usize * 3;
    let bytes = |start: usize| image.data().get(start..).and_then(|rest| rest.first_chunk::<8>());
    let (Some(upper), Some(lower)) = (bytes(start), bytes(start + image.stride())) else { return i32x4::ZERO };
    let (right, below) = (share(at[0]), share(at[1]));
    let (left, above) = (ONE - right, ONE - below);
    mix(*upper, left * above, right * above) + mix(*lower, left * below, right * below)
}

/// Two neighbouring pixels, weighed.
#[inline]
fn mix(pixels: [u8; 8], left: i32, right: i32) -> i32x4 {
    let from = |byte: u32| u8x16::from((u128::from(u64::from_le_bytes(pixels)) >> (8 * byte)).to_le_bytes());
    let beside_each_other = i16x8::from_u8x16_low(u8x16::unpack_low(from(0), from(3)));
    let [left, right] = [left as i16, right as i16];
    beside_each_other.dot(i16x8::new([left, right, left, right, left, right, left, right]))
}

/// The same where some of the four pixels may lie outside; those are black.
fn at_border(image: ImageView<'_>, at: [i64; 2]) -> i32x4 {
    let (right, below) = (share(at[0]), share(at[1]));
    let (left, above) = (ONE - right, ONE - below);
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    let corners = [(0, 0, left * above), (1, 0, right * above), (0, 1, left * below), (1, 1, right * below)];
    let mut sum = [0; 4];
    for (dx, dy, weight) in corners {
        let (x, y) = ((at[0] >> FRACTION) + dx, (at[1] >> FRACTION) + dy);
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let start = y as usize * image.stride() + x as usize * 3;
            for (total, byte) in sum.iter_mut().zip(&image.data()[start..start + 3]) {
                *total += weight * i32::from(*byte);
            }
        }
    }
    sum.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// InsightFace's template for 112-pixel crops.
    const TEMPLATE: [[f32; 2]; 5] =
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];

    fn template() -> [Point<CropPx>; 5] {
        TEMPLATE.map(|[x, y]| Point::new(x, y))
    }

    proptest! {
        #[test]
        fn fit_recovers_any_similarity(angle in -3.1_f32..3.1, scale in 0.1_f32..10.0, dx in -300.0_f32..900.0, dy in -300.0_f32..900.0) {
            let (s, c) = angle.sin_cos();
            let truth = Affine::<ImagePx, CropPx>::new([[scale * c, -scale * s, dx], [scale * s, scale * c, dy]]);
            let found = fit(&template().map(|p| truth * p), &template()).unwrap();
            for p in template() {
                prop_assert!((found.image_from_crop * p).distance(truth * p) < 0.01 * scale.max(1.0));
            }
            prop_assert!(found.residual < 1e-2);
        }

        #[test]
        fn warp_never_panics(rows in prop::array::uniform2(prop::array::uniform3(-1.0e4_f32..1.0e4))) {
            let data = [7_u8; 5 * 4 * 3];
            let view = ImageView::new(5, 4, 15, ChannelOrder::Rgb, &data).unwrap();
            let mut crop = AlignedCrop::default();
            warp(view, Affine::new(rows), 6, &mut crop);
            prop_assert_eq!(crop.rgb.len(), 6 * 6 * 3);
        }
    }

    #[test]
    fn coinciding_points_are_refused() {
        assert_eq!(fit(&[Point::new(3.0, 4.0); 5], &template()), Err(AlignError::Degenerate));
        assert!(fit(&[Point::new(f32::NAN, 4.0); 5], &template()).is_err());
    }

    #[test]
    fn the_identity_copies_and_bgr_becomes_rgb() {
        let data: Vec<u8> = (0..4 * 4 * 3).collect();
        let mut crop = AlignedCrop::default();
        let same = Affine::scale_shift(1.0, 0.0, 0.0);
        warp(ImageView::new(4, 4, 12, ChannelOrder::Rgb, &data).unwrap(), same, 4, &mut crop);
        assert_eq!(crop.rgb, data);
        warp(ImageView::new(4, 4, 12, ChannelOrder::Bgr, &data).unwrap(), same, 4, &mut crop);
        assert_eq!(crop.rgb[..6], [2, 1, 0, 5, 4, 3]);
    }

    #[test]
    fn the_way_through_the_middle_and_the_one_along_the_border_agree() {
        let data: Vec<u8> = (0..40_u32 * 30 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let view = ImageView::new(40, 30, 120, ChannelOrder::Bgr, &data).unwrap();
        let turned = Affine::new([[0.7, -0.4, 12.3], [0.4, 0.7, 8.1]]);
        for (map, size) in [(turned, 16), (Affine::scale_shift(3.1, 2.2, 2.6), 8)] {
            let (mut through, mut along) = (AlignedCrop { size, rgb: vec![0; 3 * 16 * 16] }, AlignedCrop::default());
            through.rgb.truncate((size * size * 3) as usize);
            warp(view, map, size, &mut along);
            let grid = Grid::new(map, (map.scale() / 2.0).ceil() as u32).unwrap();
            assert!(grid.is_inside(view, size));
            grid.fill(&mut through, ChannelOrder::Bgr, |at| at_border(view, at));
            let furthest = through.rgb.iter().zip(&along.rgb).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(furthest <= Some(1), "{furthest:?}");
            assert!(along.rgb.iter().any(|byte| *byte > 100));
        }
    }

    #[test]
    fn half_a_pixel_outside_is_half_black_and_beyond_all_black() {
        let data = [200_u8; 8 * 8 * 3];
        let view = ImageView::new(8, 8, 24, ChannelOrder::Rgb, &data).unwrap();
        let mut crop = AlignedCrop::default();
        warp(view, Affine::scale_shift(1.0, -1.5, 3.0), 4, &mut crop);
        assert_eq!([crop.rgb[0], crop.rgb[3], crop.rgb[6]], [0, 100, 200]);
        for far in [1e6, 1e12, f32::NAN] {
            warp(view, Affine::scale_shift(1.0, far, 0.0), 4, &mut crop);
            assert!(crop.rgb.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_large_face_is_averaged_not_aliased() {
        // One-pixel stripes: sampling without averaging would give black or white, never grey.
        let data: Vec<u8> = (0..64 * 64).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let mut crop = AlignedCrop::default();
        let view = ImageView::new(64, 64, 192, ChannelOrder::Rgb, &data).unwrap();
        warp(view, Affine::scale_shift(8.0, 3.5, 3.5), 8, &mut crop);
        assert!(crop.rgb.iter().all(|v| (100..156).contains(v)), "{:?}", crop.rgb);
    }
}
