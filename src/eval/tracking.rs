//! How well faces were followed: the measures of multi-object tracking, from boxes with ids.
//!
//! * IDF1: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera
//!   Tracking" (2016). Does a person keep one id over the whole of a recording?
//! * MOTA and identity switches: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking
//!   Performance: The CLEAR MOT Metrics" (2008).
//! * HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking" (2021).

use crate::geometry::{BBox, ImagePx};
use crate::track::Costs;
use serde::Serialize;
use std::collections::BTreeMap;

/// Least overlap of a found box with the true one for IDF1 and MOTA: annotators and detectors differ
/// in whether forehead and ears belong to a face.
pub const MIN_IOU: f32 = 0.3;
/// Least overlaps over which HOTA is averaged: 0.05, 0.10, … 0.95.
const ALPHAS: u8 = 19;

/// A face that is there.
#[derive(Clone, Copy, Debug)]
pub struct TrueFace<'a> {
    /// Who; the same throughout.
    pub id: &'a str,
    /// Where.
    pub bbox: BBox<ImagePx>,
    /// False for one that need not be found (half hidden, say); finding it is no mistake either.
    pub counts: bool,
}

/// A face that was found.
#[derive(Clone, Copy, Debug)]
pub struct FoundFace<'a> {
    /// The id it was given.
    pub id: &'a str,
    /// Where.
    pub bbox: BBox<ImagePx>,
}

/// The measures of one recording, or of several taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TrackingScore {
    /// Share of the faces, true and found, that the best one-to-one naming of ids explains.
    pub idf1: f64,
    /// One minus missed, false and switched faces, by true faces; may be negative.
    pub mota: f64,
    /// Geometric mean of detection and association, over all overlaps.
    pub hota: f64,
    /// Its detection part.
    pub det_a: f64,
    /// Its association part.
    pub ass_a: f64,
    /// Times that a true face was found under another id than the last time.
    pub id_switches: u64,
    /// Times that a true face was found again after frames in which it was not.
    pub fragments: u64,
    /// True faces, summed over frames.
    pub true_faces: u64,
    /// Found faces, summed over frames.
    pub found_faces: u64,
    /// True faces not found.
    pub missed: u64,
    /// Found faces that are none.
    pub false_faces: u64,
}

/// Collects frames, then measures.
#[derive(Clone, Debug, Default)]
pub struct TrackingEval {
    frames: Vec<FramePairs>,
    truth: Ids,
    found: Ids,
}

/// Numbers for ids, in the order they appear.
#[derive(Clone, Debug, Default)]
struct Ids(BTreeMap<String, usize>);

/// The faces of one frame and the overlap of each true one with each found one.
#[derive(Clone, Debug)]
struct FramePairs {
    truth: Vec<usize>,
    found: Vec<usize>,
    /// `truth.len()` rows of `found.len()` overlaps.
    overlaps: Vec<f32>,
}

impl TrackingEval {
    /// Takes one frame; frames come in the order of their stamps. An id belongs to one `recording`:
    /// the same id in another recording is another's.
    pub fn add(&mut self, recording: &str, truth: &[TrueFace<'_>], found: &[FoundFace<'_>]) {
        let is_excused = excused(truth, found);
        let truth: Vec<_> = truth.iter().filter(|face| face.counts).collect();
        let found: Vec<_> =
            found.iter().zip(is_excused).filter(|(_, excused)| !excused).map(|(face, _)| face).collect();
        self.frames.push(FramePairs {
            overlaps: truth.iter().flat_map(|t| found.iter().map(|f| t.bbox.iou(&f.bbox))).collect(),
            truth: truth.iter().map(|face| self.truth.number(recording, face.id)).collect(),
            found: found.iter().map(|face| self.found.number(recording, face.id)).collect(),
        });
    }

    /// The measures of all frames taken.
    pub fn finish(&self) -> TrackingScore {
        let clear = self.clear();
        let (hota, det_a, ass_a) = self.hota();
        let true_faces = self.frames.iter().map(|frame| frame.truth.len() as u64).sum();
        let found_faces = self.frames.iter().map(|frame| frame.found.len() as u64).sum();
        let (missed, false_faces) = (true_faces - clear.matched, found_faces - clear.matched);
        TrackingScore {
            idf1: ratio(2.0 * self.identified() as f64, (true_faces + found_faces) as f64),
            mota: 1.0 - ratio((missed + false_faces + clear.switches) as f64, true_faces as f64),
            hota,
            det_a,
            ass_a,
            id_switches: clear.switches,
            fragments: clear.fragments,
            true_faces,
            found_faces,
            missed,
            false_faces,
        }
    }

    /// True faces that are found under the one id that their owner is given (IDTP).
    fn identified(&self) -> u64 {
        let mut together = Table::new(self.truth.len(), self.found.len());
        for frame in &self.frames {
            for (t, f, overlap) in frame.pairs() {
                if overlap >= MIN_IOU {
                    *together.at(frame.truth[t], frame.found[f]) += 1.0;
                }
            }
        }
        let pairs = together.best_pairs();
        pairs.iter().map(|&(t, f)| *together.at(t, f) as u64).sum()
    }

    /// Frame by frame, a true face stays with the id it had as long as that overlaps.
    fn clear(&self) -> Clear {
        let mut clear = Clear::default();
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        let mut previous: BTreeMap<usize, usize> = BTreeMap::new();
        // As in TrackEval, a frame in which nobody is, or nobody was found, breaks nothing off.
        for frame in self.frames.iter().filter(|frame| !frame.truth.is_empty() && !frame.found.is_empty()) {
            let mut scores = Table::new(frame.truth.len(), frame.found.len());
            for (t, f, overlap) in frame.pairs().filter(|(_, _, overlap)| *overlap >= MIN_IOU) {
                let continues = previous.get(&frame.truth[t]) == Some(&frame.found[f]);
                *scores.at(t, f) = f64::from(overlap) + if continues { 1000.0 } else { 0.0 };
            }
            let before = std::mem::take(&mut previous);
            for (t, f) in scores.best_pairs() {
                let (truth, found) = (frame.truth[t], frame.found[f]);
                previous.insert(truth, found);
                clear.matched += 1;
                clear.fragments += u64::from(last.contains_key(&truth) && !before.contains_key(&truth));
                clear.switches += u64::from(last.insert(truth, found).is_some_and(|before| before != found));
            }
        }
        clear
    }

    /// HOTA and its two parts.
    fn hota(&self) -> (f64, f64, f64) {
        let (mut true_counts, mut found_counts) = (vec![0.0; self.truth.len()], vec![0.0; self.found.len()]);
        let mut shared = Table::new(self.truth.len(), self.found.len());
        for frame in &self.frames {
            frame.truth.iter().for_each(|&t| true_counts[t] += 1.0);
            frame.found.iter().for_each(|&f| found_counts[f] += 1.0);
            for (t, f, overlap) in frame.pairs().filter(|(_, _, overlap)| *overlap > 0.0) {
                *shared.at(frame.truth[t], frame.found[f]) += frame.share(t, f, overlap);
            }
        }
        let alignment = shared.map(|t, f, shared| ratio(shared, true_counts[t] + found_counts[f] - shared));
        let mut matched: Vec<Table> = (0..ALPHAS).map(|_| Table::new(self.truth.len(), self.found.len())).collect();
        for frame in &self.frames {
            let mut scores = Table::new(frame.truth.len(), frame.found.len());
            for (t, f, overlap) in frame.pairs() {
                *scores.at(t, f) = alignment.get(frame.truth[t], frame.found[f]) * f64::from(overlap);
            }
            for (t, f) in scores.best_pairs() {
                for (alpha, matched) in alphas().zip(&mut matched) {
                    if frame.overlap(t, f) >= alpha - f32::EPSILON {
                        *matched.at(frame.truth[t], frame.found[f]) += 1.0;
                    }
                }
            }
        }
        let (all_true, all_found) = (true_counts.iter().sum::<f64>(), found_counts.iter().sum::<f64>());
        let mut sums = (0.0, 0.0, 0.0);
        for matched in &matched {
            let hits: f64 = matched.values.iter().sum();
            let det_a = ratio(hits, all_true + all_found - hits);
            let associated = matched.map(|t, f, n| n * ratio(n, true_counts[t] + found_counts[f] - n));
            let ass_a = ratio(associated.values.iter().sum(), hits);
            sums = (sums.0 + (det_a * ass_a).sqrt(), sums.1 + det_a, sums.2 + ass_a);
        }
        let count = f64::from(ALPHAS);
        (sums.0 / count, sums.1 / count, sums.2 / count)
    }
}

#[derive(Default)]
struct Clear {
    matched: u64,
    switches: u64,
    fragments: u64,
}

/// The one-to-one pairs of true and found boxes with the largest overlap in all.
pub(super) fn overlapping(truth: &[BBox<ImagePx>], found: &[BBox<ImagePx>]) -> Vec<(usize, usize)> {
    let mut overlaps = Table::new(truth.len(), found.len());
    for (t, true_box) in truth.iter().enumerate() {
        for (f, found_box) in found.iter().enumerate() {
            let overlap = true_box.iou(found_box);
            *overlaps.at(t, f) = if overlap >= MIN_IOU { f64::from(overlap) } else { 0.0 };
        }
    }
    overlaps.best_pairs()
}

fn alphas() -> impl Iterator<Item = f32> {
    (1..=ALPHAS).map(|step| f32::from(step) * 0.05)
}

/// Which found faces belong to a true one that does not count, and to no one that does.
fn excused(truth: &[TrueFace<'_>], found: &[FoundFace<'_>]) -> Vec<bool> {
    let pairs_with = |counts: bool, is_free: &dyn Fn(usize) -> bool| {
        let mut overlaps = Table::new(truth.len(), found.len());
        for (t, true_face) in truth.iter().enumerate().filter(|(_, face)| face.counts == counts) {
            for (f, face) in found.iter().enumerate().filter(|(f, _)| is_free(*f)) {
                let overlap = true_face.bbox.iou(&face.bbox);
                *overlaps.at(t, f) = if overlap >= MIN_IOU { f64::from(overlap) } else { 0.0 };
            }
        }
        overlaps.best_pairs()
    };
    let counted: Vec<usize> = pairs_with(true, &|_| true).into_iter().map(|(_, f)| f).collect();
    let mut is_excused = vec![false; found.len()];
    for (_, f) in pairs_with(false, &|f| !counted.contains(&f)) {
        is_excused[f] = true;
    }
    is_excused
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl Ids {
    fn number(&mut self, recording: &str, id: &str) -> usize {
        let next = self.0.len();
        *self.0.entry(format!("{recording}\n{id}")).or_insert(next)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl FramePairs {
    fn overlap(&self, t: usize, f: usize) -> f32 {
        self.overlaps[t * self.found.len() + f]
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize, f32)> {
        let columns = self.found.len().max(1);
        self.overlaps.iter().enumerate().map(move |(at, overlap)| (at / columns, at % columns, *overlap))
    }

    /// The overlap as a share of all overlaps that the two faces have in this frame.
    fn share(&self, t: usize, f: usize, overlap: f32) -> f64 {
        let row: f32 = (0..self.found.len()).map(|other| self.overlap(t, other)).sum();
        let column: f32 = (0..self.truth.len()).map(|other| self.overlap(other, f)).sum();
        ratio(overlap.into(), (row + column - overlap).into())
    }
}

/// A matrix of numbers, none negative.
#[derive(Clone, Debug)]
struct Table {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Table {
    fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    fn at(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.values[row * self.columns + column]
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    fn cells(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let columns = self.columns.max(1);
        self.values.iter().enumerate().map(move |(at, value)| (at / columns, at % columns, *value))
    }

    fn map(&self, f: impl Fn(usize, usize, f64) -> f64) -> Self {
        Self { values: self.cells().map(|(row, column, value)| f(row, column, value)).collect(), ..*self }
    }

    /// The one-to-one pairs with the largest sum; pairs worth nothing are left out.
    fn best_pairs(&self) -> Vec<(usize, usize)> {
        let most = self.values.iter().copied().fold(0.0, f64::max);
        let mut costs = Costs::forbidden(self.rows, self.columns);
        for (row, column, value) in self.cells().filter(|(_, _, value)| *value > 0.0) {
            costs.allow(row, column, most - value);
        }
        let columns = costs.cheapest(most).into_iter().enumerate();
        columns.filter_map(|(row, column)| Some((row, column?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32) -> BBox<ImagePx> {
        BBox::from_centre(x, 50.0, 40.0, 40.0)
    }

    /// Faces as (id, x).
    type Faces = [(&'static str, f32)];

    /// Frames of true and found faces; a true id that starts with `(` need not be found.
    fn score(frames: &[(&Faces, &Faces)]) -> TrackingScore {
        let mut eval = TrackingEval::default();
        for (truth, found) in frames {
            let truth: Vec<_> =
                truth.iter().map(|(id, x)| TrueFace { id, bbox: at(*x), counts: !id.starts_with('(') }).collect();
            let found: Vec<_> = found.iter().map(|(id, x)| FoundFace { id, bbox: at(*x) }).collect();
            eval.add("", &truth, &found);
        }
        eval.finish()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn perfect_tracking_scores_one_everywhere() {
        let frame: (&Faces, &Faces) = (&[("anna", 0.0), ("bert", 100.0)], &[("q", 0.0), ("w", 100.0)]);
        let score = score(&[frame; 5]);
        assert!(
            [score.idf1, score.mota, score.hota, score.det_a, score.ass_a].iter().all(|v| close(*v, 1.0)),
            "{score:?}"
        );
        assert_eq!((score.id_switches, score.missed, score.false_faces, score.true_faces), (0, 0, 0, 10));
    }

    #[test]
    fn an_id_that_breaks_in_the_middle_costs_half_of_idf1_and_one_switch() {
        let with = |id: &'static str| -> [(&'static str, f32); 1] { [(id, 0.0)] };
        let (truth, first, second) = (with("anna"), with("q"), with("w"));
        let frames: Vec<(&Faces, &Faces)> =
            (0..10).map(|i| (&truth[..], if i < 5 { &first[..] } else { &second[..] })).collect();
        let score = score(&frames);
        assert!(close(score.idf1, 0.5) && close(score.mota, 0.9), "{score:?}");
        // Each half explains 5 of the 10 true faces and all 5 found ones: AssA = 5 / 10, DetA = 1.
        assert!(close(score.ass_a, 0.5) && close(score.det_a, 1.0) && close(score.hota, 0.5_f64.sqrt()));
        assert_eq!(score.id_switches, 1);
    }

    #[test]
    fn two_faces_that_exchange_their_ids_make_two_switches() {
        let truth: &Faces = &[("anna", 0.0), ("bert", 100.0)];
        let before: (&Faces, &Faces) = (truth, &[("q", 0.0), ("w", 100.0)]);
        let after: (&Faces, &Faces) = (truth, &[("w", 0.0), ("q", 100.0)]);
        let score = score(&[before, before, before, after]);
        assert_eq!(score.id_switches, 2);
        assert!(close(score.idf1, 0.75) && close(score.mota, 0.75), "{score:?}");
    }

    #[test]
    fn missed_and_false_faces_are_counted_and_excused_ones_are_not() {
        let missed: (&Faces, &Faces) = (&[("anna", 0.0), ("bert", 100.0)], &[("q", 0.0)]);
        let false_face: (&Faces, &Faces) = (&[("anna", 0.0)], &[("q", 0.0), ("w", 300.0)]);
        let hidden: (&Faces, &Faces) = (&[("anna", 0.0), ("(bert", 100.0)], &[("q", 0.0), ("w", 100.0)]);
        let hidden_missed: (&Faces, &Faces) = (&[("anna", 0.0), ("(bert", 100.0)], &[("q", 0.0)]);
        let score = score(&[missed, false_face, hidden, hidden_missed]);
        assert_eq!((score.true_faces, score.found_faces, score.missed, score.false_faces), (5, 5, 1, 1));
        assert!(close(score.mota, 1.0 - 2.0 / 5.0) && close(score.idf1, 0.8), "{score:?}");
    }

    #[test]
    fn a_face_in_front_of_a_hidden_one_is_the_one_that_was_found() {
        let score = score(&[(&[("(anna", 0.0), ("bert", 5.0)], &[("q", 1.0)])]);
        assert_eq!((score.missed, score.false_faces), (0, 0));
    }

    #[test]
    fn the_same_id_in_two_recordings_is_two_ids() {
        let mut eval = TrackingEval::default();
        for recording in ["one", "two"] {
            let truth = [TrueFace { id: "anna", bbox: at(0.0), counts: true }];
            eval.add(recording, &truth, &[FoundFace { id: recording, bbox: at(0.0) }]);
        }
        let score = eval.finish();
        assert!(close(score.idf1, 1.0));
        assert_eq!(score.id_switches, 0);
    }

    #[test]
    fn nothing_at_all_is_no_division_by_zero() {
        let score = score(&[(&[], &[])]);
        assert!(close(score.idf1, 0.0) && close(score.mota, 1.0));
    }
}
