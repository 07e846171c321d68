//! The emotion stage with a network of the shared data, and manifests that do not fit it.

use crate::support::{runtime, shared};
use rostro::align::AlignedCrop;
use rostro::emotion::EmotionClassifier as _;
use rostro::model::NoProgress;
use rostro::model::store::ModelStore;
use rostro::onnx::{LoadError, OnnxEmotionClassifier, Runtime};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::Path;

const LABELS: &str = r#""neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt""#;

/// Loads the trial network under a manifest with these labels and this side, from a folder of its own.
fn load(
    store: &ModelStore,
    runtime: &Runtime,
    net: &Path,
    labels: &str,
    side: u32,
) -> Result<OnnxEmotionClassifier, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(net).unwrap();
    std::fs::write(folder.path().join("net.onnx"), &bytes).unwrap();
    let sha256 = Sha256::digest(&bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let manifest = format!(
        r#"
manifest = 1
name = "trial"
pack = "zoo"
role = "emotion"
decoder = "emotion_logits"
license = "tests only"
commercial_use = true
source = "test"
training_data = "FER+"
download_mb = 3.5

[[file]]
part = "model"
name = "net.onnx"
sha256 = "{sha256}"
from = {{ by = "beside" }}

[input]
name = "grey"
width = {side}
height = {side}
colour = "grey"
mean = 0.0
scale = 1.0

[alignment]
size = {side}

[alignment.templates]
five_point = [[14.0, 18.0], [34.0, 18.0], [24.0, 28.0], [16.0, 36.0], [32.0, 36.0]]

[emotion]
output = "ferplus8"
labels = [{labels}]
temperature = 1.0
measured_on = "not measured"
"#
    );
    let path = folder.path().join("trial.toml");
    std::fs::write(&path, manifest).unwrap();
    let model = store.ensure(path.to_str().unwrap(), &mut NoProgress).unwrap();
    OnnxEmotionClassifier::load(runtime, &model)
}

#[test]
fn a_classifier_reads_crops_and_refuses_a_manifest_that_does_not_fit() {
    let name = "a_classifier_reads_crops_and_refuses_a_manifest_that_does_not_fit";
    let (Some(net), Some((store, runtime))) = (shared("models/emotion_trial.onnx", name), runtime(name)) else {
        return;
    };

    let mut classifier = load(&store, &runtime, &net, LABELS, 48).unwrap();
    let crops = [
        AlignedCrop { size: 48, rgb: vec![90; 48 * 48 * 3] },
        AlignedCrop { size: 48, rgb: (0..48 * 48 * 3).map(|i| i as u8).collect() },
    ];
    let mut scores = Vec::new();
    classifier.classify(&crops, &mut scores).unwrap();
    assert_eq!(scores.len(), 2);
    for score in &scores {
        assert!((score.0.iter().sum::<f32>() - 1.0).abs() < 1e-5 && score.0.iter().all(|p| *p >= 0.0));
    }

    let seven = LABELS.replace(r#", "contempt""#, "");
    let error = load(&store, &runtime, &net, &seven, 48).err().unwrap().to_string();
    assert!(error.contains("trial") && error.contains("7 labels") && error.contains("8 numbers"), "{error}");

    let error = load(&store, &runtime, &net, LABELS, 64).err().unwrap().to_string();
    assert!(error.contains("48x48") && error.contains("64x64"), "{error}");
}
