//! What the line found, read back from `people.jsonl`.

use crate::geometry::{BBox, ImagePx};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};

/// Everyone in one frame.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FoundFrame {
    /// Acquisition, ns.
    pub stamp: i64,
    /// Camera.
    pub camera: String,
    /// Who.
    pub people: Vec<FoundPerson>,
}

/// One face of a frame.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FoundPerson {
    /// Id of the track.
    pub face_id: String,
    /// Id of the person; empty while undecided.
    pub person_id: String,
    /// Empty when none.
    pub name: String,
    /// Calibrated, 0..=1.
    pub identity_confidence: f32,
    /// x1, y1, x2, y2 in pixels of the image.
    pub r#box: [f32; 4],
    /// False: predicted.
    pub observed: bool,
    /// What the face shows.
    pub emotion: FoundEmotion,
}

/// What a face shows.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct FoundEmotion {
    /// Stable label; empty without a reading.
    pub label: String,
    /// Calibrated, 0..=1.
    pub confidence: f32,
    /// Whether there is a reading.
    pub valid: bool,
    /// Whether the model says it does not know.
    #[serde(default)]
    pub uncertain: bool,
}

impl FoundPerson {
    /// Where.
    pub fn bbox(&self) -> BBox<ImagePx> {
        let [x1, y1, x2, y2] = self.r#box;
        BBox::new(x1, y1, x2, y2)
    }
}

/// Why results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A line that is none of `rostro replay`'s.
    #[error("{path} line {line}: {reason}; expected the people.jsonl of `rostro replay`", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

/// The frames of a `people.jsonl`, one at a time.
pub struct FoundFrames {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    line: u64,
}

impl FoundFrames {
    /// Opens a `people.jsonl`.
    ///
    /// # Errors
    /// [`FoundError::Io`].
    pub fn open(path: &Path) -> Result<Self, FoundError> {
        let file = File::open(path).map_err(|source| FoundError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), lines: BufReader::new(file).lines(), line: 0 })
    }
}

impl Iterator for FoundFrames {
    type Item = Result<FoundFrame, FoundError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.lines.next()?;
        self.line += 1;
        Some(text.map_err(|source| FoundError::Io { path: self.path.clone(), source }).and_then(|text| {
            serde_json::from_str(&text).map_err(|error| FoundError::Line {
                path: self.path.clone(),
                line: self.line,
                reason: error.to_string(),
            })
        }))
    }
}
