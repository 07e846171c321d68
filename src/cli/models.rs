//! `rostro models`.

use super::{Outcome, Output};

/// List, install and verify models.
#[derive(Debug, clap::Args)]
pub(super) struct ModelsArgs {}

pub(super) fn run(_args: &ModelsArgs, _output: Output) -> anyhow::Result<Outcome> {
    anyhow::bail!("not there yet")
}
