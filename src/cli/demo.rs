//! `rostro demo`.

use super::{Outcome, Output};

/// Run the whole line on a scene composed from real photographs, and score it against exact truth.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {}

pub(super) fn run(_args: &DemoArgs, _output: Output) -> anyhow::Result<Outcome> {
    anyhow::bail!("not there yet")
}
