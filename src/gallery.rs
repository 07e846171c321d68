//! Who we know: people, their references, and the search among them.
//!
//! [`MemoryGallery`] searches, `store` keeps (one SQLite file), [`StoredGallery`] joins the two: every
//! [`Change`] is durable before it is visible.

mod change;
pub mod enrol;
pub mod health;
mod looks;
mod matrix;
mod memory;
mod portable;
mod record;
mod sightings;
mod store;
mod stored;

pub use change::Change;
pub use looks::LiveLooks;
pub use memory::{Impostors, MemoryGallery};
pub use portable::PortablePerson;
pub use record::{Kind, NAME_BYTES, PersonRecord, Reference, Standing, clean_name};
pub use sightings::{Sighting, Sightings};
pub use store::StoreError;
pub use stored::{Forgotten, NewPerson, Receipt, StoredGallery, Update};

use crate::embed::{Embedding, EmbeddingError, ModelTag};
use crate::ids::PersonId;

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
    #[error("no person {0} in the gallery; `rostro gallery list` shows who is")]
    UnknownPerson(PersonId),
    /// A person cannot be merged with themselves.
    #[error("{0} and the person to merge with are one already")]
    SamePerson(PersonId),
    /// Not fit to be a name.
    #[error("a name must have 1 to {NAME_BYTES} bytes and no control characters")]
    InvalidName,
    /// Nothing to learn from.
    #[error("no look to learn from")]
    NoLooks,
    /// Not what an export wrote.
    #[error("not an exported person: {0}; `rostro gallery export` writes one")]
    NotAnExport(String),
    /// Exported from a gallery of another network.
    #[error(
        "the looks were made by {theirs}, this gallery holds those of {ours}, and the two cannot be compared: enrol \
         from pictures again"
    )]
    OtherModel {
        /// Of the export.
        theirs: String,
        /// Of the gallery.
        ours: ModelTag,
    },
    /// The file that keeps it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The people that can be recognised.
pub trait Gallery: Send + Sync {
    /// The `limit` most similar people, best first, ties by id; negatives (posters, TV) among them.
    ///
    /// # Errors
    /// [`GalleryError::Embedding`] when the probe comes from another network.
    fn search(&self, probe: &Embedding, limit: usize) -> Result<Vec<Candidate>, GalleryError>;

    /// The person's name, `None` when unnamed or unknown.
    fn name(&self, person: PersonId) -> Option<&str>;

    /// What may be said about this person, `None` when unknown.
    fn standing(&self, person: PersonId) -> Option<Standing>;

    /// Number of records with references, negatives included: the chances to be mistaken for one.
    fn len(&self) -> usize;

    /// How alike different people of the gallery are; by default nothing is known about that.
    fn impostors(&self) -> Impostors {
        Impostors::default()
    }

    /// True when nobody is enrolled.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
