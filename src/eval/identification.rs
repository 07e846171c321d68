//! How well looks at faces tell people apart: pairs, and open-set identification.

use super::open_set::{DetPoint, OperatingPoint, Probes};
use super::statistics::{Estimate, Share, bootstrap};
use crate::embed::{Embedding, EmbeddingError};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde::Serialize;

/// Random divisions of the people into enrolled and unknown.
const SPLITS: u64 = 10;
/// Share of the people that is enrolled in each.
const ENROLLED_SHARE: f64 = 0.7;

/// A look at somebody.
pub struct Look {
    /// Number of the person.
    pub person: usize,
    /// Number of the picture; copies of one have the same. A probe never meets its copy.
    pub picture: usize,
    /// The look.
    pub embedding: Embedding,
}

/// Everything measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identification {
    /// People with at least one usable picture.
    pub people: u64,
    /// Usable pictures.
    pub looks: u64,
    /// The cosine from which two looks are taken for one person.
    pub threshold: f64,
    /// Pairs of pictures of one person.
    pub same: Pairs,
    /// Pairs of pictures of two people.
    pub different: Pairs,
    /// Share of the pictures whose nearest other picture shows the same person; people with one picture
    /// left out.
    pub rank1: Option<f64>,
    /// The same with its interval, from a bootstrap over people.
    pub rank1_interval: Estimate,
    /// Open set, with 70 % of the people enrolled, over ten random divisions.
    pub open_set: OpenSet,
    /// `open_set.operating_points` at FPIR 1 %.
    pub tpir_at_fpir_1pct: Option<f64>,
}

/// Pairs of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pairs {
    /// How many.
    pub n: u64,
    /// How many of them the threshold takes for one person.
    pub accepted: u64,
    /// How many are copies of one picture, which prove nothing.
    pub copies: u64,
    /// That as a share.
    pub rate: Share,
    /// Mean cosine.
    pub mean_similarity: Option<f64>,
}

/// Open-set identification.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenSet {
    /// Random divisions into enrolled and unknown people.
    pub splits: u64,
    /// People enrolled in each.
    pub enrolled: u64,
    /// Probes of enrolled people, over all divisions.
    pub mated: u64,
    /// Probes of unknown people, over all divisions.
    pub non_mated: u64,
    /// TPIR at FPIR 10 %, 1 % and 0.1 %.
    pub operating_points: Vec<OperatingPoint>,
    /// Mated probes named right at the deployed threshold.
    pub tpir: Share,
    /// Mated probes given another person's name at the deployed threshold.
    pub misidentified: Share,
    /// Non-mated probes given a name at the deployed threshold.
    pub fpir: Share,
    /// When nobody was falsely named: the rate that this excludes at 95 %, by the rule of three over the
    /// distinct pictures of unknown people.
    pub fpir_below: Option<f64>,
    /// The trade between the two errors.
    pub det: Vec<DetPoint>,
}

/// Measures looks at `people` people against each other.
///
/// # Errors
/// [`EmbeddingError`] when they come from different networks.
pub fn measure(looks: &[Look], people: usize, threshold: f32) -> Result<Identification, EmbeddingError> {
    let table = Similarities::of(looks)?;
    let threshold = f64::from(threshold);
    let (same, different) = (table.pairs(true, threshold), table.pairs(false, threshold));
    let (rank1, rank1_interval) = table.rank1(people);
    let open_set = table.open_set(people, threshold);
    let seen = (0..people).filter(|person| looks.iter().any(|look| look.person == *person)).count();
    Ok(Identification {
        people: seen as u64,
        looks: looks.len() as u64,
        threshold,
        same,
        different,
        rank1,
        rank1_interval,
        tpir_at_fpir_1pct: open_set.operating_points.iter().find(|point| point.fpir == 0.01).and_then(|p| p.tpir),
        open_set,
    })
}

/// The cosine of every look with every other.
struct Similarities {
    person: Vec<usize>,
    picture: Vec<usize>,
    cosines: Vec<f32>,
}

/// A probe's best candidate.
#[derive(Clone, Copy)]
struct Best {
    similarity: f64,
    person: usize,
}

impl Similarities {
    fn of(looks: &[Look]) -> Result<Self, EmbeddingError> {
        let mut cosines = Vec::with_capacity(looks.len() * looks.len());
        for look in looks {
            for other in looks {
                cosines.push(look.embedding.cosine(&other.embedding)?);
            }
        }
        let person = looks.iter().map(|look| look.person).collect();
        Ok(Self { person, picture: looks.iter().map(|look| look.picture).collect(), cosines })
    }

    fn len(&self) -> usize {
        self.person.len()
    }

    fn at(&self, a: usize, b: usize) -> f64 {
        f64::from(self.cosines[a * self.len() + b])
    }

    fn pairs(&self, same: bool, threshold: f64) -> Pairs {
        let (mut n, mut accepted, mut copies, mut sum) = (0, 0, 0, 0.0);
        for a in 0..self.len() {
            for b in (0..a).filter(|b| (self.person[a] == self.person[*b]) == same) {
                n += 1;
                accepted += u64::from(self.at(a, b) >= threshold);
                copies += u64::from(self.picture[a] == self.picture[b]);
                sum += self.at(a, b);
            }
        }
        let mean_similarity = (n > 0).then(|| sum / n as f64);
        Pairs { n, accepted, copies, rate: Share::of(accepted, n), mean_similarity }
    }

    /// The nearest of the looks that `is_enrolled`, the probe and its copies left out.
    fn best(&self, probe: usize, is_enrolled: impl Fn(usize) -> bool) -> Option<Best> {
        let enrolled = (0..self.len())
            .filter(|other| self.picture[*other] != self.picture[probe] && is_enrolled(self.person[*other]));
        let candidates = enrolled.map(|other| Best { similarity: self.at(probe, other), person: self.person[other] });
        candidates.max_by(|a, b| a.similarity.total_cmp(&b.similarity))
    }

    fn has_another_look(&self, probe: usize) -> bool {
        (0..self.len())
            .any(|other| self.picture[other] != self.picture[probe] && self.person[other] == self.person[probe])
    }

    fn rank1(&self, people: usize) -> (Option<f64>, Estimate) {
        let mut hits = vec![(0_u64, 0_u64); people];
        for probe in (0..self.len()).filter(|probe| self.has_another_look(*probe)) {
            let (right, all) = &mut hits[self.person[probe]];
            *all += 1;
            *right += u64::from(self.best(probe, |_| true).is_some_and(|best| best.person == self.person[probe]));
        }
        hits.retain(|(_, all)| *all > 0);
        let share = |drawn: &[usize]| {
            let (right, all) = drawn.iter().fold((0, 0), |(r, a), unit| (r + hits[*unit].0, a + hits[*unit].1));
            right as f64 / (all as f64).max(1.0)
        };
        let estimate = bootstrap(hits.len(), 1, share);
        ((!hits.is_empty()).then_some(estimate.value), estimate)
    }

    fn open_set(&self, people: usize, threshold: f64) -> OpenSet {
        let enrolled_count = ((people as f64 * ENROLLED_SHARE).round() as usize).clamp(1.min(people), people);
        let mut probes = Probes::default();
        let mut strangers_seen = std::collections::BTreeSet::new();
        for split in 0..SPLITS {
            let enrolled = draw(people, enrolled_count, split);
            for probe in 0..self.len() {
                let Some(best) = self.best(probe, |person| enrolled[person]) else { continue };
                if !enrolled[self.person[probe]] {
                    strangers_seen.insert(probe);
                    probes.non_mated(best.similarity);
                } else if self.has_another_look(probe) {
                    probes.mated(best.similarity, best.person == self.person[probe]);
                }
            }
        }
        let ((mated, non_mated), fpir) = (probes.counts(), probes.fpir(threshold));
        OpenSet {
            splits: SPLITS,
            enrolled: enrolled_count as u64,
            mated,
            non_mated,
            operating_points: probes.operating_points(),
            tpir: probes.tpir(threshold),
            misidentified: probes.misidentified(threshold),
            fpir,
            // The same picture serves in several divisions: only distinct ones are evidence.
            fpir_below: Share::of(fpir.count, strangers_seen.len() as u64).rule_of_three(),
            det: probes.det(),
        }
    }
}

/// Which people are enrolled in one division.
fn draw(people: usize, enrolled: usize, seed: u64) -> Vec<bool> {
    let mut random = Pcg32::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..people).collect();
    for last in (1..people).rev() {
        order.swap(last, random.next_u32() as usize % (last + 1));
    }
    let mut is_enrolled = vec![false; people];
    order.iter().take(enrolled).for_each(|person| is_enrolled[*person] = true);
    is_enrolled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::ModelTag;

    /// Looks in a plane, by angle in degrees.
    fn looks(angles: &[(usize, f32)]) -> Vec<Look> {
        let tag = ModelTag::new("test", "00000000");
        let look = |(picture, (person, degrees)): (usize, &(usize, f32))| {
            let (y, x) = degrees.to_radians().sin_cos();
            Look { person: *person, picture, embedding: Embedding::new(vec![x, y], tag.clone()).unwrap() }
        };
        angles.iter().enumerate().map(look).collect()
    }

    #[test]
    fn people_far_apart_are_told_apart() {
        let angles: Vec<_> = (0..10).flat_map(|p| [(p, p as f32 * 36.0), (p, p as f32 * 36.0 + 4.0)]).collect();
        let measured = measure(&looks(&angles), 10, 0.95).unwrap();
        assert_eq!((measured.same.n, measured.same.accepted), (10, 10));
        assert_eq!((measured.different.n, measured.different.accepted), (180, 0));
        assert_eq!(measured.rank1, Some(1.0));
        let open = &measured.open_set;
        assert_eq!((open.enrolled, open.mated, open.non_mated), (7, 140, 60));
        assert_eq!((open.tpir.share, open.fpir.share, open.misidentified.count), (Some(1.0), Some(0.0), 0));
        // Twenty distinct pictures at most were strangers.
        assert!(open.fpir_below.unwrap() >= 3.0 / 20.0);
        assert_eq!(open.operating_points[0].tpir, Some(1.0));
        assert_eq!(open.operating_points[2].threshold, None);
    }

    #[test]
    fn two_who_look_alike_cost_rank_one_and_false_names() {
        // 0 and 1 lie among each other, 2 far away.
        let measured =
            measure(&looks(&[(0, 0.0), (1, 1.0), (0, 2.0), (1, 3.0), (2, 90.0), (2, 91.0)]), 3, 0.9).unwrap();
        assert_eq!(measured.rank1, Some(2.0 / 6.0));
        assert_eq!(measured.different.accepted, 4);
        assert!(measured.open_set.fpir.count > 0 && measured.open_set.fpir_below.is_none());
        assert!(measured.rank1_interval.low < 0.34 && measured.rank1_interval.high > 0.9);
    }

    #[test]
    fn a_copy_of_a_picture_is_not_recognised_by_itself() {
        let mut looks = looks(&[(0, 0.0), (0, 0.0), (1, 1.0), (1, 90.0)]);
        looks[1].picture = looks[0].picture;
        let measured = measure(&looks, 2, 0.9).unwrap();
        assert_eq!((measured.same.n, measured.same.copies), (2, 1));
        // Only the person with two different pictures is looked for; one of them is nearer to the other person.
        assert_eq!(measured.rank1, Some(0.5));
    }

    #[test]
    fn nobody_and_single_pictures_are_no_division_by_zero() {
        let nobody = measure(&[], 0, 0.5).unwrap();
        assert_eq!((nobody.rank1, nobody.open_set.mated, nobody.same.rate.share), (None, 0, None));
        let single = measure(&looks(&[(0, 0.0), (1, 90.0)]), 2, 0.5).unwrap();
        assert_eq!((single.rank1, single.tpir_at_fpir_1pct, single.open_set.mated), (None, None, 0));
    }
}
