//! One loaded network, checked against its manifest, run on borrowed tensors.

use super::tape::Tape;
use crate::config::{InferenceConfig, Provider};
use crate::inference::InferenceError;
use crate::model::manifest::{Colour, Input};
use crate::model::store::ResolvedModel;
use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionOutputs};
use ort::value::{TensorElementType, TensorRef, ValueType};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
        "inference.provider is {provider}, which cannot be used: {reason}; choose auto or cpu, or set inference.allow_fallback"
    )]
    Provider {
        /// As in the configuration.
        provider: &'static str,
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
    environment: Environment,
    config: InferenceConfig,
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
        Ok(Self { environment, config: config.clone(), tape: None })
    }

    /// Networks loaded from now on note their runs on `tape`.
    #[must_use]
    pub fn recorded_on(self, tape: Tape) -> Self {
        Self { tape: Some(tape), ..self }
    }
}

/// Where the networks run that were loaded last, by model.
static PROVIDERS: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());

/// The provider that each model's networks were given to, as they were loaded last: `tensorrt`,
/// `cuda` or `cpu`.
pub fn providers_in_use() -> Vec<(String, &'static str)> {
    let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
    providers.iter().map(|(model, provider)| (model.clone(), *provider)).collect()
}

fn start_environment(library: &Path) -> Result<Environment, LoadError> {
    ort::init_from(library)
        .map_err(|e| LoadError::Library { reason: e.to_string() })?
        .with_name("rostro")
        .with_telemetry(false)
        .build()
        .map_err(|e| LoadError::Library { reason: format!("{}: {e}", library.display()) })
}

/// A network with one input.
pub(super) struct Net {
    /// Shared with the runs on a tape alone, which are never made at the same time.
    session: Arc<Mutex<Session>>,
    model: Arc<str>,
    input: Arc<str>,
    tape: Option<Tape>,
}

impl Net {
    /// Loads the part `part` of `model` and checks its input against the manifest.
    pub(super) fn load(runtime: &Runtime, model: &ResolvedModel, part: &str, input: &Input) -> Result<Self, LoadError> {
        let name = model.manifest.name.clone();
        let path = model.path(part).map_err(|e| mismatch(model, e.to_string()))?;
        let session = session_builder(runtime, &name)?.commit_from_file(path).map_err(|e| LoadError::File {
            model: name.clone(),
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        check_input(&session, input).map_err(|reason| mismatch(model, reason))?;
        Ok(Self {
            session: Arc::new(Mutex::new(session)),
            model: name.into(),
            input: input.name.as_str().into(),
            tape: runtime.tape.clone(),
        })
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
            tape.note(&self.session, (&self.model, &self.input), shape, values);
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        run_session(&mut session, &self.model, &self.input, (shape, values), read)
    }
}

/// Runs a session on an NCHW tensor and hands its outputs to `read`.
pub(super) fn run_session<T>(
    session: &mut Session,
    model: &str,
    input: &str,
    (shape, values): ([usize; 4], &[f32]),
    read: impl FnOnce(&Outputs<'_>) -> Result<T, String>,
) -> Result<T, InferenceError> {
    let failed = |reason: String| InferenceError { model: model.to_owned(), reason };
    let tensor = TensorRef::from_array_view((shape, values)).map_err(|e| failed(e.to_string()))?;
    let outputs = session.run(ort::inputs![input => tensor]).map_err(|e| failed(e.to_string()))?;
    read(&Outputs(outputs)).map_err(failed)
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
        if !values.iter().all(|v| v.is_finite()) {
            return Err(format!("output \"{name}\" holds numbers that are not finite"));
        }
        Ok(values)
    }
}

fn session_builder(runtime: &Runtime, model: &str) -> Result<SessionBuilder, LoadError> {
    let mut builder = Session::builder(&runtime.environment)
        .map_err(|e| LoadError::Library { reason: e.to_string() })?
        .with_intra_threads(runtime.config.threads.max(1) as usize)
        .unwrap_or_else(ort::Error::recover)
        // Spinning threads only fight on a machine whose cores are busy.
        .with_intra_op_spinning(false)
        .unwrap_or_else(ort::Error::recover);
    let provider = register_provider(&mut builder, &runtime.config)?;
    tracing::info!(model, provider, "loading network");
    PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(model.to_owned(), provider);
    Ok(builder)
}

/// Registers what the configuration asks for, and says what was registered. A provider's own word
/// that it is available is no evidence (a GPU build says so on a machine without a GPU), so the
/// registration decides.
fn register_provider(builder: &mut SessionBuilder, config: &InferenceConfig) -> Result<&'static str, LoadError> {
    let wanted: &[&'static str] = match config.provider {
        Provider::Cpu => return Ok("cpu"),
        Provider::Cuda => &["cuda"],
        Provider::TensorRt => &["tensorrt"],
        Provider::Auto => &["tensorrt", "cuda"],
    };
    let must_work = config.provider != Provider::Auto && !config.allow_fallback;
    for &provider in wanted {
        let registered = match provider {
            "tensorrt" => ep::TensorRT::default().register(builder),
            _ => ep::CUDA::default().register(builder),
        };
        match registered {
            Ok(()) => return Ok(provider),
            Err(e) if must_work => return Err(LoadError::Provider { provider, reason: e.to_string() }),
            Err(e) if config.provider == Provider::Auto => {
                tracing::debug!(provider, reason = %e, "provider not usable");
            }
            Err(e) => tracing::warn!(provider, reason = %e, "provider not usable, falling back to the CPU"),
        }
    }
    Ok("cpu")
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
