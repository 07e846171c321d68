//! What is true of a recording, from CSV files that a person can write.
//!
//! A truth folder holds `tracks.csv`, `alone.csv` or both, and may hold the others. The first line of each
//! names its columns; their order is free.
//!
//! | File | Columns |
//! |---|---|
//! | `tracks.csv` | `frame` (1 for a camera's first) or `stamp` (ns); `person`, `x`, `y`, `w`, `h` (pixels, top left corner); optional `conf` (0: need not be found) and `camera` |
//! | `alone.csv` | `from`, `to`, `person`; optional `camera`: this is the only person to be seen then |
//! | `emotion.csv` | `from`, `to`, `person`, `label` |
//! | `ignore.csv` | `from`, `to`, `x`, `y`, `w`, `h`; optional `camera`: faces there are not judged |
//! | `groups.csv` | `person`, `group` |
//!
//! Times are seconds from the first frame, or stamps in nanoseconds. `tracks.csv` may also be MOTChallenge's
//! own `gt.txt`, without a first line: frame, id, x, y, w, h, conf and columns that are not read.

use crate::emotion::Emotion;
use crate::geometry::{BBox, ImagePx};
use csv::{Reader, ReaderBuilder, StringRecord, Trim};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Stamps this close are the same frame, nanoseconds.
const SAME_FRAME_NANOS: i64 = 1_000_000;
/// From here on (1970-01-02 in nanoseconds) a time is a stamp, not seconds.
const LEAST_STAMP: f64 = 8.64e13;

/// Why a truth cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A line that cannot be.
    #[error("{path} line {line}: {reason}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Neither boxes nor intervals.
    #[error(
        "{folder} holds no truth: expected tracks.csv (stamp or frame, person, x, y, w, h) or alone.csv (from, to, \
         person)", folder = folder.display()
    )]
    Nothing {
        /// The folder.
        folder: PathBuf,
    },
}

/// Everything known to be true of one recording.
#[derive(Debug, Default)]
pub struct Truth {
    boxes: Vec<TrueBox>,
    /// Rows of `boxes` by camera (empty: any) and frame number.
    by_frame: BTreeMap<(String, u64), Vec<usize>>,
    /// Rows of `boxes` by camera (empty: any) and stamp.
    by_stamp: BTreeMap<(String, i64), Vec<usize>>,
    alone: Vec<Alone>,
    expressions: Vec<Expression>,
    ignored: Vec<Ignored>,
    groups: BTreeMap<String, String>,
}

/// A face that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueBox {
    /// Who.
    pub person: String,
    /// Where.
    pub bbox: BBox<ImagePx>,
    /// False for a face that need not be found.
    pub counts: bool,
    path: PathBuf,
    line: u64,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    from: Moment,
    to: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Secs(f64),
    Stamp(i64),
}

#[derive(Debug)]
struct Alone {
    when: Interval,
    camera: String,
    person: String,
}

#[derive(Debug)]
struct Expression {
    when: Interval,
    person: String,
    label: Emotion,
}

#[derive(Debug)]
struct Ignored {
    when: Interval,
    camera: String,
    bbox: BBox<ImagePx>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackRow {
    frame: Option<u64>,
    stamp: Option<i64>,
    person: String,
    x: f32,
    y: f32,
    w: f32,
    h: f32,
    conf: Option<f32>,
    #[serde(default)]
    camera: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AloneRow {
    from: f64,
    to: f64,
    person: String,
    #[serde(default)]
    camera: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmotionRow {
    from: f64,
    to: f64,
    person: String,
    label: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreRow {
    from: f64,
    to: f64,
    x: f32,
    y: f32,
    w: f32,
    h: f32,
    #[serde(default)]
    camera: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupRow {
    person: String,
    group: String,
}

impl Truth {
    /// Reads a truth folder, or a single file of tracks.
    ///
    /// # Errors
    /// [`TruthError`] naming file and line.
    pub fn read(path: &Path) -> Result<Self, TruthError> {
        let mut truth = Self::default();
        let exists = path.try_exists().map_err(|source| TruthError::Io { path: path.to_owned(), source })?;
        if path.is_file() || !exists {
            truth.read_tracks(path)?;
            return Ok(truth);
        }
        let found = |name: &str| Some(path.join(name)).filter(|path| path.exists());
        if let Some(tracks) = found("tracks.csv").or_else(|| found("gt.txt")) {
            truth.read_tracks(&tracks)?;
        }
        if let Some(alone) = found("alone.csv") {
            truth.read_alone(&alone)?;
        }
        if truth.boxes.is_empty() && truth.alone.is_empty() {
            return Err(TruthError::Nothing { folder: path.to_owned() });
        }
        if let Some(emotion) = found("emotion.csv") {
            truth.read_expressions(&emotion)?;
        }
        if let Some(ignore) = found("ignore.csv") {
            truth.read_ignored(&ignore)?;
        }
        if let Some(groups) = found("groups.csv") {
            truth.read_groups(&groups)?;
        }
        Ok(truth)
    }

    /// Everybody who appears.
    pub fn people(&self) -> BTreeSet<&str> {
        let boxed = self.boxes.iter().map(|row| row.person.as_str());
        boxed.chain(self.alone.iter().map(|row| row.person.as_str())).collect()
    }

    /// The group of a person, if any is told.
    pub fn group(&self, person: &str) -> Option<&str> {
        self.groups.get(person).map(String::as_str)
    }

    /// True when faces have boxes, so that tracking can be measured.
    pub fn has_boxes(&self) -> bool {
        !self.boxes.is_empty()
    }

    /// True when somebody's expression is told.
    pub fn has_expressions(&self) -> bool {
        !self.expressions.is_empty()
    }

    /// Numbers of the boxes in a frame: the `number`th of its camera, from 1.
    pub fn boxes_in(&self, camera: &str, number: u64, stamp: i64) -> Vec<usize> {
        let mut rows = Vec::new();
        for camera in [camera, ""] {
            rows.extend(self.by_frame.get(&(camera.to_owned(), number)).into_iter().flatten());
            let near = (camera.to_owned(), stamp.saturating_sub(SAME_FRAME_NANOS))
                ..=(camera.to_owned(), stamp.saturating_add(SAME_FRAME_NANOS));
            rows.extend(self.by_stamp.range(near).flat_map(|(_, rows)| rows));
            if camera.is_empty() {
                break;
            }
        }
        rows
    }

    /// The box with this number.
    pub fn true_box(&self, number: usize) -> &TrueBox {
        &self.boxes[number]
    }

    /// The only person to be seen, where that is told.
    pub fn alone(&self, camera: &str, stamp: i64, start: i64) -> Option<&str> {
        let row = self.alone.iter().find(|row| is_camera(&row.camera, camera) && row.when.contains(stamp, start))?;
        Some(&row.person)
    }

    /// What a person's face shows, where that is told, and the number of that stretch.
    pub fn expression(&self, person: &str, stamp: i64, start: i64) -> Option<(usize, Emotion)> {
        let row = self.expressions.iter().position(|row| row.person == person && row.when.contains(stamp, start))?;
        Some((row, self.expressions[row].label))
    }

    /// Seconds since the beginning of a stretch of [`Truth::expression`].
    pub fn secs_into_expression(&self, number: usize, stamp: i64, start: i64) -> f64 {
        (stamp - self.expressions[number].when.from.stamp(start)) as f64 * 1e-9
    }

    /// Whether a face there is not judged.
    pub fn ignores(&self, camera: &str, stamp: i64, start: i64, face: &BBox<ImagePx>) -> bool {
        let (x, y) = (0.5 * (face.x1 + face.x2), 0.5 * (face.y1 + face.y2));
        self.ignored.iter().any(|row| {
            let BBox { x1, y1, x2, y2, .. } = row.bbox;
            is_camera(&row.camera, camera)
                && row.when.contains(stamp, start)
                && (x1..=x2).contains(&x)
                && (y1..=y2).contains(&y)
        })
    }

    /// The error of a box that no frame of the recording has asked for.
    pub fn unused(&self, number: usize, reason: &str) -> TruthError {
        let row = &self.boxes[number];
        TruthError::Line { path: row.path.clone(), line: row.line, reason: reason.to_owned() }
    }

    /// How many boxes there are.
    pub fn box_count(&self) -> usize {
        self.boxes.len()
    }

    /// The boxes of this truth and of another table, frame by frame, in the order of the frames.
    pub fn beside<'a>(&'a self, other: &'a Self) -> Vec<(Vec<&'a TrueBox>, Vec<&'a TrueBox>)> {
        let by_frame: BTreeSet<_> = self.by_frame.keys().chain(other.by_frame.keys()).collect();
        let by_stamp: BTreeSet<_> = self.by_stamp.keys().chain(other.by_stamp.keys()).collect();
        let of = |table: &'a Self, rows: Option<&Vec<usize>>| -> Vec<&'a TrueBox> {
            rows.into_iter().flatten().map(|row| &table.boxes[*row]).collect()
        };
        let counted =
            by_frame.into_iter().map(|key| (of(self, self.by_frame.get(key)), of(other, other.by_frame.get(key))));
        let stamped =
            by_stamp.into_iter().map(|key| (of(self, self.by_stamp.get(key)), of(other, other.by_stamp.get(key))));
        counted.chain(stamped).collect()
    }

    fn read_tracks(&mut self, path: &Path) -> Result<(), TruthError> {
        let mut seen: BTreeMap<(String, i64, String), u64> = BTreeMap::new();
        each_row(path, true, &mut |row: TrackRow, line| {
            let at = match (row.frame, row.stamp) {
                (Some(0), _) => return Err("frames are counted from 1".to_owned()),
                (Some(frame), None) => frame as i64,
                (None, Some(stamp)) => stamp,
                _ => return Err("either `frame` or `stamp` is needed, and not both".to_owned()),
            };
            let (bbox, person) = (sized_box(row.x, row.y, row.w, row.h)?, named(row.person)?);
            if let Some(before) = seen.insert((row.camera.clone(), at, person.clone()), line) {
                return Err(format!("{person} is in this frame already, in line {before}"));
            }
            let number = self.boxes.len();
            match row.frame {
                Some(frame) => self.by_frame.entry((row.camera, frame)).or_default().push(number),
                None => self.by_stamp.entry((row.camera, at)).or_default().push(number),
            }
            let counts = row.conf.is_none_or(|conf| conf != 0.0);
            self.boxes.push(TrueBox { person, bbox, counts, path: path.to_owned(), line });
            Ok(())
        })
    }

    fn read_alone(&mut self, path: &Path) -> Result<(), TruthError> {
        let mut lines: Vec<u64> = Vec::new();
        each_row(path, false, &mut |row: AloneRow, line| {
            let when = Interval::of(row.from, row.to)?;
            let overlaps = |other: &&Alone| {
                other.when.overlaps(&when)
                    && (other.camera == row.camera || other.camera.is_empty() || row.camera.is_empty())
            };
            if let Some(other) = self.alone.iter().position(|other| overlaps(&other)) {
                let who = &self.alone[other].person;
                return Err(format!("overlaps line {}, where {who} is the only person", lines[other]));
            }
            self.alone.push(Alone { when, camera: row.camera, person: named(row.person)? });
            lines.push(line);
            Ok(())
        })
    }

    fn read_expressions(&mut self, path: &Path) -> Result<(), TruthError> {
        let known: BTreeSet<String> = self.people().into_iter().map(ToOwned::to_owned).collect();
        let mut lines: Vec<u64> = Vec::new();
        each_row(path, false, &mut |row: EmotionRow, line| {
            let when = Interval::of(row.from, row.to)?;
            let person = known_person(&known, row.person)?;
            let labels = Emotion::ALL.map(Emotion::name).join(", ");
            let label = Emotion::ALL.into_iter().find(|emotion| emotion.name() == row.label);
            let label = label.ok_or_else(|| format!("\"{}\" is none of {labels}", row.label))?;
            let clash = self.expressions.iter().position(|other| other.person == person && other.when.overlaps(&when));
            if let Some(other) = clash {
                return Err(format!("overlaps line {} of the same person", lines[other]));
            }
            self.expressions.push(Expression { when, person, label });
            lines.push(line);
            Ok(())
        })
    }

    fn read_ignored(&mut self, path: &Path) -> Result<(), TruthError> {
        each_row(path, false, &mut |row: IgnoreRow, _| {
            let when = Interval::of(row.from, row.to)?;
            self.ignored.push(Ignored { when, camera: row.camera, bbox: sized_box(row.x, row.y, row.w, row.h)? });
            Ok(())
        })
    }

    fn read_groups(&mut self, path: &Path) -> Result<(), TruthError> {
        let known: BTreeSet<String> = self.people().into_iter().map(ToOwned::to_owned).collect();
        each_row(path, false, &mut |row: GroupRow, _| {
            let person = known_person(&known, row.person)?;
            match self.groups.insert(person.clone(), row.group) {
                Some(before) => Err(format!("{person} is in group {before} already")),
                None => Ok(()),
            }
        })
    }
}

impl Interval {
    fn of(from: f64, to: f64) -> Result<Self, String> {
        if !(from.is_finite() && to.is_finite() && from < to) {
            return Err(format!("`from` ({from}) must lie before `to` ({to})"));
        }
        let moment = |time: f64| if time >= LEAST_STAMP { Moment::Stamp(time as i64) } else { Moment::Secs(time) };
        match (moment(from), moment(to)) {
            (Moment::Secs(_), Moment::Stamp(_)) => Err("one of the times is in seconds, the other a stamp".to_owned()),
            (from, to) => Ok(Self { from, to }),
        }
    }

    fn contains(&self, stamp: i64, start: i64) -> bool {
        (self.from.stamp(start)..self.to.stamp(start)).contains(&stamp)
    }

    fn overlaps(&self, other: &Self) -> bool {
        // Seconds and stamps cannot be compared without the recording; mixing them is rare and harmless.
        self.from.stamp(0) < other.to.stamp(0) && other.from.stamp(0) < self.to.stamp(0)
    }
}

impl Moment {
    fn stamp(self, start: i64) -> i64 {
        match self {
            Self::Secs(secs) => start.saturating_add((secs * 1e9) as i64),
            Self::Stamp(stamp) => stamp,
        }
    }
}

fn is_camera(told: &str, camera: &str) -> bool {
    told.is_empty() || told == camera
}

fn named(person: String) -> Result<String, String> {
    if person.is_empty() { Err("`person` is empty".to_owned()) } else { Ok(person) }
}

fn known_person(known: &BTreeSet<String>, person: String) -> Result<String, String> {
    if known.contains(&person) {
        return Ok(person);
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(format!("nobody is called \"{person}\" in the tracks; there are {}", known.join(", ")))
}

fn sized_box(x: f32, y: f32, w: f32, h: f32) -> Result<BBox<ImagePx>, String> {
    if ![x, y, w, h].iter().all(|value| value.is_finite()) || w <= 0.0 || h <= 0.0 {
        return Err(format!("a box of {w} by {h} pixels at {x}, {y} is none"));
    }
    Ok(BBox::new(x, y, x + w, y + h))
}

/// Hands every row and its line to `take`. With `mot`, a file that begins with a number is MOTChallenge's.
fn each_row<Row: DeserializeOwned>(
    path: &Path,
    mot: bool,
    take: &mut dyn FnMut(Row, u64) -> Result<(), String>,
) -> Result<(), TruthError> {
    let text = std::fs::read_to_string(path).map_err(|source| TruthError::Io { path: path.to_owned(), source })?;
    let at = |line: u64, reason: String| TruthError::Line { path: path.to_owned(), line, reason };
    let is_mot = mot && text.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let mut reader: Reader<&[u8]> =
        ReaderBuilder::new().has_headers(!is_mot).trim(Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let columns = if is_mot {
        StringRecord::from(vec!["frame", "person", "x", "y", "w", "h", "conf"])
    } else {
        reader.headers().map_err(|error| at(1, error.to_string()))?.clone()
    };
    let mut record = StringRecord::new();
    let mut rows = 0;
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => return Err(at(line, error.to_string())),
        }
        let line = record.position().map_or(line, csv::Position::line);
        record.truncate(columns.len());
        let row = record.deserialize(Some(&columns)).map_err(|error| {
            // A column too many or too few stands in the line that names the columns.
            let named_in = columns.position().filter(|_| !is_mot && is_of_columns(&error)).map(csv::Position::line);
            at(named_in.unwrap_or(line), plainly(&error))
        })?;
        take(row, line).map_err(|reason| at(line, reason))?;
        rows += 1;
    }
    if rows == 0 { Err(at(1, "the file holds no rows".to_owned())) } else { Ok(()) }
}

/// Whether the error is of the columns' names rather than of a value below one.
fn is_of_columns(error: &csv::Error) -> bool {
    matches!(error.kind(), csv::ErrorKind::Deserialize { err, .. } if err.field().is_none())
}

/// What is wrong with a row, without the position that the error repeats.
fn plainly(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => match err.field() {
            Some(field) => format!("column {}: {}", field + 1, err.kind()),
            None => err.kind().to_string(),
        },
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn refusal(files: &[(&str, &str)]) -> String {
        Truth::read(folder(files).path()).unwrap_err().to_string()
    }

    const TRACKS: &str =
        "frame, person, x, y, w, h, conf\n1, anna, 10, 20, 30, 40, 1\n1,bert,100,20,30,40,0\n3,anna,12,20,30,40,1\n";

    #[test]
    fn boxes_are_found_by_frame_and_by_stamp() {
        let truth = Truth::read(folder(&[("tracks.csv", TRACKS)]).path()).unwrap();
        let rows = truth.boxes_in("head", 1, 5);
        assert_eq!(rows.iter().map(|row| truth.true_box(*row).person.as_str()).collect::<Vec<_>>(), ["anna", "bert"]);
        assert_eq!(truth.true_box(rows[0]).bbox, BBox::new(10.0, 20.0, 40.0, 60.0));
        assert!(truth.true_box(rows[0]).counts && !truth.true_box(rows[1]).counts);
        assert!(truth.boxes_in("head", 2, 5).is_empty());
        assert_eq!(truth.people().into_iter().collect::<Vec<_>>(), ["anna", "bert"]);

        let stamps = "stamp,person,x,y,w,h,camera\n1700000000000000000,anna,1,2,3,4,head\n";
        let truth = Truth::read(folder(&[("tracks.csv", stamps)]).path()).unwrap();
        assert_eq!(truth.boxes_in("head", 9, 1_700_000_000_000_400_000).len(), 1);
        assert!(truth.boxes_in("head", 9, 1_700_000_000_002_000_000).is_empty());
        assert!(truth.boxes_in("hand", 9, 1_700_000_000_000_000_000).is_empty());
    }

    #[test]
    fn motchallenge_files_are_read_as_they_are() {
        let truth =
            Truth::read(folder(&[("gt.txt", "1,7,10,20,30,40,1,-1,-1,-1\n2,7,11,20,30,40,0,-1,-1,-1\n")]).path());
        let truth = truth.unwrap();
        assert_eq!(truth.box_count(), 2);
        assert_eq!(truth.true_box(0).person, "7");
        assert!(!truth.true_box(1).counts);
    }

    #[test]
    fn intervals_are_seconds_or_stamps() {
        let files = [
            ("alone.csv", "from,to,person\n0,2.5,anna\n2.5,4,bert\n"),
            ("emotion.csv", "from,to,person,label\n0.5,1.5,anna,happiness\n"),
            ("ignore.csv", "from,to,x,y,w,h\n0,10,0,0,50,50\n"),
            ("groups.csv", "person,group\nanna,a\n"),
        ];
        let truth = Truth::read(folder(&files).path()).unwrap();
        let (start, second) = (1_700_000_000_000_000_000, 1_000_000_000);
        assert_eq!(truth.alone("head", start + 2 * second, start), Some("anna"));
        assert_eq!(truth.alone("head", start + 3 * second, start), Some("bert"));
        assert_eq!(truth.alone("head", start + 5 * second, start), None);
        assert_eq!(truth.expression("anna", start + second, start), Some((0, Emotion::Happiness)));
        assert!((truth.secs_into_expression(0, start + second, start) - 0.5).abs() < 1e-9);
        assert!(truth.ignores("head", start, start, &BBox::new(40.0, 40.0, 58.0, 58.0)));
        assert!(!truth.ignores("head", start, start, &BBox::new(45.0, 45.0, 65.0, 65.0)));
        assert_eq!((truth.group("anna"), truth.group("bert")), (Some("a"), None));
    }

    #[test]
    fn what_cannot_be_is_refused_with_file_and_line() {
        for (files, wanted) in [
            (vec![], "holds no truth"),
            (vec![("tracks.csv", "frame,person,x,y,w,h\n")], "no rows"),
            (vec![("tracks.csv", "frame,person,x,y,w\n1,a,1,1,1\n")], "line 1: missing field `h`"),
            (vec![("tracks.csv", "frame,person,x,y,w,h,speed\n1,a,1,1,1,1,1\n")], "line 1: unknown field `speed`"),
            (vec![("tracks.csv", "frame,person,x,y,w,h\n1,a,1,1,1,1\n1,a,2,2,2,2\n")], "line 3: a is in this frame"),
            (vec![("tracks.csv", "frame,person,x,y,w,h\n1,a,one,1,1,1\n")], "line 2: column 3"),
            (vec![("tracks.csv", "frame,person,x,y,w,h\n1,a,1,1,0,1\n")], "line 2: a box of 0 by 1"),
            (vec![("tracks.csv", "frame,stamp,person,x,y,w,h\n1,1,a,1,1,1,1\n")], "not both"),
            (vec![("alone.csv", "from,to,person\n0,2,a\n1,3,b\n")], "alone.csv line 3: overlaps line 2, where a"),
            (vec![("alone.csv", "from,to,person\n2,1,a\n")], "before"),
            (vec![("tracks.csv", TRACKS), ("emotion.csv", "from,to,person,label\n0,1,carl,fear\n")], "carl"),
            (
                vec![("tracks.csv", TRACKS), ("emotion.csv", "from,to,person,label\n0,1,anna,joy\n")],
                "\"joy\" is none of",
            ),
            (vec![("tracks.csv", TRACKS), ("groups.csv", "person,group\nanna,a\nanna,b\n")], "line 3"),
        ] {
            let refusal = refusal(&files);
            assert!(refusal.contains(wanted), "{refusal}, not {wanted}");
        }
    }
}
