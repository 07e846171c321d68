//! The looks at the faces in view that a person could be learned from: good ones, apart in time,
//! and unlike each other.

use super::matrix::dot;
use super::record::Reference;
use crate::ids::{CameraId, FaceId};
use crate::time::Stamp;
use crate::track::{Observation, Track};
use std::collections::BTreeMap;

/// Least quality of a look that is worth keeping.
const MIN_QUALITY: f32 = 0.4;
/// Looks closer together show the same picture again, seconds; a bit less than five per second.
const APART_SECS: f64 = 0.18;
/// Looks kept of one face.
const MOST_LOOKS: usize = 12;

/// The best looks at every face in view, in memory only.
#[derive(Default)]
pub struct LiveLooks {
    faces: BTreeMap<FaceId, FaceLooks>,
    keeps_lost_faces: bool,
}

struct FaceLooks {
    camera: CameraId,
    is_in_view: bool,
    area: f32,
    quality: f32,
    last_look: Option<Stamp>,
    taken: u32,
    looks: Vec<Reference>,
}

impl LiveLooks {
    /// Keeps the looks at faces that are gone, for learning from a recording.
    pub const fn keep_lost_faces(&mut self) {
        self.keeps_lost_faces = true;
    }

    /// Takes what one frame of a camera showed.
    pub fn take(&mut self, camera: &CameraId, stamp: Stamp, tracks: &[Track], seen: &[Observation]) {
        let is_live = |face: &FaceId| tracks.iter().any(|track| track.face_id == *face);
        let keeps_lost_faces = self.keeps_lost_faces;
        self.faces.retain(|face, looks| looks.camera != *camera || is_live(face) || keeps_lost_faces);
        for looks in self.faces.values_mut().filter(|looks| looks.camera == *camera) {
            looks.is_in_view = false;
        }
        for track in tracks {
            let Some(observation) = track.observation.and_then(|index| seen.get(index)) else { continue };
            let face = self.faces.entry(track.face_id).or_insert_with(|| FaceLooks::new(camera));
            face.is_in_view = true;
            face.area = observation.detection.bbox.area();
            face.quality = observation.quality;
            face.take(stamp, observation);
        }
    }

    /// The looks kept of a face.
    pub fn of(&self, face: FaceId) -> &[Reference] {
        self.faces.get(&face).map_or(&[], |face| &face.looks)
    }

    /// Good looks at a face so far; more than are kept.
    pub fn taken(&self, face: FaceId) -> u32 {
        self.faces.get(&face).map_or(0, |face| face.taken)
    }

    /// Quality of the latest look at a face, 0..=1.
    pub fn quality(&self, face: FaceId) -> f32 {
        self.faces.get(&face).map_or(0.0, |face| face.quality)
    }

    /// The camera that sees, or last saw, a face; `None` when it is not known any more.
    pub fn camera(&self, face: FaceId) -> Option<&CameraId> {
        self.faces.get(&face).map(|face| &face.camera)
    }

    /// The largest face in view, of all cameras.
    pub fn largest(&self) -> Option<FaceId> {
        let in_view = self.faces.iter().filter(|(_, face)| face.is_in_view);
        in_view.max_by(|a, b| a.1.area.total_cmp(&b.1.area)).map(|(face_id, _)| *face_id)
    }

    /// Every face that is known, with the number of good looks at it.
    pub fn faces(&self) -> impl Iterator<Item = (FaceId, u32)> {
        self.faces.iter().map(|(face_id, face)| (*face_id, face.taken))
    }

    /// Drops the looks at a face and says how many those were.
    pub fn forget(&mut self, face: FaceId) -> usize {
        self.faces.remove(&face).map_or(0, |face| face.looks.len())
    }

    /// Drops everything and says how many looks that was.
    pub fn clear(&mut self) -> usize {
        std::mem::take(&mut self.faces).into_values().map(|face| face.looks.len()).sum()
    }
}

impl FaceLooks {
    fn new(camera: &CameraId) -> Self {
        Self {
            camera: camera.clone(),
            is_in_view: false,
            area: 0.0,
            quality: 0.0,
            last_look: None,
            taken: 0,
            looks: Vec::new(),
        }
    }

    fn take(&mut self, stamp: Stamp, observation: &Observation) {
        let Some(look) = observation.embedding.as_ref().filter(|_| observation.quality >= MIN_QUALITY) else { return };
        if self.last_look.is_some_and(|last| (0.0..APART_SECS).contains(&stamp.secs_since(last))) {
            return;
        }
        self.last_look = Some(stamp);
        self.taken = self.taken.saturating_add(1);
        let source = format!("camera {}", self.camera);
        self.looks.push(Reference { look: look.clone(), quality: observation.quality, stamp, source });
        if self.looks.len() > MOST_LOOKS {
            self.drop_most_redundant();
        }
    }

    /// Of the two looks that are most alike the worse one goes.
    fn drop_most_redundant(&mut self) {
        let cosine = |a: usize, b: usize| dot(self.looks[a].look.unit(), self.looks[b].look.unit());
        let pairs = (1..self.looks.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        let closest = pairs.max_by(|x, y| cosine(x.0, x.1).total_cmp(&cosine(y.0, y.1)));
        if let Some((a, b)) = closest {
            self.looks.remove(if self.looks[a].quality < self.looks[b].quality { a } else { b });
        }
    }
}
