//! Plays one case and measures it.

use super::frames::{Frames, PERIOD};
use super::{Measured, Stage, Task};
use crate::assembly;
use crate::config::Config;
use crate::ids::CameraId;
use crate::model::NoProgress;
use crate::onnx::{RecordedRun, RunCount, Tape};
use crate::pipeline::Pipeline;
use crate::runtime::{self, StageTime, now, on_processor};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rounds until every face is decided and its looks have become rare.
const WARM_ROUNDS: usize = 8;
/// Fewest rounds that are timed.
const LEAST_ROUNDS: usize = 5;
/// Most rounds that are timed.
const MOST_ROUNDS: usize = 400;

/// Measures one case. It takes the whole process for itself: its peak of memory is reported.
///
/// # Errors
/// When the line cannot be loaded or a frame not be processed.
pub fn run(task: &Task) -> anyhow::Result<Measured> {
    let case = &task.case;
    let frames = Frames::read(&task.frames, (case.width, case.height))
        .with_context(|| format!("cannot read {}", task.frames.display()))?;
    let mut config = task.config.clone();
    config.detector.model.clone_from(&case.detector);
    let began = now();
    let tape = Tape::default();
    let line = assembly::load_recorded_pipeline(&config, tape.clone(), &mut NoProgress)?;
    let start_ms = ms(began.elapsed());
    let start = runtime::take_start_times();

    let mut player = Player { line, tape, frames, ticks: BTreeMap::new() };
    let cameras =
        (0..case.cameras).map(|index| CameraId::new(&format!("camera{index}"))).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..WARM_ROUNDS {
        player.round(&cameras, |_| Ok(()))?;
    }
    let mut seen = Vec::with_capacity(PERIOD * case.cameras);
    player.round(&cameras, |played| {
        seen.push(played);
        Ok(())
    })?;
    let peak_rss_mb = runtime::peak_memory_mb().unwrap_or(0.0);
    let recorded = player.record(&cameras)?;
    let timed = Timed::measure(&mut player, &cameras, &recorded, task.secs)?;

    let in_a_round = (PERIOD * case.cameras) as f64;
    let total =
        |of: fn(&Played) -> Option<u64>| seen.iter().map(of).sum::<Option<u64>>().map(|n| n as f64 / in_a_round);
    let frame_ms = timed.median(|round| ms(round.line) / in_a_round);
    let one_camera = |round: &Round| ms(round.line) / in_a_round / (ms(round.alone) / PERIOD as f64);
    Ok(Measured {
        name: case.name(),
        case: case.clone(),
        faces_found: seen.iter().map(|played| played.faces).sum::<usize>() as f64 / in_a_round,
        rounds: timed.rounds.len(),
        frames: timed.rounds.len() * PERIOD * case.cameras,
        frame_ms,
        floor_ms: timed.median(|round| ms(round.floor) / in_a_round),
        ratio: timed.median(|round| ms(round.line) / ms(round.floor).max(1e-9)),
        cpu_ratio: timed.median(|round| ms(round.line_cpu) / ms(round.floor_cpu).max(1e-9)),
        frames_per_sec: 1e3 / frame_ms,
        against_one_camera: (case.cameras > 1).then(|| timed.median(one_camera)),
        stages: timed.stages(&config, in_a_round),
        images_per_frame: images_per_frame(&recorded, in_a_round),
        allocations_per_frame: total(|played| played.allocated.map(|(count, _)| count)),
        allocated_bytes_per_frame: total(|played| played.allocated.map(|(_, bytes)| bytes)),
        peak_rss_mb,
        frames_mb: player.frames.bytes() as f64 * 1e-6,
        start_ms,
        start: start.into_iter().map(|(step, time)| (step.to_owned(), ms(time.total))).collect(),
    })
}

/// Feeds frames to the line.
struct Player {
    line: Pipeline,
    tape: Tape,
    frames: Frames,
    /// What the clock of every camera shows.
    ticks: BTreeMap<CameraId, usize>,
}

/// How one frame went.
struct Played {
    /// Of the round.
    number: usize,
    took: Duration,
    /// Time on a processor.
    cpu: Duration,
    faces: usize,
    runs: RunCount,
    /// Allocations and their bytes, where they are counted.
    allocated: Option<(u64, u64)>,
}

impl Player {
    /// One period of the pictures on every camera; `after` is told of each frame.
    fn round(
        &mut self,
        cameras: &[CameraId],
        mut after: impl FnMut(Played) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for number in 0..PERIOD * cameras.len() {
            let camera = &cameras[number % cameras.len()];
            let tick = self.ticks.entry(camera.clone()).or_default();
            let frame = self.frames.frame(camera, *tick);
            *tick += 1;
            self.tape.take_count();
            let (allocations, began, cpu) = (runtime::allocations(), now(), on_processor());
            let people = self.line.process(&frame)?;
            let (cpu, took) = (on_processor().saturating_sub(cpu), began.elapsed());
            let allocated = runtime::allocations().zip(allocations).map(|(now, then)| (now.0 - then.0, now.1 - then.1));
            let faces = people.people.iter().filter(|person| person.observed).count();
            after(Played { number, took, cpu, faces, runs: self.tape.take_count(), allocated })?;
        }
        Ok(())
    }

    /// The network runs of every frame of a round.
    fn record(&mut self, cameras: &[CameraId]) -> anyhow::Result<Vec<(RunCount, Vec<RecordedRun>)>> {
        let tape = self.tape.clone();
        let mut recorded = Vec::new();
        tape.keep(true);
        self.round(cameras, |played| {
            recorded.push((played.runs, tape.take_runs()));
            Ok(())
        })?;
        tape.keep(false);
        Ok(recorded)
    }
}

/// One round, line and floor in turns.
#[derive(Default)]
struct Round {
    line: Duration,
    floor: Duration,
    line_cpu: Duration,
    floor_cpu: Duration,
    /// The same number of ticks of a single camera; zero where that is the case itself.
    alone: Duration,
}

/// What the rounds took.
#[derive(Default)]
struct Timed {
    rounds: Vec<Round>,
    stages: BTreeMap<&'static str, Duration>,
    floors: BTreeMap<String, Duration>,
}

impl Timed {
    /// Plays rounds for `secs`, every frame followed by its network runs alone.
    fn measure(
        player: &mut Player,
        cameras: &[CameraId],
        recorded: &[(RunCount, Vec<RecordedRun>)],
        secs: f64,
    ) -> anyhow::Result<Self> {
        let alone = [CameraId::new("alone")?];
        if cameras.len() > 1 {
            for _ in 0..WARM_ROUNDS {
                player.round(&alone, |_| Ok(()))?;
            }
        }
        let (mut timed, began) = (Self::default(), now());
        let is_done =
            |rounds: usize| rounds >= MOST_ROUNDS || (rounds >= LEAST_ROUNDS && began.elapsed().as_secs_f64() >= secs);
        while !is_done(timed.rounds.len()) {
            let mut round = Round::default();
            if cameras.len() > 1 {
                player.round(&alone, |played| {
                    round.alone += played.took;
                    Ok(())
                })?;
            }
            runtime::take_stage_times();
            player.round(cameras, |played| {
                let (runs, recorded) = &recorded[played.number];
                ensure!(
                    *runs == played.runs,
                    "frame {} made other network runs than before ({:?}, not {runs:?}), so there is no floor to compare it with",
                    played.number,
                    played.runs
                );
                round.line += played.took;
                round.line_cpu += played.cpu;
                let cpu = on_processor();
                round.floor += timed.repeat(recorded)?;
                round.floor_cpu += on_processor().saturating_sub(cpu);
                Ok(())
            })?;
            timed.add_stages(runtime::take_stage_times());
            timed.rounds.push(round);
        }
        Ok(timed)
    }

    fn repeat(&mut self, runs: &[RecordedRun]) -> anyhow::Result<Duration> {
        let mut total = Duration::ZERO;
        for run in runs {
            let began = now();
            run.repeat()?;
            let took = began.elapsed();
            total += took;
            match self.floors.get_mut(run.model()) {
                Some(floor) => *floor += took,
                None => drop(self.floors.insert(run.model().to_owned(), took)),
            }
        }
        Ok(total)
    }

    fn add_stages(&mut self, times: BTreeMap<&'static str, StageTime>) {
        for (stage, time) in times {
            *self.stages.entry(stage).or_default() += time.total;
        }
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    }

    /// The stages in the order of the line.
    fn stages(&self, config: &Config, frames_per_round: f64) -> Vec<Stage> {
        let frames = frames_per_round * self.rounds.len() as f64;
        let networks = [
            ("detect", &*config.detector.model),
            ("embed", &config.identity.model),
            ("emotion", assembly::emotion_model(config)),
        ];
        ["decode", "detect", "align", "embed", "emotion", "track", "decide"]
            .into_iter()
            .map(|name| {
                let floors = networks.iter().filter(|(stage, _)| *stage == name);
                let floor: Duration = floors.filter_map(|(_, model)| self.floors.get(*model)).sum();
                let took = self.stages.get(name).copied().unwrap_or_default();
                Stage { name: name.to_owned(), ms: ms(took) / frames, floor_ms: ms(floor) / frames }
            })
            .collect()
    }
}

fn images_per_frame(recorded: &[(RunCount, Vec<RecordedRun>)], frames: f64) -> Vec<(String, f64)> {
    let mut images = BTreeMap::<&str, usize>::new();
    for run in recorded.iter().flat_map(|(_, runs)| runs) {
        *images.entry(run.model()).or_default() += run.batch();
    }
    images.into_iter().map(|(model, count)| (model.to_owned(), count as f64 / frames)).collect()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
