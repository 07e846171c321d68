//! A box moving with nearly constant velocity: the Kalman filter (Kalman 1960) of one track.
//!
//! State: centre x, y, width, height (pixels) and their velocities (pixels per second). All noise
//! is proportional to the height of the face, as in DeepSORT and BoT-SORT; their figures, a
//! deviation of h/20 in position and h/160 per frame in velocity for each frame of a 30 Hz
//! video, are written here per second, so that any rate and any gap behave alike.

use crate::geometry::{BBox, ImagePx};
use nalgebra::{SMatrix, SVector};

type State = SVector<f64, 8>;
type StateMatrix = SMatrix<f64, 8, 8>;
type Measurement = SVector<f64, 4>;

/// Deviation of a detected edge or centre, in face heights.
const MEASUREMENT: f64 = 1.0 / 20.0;
/// Wandering of position and size: h/20 per frame at 30 Hz is h/20 · √30 per √s.
const POSITION_DRIFT: f64 = 0.274;
/// Wandering of velocity: h/160 per frame and frame at 30 Hz is h/160 · 30 · √30 per s and √s.
const VELOCITY_DRIFT: f64 = 1.03;
/// Deviation of the unknown velocity of a new face, in heights per second: people who walk past
/// near a camera reach a few.
const FIRST_VELOCITY: f64 = 2.0;
/// Seconds over which an unseen face is expected to slow down.
const COASTING_SECS: f64 = 1.0;
/// Longest step predicted at once, s: past it nothing is known about the motion.
const LONGEST_STEP_SECS: f64 = 1.0;
/// Longest time over which a face is predicted to grow or shrink, s.
const LONGEST_GROWTH_SECS: f64 = 0.2;
/// Least side of a predicted box, pixels.
const LEAST_SIDE: f64 = 1.0;

/// Position, size and motion of one face.
#[derive(Clone, Debug)]
pub(crate) struct BoxFilter {
    state: State,
    covariance: StateMatrix,
}

impl BoxFilter {
    /// A face seen for the first time: standing still as far as is known.
    pub(crate) fn new(bbox: &BBox<ImagePx>) -> Self {
        let height = f64::from(bbox.height());
        let mut state = State::zeros();
        state.fixed_rows_mut::<4>(0).copy_from(&measurement_of(bbox));
        Self { state, covariance: spread(MEASUREMENT * height, FIRST_VELOCITY * height) }
    }

    /// Moves the state ahead by `secs`. An unseen face slows down and keeps its size, so that a
    /// velocity misjudged in its last frames does not carry it away.
    pub(crate) fn predict(&mut self, secs: f64, unseen: bool) {
        let secs = secs.clamp(0.0, LONGEST_STEP_SECS);
        let height = self.state[3];
        let (carry, keep) = motion(secs, unseen);
        let mut step = StateMatrix::identity();
        for axis in 0..4 {
            step[(axis, axis + 4)] = if axis < 2 { carry } else { size_carry(secs, unseen) };
            step[(axis + 4, axis + 4)] = keep;
        }
        let drift = secs.sqrt() * height;
        self.state = step * self.state;
        self.covariance =
            step * self.covariance * step.transpose() + spread(POSITION_DRIFT * drift, VELOCITY_DRIFT * drift);
        self.keep_size_positive();
    }

    /// Corrects the state by a detection.
    pub(crate) fn update(&mut self, bbox: &BBox<ImagePx>) {
        let seen = measurement_of(bbox);
        let noise = (MEASUREMENT * seen[3].max(LEAST_SIDE)).powi(2);
        let position_covariance = self.covariance.fixed_view::<4, 4>(0, 0) + SMatrix::<f64, 4, 4>::identity() * noise;
        // The noise keeps the matrix positive definite, so the inverse always exists.
        let Some(inverse) = position_covariance.try_inverse() else { return };
        let gain = self.covariance.fixed_columns::<4>(0) * inverse;
        let surprise = seen - self.state.fixed_rows::<4>(0);
        self.state += gain * surprise;
        let explained = gain * self.covariance.fixed_rows::<4>(0);
        self.covariance -= explained;
        // Rounding must not make the covariance lopsided over thousands of frames.
        self.covariance = 0.5 * (self.covariance + self.covariance.transpose());
        self.keep_size_positive();
    }

    /// The box of the current state.
    pub(crate) fn bbox(&self) -> BBox<ImagePx> {
        box_of(&self.state)
    }

    /// The box `secs` from now, as [`Self::predict`] would have it.
    pub(crate) fn bbox_after(&self, secs: f64, unseen: bool) -> BBox<ImagePx> {
        let secs = secs.clamp(0.0, LONGEST_STEP_SECS);
        let (carry, _) = motion(secs, unseen);
        let mut state = self.state;
        for axis in 0..4 {
            let carry = if axis < 2 { carry } else { size_carry(secs, unseen) };
            state[axis] += carry * state[axis + 4];
        }
        box_of(&state)
    }

    fn keep_size_positive(&mut self) {
        self.state[2] = self.state[2].max(LEAST_SIDE);
        self.state[3] = self.state[3].max(LEAST_SIDE);
    }
}

/// Seconds' worth of velocity that is travelled, and the share of the velocity that remains.
fn motion(secs: f64, unseen: bool) -> (f64, f64) {
    if unseen {
        let remaining = (-secs / COASTING_SECS).exp();
        (COASTING_SECS * (1.0 - remaining), remaining)
    } else {
        (secs, 1.0)
    }
}

/// The same for the sides of the box: a growth misjudged by a little must not blow a face up over a gap.
fn size_carry(secs: f64, unseen: bool) -> f64 {
    if unseen { 0.0 } else { secs.min(LONGEST_GROWTH_SECS) }
}

/// A diagonal covariance from the deviations of the positions and of the velocities.
fn spread(position: f64, velocity: f64) -> StateMatrix {
    let (p, v) = (position * position, velocity * velocity);
    StateMatrix::from_diagonal(&State::from([p, p, p, p, v, v, v, v]))
}

fn measurement_of(bbox: &BBox<ImagePx>) -> Measurement {
    let centre = bbox.centre();
    Measurement::new(centre.x.into(), centre.y.into(), bbox.width().into(), bbox.height().into())
}

fn box_of(state: &State) -> BBox<ImagePx> {
    let [w, h] = [state[2].max(LEAST_SIDE), state[3].max(LEAST_SIDE)];
    BBox::from_centre(state[0] as f32, state[1] as f32, w as f32, h as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face 50 × 60 px at 100 px/s to the right, seen every `step` seconds.
    fn moving(step: f64, secs: f64) -> BoxFilter {
        let at = |t: f64| BBox::from_centre((100.0 * t) as f32, 200.0, 50.0, 60.0);
        let mut filter = BoxFilter::new(&at(0.0));
        let steps = (secs / step).round() as usize;
        for k in 1..=steps {
            filter.predict(step, false);
            filter.update(&at(k as f64 * step));
        }
        filter
    }

    #[test]
    fn velocity_is_learned_in_pixels_per_second_at_any_rate() {
        for step in [1.0 / 30.0, 1.0 / 15.0, 0.2] {
            let filter = moving(step, 2.0);
            assert!((filter.state[4] - 100.0).abs() < 5.0, "{} px/s at a step of {step} s", filter.state[4]);
            assert!((filter.bbox_after(0.5, false).centre().x - 250.0).abs() < 5.0);
        }
    }

    #[test]
    fn an_unseen_face_slows_down_and_keeps_its_size() {
        let mut filter = moving(1.0 / 15.0, 2.0);
        let before = filter.bbox();
        for _ in 0..30 {
            filter.predict(0.1, true);
        }
        let travelled = filter.bbox().centre().x - before.centre().x;
        assert!((90.0..100.0).contains(&travelled), "travelled {travelled} px of at most 100");
        assert!((filter.bbox().width() - before.width()).abs() < 1e-3);
    }

    #[test]
    fn looking_ahead_is_what_predicting_gives() {
        for unseen in [false, true] {
            let mut filter = moving(0.1, 1.0);
            let ahead = filter.bbox_after(0.3, unseen);
            filter.predict(0.3, unseen);
            for (a, b) in ahead.to_array().iter().zip(filter.bbox().to_array()) {
                assert!((a - b).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn a_gap_between_frames_does_not_blow_a_face_up() {
        // It comes out from behind something: its box shrinks from 80 to 66 px in a tenth of a second.
        let at = |t: f64| BBox::<ImagePx>::from_centre(100.0, 200.0, 50.0, (80.0 - 140.0 * t) as f32);
        let mut filter = BoxFilter::new(&at(0.0));
        for frame in 1..=3 {
            filter.predict(1.0 / 30.0, false);
            filter.update(&at(f64::from(frame) / 30.0));
        }
        assert!(filter.bbox_after(0.6, false).height() > 35.0, "{}", filter.bbox_after(0.6, false).height());
        filter.predict(0.6, false);
        assert!(filter.bbox().height() > 35.0, "{}", filter.bbox().height());
    }

    #[test]
    fn a_shrinking_face_never_turns_inside_out() {
        let mut filter = BoxFilter::new(&BBox::from_centre(0.0, 0.0, 100.0, 100.0));
        for side in [60.0, 20.0, 1.0] {
            filter.predict(0.1, false);
            filter.update(&BBox::from_centre(0.0, 0.0, side, side));
        }
        filter.predict(1.0, false);
        assert!(filter.bbox().is_proper());
    }
}
