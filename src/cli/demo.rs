//! `rostro demo`.

use super::bar::FrameBar;
use super::progress::StderrProgress;
use super::{Outcome, Output, say};
use crate::assembly;
use crate::config::Config;
use crate::demo::photos::{self, ENROLLED_FROM, ENROLLED_NAME};
use crate::demo::recording::{self, SCENE_FILE, TRUTH_FILE};
use crate::demo::report::Report;
use crate::demo::scene::FrameTruth;
use crate::demo::{ScoredLine, story};
use crate::frame::{EncodedPixels, Pixels};
use crate::model::pictures::demo_pictures;
use crate::model::store::{InstallOptions, Installed, ModelStore};
use crate::pipeline::{EnrolAs, Pipeline};
use crate::replay::{self, Inputs, Outputs};
use crate::runtime::{now, peak_memory_mb};
use crate::time::Stamp;
use anyhow::Context;
use std::path::{Path, PathBuf};

const REPORT_JSON: &str = "report.json";
const REPORT_HTML: &str = "report.html";

/// Run the whole line on a scene composed from real photographs, and score it against exact truth.
///
/// One person is enrolled from one photograph and shown from two others, among two strangers who
/// must stay unnamed. What is missing (photographs, models, ONNX Runtime) is fetched first, once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
DIR gets
  scene.mcap     the scene as a camera would have recorded it
  truth.jsonl    what is true of every face in every frame
  people.jsonl   what was found, one line per frame
  people.mcap    the messages a robot would have published, with annotated pictures
  report.html    the score, a timeline and pictures; report.json has the figures

Exit codes: 0 every target reached, 1 a target missed or the demo failed, 2 wrong usage")]
pub(super) struct DemoArgs {
    /// Folder for the results; made when missing, earlier results in it are replaced.
    #[arg(long, value_name = "DIR", default_value = "rostro-demo")]
    out: PathBuf,
}

pub(super) fn run(args: &DemoArgs, output: Output) -> anyhow::Result<Outcome> {
    let started = now();
    let out = args.out.as_path();
    std::fs::create_dir_all(out).with_context(|| format!("cannot write {}", out.display()))?;
    let config = Config::default();
    let store = ModelStore::open(&config.inference.cache_dir)?;
    let mut progress = StderrProgress::default();
    let pictures = store.install_bundle(&demo_pictures(), &InstallOptions::default(), &mut progress)?;
    let mut line = assembly::load_pipeline(&config, &mut progress)?;
    drop(progress);
    enrol(&mut line, &pictures)?;
    let truth = compose(&pictures, out)?;
    let report = replay_and_score(&config, line, &truth, out)?;
    let memory = peak_memory_mb().map(|mb| format!(", peak memory {mb:.0} MB")).unwrap_or_default();
    say(&format!("done in {:.1} s{memory}", (now() - started).as_secs_f64()));
    let text = format!("{}\nReport   {}\n", report.text(), out.join(REPORT_HTML).display());
    output.result(&report, &text)?;
    anyhow::ensure!(report.passed, "the line missed its targets: {}", report.missed.join("; "));
    Ok(Outcome::Done)
}

fn enrol(line: &mut Pipeline, pictures: &Installed) -> anyhow::Result<()> {
    let path = pictures.path(ENROLLED_FROM)?;
    let data = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let picture = Pixels::Encoded(EncodedPixels { format: "", data: &data });
    let who = EnrolAs { name: ENROLLED_NAME.to_owned(), ..EnrolAs::default() };
    line.enrol_pictures(&who, [(picture, Stamp::default(), ENROLLED_FROM.to_owned())])
        .with_context(|| format!("cannot learn {ENROLLED_NAME} from {}", path.display()))?;
    Ok(())
}

fn compose(pictures: &Installed, out: &Path) -> anyhow::Result<Vec<FrameTruth>> {
    let scene = story::scene(photos::cutouts(pictures)?);
    let frames = scene.frames() as u64;
    say(&format!("composing {frames} frames into {} and {}", out.join(SCENE_FILE).display(), TRUTH_FILE));
    let bar = FrameBar::show(Some(frames));
    Ok(recording::write(&scene, out, &mut |done| bar.set(done))?)
}

fn replay_and_score(config: &Config, line: Pipeline, truth: &[FrameTruth], out: &Path) -> anyhow::Result<Report> {
    let mut inputs = Inputs::open(&[out.join(SCENE_FILE)], &[])?;
    let outputs = Outputs::create(out, &inputs.cameras(), config)?;
    say(&format!("looking at {} frames", truth.len()));
    let bar = FrameBar::show(inputs.frames_expected());
    let mut line = ScoredLine::new(line, truth, &story::MOMENTS);
    let summary = replay::run(&mut inputs.sources, &mut line, outputs, &mut |frames| bar.set(frames))?;
    drop(bar);
    let (score, snapshots) = line.finish();
    let report = Report::new(truth, score, summary.people, summary.frames);
    write(&out.join(REPORT_JSON), &serde_json::to_string_pretty(&report)?)?;
    write(&out.join(REPORT_HTML), &report.html(&snapshots))?;
    Ok(report)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
