//! What ROS4HRI's clients read: the messages, byte for byte as rosbags writes them from the official
//! definitions (`tests/reference/ros4hri_cdr.py` writes the reference).

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
