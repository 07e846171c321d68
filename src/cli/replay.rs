//! `rostro replay`.

use super::gallery::{Friend, encoded, people_in, read_picture};
use super::params::read_config;
use super::progress::StderrProgress;
use super::{Outcome, Output, recording};
use crate::assembly;
use crate::config::Config;
use crate::gallery::StoredGallery;
use crate::pipeline::{EnrolAs, Pipeline};
use crate::replay::{Inputs, Outputs, PersonSummary, ReplaySummary};
use crate::time::Stamp;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
    /// Bags, folders of pictures, pictures, GIFs or videos.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Folder for the results; made when missing, earlier results in it are replaced.
    #[arg(long, value_name = "DIR", default_value = "rostro-replay")]
    out: PathBuf,

    /// People to recognise: a gallery file, which is only read; or a folder with a folder of pictures
    /// per person, or pictures named after their person.
    #[arg(long, value_name = "FILE|DIR")]
    gallery: Option<PathBuf>,

    /// Parameters, as a robot's node gets them.
    #[arg(long, value_name = "YAML")]
    params_file: Option<PathBuf>,

    /// Image topic of a bag; may be repeated. Without it, one topic of every camera.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
}

pub(super) fn run(args: &ReplayArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = read_config(args.params_file.as_deref())?;
    let mut inputs = read_inputs(&args.inputs, &args.topics)?;
    let outputs = Outputs::create(&args.out, &inputs.cameras(), &config.annotated)?;
    let mut line = match load_known(&config, args.gallery.as_deref()) {
        Ok(line) => line,
        Err(error) => {
            outputs.discard();
            return Err(error);
        }
    };
    let started = now();
    let (summary, timing) = recording::run(&mut inputs, &mut line, outputs)?;
    report_speed(&summary, now() - started);
    recording::write_report(&args.out, &args.inputs, &config, &summary, &timing, None)?;
    output.result(&summary, &as_text(&summary, &args.out))?;
    Ok(if summary.is_incomplete() { Outcome::Incomplete } else { Outcome::Done })
}

/// Opens all inputs, and says what is left out of them.
pub(super) fn read_inputs(paths: &[PathBuf], topics: &[String]) -> anyhow::Result<Inputs> {
    let inputs = Inputs::open(paths, topics)?;
    for note in inputs.notes() {
        tracing::warn!("{note}");
    }
    Ok(inputs)
}

/// How long the work took is told to people, and decides nothing.
#[expect(clippy::disallowed_methods, reason = "the speed of a replay is measured here")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The line with its networks, knowing the people of a gallery file or of a folder of pictures.
pub(super) fn load_known(config: &Config, gallery: Option<&Path>) -> anyhow::Result<Pipeline> {
    let friends = gallery.filter(|path| path.is_dir()).map(people_in).transpose()?.unwrap_or_default();
    let mut line = assembly::load_pipeline(config, &mut StderrProgress::default())?;
    if let Some(file) = gallery.filter(|path| !path.is_dir()) {
        // Read only, so that a replay always has the same result.
        line.set_gallery(StoredGallery::read(file, line.gallery().model())?);
    }
    for Friend { name, pictures } in &friends {
        let mut looks = Vec::new();
        for path in pictures {
            let look = line.look_at_picture(&encoded(&read_picture(path)?), Stamp::default(), String::new());
            match look {
                Ok(look) => looks.push(look),
                Err(error) => tracing::warn!("{} teaches nothing about {name}: {error}", path.display()),
            }
        }
        anyhow::ensure!(!looks.is_empty(), "none of the {} pictures of {name} shows a usable face", pictures.len());
        let who = EnrolAs { name: name.clone(), force: true, ..EnrolAs::default() };
        line.enrol_looks(&who, &looks).with_context(|| format!("cannot learn {name}"))?;
    }
    Ok(line)
}

fn report_speed(summary: &ReplaySummary, took: Duration) {
    let frames = summary.frames.received;
    let secs = took.as_secs_f64();
    let rate = frames as f64 / secs.max(1e-9);
    let memory = peak_memory_mb().map(|mb| format!(", peak memory {mb} MB")).unwrap_or_default();
    super::say(&format!("{frames} frames in {secs:.1} s, {rate:.1} per second{memory}"));
}

/// Most memory this process has had at once, where the system tells.
pub(super) fn peak_memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1000)
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
