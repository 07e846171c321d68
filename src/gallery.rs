//! Who we know: people, their references, and the search among them.

use crate::embed::{Embedding, EmbeddingError, ModelTag};
use crate::ids::PersonId;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// One person that a probe resembles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Who.
    pub person_id: PersonId,
    /// Cosine to the best reference, -1..=1.
    pub similarity: f32,
}

/// What a gallery can fail on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GalleryError {
    /// Probe and references were made by different networks.
    #[error("gallery: {0}")]
    Embedding(#[from] EmbeddingError),
    /// Same network, yet another length: a file was altered.
    #[error("gallery: an embedding has {actual} numbers where the references have {expected}")]
    WrongLength {
        /// Of the references.
        expected: usize,
        /// Of the embedding.
        actual: usize,
    },
    /// No such person.
    #[error("no person {0} in the gallery")]
    UnknownPerson(PersonId),
}

/// The people that can be recognised.
pub trait Gallery: Send + Sync {
    /// The `limit` most similar people, best first, ties by id.
    ///
    /// # Errors
    /// [`GalleryError::Embedding`] when the probe comes from another network.
    fn search(&self, probe: &Embedding, limit: usize) -> Result<Vec<Candidate>, GalleryError>;

    /// The person's name, `None` when unnamed or unknown.
    fn name(&self, person: PersonId) -> Option<&str>;

    /// Number of people with references.
    fn len(&self) -> usize;

    /// True when nobody is enrolled.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A [`Gallery`] in memory: exact search over one contiguous matrix of references.
///
/// Biometric data: deliberately without `Debug`.
pub struct MemoryGallery {
    model: ModelTag,
    /// Length of a row, known from the first reference on.
    dimensions: Option<usize>,
    /// Unit vectors, one row per reference.
    matrix: Vec<f32>,
    /// Owner and quality of each row.
    references: Vec<Reference>,
    names: BTreeMap<PersonId, Option<String>>,
    next_person: u64,
}

#[derive(Clone, Copy)]
struct Reference {
    person: PersonId,
    quality: f32,
}

impl MemoryGallery {
    /// An empty gallery for embeddings of one network. `first_person` numbers the next person: one
    /// past the last number ever used, as ids are never given twice.
    pub const fn new(model: ModelTag, first_person: u64) -> Self {
        Self {
            model,
            dimensions: None,
            matrix: Vec::new(),
            references: Vec::new(),
            names: BTreeMap::new(),
            next_person: first_person,
        }
    }

    /// One more reference of the person with this name, or of a new person when there is none.
    /// `quality` is the look's fitness for recognition, 0..=1.
    ///
    /// # Errors
    /// [`GalleryError`] when the embedding does not fit the gallery; nothing is changed then.
    pub fn enrol(&mut self, name: &str, look: &Embedding, quality: f32) -> Result<PersonId, GalleryError> {
        match self.person_named(name) {
            Some(person) => self.add_reference(person, look, quality).map(|()| person),
            None => self.create(Some(name), look, quality),
        }
    }

    /// A new person with one reference, also when the name is taken.
    ///
    /// # Errors
    /// [`GalleryError`] when the embedding does not fit the gallery; nothing is changed then.
    pub fn create(&mut self, name: Option<&str>, look: &Embedding, quality: f32) -> Result<PersonId, GalleryError> {
        self.check(look)?;
        let person = PersonId::from_counter(self.next_person);
        self.next_person += 1;
        self.names.insert(person, name.map(str::to_owned));
        self.push(person, look, quality);
        Ok(person)
    }

    /// One more reference of a person.
    ///
    /// # Errors
    /// [`GalleryError`] when the person is unknown or the embedding does not fit the gallery.
    pub fn add_reference(&mut self, person: PersonId, look: &Embedding, quality: f32) -> Result<(), GalleryError> {
        self.check(look)?;
        if !self.contains(person) {
            return Err(GalleryError::UnknownPerson(person));
        }
        self.push(person, look, quality);
        Ok(())
    }

    /// Gives a person another name, or none.
    ///
    /// # Errors
    /// [`GalleryError::UnknownPerson`].
    pub fn rename(&mut self, person: PersonId, name: Option<&str>) -> Result<(), GalleryError> {
        let slot = self.names.get_mut(&person).ok_or(GalleryError::UnknownPerson(person))?;
        *slot = name.map(str::to_owned);
        Ok(())
    }

    /// Removes everything about a person and returns how many references that were.
    ///
    /// # Errors
    /// [`GalleryError::UnknownPerson`].
    pub fn forget(&mut self, person: PersonId) -> Result<usize, GalleryError> {
        self.names.remove(&person).ok_or(GalleryError::UnknownPerson(person))?;
        let before = self.references.len();
        let Some(dimensions) = self.dimensions else { return Ok(0) };
        let mut kept = 0;
        for row in 0..before {
            if self.references[row].person != person {
                self.references.swap(kept, row);
                self.matrix.copy_within(row * dimensions..(row + 1) * dimensions, kept * dimensions);
                kept += 1;
            }
        }
        // Overwritten before it is given up, so that no vector stays behind in spare capacity.
        self.matrix[kept * dimensions..].fill(0.0);
        self.matrix.truncate(kept * dimensions);
        self.references.truncate(kept);
        Ok(before - kept)
    }

    /// The first person with this name, in the order of ids.
    pub fn person_named(&self, name: &str) -> Option<PersonId> {
        self.names.iter().find(|(_, known)| known.as_deref() == Some(name)).map(|(person, _)| *person)
    }

    /// Everyone, in the order of ids.
    pub fn people(&self) -> impl Iterator<Item = (PersonId, Option<&str>)> {
        self.names.iter().map(|(person, name)| (*person, name.as_deref()))
    }

    /// Whether this person is enrolled.
    pub fn contains(&self, person: PersonId) -> bool {
        self.names.contains_key(&person)
    }

    /// Qualities of a person's references, in the order of their enrolment.
    pub fn qualities(&self, person: PersonId) -> impl Iterator<Item = f32> {
        self.references.iter().filter(move |reference| reference.person == person).map(|reference| reference.quality)
    }

    /// The network whose embeddings are kept here.
    pub const fn model(&self) -> &ModelTag {
        &self.model
    }

    fn check(&self, look: &Embedding) -> Result<(), GalleryError> {
        if *look.model() != self.model {
            let (left, right) = (look.model().clone(), self.model.clone());
            return Err(EmbeddingError::DifferentModels { left, right }.into());
        }
        match self.dimensions {
            Some(expected) if expected != look.unit().len() => {
                Err(GalleryError::WrongLength { expected, actual: look.unit().len() })
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, person: PersonId, look: &Embedding, quality: f32) {
        self.dimensions = Some(look.unit().len());
        self.matrix.extend_from_slice(look.unit());
        self.references.push(Reference { person, quality });
    }
}

impl Gallery for MemoryGallery {
    fn search(&self, probe: &Embedding, limit: usize) -> Result<Vec<Candidate>, GalleryError> {
        self.check(probe)?;
        let Some(dimensions) = self.dimensions else { return Ok(Vec::new()) };
        let mut best = BTreeMap::new();
        for (row, reference) in self.matrix.chunks_exact(dimensions).zip(&self.references) {
            let cosine: f32 = row.iter().zip(probe.unit()).map(|(a, b)| a * b).sum();
            let similarity = best.entry(reference.person).or_insert(-1.0_f32);
            *similarity = similarity.max(cosine.min(1.0));
        }
        let mut candidates: Vec<_> =
            best.into_iter().map(|(person_id, similarity)| Candidate { person_id, similarity }).collect();
        candidates.sort_by(more_similar);
        candidates.truncate(limit);
        Ok(candidates)
    }

    fn name(&self, person: PersonId) -> Option<&str> {
        self.names.get(&person)?.as_deref()
    }

    fn len(&self) -> usize {
        self.names.len()
    }
}

fn more_similar(a: &Candidate, b: &Candidate) -> Ordering {
    b.similarity.total_cmp(&a.similarity).then(a.person_id.cmp(&b.person_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{look_at, mixed, person, tag};
    use proptest::prelude::*;

    fn gallery_of(count: usize) -> (MemoryGallery, Vec<PersonId>) {
        let mut gallery = MemoryGallery::new(tag(), 0);
        let ids = (0..count).map(|who| gallery.enrol(&format!("person {who}"), &person(who), 1.0).unwrap()).collect();
        (gallery, ids)
    }

    fn similarities(gallery: &MemoryGallery, probe: &Embedding) -> Vec<(PersonId, f32)> {
        gallery.search(probe, 9).unwrap().into_iter().map(|found| (found.person_id, found.similarity)).collect()
    }

    #[test]
    fn the_best_reference_of_each_person_counts_and_the_best_person_comes_first() {
        let (mut gallery, ids) = gallery_of(2);
        gallery.add_reference(ids[1], &person(5), 0.5).unwrap();
        let found = similarities(&gallery, &mixed(&[(0, 0.5), (1, 0.1), (5, 0.7)], 15));
        assert_eq!((found[0].0, found[1].0, found.len()), (ids[1], ids[0], 2));
        assert!((found[0].1 - 0.7).abs() < 1e-6 && (found[1].1 - 0.5).abs() < 1e-6);
        assert_eq!(gallery.search(&person(0), 1).unwrap().len(), 1);
        assert_eq!(gallery.qualities(ids[1]).collect::<Vec<_>>(), [1.0, 0.5]);
    }

    #[test]
    fn equals_come_in_the_order_of_their_ids() {
        let (gallery, mut ids) = gallery_of(4);
        ids.sort_unstable();
        let found = similarities(&gallery, &person(7));
        assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    }

    #[test]
    fn a_known_name_gets_another_reference_and_a_created_person_another_id() {
        let (mut gallery, ids) = gallery_of(1);
        assert_eq!(gallery.enrol("person 0", &person(3), 0.9).unwrap(), ids[0]);
        let namesake = gallery.create(Some("person 0"), &person(4), 0.9).unwrap();
        let nameless = gallery.create(None, &person(5), 0.9).unwrap();
        assert_eq!(gallery.len(), 3);
        assert_ne!(namesake, ids[0]);
        assert_eq!((gallery.name(namesake), gallery.name(nameless)), (Some("person 0"), None));
    }

    #[test]
    fn forgetting_removes_every_reference_and_nothing_else() {
        let (mut gallery, ids) = gallery_of(3);
        gallery.add_reference(ids[0], &person(4), 1.0).unwrap();
        assert_eq!(gallery.forget(ids[0]).unwrap(), 2);
        let found = similarities(&gallery, &person(2));
        assert_eq!(found[0], (ids[2], 1.0));
        assert_eq!(found[1], (ids[1], 0.0));
        assert_eq!((found.len(), gallery.name(ids[0]), gallery.person_named("person 0")), (2, None, None));
        assert_eq!(gallery.forget(ids[0]), Err(GalleryError::UnknownPerson(ids[0])));
        assert!(!gallery.enrol("person 0", &person(0), 1.0).is_ok_and(|again| ids.contains(&again)), "an id came back");
    }

    #[test]
    fn names_change_and_go() {
        let (mut gallery, ids) = gallery_of(1);
        gallery.rename(ids[0], Some("Anna")).unwrap();
        assert_eq!((gallery.name(ids[0]), gallery.person_named("Anna")), (Some("Anna"), Some(ids[0])));
        gallery.rename(ids[0], None).unwrap();
        assert_eq!(gallery.name(ids[0]), None);
        assert!(gallery.rename(PersonId::from_counter(99), None).is_err());
    }

    #[test]
    fn embeddings_of_another_network_or_length_are_refused() {
        let (mut gallery, ids) = gallery_of(1);
        let other = Embedding::new(vec![1.0; 16], ModelTag::new("other", "0123456789abcdef")).ok().unwrap();
        assert!(matches!(gallery.search(&other, 1), Err(GalleryError::Embedding(_))));
        assert!(gallery.enrol("new", &other, 1.0).is_err());
        let short = Embedding::new(vec![1.0; 3], tag()).ok().unwrap();
        assert_eq!(
            gallery.add_reference(ids[0], &short, 1.0),
            Err(GalleryError::WrongLength { expected: 16, actual: 3 })
        );
        assert_eq!((gallery.len(), gallery.qualities(ids[0]).count()), (1, 1));
    }

    #[test]
    fn an_empty_gallery_finds_nobody() {
        let gallery = MemoryGallery::new(tag(), 0);
        assert!(gallery.is_empty() && gallery.search(&person(0), 3).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn forgetting_in_any_order_leaves_the_others_findable(order in Just([0_usize, 1, 2, 3, 4, 5]).prop_shuffle()) {
            let (mut gallery, ids) = gallery_of(6);
            for (done, gone) in order.iter().enumerate() {
                gallery.forget(ids[*gone]).unwrap();
                for kept in &order[done + 1..] {
                    let found = gallery.search(&look_at(*kept, 0.9), 1).unwrap()[0];
                    prop_assert_eq!(found.person_id, ids[*kept]);
                    prop_assert!((found.similarity - 0.9).abs() < 1e-5);
                }
            }
            prop_assert!(gallery.is_empty() && gallery.search(&person(0), 1).unwrap().is_empty());
        }
    }
}
