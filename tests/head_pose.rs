//! Head pose on real clips: which way a head turns, in which order, seen by the whole line.

use crate::support::{runtime, shared};
use rostro::assembly::load_pipeline;
use rostro::config::Config;
use rostro::head_pose::{HeadAngles, HeadPose};
use rostro::lens::Lens;
use rostro::model::NoProgress;
use rostro::people::EventKind;
use rostro::replay::Inputs;
use std::path::Path;

/// Yaw, pitch and roll of the one head, degrees, in the frames it is seen in.
type Angles = Vec<Option<[f64; 3]>>;

/// The angles by frame, and the events.
fn turns(clip: &Path) -> (Angles, Vec<EventKind>) {
    let mut pipeline = load_pipeline(&Config::default(), &mut NoProgress).unwrap();
    let mut inputs = Inputs::open(&[clip.to_owned()], &[]).unwrap();
    let (mut angles, mut events) = (Vec::new(), Vec::new());
    while let Some(frame) = inputs.sources[0].next_frame().unwrap() {
        let people = pipeline.process(&frame).unwrap();
        let lens = Lens::nominal(people.width, people.height);
        let head = people.people.iter().find(|person| person.observed);
        let pose = head.and_then(|person| HeadPose::estimate(&person.landmarks, &lens));
        angles.push(pose.map(|pose| {
            let HeadAngles { yaw, pitch, roll } = pose.angles();
            [yaw, pitch, roll].map(f64::to_degrees)
        }));
        events.extend(pipeline.events().iter().map(|event| event.kind));
    }
    for (number, angle) in angles.iter().enumerate() {
        println!("{number:3} {angle:5.0?}");
    }
    (angles, events)
}

/// She looks to her right (the image's left), turns past the camera to her left, and back past it to her
/// right; read off the pictures by eye.
#[test]
fn a_head_turns_to_the_sides_it_turns_to() {
    let name = "a_head_turns_to_the_sides_it_turns_to";
    let (Some(folder), Some(_)) = (shared("data/video", name), runtime(name)) else { return };
    let (angles, events) = turns(&folder.join("head-pose-face-detection-female.gif"));
    let yaw = |frames: std::ops::Range<usize>| {
        let found: Vec<f64> = angles[frames.clone()].iter().flatten().map(|angles| angles[0]).collect();
        assert!(!found.is_empty(), "nothing in frames {frames:?}");
        found.iter().sum::<f64>() / found.len() as f64
    };
    let [right, ahead, left, ahead_again, right_again] = [yaw(4..8), yaw(9..10), yaw(12..16), yaw(18..20), yaw(21..23)];
    println!("{right:.0} {ahead:.0} {left:.0} {ahead_again:.0} {right_again:.0}; {events:?}");
    assert!(right < -20.0 && left > 15.0 && right_again < -8.0, "{right} {left} {right_again}");
    assert!(ahead.abs() < 12.0 && ahead_again.abs() < 12.0, "{ahead} {ahead_again}");
    for (number, pair) in angles.windows(2).enumerate().skip(4).take(9) {
        if let [Some(before), Some(after)] = pair {
            assert!(after[0] > before[0] - 4.0, "frame {number}: it turns to her left all the time");
        }
    }
}

/// He looks at the camera all the time.
#[test]
fn a_head_that_faces_the_camera_does() {
    let name = "a_head_that_faces_the_camera_does";
    let (Some(folder), Some(_)) = (shared("data/video", name), runtime(name)) else { return };
    let (angles, events) = turns(&folder.join("head-pose-face-detection-male.gif"));
    let seen: Vec<_> = angles.iter().flatten().collect();
    assert!(seen.len() > 40, "{}", seen.len());
    assert!(seen.iter().all(|[yaw, _, roll]| yaw.abs() < 15.0 && roll.abs() < 10.0), "{seen:?}");
    let attention: Vec<_> = events
        .iter()
        .copied()
        .filter(|kind| matches!(kind, EventKind::AttentionGained | EventKind::AttentionLost))
        .collect();
    assert_eq!(attention, [EventKind::AttentionGained], "{events:?}");
}
