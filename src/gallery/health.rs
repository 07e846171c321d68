//! How well each person is stored, in figures and in plain words.

use super::record::{Kind, PersonRecord, Reference};
use super::{Candidate, Gallery, GalleryError, MemoryGallery};
use crate::ids::PersonId;
use crate::model::manifest::Similarity;
use serde::Serialize;

/// References with which a person is recognised in most poses and lights.
const ENOUGH_REFERENCES: u32 = 3;
/// Quality below which a better picture helps.
const POOR_QUALITY: f32 = 0.4;

/// One person's report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// Who.
    pub person_id: String,
    /// Empty when there is none.
    pub name: String,
    /// Looks kept.
    pub references: u32,
    /// Mean quality of the looks, 0..=1.
    pub quality: f32,
    /// Mean cosine between the person's own looks; `None` with fewer than two.
    pub own_mean: Option<f32>,
    /// Least cosine of a look to the nearest of the person's others.
    pub own_least: Option<f32>,
    /// The other person who looks most alike.
    pub nearest: Option<Nearest>,
    /// What to do, most important first; empty when all is well.
    pub advice: Vec<String>,
}

/// The other person who looks most alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearest {
    /// Who.
    pub person_id: String,
    /// Empty when there is none.
    pub name: String,
    /// Cosine between the closest two looks.
    pub similarity: f32,
}

/// Reports on one person. Without `similarity`, the scale of the network, what depends on it is left
/// out.
///
/// # Errors
/// [`GalleryError::UnknownPerson`].
pub fn examine(
    gallery: &MemoryGallery,
    person: PersonId,
    similarity: Option<&Similarity>,
) -> Result<Health, GalleryError> {
    let record = gallery.record(person)?;
    let references = gallery.references(person);
    let likeness: Vec<Vec<f32>> = references
        .iter()
        .map(|a| references.iter().filter(|b| !std::ptr::eq(a, *b)).map(|b| cosine(a, b)).collect())
        .collect();
    let pairs: Vec<f32> = likeness.iter().flatten().copied().collect();
    let nearest_own: Vec<f32> = likeness.iter().filter_map(|others| others.iter().copied().reduce(f32::max)).collect();
    let mean = |values: &[f32]| (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32);
    let qualities: Vec<f32> = references.iter().map(|reference| reference.quality).collect();
    let nearest = nearest_other(gallery, person, &references)?;
    let mut health = Health {
        person_id: person.to_string(),
        name: record.name.clone().unwrap_or_default(),
        references: record.references,
        quality: mean(&qualities).unwrap_or(0.0),
        own_mean: mean(&pairs),
        own_least: nearest_own.iter().copied().reduce(f32::min),
        nearest: match &nearest {
            Some(other) => Some(Nearest {
                person_id: other.person_id.to_string(),
                name: gallery.record(other.person_id)?.name.clone().unwrap_or_default(),
                similarity: other.similarity,
            }),
            None => None,
        },
        advice: Vec::new(),
    };
    health.advice = advice(record, &health, &references, &nearest_own, similarity);
    Ok(health)
}

fn nearest_other(
    gallery: &MemoryGallery,
    person: PersonId,
    references: &[Reference],
) -> Result<Option<Candidate>, GalleryError> {
    let mut nearest: Option<Candidate> = None;
    for reference in references {
        let found = gallery.search(&reference.look, 2)?;
        for other in found.into_iter().filter(|candidate| candidate.person_id != person) {
            if nearest.is_none_or(|known| other.similarity > known.similarity) {
                nearest = Some(other);
            }
        }
    }
    Ok(nearest)
}

fn advice(
    record: &PersonRecord,
    health: &Health,
    references: &[Reference],
    nearest_own: &[f32],
    similarity: Option<&Similarity>,
) -> Vec<String> {
    let mut advice = Vec::new();
    if let (Some(scale), Some(other)) = (similarity, &health.nearest) {
        let who = if other.name.is_empty() { &other.person_id } else { &other.name };
        if other.similarity >= scale.threshold {
            advice.push(format!(
                "looks like {who} ({:.2}, one person from {:.2}): if they are one, merge {} and {}; else enrol both again \
                 from better pictures",
                other.similarity, scale.threshold, other.person_id, health.person_id
            ));
        } else if other.similarity >= scale.threshold - scale.min_margin {
            advice
                .push(format!("close to {who} ({:.2}): more looks at both help to tell them apart", other.similarity));
        }
    }
    if let Some(scale) = similarity {
        let odd = references.iter().zip(nearest_own).filter(|(_, likeness)| **likeness < scale.contradiction());
        advice.extend(odd.map(|(reference, likeness)| {
            let source = if reference.source.is_empty() { "one look" } else { &reference.source };
            format!("{source} does not look like the others ({likeness:.2}): perhaps somebody else; enrol the person anew without it")
        }));
    }
    if record.kind == Kind::Negative {
        return advice;
    }
    if record.references == 0 {
        advice.push("no looks: enrol the person, or forget them".to_owned());
    } else if record.references < ENOUGH_REFERENCES {
        advice.push(format!(
            "only {} look{}: add some in other light and from other sides",
            record.references,
            if record.references == 1 { "" } else { "s" }
        ));
    }
    if record.references > 0 && health.quality < POOR_QUALITY {
        advice.push(format!("poor looks (quality {:.2}): add some nearer, sharper and from the front", health.quality));
    }
    if record.kind == Kind::Person && record.name.is_none() {
        advice.push("no name: give one with rename".to_owned());
    }
    advice
}

fn cosine(a: &Reference, b: &Reference) -> f32 {
    super::matrix::dot(a.look.unit(), b.look.unit())
}
