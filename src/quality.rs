//! How fit one look at a face is: for recognition, and, with a gate of its own, for reading its
//! expression.
//!
//! Seven measures, each mapped to 0 where the task fails and 1 where more brings nothing; their product
//! is the fitness. The figures behind the ramps were measured with dlib's ResNet on real pictures
//! (`tests/quality.rs` prints them) and on the 40,000 faces of the made-up scenes (`tests/scenes.rs`).

use crate::align::{self, AlignedCrop};
use crate::detect::Detection;
use crate::frame::ImageView;
use crate::geometry::{Affine, BBox, CropPx, ImagePx, Landmarks5, Point};

/// Side of the aligned crop that sharpness and light are measured on. Its eyes are 10 pixels apart: finer
/// detail is noise more often than face, and blur that the embedding withstands does not show.
const CROP_PX: u32 = 24;
/// Where the five points of an upright face lie in that crop: ArcFace's template, scaled, without what lies
/// around the face.
const TEMPLATE: [[f32; 2]; 5] = [[6.584, 7.413], [16.652, 7.358], [11.650, 13.139], [7.514, 19.033], [15.851, 18.987]];
/// How far the nose's tip stands out from the plane of eyes and mouth, as a share of the distance
/// between the eyes: turns of the head move it by the tangent of the angle.
const NOSE_DEPTH: f32 = 0.5;
/// Where the nose lies between the eyes (0) and the mouth (1) of a face that looks straight ahead.
const LEVEL_NOSE: f32 = 0.5;
/// Its depth there, as a share of the distance from eyes to mouth.
const NOSE_DEPTH_DOWN: f32 = 0.5;

/// What was measured on one look at a face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Distance between the eyes, pixels.
    pub inter_ocular_px: f32,
    /// Turn of the head to the side, radians; positive towards the subject's left. An estimate from five
    /// points, good to about 10 degrees up to 45.
    pub yaw_rad: f32,
    /// Nod, radians; positive downwards. A rougher estimate: it includes the face's own proportions.
    pub pitch_rad: f32,
    /// Share of the face's box that lies in the image, 0..=1.
    pub inside: f32,
    /// How badly the points fit an upright face, see [`align::Fit::residual`]; 1 when they do not at all.
    pub residual: f32,
    /// Contrast from pixel to pixel as a share of the contrast of the whole face, 0 for a blurred one.
    pub sharpness: f32,
    /// Share of the face's pixels in the image that are neither black nor white, 0..=1.
    pub exposure: f32,
}

impl Measures {
    /// Measures `face` in `image`; `crop` is a buffer.
    pub fn of(face: &Detection, image: ImageView<'_>, crop: &mut AlignedCrop) -> Self {
        let template = TEMPLATE.map(|[x, y]| Point::new(x, y));
        let fit = align::fit(&face.landmarks.points, &template).ok();
        let (sharpness, exposure) = fit.map_or((0.0, 0.0), |fit| {
            align::warp(image, fit.image_from_crop, CROP_PX, crop);
            let grey = Grey::of(crop, image, fit.image_from_crop);
            (grey.sharpness(), grey.exposure())
        });
        Self {
            inter_ocular_px: face.landmarks.inter_ocular(),
            yaw_rad: yaw(&face.landmarks),
            pitch_rad: pitch(&face.landmarks),
            inside: inside(face, image.width(), image.height()),
            residual: fit.map_or(1.0, |fit| fit.residual),
            sharpness,
            exposure,
        }
    }

    /// Fitness for recognition, 0..=1.
    pub fn identity(&self) -> f32 {
        // dlib's ResNet confuses strangers below about 12 px between the eyes (faces of 30 px). To the same face seen
        // well, faces of 12 to 16 px have a cosine of 0.7 to 0.8, of 16 to 24 px 0.85 to 0.93, and 0.9 to 0.95 above.
        let size = ramp(self.inter_ocular_px, 8.0, 24.0);
        let frontal = falls(self.yaw_rad.abs(), 0.46, 0.87) * falls(self.pitch_rad.abs(), 0.5, 0.9);
        // A blur of 0.06 of the eyes' distance leaves a cosine of 0.82 to the sharp face and a sharpness of
        // 0.77, one of 0.12 leaves 0.47 and 0.37, one of 0.16 leaves 0.16 and 0.26.
        let sharp = ramp(self.sharpness, 0.3, 0.6);
        // The embedding withstands a frame that cuts the face off and light that wipes it out in part: with 0.6 to 0.7
        // of the box in the image, or a third of the pixels white, the cosine to the face seen well is still 0.8 to 0.9.
        let whole = ramp(self.inside, 0.4, 0.6) * ramp(self.exposure, 0.2, 0.6);
        unit(size * frontal * sharp * whole * self.is_a_face())
    }

    /// Fitness for reading the expression, 0..=1: a face of about 40 pixels or more, turned less than
    /// about 40 degrees, most of it in the image and neither black nor white. Blur is not asked: the classifier's
    /// own confidence falls with it.
    pub fn expression(&self) -> f32 {
        let size = ramp(self.inter_ocular_px, 14.0, 21.0);
        let frontal = falls(self.yaw_rad.abs(), 0.4, 0.73) * falls(self.pitch_rad.abs(), 0.5, 0.9);
        let whole = ramp(self.inside, 0.6, 0.85) * ramp(self.exposure, 0.4, 0.75);
        unit(size * frontal * whole * self.is_a_face())
    }

    /// Falls when the points are no upright face's.
    fn is_a_face(&self) -> f32 {
        falls(self.residual, 0.3, 0.45)
    }
}

/// Turn of the head to the side, radians: the nose leaves the middle between the eyes.
fn yaw<S: Copy>(landmarks: &Landmarks5<S>) -> f32 {
    (nose_offset(landmarks) / NOSE_DEPTH).atan()
}

/// How far the nose lies beside the middle of the eyes, along the line through them, as a share of
/// their distance: 0 frontal, about ±0.5 at 45°; positive towards the subject's left eye.
pub fn nose_offset<S: Copy>(landmarks: &Landmarks5<S>) -> f32 {
    let (right, left, nose) = (landmarks.right_eye(), landmarks.left_eye(), landmarks.points[2]);
    along(right.midpoint(left), nose, (left.x - right.x, left.y - right.y))
}

/// Nod, radians: the nose's tip moves towards the mouth when the head goes down.
fn pitch<S: Copy>(landmarks: &Landmarks5<S>) -> f32 {
    let [right, left, nose, right_corner, left_corner] = landmarks.points;
    let (eyes, mouth) = (right.midpoint(left), right_corner.midpoint(left_corner));
    // Measured across the line of the eyes, so that a turn to the side does not count.
    let down = (right.y - left.y, left.x - right.x);
    let (nose_at, mouth_at) = (along(eyes, nose, down), along(eyes, mouth, down));
    if mouth_at < 0.1 {
        return std::f32::consts::FRAC_PI_2;
    }
    ((nose_at / mouth_at - LEVEL_NOSE) / NOSE_DEPTH_DOWN).atan()
}

/// How far `to` lies from `from` in a direction, as a share of its length.
fn along<S: Copy>(from: Point<S>, to: Point<S>, (dx, dy): (f32, f32)) -> f32 {
    ((to.x - from.x) * dx + (to.y - from.y) * dy) / (dx * dx + dy * dy).max(1e-6)
}

fn inside(face: &Detection, width: u32, height: u32) -> f32 {
    let image = BBox::new(0.0, 0.0, width as f32, height as f32);
    face.bbox.intersection(&image) / face.bbox.area().max(1e-6)
}

/// What is no number is no fitness.
const fn unit(product: f32) -> f32 {
    product.clamp(0.0, 1.0).max(0.0)
}

/// 0 up to `zero_at`, 1 from `one_at` on.
fn ramp(value: f32, zero_at: f32, one_at: f32) -> f32 {
    ((value - zero_at) / (one_at - zero_at)).clamp(0.0, 1.0)
}

/// 1 up to `one_at`, 0 from `zero_at` on.
fn falls(value: f32, one_at: f32, zero_at: f32) -> f32 {
    1.0 - ramp(value, one_at, zero_at)
}

/// The brightness of a crop; not a number outside the image, whose edge is no detail of the face.
struct Grey {
    values: Vec<f32>,
}

impl Grey {
    fn of(crop: &AlignedCrop, image: ImageView<'_>, image_from_crop: Affine<ImagePx, CropPx>) -> Self {
        let luma = |[r, g, b]: &[u8; 3]| 0.299 * f32::from(*r) + 0.587 * f32::from(*g) + 0.114 * f32::from(*b);
        // A pixel of the crop covers so much of the image to each side.
        let half = image_from_crop.scale() / 2.0;
        let is_in = |place: f32, size: u32| place >= half - 0.5 && place <= size as f32 - 0.5 - half;
        let value = |(index, pixel)| {
            let (x, y) = (index as u32 % CROP_PX, index as u32 / CROP_PX);
            let at = image_from_crop * Point::new(x as f32, y as f32);
            if is_in(at.x, image.width()) && is_in(at.y, image.height()) { luma(pixel) } else { f32::NAN }
        };
        Self { values: crop.rgb.as_chunks::<3>().0.iter().enumerate().map(value).collect() }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        self.values[y * CROP_PX as usize + x]
    }

    /// The pixels between forehead and chin, without the crop's corners.
    fn face() -> impl Iterator<Item = (usize, usize)> {
        (1..23).flat_map(|y| (3..21).map(move |x| (x, y)))
    }

    /// Standard deviation of the Laplacian over that of the brightness.
    fn sharpness(&self) -> f32 {
        let laplacian = |(x, y): (usize, usize)| {
            4.0 * self.at(x, y) - self.at(x - 1, y) - self.at(x + 1, y) - self.at(x, y - 1) - self.at(x, y + 1)
        };
        let detail = deviation(Self::face().map(laplacian));
        let contrast = deviation(Self::face().map(|(x, y)| self.at(x, y)));
        detail / contrast.max(1.0)
    }

    fn exposure(&self) -> f32 {
        let (mut total, mut good) = (0.0_f32, 0.0);
        for value in Self::face().map(|(x, y)| self.at(x, y)).filter(|value| !value.is_nan()) {
            total += 1.0;
            good += f32::from((16.0..=239.0).contains(&value));
        }
        good / total.max(1.0)
    }
}

/// Standard deviation of what is a number.
fn deviation(values: impl Iterator<Item = f32>) -> f32 {
    let (mut count, mut sum, mut squares) = (0.0_f64, 0.0, 0.0);
    for value in values.filter(|value| !value.is_nan()).map(f64::from) {
        (count, sum, squares) = (count + 1.0, sum + value, squares + value * value);
    }
    let mean = sum / count.max(1.0);
    (squares / count.max(1.0) - mean * mean).max(0.0).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ChannelOrder;
    use std::f32::consts::FRAC_PI_4;

    /// A face with eyes 60 px apart in the middle of 640 × 480, its nose moved.
    fn face(x: f32, eye_distance: f32, nose: (f32, f32)) -> Detection {
        let at = |dx: f32, dy: f32| Point::<ImagePx>::new(x + dx * eye_distance, 200.0 + dy * eye_distance);
        Detection {
            bbox: BBox::from_centre(x, 200.0 + 0.4 * eye_distance, 2.2 * eye_distance, 2.6 * eye_distance),
            score: 1.0,
            landmarks: Landmarks5::new([
                at(-0.5, 0.0),
                at(0.5, 0.0),
                at(nose.0, 0.575 + nose.1),
                at(-0.42, 1.15),
                at(0.42, 1.15),
            ]),
        }
    }

    /// Fine texture with some larger shapes, `smooth`ed over so many pixels.
    fn picture(smooth: usize) -> Vec<u8> {
        let value = |x: usize, y: usize| {
            let coarse = 40.0 * (x as f32 / 37.0).sin() + 20.0 * (y as f32 / 29.0).cos();
            let fine: f32 = (0..smooth).map(|k| if ((x + k) / 8).is_multiple_of(2) { 30.0 } else { -30.0 }).sum();
            (128.0 + coarse + fine / smooth as f32) as u8
        };
        (0..480).flat_map(|y| (0..640).flat_map(move |x| [value(x, y); 3])).collect()
    }

    fn measured(face: &Detection, data: &[u8]) -> Measures {
        let view = ImageView::new(640, 480, 640 * 3, ChannelOrder::Rgb, data).unwrap();
        Measures::of(face, view, &mut AlignedCrop::default())
    }

    #[test]
    fn large_frontal_sharp_faces_are_fit_and_small_turned_or_cut_ones_are_not() {
        let data = picture(1);
        let quality = |x: f32, eyes: f32, nose: (f32, f32)| measured(&face(x, eyes, nose), &data).identity();
        assert!(quality(300.0, 34.0, (0.0, 0.0)) > 0.9);
        assert!(quality(300.0, 8.0, (0.0, 0.0)) < 0.01);
        assert!(quality(300.0, 34.0, (0.6, 0.0)) < 0.05);
        assert!(quality(0.0, 34.0, (0.0, 0.0)) < 0.6, "half of it is outside");
        assert!(quality(-20.0, 34.0, (0.0, 0.0)) < 0.01, "three quarters are");
        assert!(quality(300.0, 20.0, (0.0, 0.0)) < quality(300.0, 30.0, (0.0, 0.0)));
    }

    #[test]
    fn turns_and_nods_are_read_off_the_nose() {
        let data = picture(1);
        let level = measured(&face(300.0, 60.0, (0.0, 0.0)), &data);
        assert!(level.yaw_rad.abs() < 0.01 && level.pitch_rad.abs() < 0.1, "{level:?}");
        let turned = measured(&face(300.0, 60.0, (0.5, 0.0)), &data);
        assert!((turned.yaw_rad - FRAC_PI_4).abs() < 0.01 && turned.pitch_rad.abs() < 0.1, "{turned:?}");
        let down = measured(&face(300.0, 60.0, (0.0, 0.3)), &data);
        assert!(down.pitch_rad > 0.4 && down.yaw_rad.abs() < 0.01, "{down:?}");
    }

    #[test]
    fn blur_costs_recognition_and_not_the_expression() {
        let face = face(300.0, 20.0, (0.0, 0.0));
        let (sharp, blurred) = (measured(&face, &picture(1)), measured(&face, &picture(16)));
        assert!(sharp.sharpness > 4.0 * blurred.sharpness, "{} and {}", sharp.sharpness, blurred.sharpness);
        assert!(blurred.identity() < 0.1 * sharp.identity());
        assert_eq!(blurred.expression(), sharp.expression());
        assert!(sharp.expression() > 0.8);
    }

    #[test]
    fn the_edge_of_the_image_is_no_detail_of_a_face() {
        let blurred = picture(16);
        let sharpness = |x: f32| measured(&face(x, 40.0, (0.0, 0.0)), &blurred).sharpness;
        assert!(sharpness(8.0) < 1.5 * sharpness(300.0), "{} and {}", sharpness(8.0), sharpness(300.0));
    }

    #[test]
    fn a_face_lost_in_darkness_or_glare_is_unfit() {
        let face = face(300.0, 40.0, (0.0, 0.0));
        for value in [3, 252] {
            let flat = measured(&face, &vec![value; 640 * 480 * 3]);
            assert_eq!((flat.identity(), flat.expression(), flat.exposure), (0.0, 0.0, 0.0));
        }
    }

    #[test]
    fn points_that_are_no_face_give_no_fitness_and_no_panic() {
        let data = picture(1);
        let mut none = face(300.0, 40.0, (0.0, 0.0));
        none.landmarks = Landmarks5::new([Point::new(5.0, 5.0); 5]);
        assert_eq!(measured(&none, &data).identity(), 0.0);
        none.landmarks = Landmarks5::new([Point::new(f32::NAN, 5.0); 5]);
        assert_eq!(measured(&none, &data).identity(), 0.0);
    }
}
