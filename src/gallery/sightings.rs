//! Who was in view, until it is written down: a visit at once, the time of it once a minute.

use crate::ids::PersonId;
use crate::people::{EventKind, People, PersonEvent};
use crate::time::Stamp;
use std::collections::BTreeMap;

/// Seconds after which it is written down again that somebody is still in view.
const WRITE_SECS: f64 = 60.0;

/// One person's time in view that is not written down yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Latest frame with the person.
    pub last_seen: Stamp,
    /// Visits that began.
    pub encounters: u32,
}

/// Everybody who was in view lately.
#[derive(Debug, Default)]
pub struct Sightings {
    people: BTreeMap<PersonId, (Sighting, Option<Stamp>)>,
}

impl Sightings {
    /// Takes what one frame showed.
    pub fn take(&mut self, frame: &People, events: &[PersonEvent]) {
        for person in frame.people.iter().filter(|person| person.observed) {
            let Some(person_id) = person.identity.person_id else { continue };
            let nothing = Sighting { last_seen: frame.stamp, encounters: 0 };
            let (sighting, _) = self.people.entry(person_id).or_insert((nothing, None));
            sighting.last_seen = sighting.last_seen.max(frame.stamp);
        }
        let is_visit =
            |event: &&PersonEvent| matches!(event.kind, EventKind::PersonIdentified | EventKind::PersonReturned);
        for person_id in events.iter().filter(is_visit).filter_map(|event| event.person_id) {
            if let Some((sighting, _)) = self.people.get_mut(&person_id) {
                sighting.encounters += 1;
            }
        }
    }

    /// What is to be written down by now; it counts as written.
    pub fn due(&mut self) -> Vec<(PersonId, Sighting)> {
        let mut due = Vec::new();
        for (person, (sighting, written)) in &mut self.people {
            let is_old = written.is_none_or(|written| sighting.last_seen.secs_since(written) >= WRITE_SECS);
            if is_old || sighting.encounters > 0 {
                due.push((*person, *sighting));
                *written = Some(sighting.last_seen);
                sighting.encounters = 0;
            }
        }
        due
    }

    /// Everything that is not written down, at the end.
    pub fn drain(&mut self) -> Vec<(PersonId, Sighting)> {
        let all = std::mem::take(&mut self.people).into_iter();
        let is_new = |(_, (sighting, written)): &(_, (Sighting, Option<Stamp>))| *written != Some(sighting.last_seen);
        all.filter(is_new).map(|(person, (sighting, _))| (person, sighting)).collect()
    }

    /// Drops what is known about somebody.
    pub fn forget(&mut self, person: PersonId) {
        self.people.remove(&person);
    }

    /// `absorb` was `keep` all along.
    pub fn merge(&mut self, keep: PersonId, absorb: PersonId) {
        let Some((absorbed, _)) = self.people.remove(&absorb) else { return };
        let (sighting, _) = self.people.entry(keep).or_insert((absorbed, None));
        sighting.last_seen = sighting.last_seen.max(absorbed.last_seen);
    }
}
