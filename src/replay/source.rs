//! Where frames come from, one at a time.

use crate::frame::Frame;
use crate::ids::CameraId;
use crate::time::Stamp;
use std::path::PathBuf;

/// Seconds between looks at the same picture; closer ones would count as one.
pub const REHEARSAL_SECS: f64 = 0.25;

/// Gives every frame of a recording, in stamp order, without holding more than the present.
pub trait FrameSource {
    /// The next frame, borrowing the source's buffers; `None` at the end.
    ///
    /// # Errors
    /// [`SourceError`] when something could not be read. The source stays usable: the next call
    /// goes on behind it.
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, SourceError>;

    /// How many frames there will be, when that is known beforehand.
    fn frames_expected(&self) -> Option<u64>;

    /// The cameras that frames come from.
    fn cameras(&self) -> &[CameraId];

    /// How often the line is to look at the next frame before the look that counts, each
    /// [`REHEARSAL_SECS`] earlier: a single picture has no past that could confirm what it shows.
    fn rehearsals(&self) -> u32 {
        0
    }

    /// What the user should know about the choice of frames, one line each.
    fn notes(&self) -> &[String] {
        &[]
    }
}

/// Why an input cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("cannot read {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Something else than its name or place promises.
    #[error("{path} cannot be read: {reason}", path = path.display())]
    NotWhatItSeems {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Not a kind of file that is replayed.
    #[error(
        "{path} is nothing that can be replayed: expected an MCAP or sqlite3 bag, a rosbag2 folder, a folder of \
         JPEG or PNG pictures, a picture, a GIF or a video", path = path.display()
    )]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// A kind of input that is planned.
    #[error("{path}: {what} cannot be replayed yet; {instead}", path = path.display())]
    NotYet {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// Videos are decoded by ffmpeg.
    #[error(
        "{path} is a video, and {program} is not on the PATH: install it (`apt-get install ffmpeg`), or take the \
         frames out elsewhere (`ffmpeg -i VIDEO FOLDER/%06d.jpg`) and replay the folder", path = path.display()
    )]
    NoFfmpeg {
        /// The file.
        path: PathBuf,
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
    },
    /// A bag without images.
    #[error("{input} holds no topic of type sensor_msgs/msg/Image or CompressedImage; topics: {}", list(there))]
    NoImageTopic {
        /// The bags.
        input: String,
        /// Its topics with their types.
        there: Vec<String>,
    },
    /// `--topic` names something else.
    #[error("{input} holds no image topic {topic}; topics: {}", list(there))]
    NoSuchTopic {
        /// The bags.
        input: String,
        /// The topic asked for.
        topic: String,
        /// The topics there are, with their types.
        there: Vec<String>,
    },
    /// Nothing to replay.
    #[error("{input} holds no images that can be read (JPEG or PNG; in bags sensor_msgs/Image or CompressedImage){}", damage.as_ref().map(|damage| format!(": it {damage}")).unwrap_or_default())]
    NoFrames {
        /// The input.
        input: String,
        /// What is wrong with it, if anything.
        damage: Option<String>,
    },
}

fn list(topics: &[String]) -> String {
    if topics.is_empty() { "none".to_owned() } else { topics.join(", ") }
}

/// Something in a recording that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// One frame is lost.
    #[error("{origin}: {reason}")]
    Frame {
        /// Topic or file.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Part of the recording is lost, nobody knows how many frames.
    #[error("{} {reason}{}", path.display(), read_until(*last))]
    Lost {
        /// The file.
        path: PathBuf,
        /// Where and why, in words that follow the file's name.
        reason: String,
        /// Stamp of the last frame that was read.
        last: Option<Stamp>,
    },
}

fn read_until(last: Option<Stamp>) -> String {
    last.map(|stamp| format!("; read up to the image of stamp {stamp}")).unwrap_or_default()
}
