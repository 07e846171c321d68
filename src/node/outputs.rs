//! What the node publishes about people.

use super::transport::{Publisher, Qos, Transport, TransportError};
use crate::annotate::Annotator;
use crate::config::AnnotatedConfig;
use crate::frame::{Decoder, EncodedPixels, Pixels, RawPixels};
use crate::ids::CameraId;
use crate::people::People;
use crate::time::Stamp;
use crate::wire::image::{CompressedImage, Header, RawImage};
use crate::wire::{self, Message, WireError, messages};
use serde::Serialize;
use std::collections::BTreeMap;

/// Topics of every node: name, type, QoS. Those of annotated pictures are beside them, as they depend
/// on the cameras.
pub const TOPICS: [(&str, &str, Qos); 3] = [
    ("~/people", messages::People::TYPE, Qos::reliable(10)),
    ("~/events", messages::PersonEvent::TYPE, Qos::latched(50)),
    ("~/known_people", messages::KnownPeople::TYPE, Qos::latched(1)),
];

/// Reliable, so that every viewer can subscribe whatever it asks for.
const PICTURE_QOS: Qos = Qos::reliable(1);

/// One topic.
struct Topic {
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
    known_people: Topic,
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
    pub(super) fn advertise(transport: &mut dyn Transport, cameras: &[CameraId]) -> Result<Self, TransportError> {
        let mut topic = |name: &str, type_name: &str, qos: Qos| -> Result<Topic, TransportError> {
            Ok(Topic { publisher: transport.advertise(name, type_name, qos)?, is_failing: false })
        };
        let mut pictures = BTreeMap::new();
        for camera in cameras {
            let (raw, compressed) = picture_topics(camera, cameras.len() == 1);
            let raw = topic(&raw, messages::Image::TYPE, PICTURE_QOS)?;
            let compressed = topic(&compressed, messages::CompressedImage::TYPE, PICTURE_QOS)?;
            pictures.insert(camera.clone(), Pictures { raw, compressed, last: None });
        }
        let [people, events, known_people] = TOPICS.map(|(name, type_name, qos)| topic(name, type_name, qos));
        let annotator = Annotator::new().inspect_err(|error| tracing::error!(%error, "no annotated pictures")).ok();
        Ok(Self {
            people: people?,
            events: events?,
            known_people: known_people?,
            pictures,
            annotator,
            decoder: Decoder::default(),
            message: Vec::new(),
        })
    }

    pub(super) fn people(&mut self, people: &messages::People) {
        self.people.send(people, &mut self.message);
    }

    pub(super) fn event(&mut self, event: &messages::PersonEvent) {
        self.events.send(event, &mut self.message);
    }

    pub(super) fn known_people(&mut self, known: &messages::KnownPeople) {
        self.known_people.send(known, &mut self.message);
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

impl Topic {
    fn is_wanted(&self) -> bool {
        self.publisher.subscribers() > 0
    }

    fn send<M: Message + Serialize>(&mut self, message: &M, buffer: &mut Vec<u8>) {
        let written = wire::cdr::write(message, buffer);
        self.send_written(written, buffer);
    }

    /// Sends; a trouble is logged when it begins and when it ends.
    fn send_written(&mut self, written: Result<(), WireError>, message: &[u8]) {
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
