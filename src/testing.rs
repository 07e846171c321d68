//! Made-up faces for the tests of tracking and identity: people are axes of a small space, so
//! that the cosine of a look to a person is chosen, not found.

use crate::align::AlignedCrop;
use crate::detect::{Detection, FaceDetector};
use crate::embed::{Embedding, FaceEmbedder, ModelTag};
use crate::frame::ImageView;
use crate::gallery::Reference;
use crate::geometry::{BBox, ImagePx, Landmarks5, Point};
use crate::inference::InferenceError;
use crate::model::manifest::{Alignment, Similarity};
use crate::pipeline::{EmbeddingStage, Stages};
use crate::time::Stamp;
use crate::track::Observation;
use std::collections::BTreeMap;

const DIMENSIONS: usize = 16;

/// The tag of every made-up embedding.
pub(crate) fn tag() -> ModelTag {
    ModelTag::new("made-up", "0123456789abcdef")
}

/// A scale like that of dlib's network.
pub(crate) fn similarity() -> Similarity {
    Similarity {
        dimensions: DIMENSIONS as u32,
        threshold: 0.54,
        min_margin: 0.05,
        impostor_mean: 0.03,
        impostor_sd: 0.17,
        slope: 20.0,
        midpoint: 0.54,
        measured_on: "made up".into(),
    }
}

/// A perfect look at person `who` (0 to 7).
pub(crate) fn person(who: usize) -> Embedding {
    look_at(who, 1.0)
}

/// A look with this cosine to person `who` (0 to 7) and 0 to everyone else.
pub(crate) fn look_at(who: usize, cosine: f32) -> Embedding {
    mixed(&[(who, cosine)], 8 + who)
}

/// A look with these cosines to people; what remains of its length lies on the axis `rest`.
pub(crate) fn mixed(cosines: &[(usize, f32)], rest: usize) -> Embedding {
    let mut values = vec![0.0; DIMENSIONS];
    for &(who, cosine) in cosines {
        values[who] = cosine;
    }
    let used: f32 = values.iter().map(|v| v * v).sum();
    values[rest] = (1.0 - used).max(0.0).sqrt();
    Embedding::new(values, tag()).ok().unwrap()
}

/// A detection of good quality in this box.
pub(crate) fn observation(bbox: BBox<ImagePx>, embedding: Option<Embedding>) -> Observation {
    let centre = bbox.centre();
    let at = |dx: f32, dy: f32| Point::new(centre.x + dx * bbox.width(), centre.y + dy * bbox.height());
    let landmarks = Landmarks5::new([at(-0.2, -0.1), at(0.2, -0.1), at(0.0, 0.1), at(-0.15, 0.25), at(0.15, 0.25)]);
    let detection = Detection { bbox, score: 0.9, landmarks };
    Observation { detection, quality: 0.8, embedding, emotion_quality: 0.0, emotion: None }
}

/// Made-up looks at person `who` (0 to 7) with these cosines, to be kept.
pub(crate) fn references<const N: usize>(who: usize, cosines: [f32; N], stamp: Stamp) -> [Reference; N] {
    cosines.map(|cosine| Reference { look: look_at(who, cosine), quality: 0.8, stamp, source: String::new() })
}

/// Stages of a line whose networks find nothing.
pub(crate) fn stages() -> Stages {
    let alignment = Alignment { size: 112, templates: BTreeMap::new() };
    let embedder = Box::new(NoNetwork(tag()));
    Stages {
        detector: Box::new(NoNetwork(tag())),
        landmarks: None,
        embedding: Some(EmbeddingStage { embedder, alignment, similarity: similarity() }),
        emotion: None,
    }
}

struct NoNetwork(ModelTag);

impl FaceDetector for NoNetwork {
    fn detect(&mut self, _: ImageView<'_>, out: &mut Vec<Detection>) -> Result<(), InferenceError> {
        out.clear();
        Ok(())
    }
}

impl FaceEmbedder for NoNetwork {
    fn model(&self) -> &ModelTag {
        &self.0
    }

    fn embed(&mut self, _: &[AlignedCrop], out: &mut Vec<Embedding>) -> Result<(), InferenceError> {
        out.clear();
        Ok(())
    }
}
