//! Which face is whose, for a person manager: repeated while it is so, taken back with confidence 0.

use super::{Sink, Writer};
use crate::ids::{FaceId, PersonId};
use crate::people::People;
use crate::time::Stamp;
use crate::wire::hri::IdsMatch;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds between repetitions.
const REPEAT_SECS: f64 = 0.5;
/// A confidence that has changed by this is told at once.
const CHANGED: f32 = 0.1;
/// A decided identity is at least this sure: person managers take less for no match.
const LEAST_CONFIDENCE: f32 = 0.5;
/// Most matches sent with one frame: readers keep ten.
const MOST_AT_ONCE: usize = 10;

/// The matches that hold.
#[derive(Debug, Default)]
pub(super) struct Matches {
    open: BTreeMap<FaceId, Match>,
    /// Those to be taken back.
    over: Vec<(FaceId, PersonId)>,
}

#[derive(Debug)]
struct Match {
    person: PersonId,
    confidence: f32,
    /// What was last sent, and when.
    sent: Option<(f32, Stamp)>,
}

impl Match {
    fn is_due(&self, stamp: Stamp) -> bool {
        self.sent.is_none_or(|(confidence, at)| {
            (confidence - self.confidence).abs() >= CHANGED || stamp.secs_since(at) >= REPEAT_SECS
        })
    }
}

impl Matches {
    /// Takes a frame's people; `listed` are the faces that readers know, of all cameras.
    pub(super) fn publish(
        &mut self,
        people: &People,
        listed: &BTreeSet<FaceId>,
        topic: &str,
        sink: &mut dyn Sink,
        writer: &mut Writer,
    ) {
        for person in people.people.iter().filter(|person| listed.contains(&person.face_id)) {
            self.take(person.face_id, person.identity.person_id, person.identity.confidence);
        }
        let gone: Vec<FaceId> = self.open.keys().filter(|face| !listed.contains(face)).copied().collect();
        for face in gone {
            self.take(face, None, 0.0);
        }
        let mut room = MOST_AT_ONCE;
        for (face, person) in self.over.drain(..self.over.len().min(room)) {
            writer.send(sink, topic, people.stamp, &message(face, person, 0.0));
            room -= 1;
        }
        // The one that waited longest comes first.
        let mut due: Vec<_> = self.open.iter_mut().filter(|(_, found)| found.is_due(people.stamp)).collect();
        due.sort_by_key(|(_, found)| found.sent.map(|(_, at)| at));
        for (face, found) in due.into_iter().take(room) {
            found.sent = Some((found.confidence, people.stamp));
            writer.send(sink, topic, people.stamp, &message(*face, found.person, found.confidence));
        }
    }

    /// Takes every match back.
    pub(super) fn retract_all(&mut self, stamp: Stamp, topic: &str, sink: &mut dyn Sink, writer: &mut Writer) {
        let open = std::mem::take(&mut self.open).into_iter().filter(|(_, found)| found.sent.is_some());
        let over = std::mem::take(&mut self.over).into_iter();
        for (face, person) in over.chain(open.map(|(face, found)| (face, found.person))) {
            writer.send(sink, topic, stamp, &message(face, person, 0.0));
        }
    }

    fn take(&mut self, face: FaceId, person: Option<PersonId>, confidence: f32) {
        let confidence = confidence.clamp(LEAST_CONFIDENCE, 1.0);
        if let Some(open) = self.open.get_mut(&face).filter(|open| Some(open.person) == person) {
            open.confidence = confidence;
            return;
        }
        if let Some(before) = self.open.remove(&face).filter(|before| before.sent.is_some()) {
            self.over.push((face, before.person));
        }
        if let Some(person) = person {
            self.over.retain(|over| *over != (face, person));
            self.open.insert(face, Match { person, confidence, sent: None });
        }
    }
}

fn message(face: FaceId, person: PersonId, confidence: f32) -> IdsMatch {
    IdsMatch {
        id1: person.to_string(),
        id1_type: IdsMatch::PERSON,
        id2: face.to_string(),
        id2_type: IdsMatch::FACE,
        confidence,
    }
}

/// Two ids of one person.
pub(super) fn same_person(keep: PersonId, absorbed: PersonId) -> IdsMatch {
    IdsMatch {
        id1: keep.to_string(),
        id1_type: IdsMatch::PERSON,
        id2: absorbed.to_string(),
        id2_type: IdsMatch::PERSON,
        confidence: 1.0,
    }
}
