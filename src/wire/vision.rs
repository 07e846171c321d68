//! `vision_msgs` (4.0 and later): detections in an image, field by field as in its files.
#![expect(missing_docs, reason = "the package documents its fields")]

use super::Message;
use super::geometry::PoseWithCovariance;
use super::messages::Header;
use crate::geometry::{BBox, ImagePx};
use crate::people;
use serde::{Deserialize, Serialize};

macro_rules! vision {
    ($($type:ident)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = concat!("vision_msgs/msg/", stringify!($type));
        })*
    };
}

vision! { Point2D Pose2D BoundingBox2D ObjectHypothesis ObjectHypothesisWithPose Detection2D Detection2DArray }

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point2D {
    pub x: f64,
    pub y: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pose2D {
    pub position: Point2D,
    pub theta: f64,
}

/// Pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox2D {
    pub center: Pose2D,
    pub size_x: f64,
    pub size_y: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectHypothesis {
    pub class_id: String,
    pub score: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectHypothesisWithPose {
    pub hypothesis: ObjectHypothesis,
    pub pose: PoseWithCovariance,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection2D {
    pub header: Header,
    pub results: Vec<ObjectHypothesisWithPose>,
    pub bbox: BoundingBox2D,
    pub id: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection2DArray {
    pub header: Header,
    pub detections: Vec<Detection2D>,
}

/// The class of every detection; with a person's id comes a second one.
pub const FACE_CLASS: &str = "face";

impl From<&people::People> for Detection2DArray {
    /// Those who were seen in this image.
    fn from(seen: &people::People) -> Self {
        let header = Header::new(seen.stamp, &seen.frame_id);
        let observed = seen.people.iter().filter(|person| person.observed);
        Self { detections: observed.map(|person| Detection2D::of(person, &header)).collect(), header }
    }
}

impl Detection2D {
    fn of(person: &people::Person, header: &Header) -> Self {
        let pose = PoseWithCovariance {
            pose: person.pose.as_ref().map(Into::into).unwrap_or_default(),
            ..PoseWithCovariance::default()
        };
        let face = (FACE_CLASS.to_owned(), person.score);
        let who = person.identity.person_id.map(|id| (id.to_string(), person.identity.confidence));
        let results = std::iter::once(face).chain(who).map(|(class_id, score)| ObjectHypothesisWithPose {
            hypothesis: ObjectHypothesis { class_id, score: score.into() },
            pose,
        });
        Self {
            header: header.clone(),
            results: results.collect(),
            bbox: BoundingBox2D::from(&person.bbox),
            id: person.face_id.to_string(),
        }
    }
}

impl From<&BBox<ImagePx>> for BoundingBox2D {
    fn from(bbox: &BBox<ImagePx>) -> Self {
        let centre = bbox.centre();
        let position = Point2D { x: centre.x.into(), y: centre.y.into() };
        Self { center: Pose2D { position, theta: 0.0 }, size_x: bbox.width().into(), size_y: bbox.height().into() }
    }
}
