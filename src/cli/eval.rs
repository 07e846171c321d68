//! `rostro eval`: metrics against truth.

mod compare;
mod draft;
mod emotion;
mod identification;
mod replay;
mod tracking;

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
    Replay(replay::ReplayArgs),
    Tracking(tracking::TrackingArgs),
    Identification(identification::IdentificationArgs),
    Emotion(emotion::EmotionArgs),
    Compare(compare::CompareArgs),
    Draft(draft::DraftArgs),
}

pub(super) fn run(args: &EvalArgs, output: Output) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Replay(args) => replay::run(args, output),
        What::Tracking(args) => tracking::run(args, output),
        What::Identification(args) => identification::run(args, output),
        What::Emotion(args) => emotion::run(args, output),
        What::Compare(args) => compare::run(args, output),
        What::Draft(args) => draft::run(args, output),
    }
}
