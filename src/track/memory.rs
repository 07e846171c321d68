//! Faces that are gone, remembered for a while so that they can be known again by their looks.

use crate::embed::Embedding;
use crate::geometry::{BBox, ImagePx};
use crate::ids::FaceId;
use crate::time::Stamp;

/// Most faces remembered at once; the ones gone longest are dropped first.
const MOST: usize = 256;

/// A face that is gone.
///
/// Biometric data: deliberately without `Debug`.
#[derive(Clone)]
pub(super) struct Gone {
    pub(super) face_id: FaceId,
    /// Its mean look, of how many looks, and the sum of their qualities.
    pub(super) look: Embedding,
    pub(super) looks: u32,
    pub(super) worth: f32,
    /// Where it was.
    pub(super) bbox: BBox<ImagePx>,
    pub(super) first_seen: Stamp,
    pub(super) last_seen: Stamp,
}

impl Gone {
    /// Whether both may be one person under two ids: alike, and never in view together.
    pub(super) fn may_be(&self, other: &Self, least_cosine: f32) -> bool {
        let is_apart = self.last_seen < other.first_seen || other.last_seen < self.first_seen;
        is_apart && self.look.cosine(&other.look).is_ok_and(|cosine| cosine >= least_cosine)
    }
}

/// The faces of one camera that are gone, the one gone longest first.
#[derive(Default)]
pub(super) struct Memory(Vec<Gone>);

impl Memory {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn keep(&mut self, gone: Gone) {
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(gone);
    }

    /// Drops the faces that have been gone for longer than this.
    pub(super) fn expire(&mut self, now: Stamp, secs: f64) {
        self.0.retain(|gone| now.secs_since(gone.last_seen) <= secs);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Gone> {
        self.0.iter()
    }

    pub(super) fn take(&mut self, face: FaceId) -> Option<Gone> {
        let at = self.0.iter().position(|gone| gone.face_id == face)?;
        Some(self.0.remove(at))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
