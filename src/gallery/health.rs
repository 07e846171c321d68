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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::{NewPerson, StoredGallery};
    use crate::testing::{look_at, mixed, similarity, tag};
    use crate::time::Stamp;

    fn reference(look: crate::embed::Embedding, quality: f32, source: &str) -> Reference {
        Reference { look, quality, stamp: Stamp::default(), source: source.into() }
    }

    fn stored(gallery: &mut StoredGallery, kind: Kind, name: &str, references: &[Reference]) -> PersonId {
        gallery.create(&NewPerson { kind, name: name.into(), ..NewPerson::default() }, references).unwrap()
    }

    fn advice_for(gallery: &StoredGallery, person: PersonId) -> Vec<String> {
        examine(gallery.memory(), person, Some(&similarity())).unwrap().advice
    }

    #[test]
    fn who_is_well_stored_needs_nothing_and_the_figures_are_theirs() {
        let mut gallery = StoredGallery::in_memory(tag());
        let looks = [8, 9, 10].map(|rest| reference(mixed(&[(0, 0.9)], rest), 0.8, "camera"));
        let anna = stored(&mut gallery, Kind::Person, "Anna", &looks);
        let bert = stored(&mut gallery, Kind::Person, "Bert", &[reference(look_at(1, 0.9), 0.9, "")]);
        let health = examine(gallery.memory(), anna, Some(&similarity())).unwrap();
        assert_eq!(
            (health.references, health.name.as_str(), health.advice.len()),
            (3, "Anna", 0),
            "{:?}",
            health.advice
        );
        assert!((health.quality - 0.8).abs() < 1e-6);
        assert!((health.own_mean.unwrap() - 0.81).abs() < 1e-5 && (health.own_least.unwrap() - 0.81).abs() < 1e-5);
        let nearest = health.nearest.unwrap();
        assert_eq!((nearest.person_id, nearest.name.as_str()), (bert.to_string(), "Bert"));
        let unknown = PersonId::from_counter(77);
        assert_eq!(examine(gallery.memory(), unknown, None), Err(GalleryError::UnknownPerson(unknown)));
    }

    #[test]
    fn whatever_is_wrong_is_told_with_what_to_do() {
        let mut gallery = StoredGallery::in_memory(tag());
        let looks = |who: usize| [8, 9, 10].map(|rest| reference(mixed(&[(who, 0.9)], rest), 0.8, "camera")).to_vec();
        let anna = stored(&mut gallery, Kind::Person, "Anna", &looks(0));
        let twin = stored(&mut gallery, Kind::Person, "Anne", &looks(0));
        let advice = advice_for(&gallery, anna).join("; ");
        assert!(advice.contains("Anne") && advice.contains("merge") && advice.contains(twin.as_str()), "{advice}");

        let mut mistaken = looks(1);
        mistaken.push(reference(look_at(2, 0.9), 0.8, "group.jpg"));
        let bert = stored(&mut gallery, Kind::Person, "Bert", &mistaken);
        let advice = advice_for(&gallery, bert).join("; ");
        assert!(advice.starts_with("group.jpg does not look like the others"), "{advice}");

        let poor = [reference(look_at(3, 0.9), 0.2, "")];
        let nameless = stored(&mut gallery, Kind::Person, "", &poor);
        let advice = advice_for(&gallery, nameless);
        assert_eq!(advice.len(), 3, "{advice:?}");
        for (line, words) in advice.iter().zip(["only 1 look:", "poor looks (quality 0.20)", "no name"]) {
            assert!(line.starts_with(words), "{line}");
        }
        // A stranger needs no name, and a poster nothing at all.
        let stranger = stored(&mut gallery, Kind::Stranger, "", &poor);
        assert!(!advice_for(&gallery, stranger).iter().any(|line| line.contains("no name")));
        let poster = stored(&mut gallery, Kind::Negative, "", &[reference(look_at(5, 0.9), 0.2, "")]);
        assert_eq!(advice_for(&gallery, poster), Vec::<String>::new());
    }
}
