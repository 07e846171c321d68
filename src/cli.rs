//! The command line: one handler per verb, results on stdout, messages on stderr.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but frames were lost or unreadable.

mod bar;
mod bench;
mod demo;
mod doctor;
mod eval;
mod gallery;
mod models;
#[cfg(any(feature = "dds", feature = "ros"))]
mod node;
mod params;
mod prepare;
mod progress;
mod recording;
mod replay;

use crate::runtime::{STAGE_TARGET, START_TARGET, StageTimes};
use clap::{Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Camera images in, people out: faces, identities and emotions for social robots.
#[derive(Debug, Parser)]
#[command(name = "rostro", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print the result as JSON on stdout.
    #[arg(long, global = true)]
    json: bool,

    /// Say more on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Replay(replay::ReplayArgs),
    Eval(eval::EvalArgs),
    Gallery(gallery::GalleryArgs),
    Models(models::ModelsArgs),
    Params(params::ParamsArgs),
    Prepare(prepare::PrepareArgs),
    Bench(bench::BenchArgs),
    Doctor(doctor::DoctorArgs),
    #[cfg(any(feature = "dds", feature = "ros"))]
    Node(node::NodeArgs),
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything was done.
    Done,
    /// Finished, but frames were lost or unreadable: exit code 3.
    Incomplete,
}

/// How results are printed.
#[derive(Clone, Copy, Debug)]
struct Output {
    json: bool,
}

impl Output {
    /// Prints the result: `value` as JSON when asked for, else `text`. A closed pipe is not an error.
    fn result(self, value: &impl serde::Serialize, text: &str) -> anyhow::Result<()> {
        let printed = if self.json { serde_json::to_string_pretty(value)? } else { text.trim_end().to_owned() };
        match writeln!(std::io::stdout(), "{printed}") {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Parses the arguments, runs the command, and turns its end into an exit code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.verbose, &cli.command);
    let output = Output { json: cli.json };
    let ended = match cli.command {
        Command::Demo(args) => demo::run(&args, output),
        Command::Replay(args) => replay::run(&args, output),
        Command::Eval(args) => eval::run(&args, output),
        Command::Gallery(args) => gallery::run(&args, output),
        Command::Models(args) => models::run(&args, output),
        Command::Params(args) => params::run(&args, output),
        Command::Prepare(args) => prepare::run(&args, output),
        Command::Bench(args) => bench::run(&args, output),
        Command::Doctor(args) => doctor::run(&args, output),
        #[cfg(any(feature = "dds", feature = "ros"))]
        Command::Node(args) => node::run(&args),
    };
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(3),
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the user something that is not the result. A closed stderr is not an error.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn start_logging(verbose: u8, command: &Command) {
    #[cfg(any(feature = "dds", feature = "ros"))]
    if let Command::Node(args) = command {
        return node::start_logging(args, verbose);
    }
    let _ = command;
    let level = match verbose {
        0 => "warn",
        1 => "info,rostro=debug",
        _ => "debug,rostro=trace",
    };
    let log =
        tracing_subscriber::fmt::layer().with_writer(|| bar::LogWriter).with_ansi(std::io::stderr().is_terminal());
    let log = log.without_time();
    let stages = Targets::new()
        .with_target(STAGE_TARGET, tracing::Level::TRACE)
        .with_target(START_TARGET, tracing::Level::TRACE);
    tracing_subscriber::registry()
        .with(log.with_filter(EnvFilter::new(level)))
        .with(StageTimes.with_filter(stages))
        .init();
}
