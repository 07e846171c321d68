//! `rostro replay`.

use super::recording::{Pace, RecordingArgs, Replayed, write_report};
use super::{Outcome, Output};
use crate::replay::{PersonSummary, ReplaySummary};
use crate::runtime::peak_memory_mb;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Run every frame of recordings or pictures through the line.
///
/// Frames are taken in stamp order, none is skipped, and the same input gives the same bytes.
/// DIR gets report.html (one page: who was there when, expressions, times), people.jsonl (one line per
/// frame) and people.mcap (the messages a robot would have published, with annotated pictures at most
/// 640 pixels wide); with its metadata.yaml the folder is a bag for `ros2 bag play`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
INPUT is told by what is in it:
  an MCAP or sqlite3 bag, a rosbag2 folder  every camera; several bags are replayed as one
  a folder of JPEG or PNG pictures          in the order of their names, at 15 Hz unless they are named
                                            by their stamps in nanoseconds
  an animated GIF, a video                  by its own times; videos where ffmpeg is on the PATH
  single pictures                           each by itself, looked at five times and reported once

Examples:
  rostro replay visit.mcap --gallery friends      friends/Anna/1.jpg, friends/Anna/2.jpg, friends/Ben.jpg
  rostro replay left.mcap right.mcap --out both --params-file robot.yaml
  rostro replay --json party.jpg | jq .faces.max_simultaneous

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but frames were lost or unreadable")]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    recording: RecordingArgs,

    /// Folder for the results; made when missing, earlier results in it are replaced.
    #[arg(long, value_name = "DIR", default_value = "rostro-replay")]
    out: PathBuf,
}

pub(super) fn run(args: &ReplayArgs, output: Output) -> anyhow::Result<Outcome> {
    let Replayed { config, summary, timing, took, .. } = args.recording.replay(&args.out, Pace::Lockstep)?;
    report_speed(&summary, took);
    write_report(&args.out, &args.recording.inputs, &config, &summary, &timing, None)?;
    output.result(&summary, &as_text(&summary, &args.out))?;
    Ok(if summary.is_incomplete() { Outcome::Incomplete } else { Outcome::Done })
}

fn report_speed(summary: &ReplaySummary, took: Duration) {
    let frames = summary.frames.received;
    let secs = took.as_secs_f64();
    let rate = frames as f64 / secs.max(1e-9);
    let memory = peak_memory_mb().map(|mb| format!(", peak memory {mb:.0} MB")).unwrap_or_default();
    super::say(&format!("{frames} frames in {secs:.1} s, {rate:.1} per second{memory}"));
}

fn as_text(summary: &ReplaySummary, out: &Path) -> String {
    let ReplaySummary { frames, faces, people, restarts, losses, .. } = summary;
    let unreadable = if frames.failed > 0 { format!(", {} unreadable", frames.failed) } else { String::new() };
    let mut lines = vec![
        format!("frames   {} processed of {} received{unreadable}", frames.processed, frames.received),
        format!("faces    {} ids, at most {} at once", faces.ids, faces.max_simultaneous),
    ];
    lines.extend(people.iter().map(person_as_text));
    if *restarts > 0 {
        lines.push(format!("restarts {restarts}: stamps went backwards"));
    }
    lines.extend(losses.iter().map(|loss| match loss.frames {
        0 => format!("lost     {}", loss.cause),
        frames => format!("lost     {frames} frames: {}", loss.cause),
    }));
    lines.push(format!("results  {}", out.display()));
    lines.join("\n")
}

fn person_as_text(person: &PersonSummary) -> String {
    let who = match (person.name.as_str(), person.person_id.as_str()) {
        ("", "") => "unknown",
        ("", id) => id,
        (name, _) => name,
    };
    let faces = person.face_ids.join(" ");
    let seen = format!("person   {who:20} {:5} frames, {:.1} s, as {faces}", person.frames, person.seconds);
    if person.name.is_empty() {
        return seen;
    }
    format!("{seen}, named {:.0} % of it", person.named_share * 100.0)
}
