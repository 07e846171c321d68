//! `hri_msgs`, as far as faces and people go: field by field as in its files (2.1 and later).
#![expect(missing_docs, reason = "the package documents its fields")]

use super::Message;
use super::messages::Header;
use crate::emotion::Emotion;
use serde::{Deserialize, Serialize};

macro_rules! hri {
    ($($type:ident)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = concat!("hri_msgs/msg/", stringify!($type));
        })*
    };
}

hri! {
    IdsList IdsMatch NormalizedRegionOfInterest2D NormalizedPointOfInterest2D FacialLandmarks Expression
    EngagementLevel
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdsList {
    pub header: Header,
    pub ids: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdsMatch {
    pub id1: String,
    pub id1_type: i8,
    pub id2: String,
    pub id2_type: i8,
    pub confidence: f32,
}

impl IdsMatch {
    pub const PERSON: i8 = 1;
    pub const FACE: i8 = 2;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NormalizedRegionOfInterest2D {
    pub header: Header,
    pub xmin: f32,
    pub ymin: f32,
    pub xmax: f32,
    pub ymax: f32,
    pub c: f32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NormalizedPointOfInterest2D {
    pub x: f32,
    pub y: f32,
    pub c: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FacialLandmarks {
    pub header: Header,
    #[serde(with = "super::array")]
    pub landmarks: [NormalizedPointOfInterest2D; 70],
    pub height: u32,
    pub width: u32,
}

/// Those of the seventy places that five points fill. Right and left are the person's.
impl FacialLandmarks {
    pub const SELLION: usize = 27;
    pub const NOSE: usize = 30;
    pub const MOUTH_OUTER_RIGHT: usize = 48;
    pub const MOUTH_OUTER_LEFT: usize = 54;
    pub const RIGHT_PUPIL: usize = 68;
    pub const LEFT_PUPIL: usize = 69;
}

impl Default for FacialLandmarks {
    fn default() -> Self {
        let nowhere = NormalizedPointOfInterest2D::default();
        Self { header: Header::default(), landmarks: [nowhere; 70], height: 0, width: 0 }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expression {
    pub header: Header,
    pub expression: String,
    pub valence: f32,
    pub arousal: f32,
    pub confidence: f32,
}

impl Expression {
    /// All that may stand in `expression`; readers complain about anything else.
    pub const ALLOWED: [&str; 25] = [
        "neutral",
        "angry",
        "sad",
        "happy",
        "surprised",
        "disgusted",
        "scared",
        "pleading",
        "vulnerable",
        "despaired",
        "guilty",
        "disappointed",
        "embarrassed",
        "horrified",
        "skeptical",
        "annoyed",
        "furious",
        "suspicious",
        "rejected",
        "bored",
        "tired",
        "asleep",
        "confused",
        "amazed",
        "excited",
    ];

    /// What an emotion is called here; contempt has no word.
    pub const fn word(emotion: Emotion) -> Option<&'static str> {
        Some(match emotion {
            Emotion::Neutral => "neutral",
            Emotion::Happiness => "happy",
            Emotion::Surprise => "surprised",
            Emotion::Sadness => "sad",
            Emotion::Anger => "angry",
            Emotion::Disgust => "disgusted",
            Emotion::Fear => "scared",
            Emotion::Contempt => return None,
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngagementLevel {
    pub header: Header,
    pub level: u8,
}

impl EngagementLevel {
    pub const UNKNOWN: u8 = 0;
    pub const DISENGAGED: u8 = 1;
    pub const ENGAGING: u8 = 2;
    pub const ENGAGED: u8 = 3;
    pub const DISENGAGING: u8 = 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_emotion_but_contempt_has_an_allowed_word_of_its_own() {
        let words: Vec<_> = Emotion::ALL.into_iter().filter_map(Expression::word).collect();
        assert_eq!(words.len(), 7);
        for (n, word) in words.iter().enumerate() {
            assert!(Expression::ALLOWED.contains(word) && !words[..n].contains(word), "{word}");
        }
        assert_eq!(Expression::word(Emotion::Contempt), None);
    }
}
