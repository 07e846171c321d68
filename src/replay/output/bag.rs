//! The bag that a replay writes: an MCAP file and its `metadata.yaml`.

use super::OutputError;
use crate::node::transport::Qos;
use crate::ros4hri::{self, Sink};
use crate::time::Stamp;
use crate::wire;
use mcap::records::MessageHeader;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;

/// Level of zstd: the library's default.
const COMPRESSION_LEVEL: u32 = 3;

/// How a topic is offered, in rosbag2's YAML. The numbers are those of rmw: keep last, reliable or best
/// effort, then volatile or transient local; a duration of all ones is infinite.
fn yaml(qos: Qos) -> String {
    let (reliability, durability) = (if qos.reliable { 1 } else { 2 }, if qos.latched { 1 } else { 2 });
    let infinite = "sec: 9223372036\n    nsec: 854775807";
    format!(
        "- history: 1\n  depth: {}\n  reliability: {reliability}\n  durability: {durability}\n  deadline:\n    \
         {infinite}\n  lifespan:\n    {infinite}\n  liveliness: 1\n  liveliness_lease_duration:\n    {infinite}\n  \
         avoid_ros_namespace_conventions: false",
        qos.depth
    )
}

/// One topic of the bag.
struct Topic {
    name: String,
    schema: &'static str,
    qos: Qos,
    channel: u16,
    messages: u32,
}

/// Writes messages into an MCAP file that `ros2 bag play` understands.
pub(super) struct BagWriter {
    path: PathBuf,
    writer: mcap::Writer<BufWriter<File>>,
    topics: Vec<Topic>,
    /// Positions in `topics`, by name.
    places: BTreeMap<String, usize>,
    /// Earliest and latest stamp, ns.
    span: Option<(u64, u64)>,
    /// Whether pictures of faces are wanted now.
    pub(super) wants_pictures: bool,
    /// What a message or topic of ROS4HRI could not be written for.
    failure: Option<OutputError>,
}

impl Sink for BagWriter {
    fn open(&mut self, topic: &ros4hri::Topic) -> bool {
        if !self.places.contains_key(&topic.name)
            && let Err(error) = self.add_topic(&topic.name, topic.type_name, topic.qos)
        {
            self.failure.get_or_insert(error);
        }
        true
    }

    fn is_wanted(&mut self, _: &str) -> bool {
        self.wants_pictures
    }

    fn send(&mut self, topic: &str, stamp: Stamp, message: &[u8]) {
        if let Err(error) = self.write_to(topic, stamp, message) {
            self.failure.get_or_insert(error);
        }
    }

    fn close(&mut self, _: &str) {}
}

impl BagWriter {
    pub(super) fn create(path: PathBuf) -> Result<Self, OutputError> {
        let file = BufWriter::new(super::create(&path)?);
        let writer = mcap::WriteOptions::new()
            .profile("ros2")
            .library("rostro")
            .compression(Some(mcap::Compression::Zstd))
            .compression_level(COMPRESSION_LEVEL)
            // With threads, how a chunk is compressed would depend on the machine.
            .compression_threads(0)
            .create(file)
            .map_err(|source| OutputError::Bag { path: path.clone(), source })?;
        let (topics, places) = (Vec::new(), BTreeMap::new());
        Ok(Self { path, writer, topics, places, span: None, wants_pictures: false, failure: None })
    }

    pub(super) fn add_topic(&mut self, name: &str, type_name: &'static str, qos: Qos) -> Result<(), OutputError> {
        let metadata = BTreeMap::from([("offered_qos_profiles".to_owned(), yaml(qos))]);
        let definition = wire::schema(type_name).unwrap_or_default();
        let channel = self
            .writer
            .add_schema(type_name, "ros2msg", definition.as_bytes())
            .and_then(|id| self.writer.add_channel(id, name, "cdr", &metadata))
            .map_err(|source| OutputError::Bag { path: self.path.clone(), source })?;
        self.places.insert(name.to_owned(), self.topics.len());
        self.topics.push(Topic { name: name.to_owned(), schema: type_name, qos, channel, messages: 0 });
        Ok(())
    }

    /// The first trouble with what came through [`Sink`].
    pub(super) fn take_failure(&mut self) -> Result<(), OutputError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Writes to a topic that was added; to no other.
    pub(super) fn write_to(&mut self, topic: &str, stamp: Stamp, message: &[u8]) -> Result<(), OutputError> {
        match self.places.get(topic) {
            Some(&place) => self.write(place, stamp, message),
            None => Ok(()),
        }
    }

    fn write(&mut self, topic: usize, stamp: Stamp, message: &[u8]) -> Result<(), OutputError> {
        // MCAP knows no time before 1970.
        let time = stamp.nanos().max(0) as u64;
        let (start, end) = self.span.unwrap_or((time, time));
        self.span = Some((start.min(time), end.max(time)));
        let topic = &mut self.topics[topic];
        topic.messages += 1;
        let header =
            MessageHeader { channel_id: topic.channel, sequence: topic.messages, log_time: time, publish_time: time };
        self.writer
            .write_to_known_channel(&header, message)
            .map_err(|source| OutputError::Bag { path: self.path.clone(), source })
    }

    /// Completes the file; the text of its `metadata.yaml`.
    pub(super) fn finish(&mut self) -> Result<String, OutputError> {
        self.writer.finish().map_err(|source| OutputError::Bag { path: self.path.clone(), source })?;
        self.metadata()
    }

    fn metadata(&self) -> Result<String, OutputError> {
        let (start, end) = self.span.unwrap_or((0, 0));
        let message_count = self.topics.iter().map(|topic| topic.messages).sum();
        let metadata = Metadata {
            rosbag2_bagfile_information: BagInformation {
                version: 5,
                storage_identifier: "mcap",
                duration: Nanoseconds { nanoseconds: end - start },
                starting_time: SinceEpoch { nanoseconds_since_epoch: start },
                message_count,
                topics_with_message_count: self.topics.iter().map(TopicCount::of).collect(),
                compression_format: "",
                compression_mode: "",
                relative_file_paths: ["people.mcap"],
                files: [FileInformation {
                    path: "people.mcap",
                    starting_time: SinceEpoch { nanoseconds_since_epoch: start },
                    duration: Nanoseconds { nanoseconds: end - start },
                    message_count,
                }],
            },
        };
        serde_saphyr::to_string(&metadata)
            .map_err(|error| OutputError::Io { path: self.path.clone(), source: io::Error::other(error.to_string()) })
    }
}

/// `metadata.yaml` in version 5 of rosbag2's format, which every distribution since Humble reads.
#[derive(Serialize)]
struct Metadata<'a> {
    rosbag2_bagfile_information: BagInformation<'a>,
}

#[derive(Serialize)]
struct BagInformation<'a> {
    version: u32,
    storage_identifier: &'a str,
    duration: Nanoseconds,
    starting_time: SinceEpoch,
    message_count: u32,
    topics_with_message_count: Vec<TopicCount<'a>>,
    compression_format: &'a str,
    compression_mode: &'a str,
    relative_file_paths: [&'a str; 1],
    files: [FileInformation<'a>; 1],
}

#[derive(Serialize)]
struct Nanoseconds {
    nanoseconds: u64,
}

#[derive(Serialize)]
struct SinceEpoch {
    nanoseconds_since_epoch: u64,
}

#[derive(Serialize)]
struct TopicCount<'a> {
    topic_metadata: TopicMetadata<'a>,
    message_count: u32,
}

#[derive(Serialize)]
struct TopicMetadata<'a> {
    name: &'a str,
    r#type: &'a str,
    serialization_format: &'a str,
    /// Must equal the text in the channel's metadata: readers match topics by it.
    offered_qos_profiles: String,
}

impl<'a> TopicCount<'a> {
    fn of(topic: &'a Topic) -> Self {
        let topic_metadata = TopicMetadata {
            name: &topic.name,
            r#type: topic.schema,
            serialization_format: "cdr",
            offered_qos_profiles: yaml(topic.qos),
        };
        Self { topic_metadata, message_count: topic.messages }
    }
}

#[derive(Serialize)]
struct FileInformation<'a> {
    path: &'a str,
    starting_time: SinceEpoch,
    duration: Nanoseconds,
    message_count: u32,
}
