//! How long frames and stages took.

use crate::eval::statistics::quantile;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Times collected frame by frame.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    frames: Vec<f32>,
    stages: BTreeMap<&'static str, Vec<f32>>,
    ages: Vec<f32>,
}

/// The spread of some times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half are faster.
    pub p50_ms: f64,
    /// 90 % are faster.
    pub p90_ms: f64,
    /// 99 % are faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// What a page and `--json` tell of the times; different in every run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimingSummary {
    /// Per frame, from its bytes to its people.
    #[serde(flatten)]
    pub frame: Quantiles,
    /// Per stage, of the frames in which it ran.
    pub stages: BTreeMap<&'static str, Quantiles>,
    /// From the arrival of an image to its people, in a run at the speed of the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<Quantiles>,
}

impl Timing {
    /// One frame took so long; the stages that ran, each so long.
    pub fn add(&mut self, frame: Duration, stages: impl IntoIterator<Item = (&'static str, Duration)>) {
        self.frames.push(millis(frame));
        for (stage, took) in stages {
            self.stages.entry(stage).or_default().push(millis(took));
        }
    }

    /// The people of an image were known so long after it arrived.
    pub fn add_age(&mut self, age: Duration) {
        self.ages.push(millis(age));
    }

    /// The spread of them; `None` before the first frame.
    pub fn summary(&self) -> Option<TimingSummary> {
        let stages = self.stages.iter().filter_map(|(stage, times)| Some((*stage, quantiles(times)?))).collect();
        Some(TimingSummary { frame: quantiles(&self.frames)?, stages, age: quantiles(&self.ages) })
    }

    /// Times per frame, in milliseconds.
    pub fn frames(&self) -> &[f32] {
        &self.frames
    }
}

fn millis(took: Duration) -> f32 {
    took.as_secs_f32() * 1e3
}

fn quantiles(times: &[f32]) -> Option<Quantiles> {
    let mut sorted: Vec<f64> = times.iter().map(|time| f64::from(*time)).collect();
    sorted.sort_by(f64::total_cmp);
    // Microseconds are finer than anything that repeats.
    let at = |q| quantile(&sorted, q).map(|millis| (millis * 1e3).round() / 1e3);
    Some(Quantiles { p50_ms: at(0.5)?, p90_ms: at(0.9)?, p99_ms: at(0.99)?, max_ms: at(1.0)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_frames_and_stages() {
        let mut timing = Timing::default();
        assert_eq!(timing.summary(), None);
        for millis in 1..=100 {
            let stages = (millis % 2 == 0).then_some(("embed", Duration::from_millis(7)));
            timing.add(Duration::from_millis(millis), stages);
        }
        let summary = timing.summary().unwrap();
        assert_eq!((summary.frame.p50_ms, summary.frame.max_ms), (50.5, 100.0));
        assert_eq!(summary.stages["embed"].p99_ms, 7.0);
    }
}
