//! Where a head is and which way it faces, from its five points and the camera's lens.
//!
//! The points of a mean face are moved (rotation `R`, translation `t`) until they fall where the
//! detector saw them, in the least-squares sense over the ten coordinates,
//!
//! ```text
//! min Σ | f · (π(R Pᵢ + t) − rᵢ) |²        π(x, y, z) = (x/z, y/z)
//! ```
//!
//! with the rays `rᵢ` of the points, freed from distortion, and the focal length `f` to count in
//! pixels. Levenberg's and Marquardt's damped Gauss-Newton steps on `R ← exp(ω) R`, `t ← t + τ` begin
//! at the pose of a camera that is far away (scaled orthography, a linear problem: the first half of
//! DeMenthon and Davis' POSIT, 1995) and at that of a face turned to the camera; the better end counts.
//!
//! The face's own frame is REP-155's: origin at the sellion (the deepest point of the nose's root), x out
//! of the face, y to the person's left, z up. Angles are those of REP 103 about z, y and x.

use crate::geometry::{ImagePx, Landmarks5, Point};
use crate::lens::Lens;
use nalgebra::{Matrix2x3, Matrix3, Matrix6, Rotation3, SMatrix, UnitQuaternion, Vector2, Vector3, Vector6};

/// The mean face in its own frame, metres: right eye, left eye, nose tip, right and left mouth corner.
///
/// The canonical face model of MediaPipe (Apache-2.0), an average of adults: its vertices 33 and 133,
/// 362 and 263 are the corners of the eyes, whose middles detectors call eyes; 1 is the tip of the nose,
/// 61 and 291 are the corners of the mouth; 168 is the sellion. The middles of the eyes are 63.0 mm
/// apart, as pupils are in the mean (Dodgson, *Variation and extrema of human interpupillary distance*,
/// 2004: 63.4 mm). Children's are nearer together: a face of 53 mm is told to be a fifth too far away.
pub const MEAN_FACE: [[f64; 3]; 5] = [
    [-0.0177, -0.0315, -0.0065],
    [-0.0177, 0.0315, -0.0065],
    [0.0224, 0.0, -0.0440],
    [-0.0095, -0.0246, -0.0761],
    [-0.0095, 0.0246, -0.0761],
];

/// Most steps from one beginning; it usually takes six.
const MOST_STEPS: usize = 40;
/// Root mean square distance of the points to where the pose puts them, as a share of the face's
/// size, above which they are no face.
const MAX_MISFIT: f64 = 0.25;
/// Nearer than this a head would be in the camera, metres.
const NEAREST: f64 = 0.05;

/// A head in the optical frame of the camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadPose {
    /// The sellion, metres.
    pub position: Vector3<f64>,
    /// Takes the face's frame to the camera's.
    pub rotation: UnitQuaternion<f64>,
}

/// How a head is turned against one that faces along the camera's axis, radians; positive as in
/// REP 103.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadAngles {
    /// Towards the person's left (the image's right).
    pub yaw: f64,
    /// Down.
    pub pitch: f64,
    /// Towards the person's right shoulder.
    pub roll: f64,
}

impl HeadPose {
    /// The head whose five points these are; `None` when they are those of no face, or the face looks
    /// away.
    pub fn estimate(points: &Landmarks5<ImagePx>, lens: &Lens) -> Option<Self> {
        let [fx, fy] = lens.focal();
        let focal = 0.5 * (fx + fy);
        let mut rays = [Vector2::zeros(); 5];
        for (ray, point) in rays.iter_mut().zip(&points.points) {
            *ray = lens.ray(*point)?.into();
        }
        let size = (rays[0] - rays[1]).norm().max((0.5 * (rays[0] + rays[1] - rays[3] - rays[4])).norm());
        let beginnings = [far_away(&rays), turned_to_camera(&rays, size)];
        let fitted = beginnings.into_iter().flatten().map(|begin| refine(begin, &rays));
        let (pose, cost) = fitted.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let misfit = (cost / 5.0).sqrt();
        tracing::trace!(misfit_px = misfit * focal, "head pose");
        let is_face = misfit <= MAX_MISFIT * size && pose.position.z > NEAREST && pose.faces_camera();
        is_face.then_some(pose)
    }

    /// The rotation as x y z w; of the two ways to write it the one whose w is not negative.
    pub fn orientation(&self) -> [f64; 4] {
        let q = self.rotation.coords;
        let sign = if q.w < 0.0 { -1.0 } else { 1.0 };
        [q.x, q.y, q.z, q.w].map(|part| sign * part)
    }

    /// Metres from the camera to the sellion.
    pub fn distance(&self) -> f64 {
        self.position.norm()
    }

    /// Yaw, pitch and roll.
    pub fn angles(&self) -> HeadAngles {
        let (roll, pitch, yaw) = (facing_camera().inverse() * self.rotation).euler_angles();
        HeadAngles { yaw, pitch, roll }
    }

    /// Angle between the way the face looks and the way to the camera, radians: 0 when the camera is
    /// looked at, whatever its place in the image.
    pub fn angle_to_camera(&self) -> f64 {
        (self.rotation * Vector3::x()).angle(&-self.position)
    }

    fn faces_camera(&self) -> bool {
        self.angle_to_camera() < std::f64::consts::FRAC_PI_2
    }
}

/// The rotation of a face that looks along the camera's axis into the camera: its x is the camera's -z,
/// its y the camera's x, its z the camera's -y.
pub fn facing_camera() -> UnitQuaternion<f64> {
    let axes = Matrix3::from_columns(&[-Vector3::z(), Vector3::x(), -Vector3::y()]);
    UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(axes))
}

fn mean_face() -> [Vector3<f64>; 5] {
    MEAN_FACE.map(Vector3::from)
}

/// Scaled orthography: `r = A P + b` solved for the 2×3 matrix `A`, whose rows are then made those of a
/// rotation.
fn far_away(rays: &[Vector2<f64>; 5]) -> Option<HeadPose> {
    let face = mean_face();
    let (centre, middle) = (mean(&face), mean(rays));
    let mut normal = Matrix3::zeros();
    let mut right = Matrix2x3::zeros();
    for (p, r) in face.iter().zip(rays) {
        let p = p - centre;
        normal += p * p.transpose();
        right += (r - middle) * p.transpose();
    }
    let rows = right * normal.try_inverse()?;
    let (a, b) = (rows.row(0).transpose(), rows.row(1).transpose());
    let scale = 0.5 * (a.norm() + b.norm());
    let x = a.try_normalize(1e-9)?;
    let y = (b - x * x.dot(&b)).try_normalize(1e-9)?;
    let rotation = Matrix3::from_rows(&[x.transpose(), y.transpose(), x.cross(&y).transpose()]);
    let rotation = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(rotation));
    Some(HeadPose { position: Vector3::new(middle.x, middle.y, 1.0) / scale - rotation * centre, rotation })
}

/// A face that looks along the axis, rolled as the eyes are.
fn turned_to_camera(rays: &[Vector2<f64>; 5], size: f64) -> Option<HeadPose> {
    let eyes = rays[1] - rays[0];
    let roll = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), eyes.y.atan2(eyes.x));
    let rotation = roll * facing_camera();
    let depth = (MEAN_FACE[0][2] - MEAN_FACE[3][2]) / size;
    let middle = mean(rays) * depth;
    let position = Vector3::new(middle.x, middle.y, depth) - rotation * mean(&mean_face());
    position.iter().all(|coordinate| coordinate.is_finite()).then_some(HeadPose { position, rotation })
}

fn mean<const N: usize>(points: &[SMatrix<f64, N, 1>; 5]) -> SMatrix<f64, N, 1> {
    points.iter().sum::<SMatrix<f64, N, 1>>() / 5.0
}

/// The nearest minimum and its cost, in squared units of a ray.
fn refine(begin: HeadPose, rays: &[Vector2<f64>; 5]) -> (HeadPose, f64) {
    let (mut pose, mut cost) = (begin, cost_of(&begin, rays));
    let mut damping = 1e-4;
    for _ in 0..MOST_STEPS {
        let (normal, gradient) = linearise(&pose, rays);
        let damped = normal + Matrix6::from_diagonal(&normal.diagonal()) * damping;
        let Some(step) = damped.cholesky().map(|factors| factors.solve(&-gradient)) else { break };
        let moved = HeadPose {
            position: pose.position + step.fixed_rows::<3>(3),
            rotation: UnitQuaternion::from_scaled_axis(step.fixed_rows::<3>(0).into_owned()) * pose.rotation,
        };
        let moved_cost = cost_of(&moved, rays);
        if moved_cost < cost {
            let is_done = cost - moved_cost < 1e-12 * cost;
            (pose, cost, damping) = (moved, moved_cost, damping * 0.1);
            if is_done {
                break;
            }
        } else {
            damping *= 10.0;
            if damping > 1e8 {
                break;
            }
        }
    }
    (pose, cost)
}

fn cost_of(pose: &HeadPose, rays: &[Vector2<f64>; 5]) -> f64 {
    let misses = mean_face().into_iter().zip(rays).map(|(p, ray)| {
        let at = pose.rotation * p + pose.position;
        // Behind the camera nothing is seen.
        if at.z > 0.0 { (at.xy() / at.z - ray).norm_squared() } else { f64::INFINITY }
    });
    misses.sum()
}

/// The normal matrix and the gradient of the cost in (ω, τ).
fn linearise(pose: &HeadPose, rays: &[Vector2<f64>; 5]) -> (Matrix6<f64>, Vector6<f64>) {
    let (mut normal, mut gradient) = (Matrix6::zeros(), Vector6::zeros());
    for (p, ray) in mean_face().into_iter().zip(rays) {
        let turned = pose.rotation * p;
        let at = turned + pose.position;
        let (x, y, z) = (at.x / at.z, at.y / at.z, at.z);
        let by_place = Matrix2x3::new(1.0 / z, 0.0, -x / z, 0.0, 1.0 / z, -y / z);
        let mut by_step = SMatrix::<f64, 2, 6>::zeros();
        by_step.fixed_columns_mut::<3>(0).copy_from(&(by_place * -turned.cross_matrix()));
        by_step.fixed_columns_mut::<3>(3).copy_from(&by_place);
        normal += by_step.transpose() * by_step;
        gradient += by_step.transpose() * (Vector2::new(x, y) - ray);
    }
    (normal, gradient)
}

/// Where the points of the mean face fall when it is there; for tests and synthetic scenes.
pub fn project(pose: &HeadPose, lens: &Lens) -> Option<Landmarks5<ImagePx>> {
    let mut points = [Point::new(0.0, 0.0); 5];
    for (point, p) in points.iter_mut().zip(mean_face()) {
        *point = lens.pixel((pose.rotation * p + pose.position).into())?;
    }
    Some(Landmarks5::new(points))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::lens::tests::lenses;
    use proptest::prelude::*;

    /// A head turned by these degrees, this many metres before the camera.
    pub(crate) fn head(yaw: f64, pitch: f64, roll: f64, position: [f64; 3]) -> HeadPose {
        let [yaw, pitch, roll] = [yaw, pitch, roll].map(f64::to_radians);
        let rotation = facing_camera() * UnitQuaternion::from_euler_angles(roll, pitch, yaw);
        HeadPose { position: position.into(), rotation }
    }

    /// Largest of the three differences, degrees.
    fn turned_apart(a: &HeadPose, b: &HeadPose) -> f64 {
        let (a, b) = (a.angles(), b.angles());
        let apart = |a: f64, b: f64| (a - b).abs().to_degrees();
        apart(a.yaw, b.yaw).max(apart(a.pitch, b.pitch)).max(apart(a.roll, b.roll))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Through every lens, anywhere in the image, with points that are up to a hundredth of the
        /// distance between the eyes wrong.
        #[test]
        fn a_head_is_found_where_it_is(
            (yaw, pitch, roll) in (-40.0..40.0_f64, -40.0..40.0_f64, -40.0..40.0_f64),
            (right, down, depth) in (-0.4..0.4_f64, -0.3..0.3_f64, 0.3..4.0_f64),
            which in 0_usize..4,
            errors in prop::array::uniform10(-1.0..1.0_f32),
        ) {
            let lens = lenses()[which];
            let truth = head(yaw, pitch, roll, [right * depth, down * depth, depth]);
            let exact = project(&truth, &lens).unwrap();
            let found = HeadPose::estimate(&exact, &lens).unwrap();
            prop_assert!(turned_apart(&found, &truth) < 0.1, "{:?} for {:?}", found.angles(), truth.angles());
            prop_assert!((found.position - truth.position).norm() < 1e-3 * depth);

            let size = exact.inter_ocular();
            let mut rough = exact;
            for (point, error) in rough.points.iter_mut().zip(errors.as_chunks::<2>().0) {
                *point = Point::new(point.x + 0.01 * size * error[0], point.y + 0.01 * size * error[1]);
            }
            let found = HeadPose::estimate(&rough, &lens).unwrap();
            prop_assert!((found.distance() / truth.distance() - 1.0).abs() < 0.1, "{} m", found.distance());
            prop_assert!(turned_apart(&found, &truth) < 3.0, "{:?} for {:?}", found.angles(), truth.angles());
        }

        #[test]
        fn any_points_do_no_harm(values in prop::array::uniform10(-1e4_f32..1e4)) {
            let points: [_; 5] = std::array::from_fn(|i| Point::new(values[2 * i], values[2 * i + 1]));
            let pose = HeadPose::estimate(&Landmarks5::new(points), &lenses()[1]);
            prop_assert!(pose.is_none_or(|pose| pose.position.iter().all(|c| c.is_finite())));
        }
    }

    #[test]
    fn signs_are_those_of_rep_103() {
        let lens = lenses()[0];
        let straight = project(&head(0.0, 0.0, 0.0, [0.0, 0.0, 1.0]), &lens).unwrap();
        // The subject's right eye is on the image's left, the mouth below the eyes.
        assert!(straight.right_eye().x < straight.left_eye().x && straight.points[3].y > straight.points[0].y);
        let nose = |yaw, pitch| project(&head(yaw, pitch, 0.0, [0.0, 0.0, 1.0]), &lens).unwrap().points[2];
        assert!(nose(20.0, 0.0).x > nose(0.0, 0.0).x, "to the person's left is to the image's right");
        assert!(nose(0.0, 20.0).y > nose(0.0, 0.0).y, "positive is down");
        let rolled = project(&head(0.0, 0.0, 20.0, [0.0, 0.0, 1.0]), &lens).unwrap();
        assert!(rolled.left_eye().y < rolled.right_eye().y, "towards the right shoulder");
    }

    #[test]
    fn the_camera_is_looked_at_from_anywhere() {
        for right in [-0.5, 0.0, 0.7] {
            let position = Vector3::new(right, 0.1, 1.5);
            let toward = -position.normalize();
            let rotation = UnitQuaternion::rotation_between(&-Vector3::z(), &toward).unwrap() * facing_camera();
            assert!(HeadPose { position, rotation }.angle_to_camera() < 1e-6);
        }
        assert!((head(30.0, 0.0, 0.0, [0.0, 0.0, 1.0]).angle_to_camera().to_degrees() - 30.0).abs() < 1e-6);
    }

    #[test]
    fn points_of_no_face_have_no_pose() {
        let lens = lenses()[0];
        for points in [
            [(300.0, 200.0); 5],
            [(f32::NAN, 200.0); 5],
            [(0.0, 0.0), (600.0, 0.0), (0.0, 400.0), (600.0, 400.0), (300.0, 20.0)],
        ] {
            let points = Landmarks5::new(points.map(|(x, y)| Point::new(x, y)));
            assert_eq!(HeadPose::estimate(&points, &lens), None);
        }
    }
}
