//! What the node publishes about people.

use super::humans::{self, HumansTopics, Wisher, Wishes};
use super::transport::{Publisher, Qos, Transport, TransportError};
use crate::annotate::Annotator;
use crate::config::{AnnotatedConfig, Config, OutputMode};
use crate::frame::{Decoder, EncodedPixels, Pixels, RawPixels};
use crate::gallery::PersonRecord;
use crate::ids::CameraId;
use crate::people::{People, PersonEvent};
use crate::ros4hri::{self, Humans, Settings};
use crate::runtime;
use crate::time::Stamp;
use crate::wire::geometry::PoseStamped;
use crate::wire::image::{CompressedImage, Header, RawImage};
use crate::wire::vision::Detection2DArray;
use crate::wire::{self, Message, WireError, messages};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Topics of every node: name, type, QoS. Those of annotated pictures are beside them, as they depend
/// on the cameras.
pub const TOPICS: [(&str, &str, Qos); 4] = [
    ("~/people", messages::People::TYPE, Qos::reliable(10)),
    EVENTS,
    ("~/known_people", messages::KnownPeople::TYPE, Qos::latched(1)),
    ("~/primary_person_pose", PoseStamped::TYPE, Qos::reliable(1)),
];

/// Subscribers that come late are told the latest.
const EVENTS: (&str, &str, Qos) = ("~/events", messages::PersonEvent::TYPE, Qos::latched(50));

/// How long subscribers have for the last event of a topic that is replaced.
const LAST_EVENT: Duration = Duration::from_secs(1);

/// Where `vision_msgs` is installed.
const DETECTIONS: &str = "~/detections";

/// Reliable, so that every viewer can subscribe whatever it asks for.
const PICTURE_QOS: Qos = Qos::reliable(1);

/// One topic.
pub(super) struct Topic {
    publisher: Box<dyn Publisher>,
    is_failing: bool,
}

/// The annotated pictures of one camera.
struct Pictures {
    raw: Topic,
    compressed: Topic,
    last: Option<Stamp>,
}

/// All topics about people.
pub(super) struct Outputs {
    people: Topic,
    events: Topic,
    /// For events without a past, after somebody was forgotten.
    events_anew: Wisher,
    /// Such a topic was wished for and is not there yet.
    is_awaited: bool,
    /// The topic with the past, until subscribers have had the time to take its last event.
    events_before: Option<(Topic, Instant)>,
    known_people: Topic,
    primary_pose: Topic,
    detections: Option<Topic>,
    humans: Option<(Humans, HumansTopics)>,
    pictures: BTreeMap<CameraId, Pictures>,
    annotator: Option<Annotator>,
    decoder: Decoder,
    /// The message being written.
    message: Vec<u8>,
}

/// Names of the raw and the compressed annotated picture of a camera; without the camera's name when
/// it is the only one.
pub fn picture_topics(camera: &CameraId, is_only: bool) -> (String, String) {
    let raw = if is_only { "~/annotated".to_owned() } else { format!("~/annotated/{camera}") };
    let compressed = format!("{raw}/compressed");
    (raw, compressed)
}

impl Outputs {
    pub(super) fn advertise(
        transport: &mut dyn Transport,
        config: &Config,
    ) -> Result<(Self, [Wishes; 2]), TransportError> {
        let cameras = &config.cameras;
        let mut topic = |name: &str, type_name: &str, qos: Qos| -> Result<Topic, TransportError> {
            Ok(Topic::of(transport.advertise(name, type_name, qos)?))
        };
        let mut pictures = BTreeMap::new();
        for camera in cameras {
            let (raw, compressed) = picture_topics(camera, cameras.len() == 1);
            let raw = topic(&raw, messages::Image::TYPE, PICTURE_QOS)?;
            let compressed = topic(&compressed, messages::CompressedImage::TYPE, PICTURE_QOS)?;
            pictures.insert(camera.clone(), Pictures { raw, compressed, last: None });
        }
        let [people, events, known_people, primary_pose] =
            TOPICS.map(|(name, type_name, qos)| topic(name, type_name, qos));
        let detections = topic(DETECTIONS, Detection2DArray::TYPE, Qos::reliable(10))
            .inspect_err(|error| tracing::info!(%error, "no {DETECTIONS}: is vision_msgs installed?"))
            .ok();
        let (humans, wishes) = humans(transport, config);
        let (events_anew, event_wishes) = humans::connected();
        let annotator = Annotator::new().inspect_err(|error| tracing::error!(%error, "no annotated pictures")).ok();
        let outputs = Self {
            people: people?,
            events: events?,
            events_anew,
            is_awaited: false,
            events_before: None,
            known_people: known_people?,
            primary_pose: primary_pose?,
            detections,
            humans,
            pictures,
            annotator,
            decoder: Decoder::default(),
            message: Vec::new(),
        };
        Ok((outputs, [wishes, event_wishes]))
    }

    /// Everyone in one frame, to everyone who listens.
    pub(super) fn people(&mut self, people: &People, events: &[PersonEvent], pixels: &Pixels<'_>) {
        self.people.send(&messages::People::from(people), &mut self.message);
        if let Some(detections) = self.detections.as_mut().filter(|topic| topic.is_wanted()) {
            detections.send(&Detection2DArray::from(people), &mut self.message);
        }
        if let Some(pose) = PoseStamped::of_nearest(people) {
            self.primary_pose.send(&pose, &mut self.message);
        }
        if let Some((humans, topics)) = &mut self.humans {
            let wanted = humans.wants_pictures(people, topics);
            // The line has read this image, so it can be read again.
            let image = wanted.then(|| self.decoder.decode(pixels).ok()).flatten();
            humans.publish(people, events, image, topics);
        }
    }

    /// Takes over what may change at run time.
    pub(super) const fn reconfigure(&mut self, config: &Config) {
        if let Some((humans, _)) = &mut self.humans {
            humans.reconfigure(config);
        }
    }

    /// Tells ROS4HRI, between frames, who is `known` now and what changed among them.
    pub(super) fn changed(&mut self, events: &[PersonEvent], known: &[PersonRecord], now: Stamp) {
        if let Some((humans, topics)) = &mut self.humans {
            // Strangers are many, and told only once they are seen.
            let told = known.iter().filter(|record| record.expires.is_none());
            humans.know(told.map(|record| record.person_id));
            humans.tell(events, now, topics);
        }
    }

    /// Nobody is seen by a camera any more, because nobody looks; `last` is its last frame without people.
    pub(super) fn nobody(&mut self, last: &People) {
        self.people.send(&messages::People::from(last), &mut self.message);
        if let Some((humans, topics)) = &mut self.humans {
            humans.end(last.stamp, topics);
        }
    }

    /// Lists that only one node may publish.
    pub(super) fn exclusive_topics(&self) -> Vec<String> {
        self.humans.as_ref().map(|(humans, _)| humans.exclusive()).unwrap_or_default()
    }

    pub(super) fn event(&mut self, event: &messages::PersonEvent) {
        self.events.send(event, &mut self.message);
        if event.r#type == messages::PersonEvent::PERSON_FORGOTTEN && !std::mem::replace(&mut self.is_awaited, true) {
            // Late subscribers would still be told earlier events, with the name.
            let (name, type_name, qos) = EVENTS;
            self.events_anew.wish(ros4hri::Topic { name: name.to_owned(), type_name, qos });
        }
    }

    /// Goes on with the topics that were offered since the last call, and ends those that were replaced.
    pub(super) fn renew(&mut self) {
        for (_, granted) in self.events_anew.granted() {
            self.is_awaited = false;
            match granted {
                Ok(publisher) => {
                    let before = std::mem::replace(&mut self.events, Topic::of(publisher));
                    self.events_before = Some((before, runtime::now()));
                }
                Err(error) => tracing::error!(%error, "late subscribers to events are still told who was forgotten"),
            }
        }
        self.events_before.take_if(|(_, since)| since.elapsed() >= LAST_EVENT);
    }

    pub(super) fn known_people(&mut self, known: &[PersonRecord], now: Stamp) {
        let header = messages::Header { stamp: now.into(), frame_id: String::new() };
        let people = known.iter().map(messages::PersonRecord::from).collect();
        self.known_people.send(&messages::KnownPeople { header, people }, &mut self.message);
    }

    /// The annotated picture, if somebody wants it and it is time for the next.
    pub(super) fn picture(&mut self, pixels: &Pixels<'_>, people: &People, config: &AnnotatedConfig) {
        let Some(pictures) = self.pictures.get_mut(&people.camera) else { return };
        let (raw, compressed) = (pictures.raw.is_wanted(), pictures.compressed.is_wanted());
        // Stamps jitter; a picture a twentieth of the period early is on time.
        let is_due = |last: Stamp| !(0.0..0.95 / config.rate_hz).contains(&people.stamp.secs_since(last));
        if !(raw || compressed) || !pictures.last.is_none_or(is_due) {
            return;
        }
        pictures.last = Some(people.stamp);
        // The line has read this image, so it can be read again.
        let (Some(annotator), Ok(image)) = (&mut self.annotator, self.decoder.decode(pixels)) else { return };
        let header = Header { stamp: people.stamp, frame_id: &people.frame_id };
        if raw {
            let picture = annotator.picture(image, people);
            let (width, height) = picture.dimensions();
            let pixels =
                RawPixels { width, height, encoding: "rgb8", is_bigendian: false, step: width * 3, data: &picture };
            let written = RawImage { header, pixels }.encode(&mut self.message);
            pictures.raw.send_written(written, &self.message);
        }
        if compressed {
            match annotator.jpeg(image, people) {
                Ok(data) => {
                    let pixels = EncodedPixels { format: "jpeg", data };
                    let written = CompressedImage { header, pixels }.encode(&mut self.message);
                    pictures.compressed.send_written(written, &self.message);
                }
                Err(error) => tracing::warn!(%error, camera = %people.camera, "no annotated picture"),
            }
        }
    }
}

/// The topics of ROS4HRI, as far as their packages are installed.
fn humans(transport: &mut dyn Transport, config: &Config) -> (Option<(Humans, HumansTopics)>, Wishes) {
    let (wisher, wishes) = humans::connected();
    let mut topics = HumansTopics::new(wisher);
    let mut settings = Settings::of(config);
    let mut humans = Humans::new(settings.clone());
    for ros4hri::Topic { name, type_name, qos } in humans.topics() {
        match transport.advertise(&name, type_name, qos) {
            Ok(publisher) => topics.add(name, Topic::of(publisher)),
            Err(error) if type_name.starts_with(ros4hri::PACKAGE) => {
                tracing::error!(
                    %error,
                    "output.mode asks for ROS4HRI, and {} is not there: install ros-$ROS_DISTRO-hri-msgs and build rostro \
                     again; only the node's own topics are published",
                    ros4hri::PACKAGE
                );
                settings.mode = OutputMode::Aggregate;
                humans = Humans::new(settings);
                break;
            }
            Err(error) => tracing::error!(%error, "no transforms"),
        }
    }
    // Without topics there is nothing to show.
    let is_wanted = !humans.topics().is_empty();
    (is_wanted.then_some((humans, topics)), wishes)
}

impl Topic {
    pub(super) fn of(publisher: Box<dyn Publisher>) -> Self {
        Self { publisher, is_failing: false }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.publisher.subscribers() > 0
    }

    fn send<M: Message + Serialize>(&mut self, message: &M, buffer: &mut Vec<u8>) {
        let written = wire::cdr::write(message, buffer);
        self.send_written(written, buffer);
    }

    /// Sends; a trouble is logged when it begins and when it ends.
    pub(super) fn send_written(&mut self, written: Result<(), WireError>, message: &[u8]) {
        let sent = match written {
            Ok(()) => self.publisher.publish(message).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match &sent {
            Ok(()) if self.is_failing => tracing::info!("publishing works again"),
            Err(reason) if !self.is_failing => tracing::warn!(reason, "a message was not sent"),
            _ => {}
        }
        self.is_failing = sent.is_err();
    }
}
