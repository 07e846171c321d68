use super::*;
use crate::eval::found::FoundEmotion;

/// A found face of 40 pixels.
fn face(face_id: &str, x: f32, name: &str) -> FoundPerson {
    FoundPerson {
        face_id: face_id.into(),
        person_id: if name.is_empty() { String::new() } else { format!("id-{name}") },
        name: name.into(),
        identity_confidence: 1.0,
        identity_similarity: 0.0,
        candidate_id: String::new(),
        r#box: [x, 0.0, x + 40.0, 40.0],
        observed: true,
        emotion: FoundEmotion::default(),
    }
}

fn frame(number: i64, people: Vec<FoundPerson>) -> FoundFrame {
    FoundFrame { stamp: 1_000_000_000 + number * 100_000_000, camera: "head".into(), people }
}

fn truth(files: &[(&str, String)]) -> Truth {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Truth::read(folder.path()).unwrap()
}

/// Anna at x = 0 and a stranger at x = 200, in frames 1 to `frames` at 10 Hz.
fn two_people(frames: u64) -> (&'static str, String) {
    let rows = (1..=frames).map(|n| format!("{n},anna,0,0,40,40\n{n},stranger,200,0,40,40\n"));
    ("tracks.csv", format!("frame,person,x,y,w,h\n{}", rows.collect::<String>()))
}

fn enrolled() -> Enrolled {
    Enrolled::from([("id-anna".to_owned(), "anna".to_owned())])
}

fn evaluate(truth: &Truth, frames: &[FoundFrame]) -> RecordingScore {
    let mut evaluator = Evaluator::new(truth, enrolled(), false);
    for frame in frames {
        evaluator.add(frame);
    }
    evaluator.finish().unwrap()
}

fn near(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-6)
}

#[test]
fn time_is_shared_out_among_the_states() {
    let truth = truth(&[two_people(10)]);
    let frames: Vec<FoundFrame> = (0..10)
        .map(|n| {
            let name = match n {
                0..2 => "",
                9 => "bert",
                _ => "anna",
            };
            let anna = if n == 5 { vec![] } else { vec![face("a", 0.0, name)] };
            frame(n, [anna, vec![face("s", 200.0, if n >= 8 { "anna" } else { "" })]].concat())
        })
        .collect();
    let score = evaluate(&truth, &frames);
    let id = &score.identification;
    assert!(near(id.named_right, 0.6) && near(id.named_wrong, 0.1) && near(id.unnamed, 0.3), "{id:?}");
    assert!(near(id.stranger_named, 0.2), "{id:?}");
    assert_eq!(id.wrong_names, 2);
    assert!(near(id.wrong_names_per_hour, 2.0 / (2.0 / 3600.0)));
    assert!(near(id.secs_to_name_p50, 0.2), "{id:?}");
    assert_eq!(id.visits_named_right.unwrap().count, 0);
    assert_eq!(id.visits_of_strangers_named.unwrap().count, 1);
    let tracking = score.tracking.unwrap();
    assert_eq!((tracking.missed, tracking.false_faces, tracking.id_switches), (1, 0, 0));
    assert_eq!(score.worst[0].what, "a wrong name");
    let anna = &score.people[0];
    let states: Vec<State> = anna.spans.iter().map(|span| span.state).collect();
    assert_eq!(states, [State::Unnamed, State::Right, State::Missed, State::Right, State::Wrong]);
    assert!((anna.visible_secs - 1.0).abs() < 1e-9);
}

#[test]
fn one_person_on_two_tracks_is_one_by_person_id() {
    let truth = truth(&[two_people(4)]);
    let frames: Vec<FoundFrame> = (0..4)
        .map(|n| frame(n, vec![face(if n < 2 { "a" } else { "b" }, 0.0, "anna"), face("s", 200.0, "")]))
        .collect();
    let score = evaluate(&truth, &frames);
    assert_eq!(score.tracking.unwrap().id_switches, 1);
    assert_eq!(score.tracking_of_people.unwrap().id_switches, 0);
    assert!(near(score.identification.face_ids_per_person, 1.5));
    assert!(near(score.identification.person_ids_per_person, 1.0));
}

#[test]
fn intervals_judge_names_without_boxes() {
    let truth = truth(&[("alone.csv", "from,to,person\n0,0.5,anna\n".into())]);
    let frames: Vec<FoundFrame> = (0..10).map(|n| frame(n, vec![face("a", 5.0, "anna")])).collect();
    let score = evaluate(&truth, &frames);
    assert_eq!((score.frames_judged, score.tracking), (5, None));
    assert!(near(score.identification.named_right, 1.0));
    assert!(score.identification.wrong_names_per_hour_below.unwrap() > 20_000.0);
}

#[test]
fn expressions_are_judged_by_time_with_their_onset() {
    let emotion = "from,to,person,label\n0,0.5,anna,neutral\n0.5,1.0,anna,happiness\n";
    let truth = truth(&[two_people(10), ("emotion.csv", emotion.into())]);
    let frames: Vec<FoundFrame> = (0..10)
        .map(|n| {
            let label = if n < 7 { "neutral" } else { "happiness" };
            let emotion = FoundEmotion { label: label.into(), confidence: 0.9, valid: true, uncertain: n == 9 };
            frame(n, vec![FoundPerson { emotion, ..face("a", 0.0, "anna") }, face("s", 200.0, "")])
        })
        .collect();
    let emotion = evaluate(&truth, &frames).emotion;
    // 0.5 s neutral right, 0.2 s late, 0.2 s happy, 0.1 s uncertain.
    assert!(near(emotion.right, 0.7 / 0.9) && near(emotion.valid, 0.5), "{emotion:?}");
    assert!(near(emotion.uncertain, 0.1) && near(emotion.flips_per_minute, 60.0), "{emotion:?}");
    assert!(near(emotion.onset_secs_p90, 0.18), "{emotion:?}");
    assert!((emotion.confusion_secs[1][0] - 0.2).abs() < 1e-9);
}

#[test]
fn truth_for_another_recording_is_refused_with_its_line() {
    let truth = truth(&[two_people(3)]);
    let mut evaluator = Evaluator::new(&truth, Enrolled::new(), false);
    evaluator.add(&frame(0, vec![]));
    let refusal = evaluator.finish().unwrap_err().to_string();
    assert!(refusal.contains("tracks.csv line 4") && refusal.contains("head (1 frames)"), "{refusal}");
}

#[test]
fn frames_without_a_row_are_empty_or_left_out() {
    let truth = truth(&[("tracks.csv", "frame,person,x,y,w,h\n2,anna,0,0,40,40\n".into())]);
    let frames: Vec<FoundFrame> = (0..4).map(|n| frame(n, vec![face("a", 0.0, "")])).collect();
    assert_eq!(evaluate(&truth, &frames).tracking.unwrap().false_faces, 3);
    let mut sparse = Evaluator::new(&truth, Enrolled::new(), true);
    for frame in &frames {
        sparse.add(frame);
    }
    let score = sparse.finish().unwrap();
    assert_eq!((score.frames_judged, score.tracking.unwrap().false_faces), (1, 0));
}

#[test]
fn looks_and_tracks_are_searches() {
    let truth = truth(&[two_people(6)]);
    let seen = |face: FoundPerson, candidate: &str, similarity: f32| FoundPerson {
        candidate_id: format!("id-{candidate}"),
        identity_similarity: similarity,
        ..face
    };
    let frames: Vec<FoundFrame> = (0..6)
        .map(|n| {
            // Each look lasts two frames; the first one is taken for somebody else.
            let anna = match n {
                0..2 => seen(face("a", 0.0, ""), "bert", 0.4),
                2..4 => seen(face("a", 0.0, "anna"), "anna", 0.7),
                _ => seen(face("a", 0.0, "anna"), "anna", 0.6),
            };
            frame(n, vec![anna, seen(face("s", 200.0, ""), "anna", if n < 4 { 0.3 } else { 0.65 })])
        })
        .collect();
    let mut enrolled = enrolled();
    enrolled.insert("id-bert".into(), "bert".into());
    let mut evaluator = Evaluator::new(&truth, enrolled, false);
    for frame in &frames {
        evaluator.add(frame);
    }
    let id = evaluator.finish().unwrap().identification;
    assert_eq!((id.per_look.mated, id.per_look.non_mated), (3, 2));
    assert_eq!((id.per_track.mated, id.per_track.non_mated), (1, 1));
    assert!(near(id.per_look.tpir.unwrap().share, 2.0 / 3.0) && near(id.per_track.tpir.unwrap().share, 1.0));
    assert_eq!((id.per_track.fpir.unwrap().count, id.per_track.misidentified.unwrap().count), (0, 0));
    // At the threshold that bars one of the stranger's two looks, one of Anna's three is above it.
    let at = |threshold: f64| id.per_look.det.iter().find(|point| point.threshold >= threshold).unwrap();
    assert!((at(0.5).fpir - 0.5).abs() < 1e-9 && (at(0.5).fnir - 1.0 / 3.0).abs() < 1e-9);
    assert!((at(0.68).fpir).abs() < 1e-9 && (at(0.68).fnir - 2.0 / 3.0).abs() < 1e-9);
}
