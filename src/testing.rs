//! Made-up faces for the tests of tracking and identity: people are axes of a small space, so
//! that the cosine of a look to a person is chosen, not found.

use crate::detect::Detection;
use crate::embed::{Embedding, ModelTag};
use crate::geometry::{BBox, ImagePx, Landmarks5, Point};
use crate::model::manifest::Similarity;
use crate::track::Observation;

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
