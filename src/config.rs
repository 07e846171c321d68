//! Every knob, with unit, range and default. Nothing else holds a default.
//!
//! The ROS parameters are the flattened form of this tree, and `--params-file` reads the same YAML.

use crate::geometry::UnitInterval;
use crate::ids::CameraId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML, or not of the right shape; names the key.
    #[error("{0}")]
    Shape(String),
    /// A value that cannot be meant.
    #[error("{parameter} is {value}, it must be {allowed}")]
    Range {
        /// Dotted path.
        parameter: &'static str,
        /// As given.
        value: String,
        /// What may stand there.
        allowed: &'static str,
    },
}

/// Keys that every ROS node may be given and that are not ours.
const ROS_KEYS: [&str; 2] = ["use_sim_time", "qos_overrides"];

impl Config {
    /// Reads YAML: this tree itself, or a ROS 2 parameter file, which wraps it as
    /// `node_name: {ros__parameters: …}` and may join keys with dots.
    ///
    /// # Errors
    /// [`ConfigError`] naming a key that is unknown, of the wrong type or out of range.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let shape = |message: String| ConfigError::Shape(message);
        let tree: Option<Value> = serde_saphyr::from_str(text).map_err(|e| shape(e.to_string()))?;
        let tree = match tree {
            Some(Value::Object(tree)) => nested(unwrapped(tree)?)?,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(shape("expected parameters as `name: value` lines".into())),
        };
        let config: Self = serde_json::from_value(Value::Object(tree)).map_err(|e| shape(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// The rules that a single value's type cannot hold.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for the first value out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut names: Vec<&str> = self.cameras.iter().map(CameraId::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let unique = !names.is_empty() && names.len() == self.cameras.len();
        rule(unique, "cameras", &names.join(", "), "at least one name, none of them twice")?;
        let seconds = [
            ("tracker.confirm_secs", self.tracker.confirm_secs),
            ("tracker.coast_secs", self.tracker.coast_secs),
            ("people.leave_secs", self.people.leave_secs),
            ("identity.min_inter_ocular_px", self.identity.min_inter_ocular_px),
        ];
        for (parameter, value) in seconds {
            rule(value.is_finite() && value >= 0.0, parameter, &value, "0 or more")?;
        }
        for (parameter, value) in
            [("identity.looks_hz", self.identity.looks_hz), ("annotated.rate_hz", self.annotated.rate_hz)]
        {
            rule(value.is_finite() && value > 0.0, parameter, &value, "more than 0")?;
        }
        let counts = [
            ("detector.min_face_px", self.detector.min_face_px, 4),
            ("detector.input_px", self.detector.input_px, 32),
            ("tracker.confirm_hits", self.tracker.confirm_hits, 1),
            ("tracker.max_faces", self.tracker.max_faces, 1),
            ("identity.min_looks", self.identity.min_looks, 1),
            ("inference.threads", self.inference.threads, 1),
        ];
        for (parameter, value, least) in counts {
            let allowed = match least {
                1 => "1 or more",
                4 => "4 or more",
                _ => "32 or more",
            };
            rule(value >= least, parameter, &value, allowed)?;
        }
        Ok(())
    }
}

fn rule(
    holds: bool,
    parameter: &'static str,
    value: &dyn std::fmt::Display,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Range { parameter, value: value.to_string(), allowed }) }
}

/// The parameters out of a ROS 2 parameter file, or the tree itself when it is none.
fn unwrapped(mut tree: Map<String, Value>) -> Result<Map<String, Value>, ConfigError> {
    let is_ros = |node: &Value| node.get("ros__parameters").is_some();
    if !tree.values().any(is_ros) {
        return Ok(tree);
    }
    let names: Vec<String> = tree.keys().cloned().collect();
    let [name] = names.as_slice() else {
        return Err(ConfigError::Shape(format!(
            "a parameter file for one node was expected, found {}",
            names.join(", ")
        )));
    };
    match tree.get_mut(name).and_then(|node| node.get_mut("ros__parameters")).map(Value::take) {
        Some(Value::Object(mut parameters)) => {
            parameters.retain(|key, _| !ROS_KEYS.contains(&key.split('.').next().unwrap_or(key)));
            Ok(parameters)
        }
        _ => Err(ConfigError::Shape(format!("{name}: ros__parameters holds no parameters"))),
    }
}

/// `a.b: value` as `a: {b: value}`.
fn nested(flat: Map<String, Value>) -> Result<Map<String, Value>, ConfigError> {
    let mut tree = Map::new();
    for (key, value) in flat {
        let mut path = key.split('.').rev();
        let last = path.next().unwrap_or_default().to_owned();
        let (first, value) = path.fold((last, value), |(child, value), parent| {
            (parent.to_owned(), Value::Object(Map::from_iter([(child, value)])))
        });
        match (tree.get_mut(&first), value) {
            (None, value) => drop(tree.insert(first, value)),
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            _ => return Err(ConfigError::Shape(format!("parameter {key} is given twice"))),
        }
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_settings_read_from_a_plain_tree_and_from_ros_files() {
        let plain = "detector:\n  min_face_px: 10\n  score_threshold: 0.8\ntracker:\n  coast_secs: 2.0\n";
        let ros = "/**:\n  ros__parameters:\n    use_sim_time: true\n    detector.min_face_px: 10\n    detector.score_threshold: 0.8\n    tracker: {coast_secs: 2.0}\n";
        let config = Config::from_yaml(plain).unwrap();
        assert_eq!(config.detector.min_face_px, 10);
        assert_eq!(Config::from_yaml(ros).unwrap(), config);
        assert_eq!(Config::from_yaml("").unwrap(), Config::default());
        assert_eq!(Config::from_yaml("# nothing\n").unwrap(), Config::default());
    }

    #[test]
    fn misspelt_names_and_impossible_values_are_refused_by_name() {
        for (text, named) in [
            ("detector: {scor_threshold: 0.5}", "scor_threshold"),
            ("detector: {score_threshold: 7.5}", "0..=1"),
            ("detector: {min_face_px: 0}", "detector.min_face_px"),
            ("identity: {looks_hz: 0.0}", "identity.looks_hz"),
            ("tracker: {coast_secs: -1.0}", "tracker.coast_secs"),
            ("inference: {provider: gpu}", "gpu"),
            ("cameras: [left, left]", "cameras"),
            ("cameras: [2nd]", "2nd"),
            ("a: {ros__parameters: {}}\nb: {ros__parameters: {}}", "one node"),
            ("- a\n- b", "name: value"),
            ("detector: [", ""),
        ] {
            let error = Config::from_yaml(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_written_configuration_reads_back() {
        let text = serde_saphyr::to_string(&Config::default()).unwrap();
        assert_eq!(Config::from_yaml(&text).unwrap(), Config::default());
    }
}
