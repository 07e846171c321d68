//! The tracker of one camera: motion first, appearance where motion does not tell.
//!
//! Kalman prediction and one-to-one assignment as in SORT (Bewley 2016), overlap of *grown* boxes
//! in two passes as in C-BIoU (Yang 2023), since a face moves by more than its own width between
//! frames at 5 Hz; recently seen tracks choose before coasting ones as in DeepSORT (Wojke 2017).

use super::assign::Costs;
use super::kalman::BoxFilter;
use super::{FaceCounter, Observation, Track, TrackState, Tracker};
use crate::config::TrackerConfig;
use crate::detect::Detection;
use crate::embed::Embedding;
use crate::geometry::{BBox, ImagePx};
use crate::ids::FaceId;
use crate::model::manifest::Similarity;
use crate::time::Stamp;
use std::cmp::Ordering;

/// Shares by which boxes are grown before their overlap counts: first near, then far.
const NEAR: f32 = 0.3;
/// See [`NEAR`].
const FAR: f32 = 0.5;
/// Least overlap of two grown boxes that may be one face. Grown by half, boxes of one size reach
/// it at 1.5 widths apart.
const MIN_OVERLAP: f32 = 0.15;
/// Largest ratio of heights of one face from one sight to the next.
const MAX_SIZE_RATIO: f32 = 2.0;
/// Overlap, without growing, at which a detection is sure to continue a track when no other
/// track comes near it.
const SURE_OVERLAP: f32 = 0.3;
/// Overlap, without growing, at which a detection is given the benefit of the doubt although its
/// look contradicts the track.
const SAME_PLACE_OVERLAP: f32 = 0.5;
/// Seconds of contradicting looks that a track in one place survives: blur and odd light last about
/// as long, while a face replaced in its place and without a gap is rare.
const DOUBT_SECS: f64 = 1.0;
/// Least quality of a look that the tracker takes into account.
const GOOD_LOOK: f32 = 0.3;
/// Share of the past in a track's mean look (`BoT-SORT`).
const MEMORY: f32 = 0.9;
/// Cost of a pair whose looks cannot be compared: between a likeness (0) and a contradiction (1).
const NO_LOOK: f64 = 0.5;
/// Cost of the worst acceptable pair, and of a track that stays alone.
const WORST: f64 = 1.0 - MIN_OVERLAP as f64 + NO_LOOK;

/// [`Tracker`] by Kalman filter, buffered overlap and appearance.
pub struct SortTracker {
    config: TrackerConfig,
    similarity: Option<Similarity>,
    ids: FaceCounter,
    tracks: Vec<LiveTrack>,
    now: Option<Stamp>,
}

/// One face over time.
struct LiveTrack {
    face_id: FaceId,
    state: TrackState,
    motion: BoxFilter,
    look: Option<Embedding>,
    doubted_since: Option<Stamp>,
    hits: u32,
    last_detection: Detection,
    observation: Option<usize>,
    first_seen: Stamp,
    last_seen: Stamp,
}

/// Who has been paired in this frame. Columns are positions in the canonical order of detections.
struct Pairing {
    of_track: Vec<Option<usize>>,
    taken: Vec<bool>,
}

impl SortTracker {
    /// A tracker without tracks. Without `similarity` appearance is left out.
    pub const fn new(config: TrackerConfig, similarity: Option<Similarity>, ids: FaceCounter) -> Self {
        Self { config, similarity, ids, tracks: Vec::new(), now: None }
    }

    /// Takes over other settings; the tracks stay.
    pub fn reconfigure(&mut self, config: &TrackerConfig) {
        self.config = config.clone();
    }

    fn secs_until(&self, stamp: Stamp) -> f64 {
        self.now.map_or(0.0, |now| stamp.secs_since(now))
    }

    /// Pairs the free tracks that `may` take part with the free detections by overlap.
    fn pair_by_overlap(
        &self,
        seen: &[&Observation],
        pairing: &mut Pairing,
        grow: f32,
        may: impl Fn(&LiveTrack) -> bool,
    ) {
        let is_free = |&index: &usize| pairing.of_track[index].is_none() && may(&self.tracks[index]);
        let rows: Vec<_> = (0..self.tracks.len()).filter(is_free).collect();
        let mut costs = Costs::forbidden(rows.len(), seen.len());
        for (row, &track) in rows.iter().enumerate() {
            let expected = self.tracks[track].motion.bbox();
            for (col, observation) in seen.iter().enumerate().filter(|(col, _)| !pairing.taken[*col]) {
                let overlap = grown_overlap(&expected, &observation.detection.bbox, grow);
                let cosine = self.likeness(&self.tracks[track], observation);
                if overlap >= MIN_OVERLAP && !self.contradicts(cosine) {
                    costs.allow(row, col, 1.0 - f64::from(overlap) + self.unlikeness(cosine));
                }
            }
        }
        pairing.take(&rows, &costs.cheapest(WORST));
    }

    /// Pairs the published tracks that are still free with the detections that look like them and
    /// like no other track, wherever they are.
    fn pair_by_look(&self, seen: &[&Observation], pairing: &mut Pairing) {
        let Some(similarity) = &self.similarity else { return };
        let is_free =
            |&index: &usize| pairing.of_track[index].is_none() && self.tracks[index].state != TrackState::Tentative;
        let rows: Vec<_> = (0..self.tracks.len()).filter(is_free).collect();
        let mut costs = Costs::forbidden(rows.len(), seen.len());
        for (col, observation) in seen.iter().enumerate().filter(|(col, _)| !pairing.taken[*col]) {
            let looks: Vec<_> = rows.iter().map(|&track| self.likeness(&self.tracks[track], observation)).collect();
            for (row, cosine) in looks.iter().enumerate() {
                let Some(cosine) = cosine else { continue };
                let others = looks.iter().enumerate().filter(|(other, _)| *other != row).filter_map(|(_, look)| *look);
                let runner_up = others.fold(-1.0, f32::max);
                if *cosine >= similarity.threshold && cosine - runner_up >= similarity.min_margin {
                    costs.allow(row, col, 1.0 - f64::from(*cosine));
                }
            }
        }
        pairing.take(&rows, &costs.cheapest(1.0));
    }

    /// A face that looks otherwise but stands in the place of a track seen until now continues it
    /// for a while: a bad look is likelier than a swap without a trace.
    fn pair_in_doubt(&self, stamp: Stamp, seen: &[&Observation], pairing: &mut Pairing) {
        for (index, track) in self.tracks.iter().enumerate() {
            let doubted_secs = track.doubted_since.map_or(0.0, |since| stamp.secs_since(since));
            if pairing.of_track[index].is_some() || track.observation.is_none() || doubted_secs > DOUBT_SECS {
                continue;
            }
            let expected = track.motion.bbox();
            let in_place =
                |col: &usize| !pairing.taken[*col] && expected.iou(&seen[*col].detection.bbox) >= SAME_PLACE_OVERLAP;
            if let Some(col) = (0..seen.len()).find(in_place) {
                pairing.of_track[index] = Some(col);
                pairing.taken[col] = true;
            }
        }
    }

    /// Cosine of an observation to the track's mean look, where both can be trusted.
    fn likeness(&self, track: &LiveTrack, observation: &Observation) -> Option<f32> {
        self.similarity.as_ref()?;
        let look = good_look(observation)?;
        track.look.as_ref()?.cosine(look).ok()
    }

    fn contradicts(&self, cosine: Option<f32>) -> bool {
        match (&self.similarity, cosine) {
            (Some(similarity), Some(cosine)) => cosine < similarity.contradiction(),
            _ => false,
        }
    }

    fn unlikeness(&self, cosine: Option<f32>) -> f64 {
        match (&self.similarity, cosine) {
            (Some(similarity), Some(cosine)) => 1.0 - similarity.probability(cosine),
            _ => NO_LOOK,
        }
    }

    /// Pairs tracks with detections, the surest ways first.
    fn pair(&self, stamp: Stamp, seen: &[&Observation]) -> Pairing {
        let mut pairing = Pairing { of_track: vec![None; self.tracks.len()], taken: vec![false; seen.len()] };
        // A coasting box must not take the detection of a face that has been in view all along.
        self.pair_by_overlap(seen, &mut pairing, NEAR, |track| track.state == TrackState::Confirmed);
        self.pair_by_look(seen, &mut pairing);
        self.pair_by_overlap(seen, &mut pairing, NEAR, |track| track.state != TrackState::Confirmed);
        self.pair_by_overlap(seen, &mut pairing, FAR, |_| true);
        self.pair_in_doubt(stamp, seen, &mut pairing);
        pairing
    }

    /// Not seen for so long that it is over, whatever comes next: after a gap between frames (a
    /// stalled camera, stills of different days) a face in the same place may be anybody's.
    fn is_stale(&self, track: &LiveTrack, stamp: Stamp) -> bool {
        stamp.secs_since(track.last_seen) > self.config.coast_secs
    }

    /// A single flash is forgotten at once; a face that flickers gets a moment.
    fn was_a_flash(&self, track: &LiveTrack, stamp: Stamp) -> bool {
        let unseen = stamp.secs_since(track.last_seen);
        track.state == TrackState::Tentative
            && track.observation.is_none()
            && (track.hits < 2 || unseen >= self.config.confirm_secs)
    }
}

impl Tracker for SortTracker {
    fn expect(&self, stamp: Stamp, bbox: &BBox<ImagePx>) -> Option<FaceId> {
        let secs = self.secs_until(stamp);
        let alive = self.tracks.iter().filter(|track| !self.is_stale(track, stamp));
        let mut near = alive.filter_map(|track| {
            let expected = track.motion.bbox_after(secs, track.observation.is_none());
            (grown_overlap(&expected, bbox, NEAR) >= MIN_OVERLAP).then_some((track, expected))
        });
        let (track, expected) = near.next()?;
        let is_sure = near.next().is_none() && track.doubted_since.is_none() && expected.iou(bbox) >= SURE_OVERLAP;
        is_sure.then_some(track.face_id)
    }

    fn update(&mut self, stamp: Stamp, seen: &[Observation], out: &mut Vec<Track>) {
        let secs = self.secs_until(stamp);
        self.now = Some(stamp);
        let mut tracks = std::mem::take(&mut self.tracks);
        tracks.retain(|track| !self.is_stale(track, stamp));
        self.tracks = tracks;
        for track in &mut self.tracks {
            track.motion.predict(secs, track.observation.is_none());
        }
        let order = canonical_order(seen, self.config.max_faces as usize);
        let in_order: Vec<_> = order.iter().map(|&index| &seen[index]).collect();
        let pairing = self.pair(stamp, &in_order);

        let similarity = self.similarity.as_ref();
        for (track, col) in self.tracks.iter_mut().zip(&pairing.of_track) {
            match col {
                Some(col) => track.see(stamp, order[*col], in_order[*col], &self.config, similarity),
                None => track.miss(),
            }
        }
        let mut tracks = std::mem::take(&mut self.tracks);
        tracks.retain(|track| !self.was_a_flash(track, stamp));
        for (col, observation) in in_order.iter().enumerate().filter(|(col, _)| !pairing.taken[*col]) {
            tracks.push(LiveTrack::born(self.ids.next(), stamp, order[col], observation, &self.config));
        }
        self.tracks = tracks;

        out.clear();
        out.extend(self.tracks.iter().map(LiveTrack::report));
    }

    fn reset(&mut self) {
        self.tracks.clear();
        self.now = None;
    }

    fn forget(&mut self, face: FaceId) {
        self.tracks.retain(|track| track.face_id != face);
    }
}

impl LiveTrack {
    fn born(face_id: FaceId, stamp: Stamp, index: usize, observation: &Observation, config: &TrackerConfig) -> Self {
        let mut track = Self {
            face_id,
            state: TrackState::Tentative,
            motion: BoxFilter::new(&observation.detection.bbox),
            look: good_look(observation).cloned(),
            doubted_since: None,
            hits: 1,
            last_detection: observation.detection,
            observation: Some(index),
            first_seen: stamp,
            last_seen: stamp,
        };
        track.confirm(config);
        track
    }

    /// Takes a detection as the next sight of this face.
    fn see(
        &mut self,
        stamp: Stamp,
        index: usize,
        observation: &Observation,
        config: &TrackerConfig,
        similarity: Option<&Similarity>,
    ) {
        self.motion.update(&observation.detection.bbox);
        self.last_detection = observation.detection;
        self.observation = Some(index);
        self.last_seen = stamp;
        self.hits = self.hits.saturating_add(1);
        self.confirm(config);
        if let Some(similarity) = similarity {
            self.learn(observation, similarity);
        }
    }

    fn miss(&mut self) {
        self.observation = None;
        if self.state == TrackState::Confirmed {
            self.state = TrackState::Lost;
        }
    }

    fn confirm(&mut self, config: &TrackerConfig) {
        let enough = self.hits >= config.confirm_hits
            || (self.hits >= 2 && self.last_seen.secs_since(self.first_seen) >= config.confirm_secs);
        if enough || self.state != TrackState::Tentative {
            self.state = TrackState::Confirmed;
        }
    }

    /// Mixes a look into the mean, unless it shows someone else.
    fn learn(&mut self, observation: &Observation, similarity: &Similarity) {
        let Some(look) = good_look(observation) else { return };
        let Some(mean) = self.look.as_ref().filter(|mean| mean.model() == look.model()) else {
            self.look = Some(look.clone());
            return;
        };
        if mean.cosine(look).is_ok_and(|cosine| cosine < similarity.contradiction()) {
            self.doubted_since.get_or_insert(self.last_seen);
            return;
        }
        self.doubted_since = None;
        let mixed = mean.unit().iter().zip(look.unit()).map(|(old, new)| MEMORY * old + (1.0 - MEMORY) * new).collect();
        if let Ok(mixed) = Embedding::new(mixed, look.model().clone()) {
            self.look = Some(mixed);
        }
    }

    fn report(&self) -> Track {
        Track {
            face_id: self.face_id,
            state: self.state,
            bbox: if self.observation.is_some() { self.last_detection.bbox } else { self.motion.bbox() },
            last_detection: self.last_detection,
            observation: self.observation,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }
}

impl Pairing {
    fn take(&mut self, rows: &[usize], columns: &[Option<usize>]) {
        for (&track, &col) in rows.iter().zip(columns) {
            if let Some(col) = col {
                self.of_track[track] = Some(col);
                self.taken[col] = true;
            }
        }
    }
}

fn good_look(observation: &Observation) -> Option<&Embedding> {
    observation.embedding.as_ref().filter(|_| observation.quality >= GOOD_LOOK)
}

/// Overlap of two boxes, each grown by `share`; 0 when their sizes are too unlike for one face.
fn grown_overlap(a: &BBox<ImagePx>, b: &BBox<ImagePx>, share: f32) -> f32 {
    let (small, large) = (a.height().min(b.height()), a.height().max(b.height()));
    if large > MAX_SIZE_RATIO * small {
        return 0.0;
    }
    a.grown(share).iou(&b.grown(share))
}

/// Positions of the proper detections, best score first, ties by place, at most `limit`: the
/// order in which they arrive must not decide anything.
fn canonical_order(seen: &[Observation], limit: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..seen.len()).filter(|&index| seen[index].detection.bbox.is_proper()).collect();
    order.sort_by(|&a, &b| better(&seen[a].detection, &seen[b].detection));
    order.truncate(limit);
    order
}

fn better(a: &Detection, b: &Detection) -> Ordering {
    let places = a.bbox.to_array().into_iter().zip(b.bbox.to_array());
    let by_place = places.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne());
    b.score.total_cmp(&a.score).then(by_place.unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests;
