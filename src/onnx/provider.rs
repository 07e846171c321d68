//! Where a network runs: TensorRT, CUDA or the CPU, tried in the order that the configuration wants, and what
//! ONNX Runtime really did with it.

use super::engines::{EngineKey, IfBusy};
use super::layout;
use super::session::{LoadError, NetSpec, Runtime};
use crate::config::{InferenceConfig, Precision, Provider};
use crate::runtime as clock;
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One way to run a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    TensorRt(Precision),
    Cuda,
    Cpu,
}

impl Attempt {
    const fn provider(self) -> &'static str {
        match self {
            Self::TensorRt(_) => "tensorrt",
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        }
    }

    /// As it stands in the key of what was built or compared.
    pub(super) fn precision(self) -> String {
        match self {
            Self::TensorRt(precision) => precision.name().to_owned(),
            Self::Cuda => "cuda".to_owned(),
            Self::Cpu => "cpu".to_owned(),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TensorRt(precision) => write!(f, "tensorrt {}", precision.name()),
            other => f.write_str(other.provider()),
        }
    }
}

/// What `config` allows, the best first. What it asks for by name stands alone unless it may fall back.
pub(super) fn attempts(config: &InferenceConfig) -> Vec<Attempt> {
    let wanted = config.precision;
    let all = [Precision::Int8, Precision::Fp16, Precision::Fp32];
    let tensorrt = all.into_iter().skip_while(|precision| *precision != wanted).map(Attempt::TensorRt);
    let order: Vec<Attempt> = match config.provider {
        Provider::Cpu => vec![Attempt::Cpu],
        Provider::Cuda => vec![Attempt::Cuda, Attempt::Cpu],
        Provider::TensorRt | Provider::Auto => tensorrt.chain([Attempt::Cuda, Attempt::Cpu]).collect(),
    };
    let most = if config.provider == Provider::Auto || config.allow_fallback { order.len() } else { 1 };
    order[..most].to_vec()
}

/// The providers that the nodes of a network were given to, by the names of the configuration, with the number
/// of nodes. TensorRT makes one node of all that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement(BTreeMap<String, usize>);

impl Placement {
    /// The provider of all nodes; none when there are several, or when ONNX Runtime did not say.
    pub fn single(&self) -> Option<&str> {
        let mut names = self.0.keys();
        names.next().filter(|_| names.next().is_none()).map(String::as_str)
    }

    fn has(&self, provider: &str) -> bool {
        self.0.contains_key(provider)
    }

    /// Takes a line of ONNX Runtime's log into account: `... placed on [CPUExecutionProvider]. Number of
    /// nodes: 106`.
    fn read(&mut self, line: &str) {
        let Some((_, rest)) = line.split_once("placed on [") else { return };
        let Some((name, rest)) = rest.split_once(']') else { return };
        let Some(count) = rest.rsplit(' ').next().and_then(|count| count.trim().parse::<usize>().ok()) else { return };
        let name = name.trim_end_matches("ExecutionProvider").to_lowercase();
        *self.0.entry(name).or_insert(0) += count;
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = self.single() {
            return f.write_str(provider);
        }
        if self.0.is_empty() {
            return f.write_str("unknown");
        }
        let parts: Vec<String> = self.0.iter().map(|(name, count)| format!("{name} ({count} nodes)")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// A loaded network, and where it is.
pub(super) struct Loaded {
    pub(super) session: Session,
    pub(super) attempt: Attempt,
    pub(super) placement: Placement,
}

/// Loads a network in the first way that works, and says why the better ones did not.
///
/// # Errors
/// [`LoadError`] when none works.
pub(super) fn load(runtime: &Runtime, spec: &NetSpec) -> Result<Loaded, LoadError> {
    let all = attempts(&runtime.config);
    let mut reason = String::new();
    for (index, attempt) in all.iter().enumerate() {
        match load_one(runtime, spec, *attempt) {
            Ok((session, placement)) => return Ok(Loaded { session, attempt: *attempt, placement }),
            Err(reason) if *attempt == Attempt::Cpu => return Err(file_error(spec, reason)),
            Err(why) => reason = why,
        }
        let Some(next) = all.get(index + 1) else { break };
        let (model, part) = (&spec.model, &spec.part);
        if runtime.config.provider == Provider::Auto && !runtime.has_gpu() {
            tracing::debug!(%model, %part, tried = %attempt, %reason, next = %next, "not usable");
        } else {
            tracing::warn!(%model, %part, "{attempt} cannot be used: {reason}; falling back to {next}");
        }
    }
    let provider = all.last().map_or("auto", |attempt| attempt.provider());
    Err(LoadError::Provider { provider, model: spec.model.clone(), reason })
}

/// Loads a network in one way.
///
/// # Errors
/// Why that cannot be done, or must not.
pub(super) fn load_one(runtime: &Runtime, spec: &NetSpec, attempt: Attempt) -> Result<(Session, Placement), String> {
    let key = runtime.engine_key(spec, attempt);
    if attempt == Attempt::Cpu {
        return layout::load(runtime, spec, &key);
    }
    check_registers(runtime, attempt)?;
    if runtime.is_gated {
        check_parity(runtime, &key, attempt)?;
    }
    let (session, placement) = match attempt {
        Attempt::TensorRt(precision) => load_tensorrt(runtime, spec, precision, &key)?,
        _ => open(runtime, spec, |builder| with_cuda(runtime, builder))?,
    };
    if !placement.has(attempt.provider()) {
        return Err(format!("it was registered, but the network was placed on: {placement}"));
    }
    Ok((session, placement))
}

/// A provider's own word that it is available is no evidence (a GPU build says so on a machine without a GPU),
/// so it is registered once before anything is built for it.
pub(super) fn check_registers(runtime: &Runtime, attempt: Attempt) -> Result<(), String> {
    let mut builder = Session::builder(&runtime.environment).map_err(|error| error.to_string())?;
    match attempt {
        Attempt::TensorRt(_) => ep::TensorRT::default().register(&mut builder).map_err(|error| error.to_string()),
        Attempt::Cuda => register_cuda(runtime, &mut builder),
        Attempt::Cpu => Ok(()),
    }
}

/// TensorRT is used only where its engine was built ahead and shown to give the same answers, and nothing that
/// was shown to give others.
fn check_parity(runtime: &Runtime, key: &EngineKey, attempt: Attempt) -> Result<(), String> {
    match runtime.engines.parity(key) {
        Some(parity) if parity.passed() => Ok(()),
        Some(parity) => Err(format!(
            "its answers differ from those of fp32 on the CPU by {:.4}, more than {:.4}",
            parity.worst, parity.allowed
        )),
        None if attempt == Attempt::Cuda => Ok(()),
        None => Err("nothing is prepared for it on this machine; run: rostro prepare".to_owned()),
    }
}

fn load_tensorrt(
    runtime: &Runtime,
    spec: &NetSpec,
    precision: Precision,
    key: &EngineKey,
) -> Result<(Session, Placement), String> {
    if precision == Precision::Int8 && !is_quantised(&spec.path) {
        return Err("int8 needs a quantised network (with QuantizeLinear nodes), and this one is not".to_owned());
    }
    let timing = runtime.engines.timing_cache(key);
    let provider = |folder: &Path| {
        let shapes = |shape: [usize; 4]| format!("{}:{}", spec.input, text_of(shape));
        ep::TensorRT::default()
            .with_device_id(runtime.config.device as i32)
            .with_fp16(precision != Precision::Fp32)
            .with_int8(precision == Precision::Int8)
            .with_engine_cache(true)
            .with_engine_cache_path(folder.display())
            .with_timing_cache(true)
            .with_timing_cache_path(timing.display())
            .with_profile_min_shapes(shapes(spec.shapes.least))
            .with_profile_opt_shapes(shapes(spec.shapes.usual))
            .with_profile_max_shapes(shapes(spec.shapes.most))
    };
    let open_in = |folder: &Path| {
        open(runtime, spec, |mut builder| {
            provider(folder).register(&mut builder).map_err(|error| error.to_string())?;
            // What TensorRT does not take still belongs on the graphics processor.
            with_cuda(runtime, builder)
        })
    };
    let folder = runtime.engines.ensure(key, IfBusy::Wait, |partial| {
        let building = Building::begin(format!("{} in {}", spec.name(), precision.name()));
        std::fs::create_dir_all(&timing).map_err(|error| format!("{}: {error}", timing.display()))?;
        open_in(partial)?;
        building.done();
        Ok(())
    })?;
    open_in(&folder)
}

/// The engine that is being built, and since when.
static BUILDING: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// What is being built for a graphics processor at this moment, and for how long already: for the diagnostics of a
/// node whose start takes minutes.
pub fn in_building() -> Option<(String, Duration)> {
    let building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    building.as_ref().map(|(what, began)| (what.clone(), began.elapsed()))
}

/// Says what is being built, as long as it lives.
struct Building {
    what: String,
    began: Instant,
}

impl Building {
    fn begin(what: String) -> Self {
        tracing::warn!("TensorRT builds an engine for {what}; this takes minutes, once");
        let began = clock::now();
        *BUILDING.lock().unwrap_or_else(PoisonError::into_inner) = Some((what.clone(), began));
        Self { what, began }
    }

    fn done(self) {
        tracing::warn!("the engine for {} is built, in {:.0} s", self.what, self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        *BUILDING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn register_cuda(runtime: &Runtime, builder: &mut SessionBuilder) -> Result<(), String> {
    let cuda = ep::CUDA::default().with_device_id(runtime.config.device as i32);
    // TF32 would drop 13 of the 23 digits of fp32 without having been asked for.
    cuda.with_tf32(false).register(builder).map_err(|error| error.to_string())
}

fn with_cuda(runtime: &Runtime, mut builder: SessionBuilder) -> Result<SessionBuilder, String> {
    register_cuda(runtime, &mut builder)?;
    Ok(builder)
}

/// Opens a session with what `add` adds, and reads off ONNX Runtime's log where the nodes went.
pub(super) fn open(
    runtime: &Runtime,
    spec: &NetSpec,
    add: impl FnOnce(SessionBuilder) -> Result<SessionBuilder, String>,
) -> Result<(Session, Placement), String> {
    let placement = Arc::new(Mutex::new(Placement::default()));
    let log = {
        let placement = Arc::clone(&placement);
        move |level: LogLevel, _: &str, _: &str, _: &str, text: &str| {
            placement.lock().unwrap_or_else(PoisonError::into_inner).read(text);
            match level {
                LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "ort", "{text}"),
                LogLevel::Warning => tracing::debug!(target: "ort", "{text}"),
                _ => tracing::trace!(target: "ort", "{text}"),
            }
        }
    };
    let builder = Session::builder(&runtime.environment)
        .map_err(|error| error.to_string())?
        .with_intra_threads(runtime.config.threads.max(1) as usize)
        .unwrap_or_else(ort::Error::recover)
        // Spinning threads only fight on a machine whose cores are busy.
        .with_intra_op_spinning(false)
        .unwrap_or_else(ort::Error::recover)
        // A plan of the memory is made for every shape of the input: worth it where only their number varies, for
        // pictures of many sizes it costs more memory than it saves time.
        .with_memory_pattern(spec.shapes.least[1..] == spec.shapes.most[1..])
        .unwrap_or_else(ort::Error::recover)
        .with_log_level(LogLevel::Verbose)
        .unwrap_or_else(ort::Error::recover)
        .with_logger(Arc::new(log))
        .unwrap_or_else(ort::Error::recover);
    let session = add(builder)?.commit_from_file(&spec.path).map_err(|error| error.to_string())?;
    let placement = placement.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((session, placement))
}

fn file_error(spec: &NetSpec, reason: String) -> LoadError {
    LoadError::File { model: spec.model.clone(), path: spec.path.clone(), reason }
}

/// Whether the ONNX file quantises explicitly: the name of the operator stands in it as text.
fn is_quantised(path: &Path) -> bool {
    let name = b"QuantizeLinear";
    std::fs::read(path).is_ok_and(|bytes| bytes.windows(name.len()).any(|window| window == name))
}

/// A shape as TensorRT's options have it.
pub(super) fn text_of(shape: [usize; 4]) -> String {
    shape.map(|side| side.to_string()).join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(provider: Provider, precision: Precision, allow_fallback: bool) -> InferenceConfig {
        InferenceConfig { provider, allow_fallback, precision, ..InferenceConfig::default() }
    }

    #[test]
    fn what_is_asked_for_by_name_stands_alone_unless_it_may_fall_back() {
        use Attempt::{Cpu, Cuda, TensorRt};
        let (fp16, fp32) = (TensorRt(Precision::Fp16), TensorRt(Precision::Fp32));
        assert_eq!(attempts(&config(Provider::Auto, Precision::Fp16, false)), [fp16, fp32, Cuda, Cpu]);
        assert_eq!(attempts(&config(Provider::TensorRt, Precision::Fp16, false)), [fp16]);
        assert_eq!(attempts(&config(Provider::TensorRt, Precision::Fp32, true)), [fp32, Cuda, Cpu]);
        let int8 = attempts(&config(Provider::TensorRt, Precision::Int8, true));
        assert_eq!(int8, [TensorRt(Precision::Int8), fp16, fp32, Cuda, Cpu]);
        assert_eq!(attempts(&config(Provider::Cuda, Precision::Fp16, false)), [Cuda]);
        assert_eq!(attempts(&config(Provider::Cpu, Precision::Int8, true)), [Cpu]);
    }

    #[test]
    fn what_is_being_built_is_told_until_it_is_built_or_given_up() {
        assert_eq!(in_building(), None);
        let building = Building::begin("dlib-resnet-v1 in fp16".into());
        assert_eq!(in_building().unwrap().0, "dlib-resnet-v1 in fp16");
        building.done();
        assert_eq!(in_building(), None);
        drop(Building::begin("given up".into()));
        assert_eq!(in_building(), None);
    }

    #[test]
    fn placement_is_read_off_the_log() {
        let mut placement = Placement::default();
        placement.read("Node placements");
        assert_eq!((placement.single(), placement.to_string().as_str()), (None, "unknown"));
        placement.read(" All nodes placed on [CPUExecutionProvider]. Number of nodes: 106");
        assert_eq!((placement.single(), placement.has("cpu")), (Some("cpu"), true));
        placement.read(" Node(s) placed on [TensorrtExecutionProvider]. Number of nodes: 1");
        assert_eq!(placement.single(), None);
        assert_eq!(placement.to_string(), "cpu (106 nodes), tensorrt (1 nodes)");
        for nonsense in ["placed on [", "placed on [X", "placed on [X]. Number of nodes: many"] {
            placement.read(nonsense);
        }
        assert!(placement.has("tensorrt"));
    }
}
