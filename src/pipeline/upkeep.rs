//! What has to be read and written between frames: the gallery's file.

use super::{Camera, OperationError, Pipeline};
use crate::config::AutoEnrol;
use crate::embed::Embedding;
use crate::gallery::{
    Forgotten, GalleryError, Kind, NewPerson, PersonRecord, Receipt, Reference, Sighting, StoreError, StoredGallery,
    Update, enrol,
};
use crate::ids::{FaceId, PersonId};
use crate::model::manifest::Similarity;
use crate::people::EventKind;
use crate::time::Stamp;
use std::path::Path;

/// Seconds between looks for strangers whose time is over.
const EXPIRY_SECS: f64 = 10.0;
/// Strangers remembered at a time.
pub(super) const MOST_STRANGERS: usize = 50;
/// Face ids set aside at a time.
const FACES_RESERVED: u64 = 1000;

impl Pipeline {
    /// Keeps people in this file from now on; whoever is in it is recognised. A file that can only be
    /// read is taken as it is, and refuses every change with the reason.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used; nothing is changed then.
    pub fn open_gallery(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut gallery = StoredGallery::open_if_possible(path, self.gallery().model())?;
        if let Ok(Some(first)) = gallery.reserve_faces(FACES_RESERVED) {
            self.face_ids.skip_to(first);
            self.faces_until = first + FACES_RESERVED;
        }
        self.gallery = gallery;
        Ok(())
    }

    /// Where people are kept: a file, or `memory`.
    pub fn gallery_place(&self) -> String {
        self.gallery.path().map_or_else(|| "memory".to_owned(), |path| path.display().to_string())
    }

    /// Why the gallery's file could not be read or written when that was last tried.
    pub fn gallery_trouble(&self) -> Option<&str> {
        self.gallery_unread.as_deref().or(self.gallery_trouble.as_deref())
    }

    /// Writes down what waits to be written; to be called at the end.
    pub fn finish(&mut self) {
        let sightings = self.sightings.drain();
        self.write_sightings(sightings);
    }

    /// Everything but enrolments that [`Pipeline::settle`] does.
    pub(super) fn keep_up(&mut self, now: Stamp) {
        self.follow_gallery(now);
        let sightings = self.sightings.due();
        self.write_sightings(sightings);
        self.remember_strangers();
        self.forget_expired(now);
        self.reserve_faces();
    }

    /// Takes over what other programs changed in the gallery's file, and writes nothing.
    pub fn follow_gallery(&mut self, now: Stamp) {
        match self.gallery.refresh() {
            Ok(updates) => {
                self.gallery_unread = None;
                // A stranger whose time was over may come again.
                let is_over = |one: &Forgotten| one.expires.is_some_and(|expires| expires <= now);
                for one in self.gallery.take_forgotten().into_iter().filter(|one| !is_over(one)) {
                    self.note_unwanted(&one.references);
                }
                for update in updates {
                    self.take_over(update);
                }
            }
            Err(error) => note_trouble(&mut self.gallery_unread, &error.into()),
        }
    }

    /// Remembers the strangers who stayed, when `identity.auto_enrol` asks for it.
    fn remember_strangers(&mut self) {
        let cameras = self.cameras.values_mut();
        let faces: Vec<FaceId> = cameras.flat_map(|camera| camera.identifier.take_strangers()).collect();
        for face in faces {
            match self.remember_stranger(face) {
                Ok(person) => self.report_face(EventKind::PersonCreated, face, person),
                Err(reason) => tracing::debug!(%face, "a stranger is not remembered: {reason}"),
            }
        }
    }

    fn remember_stranger(&mut self, face: FaceId) -> Result<PersonId, OperationError> {
        let similarity = self.similarity()?;
        let references = enrol::choose(self.looks.of(face), &similarity)?;
        let gallery = self.gallery.memory();
        enrol::compare(gallery, None, &references, &similarity)?;
        let is_stranger = |record: &&PersonRecord| record.kind == Kind::Stranger;
        if gallery.people().filter(is_stranger).count() >= MOST_STRANGERS {
            return Err(OperationError::TooManyStrangers { most: MOST_STRANGERS });
        }
        let is_unwanted = |mean: &Embedding| enrol::mean_look(&references).and_then(|look| look.cosine(mean).ok());
        if self.unwanted.iter().filter_map(is_unwanted).any(|cosine| cosine >= similarity.threshold) {
            return Err(OperationError::Unwanted);
        }
        if self.config.identity.auto_enrol == AutoEnrol::Session {
            return Ok(self.gallery.remember(&references)?);
        }
        let last_seen = references.iter().map(|reference| reference.stamp).max().unwrap_or_default();
        let expires = Some(last_seen.plus_secs(self.config.privacy.anonymous_retention_hours * 3600.0));
        let who = NewPerson { kind: Kind::Stranger, expires, ..NewPerson::default() };
        Ok(self.gallery.create(&who, &references)?)
    }

    /// Keeps the robot from learning somebody again by itself who was forgotten in this run. Only while
    /// it learns strangers, in memory alone, and until they are enrolled again.
    pub(super) fn note_unwanted(&mut self, references: &[Reference]) {
        if self.config.identity.auto_enrol != AutoEnrol::Off {
            self.unwanted.extend(enrol::mean_look(references));
        }
    }

    /// Somebody who was forgotten asks to be known again.
    pub(super) fn note_wanted(&mut self, references: &[Reference], similarity: &Similarity) {
        let Some(look) = enrol::mean_look(references) else { return };
        self.unwanted.retain(|mean| look.cosine(mean).is_ok_and(|cosine| cosine < similarity.threshold));
    }

    /// Does to what is in view what another program did to the file.
    fn take_over(&mut self, update: Update) {
        match update {
            Update::Changed(_) => {}
            Update::Renamed(person) => self.report(EventKind::PersonRenamed, Some(person), None, String::new()),
            Update::Created(person) => self.report(EventKind::PersonCreated, Some(person), None, String::new()),
            Update::Gone(person) => {
                self.forget_live(person, &mut Receipt::default());
                self.report(EventKind::PersonForgotten, Some(person), None, String::new());
            }
            Update::Merged { keep, absorb } => self.merge_live(keep, absorb),
        }
    }

    /// Takes one person for another in all that is remembered beside the gallery.
    pub(super) fn merge_live(&mut self, keep: PersonId, absorb: PersonId) {
        for Camera { identifier, .. } in self.cameras.values_mut() {
            identifier.merge(keep, absorb);
        }
        self.sightings.merge(keep, absorb);
        self.report(EventKind::PersonMerged, Some(keep), Some(absorb), String::new());
    }

    fn write_sightings(&mut self, sightings: Vec<(PersonId, Sighting)>) {
        let keep_secs = self.config.privacy.anonymous_retention_hours * 3600.0;
        for (person, Sighting { last_seen, encounters }) in sightings {
            match self.gallery.seen(person, last_seen, encounters, Some(last_seen.plus_secs(keep_secs))) {
                Ok(()) => self.gallery_trouble = None,
                Err(GalleryError::UnknownPerson(_)) => {}
                Err(error) => {
                    self.sightings.put_back(person, Sighting { last_seen, encounters });
                    note_trouble(&mut self.gallery_trouble, &error);
                }
            }
        }
    }

    fn forget_expired(&mut self, now: Stamp) {
        if self.expiry_checked.is_some_and(|checked| (0.0..EXPIRY_SECS).contains(&now.secs_since(checked))) {
            return;
        }
        self.expiry_checked = Some(now);
        for person in self.gallery.expired(now) {
            match self.forget_stored(person) {
                Ok(_) => tracing::info!(%person, "a stranger's time is over: forgotten"),
                Err(error) => tracing::warn!(%person, "a stranger could not be forgotten: {error}"),
            }
        }
    }

    fn reserve_faces(&mut self) {
        if self.face_ids.upcoming() + FACES_RESERVED / 2 < self.faces_until {
            return;
        }
        if let Ok(Some(first)) = self.gallery.reserve_faces(FACES_RESERVED) {
            // Another program may have taken the numbers between.
            if first > self.faces_until {
                self.face_ids.skip_to(first);
            }
            self.faces_until = first + FACES_RESERVED;
        }
    }
}

/// Keeps what is wrong; what is new of it goes to the log.
fn note_trouble(place: &mut Option<String>, error: &GalleryError) {
    let text = error.to_string();
    if place.as_ref() != Some(&text) {
        tracing::warn!("{text}");
    }
    *place = Some(text);
}
