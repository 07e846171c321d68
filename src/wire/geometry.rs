//! `geometry_msgs`, `tf2_msgs` and the single values of `std_msgs`, field by field as in their files.
#![expect(missing_docs, reason = "the packages document their fields")]

use super::Message;
use super::messages::{Header, Point, Pose, Quaternion};
use crate::people;
use serde::{Deserialize, Serialize};

macro_rules! geometry {
    ($($type:ident = $name:literal,)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = $name;
        })*
    };
}

geometry! {
    Vector3 = "geometry_msgs/msg/Vector3",
    Transform = "geometry_msgs/msg/Transform",
    TransformStamped = "geometry_msgs/msg/TransformStamped",
    PoseStamped = "geometry_msgs/msg/PoseStamped",
    PoseWithCovariance = "geometry_msgs/msg/PoseWithCovariance",
    TfMessage = "tf2_msgs/msg/TFMessage",
    Bool = "std_msgs/msg/Bool",
    Float32 = "std_msgs/msg/Float32",
    Text = "std_msgs/msg/String",
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vector3 {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    pub translation: Vector3,
    pub rotation: Quaternion,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TransformStamped {
    pub header: Header,
    pub child_frame_id: String,
    pub transform: Transform,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoseStamped {
    pub header: Header,
    pub pose: Pose,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoseWithCovariance {
    pub pose: Pose,
    #[serde(with = "super::array")]
    pub covariance: [f64; 36],
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TfMessage {
    pub transforms: Vec<TransformStamped>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bool {
    pub data: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Float32 {
    pub data: f32,
}

/// `std_msgs/String`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub data: String,
}

impl Default for PoseWithCovariance {
    fn default() -> Self {
        Self { pose: Pose::default(), covariance: [0.0; 36] }
    }
}

impl From<Pose> for Transform {
    fn from(pose: Pose) -> Self {
        let Point { x, y, z } = pose.position;
        Self { translation: Vector3 { x, y, z }, rotation: pose.orientation }
    }
}

impl PoseStamped {
    /// The head of the person who is nearest, of those that have a place. The list is in that order, and
    /// does not change it for a step forth or back.
    pub fn of_nearest(seen: &people::People) -> Option<Self> {
        let pose = seen.people.iter().find_map(|person| person.pose.as_ref())?;
        Some(Self { header: Header::new(seen.stamp, &seen.frame_id), pose: pose.into() })
    }
}
