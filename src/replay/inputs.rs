//! What the inputs of a command line are, told by what is in them, and one source out of all.

use super::bag::BagSource;
use super::pictures::{GifSource, PictureSource, picture_files};
use super::rosbag2::{self, CONVERT_BAG};
use super::source::{FrameSource, OpenError};
use super::sqlite_file;
use super::video::VideoSource;
use crate::ids::CameraId;
use crate::time::Stamp;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Stamp of the first frame of an input that has no stamps of its own. Not 0, which ROS takes for
/// "not set".
const FIRST_STAMP: Stamp = Stamp::from_nanos(1_000_000_000);
/// Inputs without stamps begin a day after one another: nothing of one goes on in the next.
const SECS_BETWEEN_INPUTS: f64 = 86_400.0;

/// One kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bag, or a rosbag2 folder.
    Bag,
    /// Any other folder.
    Folder,
    /// A JPEG or PNG file.
    Picture,
    /// An animation.
    Gif,
    /// What ffmpeg reads.
    Video,
}

/// All inputs of a replay, one after the other; the bags among them together, as one.
pub struct Inputs {
    /// In the order in which they are replayed.
    pub sources: Vec<Box<dyn FrameSource>>,
}

impl Inputs {
    /// Opens everything before anything is replayed. `topics` picks image topics of bags; empty:
    /// one per camera.
    ///
    /// # Errors
    /// [`OpenError`] naming the input that cannot be replayed, and why.
    pub fn open(paths: &[PathBuf], topics: &[String]) -> Result<Self, OpenError> {
        let kinds = paths.iter().map(|path| kind_of(path)).collect::<Result<Vec<_>, _>>()?;
        let of_kind = |wanted: Kind| paths.iter().zip(&kinds).filter(move |(_, kind)| **kind == wanted);
        let bags: Vec<PathBuf> = of_kind(Kind::Bag).map(|(path, _)| path.clone()).collect();
        let mut sources: Vec<Box<dyn FrameSource>> = Vec::new();
        if !bags.is_empty() {
            sources.push(Box::new(BagSource::open(&bags, topics)?));
        }
        for (index, (path, kind)) in paths.iter().zip(&kinds).enumerate() {
            let start = FIRST_STAMP.plus_secs(index as f64 * SECS_BETWEEN_INPUTS);
            match kind {
                Kind::Bag => {}
                Kind::Folder => sources.push(Box::new(PictureSource::folder(path, start)?)),
                Kind::Picture => sources.push(Box::new(PictureSource::single(path, start))),
                Kind::Gif => sources.push(Box::new(GifSource::open(path, start)?)),
                Kind::Video => sources.push(Box::new(VideoSource::open(path, start)?)),
            }
        }
        Ok(Self { sources })
    }

    /// Frames of all inputs, when every one of them knows.
    pub fn frames_expected(&self) -> Option<u64> {
        self.sources.iter().map(|source| source.frames_expected()).sum()
    }

    /// All cameras, sorted.
    pub fn cameras(&self) -> Vec<CameraId> {
        let mut cameras: Vec<CameraId> = self.sources.iter().flat_map(|source| source.cameras().to_vec()).collect();
        cameras.sort();
        cameras.dedup();
        cameras
    }

    /// What the user should know about the choice of frames, one line each.
    pub fn notes(&self) -> Vec<String> {
        self.sources.iter().flat_map(|source| source.notes().to_vec()).collect()
    }
}

/// What a path is, by its first bytes; by its name only when it is to be refused.
///
/// # Errors
/// [`OpenError`] when it is nothing that can be replayed, or cannot be read.
pub fn kind_of(path: &Path) -> Result<Kind, OpenError> {
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    let is_folder = std::fs::metadata(path).map_err(io_error)?.is_dir();
    if is_folder {
        let is_bag = path.join("metadata.yaml").exists()
            || (picture_files(path).map_err(io_error)?.is_empty()
                && rosbag2::holds_bag_files(path).map_err(io_error)?);
        return Ok(if is_bag { Kind::Bag } else { Kind::Folder });
    }
    let mut start = [0_u8; 16];
    let mut read = 0;
    let mut file = File::open(path).map_err(io_error)?;
    while read < start.len() {
        match file.read(&mut start[read..]).map_err(io_error)? {
            0 => break,
            more => read += more,
        }
    }
    kind_of_bytes(path, &start[..read])
}

fn kind_of_bytes(path: &Path, start: &[u8]) -> Result<Kind, OpenError> {
    let extension = path.extension().and_then(|text| text.to_str()).unwrap_or_default().to_ascii_lowercase();
    match start {
        [0x89, b'M', b'C', b'A', b'P', ..] => Ok(Kind::Bag),
        [0xFF, 0xD8, 0xFF, ..] | [0x89, b'P', b'N', b'G', ..] => Ok(Kind::Picture),
        [b'G', b'I', b'F', b'8', ..] => Ok(Kind::Gif),
        _ if start.starts_with(sqlite_file::MAGIC) => Ok(Kind::Bag),
        _ if start.starts_with(b"#ROSBAG") => {
            Err(OpenError::NotYet { path: path.to_owned(), what: "a ROS 1 bag".to_owned(), instead: CONVERT_BAG })
        }
        [_, _, _, _, b'f', b't', b'y', b'p', ..] | [0x1A, 0x45, 0xDF, 0xA3, ..] => Ok(Kind::Video),
        _ => match extension.as_str() {
            "mcap" | "db3" | "zstd" => Ok(Kind::Bag),
            "gif" => Ok(Kind::Gif),
            "jpg" | "jpeg" | "png" => Ok(Kind::Picture),
            "mp4" | "mkv" | "avi" | "mov" | "webm" | "m4v" | "mpg" | "mpeg" | "ts" => Ok(Kind::Video),
            _ => Err(OpenError::UnknownKind { path: path.to_owned() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, start: &[u8]) -> Result<Kind, String> {
        kind_of_bytes(Path::new(name), start).map_err(|error| error.to_string())
    }

    #[test]
    fn contents_decide_and_names_only_refuse() {
        assert_eq!(kind("x.bin", mcap::MAGIC), Ok(Kind::Bag));
        assert_eq!(kind("x.mcap", &[0xFF, 0xD8, 0xFF, 0xE0]), Ok(Kind::Picture));
        assert_eq!(kind("x", b"GIF89a"), Ok(Kind::Gif));
        assert_eq!(kind("x", b"SQLite format 3\0"), Ok(Kind::Bag));
        assert_eq!(kind("x", b"\0\0\0\x18ftypmp42"), Ok(Kind::Video));
        assert_eq!(kind("x.avi", b"RIFF"), Ok(Kind::Video));
        let refusal = kind("x.bag", b"#ROSBAG V2.0").unwrap_err();
        assert!(refusal.contains("x.bag") && refusal.contains("not") && refusal.contains("yet"), "{refusal}");
        assert!(kind("x.txt", b"hello").unwrap_err().contains("x.txt"));
    }
}
