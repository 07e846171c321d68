//! The references of everyone as one contiguous matrix, and the exact search through it.

use super::Candidate;
use crate::ids::PersonId;
use crate::time::Stamp;
use std::cmp::Ordering;
use std::sync::Arc;

/// Products summed side by side, so that the processor's vector units are used.
const LANES: usize = 16;

/// Unit vectors, one row per reference.
#[derive(Default)]
pub(super) struct Matrix {
    /// Length of a row; 0 until the first.
    dimensions: usize,
    values: Vec<f32>,
    rows: Vec<Row>,
}

/// What is known about a row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) person: PersonId,
    pub(super) quality: f32,
    pub(super) stamp: Stamp,
    pub(super) source: Arc<str>,
}

impl Matrix {
    /// Length of a row, known from the first reference on.
    pub(super) fn dimensions(&self) -> Option<usize> {
        (self.dimensions > 0).then_some(self.dimensions)
    }

    /// One more row, at the end. Its length must be that of the others.
    pub(super) fn push(&mut self, row: Row, unit: &[f32]) {
        self.dimensions = unit.len();
        self.values.extend_from_slice(unit);
        self.rows.push(row);
    }

    /// Removes a person's rows and says how many that were.
    pub(super) fn remove(&mut self, person: PersonId) -> usize {
        let (before, length) = (self.rows.len(), self.dimensions);
        let mut kept = 0;
        for row in 0..before {
            if self.rows[row].person == person {
                continue;
            }
            if kept < row {
                self.rows.swap(kept, row);
                self.values.copy_within(row * length..(row + 1) * length, kept * length);
            }
            kept += 1;
        }
        // Overwritten before it is given up, so that no vector stays behind in spare capacity.
        self.values[kept * length..].fill(0.0);
        self.values.truncate(kept * length);
        self.rows.truncate(kept);
        before - kept
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.values.fill(0.0);
        *self = Self::default();
    }

    /// Gives the rows of one person to another.
    pub(super) fn reassign(&mut self, from: PersonId, to: PersonId) {
        for row in self.rows.iter_mut().filter(|row| row.person == from) {
            row.person = to;
        }
    }

    /// Every row with its vector, in the order they came.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Row, &[f32])> {
        self.rows.iter().zip(self.values.chunks_exact(self.dimensions.max(1)))
    }

    /// The `limit` people with the most similar rows, best first, ties by id.
    pub(super) fn nearest(&self, probe: &[f32], limit: usize) -> Vec<Candidate> {
        let mut best: Vec<Candidate> = Vec::with_capacity(limit + 1);
        // Cosine below which a row changes nothing.
        let mut bar = if limit == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        for (row, vector) in self.values.chunks_exact(self.dimensions.max(1)).enumerate() {
            let cosine = dot(vector, probe);
            if cosine >= bar {
                let found = Candidate { person_id: self.rows[row].person, similarity: cosine.clamp(-1.0, 1.0) };
                insert(&mut best, found, limit);
                if best.len() == limit {
                    bar = best[limit - 1].similarity;
                }
            }
        }
        best
    }

    /// Bytes of the vectors and of what is known about them.
    pub(super) const fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f32>() + self.rows.capacity() * size_of::<Row>()
    }
}

/// Keeps `best` sorted, each person once with their best cosine, and at most `limit` long.
fn insert(best: &mut Vec<Candidate>, found: Candidate, limit: usize) {
    if let Some(known) = best.iter().position(|candidate| candidate.person_id == found.person_id) {
        if best[known].similarity >= found.similarity {
            return;
        }
        best.remove(known);
    }
    let at = best.partition_point(|candidate| more_similar(candidate, &found) == Ordering::Less);
    best.insert(at, found);
    best.truncate(limit);
}

fn more_similar(a: &Candidate, b: &Candidate) -> Ordering {
    b.similarity.total_cmp(&a.similarity).then(a.person_id.cmp(&b.person_id))
}

/// The inner product; of unit vectors, their cosine.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
