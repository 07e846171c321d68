//! What a frame costs, stage by stage, against what its networks cost alone.
//!
//! A case is one detector, picture size, number of faces and number of cameras. Its frames are real faces
//! composed onto a room ([`frames`]), held in memory as a camera driver would hand them over (`bgr8`), and
//! played at 30 Hz of image time, so that every face is measured as often as on a robot and not more.
//!
//! The *floor* of a case is the time of the very network runs that its frames made, made again alone: the
//! same sessions, threads and inputs, each frame's right after the frame itself. A line that adds nothing to
//! its networks has a ratio of 1.

pub mod frames;
mod measure;
pub mod table;

pub use measure::run;

use crate::config::Config;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Manifest name of the detector.
    pub detector: String,
    /// Columns of a frame.
    pub width: u32,
    /// Rows of a frame.
    pub height: u32,
    /// Faces in every frame.
    pub faces: usize,
    /// Cameras, each with a stream of its own.
    pub cameras: usize,
}

/// A case, and all that a process needs to measure it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// The case.
    pub case: Case,
    /// The settings of the line; the case decides about the detector.
    pub config: Config,
    /// File of the composed frames, see [`frames::Frames::write`].
    pub frames: PathBuf,
    /// Time to measure for, seconds; a few rounds are played in any case.
    pub secs: f64,
}

/// What a case costs. Times are of one frame of one camera, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Detector, size, faces and cameras in words.
    pub name: String,
    /// What was measured.
    #[serde(flatten)]
    pub case: Case,
    /// Faces that the detector found per frame.
    pub faces_found: f64,
    /// Rounds that were timed, and frames in all of them.
    pub rounds: usize,
    /// See [`Self::rounds`].
    pub frames: usize,
    /// The whole line.
    pub frame_ms: f64,
    /// Its networks alone.
    pub floor_ms: f64,
    /// Median over the rounds of line through floor.
    pub ratio: f64,
    /// The same of the time on a processor, which other programs disturb less. It leaves out the threads of
    /// ONNX Runtime where `inference.threads` is above 1.
    pub cpu_ratio: f64,
    /// Frames per second of one thread.
    pub frames_per_sec: f64,
    /// With several cameras: a frame of one of them against a frame of one camera alone, measured in
    /// turns; median over the rounds.
    pub against_one_camera: Option<f64>,
    /// Where the time goes.
    pub stages: Vec<Stage>,
    /// Images given to each network per frame, by model.
    pub images_per_frame: Vec<(String, f64)>,
    /// Allocations of the Rust code per frame after warm-up; none where they are not counted.
    pub allocations_per_frame: Option<f64>,
    /// Bytes of these allocations.
    pub allocated_bytes_per_frame: Option<f64>,
    /// Most memory that the process had until then, with the frames themselves.
    pub peak_rss_mb: f64,
    /// The frames themselves.
    pub frames_mb: f64,
    /// From nothing to a line that can take its first frame.
    pub start_ms: f64,
    /// Where that time goes.
    pub start: Vec<(String, f64)>,
}

/// One stage of the line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Its share of a frame.
    pub ms: f64,
    /// Its networks alone.
    pub floor_ms: f64,
}

impl Case {
    /// The case in words.
    pub fn name(&self) -> String {
        let Self { detector, width, height, faces, cameras } = self;
        let plural = |count: &usize| if *count == 1 { "" } else { "s" };
        format!("{detector} {width}x{height}, {faces} face{}, {cameras} camera{}", plural(faces), plural(cameras))
    }
}
