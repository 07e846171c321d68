//! The demo: its scene is what it claims to be, and the real binary reaches its targets on it.

use crate::support::skip;
use rostro::demo::scene::{Canvas, FaceTruth, Scene};
use rostro::demo::score::{ABSENT_SECS, MIN_IOU};
use rostro::demo::story::{ABSENCES, ENROLLED, RATE_HZ};
use rostro::demo::{photos, room, story};
use rostro::model::NoProgress;
use rostro::model::pictures::demo_pictures;
use rostro::model::store::{InstallOptions, Installed, ModelStore};
use std::process::Command;

/// The photographs, fetched on the first run; `None` (and a word) when they cannot be had.
fn pictures(test: &str) -> Option<Installed> {
    let store = ModelStore::open("").expect("a cache folder");
    match store.install_bundle(&demo_pictures(), &InstallOptions::default(), &mut NoProgress) {
        Ok(pictures) => Some(pictures),
        Err(error) => {
            skip(test, &format!("the photographs cannot be had: {error}"));
            None
        }
    }
}

fn scene(test: &str) -> Option<Scene> {
    Some(story::scene(photos::cutouts(&pictures(test)?).unwrap()))
}

#[test]
fn the_same_photographs_give_the_same_frames() {
    let test = "the_same_photographs_give_the_same_frames";
    let (Some(one), Some(two)) = (scene(test), scene(test)) else { return };
    let (mut left, mut right) = (Canvas::default(), Canvas::default());
    for frame in (0..one.frames()).step_by(45) {
        assert_eq!(one.jpeg(frame, &mut left).unwrap(), two.jpeg(frame, &mut right).unwrap(), "frame {frame}");
        // Composing another frame in between changes nothing.
        two.compose(0, &mut right);
    }
}

/// Every frame's face of one person, `None` where that person is not on the scene.
fn course(scene: &Scene, person: &str) -> Vec<Option<FaceTruth>> {
    let face = |frame| scene.truth(frame).faces.into_iter().find(|face| face.person == person);
    (0..scene.frames()).map(face).collect()
}

fn is_visible(face: Option<&FaceTruth>) -> bool {
    face.is_some_and(FaceTruth::is_visible)
}

/// Stretches out of view between two appearances, as ranges of frames.
fn gaps(course: &[Option<FaceTruth>]) -> Vec<std::ops::Range<usize>> {
    let seen: Vec<usize> = (0..course.len()).filter(|frame| is_visible(course[*frame].as_ref())).collect();
    seen.windows(2).filter(|pair| pair[1] - pair[0] > 1).map(|pair| pair[0] + 1..pair[1]).collect()
}

#[test]
fn the_scene_is_as_hard_as_it_claims() {
    let Some(scene) = scene("the_scene_is_as_hard_as_it_claims") else { return };
    assert_eq!(scene.size(), (room::WIDTH, room::HEIGHT));
    assert!(scene.frames() as f64 / RATE_HZ >= 20.0 && (RATE_HZ - 15.0).abs() < 1e-9);
    assert_eq!(scene.script().jpeg_quality, 60);
    let truth: Vec<_> = (0..scene.frames()).map(|frame| scene.truth(frame)).collect();
    let visible: Vec<&FaceTruth> =
        truth.iter().flat_map(|frame| &frame.faces).filter(|face| face.is_visible()).collect();
    for face in &visible {
        let (bbox, centre) = (face.bbox(), face.bbox().centre());
        assert!((40.0..=160.0).contains(&bbox.height()), "{face:?}");
        assert!((-1.0..=640.0).contains(&centre.x) && (0.0..=480.0).contains(&centre.y), "{face:?}");
        assert!(face.landmarks.iter().all(|[x, y]| (bbox.x1..bbox.x2).contains(x) && (bbox.y1..bbox.y2).contains(y)));
        let [right_eye, left_eye, ..] = face.landmarks;
        assert!(right_eye[0] < left_eye[0], "eyes are named by the subject's side");
    }
    let spread = |value: &dyn Fn(&FaceTruth) -> f64| {
        let values = visible.iter().map(|face| value(face));
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (lowest, highest) = spread(&|face| f64::from(face.bbox().height()));
    assert!(lowest < 46.0 && highest > 155.0, "heights {lowest} to {highest}");
    let (left, right) = spread(&|face| face.roll);
    assert!((-15.01..-14.0).contains(&left) && (14.0..15.01).contains(&right), "roll {left} to {right}");
    let (dark, bright) = spread(&|face| face.brightness);
    assert!((dark - 0.4).abs() < 0.01 && (bright - 1.6).abs() < 0.01, "brightness {dark} to {bright}");
    let blurred: Vec<usize> = (0..truth.len()).filter(|frame| truth[*frame].blur > 0.3).collect();
    assert!(blurred.len() > 10 && blurred.last().unwrap() - blurred[0] + 1 == blurred.len(), "one stretch of blur");
}

#[test]
fn the_enrolled_person_is_absent_as_scripted_and_two_people_cross() {
    let Some(scene) = scene("the_enrolled_person_is_absent_as_scripted_and_two_people_cross") else { return };
    let (mut absences, mut crossings) = (Vec::new(), Vec::new());
    for person in [ENROLLED, "stranger-1", "stranger-2"] {
        for gap in gaps(&course(&scene, person)) {
            let secs = gap.len() as f64 / RATE_HZ;
            if secs < ABSENT_SECS {
                crossings.push(gap);
            } else if person == ENROLLED {
                absences.push((gap.start as f64 / RATE_HZ, gap.end as f64 / RATE_HZ));
            }
        }
    }
    let expected = ABSENCES.map(|(from, to)| ((from * RATE_HZ).round() / RATE_HZ, (to * RATE_HZ).round() / RATE_HZ));
    assert_eq!(absences, expected);
    assert_eq!(absences.iter().map(|(from, to)| (to - from).round() as u32).collect::<Vec<_>>(), [1, 3, 8]);
    assert_eq!(crossings.len(), 2, "{crossings:?}");
    for crossing in crossings {
        // Somebody else's face is there, in full view.
        let truth = scene.truth(crossing.start + crossing.len() / 2);
        let hidden = truth.faces.iter().find(|face| !face.is_visible()).unwrap();
        assert!(truth.faces.iter().any(|face| face.visible > 0.95 && face.bbox().intersection(&hidden.bbox()) > 0.0));
    }
}

#[test]
fn faces_move_smoothly() {
    let Some(scene) = scene("faces_move_smoothly") else { return };
    for person in [ENROLLED, "stranger-1", "stranger-2"] {
        let course = course(&scene, person);
        for (frame, three) in course.windows(3).enumerate() {
            let [Some(a), Some(b), Some(c)] = three else { continue };
            if a.cutout != b.cutout || b.cutout != c.cutout {
                continue;
            }
            let (a, b, c) = (a.bbox(), b.bbox(), c.bbox());
            let (first, second) = (a.centre().distance(b.centre()), b.centre().distance(c.centre()));
            assert!(second < 14.0 && (second - first).abs() < 3.0, "{person}, frame {frame}: {first} then {second} px");
            assert!(a.iou(&b) > MIN_IOU, "{person}, frame {frame}");
        }
    }
}

#[test]
fn the_demo_reaches_its_targets() {
    let test = "the_demo_reaches_its_targets";
    if pictures(test).is_none() || crate::support::runtime(test).is_none() {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let ran =
        Command::new(env!("CARGO_BIN_EXE_rostro")).args(["demo", "--json", "--out"]).arg(out.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    if said.contains("no network") {
        return skip(test, &format!("the models cannot be had: {said}"));
    }
    assert!(ran.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let figure = |key: &str| report["score"][key].as_f64().unwrap_or_else(|| panic!("score.{key} is no number"));
    println!("{test}: {}", report["score"]);
    assert!(figure("named_right") >= 0.95);
    assert_eq!((figure("named_wrong"), figure("stranger_named")), (0.0, 0.0));
    assert_eq!(report["score"]["id_switches"], 0);
    assert_eq!(report["score"]["same_id_after_1s"], true);
    assert!(figure("detection_recall") > 0.9 && figure("false_faces") < 5.0);
    let people = report["people"].as_array().unwrap();
    let enrolled = people.iter().find(|person| person["name"] == photos::ENROLLED_NAME).unwrap();
    assert!(enrolled["seconds"].as_f64().unwrap() > 15.0);
    for name in ["scene.mcap", "truth.jsonl", "people.jsonl", "people.mcap", "report.html", "report.json"] {
        assert!(out.path().join(name).metadata().unwrap().len() > 1000, "{name}");
    }
    let lines = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap().lines().count();
    assert_eq!(lines("truth.jsonl"), lines("people.jsonl"));
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let place = file.path().join("below-a-file");
    let ran = Command::new(env!("CARGO_BIN_EXE_rostro")).args(["demo", "--out"]).arg(&place).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1));
    assert!(said.contains("cannot write") && said.contains(&*place.to_string_lossy()), "{said}");
}
