//! Stage *align*: the five-point similarity, and the warp from the frame into an upright crop.
//!
//! The similarity is the least-squares one without reflection (Umeyama 1991), in its closed form for
//! two dimensions. Pixels are sampled straight from the frame: nothing is cropped or resized first.

use crate::frame::{ChannelOrder, ImageView};
use crate::geometry::{Affine, CropPx, ImagePx, Point};
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
    let samples = (image_from_crop.scale() / 2.0).ceil().clamp(1.0, 16.0) as u32;
    let mut pixels = crop.rgb.as_chunks_mut::<3>().0.iter_mut();
    for y in 0..size {
        for x in 0..size {
            let rgb = mean_of_samples(image, image_from_crop, x as f32, y as f32, samples);
            if let Some(pixel) = pixels.next() {
                *pixel = rgb.map(|v| (v + 0.5) as u8);
            }
        }
    }
    if image.order() == ChannelOrder::Bgr {
        crop.rgb.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.reverse());
    }
}

fn mean_of_samples(image: ImageView<'_>, map: Affine<ImagePx, CropPx>, x: f32, y: f32, samples: u32) -> [f32; 3] {
    if samples == 1 {
        return bilinear(image, map * Point::new(x, y));
    }
    let step = 1.0 / samples as f32;
    let offset = |i: u32| (i as f32 + 0.5) * step - 0.5;
    let mut sum = [0.0; 3];
    for sy in 0..samples {
        for sx in 0..samples {
            let sample = bilinear(image, map * Point::new(x + offset(sx), y + offset(sy)));
            sum.iter_mut().zip(sample).for_each(|(total, v)| *total += v);
        }
    }
    sum.map(|v| v * step * step)
}

/// The three bytes at `p`, in the image's own order, interpolated between the four pixels around it.
#[inline]
fn bilinear(image: ImageView<'_>, p: Point<ImagePx>) -> [f32; 3] {
    // Inside the image cutting off is rounding down, which not every processor has an instruction for.
    let (column, row) = (p.x as i32, p.y as i32);
    let (last_column, last_row) = (image.width() as i32 - 1, image.height() as i32 - 1);
    if p.x >= 0.0 && p.y >= 0.0 && column < last_column && row < last_row {
        let (fx, fy) = (p.x - column as f32, p.y - row as f32);
        let at = row as usize * image.stride() + column as usize * 3;
        let (upper, lower) = (&image.data()[at..at + 6], &image.data()[at + image.stride()..at + image.stride() + 6]);
        return std::array::from_fn(|c| {
            let above = f32::from(upper[c]) + fx * (f32::from(upper[c + 3]) - f32::from(upper[c]));
            let below = f32::from(lower[c]) + fx * (f32::from(lower[c + 3]) - f32::from(lower[c]));
            above + fy * (below - above)
        });
    }
    at_border(image, p)
}

/// The same where some of the four pixels may lie outside; those are black.
#[cold]
fn at_border(image: ImageView<'_>, p: Point<ImagePx>) -> [f32; 3] {
    let (left, top) = (p.x.floor(), p.y.floor());
    let (fx, fy) = (p.x - left, p.y - top);
    let (width, height) = (image.width() as f32, image.height() as f32);
    let corner = |x: f32, y: f32| -> [f32; 3] {
        if !(x >= 0.0 && y >= 0.0 && x < width && y < height) {
            return [0.0; 3];
        }
        let at = y as usize * image.stride() + x as usize * 3;
        std::array::from_fn(|c| f32::from(image.data()[at + c]))
    };
    let weights = [
        (0.0, 0.0, (1.0 - fx) * (1.0 - fy)),
        (1.0, 0.0, fx * (1.0 - fy)),
        (0.0, 1.0, (1.0 - fx) * fy),
        (1.0, 1.0, fx * fy),
    ];
    let mut sum = [0.0; 3];
    for (dx, dy, weight) in weights {
        sum.iter_mut().zip(corner(left + dx, top + dy)).for_each(|(total, v)| *total += weight * v);
    }
    sum
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
    fn a_large_face_is_averaged_not_aliased() {
        // One-pixel stripes: sampling without averaging would give black or white, never grey.
        let data: Vec<u8> = (0..64 * 64).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let mut crop = AlignedCrop::default();
        let view = ImageView::new(64, 64, 192, ChannelOrder::Rgb, &data).unwrap();
        warp(view, Affine::scale_shift(8.0, 3.5, 3.5), 8, &mut crop);
        assert!(crop.rgb.iter().all(|v| (100..156).contains(v)), "{:?}", crop.rgb);
    }
}
