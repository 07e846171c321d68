//! What ROS4HRI's clients read: the messages, byte for byte as rosbags writes them from the official
//! definitions (`tests/reference/ros4hri_cdr.py` writes the reference), and a live node that a peer listens to
//! as libhri does.

use crate::wire_frame::hex;
use rostro::wire::camera_info::CameraInfo;
use rostro::wire::foxglove::ImageAnnotations;
use rostro::wire::geometry::{Bool, Float32, PoseStamped, Text, TfMessage, TransformStamped};
use rostro::wire::hri::{
    EngagementLevel, Expression, FacialLandmarks, IdsList, IdsMatch, NormalizedRegionOfInterest2D,
};
use rostro::wire::vision::Detection2DArray;
use rostro::wire::{Message, cdr, schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
    official: Official,
}

#[derive(Deserialize)]
struct Case {
    r#type: String,
    value: serde_json::Value,
    #[serde(deserialize_with = "hex")]
    little: Vec<u8>,
    #[serde(deserialize_with = "hex")]
    big: Vec<u8>,
}

#[derive(Deserialize)]
struct Official {
    /// Type and name of every field, by message.
    fields: BTreeMap<String, Vec<(String, String)>>,
    constants: Constants,
}

#[derive(Deserialize)]
struct Constants {
    expressions: BTreeSet<String>,
    landmarks: BTreeMap<String, usize>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/ros4hri_cdr.json")).unwrap()
}

fn compare<T: Message + Serialize + DeserializeOwned + PartialEq + Debug>(cases: &[Case], seen: &mut BTreeSet<String>) {
    let of_type: Vec<_> = cases.iter().filter(|case| case.r#type == T::TYPE).collect();
    assert!(!of_type.is_empty(), "no reference for {}", T::TYPE);
    for case in of_type {
        let value: T = serde_json::from_value(case.value.clone()).unwrap();
        let mut bytes = Vec::new();
        cdr::write(&value, &mut bytes).unwrap();
        assert!(bytes == case.little, "{}: written differently:\n{bytes:x?}\n{:x?}", T::TYPE, case.little);
        assert_eq!(cdr::read::<T>(&case.little).unwrap(), value);
        assert_eq!(cdr::read::<T>(&case.big).unwrap(), value);
    }
    seen.insert(T::TYPE.to_owned());
}

#[test]
fn every_ros4hri_message_has_the_bytes_that_rosbags_writes() {
    let cases = reference().cases;
    let mut seen = BTreeSet::new();
    compare::<Bool>(&cases, &mut seen);
    compare::<Float32>(&cases, &mut seen);
    compare::<Text>(&cases, &mut seen);
    compare::<TransformStamped>(&cases, &mut seen);
    compare::<PoseStamped>(&cases, &mut seen);
    compare::<TfMessage>(&cases, &mut seen);
    compare::<CameraInfo>(&cases, &mut seen);
    compare::<IdsList>(&cases, &mut seen);
    compare::<IdsMatch>(&cases, &mut seen);
    compare::<NormalizedRegionOfInterest2D>(&cases, &mut seen);
    compare::<FacialLandmarks>(&cases, &mut seen);
    compare::<Expression>(&cases, &mut seen);
    compare::<EngagementLevel>(&cases, &mut seen);
    compare::<Detection2DArray>(&cases, &mut seen);
    compare::<ImageAnnotations>(&cases, &mut seen);
    assert_eq!(seen, cases.into_iter().map(|case| case.r#type).collect());
}

/// The fields of a definition, types without their package.
fn fields(definition: &str) -> Vec<(String, String)> {
    let own = definition.split("====").next().unwrap();
    let lines = own.lines().map(|line| line.split('#').next().unwrap().trim());
    let lines = lines.filter(|line| !line.is_empty() && !line.contains('='));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            (kind.rsplit('/').next().unwrap().to_owned(), name.to_owned())
        })
        .collect()
}

#[test]
fn the_definitions_that_bags_carry_are_the_official_ones() {
    let mut compared = 0;
    for (name, official) in reference().official.fields {
        // Only what is written into bags has a text here.
        let Some(text) = schema(&name) else {
            assert!(name.starts_with("sensor_msgs/"), "no definition of {name}");
            continue;
        };
        assert_eq!(fields(&text), official, "{name}");
        compared += 1;
    }
    assert!(compared > 25, "{compared}");
}

#[test]
fn words_and_places_are_the_official_ones() {
    let Constants { expressions, landmarks } = reference().official.constants;
    assert_eq!(Expression::ALLOWED.map(str::to_owned).into_iter().collect::<BTreeSet<_>>(), expressions);
    for (name, place) in [
        ("SELLION", FacialLandmarks::SELLION),
        ("NOSE", FacialLandmarks::NOSE),
        ("MOUTH_OUTER_RIGHT", FacialLandmarks::MOUTH_OUTER_RIGHT),
        ("MOUTH_OUTER_LEFT", FacialLandmarks::MOUTH_OUTER_LEFT),
        ("RIGHT_PUPIL", FacialLandmarks::RIGHT_PUPIL),
        ("LEFT_PUPIL", FacialLandmarks::LEFT_PUPIL),
    ] {
        assert_eq!(landmarks[name], place, "{name}");
    }
}

/// A peer that does as libhri: it learns of faces from the list, listens to a face's topics only then, and to a
/// person's latched ones later still.
#[cfg(feature = "dds")]
#[test]
fn a_client_that_comes_late_sees_faces_and_persons() {
    use crate::node_support::{LiveNode, Peer, clip, own_domain, wait_until, write_raw};
    use serde_json::{Value, json};

    let name = "a_client_that_comes_late_sees_faces_and_persons";
    let (Some(frames), Some(_)) = (clip(name), crate::support::runtime(name)) else { return };
    let folder = crate::replay::folder(name);
    let domain = own_domain();
    let Some(mut peer) = Peer::start(name, domain) else { return };
    // One face for as long as this takes, however slow the machine.
    let parameters = "output: {mode: ros4hri_standalone}\ncamera_reliability: reliable\nidentity: {enabled: false}\n\
                      processing: {max_age_secs: 0.0}\ntracker: {coast_secs: 30.0}\n";
    let mut node = LiveNode::start(domain, &folder, parameters, &["--image", "/head/image_raw"]);
    peer.listen("/humans/faces/tracked", "IdsList", false);
    let focal = frames[0].width();
    let (cx, cy) = (focal / 2, frames[0].height() / 2);
    let frames = write_raw(&folder.join("frames"), &frames, "rgb8");
    peer.ask(&json!({"do": "publish", "topic": "/head/image_raw", "frames": frames, "hz": 10, "count": 1200,
        "info": {"topic": "/head/camera_info", "k": [focal, 0, cx, 0, focal, cy, 0, 0, 1]}}));

    let ids = |lists: &[Value]| -> Vec<String> {
        let last = lists.iter().rfind(|list| list["ids"].as_array().is_some_and(|ids| !ids.is_empty()));
        let ids = last.and_then(|list| list["ids"].as_array()).into_iter().flatten();
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let mut face = String::new();
    wait_until("a face in the list", || {
        face = ids(&peer.take("/humans/faces/tracked")).into_iter().next().unwrap_or_default();
        !face.is_empty()
    });
    assert!(face.len() == 5 && face.bytes().all(|b| b.is_ascii_lowercase()), "{face}");

    // Late, and only now.
    let topic = |below: &str| format!("/humans/faces/{face}/{below}");
    peer.listen(&topic("roi"), "NormalizedRegionOfInterest2D", false);
    peer.listen(&topic("landmarks"), "FacialLandmarks", false);
    peer.listen(&topic("cropped"), "Image", false);
    peer.listen("/tf", "TFMessage", false);
    peer.listen("/humans/persons/known", "IdsList", true);
    peer.listen("/humans/persons/tracked", "IdsList", true);
    for (below, is_right) in [
        ("roi", (|roi| roi["xmax"].as_f64() > roi["xmin"].as_f64()) as fn(&Value) -> bool),
        ("landmarks", |found| found["landmarks"][68]["c"].as_f64() > Some(0.0)),
        ("cropped", |picture| picture["encoding"] == "bgr8" && picture["width"] == 128),
    ] {
        wait_until(below, || peer.take(&topic(below)).last().is_some_and(is_right));
    }
    let mut children = BTreeSet::new();
    wait_until("transforms of face, gaze and person", || {
        for message in peer.take("/tf") {
            for transform in message["transforms"].as_array().unwrap() {
                children.insert(transform["child_frame_id"].as_str().unwrap().to_owned());
            }
        }
        ["face_", "gaze_", "person_anon_"].iter().all(|kind| children.contains(&format!("{kind}{face}")))
    });
    let person = format!("anon_{face}");
    for list in ["known", "tracked"] {
        let topic = format!("/humans/persons/{list}");
        wait_until(list, || ids(&peer.take(&topic)).contains(&person));
    }
    for (below, kind, value) in [("anonymous", "Bool", json!(true)), ("face_id", "Text", json!(face))] {
        let topic = format!("/humans/persons/{person}/{below}");
        peer.listen(&topic, kind, true);
        wait_until(below, || peer.take(&topic).last().is_some_and(|message| message["data"] == value));
    }

    // Somebody else begins to publish the same list.
    peer.ask(&json!({"do": "advertise", "topic": "/humans/faces/tracked", "type": "IdsList"}));
    node.wait_for_log("another node publishes /humans/faces/tracked too");

    // The node ends: nobody is there any more.
    peer.take("/humans/faces/tracked");
    assert!(node.end("TERM").success());
    let mut last = Value::Null;
    wait_until("the last list", || {
        last = peer.take("/humans/faces/tracked").pop().unwrap_or(std::mem::take(&mut last));
        last["ids"].as_array().is_some_and(Vec::is_empty)
    });
}

/// Who is not in the picture any more is missing from the very list of the frame whose event says so.
#[cfg(feature = "dds")]
#[test]
fn a_face_that_leaves_is_lost_with_the_frame_that_says_so() {
    use crate::node_support::{LiveNode, Peer, own_domain, photograph, wait_until, write_raw};
    use serde_json::Value;

    let name = "a_face_that_leaves_is_lost_with_the_frame_that_says_so";
    let (Some(picture), Some(_)) = (photograph(name), crate::support::runtime(name)) else { return };
    let folder = crate::replay::folder(name);
    let domain = own_domain();
    let Some(mut peer) = Peer::start(name, domain) else { return };
    let parameters = "output: {mode: ros4hri}\ncamera_reliability: reliable\nidentity: {enabled: false}\n\
                      processing: {max_age_secs: 0.0}\ntracker: {coast_secs: 0.5}\n";
    let mut node = LiveNode::start(domain, &folder, parameters, &[]);
    peer.listen("/humans/faces/tracked", "IdsList", false);
    peer.listen("/rostro/events", "PersonEvent", true);
    let wall = image::RgbImage::from_pixel(picture.width(), picture.height(), image::Rgb([128; 3]));
    let has_anybody = |list: &Value| list["ids"].as_array().is_some_and(|ids| !ids.is_empty());
    let Some(mut camera) = Peer::start(name, domain) else { return };
    camera.publish("/camera/image", &write_raw(&folder.join("face"), &[picture], "rgb8"), 10.0, 1200);
    let (mut lists, mut events) = (Vec::new(), Vec::new());
    wait_until("a face", || {
        lists.extend(peer.take("/humans/faces/tracked"));
        lists.iter().any(has_anybody)
    });
    drop(camera);
    peer.publish("/camera/image", &write_raw(&folder.join("wall"), &[wall], "rgb8"), 10.0, 1200);
    // On a machine so slow that the tracker loses the face between frames, some are gone before their topics are there.
    let lost = |events: &[Value], lists: &[Value]| {
        let was_listed = |face: &Value| lists.iter().any(|list| list["ids"].as_array().unwrap().contains(face));
        events.iter().find(|event| event["type"] == 1 && was_listed(&event["face_id"])).cloned()
    };
    wait_until("the face to leave, and three lists after that", || {
        lists.extend(peer.take("/humans/faces/tracked"));
        events.extend(peer.take("/rostro/events"));
        lost(&events, &lists).is_some_and(|event| {
            let at = lists.iter().position(|list| list["header"]["stamp"] == event["header"]["stamp"]);
            at.is_some_and(|at| lists.len() > at + 3)
        })
    });
    let event = lost(&events, &lists).unwrap();
    let has_face = |list: &Value| list["ids"].as_array().unwrap().contains(&event["face_id"]);
    let at = lists.iter().position(|list| list["header"]["stamp"] == event["header"]["stamp"]).unwrap();
    // It was there until then, and is not from then on.
    assert!(has_face(&lists[at - 1]), "{event}: {:?}", &lists[at - 1..=at]);
    assert!(!lists[at..].iter().any(has_face), "{lists:?}");
    assert!(node.end("TERM").success());
}
