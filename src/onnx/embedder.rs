//! Any network that turns an aligned crop into one vector.

use super::batch;
use super::session::{LoadError, Net, Runtime, Shapes, mismatch};
use crate::align::AlignedCrop;
use crate::embed::{Embedding, FaceEmbedder, ModelTag};
use crate::inference::InferenceError;
use crate::model::manifest::{Colour, Input};
use crate::model::store::ResolvedModel;

/// Most crops per run, so that a crowded frame cannot claim all memory.
const BATCH: usize = 8;

/// The embedder. It keeps its tensor between frames.
pub struct OnnxEmbedder {
    net: Net,
    input: Input,
    output: String,
    dimensions: usize,
    tag: ModelTag,
    tensor: Vec<f32>,
    /// Crops per run.
    batch: usize,
}

impl OnnxEmbedder {
    /// Loads the network and tries how many crops it may be given at once.
    ///
    /// # Errors
    /// [`LoadError`] when it does not load or is not what the manifest says.
    pub fn load(runtime: &Runtime, model: &ResolvedModel) -> Result<Self, LoadError> {
        let manifest = &model.manifest;
        let (Some(input), Some(alignment), Some(similarity)) =
            (&manifest.input, &manifest.alignment, &manifest.similarity)
        else {
            return Err(mismatch(model, "an embedder needs the sections [input], [alignment] and [similarity]"));
        };
        let side = alignment.size as usize;
        let net = Net::load(runtime, model, "model", input, Shapes::batches([3, side, side], 1, BATCH))?;
        let mut embedder = Self {
            output: net.first_output(),
            net,
            input: input.clone(),
            dimensions: similarity.dimensions as usize,
            tag: model.tag(),
            tensor: Vec::new(),
            batch: 1,
        };
        let answer = |crops: &[AlignedCrop]| {
            let mut looks = Vec::new();
            embedder.embed_batch(crops, &mut looks)?;
            Ok(looks.iter().flat_map(Embedding::unit).copied().collect())
        };
        let most = batch::size(&model.manifest.name, alignment.size, BATCH, answer);
        embedder.batch = most.map_err(|e| mismatch(model, e.reason))?;
        Ok(embedder)
    }

    fn embed_batch(&mut self, crops: &[AlignedCrop], out: &mut Vec<Embedding>) -> Result<(), InferenceError> {
        let shape = pack(crops, &self.input, &mut self.tensor);
        let (count, dimensions, tag) = (crops.len(), self.dimensions, &self.tag);
        let output = &self.output;
        self.net.run(shape, &self.tensor, |outputs| {
            for vector in outputs.finite(output, count * dimensions)?.chunks_exact(dimensions) {
                out.push(Embedding::new(vector.to_vec(), tag.clone()).map_err(|e| e.to_string())?);
            }
            Ok(())
        })
    }
}

impl FaceEmbedder for OnnxEmbedder {
    fn model(&self) -> &ModelTag {
        &self.tag
    }

    fn embed(&mut self, crops: &[AlignedCrop], out: &mut Vec<Embedding>) -> Result<(), InferenceError> {
        out.clear();
        let done = crops.chunks(self.batch).try_for_each(|batch| self.embed_batch(batch, out));
        if done.is_err() {
            out.clear();
        }
        done
    }
}

/// Channels of the input.
pub(super) fn channels(input: &Input) -> usize {
    if input.colour == Colour::Grey { 1 } else { 3 }
}

/// Writes crops of one size as an NCHW tensor and returns its shape.
pub(super) fn pack(crops: &[AlignedCrop], input: &Input, tensor: &mut Vec<f32>) -> [usize; 4] {
    let side = crops.first().map_or(0, |crop| crop.size as usize);
    let channels = channels(input);
    let plane = side * side;
    tensor.resize(crops.len() * channels * plane, 0.0);
    let value = |level: f32| (level - input.mean) * input.scale;
    for (crop, image) in crops.iter().zip(tensor.chunks_exact_mut((channels * plane).max(1))) {
        let pixels = crop.rgb.as_chunks::<3>().0;
        if input.colour == Colour::Grey {
            for (out, [r, g, b]) in image.iter_mut().zip(pixels) {
                // ITU-R BT.601 luma, as every common image library converts to grey.
                *out = value(0.299 * f32::from(*r) + 0.587 * f32::from(*g) + 0.114 * f32::from(*b));
            }
            continue;
        }
        let (first, rest) = image.split_at_mut(plane);
        let (green, third) = rest.split_at_mut(plane);
        let (red, blue) = if input.colour == Colour::Bgr { (third, first) } else { (first, third) };
        for ((([r, g, b], red), green), blue) in pixels.iter().zip(red).zip(green).zip(blue) {
            (*red, *green, *blue) = (value(f32::from(*r)), value(f32::from(*g)), value(f32::from(*b)));
        }
    }
    [crops.len(), channels, side, side]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_orders_and_scales_the_channels() {
        let crop = AlignedCrop { size: 1, rgb: vec![10, 20, 30] };
        let mut tensor = Vec::new();
        for (colour, expected) in [(Colour::Rgb, vec![0.0, 5.0, 10.0]), (Colour::Bgr, vec![10.0, 5.0, 0.0])] {
            let input = Input { name: String::new(), width: None, height: None, colour, mean: 10.0, scale: 0.5 };
            assert_eq!(pack(std::slice::from_ref(&crop), &input, &mut tensor), [1, 3, 1, 1]);
            assert_eq!(tensor, expected);
        }
    }
}
