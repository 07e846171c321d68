//! What REP-155 says of one face.

use super::Topic;
use super::crops::PICTURES;
use crate::emotion::Emotion;
use crate::geometry::{ImagePx, Point};
use crate::node::transport::Qos;
use crate::people::{EmotionReading, People, Person};
use crate::wire::hri::{Expression, FacialLandmarks, NormalizedPointOfInterest2D, NormalizedRegionOfInterest2D};
use crate::wire::messages::{Header, Image};

/// All topics of a face; `name` makes the full name.
pub(super) fn topics(name: impl Fn(&str) -> String) -> [Topic; 5] {
    let qos = Qos::reliable(1);
    let [cropped, aligned] = PICTURES.map(|picture| Topic::new::<Image>(name(picture), qos));
    [
        Topic::new::<NormalizedRegionOfInterest2D>(name("roi"), qos),
        Topic::new::<FacialLandmarks>(name("landmarks"), qos),
        cropped,
        aligned,
        Topic::new::<Expression>(name("expression"), qos),
    ]
}

/// The box as shares of the image, the part of it that lies in the image.
pub(super) fn roi(person: &Person, people: &People, header: &Header) -> NormalizedRegionOfInterest2D {
    let (width, height) = (people.width as f32, people.height as f32);
    let share = |value: f32, of: f32| if of > 0.0 { (value / of).clamp(0.0, 1.0) } else { 0.0 };
    let bbox = &person.bbox;
    NormalizedRegionOfInterest2D {
        header: header.clone(),
        xmin: share(bbox.x1, width),
        ymin: share(bbox.y1, height),
        xmax: share(bbox.x2, width),
        ymax: share(bbox.y2, height),
        c: person.score,
    }
}

/// Our five points and the middle between the eyes at their places; the others stay zero, and so does a
/// point outside the image.
pub(super) fn landmarks(person: &Person, people: &People, header: &Header) -> FacialLandmarks {
    let [right_eye, left_eye, nose, mouth_right, mouth_left] = person.landmarks.points;
    let mut message =
        FacialLandmarks { header: header.clone(), height: people.height, width: people.width, ..Default::default() };
    for (place, point) in [
        (FacialLandmarks::RIGHT_PUPIL, right_eye),
        (FacialLandmarks::LEFT_PUPIL, left_eye),
        (FacialLandmarks::SELLION, right_eye.midpoint(left_eye)),
        (FacialLandmarks::NOSE, nose),
        (FacialLandmarks::MOUTH_OUTER_RIGHT, mouth_right),
        (FacialLandmarks::MOUTH_OUTER_LEFT, mouth_left),
    ] {
        message.landmarks[place] = share_of(point, people, person.score);
    }
    message
}

fn share_of(point: Point<ImagePx>, people: &People, c: f32) -> NormalizedPointOfInterest2D {
    let (x, y) = (point.x / people.width as f32, point.y / people.height as f32);
    let is_inside = (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y);
    if is_inside { NormalizedPointOfInterest2D { x, y, c } } else { NormalizedPointOfInterest2D::default() }
}

/// The expression, when it was measured in this frame and is clear. Contempt has no word: it is left out
/// and what it had goes to the others.
pub(super) fn expression(person: &Person, header: &Header) -> Option<Expression> {
    let reading = person.emotion.as_ref().filter(|reading| reading.raw.is_some() && !reading.uncertain)?;
    let (emotion, confidence) = without_contempt(reading);
    Some(Expression {
        header: header.clone(),
        expression: Expression::word(emotion)?.to_owned(),
        valence: reading.valence,
        arousal: reading.arousal,
        confidence,
    })
}

fn without_contempt(reading: &EmotionReading) -> (Emotion, f32) {
    let probabilities = &reading.probabilities;
    let rest = 1.0 - probabilities[Emotion::Contempt as usize];
    let (emotion, probability) = if reading.label == Emotion::Contempt {
        let others = Emotion::ALL.into_iter().filter(|emotion| *emotion != Emotion::Contempt);
        let best = others.max_by(|a, b| probabilities[*a as usize].total_cmp(&probabilities[*b as usize]));
        let best = best.unwrap_or(Emotion::Neutral);
        (best, probabilities[best as usize])
    } else {
        (reading.label, reading.confidence)
    };
    (emotion, if rest > 0.0 { (probability / rest).clamp(0.0, 1.0) } else { 0.0 })
}
