//! Replay: every frame of a recording through the line, in stamp order, always with the same
//! result; what a robot would have published goes into files.

mod annotated;
mod bag;
mod inputs;
mod json;
mod mcap_file;
mod output;
mod pictures;
mod realtime;
mod rosbag2;
mod source;
mod sqlite_file;
mod summary;
mod video;

pub use annotated::annotated_near;
pub use bag::BagSource;
pub use inputs::{Inputs, Kind, kind_of};
pub use output::{OutputError, Outputs, RESULTS};
pub use pictures::{GifSource, PictureSource, picture_files};
pub use realtime::{Timeline, run_at_speed};
pub use source::{FrameSource, OpenError, REHEARSAL_SECS, SourceError};
pub use summary::{FaceCounts, FrameCounts, Loss, PersonSummary, ReplaySummary};
pub use video::VideoSource;

use crate::frame::Frame;
use crate::ids::CameraId;
use crate::people::{People, PersonEvent};
use crate::pipeline::{Pipeline, PipelineError};
use crate::time::Stamp;
use std::collections::BTreeMap;
use summary::SummaryBuilder;

/// What stands between a frame and people: the pipeline, or a stand-in in tests.
pub trait Line {
    /// The people of one frame.
    ///
    /// # Errors
    /// [`PipelineError`] when this frame cannot be processed; the next one can be.
    fn process(&mut self, frame: &Frame<'_>) -> Result<&People, PipelineError>;

    /// Does what waits between frames, such as remembering a stranger who stayed; returns what changed by it
    /// and with the last processed frame. `now` is the frame's time.
    fn settle(&mut self, now: Stamp) -> Vec<PersonEvent>;
}

impl Line for Pipeline {
    fn process(&mut self, frame: &Frame<'_>) -> Result<&People, PipelineError> {
        self.process(frame)
    }

    fn settle(&mut self, now: Stamp) -> Vec<PersonEvent> {
        let mut events = self.events().to_vec();
        // Nobody enrols from live looks in a replay.
        let _ = self.settle(now);
        events.extend(self.take_events());
        events
    }
}

/// Runs every frame of `sources` through `line` into `outputs`, which are finished at the end.
/// `on_frame` is called after each frame received, with their number.
///
/// Frames and stretches that cannot be read are counted, logged once per cause and passed over.
///
/// # Errors
/// [`OutputError`] when a result cannot be written; what was written until then stays readable under
/// its temporary name.
pub fn run(
    sources: &mut [Box<dyn FrameSource>],
    line: &mut dyn Line,
    mut outputs: Outputs,
    on_frame: &mut dyn FnMut(u64),
) -> Result<ReplaySummary, OutputError> {
    let mut summary = SummaryBuilder::default();
    let mut latest = BTreeMap::new();
    for source in sources {
        loop {
            let rehearsals = source.rehearsals();
            match source.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if note_stamp(&mut latest, &frame) {
                        summary.restarted();
                    }
                    rehearse(&frame, rehearsals, line);
                    step(&frame, line, &mut outputs, &mut summary)?;
                    on_frame(summary.received());
                }
                Err(error) => {
                    summary.unreadable(&error);
                    on_frame(summary.received());
                }
            }
        }
    }
    let story = outputs.finish()?;
    Ok(summary.finish(story))
}

/// Shows the line the same frame before its time; what it makes of that is not yet reported.
fn rehearse(frame: &Frame<'_>, times: u32, line: &mut dyn Line) {
    for earlier in (1..=times).rev() {
        let stamp = frame.stamp.plus_secs(-f64::from(earlier) * REHEARSAL_SECS);
        // A frame that cannot be processed will say so when it counts.
        let _ = line.process(&Frame { stamp, ..frame.clone() });
    }
}

fn step(
    frame: &Frame<'_>,
    line: &mut dyn Line,
    outputs: &mut Outputs,
    summary: &mut SummaryBuilder,
) -> Result<(), OutputError> {
    let people = match line.process(frame) {
        Ok(people) => people.clone(),
        Err(error) => {
            summary.failed(&format!("{}: {error}", frame.camera));
            return Ok(());
        }
    };
    summary.processed(&people);
    outputs.write(frame, &people, &line.settle(frame.stamp))
}

/// Whether this camera's stamps have gone backwards, as in a looping bag. The line itself says so and tracks
/// faces anew.
fn note_stamp(latest: &mut BTreeMap<CameraId, Stamp>, frame: &Frame<'_>) -> bool {
    let before = latest.insert(frame.camera.clone(), frame.stamp);
    before.is_some_and(|before| frame.stamp < before)
}

#[cfg(test)]
mod testing {
    use crate::geometry::{BBox, Landmarks5, Point};
    use crate::ids::{CameraId, FaceId, PersonId};
    use crate::people::{Identity, IdentityState, People, Person};
    use crate::time::Stamp;

    /// An observed face; with a name it is a known person.
    pub(super) fn person(number: u64, name: Option<&str>) -> Person {
        let identity = name.map(|name| Identity {
            state: IdentityState::Named,
            person_id: Some(PersonId::from_counter(number)),
            name: Some(name.to_owned()),
            confidence: 0.97,
            similarity: 0.71,
            candidate: Some(PersonId::from_counter(number)),
            margin: 0.2,
        });
        let points = [(140.1, 120.2), (178.0, 121.0), (160.2, 140.9), (145.5, 165.0), (175.1, 164.2)];
        Person {
            face_id: FaceId::from_counter(number),
            identity: identity.unwrap_or_default(),
            bbox: BBox::new(120.5, 80.0, 201.0, 190.2),
            score: 0.99,
            landmarks: Landmarks5::new(points.map(|(x, y)| Point::new(x, y))),
            quality: 0.8,
            observed: true,
            track_age_secs: 1.2,
            emotion: None,
            pose: None,
            attention: None,
        }
    }

    /// What one frame gave.
    pub(super) fn frame(nanos: i64, people: Vec<Person>) -> People {
        People {
            camera: CameraId::default(),
            stamp: Stamp::from_nanos(nanos),
            frame_id: "eye".into(),
            width: 640,
            height: 480,
            frame_seq: 0,
            displaced: 0,
            latency_nanos: 0,
            people,
        }
    }
}
