//! Who we know: people, their references, and the search among them.

use crate::embed::{Embedding, EmbeddingError};
use crate::ids::PersonId;

/// One person that a probe resembles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Who.
    pub person_id: PersonId,
    /// Cosine to the best reference, -1..=1.
    pub similarity: f32,
}

/// What a search can fail on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GalleryError {
    /// Probe and references were made by different networks.
    #[error("gallery search: {0}")]
    Embedding(#[from] EmbeddingError),
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
