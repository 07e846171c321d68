//! Any network that turns an aligned crop into one row of expression logits.

use super::embedder::pack;
use super::session::{LoadError, Net, Runtime, mismatch};
use crate::align::AlignedCrop;
use crate::emotion::{EmotionClassifier, EmotionScores};
use crate::inference::InferenceError;
use crate::model::manifest::{EmotionOutput, Input};
use crate::model::store::ResolvedModel;

/// The classifier. It keeps its tensor between frames.
pub struct OnnxEmotionClassifier {
    net: Net,
    input: Input,
    output: EmotionOutput,
    tensor: Vec<f32>,
}

impl OnnxEmotionClassifier {
    /// Loads the network and runs it once: the number of its logits must be that of the labels.
    ///
    /// # Errors
    /// [`LoadError`] when it does not load or is not what the manifest says.
    pub fn load(runtime: &Runtime, model: &ResolvedModel) -> Result<Self, LoadError> {
        let manifest = &model.manifest;
        let (Some(input), Some(alignment), Some(output)) = (&manifest.input, &manifest.alignment, &manifest.emotion)
        else {
            return Err(mismatch(model, "a classifier needs the sections [input], [alignment] and [emotion]"));
        };
        let net = Net::load(runtime, model, "model", input)?;
        let mut classifier = Self { net, input: input.clone(), output: output.clone(), tensor: Vec::new() };
        let side = alignment.size;
        let grey = AlignedCrop { size: side, rgb: vec![128; side as usize * side as usize * 3] };
        classifier.classify(std::slice::from_ref(&grey), &mut Vec::new()).map_err(|e| {
            let labels = output.labels.len();
            mismatch(model, format!("with {labels} labels: {}", e.reason))
        })?;
        Ok(classifier)
    }
}

impl EmotionClassifier for OnnxEmotionClassifier {
    fn classify(&mut self, crops: &[AlignedCrop], out: &mut Vec<EmotionScores>) -> Result<(), InferenceError> {
        out.clear();
        if crops.is_empty() {
            return Ok(());
        }
        let shape = pack(crops, &self.input, &mut self.tensor);
        let wanted = &self.output;
        self.net.run(shape, &self.tensor, |outputs| {
            let logits = outputs.finite(&wanted.output, crops.len() * wanted.labels.len())?;
            out.extend(logits.chunks_exact(wanted.labels.len()).map(|row| probabilities(row, wanted)));
            Ok(())
        })
    }
}

/// Softmax of the logits over the temperature, in message order; an expression without a label has
/// probability 0.
fn probabilities(logits: &[f32], output: &EmotionOutput) -> EmotionScores {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let weights = logits.iter().map(|logit| ((logit - top) / output.temperature).exp());
    let mut scores = [0.0; 8];
    for (label, weight) in output.labels.iter().zip(weights) {
        scores[*label as usize] = weight;
    }
    let sum: f32 = scores.iter().sum();
    EmotionScores(scores.map(|weight| weight / sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emotion::Emotion;

    #[test]
    fn logits_become_probabilities_in_message_order() {
        let output = EmotionOutput {
            output: "logits".into(),
            labels: vec![Emotion::Anger, Emotion::Neutral],
            temperature: 2.0,
            prior: None,
            measured_on: String::new(),
            fer2013: None,
        };
        let scores = probabilities(&[2.0, 0.0], &output).0;
        let odds = 1.0_f32.exp();
        assert!((scores[Emotion::Anger as usize] - odds / (odds + 1.0)).abs() < 1e-6);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(scores[Emotion::Fear as usize], 0.0);
    }
}
