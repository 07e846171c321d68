//! `rostro params`.

use super::{Outcome, Output};
use crate::config::Config;
use crate::config::parameters::{Descriptor, ParameterValue, descriptors};
use anyhow::Context;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show every parameter: value, range, unit, meaning.
///
/// They are the node's ROS parameters, and the settings of the other commands.
#[derive(Debug, clap::Args)]
pub(super) struct ParamsArgs {
    /// Print a ROS 2 parameter file with every description.
    #[arg(long)]
    yaml: bool,

    /// Check this file and show its values in place of the defaults.
    #[arg(long, value_name = "YAML")]
    params_file: Option<PathBuf>,
}

/// A parameter and its value.
#[derive(Debug, Serialize)]
struct Row {
    value: ParameterValue,
    #[serde(flatten)]
    descriptor: &'static Descriptor,
}

pub(super) fn run(args: &ParamsArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = read_config(args.params_file.as_deref())?;
    let row = |(descriptor, (_, value))| Row { value, descriptor };
    let rows: Vec<Row> = descriptors().iter().zip(config.parameters()).map(row).collect();
    let text = if args.yaml { config.to_commented_yaml() } else { as_text(&rows) };
    output.result(&rows, &text)?;
    Ok(Outcome::Done)
}

/// The settings in a parameter file; the defaults when there is none.
pub(super) fn read_config(path: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Config::from_yaml(&text).with_context(|| path.display().to_string())
}

fn as_text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.descriptor.name.len()).max().unwrap_or(0);
    let lines = rows.iter().map(|Row { value, descriptor }| {
        let Descriptor { name, default, description, .. } = descriptor;
        let changed = if value == default { String::new() } else { format!(" [default {default}]") };
        format!("{name:width$}  {value}{changed}\n    {description}\n")
    });
    lines.collect()
}
