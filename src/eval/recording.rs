//! How well the line did on one recording: tracking, names and expressions against truth, frame by frame.
//!
//! Every frame stands for the time until its camera's next one. A person who can be seen is in one of four
//! states all that time: not found, found without a name, named right, named wrong.

mod probes;

use super::found::{FoundFrame, FoundPerson};
use super::statistics::{Estimate, Share, bootstrap, quantile};
use super::tracking::{FoundFace, TrackingEval, TrackingScore, TrueFace, overlapping};
use super::truth::{Truth, TruthError};
use crate::emotion::Emotion;
use probes::ProbeTally;
pub use probes::RecordedProbes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A frame stands for no more than this: what was seen in a longer gap nobody knows.
pub const LONGEST_FRAME_SECS: f64 = 2.0;
/// Who is away longer than this begins a new visit.
const VISIT_GAP_SECS: f64 = 2.0;
/// Worst moments that are kept.
const WORST_MOMENTS: usize = 12;

/// What is said of somebody at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not found.
    Missed,
    /// Found, without a name.
    Unnamed,
    /// The right name.
    Right,
    /// Somebody else's name.
    Wrong,
}

/// Everything measured on one recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecordingScore {
    /// Frames that were judged.
    pub frames_judged: u64,
    /// Following faces; `None` without boxes in the truth.
    pub tracking: Option<TrackingScore>,
    /// The same with person ids over all cameras together, faces without one by their face id.
    pub tracking_of_people: Option<TrackingScore>,
    /// Names.
    pub identification: IdentificationScore,
    /// Expressions.
    pub emotion: EmotionScore,
    /// Everybody in the truth.
    pub people: Vec<PersonScore>,
    /// Shares per group of people, where the truth names groups.
    pub groups: BTreeMap<String, GroupScore>,
    /// The moments to look at, worst first.
    pub worst: Vec<WorstMoment>,
}

/// Names, by time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IdentificationScore {
    /// Share of the time that enrolled people can be seen in which they are named right.
    pub named_right: Option<f64>,
    /// Share in which they are called somebody else.
    pub named_wrong: Option<f64>,
    /// Share in which they have no name, found or not.
    pub unnamed: Option<f64>,
    /// Share of strangers' time with anybody's name.
    pub stranger_named: Option<f64>,
    /// The first with its interval, from a bootstrap over people.
    pub named_right_interval: Option<Estimate>,
    /// Times that a wrong name was given.
    pub wrong_names: u64,
    /// Those per hour in which anybody can be seen.
    pub wrong_names_per_hour: Option<f64>,
    /// With no wrong name at all: the hourly rate this excludes at 95 % (rule of three).
    pub wrong_names_per_hour_below: Option<f64>,
    /// Searches of the gallery, one per face and person: the best look of a face.
    pub per_track: RecordedProbes,
    /// The same, one per look.
    pub per_look: RecordedProbes,
    /// Visits of enrolled people in which they were named right at some time and never wrong.
    pub visits_named_right: Option<Share>,
    /// Visits of strangers in which they were given a name.
    pub visits_of_strangers_named: Option<Share>,
    /// From first sight to the right name, seconds, over visits that got it.
    pub secs_to_name_p50: Option<f64>,
    /// The same, 90 % are faster.
    pub secs_to_name_p90: Option<f64>,
    /// Person ids given per true person who got any.
    pub person_ids_per_person: Option<f64>,
    /// Face ids given per true person who was found.
    pub face_ids_per_person: Option<f64>,
}

/// Expressions, over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EmotionScore {
    /// Changes of the stable label per minute of reading, over all faces.
    pub flips_per_minute: Option<f64>,
    /// Share of the found face time with a reading.
    pub valid: Option<f64>,
    /// Share of the reading time in which the model says it does not know.
    pub uncertain: Option<f64>,
    /// Share of the labelled reading time with the right label; uncertain time left out.
    pub right: Option<f64>,
    /// From a change of the expression to its label, seconds.
    pub onset_secs_p50: Option<f64>,
    /// The same, 90 % are faster.
    pub onset_secs_p90: Option<f64>,
    /// Seconds by true (row) and given (column) label, in the order of `labels`.
    pub confusion_secs: Vec<Vec<f64>>,
    /// Labels of the confusion.
    pub labels: Vec<&'static str>,
}

/// One person of the truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PersonScore {
    /// Who.
    pub person: String,
    /// Whether the gallery knows this person.
    pub enrolled: bool,
    /// Group, if told.
    pub group: Option<String>,
    /// Seconds to be seen.
    pub visible_secs: f64,
    /// Seconds not found.
    pub missed_secs: f64,
    /// Seconds found without a name.
    pub unnamed_secs: f64,
    /// Seconds with the right name.
    pub right_secs: f64,
    /// Seconds with a wrong name.
    pub wrong_secs: f64,
    /// Times that a wrong name was given.
    pub wrong_names: u64,
    /// Visits.
    pub visits: u64,
    /// Face ids given.
    pub face_ids: BTreeSet<String>,
    /// Person ids given.
    pub person_ids: BTreeSet<String>,
    /// What was said when, in seconds from the first frame.
    pub spans: Vec<Span>,
}

/// A stretch of time with one state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Seconds from the first frame.
    pub from: f64,
    /// Seconds from the first frame.
    pub to: f64,
    /// What was said.
    pub state: State,
}

/// Shares of one group of people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct GroupScore {
    /// People in it.
    pub people: u64,
    /// Seconds to be seen.
    pub visible_secs: f64,
    /// Share named right, of enrolled people's time.
    pub named_right: Option<f64>,
    /// Share named wrong, of everybody's time.
    pub named_wrong: Option<f64>,
}

/// A moment worth looking at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorstMoment {
    /// Stamp of the frame.
    pub stamp: i64,
    /// Seconds from the first frame.
    pub secs: f64,
    /// Camera.
    pub camera: String,
    /// Who it is about.
    pub person: String,
    /// What went wrong.
    pub what: String,
    /// How long it lasted.
    pub lasted_secs: f64,
    #[serde(skip)]
    severity: u8,
}

/// Who can be recognised: names by person id.
pub type Enrolled = BTreeMap<String, String>;

/// Judges frames as they come, in the order of their stamps.
pub struct Evaluator<'a> {
    truth: &'a Truth,
    enrolled: Enrolled,
    only_told_frames: bool,
    start: Option<i64>,
    frames_judged: u64,
    faces: TrackingEval,
    persons: TrackingEval,
    cameras: BTreeMap<String, Camera>,
    people: BTreeMap<String, Tally>,
    probes: ProbeTally,
    emotion: EmotionTally,
    used: Vec<bool>,
}

/// What is remembered of a camera between two frames.
#[derive(Default)]
struct Camera {
    frames: u64,
    before: Option<Before>,
    last_secs: f64,
}

/// A frame whose duration is not known yet.
struct Before {
    stamp: i64,
    moments: Vec<Moment>,
    faces: Vec<FaceMoment>,
}

/// What was said of somebody in one frame.
struct Moment {
    person: String,
    state: State,
    face: Option<usize>,
}

/// A found face in one frame.
struct FaceMoment {
    face_id: String,
    label: Option<Emotion>,
    is_valid: bool,
    is_uncertain: bool,
    truth: Option<(usize, Emotion)>,
}

#[derive(Default)]
struct Tally {
    secs: [f64; 4],
    visits: Vec<Visit>,
    wrong_names: u64,
    face_ids: BTreeSet<String>,
    person_ids: BTreeSet<String>,
    spans: Vec<Span>,
    /// Stamp and camera at which the latest span began.
    span_began: Option<(i64, String)>,
    worst: Vec<WorstMoment>,
}

#[derive(Clone, Copy)]
struct Visit {
    first: i64,
    last: i64,
    right_after: Option<f64>,
    was_wrong: bool,
}

#[derive(Default)]
struct EmotionTally {
    found_secs: f64,
    valid_secs: f64,
    uncertain_secs: f64,
    flips: u64,
    last: BTreeMap<String, Emotion>,
    confusion: BTreeMap<(Emotion, Emotion), f64>,
    /// Stretches of truth, and when their label was first given.
    onsets: BTreeMap<usize, Option<f64>>,
}

impl<'a> Evaluator<'a> {
    /// With `only_told_frames`, frames without a row in the truth
    /// are left out; else nobody is there.
    pub fn new(truth: &'a Truth, enrolled: Enrolled, only_told_frames: bool) -> Self {
        Self {
            truth,
            enrolled,
            only_told_frames,
            start: None,
            frames_judged: 0,
            faces: TrackingEval::default(),
            persons: TrackingEval::default(),
            cameras: BTreeMap::new(),
            people: BTreeMap::new(),
            probes: ProbeTally::default(),
            emotion: EmotionTally::default(),
            used: vec![false; truth.box_count()],
        }
    }

    /// Judges one frame.
    pub fn add(&mut self, frame: &FoundFrame) {
        let start = *self.start.get_or_insert(frame.stamp);
        self.close_frame(&frame.camera, frame.stamp);
        let camera = self.cameras.entry(frame.camera.clone()).or_default();
        camera.frames += 1;
        let rows = self.truth.boxes_in(&frame.camera, camera.frames, frame.stamp);
        for row in &rows {
            self.used[*row] = true;
        }
        let found: Vec<&FoundPerson> = frame.people.iter().filter(|person| person.observed).collect();
        let alone = self.truth.alone(&frame.camera, frame.stamp, start).filter(|_| rows.is_empty());
        let is_told = !rows.is_empty() || alone.is_some();
        let judges_all = self.truth.has_boxes() && !self.only_told_frames;
        if !is_told && !judges_all {
            return;
        }
        self.frames_judged += 1;
        let (moments, judged) = match alone {
            Some(person) => self.alone_with(person, &found),
            None => self.compare_boxes(frame, &rows, &found),
        };
        let faces = judged.iter().map(|&index| {
            let owner = moments.iter().find(|moment| moment.face == Some(index));
            let truth = owner.and_then(|moment| self.truth.expression(&moment.person, frame.stamp, start));
            face_moment(found[index], truth)
        });
        let faces = faces.collect();
        self.note(&moments, &found, frame, start);
        if let Some(camera) = self.cameras.get_mut(&frame.camera) {
            camera.before = Some(Before { stamp: frame.stamp, moments, faces });
        }
    }

    /// The only person there is the largest face; anything else found is nobody's.
    fn alone_with(&self, person: &str, found: &[&FoundPerson]) -> (Vec<Moment>, Vec<usize>) {
        let area = |index: &usize| found[*index].bbox().area();
        let largest = (0..found.len()).max_by(|a, b| area(a).total_cmp(&area(b)));
        let state = largest.map_or(State::Missed, |index| self.state(person, &found[index].name));
        (vec![Moment { person: person.to_owned(), state, face: largest }], largest.into_iter().collect())
    }

    /// Pairs true and found faces by their overlap, and hands both to the tracking measures.
    fn compare_boxes(
        &mut self,
        frame: &FoundFrame,
        rows: &[usize],
        found: &[&FoundPerson],
    ) -> (Vec<Moment>, Vec<usize>) {
        let start = self.start.unwrap_or_default();
        let truth = self.truth;
        let boxes: Vec<_> = rows.iter().map(|row| truth.true_box(*row)).collect();
        let true_boxes: Vec<_> = boxes.iter().map(|row| row.bbox).collect();
        let found_boxes: Vec<_> = found.iter().map(|person| person.bbox()).collect();
        let pairs: BTreeMap<usize, usize> = overlapping(&true_boxes, &found_boxes).into_iter().collect();
        let paired: BTreeSet<usize> = pairs.values().copied().collect();
        let is_judged = |index: &usize| {
            paired.contains(index) || !truth.ignores(&frame.camera, frame.stamp, start, &found_boxes[*index])
        };
        let judged: Vec<usize> = (0..found.len()).filter(is_judged).collect();
        let true_faces: Vec<_> =
            boxes.iter().map(|row| TrueFace { id: &row.person, bbox: row.bbox, counts: row.counts }).collect();
        let by_face: Vec<_> =
            judged.iter().map(|&i| FoundFace { id: &found[i].face_id, bbox: found_boxes[i] }).collect();
        self.faces.add(&frame.camera, &true_faces, &by_face);
        let id_of = |person: &'_ FoundPerson| match person.person_id.as_str() {
            "" => format!("{}/{}", frame.camera, person.face_id),
            id => id.to_owned(),
        };
        let ids: Vec<String> = judged.iter().map(|&i| id_of(found[i])).collect();
        let by_person: Vec<_> =
            judged.iter().zip(&ids).map(|(&i, id)| FoundFace { id, bbox: found_boxes[i] }).collect();
        self.persons.add("", &true_faces, &by_person);
        let moments = boxes.iter().enumerate().filter_map(|(t, row)| {
            let face = pairs.get(&t).copied();
            // Nobody need find a face that does not count, but a wrong name on it is wrong.
            if face.is_none() && !row.counts {
                return None;
            }
            let state = face.map_or(State::Missed, |index| self.state(&row.person, &found[index].name));
            Some(Moment { person: row.person.clone(), state, face })
        });
        (moments.collect(), judged)
    }

    fn state(&self, person: &str, name: &str) -> State {
        match name {
            "" => State::Unnamed,
            name if name == person && is_enrolled(&self.enrolled, person) => State::Right,
            _ => State::Wrong,
        }
    }

    /// Everything that happens at a moment, whatever its length.
    fn note(&mut self, moments: &[Moment], found: &[&FoundPerson], frame: &FoundFrame, start: i64) {
        let secs = |stamp: i64| (stamp - start) as f64 * 1e-9;
        for moment in moments {
            let tally = self.people.entry(moment.person.clone()).or_default();
            let is_new_visit =
                tally.visits.last().is_none_or(|visit| secs(frame.stamp) - secs(visit.last) > VISIT_GAP_SECS);
            if is_new_visit {
                tally.visits.push(Visit { first: frame.stamp, last: 0, right_after: None, was_wrong: false });
            }
            let was = tally.spans.last().filter(|_| !is_new_visit).map(|span| span.state);
            if let Some(visit) = tally.visits.last_mut() {
                visit.last = frame.stamp;
                if moment.state == State::Right {
                    visit.right_after.get_or_insert(secs(frame.stamp) - secs(visit.first));
                }
                visit.was_wrong |= moment.state == State::Wrong;
            }
            tally.wrong_names += u64::from(moment.state == State::Wrong && was != Some(State::Wrong));
            if let Some(person) = moment.face.map(|index| found[index]) {
                self.probes.take(&moment.person, &frame.camera, person, moment.state, &self.enrolled);
                tally.face_ids.insert(person.face_id.clone());
                if !person.person_id.is_empty() {
                    tally.person_ids.insert(person.person_id.clone());
                }
            }
            let now = secs(frame.stamp);
            if was == Some(moment.state) {
                tally.stretch(now);
                continue;
            }
            if !is_new_visit {
                tally.stretch(now);
            }
            tally.end_span();
            tally.spans.push(Span { from: now, to: now, state: moment.state });
            tally.span_began = Some((frame.stamp, frame.camera.clone()));
        }
    }

    /// Accounts for the time that a camera's previous frame stands for.
    fn close_frame(&mut self, camera: &str, now: i64) {
        let Some(camera) = self.cameras.get_mut(camera) else { return };
        let Some(before) = camera.before.take() else { return };
        let secs = ((now - before.stamp) as f64 * 1e-9).clamp(0.0, LONGEST_FRAME_SECS);
        camera.last_secs = secs;
        self.account(&before, secs);
    }

    fn account(&mut self, before: &Before, secs: f64) {
        for moment in &before.moments {
            let tally = self.people.entry(moment.person.clone()).or_default();
            tally.secs[moment.state as usize] += secs;
            let end = (before.stamp - self.start.unwrap_or_default()) as f64 * 1e-9 + secs;
            tally.stretch(end);
        }
        for face in &before.faces {
            let onset = face.truth.map(|(stretch, _)| {
                self.truth.secs_into_expression(stretch, before.stamp, self.start.unwrap_or_default())
            });
            self.emotion.add(face, secs, onset);
        }
    }

    /// Everything measured.
    ///
    /// # Errors
    /// [`TruthError::Line`] naming a row of the truth that no frame of the recording has.
    pub fn finish(mut self) -> Result<RecordingScore, TruthError> {
        if let Some(unused) = self.used.iter().position(|used| !used) {
            let cameras = self.cameras.iter().map(|(name, camera)| format!("{name} ({} frames)", camera.frames));
            let cameras = cameras.collect::<Vec<_>>().join(", ");
            return Err(self.truth.unused(unused, &format!("no frame of the recording is this one; it has {cameras}")));
        }
        let cameras = std::mem::take(&mut self.cameras);
        for camera in cameras.into_values() {
            // The last frame lasts as long as the one before it.
            if let Some(before) = camera.before {
                self.account(&before, camera.last_secs);
            }
        }
        let mut people = std::mem::take(&mut self.people);
        people.values_mut().for_each(Tally::end_span);
        for (name, tally) in &mut people {
            tally.worst.iter_mut().for_each(|moment| moment.person.clone_from(name));
        }
        let mut worst: Vec<WorstMoment> =
            people.values_mut().flat_map(|tally| std::mem::take(&mut tally.worst)).collect();
        worst.sort_by(|a, b| (b.severity.cmp(&a.severity)).then(b.lasted_secs.total_cmp(&a.lasted_secs)));
        worst.truncate(WORST_MOMENTS);
        let tracking = self.truth.has_boxes().then(|| self.faces.finish());
        let tracking_of_people = self.truth.has_boxes().then(|| self.persons.finish());
        let scores: Vec<PersonScore> =
            people.iter().map(|(name, tally)| tally.score(name, &self.enrolled, self.truth)).collect();
        Ok(RecordingScore {
            frames_judged: self.frames_judged,
            tracking,
            tracking_of_people,
            identification: identification(&people, &scores, &self.probes),
            emotion: self.emotion.finish(self.truth.has_expressions()),
            groups: groups(&scores),
            people: scores,
            worst,
        })
    }
}

fn is_enrolled(enrolled: &Enrolled, person: &str) -> bool {
    enrolled.values().any(|name| name == person)
}

fn face_moment(person: &FoundPerson, truth: Option<(usize, Emotion)>) -> FaceMoment {
    let label = Emotion::ALL.into_iter().find(|emotion| emotion.name() == person.emotion.label);
    FaceMoment {
        face_id: person.face_id.clone(),
        label,
        is_valid: person.emotion.valid && label.is_some(),
        is_uncertain: person.emotion.uncertain,
        truth,
    }
}

impl Tally {
    fn stretch(&mut self, to: f64) {
        if let Some(span) = self.spans.last_mut() {
            span.to = span.to.max(to);
        }
    }

    /// Judges the span that has ended: was it a bad moment?
    fn end_span(&mut self) {
        let (Some(span), Some((stamp, camera))) = (self.spans.last(), self.span_began.take()) else { return };
        let (severity, what) = match span.state {
            State::Wrong => (3, "a wrong name"),
            State::Missed => (2, "not found"),
            State::Unnamed => (1, "no name"),
            State::Right => return,
        };
        self.worst.push(WorstMoment {
            stamp,
            secs: span.from,
            camera,
            person: String::new(),
            what: what.to_owned(),
            lasted_secs: span.to - span.from,
            severity,
        });
    }

    fn score(&self, person: &str, enrolled: &Enrolled, truth: &Truth) -> PersonScore {
        let [missed_secs, unnamed_secs, right_secs, wrong_secs] = self.secs;
        PersonScore {
            person: person.to_owned(),
            enrolled: is_enrolled(enrolled, person),
            group: truth.group(person).map(ToOwned::to_owned),
            visible_secs: self.secs.iter().sum(),
            missed_secs,
            unnamed_secs,
            right_secs,
            wrong_secs,
            wrong_names: self.wrong_names,
            visits: self.visits.len() as u64,
            face_ids: self.face_ids.clone(),
            person_ids: self.person_ids.clone(),
            spans: self.spans.clone(),
        }
    }
}

fn identification(
    tallies: &BTreeMap<String, Tally>,
    people: &[PersonScore],
    probes: &ProbeTally,
) -> IdentificationScore {
    let known: Vec<&PersonScore> = people.iter().filter(|person| person.enrolled).collect();
    let strangers: Vec<&PersonScore> = people.iter().filter(|person| !person.enrolled).collect();
    let sum = |of: &[&PersonScore], secs: fn(&PersonScore) -> f64| of.iter().map(|person| secs(person)).sum::<f64>();
    let visible = sum(&known, |person| person.visible_secs);
    let of_known = |secs: fn(&PersonScore) -> f64| share(sum(&known, secs), visible);
    let interval = (!known.is_empty() && visible > 0.0).then(|| {
        bootstrap(known.len(), 1, |drawn| {
            let drawn: Vec<&PersonScore> = drawn.iter().map(|index| known[*index]).collect();
            sum(&drawn, |person| person.right_secs) / sum(&drawn, |person| person.visible_secs)
        })
    });
    let hours = people.iter().map(|person| person.visible_secs).sum::<f64>() / 3600.0;
    let wrong_names = people.iter().map(|person| person.wrong_names).sum();
    let visits = |is_enrolled: bool| {
        let of = people.iter().filter(move |person| person.enrolled == is_enrolled);
        of.flat_map(|person| tallies[&person.person].visits.iter().copied())
    };
    let count = |is_enrolled: bool, wanted: fn(&Visit) -> bool| {
        let (hits, all) = visits(is_enrolled).fold((0, 0), |(hits, all), v| (hits + u64::from(wanted(&v)), all + 1));
        (all > 0).then(|| Share::of(hits, all))
    };
    let mut to_name: Vec<f64> = visits(true).filter_map(|visit| visit.right_after).collect();
    to_name.sort_by(f64::total_cmp);
    let mean_ids = |ids: fn(&PersonScore) -> usize| {
        let counts: Vec<f64> = people.iter().map(|person| ids(person) as f64).filter(|count| *count > 0.0).collect();
        share(counts.iter().sum(), counts.len() as f64)
    };
    IdentificationScore {
        named_right: of_known(|person| person.right_secs),
        named_wrong: of_known(|person| person.wrong_secs),
        unnamed: of_known(|person| person.unnamed_secs + person.missed_secs),
        stranger_named: share(sum(&strangers, |p| p.wrong_secs), sum(&strangers, |p| p.visible_secs)),
        named_right_interval: interval,
        wrong_names,
        wrong_names_per_hour: share(wrong_names as f64, hours),
        wrong_names_per_hour_below: (wrong_names == 0 && hours > 0.0).then(|| 3.0 / hours),
        per_track: probes.per_track(),
        per_look: probes.per_look(),
        visits_named_right: count(true, |visit| visit.right_after.is_some() && !visit.was_wrong),
        visits_of_strangers_named: count(false, |visit| visit.was_wrong),
        secs_to_name_p50: quantile(&to_name, 0.5),
        secs_to_name_p90: quantile(&to_name, 0.9),
        person_ids_per_person: mean_ids(|person| person.person_ids.len()),
        face_ids_per_person: mean_ids(|person| person.face_ids.len()),
    }
}

fn groups(people: &[PersonScore]) -> BTreeMap<String, GroupScore> {
    let mut groups: BTreeMap<String, Vec<&PersonScore>> = BTreeMap::new();
    for person in people {
        if let Some(group) = &person.group {
            groups.entry(group.clone()).or_default().push(person);
        }
    }
    let score = |people: Vec<&PersonScore>| {
        let of = |only_known: bool, secs: fn(&PersonScore) -> f64| {
            people.iter().filter(|person| person.enrolled || !only_known).map(|person| secs(person)).sum::<f64>()
        };
        GroupScore {
            people: people.len() as u64,
            visible_secs: of(false, |person| person.visible_secs),
            named_right: share(of(true, |person| person.right_secs), of(true, |person| person.visible_secs)),
            named_wrong: share(of(false, |person| person.wrong_secs), of(false, |person| person.visible_secs)),
        }
    };
    groups.into_iter().map(|(group, people)| (group, score(people))).collect()
}

impl EmotionTally {
    fn add(&mut self, face: &FaceMoment, secs: f64, onset: Option<f64>) {
        self.found_secs += secs;
        if let Some((stretch, _)) = face.truth {
            self.onsets.entry(stretch).or_default();
        }
        let Some(label) = face.label.filter(|_| face.is_valid) else { return };
        self.valid_secs += secs;
        if face.is_uncertain {
            self.uncertain_secs += secs;
            return;
        }
        let before = self.last.insert(face.face_id.clone(), label);
        self.flips += u64::from(before.is_some_and(|before| before != label));
        let Some((stretch, truth)) = face.truth else { return };
        *self.confusion.entry((truth, label)).or_default() += secs;
        if truth == label
            && let Some(first) = self.onsets.get_mut(&stretch)
        {
            *first = first.or(onset);
        }
    }

    fn finish(&self, has_truth: bool) -> EmotionScore {
        let mut onsets: Vec<f64> = self.onsets.values().copied().flatten().collect();
        onsets.sort_by(f64::total_cmp);
        let judged: f64 = self.confusion.values().sum();
        let right: f64 = self.confusion.iter().filter(|((truth, given), _)| truth == given).map(|(_, secs)| secs).sum();
        let row = |truth: Emotion| {
            Emotion::ALL.map(|given| self.confusion.get(&(truth, given)).copied().unwrap_or(0.0)).to_vec()
        };
        EmotionScore {
            flips_per_minute: share(self.flips as f64, self.valid_secs / 60.0),
            valid: share(self.valid_secs, self.found_secs),
            uncertain: share(self.uncertain_secs, self.valid_secs),
            right: share(right, judged),
            onset_secs_p50: quantile(&onsets, 0.5),
            onset_secs_p90: quantile(&onsets, 0.9),
            confusion_secs: if has_truth { Emotion::ALL.map(row).to_vec() } else { Vec::new() },
            labels: if has_truth { Emotion::ALL.map(Emotion::name).to_vec() } else { Vec::new() },
        }
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests;
