use super::*;
use crate::emotion::Emotion;
use crate::frame::ChannelOrder;
use crate::geometry::{BBox, Landmarks5, Point};
use crate::head_pose::{project, tests::head};
use crate::people::{EmotionReading, Identity, IdentityState, Person};
use crate::wire::geometry::{Bool, Float32, Text, TfMessage};
use crate::wire::hri::{EngagementLevel, Expression, FacialLandmarks, NormalizedRegionOfInterest2D};
use crate::wire::messages::Image;
use proptest::prelude::*;
use serde::de::DeserializeOwned;

/// Keeps what is sent.
#[derive(Default)]
struct Recorder {
    topics: BTreeMap<String, Topic>,
    sent: Vec<(String, Vec<u8>)>,
    closed: Vec<String>,
    wants: bool,
    /// A topic is there only when it is asked for again.
    is_slow: bool,
}

impl Sink for Recorder {
    fn open(&mut self, topic: &Topic) -> bool {
        let is_new = self.topics.insert(topic.name.clone(), topic.clone()).is_none();
        !(is_new && self.is_slow)
    }
    fn is_wanted(&mut self, topic: &str) -> bool {
        assert!(self.topics.contains_key(topic), "{topic} is asked about before it is there");
        self.wants
    }
    fn send(&mut self, topic: &str, _: Stamp, message: &[u8]) {
        assert!(self.topics.contains_key(topic), "{topic} is not open");
        self.sent.push((topic.to_owned(), message.to_vec()));
    }
    fn close(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.closed.push(topic.to_owned());
    }
}

impl Recorder {
    fn for_mode(mode: OutputMode) -> (Humans, Self) {
        let settings = Settings { mode, namespace: "/humans".into(), transforms: true, leave_secs: 4.0 };
        let (humans, mut sink) = (Humans::new(settings), Self::default());
        humans.topics().iter().for_each(|topic| assert!(sink.open(topic)));
        (humans, sink)
    }

    /// What was sent on a topic since the last time, and forgets all of it.
    fn last<M: Message + DeserializeOwned>(&self, topic: &str) -> Option<M> {
        self.all(topic).pop()
    }

    fn all<M: Message + DeserializeOwned>(&self, topic: &str) -> Vec<M> {
        assert!(self.topics.get(topic).is_none_or(|open| open.type_name == M::TYPE), "{topic} is no {}", M::TYPE);
        self.sent.iter().filter(|(name, _)| name == topic).map(|(_, bytes)| cdr::read(bytes).unwrap()).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.sent.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn ids(&self, list: &str) -> Option<Vec<String>> {
        self.last::<IdsList>(&format!("/humans/{list}")).map(|list| list.ids)
    }

    fn text(&self, topic: &str) -> Option<String> {
        self.last::<Text>(topic).map(|text| text.data)
    }
}

const FULL: [f32; 8] = [0.7, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01];

fn reading(label: Emotion) -> EmotionReading {
    let mut probabilities = FULL;
    probabilities.swap(0, label as usize);
    EmotionReading {
        label,
        confidence: 0.7,
        uncertain: false,
        probabilities,
        raw: Some(probabilities),
        valence: 0.5,
        arousal: -0.25,
    }
}

/// A face at 1.5 m; with a number it is a known person.
fn face(number: u64, person: Option<u64>) -> Person {
    let pose = head(10.0, 0.0, 0.0, [0.2 * number as f64, 0.0, 1.5]);
    let identity = person.map(|person| Identity {
        state: IdentityState::Named,
        person_id: Some(PersonId::from_counter(person)),
        name: Some(format!("P{person}")),
        confidence: 0.9,
        similarity: 0.7,
        candidate: Some(PersonId::from_counter(person)),
        margin: 0.2,
    });
    Person {
        face_id: FaceId::from_counter(number),
        identity: identity.unwrap_or_default(),
        bbox: BBox::new(100.0, 80.0, 200.0, 240.0),
        score: 0.9,
        landmarks: project(&pose, &crate::lens::tests::lens("plumb_bob", &[])).unwrap(),
        quality: 0.8,
        observed: true,
        track_age_secs: 1.0,
        emotion: Some(reading(Emotion::Happiness)),
        pose: Some(pose),
        attention: Some(0.9),
    }
}

fn frame_of(camera: &str, secs: f64, people: Vec<Person>) -> People {
    People {
        camera: CameraId::new(camera).unwrap(),
        stamp: Stamp::from_nanos(1_700_000_000_000_000_000).plus_secs(secs),
        frame_id: format!("{camera}_optical"),
        width: 640,
        height: 480,
        frame_seq: 1,
        displaced: 0,
        latency_nanos: 0,
        people,
    }
}

fn frame(secs: f64, people: Vec<Person>) -> People {
    frame_of("eye", secs, people)
}

fn show(humans: &mut Humans, sink: &mut Recorder, people: &People) {
    sink.sent.clear();
    humans.publish(people, &[], None, sink);
}

fn id(number: u64) -> String {
    FaceId::from_counter(number).to_string()
}

fn person_id(number: u64) -> String {
    PersonId::from_counter(number).to_string()
}

#[test]
fn what_belongs_to_faces_comes_before_transforms_and_these_before_the_list() {
    for mode in [OutputMode::Ros4hri, OutputMode::Ros4hriStandalone] {
        let (mut humans, mut sink) = Recorder::for_mode(mode);
        show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(7)), face(2, None)]));
        let names = sink.names();
        let of_faces = ["roi", "landmarks", "expression"];
        let mut expected: Vec<String> =
            [1, 2].iter().flat_map(|n| of_faces.map(|below| format!("/humans/faces/{}/{below}", id(*n)))).collect();
        expected.extend(["/tf".into(), "/humans/faces/tracked".into()]);
        assert_eq!(names[..8], expected[..], "{mode:?}");
        let rest = &names[8..];
        if mode == OutputMode::Ros4hri {
            assert_eq!(rest, ["/humans/candidate_matches"]);
        } else {
            assert_eq!((rest[0], *rest.last().unwrap()), ("/humans/persons/known", "/humans/persons/tracked"));
        }
        let message: TfMessage = sink.last("/tf").unwrap();
        let frames: Vec<_> =
            message.transforms.iter().map(|t| (t.header.frame_id.clone(), t.child_frame_id.clone())).collect();
        let eye = || "eye_optical".to_owned();
        let (a, b) = (format!("face_{}", id(1)), format!("face_{}", id(2)));
        let mut expected = vec![
            (eye(), a.clone()),
            (a, format!("gaze_{}", id(1))),
            (eye(), b.clone()),
            (b, format!("gaze_{}", id(2))),
        ];
        if mode == OutputMode::Ros4hriStandalone {
            expected.extend([(eye(), format!("person_anon_{}", id(2))), (eye(), format!("person_{}", person_id(7)))]);
            expected[4..].sort();
        }
        let mut frames_sorted = frames.clone();
        frames_sorted[4..].sort();
        assert_eq!(frames_sorted, expected);
        assert!(message.transforms.iter().all(|t| t.header.stamp == frame(0.0, vec![]).stamp.into()));
        let gaze = message.transforms[1].transform;
        let of_gaze = [gaze.rotation.x, gaze.rotation.y, gaze.rotation.z, gaze.rotation.w];
        assert_eq!((gaze.translation, of_gaze), (geometry::Vector3::default(), [-0.5, 0.5, -0.5, 0.5]));
    }
}

#[test]
fn qualities_of_service_are_those_of_the_readers() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(7))]));
    let qos = |topic: String| sink.topics[&topic].qos;
    assert_eq!(qos("/humans/faces/tracked".into()), Qos::reliable(10));
    for below in ["roi", "landmarks", "cropped", "aligned", "expression"] {
        assert_eq!(qos(format!("/humans/faces/{}/{below}", id(1))), Qos::reliable(1));
    }
    assert_eq!([qos("/humans/persons/known".into()), qos("/humans/persons/tracked".into())], [Qos::latched(1); 2]);
    for below in ["anonymous", "face_id", "body_id", "voice_id", "alias", "name"] {
        assert_eq!(qos(format!("/humans/persons/{}/{below}", person_id(7))), Qos::latched(1));
    }
    for below in ["location_confidence", "engagement_status"] {
        assert_eq!(qos(format!("/humans/persons/{}/{below}", person_id(7))), Qos::reliable(1));
    }
    assert_eq!(humans.exclusive().len(), 3);
    let (humans, _) = Recorder::for_mode(OutputMode::Aggregate);
    assert_eq!((humans.exclusive().len(), humans.topics().len()), (0, 1), "transforms alone");
}

#[test]
fn an_empty_frame_says_that_nobody_is_there() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    for n in 0..3 {
        show(&mut humans, &mut sink, &frame(0.1 * f64::from(n), vec![]));
        assert_eq!(sink.names(), ["/humans/faces/tracked"]);
        let list: IdsList = sink.last("/humans/faces/tracked").unwrap();
        assert_eq!((list.ids.len(), list.header.frame_id.as_str()), (0, "eye_optical"));
        assert_eq!(list.header.stamp, frame(0.1 * f64::from(n), vec![]).stamp.into());
    }
}

#[test]
fn only_words_that_readers_know_are_said() {
    let topic = format!("/humans/faces/{}/expression", id(1));
    let said = |emotion: Option<EmotionReading>| {
        let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
        show(&mut humans, &mut sink, &frame(0.0, vec![Person { emotion, ..face(1, None) }]));
        sink.last::<Expression>(&topic)
    };
    for label in Emotion::ALL {
        let word = said(Some(reading(label))).unwrap();
        assert!(Expression::ALLOWED.contains(&word.expression.as_str()), "{word:?}");
        assert!((0.0..=1.0).contains(&word.confidence) && (word.valence, word.arousal) == (0.5, -0.25));
    }
    assert_eq!(said(Some(reading(Emotion::Fear))).unwrap().expression, "scared");
    let happy = said(Some(reading(Emotion::Happiness))).unwrap();
    assert!(happy.expression == "happy" && (happy.confidence - 0.7 / 0.99).abs() < 1e-5);
    // Contempt has no word: the next best is said, with what contempt leaves to it.
    let contempt = said(Some(reading(Emotion::Contempt))).unwrap();
    assert!(contempt.expression == "happy" && (contempt.confidence - 0.1 / 0.3).abs() < 1e-5, "{contempt:?}");
    assert_eq!(said(None), None);
    assert_eq!(said(Some(EmotionReading { uncertain: true, ..reading(Emotion::Anger) })), None);
    assert_eq!(said(Some(EmotionReading { raw: None, ..reading(Emotion::Anger) })), None, "not measured in this frame");
}

proptest! {
    #[test]
    fn shares_of_the_image_are_shares(
        corner in prop::array::uniform2(-900.0_f32..900.0),
        size in prop::array::uniform2(0.0_f32..900.0),
        points in prop::array::uniform10(-900.0_f32..1500.0),
    ) {
        let bbox = BBox::new(corner[0], corner[1], corner[0] + size[0], corner[1] + size[1]);
        let points: [_; 5] = std::array::from_fn(|i| Point::new(points[2 * i], points[2 * i + 1]));
        let person = Person { bbox, landmarks: Landmarks5::new(points), ..face(1, None) };
        let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
        show(&mut humans, &mut sink, &frame(0.0, vec![person]));
        let roi: NormalizedRegionOfInterest2D = sink.last(&format!("/humans/faces/{}/roi", id(1))).unwrap();
        for share in [roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c] {
            prop_assert!((0.0..=1.0).contains(&share), "{roi:?}");
        }
        prop_assert!(roi.xmin <= roi.xmax && roi.ymin <= roi.ymax);
        let found: FacialLandmarks = sink.last(&format!("/humans/faces/{}/landmarks", id(1))).unwrap();
        prop_assert!(found.landmarks.iter().all(|p| (0.0..=1.0).contains(&p.x) && (0.0..=1.0).contains(&p.y)));
    }
}

#[test]
fn a_roi_that_leaves_the_image_is_clipped() {
    let person = Person { bbox: BBox::new(-64.0, 432.0, 64.0, 600.0), ..face(1, None) };
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    show(&mut humans, &mut sink, &frame(0.0, vec![person]));
    let roi: NormalizedRegionOfInterest2D = sink.last(&format!("/humans/faces/{}/roi", id(1))).unwrap();
    let close = [roi.xmin - 0.0, roi.ymin - 0.9, roi.xmax - 0.1, roi.ymax - 1.0, roi.c - 0.9];
    assert!(close.iter().all(|difference| difference.abs() < 1e-6), "{roi:?}");
}

#[test]
fn five_points_are_at_their_places() {
    let points = [(64.0, 48.0), (128.0, 48.0), (96.0, 96.0), (70.0, 144.0), (640.0 + 1.0, 144.0)];
    let landmarks = Landmarks5::new(points.map(|(x, y)| Point::new(x, y)));
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    show(&mut humans, &mut sink, &frame(0.0, vec![Person { landmarks, ..face(1, None) }]));
    let found: FacialLandmarks = sink.last(&format!("/humans/faces/{}/landmarks", id(1))).unwrap();
    assert_eq!((found.width, found.height), (640, 480));
    let at = |place: usize| (found.landmarks[place].x, found.landmarks[place].y, found.landmarks[place].c);
    assert_eq!([at(68), at(69)], [(0.1, 0.1, 0.9), (0.2, 0.1, 0.9)], "the right pupil is on the image's left");
    assert_eq!([at(27), at(30)], [(0.15, 0.1, 0.9), (0.15, 0.2, 0.9)]);
    assert_eq!(at(48), (70.0 / 640.0, 0.3, 0.9));
    assert_eq!(at(54), (0.0, 0.0, 0.0), "outside the image");
    assert_eq!(found.landmarks.iter().filter(|point| point.c > 0.0).count(), 5);
}

#[test]
fn without_calibration_all_but_transforms_is_there() {
    let uncalibrated = |number| Person { pose: None, ..face(number, Some(number)) };
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    show(&mut humans, &mut sink, &frame(0.0, vec![uncalibrated(1)]));
    let names = sink.names();
    assert!(!names.contains(&"/tf"));
    for topic in
        [format!("/humans/faces/{}/roi", id(1)), "/humans/faces/tracked".into(), "/humans/persons/tracked".into()]
    {
        assert!(names.contains(&topic.as_str()), "{topic}");
    }
}

#[test]
fn of_two_faces_one_leaves() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    let both = || vec![face(1, Some(7)), face(2, Some(8))];
    for n in 0..10 {
        show(&mut humans, &mut sink, &frame(0.1 * f64::from(n), both()));
        assert_eq!(sink.ids("faces/tracked").unwrap().len(), 2);
    }
    let mut taken_back = 0;
    for n in 10..40 {
        show(&mut humans, &mut sink, &frame(0.1 * f64::from(n), vec![face(2, Some(8))]));
        assert_eq!(sink.ids("faces/tracked").unwrap(), [id(2)], "lost within a frame");
        for found in sink.all::<IdsMatch>("/humans/candidate_matches") {
            if found.id2 == id(1) {
                assert_eq!((found.id1, found.confidence, n), (person_id(7), 0.0, 10));
                taken_back += 1;
            } else {
                assert_eq!((found.id1, found.id2, found.confidence), (person_id(8), id(2), 0.9));
                assert_eq!((found.id1_type, found.id2_type), (IdsMatch::PERSON, IdsMatch::FACE));
            }
        }
        let roi = format!("/humans/faces/{}/roi", id(1));
        assert_eq!(sink.topics.contains_key(&roi), n < 20, "frame {n}: the topics outlive the face by a second");
        assert!(!sink.names().contains(&roi.as_str()));
    }
    assert_eq!((taken_back, sink.closed.len()), (1, 5));
}

#[test]
fn matches_are_repeated_and_never_come_in_bursts() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    let crowd = || (0..25).map(|number| face(number, Some(100 + number))).collect::<Vec<_>>();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    // 2.5 s at 20 Hz.
    for n in 0..50 {
        show(&mut humans, &mut sink, &frame(0.05 * f64::from(n), crowd()));
        let matches = sink.all::<IdsMatch>("/humans/candidate_matches");
        assert!(matches.len() <= 10, "{}", matches.len());
        for found in matches {
            *told.entry(found.id2).or_default() += 1;
        }
    }
    assert!(told.len() == 25 && told.values().all(|times| (4..=6).contains(times)), "{told:?}");
}

#[test]
fn a_face_that_turns_out_to_be_someone_else_loses_its_match_first() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(7))]));
    show(&mut humans, &mut sink, &frame(0.1, vec![face(1, Some(8))]));
    let told: Vec<_> =
        sink.all::<IdsMatch>("/humans/candidate_matches").into_iter().map(|m| (m.id1, m.confidence)).collect();
    assert_eq!(told, [(person_id(7), 0.0), (person_id(8), 0.9)]);
    show(&mut humans, &mut sink, &frame(0.2, vec![face(1, None)]));
    let told = sink.all::<IdsMatch>("/humans/candidate_matches");
    assert_eq!(told.iter().map(|m| m.confidence).collect::<Vec<_>>(), [0.0]);
    show(&mut humans, &mut sink, &frame(0.3, vec![face(1, None)]));
    assert_eq!(sink.all::<IdsMatch>("/humans/candidate_matches"), []);
}

#[test]
fn a_face_is_listed_when_its_topics_are_there() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    sink.is_slow = true;
    show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(7))]));
    assert_eq!(sink.ids("faces/tracked").unwrap(), Vec::<String>::new());
    show(&mut humans, &mut sink, &frame(0.1, vec![face(1, Some(7))]));
    assert_eq!(sink.ids("faces/tracked").unwrap(), [id(1)]);
    // The person's topics are asked for once the face is there.
    show(&mut humans, &mut sink, &frame(0.2, vec![face(1, Some(7))]));
    assert_eq!(sink.ids("persons/tracked").unwrap(), [person_id(7)]);
}

#[test]
fn no_frame_is_sent_twice_or_backwards() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Aggregate);
    let mut sent = |secs: f64| {
        show(&mut humans, &mut sink, &frame(secs, vec![face(1, None)]));
        sink.last::<TfMessage>("/tf").map_or(0, |message| message.transforms.len())
    };
    assert_eq!([sent(1.0), sent(1.0), sent(0.95), sent(1.05)], [2, 0, 0, 2]);
    assert_eq!(sent(0.2), 2, "a bag that begins anew");
    let hidden = Person { observed: false, ..face(1, None) };
    show(&mut humans, &mut sink, &frame(1.3, vec![hidden]));
    assert_eq!(sink.names(), Vec::<&str>::new(), "nobody is where nobody is seen, and aggregate has no lists");
}

#[test]
fn an_anonymous_person_becomes_an_alias() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    humans.know([PersonId::from_counter(50)]);
    let anonymous = format!("anon_{}", id(1));
    show(&mut humans, &mut sink, &frame(0.0, vec![face(1, None)]));
    assert_eq!(sink.ids("persons/tracked").unwrap(), std::slice::from_ref(&anonymous));
    let mut known = vec![anonymous.clone(), person_id(50)];
    known.sort();
    assert_eq!(sink.ids("persons/known").unwrap(), known);
    let topic = |id: &str, below: &str| format!("/humans/persons/{id}/{below}");
    assert!(sink.last::<Bool>(&topic(&anonymous, "anonymous")).unwrap().data);
    assert_eq!(sink.text(&topic(&anonymous, "face_id")).unwrap(), id(1));
    for below in ["body_id", "voice_id", "alias", "name"] {
        assert_eq!(sink.text(&topic(&anonymous, below)).unwrap(), "", "{below}");
    }

    show(&mut humans, &mut sink, &frame(0.5, vec![face(1, Some(7))]));
    let place = |name: &str| sink.names().iter().position(|sent| *sent == name).unwrap();
    assert!(place("/humans/persons/known") < place(&topic(&anonymous, "alias")), "the target is known before");
    assert!(sink.ids("persons/known").unwrap().contains(&person_id(7)));
    assert_eq!(sink.text(&topic(&anonymous, "alias")).unwrap(), person_id(7));
    assert_eq!(sink.ids("persons/tracked").unwrap(), [person_id(7)]);
    assert_eq!(sink.text(&topic(&person_id(7), "name")).unwrap(), "P7");
    assert!(!sink.last::<Bool>(&topic(&person_id(7), "anonymous")).unwrap().data);

    let mut left = None;
    for n in 6..60 {
        show(&mut humans, &mut sink, &frame(0.1 * f64::from(n), vec![face(1, Some(7))]));
        if left.is_none() && sink.ids("persons/known").is_some_and(|known| !known.contains(&anonymous)) {
            left = Some(n);
        }
    }
    assert!(left.is_some_and(|n| (15..35).contains(&n)), "{left:?}: a second at least after it became an alias");
    assert!(
        sink.closed.contains(&topic(&anonymous, "alias")) && !sink.topics.contains_key(&topic(&anonymous, "alias"))
    );
}

#[test]
fn a_person_out_of_sight_is_less_and_less_where_it_was() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    let topic = format!("/humans/persons/{}/location_confidence", person_id(7));
    show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(7))]));
    assert_eq!(sink.last::<Float32>(&topic).unwrap().data, 1.0);
    let (mut confidences, mut frames) = (Vec::new(), Vec::new());
    for n in 1..60 {
        show(&mut humans, &mut sink, &frame(0.1 * f64::from(n), vec![]));
        confidences.extend(sink.last::<Float32>(&topic).map(|confidence| confidence.data));
        let place = sink.last::<TfMessage>("/tf");
        frames.push(
            place.is_some_and(|message| message.transforms[0].child_frame_id == format!("person_{}", person_id(7))),
        );
        if n == 1 {
            assert_eq!(sink.ids("persons/tracked").unwrap(), Vec::<String>::new());
            assert_eq!(sink.text(&format!("/humans/persons/{}/face_id", person_id(7))).unwrap(), "");
        }
    }
    assert!(confidences.is_sorted_by(|a, b| a >= b) && confidences.last() == Some(&0.0), "{confidences:?}");
    assert!(confidences.len() >= 5, "once a second at least");
    let gone = frames.iter().position(|is_there| !is_there).unwrap();
    assert!((38..=41).contains(&gone) && frames[gone..].iter().all(|is_there| !is_there), "{gone}: 4 s");
    // It is known all the same, and told again to those who come late.
    show(&mut humans, &mut sink, &frame(9.0, vec![]));
    assert_eq!(sink.ids("persons/known").unwrap(), [person_id(7)]);
}

#[test]
fn lists_of_persons_are_repeated_every_second() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    let mut times = Vec::new();
    for n in 0..50 {
        show(&mut humans, &mut sink, &frame(0.1 * f64::from(n), vec![face(1, Some(7))]));
        if sink.ids("persons/known").is_some() && sink.ids("persons/tracked").is_some() {
            times.push(n);
        }
    }
    assert!(times.len() >= 5 && times.windows(2).all(|pair| pair[1] - pair[0] <= 11), "{times:?}");
}

#[test]
fn engagement_follows_attention() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    let mut levels = Vec::new();
    let attention = [(5, Some(0.1)), (20, Some(0.9)), (20, Some(0.1)), (5, None)];
    let mut n = 0;
    for (frames, attention) in attention {
        for _ in 0..frames {
            n += 1;
            show(&mut humans, &mut sink, &frame(0.1 * f64::from(n), vec![Person { attention, ..face(1, Some(7)) }]));
            let topic = format!("/humans/persons/{}/engagement_status", person_id(7));
            levels.push(sink.last::<EngagementLevel>(&topic).unwrap().level);
        }
    }
    levels.dedup();
    assert_eq!(levels, [1, 2, 3, 4, 1, 0]);
}

#[test]
fn merged_and_forgotten_people_are_told() {
    let event = |kind, person, other: Option<u64>, secs| PersonEvent {
        camera: CameraId::default(),
        stamp: frame(secs, vec![]).stamp,
        frame_id: String::new(),
        kind,
        face_id: None,
        person_id: Some(PersonId::from_counter(person)),
        other_person_id: other.map(PersonId::from_counter),
        name: None,
        detail: String::new(),
        confidence: 0.0,
        absent_for_secs: 0.0,
    };
    let merged = event(EventKind::PersonMerged, 8, Some(7), 0.1);
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(7))]));
    sink.sent.clear();
    humans.publish(&frame(0.1, vec![face(1, Some(8))]), std::slice::from_ref(&merged), None, &mut sink);
    assert_eq!(sink.text(&format!("/humans/persons/{}/alias", person_id(7))).unwrap(), person_id(8));
    sink.sent.clear();
    let forgotten = event(EventKind::PersonForgotten, 8, None, 0.2);
    humans.publish(&frame(0.2, vec![face(1, None)]), &[forgotten], None, &mut sink);
    let known = sink.ids("persons/known").unwrap();
    assert!(!known.contains(&person_id(8)), "{known:?}");
    assert_eq!(sink.text(&format!("/humans/persons/{}/alias", person_id(7))).unwrap(), "", "an alias of nobody");

    assert_eq!(sink.text(&format!("/humans/persons/{}/name", person_id(7))).unwrap(), "", "who was merged into them");
    assert!(!known.contains(&person_id(7)), "{known:?}");

    // No frame comes any more.
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hriStandalone);
    humans.know([PersonId::from_counter(8)]);
    show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(8))]));
    assert_eq!(sink.text(&format!("/humans/persons/{}/name", person_id(8))).unwrap(), "P8");
    sink.sent.clear();
    humans.tell(&[event(EventKind::PersonForgotten, 8, None, 0.0)], frame(5.0, vec![]).stamp, &mut sink);
    assert_eq!(sink.text(&format!("/humans/persons/{}/name", person_id(8))).unwrap(), "");
    assert_eq!((sink.ids("persons/known"), sink.ids("persons/tracked")), (Some(vec![]), Some(vec![])));

    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    humans.publish(&frame(0.1, vec![]), &[merged], None, &mut sink);
    let told: IdsMatch = sink.last("/humans/candidate_matches").unwrap();
    assert_eq!((told.id1, told.id2, told.confidence), (person_id(8), person_id(7), 1.0));
    assert_eq!((told.id1_type, told.id2_type), (IdsMatch::PERSON, IdsMatch::PERSON));
}

#[test]
fn two_cameras_make_one_list() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    show(&mut humans, &mut sink, &frame_of("left", 0.0, vec![face(1, None)]));
    show(&mut humans, &mut sink, &frame_of("right", 0.02, vec![face(2, None)]));
    let mut both = [id(1), id(2)];
    both.sort();
    assert_eq!(sink.ids("faces/tracked").unwrap(), both);
    let message: TfMessage = sink.last("/tf").unwrap();
    assert_eq!(message.transforms[0].header.frame_id, "right_optical");
    // The left one is unplugged.
    let mut gone = None;
    for n in 1..60 {
        show(&mut humans, &mut sink, &frame_of("right", 0.1 * f64::from(n), vec![face(2, None)]));
        if gone.is_none() && sink.ids("faces/tracked").unwrap() == [id(2)] {
            gone = Some(n);
        }
    }
    assert!(gone.is_some_and(|n| (19..=22).contains(&n)), "{gone:?}");
}

#[test]
fn at_the_end_nobody_is_there_and_no_topic_is_left() {
    for mode in [OutputMode::Ros4hri, OutputMode::Ros4hriStandalone] {
        let (mut humans, mut sink) = Recorder::for_mode(mode);
        let fixed = sink.topics.len();
        show(&mut humans, &mut sink, &frame(0.0, vec![face(1, Some(7)), face(2, None)]));
        sink.sent.clear();
        humans.end(frame(0.1, vec![]).stamp, &mut sink);
        assert_eq!(sink.ids("faces/tracked").unwrap(), Vec::<String>::new());
        if mode == OutputMode::Ros4hri {
            assert_eq!(sink.last::<IdsMatch>("/humans/candidate_matches").unwrap().confidence, 0.0);
        } else {
            assert_eq!(sink.ids("persons/tracked").unwrap(), Vec::<String>::new());
        }
        assert_eq!(sink.topics.len(), fixed, "{:?}", sink.topics.keys());
        // And it can begin anew.
        show(&mut humans, &mut sink, &frame(0.2, vec![face(3, None)]));
        assert_eq!(sink.ids("faces/tracked").unwrap(), [id(3)]);
    }
}

#[test]
fn a_bag_that_begins_anew_begins_anew_here() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    show(&mut humans, &mut sink, &frame(100.0, vec![face(1, Some(7))]));
    show(&mut humans, &mut sink, &frame(0.0, vec![face(2, Some(7))]));
    let lists: Vec<_> = sink.all::<IdsList>("/humans/faces/tracked").into_iter().map(|list| list.ids).collect();
    assert_eq!(lists, [vec![], vec![id(2)]]);
    assert_eq!(sink.all::<IdsMatch>("/humans/candidate_matches").len(), 2, "taken back, and found again");
    assert!(!sink.topics.contains_key(&format!("/humans/faces/{}/roi", id(1))));
}

#[test]
fn pictures_are_made_for_those_who_look_and_hold_the_face() {
    let (mut humans, mut sink) = Recorder::for_mode(OutputMode::Ros4hri);
    // A red box on blue, in rows with padding.
    let (width, height, stride) = (640_usize, 480_usize, 640 * 3 + 8);
    let mut data = vec![0; stride * height];
    for y in 0..height {
        for x in 0..width {
            let is_face = (100..200).contains(&x) && (80..240).contains(&y);
            data[y * stride + x * 3..][..3].copy_from_slice(if is_face { &[250, 0, 0] } else { &[0, 0, 250] });
        }
    }
    let image = ImageView::new(width as u32, height as u32, stride, ChannelOrder::Rgb, &data).unwrap();
    let people = frame(0.0, vec![face(1, None)]);
    humans.publish(&people, &[], Some(image), &mut sink);
    let topic = |picture: &str| format!("/humans/faces/{}/{picture}", id(1));
    assert_eq!(sink.last::<Image>(&topic("cropped")), None, "nobody looks");
    sink.wants = true;
    assert!(humans.wants_pictures(&people, &mut sink));
    humans.publish(&frame(0.1, vec![face(1, None)]), &[], Some(image), &mut sink);
    let cropped: Image = sink.last(&topic("cropped")).unwrap();
    assert_eq!((cropped.width, cropped.height, cropped.step, &*cropped.encoding), (128, 128, 384, "bgr8"));
    let pixel = |picture: &Image, x: usize, y: usize| {
        let at = y * 384 + x * 3;
        [picture.data[at], picture.data[at + 1], picture.data[at + 2]]
    };
    assert_eq!([pixel(&cropped, 64, 2), pixel(&cropped, 64, 125), pixel(&cropped, 30, 64)], [[0, 0, 250]; 3]);
    assert_eq!([pixel(&cropped, 10, 64), pixel(&cropped, 120, 64)], [[0; 3]; 2], "black beside the box");
    let aligned: Image = sink.last(&topic("aligned")).unwrap();
    assert_eq!(pixel(&aligned, 64, 64), [0, 0, 250]);
    assert_eq!(pixel(&aligned, 5, 64), [250, 0, 0], "the picture goes on beside the box");
}
