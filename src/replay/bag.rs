//! Images out of bags: one or several MCAP or sqlite3 files, alone or in rosbag2 folders.
//!
//! Messages come in the order of their log times across all files. Only the stretches that overlap
//! the present moment are in memory, so memory does not grow with the length of a bag.

use super::mcap_file::{self, Channel, FileIndex, Span};
use super::rosbag2::{self, BagPart};
use super::source::{FrameSource, OpenError, SourceError};
use super::sqlite_file;
use crate::frame::Frame;
use crate::ids::CameraId;
use crate::lens::Lens;
use crate::time::Stamp;
use crate::wire;
use crate::wire::camera_info::CameraInfo;
use mcap::McapError;
use mcap::records::Record;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The message types that carry images, and that of calibrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TopicKind {
    Raw,
    Compressed,
    Info,
}

impl TopicKind {
    fn of_schema(schema: &str) -> Option<Self> {
        match schema {
            "sensor_msgs/msg/Image" => Some(Self::Raw),
            "sensor_msgs/msg/CompressedImage" => Some(Self::Compressed),
            "sensor_msgs/msg/CameraInfo" => Some(Self::Info),
            _ => None,
        }
    }
}

/// A topic that is replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Topic {
    name: String,
    kind: TopicKind,
    camera: CameraId,
}

/// How a file keeps its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    Mcap,
    Sqlite,
}

/// One file, what it holds and where.
struct BagFile {
    part: BagPart,
    storage: Storage,
    /// Index into the topics, by channel id.
    topics: BTreeMap<u16, usize>,
    damage: Option<String>,
}

impl Storage {
    /// What a span's offset counts.
    fn place(self) -> &'static str {
        match self {
            Self::Mcap => "at byte",
            Self::Sqlite => "at log time",
        }
    }
}

impl BagFile {
    /// Hands the images of a span to `visit`: index of the topic, log time, message.
    fn read(&self, span: &Span, visit: &mut dyn FnMut(usize, u64, &[u8])) -> Result<(), String> {
        let mut unpacked = Vec::new();
        let mut unpacking = Ok(());
        let mut visit = |channel: u16, log_time: u64, bytes: &[u8]| {
            let Some(&topic) = self.topics.get(&channel) else { return };
            if !self.part.compressed_messages {
                return visit(topic, log_time, bytes);
            }
            match unpack(bytes, &mut unpacked) {
                Ok(()) => visit(topic, log_time, &unpacked),
                Err(error) => unpacking = Err(format!("a message cannot be unpacked: {error}")),
            }
        };
        let path = self.part.file();
        match self.storage {
            Storage::Mcap => {
                let mut file = File::open(path).map_err(|error| error.to_string())?;
                mcap_file::read_records(&mut file, span.offset, span.length, &mut |record| {
                    if let Record::Message { header, data } = record {
                        visit(header.channel_id, header.log_time, &data);
                    }
                })
                .map_err(|error| error.to_string())?;
            }
            Storage::Sqlite => {
                sqlite_file::read_messages(path, span, &mut visit).map_err(|error| error.to_string())?;
            }
        }
        unpacking
    }
}

/// One message compressed by rosbag2.
fn unpack(bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    out.clear();
    let read = zstd::stream::read::Decoder::new(bytes)?.take(MESSAGE_LIMIT + 1).read_to_end(out)?;
    if read as u64 > MESSAGE_LIMIT {
        return Err(std::io::Error::other(format!("it is longer than {MESSAGE_LIMIT} bytes")));
    }
    Ok(())
}

/// Longest message accepted, bytes: a corrupt one must not ask for all memory.
const MESSAGE_LIMIT: u64 = 256 << 20;

/// What is in a file, told by its first bytes.
fn index_of(part: &BagPart) -> Result<(Storage, FileIndex), OpenError> {
    let (path, file) = (&part.path, part.file());
    let mut start = Vec::new();
    let opened = File::open(file).and_then(|file| file.take(16).read_to_end(&mut start));
    opened.map_err(|source| OpenError::Io { path: path.clone(), source })?;
    if start == sqlite_file::MAGIC {
        let index = sqlite_file::index(file).map_err(|error| OpenError::NotWhatItSeems {
            path: path.clone(),
            reason: format!("as a sqlite3 bag: {error}"),
        })?;
        return Ok((Storage::Sqlite, index));
    }
    let index = mcap_file::index(file).map_err(|error| open_error(path, error))?;
    Ok((Storage::Mcap, index))
}

/// A message in a loaded span.
struct MessageAt {
    log_time: u64,
    topic: usize,
    bytes: Range<usize>,
}

/// The images of a span, in memory.
struct LoadedSpan {
    data: Vec<u8>,
    messages: Vec<MessageAt>,
    next: usize,
}

/// The images of bags, in the order of their log times, each with the calibration before it.
pub struct BagSource {
    files: Vec<BagFile>,
    topics: Vec<Topic>,
    cameras: Vec<CameraId>,
    left_out: Vec<String>,
    lenses: BTreeMap<CameraId, Lens>,
    images: Option<u64>,
    /// File index and span, last to be read first.
    waiting: Vec<(usize, Span)>,
    loaded: Vec<LoadedSpan>,
    spare: Vec<Vec<u8>>,
    losses: Vec<SourceError>,
    last_stamp: Option<Stamp>,
    has_warned_of_lens: bool,
}

impl BagSource {
    /// Opens bags that are replayed as one. `only` names the topics wanted; empty: every camera.
    ///
    /// # Errors
    /// [`OpenError`] naming the file and what is wrong with it, or the topics there are when none
    /// of them carries images.
    pub fn open(bags: &[PathBuf], only: &[String]) -> Result<Self, OpenError> {
        let mut files = Vec::new();
        let mut spans = Vec::new();
        let mut channels: Vec<BTreeMap<u16, Channel>> = Vec::new();
        for bag in bags {
            for part in rosbag2::parts_of(bag)? {
                let (storage, index) = index_of(&part)?;
                spans.extend(index.spans.into_iter().map(|span| (files.len(), span)));
                channels.push(index.channels);
                files.push(BagFile { part, storage, topics: BTreeMap::new(), damage: index.damage });
            }
        }
        let damage = files.iter().find_map(|file| file.damage.clone());
        let no_images = || OpenError::NoFrames { input: names_of(bags), damage: damage.clone() };
        let (topics, left_out) =
            choose_topics(&channels, only, &names_of(bags)).map_err(|error| match (error, &damage) {
                // The damage may well be why there is none.
                (OpenError::NoImageTopic { .. }, Some(_)) => no_images(),
                (error, _) => error,
            })?;
        for (file, channels) in files.iter_mut().zip(&channels) {
            file.topics = channels
                .iter()
                .filter_map(|(id, channel)| Some((*id, topics.iter().position(|topic| topic.name == channel.topic)?)))
                .collect();
        }
        let images = count_images(&files, &channels, &topics);
        if images == Some(0) {
            return Err(no_images());
        }
        spans.retain(|(file, span)| span_has_images(&files[*file], span));
        spans.sort_by_key(|(file, span)| std::cmp::Reverse((span.start, *file, span.offset)));
        let images_of = topics.iter().filter(|topic| topic.kind != TopicKind::Info);
        let mut cameras: Vec<CameraId> = images_of.map(|topic| topic.camera.clone()).collect();
        cameras.sort();
        Ok(Self {
            files,
            topics,
            cameras,
            left_out,
            lenses: BTreeMap::new(),
            images,
            waiting: spans,
            loaded: Vec::new(),
            spare: Vec::new(),
            losses: Vec::new(),
            last_stamp: None,
            has_warned_of_lens: false,
        })
    }

    /// Index of the loaded span with the next message; spans that begin before it are loaded first.
    fn earliest(&mut self) -> Option<usize> {
        loop {
            let earliest = self
                .loaded
                .iter()
                .enumerate()
                .filter_map(|(index, span)| Some((span.messages.get(span.next)?.log_time, index)))
                .min();
            match (earliest, self.waiting.last()) {
                (Some((time, index)), Some((_, span))) if time <= span.start => return Some(index),
                (Some((_, index)), None) => return Some(index),
                (None, None) => return None,
                (_, Some(_)) => self.load_next(),
            }
        }
    }

    fn load_next(&mut self) {
        let Some((file, span)) = self.waiting.pop() else { return };
        let file = &self.files[file];
        let mut data = self.spare.pop().unwrap_or_default();
        data.clear();
        let mut messages = Vec::new();
        let read = file.read(&span, &mut |topic, log_time, bytes| {
            let start = data.len();
            data.extend_from_slice(bytes);
            messages.push(MessageAt { log_time, topic, bytes: start..data.len() });
        });
        // A file that is known to be cut off says so once, at its end.
        if let (Err(error), None) = (read, &file.damage) {
            let reason = format!("is damaged in the stretch {} {}: {error}", file.storage.place(), span.offset);
            self.losses.push(SourceError::Lost { path: file.part.path.clone(), reason, last: None });
        }
        messages.sort_by_key(|message| message.log_time);
        self.loaded.push(LoadedSpan { data, messages, next: 0 });
    }

    fn drop_finished_spans(&mut self) {
        let (spare, last) = (&mut self.spare, 2);
        self.loaded.retain_mut(|span| {
            let is_finished = span.next >= span.messages.len();
            if is_finished && spare.len() < last {
                spare.push(std::mem::take(&mut span.data));
            }
            !is_finished
        });
    }

    /// The next message: index of its span, of itself, and of its topic.
    fn next_message(&mut self) -> Result<Option<(usize, usize, usize)>, SourceError> {
        self.drop_finished_spans();
        let earliest = self.earliest();
        if let Some(loss) = self.losses.pop() {
            return Err(loss);
        }
        let Some(index) = earliest else {
            return self.next_loss().map_or(Ok(None), Err);
        };
        let span = &mut self.loaded[index];
        span.next += 1;
        Ok(Some((index, span.next - 1, span.messages[span.next - 1].topic)))
    }

    fn bytes(&self, span: usize, message: usize) -> &[u8] {
        let span = &self.loaded[span];
        &span.data[span.messages[message].bytes.clone()]
    }

    /// Takes a calibration; one that is none is told once.
    fn calibrate(&mut self, span: usize, message: usize, topic: usize) {
        let read = wire::cdr::read::<CameraInfo>(self.bytes(span, message)).map_err(|error| error.to_string());
        let topic = &self.topics[topic];
        match read.and_then(|info| info.lens().map_err(|error| error.to_string())) {
            Ok(lens) => drop(self.lenses.insert(topic.camera.clone(), lens)),
            Err(reason) => {
                self.lenses.remove(&topic.camera);
                if !std::mem::replace(&mut self.has_warned_of_lens, true) {
                    tracing::warn!("{}: {reason}", topic.name);
                }
            }
        }
    }

    /// What is still to be said about the files when all messages are through.
    fn next_loss(&mut self) -> Option<SourceError> {
        let last = self.last_stamp;
        self.files.iter_mut().find_map(|file| {
            let reason = file.damage.take()?;
            Some(SourceError::Lost { path: file.part.path.clone(), reason, last })
        })
    }
}

impl FrameSource for BagSource {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, SourceError> {
        let (span, message, topic) = loop {
            let Some((span, message, topic)) = self.next_message()? else { return Ok(None) };
            if self.topics[topic].kind != TopicKind::Info {
                break (span, message, topic);
            }
            self.calibrate(span, message, topic);
        };
        let (span, topic) = (&self.loaded[span], &self.topics[topic]);
        let bytes = &span.data[span.messages[message].bytes.clone()];
        let camera = topic.camera.clone();
        let parsed = if topic.kind == TopicKind::Compressed {
            wire::image::CompressedImage::parse(bytes).map(|image| image.frame(camera))
        } else {
            wire::image::RawImage::parse(bytes).map(|image| image.frame(camera))
        };
        match parsed {
            Ok(frame) => {
                self.last_stamp = Some(frame.stamp);
                Ok(Some(Frame { lens: self.lenses.get(&topic.camera).copied(), ..frame }))
            }
            Err(error) => Err(SourceError::Frame { origin: topic.name.clone(), reason: error.to_string() }),
        }
    }

    fn frames_expected(&self) -> Option<u64> {
        self.images
    }

    fn cameras(&self) -> &[CameraId] {
        &self.cameras
    }

    fn notes(&self) -> &[String] {
        &self.left_out
    }
}

fn names_of(bags: &[PathBuf]) -> String {
    bags.iter().map(|bag| bag.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn open_error(path: &Path, error: McapError) -> OpenError {
    match error {
        McapError::Io(source) => OpenError::Io { path: path.to_owned(), source },
        McapError::BadMagic => OpenError::NotWhatItSeems {
            path: path.to_owned(),
            reason: "it begins neither as an MCAP nor as a sqlite3 bag".to_owned(),
        },
        other => OpenError::NotWhatItSeems { path: path.to_owned(), reason: other.to_string() },
    }
}

fn count_images(files: &[BagFile], channels: &[BTreeMap<u16, Channel>], topics: &[Topic]) -> Option<u64> {
    let is_image = |topic: usize| topics[topic].kind != TopicKind::Info;
    let chosen = files.iter().zip(channels).flat_map(|(file, channels)| {
        file.topics.iter().filter(|(_, topic)| is_image(**topic)).map(|(id, _)| &channels[id])
    });
    chosen.map(|channel| channel.messages).sum()
}

fn span_has_images(file: &BagFile, span: &Span) -> bool {
    span.channels.as_ref().is_none_or(|ids| ids.iter().any(|id| file.topics.contains_key(id)))
}

/// The image topics to replay with the calibrations beside them, and remarks on those left out.
fn choose_topics(
    files: &[BTreeMap<u16, Channel>],
    only: &[String],
    input: &str,
) -> Result<(Vec<Topic>, Vec<String>), OpenError> {
    let mut all: BTreeMap<&str, &Channel> = BTreeMap::new();
    for channel in files.iter().flat_map(BTreeMap::values) {
        all.entry(&channel.topic).or_insert(channel);
    }
    let listed = || all.values().map(|channel| format!("{} ({})", channel.topic, channel.schema)).collect::<Vec<_>>();
    let mut images: BTreeMap<&str, TopicKind> =
        all.iter().filter_map(|(name, channel)| Some((*name, TopicKind::of_schema(&channel.schema)?))).collect();
    let infos: Vec<&str> = images.extract_if(.., |_, kind| *kind == TopicKind::Info).map(|(name, _)| name).collect();
    if let Some(missing) = only.iter().find(|name| !images.contains_key(name.as_str())) {
        return Err(OpenError::NoSuchTopic { input: input.to_owned(), topic: missing.clone(), there: listed() });
    }
    let mut left_out = Vec::new();
    let mut chosen: BTreeMap<CameraId, Topic> = BTreeMap::new();
    // Raw before compressed: of two topics of one camera, the first is kept.
    let mut candidates: Vec<(TopicKind, &str)> = images.into_iter().map(|(name, kind)| (kind, name)).collect();
    candidates.sort_unstable();
    for (kind, name) in candidates {
        let is_wanted = only.iter().any(|wanted| wanted == name);
        if !only.is_empty() && !is_wanted {
            continue;
        }
        let encoding = &all[name].encoding;
        if encoding != "cdr" {
            left_out.push(format!("{name} left out: its messages are encoded as \"{encoding}\", not cdr"));
            continue;
        }
        if name.contains("depth") && !is_wanted {
            left_out.push(format!("{name} left out: a depth image shows no faces (--topic {name} to replay it)"));
            continue;
        }
        let mut camera = camera_of_topic(name);
        if let Some(other) = chosen.get(&camera) {
            if !is_wanted {
                left_out.push(format!("{name} left out: {} shows the same camera (--topic {name})", other.name));
                continue;
            }
            camera = camera_id(name);
        }
        chosen.insert(camera.clone(), Topic { name: name.to_owned(), kind, camera });
    }
    if chosen.is_empty() {
        return Err(OpenError::NoImageTopic { input: input.to_owned(), there: listed() });
    }
    let calibrations: Vec<Topic> = chosen
        .values()
        .filter_map(|image| {
            let info = info_beside(&image.name);
            let is_there = infos.contains(&info.as_str()) && all[info.as_str()].encoding == "cdr";
            is_there.then(|| Topic { name: info, kind: TopicKind::Info, camera: image.camera.clone() })
        })
        .collect();
    Ok((chosen.into_values().chain(calibrations).collect(), left_out))
}

/// Where the calibration of an image topic is, as image_transport has it: `camera_info` beside it.
fn info_beside(topic: &str) -> String {
    let base = topic.strip_suffix("/compressed").unwrap_or(topic);
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/camera_info")
}

/// The camera behind a topic: its name without `/compressed` and without a last part that begins
/// with `image`. `/head/left/image_raw` is the camera `head/left`; `/image_raw` is `camera`.
fn camera_of_topic(topic: &str) -> CameraId {
    let name = topic.strip_suffix("/compressed").unwrap_or(topic);
    let name = match name.rsplit_once('/') {
        Some((before, last)) if last.starts_with("image") => before,
        _ => name,
    };
    camera_id(name)
}

/// The nearest text that may name a camera.
fn camera_id(name: &str) -> CameraId {
    let mut text = String::new();
    for part in name.split('/').filter(|part| !part.is_empty()) {
        if !text.is_empty() {
            text.push('/');
        }
        if part.starts_with(|c: char| c.is_ascii_digit()) {
            text.push('_');
        }
        text.extend(part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    }
    CameraId::new(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Pixels;

    fn channel(topic: &str, schema: &str) -> Channel {
        Channel { topic: topic.into(), schema: schema.into(), encoding: "cdr".into(), messages: Some(1) }
    }

    type Chosen = (Vec<(String, String)>, Vec<String>);

    fn choose(topics: &[(&str, &str)], only: &[&str]) -> Result<Chosen, OpenError> {
        let file = topics.iter().zip(1..).map(|((topic, schema), id)| (id, channel(topic, schema))).collect();
        let only: Vec<String> = only.iter().map(ToString::to_string).collect();
        let (chosen, left_out) = choose_topics(&[file], &only, "bag")?;
        Ok((chosen.into_iter().map(|topic| (topic.name, topic.camera.to_string())).collect(), left_out))
    }

    #[test]
    fn cameras_are_named_after_their_topics() {
        for (topic, camera) in [
            ("/head/left/image_raw", "head/left"),
            ("/camera/image_raw/compressed", "camera"),
            ("/image_raw", "camera"),
            ("/image", "camera"),
            ("/head_camera", "head_camera"),
            ("/2nd-eye/image_rect_color", "_2nd_eye"),
        ] {
            assert_eq!(camera_of_topic(topic).as_str(), camera, "{topic}");
        }
    }

    #[test]
    fn one_topic_per_camera_and_no_depth_unless_asked_for() {
        const RAW: &str = "sensor_msgs/msg/Image";
        const JPEG: &str = "sensor_msgs/msg/CompressedImage";
        let topics = [
            ("/head/image_raw/compressed", JPEG),
            ("/head/image_raw", RAW),
            ("/head/depth/image_rect_raw", RAW),
            ("/hand/image_raw/compressed", JPEG),
            ("/talk", "std_msgs/msg/String"),
        ];
        let (chosen, left_out) = choose(&topics, &[]).unwrap();
        let pair = |topic: &str, camera: &str| (topic.to_owned(), camera.to_owned());
        assert_eq!(chosen, [pair("/hand/image_raw/compressed", "hand"), pair("/head/image_raw", "head")]);
        assert_eq!(left_out.len(), 2, "{left_out:?}");

        let only = ["/head/depth/image_rect_raw"];
        assert_eq!(choose(&topics, &only).unwrap().0, [pair(only[0], "head/depth")]);
        let both = ["/head/image_raw", "/head/image_raw/compressed"];
        let cameras: Vec<String> = choose(&topics, &both).unwrap().0.into_iter().map(|(_, camera)| camera).collect();
        assert_eq!(cameras, ["head", "head/image_raw/compressed"]);

        let missing = choose(&topics, &["/talk"]).unwrap_err().to_string();
        assert!(missing.contains("/talk") && missing.contains("/head/image_raw"), "{missing}");
        let none = choose(&topics[4..], &[]).unwrap_err().to_string();
        assert!(none.contains("/talk (std_msgs/msg/String)"), "{none}");
    }

    /// Writes one-pixel images whose stamps equal their log times, in the given order.
    fn bag(path: &Path, topic: &str, times: impl IntoIterator<Item = u64>) {
        let file = std::io::BufWriter::new(File::create(path).unwrap());
        let mut writer = mcap::WriteOptions::new().chunk_size(Some(300)).create(file).unwrap();
        let schema = writer.add_schema("sensor_msgs/msg/Image", "ros2msg", b"").unwrap();
        let channel_id = writer.add_channel(schema, topic, "cdr", &BTreeMap::new()).unwrap();
        let mut message = Vec::new();
        for time in times {
            let header = wire::image::Header { stamp: Stamp::from_nanos(time as i64), frame_id: "eye" };
            let pixels = crate::frame::RawPixels {
                width: 1,
                height: 1,
                encoding: "rgb8",
                is_bigendian: false,
                step: 3,
                data: &[time as u8; 3],
            };
            wire::image::RawImage { header, pixels }.encode(&mut message).unwrap();
            let header = mcap::records::MessageHeader { channel_id, sequence: 0, log_time: time, publish_time: time };
            writer.write_to_known_channel(&header, &message).unwrap();
        }
        writer.finish().unwrap();
    }

    fn drain(source: &mut BagSource) -> Vec<(u64, String)> {
        let mut seen = Vec::new();
        while let Some(frame) = source.next_frame().unwrap() {
            let Pixels::Raw(raw) = frame.pixels else { panic!("raw was written") };
            assert_eq!(raw.data[0], frame.stamp.nanos() as u8);
            assert_eq!(frame.frame_id, "eye");
            seen.push((frame.stamp.nanos() as u64, frame.camera.to_string()));
        }
        seen
    }

    #[test]
    fn frames_of_several_files_come_in_log_order_and_few_chunks_are_held() {
        let folder = tempfile::tempdir().unwrap();
        let (left, right) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
        // Out of order inside the file, as when messages are delayed on their way to the recorder.
        bag(&left, "/left/image_raw", (0..100).map(|n| 2 * (n ^ 3)));
        bag(&right, "/right/image_raw", (0..100).map(|n| 2 * n + 1));
        let mut source = BagSource::open(&[left, right], &[]).unwrap();
        assert_eq!(source.frames_expected(), Some(200));
        assert_eq!(source.cameras().len(), 2);
        let mut most = 0;
        let mut times = Vec::new();
        while let Some(frame) = source.next_frame().unwrap() {
            times.push(frame.stamp.nanos());
            most = most.max(source.loaded.len());
        }
        assert_eq!(times, (0..200).collect::<Vec<_>>());
        assert!(most <= 6, "{most} chunks in memory at once");
    }

    #[test]
    fn a_rosbag2_folder_is_read_through_its_metadata() {
        let folder = tempfile::tempdir().unwrap();
        bag(&folder.path().join("x_0.mcap"), "/image_raw", 0..5);
        bag(&folder.path().join("x_1.mcap"), "/image_raw", 5..9);
        bag(&folder.path().join("stray.mcap"), "/image_raw", 20..25);
        let metadata = |storage: &str, mode: &str| {
            let text = format!(
                "rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: {storage}\n  compression_mode: \
                 '{mode}'\n  relative_file_paths:\n    - x_0.mcap\n    - x_1.mcap\n"
            );
            std::fs::write(folder.path().join("metadata.yaml"), text).unwrap();
            BagSource::open(&[folder.path().to_owned()], &[])
        };
        let seen = drain(&mut metadata("mcap", "").unwrap());
        assert_eq!(seen.iter().map(|(time, _)| *time).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
        let refusals = [metadata("tape", ""), metadata("mcap", "FILE")].map(|bag| bag.err().unwrap().to_string());
        assert!(refusals[0].contains("tape") && refusals[0].contains("not"), "{}", refusals[0]);
        assert!(refusals[1].contains("compression"), "{}", refusals[1]);
    }
}
