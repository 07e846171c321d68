//! Messages against CDR that rosbags wrote (`tests/reference/cdr.py` writes the reference), their
//! Rust side against the `.msg` and `.srv` files, and arbitrary bytes against the readers.
#![expect(clippy::float_cmp, reason = "messages carry the numbers as they are")]

use crate::wire_frame::hex;
use proptest::prelude::*;
use rostro::emotion::Emotion;
use rostro::frame::{EncodedPixels, Pixels, RawPixels};
use rostro::geometry::{BBox, Landmarks5, Point};
use rostro::ids::{CameraId, FaceId, PersonId};
use rostro::people;
use rostro::time::Stamp;
use rostro::wire::image::{CompressedImage, Header, RawImage};
use rostro::wire::messages::{self, People, Person, PersonEvent};
use rostro::wire::{Message, WireError, cdr, services};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Debug;

#[derive(Deserialize)]
struct Case {
    r#type: String,
    value: serde_json::Value,
    #[serde(deserialize_with = "hex")]
    little: Vec<u8>,
    #[serde(deserialize_with = "hex")]
    big: Vec<u8>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("reference/cdr.json")).unwrap()
}

/// Compares one message with the reference, both ways and in both byte orders.
fn compare<T: Message + Serialize + DeserializeOwned + PartialEq + Debug>(case: &Case) {
    let value: T = serde_json::from_value(case.value.clone()).unwrap();
    let mut bytes = vec![9; 5];
    cdr::write(&value, &mut bytes).unwrap();
    assert!(bytes == case.little, "{}: written differently:\n{bytes:x?}\n{:x?}", case.r#type, case.little);
    assert_eq!(cdr::read::<T>(&case.little).unwrap(), value);
    assert_eq!(cdr::read::<T>(&case.big).unwrap(), value);
}

macro_rules! every_type {
    ($call:ident $arguments:tt) => {
        every_type!(@ $call $arguments
            messages::People, messages::Person, messages::PersonEvent, messages::PersonRecord, messages::KnownPeople,
            messages::Image, messages::CompressedImage,
            services::EnrolRequest, services::EnrolResponse, services::SetNameRequest, services::SetNameResponse,
            services::MergeRequest, services::MergeResponse, services::ForgetRequest, services::ForgetResponse,
            services::ListPeopleRequest, services::ListPeopleResponse, services::ExportPersonRequest,
            services::ExportPersonResponse, services::IdentifyRequest, services::IdentifyResponse
        )
    };
    (@ $call:ident $arguments:tt $($type:ty),*) => { $($call::<$type> $arguments;)* };
}

#[test]
fn every_message_has_the_bytes_that_rosbags_writes() {
    fn compare_if_named<T: Message + Serialize + DeserializeOwned + PartialEq + Debug>(
        cases: &[Case],
        seen: &mut BTreeSet<String>,
    ) {
        for case in cases.iter().filter(|case| case.r#type == T::TYPE.replace("/srv/", "/msg/")) {
            compare::<T>(case);
            seen.insert(case.r#type.clone());
        }
    }
    let cases = cases();
    let mut seen = BTreeSet::new();
    every_type!(compare_if_named(&cases, &mut seen));
    let all: BTreeSet<_> = cases.into_iter().map(|case| case.r#type).collect();
    assert_eq!(seen, all);
}

#[test]
fn image_views_read_and_write_what_rosbags_writes() {
    let mut seen = 0;
    for case in cases() {
        for bytes in [&case.little, &case.big] {
            let mut out = Vec::new();
            match case.r#type.as_str() {
                RawImage::TYPE => {
                    let owned: messages::Image = serde_json::from_value(case.value.clone()).unwrap();
                    let view = RawImage::parse(bytes).unwrap();
                    assert_header(view.header, &owned.header);
                    let RawPixels { width, height, encoding, is_bigendian, step, data } = view.pixels;
                    assert_eq!(
                        (width, height, encoding, step),
                        (owned.width, owned.height, &*owned.encoding, owned.step)
                    );
                    assert_eq!((is_bigendian, data), (owned.is_bigendian != 0, &*owned.data));
                    assert!(data.is_empty() || bytes.as_ptr_range().contains(&data.as_ptr()), "borrowed");

                    view.encode(&mut out).unwrap();
                    let written: messages::Image = cdr::read(&out).unwrap();
                    let is_bigendian = u8::from(is_bigendian);
                    assert_eq!(written, messages::Image { is_bigendian, ..owned });
                }
                CompressedImage::TYPE => {
                    let owned: messages::CompressedImage = serde_json::from_value(case.value.clone()).unwrap();
                    let view = CompressedImage::parse(bytes).unwrap();
                    assert_header(view.header, &owned.header);
                    assert_eq!((view.pixels.format, view.pixels.data), (&*owned.format, &*owned.data));
                    view.encode(&mut out).unwrap();
                    assert_eq!(out, case.little);
                }
                _ => continue,
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 12);
}

fn assert_header(view: Header<'_>, owned: &messages::Header) {
    assert_eq!((view.stamp, view.frame_id), (owned.stamp.try_into().unwrap(), &*owned.frame_id));
}

#[test]
fn a_view_becomes_the_frame_of_a_camera() {
    let header = Header { stamp: Stamp::from_nanos(1_500_000_000), frame_id: "optical" };
    let pixels = EncodedPixels { format: "jpeg", data: &[1, 2, 3] };
    let mut bytes = Vec::new();
    CompressedImage { header, pixels }.encode(&mut bytes).unwrap();
    let frame = CompressedImage::parse(&bytes).unwrap().frame(CameraId::new("head/left").unwrap());
    assert_eq!((frame.camera.as_str(), frame.stamp.nanos(), frame.frame_id), ("head/left", 1_500_000_000, "optical"));
    assert!(matches!(frame.pixels, Pixels::Encoded(EncodedPixels { format: "jpeg", data: [1, 2, 3] })));
}

#[test]
fn damage_is_reported_with_field_and_offset() {
    let header = Header { stamp: Stamp::from_nanos(7), frame_id: "cam" };
    let pixels = RawPixels { width: 2, height: 1, encoding: "mono8", is_bigendian: false, step: 2, data: &[5, 6] };
    let mut bytes = Vec::new();
    RawImage { header, pixels }.encode(&mut bytes).unwrap();
    let message = |bytes: &[u8]| RawImage::parse(bytes).unwrap_err().to_string();

    let cut = bytes.len() - 1;
    assert_eq!(
        message(&bytes[..cut]),
        format!("sensor_msgs/msg/Image: data at byte {} needs 2 bytes, 1 are left", bytes.len() - 2)
    );
    assert_eq!(message(&bytes[..17]), "sensor_msgs/msg/Image: header.frame_id at byte 16 needs 4 bytes, 1 are left");
    assert_eq!(message(&bytes[..3]), "sensor_msgs/msg/Image: 3 bytes, the CDR header alone has 4");
    let mut other = bytes.clone();
    other[1] = 7;
    assert!(message(&other).contains("representation 0x0007 is unknown"));
    let mut other = bytes.clone();
    other[16] = 0xff;
    assert_eq!(message(&other), "sensor_msgs/msg/Image: header.frame_id at byte 16 is not UTF-8");
    let mut other = bytes.clone();
    other[19] = b'5';
    assert_eq!(message(&other), "sensor_msgs/msg/Image: header.frame_id at byte 16 does not end in a zero byte");
    let mut other = bytes.clone();
    other[8..12].fill(0xff);
    assert!(message(&other).contains("header.stamp: stamp 0 s + 4294967295 ns is not a time"));

    let error = cdr::read::<messages::KnownPeople>(&bytes[..18]).unwrap_err();
    assert_eq!(
        error,
        WireError::Malformed {
            message: "rostro/msg/KnownPeople",
            offset: 16,
            reason: "unexpected end of input".to_owned()
        }
    );
}

/// Type of a field: `float32`, `float32[4]`, `Person[]`; messages without their package, which the
/// Rust side does not name.
type Field = (String, String);

/// Fields (type, name) and constants of one definition.
#[derive(Debug, Default, PartialEq)]
struct Definition {
    fields: Vec<Field>,
    constants: Vec<(String, String)>,
}

fn parse_definition(text: &str) -> Definition {
    let mut parsed = Definition::default();
    for line in text.lines() {
        let line = line.split('#').next().unwrap().trim();
        let Some((kind, rest)) = line.split_once(char::is_whitespace) else {
            assert!(line.is_empty(), "not a field: {line}");
            continue;
        };
        let kind = kind.rsplit('/').next().unwrap().to_owned();
        match rest.split_once('=') {
            Some((name, value)) => parsed.constants.push((format!("{kind} {}", name.trim()), value.trim().to_owned())),
            // A default value may follow the name.
            None => parsed.fields.push((kind, rest.split_whitespace().next().unwrap().to_owned())),
        }
    }
    parsed
}

/// The fields of a Rust struct, found by deserialising it from a source that answers every question
/// and notes what was asked.
mod introspect {
    use super::Field;
    use serde::de::value::StrDeserializer;
    use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
    use serde::forward_to_deserialize_any;

    type Error = serde::de::value::Error;

    /// Type name and fields of the outermost struct.
    pub(super) fn fields<T: DeserializeOwned>() -> (String, Vec<Field>) {
        let mut noted = Noted::default();
        T::deserialize(&mut noted).unwrap();
        (noted.kind, noted.fields)
    }

    /// What one value was asked to be.
    #[derive(Default)]
    struct Noted {
        kind: String,
        fields: Vec<Field>,
    }

    macro_rules! basic {
        ($($method:ident $visit:ident $value:expr, $name:literal;)*) => {
            $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                self.kind = $name.to_owned();
                visitor.$visit($value)
            })*
        };
    }

    impl<'de> Deserializer<'de> for &mut Noted {
        type Error = Error;

        basic! {
            deserialize_bool visit_bool false, "bool";
            deserialize_i8 visit_i8 0, "int8";
            deserialize_i16 visit_i16 0, "int16";
            deserialize_i32 visit_i32 0, "int32";
            deserialize_i64 visit_i64 0, "int64";
            deserialize_u8 visit_u8 0, "uint8";
            deserialize_u16 visit_u16 0, "uint16";
            deserialize_u32 visit_u32 0, "uint32";
            deserialize_u64 visit_u64 0, "uint64";
            deserialize_f32 visit_f32 0.0, "float32";
            deserialize_f64 visit_f64 0.0, "float64";
            deserialize_string visit_str "", "string";
            deserialize_byte_buf visit_bytes &[], "uint8[]";
        }

        fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let mut elements = Elements::new(1);
            let value = visitor.visit_seq(&mut elements)?;
            self.kind = format!("{}[]", elements.kind);
            Ok(value)
        }

        fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
            let mut elements = Elements::new(len);
            let value = visitor.visit_seq(&mut elements)?;
            self.kind = format!("{}[{len}]", elements.kind);
            Ok(value)
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            name: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            name.clone_into(&mut self.kind);
            visitor.visit_map(Fields { left: fields, found: &mut self.fields })
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(serde::de::Error::custom("a kind of value that messages do not have"))
        }

        forward_to_deserialize_any! {
            i128 u128 char str bytes option unit unit_struct newtype_struct tuple_struct map enum identifier ignored_any
        }
    }

    struct Elements {
        left: usize,
        kind: String,
    }

    impl Elements {
        fn new(len: usize) -> Self {
            Self { left: len, kind: String::new() }
        }
    }

    impl<'de> SeqAccess<'de> for Elements {
        type Error = Error;
        fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
            if self.left == 0 {
                return Ok(None);
            }
            self.left -= 1;
            let mut noted = Noted::default();
            let value = seed.deserialize(&mut noted)?;
            self.kind = noted.kind;
            Ok(Some(value))
        }
    }

    struct Fields<'f> {
        left: &'static [&'static str],
        found: &'f mut Vec<Field>,
    }

    impl<'de> MapAccess<'de> for Fields<'_> {
        type Error = Error;
        fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
            let name = self.left.first();
            name.map(|name| seed.deserialize(StrDeserializer::new(name))).transpose()
        }

        fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
            let (name, left) = self.left.split_first().unwrap();
            self.left = left;
            let mut noted = Noted::default();
            let value = seed.deserialize(&mut noted)?;
            self.found.push((noted.kind, (*name).to_owned()));
            Ok(value)
        }
    }
}

/// Definitions by the name of the Rust struct, from the files and for the standard packages from
/// the schema text.
fn definitions() -> Vec<(String, Definition)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut definitions = Vec::new();
    for folder in ["msg", "srv"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            match text.split_once("---\n") {
                None => definitions.push((name, parse_definition(&text))),
                Some((request, response)) => {
                    definitions.push((format!("{name}Request"), parse_definition(request)));
                    definitions.push((format!("{name}Response"), parse_definition(response)));
                }
            }
        }
    }
    for name in [RawImage::TYPE, CompressedImage::TYPE, messages::People::TYPE] {
        let schema = rostro::wire::schema(name).unwrap();
        let separator = "=".repeat(80);
        for (index, part) in schema.split(&separator).enumerate() {
            let (name, text) = match part.trim_start().strip_prefix("MSG: ") {
                Some(rest) => rest.split_once('\n').unwrap(),
                None => (name, part),
            };
            assert_eq!(index == 0, name.contains("/msg/"), "{name}");
            let name = name.rsplit('/').next().unwrap().to_owned();
            if !definitions.iter().any(|(known, _)| *known == name) {
                definitions.push((name, parse_definition(text)));
            }
        }
    }
    definitions
}

#[test]
fn the_rust_side_has_the_fields_of_the_files() {
    fn note<T: DeserializeOwned>(found: &mut Vec<(String, Vec<Field>)>) {
        found.push(introspect::fields::<T>());
    }
    let mut rust = Vec::new();
    every_type!(note(&mut rust));
    note::<messages::Time>(&mut rust);
    note::<messages::Duration>(&mut rust);
    note::<messages::Header>(&mut rust);
    note::<messages::Point>(&mut rust);
    note::<messages::Quaternion>(&mut rust);
    note::<messages::Pose>(&mut rust);
    rust.sort();

    let mut files: Vec<_> = definitions().into_iter().map(|(name, definition)| (name, definition.fields)).collect();
    for (_, fields) in files.iter_mut().filter(|(_, fields)| fields.is_empty()) {
        // rosidl adds this member to empty structures.
        fields.push(("uint8".to_owned(), "structure_needs_at_least_one_member".to_owned()));
    }
    files.sort();
    assert_eq!(files.len(), 5 + 14 + 8);
    assert_eq!(rust, files);
}

#[test]
fn the_rust_side_has_the_constants_of_the_files() {
    for (name, definition) in definitions() {
        let constants = match name.as_str() {
            "Person" => Person::CONSTANTS,
            "PersonEvent" => PersonEvent::CONSTANTS,
            _ => &[],
        };
        let constants = constants.iter().map(|(name, value)| (format!("uint8 {name}"), value.to_string()));
        assert_eq!(constants.collect::<Vec<_>>(), definition.constants, "{name}");
    }
}

#[test]
fn the_file_comments_name_the_emotions_in_our_order() {
    let list: Vec<_> = Emotion::ALL.iter().map(|e| format!("{} {}", *e as u8, e.name())).collect();
    assert!(include_str!("../msg/Person.msg").contains(&list.join(", ")));
}

fn someone() -> people::Person {
    people::Person {
        face_id: FaceId::parse("abcde").unwrap(),
        identity: people::Identity {
            state: people::IdentityState::Named,
            person_id: Some(PersonId::parse("qwertyui").unwrap()),
            name: Some("Ana".to_owned()),
            confidence: 0.5,
            similarity: 0.75,
            candidate: None,
            margin: 0.25,
        },
        bbox: BBox::new(1.0, 2.0, 3.0, 4.0),
        score: 0.875,
        landmarks: Landmarks5::new([0.0, 1.0, 2.0, 3.0, 4.0].map(|v| Point::new(v, v + 10.0))),
        quality: 0.625,
        observed: true,
        track_age_secs: 1.5,
        emotion: None,
        pose: None,
        attention: None,
    }
}

fn everyone(people: Vec<people::Person>) -> people::People {
    people::People {
        camera: CameraId::new("camera").unwrap(),
        stamp: Stamp::from_nanos(-500_000_000),
        frame_id: "optical".to_owned(),
        width: 640,
        height: 480,
        frame_seq: 7,
        displaced: 3,
        latency_nanos: 1_250_000_000,
        people,
    }
}

#[test]
fn people_become_their_message() {
    let message = People::from(&everyone(vec![someone()]));
    assert_eq!(message.header.stamp, messages::Time { sec: -1, nanosec: 500_000_000 });
    assert_eq!((message.header.frame_id.as_str(), message.camera.as_str()), ("optical", "camera"));
    assert_eq!((message.width, message.height, message.frame_seq, message.displaced), (640, 480, 7, 3));
    assert_eq!(message.latency, messages::Duration { sec: 1, nanosec: 250_000_000 });

    let person = &message.people[0];
    assert_eq!((&*person.face_id, &*person.person_id, &*person.name), ("abcde", "qwertyui", "Ana"));
    assert_eq!(person.identity_state, Person::NAMED);
    assert_eq!([person.identity_confidence, person.identity_similarity, person.identity_margin], [0.5, 0.75, 0.25]);
    assert_eq!(person.r#box, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(person.landmarks, [0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0, 4.0, 14.0]);
    assert_eq!([person.score, person.quality, person.track_age], [0.875, 0.625, 1.5]);
    assert!(person.observed && !person.emotion_valid && !person.emotion_uncertain && !person.pose_valid);
    assert!(person.emotion_probabilities.iter().chain(&person.emotion_probabilities_raw).all(|p| p.is_nan()));
    assert!([person.valence, person.arousal, person.distance, person.attention].iter().all(|v| v.is_nan()));

    let mut bytes = Vec::new();
    cdr::write(&message, &mut bytes).unwrap();
    let read: People = cdr::read(&bytes).unwrap();
    // NaN differs from itself; the texts do not.
    assert_eq!(format!("{read:?}"), format!("{message:?}"));
}

#[test]
fn expressions_and_strangers_become_their_fields() {
    let probabilities = [0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0, 0.0, 0.0];
    let reading = people::EmotionReading {
        label: Emotion::Anger,
        confidence: 0.75,
        uncertain: true,
        probabilities,
        raw: None,
        valence: -0.25,
        arousal: 0.5,
    };
    let stranger = people::Person { identity: people::Identity::default(), emotion: Some(reading), ..someone() };
    let person = Person::from(&stranger);
    assert_eq!((&*person.person_id, &*person.name, person.identity_state), ("", "", Person::UNKNOWN));
    assert!(person.emotion_valid && person.emotion_uncertain);
    assert_eq!((person.emotion, person.emotion_confidence), (4, 0.75));
    assert_eq!(person.emotion_probabilities, probabilities);
    assert!(person.emotion_probabilities_raw.iter().all(|p| p.is_nan()));

    let measured = people::EmotionReading { raw: Some([0.125; 8]), ..reading };
    let person = Person::from(&people::Person { emotion: Some(measured), ..someone() });
    assert_eq!(person.emotion_probabilities_raw, [0.125; 8]);
    assert_eq!((person.valence, person.arousal), (-0.25, 0.5));
}

#[test]
fn events_become_their_message() {
    let event = people::PersonEvent {
        camera: CameraId::new("camera").unwrap(),
        stamp: Stamp::from_nanos(2_000_000_001),
        frame_id: "optical".to_owned(),
        kind: people::EventKind::PersonReturned,
        face_id: Some(FaceId::parse("abcde").unwrap()),
        person_id: Some(PersonId::parse("qwertyui").unwrap()),
        other_person_id: None,
        name: Some("Ana".to_owned()),
        detail: "hello".to_owned(),
        confidence: 0.5,
        absent_for_secs: 8.0,
    };
    let expected = PersonEvent {
        header: messages::Header { stamp: messages::Time { sec: 2, nanosec: 1 }, frame_id: "optical".to_owned() },
        r#type: PersonEvent::PERSON_RETURNED,
        camera: "camera".to_owned(),
        face_id: "abcde".to_owned(),
        person_id: "qwertyui".to_owned(),
        other_person_id: String::new(),
        name: "Ana".to_owned(),
        detail: "hello".to_owned(),
        confidence: 0.5,
        absent_for: 8.0,
    };
    assert_eq!(PersonEvent::from(&event), expected);
}

/// Bytes that begin like CDR more often than not, and real messages with damage.
fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    let real = cases().into_iter().flat_map(|case| [case.little, case.big]).collect::<Vec<_>>();
    let damaged = (
        prop::sample::select(real),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        any::<prop::sample::Index>(),
    );
    prop_oneof![
        (0..2_u8, prop::collection::vec(any::<u8>(), 0..400))
            .prop_map(|(order, rest)| { [vec![0, order, 0, 0], rest].concat() }),
        prop::collection::vec(any::<u8>(), 0..16),
        damaged.prop_map(|(mut bytes, damage, cut)| {
            for (at, byte) in damage {
                *at.get_mut(&mut bytes) = byte;
            }
            bytes.truncate(1 + cut.index(bytes.len()));
            bytes
        }),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in some_bytes()) {
        fn read<T: Message + DeserializeOwned>(bytes: &[u8]) {
            let _ = cdr::read::<T>(bytes);
        }
        every_type!(read(&bytes));
        let _ = CompressedImage::parse(&bytes);
        if let Ok(view) = RawImage::parse(&bytes) {
            // The serde struct and the view read the same, since there is one format.
            let owned: messages::Image = cdr::read(&bytes).unwrap();
            prop_assert_eq!(view.pixels.data, owned.data);
            prop_assert_eq!(view.pixels.encoding, owned.encoding);
        }
    }
}
