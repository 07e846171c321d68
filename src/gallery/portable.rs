//! A person as JSON: for themselves to read, and to take them from one gallery to another.

use super::record::{Kind, PersonRecord, Reference, clean_name};
use super::{GalleryError, MemoryGallery};
use crate::embed::{Embedding, ModelTag};
use crate::ids::PersonId;
use crate::time::Stamp;
use serde::{Deserialize, Serialize};

/// Version of the format.
const VERSION: u32 = 1;

/// Everything that is stored about one person. Stamps are nanoseconds since 1970.
///
/// Biometric data: deliberately without `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortablePerson {
    rostro_person: u32,
    person_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: PortableKind,
    #[serde(default)]
    consent: Option<Stamp>,
    first_seen: Stamp,
    last_seen: Stamp,
    #[serde(default)]
    encounters: u32,
    #[serde(default)]
    expires: Option<Stamp>,
    #[serde(default)]
    aliases: Vec<String>,
    /// `name@hash8` of the network that made the vectors.
    model: String,
    references: Vec<PortableReference>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PortableKind {
    #[default]
    Person,
    Stranger,
    NotAPerson,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortableReference {
    quality: f32,
    stamp: Stamp,
    source: String,
    /// Unit vector.
    vector: Vec<f32>,
}

impl PortablePerson {
    /// Everything about a person.
    ///
    /// # Errors
    /// [`GalleryError::UnknownPerson`].
    pub fn of(gallery: &MemoryGallery, person: PersonId) -> Result<Self, GalleryError> {
        let record = gallery.record(gallery.resolve(person)?)?.clone();
        let references = gallery.references(record.person_id).into_iter().map(|kept| PortableReference {
            quality: kept.quality,
            stamp: kept.stamp,
            source: kept.source,
            vector: kept.look.unit().to_vec(),
        });
        Ok(Self {
            rostro_person: VERSION,
            person_id: record.person_id.to_string(),
            name: record.name.unwrap_or_default(),
            kind: match record.kind {
                Kind::Person => PortableKind::Person,
                Kind::Stranger => PortableKind::Stranger,
                Kind::Negative => PortableKind::NotAPerson,
            },
            consent: record.consent,
            first_seen: record.first_seen,
            last_seen: record.last_seen,
            encounters: record.encounters,
            expires: record.expires,
            aliases: record.aliases.iter().map(ToString::to_string).collect(),
            model: gallery.model().to_string(),
            references: references.collect(),
        })
    }

    /// As text.
    ///
    /// # Errors
    /// [`GalleryError::NotAnExport`] when that is impossible.
    pub fn to_json(&self) -> Result<String, GalleryError> {
        serde_json::to_string_pretty(self).map_err(|error| GalleryError::NotAnExport(error.to_string()))
    }

    /// Reads one person, or a list of them.
    ///
    /// # Errors
    /// [`GalleryError::NotAnExport`] saying what is wrong.
    pub fn read(text: &str) -> Result<Vec<Self>, GalleryError> {
        let damaged = |error: serde_json::Error| GalleryError::NotAnExport(error.to_string());
        let people: Vec<Self> = match serde_json::from_str(text).map_err(damaged)? {
            list @ serde_json::Value::Array(_) => serde_json::from_value(list).map_err(damaged)?,
            one => vec![serde_json::from_value(one).map_err(damaged)?],
        };
        match people.iter().find(|person| person.rostro_person != VERSION) {
            Some(newer) => Err(GalleryError::NotAnExport(format!(
                "version {} of the format, this program reads version {VERSION}",
                newer.rostro_person
            ))),
            None => Ok(people),
        }
    }

    /// The network that made the vectors.
    pub fn model(&self) -> ModelTag {
        ModelTag::from_text(&self.model)
    }

    /// The record and its references, for a gallery of this network.
    ///
    /// # Errors
    /// [`GalleryError`] when ids, name or vectors are damaged, or of another network.
    pub fn unpack(self, model: &ModelTag) -> Result<(PersonRecord, Vec<Reference>), GalleryError> {
        if self.model != model.as_str() {
            return Err(GalleryError::OtherModel { theirs: self.model, ours: model.clone() });
        }
        let id = |text: &str| PersonId::parse(text).map_err(|error| GalleryError::NotAnExport(error.to_string()));
        let mut references = Vec::with_capacity(self.references.len());
        for reference in self.references {
            let look = Embedding::new(reference.vector, model.clone())?;
            let quality = reference.quality.clamp(0.0, 1.0);
            references.push(Reference { look, quality, stamp: reference.stamp, source: reference.source });
        }
        let record = PersonRecord {
            person_id: id(&self.person_id)?,
            name: clean_name(&self.name)?,
            kind: match self.kind {
                PortableKind::Person => Kind::Person,
                PortableKind::Stranger => Kind::Stranger,
                PortableKind::NotAPerson => Kind::Negative,
            },
            consent: self.consent,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            encounters: self.encounters,
            expires: self.expires,
            aliases: self.aliases.iter().map(|alias| id(alias)).collect::<Result<_, _>>()?,
            references: 0,
        };
        Ok((record, references))
    }
}
