//! Compares what the line says with what is true, frame by frame.
//!
//! A face that the line observes belongs to the true face it overlaps best (intersection over union
//! of at least 0.3, the best pairs first, faces that can be seen before hidden ones). Two half-hidden
//! faces in one place are a mixture of which nobody can say whose it is: it belongs to the one whose name
//! it was given, else to that of which more is seen. Frames count equally, so shares of frames are shares
//! of time.

use super::scene::{FaceTruth, FrameTruth};
use crate::geometry::{BBox, ImagePx};
use crate::people::{People, Person};
use crate::time::Stamp;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Least overlap of a found face with a true one.
pub const MIN_IOU: f32 = 0.3;
/// After this many seconds in view, a person is expected to have their name.
pub const GRACE_SECS: f64 = 1.0;
/// A person out of view this long has been absent; shorter gaps are passing occlusions. The longest
/// crossing is well below, the shortest absence of the demo well above.
pub const ABSENT_SECS: f64 = 0.85;
/// Least share of a face for it to be well visible: less may be too little to know somebody by.
pub const WELL_VISIBLE: f32 = 0.75;
/// Least share of a hidden face that can be what was found.
const GLIMPSE: f32 = 0.25;
/// Least share of a found box that lies on a hidden face of which it is a part.
const PART: f32 = 0.7;
/// Most seconds that one frame stands for: three looks make a name, and an idle camera takes one per second.
const FRAME_SECS: f64 = 0.2;

/// What the line must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Targets {
    /// Least share of the enrolled people's time under their name.
    pub named_right: f64,
    /// Most share of time under a name that is not the face's.
    pub named_wrong: f64,
    /// Most share of the strangers' time under any name.
    pub stranger_named: f64,
    /// Most changes of a face's id while it stays in view.
    pub id_switches: u64,
}

impl Targets {
    /// Those of the demo.
    pub const DEMO: Self = Self { named_right: 0.95, named_wrong: 0.0, stranger_named: 0.0, id_switches: 0 };
}

/// How well the line did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Of the time that enrolled people's faces were observed, from [`GRACE_SECS`] after each
    /// appearance: the share under the right name.
    pub named_right: f64,
    /// Of the time of all observed faces: the share under a name that is not the face's.
    pub named_wrong: f64,
    /// Of the time that strangers' faces were observed: the share under any name.
    pub stranger_named: f64,
    /// Changes of a face's id while the face stayed in view.
    pub id_switches: u64,
    /// Face ids that two different people carried.
    pub shared_ids: u64,
    /// After each absence of about one second: whether the person had the same face and person id.
    pub same_id_after_1s: bool,
    /// Of the time that faces were in view: the share in which they were observed.
    pub detection_recall: f64,
    /// Observed faces where there is none.
    pub false_faces: u64,
    /// Seconds from the first sight of an enrolled person to their first right name; the longest of
    /// all, `None` when somebody was never named.
    pub secs_to_name: Option<f64>,
    /// Everyone who was there.
    pub people: Vec<TruePerson>,
}

/// One person of the truth, and what the line made of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruePerson {
    /// Key in the truth.
    pub person: String,
    /// Name, for those who are enrolled.
    pub name: Option<String>,
    /// Seconds in view.
    pub visible_secs: f64,
    /// Seconds observed.
    pub observed_secs: f64,
    /// Seconds under the right name.
    pub right_secs: f64,
    /// Seconds under a wrong name.
    pub wrong_secs: f64,
    /// Face ids in the order they appeared.
    pub face_ids: Vec<String>,
    /// Person ids in the order they appeared.
    pub person_ids: Vec<String>,
    /// Absences, in order.
    pub absences: Vec<Absence>,
    /// Stretches of one state, in order, for drawing.
    pub spans: Vec<Span>,
}

/// A time out of view between two appearances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Absence {
    /// How long.
    pub secs: f64,
    /// The first face id afterwards was the last there had been, as far as the face was well visible.
    pub same_face_id: bool,
    /// The person id was the same as well, or there was none before.
    pub same_person_id: bool,
    /// There was a person id before.
    pub was_known: bool,
    /// How long the person was well visible afterwards, until the next absence.
    pub stay_secs: f64,
    /// How long the person had been well visible before, in the longest of the stays.
    pub known_for_secs: f64,
}

/// What could be said of a person for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not in view.
    Hidden,
    /// In view, but not observed.
    Missed,
    /// Observed without a name.
    Unnamed,
    /// Observed under the right name.
    Right,
    /// Observed under a wrong name.
    Wrong,
}

/// A stretch of one state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Seconds from the first frame.
    pub from: f64,
    /// Seconds from the first frame.
    pub to: f64,
    /// What it was.
    pub state: State,
}

/// Collects frames, then scores them.
#[derive(Clone, Debug, Default)]
pub struct Scorer {
    stamps: Vec<Stamp>,
    /// By person; one moment per frame.
    timelines: BTreeMap<String, Timeline>,
    observed: u64,
    false_faces: u64,
    wrong: u64,
}

#[derive(Clone, Debug, Default)]
struct Timeline {
    name: Option<String>,
    moments: Vec<Moment>,
}

/// One person in one frame.
#[derive(Clone, Debug, Default)]
struct Moment {
    visible: bool,
    well_visible: bool,
    seen: Option<Seen>,
}

/// What the line said of a face.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    face_id: String,
    person_id: Option<String>,
    name: Option<String>,
}

impl Scorer {
    /// Takes one frame; frames come in the order of their stamps.
    pub fn add(&mut self, truth: &FrameTruth, people: &People) {
        let frame = self.stamps.len();
        self.stamps.push(truth.stamp);
        for face in &truth.faces {
            let timeline = self.timelines.entry(face.person.clone()).or_default();
            timeline.name.clone_from(&face.name);
            timeline.moments.resize_with(frame, Moment::default);
            let well_visible = face.visible >= WELL_VISIBLE;
            timeline.moments.push(Moment { visible: face.is_visible(), well_visible, seen: None });
        }
        let observed: Vec<&Person> = people.people.iter().filter(|person| person.observed).collect();
        self.observed += observed.len() as u64;
        for (person, face) in observed.iter().zip(matches(&truth.faces, &observed, people)) {
            let name = person.identity.name.as_deref();
            let Some(face) = face else {
                self.false_faces += 1;
                self.wrong += u64::from(name.is_some());
                continue;
            };
            self.wrong += u64::from(name.is_some() && name != face.name.as_deref());
            let moment = self.timelines.get_mut(&face.person).and_then(|timeline| timeline.moments.last_mut());
            if let Some(moment) = moment {
                moment.seen = Some(Seen {
                    face_id: person.face_id.to_string(),
                    person_id: person.identity.person_id.map(|id| id.to_string()),
                    name: name.map(str::to_owned),
                });
            }
        }
    }

    /// The score of all frames taken.
    pub fn finish(mut self) -> Score {
        let frames = self.stamps.len();
        for timeline in self.timelines.values_mut() {
            timeline.moments.resize_with(frames, Moment::default);
        }
        let clock = Clock::new(&self.stamps);
        let timelines = || self.timelines.values();
        let enrolled = || timelines().filter(|timeline| timeline.name.is_some());
        let strangers = || timelines().filter(|timeline| timeline.name.is_none());
        let count = |states: &mut dyn Iterator<Item = bool>| states.filter(|holds| *holds).count() as u64;
        let due: Vec<State> = enrolled().flat_map(|timeline| timeline.states_after_grace(&clock)).collect();
        let stranger_moments: Vec<&Seen> = strangers().flat_map(Timeline::seen_in_view).collect();
        let in_view: Vec<&Moment> = timelines().flat_map(|t| &t.moments).filter(|moment| moment.visible).collect();
        let people: Vec<TruePerson> =
            self.timelines.iter().map(|(person, timeline)| timeline.summary(person, &clock)).collect();
        let short_absences = || {
            let all = people.iter().filter(|person| person.name.is_some()).flat_map(|person| &person.absences);
            all.filter(|absence| absence.secs < 1.5)
        };
        Score {
            named_right: share(count(&mut due.iter().map(|state| *state == State::Right)), due.len() as u64),
            named_wrong: share(self.wrong, self.observed),
            stranger_named: share(
                count(&mut stranger_moments.iter().map(|seen| seen.name.is_some())),
                stranger_moments.len() as u64,
            ),
            id_switches: timelines().map(Timeline::switches).sum(),
            shared_ids: shared_ids(&people),
            same_id_after_1s: short_absences().all(|absence| absence.same_face_id && absence.same_person_id),
            detection_recall: share(
                count(&mut in_view.iter().map(|moment| moment.seen.is_some())),
                in_view.len() as u64,
            ),
            false_faces: self.false_faces,
            secs_to_name: enrolled()
                .map(|timeline| timeline.secs_to_name(&clock))
                .try_fold(0.0, |longest: f64, secs| Some(longest.max(secs?))),
            people,
        }
    }
}

/// `part / whole`; 0 when there is nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What speaks for a true face being the one that was found; the first that differs decides.
struct Claim {
    is_visible: bool,
    has_the_name: bool,
    overlap: f32,
}

impl Claim {
    fn of(face: &FaceTruth, found: &Person, iou: f32) -> Self {
        let is_visible = face.is_visible();
        let is_glimpsed = !is_visible && face.visible >= GLIMPSE;
        Self {
            is_visible,
            has_the_name: is_glimpsed && face.name.is_some() && face.name == found.identity.name,
            overlap: if is_visible { iou } else { iou * face.visible },
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let flags = |claim: &Self| (claim.is_visible, claim.has_the_name);
        flags(self).cmp(&flags(other)).then(self.overlap.total_cmp(&other.overlap))
    }
}

/// For each observed face the true one it belongs to.
fn matches<'a>(truth: &'a [FaceTruth], observed: &[&Person], frame: &People) -> Vec<Option<&'a FaceTruth>> {
    // Of a face that is half outside only the other half is found.
    let inside = |bbox: BBox<ImagePx>| -> BBox<ImagePx> {
        let (width, height) = (frame.width as f32, frame.height as f32);
        BBox::new(bbox.x1.max(0.0), bbox.y1.max(0.0), bbox.x2.min(width), bbox.y2.min(height))
    };
    let mut pairs: Vec<(Claim, usize, usize)> = Vec::new();
    for (t, face) in truth.iter().enumerate() {
        for (o, person) in observed.iter().enumerate() {
            let (there, found) = (inside(face.bbox()), inside(person.bbox));
            // Of a half-hidden face only the rest is found: it lies on the face, but may be much smaller.
            let is_part = !face.is_visible() && there.intersection(&found) >= PART * found.area();
            if there.iou(&found) >= MIN_IOU || is_part {
                pairs.push((Claim::of(face, person, there.iou(&found)), t, o));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.compare(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut belongs = vec![None; observed.len()];
    let mut taken = BTreeSet::new();
    for (_, t, o) in pairs {
        if belongs[o].is_none() && taken.insert(t) {
            belongs[o] = Some(&truth[t]);
        }
    }
    belongs
}

/// Ids that more than one person carried.
fn shared_ids(people: &[TruePerson]) -> u64 {
    let mut carriers: BTreeMap<&str, u64> = BTreeMap::new();
    for id in people.iter().flat_map(|person| &person.face_ids) {
        *carriers.entry(id).or_default() += 1;
    }
    carriers.values().filter(|count| **count > 1).count() as u64
}

/// When each frame was.
struct Clock<'a> {
    stamps: &'a [Stamp],
    /// Seconds a frame stands for.
    period: f64,
}

impl<'a> Clock<'a> {
    fn new(stamps: &'a [Stamp]) -> Self {
        let span = stamps.last().zip(stamps.first()).map_or(0.0, |(last, first)| last.secs_since(*first));
        Self { stamps, period: span / stamps.len().saturating_sub(1).max(1) as f64 }
    }

    /// Seconds from the first frame to the begin of this one.
    fn at(&self, frame: usize) -> f64 {
        match (self.stamps.get(frame), self.stamps.first()) {
            (Some(stamp), Some(first)) => stamp.secs_since(*first),
            _ => self.stamps.len() as f64 * self.period,
        }
    }

    fn secs(&self, frames: usize) -> f64 {
        tidy(frames as f64 * self.period)
    }
}

/// Seconds without the noise of their arithmetic, for reports.
fn tidy(secs: f64) -> f64 {
    (secs * 1e4).round() / 1e4
}

impl Timeline {
    fn state(&self, moment: &Moment) -> State {
        match &moment.seen {
            _ if !moment.visible => State::Hidden,
            None => State::Missed,
            Some(Seen { name: None, .. }) => State::Unnamed,
            Some(Seen { name, .. }) if *name == self.name => State::Right,
            Some(_) => State::Wrong,
        }
    }

    fn seen_in_view(&self) -> impl Iterator<Item = &Seen> {
        self.moments.iter().filter(|moment| moment.visible).filter_map(|moment| moment.seen.as_ref())
    }

    /// Appearances as ranges of frames; passing occlusions do not end one.
    fn appearances(&self, clock: &Clock<'_>) -> Vec<std::ops::Range<usize>> {
        let mut appearances: Vec<std::ops::Range<usize>> = Vec::new();
        for (frame, _) in self.moments.iter().enumerate().filter(|(_, moment)| moment.visible) {
            match appearances.last_mut() {
                Some(last) if clock.at(frame) - clock.at(last.end) < ABSENT_SECS => last.end = frame + 1,
                _ => appearances.push(frame..frame + 1),
            }
        }
        appearances
    }

    /// States of the observed moments in which a name is due.
    fn states_after_grace<'a>(&'a self, clock: &'a Clock<'_>) -> impl Iterator<Item = State> + 'a {
        let due = move |appearance: std::ops::Range<usize>| {
            let since = clock.at(appearance.start);
            // A little less, so that rounding of stamps does not shift the first frame.
            appearance.filter(move |frame| clock.at(*frame) - since >= GRACE_SECS - 1e-6)
        };
        let frames = self.appearances(clock).into_iter().flat_map(due);
        let states = frames.map(|frame| self.state(&self.moments[frame]));
        states.filter(|state| matches!(state, State::Unnamed | State::Right | State::Wrong))
    }

    /// Changes of the face id between moments with nothing hidden in between.
    fn switches(&self) -> u64 {
        let mut switches = 0;
        let mut last: Option<&str> = None;
        for moment in &self.moments {
            if !moment.visible {
                last = None;
            } else if let Some(seen) = &moment.seen {
                switches += u64::from(last.is_some_and(|last| last != seen.face_id));
                last = Some(&seen.face_id);
            }
        }
        switches
    }

    fn secs_to_name(&self, clock: &Clock<'_>) -> Option<f64> {
        let first_sight = self.moments.iter().position(|moment| moment.visible)?;
        let first_name = self.moments.iter().position(|moment| self.state(moment) == State::Right)?;
        Some(tidy(clock.at(first_name) - clock.at(first_sight)))
    }

    fn absences(&self, clock: &Clock<'_>) -> Vec<Absence> {
        let appearances = self.appearances(clock);
        let secs_of = |appearance: &std::ops::Range<usize>| -> f64 {
            let well_visible = appearance.clone().filter(|frame| self.moments[*frame].well_visible);
            well_visible.map(|frame| (clock.at(frame + 1) - clock.at(frame)).min(FRAME_SECS)).sum()
        };
        let between = |second: usize| {
            let (gone, back) = (appearances[second - 1].end, appearances[second].clone());
            let earlier = || self.moments[..gone].iter().rev().filter_map(|moment| moment.seen.as_ref());
            let later = || self.moments[back.clone()].iter().filter(|m| m.visible).filter_map(|m| m.seen.as_ref());
            let well_seen = |moment: &&Moment| moment.well_visible && moment.seen.is_some();
            let face_before = self.moments[..gone].iter().rev().find(well_seen);
            let face_after = self.moments[back.clone()].iter().find(well_seen);
            let face_id = |moment: Option<&Moment>| {
                moment.and_then(|moment| moment.seen.as_ref()).map(|seen| seen.face_id.clone())
            };
            let known_before = earlier().find_map(|seen| seen.person_id.as_deref());
            // Who was known stays known, also when the name takes a moment to come back.
            let known_after = later().find_map(|seen| seen.person_id.as_deref());
            Absence {
                secs: tidy(clock.at(back.start) - clock.at(gone)),
                same_face_id: face_id(face_before) == face_id(face_after),
                same_person_id: known_before.is_none() || known_before == known_after,
                was_known: known_before.is_some(),
                stay_secs: tidy(secs_of(&back)),
                known_for_secs: tidy(appearances[..second].iter().map(secs_of).fold(0.0, f64::max)),
            }
        };
        (1..appearances.len()).map(between).collect()
    }

    fn spans(&self, clock: &Clock<'_>) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (frame, moment) in self.moments.iter().enumerate() {
            let (from, to, state) = (tidy(clock.at(frame)), tidy(clock.at(frame + 1)), self.state(moment));
            match spans.last_mut() {
                Some(span) if span.state == state => span.to = to,
                _ => spans.push(Span { from, to, state }),
            }
        }
        spans
    }

    fn summary(&self, person: &str, clock: &Clock<'_>) -> TruePerson {
        let secs = |wanted: &[State]| {
            clock.secs(self.moments.iter().filter(|moment| wanted.contains(&self.state(moment))).count())
        };
        let observed = [State::Unnamed, State::Right, State::Wrong];
        TruePerson {
            person: person.to_owned(),
            name: self.name.clone(),
            visible_secs: secs(&[State::Missed, State::Unnamed, State::Right, State::Wrong]),
            observed_secs: secs(&observed),
            right_secs: secs(&[State::Right]),
            wrong_secs: secs(&[State::Wrong]),
            face_ids: in_order_of_appearance(self.seen_in_view().map(|seen| seen.face_id.as_str())),
            person_ids: in_order_of_appearance(self.seen_in_view().filter_map(|seen| seen.person_id.as_deref())),
            absences: self.absences(clock),
            spans: self.spans(clock),
        }
    }
}

fn in_order_of_appearance<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for id in ids {
        if !distinct.iter().any(|known| known == id) {
            distinct.push(id.to_owned());
        }
    }
    distinct
}

impl Score {
    /// Which targets were missed, in words.
    pub fn missed(&self, targets: &Targets) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut missed = Vec::new();
        let mut check = |holds: bool, text: String| {
            if !holds {
                missed.push(text);
            }
        };
        check(
            self.named_right >= targets.named_right,
            format!(
                "named right {} of the time, at least {} wanted",
                percent(self.named_right),
                percent(targets.named_right)
            ),
        );
        check(
            self.named_wrong <= targets.named_wrong,
            format!(
                "a wrong name {} of the time, at most {} allowed",
                percent(self.named_wrong),
                percent(targets.named_wrong)
            ),
        );
        check(
            self.stranger_named <= targets.stranger_named,
            format!(
                "strangers named {} of the time, at most {} allowed",
                percent(self.stranger_named),
                percent(targets.stranger_named)
            ),
        );
        check(
            self.id_switches <= targets.id_switches,
            format!("{} changes of id in view, at most {} allowed", self.id_switches, targets.id_switches),
        );
        check(self.same_id_after_1s, "other ids after an absence of one second".to_owned());
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Landmarks5, Point};
    use crate::ids::{CameraId, FaceId, PersonId};
    use crate::people::{Identity, IdentityState};

    const RATE: f64 = 10.0;

    /// `who` 0 is enrolled as "Ada", the others are strangers; each has a place of its own.
    fn face(who: usize, visible: f32) -> FaceTruth {
        let x = 100.0 * who as f32;
        FaceTruth {
            person: format!("person-{who}"),
            name: (who == 0).then(|| "Ada".to_owned()),
            cutout: who,
            r#box: [x, 0.0, x + 50.0, 60.0],
            landmarks: [[0.0; 2]; 5],
            visible,
            roll: 0.0,
            brightness: 1.0,
        }
    }

    /// An observed face at the place of `who`.
    fn seen(who: usize, face_id: u64, name: Option<&str>) -> Person {
        let x = 100.0 * who as f32 + 4.0;
        Person {
            face_id: FaceId::from_counter(face_id),
            identity: Identity {
                state: if name.is_some() { IdentityState::Named } else { IdentityState::Unknown },
                person_id: name.map(|_| PersonId::from_counter(7)),
                name: name.map(str::to_owned),
                ..Identity::default()
            },
            bbox: BBox::new(x, 2.0, x + 50.0, 62.0),
            score: 0.9,
            landmarks: Landmarks5::new([Point::new(0.0, 0.0); 5]),
            quality: 0.8,
            observed: true,
            track_age_secs: 0.0,
            emotion: None,
            pose: None,
            attention: None,
        }
    }

    /// Scores frames of true faces and what was said of them.
    fn score(frames: impl IntoIterator<Item = (Vec<FaceTruth>, Vec<Person>)>) -> Score {
        let mut scorer = Scorer::default();
        for (index, (faces, persons)) in frames.into_iter().enumerate() {
            let stamp = Stamp::default().plus_secs(index as f64 / RATE);
            let people = People {
                camera: CameraId::new("camera").unwrap(),
                stamp,
                frame_id: String::new(),
                width: 640,
                height: 480,
                frame_seq: index as u64,
                displaced: 0,
                latency_nanos: 0,
                people: persons,
            };
            scorer.add(&FrameTruth { stamp, blur: 0.0, faces }, &people);
        }
        scorer.finish()
    }

    #[test]
    fn a_perfect_line_scores_perfectly() {
        let score = score((0..40).map(|frame| {
            let name = (frame >= 5).then_some("Ada");
            (vec![face(0, 1.0), face(1, 1.0)], vec![seen(0, 1, name), seen(1, 2, None)])
        }));
        assert_eq!((score.named_right, score.named_wrong, score.stranger_named), (1.0, 0.0, 0.0));
        assert_eq!((score.id_switches, score.shared_ids, score.false_faces), (0, 0, 0));
        assert_eq!((score.detection_recall, score.secs_to_name), (1.0, Some(0.5)));
        assert!(score.missed(&Targets::DEMO).is_empty());
        let ada = &score.people[0];
        assert!((ada.visible_secs - 4.0).abs() < 1e-9 && (ada.right_secs - 3.5).abs() < 1e-9);
        let expected =
            [Span { from: 0.0, to: 0.5, state: State::Unnamed }, Span { from: 0.5, to: 4.0, state: State::Right }];
        assert_eq!(ada.spans, expected);
        assert_eq!(ada.person_ids, [PersonId::from_counter(7).to_string()]);
    }

    #[test]
    fn the_name_is_due_one_second_after_an_appearance() {
        // 30 frames in view, named from frame 16: of the 20 due ones 14 are right.
        let late = score((0..30).map(|frame| (vec![face(0, 1.0)], vec![seen(0, 1, (frame >= 16).then_some("Ada"))])));
        assert!((late.named_right - 0.7).abs() < 1e-9);
        let missed = late.missed(&Targets::DEMO);
        assert!(missed.len() == 1 && missed[0].contains("70.0 %"), "{missed:?}");
        // Faces nobody observed are no time under any name.
        let unseen = score((0..30).map(|frame| {
            let people = if frame % 2 == 0 { vec![seen(0, 1, Some("Ada"))] } else { vec![] };
            (vec![face(0, 1.0)], people)
        }));
        assert_eq!((unseen.named_right, unseen.detection_recall), (1.0, 0.5));
        // Predictions without an observation count for nothing.
        let coasting =
            score((0..30).map(|_| (vec![face(0, 1.0)], vec![Person { observed: false, ..seen(0, 1, Some("Eve")) }])));
        assert_eq!((coasting.named_wrong, coasting.detection_recall), (0.0, 0.0));
        assert!(!coasting.missed(&Targets::DEMO).is_empty());
    }

    #[test]
    fn every_wrong_name_counts_at_once() {
        // Ten frames of two faces; one frame calls the enrolled person by another's name.
        let other = score((0..10).map(|frame| {
            let name = if frame == 0 { "Eve" } else { "Ada" };
            (vec![face(0, 1.0), face(1, 1.0)], vec![seen(0, 1, Some(name)), seen(1, 2, None)])
        }));
        assert!((other.named_wrong - 0.05).abs() < 1e-9);
        assert_eq!(other.stranger_named, 0.0);
        assert_eq!(other.people[0].spans[0].state, State::Wrong);
        // A stranger who gets the enrolled person's name for one frame of ten.
        let stranger =
            score((0..10).map(|frame| (vec![face(1, 1.0)], vec![seen(1, 2, (frame == 3).then_some("Ada"))])));
        assert!((stranger.stranger_named - 0.1).abs() < 1e-9 && (stranger.named_wrong - 0.1).abs() < 1e-9);
        assert_eq!(stranger.missed(&Targets::DEMO).len(), 3, "right, wrong and stranger");
        // A name where there is no face.
        let ghost = score((0..10).map(|_| (vec![face(1, 1.0)], vec![seen(1, 2, None), seen(5, 3, Some("Ada"))])));
        assert_eq!((ghost.false_faces, ghost.named_wrong), (10, 0.5));
    }

    #[test]
    fn a_new_id_in_view_is_a_switch_and_behind_something_it_is_not() {
        let ids = |hidden: std::ops::Range<usize>, change: usize| {
            score((0..20).map(|frame| {
                let visible = if hidden.contains(&frame) { 0.2 } else { 1.0 };
                let people =
                    if hidden.contains(&frame) { vec![] } else { vec![seen(0, 1 + u64::from(frame >= change), None)] };
                (vec![face(0, visible)], people)
            }))
        };
        assert_eq!(ids(20..20, 10).id_switches, 1);
        assert_eq!(ids(8..10, 10).id_switches, 0);
        // Missed by the detector, but in view all the time: still a switch.
        let flicker = score((0..20).map(|frame| {
            let people =
                if (8..10).contains(&frame) { vec![] } else { vec![seen(0, 1 + u64::from(frame >= 10), None)] };
            (vec![face(0, 1.0)], people)
        }));
        assert_eq!(flicker.id_switches, 1);
        let stolen = score((0..20).map(|frame| {
            let who = usize::from(frame >= 10);
            (vec![face(who, 1.0)], vec![seen(who, 1, None)])
        }));
        assert_eq!((stolen.id_switches, stolen.shared_ids), (0, 1));
    }

    #[test]
    fn ids_are_compared_across_absences() {
        let after = |face_id: u64, name: Option<&str>| {
            score((0..40).map(|frame| match frame {
                0..15 => (vec![face(0, 1.0)], vec![seen(0, 1, Some("Ada"))]),
                15..25 => (vec![face(0, 0.0)], vec![]),
                _ => (vec![face(0, 1.0)], vec![seen(0, face_id, name)]),
            }))
        };
        let same = after(1, Some("Ada"));
        assert!(same.same_id_after_1s);
        assert_eq!(same.people[0].absences.len(), 1);
        assert!((same.people[0].absences[0].secs - 1.0).abs() < 1e-9);
        assert!(!after(2, Some("Ada")).same_id_after_1s);
        let forgotten = after(1, None);
        assert!(!forgotten.same_id_after_1s && !forgotten.people[0].absences[0].same_person_id);
        // The second appearance has its own second of grace: 5 of 10 due frames are unnamed.
        assert!((forgotten.named_right - 0.5).abs() < 1e-9, "{}", forgotten.named_right);
    }

    #[test]
    fn a_mixture_of_two_hidden_faces_may_have_the_name_of_either() {
        let named = |ada: f32, other: f32| {
            let mut behind = face(0, ada);
            behind.r#box = [110.0, 2.0, 160.0, 62.0];
            score((0..10).map(|_| (vec![behind.clone(), face(1, other)], vec![seen(1, 2, Some("Ada"))]))).named_wrong
        };
        assert_eq!(named(0.3, 0.45), 0.0);
        assert_eq!(named(0.3, 0.6), 1.0, "the stranger is in view");
        assert_eq!(named(0.1, 0.45), 1.0, "nothing is seen of Ada");
    }

    #[test]
    fn an_absence_tells_for_how_long_the_person_had_been_seen() {
        let in_view = |frame: usize| matches!(frame, 0..20 | 30..33 | 43..60);
        let score = score((0..60).map(|frame| {
            // A glance between two visits, in which nothing is found, changes nothing.
            let found = in_view(frame) && !(30..33).contains(&frame);
            let people = if found { vec![seen(0, 1, Some("Ada"))] } else { vec![] };
            (vec![face(0, f32::from(u8::from(in_view(frame))))], people)
        }));
        let absences = &score.people[0].absences;
        let secs: Vec<_> = absences.iter().map(|absence| (absence.secs, absence.known_for_secs)).collect();
        assert_eq!(secs, [(1.0, 2.0), (1.0, 2.0)]);
        assert!(absences[1].same_face_id && absences[1].same_person_id && !absences[0].same_face_id);
    }

    #[test]
    fn faces_in_view_are_matched_before_hidden_ones() {
        // Two people at one place, the enrolled one hidden behind the stranger.
        let mut behind = face(0, 0.1);
        behind.r#box = [104.0, 2.0, 154.0, 62.0];
        let score = score((0..10).map(|_| (vec![behind.clone(), face(1, 1.0)], vec![seen(1, 2, Some("Ada"))])));
        assert_eq!(score.stranger_named, 1.0, "the name sits on the stranger's face");
    }
}
