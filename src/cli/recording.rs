//! What `replay` and `eval replay` share: the run with its times, and the page about it.

use super::bar::FrameBar;
use super::gallery::{Friend, encoded, people_in, read_picture};
use super::params::read_config;
use super::progress::StderrProgress;
use crate::assembly;
use crate::config::Config;
use crate::eval::recording::RecordingScore;
use crate::frame::Frame;
use crate::gallery::StoredGallery;
use crate::onnx::{NetPlace, providers_in_use};
use crate::people::{People, PersonEvent};
use crate::pipeline::{EnrolAs, Pipeline, PipelineError};
use crate::replay::{self, Inputs, Kind, Line, Outputs, RESULTS, ReplaySummary, Timeline, kind_of};
use crate::report::{Facts, Picture, Timing, page};
use crate::runtime::{now, take_stage_times};
use crate::time::Stamp;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The page's name in the folder of results.
pub(super) const REPORT_HTML: &str = "report.html";
/// Pictures on a page without truth.
const PICTURES: usize = 6;

/// The line with a stopwatch.
struct TimedLine<'a> {
    line: &'a mut Pipeline,
    timing: Timing,
}

impl Line for TimedLine<'_> {
    fn process(&mut self, frame: &Frame<'_>) -> Result<&People, PipelineError> {
        let Self { line, timing } = self;
        let _ = take_stage_times();
        let began = now();
        let people = line.process(frame);
        let took = began.elapsed();
        timing.add(took, take_stage_times().into_iter().map(|(stage, time)| (stage, time.total)));
        people
    }

    fn settle(&mut self, now: Stamp) -> Vec<PersonEvent> {
        Line::settle(self.line, now)
    }
}

/// What to replay, and how.
#[derive(Debug, clap::Args)]
pub(super) struct RecordingArgs {
    /// Bags, folders of pictures, pictures, GIFs or videos.
    #[arg(required = true, value_name = "INPUT")]
    pub(super) inputs: Vec<PathBuf>,

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

/// When frames are given to the line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// Each when the one before is through: nothing is lost, and every run is the same.
    Lockstep,
    /// When they came to the robot, at so many times that speed; those it is too slow for are lost.
    Realtime(f64),
}

/// What came of it.
pub(super) struct Replayed {
    pub(super) config: Config,
    pub(super) line: Pipeline,
    pub(super) summary: ReplaySummary,
    pub(super) timing: Timing,
    /// When frames came and people were known; empty in lockstep.
    pub(super) timeline: Timeline,
    /// From the first frame to the last, networks loaded before.
    pub(super) took: Duration,
}

impl RecordingArgs {
    /// Runs the recording through the line, with a bar, and leaves the results in `out`.
    pub(super) fn replay(&self, out: &Path, pace: Pace) -> anyhow::Result<Replayed> {
        let config = read_config(self.params_file.as_deref())?;
        let mut inputs = Inputs::open(&self.inputs, &self.topics)?;
        for note in inputs.notes() {
            tracing::warn!("{note}");
        }
        self.inputs.iter().try_for_each(|input| spare(input, out))?;
        let outputs = Outputs::create(out, &inputs.cameras(), &config)?;
        let mut line = match load_known(&config, self.gallery.as_deref()) {
            Ok(line) => line,
            Err(error) => {
                outputs.discard();
                return Err(error);
            }
        };
        let bar = FrameBar::show(inputs.frames_expected());
        let started = now();
        let mut timed = TimedLine { line: &mut line, timing: Timing::default() };
        let mut on_frame = |frames| bar.set(frames);
        let (summary, timeline) = match pace {
            Pace::Lockstep => {
                (replay::run(&mut inputs.sources, &mut timed, outputs, &mut on_frame)?, Timeline::default())
            }
            Pace::Realtime(speed) => {
                replay::run_at_speed(&mut inputs.sources, &mut timed, outputs, speed, &mut on_frame)?
            }
        };
        let (mut timing, took) = (timed.timing, started.elapsed());
        timeline.ages.iter().for_each(|age| timing.add_age(*age));
        Ok(Replayed { config, line, summary, timing, timeline, took })
    }
}

/// Refuses to write results over the recording, or into a bag's folder, whose metadata would be the results' then.
fn spare(input: &Path, out: &Path) -> anyhow::Result<()> {
    let (Ok(input), Ok(out)) = (input.canonicalize(), out.canonicalize()) else { return Ok(()) };
    let is_result = || RESULTS.iter().any(|name| input.file_name().is_some_and(|file| file == *name));
    let is_of_a_bag = || kind_of(&input).is_ok_and(|kind| kind == Kind::Bag) && out.join("metadata.yaml").exists();
    let is_beside = input.parent() == Some(&out) && (is_result() || is_of_a_bag());
    anyhow::ensure!(
        input != out && !is_beside,
        "the results would damage the recording {}; choose another folder with --out",
        input.display()
    );
    Ok(())
}

/// The line with its networks, knowing the people of a gallery file or of a folder of pictures.
fn load_known(config: &Config, gallery: Option<&Path>) -> anyhow::Result<Pipeline> {
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

/// Label and value of everything that made a result; every network with the first digits of its hash and where it
/// really ran.
pub(super) fn made_with(config: &Config) -> Vec<(String, String)> {
    let off = |is_on: bool, model: &str| if is_on { model.to_owned() } else { "off".to_owned() };
    let chosen = [
        ("rostro", env!("CARGO_PKG_VERSION").to_owned()),
        ("detection", config.detector.model.clone()),
        ("identity", off(config.identity.enabled, &config.identity.model)),
        ("emotion", off(!config.emotion.model.is_empty(), assembly::emotion_model(config))),
    ];
    let ran = |(network, place): (String, NetPlace)| {
        (format!("network {network}"), format!("{} on {}", place.tag, place.placement))
    };
    chosen
        .map(|(label, value)| (label.to_owned(), value))
        .into_iter()
        .chain(providers_in_use().into_iter().map(ran))
        .collect()
}

/// Writes the page about a replay into its folder.
pub(super) fn write_report(
    out: &Path,
    inputs: &[PathBuf],
    config: &Config,
    summary: &ReplaySummary,
    timing: &Timing,
    score: Option<&RecordingScore>,
) -> anyhow::Result<()> {
    let names: Vec<String> = inputs.iter().map(|input| name_of(input)).collect();
    let facts = Facts {
        recording: names.join(", "),
        figures: figures(summary),
        losses: summary.losses.iter().map(|loss| format!("{} ({} frames lost)", loss.cause, loss.frames)).collect(),
        made_with: made_with(config),
        parameters: config.to_commented_yaml(),
    };
    let pictures = pictures(out, summary, score)?;
    let path = out.join(REPORT_HTML);
    let html = page(&facts, &summary.story, timing, score, &pictures);
    std::fs::write(&path, html).with_context(|| format!("cannot write {}", path.display()))
}

fn name_of(input: &Path) -> String {
    input.file_name().unwrap_or(input.as_os_str()).to_string_lossy().into_owned()
}

fn figures(summary: &ReplaySummary) -> Vec<(String, String)> {
    let ReplaySummary { frames, faces, people, .. } = summary;
    let named = people.iter().filter(|person| !person.name.is_empty()).count();
    let mut rows = vec![
        ("frames processed", format!("{} of {}", frames.processed, frames.received)),
        ("people named", named.to_string()),
        ("face ids given", faces.ids.to_string()),
        ("faces at once, at most", faces.max_simultaneous.to_string()),
    ];
    if frames.displaced > 0 {
        rows.push(("frames displaced by newer ones", frames.displaced.to_string()));
    }
    rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
}

/// The worst moments against truth; without truth, or when nothing was wrong, the recording from end to end.
fn pictures(out: &Path, summary: &ReplaySummary, score: Option<&RecordingScore>) -> anyhow::Result<Vec<Picture>> {
    let worst = score.map(|score| score.worst.as_slice()).unwrap_or_default();
    let (moments, captions): (Vec<(String, i64)>, Vec<String>) = if worst.is_empty() {
        let Some((camera, first)) = &summary.story.start else { return Ok(Vec::new()) };
        let at = |index: usize| summary.story.secs * (index as f64 + 0.5) / PICTURES as f64;
        let moment = |index| ((camera.to_string(), first.plus_secs(at(index)).nanos()), format!("{:.1} s", at(index)));
        (0..PICTURES).map(moment).unzip()
    } else {
        let caption = |moment: &crate::eval::recording::WorstMoment| {
            format!("{:.1} s: {} for {:.1} s, {}", moment.secs, moment.what, moment.lasted_secs, moment.person)
        };
        worst.iter().map(|moment| ((moment.camera.clone(), moment.stamp), caption(moment))).unzip()
    };
    let found = replay::annotated_near(&out.join("people.mcap"), &moments)?;
    let mut pictures: Vec<Picture> =
        captions.into_iter().zip(found).filter_map(|(caption, jpeg)| Some(Picture { caption, jpeg: jpeg? })).collect();
    // A short recording has fewer pictures than places for them.
    pictures.dedup_by(|a, b| a.jpeg == b.jpeg);
    Ok(pictures)
}
