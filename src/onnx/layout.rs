//! Networks laid out for this machine's CPU, kept between starts.
//!
//! Opening an ONNX file, ONNX Runtime rewrites the graph for the processor and holds the weights in two and a half
//! copies meanwhile, which stay in its memory. What it made is therefore kept as files, with the weights beside the
//! graph: later starts map them into memory as they are, which is quicker, takes them once, and shares them among
//! processes. The answers are the same to the last bit. The hashes beside the files find damage; against somebody who
//! writes in this folder they are no help. <https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html>
//! calls this the offline mode.

use super::engines::{EngineKey, IfBusy};
use super::provider::{Placement, open};
use super::session::{NetSpec, Runtime};
use crate::model::fetch;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use std::fmt;
use std::fs;
use std::path::Path;

/// The graph.
const NETWORK: &str = "network.onnx";
/// Its weights, beside it.
const WEIGHTS: &str = "weights.bin";
/// SHA-256 of both.
const HASHES: &str = "sha256";
/// Weights of fewer bytes stay in the graph.
const LEAST_BYTES: &str = "1024";

/// Opens the network as it was laid out at an earlier start, or now. Where that cannot be done it is opened as it
/// was installed.
///
/// # Errors
/// Why the network cannot be opened at all.
pub(super) fn load(runtime: &Runtime, spec: &NetSpec, key: &EngineKey) -> Result<(Session, Placement), String> {
    if !runtime.knows_processor() {
        return open(runtime, spec, Ok);
    }
    let folder = runtime.engines.ensure(key, IfBusy::GiveUp, |folder| lay_out(runtime, spec, folder));
    match folder.and_then(|folder| open_laid_out(runtime, spec, key, &folder)) {
        Ok(opened) => Ok(opened),
        Err(reason) => {
            tracing::info!(model = spec.model, part = spec.part, %reason, "opened as it was installed, which takes longer");
            open(runtime, spec, Ok)
        }
    }
}

/// Lays the network out in `folder`.
fn lay_out(runtime: &Runtime, spec: &NetSpec, folder: &Path) -> Result<(), String> {
    const FILE: &str = "session.optimized_model_external_initializers_file_name";
    const LEAST: &str = "session.optimized_model_external_initializers_min_size_in_bytes";
    open(runtime, spec, |builder| {
        let builder = builder.with_optimized_model_path(folder.join(NETWORK)).map_err(text)?;
        let builder = builder.with_config_entry(FILE, WEIGHTS).map_err(text)?;
        builder.with_config_entry(LEAST, LEAST_BYTES).map_err(text)
    })?;
    fs::write(folder.join(HASHES), hashes(folder)?).map_err(text)
}

fn open_laid_out(
    runtime: &Runtime,
    spec: &NetSpec,
    key: &EngineKey,
    folder: &Path,
) -> Result<(Session, Placement), String> {
    let expected = fs::read_to_string(folder.join(HASHES)).unwrap_or_default();
    if hashes(folder)? != expected {
        // The next start makes it again.
        runtime.engines.discard(key);
        return Err(format!("{} is damaged", folder.display()));
    }
    let laid_out = NetSpec { path: folder.join(NETWORK), ..spec.clone() };
    open(runtime, &laid_out, |builder| builder.with_optimization_level(GraphOptimizationLevel::Disable).map_err(text))
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn hashes(folder: &Path) -> Result<String, String> {
    // A network without large weights has no second file.
    let files = [NETWORK, WEIGHTS].map(|name| folder.join(name));
    let present = files.iter().filter(|path| path.exists());
    let of = |path: &Path| fetch::sha256_of(path).map_err(|error| format!("{}: {error}", path.display()));
    let hashes: Vec<String> = present.map(|path| of(path)).collect::<Result<_, String>>()?;
    Ok(hashes.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InferenceConfig;
    use crate::onnx::engines::EngineStore;
    use crate::onnx::prepare::tests::recorded;
    use crate::onnx::provider::Attempt;
    use crate::onnx::session::{all_numbers, run_session};

    #[test]
    fn a_network_is_laid_out_once_and_answers_as_it_did_whatever_happens_to_the_files() {
        for model in ["rostro-emotion", "rostro-emotion-int8"] {
            try_with(model);
        }
    }

    fn try_with(model: &str) {
        let Some((mut runtime, runs)) = recorded("layout", model, &InferenceConfig::default()) else { return };
        let folder = tempfile::tempdir().unwrap();
        runtime.engines = EngineStore::new(folder.path().to_owned());
        let run = &runs[0];
        let key = runtime.engine_key(&run.spec, Attempt::Cpu);
        let answer = |(mut session, placement): (Session, Placement)| {
            assert_eq!(placement.single(), Some("cpu"));
            run_session(&mut session, &run.spec, (run.shape, &run.values), all_numbers).unwrap()
        };
        let as_installed = answer(open(&runtime, &run.spec, Ok).unwrap());
        let loaded = || answer(load(&runtime, &run.spec, &key).unwrap());
        let laid_out = key.folder(folder.path());

        assert_eq!(loaded(), as_installed);
        let built = fs::metadata(laid_out.join(WEIGHTS)).unwrap();
        assert!(built.len() > 1_000_000);
        assert_eq!(loaded(), as_installed);
        assert_eq!(fs::metadata(laid_out.join(WEIGHTS)).unwrap().modified().unwrap(), built.modified().unwrap());

        let damage: [&dyn Fn(); 4] = [
            &|| {
                let mut weights = fs::read(laid_out.join(WEIGHTS)).unwrap();
                weights[500_000] ^= 0x40;
                fs::write(laid_out.join(WEIGHTS), weights).unwrap();
            },
            &|| fs::write(laid_out.join(NETWORK), "").unwrap(),
            &|| fs::remove_file(laid_out.join(WEIGHTS)).unwrap(),
            &|| fs::remove_file(laid_out.join(HASHES)).unwrap(),
        ];
        for (case, harm) in damage.iter().enumerate() {
            harm();
            assert_eq!(loaded(), as_installed, "case {case}");
            assert!(!laid_out.exists(), "case {case}: what is damaged is thrown away");
            assert_eq!(loaded(), as_installed, "case {case}");
            assert!(laid_out.join(WEIGHTS).exists(), "case {case}: and made again");
        }

        // A cache that cannot be written.
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        runtime.engines = EngineStore::new(file);
        assert_eq!(answer(load(&runtime, &run.spec, &key).unwrap()), as_installed);
    }
}
