//! `foxglove_msgs`: what viewers draw over an image, field by field as in its files.
#![expect(missing_docs, reason = "the package documents its fields")]

use super::Message;
use super::messages::Time;
use crate::geometry::{ImagePx, Point};
use crate::people::{self, IdentityState};
use serde::{Deserialize, Serialize};

macro_rules! foxglove {
    ($($type:ident)*) => {
        $(impl Message for $type {
            const TYPE: &'static str = concat!("foxglove_msgs/msg/", stringify!($type));
        })*
    };
}

foxglove! { Point2 Color CircleAnnotation PointsAnnotation TextAnnotation ImageAnnotations }

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point2 {
    pub x: f64,
    pub y: f64,
}

/// 0..=1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Color {
    pub r: f64,
    pub g: f64,
    pub b: f64,
    pub a: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CircleAnnotation {
    pub timestamp: Time,
    pub position: Point2,
    pub diameter: f64,
    pub thickness: f64,
    pub fill_color: Color,
    pub outline_color: Color,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PointsAnnotation {
    pub timestamp: Time,
    pub r#type: u8,
    pub points: Vec<Point2>,
    pub outline_color: Color,
    pub outline_colors: Vec<Color>,
    pub fill_color: Color,
    pub thickness: f64,
}

impl PointsAnnotation {
    pub const POINTS: u8 = 1;
    pub const LINE_LOOP: u8 = 2;
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextAnnotation {
    pub timestamp: Time,
    pub position: Point2,
    pub text: String,
    pub font_size: f64,
    pub text_color: Color,
    pub background_color: Color,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageAnnotations {
    pub circles: Vec<CircleAnnotation>,
    pub points: Vec<PointsAnnotation>,
    pub texts: Vec<TextAnnotation>,
}

/// Height of the text and width of the lines, pixels of an image this high.
const FONT_PX: f64 = 14.0;
const LINE_PX: f64 = 2.0;
const IMAGE_PX: f64 = 480.0;
const BEHIND_TEXT: Color = Color { r: 0.06, g: 0.07, b: 0.09, a: 0.78 };

impl From<&people::People> for ImageAnnotations {
    /// A box and a label for everyone, and the five points of those who were seen.
    fn from(seen: &people::People) -> Self {
        let scale = (f64::from(seen.height) / IMAGE_PX).max(1.0);
        let timestamp = Time::from(seen.stamp);
        let mut drawn = Self::default();
        for person in &seen.people {
            let colour = colour_of(person.identity.state, person.observed);
            let lines = |r#type: u8, points: Vec<Point2>| PointsAnnotation {
                timestamp,
                r#type,
                points,
                outline_color: colour,
                thickness: LINE_PX * scale,
                ..PointsAnnotation::default()
            };
            let [x1, y1, x2, y2] = person.bbox.to_array().map(f64::from);
            let corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)].map(|(x, y)| Point2 { x, y });
            drawn.points.push(lines(PointsAnnotation::LINE_LOOP, corners.to_vec()));
            if person.observed {
                let points = person.landmarks.points.iter().map(Point2::from).collect();
                drawn.points.push(lines(PointsAnnotation::POINTS, points));
            }
            drawn.texts.push(TextAnnotation {
                timestamp,
                position: Point2 { x: x1, y: y1 - LINE_PX * scale },
                text: label_of(person),
                font_size: FONT_PX * scale,
                text_color: colour,
                background_color: BEHIND_TEXT,
            });
        }
        drawn
    }
}

impl From<&Point<ImagePx>> for Point2 {
    fn from(point: &Point<ImagePx>) -> Self {
        Self { x: point.x.into(), y: point.y.into() }
    }
}

/// Green with a name, blue for a stored person without one, amber while it is looked at, grey else; the
/// same as on the annotated picture.
fn colour_of(state: IdentityState, observed: bool) -> Color {
    let (r, g, b) = match state {
        IdentityState::Named => (0.24, 0.86, 0.35),
        IdentityState::Known | IdentityState::Anonymous => (0.35, 0.71, 1.0),
        IdentityState::Pending | IdentityState::Ambiguous => (1.0, 0.71, 0.16),
        IdentityState::Unknown => (0.78, 0.78, 0.78),
    };
    Color { r, g, b, a: if observed { 1.0 } else { 0.5 } }
}

fn label_of(person: &people::Person) -> String {
    let identity = &person.identity;
    let id = identity.person_id.map_or_else(|| person.face_id.to_string(), |id| id.to_string());
    let mut label = identity.name.clone().unwrap_or(id);
    if let Some(emotion) = person.emotion.as_ref().filter(|emotion| !emotion.uncertain) {
        label = format!("{label}, {}", emotion.label.name());
    }
    match person.pose {
        Some(pose) => format!("{label}, {:.1} m", pose.distance()),
        None => label,
    }
}
