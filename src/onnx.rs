//! Networks: the only code that names `ort`. Each submodule implements one stage's trait for one
//! family of networks.

mod batch;
mod embedder;
mod emotion;
mod engines;
mod gate;
mod layout;
mod mtcnn;
#[cfg(test)]
mod parity;
mod prepare;
mod provider;
mod session;
mod tape;
mod yunet;

pub use embedder::OnnxEmbedder;
pub use emotion::OnnxEmotionClassifier;
pub use gate::Parity;
pub use mtcnn::Mtcnn;
pub use prepare::{Prepared, check_provider, prepare};
pub use provider::{Placement, in_building};
pub use session::{LoadError, NetPlace, Runtime, providers_in_use};
pub use tape::{RecordedRun, RunCount, Tape};
pub use yunet::Yunet;

use crate::config::DetectorConfig;
use crate::detect::FaceDetector;
use crate::model::manifest::DecoderKind;
use crate::model::store::ResolvedModel;

/// Loads the detector that `model` describes.
///
/// # Errors
/// [`LoadError`] when the model does not load, or is not a detector this code can decode.
pub fn load_detector(
    runtime: &Runtime,
    model: &ResolvedModel,
    config: &DetectorConfig,
) -> Result<Box<dyn FaceDetector>, LoadError> {
    match model.manifest.decoder {
        DecoderKind::Mtcnn => Ok(Box::new(Mtcnn::load(runtime, model, config)?)),
        DecoderKind::Yunet => Ok(Box::new(Yunet::load(runtime, model, config)?)),
        other => Err(session::mismatch(model, format!("no decoder for a detector of kind {other:?} yet"))),
    }
}
