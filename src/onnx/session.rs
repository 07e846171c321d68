//! One loaded network, checked against its manifest, run on borrowed tensors.

use super::engines::{EngineKey, EngineStore};
use super::provider::{self, Attempt, Placement, text_of};
use super::tape::Tape;
use crate::config::InferenceConfig;
use crate::inference::InferenceError;
use crate::model::machine::{self, Machine};
use crate::model::manifest::{Colour, Input, Role};
use crate::model::store::{ModelStore, ResolvedModel};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{NoSelectedOutputs, RunOptions, Session, SessionOutputs};
use ort::value::{TensorElementType, TensorRef, ValueType};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Why a network cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The library itself.
    #[error("ONNX Runtime cannot be used: {reason}")]
    Library {
        /// What the loader said.
        reason: String,
    },
    /// A provider that was asked for by name.
    #[error(
        "inference.provider is {provider}, which cannot be used for {model}: {reason}; choose auto or cpu, or set inference.allow_fallback"
    )]
    Provider {
        /// As in the configuration.
        provider: &'static str,
        /// Manifest name.
        model: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The file is no network that this runtime can load.
    #[error("model {model}: {path} does not load: {reason}")]
    File {
        /// Manifest name.
        model: String,
        /// The file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The file is not what its manifest says.
    #[error("model {model} is not what its manifest says: {reason}")]
    Mismatch {
        /// Manifest name.
        model: String,
        /// The difference.
        reason: String,
    },
}

pub(super) fn mismatch(model: &ResolvedModel, reason: impl Into<String>) -> LoadError {
    LoadError::Mismatch { model: model.manifest.name.clone(), reason: reason.into() }
}

/// ONNX Runtime, loaded once per process.
#[derive(Clone)]
pub struct Runtime {
    pub(super) environment: Environment,
    pub(super) config: InferenceConfig,
    pub(super) engines: EngineStore,
    /// Whether a network must have been compared with its original; not while that is being done.
    pub(super) is_gated: bool,
    machine: Machine,
    version: String,
    tape: Option<Tape>,
}

/// ONNX Runtime allows one environment per process; this is it.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

impl Runtime {
    /// Loads the library at `library`; the first call in a process decides which one.
    ///
    /// # Errors
    /// [`LoadError::Library`] when it is no ONNX Runtime of version 1.17 or later.
    pub fn start(library: &Path, config: &InferenceConfig) -> Result<Self, LoadError> {
        let mut shared = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = match shared.as_ref() {
            Some(environment) => environment.clone(),
            None => shared.insert(start_environment(library)?).clone(),
        };
        let cache = ModelStore::open(&config.cache_dir).map_err(|e| LoadError::Library { reason: e.to_string() })?;
        Ok(Self {
            environment,
            config: config.clone(),
            engines: EngineStore::new(cache.folder().join("engines")),
            is_gated: true,
            machine: Machine::look(),
            version: library_version(library),
            tape: None,
        })
    }

    /// What is built of this network for `attempt` depends on this.
    pub(super) fn engine_key(&self, spec: &NetSpec, attempt: Attempt) -> EngineKey {
        let Shapes { least, usual, most } = spec.shapes;
        let (device, shapes, tensorrt) = match attempt {
            Attempt::Cpu => (self.processor(), "any".to_owned(), "none".to_owned()),
            Attempt::TensorRt(_) | Attempt::Cuda => (
                self.graphics_processor(),
                [least, usual, most].map(text_of).join(" "),
                or_none(self.machine.tensorrt.as_deref()),
            ),
        };
        EngineKey {
            model: spec.tag.clone(),
            part: spec.part.clone(),
            sha256: spec.sha256.clone(),
            precision: attempt.precision(),
            shapes,
            device,
            tensorrt,
            runtime: self.version.clone(),
        }
    }

    /// Whether what is kept for this processor would be found by this processor alone.
    pub(super) const fn knows_processor(&self) -> bool {
        self.machine.processor.is_some()
    }

    fn processor(&self) -> String {
        let name = or_none(self.machine.processor.as_deref());
        format!("{name} {} {}", std::env::consts::ARCH, machine::vector_instructions().join(" "))
    }

    /// The machine's first graphics processor stands for all of them.
    fn graphics_processor(&self) -> String {
        let Machine { gpu, driver, .. } = &self.machine;
        let number = match self.config.device {
            0 => String::new(),
            number => format!(" device {number}"),
        };
        format!("{} {}{number}", or_none(gpu.as_deref()), or_none(driver.as_deref()))
    }

    /// Whether this machine has a graphics processor that somebody will miss when it is not used.
    pub(super) const fn has_gpu(&self) -> bool {
        self.machine.gpu.is_some()
    }

    /// For comparing networks with their originals: those that never were, or failed, load too.
    #[must_use]
    pub(super) fn ungated(self) -> Self {
        Self { is_gated: false, ..self }
    }

    /// Networks loaded from now on note their runs on `tape`.
    #[must_use]
    pub fn recorded_on(self, tape: Tape) -> Self {
        Self { tape: Some(tape), ..self }
    }
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or("none").to_owned()
}

/// The library's version by its file name, and its length: builds of one version, with and without CUDA, differ.
fn library_version(library: &Path) -> String {
    let real = library.canonicalize().unwrap_or_else(|_| library.to_owned());
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let version = name.split_once(".so.").map_or("unknown", |(_, version)| version);
    format!("{version}.{}", real.metadata().map_or(0, |data| data.len()))
}

/// Where the networks run that were loaded last, by model and part.
static PROVIDERS: Mutex<BTreeMap<String, NetPlace>> = Mutex::new(BTreeMap::new());

/// Where one network runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetPlace {
    /// Name of the model and the first digits of its hash.
    pub tag: String,
    /// The provider and precision it was given to.
    pub given_to: String,
    /// The providers of its nodes, as ONNX Runtime logged them.
    pub placement: Placement,
}

/// Where each network really runs, as they were loaded last, by model (and part, where it has several).
pub fn providers_in_use() -> Vec<(String, NetPlace)> {
    let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
    providers.iter().map(|(model, place)| (model.clone(), place.clone())).collect()
}

fn start_environment(library: &Path) -> Result<Environment, LoadError> {
    ort::init_from(library)
        .map_err(|e| LoadError::Library { reason: e.to_string() })?
        .with_name("rostro")
        .with_telemetry(false)
        .build()
        .map_err(|e| LoadError::Library { reason: format!("{}: {e}", library.display()) })
}

/// The shapes that a network is run with, NCHW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shapes {
    pub(super) least: [usize; 4],
    pub(super) usual: [usize; 4],
    pub(super) most: [usize; 4],
}

impl Shapes {
    /// Images of one size, up to `most` at a time.
    pub(super) fn batches([channels, rows, columns]: [usize; 3], usual: usize, most: usize) -> Self {
        let of = |count| [count, channels, rows, columns];
        Self { least: of(1), usual: of(usual), most: of(most) }
    }
}

/// All that is needed to load a network.
#[derive(Clone, Debug)]
pub(super) struct NetSpec {
    pub(super) model: String,
    /// Name and the first digits of the hash.
    pub(super) tag: String,
    pub(super) part: String,
    pub(super) path: PathBuf,
    /// SHA-256 of this part's file.
    pub(super) sha256: String,
    /// Name of its input.
    pub(super) input: String,
    pub(super) role: Role,
    pub(super) shapes: Shapes,
}

impl NetSpec {
    /// Name of the model, and of the part where it has several.
    pub(super) fn name(&self) -> String {
        if self.part == "model" { self.model.clone() } else { format!("{}_{}", self.model, self.part) }
    }
}

/// A network with one input.
pub(super) struct Net {
    /// Shared with the runs on a tape alone, which are never made at the same time.
    session: Arc<Mutex<Session>>,
    spec: Arc<NetSpec>,
    tape: Option<Tape>,
}

impl Net {
    /// Loads the part `part` of `model` and checks its input against the manifest.
    pub(super) fn load(
        runtime: &Runtime,
        model: &ResolvedModel,
        part: &str,
        input: &Input,
        shapes: Shapes,
    ) -> Result<Self, LoadError> {
        let spec = NetSpec {
            model: model.manifest.name.clone(),
            tag: model.tag().to_string(),
            part: part.to_owned(),
            path: model.path(part).map_err(|e| mismatch(model, e.to_string()))?.to_owned(),
            sha256: model.sha256(part).to_owned(),
            input: input.name.clone(),
            role: model.manifest.role,
            shapes,
        };
        let loaded = provider::load(runtime, &spec)?;
        check_input(&loaded.session, input).map_err(|reason| mismatch(model, reason))?;
        let given_to = loaded.attempt.to_string();
        let place = NetPlace { tag: spec.tag.clone(), given_to, placement: loaded.placement };
        tracing::info!(model = spec.model, part, given_to = %place.given_to, runs_on = %place.placement, "network loaded");
        PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(spec.name(), place);
        let session = Arc::new(Mutex::new(loaded.session));
        Ok(Self { session, spec: Arc::new(spec), tape: runtime.tape.clone() })
    }

    /// Name of the first output.
    pub(super) fn first_output(&self) -> String {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.outputs().first().map(|output| output.name().to_owned()).unwrap_or_default()
    }

    /// Runs the network on an NCHW tensor and hands its outputs to `read`.
    pub(super) fn run<T>(
        &mut self,
        shape: [usize; 4],
        values: &[f32],
        read: impl FnOnce(&Outputs<'_>) -> Result<T, String>,
    ) -> Result<T, InferenceError> {
        if let Some(tape) = &self.tape {
            tape.note(&self.session, &self.spec, shape, values);
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        run_session(&mut session, &self.spec, (shape, values), read)
    }
}

/// Runs a session on an NCHW tensor and hands its outputs to `read`.
pub(super) fn run_session<T>(
    session: &mut Session,
    spec: &NetSpec,
    (shape, values): ([usize; 4], &[f32]),
    read: impl FnOnce(&Outputs<'_>) -> Result<T, String>,
) -> Result<T, InferenceError> {
    let failed = |reason: String| InferenceError { model: spec.model.clone(), reason };
    let tensor = TensorRef::from_array_view((shape, values)).map_err(|e| failed(e.to_string()))?;
    let options = run_options().map_err(|e| failed(e.to_string()))?;
    let inputs = ort::inputs![spec.input.as_str() => tensor];
    let outputs = session.run_with_options(inputs, options).map_err(|e| failed(e.to_string()))?;
    read(&Outputs(outputs)).map_err(failed)
}

/// Options of every run: a session logs everything, so that it says where its nodes go; a run need not.
fn run_options() -> ort::Result<&'static RunOptions<NoSelectedOutputs>> {
    static OPTIONS: OnceLock<RunOptions<NoSelectedOutputs>> = OnceLock::new();
    if let Some(options) = OPTIONS.get() {
        return Ok(options);
    }
    let mut options = RunOptions::new()?;
    options.set_log_level(LogLevel::Warning)?;
    Ok(OPTIONS.get_or_init(|| options))
}

/// The tensors that a run made.
pub(super) struct Outputs<'a>(SessionOutputs<'a>);

impl Outputs<'_> {
    /// Shape and numbers of the output called `name`.
    pub(super) fn tensor(&self, name: &str) -> Result<(&[i64], &[f32]), String> {
        let value = self.0.get(name).ok_or_else(|| format!("the network has no output called \"{name}\""))?;
        let (shape, values) = value.try_extract_tensor::<f32>().map_err(|e| format!("output \"{name}\": {e}"))?;
        Ok((shape, values))
    }

    /// The output called `name`, which must hold `length` finite numbers.
    pub(super) fn finite(&self, name: &str, length: usize) -> Result<&[f32], String> {
        let (_, values) = self.tensor(name)?;
        if values.len() != length {
            return Err(format!("output \"{name}\" has {} numbers, {length} were expected", values.len()));
        }
        // Without a way out of the loop, several are looked at at once.
        if !values.iter().fold(true, |all, v| all & v.is_finite()) {
            return Err(format!("output \"{name}\" holds numbers that are not finite"));
        }
        Ok(values)
    }
}

/// The numbers of every output, in the network's order.
pub(super) fn all_numbers(outputs: &Outputs<'_>) -> Result<Vec<Vec<f32>>, String> {
    outputs.0.keys().map(|name| outputs.tensor(name).map(|(_, values)| values.to_vec())).collect()
}

fn check_input(session: &Session, input: &Input) -> Result<(), String> {
    let [found] = session.inputs() else {
        return Err(format!("the network has {} inputs, one was expected", session.inputs().len()));
    };
    if found.name() != input.name {
        return Err(format!("the network's input is called \"{}\", not \"{}\"", found.name(), input.name));
    }
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = found.dtype() else {
        return Err(format!("the network's input is {}, not 32-bit floats", found.dtype()));
    };
    let channels = if input.colour == Colour::Grey { 1 } else { 3 };
    let wanted = [-1, channels, input.height.map_or(-1, i64::from), input.width.map_or(-1, i64::from)];
    let fits = shape.len() == 4 && shape.iter().zip(wanted).all(|(&have, want)| have < 0 || want < 0 || want == have);
    if fits {
        Ok(())
    } else {
        Err(format!("the network's input is {}, the manifest says {}", shape_text(shape), shape_text(&wanted)))
    }
}

fn shape_text(shape: &[i64]) -> String {
    let sides: Vec<String> = shape.iter().map(|d| if *d < 0 { "?".to_owned() } else { d.to_string() }).collect();
    sides.join("x")
}
