//! What changed from one frame to the next: faces that come and go, people and their visits.

use super::{EventKind, People, Person, PersonEvent};
use crate::emotion::Emotion;
use crate::ids::{FaceId, PersonId};
use crate::time::Stamp;
use std::collections::BTreeMap;

/// Faces and people as they were last reported.
#[derive(Debug)]
pub(super) struct Presence {
    leave_secs: f64,
    faces: BTreeMap<FaceId, Option<PersonId>>,
    visits: BTreeMap<PersonId, Visit>,
    /// Time has jumped: everyone reported so far is gone.
    is_closed: bool,
}

/// The latest visit of a person.
#[derive(Clone, Debug)]
struct Visit {
    face_id: FaceId,
    last_seen: Stamp,
    is_over: bool,
}

impl Presence {
    pub(super) const fn new(leave_secs: f64) -> Self {
        Self { leave_secs, faces: BTreeMap::new(), visits: BTreeMap::new(), is_closed: false }
    }

    pub(super) const fn set_leave_secs(&mut self, leave_secs: f64) {
        self.leave_secs = leave_secs;
    }

    /// Compares a frame with the last and appends what changed.
    pub(super) fn update(&mut self, frame: &People, events: &mut Vec<PersonEvent>) {
        self.report_lost_faces(frame, events);
        if self.is_closed {
            self.report_departures(frame, events, |_| true);
            self.visits.clear();
            self.is_closed = false;
        }
        for person in &frame.people {
            if self.faces.insert(person.face_id, person.identity.person_id).is_none() {
                events.push(PersonEvent { confidence: person.score, ..about(frame, EventKind::FaceAppeared, person) });
            }
            self.report_arrival(frame, person, events);
        }
        let leave_secs = self.leave_secs;
        self.report_departures(frame, events, |visit| frame.stamp.secs_since(visit.last_seen) >= leave_secs);
    }

    /// Ends every visit; the next frame reports it.
    pub(super) const fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn forget(&mut self, person: PersonId) {
        self.visits.remove(&person);
        for known in self.faces.values_mut() {
            *known = known.filter(|known| *known != person);
        }
    }

    /// `absorb` is `keep` from now on; of two visits the later one goes on.
    pub(super) fn merge(&mut self, keep: PersonId, absorb: PersonId) {
        for known in self.faces.values_mut().filter(|known| **known == Some(absorb)) {
            *known = Some(keep);
        }
        let Some(absorbed) = self.visits.remove(&absorb) else { return };
        let visit = self.visits.entry(keep).or_insert_with(|| absorbed.clone());
        if absorbed.last_seen > visit.last_seen {
            *visit = absorbed;
        }
    }

    /// The face that last bore a person's name.
    pub(super) fn bearer(&self, person: PersonId) -> Option<FaceId> {
        self.visits.get(&person).map(|visit| visit.face_id)
    }

    fn report_lost_faces(&mut self, frame: &People, events: &mut Vec<PersonEvent>) {
        let is_live = |face_id: FaceId| frame.people.iter().any(|person| person.face_id == face_id);
        self.faces.retain(|face_id, person_id| {
            let stays = is_live(*face_id);
            if !stays {
                let event = event(frame, EventKind::FaceLost);
                events.push(PersonEvent { face_id: Some(*face_id), person_id: *person_id, ..event });
            }
            stays
        });
    }

    fn report_arrival(&mut self, frame: &People, person: &Person, events: &mut Vec<PersonEvent>) {
        let Some(person_id) = person.identity.person_id.filter(|_| person.observed) else { return };
        let earlier =
            self.visits.insert(person_id, Visit { face_id: person.face_id, last_seen: frame.stamp, is_over: false });
        match earlier {
            None => events.push(about(frame, EventKind::PersonIdentified, person)),
            Some(visit) if visit.is_over => events.push(PersonEvent {
                absent_for_secs: frame.stamp.secs_since(visit.last_seen) as f32,
                ..about(frame, EventKind::PersonReturned, person)
            }),
            Some(_) => {}
        }
    }

    fn report_departures(&mut self, frame: &People, events: &mut Vec<PersonEvent>, has_left: impl Fn(&Visit) -> bool) {
        for (person_id, visit) in &mut self.visits {
            if !visit.is_over && has_left(visit) {
                visit.is_over = true;
                let event = event(frame, EventKind::PersonLeft);
                events.push(PersonEvent { person_id: Some(*person_id), ..event });
            }
        }
    }
}

pub(super) fn event(frame: &People, kind: EventKind) -> PersonEvent {
    PersonEvent {
        camera: frame.camera.clone(),
        stamp: frame.stamp,
        frame_id: frame.frame_id.clone(),
        kind,
        face_id: None,
        person_id: None,
        other_person_id: None,
        name: None,
        detail: String::new(),
        confidence: 0.0,
        absent_for_secs: 0.0,
    }
}

pub(super) fn expression_changed(frame: &People, person: &Person, label: Emotion, confidence: f32) -> PersonEvent {
    let event = about(frame, EventKind::ExpressionChanged, person);
    PersonEvent { detail: label.name().to_owned(), confidence, ..event }
}

pub(super) fn about(frame: &People, kind: EventKind, person: &Person) -> PersonEvent {
    PersonEvent {
        face_id: Some(person.face_id),
        person_id: person.identity.person_id,
        confidence: person.identity.confidence,
        ..event(frame, kind)
    }
}
