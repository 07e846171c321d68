use super::*;
use crate::config::AutoEnrol;
use crate::gallery::{Kind, Reference};
use crate::geometry::BBox;
use crate::ids::{FaceId, PersonId};
use crate::people::{EventKind, IdentityState, Person};
use crate::testing::{look_at, observation, references, stages, tag};
use std::collections::BTreeSet;

/// A robot with two cameras and a gallery in memory.
struct Robot {
    line: Pipeline,
    now: Stamp,
    waited_secs: f64,
    events: Vec<PersonEvent>,
}

/// Who is seen, by the number of the person, and where.
type Sight = (usize, f32);

impl Robot {
    fn new(auto_enrol: AutoEnrol) -> Self {
        let mut config = Config::default();
        config.identity.auto_enrol = auto_enrol;
        let now = Stamp::default().plus_secs(1e9);
        // Faces are handed over as found and measured.
        Self { line: Pipeline::new(config, stages()), now, waited_secs: 0.0, events: Vec::new() }
    }

    /// What one camera shows; the looks are alike as those at one person are.
    fn see(&mut self, camera: &str, sights: &[Sight]) -> Vec<Person> {
        let faces: Vec<_> = sights.iter().map(|&(who, x)| face(who, x)).collect();
        let camera = CameraId::new(camera).unwrap();
        let head = FrameHead {
            camera: &camera,
            stamp: self.now,
            frame_id: "",
            size: (640, 480),
            lens: None,
            waited_secs: self.waited_secs,
        };
        let people = self.line.process_measured(&head, &faces).unwrap().people.clone();
        self.events.extend_from_slice(self.line.events());
        people
    }

    /// Both cameras see their people for a while; what they said last.
    fn watch(&mut self, secs: f64, left: &[Sight], right: &[Sight]) -> [Vec<Person>; 2] {
        let mut said = [Vec::new(), Vec::new()];
        for _ in 0..(secs * 10.0).round() as u32 {
            self.now = self.now.plus_secs(0.1);
            said = [self.see("left", left), self.see("right", right)];
            self.line.settle(self.now);
            self.events.extend(self.line.take_events());
        }
        said
    }

    fn enrol(&mut self, name: &str, who: usize) -> PersonId {
        let looks = references(who, [0.9, 0.85], self.now);
        self.line.enrol_looks(&EnrolAs { name: name.into(), ..EnrolAs::default() }, &looks).unwrap().person_id
    }

    fn created(&mut self) -> usize {
        let events = std::mem::take(&mut self.events);
        events.iter().filter(|event| event.kind == EventKind::PersonCreated).count()
    }
}

/// A face 85 px wide, its eyes 34 px apart.
fn face(who: usize, x: f32) -> Observation {
    observation(BBox::from_centre(x, 240.0, 85.0, 100.0), Some(look_at(who, 0.9)))
}

fn ids(people: &[Person]) -> Vec<Option<PersonId>> {
    people.iter().map(|person| person.identity.person_id).collect()
}

#[test]
fn two_cameras_that_see_one_person_report_one_person() {
    let mut robot = Robot::new(AutoEnrol::Off);
    let anna = robot.enrol("Anna", 0);
    let [left, right] = robot.watch(2.0, &[(0, 100.0), (1, 400.0)], &[(0, 300.0)]);
    assert_eq!((ids(&left), ids(&right)), (vec![Some(anna), None], vec![Some(anna)]));
    let named: Vec<_> = left.iter().chain(&right).filter_map(|person| person.identity.name.as_deref()).collect();
    assert_eq!(named, ["Anna", "Anna"]);
    // Two faces, two ids: each camera follows its own, and no id means two of them.
    let faces: BTreeSet<FaceId> = left.iter().chain(&right).map(|person| person.face_id).collect();
    assert_eq!(faces.len(), 3);
    let visits = robot.line.list()[0].encounters;
    assert_eq!((robot.line.gallery().people().count(), visits), (1, 1), "one person, one visit");
}

#[test]
fn a_stranger_before_two_cameras_is_remembered_once_and_known_by_both() {
    let mut robot = Robot::new(AutoEnrol::Session);
    let [left, right] = robot.watch(5.0, &[(3, 100.0)], &[(3, 300.0)]);
    assert_eq!(robot.created(), 1);
    let stranger = ids(&left)[0].unwrap();
    assert_eq!((ids(&left), ids(&right)), (vec![Some(stranger)], vec![Some(stranger)]));
    assert!(left.iter().chain(&right).all(|person| person.identity.state == IdentityState::Anonymous));
    // Gone for longer than a face is remembered, and still the same person, before the other camera too.
    robot.watch(1.0, &[], &[]);
    robot.now = robot.now.plus_secs(1000.0);
    let [_, right] = robot.watch(3.0, &[], &[(3, 500.0)]);
    assert_eq!((ids(&right), robot.created()), (vec![Some(stranger)], 0));
}

#[test]
fn strangers_are_remembered_only_when_asked_and_only_as_long_as_allowed() {
    let mut robot = Robot::new(AutoEnrol::Off);
    let [left, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    assert_eq!((ids(&left), robot.line.list().len()), (vec![None], 0));

    let mut robot = Robot::new(AutoEnrol::Permanent);
    robot.enrol("Anna", 0);
    robot.watch(5.0, &[(3, 100.0), (0, 400.0)], &[]);
    let people = robot.line.list();
    let stranger = people.iter().find(|record| record.kind == Kind::Stranger).unwrap();
    let (hours, left_secs) = (24.0, stranger.expires.unwrap().secs_since(robot.now));
    assert!(left_secs <= hours * 3600.0 && left_secs > hours * 3600.0 - 60.0, "{left_secs}");
    // A day later only who has a name is still known.
    robot.now = robot.now.plus_secs(hours * 3600.0 + 1.0);
    robot.watch(1.0, &[], &[]);
    let left: Vec<_> = robot.line.list().into_iter().map(|record| record.name).collect();
    assert_eq!(left, [Some("Anna".to_owned())]);
}

#[test]
fn no_more_than_fifty_strangers_are_remembered() {
    let mut robot = Robot::new(AutoEnrol::Session);
    for _ in 0..super::upkeep::MOST_STRANGERS {
        let look = Reference { look: look_at(7, 0.5), quality: 0.8, stamp: robot.now, source: String::new() };
        robot.line.gallery.remember(&[look]).unwrap();
    }
    robot.watch(5.0, &[(3, 100.0)], &[]);
    assert_eq!((robot.created(), robot.line.list().len()), (0, super::upkeep::MOST_STRANGERS));
}

#[test]
fn who_was_forgotten_is_not_learnt_again_in_this_run() {
    let mut robot = Robot::new(AutoEnrol::Session);
    let [left, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    let stranger = ids(&left)[0].unwrap();
    let receipt = robot.line.forget(stranger).unwrap().lines();
    assert!(receipt.contains(&"tracks: 1".to_owned()), "{receipt:?}");
    robot.created();
    // Here, before the other camera, and after a long absence: nobody.
    let [left, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    let [_, right] = robot.watch(5.0, &[], &[(3, 300.0)]);
    robot.now = robot.now.plus_secs(1000.0);
    let [later, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    assert_eq!((ids(&left), ids(&right), ids(&later)), (vec![None], vec![None], vec![None]));
    assert_eq!((robot.created(), robot.line.list().len()), (0, 0));
    // Somebody else is learnt as before.
    robot.watch(5.0, &[(4, 100.0)], &[]);
    assert_eq!(robot.created(), 1);
    // Who asks to be known again is.
    let again = robot.enrol("Carl", 3);
    let [_, right] = robot.watch(2.0, &[], &[(3, 500.0)]);
    assert_eq!(ids(&right), [Some(again)]);
    assert_ne!(again, stranger, "an id is never given twice");
}

#[test]
fn no_event_names_who_was_forgotten() {
    let watched = || {
        let mut robot = Robot::new(AutoEnrol::Off);
        robot.line.config.privacy.allow_forget_all = true;
        let [anna, ann] = [robot.enrol("Anna", 0), robot.enrol("Ann", 5)];
        robot.watch(2.0, &[(0, 100.0)], &[(0, 100.0)]);
        let is_hers = |event: &PersonEvent| event.name.as_deref() == Some("Anna");
        assert!(robot.events.iter().any(|event| event.kind == EventKind::AttentionGained && is_hers(event)));
        robot.events.clear();
        (robot, anna, ann)
    };
    let told_later = |robot: &mut Robot| {
        robot.watch(20.0, &[], &[]);
        let about_faces: Vec<_> = robot.events.iter().filter(|event| event.face_id.is_some()).cloned().collect();
        assert_eq!(about_faces.iter().filter(|event| event.kind == EventKind::AttentionLost).count(), 2);
        about_faces.into_iter().map(|event| (event.person_id, event.name)).collect::<BTreeSet<_>>()
    };
    let nobody = BTreeSet::from([(None, None)]);

    let (mut robot, anna, _) = watched();
    assert_eq!(told_later(&mut robot), BTreeSet::from([(Some(anna), Some("Anna".to_owned()))]), "not forgotten");

    let (mut robot, anna, _) = watched();
    robot.line.forget(anna).unwrap();
    assert_eq!(told_later(&mut robot), nobody);

    let (mut robot, ..) = watched();
    robot.line.forget_all().unwrap();
    assert_eq!(told_later(&mut robot), nobody);

    let (mut robot, anna, ann) = watched();
    robot.line.merge(ann, anna).unwrap();
    robot.line.forget(ann).unwrap();
    assert_eq!(told_later(&mut robot), nobody);

    // Time that jumps back ends what is known of the faces, not what is told of them.
    let (mut robot, anna, _) = watched();
    robot.line.reset();
    robot.line.forget(anna).unwrap();
    assert_eq!(told_later(&mut robot), nobody);
}

#[test]
fn who_leaves_is_told_by_the_name_they_have_now() {
    for (merged, name_now) in [(true, Some("Ann")), (false, None)] {
        let mut robot = Robot::new(AutoEnrol::Off);
        let [anna, ann] = [robot.enrol("Anna", 0), robot.enrol("Ann", 5)];
        robot.watch(2.0, &[(0, 100.0)], &[]);
        robot.watch(3.0, &[], &[]);
        robot.events.clear();
        let now = if merged { robot.line.merge(ann, anna).unwrap() } else { robot.line.set_name(anna, "").unwrap() };
        robot.watch(20.0, &[], &[]);
        let left: Vec<_> = robot.events.iter().filter(|event| event.kind == EventKind::PersonLeft).collect();
        let told: Vec<_> = left.iter().map(|event| (event.person_id, event.name.as_deref())).collect();
        assert_eq!(told, [(Some(now), name_now)]);
    }
}

#[test]
fn who_another_program_forgets_is_not_learnt_again_either() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.db");
    let mut robot = Robot::new(AutoEnrol::Permanent);
    robot.line.open_gallery(&file).unwrap();
    let [left, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    let stranger = ids(&left)[0].unwrap();
    let mut other = crate::gallery::StoredGallery::open(&file, &tag()).unwrap();
    other.forget(stranger).unwrap();
    robot.created();
    let [left, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    robot.now = robot.now.plus_secs(1000.0);
    let [later, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    assert_eq!((ids(&left), ids(&later), robot.created()), (vec![None], vec![None], 0));
}

#[test]
fn a_running_detector_takes_new_settings() {
    struct Notes(std::sync::mpsc::Sender<u32>);
    impl FaceDetector for Notes {
        fn detect(&mut self, _: ImageView<'_>, _: &mut Vec<Detection>) -> Result<(), InferenceError> {
            Ok(())
        }
        fn configure(&mut self, config: &crate::config::DetectorConfig) {
            self.0.send(config.min_face_px).unwrap();
        }
    }
    let (notes, noted) = std::sync::mpsc::channel();
    let stages = Stages { detector: Box::new(Notes(notes)), landmarks: None, embedding: None, emotion: None };
    let mut line = Pipeline::new(Config::default(), stages);
    let mut config = Config::default();
    config.detector.min_face_px = 77;
    line.reconfigure(&config);
    assert_eq!(noted.try_iter().last(), Some(77));
}

#[test]
fn a_face_that_resembles_a_poster_is_never_learnt() {
    let mut robot = Robot::new(AutoEnrol::Session);
    let poster = EnrolAs { not_a_person: true, ..EnrolAs::default() };
    let look = Reference { look: look_at(3, 0.9), quality: 0.8, stamp: robot.now, source: String::new() };
    robot.line.enrol_looks(&poster, &[look]).unwrap();
    robot.line.take_events();
    let [left, _] = robot.watch(5.0, &[(3, 100.0)], &[]);
    assert_eq!((ids(&left), robot.created()), (vec![None], 0));
}

#[test]
fn a_line_that_is_behind_leaves_what_is_due_for_later_but_not_for_long() {
    // Looks at one face, in forty frames if it is known and in its first three if not; ten a second, with stamps
    // that jitter, of one of two cameras.
    let looks = |looks_hz: f64, waited_secs: f64, is_known: bool| {
        let frames = if is_known { 40 } else { 3 };
        let mut robot = Robot::new(AutoEnrol::Off);
        let mut config = Config::default();
        config.identity.looks_hz = looks_hz;
        robot.line.reconfigure(&config);
        if is_known {
            robot.enrol("Anna", 0);
        }
        robot.watch(2.0, if is_known { &[(0, 100.0)] } else { &[] }, &[]);
        robot.waited_secs = waited_secs;
        let mut looks = 0;
        for frame in 0..frames {
            robot.now = robot.now.plus_secs(if frame % 4 < 2 { 0.098 } else { 0.102 });
            robot.see("left", &[(0, 100.0)]);
            looks += robot.line.buffers.wanted.embedding.len();
        }
        looks
    };
    assert_eq!([0.0, 0.04, 0.07].map(|waited| looks(5.0, waited, true)), [20; 3], "not behind");
    assert_eq!(looks(5.0, 0.08, true), 10, "every other look");
    assert_eq!([0.0, 0.08].map(|waited| looks(10.0, waited, true)), [40, 20], "every other look");
    assert_eq!([0.0, 0.08].map(|waited| looks(5.0, waited, false)), [3; 2], "who is not known yet does not wait");
}

#[test]
fn routine_looks_are_spread_over_the_frames_and_everybody_has_a_turn() {
    let at = |millis: i64| Stamp::from_nanos(millis * 1_000_000);
    // Three faces, five times a second at 30 Hz: one per frame; all of them at 5 Hz, and after a pause.
    assert_eq!([1.0 / 30.0, 0.2, 2.0].map(|secs| routine_share(3, 5.0, secs).min(3)), [1, 3, 3]);
    // Stamps jitter: six faces need one per frame and not two.
    assert_eq!((routine_share(6, 5.0, 0.0336), routine_share(0, 5.0, 0.0)), (1, 1));
    let due = |millis| Urgency::Due { last_look: at(millis) };
    let looks = vec![(due(40), 0), (due(20), 1), (Urgency::New, 2), (due(30), 3), (Urgency::New, 4)];
    let mut chosen = Vec::new();
    most_urgent(looks, 2, &mut chosen);
    assert_eq!(chosen, [2, 4, 1, 3], "whoever is new, then those who waited longest");
}
