//! Every knob, with unit, range and default. Nothing else holds a default.
//!
//! The ROS parameters are the flattened form of this tree, and `--params-file` reads the same YAML.

use crate::geometry::UnitInterval;
use crate::ids::CameraId;
use serde::{Deserialize, Serialize};

/// All parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Logical camera names, unique.
    pub cameras: Vec<CameraId>,
    /// Faces in an image.
    pub detector: DetectorConfig,
    /// Faces over time.
    pub tracker: TrackerConfig,
    /// Who a face is.
    pub identity: IdentityConfig,
    /// Expressions.
    pub emotion: EmotionConfig,
    /// Who counts as present.
    pub people: PeopleConfig,
    /// The annotated picture.
    pub annotated: AnnotatedConfig,
    /// ONNX Runtime.
    pub inference: InferenceConfig,
}

/// Faces in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// Manifest name or path of the detector.
    pub model: String,
    /// Longer side of the detector's input, pixels (detectors with a fixed input size ignore it;
    /// MTCNN works on the image's own size).
    pub input_px: u32,
    /// Lowest score that counts as a face; the manifest's when not set.
    pub score_threshold: Option<UnitInterval>,
    /// Overlap above which two boxes are one face; the manifest's when not set.
    pub nms_threshold: Option<UnitInterval>,
    /// Smallest face looked for, pixels of the source image.
    pub min_face_px: u32,
}

/// Faces over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrackerConfig {
    /// Detections that confirm a track.
    pub confirm_hits: u32,
    /// Seconds after which two detections confirm a track, whatever the rate.
    pub confirm_secs: f64,
    /// Seconds a track lives on its prediction.
    pub coast_secs: f64,
    /// Most faces tracked at once; the best-scored are kept.
    pub max_faces: u32,
}

/// Who a face is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// Off: no embedding is computed and every face stays unknown.
    pub enabled: bool,
    /// Manifest name or path of the embedder.
    pub model: String,
    /// Least distance to the runner-up's similarity; the manifest's when not set.
    pub min_margin: Option<UnitInterval>,
    /// Agreeing looks before a name.
    pub min_looks: u32,
    /// Looks per second and track.
    pub looks_hz: f64,
    /// Least distance between the eyes for a look, pixels.
    pub min_inter_ocular_px: f64,
}

/// Expressions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmotionConfig {
    /// Off: no expression is read.
    pub enabled: bool,
    /// Manifest name or path of the classifier; empty: none.
    pub model: String,
}

/// Who counts as present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeopleConfig {
    /// Seconds without a face after which a person has left.
    pub leave_secs: f64,
}

/// The annotated picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnnotatedConfig {
    /// Most annotated pictures per second of image time.
    pub rate_hz: f64,
}

/// Where networks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// TensorRT if it works, else CUDA, else the CPU; what is used is said at start.
    #[default]
    Auto,
    /// TensorRT or an error.
    TensorRt,
    /// CUDA or an error.
    Cuda,
    /// The CPU.
    Cpu,
}

/// ONNX Runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceConfig {
    /// Where networks run.
    pub provider: Provider,
    /// Let a provider asked for by name fall back to the next instead of failing.
    pub allow_fallback: bool,
    /// Threads inside one network run.
    pub threads: u32,
    /// Folder of fetched models and built engines; empty: `$XDG_CACHE_HOME/rostro`.
    pub cache_dir: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cameras: CameraId::new("camera").into_iter().collect(),
            detector: DetectorConfig::default(),
            tracker: TrackerConfig::default(),
            identity: IdentityConfig::default(),
            emotion: EmotionConfig::default(),
            people: PeopleConfig::default(),
            annotated: AnnotatedConfig::default(),
            inference: InferenceConfig::default(),
        }
    }
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self { model: "mtcnn".into(), input_px: 640, score_threshold: None, nms_threshold: None, min_face_px: 20 }
    }
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self { confirm_hits: 3, confirm_secs: 0.25, coast_secs: 1.5, max_faces: 32 }
    }
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            model: "dlib-resnet-v1".into(),
            min_margin: None,
            min_looks: 3,
            looks_hz: 5.0,
            min_inter_ocular_px: 16.0,
        }
    }
}

impl Default for EmotionConfig {
    fn default() -> Self {
        Self { enabled: true, model: String::new() }
    }
}

impl Default for PeopleConfig {
    fn default() -> Self {
        Self { leave_secs: 10.0 }
    }
}

impl Default for AnnotatedConfig {
    fn default() -> Self {
        Self { rate_hz: 5.0 }
    }
}

impl Default for InferenceConfig {
    fn default() -> Self {
        Self { provider: Provider::Auto, allow_fallback: false, threads: 1, cache_dir: String::new() }
    }
}
