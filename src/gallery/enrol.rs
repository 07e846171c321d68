//! Which looks become references, and when a person is refused as somebody else.

use super::matrix::dot;
use super::record::{Reference, Standing};
use super::{Gallery, GalleryError, MemoryGallery};
use crate::embed::Embedding;
use crate::ids::PersonId;
use crate::model::manifest::Similarity;

/// References that one enrolment adds at most.
const MOST_REFERENCES: usize = 10;
/// References of one person at most; each costs time in every search.
const MOST_PER_PERSON: usize = 40;
/// References that are kept even when they are much alike.
const FEW_REFERENCES: usize = 3;
/// Two looks more alike than this are the same picture.
const SAME_PICTURE: f32 = 0.985;
/// Share of looks at somebody else from which nobody can tell whom the others show.
const MOST_OUTLIERS: f32 = 0.34;

/// Why looks that are good enough teach nobody.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// They do not agree with each other.
    #[error(
        "the looks show more than one person ({outliers} of {looks} differ from the rest); use looks at one person only"
    )]
    Mixed {
        /// Looks that differ.
        outliers: usize,
        /// All looks.
        looks: usize,
    },
    /// Somebody stored looks like this.
    #[error(
        "this looks like {label} ({person}, similarity {similarity:.2}): add the looks to {person} (--to, \
         person_id), or force a new person if they are two (--force, force)"
    )]
    Duplicate {
        /// Who is stored.
        person: PersonId,
        /// Their name, or their id.
        label: String,
        /// Cosine of the mean look to their best reference.
        similarity: f32,
    },
    /// A stored poster or screen looks like this.
    #[error("this looks like {person}, which is stored as not a person; forget {person}, or force it")]
    NotAPerson {
        /// The negative.
        person: PersonId,
    },
    /// The looks do not resemble the person they are meant for.
    #[error("this does not look like {label} ({person}, similarity {similarity:.2}); enrol a new person, or force it")]
    SomebodyElse {
        /// For whom they were meant.
        person: PersonId,
        /// Their name, or their id.
        label: String,
        /// Cosine of the mean look to their best reference.
        similarity: f32,
    },
    /// Looks and gallery do not belong together.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
}

impl Refusal {
    /// Who looks alike, when that is the reason.
    pub const fn possible_duplicate_of(&self) -> Option<PersonId> {
        match self {
            Self::Duplicate { person, .. } | Self::NotAPerson { person } => Some(*person),
            _ => None,
        }
    }
}

/// The looks worth keeping: those at one person, good ones first, unlike each other; at most ten.
///
/// # Errors
/// [`Refusal::Mixed`] when they show several people.
pub fn choose(looks: &[Reference], similarity: &Similarity) -> Result<Vec<Reference>, Refusal> {
    let own = of_one_person(looks, similarity)?;
    let quality = |look: &&Reference| look.quality;
    let Some(best) = own.iter().copied().max_by(|a, b| quality(a).total_cmp(&quality(b))) else {
        return Err(GalleryError::NoLooks.into());
    };
    let mut chosen = vec![best];
    while chosen.len() < MOST_REFERENCES {
        let likeness = |look: &Reference| chosen.iter().map(|known| cosine(known, look)).fold(-1.0, f32::max);
        let newest = own.iter().copied().map(|look| (likeness(look), look)).min_by(|a, b| a.0.total_cmp(&b.0));
        match newest {
            Some((likeness, look)) if likeness < SAME_PICTURE => chosen.push(look),
            Some((likeness, look)) if chosen.len() < FEW_REFERENCES && likeness < 1.0 - 1e-6 => chosen.push(look),
            _ => break,
        }
    }
    Ok(chosen.into_iter().cloned().collect())
}

/// The looks that agree with the one most like all others.
fn of_one_person<'a>(looks: &'a [Reference], similarity: &Similarity) -> Result<Vec<&'a Reference>, Refusal> {
    let likeness_to_all = |look: &&Reference| looks.iter().map(|other| cosine(look, other)).sum::<f32>();
    let Some(middle) = looks.iter().max_by(|a, b| likeness_to_all(a).total_cmp(&likeness_to_all(b))) else {
        return Ok(Vec::new());
    };
    let own: Vec<&Reference> = looks.iter().filter(|look| cosine(middle, look) >= similarity.contradiction()).collect();
    let outliers = looks.len() - own.len();
    if outliers as f32 > MOST_OUTLIERS * looks.len() as f32 {
        return Err(Refusal::Mixed { outliers, looks: looks.len() });
    }
    Ok(own)
}

/// Whether `references` may be stored for `person` (`None`: somebody new).
///
/// # Errors
/// [`Refusal`] naming who looks alike, or that the person does not.
pub fn compare(
    gallery: &MemoryGallery,
    person: Option<PersonId>,
    references: &[Reference],
    similarity: &Similarity,
) -> Result<(), Refusal> {
    let Some(mean) = mean_look(references) else { return Err(GalleryError::NoLooks.into()) };
    if let Some(person) = person {
        let similarity_to_them = gallery.similarity_to(person, &mean)?;
        if similarity_to_them < similarity.contradiction() {
            let label = gallery.record(person)?.label().to_owned();
            return Err(Refusal::SomebodyElse { person, label, similarity: similarity_to_them });
        }
    }
    let alike = gallery.search(&mean, 2)?;
    let Some(other) = alike.iter().find(|candidate| Some(candidate.person_id) != person) else { return Ok(()) };
    if other.similarity < similarity.threshold {
        return Ok(());
    }
    let (person, record) = (other.person_id, gallery.record(other.person_id)?);
    if record.standing() == Standing::Negative {
        return Err(Refusal::NotAPerson { person });
    }
    Err(Refusal::Duplicate { person, label: record.label().to_owned(), similarity: other.similarity })
}

/// Leaves out what the person's references show already, and what would be too many.
///
/// # Errors
/// [`GalleryError`] when the looks do not fit the gallery.
pub fn leave_out_known(
    gallery: &MemoryGallery,
    person: PersonId,
    references: &mut Vec<Reference>,
) -> Result<(), GalleryError> {
    let mut room = MOST_PER_PERSON.saturating_sub(gallery.record(person)?.references as usize);
    let mut kept = Vec::new();
    for reference in references.drain(..) {
        if room > 0 && gallery.similarity_to(person, &reference.look)? < SAME_PICTURE {
            kept.push(reference);
            room -= 1;
        }
    }
    *references = kept;
    Ok(())
}

/// Cosine between the middles of two groups of looks.
///
/// # Errors
/// [`GalleryError::NoLooks`] when one of them is empty.
pub fn likeness(a: &[Reference], b: &[Reference]) -> Result<f32, GalleryError> {
    match (mean_look(a), mean_look(b)) {
        (Some(a), Some(b)) => Ok(a.cosine(&b)?),
        _ => Err(GalleryError::NoLooks),
    }
}

/// The direction in the middle of the looks, weighed by their quality; `None` without looks.
pub fn mean_look(references: &[Reference]) -> Option<Embedding> {
    let first = &references.first()?.look;
    let mut sum = vec![0.0; first.unit().len()];
    for reference in references {
        for (sum, value) in sum.iter_mut().zip(reference.look.unit()) {
            *sum += value * reference.quality.max(0.05);
        }
    }
    Embedding::new(sum, first.model().clone()).ok()
}

fn cosine(a: &Reference, b: &Reference) -> f32 {
    dot(a.look.unit(), b.look.unit())
}
