//! The gallery that searches: everything in memory, changed one [`Change`] at a time.

use super::change::Change;
use super::matrix::{Matrix, Row, dot};
use super::record::{Kind, PersonRecord, Reference, Standing};
use super::{Candidate, Gallery, GalleryError};
use crate::embed::{Embedding, EmbeddingError, ModelTag};
use crate::ids::PersonId;
use crate::time::Stamp;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// People whose references are compared for [`MemoryGallery::impostors`].
const IMPOSTOR_PEOPLE: usize = 64;
/// People that one gallery will hardly count through.
const COUNTED_IDS: u64 = 1_000_000_000;

/// A [`Gallery`] in memory: exact search over one contiguous matrix of references.
///
/// Biometric data: deliberately without `Debug`.
pub struct MemoryGallery {
    model: ModelTag,
    matrix: Matrix,
    people: BTreeMap<PersonId, PersonRecord>,
    aliases: BTreeMap<PersonId, PersonId>,
    next_person: u64,
    /// Computed when asked for, until something changes.
    impostors: OnceLock<Impostors>,
}

/// Cosines between references of different people of one gallery.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impostors {
    /// Pairs compared.
    pub count: u64,
    /// Their mean cosine; 0 without pairs.
    pub mean: f32,
    /// Standard deviation; 0 without pairs.
    pub sd: f32,
}

impl MemoryGallery {
    /// An empty gallery for embeddings of one network. `first_person` numbers the next person: one
    /// past the last number ever used, as ids are never given twice.
    pub fn new(model: ModelTag, first_person: u64) -> Self {
        Self {
            model,
            matrix: Matrix::default(),
            people: BTreeMap::new(),
            aliases: BTreeMap::new(),
            next_person: first_person,
            impostors: OnceLock::new(),
        }
    }

    /// One more reference of the person with this name, or of a new person when there is none.
    /// `quality` is the look's fitness for recognition, 0..=1.
    ///
    /// # Errors
    /// [`GalleryError`] when the embedding does not fit the gallery; nothing is changed then.
    pub fn enrol(&mut self, name: &str, look: &Embedding, quality: f32) -> Result<PersonId, GalleryError> {
        let reference = Reference { look: look.clone(), quality, stamp: Stamp::default(), source: String::new() };
        let references = vec![reference];
        if let Some(person) = self.person_named(name) {
            self.commit(&Change::Learn { person, references, name: None, consent: None })?;
            return Ok(person);
        }
        let (person, next_person) = self.next_id();
        let record = PersonRecord::new(person, Kind::Person, Stamp::default());
        let record = PersonRecord { name: Some(name.to_owned()), ..record };
        self.commit(&Change::Create { record, references, next_person })?;
        Ok(person)
    }

    /// Gives a person another name, or none.
    ///
    /// # Errors
    /// [`GalleryError::UnknownPerson`].
    pub fn rename(&mut self, person: PersonId, name: Option<&str>) -> Result<(), GalleryError> {
        self.commit(&Change::Name { person, name: name.map(str::to_owned) })
    }

    /// Removes everything about a person and returns how many references that were.
    ///
    /// # Errors
    /// [`GalleryError::UnknownPerson`].
    pub fn forget(&mut self, person: PersonId) -> Result<usize, GalleryError> {
        let references = self.record(person)?.references as usize;
        self.commit(&Change::Forget { person })?;
        Ok(references)
    }

    /// Whether a change is possible.
    ///
    /// # Errors
    /// [`GalleryError`] saying why not.
    pub(super) fn check(&self, change: &Change) -> Result<(), GalleryError> {
        match change {
            Change::Create { references, .. } if references.is_empty() => Err(GalleryError::NoLooks),
            Change::Create { references, .. } => self.check_looks(references),
            Change::Learn { person, references, .. } => {
                self.record(*person)?;
                self.check_looks(references)
            }
            Change::Merge { keep, absorb } => {
                self.record(*keep)?;
                self.record(*absorb)?;
                if keep == absorb { Err(GalleryError::SamePerson(*keep)) } else { Ok(()) }
            }
            Change::Name { person, .. } | Change::Forget { person } | Change::Seen { person, .. } => {
                self.record(*person).map(|_| ())
            }
            Change::ForgetAll => Ok(()),
        }
    }

    /// The person's record once a change is made that [`Self::check`] has found possible; `None` when
    /// nobody is left.
    pub(super) fn after(&self, change: &Change) -> Option<PersonRecord> {
        let mut record = match change {
            Change::Create { record, .. } => record.clone(),
            Change::Learn { person, .. } | Change::Name { person, .. } | Change::Seen { person, .. } => {
                self.people.get(person)?.clone()
            }
            Change::Merge { keep, .. } => self.people.get(keep)?.clone(),
            Change::Forget { .. } | Change::ForgetAll => return None,
        };
        match change {
            Change::Create { references, .. } => record.references = references.len() as u32,
            Change::Learn { references, name, consent, .. } => {
                record.references += references.len() as u32;
                record.learn(name.as_deref(), *consent);
            }
            Change::Name { name, .. } => record.rename(name.clone()),
            Change::Merge { absorb, .. } => record.absorb(self.people.get(absorb)?.clone()),
            Change::Seen { last_seen, encounters, expires, .. } => record.see(*last_seen, *encounters, *expires),
            Change::Forget { .. } | Change::ForgetAll => {}
        }
        Some(record)
    }

    /// Makes a change that [`Self::check`] has found possible.
    pub(super) fn apply(&mut self, change: &Change) {
        self.impostors.take();
        let after = self.after(change);
        match change {
            Change::Create { record: PersonRecord { person_id: person, .. }, references, .. }
            | Change::Learn { person, references, .. } => self.push(*person, references),
            Change::Merge { keep, absorb } => {
                self.matrix.reassign(*absorb, *keep);
                self.remove_record(*absorb);
            }
            Change::Forget { person } => {
                self.matrix.remove(*person);
                self.remove_record(*person);
            }
            Change::ForgetAll => {
                self.matrix.clear();
                self.people.clear();
                self.aliases.clear();
            }
            Change::Name { .. } | Change::Seen { .. } => {}
        }
        if let Change::Create { next_person, .. } = change {
            self.next_person = self.next_person.max(*next_person);
        }
        if let Some(record) = after {
            self.put(record);
        }
    }

    /// Takes a person as another program left them, in place of what is known about them.
    pub(super) fn replace(&mut self, record: PersonRecord, references: &[Reference]) {
        let person = record.person_id;
        self.impostors.take();
        self.remove(person);
        self.push(person, references);
        self.put(PersonRecord { references: references.len() as u32, ..record });
    }

    /// Removes somebody whom another program forgot or merged.
    pub(super) fn remove(&mut self, person: PersonId) {
        self.impostors.take();
        self.matrix.remove(person);
        self.remove_record(person);
    }

    /// Puts a record back that was read from a file; its references follow.
    pub(super) fn insert(&mut self, record: PersonRecord) {
        self.put(PersonRecord { references: 0, ..record });
    }

    /// Puts a reference back that was read from a file; false when it fits nobody, or not the others.
    pub(super) fn restore(&mut self, person: PersonId, quality: f32, stamp: Stamp, source: &str, unit: &[f32]) -> bool {
        let fits = self.matrix.dimensions().is_none_or(|dimensions| dimensions == unit.len());
        let Some(record) = self.people.get_mut(&person).filter(|_| fits) else { return false };
        record.references += 1;
        self.matrix.push(Row { person, quality, stamp, source: source.into() }, unit);
        true
    }

    /// Ids are given from this number on, if it is higher than the one so far.
    pub(super) const fn count_from(&mut self, next_person: u64) {
        if next_person > self.next_person {
            self.next_person = next_person;
        }
    }

    /// A person's references that are nobody else's, too, as when one picture was enrolled twice.
    pub(super) fn own_references(&self, person: PersonId) -> Vec<Reference> {
        let others = || self.matrix.rows().filter(|(row, _)| row.person != person).map(|(_, unit)| unit);
        let is_own = |reference: &Reference| others().all(|unit| unit != reference.look.unit());
        self.references(person).into_iter().filter(is_own).collect()
    }

    /// Every text of other people: names and where their references come from.
    pub(super) fn texts_of_others(&self, person: PersonId) -> Vec<&str> {
        let names = self.people.values().filter(|record| record.person_id != person).filter_map(|r| r.name.as_deref());
        let sources = self.matrix.rows().filter(|(row, _)| row.person != person).map(|(row, _)| &*row.source);
        let mut texts: Vec<&str> = names.chain(sources).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// The id of a person to come, and the number of the one after.
    pub(super) fn next_id(&self) -> (PersonId, u64) {
        let numbered = (self.next_person..).map(|number| (PersonId::from_counter(number), number + 1));
        let mut free = numbered.filter(|(id, _)| !self.knows(*id));
        free.next().unwrap_or((PersonId::from_counter(self.next_person), self.next_person + 1))
    }

    /// Number of the person to come after one with this id, which another gallery gave. Ids that
    /// counting will hardly reach leave the counter alone.
    pub(super) fn number_after(&self, id: PersonId) -> u64 {
        let next = id.number() + 1;
        let is_near = (self.next_person..self.next_person + COUNTED_IDS).contains(&next);
        if is_near { next } else { self.next_person }
    }

    /// Others with the name of this person.
    pub fn namesakes(&self, person: PersonId) -> Vec<PersonId> {
        let Some(name) = self.name(person) else { return Vec::new() };
        let others = self.people().filter(|other| other.person_id != person && other.name.as_deref() == Some(name));
        others.map(|other| other.person_id).collect()
    }

    /// Whether this id or alias is taken.
    pub(super) fn knows(&self, id: PersonId) -> bool {
        self.people.contains_key(&id) || self.aliases.contains_key(&id)
    }

    /// The first person with this name, in the order of ids.
    pub fn person_named(&self, name: &str) -> Option<PersonId> {
        self.people.values().find(|record| record.name.as_deref() == Some(name)).map(|record| record.person_id)
    }

    /// The person with this id or alias.
    ///
    /// # Errors
    /// [`GalleryError::UnknownPerson`].
    pub fn resolve(&self, id: PersonId) -> Result<PersonId, GalleryError> {
        let person = self.aliases.get(&id).copied().unwrap_or(id);
        if self.people.contains_key(&person) { Ok(person) } else { Err(GalleryError::UnknownPerson(id)) }
    }

    /// Everyone, in the order of ids.
    pub fn people(&self) -> impl Iterator<Item = &PersonRecord> {
        self.people.values()
    }

    /// What is known about a person.
    ///
    /// # Errors
    /// [`GalleryError::UnknownPerson`].
    pub fn record(&self, person: PersonId) -> Result<&PersonRecord, GalleryError> {
        self.people.get(&person).ok_or(GalleryError::UnknownPerson(person))
    }

    /// A person's references, in the order of their enrolment.
    pub fn references(&self, person: PersonId) -> Vec<Reference> {
        let own = self.matrix.rows().filter(|(row, _)| row.person == person);
        own.filter_map(|(row, unit)| {
            let look = Embedding::new(unit.to_vec(), self.model.clone()).ok()?;
            Some(Reference { look, quality: row.quality, stamp: row.stamp, source: row.source.to_string() })
        })
        .collect()
    }

    /// Cosine of a look to a person's best reference.
    ///
    /// # Errors
    /// [`GalleryError`] when the person is unknown or the look does not fit the gallery.
    pub fn similarity_to(&self, person: PersonId, look: &Embedding) -> Result<f32, GalleryError> {
        self.record(person)?;
        self.check_look(look, self.matrix.dimensions().unwrap_or(look.unit().len()))?;
        let own = self.matrix.rows().filter(|(row, _)| row.person == person);
        Ok(own.map(|(_, unit)| dot(unit, look.unit())).fold(-1.0, f32::max).min(1.0))
    }

    /// The network whose embeddings are kept here.
    pub const fn model(&self) -> &ModelTag {
        &self.model
    }

    /// Bytes that references take.
    pub const fn bytes(&self) -> usize {
        self.matrix.bytes()
    }

    fn commit(&mut self, change: &Change) -> Result<(), GalleryError> {
        self.check(change)?;
        self.apply(change);
        Ok(())
    }

    fn check_looks(&self, references: &[Reference]) -> Result<(), GalleryError> {
        let Some(first) = references.first() else { return Ok(()) };
        let expected = self.matrix.dimensions().unwrap_or(first.look.unit().len());
        references.iter().try_for_each(|reference| self.check_look(&reference.look, expected))
    }

    fn check_look(&self, look: &Embedding, expected: usize) -> Result<(), GalleryError> {
        if *look.model() != self.model {
            let (left, right) = (look.model().clone(), self.model.clone());
            return Err(EmbeddingError::DifferentModels { left, right }.into());
        }
        let actual = look.unit().len();
        if actual == expected { Ok(()) } else { Err(GalleryError::WrongLength { expected, actual }) }
    }

    fn put(&mut self, record: PersonRecord) {
        self.aliases.extend(record.aliases.iter().map(|alias| (*alias, record.person_id)));
        self.people.insert(record.person_id, record);
    }

    fn push(&mut self, person: PersonId, references: &[Reference]) {
        for Reference { look, quality, stamp, source } in references {
            let row = Row { person, quality: *quality, stamp: *stamp, source: source.as_str().into() };
            self.matrix.push(row, look.unit());
        }
    }

    fn remove_record(&mut self, person: PersonId) -> Option<PersonRecord> {
        self.aliases.retain(|_, owner| *owner != person);
        self.people.remove(&person)
    }
}

impl MemoryGallery {
    /// By the first reference of each of at most 64 people.
    fn compare_people(&self) -> Impostors {
        let mut firsts: BTreeMap<PersonId, &[f32]> = BTreeMap::new();
        for (row, unit) in self.matrix.rows() {
            firsts.entry(row.person).or_insert(unit);
            if firsts.len() == IMPOSTOR_PEOPLE {
                break;
            }
        }
        let firsts: Vec<&[f32]> = firsts.into_values().collect();
        let pairs = firsts.iter().enumerate().flat_map(|(at, a)| firsts[..at].iter().map(move |b| dot(a, b)));
        let cosines: Vec<f32> = pairs.collect();
        if cosines.is_empty() {
            return Impostors::default();
        }
        let count = cosines.len() as f32;
        let mean = cosines.iter().sum::<f32>() / count;
        let variance = cosines.iter().map(|cosine| (cosine - mean).powi(2)).sum::<f32>() / count;
        Impostors { count: cosines.len() as u64, mean, sd: variance.sqrt() }
    }
}

impl Gallery for MemoryGallery {
    fn search(&self, probe: &Embedding, limit: usize) -> Result<Vec<Candidate>, GalleryError> {
        self.check_look(probe, self.matrix.dimensions().unwrap_or(probe.unit().len()))?;
        Ok(self.matrix.nearest(probe.unit(), limit))
    }

    fn name(&self, person: PersonId) -> Option<&str> {
        self.people.get(&person)?.name.as_deref()
    }

    fn standing(&self, person: PersonId) -> Option<Standing> {
        self.people.get(&person).map(PersonRecord::standing)
    }

    fn len(&self) -> usize {
        self.people.len()
    }

    fn impostors(&self) -> Impostors {
        *self.impostors.get_or_init(|| self.compare_people())
    }
}

#[cfg(test)]
mod tests;
