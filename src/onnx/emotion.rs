//! Any network that turns an aligned crop into one row of expression logits.

use super::batch;
use super::embedder::{channels, pack};
use super::session::{LoadError, Net, Runtime, Shapes, mismatch};
use crate::align::AlignedCrop;
use crate::emotion::{EmotionClassifier, EmotionScores};
use crate::inference::InferenceError;
use crate::model::manifest::{EmotionHead, EmotionOutput, Input};
use crate::model::store::ResolvedModel;

/// The classifier. It keeps its tensor between frames.
pub struct OnnxEmotionClassifier {
    net: Net,
    input: Input,
    head: EmotionHead,
    tensor: Vec<f32>,
    /// Crops per run.
    batch: usize,
}

/// Most crops per run, so that a crowd or a data set cannot claim all memory.
const BATCH: usize = 16;

impl OnnxEmotionClassifier {
    /// Loads the network and tries it: the number of its logits must be that of the labels, and how many crops it
    /// may be given at once is found out.
    ///
    /// # Errors
    /// [`LoadError`] when it does not load or is not what the manifest says.
    pub fn load(runtime: &Runtime, model: &ResolvedModel) -> Result<Self, LoadError> {
        Self::load_head(runtime, model, EmotionOutput::head)
    }

    /// As [`load`](Self::load), but answers in the sense of FER2013's labels when the network has an output
    /// for them.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_fer2013(runtime: &Runtime, model: &ResolvedModel) -> Result<Self, LoadError> {
        Self::load_head(runtime, model, |output| output.fer2013.clone().unwrap_or_else(|| output.head()))
    }

    fn load_head(
        runtime: &Runtime,
        model: &ResolvedModel,
        choose: impl FnOnce(&EmotionOutput) -> EmotionHead,
    ) -> Result<Self, LoadError> {
        let manifest = &model.manifest;
        let (Some(input), Some(alignment), Some(output)) = (&manifest.input, &manifest.alignment, &manifest.emotion)
        else {
            return Err(mismatch(model, "a classifier needs the sections [input], [alignment] and [emotion]"));
        };
        let (channels, side) = (channels(input), alignment.size as usize);
        let net = Net::load(runtime, model, "model", input, Shapes::batches([channels, side, side], 4, BATCH))?;
        let mut classifier = Self { net, input: input.clone(), head: choose(output), tensor: Vec::new(), batch: 1 };
        let answer = |crops: &[AlignedCrop]| {
            let mut read = Vec::new();
            classifier.classify_batch(crops, &mut read)?;
            Ok(read.iter().flat_map(|scores| scores.0).collect())
        };
        let most = batch::size(&manifest.name, alignment.size, BATCH, answer);
        let labels = classifier.head.labels.len();
        classifier.batch = most.map_err(|e| mismatch(model, format!("with {labels} labels: {}", e.reason)))?;
        Ok(classifier)
    }

    fn classify_batch(&mut self, crops: &[AlignedCrop], out: &mut Vec<EmotionScores>) -> Result<(), InferenceError> {
        let shape = pack(crops, &self.input, &mut self.tensor);
        let head = &self.head;
        self.net.run(shape, &self.tensor, |outputs| {
            let logits = outputs.finite(&head.output, crops.len() * head.labels.len())?;
            out.extend(logits.chunks_exact(head.labels.len()).map(|row| probabilities(row, head)));
            Ok(())
        })
    }
}

impl EmotionClassifier for OnnxEmotionClassifier {
    fn classify(&mut self, crops: &[AlignedCrop], out: &mut Vec<EmotionScores>) -> Result<(), InferenceError> {
        out.clear();
        let done = crops.chunks(self.batch).try_for_each(|batch| self.classify_batch(batch, out));
        if done.is_err() {
            out.clear();
        }
        done
    }
}

/// Softmax of the logits over the temperature, in message order; an expression without a label has
/// probability 0.
fn probabilities(logits: &[f32], head: &EmotionHead) -> EmotionScores {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let weights = logits.iter().map(|logit| ((logit - top) / head.temperature).exp());
    let mut scores = [0.0; 8];
    for (label, weight) in head.labels.iter().zip(weights) {
        scores[*label as usize] = weight;
    }
    let sum: f32 = scores.iter().sum();
    EmotionScores(scores.map(|weight| weight / sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emotion::Emotion;
    use proptest::prelude::*;

    #[test]
    fn logits_become_probabilities_in_message_order() {
        let head =
            EmotionHead { output: "logits".into(), labels: vec![Emotion::Anger, Emotion::Neutral], temperature: 2.0 };
        let scores = probabilities(&[2.0, 0.0], &head).0;
        let odds = 1.0_f32.exp();
        assert!((scores[Emotion::Anger as usize] - odds / (odds + 1.0)).abs() < 1e-6);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(scores[Emotion::Fear as usize], 0.0);
    }

    proptest! {
        /// A manifest may list the labels in any order: each probability goes to its own expression.
        #[test]
        fn any_order_of_labels_comes_out_right(
            order in Just(Emotion::ALL.to_vec()).prop_shuffle(),
            known in 2_usize..=8,
            logits in prop::array::uniform8(-8.0_f32..8.0),
            temperature in 0.3_f32..3.0,
        ) {
            let labels = order[..known].to_vec();
            // The network's row, as its columns are ordered: the logit of each expression is fixed by the expression.
            let row: Vec<f32> = labels.iter().map(|label| logits[*label as usize]).collect();
            let head = EmotionHead { output: String::new(), labels: labels.clone(), temperature };
            let scores = probabilities(&row, &head).0;
            let weight = |label: Emotion| (logits[label as usize] / temperature).exp();
            let sum: f32 = labels.iter().map(|label| weight(*label)).sum();
            for label in Emotion::ALL {
                let expected = if labels.contains(&label) { weight(label) / sum } else { 0.0 };
                prop_assert!((scores[label as usize] - expected).abs() < 1e-4, "{label:?} {scores:?}");
            }
        }
    }
}
