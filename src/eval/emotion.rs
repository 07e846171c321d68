//! How well expressions are read from single pictures, and whether the confidence means something.

mod drawing;

use super::statistics::{Estimate, Share, bootstrap};
use crate::emotion::{Emotion, EmotionScores};
use serde::Serialize;

pub use drawing::{confusion_svg, confusion_text};

/// Votes per picture of FER+: the eight expressions in message order, *unknown*, *not a face*.
pub const VOTE_COLUMNS: usize = 10;
/// Bins of equal count for the calibration error.
const CALIBRATION_BINS: usize = 15;
/// Shares of the pictures, the most confident first, for which the accuracy is stated.
const COVERAGES: [f64; 4] = [1.0, 0.9, 0.8, 0.7];
const SEED: u64 = 1;

/// FER2013's own order of labels.
const FER2013: [Emotion; 7] = [
    Emotion::Anger,
    Emotion::Disgust,
    Emotion::Fear,
    Emotion::Happiness,
    Emotion::Sadness,
    Emotion::Surprise,
    Emotion::Neutral,
];

/// Which pictures count, and what is true of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LabelSet {
    /// Eight classes by FER+'s majority rule: single votes do not count, and the winner has more than
    /// half of those that do; pictures without such a winner, unknown or no face are left out.
    #[value(name = "ferplus")]
    #[serde(rename = "ferplus")]
    FerPlus,
    /// Eight classes by the largest vote, the earlier one on a tie; unknown and no face are left out.
    #[value(name = "ferplus-argmax")]
    #[serde(rename = "ferplus-argmax")]
    FerPlusArgmax,
    /// FER2013's seven classes.
    Fer2013,
    /// Pictures of anger, happiness, sadness, surprise and neutral only.
    #[value(name = "fer2013-5")]
    #[serde(rename = "fer2013-5")]
    Fer2013Five,
}

impl LabelSet {
    /// The classes, in message order; probabilities of others are left out and the rest renormalised.
    pub fn classes(self) -> Vec<Emotion> {
        let keeps = |label: &Emotion| match self {
            Self::FerPlus | Self::FerPlusArgmax => true,
            Self::Fer2013 => *label != Emotion::Contempt,
            Self::Fer2013Five => !matches!(label, Emotion::Contempt | Emotion::Disgust | Emotion::Fear),
        };
        Emotion::ALL.into_iter().filter(keeps).collect()
    }

    /// Whether it speaks of FER2013's labels.
    pub const fn is_fer2013(self) -> bool {
        matches!(self, Self::Fer2013 | Self::Fer2013Five)
    }

    /// What is true of a picture with these votes and this FER2013 label (255: not known), if it counts.
    pub fn truth(self, votes: &[u8; VOTE_COLUMNS], fer2013: u8) -> Option<Emotion> {
        let label = match self {
            Self::FerPlus => majority(votes),
            Self::FerPlusArgmax => largest(votes),
            Self::Fer2013 | Self::Fer2013Five => FER2013.get(usize::from(fer2013)).copied(),
        };
        label.filter(|label| self.classes().contains(label))
    }
}

fn majority(votes: &[u8; VOTE_COLUMNS]) -> Option<Emotion> {
    let kept = votes.map(|count| if count > 1 { u32::from(count) } else { 0 });
    let total: u32 = kept.iter().sum();
    let winner = kept.iter().position(|count| 2 * count > total)?;
    Emotion::ALL.get(winner).copied()
}

fn largest(votes: &[u8; VOTE_COLUMNS]) -> Option<Emotion> {
    let most = *votes.iter().max().filter(|most| **most > 0)?;
    let winner = votes.iter().position(|count| *count == most)?;
    Emotion::ALL.get(winner).copied()
}

/// One picture: what it shows and what was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// True label.
    pub truth: Emotion,
    /// Calibrated probabilities.
    pub scores: EmotionScores,
}

/// Everything measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EmotionEval {
    /// Which pictures counted.
    pub label_set: LabelSet,
    /// The classes; rows and columns of `confusion`.
    pub labels: Vec<&'static str>,
    /// Pictures.
    pub n: u64,
    /// Share read right (weighted average recall).
    pub accuracy: f64,
    /// Mean recall of the classes that occur (unweighted average recall).
    pub uar: f64,
    /// Mean F1 of the classes that occur.
    pub macro_f1: f64,
    /// Expected calibration error: 15 bins of equal count.
    pub ece: f64,
    /// Mean negative log likelihood of the truth, nats.
    pub nll: f64,
    /// Mean squared distance of the probabilities from the truth.
    pub brier: f64,
    /// Pictures by truth (row) and reading (column).
    pub confusion: Vec<Vec<u64>>,
    /// 95 % intervals: Wilson's for the accuracy, a bootstrap over pictures for the others.
    pub intervals: Intervals,
    /// Class by class.
    pub per_class: Vec<ClassResult>,
    /// Accuracy over the most confident share of the pictures.
    pub risk_coverage: Vec<Coverage>,
    /// Area under the curve of risk (share read wrong) over coverage.
    pub aurc: f64,
    /// Mean confidence and accuracy of each bin.
    pub calibration: Vec<CalibrationBin>,
    /// What needs no network.
    pub baselines: Baselines,
}

/// Intervals of the headline figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "named as the figures")]
pub struct Intervals {
    pub accuracy: Share,
    pub uar: Estimate,
    pub macro_f1: Estimate,
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassResult {
    /// Name.
    pub label: &'static str,
    /// Share of its pictures that were read right.
    pub recall: Share,
    /// Share of the readings of this class that were right.
    pub precision: Share,
    /// Harmonic mean of the two; `None` when it neither occurs nor is read.
    pub f1: Option<f64>,
}

/// A point of the risk–coverage curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// Share of the pictures that is answered.
    pub coverage: f64,
    /// Accuracy over those.
    pub accuracy: f64,
    /// Confidence of the least confident of them.
    pub threshold: f64,
}

/// Pictures of about equal confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct CalibrationBin {
    pub n: u64,
    pub confidence: f64,
    pub accuracy: f64,
}

/// What guessing without looking gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baselines {
    /// Always the most frequent class.
    pub majority: Baseline,
    /// Always neutral.
    pub always_neutral: Baseline,
}

/// A reader that always says the same, with the classes' frequencies for probabilities.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "named as the figures")]
pub struct Baseline {
    pub label: &'static str,
    pub accuracy: f64,
    pub uar: f64,
    pub macro_f1: f64,
    /// Entropy of the classes' frequencies: what they alone would give.
    pub nll: f64,
}

/// Measures readings; `None` when there are none. Every truth is one of the set's classes.
pub fn measure(label_set: LabelSet, readings: &[Reading]) -> Option<EmotionEval> {
    let classes = label_set.classes();
    let judged: Vec<Judged> = readings.iter().filter_map(|reading| Judged::of(reading, &classes)).collect();
    if judged.is_empty() {
        return None;
    }
    let all = Confusion::of(classes.len(), judged.iter());
    let n = judged.len() as u64;
    let over = |statistic: fn(&Confusion) -> f64| {
        bootstrap(judged.len(), SEED, |drawn| {
            statistic(&Confusion::of(classes.len(), drawn.iter().map(|index| &judged[*index])))
        })
    };
    let mean = |value: fn(&Judged) -> f64| judged.iter().map(value).sum::<f64>() / n as f64;
    let (risk_coverage, aurc) = risk_coverage(&judged);
    let calibration = calibration(&judged);
    let gap = |bin: &CalibrationBin| bin.n as f64 / n as f64 * (bin.accuracy - bin.confidence).abs();
    Some(EmotionEval {
        label_set,
        labels: classes.iter().map(|label| label.name()).collect(),
        n,
        accuracy: all.accuracy(),
        uar: all.uar(),
        macro_f1: all.macro_f1(),
        ece: calibration.iter().map(gap).sum(),
        nll: mean(|j| j.nll),
        brier: mean(|j| j.brier),
        intervals: Intervals {
            accuracy: Share::of(all.right(), n),
            uar: over(Confusion::uar),
            macro_f1: over(Confusion::macro_f1),
        },
        per_class: (0..classes.len()).map(|c| all.class_result(c, classes[c].name())).collect(),
        risk_coverage,
        aurc,
        calibration,
        baselines: Baselines {
            majority: all.baseline(all.most_frequent(), &classes),
            always_neutral: all.baseline(0, &classes),
        },
        confusion: all.0,
    })
}

/// One reading against the truth, as indices into the classes.
#[derive(Clone, Copy, Debug)]
struct Judged {
    truth: usize,
    read: usize,
    confidence: f64,
    nll: f64,
    brier: f64,
}

impl Judged {
    fn of(reading: &Reading, classes: &[Emotion]) -> Option<Self> {
        let truth = classes.iter().position(|label| *label == reading.truth)?;
        let weights: Vec<f64> = classes.iter().map(|label| f64::from(reading.scores.0[*label as usize])).collect();
        let sum: f64 = weights.iter().sum();
        // A reader that rules all of the classes out knows nothing of them.
        let even = 1.0 / classes.len() as f64;
        let p: Vec<f64> = weights.iter().map(|weight| if sum > 0.0 { weight / sum } else { even }).collect();
        let read = (0..p.len()).fold(0, |best, c| if p[c] > p[best] { c } else { best });
        let brier = p.iter().enumerate().map(|(c, p)| (p - f64::from(u8::from(c == truth))).powi(2)).sum();
        Some(Self { truth, read, confidence: p[read], nll: -p[truth].max(1e-12).ln(), brier })
    }

    const fn is_right(&self) -> bool {
        self.truth == self.read
    }
}

/// Counts by truth and reading.
struct Confusion(Vec<Vec<u64>>);

impl Confusion {
    fn of<'a>(classes: usize, judged: impl Iterator<Item = &'a Judged>) -> Self {
        let mut counts = vec![vec![0; classes]; classes];
        judged.for_each(|j| counts[j.truth][j.read] += 1);
        Self(counts)
    }

    fn right(&self) -> u64 {
        (0..self.0.len()).map(|c| self.0[c][c]).sum()
    }

    fn shown(&self, class: usize) -> u64 {
        self.0[class].iter().sum()
    }

    fn read(&self, class: usize) -> u64 {
        self.0.iter().map(|row| row[class]).sum()
    }

    fn total(&self) -> u64 {
        (0..self.0.len()).map(|c| self.shown(c)).sum()
    }

    fn accuracy(&self) -> f64 {
        self.right() as f64 / self.total().max(1) as f64
    }

    /// Mean over the classes that occur.
    fn mean_over_shown(&self, value: impl Fn(usize) -> f64) -> f64 {
        let shown: Vec<usize> = (0..self.0.len()).filter(|c| self.shown(*c) > 0).collect();
        shown.iter().map(|c| value(*c)).sum::<f64>() / shown.len().max(1) as f64
    }

    fn uar(&self) -> f64 {
        self.mean_over_shown(|c| self.0[c][c] as f64 / self.shown(c) as f64)
    }

    fn f1(&self, class: usize) -> Option<f64> {
        let both = self.shown(class) + self.read(class);
        (both > 0).then(|| 2.0 * self.0[class][class] as f64 / both as f64)
    }

    fn macro_f1(&self) -> f64 {
        self.mean_over_shown(|c| self.f1(c).unwrap_or(0.0))
    }

    fn most_frequent(&self) -> usize {
        (0..self.0.len()).fold(0, |best, c| if self.shown(c) > self.shown(best) { c } else { best })
    }

    fn class_result(&self, class: usize, label: &'static str) -> ClassResult {
        ClassResult {
            label,
            recall: Share::of(self.0[class][class], self.shown(class)),
            precision: Share::of(self.0[class][class], self.read(class)),
            f1: self.f1(class),
        }
    }

    fn baseline(&self, always: usize, classes: &[Emotion]) -> Baseline {
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        for (class, row) in counts.iter_mut().enumerate() {
            row[always] = self.shown(class);
        }
        let constant = Self(counts);
        let frequency = |c: usize| self.shown(c) as f64 / self.total().max(1) as f64;
        let surprise = (0..classes.len()).map(frequency).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
        let (accuracy, uar, macro_f1) = (constant.accuracy(), constant.uar(), constant.macro_f1());
        Baseline { label: classes[always].name(), accuracy, uar, macro_f1, nll: surprise }
    }
}

/// The curve's stated points, and the area under all of it.
fn risk_coverage(judged: &[Judged]) -> (Vec<Coverage>, f64) {
    let mut sorted: Vec<&Judged> = judged.iter().collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let (mut right, mut area, mut accuracy_of) = (0_u64, 0.0, Vec::with_capacity(sorted.len()));
    for (index, one) in sorted.iter().enumerate() {
        right += u64::from(one.is_right());
        let accuracy = right as f64 / (index + 1) as f64;
        area += (1.0 - accuracy) / sorted.len() as f64;
        accuracy_of.push(accuracy);
    }
    let point = |coverage: f64| {
        let last = ((coverage * sorted.len() as f64).round() as usize).clamp(1, sorted.len()) - 1;
        Coverage { coverage, accuracy: accuracy_of[last], threshold: sorted[last].confidence }
    };
    (COVERAGES.map(point).to_vec(), area)
}

fn calibration(judged: &[Judged]) -> Vec<CalibrationBin> {
    let mut sorted: Vec<&Judged> = judged.iter().collect();
    sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let edge = |bin: usize| bin * sorted.len() / CALIBRATION_BINS;
    let bins = (0..CALIBRATION_BINS).map(|bin| &sorted[edge(bin)..edge(bin + 1)]).filter(|bin| !bin.is_empty());
    bins.map(|bin| {
        let n = bin.len() as f64;
        CalibrationBin {
            n: bin.len() as u64,
            confidence: bin.iter().map(|j| j.confidence).sum::<f64>() / n,
            accuracy: bin.iter().filter(|j| j.is_right()).count() as f64 / n,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests;
