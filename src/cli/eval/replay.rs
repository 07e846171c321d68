//! `rostro eval replay`.

use crate::cli::recording::{Pace, RecordingArgs, Replayed, made_with, write_report};
use crate::cli::{Outcome, Output};
use crate::config::Config;
use crate::eval::found::{FoundFrames, newest_known};
use crate::eval::recording::{Enrolled, Evaluator, RecordingScore};
use crate::eval::statistics::Share;
use crate::eval::truth::Truth;
use crate::gallery::PersonRecord;
use crate::replay::{FrameCounts, ReplaySummary, Timeline};
use crate::report::TimingSummary;
use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reading that falls behind by more is told.
const LATE_READING: Duration = Duration::from_millis(100);
/// Version of report.json; a change that breaks readers raises it.
const SCHEMA_VERSION: u32 = 1;

/// Replay a recording and measure it against the truth.
///
/// Every frame is processed, in stamp order (lockstep); the same input gives the same report.json. DIR of the
/// results also gets people.jsonl and people.mcap, as from `rostro replay`, report.html, and timing.json, the
/// one file that differs between runs.
///
/// With --realtime frames come when they came to the robot, and those it is too slow for are displaced by
/// newer ones, as on a robot. Every moment is then judged by the newest people known by then, so lateness
/// costs accuracy; the result depends on the machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The truth is a folder of CSV files whose first line names the columns:
  tracks.csv    frame (from 1) or stamp (ns), person, x, y, w, h; optional conf (0: need not be found), camera
  alone.csv     from, to, person; optional camera: the only one to be seen then
  emotion.csv   from, to, person, label
  ignore.csv    from, to, x, y, w, h; optional camera: faces there are not judged
  groups.csv    person, group
One of the first two is needed. Times are seconds from the first frame, or stamps in nanoseconds. People
are known when the gallery knows a name equal to `person`. A draft to correct: `rostro eval draft`.")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    recording: RecordingArgs,

    /// Folder with the truth, or a file of tracks.
    #[arg(long, value_name = "DIR")]
    truth: PathBuf,

    /// Judge only frames with a row in the truth; without this, nobody is there in the others.
    #[arg(long)]
    only_told_frames: bool,

    /// Play the recording at its own speed, or SPEED times that.
    #[arg(long, value_name = "SPEED", num_args = 0..=1, default_missing_value = "1", value_parser = speed)]
    realtime: Option<f64>,

    /// Folder for the results; made when missing, earlier results in it are replaced.
    #[arg(long, value_name = "DIR", default_value = "rostro-eval")]
    out: PathBuf,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|error| format!("{error}"))?;
    let is_usable = (0.01..=100.0).contains(&speed);
    if is_usable { Ok(speed) } else { Err("a speed is from 0.01 to 100 times that of the recording".into()) }
}

/// report.json: in lockstep nothing in it depends on the machine's speed or the hour.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    mode: &'static str,
    /// Of the playback, as a multiple of the recording's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    made_with: BTreeMap<String, String>,
    parameters: Value,
    frames: FrameCounts,
    /// Names that the gallery knows.
    enrolled: BTreeSet<String>,
    #[serde(flatten)]
    score: RecordingScore,
}

/// What `--json` prints: the report and the times of this run.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    latency: Option<TimingSummary>,
}

pub(super) fn run(args: &ReplayArgs, output: Output) -> anyhow::Result<Outcome> {
    let truth = Truth::read(&args.truth)?;
    let pace = args.realtime.map_or(Pace::Lockstep, Pace::Realtime);
    let Replayed { config, line, summary, timing, timeline, .. } = args.recording.replay(&args.out, pace)?;
    if timeline.most_behind > LATE_READING {
        let secs = timeline.most_behind.as_secs_f64();
        tracing::warn!("the recording could not be read at that speed: at worst it was {secs:.1} s behind");
    }
    let name = |record: PersonRecord| Some((record.person_id.to_string(), record.name?));
    let enrolled: Enrolled = line.list().into_iter().filter_map(name).collect();
    let evaluator = Evaluator::new(&truth, enrolled.clone(), args.only_told_frames);
    let score = judge(&args.out, evaluator, args.realtime.map(|_| timeline))?;
    write_report(&args.out, &args.recording.inputs, &config, &summary, &timing, Some(&score))?;
    let report = report(args.realtime, &config, &summary, enrolled.into_values().collect(), score)?;
    write_json(&args.out.join("report.json"), &report)?;
    let latency = timing.summary();
    write_json(&args.out.join("timing.json"), &latency)?;
    let text = as_text(&report, latency.as_ref(), &args.out);
    output.result(&Printed { report: &report, latency }, &text)?;
    Ok(if summary.is_incomplete() { Outcome::Incomplete } else { Outcome::Done })
}

/// Reads the results back, frame by frame, and judges them; of a run in real time, as they were known.
fn judge(out: &Path, mut evaluator: Evaluator<'_>, timeline: Option<Timeline>) -> anyhow::Result<RecordingScore> {
    let found = FoundFrames::open(&out.join("people.jsonl"))?;
    match timeline {
        None => {
            for frame in found {
                evaluator.add(&frame?);
            }
        }
        Some(Timeline { arrived, known_at, .. }) => {
            newest_known(found.zip(known_at), &arrived, |frame| evaluator.add(frame))?;
        }
    }
    Ok(evaluator.finish()?)
}

fn report(
    realtime: Option<f64>,
    config: &Config,
    summary: &ReplaySummary,
    enrolled: BTreeSet<String>,
    score: RecordingScore,
) -> anyhow::Result<Report> {
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        mode: if realtime.is_some() { "realtime" } else { "lockstep" },
        speed: realtime,
        made_with: made_with(config).into_iter().collect(),
        parameters: serde_json::to_value(config)?,
        frames: summary.frames,
        enrolled,
        score,
    })
}

fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn as_text(report: &Report, latency: Option<&TimingSummary>, out: &Path) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{label:<34}{value}");
        }
    };
    let percent = |share: Option<f64>| share.map(|share| format!("{:.2} %", share * 100.0));
    let RecordingScore { tracking, identification: id, emotion, .. } = &report.score;
    let frames = &report.frames;
    let judged = report.score.frames_judged;
    row("frames", Some(format!("{} processed of {}, {judged} judged", frames.processed, frames.received)));
    if report.speed.is_some() {
        row("displaced by newer ones", Some(frames.displaced.to_string()));
    }
    if let Some(tracking) = tracking {
        row("IDF1, HOTA, MOTA", Some(format!("{:.4}, {:.4}, {:.4}", tracking.idf1, tracking.hota, tracking.mota)));
        row("identity switches, fragments", Some(format!("{}, {}", tracking.id_switches, tracking.fragments)));
        row(
            "missed, false faces",
            Some(format!("{}, {} of {}", tracking.missed, tracking.false_faces, tracking.true_faces)),
        );
    }
    row("known people named right", percent(id.named_right));
    row("known people named wrong", percent(id.named_wrong));
    row("known people without a name", percent(id.unnamed));
    row("strangers with a name", percent(id.stranger_named));
    row("visits named right, never wrong", id.visits_named_right.map(|share: Share| share.to_string()));
    row("visits of strangers with a name", id.visits_of_strangers_named.map(|share| share.to_string()));
    row("wrong names per hour", id.wrong_names_per_hour.map(|rate| format!("{rate:.2}")));
    row("", id.wrong_names_per_hour_below.map(|rate| format!("none seen proves fewer than {rate:.0} (rule of three)")));
    let best = id.per_track.operating_points.iter().rev().find_map(|point| Some((point.fpir, point.tpir?)));
    row(
        "tracks found at a false rate",
        best.map(|(fpir, tpir)| format!("{:.2} % at {} %", tpir * 100.0, fpir * 100.0)),
    );
    row("seconds to the right name", id.secs_to_name_p50.map(|secs| format!("{secs:.1} (median)")));
    row("person ids per person", id.person_ids_per_person.map(|ids| format!("{ids:.2}")));
    row("face ids per person", id.face_ids_per_person.map(|ids| format!("{ids:.2}")));
    row("expressions right", percent(emotion.right));
    row("expression changes per minute", emotion.flips_per_minute.map(|flips| format!("{flips:.1}")));
    row("onset of an expression, seconds", emotion.onset_secs_p50.map(|secs| format!("{secs:.2} (median)")));
    row(
        "time per frame",
        latency.map(|latency| format!("{:.1} ms, 99 %: {:.1} ms", latency.frame.p50_ms, latency.frame.p99_ms)),
    );
    let age = latency.and_then(|latency| latency.age);
    row("from image to people", age.map(|age| format!("{:.1} ms, 99 %: {:.1} ms", age.p50_ms, age.p99_ms)));
    row("results", Some(out.display().to_string()));
    text
}
