//! From tracks to people: who each face is, decided over time, and what its expression says.

use crate::emotion::Emotion;
use crate::geometry::{BBox, ImagePx, Landmarks5};
use crate::ids::{CameraId, FaceId, PersonId};
use crate::time::Stamp;
use serde::Serialize;

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
