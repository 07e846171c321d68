//! `rostro eval compare`.

use crate::cli::{Outcome, Output};
use crate::eval::compare::{Change, Limit, changes};
use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Compare two reports number by number, and fail when one got worse.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rostro eval compare before.json after.json
  rostro eval compare before.json after.json --fail-on tracking.idf1:-0.01 --fail-on latency.p99_ms:+10%")]
pub(super) struct CompareArgs {
    /// The earlier report, as `eval … --json` or report.json.
    #[arg(value_name = "A.json")]
    before: PathBuf,

    /// The later one.
    #[arg(value_name = "B.json")]
    after: PathBuf,

    /// METRIC:-AMOUNT fails when it fell by more, METRIC:+AMOUNT when it rose by more; with % of its value.
    /// May be repeated.
    #[arg(long, value_name = "LIMIT", allow_hyphen_values = true)]
    fail_on: Vec<Limit>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    changed: Vec<Change>,
    unchanged: usize,
    failed: Vec<String>,
}

pub(super) fn run(args: &CompareArgs, output: Output) -> anyhow::Result<Outcome> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    // One loses no frame and the other does; a difference between them says nothing.
    let modes = (before["mode"].as_str(), after["mode"].as_str());
    if let (Some(one), Some(other)) = modes {
        anyhow::ensure!(one == other, "a {one} report cannot be compared with a {other} one");
    }
    let all = changes(&before, &after);
    let mut failed = Vec::new();
    for limit in &args.fail_on {
        failed.extend(limit.exceeded(&all).map_err(anyhow::Error::msg)?);
    }
    let numbers = all.len();
    let changed: Vec<Change> = all.into_iter().filter(|change| change.before != change.after).collect();
    let report = Report { unchanged: numbers - changed.len(), changed, failed };
    output.result(&report, &as_text(&report))?;
    anyhow::ensure!(report.failed.is_empty(), "{}", report.failed.join("; "));
    Ok(Outcome::Done)
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

fn as_text(report: &Report) -> String {
    let width = report.changed.iter().map(|change| change.metric.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Change { metric, before, after } in &report.changed {
        let _ = writeln!(text, "{metric:<width$}  {before:>12.5}  {after:>12.5}  {:>+12.5}", after - before);
    }
    let _ = write!(text, "{} numbers changed, {} did not", report.changed.len(), report.unchanged);
    text
}
