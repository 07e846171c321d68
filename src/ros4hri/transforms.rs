//! TF: `face_<id>` in the camera's frame, `gaze_<id>` on it, `person_<id>`. Each is sent once for a
//! moment and never for an earlier one.

use super::JUMP_SECS;
use crate::head_pose::HeadPose;
use crate::people::People;
use crate::time::Stamp;
use crate::wire::geometry::{TfMessage, Transform, TransformStamped};
use crate::wire::messages::{Header, Point, Pose, Quaternion};
use std::collections::BTreeMap;

/// From the face's frame to that of its gaze, which points along z with x to the right and y down.
const GAZE: Quaternion = Quaternion { x: -0.5, y: 0.5, z: -0.5, w: 0.5 };
/// Frames remembered; the longest unsent are forgotten first.
const MOST_FRAMES: usize = 1024;

/// When each frame was last sent.
#[derive(Debug, Default)]
pub(super) struct Transforms {
    sent: BTreeMap<String, Stamp>,
}

/// Where a person is.
pub(super) struct Place<'a> {
    /// The frame's name.
    pub(super) child: String,
    /// The frame that the head is in.
    pub(super) frame_id: &'a str,
    pub(super) head: HeadPose,
}

impl Transforms {
    /// The frames of everyone who has a place in this frame, and of `persons`.
    pub(super) fn of<'a>(&mut self, people: &'a People, persons: impl IntoIterator<Item = Place<'a>>) -> TfMessage {
        let mut message = TfMessage::default();
        let mut add = |parent: &str, child: String, pose: Pose| {
            // A frame without a name has no children.
            if !parent.is_empty() && self.may_send(&child, people.stamp) {
                let header = Header::new(people.stamp, parent);
                message.transforms.push(TransformStamped {
                    header,
                    child_frame_id: child,
                    transform: Transform::from(pose),
                });
            }
        };
        for person in people.people.iter().filter(|person| person.observed) {
            let Some(head) = &person.pose else { continue };
            let face = format!("face_{}", person.face_id);
            let gaze = Pose { position: Point::default(), orientation: GAZE };
            add(&people.frame_id, face.clone(), head.into());
            add(&face, format!("gaze_{}", person.face_id), gaze);
        }
        for place in persons {
            add(place.frame_id, place.child, (&place.head).into());
        }
        self.forget_oldest();
        message
    }

    fn may_send(&mut self, child: &str, stamp: Stamp) -> bool {
        if let Some(last) = self.sent.get(child)
            && (0.0..JUMP_SECS).contains(&last.secs_since(stamp))
        {
            return false;
        }
        self.sent.insert(child.to_owned(), stamp);
        true
    }

    fn forget_oldest(&mut self) {
        while self.sent.len() > MOST_FRAMES {
            let Some(oldest) = self.sent.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone()) else {
                return;
            };
            self.sent.remove(&oldest);
        }
    }
}
