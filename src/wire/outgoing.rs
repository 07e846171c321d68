//! What the pipeline found, as messages. A field that nobody measured is NaN.

use super::messages::{Duration, Header, People, Person, PersonEvent, PersonRecord, Point, Pose, Quaternion, Time};
use crate::gallery;
use crate::head_pose::HeadPose;
use crate::people;
use crate::time::Stamp;
use std::fmt::Display;

const NANOS_PER_SEC: i64 = 1_000_000_000;

impl Header {
    pub(crate) fn new(stamp: Stamp, frame_id: &str) -> Self {
        Self { stamp: stamp.into(), frame_id: frame_id.to_owned() }
    }
}

impl Duration {
    fn from_nanos(nanos: i64) -> Self {
        let sec = nanos.div_euclid(NANOS_PER_SEC).clamp(i32::MIN.into(), i32::MAX.into());
        Self { sec: sec as i32, nanosec: nanos.rem_euclid(NANOS_PER_SEC) as u32 }
    }
}

/// ROS has no optional fields: nothing is the empty text.
fn text<T: Display>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

impl From<&people::People> for People {
    fn from(seen: &people::People) -> Self {
        Self {
            header: Header::new(seen.stamp, &seen.frame_id),
            camera: seen.camera.to_string(),
            width: seen.width,
            height: seen.height,
            frame_seq: seen.frame_seq,
            displaced: seen.displaced,
            latency: Duration::from_nanos(seen.latency_nanos),
            people: seen.people.iter().map(Person::from).collect(),
        }
    }
}

impl From<&people::Person> for Person {
    fn from(person: &people::Person) -> Self {
        let identity = &person.identity;
        let emotion = person.emotion.as_ref();
        let mut landmarks = [0.0; 10];
        for (xy, point) in landmarks.as_chunks_mut::<2>().0.iter_mut().zip(person.landmarks.points) {
            *xy = [point.x, point.y];
        }
        Self {
            face_id: person.face_id.to_string(),
            person_id: text(identity.person_id.as_ref()),
            name: text(identity.name.as_ref()),
            identity_state: identity.state as u8,
            identity_confidence: identity.confidence,
            identity_similarity: identity.similarity,
            identity_margin: identity.margin,
            r#box: person.bbox.to_array(),
            score: person.score,
            landmarks,
            quality: person.quality,
            observed: person.observed,
            track_age: person.track_age_secs,
            emotion_valid: emotion.is_some(),
            emotion_uncertain: emotion.is_some_and(|e| e.uncertain),
            emotion: emotion.map_or(0, |e| e.label as u8),
            emotion_confidence: emotion.map_or(0.0, |e| e.confidence),
            emotion_probabilities: emotion.map_or([f32::NAN; 8], |e| e.probabilities),
            emotion_probabilities_raw: emotion.and_then(|e| e.raw).unwrap_or([f32::NAN; 8]),
            valence: emotion.map_or(f32::NAN, |e| e.valence),
            arousal: emotion.map_or(f32::NAN, |e| e.arousal),
            pose_valid: person.pose.is_some(),
            pose: person.pose.as_ref().map(Pose::from).unwrap_or_default(),
            distance: person.pose.map_or(f32::NAN, |pose| pose.distance() as f32),
            attention: person.attention.unwrap_or(f32::NAN),
        }
    }
}

impl From<&HeadPose> for Pose {
    fn from(head: &HeadPose) -> Self {
        let [x, y, z] = head.position.into();
        let position = Point { x, y, z };
        let [x, y, z, w] = head.orientation();
        Self { position, orientation: Quaternion { x, y, z, w } }
    }
}

impl From<&people::PersonEvent> for PersonEvent {
    fn from(event: &people::PersonEvent) -> Self {
        Self {
            header: Header::new(event.stamp, &event.frame_id),
            r#type: event.kind as u8,
            camera: event.camera.to_string(),
            face_id: text(event.face_id.as_ref()),
            person_id: text(event.person_id.as_ref()),
            other_person_id: text(event.other_person_id.as_ref()),
            name: text(event.name.as_ref()),
            detail: event.detail.clone(),
            confidence: event.confidence,
            absent_for: event.absent_for_secs,
        }
    }
}

impl From<&gallery::PersonRecord> for PersonRecord {
    fn from(record: &gallery::PersonRecord) -> Self {
        Self {
            person_id: record.person_id.to_string(),
            name: record.name.clone().unwrap_or_default(),
            first_seen: record.first_seen.into(),
            last_seen: record.last_seen.into(),
            encounters: record.encounters,
            references: record.references,
            aliases: record.aliases.iter().map(ToString::to_string).collect(),
            consent: record.consent.is_some(),
            expires: record.expires.map(Time::from).unwrap_or_default(),
        }
    }
}
