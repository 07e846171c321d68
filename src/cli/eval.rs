//! `rostro eval`: metrics against truth.

mod identification;

use super::{Outcome, Output};
use clap::Subcommand;

/// Measure how good it is, against truth.
#[derive(Debug, clap::Args)]
pub(super) struct EvalArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Identification(identification::IdentificationArgs),
}

pub(super) fn run(args: &EvalArgs, output: Output) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Identification(args) => identification::run(args, output),
    }
}
