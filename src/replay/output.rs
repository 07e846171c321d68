//! The files a replay leaves: `people.jsonl`, and `people.mcap` with the messages a robot would
//! have published. Together with `metadata.yaml` the folder is a rosbag2 bag.
//!
//! Nothing in them comes from a clock, so equal input gives equal bytes.

use super::json;
use crate::annotate::{AnnotateError, Annotator};
use crate::config::AnnotatedConfig;
use crate::frame::{Decoder, EncodedPixels, Frame};
use crate::ids::CameraId;
use crate::people::{People, PersonEvent};
use crate::report::{Collector, Story};
use crate::time::Stamp;
use crate::wire::{self, Message, WireError, image::CompressedImage, image::Header, messages};
use mcap::records::MessageHeader;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Results being written carry this behind their name until they are whole.
const UNFINISHED: &str = ".partial";
/// Level of zstd: the library's default.
const COMPRESSION_LEVEL: u32 = 3;

/// Why a result cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The operating system refused.
    #[error("cannot write {path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The bag writer refused.
    #[error("cannot write {path}: {source}", path = path.display())]
    Bag {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: mcap::McapError,
    },
    /// A message cannot be encoded.
    #[error(transparent)]
    Message(#[from] WireError),
    /// No annotated picture could be made.
    #[error(transparent)]
    Annotate(#[from] AnnotateError),
}

/// Everything a replay writes.
pub struct Outputs {
    folder: PathBuf,
    lines: BufWriter<File>,
    bag: BagWriter,
    annotator: Annotator,
    decoder: Decoder,
    /// Seconds between annotated pictures; `None`: no pictures.
    picture_period: Option<f64>,
    last_picture: BTreeMap<CameraId, Stamp>,
    /// The message being written.
    message: Vec<u8>,
    collector: Collector,
}

impl Outputs {
    /// Makes the folder and the unfinished files in it, so that a place that cannot be written to
    /// is known before the work begins. `cameras` are those that frames will come from.
    ///
    /// # Errors
    /// [`OutputError`] naming what cannot be written.
    pub fn create(folder: &Path, cameras: &[CameraId], annotated: &AnnotatedConfig) -> Result<Self, OutputError> {
        fs::create_dir_all(folder).map_err(|source| OutputError::Io { path: folder.to_owned(), source })?;
        Ok(Self {
            folder: folder.to_owned(),
            lines: BufWriter::new(create(&unfinished(folder, "people.jsonl"))?),
            bag: BagWriter::create(unfinished(folder, "people.mcap"), cameras)?,
            annotator: Annotator::new()?,
            decoder: Decoder::default(),
            picture_period: (annotated.rate_hz > 0.0).then(|| 1.0 / annotated.rate_hz),
            last_picture: BTreeMap::new(),
            message: Vec::new(),
            collector: Collector::default(),
        })
    }

    /// Writes what came of one frame.
    ///
    /// # Errors
    /// [`OutputError`] naming what cannot be written.
    pub fn write(&mut self, frame: &Frame<'_>, people: &People, events: &[PersonEvent]) -> Result<(), OutputError> {
        self.collector.add(people);
        let io_error = |source| OutputError::Io { path: unfinished(&self.folder, "people.jsonl"), source };
        let line = json::line(people).map_err(|error| io_error(error.into()))?;
        writeln!(self.lines, "{line}").map_err(io_error)?;
        wire::cdr::write(&messages::People::from(people), &mut self.message)?;
        self.bag.write(self.bag.people, people.stamp, &self.message)?;
        for event in events {
            wire::cdr::write(&messages::PersonEvent::from(event), &mut self.message)?;
            self.bag.write(self.bag.events, event.stamp, &self.message)?;
        }
        if self.wants_picture(&people.camera, people.stamp) {
            self.write_picture(frame, people)?;
        }
        Ok(())
    }

    fn wants_picture(&self, camera: &CameraId, stamp: Stamp) -> bool {
        let Some(period) = self.picture_period else { return false };
        // A camera's stamps jitter; a picture a twentieth of the period early is on time.
        let is_due = |last: &Stamp| !(0.0..0.95 * period).contains(&stamp.secs_since(*last));
        self.last_picture.get(camera).is_none_or(is_due)
    }

    fn write_picture(&mut self, frame: &Frame<'_>, people: &People) -> Result<(), OutputError> {
        // The line has read this image, so it can be read again.
        let Ok(image) = self.decoder.decode(&frame.pixels) else { return Ok(()) };
        let Some(&topic) = self.bag.pictures.get(&people.camera) else { return Ok(()) };
        self.collector.look(image, people);
        let data = self.annotator.jpeg(image, people)?;
        let header = Header { stamp: people.stamp, frame_id: &people.frame_id };
        CompressedImage { header, pixels: EncodedPixels { format: "jpeg", data } }.encode(&mut self.message)?;
        self.last_picture.insert(people.camera.clone(), people.stamp);
        self.bag.write(topic, people.stamp, &self.message)
    }

    /// Removes the unfinished files, when nothing came to be written.
    pub fn discard(self) {
        let folder = self.folder.clone();
        drop(self);
        for name in ["people.jsonl", "people.mcap"] {
            // What cannot be removed is empty and overwritten by the next run.
            let _ = fs::remove_file(unfinished(&folder, name));
        }
    }

    /// Completes the files and gives them their names; the story they tell.
    ///
    /// # Errors
    /// [`OutputError`] naming what cannot be written.
    pub fn finish(mut self) -> Result<Story, OutputError> {
        let lines = unfinished(&self.folder, "people.jsonl");
        self.lines.flush().map_err(|source| OutputError::Io { path: lines, source })?;
        let metadata = unfinished(&self.folder, "metadata.yaml");
        let text = self.bag.finish()?;
        fs::write(&metadata, text).map_err(|source| OutputError::Io { path: metadata, source })?;
        for name in ["people.jsonl", "people.mcap", "metadata.yaml"] {
            let path = self.folder.join(name);
            fs::rename(unfinished(&self.folder, name), &path).map_err(|source| OutputError::Io { path, source })?;
        }
        Ok(self.collector.story())
    }
}

fn unfinished(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{UNFINISHED}"))
}

fn create(path: &Path) -> Result<File, OutputError> {
    File::create(path).map_err(|source| OutputError::Io { path: path.to_owned(), source })
}

/// How a topic is offered, as rosbag2 records it.
#[derive(Clone, Copy, Debug)]
struct Qos {
    depth: u32,
    /// Late subscribers get the last messages.
    transient_local: bool,
}

impl Qos {
    fn volatile(depth: u32) -> Self {
        Self { depth, transient_local: false }
    }

    fn latched(depth: u32) -> Self {
        Self { depth, transient_local: true }
    }

    /// rosbag2's YAML. The numbers are those of rmw: keep last, reliable, then volatile or
    /// transient local; a duration of all ones is infinite.
    fn yaml(self) -> String {
        let durability = if self.transient_local { 1 } else { 2 };
        let infinite = "sec: 9223372036\n    nsec: 854775807";
        format!(
            "- history: 1\n  depth: {}\n  reliability: 1\n  durability: {durability}\n  deadline:\n    {infinite}\n  \
             lifespan:\n    {infinite}\n  liveliness: 1\n  liveliness_lease_duration:\n    {infinite}\n  \
             avoid_ros_namespace_conventions: false",
            self.depth
        )
    }
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
struct BagWriter {
    path: PathBuf,
    writer: mcap::Writer<BufWriter<File>>,
    topics: Vec<Topic>,
    /// Positions in `topics`.
    people: usize,
    events: usize,
    pictures: BTreeMap<CameraId, usize>,
    /// Earliest and latest stamp, ns.
    span: Option<(u64, u64)>,
}

impl BagWriter {
    fn create(path: PathBuf, cameras: &[CameraId]) -> Result<Self, OutputError> {
        let file = BufWriter::new(create(&path)?);
        let writer = mcap::WriteOptions::new()
            .profile("ros2")
            .library("rostro")
            .compression(Some(mcap::Compression::Zstd))
            .compression_level(COMPRESSION_LEVEL)
            // With threads, how a chunk is compressed would depend on the machine.
            .compression_threads(0)
            .create(file)
            .map_err(|source| OutputError::Bag { path: path.clone(), source })?;
        let mut bag =
            Self { path, writer, topics: Vec::new(), people: 0, events: 0, pictures: BTreeMap::new(), span: None };
        bag.people = bag.add_topic::<messages::People>("/rostro/people".into(), Qos::volatile(10))?;
        bag.events = bag.add_topic::<messages::PersonEvent>("/rostro/events".into(), Qos::latched(50))?;
        for camera in cameras {
            let topic = if cameras.len() == 1 {
                "/rostro/annotated/compressed".to_owned()
            } else {
                format!("/rostro/annotated/{camera}/compressed")
            };
            let topic = bag.add_topic::<CompressedImage<'_>>(topic, Qos::volatile(1))?;
            bag.pictures.insert(camera.clone(), topic);
        }
        Ok(bag)
    }

    fn add_topic<M: Message>(&mut self, name: String, qos: Qos) -> Result<usize, OutputError> {
        let metadata = BTreeMap::from([("offered_qos_profiles".to_owned(), qos.yaml())]);
        let definition = wire::schema(M::TYPE).unwrap_or_default();
        let channel = self
            .writer
            .add_schema(M::TYPE, "ros2msg", definition.as_bytes())
            .and_then(|id| self.writer.add_channel(id, &name, "cdr", &metadata))
            .map_err(|source| OutputError::Bag { path: self.path.clone(), source })?;
        self.topics.push(Topic { name, schema: M::TYPE, qos, channel, messages: 0 });
        Ok(self.topics.len() - 1)
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
    fn finish(&mut self) -> Result<String, OutputError> {
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
            offered_qos_profiles: topic.qos.yaml(),
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
