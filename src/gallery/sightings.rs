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
    /// Visits that could not be written down.
    owed: BTreeMap<PersonId, u32>,
}

impl Sightings {
    /// Takes what one frame showed. Who comes before another camera within `leave_secs` is on the same visit.
    pub fn take(&mut self, frame: &People, events: &[PersonEvent], leave_secs: f64) {
        let is_here = |(sighting, _): &(Sighting, Option<Stamp>)| {
            (0.0..leave_secs).contains(&frame.stamp.secs_since(sighting.last_seen))
        };
        let is_visit =
            |event: &&PersonEvent| matches!(event.kind, EventKind::PersonIdentified | EventKind::PersonReturned);
        let visitors = events.iter().filter(is_visit).filter_map(|event| event.person_id);
        let arrived: Vec<PersonId> = visitors.filter(|person| !self.people.get(person).is_some_and(is_here)).collect();
        for person in frame.people.iter().filter(|person| person.observed) {
            let Some(person_id) = person.identity.person_id else { continue };
            let nothing = Sighting { last_seen: frame.stamp, encounters: 0 };
            let (sighting, _) = self.people.entry(person_id).or_insert((nothing, None));
            sighting.last_seen = sighting.last_seen.max(frame.stamp);
        }
        for person_id in arrived {
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
                sighting.encounters += self.owed.remove(person).unwrap_or(0);
                due.push((*person, *sighting));
                *written = Some(sighting.last_seen);
                sighting.encounters = 0;
            }
        }
        due
    }

    /// Takes back what could not be written down; it is due again with the next visit, or in a minute.
    pub fn put_back(&mut self, person: PersonId, sighting: Sighting) {
        let (known, _) = self.people.entry(person).or_insert((sighting, None));
        known.last_seen = known.last_seen.max(sighting.last_seen);
        self.owed.insert(person, self.owed.get(&person).unwrap_or(&0) + sighting.encounters);
    }

    /// Everything that is not written down, at the end.
    pub fn drain(&mut self) -> Vec<(PersonId, Sighting)> {
        let mut all = std::mem::take(&mut self.people);
        for (person, (sighting, _)) in &mut all {
            sighting.encounters += self.owed.remove(person).unwrap_or(0);
        }
        let is_new = |(_, (sighting, written)): &(_, (Sighting, Option<Stamp>))| {
            sighting.encounters > 0 || *written != Some(sighting.last_seen)
        };
        all.into_iter().filter(is_new).map(|(person, (sighting, _))| (person, sighting)).collect()
    }

    /// Drops what is known about somebody.
    pub fn forget(&mut self, person: PersonId) {
        self.people.remove(&person);
        self.owed.remove(&person);
    }

    /// `absorb` was `keep` all along.
    pub fn merge(&mut self, keep: PersonId, absorb: PersonId) {
        let Some((absorbed, _)) = self.people.remove(&absorb) else { return };
        let (sighting, _) = self.people.entry(keep).or_insert((absorbed, None));
        sighting.last_seen = sighting.last_seen.max(absorbed.last_seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> PersonId {
        PersonId::from_counter(3)
    }

    fn sighting(secs: i64, encounters: u32) -> Sighting {
        Sighting { last_seen: Stamp::from_nanos(secs * 1_000_000_000), encounters }
    }

    fn seen(secs: i64, encounters: u32) -> Sightings {
        Sightings { people: [(person(), (sighting(secs, encounters), None))].into(), ..Sightings::default() }
    }

    #[test]
    fn a_visit_is_due_at_once_and_its_time_once_a_minute() {
        let mut sightings = seen(100, 1);
        assert_eq!(sightings.due(), [(person(), sighting(100, 1))]);
        assert_eq!(sightings.due(), []);
        let mut later = |secs: i64| {
            if let Some((sighting, _)) = sightings.people.get_mut(&person()) {
                sighting.last_seen = Stamp::from_nanos(secs * 1_000_000_000);
            }
            sightings.due()
        };
        assert_eq!(later(159), []);
        assert_eq!(later(160), [(person(), sighting(160, 0))]);
        assert_eq!(later(161), []);
        assert_eq!(sightings.drain(), [(person(), sighting(161, 0))]);
    }

    #[test]
    fn what_could_not_be_written_is_not_lost() {
        let mut sightings = seen(100, 2);
        let due = sightings.due();
        sightings.put_back(due[0].0, due[0].1);
        assert_eq!(sightings.due(), [], "not tried again in every frame");
        assert_eq!(sightings.drain(), [(person(), sighting(100, 2))]);
        assert_eq!(sightings.drain(), []);
    }
}
