//! Writes a scene as a bag, and its truth beside it.

use super::scene::{Canvas, FrameTruth, Scene};
use crate::frame::EncodedPixels;
use crate::wire::image::{CompressedImage, Header};
use crate::wire::{Message, WireError, schema};
use image::ImageError;
use mcap::records::MessageHeader;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Name of the bag.
pub const SCENE_FILE: &str = "scene.mcap";
/// Name of the truth: one [`FrameTruth`] as JSON per line.
pub const TRUTH_FILE: &str = "truth.jsonl";
/// Topic of the frames.
pub const TOPIC: &str = "/camera/image_raw/compressed";
/// Frame of the camera.
const FRAME_ID: &str = "camera_optical_frame";
/// More threads than this only wait for the one that writes.
const MOST_THREADS: usize = 4;
/// Frames a thread may be ahead.
const AHEAD: usize = 4;

/// Why a scene cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
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
    /// A frame cannot be encoded.
    #[error("cannot encode a frame: {0}")]
    Jpeg(#[from] ImageError),
    /// Another frame could not be composed.
    #[error("a composing thread stopped early")]
    Stopped,
}

/// Composes every frame of `scene` and writes [`SCENE_FILE`] and [`TRUTH_FILE`] into `folder`.
/// `on_frame` is told how many frames are done. The same scene gives the same bytes.
///
/// # Errors
/// [`RecordingError`]; unfinished files keep the ending `.partial`.
pub fn write(scene: &Scene, folder: &Path, on_frame: &mut dyn FnMut(u64)) -> Result<Vec<FrameTruth>, RecordingError> {
    let frames = scene.frames();
    let (bag_path, truth_path) = (folder.join(SCENE_FILE), folder.join(TRUTH_FILE));
    let mut bag = Bag::create(partial(&bag_path))?;
    let truth: Vec<FrameTruth> = (0..frames).map(|frame| scene.truth(frame)).collect();
    write_lines(&truth, &partial(&truth_path))?;
    in_order(frames, &|frame, canvas: &mut Canvas| Ok(scene.jpeg(frame, canvas)?.to_vec()), &mut |frame, jpeg| {
        bag.write(scene, frame, &jpeg)?;
        on_frame(frame as u64 + 1);
        Ok(())
    })?;
    bag.finish()?;
    for path in [bag_path, truth_path] {
        fs::rename(partial(&path), &path).map_err(|source| RecordingError::Io { path, source })?;
    }
    Ok(truth)
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn write_lines(truth: &[FrameTruth], path: &Path) -> Result<(), RecordingError> {
    let failed = |source| RecordingError::Io { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    for frame in truth {
        let line = serde_json::to_string(frame).map_err(|error| failed(error.into()))?;
        writeln!(file, "{line}").map_err(failed)?;
    }
    file.flush().map_err(failed)
}

/// Makes `count` things on several threads and uses them on this one, in their order.
fn in_order<T: Send, W: Default>(
    count: usize,
    make: &(dyn Fn(usize, &mut W) -> Result<T, RecordingError> + Sync),
    each: &mut dyn FnMut(usize, T) -> Result<(), RecordingError>,
) -> Result<(), RecordingError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    std::thread::scope(|scope| {
        let results: Vec<_> = (0..threads)
            .map(|first| {
                let (send, receive) = mpsc::sync_channel(AHEAD);
                scope.spawn(move || {
                    let mut workplace = W::default();
                    for index in (first..count).step_by(threads) {
                        // Nobody listens any more after an error.
                        if send.send(make(index, &mut workplace)).is_err() {
                            return;
                        }
                    }
                });
                receive
            })
            .collect();
        for index in 0..count {
            let made = results[index % threads].recv().map_err(|mpsc::RecvError| RecordingError::Stopped)??;
            each(index, made)?;
        }
        Ok(())
    })
}

struct Bag {
    path: PathBuf,
    writer: mcap::Writer<BufWriter<File>>,
    channel: u16,
    message: Vec<u8>,
}

impl Bag {
    fn create(path: PathBuf) -> Result<Self, RecordingError> {
        let file = File::create(&path).map_err(|source| RecordingError::Io { path: path.clone(), source })?;
        // JPEG does not compress any further.
        let options = mcap::WriteOptions::new().profile("ros2").library("rostro").compression(None);
        let failed = |source| RecordingError::Bag { path: path.clone(), source };
        let mut writer = options.create(BufWriter::new(file)).map_err(failed)?;
        let text = schema(CompressedImage::TYPE).unwrap_or_default();
        let schema = writer.add_schema(CompressedImage::TYPE, "ros2msg", text.as_bytes()).map_err(failed)?;
        let channel = writer.add_channel(schema, TOPIC, "cdr", &BTreeMap::new()).map_err(failed)?;
        Ok(Self { path, writer, channel, message: Vec::new() })
    }

    fn write(&mut self, scene: &Scene, frame: usize, jpeg: &[u8]) -> Result<(), RecordingError> {
        let stamp = scene.stamp(frame);
        let pixels = EncodedPixels { format: "jpeg", data: jpeg };
        CompressedImage { header: Header { stamp, frame_id: FRAME_ID }, pixels }.encode(&mut self.message)?;
        let time = stamp.nanos().unsigned_abs();
        let header =
            MessageHeader { channel_id: self.channel, sequence: frame as u32, log_time: time, publish_time: time };
        let written = self.writer.write_to_known_channel(&header, &self.message);
        written.map_err(|source| RecordingError::Bag { path: self.path.clone(), source })
    }

    fn finish(&mut self) -> Result<(), RecordingError> {
        let failed = |source| RecordingError::Bag { path: self.path.clone(), source };
        self.writer.finish().map_err(failed)?;
        Ok(())
    }
}
