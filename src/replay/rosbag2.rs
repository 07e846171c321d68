//! The files of a rosbag2 recording: a folder's `metadata.yaml`, and rosbag2's own zstd compression.

use super::source::OpenError;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Extensions of the storages that are read.
const STORAGES: [&str; 2] = ["mcap", "db3"];

/// One file of a recording, ready to be read.
#[derive(Debug)]
pub(super) struct BagPart {
    /// The file as the recording names it.
    pub(super) path: PathBuf,
    /// Whether each message in it is compressed by zstd.
    pub(super) compressed_messages: bool,
    /// The unpacked copy of a compressed file; removed when dropped.
    unpacked: Option<NamedTempFile>,
}

impl BagPart {
    /// The file to read.
    pub(super) fn file(&self) -> &Path {
        self.unpacked.as_ref().map_or(&self.path, NamedTempFile::path)
    }
}

/// `metadata.yaml`, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    rosbag2_bagfile_information: BagInformation,
}

#[derive(Deserialize)]
struct BagInformation {
    storage_identifier: String,
    relative_file_paths: Vec<PathBuf>,
    #[serde(default)]
    compression_format: String,
    #[serde(default)]
    compression_mode: String,
}

/// Whether a folder without `metadata.yaml` holds files of a recording.
pub(super) fn holds_bag_files(folder: &Path) -> io::Result<bool> {
    Ok(!bag_files(folder)?.is_empty())
}

/// The files of a recording: the file itself, or those of its folder, by its `metadata.yaml` where
/// there is one (a recording that was killed has none).
///
/// # Errors
/// [`OpenError`] naming the file that cannot be read, or what cannot be read yet.
pub(super) fn parts_of(bag: &Path) -> Result<Vec<BagPart>, OpenError> {
    if !bag.is_dir() {
        return Ok(vec![part(bag, false)?]);
    }
    let path = bag.join("metadata.yaml");
    let io_error = |source| OpenError::Io { path: path.clone(), source };
    if !path.exists() {
        return bag_files(bag).map_err(io_error)?.iter().map(|file| part(file, false)).collect();
    }
    let text = std::fs::read_to_string(&path).map_err(io_error)?;
    let metadata: Metadata = serde_saphyr::from_str(&text)
        .map_err(|error| OpenError::NotWhatItSeems { path: path.clone(), reason: error.to_string() })?;
    let info = metadata.rosbag2_bagfile_information;
    let not_yet = |what| Err(OpenError::NotYet { path: bag.to_owned(), what, instead: CONVERT_BAG });
    if !["mcap", "sqlite3"].contains(&info.storage_identifier.as_str()) {
        return not_yet(format!("rosbag2 storage \"{}\"", info.storage_identifier));
    }
    let is_compressed = |mode: &str| info.compression_mode.eq_ignore_ascii_case(mode);
    if (is_compressed("file") || is_compressed("message")) && info.compression_format != "zstd" {
        return not_yet(format!("rosbag2's compression format \"{}\"", info.compression_format));
    }
    info.relative_file_paths.iter().map(|name| part(&bag.join(name), is_compressed("message"))).collect()
}

/// What to do with a bag that cannot be read.
pub(super) const CONVERT_BAG: &str =
    "convert it to MCAP, for example with `ros2 bag convert` or PyPI's rosbags-convert";

fn bag_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.to_string_lossy().to_ascii_lowercase();
        let plain = name.strip_suffix(".zstd").unwrap_or(&name);
        if path.is_file() && STORAGES.iter().any(|storage| plain.ends_with(&format!(".{storage}"))) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A file, unpacked first when it is compressed as a whole (`.mcap.zstd`, `.db3.zstd`).
fn part(path: &Path, compressed_messages: bool) -> Result<BagPart, OpenError> {
    if path.extension().is_none_or(|extension| extension != "zstd") {
        return Ok(BagPart { path: path.to_owned(), compressed_messages, unpacked: None });
    }
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    let packed = File::open(path).map_err(io_error)?;
    let mut unpacked = NamedTempFile::new().map_err(io_error)?;
    zstd::stream::copy_decode(BufReader::new(packed), BufWriter::new(unpacked.as_file_mut())).map_err(io_error)?;
    Ok(BagPart { path: path.to_owned(), compressed_messages, unpacked: Some(unpacked) })
}
