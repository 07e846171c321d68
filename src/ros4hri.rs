//! REP-155 (ROS4HRI): our people as its clients expect them, below `/humans`.
//!
//! No I/O and no clock: people of one frame go in, messages come out at a [`Sink`] in the order that
//! readers rely on: what belongs to each face, then transforms, then the list of faces, then matches or
//! the persons.
//!
//! A face is listed only when its topics exist, and keeps them for a while after it is gone, so that no
//! reader meets a listed face without topics. Readers begin to listen when they see a list; what is sent
//! before that is lost to them, so everything is repeated.

mod crops;
mod faces;
mod matches;
mod persons;
#[cfg(test)]
mod tests;
mod transforms;

use crate::config::{Config, OutputMode};
use crate::frame::ImageView;
use crate::ids::{CameraId, FaceId, PersonId};
use crate::node::transport::Qos;
use crate::people::{EventKind, People, PersonEvent};
use crate::time::Stamp;
use crate::wire::hri::{IdsList, IdsMatch};
use crate::wire::messages::Header;
use crate::wire::{Message, cdr, geometry};
use matches::Matches;
use persons::Persons;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use transforms::Transforms;

/// Seconds for which the topics of a face or person outlive it.
const LINGER_SECS: f64 = 1.0;
/// Seconds without a frame after which nothing is said any more of a camera's faces.
const CAMERA_LOST_SECS: f64 = 2.0;
/// A stamp this much earlier than the last is another time (a bag that begins anew), seconds.
const JUMP_SECS: f64 = 0.1;

/// The package whose messages all topics below `/humans` need.
pub const PACKAGE: &str = "hri_msgs";

/// A topic to be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Absolute.
    pub name: String,
    /// As `hri_msgs/msg/IdsList`.
    pub type_name: &'static str,
    /// How it is offered.
    pub qos: Qos,
}

impl Topic {
    fn new<M: Message>(name: String, qos: Qos) -> Self {
        Self { name, type_name: M::TYPE, qos }
    }
}

/// Where messages go.
pub trait Sink {
    /// Offers a topic; false while that is not done yet, to be asked again with the next frame.
    fn open(&mut self, topic: &Topic) -> bool;

    /// Whether anybody listens.
    fn is_wanted(&mut self, topic: &str) -> bool;

    /// Sends CDR with its header on a topic that is open.
    fn send(&mut self, topic: &str, stamp: Stamp, message: &[u8]);

    /// Ends a topic.
    fn close(&mut self, topic: &str);
}

/// What is published.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which of the topics.
    pub mode: OutputMode,
    /// `/humans`, or another absolute name.
    pub namespace: String,
    /// Whether transforms are sent.
    pub transforms: bool,
    /// Seconds in which the place of a person out of sight loses all confidence.
    pub leave_secs: f64,
}

/// Everyone as ROS4HRI shows them, of all cameras.
pub struct Humans {
    settings: Settings,
    cameras: BTreeMap<CameraId, Seen>,
    faces: BTreeMap<FaceId, Listed>,
    transforms: Transforms,
    matches: Matches,
    persons: Persons,
    writer: Writer,
}

/// The faces of one camera's last frame.
struct Seen {
    stamp: Stamp,
    faces: Vec<FaceId>,
}

/// A face that has topics.
#[derive(Default)]
struct Listed {
    is_open: bool,
    /// Since when nobody sees it.
    gone: Option<Stamp>,
}

/// Writes messages into one buffer.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn send<M: Message + Serialize>(&mut self, sink: &mut dyn Sink, topic: &str, stamp: Stamp, message: &M) {
        match cdr::write(message, &mut self.bytes) {
            Ok(()) => sink.send(topic, stamp, &self.bytes),
            Err(error) => tracing::error!(%error, topic, "a message cannot be written"),
        }
    }
}

impl Settings {
    /// What a configuration asks for.
    pub fn of(config: &Config) -> Self {
        Self {
            mode: config.output.mode,
            namespace: config.output.humans_namespace.clone(),
            transforms: config.tf.publish,
            leave_secs: config.people.leave_secs,
        }
    }
}

/// Whether readers are told of such an event without a frame. Of two who were merged the next frame tells whose the
/// face is; until then nobody would be seen.
const fn is_for_now(kind: EventKind) -> bool {
    matches!(kind, EventKind::PersonCreated | EventKind::PersonRenamed | EventKind::PersonForgotten)
}

impl Humans {
    /// Nobody yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            cameras: BTreeMap::new(),
            faces: BTreeMap::new(),
            transforms: Transforms::default(),
            matches: Matches::default(),
            persons: Persons::default(),
            writer: Writer::default(),
            settings,
        }
    }

    /// Takes over what may change at run time.
    pub const fn reconfigure(&mut self, config: &Config) {
        self.settings.leave_secs = config.people.leave_secs;
    }

    /// The topics that are there whoever is seen; the others come and go with faces and persons.
    pub fn topics(&self) -> Vec<Topic> {
        let list = |name: &str, qos| Topic::new::<IdsList>(self.name(name), qos);
        let mut topics = Vec::new();
        if self.settings.transforms {
            topics.push(Topic::new::<geometry::TfMessage>("/tf".into(), Qos::reliable(100)));
        }
        if self.has_faces() {
            topics.push(list("faces/tracked", Qos::reliable(10)));
        }
        if self.settings.mode == OutputMode::Ros4hri {
            topics.push(Topic::new::<IdsMatch>(self.name("candidate_matches"), Qos::reliable(10)));
        }
        if self.has_persons() {
            topics.push(list("persons/known", Qos::latched(1)));
            topics.push(list("persons/tracked", Qos::latched(1)));
        }
        topics
    }

    /// The lists that only one node may publish: readers take an id that is missing from the latest for
    /// lost.
    pub fn exclusive(&self) -> Vec<String> {
        let lists = ["faces/tracked", "persons/tracked", "persons/known"].map(|name| self.name(name));
        self.topics().into_iter().map(|topic| topic.name).filter(|name| lists.contains(name)).collect()
    }

    /// Says who is known without being seen; only persons' lists tell it.
    pub fn know(&mut self, known: impl IntoIterator<Item = PersonId>) {
        self.persons.know(known);
    }

    /// Whether somebody wants pictures of the faces in this frame.
    pub fn wants_pictures(&self, people: &People, sink: &mut dyn Sink) -> bool {
        let wanted = |face: FaceId, sink: &mut dyn Sink| {
            crops::PICTURES.iter().any(|picture| sink.is_wanted(&self.face_topic(face, picture)))
        };
        self.has_faces() && people.people.iter().any(|person| person.observed && wanted(person.face_id, sink))
    }

    /// Says what one frame and its events tell. `image` is needed for pictures of faces alone.
    pub fn publish(
        &mut self,
        people: &People,
        events: &[PersonEvent],
        image: Option<ImageView<'_>>,
        sink: &mut dyn Sink,
    ) {
        let last = self.cameras.get(&people.camera).map(|seen| seen.stamp);
        if last.is_some_and(|last| last.secs_since(people.stamp) > JUMP_SECS) {
            self.end(people.stamp, sink);
        }
        self.take_events(events, people.stamp, sink);
        self.open_faces(people, sink);
        let seen = people.people.iter().map(|person| person.face_id).filter(|face| self.is_listed(*face)).collect();
        self.cameras.insert(people.camera.clone(), Seen { stamp: people.stamp, faces: seen });
        self.cameras.retain(|_, seen| people.stamp.secs_since(seen.stamp) <= CAMERA_LOST_SECS);

        self.publish_faces(people, image, sink);
        if self.has_persons() {
            let listed = self.listed();
            self.persons.look(people, &listed, &self.settings.namespace, sink);
        }
        self.publish_transforms(people, sink);
        self.publish_list(people.stamp, &people.frame_id, sink);
        if self.settings.mode == OutputMode::Ros4hri {
            let (topic, listed) = (self.name("candidate_matches"), self.listed());
            self.matches.publish(people, &listed, &topic, sink, &mut self.writer);
        }
        if self.has_persons() {
            self.persons.publish(people.stamp, &people.frame_id, &self.settings, sink, &mut self.writer);
        }
        self.close_faces(people.stamp, sink);
    }

    /// Says at once what changed among the people we know: the next frame may never come, and readers that begin
    /// to listen would still be told the name of somebody who was forgotten.
    pub fn tell(&mut self, events: &[PersonEvent], stamp: Stamp, sink: &mut dyn Sink) {
        self.take_events(events, stamp, sink);
        if self.has_persons() && events.iter().any(|event| is_for_now(event.kind)) {
            self.persons.publish(stamp, "", &self.settings, sink, &mut self.writer);
        }
    }

    /// Says that nobody is seen, because nobody looks any more; topics that come and go end.
    pub fn end(&mut self, stamp: Stamp, sink: &mut dyn Sink) {
        self.cameras.clear();
        self.publish_list(stamp, "", sink);
        if self.settings.mode == OutputMode::Ros4hri {
            self.matches.retract_all(stamp, &self.name("candidate_matches"), sink, &mut self.writer);
        }
        if self.has_persons() {
            self.persons.end(stamp, &self.settings, sink, &mut self.writer);
        }
        for face in std::mem::take(&mut self.faces).into_keys() {
            self.close_face(face, sink);
        }
        self.transforms = Transforms::default();
    }

    fn has_faces(&self) -> bool {
        self.settings.mode != OutputMode::Aggregate
    }

    fn has_persons(&self) -> bool {
        self.settings.mode == OutputMode::Ros4hriStandalone
    }

    fn name(&self, below: &str) -> String {
        format!("{}/{below}", self.settings.namespace)
    }

    fn face_topic(&self, face: FaceId, below: &str) -> String {
        format!("{}/faces/{face}/{below}", self.settings.namespace)
    }

    fn is_listed(&self, face: FaceId) -> bool {
        self.faces.get(&face).is_some_and(|face| face.is_open)
    }

    /// Faces of all cameras, without repetition.
    fn listed(&self) -> BTreeSet<FaceId> {
        self.cameras.values().flat_map(|seen| seen.faces.iter().copied()).collect()
    }

    fn take_events(&mut self, events: &[PersonEvent], stamp: Stamp, sink: &mut dyn Sink) {
        for event in events {
            let (Some(person), other) = (event.person_id, event.other_person_id) else { continue };
            match (event.kind, other) {
                (EventKind::PersonMerged, Some(absorbed)) => {
                    self.persons.merge(person, absorbed, stamp);
                    if self.settings.mode == OutputMode::Ros4hri {
                        let (topic, both) = (self.name("candidate_matches"), matches::same_person(person, absorbed));
                        self.writer.send(sink, &topic, event.stamp, &both);
                    }
                }
                (EventKind::PersonForgotten, _) => self.persons.forget(person, stamp),
                (EventKind::PersonRenamed | EventKind::PersonCreated, _) => {
                    self.persons.rename(person, event.name.as_deref());
                }
                _ => {}
            }
        }
    }

    fn open_faces(&mut self, people: &People, sink: &mut dyn Sink) {
        if !self.has_faces() {
            return;
        }
        for person in &people.people {
            let topics = faces::topics(|below| self.face_topic(person.face_id, below));
            let face = self.faces.entry(person.face_id).or_default();
            face.gone = None;
            if !face.is_open {
                // Every topic is asked for, also when the first is not there yet.
                face.is_open = topics.iter().filter(|topic| !sink.open(topic)).count() == 0;
            }
        }
    }

    fn publish_faces(&mut self, people: &People, image: Option<ImageView<'_>>, sink: &mut dyn Sink) {
        let header = Header::new(people.stamp, &people.frame_id);
        for person in people.people.iter().filter(|person| person.observed) {
            if !self.is_listed(person.face_id) {
                continue;
            }
            let topic = |below: &str| self.face_topic(person.face_id, below);
            let (roi, landmarks, expression) = (topic("roi"), topic("landmarks"), topic("expression"));
            let pictures = crops::PICTURES.map(|picture| (picture, topic(picture)));
            self.writer.send(sink, &roi, people.stamp, &faces::roi(person, people, &header));
            self.writer.send(sink, &landmarks, people.stamp, &faces::landmarks(person, people, &header));
            for (picture, topic) in pictures {
                if let Some(image) = image.filter(|_| sink.is_wanted(&topic)) {
                    let picture = crops::picture(picture, image, person, &header);
                    self.writer.send(sink, &topic, people.stamp, &picture);
                }
            }
            if let Some(message) = faces::expression(person, &header) {
                self.writer.send(sink, &expression, people.stamp, &message);
            }
        }
    }

    fn publish_transforms(&mut self, people: &People, sink: &mut dyn Sink) {
        if !self.settings.transforms {
            return;
        }
        let persons = self.persons.places(&people.camera, people.stamp, self.settings.leave_secs);
        let message = self.transforms.of(people, persons);
        if !message.transforms.is_empty() {
            self.writer.send(sink, "/tf", people.stamp, &message);
        }
    }

    fn publish_list(&mut self, stamp: Stamp, frame_id: &str, sink: &mut dyn Sink) {
        if !self.has_faces() {
            return;
        }
        let ids = self.listed().iter().map(ToString::to_string).collect();
        let topic = self.name("faces/tracked");
        self.writer.send(sink, &topic, stamp, &IdsList { header: Header::new(stamp, frame_id), ids });
    }

    /// Ends the topics of faces that have been gone for long enough.
    fn close_faces(&mut self, stamp: Stamp, sink: &mut dyn Sink) {
        let seen: BTreeSet<FaceId> = self.listed();
        let mut over = Vec::new();
        for (id, face) in self.faces.iter_mut().filter(|(id, _)| !seen.contains(id)) {
            let since = *face.gone.get_or_insert(stamp);
            // One that is still being opened is waited for.
            if face.is_open && stamp.secs_since(since) >= LINGER_SECS || stamp.secs_since(since) >= 10.0 * LINGER_SECS {
                over.push(*id);
            }
        }
        for id in over {
            self.faces.remove(&id);
            self.close_face(id, sink);
        }
    }

    fn close_face(&self, face: FaceId, sink: &mut dyn Sink) {
        for topic in faces::topics(|below| self.face_topic(face, below)) {
            sink.close(&topic.name);
        }
    }
}
