//! The perception thread: it owns the line, takes the latest frame or the next call, and publishes.

use super::input::Arrived;
use super::outputs::Outputs;
use super::shared::Shared;
use super::transport::Answer;
use crate::config::Config;
use crate::frame::{Frame, Pixels};
use crate::ids::{CameraId, PersonId};
use crate::mailbox::{FrameEnd, Taken, Work};
use crate::people::{EventKind, People, PersonEvent};
use crate::pipeline::{EnrolTicket, Pipeline};
use crate::runtime::{self, JITTER_SECS};
use crate::time::Stamp;
use crate::wire::messages;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the thread sleeps when nothing comes, before it looks after the gallery.
const IDLE_TICK: Duration = Duration::from_millis(100);
/// How often `~/known_people` is repeated when nothing changes.
const KNOWN_PEOPLE_PERIOD: Duration = Duration::from_mins(1);

/// Images may be ahead of a clock that is told a few times a second, seconds.
const AHEAD_SECS: f64 = 0.5;

/// What a service does.
pub(super) type ServiceWork = Box<dyn FnOnce(&mut Perception, Answer) + Send>;

/// The answer of a service that cannot do it, for this reason.
pub(super) type Refuse = Box<dyn FnOnce(&str) -> Vec<u8> + Send>;

/// Something for the perception thread beside frames.
pub(super) enum Call {
    /// A service.
    Service {
        /// What to do.
        work: ServiceWork,
        /// Where the answer goes.
        answer: Answer,
        /// The answer when it cannot be done.
        refuse: Refuse,
    },
    /// Other parameters.
    Reconfigure(Box<Config>),
    /// The simulated clock was set back.
    ClockJumped { from: Stamp, to: Stamp },
}

impl Call {
    /// Answers that it will not be done.
    pub(super) fn refuse(self, reason: &str) {
        if let Self::Service { answer, refuse, .. } = self {
            answer(refuse(reason));
        }
    }
}

/// What the perception thread works with.
pub(super) struct Perception {
    pub(super) line: Pipeline,
    pub(super) shared: Arc<Shared>,
    outputs: Outputs,
    /// Enrolments that collect looks, and who waits for their end.
    pub(super) enrolments: BTreeMap<EnrolTicket, Answer>,
    /// What was last said about each camera, without its people.
    last_frames: BTreeMap<CameraId, People>,
    /// The latest image's stamp, and when it came.
    latest: Option<(Stamp, Instant)>,
    /// What was last published of the people known.
    known: Option<Said>,
}

/// Of which revision of the gallery something was said, when, and of whom.
struct Said {
    revision: u64,
    at: Instant,
    ids: BTreeSet<PersonId>,
}

impl Perception {
    pub(super) fn new(line: Pipeline, shared: Arc<Shared>, outputs: Outputs) -> Self {
        let (enrolments, last_frames) = (BTreeMap::new(), BTreeMap::new());
        Self { line, shared, outputs, enrolments, last_frames, latest: None, known: None }
    }

    /// Works until the inbox is stopped. What is left can begin anew.
    pub(super) fn run(mut self) -> Self {
        self.known = None;
        // The gallery may have changed meanwhile; no frame is to tell of somebody who was forgotten.
        self.guarded("the gallery", Self::look_after_gallery);
        loop {
            match self.shared.inbox.next(IDLE_TICK) {
                Work::Stop => break,
                Work::Frame(taken) => self.guarded("a frame", |this| this.take(&taken)),
                Work::Call(call) => self.guarded("a call", |this| this.answer(call)),
                Work::Idle => {}
            }
            self.guarded("the gallery", Self::look_after_gallery);
        }
        self.say_nobody();
        // Without faces, enrolments end; whoever waits is told.
        self.line.reset();
        self.guarded("the gallery", Self::look_after_gallery);
        for (_, answer) in std::mem::take(&mut self.enrolments) {
            answer(super::services::enrolment_refused("the node is not active any more"));
        }
        self.line.finish();
        self
    }

    /// A mistake in this program must not end the node while it runs.
    fn guarded(&mut self, what: &str, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!("{what} made the perception thread stumble; it goes on with its tracks anew");
            self.line.reset();
        }
    }

    /// The time of the images: their latest stamp, and what has passed since.
    pub(super) fn image_time(&self) -> Stamp {
        match self.latest {
            Some((stamp, came)) => stamp.plus_secs(came.elapsed().as_secs_f64()),
            None => self.shared.clock.now(),
        }
    }

    fn take(&mut self, taken: &Taken<Arrived>) {
        // Counted as failed unless it succeeds, also when it makes the thread stumble.
        let mut done = Done { shared: Arc::clone(&self.shared), camera: taken.camera.clone(), end: FrameEnd::Failed };
        if !self.shared.enabled.load(Ordering::Relaxed) {
            done.end = FrameEnd::Unwanted;
            return;
        }
        self.note_time(&taken.camera, taken.stamp);
        match self.process(taken) {
            Ok(()) => done.end = FrameEnd::Processed,
            Err(reason) => self.shared.status().frame_failed(&taken.camera, &reason),
        }
    }

    fn note_time(&mut self, camera: &CameraId, stamp: Stamp) {
        if let Some(last) = self.last_frames.get(camera).map(|frame| frame.stamp)
            && last.secs_since(stamp) > JITTER_SECS
        {
            self.begin_anew(last, stamp);
        }
        self.latest = Some((stamp, runtime::now()));
    }

    fn begin_anew(&mut self, from: Stamp, to: Stamp) {
        tracing::warn!(%from, %to, "time jumped back: tracks start anew");
        self.line.reset();
        self.last_frames.clear();
        self.latest = None;
    }

    fn process(&mut self, taken: &Taken<Arrived>) -> Result<(), String> {
        let read = taken.message.image.frame(taken.camera.clone()).map_err(|error| error.to_string())?;
        let lens = self.shared.status().camera(&taken.camera).lens;
        let frame = Frame { stamp: taken.stamp, lens, ..read };
        let waited_secs = taken.message.at.elapsed().as_secs_f64();
        let people = self.line.process_live(&frame, waited_secs).map_err(|error| error.to_string())?.clone();
        let events = self.line.events().to_vec();
        self.note_format(&people, &frame.pixels);
        let latency = self.latency(frame.stamp);
        let people = People { displaced: taken.displaced, latency_nanos: latency.unwrap_or(0), ..people };
        self.outputs.people(&people, &events, &frame.pixels);
        self.publish_events(&events);
        let annotated = self.shared.with_config(|config| config.annotated.clone());
        self.outputs.picture(&frame.pixels, &people, &annotated);
        let mut status = self.shared.status();
        status.camera(&taken.camera).latencies.extend(latency);
        status.camera(&taken.camera).faces = people.people.len();
        drop(status);
        self.last_frames.insert(taken.camera.clone(), People { people: Vec::new(), ..people });
        Ok(())
    }

    /// Nanoseconds since acquisition; `None` when image and clock are not of the same time.
    fn latency(&self, stamp: Stamp) -> Option<i64> {
        let age = self.shared.clock.now().secs_since(stamp);
        (-1.0..super::input::CLOCKS_DIFFER_SECS).contains(&age).then_some((age.max(0.0) * 1e9) as i64)
    }

    /// Says what a camera's images are, and when that changes.
    fn note_format(&mut self, people: &People, pixels: &Pixels<'_>) {
        let encoding = match pixels {
            Pixels::Raw(raw) => raw.encoding,
            Pixels::Encoded(encoded) => encoded.format,
        };
        let format = (people.width, people.height, encoding.to_owned());
        let mut status = self.shared.status();
        let known = &mut status.camera(&people.camera).format;
        if known.as_ref() == Some(&format) {
            return;
        }
        let before = known.replace(format);
        let (camera, width, height) = (&people.camera, people.width, people.height);
        match before {
            Some((w, h, was)) if (w, h) == (width, height) => {
                tracing::warn!("{camera}: images are now {encoding}, they were {was}");
            }
            // The line has warned of another size.
            _ => tracing::info!("{camera}: images of {width}x{height} {encoding}"),
        }
    }

    fn publish_events(&mut self, events: &[PersonEvent]) {
        for event in events {
            tell(event);
            let mut message = messages::PersonEvent::from(event);
            // What was asked for before any image came happened now.
            if event.stamp == Stamp::default() {
                message.header.stamp = self.shared.clock.now().into();
            }
            self.outputs.event(&message);
        }
    }

    /// Takes parameters that may change while the node runs.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.line.reconfigure(config);
        self.outputs.reconfigure(config);
    }

    fn answer(&mut self, call: Call) {
        match call {
            Call::Service { work, answer, .. } => work(self, answer),
            Call::Reconfigure(config) => self.reconfigure(&config),
            // The images may have told it already.
            Call::ClockJumped { from, to } => {
                self.shared.inbox.discard_after(to.plus_secs(AHEAD_SECS));
                if self.latest.is_some_and(|(stamp, _)| stamp.secs_since(to) > AHEAD_SECS) {
                    self.begin_anew(from, to);
                }
            }
        }
    }

    /// Finishes enrolments, publishes what changed among the people we know.
    fn look_after_gallery(&mut self) {
        self.outputs.renew();
        for (ticket, result) in self.line.settle(self.image_time()) {
            if let Some(answer) = self.enrolments.remove(&ticket) {
                answer(super::services::enrolled(result));
            }
        }
        self.shared.status().gallery.trouble = self.line.gallery_trouble().map(str::to_owned);
        let (events, revision) = (self.line.take_events(), self.line.revision());
        let is_over = |said: &Said| said.revision != revision || said.at.elapsed() >= KNOWN_PEOPLE_PERIOD;
        let is_news = self.known.as_ref().is_none_or(is_over);
        if events.is_empty() && !is_news {
            return;
        }
        let people = self.line.list();
        self.outputs.changed(&events, &people, self.image_time());
        self.publish_events(&events);
        if is_news {
            let ids = people.iter().map(|record| record.person_id).collect();
            self.known = Some(Said { revision, at: runtime::now(), ids });
            self.shared.status().gallery.people = people.len();
            self.outputs.known_people(&people, self.shared.clock.now());
        }
    }

    /// What a node that is not active still does: whom another program makes it forget it takes out of what late
    /// subscribers are told. Whatever else changes is told once it is active again.
    pub(super) fn retract_the_forgotten(&mut self) {
        let Some(said) = &self.known else { return };
        self.outputs.renew();
        let now = self.shared.clock.now();
        self.line.follow_gallery(now);
        let mut forgotten = self.line.take_events();
        forgotten.retain(|event| event.kind == EventKind::PersonForgotten);
        if forgotten.is_empty() {
            return;
        }
        let mut known = self.line.list();
        known.retain(|record| said.ids.contains(&record.person_id));
        for event in &mut forgotten {
            event.stamp = now;
        }
        self.outputs.changed(&forgotten, &known, now);
        self.publish_events(&forgotten);
        self.outputs.known_people(&known, now);
    }

    /// Tells subscribers that nobody is seen any more, because nobody looks.
    pub(super) fn say_nobody(&mut self) {
        let stamp = self.image_time();
        for frame in self.last_frames.values() {
            self.outputs.nobody(&People { stamp, displaced: 0, latency_nanos: 0, ..frame.clone() });
        }
    }

    /// Forgets faces and tracks, not people.
    pub(super) fn reset(&mut self) {
        tracing::info!("reset: tracks start anew");
        self.line.reset();
    }
}

/// The log's line of an event: who is there at the level of information, what their faces do as a detail,
/// since that changes by the second.
fn tell(event: &PersonEvent) {
    macro_rules! line {
        ($level:ident) => {{
            let face = event.face_id.as_ref().map(tracing::field::display);
            let person = event.person_id.as_ref().map(tracing::field::display);
            tracing::$level!(kind = ?event.kind, camera = %event.camera, face, person, detail = event.detail, "event");
        }};
    }
    match event.kind {
        EventKind::FaceAppeared
        | EventKind::FaceLost
        | EventKind::ExpressionChanged
        | EventKind::AttentionGained
        | EventKind::AttentionLost
        | EventKind::EnrolmentProgress => line!(debug),
        _ => line!(info),
    }
}

/// Counts a frame when it goes out of scope.
struct Done {
    shared: Arc<Shared>,
    camera: CameraId,
    end: FrameEnd,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.shared.inbox.done(&self.camera, self.end);
    }
}
