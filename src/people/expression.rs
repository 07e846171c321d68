//! The expression of one face over time: a forward filter in stamps, a label with hysteresis, and
//! silence while the face cannot be read.
//!
//! The belief is that of a hidden Markov model with one state per expression. Between two looks it
//! relaxes towards the model's prior `π` with the time constant `τ = emotion.smoothing_secs`,
//!
//! ```text
//! b ← ρ b + (1 − ρ) π        ρ = exp(−Δt / τ)
//! ```
//!
//! and a look with the calibrated probabilities `p` multiplies it by its likelihood,
//!
//! ```text
//! b ∝ b · (p / π^κ)^w        w = q · min(1, Δt / τ_look)
//! ```
//!
//! with the fitness `q` of the look. The exponent counts looks that follow closely as parts of one:
//! a net errs on the next picture of the same face as it did on the last, and so the belief does not
//! depend on the frame rate. `κ` below 1 leaves the common expressions a part of their head start.
//!
//! A label is taken when its belief has been at least `enter` and [`MARGIN`] above the next for
//! `enter_secs`, and kept until its belief falls under [`LEAVE`]. Without one the face is *uncertain*.
//!
//! Of a face that turns away, is too small or is not seen, the last reading is held for
//! [`HOLD_SECS`], then there is none, and the belief relaxes towards the prior.

use super::{EmotionReading, Urgency};
use crate::emotion::{Emotion, EmotionScores};
use crate::ids::PersonId;
use crate::time::Stamp;

const CLASSES: usize = 8;

/// Seconds for which a face that cannot be read keeps its last reading.
pub(super) const HOLD_SECS: f64 = 1.0;
/// Belief under which a label is dropped.
pub(super) const LEAVE: f64 = 0.35;
/// Least distance of a new label's belief to the next best.
pub(super) const MARGIN: f64 = 0.15;
/// Seconds within which two looks count as parts of one.
const LOOK_SECS: f64 = 0.5;
/// How much of the prior a look's probabilities are freed from, 0..=1.
const KAPPA: f64 = 0.3;
/// A net is never so sure that one look could rule an expression out.
const LEAST_PROBABILITY: f64 = 1e-3;
/// A look this much early, as a share of the time between looks, is on time.
const PUNCTUALITY: f64 = 0.1;

/// What it takes to be given a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    /// Least belief.
    pub(super) enter: f64,
    /// Seconds for which it must last.
    pub(super) enter_secs: f64,
}

impl Entry {
    /// The rule for this label: quick where nets are seldom wrong (happiness), slow where a mistake
    /// is both likely and rude (anger), strict for the rare ones.
    pub(super) const fn of(label: Emotion) -> Self {
        let (enter, enter_secs) = match label {
            Emotion::Neutral => (0.5, 0.3),
            Emotion::Happiness => (0.5, 0.15),
            Emotion::Surprise | Emotion::Sadness => (0.55, 0.4),
            Emotion::Anger => (0.75, 0.8),
            Emotion::Disgust | Emotion::Fear | Emotion::Contempt => (0.65, 0.6),
        };
        Self { enter, enter_secs }
    }
}

/// Settings of the filter, the same for all faces.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionFilter {
    smoothing_secs: f64,
    secs_between_looks: f64,
    prior: [f64; CLASSES],
}

impl ExpressionFilter {
    /// `prior`: how often the classifier expects each expression, in the order of [`Emotion::ALL`];
    /// 0 for one that it does not know.
    pub fn new(smoothing_secs: f64, rate_hz: f64, prior: EmotionScores) -> Self {
        let prior = normalised(prior.0.map(f64::from)).unwrap_or([1.0 / CLASSES as f64; CLASSES]);
        Self { smoothing_secs, secs_between_looks: 1.0 / rate_hz, prior }
    }

    fn relaxed(&self, belief: &[f64; CLASSES], secs: f64) -> [f64; CLASSES] {
        let stays = (-secs.max(0.0) / self.smoothing_secs.max(1e-3)).exp();
        std::array::from_fn(|c| stays * belief[c] + (1.0 - stays) * self.prior[c])
    }

    fn updated(&self, belief: &[f64; CLASSES], look: &EmotionScores, weight: f64) -> [f64; CLASSES] {
        let likelihood = |c: usize| {
            let p = f64::from(look.0[c]).max(LEAST_PROBABILITY);
            if self.prior[c] > 0.0 { (p / self.prior[c].powf(KAPPA)).powf(weight) } else { 0.0 }
        };
        normalised(std::array::from_fn(|c| belief[c] * likelihood(c))).unwrap_or(*belief)
    }
}

fn normalised(weights: [f64; CLASSES]) -> Option<[f64; CLASSES]> {
    let sum: f64 = weights.iter().sum();
    (sum.is_finite() && sum > 0.0).then(|| weights.map(|w| w / sum))
}

/// What one frame shows of a face's expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sight {
    /// Read: the distribution, and how fit the face was for it, more than 0 and at most 1.
    Read(EmotionScores, f32),
    /// Fit to be read, but not due in this frame.
    Fit,
    /// Too small, turned away, cut off, or not seen.
    Unfit,
}

/// The filter of one face.
#[derive(Clone, Debug, Default)]
pub(super) struct Expression {
    /// Empty until the first look.
    belief: Option<[f64; CLASSES]>,
    last_look: Option<Stamp>,
    /// Up to here the relaxation is part of the belief.
    relaxed_until: Stamp,
    /// The last time the face could be read, while it cannot.
    unfit_since: Option<Stamp>,
    last_fit: Option<Stamp>,
    label: Option<Emotion>,
    /// The label about to be taken, and since when.
    rising: Option<(Emotion, Stamp)>,
    announced: Option<Emotion>,
    raw: Option<EmotionScores>,
    is_silent: bool,
    person: Option<PersonId>,
}

impl Expression {
    /// How urgent a look is, if one is due.
    pub(super) fn urgency(&self, filter: &ExpressionFilter, stamp: Stamp) -> Option<Urgency> {
        let Some(last_look) = self.last_look else { return Some(Urgency::New) };
        let is_due = stamp.secs_since(last_look) >= (1.0 - PUNCTUALITY) * filter.secs_between_looks;
        is_due.then_some(Urgency::Due { last_look })
    }

    /// Starts anew when the face turns out to be somebody else's than before.
    pub(super) fn belongs_to(&mut self, person: Option<PersonId>) {
        let Some(person) = person else { return };
        if self.person.is_some_and(|before| before != person) {
            *self = Self::default();
        }
        self.person = Some(person);
    }

    /// Takes what one frame shows. Stamps do not go backwards.
    pub(super) fn update(&mut self, filter: &ExpressionFilter, stamp: Stamp, sight: Sight) {
        self.raw = None;
        match sight {
            Sight::Unfit => self.wait(filter, stamp),
            Sight::Fit => self.see(stamp),
            Sight::Read(scores, fitness) => {
                self.see(stamp);
                self.look(filter, stamp, &scores, fitness);
            }
        }
    }

    /// The face can be read again: the time it could not, as far as it was held, did not count.
    fn see(&mut self, stamp: Stamp) {
        if let Some(since) = self.unfit_since.take() {
            let held = stamp.secs_since(since).min(HOLD_SECS);
            self.relaxed_until = self.relaxed_until.max(since.plus_secs(held));
        }
        self.last_fit = Some(stamp);
    }

    fn wait(&mut self, filter: &ExpressionFilter, stamp: Stamp) {
        self.rising = None;
        let since = *self.unfit_since.get_or_insert(self.last_fit.unwrap_or(stamp));
        if stamp.secs_since(since) <= HOLD_SECS {
            return;
        }
        self.is_silent = true;
        let Some(belief) = &mut self.belief else { return };
        let from = self.relaxed_until.max(since.plus_secs(HOLD_SECS));
        *belief = filter.relaxed(belief, stamp.secs_since(from));
        self.relaxed_until = stamp;
        self.drop_label();
    }

    fn look(&mut self, filter: &ExpressionFilter, stamp: Stamp, scores: &EmotionScores, fitness: f32) {
        let share = self.last_look.map_or(1.0, |last| (stamp.secs_since(last) / LOOK_SECS).clamp(0.0, 1.0));
        let weight = share * f64::from(fitness.clamp(0.0, 1.0));
        let before = match &self.belief {
            Some(belief) => filter.relaxed(belief, stamp.secs_since(self.relaxed_until)),
            None => filter.prior,
        };
        self.belief = Some(filter.updated(&before, scores, weight));
        (self.last_look, self.relaxed_until, self.raw, self.is_silent) = (Some(stamp), stamp, Some(*scores), false);
        self.drop_label();
        self.take_label(stamp);
    }

    fn drop_label(&mut self) {
        let Some(belief) = &self.belief else { return };
        self.label = self.label.filter(|label| belief[*label as usize] >= LEAVE);
    }

    fn take_label(&mut self, stamp: Stamp) {
        let Some(best) = self.belief.as_ref().and_then(clear_winner) else {
            self.rising = None;
            return;
        };
        if self.label == Some(best) {
            self.rising = None;
            return;
        }
        let since = match self.rising {
            Some((label, since)) if label == best => since,
            _ => stamp,
        };
        self.rising = Some((best, since));
        if stamp.secs_since(since) >= Entry::of(best).enter_secs {
            (self.label, self.rising) = (Some(best), None);
        }
    }

    /// What is known at the last update; `None` before the first look and when the face could not be
    /// read for longer than [`HOLD_SECS`].
    pub(super) fn reading(&self) -> Option<EmotionReading> {
        let belief = self.belief.filter(|_| !self.is_silent)?;
        let probabilities = EmotionScores(belief.map(|b| b as f32));
        let label = self.label.unwrap_or(Emotion::Neutral);
        let (valence, arousal) = probabilities.valence_arousal();
        Some(EmotionReading {
            label,
            confidence: probabilities.0[label as usize],
            uncertain: self.label.is_none(),
            probabilities: probabilities.0,
            raw: self.raw.map(|scores| scores.0),
            valence,
            arousal,
        })
    }

    /// The label, once for each time it has changed; a face is taken for neutral until then, and an
    /// uncertain while between two labels changes nothing.
    pub(super) fn take_change(&mut self) -> Option<Emotion> {
        let label = self.label.filter(|_| !self.is_silent)?;
        let before = self.announced.replace(label).unwrap_or(Emotion::Neutral);
        (before != label).then_some(label)
    }
}

/// The label whose belief is high enough and far enough above the next.
fn clear_winner(belief: &[f64; CLASSES]) -> Option<Emotion> {
    let best = Emotion::ALL.into_iter().reduce(|a, b| if belief[b as usize] > belief[a as usize] { b } else { a })?;
    let next = Emotion::ALL.into_iter().filter(|label| *label != best).map(|label| belief[label as usize]);
    let margin = belief[best as usize] - next.fold(0.0, f64::max);
    (belief[best as usize] >= Entry::of(best).enter && margin >= MARGIN).then_some(best)
}

#[cfg(test)]
mod tests;
