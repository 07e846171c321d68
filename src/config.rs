//! Every knob, with unit, range and default. Nothing else holds a default.
//!
//! The ROS parameters are the flattened form of this tree, and `--params-file` reads the same YAML.
//! A field's doc comment is its description; `range` is checked wherever a value comes from;
//! `dynamic` marks what a running node takes at once, everything else needs a new start.

mod file;
pub mod parameters;

pub use file::{NODE_NAME, is_ros_parameter, parameters_in};

use crate::geometry::UnitInterval;
use crate::ids::CameraId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of a parameter that leaves the choice to the program.
pub const AUTO: &str = "auto";

/// All parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Configure and activate at the start; off: the node waits for lifecycle requests.
    pub autostart: bool,
    /// Logical camera names, unique. Each has topics of its own: `NAME/image`, `NAME/camera_info`.
    pub cameras: Vec<CameraId>,
    /// What the cameras send.
    pub camera_transport: CameraTransport,
    /// What is asked of the camera's topic. `best_effort` takes images from any camera.
    pub camera_reliability: CameraReliability,
    /// Which images are processed.
    pub processing: ProcessingConfig,
    /// Faces in an image.
    pub detector: DetectorConfig,
    /// Faces over time.
    pub tracker: TrackerConfig,
    /// Who a face is.
    pub identity: IdentityConfig,
    /// Where people are kept.
    pub gallery: GalleryConfig,
    /// What may be kept, and for how long.
    pub privacy: PrivacyConfig,
    /// Expressions.
    pub emotion: EmotionConfig,
    /// Who counts as present.
    pub people: PeopleConfig,
    /// What is published.
    pub output: OutputConfig,
    /// Transforms.
    pub tf: TfConfig,
    /// The annotated picture.
    pub annotated: AnnotatedConfig,
    /// ONNX Runtime.
    pub inference: InferenceConfig,
    /// The transport that needs no ROS 2.
    pub dds: DdsConfig,
}

/// What a camera sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CameraTransport {
    /// `sensor_msgs/Image` on `NAME/image`.
    #[default]
    Raw,
    /// `sensor_msgs/CompressedImage` (JPEG, PNG) on `NAME/image/compressed`.
    Compressed,
}

/// What is asked of a camera's topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CameraReliability {
    /// The newest image counts.
    #[default]
    BestEffort,
    /// Lost images are sent again; a best-effort camera does not match.
    Reliable,
}

/// Which images are processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessingConfig {
    /// Most images processed per second and camera; the others count as displaced.
    #[schemars(range(min = 0.1, max = 1000.0), extend("dynamic" = true))]
    pub max_rate_hz: f64,
    /// Age above which an image is left out as too old, by its stamp and the node's clock; 0: never.
    /// Without effect under simulated time.
    #[schemars(range(min = 0.0, max = 3600.0), extend("dynamic" = true))]
    pub max_age_secs: f64,
}

/// Faces in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// Manifest name or path of the detector.
    pub model: String,
    /// Longer side of the detector's input (detectors with a fixed input size ignore it; MTCNN works
    /// on the image's own size).
    #[schemars(range(min = 32, max = 4096), extend("dynamic" = true))]
    pub input_px: u32,
    /// Lowest score that counts as a face; the manifest's when not set.
    #[schemars(extend("dynamic" = true))]
    pub score_threshold: Option<UnitInterval>,
    /// Overlap above which two boxes are one face; the manifest's when not set (MTCNN keeps its
    /// published ones).
    #[schemars(extend("dynamic" = true))]
    pub nms_threshold: Option<UnitInterval>,
    /// Smallest face looked for, in the source image.
    #[schemars(range(min = 4, max = 2000), extend("dynamic" = true))]
    pub min_face_px: u32,
}

/// Faces over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrackerConfig {
    /// Detections that confirm a track.
    #[schemars(range(min = 1, max = 100), extend("dynamic" = true))]
    pub confirm_hits: u32,
    /// Time after which two detections confirm a track, whatever the rate.
    #[schemars(range(min = 0.0, max = 60.0), extend("dynamic" = true))]
    pub confirm_secs: f64,
    /// Time that a track lives on its prediction.
    #[schemars(range(min = 0.0, max = 60.0), extend("dynamic" = true))]
    pub coast_secs: f64,
    /// Time that a face which is gone is remembered, to be known again by its looks.
    #[schemars(range(min = 0.0, max = 86400.0), extend("dynamic" = true))]
    pub dormant_secs: f64,
    /// Most faces tracked at once; the best-scored are kept.
    #[schemars(range(min = 1, max = 1000), extend("dynamic" = true))]
    pub max_faces: u32,
}

/// Who a face is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// Off: no embedding is computed and every face stays unknown.
    pub enabled: bool,
    /// Manifest name or path of the embedder.
    pub model: String,
    /// Least distance to the runner-up's similarity; the manifest's when not set.
    #[schemars(extend("dynamic" = true))]
    pub min_margin: Option<UnitInterval>,
    /// Agreeing looks before a name.
    #[schemars(range(min = 1, max = 100), extend("dynamic" = true))]
    pub min_looks: u32,
    /// Looks per second and track; down to half as many while the line can hardly keep up with the cameras.
    #[schemars(range(min = 0.1, max = 100.0), extend("dynamic" = true))]
    pub looks_hz: f64,
    /// What becomes of strangers who stay: `off` nothing, `session` they are known again until the program
    /// ends, `permanent` until they expire.
    #[schemars(extend("dynamic" = true))]
    pub auto_enrol: AutoEnrol,
    /// Most looks per frame: new and undecided faces come first.
    #[schemars(range(min = 1, max = 1000), extend("dynamic" = true))]
    pub looks_per_frame: u32,
    /// Share of the strangers that may be taken for somebody known (FPIR): the more people are known, the
    /// more alike a face must be.
    #[schemars(range(min = 0.000_001, max = 0.5), extend("dynamic" = true))]
    pub target_fpir: f64,
    /// Least distance between the eyes for a look.
    #[schemars(range(min = 0.0, max = 1000.0), extend("dynamic" = true))]
    pub min_inter_ocular_px: f64,
}

/// Where people are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GalleryConfig {
    /// File of the gallery; empty: `$XDG_STATE_HOME/rostro/gallery.db`.
    pub path: String,
}

/// What may be kept, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacyConfig {
    /// Hours after which a stranger without a name, not seen since, is forgotten.
    #[schemars(range(min = 0.0, max = 87600.0), extend("dynamic" = true))]
    pub anonymous_retention_hours: f64,
    /// Let the service `forget_all` remove everyone at once.
    #[schemars(extend("dynamic" = true))]
    pub allow_forget_all: bool,
}

/// What becomes of strangers who stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AutoEnrol {
    /// Nothing is remembered of them.
    #[default]
    Off,
    /// They are known again until the program ends.
    Session,
    /// They are known again until they expire.
    Permanent,
}

/// Expressions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmotionConfig {
    /// Off: no expression is read.
    pub enabled: bool,
    /// Cameras whose faces are read; empty: all.
    pub cameras: Vec<CameraId>,
    /// Manifest name or path of the classifier; `auto`: ours, in eight-bit integers on an x86 processor with AVX2
    /// where there is no graphics processor, else in floats; empty: none.
    pub model: String,
    /// Readings per second and face; down to half as many while the line can hardly keep up with the cameras.
    #[schemars(range(min = 0.1, max = 100.0))]
    pub rate_hz: f64,
    /// Time after which the filter has forgotten two thirds of what it saw.
    #[schemars(range(min = 0.05, max = 60.0))]
    pub smoothing_secs: f64,
}

impl EmotionConfig {
    /// Whether the faces of this camera are read, if there is a model.
    pub fn is_on(&self, camera: &CameraId) -> bool {
        self.enabled && (self.cameras.is_empty() || self.cameras.contains(camera))
    }
}

/// Who counts as present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PeopleConfig {
    /// Time without a face after which a person has left.
    #[schemars(range(min = 0.0, max = 86400.0), extend("dynamic" = true))]
    pub leave_secs: f64,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Which topics are published. The node's own, below its name, always are.
    pub mode: OutputMode,
    /// Where the topics of ROS4HRI are. Its clients look nowhere but below `/humans`.
    pub humans_namespace: String,
}

/// Transforms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TfConfig {
    /// Send `face_ID` and `gaze_ID` (and `person_ID` with `ros4hri_standalone`) of calibrated cameras.
    pub publish: bool,
}

/// Which topics are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// No others.
    #[default]
    Aggregate,
    /// Also faces as ROS4HRI (REP-155) shows them, and whose they are, for a person manager.
    Ros4hri,
    /// Also ROS4HRI's faces and persons, where no person manager runs.
    Ros4hriStandalone,
}

/// The annotated picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnnotatedConfig {
    /// Most annotated pictures per second of image time.
    #[schemars(range(min = 0.1, max = 120.0), extend("dynamic" = true))]
    pub rate_hz: f64,
}

/// Where networks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// TensorRT where `rostro prepare` has prepared it, else CUDA, else the CPU; what is used is said at start.
    #[default]
    Auto,
    /// TensorRT or an error.
    TensorRt,
    /// CUDA or an error.
    Cuda,
    /// The CPU.
    Cpu,
}

/// How precisely TensorRT computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    Fp32,
    /// 16-bit floats.
    #[default]
    Fp16,
    /// 8-bit integers, for networks that were quantised as TensorRT takes them: signed, around zero.
    Int8,
}

impl Precision {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }
}

/// ONNX Runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceConfig {
    /// Where networks run.
    pub provider: Provider,
    /// Let a provider asked for by name fall back to the next instead of failing.
    pub allow_fallback: bool,
    /// How precisely TensorRT computes; CUDA and the CPU compute as a network is stored. A network whose answers
    /// change with it is not run so: it falls back, or the start fails.
    pub precision: Precision,
    /// Which graphics processor, counted from 0.
    #[schemars(range(min = 0, max = 15))]
    pub device: u32,
    /// Threads inside one network run.
    #[schemars(range(min = 1, max = 256))]
    pub threads: u32,
    /// Folder of fetched models and built engines; empty: `$XDG_CACHE_HOME/rostro`.
    pub cache_dir: String,
}

/// The transport that needs no ROS 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DdsConfig {
    /// DDS domain; `ROS_DOMAIN_ID`, else 0, when not set. Of the transport `dds` alone.
    #[schemars(range(min = 0, max = 232))]
    pub domain: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            autostart: true,
            cameras: vec![CameraId::default()],
            camera_transport: CameraTransport::default(),
            camera_reliability: CameraReliability::default(),
            processing: ProcessingConfig::default(),
            detector: DetectorConfig::default(),
            tracker: TrackerConfig::default(),
            identity: IdentityConfig::default(),
            gallery: GalleryConfig::default(),
            privacy: PrivacyConfig::default(),
            emotion: EmotionConfig::default(),
            people: PeopleConfig::default(),
            output: OutputConfig::default(),
            tf: TfConfig::default(),
            annotated: AnnotatedConfig::default(),
            inference: InferenceConfig::default(),
            dds: DdsConfig::default(),
        }
    }
}

impl Default for ProcessingConfig {
    fn default() -> Self {
        Self { max_rate_hz: 30.0, max_age_secs: 0.5 }
    }
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self { model: "mtcnn".into(), input_px: 640, score_threshold: None, nms_threshold: None, min_face_px: 20 }
    }
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self { confirm_hits: 3, confirm_secs: 0.25, coast_secs: 1.5, dormant_secs: 300.0, max_faces: 32 }
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
            auto_enrol: AutoEnrol::Off,
            looks_per_frame: 8,
            target_fpir: 0.01,
            min_inter_ocular_px: 12.0,
        }
    }
}

impl Default for PrivacyConfig {
    fn default() -> Self {
        Self { anonymous_retention_hours: 24.0, allow_forget_all: false }
    }
}

impl Default for EmotionConfig {
    fn default() -> Self {
        Self { enabled: true, cameras: Vec::new(), model: AUTO.into(), rate_hz: 10.0, smoothing_secs: 1.5 }
    }
}

impl Default for PeopleConfig {
    fn default() -> Self {
        Self { leave_secs: 10.0 }
    }
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { mode: OutputMode::default(), humans_namespace: "/humans".into() }
    }
}

impl Default for TfConfig {
    fn default() -> Self {
        Self { publish: true }
    }
}

impl Default for AnnotatedConfig {
    fn default() -> Self {
        Self { rate_hz: 5.0 }
    }
}

impl Default for InferenceConfig {
    fn default() -> Self {
        Self {
            provider: Provider::Auto,
            allow_fallback: false,
            precision: Precision::default(),
            device: 0,
            threads: 1,
            cache_dir: String::new(),
        }
    }
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML, or not of the right shape; names the key.
    #[error("{0}")]
    Shape(String),
    /// No such parameter.
    #[error("there is no parameter {name}; {hint}")]
    Unknown {
        /// As given.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// More than one parameter is refused; each is told.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<ConfigError>),
    /// The name of a section where a parameter's is needed.
    #[error("{name} is a section; its parameters are called {name}.…")]
    Section {
        /// As given.
        name: String,
    },
    /// A value of another type.
    #[error("{parameter} must be of type {expected}, got {got}")]
    Type {
        /// Dotted path.
        parameter: String,
        /// Its type.
        expected: parameters::Kind,
        /// The value's.
        got: &'static str,
    },
    /// A value that cannot be meant.
    #[error("{parameter} is {value}, it must be {allowed}")]
    Range {
        /// Dotted path.
        parameter: String,
        /// As given.
        value: String,
        /// What may stand there.
        allowed: String,
    },
    /// A value that its own type refuses.
    #[error("{parameter}: {reason}")]
    Value {
        /// Dotted path.
        parameter: String,
        /// What the type says.
        reason: String,
    },
    /// Set while the node runs.
    #[error("{parameter} cannot change while the node runs: set it in the parameter file and start the node anew")]
    Fixed {
        /// Dotted path.
        parameter: String,
    },
}

impl Config {
    /// The rules over several values, and those of lists. Ranges are checked where values come from.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for the first value that cannot be meant.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut names: Vec<&str> = self.cameras.iter().map(CameraId::as_str).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() || names.len() < self.cameras.len() {
            return Err(ConfigError::Range {
                parameter: "cameras".into(),
                value: format!("{:?}", self.cameras.iter().map(CameraId::as_str).collect::<Vec<_>>()),
                allowed: "at least one name, none of them twice".into(),
            });
        }
        if let Some(stranger) = self.emotion.cameras.iter().find(|camera| !self.cameras.contains(camera)) {
            return Err(ConfigError::Range {
                parameter: "emotion.cameras".into(),
                value: format!("{:?}", stranger.as_str()),
                allowed: "names out of cameras".into(),
            });
        }
        let humans = &self.output.humans_namespace;
        if humans.strip_prefix('/').is_none_or(|name| CameraId::new(name).is_err()) {
            return Err(ConfigError::Range {
                parameter: "output.humans_namespace".into(),
                value: format!("{humans:?}"),
                allowed: "an absolute name without a slash at its end, such as /humans".into(),
            });
        }
        Ok(())
    }
}
