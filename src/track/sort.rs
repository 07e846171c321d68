//! The tracker of one camera: motion first, appearance where motion does not tell.
//!
//! Kalman prediction and one-to-one assignment as in SORT (Bewley 2016), overlap of *grown* boxes
//! in two passes as in C-BIoU (Yang 2023), since a face moves by more than its own width between
//! frames at 5 Hz; recently seen tracks choose before coasting ones as in DeepSORT (Wojke 2017).
//!
//! A face that is gone is remembered by its mean look. A new face that looks like it, and like no other
//! that is gone, gets its id back.

use super::assign::Costs;
use super::kalman::BoxFilter;
use super::memory::{Gone, Memory};
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
/// How much more a box is grown for every second by which a gap between frames exceeds [`USUAL_STEP_SECS`].
const REACH_PER_SEC: f32 = 1.0;
/// [`FAR`] is made for frames so far apart: those of a camera at 5 Hz.
const USUAL_STEP_SECS: f64 = 0.2;
/// Least overlap of two grown boxes that may be one face. Grown by half, boxes of one size reach
/// it at 1.5 widths apart.
const MIN_OVERLAP: f32 = 0.15;
/// Largest ratio of heights of one face from one sight to the next.
const MAX_SIZE_RATIO: f32 = 2.0;
/// Overlap, without growing, at which a detection is sure to continue a track when no other
/// track comes near it.
const SURE_OVERLAP: f32 = 0.7;
/// The same with nobody else about: a head that turns changes its box.
const ALONE_OVERLAP: f32 = 0.4;
/// Overlap, without growing, with the place where a face was last seen, at which one look is enough to
/// know it again.
const IN_PLACE_OVERLAP: f32 = 0.3;
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

/// Good looks before a new face is known again; one is enough in the place where the old face was last seen.
const LOOKS_TO_COMPARE: u32 = 2;
/// Distance below the threshold at which a face is surely another, so that no more looks are needed.
const SURELY_ANOTHER: f32 = 0.15;
/// Distance by which a look must be more like a face out of sight than like that of a track in view, to be that
/// other face: one that went past in front.
const SURELY_THE_OTHER: f32 = 0.2;
/// Seconds that a new face is held back until its looks tell, while someone is gone who it could be: its id
/// must not change once it is published.
const HOLD_SECS: f64 = 0.6;
/// The same for a face at which no good look could be taken yet.
const BLIND_HOLD_SECS: f64 = 1.0;
/// Seconds after its first sight in which a face may still be known again.
const RECALL_SECS: f64 = 3.0;

/// [`Tracker`] by Kalman filter, buffered overlap and appearance.
pub struct SortTracker {
    config: TrackerConfig,
    similarity: Option<Similarity>,
    ids: FaceCounter,
    tracks: Vec<LiveTrack>,
    gone: Memory,
    now: Option<Stamp>,
}

/// One face over time.
struct LiveTrack {
    face_id: FaceId,
    former_id: Option<FaceId>,
    past: Past,
    is_continuous: bool,
    /// It was out of sight, and no look has agreed since: the face may be someone else's.
    is_unproven: bool,
    state: TrackState,
    motion: BoxFilter,
    /// The mean of its good looks, how many these are, and the sum of their qualities.
    look: Option<Embedding>,
    looks: u32,
    worth: f32,
    doubted_since: Option<Stamp>,
    hits: u32,
    last_detection: Detection,
    observation: Option<usize>,
    first_seen: Stamp,
    last_seen: Stamp,
}

/// Whether a face is one that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// Not known yet.
    Open,
    /// Its first good looks resembled nobody who is gone; it need not wait for more.
    Unlike,
    /// It was known again.
    Resumed,
}

/// A gone face that a new one may be.
struct Return {
    face_id: FaceId,
    cosine: f32,
    /// Distance of the cosine to the next.
    margin: f32,
    /// It appears where the old face was last seen.
    is_in_place: bool,
}

/// Who has been paired in this frame. Columns are positions in the canonical order of detections.
struct Pairing {
    of_track: Vec<Option<usize>>,
    taken: Vec<bool>,
}

impl SortTracker {
    /// A tracker without tracks. Without `similarity` appearance is left out.
    pub const fn new(config: TrackerConfig, similarity: Option<Similarity>, ids: FaceCounter) -> Self {
        Self { config, similarity, ids, tracks: Vec::new(), gone: Memory::new(), now: None }
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
                let is_another = self.contradicts(cosine) || self.is_somebody_else(&self.tracks[track], observation);
                if overlap >= MIN_OVERLAP && !is_another {
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
            let in_place = |col: &usize| {
                let is_free = !pairing.taken[*col] && !self.is_somebody_else(track, seen[*col]);
                is_free && expected.iou(&seen[*col].detection.bbox) >= SAME_PLACE_OVERLAP
            };
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

    /// Whether a look is more like another face that is out of sight than like the one of this track.
    fn is_somebody_else(&self, track: &LiveTrack, observation: &Observation) -> bool {
        let may_be_another = track.is_unproven || track.observation.is_none();
        let Some(similarity) = &self.similarity else { return false };
        let more = if may_be_another { similarity.min_margin } else { SURELY_THE_OTHER };
        let (Some(look), Some(own)) = (good_look(observation), self.likeness(track, observation)) else { return false };
        let coasting = self.tracks.iter().filter(|other| other.observation.is_none() && other.face_id != track.face_id);
        let others = self.gone.iter().map(|gone| &gone.look).chain(coasting.filter_map(|other| other.look.as_ref()));
        let best = others.filter_map(|other| other.cosine(look).ok()).fold(-1.0, f32::max);
        best >= similarity.threshold && best > own + more
    }

    fn unlikeness(&self, cosine: Option<f32>) -> f64 {
        match (&self.similarity, cosine) {
            (Some(similarity), Some(cosine)) => 1.0 - similarity.probability(cosine),
            _ => NO_LOOK,
        }
    }

    /// Pairs tracks with detections, the surest ways first.
    fn pair(&self, stamp: Stamp, secs: f64, seen: &[&Observation]) -> Pairing {
        let mut pairing = Pairing { of_track: vec![None; self.tracks.len()], taken: vec![false; seen.len()] };
        // A coasting box must not take the detection of a face that has been in view all along.
        self.pair_by_overlap(seen, &mut pairing, NEAR, |track| track.state == TrackState::Confirmed);
        self.pair_by_look(seen, &mut pairing);
        self.pair_by_overlap(seen, &mut pairing, NEAR, |track| track.state != TrackState::Confirmed);
        self.pair_by_overlap(seen, &mut pairing, FAR, |_| true);
        if secs > USUAL_STEP_SECS {
            // The camera stalled: who was in view moved on by more than usual.
            let reach = FAR + REACH_PER_SEC * (secs.min(1.0) - USUAL_STEP_SECS) as f32;
            self.pair_by_overlap(seen, &mut pairing, reach, |track| track.observation.is_some());
        }
        self.pair_in_doubt(stamp, seen, &mut pairing);
        pairing
    }

    /// Whether a track's face is surely the one it was: it is where it was led, or near, with nobody else about.
    fn is_continued(&self, index: usize, seen: &[&Observation], pairing: &Pairing) -> bool {
        let Some(col) = pairing.of_track[index] else { return true };
        let (expected, here) = (self.tracks[index].motion.bbox(), &seen[col].detection.bbox);
        let overlap = expected.iou(here);
        let is_near = |bbox: &BBox<ImagePx>| grown_overlap(bbox, here, FAR) > 0.0;
        let mut others = self.tracks.iter().enumerate().filter(|(other, _)| *other != index);
        let is_alone = !others.any(|(_, other)| is_near(&other.motion.bbox()))
            && !seen.iter().enumerate().any(|(other, face)| other != col && is_near(&face.detection.bbox));
        overlap >= SURE_OVERLAP || (is_alone && overlap >= ALONE_OVERLAP)
    }

    /// Not seen for so long that it is over, whatever comes next: after a gap between frames (a
    /// stalled camera, stills of different days) a face in the same place may be anybody's.
    fn is_stale(&self, track: &LiveTrack, stamp: Stamp) -> bool {
        stamp.secs_since(track.last_seen) > self.config.coast_secs
    }

    /// Ends the tracks that are stale, and remembers their faces.
    fn put_by_the_stale(&mut self, stamp: Stamp) {
        let tracks = std::mem::take(&mut self.tracks);
        let (stale, live): (Vec<_>, Vec<_>) = tracks.into_iter().partition(|track| self.is_stale(track, stamp));
        self.tracks = live;
        for gone in stale.iter().filter_map(LiveTrack::gone) {
            self.gone.keep(gone);
        }
        self.gone.expire(stamp, self.config.dormant_secs);
    }

    /// The faces that a new one could be: those that went before it came. Whoever was seen beside it is
    /// someone else.
    fn gone_before<'a>(&'a self, track: &'a LiveTrack) -> impl Iterator<Item = Gone> + 'a {
        let coasting = self.tracks.iter().filter(|other| other.observation.is_none()).filter_map(LiveTrack::gone);
        self.gone.iter().cloned().chain(coasting).filter(|gone| gone.last_seen < track.first_seen)
    }

    /// Gives new faces that look like one that is gone, and like no other, their id back.
    fn know_again(&mut self) {
        let Some(similarity) = self.similarity.clone() else { return };
        while let Some((index, face_id)) = self.surest_return(&similarity) {
            self.resume(index, face_id);
        }
        for index in 0..self.tracks.len() {
            let track = &self.tracks[index];
            if track.past != Past::Open || !track.is_new() || track.looks < LOOKS_TO_COMPARE {
                continue;
            }
            let best = self.best_of_gone(track, &similarity).map_or(-1.0, |best| best.cosine);
            if best < similarity.threshold - SURELY_ANOTHER {
                self.tracks[index].past = Past::Unlike;
            }
        }
    }

    /// Of all new faces the one that is most surely known again, and who it is.
    fn surest_return(&self, similarity: &Similarity) -> Option<(usize, FaceId)> {
        let mut surest: Option<(f32, usize, FaceId)> = None;
        for (index, track) in self.tracks.iter().enumerate().filter(|(_, track)| track.is_new()) {
            let Some(best) = self.best_of_gone(track, similarity) else { continue };
            let has_looks = track.looks >= LOOKS_TO_COMPARE || best.is_in_place;
            let is_like = best.cosine >= similarity.threshold;
            let is_sure = has_looks && is_like && best.margin >= similarity.min_margin;
            if is_sure && surest.is_none_or(|(most, ..)| best.cosine > most) {
                surest = Some((best.cosine, index, best.face_id));
            }
        }
        surest.map(|(_, index, face_id)| (index, face_id))
    }

    /// The gone face most like a new one.
    fn best_of_gone(&self, track: &LiveTrack, similarity: &Similarity) -> Option<Return> {
        let look = track.look.as_ref()?;
        let cosine = |gone: Gone| Some((gone.look.cosine(look).ok()?, gone));
        let mut gone: Vec<(f32, Gone)> = self.gone_before(track).filter_map(cosine).collect();
        gone.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (best, others) = gone.split_first()?;
        // One person may have gone twice, under two ids.
        let is_another = |other: &&(f32, Gone)| !best.1.may_be(&other.1, similarity.threshold);
        let runner_up = others.iter().find(is_another).map_or(-1.0, |other| other.0);
        let is_in_place = best.1.bbox.iou(&track.last_detection.bbox) >= IN_PLACE_OVERLAP;
        Some(Return { face_id: best.1.face_id, cosine: best.0, margin: best.0 - runner_up, is_in_place })
    }

    /// The new track becomes the face that was gone.
    fn resume(&mut self, index: usize, face_id: FaceId) {
        let coasting = || self.tracks.iter().find(|track| track.face_id == face_id).and_then(LiveTrack::gone);
        let old = self.gone.take(face_id).or_else(coasting);
        let track = &mut self.tracks[index];
        track.former_id = Some(track.face_id);
        track.face_id = face_id;
        track.past = Past::Resumed;
        track.state = TrackState::Confirmed;
        if let Some(old) = old {
            track.recall(&old);
        }
        let at = (track.first_seen, track.former_id);
        self.tracks.retain(|track| track.face_id != face_id || (track.first_seen, track.former_id) == at);
    }

    /// Publishes new faces; not those that may be known again with another look.
    fn confirm(&mut self) {
        for index in 0..self.tracks.len() {
            let track = &self.tracks[index];
            if track.observation.is_none() || !track.is_established(&self.config) {
                continue;
            }
            let hold_secs = if track.looks == 0 { BLIND_HOLD_SECS } else { HOLD_SECS };
            let may_be_known = self.similarity.is_some()
                && track.past == Past::Open
                && track.secs_in_view() < hold_secs
                && self.gone_before(track).next().is_some();
            if track.state != TrackState::Tentative || !may_be_known {
                self.tracks[index].state = TrackState::Confirmed;
            }
        }
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
        // Who comes out from behind something may be someone else.
        let is_in_view = track.observation.is_some() && track.doubted_since.is_none();
        let is_sure = near.next().is_none() && is_in_view && expected.iou(bbox) >= SURE_OVERLAP;
        is_sure.then_some(track.face_id)
    }

    fn update(&mut self, stamp: Stamp, seen: &[Observation], out: &mut Vec<Track>) {
        let secs = self.secs_until(stamp);
        self.now = Some(stamp);
        self.put_by_the_stale(stamp);
        for track in &mut self.tracks {
            track.former_id = None;
            track.motion.predict(secs, track.observation.is_none());
        }
        let order = canonical_order(seen, self.config.max_faces as usize);
        let in_order: Vec<_> = order.iter().map(|&index| &seen[index]).collect();
        let pairing = self.pair(stamp, secs, &in_order);

        let similarity = self.similarity.as_ref();
        let is_sure: Vec<bool> =
            (0..self.tracks.len()).map(|index| self.is_continued(index, &in_order, &pairing)).collect();
        for ((track, col), is_sure) in self.tracks.iter_mut().zip(&pairing.of_track).zip(is_sure) {
            match col {
                Some(col) => {
                    track.is_continuous = is_sure;
                    track.see(stamp, order[*col], in_order[*col], similarity);
                }
                None => track.miss(),
            }
        }
        let mut tracks = std::mem::take(&mut self.tracks);
        tracks.retain(|track| !self.was_a_flash(track, stamp));
        for (col, observation) in in_order.iter().enumerate().filter(|(col, _)| !pairing.taken[*col]) {
            tracks.push(LiveTrack::born(self.ids.next(), stamp, order[col], observation));
        }
        self.tracks = tracks;
        self.know_again();
        self.confirm();

        out.clear();
        out.extend(self.tracks.iter().map(LiveTrack::report));
    }

    fn reset(&mut self) {
        self.tracks.clear();
        self.gone.clear();
        self.now = None;
    }

    fn forget(&mut self, face: FaceId) {
        self.tracks.retain(|track| track.face_id != face);
        self.gone.take(face);
    }
}

impl LiveTrack {
    fn born(face_id: FaceId, stamp: Stamp, index: usize, observation: &Observation) -> Self {
        let look = good_look(observation).cloned();
        Self {
            face_id,
            former_id: None,
            past: Past::Open,
            is_continuous: true,
            is_unproven: false,
            state: TrackState::Tentative,
            motion: BoxFilter::new(&observation.detection.bbox),
            looks: u32::from(look.is_some()),
            worth: observation.quality,
            look,
            doubted_since: None,
            hits: 1,
            last_detection: observation.detection,
            observation: Some(index),
            first_seen: stamp,
            last_seen: stamp,
        }
    }

    /// Takes a detection as the next sight of this face.
    fn see(&mut self, stamp: Stamp, index: usize, observation: &Observation, similarity: Option<&Similarity>) {
        self.is_unproven |= self.observation.is_none();
        self.motion.update(&observation.detection.bbox);
        self.last_detection = observation.detection;
        self.observation = Some(index);
        self.last_seen = stamp;
        self.hits = self.hits.saturating_add(1);
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

    /// Seen often enough, or for long enough, to be no false alarm.
    fn is_established(&self, config: &TrackerConfig) -> bool {
        self.hits >= config.confirm_hits || (self.hits >= 2 && self.secs_in_view() >= config.confirm_secs)
    }

    fn secs_in_view(&self) -> f64 {
        self.last_seen.secs_since(self.first_seen)
    }

    /// Whether it may still turn out to be a face seen before.
    fn is_new(&self) -> bool {
        self.past != Past::Resumed && self.observation.is_some() && self.secs_in_view() <= RECALL_SECS
    }

    /// What is remembered of it once it is gone.
    fn gone(&self) -> Option<Gone> {
        let is_known = self.state != TrackState::Tentative && self.looks >= LOOKS_TO_COMPARE;
        let look = self.look.clone().filter(|_| is_known)?;
        Some(Gone {
            face_id: self.face_id,
            look,
            looks: self.looks,
            worth: self.worth,
            bbox: self.last_detection.bbox,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        })
    }

    /// Adds what was remembered of this face: it is not forgotten again for a poor look at its return.
    fn recall(&mut self, old: &Gone) {
        let share = (old.worth / (old.worth + self.worth)).min(MEMORY);
        self.look = self.look.as_ref().and_then(|new| mixed(&old.look, new, share)).or_else(|| Some(old.look.clone()));
        self.looks = self.looks.saturating_add(old.looks);
        self.worth += old.worth;
    }

    /// Mixes a look into the mean, unless it shows someone else.
    fn learn(&mut self, observation: &Observation, similarity: &Similarity) {
        let Some(look) = good_look(observation) else { return };
        let Some(mean) = self.look.as_ref().filter(|mean| mean.model() == look.model()) else {
            return self.begin_with(look, observation.quality);
        };
        let Ok(cosine) = mean.cosine(look) else { return };
        if cosine < similarity.contradiction() {
            // First glimpses may be of another, or of nothing.
            if observation.quality > self.worth {
                return self.begin_with(look, observation.quality);
            }
            self.doubted_since.get_or_insert(self.last_seen);
            return;
        }
        self.doubted_since = None;
        self.is_unproven = false;
        self.looks = self.looks.saturating_add(1);
        self.worth += observation.quality;
        // The first look may be a poor one: it must not weigh for longer than the others.
        let weight = (1.0 - 1.0 / self.looks as f32).min(MEMORY);
        if let Some(mixed) = mixed(mean, look, weight) {
            self.look = Some(mixed);
        }
    }

    fn begin_with(&mut self, look: &Embedding, quality: f32) {
        (self.look, self.looks, self.worth) = (Some(look.clone()), 1, quality);
    }

    fn report(&self) -> Track {
        Track {
            face_id: self.face_id,
            former_id: self.former_id,
            is_continuous: self.is_continuous,
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

/// The mean of two looks, of which the old one has this weight.
fn mixed(old: &Embedding, new: &Embedding, weight: f32) -> Option<Embedding> {
    let values = old.unit().iter().zip(new.unit()).map(|(old, new)| weight * old + (1.0 - weight) * new);
    Embedding::new(values.collect(), new.model().clone()).ok()
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
