//! What a replay amounted to, counted while it runs.

use super::source::SourceError;
use crate::eval::recording::LONGEST_FRAME_SECS;
use crate::ids::{CameraId, FaceId, PersonId};
use crate::people::{IdentityState, People};
use crate::report::Story;
use crate::time::Stamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Distinct causes of failure that are told apart; further ones are only counted.
const MOST_CAUSES: usize = 20;

/// The result of a replay, as `--json` prints it. Nothing in it depends on the machine or the hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplaySummary {
    /// Frames, by what became of them.
    pub frames: FrameCounts,
    /// Faces as tracked.
    pub faces: FaceCounts,
    /// Everyone seen: people of the gallery by name, then unnamed faces, longest seen first.
    pub people: Vec<PersonSummary>,
    /// Times a camera's stamps went backwards.
    pub restarts: u64,
    /// What could not be read, most frequent first.
    pub losses: Vec<Loss>,
    /// Who was there when, for the page.
    #[serde(skip)]
    pub story: Story,
}

/// Frames, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrameCounts {
    /// Found in the input.
    pub received: u64,
    /// Gone through the line.
    pub processed: u64,
    /// Replaced before they were processed; only at the speed of the recording.
    pub displaced: u64,
    /// Unreadable.
    pub failed: u64,
}

/// Faces as tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaceCounts {
    /// Face ids given.
    pub ids: u64,
    /// Most faces observed in one frame.
    pub max_simultaneous: u64,
}

/// One person of the gallery, or one face without a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonSummary {
    /// Empty when none.
    pub name: String,
    /// Empty when nobody known.
    pub person_id: String,
    /// The faces this person was tracked as.
    pub face_ids: Vec<String>,
    /// Frames in which one of those faces was observed.
    pub frames: u64,
    /// Seconds of image time that those frames stand for.
    pub seconds: f64,
    /// Share of those frames in which the face was recognised as this person, 0..=1.
    pub named_share: f64,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What was wrong.
    pub cause: String,
    /// Frames lost to it; 0 when a stretch of unknown length is gone.
    pub frames: u64,
}

impl ReplaySummary {
    /// True when something of the input could not be read.
    pub fn is_incomplete(&self) -> bool {
        self.frames.failed > 0 || !self.losses.is_empty()
    }
}

/// How long one face was observed, and as whom.
#[derive(Debug, Default)]
struct FaceTime {
    frames: u64,
    secs: f64,
    /// Frames by person; name as last given.
    by_person: BTreeMap<PersonId, (u64, String)>,
}

impl FaceTime {
    /// The person this face was most of the time.
    fn person(&self) -> Option<(PersonId, u64, &str)> {
        let most = self.by_person.iter().max_by_key(|(_, (frames, _))| *frames);
        most.map(|(id, (frames, name))| (*id, *frames, name.as_str()))
    }
}

/// Counts while frames go by.
#[derive(Debug, Default)]
pub(super) struct SummaryBuilder {
    frames: FrameCounts,
    max_simultaneous: u64,
    restarts: u64,
    faces: BTreeMap<FaceId, FaceTime>,
    latest: BTreeMap<CameraId, Stamp>,
    causes: BTreeMap<String, u64>,
}

impl SummaryBuilder {
    pub(super) fn received(&self) -> u64 {
        self.frames.received
    }

    pub(super) fn restarted(&mut self) {
        self.restarts += 1;
    }

    pub(super) fn processed(&mut self, people: &People) {
        self.frames.received += 1;
        self.frames.processed += 1;
        let before = self.latest.insert(people.camera.clone(), people.stamp);
        let secs = before.map_or(0.0, |before| people.stamp.secs_since(before));
        let secs = if (0.0..=LONGEST_FRAME_SECS).contains(&secs) { secs } else { 0.0 };
        let observed = people.people.iter().filter(|person| person.observed);
        self.max_simultaneous = self.max_simultaneous.max(observed.count() as u64);
        for person in &people.people {
            let face = self.faces.entry(person.face_id).or_default();
            if !person.observed {
                continue;
            }
            face.frames += 1;
            face.secs += secs;
            if let (IdentityState::Named | IdentityState::Known | IdentityState::Anonymous, Some(id)) =
                (person.identity.state, person.identity.person_id)
            {
                let named = face.by_person.entry(id).or_default();
                named.0 += 1;
                named.1 = person.identity.name.clone().unwrap_or_default();
            }
        }
    }

    pub(super) fn failed(&mut self, cause: &str) {
        self.frames.received += 1;
        self.frames.failed += 1;
        self.note(cause, 1);
    }

    /// Something of the input that could not be read.
    pub(super) fn unreadable(&mut self, error: &SourceError) {
        match error {
            SourceError::Frame { .. } => self.failed(&error.to_string()),
            SourceError::Lost { .. } => self.note(&error.to_string(), 0),
        }
    }

    /// So many frames were replaced before anybody looked at them.
    pub(super) fn displaced(&mut self, frames: u64) {
        self.frames.received += frames;
        self.frames.displaced += frames;
    }

    /// Each cause is logged when it first comes up.
    fn note(&mut self, cause: &str, frames: u64) {
        if let Some(count) = self.causes.get_mut(cause) {
            *count += frames;
        } else if self.causes.len() < MOST_CAUSES {
            tracing::warn!("{cause}");
            self.causes.insert(cause.to_owned(), frames);
        } else {
            *self.causes.entry("other causes".to_owned()).or_default() += frames;
        }
    }

    pub(super) fn finish(self, story: Story) -> ReplaySummary {
        let mut losses: Vec<Loss> = self.causes.into_iter().map(|(cause, frames)| Loss { cause, frames }).collect();
        losses.sort_by_key(|loss| std::cmp::Reverse(loss.frames));
        ReplaySummary {
            frames: self.frames,
            faces: FaceCounts { ids: self.faces.len() as u64, max_simultaneous: self.max_simultaneous },
            people: people_of(&self.faces),
            restarts: self.restarts,
            losses,
            story,
        }
    }
}

/// Faces gathered under the people they were.
fn people_of(faces: &BTreeMap<FaceId, FaceTime>) -> Vec<PersonSummary> {
    let mut known: BTreeMap<PersonId, (PersonSummary, u64)> = BTreeMap::new();
    let mut people: Vec<PersonSummary> = Vec::new();
    for (face_id, face) in faces {
        let nobody = PersonSummary {
            name: String::new(),
            person_id: String::new(),
            face_ids: vec![face_id.to_string()],
            frames: face.frames,
            seconds: face.secs,
            named_share: 0.0,
        };
        let Some((person_id, recognised, name)) = face.person() else {
            people.push(nobody);
            continue;
        };
        if let Some((person, total)) = known.get_mut(&person_id) {
            person.face_ids.extend(nobody.face_ids);
            person.frames += face.frames;
            person.seconds += face.secs;
            *total += recognised;
        } else {
            let person = PersonSummary { name: name.to_owned(), person_id: person_id.to_string(), ..nobody };
            known.insert(person_id, (person, recognised));
        }
    }
    for (mut person, recognised) in known.into_values() {
        person.named_share = recognised as f64 / person.frames.max(1) as f64;
        people.push(person);
    }
    people.sort_by(|a, b| {
        let order = |person: &PersonSummary| (person.name.is_empty(), person.person_id.is_empty());
        order(a).cmp(&order(b)).then(b.frames.cmp(&a.frames)).then_with(|| a.face_ids.cmp(&b.face_ids))
    });
    for person in &mut people {
        person.seconds = super::json::rounded(person.seconds);
        person.named_share = super::json::rounded(person.named_share);
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::testing::{frame, person};

    #[test]
    fn people_gather_the_faces_they_were() {
        let mut builder = SummaryBuilder::default();
        let tenth = 100_000_000;
        for n in 0..=10 {
            // Anna as face 1 until she is away, as face 2 afterwards; her name comes late.
            let face = if n < 6 { 1 } else { 2 };
            let mut anna = person(face, (n >= 2).then_some("Anna"));
            anna.identity.person_id = anna.identity.person_id.map(|_| PersonId::from_counter(7));
            let mut stranger = person(9, None);
            stranger.observed = n % 2 == 0;
            builder.processed(&frame(n * tenth, vec![anna, stranger]));
        }
        builder.failed("broken");
        builder.failed("broken");
        let summary = builder.finish(Story::default());
        assert_eq!(summary.frames, FrameCounts { received: 13, processed: 11, displaced: 0, failed: 2 });
        assert_eq!(summary.faces, FaceCounts { ids: 3, max_simultaneous: 2 });
        assert_eq!(summary.losses, [Loss { cause: "broken".into(), frames: 2 }]);
        assert!(summary.is_incomplete());
        let [anna, stranger] = summary.people.as_slice() else { panic!("{:?}", summary.people) };
        assert_eq!((anna.name.as_str(), anna.face_ids.len(), anna.frames), ("Anna", 2, 11));
        assert_eq!((anna.seconds.to_string(), anna.named_share.to_string()), ("1".into(), "0.8182".into()));
        assert_eq!((stranger.name.as_str(), stranger.frames, stranger.seconds.to_string()), ("", 6, "0.5".into()));
    }

    #[test]
    fn gaps_and_leaps_back_count_for_nothing() {
        let mut builder = SummaryBuilder::default();
        for stamp in [0, 100_000_000, 50_000_000_000, 0, 100_000_000] {
            builder.processed(&frame(stamp, vec![person(1, None)]));
        }
        let seconds = builder.finish(Story::default()).people[0].seconds;
        assert!((seconds - 0.2).abs() < 1e-9, "{seconds}");
    }

    #[test]
    fn causes_do_not_pile_up() {
        let mut builder = SummaryBuilder::default();
        for n in 0..1000 {
            builder.failed(&format!("cause {n}"));
        }
        let losses = builder.finish(Story::default()).losses;
        assert_eq!(losses.len(), MOST_CAUSES + 1);
        assert_eq!(losses.iter().map(|loss| loss.frames).sum::<u64>(), 1000);
    }
}
