//! Builds what a provider needs ahead of its first use, and compares every network in its new precision with its
//! fp32 original on the CPU.

use super::gate::Parity;
use super::provider::{self, Attempt, Placement, attempts};
use super::session::{LoadError, NetSpec, Runtime, all_numbers, run_session};
use super::tape::RecordedRun;
use crate::config::Provider;
use ort::session::Session;
use std::sync::PoisonError;

/// How one network did in one way of running it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Model, and part where it has several.
    pub network: String,
    /// Provider and precision.
    pub attempt: String,
    /// Where its nodes are and how it answers, or why it cannot be run so.
    pub result: Result<(Placement, Parity), String>,
}

impl Prepared {
    /// Whether the network may be run so.
    pub fn passed(&self) -> bool {
        self.result.as_ref().is_ok_and(|(_, parity)| parity.passed())
    }
}

/// Prepares the networks of `runs`, which were recorded on the CPU: for each the first way of running it, of
/// those that the configuration allows, whose answers are right. `begin` is told what is worked at.
///
/// # Errors
/// [`LoadError`] when a comparison cannot be kept.
pub fn prepare(
    runtime: &Runtime,
    runs: &[RecordedRun],
    mut begin: impl FnMut(&str),
) -> Result<Vec<Prepared>, LoadError> {
    let runtime = runtime.clone().ungated();
    let mut done = Vec::new();
    for spec in networks(runs) {
        let own: Vec<&RecordedRun> = runs.iter().filter(|run| is_same(&run.spec, spec)).collect();
        for attempt in attempts(&runtime.config) {
            let network = spec.name();
            begin(&format!("{network} on {attempt}"));
            let result = try_out(&runtime, spec, attempt, &own);
            if let Ok((_, parity)) = &result
                && attempt != Attempt::Cpu
            {
                let key = runtime.engine_key(spec, attempt);
                runtime.engines.set_parity(&key, parity).map_err(|e| LoadError::Library {
                    reason: format!("the comparison of {network} cannot be kept: {e}"),
                })?;
            }
            let prepared = Prepared { network, attempt: attempt.to_string(), result };
            let passed = prepared.passed();
            done.push(prepared);
            if passed {
                break;
            }
        }
    }
    Ok(done)
}

/// Whether a provider can be registered at all, or why not. Nothing is loaded.
///
/// # Errors
/// What ONNX Runtime says.
pub fn check_provider(runtime: &Runtime, wanted: Provider) -> Result<(), String> {
    let config = crate::config::InferenceConfig { provider: wanted, ..runtime.config.clone() };
    attempts(&config).first().map_or(Ok(()), |attempt| provider::check_registers(runtime, *attempt))
}

fn networks(runs: &[RecordedRun]) -> Vec<&NetSpec> {
    let mut found: Vec<&NetSpec> = Vec::new();
    for run in runs {
        if !found.iter().any(|spec| is_same(spec, &run.spec)) {
            found.push(&run.spec);
        }
    }
    found
}

fn is_same(a: &NetSpec, b: &NetSpec) -> bool {
    (&a.tag, &a.part) == (&b.tag, &b.part)
}

fn try_out(
    runtime: &Runtime,
    spec: &NetSpec,
    attempt: Attempt,
    runs: &[&RecordedRun],
) -> Result<(Placement, Parity), String> {
    let (mut session, placement) = provider::load_one(runtime, spec, attempt)?;
    Ok((placement, compare(&mut session, spec, runs)?))
}

/// Compares the answers of `session` with those of the sessions that made the runs.
pub(super) fn compare(session: &mut Session, spec: &NetSpec, runs: &[&RecordedRun]) -> Result<Parity, String> {
    let mut parity = Parity::nothing_yet(spec.role);
    for run in runs {
        let input = (run.shape, run.values.as_slice());
        let mut original = run.session.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = run_session(&mut original, &run.spec, input, all_numbers).map_err(|e| e.to_string())?;
        let got = run_session(session, spec, input, all_numbers).map_err(|e| e.to_string())?;
        parity.add(spec.role, run.batch(), &expected, &got);
    }
    Ok(parity)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::align::AlignedCrop;
    use crate::config::InferenceConfig;
    use crate::emotion::EmotionClassifier as _;
    use crate::model::NoProgress;
    use crate::model::runtime;
    use crate::model::store::ModelStore;
    use crate::onnx::engines::EngineStore;
    use crate::onnx::{OnnxEmotionClassifier, Tape};
    use std::io::Write as _;
    use std::path::PathBuf;

    /// A runtime, and the runs of the expression net on a few crops; none (and a word) without ONNX Runtime.
    pub(in crate::onnx) fn recorded(
        test: &str,
        model: &str,
        config: &InferenceConfig,
    ) -> Option<(Runtime, Vec<RecordedRun>)> {
        let store = ModelStore::open(&config.cache_dir).unwrap();
        let library = match runtime::ensure(&store, &mut NoProgress) {
            Ok(library) => library,
            Err(why) => {
                // Straight to the terminal: the harness hides what a passing test prints.
                let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
                return None;
            }
        };
        let runtime = Runtime::start(&library.path, config).unwrap();
        let model = store.ensure(model, &mut NoProgress).unwrap();
        let tape = Tape::default();
        let mut net = OnnxEmotionClassifier::load(&runtime.clone().recorded_on(tape.clone()), &model).unwrap();
        let crops: Vec<AlignedCrop> = (1..6_usize)
            .map(|step| AlignedCrop {
                size: 48,
                rgb: (0..48 * 48 * 3).map(|i| (i / 3 * step % 251 / 2 + i / 144 * 2) as u8).collect(),
            })
            .collect();
        tape.keep(true);
        net.classify(&crops, &mut Vec::new()).unwrap();
        Some((runtime, tape.take_runs()))
    }

    /// The network with all but so many bits of every weight's fraction cut off: another precision, on the CPU.
    fn coarser(path: &std::path::Path, bits: u32, folder: &std::path::Path) -> PathBuf {
        let mut bytes = std::fs::read(path).unwrap();
        cut_weights(&mut bytes, &[7, 5, 9], !((1 << (23 - bits)) - 1));
        let coarse = folder.join(format!("{bits}.onnx"));
        std::fs::write(&coarse, bytes).unwrap();
        coarse
    }

    /// A protobuf number; `at` goes behind it.
    fn number(bytes: &[u8], at: &mut usize) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    /// Walks the protobuf fields `path` (graph, initialiser, raw data) and masks the floats at its end.
    fn cut_weights(bytes: &mut [u8], path: &[u64], mask: u32) {
        let mut at = 0;
        while at < bytes.len() {
            let key = number(bytes, &mut at);
            let length = match key & 7 {
                0 => {
                    number(bytes, &mut at);
                    0
                }
                1 => 8,
                5 => 4,
                _ => number(bytes, &mut at) as usize,
            };
            let field = &mut bytes[at..at + length];
            at += length;
            match path {
                // Small tensors may hold shapes, which are no floats.
                [last] if key >> 3 == *last && length > 256 => {
                    for value in field.as_chunks_mut::<4>().0 {
                        *value = (u32::from_le_bytes(*value) & mask).to_le_bytes();
                    }
                }
                [first, inner @ ..] if key >> 3 == *first && !inner.is_empty() => cut_weights(field, inner, mask),
                _ => {}
            }
        }
    }

    #[test]
    fn the_gate_lets_through_what_answers_alike_and_nothing_else() {
        let Some((mut runtime, runs)) = recorded("gate", "rostro-emotion", &InferenceConfig::default()) else { return };
        let folder = tempfile::tempdir().unwrap();
        runtime.engines = EngineStore::new(folder.path().join("engines"));
        let runs: Vec<&RecordedRun> = runs.iter().collect();
        let parity = |bits: u32| {
            // Another network has another hash.
            let sha256 = bits.to_string();
            let spec =
                NetSpec { sha256, path: coarser(&runs[0].spec.path, bits, folder.path()), ..(*runs[0].spec).clone() };
            let (mut session, placement) = provider::load_one(&runtime, &spec, Attempt::Cpu).unwrap();
            assert_eq!(placement.single(), Some("cpu"));
            compare(&mut session, &spec, &runs).unwrap()
        };
        let (same, half, coarse) = (parity(23), parity(10), parity(1));
        assert_eq!((same.worst, same.runs), (0.0, 1));
        assert!(half.passed() && half.worst > 0.0, "{half:?}");
        assert!(!coarse.passed(), "{coarse:?}");
    }

    #[test]
    fn on_the_cpu_everything_is_usable_as_it_is() {
        let config = InferenceConfig { provider: Provider::Cpu, ..InferenceConfig::default() };
        let Some((runtime, runs)) = recorded("prepare", "rostro-emotion", &config) else { return };
        let mut told = Vec::new();
        let prepared = prepare(&runtime, &runs, |what| told.push(what.to_owned())).unwrap();
        assert_eq!(told, ["rostro-emotion on cpu"]);
        assert!(prepared.len() == 1 && prepared[0].passed());
    }

    #[test]
    fn a_provider_that_cannot_be_used_is_refused_or_fallen_back_from() {
        let folder = tempfile::tempdir().unwrap();
        let Some((runtime, runs)) = recorded("fallback", "rostro-emotion", &InferenceConfig::default()) else { return };
        if runtime.has_gpu() {
            return;
        }
        let with = |provider, allow_fallback| {
            let config = InferenceConfig { provider, allow_fallback, ..runtime.config.clone() };
            let mut runtime = runtime.clone();
            runtime.config = config;
            runtime.engines = EngineStore::new(folder.path().to_owned());
            runtime
        };
        let refused = provider::load(&with(Provider::TensorRt, false), &runs[0].spec).err().unwrap().to_string();
        assert!(refused.contains("inference.provider is tensorrt") && refused.contains("allow_fallback"), "{refused}");
        for (provider, allow_fallback) in [(Provider::TensorRt, true), (Provider::Cuda, true), (Provider::Auto, false)]
        {
            let loaded = provider::load(&with(provider, allow_fallback), &runs[0].spec).ok().unwrap();
            assert_eq!((loaded.attempt, loaded.placement.single()), (Attempt::Cpu, Some("cpu")));
        }
        let prepared = prepare(&with(Provider::TensorRt, false), &runs, |_| ()).unwrap();
        assert!(prepared.len() == 1 && !prepared[0].passed() && prepared[0].result.is_err());
        let built: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let on_cpu = runtime.engine_key(&runs[0].spec, Attempt::Cpu).folder(folder.path());
        assert_eq!(built, [on_cpu.parent().unwrap()], "nothing was built for another provider");
    }
}
