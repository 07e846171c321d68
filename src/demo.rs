//! The demo: a scene composed from real photographs, whose truth is known exactly, goes through the
//! line, and what comes out is scored.

pub mod crowd;
pub mod curve;
mod dice;
pub mod layer;
pub mod photos;
pub mod recording;
pub mod report;
pub mod room;
pub mod scene;
pub mod score;
pub mod story;

use crate::annotate::Annotator;
use crate::frame::{Decoder, Frame};
use crate::people::{People, PersonEvent};
use crate::pipeline::{Pipeline, PipelineError};
use crate::replay::Line;
use crate::time::Stamp;
use report::Snapshot;
use scene::FrameTruth;
use score::{Score, Scorer};
use std::collections::VecDeque;

/// The line under observation: every frame's people are scored, and some frames are kept as
/// pictures.
pub struct ScoredLine<'a> {
    pipeline: Pipeline,
    truth: &'a [FrameTruth],
    scorer: Scorer,
    /// Seconds at which a picture is still to be kept.
    moments: VecDeque<f64>,
    snapshots: Vec<Snapshot>,
    annotator: Option<Annotator>,
    decoder: Decoder,
}

impl<'a> ScoredLine<'a> {
    /// Scores `pipeline` against the truth of the frames it will get, and keeps annotated pictures of
    /// the given seconds, which rise.
    pub fn new(pipeline: Pipeline, truth: &'a [FrameTruth], moments: &[f64]) -> Self {
        Self {
            pipeline,
            truth,
            scorer: Scorer::default(),
            moments: moments.iter().copied().collect(),
            snapshots: Vec::new(),
            // Without its font there are no pictures, and the score is the same.
            annotator: Annotator::new().ok(),
            decoder: Decoder::default(),
        }
    }

    /// The score, and the pictures.
    pub fn finish(self) -> (Score, Vec<Snapshot>) {
        (self.scorer.finish(), self.snapshots)
    }
}

impl Line for ScoredLine<'_> {
    fn process(&mut self, frame: &Frame<'_>) -> Result<&People, PipelineError> {
        let people = self.pipeline.process(frame)?;
        if let Ok(index) = self.truth.binary_search_by_key(&frame.stamp, |truth| truth.stamp) {
            self.scorer.add(&self.truth[index], people);
            let secs = frame.stamp.secs_since(self.truth[0].stamp);
            if self.moments.front().is_some_and(|moment| *moment <= secs) {
                self.moments.pop_front();
                let picture = self.decoder.decode(&frame.pixels).ok().zip(self.annotator.as_mut());
                let jpeg = picture.and_then(|(image, annotator)| Some(annotator.jpeg(image, people).ok()?.to_vec()));
                self.snapshots.extend(jpeg.map(|jpeg| Snapshot { secs, jpeg }));
            }
        }
        Ok(people)
    }

    fn settle(&mut self, now: Stamp) -> Vec<PersonEvent> {
        Line::settle(&mut self.pipeline, now)
    }
}
