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

    fn is_over(&self, track: &LiveTrack, stamp: Stamp) -> bool {
        let unseen = stamp.secs_since(track.last_seen);
        match track.state {
            // A single flash is forgotten at once; a face that flickers gets a moment.
            TrackState::Tentative => {
                track.observation.is_none() && (track.hits < 2 || unseen >= self.config.confirm_secs)
            }
            TrackState::Confirmed => false,
            TrackState::Lost => unseen > self.config.coast_secs,
        }
    }
}

impl Tracker for SortTracker {
    fn expect(&self, stamp: Stamp, bbox: &BBox<ImagePx>) -> Option<FaceId> {
        let secs = self.secs_until(stamp);
        let mut near = self.tracks.iter().filter_map(|track| {
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
        tracks.retain(|track| !self.is_over(track, stamp));
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
mod tests {
    use super::*;
    use crate::testing::{look_at, mixed, observation, person, similarity};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// A tracker and what it last said.
    struct Scene {
        tracker: SortTracker,
        tracks: Vec<Track>,
    }

    impl Scene {
        fn new() -> Self {
            let tracker = SortTracker::new(TrackerConfig::default(), Some(similarity()), FaceCounter::starting_at(0));
            Self { tracker, tracks: Vec::new() }
        }

        fn at(&mut self, secs: f64, seen: &[Observation]) -> &[Track] {
            self.tracker.update(Stamp::default().plus_secs(secs), seen, &mut self.tracks);
            &self.tracks
        }

        /// The track that took this observation.
        fn owner(&self, observation: usize) -> FaceId {
            self.tracks.iter().find(|track| track.observation == Some(observation)).unwrap().face_id
        }

        fn state_of(&self, id: FaceId) -> Option<TrackState> {
            self.tracks.iter().find(|track| track.face_id == id).map(|track| track.state)
        }
    }

    fn face(x: f32) -> Observation {
        observation(BBox::from_centre(x, 200.0, 50.0, 60.0), None)
    }

    fn face_of(who: usize, x: f32) -> Observation {
        observation(BBox::from_centre(x, 200.0, 50.0, 60.0), Some(person(who)))
    }

    #[test]
    fn a_face_is_tentative_then_confirmed_then_lost_then_gone() {
        let mut scene = Scene::new();
        scene.at(0.0, &[face(100.0)]);
        let id = scene.owner(0);
        assert_eq!(scene.state_of(id), Some(TrackState::Tentative));
        scene.at(0.1, &[face(101.0)]);
        assert_eq!(scene.state_of(id), Some(TrackState::Tentative));
        scene.at(0.2, &[face(102.0)]);
        assert_eq!(scene.state_of(id), Some(TrackState::Confirmed));
        scene.at(0.3, &[]);
        assert_eq!(scene.state_of(id), Some(TrackState::Lost));
        assert_eq!(scene.tracks[0].observation, None);
        scene.at(1.7, &[]);
        assert_eq!(scene.state_of(id), Some(TrackState::Lost));
        scene.at(1.75, &[]);
        assert!(scene.tracks.is_empty());
    }

    #[test]
    fn two_sights_a_quarter_second_apart_confirm_at_a_low_rate() {
        let mut scene = Scene::new();
        scene.at(0.0, &[face(100.0)]);
        assert_eq!(scene.tracks[0].state, TrackState::Tentative);
        scene.at(0.3, &[face(100.0)]);
        assert_eq!(scene.tracks[0].state, TrackState::Confirmed);
    }

    #[test]
    fn a_flash_is_forgotten_and_a_flicker_is_not() {
        let mut scene = Scene::new();
        scene.at(0.0, &[face(100.0)]);
        assert!(scene.at(0.1, &[]).is_empty());
        scene.at(0.2, &[face(100.0)]);
        let id = scene.owner(0);
        scene.at(0.3, &[face(100.0)]);
        scene.at(0.4, &[]);
        scene.at(0.5, &[face(100.0)]);
        assert_eq!((scene.owner(0), scene.state_of(id)), (id, Some(TrackState::Confirmed)));
    }

    #[test]
    fn a_face_that_moves_by_its_width_per_frame_keeps_its_id() {
        let mut scene = Scene::new();
        for frame in 0..20_u8 {
            // Every fourth frame is displaced.
            if frame % 4 != 3 {
                scene.at(0.2 * f64::from(frame), &[face(50.0 * f32::from(frame))]);
                assert_eq!(scene.tracks.len(), 1, "frame {frame}: {:?}", scene.tracks);
            }
        }
        assert_eq!(scene.owner(0), FaceId::from_counter(0));
    }

    #[test]
    fn a_face_that_turns_back_keeps_its_id() {
        let mut scene = Scene::new();
        for frame in 0..60_u8 {
            let phase = f32::from(frame) / 15.0;
            scene.at(phase.into(), &[face(320.0 + 250.0 * phase.sin())]);
            assert_eq!(scene.tracks.len(), 1);
        }
        assert_eq!(scene.owner(0), FaceId::from_counter(0));
    }

    #[test]
    fn a_jump_of_more_than_a_width_keeps_the_id_and_a_larger_one_does_not() {
        for (jump, kept) in [(67.0, true), (100.0, false)] {
            let mut scene = Scene::new();
            for frame in 0..5_u8 {
                scene.at(0.2 * f64::from(frame), &[face(100.0)]);
            }
            scene.at(1.0, &[face(100.0 + jump)]);
            assert_eq!(scene.owner(0) == FaceId::from_counter(0), kept, "{jump} px");
        }
    }

    #[test]
    fn a_far_face_in_the_place_of_a_near_one_is_another() {
        let mut scene = Scene::new();
        let near = observation(BBox::from_centre(100.0, 100.0, 100.0, 120.0), None);
        let far = observation(BBox::from_centre(100.0, 100.0, 48.0, 56.0), None);
        for frame in 0..5_u8 {
            scene.at(0.1 * f64::from(frame), std::slice::from_ref(&near));
        }
        scene.at(0.5, std::slice::from_ref(&far));
        assert_ne!(scene.owner(0), FaceId::from_counter(0));
    }

    /// Two faces meet and pass; while they overlap only the nearer one, person 0, is found.
    fn crossing(secs_per_frame: f64, observe: impl Fn(usize, f32, f64) -> Observation) -> (Vec<FaceId>, Vec<FaceId>) {
        let mut scene = Scene::new();
        let (mut first, mut last) = (Vec::new(), Vec::new());
        let mut frame = 0_u8;
        while f64::from(frame) * secs_per_frame <= 4.0 {
            let t = f64::from(frame) * secs_per_frame;
            let (a, b) = ((100.0 + 100.0 * t) as f32, (500.0 - 100.0 * t) as f32);
            let mut seen = vec![observe(0, a, t)];
            if (a - b).abs() > 35.0 {
                seen.push(observe(1, b, t));
            }
            scene.at(t, &seen);
            if seen.len() == 2 {
                last = vec![scene.owner(0), scene.owner(1)];
                if first.is_empty() {
                    first.clone_from(&last);
                }
            }
            frame += 1;
        }
        (first, last)
    }

    #[test]
    fn crossing_faces_keep_their_ids() {
        for rate in [30.0, 15.0, 5.0] {
            let (first, last) = crossing(1.0 / rate, |who, x, _| face_of(who, x));
            assert_eq!(first, last, "at {rate} Hz");
        }
    }

    #[test]
    fn crossing_faces_keep_their_ids_by_motion_alone() {
        let (first, last) = crossing(1.0 / 15.0, |_, x, _| face(x));
        assert_eq!(first, last);
    }

    #[test]
    fn faces_that_turn_back_at_their_meeting_are_told_apart_by_their_looks() {
        // They meet at t = 2 and go back to where they came from; motion alone would swap them.
        let mirror = |t: f32| if t < 2.0 { t } else { 4.0 - t };
        let mut scene = Scene::new();
        let mut first = None;
        for frame in 0..=60_u8 {
            let t = f32::from(frame) / 15.0;
            let (a, b) = (100.0 + 100.0 * mirror(t), 500.0 - 100.0 * mirror(t));
            let mut seen = vec![face_of(0, a)];
            if (a - b).abs() > 35.0 {
                seen.push(face_of(1, b));
            }
            scene.at(t.into(), &seen);
            if seen.len() == 2 {
                let ids = (scene.owner(0), scene.owner(1));
                assert_eq!(*first.get_or_insert(ids), ids, "at {t} s");
            }
        }
    }

    #[test]
    fn between_two_similar_faces_the_likelier_pairs_win() {
        // Siblings (cosine 0.45, no contradiction) who exchange their places between two frames.
        let sibling = || mixed(&[(0, 0.45), (1, 0.89)], 15);
        let at = |look, x| observation(BBox::from_centre(x, 200.0, 50.0, 60.0), Some(look));
        let mut scene = Scene::new();
        for frame in 0..5_u8 {
            scene.at(0.2 * f64::from(frame), &[at(person(0), 100.0), at(sibling(), 130.0)]);
        }
        let ids = (scene.owner(0), scene.owner(1));
        scene.at(1.0, &[at(person(0), 122.0), at(sibling(), 108.0)]);
        assert_eq!((scene.owner(0), scene.owner(1)), ids);
    }

    #[test]
    fn a_lost_face_that_reappears_elsewhere_is_resumed_by_its_look_only() {
        for (who, resumed) in [(0, true), (1, false)] {
            let mut scene = Scene::new();
            for frame in 0..10_u8 {
                scene.at(f64::from(frame) / 15.0, &[face_of(0, 100.0)]);
            }
            let id = scene.owner(0);
            scene.at(1.0, &[]);
            scene.at(1.5, &[face_of(who, 500.0)]);
            assert_eq!(scene.owner(0) == id, resumed, "person {who}");
        }
    }

    #[test]
    fn a_few_bad_looks_do_not_split_a_track_but_a_replaced_face_does() {
        let mut scene = Scene::new();
        let mut frame = 0.0;
        let mut show = |scene: &mut Scene, who| {
            frame += 1.0;
            scene.at(frame / 15.0, &[face_of(who, 100.0)]);
            scene.owner(0)
        };
        let id = show(&mut scene, 0);
        for who in [0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0] {
            assert_eq!(show(&mut scene, who), id);
        }
        let replaced = [1; 25].map(|who| show(&mut scene, who));
        assert_ne!(replaced[17], id);
        assert_eq!(replaced[24], replaced[17], "and then it stays with the new face");
    }

    #[test]
    fn a_coasting_track_does_not_take_the_detection_of_a_face_in_view() {
        let mut scene = Scene::new();
        for frame in 0..10_u8 {
            scene.at(f64::from(frame) / 15.0, &[face(100.0), face(180.0)]);
        }
        let (hidden, in_view) = (scene.owner(0), scene.owner(1));
        for frame in 10..25_u8 {
            // The face in view walks over the place of the hidden one.
            scene.at(f64::from(frame) / 15.0, &[face(180.0 - 10.0 * f32::from(frame - 9))]);
            assert_eq!(scene.owner(0), in_view);
        }
        assert_eq!(scene.state_of(hidden), Some(TrackState::Lost));
    }

    #[test]
    fn the_tracker_expects_only_what_it_is_sure_of() {
        let mut scene = Scene::new();
        let stamp = Stamp::default().plus_secs(0.2);
        for frame in 0..3_u8 {
            scene.at(f64::from(frame) / 15.0, &[face(100.0), face(300.0)]);
        }
        let expect = |x| scene.tracker.expect(stamp, &face(x).detection.bbox);
        assert_eq!(expect(104.0), Some(scene.owner(0)));
        assert_eq!(expect(302.0), Some(scene.owner(1)));
        assert_eq!(expect(200.0), None, "nobody is there");
        let mut scene = Scene::new();
        scene.at(0.2, &[face(160.0), face(200.0)]);
        let expect = |x| scene.tracker.expect(stamp, &face(x).detection.bbox);
        assert_eq!(expect(165.0), None, "two tracks could claim it");
    }

    #[test]
    fn reset_forgets_the_tracks_and_never_reuses_their_ids() {
        let mut scene = Scene::new();
        scene.at(5.0, &[face(100.0)]);
        let before = scene.owner(0);
        scene.tracker.reset();
        scene.at(1.0, &[face(100.0)]);
        assert_ne!(scene.owner(0), before);
    }

    #[test]
    fn only_the_best_faces_are_kept_and_boxes_that_are_none_are_left_out() {
        let config = TrackerConfig { max_faces: 2, ..TrackerConfig::default() };
        let mut scene = Scene { tracker: SortTracker::new(config, None, FaceCounter::default()), tracks: Vec::new() };
        let mut seen: Vec<_> = [100.0, 300.0, 500.0].map(face).into();
        seen[1].detection.score = 0.5;
        seen.push(face(f32::NAN));
        scene.at(0.0, &seen);
        assert_eq!(scene.tracks.iter().map(|track| track.observation).collect::<Vec<_>>(), [Some(0), Some(2)]);
    }

    /// Centre and width of a box, and how much the face resembles whom.
    type Sight = (f32, f32, f32, Option<(usize, f32)>);

    fn arbitrary_frames() -> impl Strategy<Value = Vec<Vec<Sight>>> {
        let sight = (0.0_f32..300.0, 0.0_f32..200.0, 10.0_f32..80.0, prop::option::of((0_usize..3, -0.2_f32..1.0)));
        prop::collection::vec(prop::collection::vec(sight, 0..6), 1..15)
    }

    fn observe(sights: &[Sight]) -> Vec<Observation> {
        let one = |&(x, y, side, who): &Sight| {
            let look = who.map(|(who, cosine)| look_at(who, cosine));
            observation(BBox::from_centre(x, y, side, 1.2 * side), look)
        };
        sights.iter().map(one).collect()
    }

    /// Face ids and their boxes, by the position of the box.
    fn boxes(tracks: &[Track]) -> BTreeMap<FaceId, [u32; 4]> {
        tracks.iter().map(|track| (track.face_id, track.bbox.to_array().map(f32::to_bits))).collect()
    }

    proptest! {
        #[test]
        fn every_detection_belongs_to_exactly_one_track_and_no_id_comes_back(
            frames in arbitrary_frames(), step in 0.02_f64..0.6,
        ) {
            let mut scene = Scene::new();
            let mut gone = BTreeSet::new();
            let mut live = BTreeSet::new();
            for (index, seen) in frames.iter().enumerate() {
                scene.at(index as f64 * step, &observe(seen));
                let mut taken: Vec<_> = scene.tracks.iter().filter_map(|track| track.observation).collect();
                taken.sort_unstable();
                prop_assert_eq!(taken, (0..seen.len()).collect::<Vec<_>>());
                let now: BTreeSet<_> = scene.tracks.iter().map(|track| track.face_id).collect();
                prop_assert_eq!(now.len(), scene.tracks.len());
                prop_assert!(now.is_disjoint(&gone));
                prop_assert!(scene.tracks.is_sorted_by_key(|track| track.first_seen));
                prop_assert!(scene.tracks.iter().all(|track| track.bbox.is_proper()));
                gone.extend(live.difference(&now).copied());
                live = now;
            }
        }

        #[test]
        fn the_order_of_detections_decides_nothing(frames in arbitrary_frames(), turn in 0_usize..6) {
            let (mut straight, mut turned) = (Scene::new(), Scene::new());
            for (index, seen) in frames.iter().enumerate() {
                let mut other = seen.clone();
                other.reverse();
                if !other.is_empty() {
                    let by = turn % other.len();
                    other.rotate_left(by);
                }
                let secs = index as f64 / 10.0;
                prop_assert_eq!(boxes(straight.at(secs, &observe(seen))), boxes(turned.at(secs, &observe(&other))));
            }
        }

        #[test]
        fn empty_frames_age_every_track_away(frames in arbitrary_frames()) {
            let mut scene = Scene::new();
            let mut secs = 0.0;
            for seen in &frames {
                scene.at(secs, &observe(seen));
                secs += 0.1;
            }
            let before = boxes(&scene.tracks);
            scene.at(secs, &[]);
            prop_assert!(scene.tracks.iter().all(|track| track.state != TrackState::Confirmed));
            prop_assert!(scene.tracks.iter().all(|track| before.contains_key(&track.face_id)));
            prop_assert!(scene.at(secs + 1.6, &[]).is_empty());
        }
    }
}
