//! One line of `people.jsonl`: everyone in one processed frame.

use crate::emotion::Emotion;
use crate::geometry::Point;
use crate::head_pose::HeadPose;
use crate::people::{EmotionReading, IdentityState, People, Person};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Four decimals: finer than anything here is measured, and the same text on every machine.
pub(super) fn rounded(value: f64) -> f64 {
    // The sum turns -0 into 0.
    (value * 1e4).round() / 1e4 + 0.0
}

fn short(value: f32) -> f64 {
    rounded(f64::from(value))
}

/// A frame's people as one line of JSON, without the line feed.
pub(super) fn line(people: &People) -> serde_json::Result<String> {
    serde_json::to_string(&FrameLine {
        stamp: people.stamp.nanos(),
        camera: people.camera.as_str(),
        width: people.width,
        height: people.height,
        people: people.people.iter().map(PersonLine::of).collect(),
    })
}

#[derive(serde::Serialize)]
struct FrameLine<'a> {
    stamp: i64,
    camera: &'a str,
    width: u32,
    height: u32,
    people: Vec<PersonLine<'a>>,
}

#[derive(serde::Serialize)]
struct PersonLine<'a> {
    face_id: &'a str,
    person_id: &'a str,
    name: &'a str,
    identity_state: IdentityState,
    identity_confidence: f64,
    identity_similarity: f64,
    r#box: [f64; 4],
    score: f64,
    landmarks: [[f64; 2]; 5],
    observed: bool,
    track_age_secs: f64,
    emotion: EmotionLine,
    pose: Option<PoseLine>,
    distance: Option<f64>,
    attention: Option<f64>,
    /// Whose reference the similarity is about; not in the messages, for evaluation.
    candidate_id: &'a str,
}

/// As `geometry_msgs/Pose`, in the optical frame of the camera: x y z, metres, and x y z w.
#[derive(serde::Serialize)]
struct PoseLine {
    position: [f64; 3],
    orientation: [f64; 4],
}

impl<'a> PersonLine<'a> {
    fn of(person: &'a Person) -> Self {
        let identity = &person.identity;
        Self {
            face_id: person.face_id.as_str(),
            person_id: identity.person_id.as_ref().map_or("", |id| id.as_str()),
            name: identity.name.as_deref().unwrap_or_default(),
            identity_state: identity.state,
            identity_confidence: short(identity.confidence),
            identity_similarity: short(identity.similarity),
            r#box: person.bbox.to_array().map(short),
            score: short(person.score),
            landmarks: person.landmarks.points.map(|Point { x, y, .. }| [short(x), short(y)]),
            observed: person.observed,
            track_age_secs: short(person.track_age_secs),
            emotion: EmotionLine::of(person.emotion.as_ref()),
            pose: person.pose.as_ref().map(PoseLine::of),
            distance: person.pose.map(|pose| rounded(pose.distance())),
            attention: person.attention.map(short),
            candidate_id: identity.candidate.as_ref().map_or("", |id| id.as_str()),
        }
    }
}

impl PoseLine {
    fn of(pose: &HeadPose) -> Self {
        Self { position: <[f64; 3]>::from(pose.position).map(rounded), orientation: pose.orientation().map(rounded) }
    }
}

/// The same keys whether or not there is a reading.
#[derive(serde::Serialize)]
struct EmotionLine {
    label: &'static str,
    confidence: f64,
    valid: bool,
    uncertain: bool,
    probabilities: Probabilities,
    probabilities_raw: Probabilities,
    valence: Option<f64>,
    arousal: Option<f64>,
}

impl EmotionLine {
    fn of(reading: Option<&EmotionReading>) -> Self {
        Self {
            label: reading.map_or("", |reading| reading.label.name()),
            confidence: reading.map_or(0.0, |reading| short(reading.confidence)),
            valid: reading.is_some(),
            uncertain: reading.is_some_and(|reading| reading.uncertain),
            probabilities: Probabilities(reading.map(|reading| reading.probabilities)),
            probabilities_raw: Probabilities(reading.and_then(|reading| reading.raw)),
            valence: reading.map(|reading| short(reading.valence)),
            arousal: reading.map(|reading| short(reading.arousal)),
        }
    }
}

/// A map from label to probability; empty without a reading.
struct Probabilities(Option<[f32; 8]>);

impl Serialize for Probabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (emotion, probability) in Emotion::ALL.into_iter().zip(self.0.into_iter().flatten()) {
            map.serialize_entry(emotion.name(), &short(probability))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::testing::{frame, person};

    #[test]
    fn a_line_has_the_promised_keys_in_their_order() {
        let mut named = person(1, Some("Anna"));
        named.emotion = Some(EmotionReading {
            label: Emotion::Happiness,
            confidence: 0.83,
            uncertain: false,
            probabilities: [0.08, 0.83, 0.03, 0.02, 0.01, 0.01, 0.01, 0.01],
            raw: None,
            valence: 0.67,
            arousal: 0.36,
        });
        named.pose = Some(crate::head_pose::tests::head(0.0, 0.0, 0.0, [0.3, 0.0, 0.4]));
        named.attention = Some(0.75);
        let text = line(&frame(1_700_000_000_066_666_666, vec![named, person(2, None)])).unwrap();
        let expected = concat!(
            r#"{"stamp":1700000000066666666,"camera":"camera","width":640,"height":480,"people":["#,
            r#"{"face_id":"FACE1","person_id":"PERSON1","name":"Anna","identity_state":"named","#,
            r#""identity_confidence":0.97,"identity_similarity":0.71,"box":[120.5,80.0,201.0,190.2],"score":0.99,"#,
            r#""landmarks":[[140.1,120.2],[178.0,121.0],[160.2,140.9],[145.5,165.0],[175.1,164.2]],"#,
            r#""observed":true,"track_age_secs":1.2,"emotion":{"label":"happiness","confidence":0.83,"valid":true,"#,
            r#""uncertain":false,"probabilities":{"neutral":0.08,"happiness":0.83,"surprise":0.03,"sadness":0.02,"#,
            r#""anger":0.01,"disgust":0.01,"fear":0.01,"contempt":0.01},"#,
            r#""probabilities_raw":{},"valence":0.67,"arousal":0.36},"#,
            r#""pose":{"position":[0.3,0.0,0.4],"orientation":[0.5,0.5,-0.5,0.5]},"distance":0.5,"attention":0.75,"candidate_id":"PERSON1"},"#,
            r#"{"face_id":"FACE2","person_id":"","name":"","identity_state":"unknown","#,
            r#""identity_confidence":0.0,"identity_similarity":0.0,"box":[120.5,80.0,201.0,190.2],"score":0.99,"#,
            r#""landmarks":[[140.1,120.2],[178.0,121.0],[160.2,140.9],[145.5,165.0],[175.1,164.2]],"#,
            r#""observed":true,"track_age_secs":1.2,"emotion":{"label":"","confidence":0.0,"valid":false,"#,
            r#""uncertain":false,"probabilities":{},"probabilities_raw":{},"valence":null,"arousal":null},"#,
            r#""pose":null,"distance":null,"attention":null,"candidate_id":""}]}"#
        );
        let ids = [
            ("FACE1", crate::ids::FaceId::from_counter(1).to_string()),
            ("FACE2", crate::ids::FaceId::from_counter(2).to_string()),
            ("PERSON1", crate::ids::PersonId::from_counter(1).to_string()),
        ];
        let expected = ids.iter().fold(expected.to_owned(), |text, (mark, id)| text.replace(mark, id));
        assert_eq!(text, expected);
    }

    #[test]
    fn odd_numbers_stay_valid_json() {
        assert_eq!(rounded(-0.000_01).to_string(), "0");
        let mut odd = person(1, None);
        odd.score = f32::NAN;
        let text = line(&frame(0, vec![odd])).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["people"][0]["score"].is_null());
    }
}
