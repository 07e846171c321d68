//! The small messages, field by field as in `msg/` and in the standard packages.
#![expect(missing_docs, reason = "the .msg files document the fields; a test keeps names, order and types equal")]

use super::Message;
use crate::people::{EventKind, IdentityState};
use crate::time::{InvalidStamp, Stamp};
use serde::{Deserialize, Serialize};

macro_rules! messages {
    ($($type:ident = $name:literal,)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = $name;
        })*
    };
}

messages! {
    Time = "builtin_interfaces/msg/Time",
    Duration = "builtin_interfaces/msg/Duration",
    Header = "std_msgs/msg/Header",
    Point = "geometry_msgs/msg/Point",
    Quaternion = "geometry_msgs/msg/Quaternion",
    Pose = "geometry_msgs/msg/Pose",
    Image = "sensor_msgs/msg/Image",
    CompressedImage = "sensor_msgs/msg/CompressedImage",
    Person = "rostro/msg/Person",
    People = "rostro/msg/People",
    PersonEvent = "rostro/msg/PersonEvent",
    PersonRecord = "rostro/msg/PersonRecord",
    KnownPeople = "rostro/msg/KnownPeople",
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    pub sec: i32,
    pub nanosec: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duration {
    pub sec: i32,
    pub nanosec: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub stamp: Time,
    pub frame_id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quaternion {
    pub x: f64,
    pub y: f64,
    pub z: f64,
    pub w: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    pub position: Point,
    pub orientation: Quaternion,
}

/// With its own pixels, for services; topics and bags are read by [`super::image::RawImage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub header: Header,
    pub height: u32,
    pub width: u32,
    pub encoding: String,
    pub is_bigendian: u8,
    pub step: u32,
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

/// With its own bytes; topics and bags are read by [`super::image::CompressedImage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressedImage {
    pub header: Header,
    pub format: String,
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the message has them")]
pub struct Person {
    pub face_id: String,
    pub person_id: String,
    pub name: String,
    pub identity_state: u8,
    pub identity_confidence: f32,
    pub identity_similarity: f32,
    pub identity_margin: f32,
    pub r#box: [f32; 4],
    pub score: f32,
    pub landmarks: [f32; 10],
    pub quality: f32,
    pub observed: bool,
    pub track_age: f32,
    pub emotion_valid: bool,
    pub emotion_uncertain: bool,
    pub emotion: u8,
    pub emotion_confidence: f32,
    pub emotion_probabilities: [f32; 8],
    pub emotion_probabilities_raw: [f32; 8],
    pub valence: f32,
    pub arousal: f32,
    pub pose_valid: bool,
    pub pose: Pose,
    pub distance: f32,
    pub attention: f32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct People {
    pub header: Header,
    pub camera: String,
    pub width: u32,
    pub height: u32,
    pub frame_seq: u64,
    pub displaced: u32,
    pub latency: Duration,
    pub people: Vec<Person>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PersonEvent {
    pub header: Header,
    pub r#type: u8,
    pub camera: String,
    pub face_id: String,
    pub person_id: String,
    pub other_person_id: String,
    pub name: String,
    pub detail: String,
    pub confidence: f32,
    pub absent_for: f32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRecord {
    pub person_id: String,
    pub name: String,
    pub first_seen: Time,
    pub last_seen: Time,
    pub encounters: u32,
    pub references: u32,
    pub aliases: Vec<String>,
    pub consent: bool,
    pub expires: Time,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPeople {
    pub header: Header,
    pub people: Vec<PersonRecord>,
}

/// The constants of a message, also as a list for the test that compares them with the file.
macro_rules! constants {
    ($type:ident { $($name:ident = $value:expr,)* }) => {
        impl $type {
            $(pub const $name: u8 = $value as u8;)*
            /// Names and values, in the order of the file.
            pub const CONSTANTS: &'static [(&'static str, u8)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

constants!(Person {
    UNKNOWN = IdentityState::Unknown,
    PENDING = IdentityState::Pending,
    AMBIGUOUS = IdentityState::Ambiguous,
    ANONYMOUS = IdentityState::Anonymous,
    KNOWN = IdentityState::Known,
    NAMED = IdentityState::Named,
});

constants!(PersonEvent {
    FACE_APPEARED = EventKind::FaceAppeared,
    FACE_LOST = EventKind::FaceLost,
    PERSON_IDENTIFIED = EventKind::PersonIdentified,
    PERSON_RETURNED = EventKind::PersonReturned,
    PERSON_CREATED = EventKind::PersonCreated,
    PERSON_LEFT = EventKind::PersonLeft,
    PERSON_RENAMED = EventKind::PersonRenamed,
    PERSON_MERGED = EventKind::PersonMerged,
    PERSON_FORGOTTEN = EventKind::PersonForgotten,
    EXPRESSION_CHANGED = EventKind::ExpressionChanged,
    ATTENTION_GAINED = EventKind::AttentionGained,
    ATTENTION_LOST = EventKind::AttentionLost,
    ENROLMENT_PROGRESS = EventKind::EnrolmentProgress,
});

impl Default for Quaternion {
    /// No rotation, as in ROS.
    fn default() -> Self {
        Self { x: 0.0, y: 0.0, z: 0.0, w: 1.0 }
    }
}

impl From<Stamp> for Time {
    fn from(stamp: Stamp) -> Self {
        let (sec, nanosec) = stamp.to_ros();
        Self { sec, nanosec }
    }
}

impl TryFrom<Time> for Stamp {
    type Error = InvalidStamp;
    fn try_from(time: Time) -> Result<Self, InvalidStamp> {
        Self::from_ros(time.sec, time.nanosec)
    }
}
