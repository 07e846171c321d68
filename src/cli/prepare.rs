//! `rostro prepare`.

use super::params::read_config;
use super::progress::StderrProgress;
use super::{Outcome, Output};
use crate::assembly;
use crate::config::{Precision, Provider};
use crate::model::Progress as _;
use crate::onnx::Prepared;
use anyhow::ensure;
use serde::Serialize;
use std::path::PathBuf;

/// Build and check ahead what the chosen provider needs, so that a start takes seconds.
///
/// Fetches what is missing, runs the networks on a composed frame with five faces on the CPU, then builds every
/// network for the provider (TensorRT takes minutes for each, once) and compares its answers on the same inputs.
/// A network whose answers differ by more than allowed is not used in that precision: the next one is tried,
/// as far as inference.allow_fallback or provider auto permit.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Engines and verdicts lie in the cache folder, in a folder named by graphics processor, driver, TensorRT and ONNX
Runtime: after an update of any of them, prepare again (rostro doctor tells). What runs on the
CPU is laid out at its first start, within a second; here it is loaded and checked as well.

Examples:
  rostro prepare --provider tensorrt
  rostro prepare --provider tensorrt --precision fp32
  rostro prepare --params-file robot.yaml        what the robot will run

Exit codes: 0 every network can run as asked, 1 one cannot, 2 wrong usage")]
pub(super) struct PrepareArgs {
    /// Where networks are to run, instead of inference.provider: auto, tensorrt, cuda or cpu.
    #[arg(long, value_name = "NAME", value_parser = provider)]
    provider: Option<Provider>,

    /// Precision under TensorRT, instead of inference.precision: fp32, fp16 or int8.
    #[arg(long, value_name = "NAME", value_parser = precision)]
    precision: Option<Precision>,

    /// Settings of the line.
    #[arg(long, value_name = "YAML")]
    params_file: Option<PathBuf>,
}

/// One network in one way of running it.
#[derive(Debug, Serialize)]
struct Row {
    network: String,
    tried: String,
    usable: bool,
    runs_on: Option<String>,
    difference: Option<f64>,
    allowed: Option<f64>,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    networks: Vec<Row>,
}

pub(super) fn run(args: &PrepareArgs, output: Output) -> anyhow::Result<Outcome> {
    let mut config = read_config(args.params_file.as_deref())?;
    config.inference.provider = args.provider.unwrap_or(config.inference.provider);
    config.inference.precision = args.precision.unwrap_or(config.inference.precision);
    let mut progress = StderrProgress::default();
    let prepared = assembly::prepare(&config, &mut progress)?;
    progress.end();
    let report = Report { networks: prepared.iter().map(Row::from).collect() };
    output.result(&report, &as_text(&report.networks))?;
    let mut unusable: Vec<&str> = prepared.iter().map(|one| one.network.as_str()).collect();
    unusable.dedup();
    unusable.retain(|network| !prepared.iter().any(|one| one.network == *network && one.passed()));
    ensure!(unusable.is_empty(), "{} cannot run as asked; the table says why", unusable.join(", "));
    Ok(Outcome::Done)
}

impl From<&Prepared> for Row {
    fn from(prepared: &Prepared) -> Self {
        let (place, parity) = prepared.result.as_ref().ok().map(|(place, parity)| (place.to_string(), *parity)).unzip();
        let too_far = prepared.result.is_ok() && !prepared.passed();
        Self {
            network: prepared.network.clone(),
            tried: prepared.attempt.clone(),
            usable: prepared.passed(),
            runs_on: place,
            difference: parity.map(|parity| parity.worst),
            allowed: parity.map(|parity| parity.allowed),
            reason: prepared
                .result
                .as_ref()
                .err()
                .cloned()
                .or_else(|| too_far.then(|| "its answers differ".to_owned())),
        }
    }
}

fn as_text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.network.len()).max().unwrap_or(0);
    let lines = rows.iter().map(|row| {
        let place = row.runs_on.as_deref().unwrap_or("-");
        let difference = row
            .difference
            .zip(row.allowed)
            .map_or(String::new(), |(worst, allowed)| format!("differs by {worst:.5} of {allowed}"));
        let verdict = if row.usable { "usable" } else { "not usable" };
        let reason = row.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{:width$}  {:14}  on {place}  {difference}  {verdict}{reason}\n", row.network, row.tried)
    });
    lines.collect()
}

/// A value as the parameter file has it.
fn provider(text: &str) -> Result<Provider, String> {
    serde_json::from_value(text.into()).ok().ok_or_else(|| "one of auto, tensorrt, cuda, cpu".to_owned())
}

fn precision(text: &str) -> Result<Precision, String> {
    serde_json::from_value(text.into()).ok().ok_or_else(|| "one of fp32, fp16, int8".to_owned())
}
