//! Puts the line together from a configuration: finds ONNX Runtime, installs what is missing, loads
//! the networks. Everything slow at the start happens here.

use crate::align::PointScheme;
use crate::bench::frames::Frames;
use crate::config::{AUTO, Config, Provider};
use crate::demo::photos;
use crate::ids::CameraId;
use crate::landmarks::ShapePredictor;
use crate::model::machine;
use crate::model::manifest::{Alignment, Manifest, Role};
use crate::model::pictures::demo_pictures;
use crate::model::store::{InstallOptions, ModelStore, ResolvedModel};
use crate::model::{Progress, runtime};
use crate::onnx::{self, OnnxEmbedder, OnnxEmotionClassifier, Prepared, Runtime, Tape};
use crate::pipeline::{EmbeddingStage, EmotionStage, Pipeline, Stages};
use anyhow::{Context, ensure};
use std::path::PathBuf;

/// Runs one step of the start inside a span, by which whoever listens measures its time.
macro_rules! in_step {
    ($name:literal, $work:expr) => {{
        let _step = tracing::trace_span!(target: "rostro::start", $name).entered();
        $work
    }};
}

/// Loads every stage that `config` asks for, fetching models that are not there yet.
///
/// # Errors
/// The first thing that is missing or wrong, with what to do about it.
pub fn load_pipeline(config: &Config, progress: &mut dyn Progress) -> anyhow::Result<Pipeline> {
    load_on(config, None, progress)
}

/// As [`load_pipeline`], with every run of a network noted on `tape`.
///
/// # Errors
/// The first thing that is missing or wrong, with what to do about it.
pub fn load_recorded_pipeline(config: &Config, tape: Tape, progress: &mut dyn Progress) -> anyhow::Result<Pipeline> {
    load_on(config, Some(tape), progress)
}

/// Prepares what `config.inference.provider` needs, and compares every network with its original on the CPU, on
/// a frame with five faces.
///
/// # Errors
/// The first thing that is missing or wrong, with what to do about it.
pub fn prepare(config: &Config, progress: &mut dyn Progress) -> anyhow::Result<Vec<Prepared>> {
    let mut on_cpu = config.clone();
    // What will run is what must be compared, whatever the CPU would take for itself.
    emotion_model(config).clone_into(&mut on_cpu.emotion.model);
    on_cpu.inference.provider = Provider::Cpu;
    let tape = Tape::default();
    let mut line = load_recorded_pipeline(&on_cpu, tape.clone(), progress)?;
    let store = ModelStore::open(&config.inference.cache_dir)?;
    let pictures = store.install_bundle(&demo_pictures(), &InstallOptions::default(), progress)?;
    let frames = Frames::compose(&photos::cutouts(&pictures)?, (640, 480), 5);
    tape.keep(true);
    line.process(&frames.frame(&CameraId::default(), 0))?;
    let runtime = start_runtime(config, &store, progress)?;
    let prepared = onnx::prepare(&runtime, &tape.take_runs(), |what| progress.begin(what, None))?;
    progress.end();
    Ok(prepared)
}

/// The models that `config` asks for, by name.
///
/// # Errors
/// When a manifest cannot be read.
pub fn model_names(config: &Config) -> anyhow::Result<Vec<String>> {
    let mut names = vec![config.detector.model.clone()];
    let detector = Manifest::load(&config.detector.model)?;
    names.extend(detector.detection.and_then(|detection| detection.landmarks));
    if config.identity.enabled {
        names.push(config.identity.model.clone());
    }
    if config.emotion.enabled && !config.emotion.model.is_empty() {
        names.push(emotion_model(config).to_owned());
    }
    Ok(names)
}

/// The name that `emotion.model` stands for.
pub fn emotion_model(config: &Config) -> &str {
    if config.emotion.model != AUTO {
        return &config.emotion.model;
    }
    expression_net(config.inference.provider, machine::has_gpu(), machine::is_quick_with_bytes())
}

/// Our net in eight-bit integers on a processor that is quicker with them: it takes about half the time there. In
/// floats where that was not measured (ARM), and where there is a graphics processor.
const fn expression_net(provider: Provider, has_gpu: bool, quick_with_bytes: bool) -> &'static str {
    let on_cpu = match provider {
        Provider::Cpu => true,
        Provider::Auto => !has_gpu,
        Provider::Cuda | Provider::TensorRt => false,
    };
    if on_cpu && quick_with_bytes { "rostro-emotion-int8" } else { "rostro-emotion" }
}

fn load_on(config: &Config, tape: Option<Tape>, progress: &mut dyn Progress) -> anyhow::Result<Pipeline> {
    let store = ModelStore::open(&config.inference.cache_dir)?;
    let mut runtime = start_runtime(config, &store, progress)?;
    if let Some(tape) = tape {
        runtime = runtime.recorded_on(tape);
    }
    let stages = load_stages(config, &store, &runtime, progress)?;
    Ok(Pipeline::new(config.clone(), stages))
}

/// As [`load_pipeline`], with the people of [`gallery_path`], for a robot.
///
/// # Errors
/// The first thing that is missing or wrong, with what to do about it.
pub fn load_node_pipeline(config: &Config, progress: &mut dyn Progress) -> anyhow::Result<Pipeline> {
    let mut line = load_pipeline(config, progress)?;
    announce_expressions(config);
    if config.identity.enabled {
        line.open_gallery(&gallery_path(config)?)?;
    }
    Ok(line)
}

/// People have a right to know that a machine reads their faces, and whoever starts it, how to stop that.
fn announce_expressions(config: &Config) {
    let read = |camera: &&CameraId| !config.emotion.model.is_empty() && config.emotion.is_on(camera);
    let cameras: Vec<&str> = config.cameras.iter().filter(read).map(CameraId::as_str).collect();
    if !cameras.is_empty() {
        tracing::info!(
            "the expressions of people are read on {}; emotion.enabled: false turns that off, emotion.cameras restricts it",
            cameras.join(", ")
        );
    }
}

/// The gallery's file: `gallery.path`, else in the user's folder of program states.
///
/// # Errors
/// When neither is known.
pub fn gallery_path(config: &Config) -> anyhow::Result<PathBuf> {
    if !config.gallery.path.is_empty() {
        return Ok(PathBuf::from(&config.gallery.path));
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The convention for these variables: a relative XDG_STATE_HOME is ignored.
    let states = set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let states = states.or_else(|| Some(set("HOME")?.join(".local/state")));
    let states =
        states.context("no folder for the gallery: neither XDG_STATE_HOME nor HOME is set; set gallery.path")?;
    Ok(states.join("rostro/gallery.db"))
}

/// The classifier of `config.emotion.model` alone, and its framing; with `fer2013` it answers in the sense of
/// FER2013's labels when it can.
///
/// # Errors
/// The first thing that is missing or wrong, with what to do about it.
pub fn load_classifier(
    config: &Config,
    fer2013: bool,
    progress: &mut dyn Progress,
) -> anyhow::Result<(OnnxEmotionClassifier, Alignment)> {
    let store = ModelStore::open(&config.inference.cache_dir)?;
    let runtime = start_runtime(config, &store, progress)?;
    let name = emotion_model(config);
    let model = store.ensure(name, progress)?;
    let found = model.manifest.role;
    ensure!(found == Role::Emotion, "model {name} is a {found}, an {} is needed", Role::Emotion);
    let load = if fer2013 { OnnxEmotionClassifier::load_fer2013 } else { OnnxEmotionClassifier::load };
    let alignment = model.manifest.alignment.clone().context("a classifier's manifest lacks [alignment]")?;
    Ok((load(&runtime, &model)?, alignment))
}

fn start_runtime(config: &Config, store: &ModelStore, progress: &mut dyn Progress) -> anyhow::Result<Runtime> {
    let library = in_step!("check ONNX Runtime", runtime::ensure(store, progress))?;
    tracing::debug!(library = %library.path.display(), found = %library.found, "ONNX Runtime");
    in_step!("load ONNX Runtime", Runtime::start(&library.path, &config.inference))
        .with_context(|| format!("{} ({})", library.path.display(), library.found))
}

fn load_stages(
    config: &Config,
    store: &ModelStore,
    runtime: &Runtime,
    progress: &mut dyn Progress,
) -> anyhow::Result<Stages> {
    let mut find = |name: &str, role: Role| -> anyhow::Result<ResolvedModel> {
        let model = in_step!("check files", store.ensure(name, progress))?;
        let found = model.manifest.role;
        ensure!(found == role, "model {name} is a {found:?}, a {role:?} is needed");
        Ok(model)
    };
    let detector = find(&config.detector.model, Role::FaceDetector)?;
    let landmarks = match detector.manifest.detection.as_ref().and_then(|d| d.landmarks.as_deref()) {
        Some(name) => {
            let model = find(name, Role::Landmarks)?;
            Some(in_step!("load landmarks", load_landmarks(&model))?)
        }
        None => None,
    };
    let scheme = if landmarks.is_some() { PointScheme::DlibFive } else { PointScheme::FivePoint };
    let mut stages = Stages {
        detector: in_step!("load detector", onnx::load_detector(runtime, &detector, &config.detector))?,
        landmarks,
        embedding: None,
        emotion: None,
    };
    if config.identity.enabled {
        let model = find(&config.identity.model, Role::Embedder)?;
        let embedder = Box::new(in_step!("load embedder", OnnxEmbedder::load(runtime, &model))?);
        let alignment = alignment_of(&model, scheme)?;
        let similarity = model.manifest.similarity.clone().context("an embedder's manifest lacks [similarity]")?;
        stages.embedding = Some(EmbeddingStage { embedder, alignment, similarity });
    }
    if config.emotion.enabled && !config.emotion.model.is_empty() {
        let model = find(emotion_model(config), Role::Emotion)?;
        let classifier = Box::new(in_step!("load emotion", OnnxEmotionClassifier::load(runtime, &model))?);
        let output = model.manifest.emotion.as_ref().context("a classifier's manifest lacks [emotion]")?;
        let prior = output.prior();
        stages.emotion = Some(EmotionStage { classifier, alignment: alignment_of(&model, scheme)?, prior });
    }
    Ok(stages)
}

fn load_landmarks(model: &ResolvedModel) -> anyhow::Result<ShapePredictor> {
    let name = &model.manifest.name;
    let path = model.path("model")?;
    let bytes = std::fs::read(path).with_context(|| format!("model {name}: reading {}", path.display()))?;
    ShapePredictor::parse(&bytes).with_context(|| format!("model {name}: {}", path.display()))
}

/// The framing of `model`, which must know the points that the detector delivers.
fn alignment_of(model: &ResolvedModel, scheme: PointScheme) -> anyhow::Result<Alignment> {
    let name = &model.manifest.name;
    let alignment =
        model.manifest.alignment.clone().with_context(|| format!("the manifest of {name} lacks [alignment]"))?;
    ensure!(
        [scheme, PointScheme::FivePoint].iter().any(|scheme| alignment.templates.contains_key(scheme)),
        "model {name} has no template for the points of the chosen detector ({scheme:?}); choose another detector.model"
    );
    Ok(alignment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expression_net_is_in_integers_only_on_a_processor_that_is_quick_with_them() {
        for (provider, has_gpu, quick_with_bytes, in_integers) in [
            (Provider::Auto, false, true, true),
            (Provider::Auto, false, false, false),
            (Provider::Auto, true, true, false),
            (Provider::Cpu, true, true, true),
            (Provider::Cpu, false, false, false),
            (Provider::Cuda, false, true, false),
            (Provider::TensorRt, true, true, false),
        ] {
            let net = expression_net(provider, has_gpu, quick_with_bytes);
            assert_eq!(net.ends_with("-int8"), in_integers, "{provider:?}, {has_gpu}, {quick_with_bytes}");
        }
        let mut config = Config::default();
        config.emotion.model = "mine".into();
        assert_eq!(emotion_model(&config), "mine");
    }
}
