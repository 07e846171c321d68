//! The line itself: the only module that knows the order of the stages.

mod operations;
mod upkeep;

use operations::Enrolment;
pub use operations::{EnrolAs, EnrolRequest, EnrolTicket, Enrolled, OperationError};

use crate::align::{self, AlignedCrop, AlignmentPoints, PointScheme};
use crate::config::Config;
use crate::detect::{Detection, FaceDetector};
use crate::embed::{Embedding, FaceEmbedder, ModelTag};
use crate::emotion::{EmotionClassifier, EmotionScores};
use crate::frame::{DecodeError, Decoder, Frame, ImageView, Pixels};
use crate::gallery::{GalleryError, LiveLooks, MemoryGallery, Sightings, StoredGallery};
use crate::geometry::Point;
use crate::ids::CameraId;
use crate::inference::InferenceError;
use crate::landmarks::{ShapePredictor, eye_centres};
use crate::lens::Lens;
use crate::model::manifest::{Alignment, Similarity};
use crate::people::{self, ExpressionFilter, Heads, Identifier, People, PersonEvent, Urgency};
use crate::quality::Measures;
use crate::time::Stamp;
use crate::track::{FaceCounter, Observation, SortTracker, Track, Tracker};
use std::collections::BTreeMap;

/// Landmarks that fit the template worse than this are taken for a mistake; profiles reach 0.3.
const MAX_RESIDUAL: f32 = 0.45;
/// A face whose points fit the template worse than this is turned too far for its expression to be read.
const MAX_EXPRESSION_RESIDUAL: f32 = 0.3;

/// Share of the time between two frames of a camera that a frame waits in a line that is behind, and not in one that
/// keeps up: where cameras expose together, the last of four in turn waits for up to three quarters.
fn patience(cameras: usize) -> f64 {
    1.0 - 0.5 / cameras.max(1) as f64
}

/// Runs one stage inside a span, by which whoever listens measures its time.
macro_rules! in_stage {
    ($name:literal, $work:expr) => {{
        let _stage = tracing::trace_span!(target: "rostro::stage", $name).entered();
        $work
    }};
}

/// The networks and trees that the line runs, already loaded.
pub struct Stages {
    /// Faces in an image.
    pub detector: Box<dyn FaceDetector>,
    /// Better points inside the detector's box; `None` when the detector's own are good.
    pub landmarks: Option<ShapePredictor>,
    /// Identity; `None` leaves every face unknown.
    pub embedding: Option<EmbeddingStage>,
    /// Expression; `None` leaves it unmeasured.
    pub emotion: Option<EmotionStage>,
}

/// An embedder, its framing and the scale of its similarities.
pub struct EmbeddingStage {
    /// The network.
    pub embedder: Box<dyn FaceEmbedder>,
    /// How it wants faces framed.
    pub alignment: Alignment,
    /// What its cosines mean.
    pub similarity: Similarity,
}

/// A classifier and its framing.
pub struct EmotionStage {
    /// The network.
    pub classifier: Box<dyn EmotionClassifier>,
    /// How it wants faces framed.
    pub alignment: Alignment,
    /// How often it expects each expression; 0 for one that it does not know.
    pub prior: EmotionScores,
}

/// What is known of a frame besides its pixels.
#[derive(Clone, Copy, Debug)]
pub struct FrameHead<'a> {
    /// Logical camera.
    pub camera: &'a CameraId,
    /// Acquisition time.
    pub stamp: Stamp,
    /// Optical frame of the camera.
    pub frame_id: &'a str,
    /// Columns and rows.
    pub size: (u32, u32),
    /// The camera's calibration, when it is known.
    pub lens: Option<Lens>,
    /// Seconds for which it waited for the frames before it; 0 where frames come when they are asked for.
    pub waited_secs: f64,
}

/// Why one frame could not be processed. The line goes on with the next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// The image cannot be read.
    #[error("decode: {0}")]
    Decode(#[from] DecodeError),
    /// A network failed.
    #[error("{stage}: {source}")]
    Inference {
        /// `detect`, `embed` or `emotion`.
        stage: &'static str,
        /// What it said.
        source: InferenceError,
    },
    /// Gallery and embedder do not belong together.
    #[error("decide: {0}")]
    Gallery(#[from] GalleryError),
}

/// Images in, people out, one call per frame.
pub struct Pipeline {
    config: Config,
    stages: Stages,
    gallery: StoredGallery,
    looks: LiveLooks,
    enrolments: Vec<Enrolment>,
    next_ticket: u64,
    sightings: Sightings,
    /// Mean looks of people who must not be learned again by themselves.
    unwanted: Vec<Embedding>,
    gallery_trouble: Option<String>,
    /// The same of reading it, which ends by itself when it can be read again.
    gallery_unread: Option<String>,
    expiry_checked: Option<Stamp>,
    faces_until: u64,
    operation_events: Vec<PersonEvent>,
    face_ids: FaceCounter,
    cameras: BTreeMap<CameraId, Camera>,
    decoder: Decoder,
    buffers: Buffers,
    frame_seq: u64,
    people: Option<People>,
    events: Vec<PersonEvent>,
}

/// What is remembered about one camera.
struct Camera {
    tracker: SortTracker,
    identifier: Identifier,
    heads: Heads,
    last_stamp: Stamp,
    /// Between its last two frames.
    secs_between_frames: f64,
    size: (u32, u32),
}

/// Kept between frames, so that a frame allocates nothing that grows with the image.
#[derive(Default)]
struct Buffers {
    detections: Vec<Detection>,
    points: Vec<AlignmentPoints>,
    wanted: Wanted,
    observations: Vec<Observation>,
    tracks: Vec<Track>,
    features: Features,
}

/// Which faces of a frame are measured for what.
#[derive(Default)]
struct Wanted {
    embedding: Vec<usize>,
    expression: Vec<usize>,
}

#[derive(Default)]
struct Features {
    small_crop: AlignedCrop,
    crops: Crops,
    embeddings: Vec<Embedding>,
    expressions: Vec<EmotionScores>,
}

/// Aligned crops, their pixels reused, and which face each shows.
#[derive(Default)]
struct Crops {
    pool: Vec<AlignedCrop>,
    faces: Vec<usize>,
}

impl Pipeline {
    /// A line without history that knows nobody yet.
    pub fn new(config: Config, stages: Stages) -> Self {
        let nobody = || ModelTag::new("none", "");
        let model = stages.embedding.as_ref().map_or_else(nobody, |stage| stage.embedder.model().clone());
        Self {
            gallery: StoredGallery::in_memory(model),
            looks: LiveLooks::default(),
            enrolments: Vec::new(),
            next_ticket: 0,
            sightings: Sightings::default(),
            unwanted: Vec::new(),
            gallery_trouble: None,
            gallery_unread: None,
            expiry_checked: None,
            faces_until: u64::MAX,
            operation_events: Vec::new(),
            config,
            stages,
            face_ids: FaceCounter::default(),
            cameras: BTreeMap::new(),
            decoder: Decoder::default(),
            buffers: Buffers::default(),
            frame_seq: 0,
            people: None,
            events: Vec::new(),
        }
    }

    /// Takes another gallery in place of the one so far, which must be of the embedder in use.
    pub fn set_gallery(&mut self, gallery: StoredGallery) {
        self.gallery = gallery;
    }

    /// The people that can be recognised.
    pub const fn gallery(&self) -> &MemoryGallery {
        self.gallery.memory()
    }

    /// What changed with the last processed frame.
    pub fn events(&self) -> &[PersonEvent] {
        &self.events
    }

    /// Takes one frame through every stage.
    ///
    /// # Errors
    /// Those of [`Self::process_live`].
    pub fn process(&mut self, frame: &Frame<'_>) -> Result<&People, PipelineError> {
        self.process_live(frame, 0.0)
    }

    /// The same of a frame that has waited for those before it, seconds. Where that is long the line can hardly keep
    /// up with the cameras: looks that can wait then do, so that it catches up before frames are lost. A line that
    /// loses frames all the time has a new one whenever it is ready, and takes every look.
    ///
    /// A camera whose stamps jump backwards (a looping bag) or whose pictures change size starts anew,
    /// with one line in the log.
    ///
    /// # Errors
    /// [`PipelineError`] when this frame cannot be processed; the next one can be.
    pub fn process_live(&mut self, frame: &Frame<'_>, waited_secs: f64) -> Result<&People, PipelineError> {
        self.events.clear();
        let image = in_stage!("decode", self.decoder.decode(&frame.pixels))?;
        let head = FrameHead {
            camera: &frame.camera,
            stamp: frame.stamp,
            frame_id: frame.frame_id,
            size: (image.width(), image.height()),
            lens: frame.lens,
            waited_secs,
        };
        let cameras = self.cameras.len();
        let Buffers { detections, points, wanted, observations, features, .. } = &mut self.buffers;
        find_faces(&mut self.stages, &self.config, image, detections, points)?;
        observe(detections, image, &mut features.small_crop, observations);
        let camera = camera_of(&mut self.cameras, &head, &self.config, &self.stages, &self.face_ids);
        wanted.choose(&head, camera, cameras, observations, &self.config);
        measure(&mut self.stages, image, points, wanted, features, observations)?;
        self.follow(&head)
    }

    /// What [`Self::process`] makes of faces that were found and measured before, all of them: only those
    /// looks count that it would have taken. For trying settings on recorded looks.
    ///
    /// # Errors
    /// [`PipelineError::Gallery`].
    pub fn process_measured(&mut self, head: &FrameHead<'_>, faces: &[Observation]) -> Result<&People, PipelineError> {
        self.events.clear();
        let cameras = self.cameras.len();
        let Buffers { wanted, observations, .. } = &mut self.buffers;
        observations.clear();
        observations.extend_from_slice(faces);
        let camera = camera_of(&mut self.cameras, head, &self.config, &self.stages, &self.face_ids);
        wanted.choose(head, camera, cameras, observations, &self.config);
        for (index, face) in observations.iter_mut().enumerate() {
            face.embedding.take_if(|_| !wanted.embedding.contains(&index));
            face.emotion.take_if(|_| !wanted.expression.contains(&index));
        }
        self.follow(head)
    }

    /// Stages *track* and *decide*: who the observed faces are.
    fn follow(&mut self, head: &FrameHead<'_>) -> Result<&People, PipelineError> {
        let camera = camera_of(&mut self.cameras, head, &self.config, &self.stages, &self.face_ids);
        let Buffers { observations, tracks, .. } = &mut self.buffers;
        in_stage!("track", camera.tracker.update(head.stamp, observations, tracks));
        self.looks.take(head.camera, head.stamp, tracks, observations);
        let mut people = People {
            camera: head.camera.clone(),
            stamp: head.stamp,
            frame_id: head.frame_id.to_owned(),
            width: head.size.0,
            height: head.size.1,
            frame_seq: self.frame_seq + 1,
            displaced: 0,
            latency_nanos: 0,
            people: Vec::new(),
        };
        let (identifier, gallery) = (&mut camera.identifier, self.gallery.memory());
        in_stage!("decide", identifier.decide(tracks, observations, gallery, &mut people, &mut self.events))?;
        camera.heads.look(head.lens, &mut people, &mut self.events);
        people::name_in(&mut self.events, gallery);
        self.sightings.take(&people, &self.events, self.config.people.leave_secs);
        self.frame_seq += 1;
        Ok(self.people.insert(people))
    }

    /// Forgets the tracks of every camera; the people known stay known.
    pub fn reset(&mut self) {
        for camera in self.cameras.values_mut() {
            camera.reset();
            // Whatever time comes next is not a jump.
            camera.last_stamp = Stamp::from_nanos(i64::MIN);
        }
    }

    /// Takes over what a running line can take over: everything about finding, tracking and deciding. Which
    /// networks run stays as it is.
    pub fn reconfigure(&mut self, config: &Config) {
        self.config = config.clone();
        self.stages.detector.configure(&config.detector);
        for (id, camera) in &mut self.cameras {
            camera.tracker.reconfigure(&config.tracker);
            camera.identifier.reconfigure(config, expressions_of(&self.stages, config, id));
        }
    }

    /// Finds and measures every face of one picture, also those that a live look would leave out, and
    /// without tracking: for enrolment and evaluation.
    ///
    /// # Errors
    /// [`PipelineError`] when the picture cannot be processed.
    pub fn examine(&mut self, picture: &Pixels<'_>) -> Result<Vec<Observation>, PipelineError> {
        let image = self.decoder.decode(picture)?;
        let Buffers { detections, points, wanted, observations, features, .. } = &mut self.buffers;
        find_faces(&mut self.stages, &self.config, image, detections, points)?;
        observe(detections, image, &mut features.small_crop, observations);
        wanted.embedding.clear();
        wanted.embedding.extend(0..detections.len());
        wanted.expression.clone_from(&wanted.embedding);
        measure(&mut self.stages, image, points, wanted, features, observations)?;
        Ok(std::mem::take(observations))
    }
}

fn camera_of<'a>(
    cameras: &'a mut BTreeMap<CameraId, Camera>,
    head: &FrameHead<'_>,
    config: &Config,
    stages: &Stages,
    face_ids: &FaceCounter,
) -> &'a mut Camera {
    let camera = cameras.entry(head.camera.clone()).or_insert_with(|| {
        let similarity = stages.embedding.as_ref().map(|stage| stage.similarity.clone());
        Camera {
            tracker: SortTracker::new(config.tracker.clone(), similarity.clone(), face_ids.clone()),
            identifier: Identifier::new(config, similarity, expressions_of(stages, config, head.camera)),
            heads: Heads::default(),
            last_stamp: head.stamp,
            secs_between_frames: 0.0,
            size: head.size,
        }
    });
    if head.stamp < camera.last_stamp {
        tracing::warn!(camera = %head.camera, from = %camera.last_stamp, to = %head.stamp, "time jumped back: tracks start anew");
        camera.reset();
    }
    if head.size != camera.size {
        tracing::warn!(camera = %head.camera, from = ?camera.size, to = ?head.size, "the pictures changed size: tracks start anew");
        camera.reset();
    }
    if head.stamp > camera.last_stamp {
        camera.secs_between_frames = head.stamp.secs_since(camera.last_stamp);
    }
    (camera.last_stamp, camera.size) = (head.stamp, head.size);
    camera
}

/// How expressions are followed on a camera, if they are read there.
fn expressions_of(stages: &Stages, config: &Config, camera: &CameraId) -> Option<ExpressionFilter> {
    let stage = stages.emotion.as_ref().filter(|_| config.emotion.is_on(camera))?;
    Some(ExpressionFilter::new(config.emotion.smoothing_secs, config.emotion.rate_hz, stage.prior))
}

impl Camera {
    fn reset(&mut self) {
        self.tracker.reset();
        self.identifier.reset();
        self.heads.reset();
    }
}

/// Stages *detect* and *landmarks*: the best faces, and five points for the alignment of each.
fn find_faces(
    stages: &mut Stages,
    config: &Config,
    image: ImageView<'_>,
    detections: &mut Vec<Detection>,
    points: &mut Vec<AlignmentPoints>,
) -> Result<(), PipelineError> {
    let failed = |source| PipelineError::Inference { stage: "detect", source };
    in_stage!("detect", stages.detector.detect(image, detections)).map_err(failed)?;
    detections.truncate(config.tracker.max_faces as usize);
    let _align = tracing::trace_span!(target: "rostro::stage", "align").entered();
    points.clear();
    for face in detections {
        points.push(match &stages.landmarks {
            Some(predictor) => {
                let found = predictor.predict(image, &face.bbox);
                // The trees place the eyes better than the detector does.
                [face.landmarks.points[0], face.landmarks.points[1]] = eye_centres(&found);
                found
            }
            None => AlignmentPoints { scheme: PointScheme::FivePoint, points: face.landmarks.points },
        });
    }
    Ok(())
}

fn observe(
    detections: &[Detection],
    image: ImageView<'_>,
    small_crop: &mut AlignedCrop,
    observations: &mut Vec<Observation>,
) {
    let _align = tracing::trace_span!(target: "rostro::stage", "align").entered();
    observations.clear();
    observations.extend(detections.iter().map(|detection| {
        let measures = Measures::of(detection, image, small_crop);
        Observation {
            detection: *detection,
            quality: measures.identity(),
            embedding: None,
            emotion_quality: measures.expression(),
            emotion: None,
        }
    }));
}

impl Wanted {
    /// The faces that are due, and fit; `cameras` take turns.
    fn choose(&mut self, head: &FrameHead<'_>, camera: &Camera, cameras: usize, seen: &[Observation], config: &Config) {
        self.embedding.clear();
        self.expression.clear();
        let (stamp, looks_hz, readings_hz) = (head.stamp, config.identity.looks_hz, config.emotion.rate_hz);
        let is_behind = head.waited_secs > patience(cameras) * camera.secs_between_frames;
        let is_for_now = |urgency: &Urgency, rate_hz: f64| !(is_behind && urgency.can_wait(stamp, rate_hz));
        let (mut looks, mut expressions) = (Vec::new(), Vec::new());
        for (index, look) in seen.iter().enumerate() {
            let face = camera.tracker.expect(stamp, &look.detection.bbox);
            let wants_look = is_fit(look, config).then(|| camera.identifier.urgency(face, stamp)).flatten();
            let wants_look = wants_look.filter(|urgency| is_for_now(urgency, looks_hz));
            looks.extend(wants_look.map(|urgency| (urgency, index)));
            let can_be_read = look.emotion_quality > 0.0;
            let wants_reading = can_be_read.then(|| camera.identifier.wants_expression(face, stamp)).flatten();
            let wants_reading = wants_reading.filter(|urgency| is_for_now(urgency, readings_hz));
            expressions.extend(wants_reading.map(|urgency| (urgency, index)));
        }
        let routine = |rate_hz: f64| routine_share(seen.len(), rate_hz, camera.secs_between_frames);
        most_urgent(looks, routine(looks_hz), &mut self.embedding);
        self.embedding.truncate(config.identity.looks_per_frame as usize);
        most_urgent(expressions, routine(readings_hz), &mut self.expression);
    }
}

/// How many of `faces` have their turn in a frame when each has it `rate_hz` times a second. Were all taken at
/// once, every few frames one would take several times as long as the others.
fn routine_share(faces: usize, rate_hz: f64, secs_between_frames: f64) -> usize {
    // The stamps of a camera jitter: what hardly reaches above a number is that number.
    (faces as f64 * rate_hz * secs_between_frames - 0.1).ceil().max(1.0) as usize
}

/// Appends the most urgent of `looks`, of those that are merely due no more than `routine`.
fn most_urgent(mut looks: Vec<(Urgency, usize)>, routine: usize, chosen: &mut Vec<usize>) {
    // The sort is stable: of equals the better detection, which comes first, is looked at first.
    looks.sort_by_key(|(urgency, _)| *urgency);
    let first_due = looks.partition_point(|(urgency, _)| !matches!(urgency, Urgency::Due { .. }));
    chosen.extend(looks.iter().take(first_due + routine).map(|(_, index)| *index));
}

/// Whether a look at this face would say anything.
fn is_fit(look: &Observation, config: &Config) -> bool {
    look.quality > 0.0 && f64::from(look.detection.landmarks.inter_ocular()) >= config.identity.min_inter_ocular_px
}

/// Stages *align*, *embed* and *emotion* for the faces in `wanted`.
fn measure(
    stages: &mut Stages,
    image: ImageView<'_>,
    points: &[AlignmentPoints],
    wanted: &Wanted,
    features: &mut Features,
    observations: &mut [Observation],
) -> Result<(), PipelineError> {
    let Features { crops, embeddings, expressions, .. } = features;
    if let Some(EmbeddingStage { embedder, alignment, .. }) = &mut stages.embedding {
        let cut =
            in_stage!("align", crops.cut(image, points, observations, &wanted.embedding, alignment, MAX_RESIDUAL));
        let failed = |source| PipelineError::Inference { stage: "embed", source };
        in_stage!("embed", embedder.embed(cut, embeddings)).map_err(failed)?;
        for (&face, embedding) in crops.faces.iter().zip(embeddings.drain(..)) {
            observations[face].embedding = Some(embedding);
        }
    }
    if let Some(EmotionStage { classifier, alignment, .. }) = &mut stages.emotion {
        let most = MAX_EXPRESSION_RESIDUAL;
        let cut = in_stage!("align", crops.cut(image, points, observations, &wanted.expression, alignment, most));
        let failed = |source| PipelineError::Inference { stage: "emotion", source };
        in_stage!("emotion", classifier.classify(cut, expressions)).map_err(failed)?;
        for (&face, scores) in crops.faces.iter().zip(expressions.iter()) {
            observations[face].emotion = Some(*scores);
        }
        for &face in wanted.expression.iter().filter(|face| !crops.faces.contains(face)) {
            observations[face].emotion_quality = 0.0;
        }
    }
    Ok(())
}

impl Crops {
    /// Cuts the faces in `wanted` as `alignment` asks; those whose points are no face are left out.
    fn cut(
        &mut self,
        image: ImageView<'_>,
        points: &[AlignmentPoints],
        faces: &[Observation],
        wanted: &[usize],
        alignment: &Alignment,
        max_residual: f32,
    ) -> &[AlignedCrop] {
        self.faces.clear();
        for &face in wanted {
            let own =
                AlignmentPoints { scheme: PointScheme::FivePoint, points: faces[face].detection.landmarks.points };
            let Some(fit) =
                [&points[face], &own].into_iter().find_map(|points| fit_to(points, alignment, max_residual))
            else {
                continue;
            };
            if self.pool.len() == self.faces.len() {
                self.pool.push(AlignedCrop::default());
            }
            align::warp(image, fit.image_from_crop, alignment.size, &mut self.pool[self.faces.len()]);
            self.faces.push(face);
        }
        &self.pool[..self.faces.len()]
    }
}

/// The similarity for a model that has a template for these points, when they look like a face.
fn fit_to(points: &AlignmentPoints, alignment: &Alignment, max_residual: f32) -> Option<align::Fit> {
    let template = alignment.templates.get(&points.scheme)?.map(|[x, y]| Point::new(x, y));
    align::fit(&points.points, &template).ok().filter(|fit| fit.residual <= max_residual)
}

#[cfg(test)]
mod tests;
