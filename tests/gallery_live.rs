//! A person in view is learned, known, and forgotten, on real video through the real networks.

use crate::bad_input::models_are_here;
use crate::gallery::gallery;
use crate::replay::folder;
use crate::support::shared;
use rostro::assembly::load_pipeline;
use rostro::config::Config;
use rostro::frame::Frame;
use rostro::ids::FaceId;
use rostro::model::NoProgress;
use rostro::people::{EventKind, IdentityState, Person};
use rostro::pipeline::{EnrolRequest, EnrolTicket, Enrolled, OperationError, Pipeline};
use rostro::replay::Inputs;
use rostro::time::Stamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A robot that watches a clip of one person again and again.
struct Robot {
    line: Pipeline,
    clip: PathBuf,
    now: Stamp,
    answers: Vec<(EnrolTicket, Result<Enrolled, OperationError>)>,
    events: Vec<EventKind>,
}

impl Robot {
    fn new(clip: &Path, gallery: &Path) -> Self {
        let mut config = Config::default();
        config.emotion.enabled = false;
        let mut line = load_pipeline(&config, &mut NoProgress).unwrap();
        line.open_gallery(gallery).unwrap();
        let now = Stamp::from_nanos(1_700_000_000_000_000_000);
        Self { line, clip: clip.to_owned(), now, answers: Vec::new(), events: Vec::new() }
    }

    /// Watches the clip, as one visit with the last; what was said of the person in each frame.
    fn watch(&mut self) -> Vec<Person> {
        let mut inputs = Inputs::open(std::slice::from_ref(&self.clip), &[]).unwrap();
        let mut said = Vec::new();
        while let Some(frame) = inputs.sources[0].next_frame().unwrap() {
            self.now = self.now.plus_secs(1.0 / 12.0);
            let people = self.line.process(&Frame { stamp: self.now, ..frame }).unwrap();
            said.extend(people.people.iter().filter(|person| person.observed).cloned());
            self.answers.extend(self.line.settle(self.now));
            self.events.extend(self.line.take_events().iter().map(|event| event.kind));
        }
        said
    }

    fn enrol(&mut self, name: &str) -> EnrolTicket {
        let request = EnrolRequest { name: name.into(), consent: true, ..EnrolRequest::default() };
        self.line.begin_enrol(request, self.now).unwrap()
    }
}

fn names(said: &[Person]) -> BTreeSet<Option<String>> {
    said.iter().map(|person| person.identity.name.clone()).collect()
}

fn faces(said: &[Person]) -> BTreeSet<FaceId> {
    said.iter().map(|person| person.face_id).collect()
}

#[test]
fn who_is_learned_live_is_known_until_forgotten() {
    let test = "who_is_learned_live_is_known_until_forgotten";
    let Some(clip) = shared("data/video/head-pose-face-detection-female.gif", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let work = folder("gallery_live");
    let file = work.join("gallery.db");
    let mut robot = Robot::new(&clip, &file);
    let nobody = robot.line.begin_enrol(EnrolRequest::default(), robot.now).unwrap();
    robot.answers.extend(robot.line.settle(robot.now.plus_secs(11.0)));
    assert!(matches!(robot.answers.pop(), Some((ticket, Err(OperationError::TimedOut { .. }))) if ticket == nobody));

    let said = robot.watch();
    assert_eq!(names(&said), [None].into());
    let ticket = robot.enrol("Anna");
    let face = *faces(&said).last().unwrap();
    let again = EnrolRequest { face_id: Some(face), ..EnrolRequest::default() };
    assert_eq!(robot.line.begin_enrol(again, robot.now), Err(OperationError::Busy(face)));
    let said = robot.watch();
    let (answered, enrolled) = robot.answers.pop().unwrap();
    let anna = enrolled.unwrap().person_id;
    assert!(answered == ticket && robot.events.contains(&EventKind::PersonCreated));
    assert!(names(&said).contains(&Some("Anna".into())), "known while in view");
    let known: Vec<_> = robot.watch();
    assert_eq!(names(&known), [Some("Anna".into())].into());
    assert_eq!(robot.line.list()[0].encounters, 1, "the visit is in the file");

    // Forgotten by the robot: a stranger in the same moment, under another face id.
    let receipt = robot.line.forget(anna).unwrap();
    let lines = receipt.lines();
    assert!(
        lines.contains(&"tracks: 1".to_owned()) && lines.iter().any(|line| line.starts_with("looks: ")),
        "{lines:?}"
    );
    let said = robot.watch();
    assert_eq!(names(&said), [None].into());
    assert!(said.iter().all(|person| person.identity.state == IdentityState::Unknown));
    assert!(faces(&said).is_disjoint(&faces(&known)), "the face id would still point to her");

    // Forgotten by another program while the robot runs.
    robot.enrol("Anna again");
    robot.watch();
    let (_, enrolled) = robot.answers.pop().unwrap();
    let second = enrolled.unwrap().person_id;
    assert_ne!(second, anna, "an id was given twice");
    assert_eq!(names(&robot.watch()), [Some("Anna again".into())].into());
    robot.events.clear();
    assert_eq!(gallery(&file, &["forget", "Anna again", "--yes"]).code, 0);
    let said = robot.watch();
    assert_eq!(robot.events, [EventKind::PersonForgotten]);
    // The first frame is processed before the file is looked at.
    assert_eq!(names(&said[1..]), [None].into());
    drop(robot);
    let mut robot = Robot::new(&clip, &file);
    assert_eq!(names(&robot.watch()), [None].into());
    let refused = robot.line.forget(second).unwrap_err().to_string();
    assert!(refused.contains(second.as_str()) && refused.contains("gallery list"), "{refused}");
}
