//! Everything that can happen to a gallery, each as one step: all of it or nothing.

use super::record::{PersonRecord, Reference};
use crate::ids::PersonId;
use crate::time::Stamp;

/// One step from one state of the gallery to the next.
#[derive(Clone, PartialEq)]
pub enum Change {
    /// A new person. `next_person` numbers the one after.
    Create {
        /// The person, with a new id.
        record: PersonRecord,
        /// The looks at them.
        references: Vec<Reference>,
        /// Number of the person to come.
        next_person: u64,
    },
    /// More looks at a person; a name replaces the one there is, consent once given stays.
    Learn {
        /// Whom.
        person: PersonId,
        /// The looks.
        references: Vec<Reference>,
        /// New name.
        name: Option<String>,
        /// When they agreed to be stored.
        consent: Option<Stamp>,
    },
    /// Another name, or none. A stranger with a name is a person and no longer expires.
    Name {
        /// Whom.
        person: PersonId,
        /// The name.
        name: Option<String>,
    },
    /// Two people are one.
    Merge {
        /// Whose id stays.
        keep: PersonId,
        /// Whose id becomes an alias.
        absorb: PersonId,
    },
    /// A person leaves without a trace.
    Forget {
        /// Whom.
        person: PersonId,
    },
    /// Everyone leaves without a trace. Ids are still never given twice.
    ForgetAll,
    /// A person was in view.
    Seen {
        /// Whom.
        person: PersonId,
        /// Until when.
        last_seen: Stamp,
        /// Visits that began since.
        encounters: u32,
        /// New expiry, strangers only.
        expires: Option<Stamp>,
    },
}

impl Change {
    /// Whom it is about; of a merge, whose id stays.
    pub(super) const fn person(&self) -> Option<PersonId> {
        match self {
            Self::Create { record, .. } => Some(record.person_id),
            Self::Learn { person, .. }
            | Self::Name { person, .. }
            | Self::Merge { keep: person, .. }
            | Self::Forget { person }
            | Self::Seen { person, .. } => Some(*person),
            Self::ForgetAll => None,
        }
    }
}
