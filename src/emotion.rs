//! Stage *emotion*: a calibrated probability for each of eight expressions.

use crate::align::AlignedCrop;
use crate::inference::InferenceError;
use serde::{Deserialize, Serialize};

/// The eight expressions, in the order of every message and file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Emotion {
    Neutral,
    Happiness,
    Surprise,
    Sadness,
    Anger,
    Disgust,
    Fear,
    Contempt,
}

impl Emotion {
    /// All, in message order; the index of each is its number in `Person.msg`.
    pub const ALL: [Self; 8] = [
        Self::Neutral,
        Self::Happiness,
        Self::Surprise,
        Self::Sadness,
        Self::Anger,
        Self::Disgust,
        Self::Fear,
        Self::Contempt,
    ];

    /// Lower-case name, as in JSON and manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Happiness => "happiness",
            Self::Surprise => "surprise",
            Self::Sadness => "sadness",
            Self::Anger => "anger",
            Self::Disgust => "disgust",
            Self::Fear => "fear",
            Self::Contempt => "contempt",
        }
    }
}

/// One probability per [`Emotion`], in their order; they sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmotionScores(pub [f32; 8]);

impl EmotionScores {
    /// The most probable expression and its probability; the earlier one on a tie.
    pub fn best(&self) -> (Emotion, f32) {
        let mut best = (Emotion::Neutral, self.0[0]);
        for (emotion, probability) in Emotion::ALL.into_iter().zip(self.0) {
            if probability > best.1 {
                best = (emotion, probability);
            }
        }
        best
    }
}

/// Where each expression lies on Russell's circumplex (1980): pleasant against unpleasant, excited
/// against calm, both -1..=1, in the order of [`Emotion::ALL`]. Round figures of our own, near those of
/// published word norms; they are a way to read the distribution, nothing that was measured on faces.
const CIRCUMPLEX: [(f32, f32); 8] =
    [(0.0, 0.0), (0.8, 0.4), (0.2, 0.8), (-0.7, -0.4), (-0.6, 0.7), (-0.7, 0.3), (-0.6, 0.8), (-0.5, 0.1)];

impl EmotionScores {
    /// Valence and arousal, each -1..=1: the mean place on the circumplex under this distribution.
    pub fn valence_arousal(&self) -> (f32, f32) {
        let mean = |(v, a): (f32, f32), ((dv, da), p): ((f32, f32), f32)| (v + p * dv, a + p * da);
        CIRCUMPLEX.into_iter().zip(self.0).fold((0.0, 0.0), mean)
    }
}

/// Reads the expression of aligned crops.
pub trait EmotionClassifier: Send {
    /// Replaces the contents of `out` by one distribution per crop, in order.
    ///
    /// # Errors
    /// [`InferenceError`] when the network fails; `out` is then empty.
    fn classify(&mut self, crops: &[AlignedCrop], out: &mut Vec<EmotionScores>) -> Result<(), InferenceError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_messages() {
        for (index, emotion) in Emotion::ALL.into_iter().enumerate() {
            assert_eq!(emotion as usize, index);
            assert_eq!(serde_json::to_value(emotion).unwrap(), emotion.name());
        }
    }

    #[test]
    fn valence_and_arousal_are_means_over_the_distribution() {
        let only = |emotion: Emotion| EmotionScores(std::array::from_fn(|i| f32::from(i == emotion as usize)));
        assert_eq!(only(Emotion::Neutral).valence_arousal(), (0.0, 0.0));
        assert_eq!(only(Emotion::Sadness).valence_arousal(), (-0.7, -0.4));
        let (valence, arousal) = EmotionScores([0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).valence_arousal();
        assert!((valence - 0.4).abs() < 1e-6 && (arousal - 0.2).abs() < 1e-6);
    }

    #[test]
    fn best_takes_the_first_of_equals() {
        assert_eq!(EmotionScores([0.125; 8]).best().0, Emotion::Neutral);
        assert_eq!(EmotionScores([0.1, 0.1, 0.1, 0.1, 0.3, 0.1, 0.1, 0.1]).best(), (Emotion::Anger, 0.3));
    }
}
