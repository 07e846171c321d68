//! `rostro bench`.

use super::bar::FrameBar;
use super::params::read_config;
use super::progress::StderrProgress;
use super::{Outcome, Output, say};
use crate::bench::frames::Frames;
use crate::bench::{self, Case, Measured, Task, table};
use crate::config::Config;
use crate::demo::layer::Cutout;
use crate::demo::photos;
use crate::model::pictures::demo_pictures;
use crate::model::store::{Bundle, FileState, InstallOptions, ModelStore};
use anyhow::{Context, bail};
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Measure what a frame costs, stage by stage, against what its networks cost alone.
///
/// Every case runs in a process of its own, on frames in memory: people cut out of the demo's photographs,
/// side by side in a room, bgr8, played at 30 Hz of image time. "floor" is the time of the very network runs
/// that these frames made, made again alone, in turns with the frames; "ratio" is the line through its floor.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns:
  frame ms    one frame of one camera through the whole line      floor ms  its networks alone
  ratio       median over the rounds; 1.0 would be a line that costs nothing around its networks
  (cpu)       the same of the time on a processor, for a machine that does other things too
  per camera  a frame of one of several cameras against one of a single camera, measured in turns
  found       faces found per frame                               alloc     allocations per frame
  kB/frame    bytes of these allocations, after warm-up; those inside ONNX Runtime are not counted
  peak MB     most memory of the process, with models, ONNX Runtime and the frames themselves

Without options a short set is measured. --size, --faces, --cameras and --detector choose cases (every
combination), --full takes all: 640x480, 1280x720, 1920x1080 with 0, 1, 5, 20 faces and 1, 2, 4 cameras.
Figures are worth something on a machine that does nothing else, and only within one run.

Examples:
  rostro bench --size 1280x720 --faces 0,5 --stages
  rostro bench --detector yunet-n-640 --cameras 1,4 --json | jq '.cases[] | [.name, .ratio]'
  rostro bench --params-file robot.yaml        the robot's own settings

Exit codes: 0 done, 1 failed, 2 wrong usage")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
pub(super) struct BenchArgs {
    /// Detectors by manifest name; when not given, mtcnn and yunet-n-640, as far as they are installed.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    detector: Vec<String>,

    /// Picture sizes.
    #[arg(long, value_name = "WxH", value_delimiter = ',', value_parser = parse_size)]
    size: Vec<(u32, u32)>,

    /// Numbers of faces.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    faces: Vec<usize>,

    /// Numbers of cameras.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=16))]
    cameras: Vec<u64>,

    /// Every size, number of faces and number of cameras (many minutes).
    #[arg(long)]
    full: bool,

    /// Show the stages of every case, and where its start went.
    #[arg(long)]
    stages: bool,

    /// Measure every face for identity and expression in every frame, not only when it is due.
    #[arg(long)]
    every_face: bool,

    /// Least time to measure each case for, seconds.
    #[arg(long, value_name = "SECS", default_value_t = 5.0)]
    secs: f64,

    /// Settings of the line.
    #[arg(long, value_name = "YAML")]
    params_file: Option<PathBuf>,

    /// Folder for the composed frames, WIDTHxHEIGHT-FACES.bgr, which are kept then.
    #[arg(long, value_name = "DIR")]
    frames: Option<PathBuf>,

    /// Measure the task on stdin in this process.
    #[arg(long, hide = true)]
    task: bool,
}

/// The detectors that are measured when they are installed.
const DETECTORS: [&str; 2] = ["mtcnn", "yunet-n-640"];
const SIZES: [(u32, u32); 3] = [(640, 480), (1280, 720), (1920, 1080)];
const FACES: [usize; 4] = [0, 1, 5, 20];
const CAMERAS: [usize; 3] = [1, 2, 4];

#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    cases: Vec<Measured>,
}

pub(super) fn run(args: &BenchArgs, output: Output) -> anyhow::Result<Outcome> {
    if args.task {
        let task: Task = serde_json::from_reader(std::io::stdin()).context("the task on stdin")?;
        output.result(&bench::run(&task)?, "")?;
        return Ok(Outcome::Done);
    }
    let config = config_of(args)?;
    let store = ModelStore::open(&config.inference.cache_dir)?;
    let cases = args.cases(&store)?;
    let temporary = tempfile::tempdir().context("a folder for the frames")?;
    let folder = args.frames.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder).with_context(|| format!("cannot write {}", folder.display()))?;
    compose(&store, &cases, folder)?;
    let bar = FrameBar::counting("cases", Some(cases.len() as u64));
    let mut measured = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        bar.set(number as u64);
        let task = Task { case: case.clone(), config: config.clone(), frames: file_of(case, folder), secs: args.secs };
        measured.push(in_own_process(&task).with_context(|| case.name())?);
    }
    drop(bar);
    let mut text = table::summary(&measured);
    if args.stages {
        text.extend(measured.iter().map(table::details));
    }
    output.result(&Report { version: env!("CARGO_PKG_VERSION"), cases: measured }, &text)?;
    Ok(Outcome::Done)
}

fn config_of(args: &BenchArgs) -> anyhow::Result<Config> {
    let mut config = read_config(args.params_file.as_deref())?;
    if args.every_face {
        config.identity.looks_hz = 100.0;
        config.identity.looks_per_frame = 1000;
        config.identity.min_inter_ocular_px = 0.0;
        config.emotion.rate_hz = 100.0;
    }
    Ok(config)
}

impl BenchArgs {
    fn cases(&self, store: &ModelStore) -> anyhow::Result<Vec<Case>> {
        let detectors = if self.detector.is_empty() { installed_detectors(store)? } else { self.detector.clone() };
        let cameras: Vec<usize> = self.cameras.iter().map(|count| *count as usize).collect();
        let is_default = self.size.is_empty() && self.faces.is_empty() && cameras.is_empty() && !self.full;
        let mut cases = Vec::new();
        for detector in &detectors {
            let case = |(width, height): (u32, u32), faces, cameras| Case {
                detector: detector.clone(),
                width,
                height,
                faces,
                cameras,
            };
            if is_default {
                let (vga, hd) = (SIZES[0], SIZES[1]);
                cases.extend([case(vga, 1, 1), case(hd, 0, 1), case(hd, 5, 1), case(hd, 5, 4)]);
                continue;
            }
            let all = self.full;
            for size in chosen(&self.size, if all { &SIZES } else { &SIZES[1..2] }) {
                for faces in chosen(&self.faces, if all { &FACES } else { &FACES[2..3] }) {
                    for cameras in chosen(&cameras, if all { &CAMERAS } else { &CAMERAS[..1] }) {
                        cases.push(case(*size, *faces, *cameras));
                    }
                }
            }
        }
        Ok(cases)
    }
}

fn chosen<'a, T>(given: &'a [T], otherwise: &'a [T]) -> &'a [T] {
    if given.is_empty() { otherwise } else { given }
}

/// Those of [`DETECTORS`] that need not be fetched, and the default one in any case.
fn installed_detectors(store: &ModelStore) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for name in DETECTORS {
        let files = store.verify(&Bundle::load(name)?)?;
        if name == DETECTORS[0] || files.iter().all(|(_, state)| *state == FileState::Right) {
            found.push(name.to_owned());
        } else {
            say(&format!("{name} is not installed and left out; to have it measured: rostro models install {name}"));
        }
    }
    Ok(found)
}

fn file_of(case: &Case, folder: &Path) -> PathBuf {
    folder.join(format!("{}x{}-{}.bgr", case.width, case.height, case.faces))
}

/// Writes the frames of every case that has none yet.
fn compose(store: &ModelStore, cases: &[Case], folder: &Path) -> anyhow::Result<()> {
    let options = InstallOptions::default();
    let pictures = store.install_bundle(&demo_pictures(), &options, &mut StderrProgress::default())?;
    let cutouts: Vec<Cutout> = photos::cutouts(&pictures)?;
    let mut written = Vec::new();
    for case in cases {
        let path = file_of(case, folder);
        if !written.contains(&path) {
            let frames = Frames::compose(&cutouts, (case.width, case.height), case.faces);
            frames.write(&path).with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path);
        }
    }
    Ok(())
}

/// Measures a task in a process that does nothing else, so that its memory is its own.
fn in_own_process(task: &Task) -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("this program's own file")?;
    let mut child = Command::new(program)
        .args(["bench", "--task", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("a process to measure in")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(task)?)?;
    }
    let done = child.wait_with_output()?;
    if !done.status.success() {
        bail!("the process that measured ended with {}", done.status);
    }
    serde_json::from_slice(&done.stdout).context("what the process that measured said")
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|sides: &(u32, u32)| sides.0 >= 64 && sides.1 >= 64 && sides.0.max(sides.1) <= 8192)
        .ok_or_else(|| format!("{text:?} is not a size like 1280x720 (64 to 8192 pixels)"))
}
