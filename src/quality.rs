//! How fit one look at a face is for recognition: size, turn, and whether the frame cuts it off.
//!
//! A product of soft ramps, each 0 where recognition fails and 1 where more brings nothing.

use crate::detect::Detection;
use crate::geometry::Landmarks5;

/// Fitness for recognition, 0..=1, of a face in an image of `width` × `height` pixels.
pub fn of_face(face: &Detection, width: u32, height: u32) -> f32 {
    size(face.landmarks.inter_ocular()) * frontality(&face.landmarks) * inside(face, width, height)
}

/// Fitness for reading the expression, 0..=1: a face of 40 px or more, its head turned less than about
/// 40 degrees, most of it in the image. Blur and light are not asked: the classifier's own confidence
/// falls with them.
pub fn of_expression(face: &Detection, width: u32, height: u32) -> f32 {
    let turned = ramp(nose_offset(&face.landmarks).abs(), 0.2, 0.45);
    ramp(face.bbox.width(), 32.0, 48.0) * (1.0 - turned) * inside(face, width, height)
}

/// dlib's ResNet confuses strangers below about 12 px between the eyes (faces of 30 px) and gains
/// nothing above 32.
fn size(inter_ocular_px: f32) -> f32 {
    ramp(inter_ocular_px, 8.0, 32.0)
}

/// Falls with the turn of the head, as the nose leaves the middle between the eyes.
fn frontality<S: Copy>(landmarks: &Landmarks5<S>) -> f32 {
    1.0 - ramp(nose_offset(landmarks).abs(), 0.25, 0.6)
}

/// How far the nose lies beside the middle of the eyes, along the line through them, as a share of
/// their distance: 0 frontal, about ±0.5 at 45°; positive towards the subject's left eye.
pub fn nose_offset<S: Copy>(landmarks: &Landmarks5<S>) -> f32 {
    let (right, left, nose) = (landmarks.right_eye(), landmarks.left_eye(), landmarks.points[2]);
    let middle = right.midpoint(left);
    let (ex, ey) = (left.x - right.x, left.y - right.y);
    let length_squared = (ex * ex + ey * ey).max(1e-6);
    ((nose.x - middle.x) * ex + (nose.y - middle.y) * ey) / length_squared
}

/// 0 when the border cuts off two fifths of the face's box or more; a missing strip of forehead or
/// chin costs little.
fn inside(face: &Detection, width: u32, height: u32) -> f32 {
    let image = crate::geometry::BBox::new(0.0, 0.0, width as f32, height as f32);
    let visible = face.bbox.intersection(&image) / face.bbox.area().max(1e-6);
    ramp(visible, 0.6, 0.85)
}

fn ramp(value: f32, zero_at: f32, one_at: f32) -> f32 {
    ((value - zero_at) / (one_at - zero_at)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BBox, ImagePx, Point};

    fn face(x: f32, eye_distance: f32, nose_shift: f32) -> Detection {
        let at = |dx: f32, dy: f32| Point::<ImagePx>::new(x + dx, 100.0 + dy);
        let half = eye_distance / 2.0;
        Detection {
            bbox: BBox::from_centre(x, 110.0, 2.2 * eye_distance, 2.6 * eye_distance),
            score: 1.0,
            landmarks: Landmarks5::new([
                at(-half, 0.0),
                at(half, 0.0),
                at(nose_shift, half),
                at(-half, eye_distance),
                at(half, eye_distance),
            ]),
        }
    }

    #[test]
    fn large_frontal_faces_are_fit_and_small_turned_or_cut_ones_are_not() {
        let quality = |f: Detection| of_face(&f, 640, 480);
        assert!(quality(face(300.0, 60.0, 0.0)) > 0.99);
        assert!(quality(face(300.0, 8.0, 0.0)) < 0.01);
        assert!(quality(face(300.0, 60.0, 40.0)) < 0.01);
        assert!(quality(face(0.0, 60.0, 0.0)) < 0.01);
        assert!(quality(face(300.0, 20.0, 0.0)) < quality(face(300.0, 30.0, 0.0)));
    }

    #[test]
    fn expressions_are_read_on_faces_of_forty_pixels_that_look_this_way() {
        let quality = |f: Detection| of_expression(&f, 640, 480);
        assert!(quality(face(300.0, 30.0, 0.0)) > 0.99);
        assert!(quality(face(300.0, 14.0, 0.0)) == 0.0);
        assert!(quality(face(300.0, 60.0, 30.0)) == 0.0);
        assert!(quality(face(0.0, 60.0, 0.0)) == 0.0);
    }
}
