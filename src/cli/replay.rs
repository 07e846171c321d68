//! `rostro replay`.

use super::{Outcome, Output};

/// Run every frame of recordings or pictures through the line.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {}

pub(super) fn run(_args: &ReplayArgs, _output: Output) -> anyhow::Result<Outcome> {
    anyhow::bail!("not there yet")
}
