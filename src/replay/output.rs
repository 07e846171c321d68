//! The files a replay leaves: `people.jsonl`, and `people.mcap` with the messages a robot would
//! have published. Together with `metadata.yaml` the folder is a rosbag2 bag.
//!
//! Nothing in them comes from a clock, so equal input gives equal bytes.

mod bag;

use super::json;
use crate::annotate::{AnnotateError, Annotator};
use crate::config::Config;
use crate::frame::{Decoder, EncodedPixels, Frame};
use crate::ids::CameraId;
use crate::node::transport::Qos;
use crate::people::{People, PersonEvent};
use crate::report::{Collector, Story};
use crate::ros4hri::{Humans, Settings, Sink as _};
use crate::time::Stamp;
use crate::wire::foxglove::ImageAnnotations;
use crate::wire::geometry::PoseStamped;
use crate::wire::vision::Detection2DArray;
use crate::wire::{self, Message, WireError, image::CompressedImage, image::Header, messages};
use bag::BagWriter;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The files of a replay; its page is made of them.
pub const RESULTS: [&str; 3] = ["people.jsonl", "people.mcap", "metadata.yaml"];

/// Results being written carry this behind their name until they are whole.
const UNFINISHED: &str = ".partial";

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
    humans: Humans,
    is_only_camera: bool,
}

const PEOPLE: &str = "/rostro/people";
const EVENTS: &str = "/rostro/events";
const DETECTIONS: &str = "/rostro/detections";
const PRIMARY_POSE: &str = "/rostro/primary_person_pose";

/// A topic of one camera; without its name when it is the only one.
fn topic_of(base: &str, camera: &CameraId, is_only: bool, below: &str) -> String {
    if is_only { format!("/rostro/{base}{below}") } else { format!("/rostro/{base}/{camera}{below}") }
}

impl Outputs {
    /// Makes the folder and the unfinished files in it, so that a place that cannot be written to
    /// is known before the work begins. `cameras` are those that frames will come from.
    ///
    /// # Errors
    /// [`OutputError`] naming what cannot be written.
    pub fn create(folder: &Path, cameras: &[CameraId], config: &Config) -> Result<Self, OutputError> {
        fs::create_dir_all(folder).map_err(|source| OutputError::Io { path: folder.to_owned(), source })?;
        let annotated = &config.annotated;
        let humans = Humans::new(Settings::of(config));
        Ok(Self {
            folder: folder.to_owned(),
            lines: BufWriter::new(create(&unfinished(folder, "people.jsonl"))?),
            bag: bag_of(unfinished(folder, "people.mcap"), cameras, &humans)?,
            annotator: Annotator::new()?,
            decoder: Decoder::default(),
            picture_period: (annotated.rate_hz > 0.0).then(|| 1.0 / annotated.rate_hz),
            last_picture: BTreeMap::new(),
            message: Vec::new(),
            collector: Collector::default(),
            humans,
            is_only_camera: cameras.len() == 1,
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
        self.add(PEOPLE, people.stamp, &messages::People::from(people))?;
        for event in events {
            self.add(EVENTS, event.stamp, &messages::PersonEvent::from(event))?;
        }
        self.add(DETECTIONS, people.stamp, &Detection2DArray::from(people))?;
        let annotations = topic_of("annotations", &people.camera, self.is_only_camera, "");
        self.add(&annotations, people.stamp, &ImageAnnotations::from(people))?;
        if let Some(pose) = PoseStamped::of_nearest(people) {
            self.add(PRIMARY_POSE, people.stamp, &pose)?;
        }
        let is_picture_due = self.wants_picture(&people.camera, people.stamp);
        self.show_humans(frame, people, events, is_picture_due)?;
        if is_picture_due {
            self.write_picture(frame, people)?;
        }
        Ok(())
    }

    fn add<M: Message + Serialize>(&mut self, topic: &str, stamp: Stamp, message: &M) -> Result<(), OutputError> {
        wire::cdr::write(message, &mut self.message)?;
        self.bag.write_to(topic, stamp, &self.message)
    }

    /// What ROS4HRI's clients would have seen; pictures of faces as often as annotated ones.
    fn show_humans(
        &mut self,
        frame: &Frame<'_>,
        people: &People,
        events: &[PersonEvent],
        is_picture_due: bool,
    ) -> Result<(), OutputError> {
        self.bag.wants_pictures = is_picture_due;
        let is_wanted = self.humans.wants_pictures(people, &mut self.bag);
        let image = is_wanted.then(|| self.decoder.decode(&frame.pixels).ok()).flatten();
        self.humans.publish(people, events, image, &mut self.bag);
        self.bag.take_failure()
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
        let topic = topic_of("annotated", &people.camera, self.is_only_camera, "/compressed");
        self.collector.look(image, people);
        let data = self.annotator.jpeg(image, people)?;
        let header = Header { stamp: people.stamp, frame_id: &people.frame_id };
        CompressedImage { header, pixels: EncodedPixels { format: "jpeg", data } }.encode(&mut self.message)?;
        self.last_picture.insert(people.camera.clone(), people.stamp);
        self.bag.write_to(&topic, people.stamp, &self.message)
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
        for name in RESULTS {
            let path = self.folder.join(name);
            fs::rename(unfinished(&self.folder, name), &path).map_err(|source| OutputError::Io { path, source })?;
        }
        Ok(self.collector.story())
    }
}

/// The bag with the topics that are there whoever is seen.
fn bag_of(path: PathBuf, cameras: &[CameraId], humans: &Humans) -> Result<BagWriter, OutputError> {
    let mut bag = BagWriter::create(path)?;
    bag.add_topic(PEOPLE, messages::People::TYPE, Qos::reliable(10))?;
    bag.add_topic(EVENTS, messages::PersonEvent::TYPE, Qos::latched(50))?;
    bag.add_topic(DETECTIONS, Detection2DArray::TYPE, Qos::reliable(10))?;
    bag.add_topic(PRIMARY_POSE, PoseStamped::TYPE, Qos::reliable(1))?;
    for camera in cameras {
        let topic = |base: &str, below: &str| topic_of(base, camera, cameras.len() == 1, below);
        bag.add_topic(&topic("annotated", "/compressed"), CompressedImage::TYPE, Qos::reliable(1))?;
        bag.add_topic(&topic("annotations", ""), ImageAnnotations::TYPE, Qos::reliable(10))?;
    }
    for topic in humans.topics() {
        bag.open(&topic);
    }
    bag.take_failure()?;
    Ok(bag)
}

fn unfinished(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{UNFINISHED}"))
}

fn create(path: &Path) -> Result<File, OutputError> {
    File::create(path).map_err(|source| OutputError::Io { path: path.to_owned(), source })
}
