//! Replay at the speed of the recording, through the mailbox of the live node: frames come when they came to
//! the robot, and while one is worked on the next ones displace each other.

use super::source::{FrameSource, SourceError};
use super::summary::SummaryBuilder;
use super::{Line, OutputError, Outputs, ReplaySummary, note_stamp};
use crate::frame::{EncodedPixels, Frame, Pixels, RawPixels};
use crate::ids::CameraId;
use crate::lens::Lens;
use crate::mailbox::{FrameEnd, Inbox, Taken, Work};
use crate::people::People;
use crate::runtime;
use crate::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

/// How long the worker sleeps when nothing comes.
const IDLE: Duration = Duration::from_millis(50);
/// How often the feeder looks whether the last frame is through.
const POLL: Duration = Duration::from_millis(1);

/// When frames came and when their people were known.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Every frame, as it came.
    pub arrived: Vec<(CameraId, Stamp)>,
    /// For every frame that gave people, in that order: the stamp that the recording had reached by then.
    pub known_at: Vec<Stamp>,
    /// From the arrival of each of them to its people.
    pub ages: Vec<Duration>,
    /// How far the reading of the recording fell behind its time, at most.
    pub most_behind: Duration,
}

/// A frame that waits, its bytes its own.
struct Arrived {
    at: Instant,
    camera: CameraId,
    stamp: Stamp,
    frame_id: String,
    /// Encoding or format.
    encoding: String,
    /// Width, height, byte order and step of raw pixels.
    raw: Option<(u32, u32, bool, u32)>,
    data: Vec<u8>,
    lens: Option<Lens>,
}

impl Arrived {
    fn of(frame: &Frame<'_>) -> Self {
        let (encoding, raw, data) = match &frame.pixels {
            Pixels::Raw(raw) => (raw.encoding, Some((raw.width, raw.height, raw.is_bigendian, raw.step)), raw.data),
            Pixels::Encoded(encoded) => (encoded.format, None, encoded.data),
        };
        Self {
            at: runtime::now(),
            camera: frame.camera.clone(),
            stamp: frame.stamp,
            frame_id: frame.frame_id.to_owned(),
            encoding: encoding.to_owned(),
            raw,
            data: data.to_vec(),
            lens: frame.lens,
        }
    }

    fn frame(&self) -> Frame<'_> {
        let Self { data, encoding, .. } = self;
        let pixels = match self.raw {
            Some((width, height, is_bigendian, step)) => {
                Pixels::Raw(RawPixels { width, height, encoding, is_bigendian, step, data })
            }
            None => Pixels::Encoded(EncodedPixels { format: encoding, data }),
        };
        Frame { camera: self.camera.clone(), stamp: self.stamp, frame_id: &self.frame_id, pixels, lens: self.lens }
    }
}

/// Plays `sources` at `speed` times their own into `line`, and writes `outputs`, which are finished at the
/// end. `on_frame` is called after each frame that came, with their number.
///
/// # Errors
/// [`OutputError`] when a result cannot be written.
pub fn run_at_speed(
    sources: &mut [Box<dyn FrameSource>],
    line: &mut (dyn Line + Send),
    outputs: Outputs,
    speed: f64,
    on_frame: &mut dyn FnMut(u64),
) -> Result<(ReplaySummary, Timeline), OutputError> {
    let inbox = Inbox::new(0);
    inbox.open();
    let (fed, worked) = thread::scope(|scope| {
        let worker = scope.spawn(|| Worker::new(line, outputs, speed).run(&inbox));
        let fed = Feeder::new(&inbox, speed).feed(sources, on_frame, &|| worker.is_finished());
        inbox.stop();
        (fed, worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let Worker { mut summary, outputs, known_at, ages, .. } = worked?;
    for error in &fed.unreadable {
        summary.unreadable(error);
    }
    for camera in &fed.cameras {
        summary.displaced(inbox.counts(camera).displaced);
    }
    (0..fed.restarts).for_each(|_| summary.restarted());
    let story = outputs.finish()?;
    let timeline = Timeline { arrived: fed.arrived, known_at, ages, most_behind: fed.most_behind };
    Ok((summary.finish(story), timeline))
}

/// Gives frames to the mailbox when their time has come.
struct Feeder<'a> {
    inbox: &'a Inbox<Arrived, ()>,
    speed: f64,
    cameras: BTreeSet<CameraId>,
    arrived: Vec<(CameraId, Stamp)>,
    unreadable: Vec<SourceError>,
    restarts: u64,
    most_behind: Duration,
}

impl<'a> Feeder<'a> {
    fn new(inbox: &'a Inbox<Arrived, ()>, speed: f64) -> Self {
        let (cameras, arrived, unreadable) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { inbox, speed, cameras, arrived, unreadable, restarts: 0, most_behind: Duration::ZERO }
    }

    fn feed(
        mut self,
        sources: &mut [Box<dyn FrameSource>],
        on_frame: &mut dyn FnMut(u64),
        has_ended: &dyn Fn() -> bool,
    ) -> Self {
        let mut latest = BTreeMap::new();
        for source in sources {
            // The time of each source begins with its first frame, and anew when it jumps back.
            let mut began: Option<(Instant, Stamp)> = None;
            while !has_ended() {
                match source.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        if note_stamp(&mut latest, &frame) {
                            self.restarts += 1;
                            began = None;
                        }
                        let (start, first) = *began.get_or_insert_with(|| (runtime::now(), frame.stamp));
                        let after = frame.stamp.secs_since(first).max(0.0) / self.speed;
                        self.wait_until(start + Duration::from_secs_f64(after), has_ended);
                        self.put(&frame);
                        on_frame(self.arrived.len() as u64);
                    }
                    Err(error) => self.unreadable.push(error),
                }
            }
        }
        // The last frame has nobody to displace it.
        while !has_ended() && self.cameras.iter().any(|camera| self.inbox.counts(camera).waiting > 0) {
            runtime::sleep(POLL);
        }
        self
    }

    fn wait_until(&mut self, due: Instant, has_ended: &dyn Fn() -> bool) {
        let now = runtime::now();
        self.most_behind = self.most_behind.max(now.saturating_duration_since(due));
        let mut left = due.saturating_duration_since(now);
        while !left.is_zero() && !has_ended() {
            runtime::sleep(left.min(IDLE));
            left = due.saturating_duration_since(runtime::now());
        }
    }

    fn put(&mut self, frame: &Frame<'_>) {
        self.cameras.insert(frame.camera.clone());
        self.arrived.push((frame.camera.clone(), frame.stamp));
        self.inbox.put(&frame.camera, frame.stamp, Arrived::of(frame), 0.0);
    }
}

/// Takes the latest frame, as the node's perception thread does.
struct Worker<'a> {
    line: &'a mut (dyn Line + Send),
    outputs: Outputs,
    summary: SummaryBuilder,
    speed: f64,
    known_at: Vec<Stamp>,
    ages: Vec<Duration>,
}

impl<'a> Worker<'a> {
    fn new(line: &'a mut (dyn Line + Send), outputs: Outputs, speed: f64) -> Self {
        Self { line, outputs, summary: SummaryBuilder::default(), speed, known_at: Vec::new(), ages: Vec::new() }
    }

    fn run(mut self, inbox: &Inbox<Arrived, ()>) -> Result<Self, OutputError> {
        loop {
            match inbox.next(IDLE) {
                Work::Stop => return Ok(self),
                Work::Frame(taken) => {
                    let end = self.take(&taken)?;
                    inbox.done(&taken.camera, end);
                }
                Work::Call(()) | Work::Idle => {}
            }
        }
    }

    fn take(&mut self, taken: &Taken<Arrived>) -> Result<FrameEnd, OutputError> {
        let frame = taken.message.frame();
        let people = match self.line.process(&frame) {
            Ok(people) => people.clone(),
            Err(error) => {
                self.summary.failed(&format!("{}: {error}", frame.camera));
                return Ok(FrameEnd::Failed);
            }
        };
        let age = taken.message.at.elapsed();
        self.ages.push(age);
        self.known_at.push(frame.stamp.plus_secs(age.as_secs_f64() * self.speed));
        let latency_nanos = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
        let people = People { displaced: taken.displaced, latency_nanos, ..people };
        self.summary.processed(&people);
        self.outputs.write(&frame, &people, &self.line.settle(frame.stamp))?;
        Ok(FrameEnd::Processed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::people::PersonEvent;
    use crate::pipeline::PipelineError;
    use crate::replay::testing;

    /// Frames of one grey pixel, one every 10 ms of image time, the fourth unreadable.
    struct Ten {
        given: u32,
    }

    impl FrameSource for Ten {
        fn next_frame(&mut self) -> Result<Option<Frame<'_>>, SourceError> {
            self.given += 1;
            if self.given == 4 {
                return Err(SourceError::Frame { origin: "ten".into(), reason: "torn".into() });
            }
            let stamp = Stamp::from_nanos(1_000_000_000 + i64::from(self.given) * 10_000_000);
            let raw =
                RawPixels { width: 1, height: 1, encoding: "rgb8", is_bigendian: false, step: 3, data: &[7, 7, 7] };
            let frame =
                Frame { camera: CameraId::default(), stamp, frame_id: "eye", pixels: Pixels::Raw(raw), lens: None };
            Ok((self.given <= 10).then_some(frame))
        }

        fn frames_expected(&self) -> Option<u64> {
            Some(10)
        }

        fn cameras(&self) -> &[CameraId] {
            &[]
        }
    }

    /// Needs as long as it is told.
    struct Slow(Duration, Option<People>);

    impl Line for Slow {
        fn process(&mut self, frame: &Frame<'_>) -> Result<&People, PipelineError> {
            runtime::sleep(self.0);
            Ok(self.1.insert(testing::frame(frame.stamp.nanos(), Vec::new())))
        }

        fn settle(&mut self, _: Stamp) -> Vec<PersonEvent> {
            Vec::new()
        }
    }

    fn play(work: Duration, speed: f64) -> (ReplaySummary, Timeline) {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::create(folder.path(), &[CameraId::default()], &Config::default()).unwrap();
        let mut line = Slow(work, None);
        run_at_speed(&mut [Box::new(Ten { given: 0 })], &mut line, outputs, speed, &mut |_| {}).unwrap()
    }

    #[test]
    fn who_is_quick_enough_loses_nothing() {
        let (summary, timeline) = play(Duration::ZERO, 0.5);
        let frames = summary.frames;
        // A busy machine may still displace one; every frame is accounted for.
        assert_eq!((frames.received, frames.failed), (10, 1));
        assert_eq!(frames.processed + frames.displaced, 9);
        assert_eq!((timeline.arrived.len() as u64, timeline.ages.len() as u64), (9, frames.processed));
        assert!(!summary.losses.is_empty());
    }

    #[test]
    fn who_is_slow_loses_frames_and_still_sees_the_last() {
        let (summary, timeline) = play(Duration::from_millis(60), 1.0);
        assert!(summary.frames.displaced >= 3, "{:?}", summary.frames);
        assert_eq!(summary.frames.received, 10);
        assert!(timeline.ages.iter().all(|age| *age >= Duration::from_millis(60)));
        // Known when the recording was 60 ms further.
        let last = timeline.arrived.last().unwrap().1;
        assert!(timeline.known_at.last().unwrap().secs_since(last) >= 0.06);
    }
}
