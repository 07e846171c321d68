//! Builds what a provider needs ahead of its first use, and compares every network in its new precision with its
//! fp32 original on the CPU.

use super::gate::Parity;
use super::provider::{self, Attempt, Placement, attempts};
use super::session::{LoadError, NetSpec, Runtime, run_session};
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
                let key = runtime.engine_key(spec, &attempt.precision());
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
        let expected = run_session(&mut original, &run.spec, input, |o| o.all()).map_err(|e| e.to_string())?;
        let got = run_session(session, spec, input, |o| o.all()).map_err(|e| e.to_string())?;
        parity.add(spec.role, run.batch(), &expected, &got);
    }
    Ok(parity)
}
