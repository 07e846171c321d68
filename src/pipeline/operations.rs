//! What can be asked of the people: enrol, name, merge, forget, list, export, identify. The node's
//! services and the command line call the same methods.
//!
//! Frames are processed without input or output; [`Pipeline::settle`] does what has to be written,
//! between them.

use super::{Pipeline, PipelineError, is_fit};
use crate::config::Config;
use crate::frame::Pixels;
use crate::gallery::enrol::{self, Refusal};
use crate::gallery::{
    Gallery, GalleryError, Kind, LiveLooks, NewPerson, PersonRecord, PortablePerson, Receipt, Reference, Standing,
};
use crate::ids::{CameraId, FaceId, PersonId};
use crate::model::manifest::Similarity;
use crate::people::{EventKind, Identity, IdentityState, Person, PersonEvent, open_set_threshold};
use crate::time::Stamp;
use crate::track::{Observation, Tracker};

/// Looks that an enrolment collects when it is not told how many.
const DEFAULT_SAMPLES: u32 = 5;
/// Seconds an enrolment lasts when it is not told how long.
const DEFAULT_TIMEOUT_SECS: f64 = 10.0;
/// A second face this large, as a share of the largest one's width, could be the one that is meant.
const SECOND_FACE: f32 = 0.5;
/// Least quality of a picture that is learned from.
const MIN_PICTURE_QUALITY: f32 = 0.1;
/// Least distance between the eyes of a face that is learned from a picture. A look of a smaller one helps to know
/// a person again; one that is learned stays.
const MIN_PICTURE_EYES_PX: f64 = 16.0;

/// Learn a person from the looks at a face in view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnrolRequest {
    /// Which face; `None`: the largest.
    pub face_id: Option<FaceId>,
    /// Whose looks they are; `None`: a new person's.
    pub person_id: Option<PersonId>,
    /// Empty: none for a new person, the one there is for a stored one.
    pub name: String,
    /// Looks to collect; 0: five.
    pub min_samples: u32,
    /// Time to collect them, seconds; 0: ten.
    pub timeout_secs: f64,
    /// Whether the person agreed to be stored.
    pub consent: bool,
    /// Also when the person looks like another, or not like themselves.
    pub force: bool,
}

/// Names an enrolment that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnrolTicket(u64);

/// What an enrolment led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Who was enrolled.
    pub person_id: PersonId,
    /// References stored.
    pub references: usize,
    /// Who else looks alike; set only when the request was forced.
    pub possible_duplicate_of: Option<PersonId>,
}

/// How looks at a new or known person are to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrolAs {
    /// Whose looks they are; `None`: a new person's.
    pub person_id: Option<PersonId>,
    /// Empty: none for a new person, the one there is for a stored one.
    pub name: String,
    /// A poster or a screen: whatever resembles it is not a person.
    pub not_a_person: bool,
    /// Whether the person agreed to be stored.
    pub consent: bool,
    /// Also when the person looks like another, or not like themselves.
    pub force: bool,
}

/// Why something that was asked for did not happen; its text says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OperationError {
    /// The gallery refused.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// The looks were refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A picture could not be processed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Identity is switched off.
    #[error("nobody can be enrolled or identified while identity.enabled is false")]
    IdentityOff,
    /// Nobody in the picture.
    #[error("no face found; use a picture that shows the face larger and from the front")]
    NoFace,
    /// More than one face could be meant.
    #[error("{faces} faces of about the same size; cut out the one that is meant")]
    SeveralFaces {
        /// Large ones among them.
        faces: usize,
    },
    /// A face, but too small.
    #[error(
        "the face is too small: {actual_px:.0} px between the eyes, {least_px:.0} are needed; use a larger picture or come closer"
    )]
    TooSmall {
        /// Between the eyes.
        actual_px: f32,
        /// 16, or `identity.min_inter_ocular_px` where that is more.
        least_px: f64,
    },
    /// A face, but turned or cut off.
    #[error(
        "the face ({width_px:.0} px wide) is turned too far or cut off by the border; use a picture from the front"
    )]
    Unfit {
        /// Width of its box.
        width_px: f32,
    },
    /// Somebody is learning this face already.
    #[error("an enrolment of face {0} is going on; wait for its answer")]
    Busy(FaceId),
    /// No such face in view.
    #[error("no face {0} in view; leave face_id empty for the largest face, or take one from the people topic")]
    NoSuchFace(FaceId),
    /// The face went away before there were enough looks.
    #[error("face {face_id} was lost after {samples} of {wanted} looks; ask the person to stay in view")]
    FaceLost {
        /// Which.
        face_id: FaceId,
        /// Good looks at it.
        samples: u32,
        /// Looks needed.
        wanted: u32,
    },
    /// Not enough good looks in time.
    #[error("{samples} of {wanted} good looks in time: {hint}")]
    TimedOut {
        /// Good looks.
        samples: u32,
        /// Looks needed.
        wanted: u32,
        /// What to do.
        hint: &'static str,
    },
    /// Enough strangers are remembered.
    #[error("{most} strangers are remembered already; name those who matter, or wait until some expire")]
    TooManyStrangers {
        /// How many are.
        most: usize,
    },
    /// Was forgotten in this run.
    #[error("this face was forgotten in this run; enrol it to know it again")]
    Unwanted,
    /// Switched off.
    #[error("forgetting everyone at once is switched off; set privacy.allow_forget_all to true")]
    ForgetAllNotAllowed,
}

impl OperationError {
    /// Who looks alike, when that is the reason.
    pub const fn possible_duplicate_of(&self) -> Option<PersonId> {
        match self {
            Self::Refused(refusal) => refusal.possible_duplicate_of(),
            _ => None,
        }
    }
}

/// An enrolment that collects looks.
pub(super) struct Enrolment {
    ticket: EnrolTicket,
    request: EnrolRequest,
    face: Option<FaceId>,
    deadline: Stamp,
    reported: u32,
}

impl Enrolment {
    fn wanted(&self) -> u32 {
        if self.request.min_samples == 0 { DEFAULT_SAMPLES } else { self.request.min_samples }
    }
}

impl Pipeline {
    /// Begins to learn a person from live looks; [`Self::settle`] answers. Looks at a face count from
    /// when it came into view.
    ///
    /// # Errors
    /// [`OperationError`] when that can never succeed.
    pub fn begin_enrol(&mut self, request: EnrolRequest, now: Stamp) -> Result<EnrolTicket, OperationError> {
        if self.stages.embedding.is_none() {
            return Err(OperationError::IdentityOff);
        }
        if let Some(person) = request.person_id {
            self.gallery.memory().resolve(person)?;
        }
        crate::gallery::clean_name(&request.name)?;
        if let Some(face) = request.face_id.filter(|face| self.looks.camera(*face).is_none()) {
            return Err(OperationError::NoSuchFace(face));
        }
        let face = request.face_id.or_else(|| self.looks.largest());
        if let Some(face) = face.filter(|face| self.enrolments.iter().any(|other| other.face == Some(*face))) {
            return Err(OperationError::Busy(face));
        }
        let timeout = if request.timeout_secs > 0.0 { request.timeout_secs } else { DEFAULT_TIMEOUT_SECS };
        let ticket = EnrolTicket(self.next_ticket);
        self.next_ticket += 1;
        let deadline = now.plus_secs(timeout);
        self.enrolments.push(Enrolment { ticket, request, face, deadline, reported: 0 });
        Ok(ticket)
    }

    /// Does what waits for input and output: takes over what other programs changed in the gallery's
    /// file, writes down who was seen, forgets strangers whose time is over, finishes enrolments and
    /// returns how they ended. To be
    /// called between frames, and now and then when there are none; `now` is the time of the images.
    pub fn settle(&mut self, now: Stamp) -> Vec<(EnrolTicket, Result<Enrolled, OperationError>)> {
        self.keep_up(now);
        let mut ended = Vec::new();
        for mut enrolment in std::mem::take(&mut self.enrolments) {
            match self.advance(&mut enrolment, now) {
                Some(result) => ended.push((enrolment.ticket, result)),
                None => self.enrolments.push(enrolment),
            }
        }
        ended
    }

    /// What operations changed since the last call; what frames changed is in [`Self::events`].
    pub fn take_events(&mut self) -> Vec<PersonEvent> {
        std::mem::take(&mut self.operation_events)
    }

    /// Learns a person from pictures with one face each. Pictures that teach nothing are returned with
    /// the reason, by their place.
    ///
    /// # Errors
    /// [`OperationError`] when no picture is fit, or the looks are refused.
    pub fn enrol_pictures<'a>(
        &mut self,
        who: &EnrolAs,
        pictures: impl IntoIterator<Item = (Pixels<'a>, Stamp, String)>,
    ) -> Result<(Enrolled, Vec<(usize, OperationError)>), OperationError> {
        let (mut looks, mut unfit) = (Vec::new(), Vec::new());
        for (place, (picture, stamp, source)) in pictures.into_iter().enumerate() {
            match self.look_at_picture(&picture, stamp, source) {
                Ok(look) => looks.push(look),
                Err(error) => unfit.push((place, error)),
            }
        }
        if looks.is_empty() {
            return Err(unfit.into_iter().next().map_or(OperationError::NoFace, |(_, error)| error));
        }
        Ok((self.enrol_looks(who, &looks)?, unfit))
    }

    /// The one face of a picture as a look to learn from.
    ///
    /// # Errors
    /// [`OperationError`] says why the picture teaches nothing.
    pub fn look_at_picture(
        &mut self,
        picture: &Pixels<'_>,
        stamp: Stamp,
        source: String,
    ) -> Result<Reference, OperationError> {
        if self.stages.embedding.is_none() {
            return Err(OperationError::IdentityOff);
        }
        let look = the_face(self.examine(picture)?)?;
        let actual_px = look.detection.landmarks.inter_ocular();
        let least_px = self.config.identity.min_inter_ocular_px.max(MIN_PICTURE_EYES_PX);
        if f64::from(actual_px) < least_px {
            return Err(OperationError::TooSmall { actual_px, least_px });
        }
        let unfit = OperationError::Unfit { width_px: look.detection.bbox.width() };
        let is_good = is_fit(&look, &self.config) && look.quality >= MIN_PICTURE_QUALITY;
        let embedding = look.embedding.filter(|_| is_good).ok_or(unfit)?;
        Ok(Reference { look: embedding, quality: look.quality, stamp, source })
    }

    /// Stores looks at one person: the useful ones among them, unless they are refused.
    ///
    /// # Errors
    /// [`OperationError`]; nothing is changed then.
    pub fn enrol_looks(&mut self, who: &EnrolAs, looks: &[Reference]) -> Result<Enrolled, OperationError> {
        let similarity = self.similarity()?;
        let mut references = enrol::choose(looks, &similarity)?;
        let gallery = self.gallery.memory();
        let mut person = who.person_id.map(|person| gallery.resolve(person)).transpose()?;
        let mut possible_duplicate_of = None;
        match enrol::compare(gallery, person, &references, &similarity) {
            Err(Refusal::Gallery(error)) => return Err(error.into()),
            Err(refusal) if who.force => possible_duplicate_of = refusal.possible_duplicate_of(),
            // Who looks like Anna and is called Anna is Anna, and so is who had no name yet.
            Err(Refusal::Duplicate { person: known, .. })
                if person.is_none()
                    && !who.name.is_empty()
                    && gallery.name(known).is_none_or(|name| name == who.name.trim()) =>
            {
                person = Some(known);
            }
            compared => compared?,
        }
        self.note_wanted(&references, &similarity);
        let gallery = self.gallery.memory();
        if let Some(person) = person {
            enrol::leave_out_known(gallery, person, &mut references)?;
        }
        let person_id = if let Some(person) = person {
            self.gallery.learn(person, &references, &who.name, who.consent)?
        } else {
            let kind = if who.not_a_person { Kind::Negative } else { Kind::Person };
            let new = NewPerson { name: who.name.clone(), kind, consent: who.consent, expires: None };
            let person = self.gallery.create(&new, &references)?;
            self.report(EventKind::PersonCreated, Some(person), None, String::new());
            person
        };
        Ok(Enrolled { person_id, references: references.len(), possible_duplicate_of })
    }

    /// Begins anew, and keeps the looks at faces that are gone: for learning from a recording.
    pub fn watch_recording(&mut self) {
        self.reset();
        self.looks.clear();
        self.looks.keep_lost_faces();
    }

    /// The looks at the faces in view that could be learned from.
    pub const fn live_looks(&self) -> &LiveLooks {
        &self.looks
    }

    /// Whether two faces are likely one person's.
    ///
    /// # Errors
    /// [`OperationError`] when identity is off or there are no looks at one of them.
    pub fn are_alike(&self, a: FaceId, b: FaceId) -> Result<bool, OperationError> {
        let likeness = enrol::likeness(self.looks.of(a), self.looks.of(b))?;
        Ok(likeness >= self.similarity()?.threshold)
    }

    /// Names a stored person; the empty name clears it.
    ///
    /// # Errors
    /// [`OperationError`]; nothing is changed then.
    pub fn set_name(&mut self, person: PersonId, name: &str) -> Result<PersonId, OperationError> {
        let person = self.gallery.set_name(person, name)?;
        self.report(EventKind::PersonRenamed, Some(person), None, String::new());
        Ok(person)
    }

    /// Makes two stored people one; the id `absorb` becomes an alias of `keep`.
    ///
    /// # Errors
    /// [`OperationError`]; nothing is changed then.
    pub fn merge(&mut self, keep: PersonId, absorb: PersonId) -> Result<PersonId, OperationError> {
        let (keep, absorb) = self.gallery.merge(keep, absorb)?;
        self.merge_live(keep, absorb);
        Ok(keep)
    }

    /// Removes everything about a person: what is stored, the faces they have now, and the looks and
    /// evidence behind them.
    ///
    /// # Errors
    /// [`OperationError`]; the person is still there then.
    pub fn forget(&mut self, person: PersonId) -> Result<Receipt, OperationError> {
        let gallery = self.gallery.memory();
        let references = gallery.resolve(person).map(|person| gallery.references(person)).unwrap_or_default();
        self.note_unwanted(&references);
        self.forget_stored(person)
    }

    /// As [`Self::forget`], but they may be learned again.
    pub(super) fn forget_stored(&mut self, person: PersonId) -> Result<Receipt, OperationError> {
        let (person, mut receipt) = self.gallery.forget(person)?;
        self.forget_live(person, &mut receipt);
        self.report(EventKind::PersonForgotten, Some(person), None, receipt.lines().join(", "));
        Ok(receipt.complete()?)
    }

    /// Removes everything about everyone.
    ///
    /// # Errors
    /// [`OperationError::ForgetAllNotAllowed`] unless the configuration allows it.
    pub fn forget_all(&mut self) -> Result<Receipt, OperationError> {
        if !self.config.privacy.allow_forget_all {
            return Err(OperationError::ForgetAllNotAllowed);
        }
        let people: Vec<PersonId> = self.gallery.memory().people().map(|record| record.person_id).collect();
        for person in &people {
            let references = self.gallery.memory().references(*person);
            self.note_unwanted(&references);
        }
        let mut receipt = self.gallery.forget_all()?;
        for camera in self.cameras.values_mut() {
            for person in &people {
                camera.identifier.forget(*person);
            }
            camera.tracker.reset();
        }
        receipt.add("tracks", self.looks.faces().count());
        receipt.add("looks", self.looks.clear());
        for person in people {
            self.sightings.forget(person);
            self.report(EventKind::PersonForgotten, Some(person), None, String::new());
        }
        Ok(receipt.complete()?)
    }

    /// Rises with every change of the gallery, whoever made it.
    pub const fn revision(&self) -> u64 {
        self.gallery.revision()
    }

    /// Everyone in the gallery, in the order of ids.
    pub fn list(&self) -> Vec<PersonRecord> {
        self.gallery.list()
    }

    /// Everything that is stored about a person, as JSON.
    ///
    /// # Errors
    /// [`OperationError`] when there is no such person.
    pub fn export(&self, person: PersonId) -> Result<String, OperationError> {
        Ok(PortablePerson::of(self.gallery.memory(), person)?.to_json()?)
    }

    /// Takes an exported person, or a list of them, with their ids where these are free. Those before the first
    /// that is refused are taken.
    ///
    /// # Errors
    /// [`OperationError`] when the text is no export, or (without `force`) somebody stored looks alike.
    pub fn import(&mut self, json: &str, force: bool) -> Result<Vec<PersonId>, OperationError> {
        let similarity = self.similarity()?;
        let mut taken = Vec::new();
        for person in PortablePerson::read(json)? {
            let (record, references) = person.unpack(self.gallery.memory().model())?;
            if !force {
                enrol::compare(self.gallery.memory(), None, &references, &similarity)?;
            }
            let person = self.gallery.import(&record, &references)?;
            taken.push(person);
            self.report(EventKind::PersonCreated, Some(person), None, String::new());
        }
        Ok(taken)
    }

    /// Who is in one picture, largest first: a single look without tracking, which changes nothing.
    ///
    /// # Errors
    /// [`OperationError`] when the picture cannot be processed.
    pub fn identify(&mut self, picture: &Pixels<'_>) -> Result<Vec<Person>, OperationError> {
        let similarity = self.similarity()?;
        let mut faces = self.examine(picture)?;
        faces.sort_by(|a, b| b.detection.bbox.area().total_cmp(&a.detection.bbox.area()));
        let people = faces.iter().map(|face| {
            Ok(Person {
                face_id: self.face_ids.next(),
                identity: identity_of(face, self.gallery.memory(), &similarity, &self.config)?,
                bbox: face.detection.bbox,
                score: face.detection.score,
                landmarks: face.detection.landmarks,
                quality: face.quality,
                observed: true,
                track_age_secs: 0.0,
                emotion: None,
                pose: None,
                attention: None,
            })
        });
        people.collect()
    }

    pub(super) fn similarity(&self) -> Result<Similarity, OperationError> {
        self.stages.embedding.as_ref().map(|stage| stage.similarity.clone()).ok_or(OperationError::IdentityOff)
    }

    /// One step of an enrolment; `Some` when it has ended.
    fn advance(&mut self, enrolment: &mut Enrolment, now: Stamp) -> Option<Result<Enrolled, OperationError>> {
        let wanted = enrolment.wanted();
        let is_known = |face: &FaceId| self.looks.camera(*face).is_some();
        let face = match enrolment.face {
            Some(face) => Some(face).filter(is_known),
            None => self.looks.largest(),
        };
        let samples = face.map_or(enrolment.reported, |face| self.looks.taken(face));
        let timed_out = now.secs_since(enrolment.deadline) >= 0.0;
        let Some(face) = face else {
            return match enrolment.face {
                Some(face_id) => Some(Err(OperationError::FaceLost { face_id, samples, wanted })),
                None if timed_out => Some(Err(OperationError::TimedOut { samples, wanted, hint: "nobody in view" })),
                None => None,
            };
        };
        enrolment.face = Some(face);
        if samples >= wanted {
            let EnrolRequest { person_id, name, consent, force, .. } = enrolment.request.clone();
            let looks = self.looks.of(face).to_vec();
            return Some(self.enrol_looks(&EnrolAs { person_id, name, not_a_person: false, consent, force }, &looks));
        }
        if timed_out {
            let hint = "ask the person to come closer, face the camera and stand in the light";
            return Some(Err(OperationError::TimedOut { samples, wanted, hint }));
        }
        if samples > enrolment.reported {
            enrolment.reported = samples;
            self.report_progress(face, samples, wanted);
        }
        None
    }

    /// An event about a person and the face they have now.
    pub(super) fn report_face(&mut self, kind: EventKind, face: FaceId, person: PersonId) {
        self.report(kind, Some(person), None, String::new());
        if let Some(event) = self.operation_events.last_mut() {
            event.face_id = Some(face);
        }
    }

    fn report_progress(&mut self, face: FaceId, samples: u32, wanted: u32) {
        let confidence = samples as f32 / wanted as f32;
        let detail = format!("{samples} of {wanted} looks");
        self.report(EventKind::EnrolmentProgress, None, None, detail);
        if let Some(event) = self.operation_events.last_mut() {
            event.face_id = Some(face);
            event.confidence = confidence;
        }
    }

    /// Clears a person from all that is remembered beside the gallery.
    pub(super) fn forget_live(&mut self, person: PersonId, receipt: &mut Receipt) {
        let (mut tracks, mut looks) = (0, 0);
        for camera in self.cameras.values_mut() {
            let faces = camera.identifier.forget(person);
            for face in &faces {
                camera.tracker.forget(*face);
                looks += self.looks.forget(*face);
            }
            tracks += faces.len();
        }
        self.sightings.forget(person);
        receipt.add("tracks", tracks);
        receipt.add("looks", looks);
    }

    pub(super) fn report(
        &mut self,
        kind: EventKind,
        person: Option<PersonId>,
        other: Option<PersonId>,
        detail: String,
    ) {
        let frame = self.people.as_ref();
        let name = person.and_then(|person| self.gallery.memory().name(person)).map(str::to_owned);
        self.operation_events.push(PersonEvent {
            camera: frame.map_or_else(CameraId::default, |frame| frame.camera.clone()),
            stamp: frame.map(|frame| frame.stamp).unwrap_or_default(),
            frame_id: frame.map(|frame| frame.frame_id.clone()).unwrap_or_default(),
            kind,
            face_id: None,
            person_id: person,
            other_person_id: other,
            name,
            detail,
            confidence: 0.0,
            absent_for_secs: 0.0,
        });
    }
}

/// The face that a picture of one person is about.
fn the_face(mut faces: Vec<Observation>) -> Result<Observation, OperationError> {
    let width = |face: &Observation| face.detection.bbox.width();
    faces.sort_by(|a, b| width(b).total_cmp(&width(a)));
    let largest = faces.first().map(width).ok_or(OperationError::NoFace)?;
    let large = faces.iter().filter(|face| width(face) >= SECOND_FACE * largest).count();
    if large > 1 {
        return Err(OperationError::SeveralFaces { faces: large });
    }
    Ok(faces.swap_remove(0))
}

/// What a single look allows to say.
fn identity_of(
    face: &Observation,
    gallery: &dyn Gallery,
    similarity: &Similarity,
    config: &Config,
) -> Result<Identity, GalleryError> {
    let Some(look) = face.embedding.as_ref().filter(|_| is_fit(face, config)) else { return Ok(Identity::default()) };
    let candidates = gallery.search(look, 2)?;
    let Some(best) = candidates.first() else { return Ok(Identity::default()) };
    let margin = best.similarity - candidates.get(1).map_or(-1.0, |other| other.similarity);
    let candidate = Some(best.person_id);
    let mut identity = Identity { similarity: best.similarity, candidate, margin, ..Identity::default() };
    let fpir = config.identity.target_fpir;
    if best.similarity < open_set_threshold(similarity, gallery.len(), gallery.impostors(), fpir) {
        return Ok(identity);
    }
    let min_margin = config.identity.min_margin.map_or(similarity.min_margin, |margin| margin.get() as f32);
    if margin < min_margin {
        identity.state = IdentityState::Ambiguous;
        return Ok(identity);
    }
    identity.state = match gallery.standing(best.person_id) {
        Some(Standing::Named) => IdentityState::Named,
        Some(Standing::Known) => IdentityState::Known,
        Some(Standing::Anonymous) => IdentityState::Anonymous,
        Some(Standing::Negative) | None => return Ok(identity),
    };
    identity.person_id = Some(best.person_id);
    identity.name = gallery.name(best.person_id).map(str::to_owned);
    identity.confidence = similarity.probability(best.similarity) as f32;
    Ok(identity)
}
