//! Stage *detect*: faces in an image, each with a box, a score and five landmarks.

use crate::frame::ImageView;
use crate::geometry::{BBox, ImagePx, Landmarks5};
use crate::inference::InferenceError;

/// A face found in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Pixels of the source image; may reach past its border.
    pub bbox: BBox<ImagePx>,
    /// The detector's own confidence, 0..=1; not comparable between detectors.
    pub score: f32,
    /// Eyes, nose and mouth corners as the detector sees them.
    pub landmarks: Landmarks5<ImagePx>,
}

/// Finds faces. The result is ordered by falling score, ties by position, so it is deterministic.
pub trait FaceDetector: Send {
    /// Replaces the contents of `out` by the faces of `image`.
    ///
    /// # Errors
    /// [`InferenceError`] when the network fails; `out` is then empty.
    fn detect(&mut self, image: ImageView<'_>, out: &mut Vec<Detection>) -> Result<(), InferenceError>;
}
