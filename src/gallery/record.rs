//! What is known about a person beside their references.

use super::GalleryError;
use crate::embed::Embedding;
use crate::ids::PersonId;
use crate::time::Stamp;

/// Most bytes of a name.
pub const NAME_BYTES: usize = 200;

/// What a record stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Somebody who was enrolled; kept until forgotten.
    #[default]
    Person,
    /// Somebody unnamed whom the robot remembers by itself; expires.
    Stranger,
    /// Nobody: a poster, a face on television. Whatever resembles it is not a person.
    Negative,
}

/// What may be said about somebody who was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The name.
    Named,
    /// That we know them.
    Known,
    /// That we have seen them.
    Anonymous,
    /// Nothing: not a person.
    Negative,
}

/// One person of the gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecord {
    /// Who; never reused.
    pub person_id: PersonId,
    /// As said aloud; not unique.
    pub name: Option<String>,
    /// What the record stands for.
    pub kind: Kind,
    /// When the person agreed to be stored, if they did.
    pub consent: Option<Stamp>,
    /// First look, be it at enrolment.
    pub first_seen: Stamp,
    /// Latest look.
    pub last_seen: Stamp,
    /// Visits: times recognised after an absence.
    pub encounters: u32,
    /// When the record is removed by itself; strangers only.
    pub expires: Option<Stamp>,
    /// Ids that were merged into this one, sorted.
    pub aliases: Vec<PersonId>,
    /// Looks kept.
    pub references: u32,
}

impl PersonRecord {
    /// A record without references, seen at `stamp` for the first time.
    pub const fn new(person_id: PersonId, kind: Kind, stamp: Stamp) -> Self {
        Self {
            person_id,
            name: None,
            kind,
            consent: None,
            first_seen: stamp,
            last_seen: stamp,
            encounters: 0,
            expires: None,
            aliases: Vec::new(),
            references: 0,
        }
    }

    /// What may be said when this person is recognised.
    pub const fn standing(&self) -> Standing {
        match (self.kind, &self.name) {
            (Kind::Negative, _) => Standing::Negative,
            (Kind::Stranger, _) => Standing::Anonymous,
            (Kind::Person, Some(_)) => Standing::Named,
            (Kind::Person, None) => Standing::Known,
        }
    }

    /// Takes what came with more looks: a name replaces the one there is, consent once given stays.
    pub(super) fn learn(&mut self, name: Option<&str>, consent: Option<Stamp>) {
        if let Some(name) = name {
            self.rename(Some(name.to_owned()));
        }
        self.consent = self.consent.or(consent);
        // Who is enrolled is no stranger any more.
        self.settle();
    }

    /// Another name, or none. A stranger with a name is a person.
    pub(super) fn rename(&mut self, name: Option<String>) {
        self.name = name;
        if self.name.is_some() {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.kind == Kind::Stranger {
            self.kind = Kind::Person;
            self.expires = None;
        }
    }

    /// Takes another record's past: the earlier name wins, as do the longer time and the consent.
    pub(super) fn absorb(&mut self, other: Self) {
        self.name = self.name.take().or(other.name);
        self.consent = self.consent.or(other.consent);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.encounters = self.encounters.saturating_add(other.encounters);
        self.references += other.references;
        self.aliases.extend(other.aliases);
        self.aliases.push(other.person_id);
        self.aliases.sort_unstable();
        if self.name.is_some() || other.kind == Kind::Person {
            self.settle();
        }
    }

    /// Was in view until `last_seen`.
    pub(super) fn see(&mut self, last_seen: Stamp, encounters: u32, expires: Option<Stamp>) {
        self.last_seen = self.last_seen.max(last_seen);
        self.encounters = self.encounters.saturating_add(encounters);
        if self.kind == Kind::Stranger {
            self.expires = expires.or(self.expires);
        }
    }

    /// The name, or the id when there is none.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.person_id.as_str())
    }
}

/// One stored look at a person.
///
/// Biometric data: deliberately without `Debug`.
#[derive(Clone, PartialEq)]
pub struct Reference {
    /// The look.
    pub look: Embedding,
    /// Its fitness for recognition, 0..=1.
    pub quality: f32,
    /// When it was taken.
    pub stamp: Stamp,
    /// Where it comes from, for people to read: `camera head`, `picture anna.jpg`.
    pub source: String,
}

/// A name without blanks around it; `None` for the empty text, which clears a name.
///
/// # Errors
/// [`GalleryError::InvalidName`].
pub fn clean_name(text: &str) -> Result<Option<String>, GalleryError> {
    let name = text.trim();
    if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
        return Err(GalleryError::InvalidName);
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}
