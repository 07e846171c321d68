//! Stage *track*: which face of this frame is which face of the last. Ages are seconds of image
//! time, so displaced frames and low rates change nothing.

mod assign;
mod kalman;
mod memory;
mod sort;

pub(crate) use assign::Costs;
pub use sort::SortTracker;

use crate::detect::Detection;
use crate::embed::Embedding;
use crate::emotion::EmotionScores;
use crate::geometry::{BBox, ImagePx};
use crate::ids::FaceId;
use crate::time::Stamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A detection and what was measured on it. Features are optional: not every face is embedded in
/// every frame.
#[derive(Clone)]
pub struct Observation {
    /// Box, score, landmarks.
    pub detection: Detection,
    /// Fitness for recognition, 0..=1.
    pub quality: f32,
    /// This look's embedding.
    pub embedding: Option<Embedding>,
    /// Fitness for reading the expression, 0..=1; 0: not fit.
    pub emotion_quality: f32,
    /// This look's expression.
    pub emotion: Option<EmotionScores>,
}

/// Life of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackState {
    /// New; not yet published.
    Tentative,
    /// Published.
    Confirmed,
    /// Was confirmed, not seen in this frame; coasting on its prediction.
    Lost,
}

/// A face over time, as of the last update.
#[derive(Clone, Debug)]
pub struct Track {
    /// Public id.
    pub face_id: FaceId,
    /// The id it had until this frame, in which it was known again as a face seen before.
    pub former_id: Option<FaceId>,
    /// The face is where its motion led it; one that jumps may be someone else's.
    pub is_continuous: bool,
    /// Where in its life.
    pub state: TrackState,
    /// The detection's box when observed, else the predicted one.
    pub bbox: BBox<ImagePx>,
    /// Last detection that belonged to the track.
    pub last_detection: Detection,
    /// Index of this frame's observation, `None` while coasting.
    pub observation: Option<usize>,
    /// Stamp of the first detection.
    pub first_seen: Stamp,
    /// Stamp of the latest detection.
    pub last_seen: Stamp,
}

/// Connects faces over time for one camera. It cannot fail, and an update without faces still ages
/// every track.
pub trait Tracker: Send {
    /// The live track that a face at `bbox` is sure to continue, without changing anything; `None`
    /// for a new face, and for one that several tracks could claim. The pipeline asks before it
    /// decides which faces to embed: one of which the tracker is not sure deserves a look.
    fn expect(&self, stamp: Stamp, bbox: &BBox<ImagePx>) -> Option<FaceId>;

    /// Takes the faces of one frame; replaces the contents of `out` by all live tracks, oldest
    /// first. Stamps must not go backwards: call [`Tracker::reset`] when they do.
    fn update(&mut self, stamp: Stamp, seen: &[Observation], out: &mut Vec<Track>);

    /// Forgets every track (but never reuses a face id).
    fn reset(&mut self);

    /// Forgets one face with its appearance; in the next frame it is a new one.
    fn forget(&mut self, face: FaceId);
}

/// Where face ids come from: one counter, shared by the trackers of all cameras.
#[derive(Clone, Debug, Default)]
pub struct FaceCounter(Arc<AtomicU64>);

impl FaceCounter {
    /// Starts at `first`: one past the last number ever used.
    pub fn starting_at(first: u64) -> Self {
        Self(Arc::new(AtomicU64::new(first)))
    }

    /// Goes on from `first`, unless it is further already.
    pub fn skip_to(&self, first: u64) {
        self.0.fetch_max(first, Ordering::Relaxed);
    }

    /// Number of the face to come.
    pub fn upcoming(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A face id that was never given before.
    pub fn next(&self) -> FaceId {
        FaceId::from_counter(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
