//! The gallery as a robot keeps it: searched in memory, every change durable before it is visible.

use super::change::Change;
use super::memory::MemoryGallery;
use super::record::{Kind, PersonRecord, Reference, clean_name};
use super::store::{News, Step, Store, StoreError, Traces};
use super::{Gallery, GalleryError};
use crate::embed::ModelTag;
use crate::ids::PersonId;
use crate::time::Stamp;
use std::collections::BTreeSet;
use std::path::Path;

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
    /// New.
    Created(PersonId),
    /// Another name, or none.
    Renamed(PersonId),
    /// Changed in some other way.
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

/// Somebody whom another program made forget.
pub struct Forgotten {
    /// What was known of them.
    pub references: Vec<Reference>,
    /// When they would have been forgotten anyway.
    pub expires: Option<Stamp>,
}

/// What was removed when somebody was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What, and how many of it; nothing that was not there.
    pub removed: Vec<(&'static str, usize)>,
    /// Why bytes of the person may be left in a file.
    pub left: Option<StoreError>,
}

impl Receipt {
    /// Adds a line, unless there was nothing.
    pub fn add(&mut self, what: &'static str, count: usize) {
        if count > 0 {
            self.removed.push((what, count));
        }
    }

    /// The receipt, unless something may be left.
    ///
    /// # Errors
    /// [`StoreError::TracesLeft`].
    pub fn complete(self) -> Result<Self, GalleryError> {
        match self.left {
            None => Ok(self),
            Some(left) => Err(left.into()),
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
    store: Option<Store>,
    /// Why changes are refused.
    refusal: Option<StoreError>,
    revision: u64,
    /// What other programs changed, until somebody asks.
    updates: Vec<Update>,
    /// Who is gone by them, until somebody asks.
    forgotten: Vec<Forgotten>,
    /// Strangers who are in memory alone.
    visitors: BTreeSet<PersonId>,
}

impl StoredGallery {
    /// A gallery without a file, gone with the process.
    pub fn in_memory(model: ModelTag) -> Self {
        Self::of(MemoryGallery::new(model, 0), None)
    }

    /// The gallery in a file, which is made when missing. Every change is in the file before it is
    /// acknowledged; several programs may use one file.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used.
    pub fn open(path: &Path, model: &ModelTag) -> Result<Self, StoreError> {
        let (store, memory) = Store::open(path, model)?;
        Ok(Self::of(memory, Some(store)))
    }

    /// As [`Self::open`], but a file that can only be read is taken as it is, and refuses every change
    /// with the reason.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used.
    pub fn open_if_possible(path: &Path, model: &ModelTag) -> Result<Self, StoreError> {
        match Self::open(path, model) {
            Err(reason @ StoreError::NotWritable { .. }) if path.exists() => {
                tracing::warn!("{reason}");
                Ok(Self { refusal: Some(reason), ..Self::read(path, model)? })
            }
            opened => opened,
        }
    }

    /// What is in a file now. The file is never written to; changes last as long as this value.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn read(path: &Path, model: &ModelTag) -> Result<Self, StoreError> {
        Ok(Self::of(Store::read(path, model)?, None))
    }

    /// As [`Self::open`], for looks of the network whose looks are in the file; the file must exist.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let model = Self::model_in(path)?.unwrap_or_else(|| ModelTag::new("none", ""));
        Self::open(path, &model)
    }

    /// As [`Self::read`], for looks of the network whose looks are in the file.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn read_existing(path: &Path) -> Result<Self, StoreError> {
        let model = Self::model_in(path)?.unwrap_or_else(|| ModelTag::new("none", ""));
        Self::read(path, &model)
    }

    /// The network whose looks are in a file; `None` while nobody is.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read.
    pub fn model_in(path: &Path) -> Result<Option<ModelTag>, StoreError> {
        Ok(Store::model_of(path)?.map(|text| ModelTag::from_text(&text)))
    }

    /// What is wrong with a file, as SQLite's own check finds it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read at all.
    pub fn damage(path: &Path) -> Result<Vec<String>, StoreError> {
        Store::damage(path)
    }

    const fn of(memory: MemoryGallery, store: Option<Store>) -> Self {
        Self {
            memory,
            store,
            refusal: None,
            revision: 0,
            updates: Vec::new(),
            forgotten: Vec::new(),
            visitors: BTreeSet::new(),
        }
    }

    /// The file, when there is one.
    pub fn path(&self) -> Option<&Path> {
        self.store.as_ref().map(Store::path)
    }

    /// Takes over what other programs changed in the file, and says what that was. Costs next to
    /// nothing when nobody changed anything.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read; the gallery stays as it was.
    pub fn refresh(&mut self) -> Result<Vec<Update>, StoreError> {
        if let Some(store) = &mut self.store {
            let news = store.refresh()?;
            self.take(news);
        }
        Ok(std::mem::take(&mut self.updates))
    }

    /// Whom other programs made forget since the last call.
    pub fn take_forgotten(&mut self) -> Vec<Forgotten> {
        std::mem::take(&mut self.forgotten)
    }

    /// Sets `count` face ids aside for this program and returns the number of the first; `None`
    /// without a file.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written.
    pub fn reserve_faces(&mut self, count: u64) -> Result<Option<u64>, StoreError> {
        self.store.as_mut().map(|store| store.reserve_faces(count)).transpose()
    }

    /// Notes that a person was in view until `last_seen`, after `encounters` new visits. Hardly waits
    /// for another program that writes.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then, and it can be noted later.
    pub fn seen(
        &mut self,
        person: PersonId,
        last_seen: Stamp,
        encounters: u32,
        expires: Option<Stamp>,
    ) -> Result<(), GalleryError> {
        let be_patient =
            |store: &Option<Store>, is_patient| store.as_ref().map_or(Ok(()), |store| store.be_patient(is_patient));
        be_patient(&self.store, false)?;
        let noted =
            self.change(|memory| Ok(Change::Seen { person: memory.resolve(person)?, last_seen, encounters, expires }));
        be_patient(&self.store, true)?;
        noted
    }

    /// Strangers whose time is over, first the one that went first.
    pub fn expired(&self, now: Stamp) -> Vec<PersonId> {
        let is_over = |record: &&PersonRecord| record.expires.is_some_and(|expires| expires <= now);
        let mut over: Vec<&PersonRecord> = self.memory.people().filter(is_over).collect();
        over.sort_by_key(|record| record.expires);
        over.into_iter().map(|record| record.person_id).collect()
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
                expires: who.expires.filter(|_| who.kind == Kind::Stranger),
                ..PersonRecord::new(person_id, who.kind, first_seen)
            };
            Ok(Change::Create { record, references: references.to_vec(), next_person })
        })?;
        created.ok_or(GalleryError::NoLooks)
    }

    /// Remembers a stranger in memory alone, until the program ends or they are named.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then.
    pub fn remember(&mut self, references: &[Reference]) -> Result<PersonId, GalleryError> {
        let Some(last_seen) = references.iter().map(|reference| reference.stamp).max() else {
            return Err(GalleryError::NoLooks);
        };
        if let Some(store) = &mut self.store {
            let news = store.begin()?;
            self.take(news);
        }
        let (person_id, next_person) = self.memory.next_id();
        let record = PersonRecord::new(person_id, Kind::Stranger, last_seen);
        let change = Change::Create { record, references: references.to_vec(), next_person };
        let checked = self.memory.check(&change);
        if let Some(store) = &mut self.store {
            // The id is used up, also for other programs.
            store.use_id(checked.as_ref().map_or(0, |()| next_person))?;
        }
        checked?;
        self.memory.apply(&change);
        self.visitors.insert(person_id);
        self.revision += 1;
        Ok(person_id)
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

    /// Removes everything about a person: memory and file, whose bytes are searched for what might be
    /// left. Returns the person's id (`person` may be an alias) and what was removed.
    ///
    /// # Errors
    /// [`GalleryError`]; the person is still there then.
    pub fn forget(&mut self, person: PersonId) -> Result<(PersonId, Receipt), GalleryError> {
        let (mut gone, mut traces, mut found) = (Receipt::default(), Traces::default(), person);
        self.change(|memory| {
            let record = memory.record(memory.resolve(person)?)?;
            found = record.person_id;
            gone = receipt_of(record);
            traces = Traces::of(record, &memory.own_references(found), &memory.texts_of_others(found));
            Ok(Change::Forget { person: found })
        })?;
        gone.left = self.erase(&traces).err();
        Ok((found, gone))
    }

    /// Removes everyone.
    ///
    /// # Errors
    /// [`GalleryError`]; everyone is still there then.
    pub fn forget_all(&mut self) -> Result<Receipt, GalleryError> {
        let (mut gone, mut traces) = (Receipt::default(), Traces::default());
        self.change(|memory| {
            gone.add("people", memory.len());
            gone.add("references", memory.people().map(|record| record.references as usize).sum());
            gone.add("names", memory.people().filter(|record| record.name.is_some()).count());
            gone.add("aliases", memory.people().map(|record| record.aliases.len()).sum());
            let people = memory.people();
            traces = people.map(|one| Traces::of(one, &memory.references(one.person_id), &[])).collect();
            Ok(Change::ForgetAll)
        })?;
        gone.left = self.erase(&traces).err();
        Ok(gone)
    }

    /// Everyone, in the order of ids.
    pub fn list(&self) -> Vec<PersonRecord> {
        self.memory.people().cloned().collect()
    }

    /// Takes somebody exported from another gallery of the same network, with their id; under a new one where that
    /// is taken, because every gallery counts alike and the same id may be another person's. Returns the id.
    ///
    /// # Errors
    /// [`GalleryError`]; nothing is changed then.
    pub fn import(&mut self, record: &PersonRecord, references: &[Reference]) -> Result<PersonId, GalleryError> {
        let mut record = record.clone();
        self.change(|memory| {
            let mut next_person = memory.number_after(record.person_id);
            if memory.knows(record.person_id) {
                (record.person_id, next_person) = memory.next_id();
            }
            let own = record.person_id;
            record.aliases.retain(|alias| *alias != own && !memory.knows(*alias));
            Ok(Change::Create { record: record.clone(), references: references.to_vec(), next_person })
        })?;
        Ok(record.person_id)
    }

    /// Plans a change on what is true now for every program, makes it durable, then visible.
    fn change(
        &mut self,
        plan: impl FnOnce(&MemoryGallery) -> Result<Change, GalleryError>,
    ) -> Result<(), GalleryError> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone().into());
        }
        if let Some(store) = &mut self.store {
            let news = store.begin()?;
            self.take(news);
        }
        let change = plan(&self.memory).and_then(|change| self.memory.check(&change).map(|()| change));
        let steps = change.as_ref().map_or(Vec::new(), |change| self.steps(change));
        if let Some(store) = &mut self.store {
            store.commit(&steps)?;
        }
        let change = change?;
        self.memory.apply(&change);
        let is_kept = |visitor: &PersonId| steps.iter().any(|step| step.change.person() == Some(*visitor));
        self.visitors.retain(|visitor| !is_kept(visitor) && self.memory.record(*visitor).is_ok());
        self.revision += 1;
        Ok(())
    }

    /// What a change means for the file. A visitor of whom anything is to be kept comes into it first.
    fn steps(&self, change: &Change) -> Vec<Step> {
        let kept = match change {
            Change::Learn { person, .. } | Change::Name { person, .. } => vec![*person],
            Change::Merge { keep, absorb } => vec![*keep, *absorb],
            Change::Seen { person, .. } | Change::Forget { person } if self.visitors.contains(person) => {
                return Vec::new();
            }
            _ => Vec::new(),
        };
        let visitors = kept.into_iter().filter(|person| self.visitors.contains(person));
        let mut steps: Vec<Step> = visitors
            .filter_map(|person| {
                let record = self.memory.record(person).ok()?.clone();
                let references = self.memory.references(person);
                let after = Some(record.clone());
                Some(Step { change: Change::Create { record, references, next_person: 0 }, after })
            })
            .collect();
        steps.push(Step { change: change.clone(), after: self.memory.after(change) });
        steps
    }

    fn take(&mut self, news: Option<News>) {
        let Some(News { gone, people, next_person }) = news else { return };
        for (person, merged_into) in gone {
            if let (None, Ok(record)) = (merged_into, self.memory.record(person)) {
                let expires = record.expires;
                self.forgotten.push(Forgotten { references: self.memory.references(person), expires });
            }
            self.memory.remove(person);
            self.updates.push(match merged_into {
                Some(keep) => Update::Merged { keep, absorb: person },
                None => Update::Gone(person),
            });
        }
        for (record, references) in people {
            let person = record.person_id;
            let before = self.memory.record(person).ok().map(|known| known.name.clone());
            self.updates.push(match before {
                None => Update::Created(person),
                Some(name) if name != record.name => Update::Renamed(person),
                Some(_) => Update::Changed(person),
            });
            self.memory.replace(record, &references);
        }
        self.memory.count_from(next_person);
        self.revision += 1;
    }

    fn erase(&mut self, traces: &Traces) -> Result<(), StoreError> {
        self.store.as_mut().map_or(Ok(()), |store| store.erase(traces))
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

#[cfg(test)]
impl StoredGallery {
    /// Lets the file grow no further than this.
    fn limit_pages(&self, pages: u32) {
        self.store.as_ref().unwrap().pragma("max_page_count", pages);
    }

    /// Waits less for other programs.
    fn wait_at_most(&self, time: std::time::Duration) {
        self.store.as_ref().unwrap().pragma("busy_timeout", time.as_millis() as u32);
    }
}

#[cfg(test)]
mod tests;
