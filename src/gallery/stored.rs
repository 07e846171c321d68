//! The gallery as a robot keeps it: searched in memory, every change durable before it is visible.

use super::change::Change;
use super::memory::MemoryGallery;
use super::record::{Kind, PersonRecord, Reference, clean_name};
use super::{Gallery, GalleryError};
use crate::embed::ModelTag;
use crate::ids::PersonId;
use crate::time::Stamp;

/// Who is to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPerson {
    /// Empty: none.
    pub name: String,
    /// What the record stands for.
    pub kind: Kind,
    /// Whether the person agreed to be stored.
    pub consent: bool,
    /// Strangers only.
    pub expires: Option<Stamp>,
}

/// What another program did to the gallery's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// New, or changed in some way.
    Changed(PersonId),
    /// Forgotten.
    Gone(PersonId),
    /// Two are one.
    Merged {
        /// Whose id stays.
        keep: PersonId,
        /// Whose id is now an alias.
        absorb: PersonId,
    },
}

/// What was removed when somebody was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What, and how many of it; nothing that was not there.
    pub removed: Vec<(&'static str, usize)>,
}

impl Receipt {
    /// Adds a line, unless there was nothing.
    pub fn add(&mut self, what: &'static str, count: usize) {
        if count > 0 {
            self.removed.push((what, count));
        }
    }

    /// One line per kind of thing: `references: 12`.
    pub fn lines(&self) -> Vec<String> {
        self.removed.iter().map(|(what, count)| format!("{what}: {count}")).collect()
    }
}

/// A [`MemoryGallery`] and the file that keeps it.
pub struct StoredGallery {
    memory: MemoryGallery,
    revision: u64,
}

impl StoredGallery {
    /// A gallery without a file, gone with the process.
    pub fn in_memory(model: ModelTag) -> Self {
        Self { memory: MemoryGallery::new(model, 0), revision: 0 }
    }

    /// What is searched.
    pub const fn memory(&self) -> &MemoryGallery {
        &self.memory
    }

    /// Rises with every change, whoever made it.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Stores a new person with their references.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then.
    pub fn create(&mut self, who: &NewPerson, references: &[Reference]) -> Result<PersonId, GalleryError> {
        let name = clean_name(&who.name)?;
        let stamps = || references.iter().map(|reference| reference.stamp);
        let (Some(first_seen), Some(last_seen)) = (stamps().min(), stamps().max()) else {
            return Err(GalleryError::NoLooks);
        };
        let mut created = None;
        self.change(|memory| {
            let (person_id, next_person) = memory.next_id();
            created = Some(person_id);
            let record = PersonRecord {
                name,
                consent: who.consent.then_some(last_seen),
                last_seen,
                encounters: 1,
                expires: who.expires.filter(|_| who.kind == Kind::Stranger),
                ..PersonRecord::new(person_id, who.kind, first_seen)
            };
            Ok(Change::Create { record, references: references.to_vec(), next_person })
        })?;
        created.ok_or(GalleryError::NoLooks)
    }

    /// Adds references to a person; a name replaces the one there is, the empty one does not.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then.
    pub fn learn(
        &mut self,
        person: PersonId,
        references: &[Reference],
        name: &str,
        consent: bool,
    ) -> Result<PersonId, GalleryError> {
        let name = clean_name(name)?;
        let last = references.iter().map(|reference| reference.stamp).max();
        let change = |memory: &MemoryGallery| {
            let person = memory.resolve(person)?;
            Ok(Change::Learn { person, references: references.to_vec(), name, consent: last.filter(|_| consent) })
        };
        self.change(change)?;
        self.memory.resolve(person)
    }

    /// Names a person; the empty name clears it.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then.
    pub fn set_name(&mut self, person: PersonId, name: &str) -> Result<PersonId, GalleryError> {
        let name = clean_name(name)?;
        self.change(|memory| Ok(Change::Name { person: memory.resolve(person)?, name }))?;
        self.memory.resolve(person)
    }

    /// Makes two people one: `keep` gets everything, and `absorb` becomes an alias of it. Returns both
    /// ids as they were stored.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then.
    pub fn merge(&mut self, keep: PersonId, absorb: PersonId) -> Result<(PersonId, PersonId), GalleryError> {
        let mut joined = (keep, absorb);
        self.change(|memory| {
            joined = (memory.resolve(keep)?, memory.resolve(absorb)?);
            Ok(Change::Merge { keep: joined.0, absorb: joined.1 })
        })?;
        Ok(joined)
    }

    /// Removes everything about a person: memory and file. Returns the person's id (`person` may be an
    /// alias) and what was removed.
    ///
    /// # Errors
    /// [`GalleryError`]; the person is still there then.
    pub fn forget(&mut self, person: PersonId) -> Result<(PersonId, Receipt), GalleryError> {
        let mut gone = Receipt::default();
        let mut found = person;
        self.change(|memory| {
            let record = memory.record(memory.resolve(person)?)?;
            found = record.person_id;
            gone = receipt_of(record);
            Ok(Change::Forget { person: found })
        })?;
        Ok((found, gone))
    }

    /// Removes everyone.
    ///
    /// # Errors
    /// [`GalleryError`]; everyone is still there then.
    pub fn forget_all(&mut self) -> Result<Receipt, GalleryError> {
        let mut gone = Receipt::default();
        self.change(|memory| {
            gone = Receipt::default();
            gone.add("people", memory.len());
            gone.add("references", memory.people().map(|record| record.references as usize).sum());
            gone.add("names", memory.people().filter(|record| record.name.is_some()).count());
            gone.add("aliases", memory.people().map(|record| record.aliases.len()).sum());
            Ok(Change::ForgetAll)
        })?;
        Ok(gone)
    }

    /// Everyone, in the order of ids.
    pub fn list(&self) -> Vec<PersonRecord> {
        self.memory.people().cloned().collect()
    }

    /// Takes somebody exported from another gallery of the same network, with their id.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then.
    pub fn import(&mut self, record: &PersonRecord, references: &[Reference]) -> Result<(), GalleryError> {
        self.change(|memory| {
            let mut ids = std::iter::once(&record.person_id).chain(&record.aliases);
            if let Some(taken) = ids.find(|id| memory.knows(**id)) {
                return Err(GalleryError::Exists(*taken));
            }
            let next_person = memory.number_after(record.person_id);
            Ok(Change::Create { record: record.clone(), references: references.to_vec(), next_person })
        })
    }

    fn change(
        &mut self,
        plan: impl FnOnce(&MemoryGallery) -> Result<Change, GalleryError>,
    ) -> Result<(), GalleryError> {
        let change = plan(&self.memory)?;
        self.memory.check(&change)?;
        self.memory.apply(&change);
        self.revision += 1;
        Ok(())
    }
}

fn receipt_of(record: &PersonRecord) -> Receipt {
    let mut gone = Receipt::default();
    gone.add("people", 1);
    gone.add("references", record.references as usize);
    gone.add("names", usize::from(record.name.is_some()));
    gone.add("aliases", record.aliases.len());
    gone
}
