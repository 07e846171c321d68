//! A camera's calibration: where on the image a direction falls, and which direction a pixel is of.
//!
//! Coordinates are those of the optical frame (REP 103): x right, y down, z forward. A *ray* is the
//! point at z = 1 of a direction.
//!
//! The models are those of `sensor_msgs/CameraInfo`, with OpenCV's formulas. With `r² = x² + y²`,
//! `plumb_bob` (k1 k2 p1 p2 k3) and `rational_polynomial` (… k4 k5 k6) move the ray (x, y) to
//!
//! ```text
//! (x, y) · (1 + k1 r² + k2 r⁴ + k3 r⁶) / (1 + k4 r² + k5 r⁴ + k6 r⁶)
//!   + (2 p1 x y + p2 (r² + 2x²),  p1 (r² + 2y²) + 2 p2 x y)
//! ```
//!
//! and `equidistant` (a fisheye, k1 … k4) to `(x, y) · θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸) / r` with
//! `θ = atan r`.

use crate::geometry::{ImagePx, Point};

/// Most steps of the inversion; it usually takes four.
const MOST_STEPS: usize = 30;
/// Rays closer than this are the same.
const SAME_RAY: f64 = 1e-9;
/// No ray is further to the side than this: 86° from the axis.
const WIDEST_RAY: f64 = 14.0;

/// What `sensor_msgs/CameraInfo` says about a camera, unchecked.
#[derive(Clone, Copy, Debug)]
pub struct Calibration<'a> {
    /// Columns and rows of the image the calibration is for; 0 when not known.
    pub size: (u32, u32),
    /// `plumb_bob`, `rational_polynomial`, `equidistant` (also `fisheye`), or empty.
    pub model: &'a str,
    /// The coefficients of the model.
    pub d: &'a [f64],
    /// Row by row: fx s cx, 0 fy cy, 0 0 1.
    pub k: [f64; 9],
    /// Pixels of the sensor that are one of the image, across and down; 0 counts as 1.
    pub binning: [u32; 2],
    /// The part of the sensor that is sent: left, top, width, height; width and height 0: all of it.
    pub roi: [u32; 4],
}

/// Why there is no lens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LensError {
    /// Zero K says so.
    #[error("the camera is not calibrated (K is zero): heads have no place and no TF frame; run a calibration")]
    Uncalibrated,
    /// NaN or infinite numbers, or a focal length that is none.
    #[error("K or D of the camera_info holds numbers that cannot be meant")]
    Nonsense,
    /// Not one of the models of ROS.
    #[error(
        "the distortion model \"{model}\" with {coefficients} coefficients is not known; known are plumb_bob (up to 5), \
         rational_polynomial (up to 8) and equidistant (4)"
    )]
    Model {
        /// As given.
        model: String,
        /// How many.
        coefficients: usize,
    },
}

/// The calibration of a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lens {
    /// Columns and rows of the image; 0 when not known.
    size: (u32, u32),
    /// Pixels per unit of a ray, across and down.
    focal: [f64; 2],
    /// Where the optical axis falls, pixels.
    centre: [f64; 2],
    distortion: Distortion,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Distortion {
    None,
    /// k1 k2 p1 p2 k3 k4 k5 k6.
    Radial([f64; 8]),
    /// k1 k2 k3 k4.
    Fisheye([f64; 4]),
}

impl Lens {
    /// The lens that a calibration describes.
    ///
    /// # Errors
    /// [`LensError`] when there is none, or one that is not understood.
    pub fn new(calibration: &Calibration<'_>) -> Result<Self, LensError> {
        let k = &calibration.k;
        let (focal, centre) = ([k[0], k[4]], [k[2], k[5]]);
        if !k.iter().chain(calibration.d).all(|number| number.is_finite()) {
            return Err(LensError::Nonsense);
        }
        if focal == [0.0, 0.0] {
            return Err(LensError::Uncalibrated);
        }
        if focal[0] <= 0.0 || focal[1] <= 0.0 {
            return Err(LensError::Nonsense);
        }
        let distortion = Distortion::new(calibration.model, calibration.d)?;
        let [left, top, width, height] = calibration.roi;
        let part = if width > 0 && height > 0 { (width, height) } else { calibration.size };
        let binning = calibration.binning.map(|pixels| pixels.max(1));
        Ok(Self {
            size: (part.0 / binning[0], part.1 / binning[1]),
            focal: [focal[0] / f64::from(binning[0]), focal[1] / f64::from(binning[1])],
            centre: [
                (centre[0] - f64::from(left)) / f64::from(binning[0]),
                (centre[1] - f64::from(top)) / f64::from(binning[1]),
            ],
            distortion,
        })
    }

    /// What a camera without calibration is taken for where only directions matter: 60° wide, without
    /// distortion.
    pub fn nominal(width: u32, height: u32) -> Self {
        let focal = f64::from(width) / (2.0 * 30.0_f64.to_radians().tan());
        let centre = [0.5 * (f64::from(width) - 1.0), 0.5 * (f64::from(height) - 1.0)];
        Self { size: (width, height), focal: [focal; 2], centre, distortion: Distortion::None }
    }

    /// Whether it can be the lens of images of this size.
    pub fn fits(&self, size: (u32, u32)) -> bool {
        self.size == size || self.size == (0, 0)
    }

    /// Columns and rows of the images it is for; 0 when not known.
    pub const fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Pixels per unit of a ray, across and down.
    pub const fn focal(&self) -> [f64; 2] {
        self.focal
    }

    /// The ray of a pixel; `None` where the lens has none.
    pub fn ray(&self, pixel: Point<ImagePx>) -> Option<[f64; 2]> {
        let wanted = [
            (f64::from(pixel.x) - self.centre[0]) / self.focal[0],
            (f64::from(pixel.y) - self.centre[1]) / self.focal[1],
        ];
        self.distortion.undistort(wanted).filter(|ray| ray.iter().all(|coordinate| coordinate.is_finite()))
    }

    /// Where a point of the optical frame falls on the image; `None` behind the camera.
    pub fn pixel(&self, at: [f64; 3]) -> Option<Point<ImagePx>> {
        if at[2] <= 0.0 {
            return None;
        }
        let [x, y] = self.distortion.distort([at[0] / at[2], at[1] / at[2]]);
        Some(Point::new((self.focal[0] * x + self.centre[0]) as f32, (self.focal[1] * y + self.centre[1]) as f32))
    }
}

impl Distortion {
    fn new(model: &str, d: &[f64]) -> Result<Self, LensError> {
        if d.iter().all(|coefficient| *coefficient == 0.0) {
            // A fisheye without coefficients still is one.
            return Ok(if is_fisheye(model) { Self::Fisheye([0.0; 4]) } else { Self::None });
        }
        let unknown = || LensError::Model { model: model.to_owned(), coefficients: d.len() };
        match model {
            "plumb_bob" | "rational_polynomial" | "" if d.len() <= 8 => {
                let mut k = [0.0; 8];
                k[..d.len()].copy_from_slice(d);
                Ok(Self::Radial(k))
            }
            _ if is_fisheye(model) => Ok(Self::Fisheye(d.try_into().map_err(|_ignored_length| unknown())?)),
            _ => Err(unknown()),
        }
    }

    fn distort(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let r2 = x * x + y * y;
        match self {
            Self::None => [x, y],
            Self::Radial([k1, k2, p1, p2, k3, k4, k5, k6]) => {
                let radial = (1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1.0 + r2 * (k4 + r2 * (k5 + r2 * k6)));
                [
                    x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
                    y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
                ]
            }
            Self::Fisheye([k1, k2, k3, k4]) => {
                let r = r2.sqrt();
                let theta = r.atan();
                let t2 = theta * theta;
                let bent = theta * (1.0 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))));
                let scale = if r > 1e-12 { bent / r } else { 1.0 };
                [x * scale, y * scale]
            }
        }
    }

    /// Newton's method, its derivative taken by differences.
    fn undistort(&self, wanted: [f64; 2]) -> Option<[f64; 2]> {
        if *self == Self::None {
            return Some(wanted);
        }
        let mut ray = self.first_guess(wanted);
        for _ in 0..MOST_STEPS {
            let at = self.distort(ray);
            let step = 1e-6;
            let right = self.distort([ray[0] + step, ray[1]]);
            let down = self.distort([ray[0], ray[1] + step]);
            let [a, c] = [(right[0] - at[0]) / step, (right[1] - at[1]) / step];
            let [b, d] = [(down[0] - at[0]) / step, (down[1] - at[1]) / step];
            let (ex, ey) = (wanted[0] - at[0], wanted[1] - at[1]);
            let det = a * d - b * c;
            let (dx, dy) = ((d * ex - b * ey) / det, (a * ey - c * ex) / det);
            ray = [ray[0] + dx, ray[1] + dy];
            // Also false for NaN: where the lens folds the image over, there is no ray.
            let is_ray = det > 0.0 && a + d > 0.0 && ray[0].hypot(ray[1]) < WIDEST_RAY;
            if !is_ray {
                return None;
            }
            if dx.hypot(dy) < SAME_RAY {
                return Some(ray);
            }
        }
        None
    }

    fn first_guess(&self, wanted: [f64; 2]) -> [f64; 2] {
        let Self::Fisheye(_) = self else { return wanted };
        let bent = wanted[0].hypot(wanted[1]);
        let scale = if bent > 1e-12 { bent.min(1.3).tan() / bent } else { 1.0 };
        wanted.map(|w| w * scale)
    }
}

fn is_fisheye(model: &str) -> bool {
    matches!(model, "equidistant" | "fisheye")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 640×480 with this distortion.
    pub(crate) fn lens(model: &str, d: &[f64]) -> Lens {
        let k = [520.0, 0.0, 322.0, 0.0, 515.0, 238.0, 0.0, 0.0, 1.0];
        Lens::new(&Calibration { size: (640, 480), model, d, k, binning: [0, 0], roi: [0; 4] }).unwrap()
    }

    pub(crate) fn lenses() -> [Lens; 4] {
        [
            lens("plumb_bob", &[]),
            lens("plumb_bob", &[-0.28, 0.09, 0.001, -0.0015, -0.01]),
            lens("rational_polynomial", &[0.6, -0.3, 0.0004, -0.0002, 0.02, 0.9, -0.25, 0.05]),
            lens("equidistant", &[-0.02, 0.004, -0.001, 0.0002]),
        ]
    }

    proptest! {
        #[test]
        fn a_pixel_has_the_ray_that_falls_on_it(which in 0_usize..4, x in 0.0_f32..639.0, y in 0.0_f32..479.0) {
            let lens = lenses()[which];
            let [rx, ry] = lens.ray(Point::new(x, y)).unwrap();
            let back = lens.pixel([2.0 * rx, 2.0 * ry, 2.0]).unwrap();
            prop_assert!(back.distance(Point::new(x, y)) < 1e-2, "{which}: {back:?}");
        }
    }

    #[test]
    fn the_formulas_are_those_of_opencv() {
        // What cv2.projectPoints and cv2.fisheye.projectPoints make of the point (0.4, -0.3, 1).
        let of_opencv = [(530.0, 83.5), (516.0081, 93.87693), (516.3822, 93.64732), (514.082, 95.32373)];
        for (lens, (x, y)) in lenses().into_iter().zip(of_opencv) {
            let at = lens.pixel([0.4, -0.3, 1.0]).unwrap();
            assert!(at.distance(Point::new(x, y)) < 1e-3, "{lens:?}: {at:?}");
        }
    }

    #[test]
    fn a_part_of_a_binned_sensor_has_its_own_pixels() {
        let k = [1000.0, 0.0, 640.0, 0.0, 1000.0, 480.0, 0.0, 0.0, 1.0];
        let calibration = Calibration {
            size: (1280, 960),
            model: "plumb_bob",
            d: &[0.0; 5],
            k,
            binning: [2, 2],
            roi: [320, 240, 640, 480],
        };
        let lens = Lens::new(&calibration).unwrap();
        assert!(lens.fits((320, 240)) && !lens.fits((640, 480)));
        assert_eq!(lens.pixel([0.1, 0.0, 1.0]), Some(Point::new(210.0, 120.0)));
    }

    #[test]
    fn what_is_no_lens_is_refused_by_name() {
        let good = Calibration {
            size: (0, 0),
            model: "plumb_bob",
            d: &[],
            k: [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0],
            binning: [1, 1],
            roi: [0; 4],
        };
        assert!(Lens::new(&good).unwrap().fits((1234, 5)));
        assert_eq!(Lens::new(&Calibration { k: [0.0; 9], ..good }), Err(LensError::Uncalibrated));
        let mut negative = good.k;
        negative[4] = -500.0;
        assert_eq!(Lens::new(&Calibration { k: negative, ..good }), Err(LensError::Nonsense));
        assert_eq!(Lens::new(&Calibration { d: &[f64::NAN], ..good }), Err(LensError::Nonsense));
        for (model, d) in [("double_sphere", &[0.1, 0.2][..]), ("equidistant", &[0.1]), ("plumb_bob", &[0.1; 14])] {
            let error = Lens::new(&Calibration { model, d, ..good }).unwrap_err();
            assert!(error.to_string().contains(model), "{error}");
        }
    }

    #[test]
    fn where_the_lens_folds_the_image_there_is_no_ray() {
        let strong = lens("plumb_bob", &[-0.9, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(strong.ray(Point::new(5000.0, 238.0)), None);
        assert_eq!(strong.ray(Point::new(f32::NAN, 238.0)), None);
    }
}
