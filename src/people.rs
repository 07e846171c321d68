//! From tracks to people: who each face is, decided over time, and what its expression says.

mod evidence;
mod expression;
mod heads;
mod presence;
mod strangers;
mod threshold;

use crate::config::{AutoEnrol, Config};
use crate::emotion::Emotion;
use crate::gallery::{Gallery, GalleryError, Standing};
use crate::geometry::{BBox, ImagePx, Landmarks5};
use crate::head_pose::HeadPose;
use crate::ids::{CameraId, FaceId, PersonId};
use crate::model::manifest::Similarity;
use crate::time::Stamp;
use crate::track::{Observation, Track, TrackState};
use evidence::{Evidence, Scale, Verdict};
pub use expression::ExpressionFilter;
use expression::{Expression, Sight};
pub use heads::Heads;
use presence::Presence;
use serde::Serialize;
use std::collections::BTreeMap;
use strangers::Stranger;
pub use threshold::open_set_threshold;

/// How sure we are of an identity; the numbers are those of `Person.msg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityState {
    /// Nobody we know, or not enough evidence to look.
    #[default]
    Unknown = 0,
    /// Collecting looks.
    Pending = 1,
    /// Two people fit: none is named.
    Ambiguous = 2,
    /// A stored stranger without a name.
    Anonymous = 3,
    /// A stored person without a name.
    Known = 4,
    /// A stored person with a name.
    Named = 5,
}

/// Who a face is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// How sure.
    pub state: IdentityState,
    /// Set from [`IdentityState::Anonymous`] upwards.
    pub person_id: Option<PersonId>,
    /// Set in [`IdentityState::Named`] only.
    pub name: Option<String>,
    /// Calibrated probability that `person_id` is right, 0..=1; 0 without one.
    pub confidence: f32,
    /// Cosine of the latest look to the best reference, -1..=1; 0 before the first look.
    pub similarity: f32,
    /// Whose reference that was: `person_id`, or the nearest person while nobody is decided.
    pub candidate: Option<PersonId>,
    /// Distance of `similarity` to the runner-up's.
    pub margin: f32,
}

/// The expression of a face, filtered over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmotionReading {
    /// Stable label.
    pub label: Emotion,
    /// Calibrated, 0..=1.
    pub confidence: f32,
    /// The model does not know.
    pub uncertain: bool,
    /// Smoothed distribution.
    pub probabilities: [f32; 8],
    /// This frame's distribution, when it was measured.
    pub raw: Option<[f32; 8]>,
    /// Unpleasant to pleasant, -1..=1: from the smoothed distribution.
    pub valence: f32,
    /// Calm to excited, -1..=1: from the smoothed distribution.
    pub arousal: f32,
}

/// One person as seen in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The face as tracked now.
    pub face_id: FaceId,
    /// Who it is.
    pub identity: Identity,
    /// Pixels of the source image.
    pub bbox: BBox<ImagePx>,
    /// Detector score, 0..=1.
    pub score: f32,
    /// Eyes, nose, mouth corners; of the last observation while coasting.
    pub landmarks: Landmarks5<ImagePx>,
    /// Fitness for recognition, 0..=1.
    pub quality: f32,
    /// False while coasting on prediction.
    pub observed: bool,
    /// Seconds since the face was first seen.
    pub track_age_secs: f32,
    /// `None` when off, gated or not yet measured.
    pub emotion: Option<EmotionReading>,
    /// The head in the optical frame of the camera; `None` without a calibrated camera, and while the face
    /// is not seen.
    pub pose: Option<HeadPose>,
    /// How much the person looks at the camera, 0..=1; `None` when it cannot be told.
    pub attention: Option<f32>,
}

/// Everyone in one processed frame: visible first, nearest (largest) first.
#[derive(Clone, Debug, PartialEq)]
pub struct People {
    /// Logical camera.
    pub camera: CameraId,
    /// Acquisition time of the frame.
    pub stamp: Stamp,
    /// Optical frame of the camera.
    pub frame_id: String,
    /// Columns of the source image.
    pub width: u32,
    /// Rows of the source image.
    pub height: u32,
    /// Processed frames since the start.
    pub frame_seq: u64,
    /// Frames replaced before processing since the last one; 0 in a replay.
    pub displaced: u32,
    /// Acquisition to publication, ns; 0 in a replay, where the clocks differ.
    pub latency_nanos: i64,
    /// The people.
    pub people: Vec<Person>,
}

/// What changed; the numbers are those of `PersonEvent.msg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A face was confirmed.
    FaceAppeared = 0,
    /// A confirmed face is gone, its coasting over.
    FaceLost = 1,
    /// A person was recognised for the first time in this visit.
    PersonIdentified = 2,
    /// A person known from an earlier visit was recognised again.
    PersonReturned = 3,
    /// A person was added to the gallery.
    PersonCreated = 4,
    /// A recognised person has not been seen for `people.leave_secs`.
    PersonLeft = 5,
    /// A person's name changed.
    PersonRenamed = 6,
    /// `person_id` was kept, `other_person_id` absorbed.
    PersonMerged = 7,
    /// Everything about a person was removed.
    PersonForgotten = 8,
    /// The stable expression label changed.
    ExpressionChanged = 9,
    /// A person began to look at the camera.
    AttentionGained = 10,
    /// A person stopped looking at the camera.
    AttentionLost = 11,
    /// One more sample of a running enrolment.
    EnrolmentProgress = 12,
}

/// One change, as `PersonEvent.msg` carries it.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonEvent {
    /// Logical camera.
    pub camera: CameraId,
    /// Acquisition time of the frame in which it was decided.
    pub stamp: Stamp,
    /// Optical frame of the camera.
    pub frame_id: String,
    /// What changed.
    pub kind: EventKind,
    /// The face concerned, if any.
    pub face_id: Option<FaceId>,
    /// The person concerned, if any.
    pub person_id: Option<PersonId>,
    /// The person absorbed by a merge.
    pub other_person_id: Option<PersonId>,
    /// The person's name, if any.
    pub name: Option<String>,
    /// Label, hint or reason; often empty.
    pub detail: String,
    /// Confidence of the identity or of the face, 0..=1.
    pub confidence: f32,
    /// Seconds since the person was last seen, [`EventKind::PersonReturned`] only; else 0.
    pub absent_for_secs: f32,
}

/// Names whom events tell of, as they are called now: who has gone out of view may have lost their name since.
pub fn name_in(events: &mut [PersonEvent], gallery: &dyn Gallery) {
    for event in events {
        event.name = event.person_id.and_then(|person| name(person, gallery));
    }
}

fn name(person: PersonId, gallery: &dyn Gallery) -> Option<String> {
    let is_named = gallery.standing(person) == Some(Standing::Named);
    gallery.name(person).filter(|_| is_named).map(str::to_owned)
}

/// People searched for each look. Whoever is further down resembles the face less than all of them.
const CANDIDATES: usize = 8;
/// Looks in every frame that an undecided face may cost; afterwards it is looked at as rarely as a
/// decided one.
const EAGER_LOOKS: u32 = 30;
/// A frame this much early, as a share of the time between looks, is on time.
const PUNCTUALITY: f64 = 0.1;
/// Log-odds by which another face must be more surely a person than the one that bears the name.
const TAKE_OVER: f64 = 3.0;
/// Seconds out of sight after which a face may be someone else's.
const HIDDEN_SECS: f64 = 0.35;
/// Most faces that are gone of which it is remembered who they were.
const MOST_PARTED: usize = 1024;
/// Ratio of areas at which a face counts as nearer than one that was listed before it.
const NEARER: f32 = 1.2;

/// Decides over time who the faces of one camera are, and says what changed.
///
/// A look is one embedding of a face, searched in the gallery. No name is given for a single look,
/// none is lost for one, and no two faces in view bear the same name.
pub struct Identifier {
    similarity: Option<Similarity>,
    scale: Option<Scale>,
    /// How many people the scale was fitted for.
    people_known: Option<usize>,
    expressions: Option<ExpressionFilter>,
    secs_between_looks: f64,
    faces: BTreeMap<FaceId, Face>,
    /// Who the faces were that are gone and may come back.
    parted: BTreeMap<FaceId, PersonId>,
    /// Strangers to be remembered: see [`Self::take_strangers`].
    strangers: Vec<FaceId>,
    learns_strangers: bool,
    order: Vec<FaceId>,
    presence: Presence,
}

/// Which of several faces is looked at first, when there is no time for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Never looked at.
    New,
    /// Its looks do not yet say who it is; the one not looked at for longest comes first.
    Undecided {
        /// When it was last looked at.
        last_look: Stamp,
    },
    /// Decided, and time for another look.
    Due {
        /// When it was last looked at.
        last_look: Stamp,
    },
}

/// A look that is due may come this many times later when the line is behind its camera.
const LATEST: f64 = 2.0 - PUNCTUALITY;

impl Urgency {
    /// Whether the look, one of `rate_hz` in a second, may be left to a later frame.
    pub fn can_wait(self, stamp: Stamp, rate_hz: f64) -> bool {
        matches!(self, Self::Due { last_look } if stamp.secs_since(last_look) < LATEST / rate_hz)
    }
}

/// What is remembered about one track.
#[derive(Default)]
struct Face {
    evidence: Evidence,
    /// Of the last observation.
    quality: f32,
    last_look: Option<Stamp>,
    looks: u32,
    last_seen: Option<Stamp>,
    /// It was out of sight, it jumped, or a look spoke against its name: until one agrees, the face may be someone
    /// else's, and the name is withheld.
    is_unproven: bool,
    stranger: Stranger,
    expression: Expression,
}

impl Identifier {
    /// Without `similarity`, the scale of the embedder in use, every face stays unknown; without
    /// `expressions` no expression is read.
    pub fn new(config: &Config, similarity: Option<Similarity>, expressions: Option<ExpressionFilter>) -> Self {
        let mut identifier = Self {
            similarity,
            scale: None,
            people_known: None,
            expressions: None,
            secs_between_looks: 0.0,
            parted: BTreeMap::new(),
            strangers: Vec::new(),
            learns_strangers: false,
            faces: BTreeMap::new(),
            order: Vec::new(),
            presence: Presence::new(config.people.leave_secs),
        };
        identifier.reconfigure(config, expressions);
        identifier
    }

    /// Takes over other settings; what is known of the faces stays.
    pub fn reconfigure(&mut self, config: &Config, expressions: Option<ExpressionFilter>) {
        self.expressions = expressions;
        self.scale = self.similarity.clone().map(|mut similarity| {
            if let Some(margin) = config.identity.min_margin {
                similarity.min_margin = margin.get() as f32;
            }
            Scale::new(similarity, config.identity.min_looks, config.identity.target_fpir)
        });
        self.people_known = None;
        self.learns_strangers = config.identity.auto_enrol != AutoEnrol::Off;
        self.secs_between_looks = 1.0 / config.identity.looks_hz.max(0.0);
        self.presence.set_leave_secs(config.people.leave_secs);
    }

    /// Whether an embedding of this face (`None`: a new one) is worth its time, and how much: in every frame
    /// while it is undecided, `identity.looks_hz` times per second otherwise. The smaller comes first.
    pub fn urgency(&self, face: Option<FaceId>, stamp: Stamp) -> Option<Urgency> {
        let scale = self.scale.as_ref()?;
        let known = face.and_then(|face| self.faces.get(&face));
        let Some(Face { evidence, last_look: Some(last_look), looks, last_seen, is_unproven, .. }) = known else {
            return Some(Urgency::New);
        };
        let is_due = stamp.secs_since(*last_look) >= (1.0 - PUNCTUALITY) * self.secs_between_looks;
        let was_hidden = last_seen.is_none_or(|last_seen| stamp.secs_since(last_seen) >= HIDDEN_SECS);
        let must_prove = *is_unproven || (was_hidden && evidence.decided().is_some());
        if must_prove || (evidence.is_open(scale) && *looks < EAGER_LOOKS) {
            Some(Urgency::Undecided { last_look: *last_look })
        } else {
            is_due.then_some(Urgency::Due { last_look: *last_look })
        }
    }

    /// How much reading the expression of this face (`None`: a new one) is worth its time:
    /// `emotion.rate_hz` times per second, never when it is off.
    pub fn wants_expression(&self, face: Option<FaceId>, stamp: Stamp) -> Option<Urgency> {
        let filter = self.expressions.as_ref()?;
        let known = face.and_then(|face| self.faces.get(&face));
        known.map_or(Some(Urgency::New), |face| face.expression.urgency(filter, stamp))
    }

    /// Takes the tracks of one frame and its observations. Replaces `frame.people`, whose header
    /// the caller has filled, and appends what changed to `events`.
    ///
    /// # Errors
    /// [`GalleryError`] when the gallery refuses a look; `frame.people` is then empty.
    pub fn decide(
        &mut self,
        tracks: &[Track],
        seen: &[Observation],
        gallery: &dyn Gallery,
        frame: &mut People,
        events: &mut Vec<PersonEvent>,
    ) -> Result<(), GalleryError> {
        frame.people.clear();
        self.fit_to(gallery);
        self.follow_ids(tracks);
        for track in tracks {
            let face = self.faces.entry(track.face_id).or_default();
            if let Some(observation) = track.observation.and_then(|index| seen.get(index)) {
                let (scale, learns) = (self.scale.as_ref(), self.learns_strangers);
                face.is_unproven |= !track.is_continuous && face.evidence.decided().is_some();
                if face.observe(frame.stamp, observation, gallery, scale, learns)? {
                    self.strangers.push(track.face_id);
                }
            }
        }
        let published: Vec<_> = tracks.iter().filter(|track| track.state != TrackState::Tentative).collect();
        self.leave_each_name_to_one(&published, frame.stamp, gallery);
        self.read_expressions(tracks, seen, frame.stamp);
        frame.people.extend(published.iter().map(|track| self.person(track, frame.stamp, gallery)));
        self.arrange(&mut frame.people);
        self.presence.update(frame, events);
        self.report_expressions(frame, events);
        Ok(())
    }

    /// The strangers that `identity.auto_enrol` asks to remember, since the last call. Each is told once.
    pub fn take_strangers(&mut self) -> Vec<FaceId> {
        std::mem::take(&mut self.strangers)
    }

    /// The more people are known, the more alike a face must be.
    fn fit_to(&mut self, gallery: &dyn Gallery) {
        if self.people_known != Some(gallery.len())
            && let Some(scale) = &mut self.scale
        {
            scale.fit(gallery.len(), gallery.impostors());
            self.people_known = Some(gallery.len());
        }
    }

    /// Drops the faces that are gone, and joins those that were known again with what was known of them.
    fn follow_ids(&mut self, tracks: &[Track]) {
        for track in tracks {
            let Some(former) = track.former_id.and_then(|former| self.faces.remove(&former)) else { continue };
            let face = self.faces.entry(track.face_id).or_insert(former);
            face.is_unproven = face.evidence.decided().is_some();
        }
        let parted = &mut self.parted;
        self.faces.retain(|face_id, face| {
            let is_live = tracks.iter().any(|track| track.face_id == *face_id);
            if let Some(person) = face.evidence.decided().filter(|_| !is_live) {
                parted.insert(*face_id, person);
            }
            is_live
        });
        while parted.len() > MOST_PARTED {
            parted.pop_first();
        }
    }

    /// Forgets every face and visit, for stamps that jumped backwards. The next frame reports the
    /// faces as lost and the people as gone.
    pub fn reset(&mut self) {
        self.faces.clear();
        self.parted.clear();
        self.order.clear();
        self.presence.close();
    }

    /// Removes everything about a person who was removed from the gallery, and says which faces were
    /// theirs.
    pub fn forget(&mut self, person: PersonId) -> Vec<FaceId> {
        let mut theirs = Vec::new();
        for (face_id, face) in &mut self.faces {
            if face.evidence.decided() == Some(person) {
                theirs.push(*face_id);
            }
            if theirs.contains(face_id) {
                face.stranger = Stranger::default();
            }
            face.evidence.forget(person);
        }
        self.parted.retain(|face_id, parted| {
            if *parted == person {
                theirs.push(*face_id);
            }
            *parted != person
        });
        self.presence.forget(person);
        theirs
    }

    /// What spoke for `absorb` speaks for `keep` from now on: the two were merged in the gallery.
    pub fn merge(&mut self, keep: PersonId, absorb: PersonId) {
        for face in self.faces.values_mut() {
            face.evidence.merge(keep, absorb);
        }
        for parted in self.parted.values_mut().filter(|parted| **parted == absorb) {
            *parted = keep;
        }
        self.presence.merge(keep, absorb);
    }

    /// Of several faces with one name the one in view keeps it, and the surest of those; it takes
    /// more to take a name over than to keep it.
    fn leave_each_name_to_one(&mut self, published: &[&Track], stamp: Stamp, gallery: &dyn Gallery) {
        let mut bearers: BTreeMap<PersonId, (bool, f64, FaceId)> = BTreeMap::new();
        for track in published {
            let Some(face) = self.faces.get(&track.face_id) else { continue };
            // There may be several posters of one face.
            let is_person = |person: &PersonId| gallery.standing(*person) != Some(Standing::Negative);
            let Some(name) = face.evidence.decided().filter(is_person) else { continue };
            let habit = if self.presence.bearer(name) == Some(track.face_id) { TAKE_OVER } else { 0.0 };
            let is_sure = track.observation.is_some() && !face.is_unproven;
            let claim = (is_sure, face.evidence.log_odds(name, stamp) + habit, track.face_id);
            let bearer = bearers.entry(name).or_insert(claim);
            if (claim.0, claim.1) > (bearer.0, bearer.1) {
                *bearer = claim;
            }
        }
        for track in published {
            let Some(face) = self.faces.get_mut(&track.face_id) else { continue };
            let bearer = face.evidence.decided().and_then(|name| bearers.get(&name));
            if bearer.is_some_and(|bearer| bearer.2 != track.face_id) {
                face.evidence.yield_name();
            }
        }
    }

    fn person(&self, track: &Track, stamp: Stamp, gallery: &dyn Gallery) -> Person {
        let face = self.faces.get(&track.face_id);
        Person {
            face_id: track.face_id,
            identity: face.map_or_else(Identity::default, |face| self.identity(face, stamp, gallery)),
            bbox: track.bbox,
            score: track.last_detection.score,
            landmarks: track.last_detection.landmarks,
            quality: face.map_or(0.0, |face| face.quality),
            observed: track.observation.is_some(),
            track_age_secs: stamp.secs_since(track.first_seen) as f32,
            emotion: face.and_then(|face| face.expression.reading()),
            // The heads are looked at once the people are known.
            pose: None,
            attention: None,
        }
    }

    fn read_expressions(&mut self, tracks: &[Track], seen: &[Observation], stamp: Stamp) {
        let Some(filter) = &self.expressions else { return };
        for track in tracks {
            let Some(face) = self.faces.get_mut(&track.face_id) else { continue };
            let sight = match track.observation.and_then(|index| seen.get(index)) {
                Some(Observation { emotion: Some(scores), emotion_quality, .. }) => {
                    Sight::Read(*scores, *emotion_quality)
                }
                Some(Observation { emotion_quality, .. }) if *emotion_quality > 0.0 => Sight::Fit,
                _ => Sight::Unfit,
            };
            face.expression.belongs_to(face.evidence.decided());
            face.expression.update(filter, stamp, sight);
        }
    }

    fn report_expressions(&mut self, frame: &People, events: &mut Vec<PersonEvent>) {
        for person in &frame.people {
            let Some(face) = self.faces.get_mut(&person.face_id) else { continue };
            if let Some(label) = face.expression.take_change() {
                let confidence = person.emotion.map_or(0.0, |reading| reading.confidence);
                events.push(presence::expression_changed(frame, person, label, confidence));
            }
        }
    }

    fn identity(&self, face: &Face, stamp: Stamp, gallery: &dyn Gallery) -> Identity {
        let Some(scale) = &self.scale else { return Identity::default() };
        let evidence = &face.evidence;
        let mut identity = Identity {
            similarity: evidence.similarity(),
            candidate: evidence.candidate(),
            margin: evidence.margin(),
            ..Identity::default()
        };
        if let Some(person) = evidence.decided() {
            if face.is_unproven && face.last_seen == Some(stamp) {
                identity.state = IdentityState::Pending;
                return identity;
            }
            identity.state = match gallery.standing(person) {
                Some(Standing::Named) => IdentityState::Named,
                Some(Standing::Known) => IdentityState::Known,
                Some(Standing::Anonymous) => IdentityState::Anonymous,
                // A poster is nobody.
                Some(Standing::Negative) | None => return identity,
            };
            identity.name = name(person, gallery);
            identity.person_id = Some(person);
            identity.confidence = evidence.probability(person, stamp) as f32;
            return identity;
        }
        identity.state = match evidence.verdict(scale) {
            Verdict::Unknown => IdentityState::Unknown,
            Verdict::Ambiguous => IdentityState::Ambiguous,
            Verdict::Pending | Verdict::Is(_) => IdentityState::Pending,
        };
        identity
    }

    /// Visible people first, nearest first; but neighbours change places only when one is clearly
    /// nearer, so that the list does not flicker.
    fn arrange(&mut self, people: &mut [Person]) {
        self.order.retain(|face_id| people.iter().any(|person| person.face_id == *face_id));
        for person in people.iter() {
            if !self.order.contains(&person.face_id) {
                self.order.push(person.face_id);
            }
        }
        people.sort_by_key(|person| self.order.iter().position(|face_id| *face_id == person.face_id));
        // Each exchange brings two areas into falling order, so this ends.
        while let Some(at) = people.windows(2).position(|pair| pair[1].bbox.area() > NEARER * pair[0].bbox.area()) {
            people.swap(at, at + 1);
        }
        self.order.clear();
        self.order.extend(people.iter().map(|person| person.face_id));
        people.sort_by_key(|person| !person.observed);
    }
}

impl Face {
    /// Takes one observation; true when it makes a stranger worth remembering.
    fn observe(
        &mut self,
        stamp: Stamp,
        observation: &Observation,
        gallery: &dyn Gallery,
        scale: Option<&Scale>,
        learns: bool,
    ) -> Result<bool, GalleryError> {
        self.quality = observation.quality;
        let was_hidden = self.last_seen.is_some_and(|last_seen| stamp.secs_since(last_seen) >= HIDDEN_SECS);
        self.is_unproven |= was_hidden && self.evidence.decided().is_some();
        self.last_seen = Some(stamp);
        let (Some(look), Some(scale)) = (&observation.embedding, scale) else { return Ok(false) };
        let candidates = gallery.search(look, CANDIDATES)?;
        let name = self.evidence.decided();
        self.evidence.take(stamp, observation.quality, &candidates, scale);
        let lost_its_name = name.is_some() && self.evidence.decided().is_none();
        self.looks = if lost_its_name { 0 } else { self.looks.saturating_add(1) };
        self.last_look = Some(stamp);
        match self.evidence.proof(observation.quality, &candidates, scale) {
            Some(agrees) => self.is_unproven = !agrees,
            None => self.is_unproven &= self.evidence.decided().is_some(),
        }
        let is_nobody = self.evidence.decided().is_none();
        Ok(learns && is_nobody && self.stranger.take(stamp, observation.quality, look, &candidates, scale))
    }
}

#[cfg(test)]
mod tests;
