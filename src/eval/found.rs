//! What the line found, read back from `people.jsonl`.

use crate::geometry::{BBox, ImagePx};
use crate::ids::CameraId;
use crate::time::Stamp;
use serde::Deserialize;
use std::collections::BTreeMap;
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
    /// Cosine of the latest look to the best reference, -1..=1; 0 before the first look.
    #[serde(default)]
    pub identity_similarity: f32,
    /// Whose reference that was; empty when the gallery is.
    #[serde(default)]
    pub candidate_id: String,
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

/// What a subscriber knew at the moment of every frame that `arrived`: of its camera, the newest people
/// known by then, whichever frame they came from (streaming accuracy: Li, Wang and Ramanan, "Towards
/// Streaming Perception", 2020). `found` are results in the order in which they became known, each with the
/// stamp that the recording had reached by then.
///
/// # Errors
/// [`FoundError`] of a result that cannot be read.
pub fn newest_known(
    found: impl Iterator<Item = (Result<FoundFrame, FoundError>, Stamp)>,
    arrived: &[(CameraId, Stamp)],
    mut judge: impl FnMut(&FoundFrame),
) -> Result<(), FoundError> {
    let mut found = found.peekable();
    let mut newest: BTreeMap<String, FoundFrame> = BTreeMap::new();
    for (camera, stamp) in arrived {
        while let Some((frame, _)) = found.next_if(|(_, known_at)| known_at <= stamp) {
            let frame = frame?;
            newest.insert(frame.camera.clone(), frame);
        }
        let known = newest.entry(camera.as_str().to_owned()).or_insert_with(|| FoundFrame {
            stamp: stamp.nanos(),
            camera: camera.as_str().to_owned(),
            people: Vec::new(),
        });
        known.stamp = stamp.nanos();
        judge(known);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_judged_by_what_was_known_then() {
        let camera = CameraId::default();
        let at = |millis: i64| Stamp::from_nanos(millis * 1_000_000);
        let arrived: Vec<_> = (0..6).map(|n| (camera.clone(), at(n * 10))).collect();
        // The frame of 0 ms was known after 25, that of 20 ms after 41; the others were displaced.
        let person = |name: &str| FoundPerson {
            face_id: "f".into(),
            person_id: String::new(),
            name: name.into(),
            identity_confidence: 0.0,
            identity_similarity: 0.0,
            candidate_id: String::new(),
            r#box: [0.0; 4],
            observed: true,
            emotion: FoundEmotion::default(),
        };
        let frame = |stamp, name| FoundFrame { stamp, camera: camera.as_str().into(), people: vec![person(name)] };
        let found = [(Ok(frame(0, "first")), at(25)), (Ok(frame(20_000_000, "second")), at(41))];
        let mut seen = Vec::new();
        newest_known(found.into_iter(), &arrived, |frame| {
            seen.push((frame.stamp / 1_000_000, frame.people.first().map(|person| person.name.clone())));
        })
        .unwrap();
        let (first, second) = (Some("first".to_owned()), Some("second".to_owned()));
        assert_eq!(seen, [(0, None), (10, None), (20, None), (30, first.clone()), (40, first), (50, second)]);
    }
}
