//! Looks for what is left of somebody in the bytes of the files: the proof of having forgotten.

use super::error::{Failed, StoreError};
use super::schema::{MIGRATIONS, parts};
use crate::gallery::record::{PersonRecord, Reference};
use aho_corasick::AhoCorasick;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers of a vector that are searched for together: no other vector has the same four.
const NUMBERS: usize = 4;
/// Shorter texts turn up by chance.
const LEAST_TEXT: usize = 4;

/// What must not be found any more.
#[derive(Default)]
pub(in crate::gallery) struct Traces {
    needles: Vec<Vec<u8>>,
}

impl Traces {
    /// Of one person: ids, every part of every vector, and the texts that nobody else (`others`) has
    /// in theirs.
    pub(in crate::gallery) fn of(record: &PersonRecord, references: &[Reference], others: &[&str]) -> Self {
        let mut needles: Vec<Vec<u8>> = std::iter::once(&record.person_id)
            .chain(&record.aliases)
            .map(|id| id.as_str().as_bytes().to_vec())
            .collect();
        for reference in references {
            // Where most numbers are 0, others have the same.
            let tells = |part: &&[f32; NUMBERS]| part.iter().filter(|value| **value != 0.0).count() >= NUMBERS - 1;
            let parts = reference.look.unit().as_chunks::<NUMBERS>().0.iter().filter(tells);
            needles.extend(parts.map(|part| part.iter().flat_map(|value| value.to_le_bytes()).collect()));
        }
        let is_nobody_elses = |text: &str| ![others, &MIGRATIONS[..]].concat().iter().any(|other| other.contains(text));
        let texts = record.name.iter().chain(references.iter().map(|reference| &reference.source));
        let is_own = |text: &&String| text.len() >= LEAST_TEXT && is_nobody_elses(text);
        needles.extend(texts.filter(is_own).map(|text| text.as_bytes().to_vec()));
        needles.sort_unstable();
        needles.dedup();
        Self { needles }
    }
}

impl FromIterator<Self> for Traces {
    fn from_iter<T: IntoIterator<Item = Self>>(traces: T) -> Self {
        Self { needles: traces.into_iter().flat_map(|traces| traces.needles).collect() }
    }
}

/// The files of the gallery that hold any of the traces. The log's index holds numbers of pages alone.
pub(super) fn find(path: &Path, traces: &Traces) -> Result<Vec<PathBuf>, StoreError> {
    if traces.needles.is_empty() {
        return Ok(Vec::new());
    }
    let searcher = AhoCorasick::new(&traces.needles).map_err(|error| StoreError::Other {
        action: "search",
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mut found = Vec::new();
    let mut search = |part: &Path, bytes: &mut dyn Read| {
        let first = searcher.stream_find_iter(BufReader::with_capacity(1 << 20, bytes)).next().transpose();
        if first.failed("search", part)?.is_some() {
            found.push(part.to_owned());
        }
        Ok(())
    };
    let [file, log, ..] = parts(path);
    search(&file, &mut kept_open(&file).failed("search", path)?.as_ref())?;
    match File::open(&log) {
        Ok(mut bytes) => search(&log, &mut bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::from_io("search", &log, &error)),
    }
    Ok(found)
}

/// The file, open until the process ends and rewound: with POSIX locks, closing any descriptor of a
/// file drops all locks that the process holds on it, SQLite's among them.
fn kept_open(path: &Path) -> std::io::Result<Arc<File>> {
    static KEPT: Mutex<BTreeMap<(u64, u64), Arc<File>>> = Mutex::new(BTreeMap::new());
    let metadata = std::fs::metadata(path)?;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match kept.entry((metadata.dev(), metadata.ino())) {
        Entry::Occupied(known) => known.get().clone(),
        Entry::Vacant(new) => new.insert(Arc::new(File::open(path)?)).clone(),
    };
    file.as_ref().rewind()?;
    Ok(file)
}
