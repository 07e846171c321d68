//! What the looks at one face say, over time, about each person of the gallery.
//!
//! Every look adds calibrated log-odds (Wald's sequential test): a name needs several looks that
//! agree, and a name that stands is not lost to looks that merely say little.

use super::threshold::open_set_threshold;
use crate::gallery::{Candidate, Impostors};
use crate::ids::PersonId;
use crate::model::manifest::Similarity;
use crate::time::Stamp;
use std::collections::BTreeMap;

/// Least quality of a look that counts.
const MIN_QUALITY: f32 = 0.25;
/// Quality from which a look counts in full.
const FULL_QUALITY: f32 = 0.5;
/// Least quality of a look that may speak against a name.
const CLEAR_QUALITY: f32 = 0.4;
/// Most that one look may add or take; no single picture is worth more.
const MOST_PER_LOOK: f64 = 3.0;
/// Looks closer together show the same picture again and share the weight of one, seconds.
const INDEPENDENT_SECS: f64 = 0.2;
/// Bound of the accumulated log-odds, so that a change of mind stays possible.
const MOST: f64 = 8.0;
/// Seconds after which evidence has lost half its weight.
const HALF_LIFE_SECS: f64 = 10.0;
/// Log-odds that make a name: 99 to 1.
const NAME: f64 = 4.595_119_850_134_59;
/// Lead over the runner-up's log-odds that makes a name: 10 to 1.
const LEAD: f64 = std::f64::consts::LN_10;
/// Log-odds of a look that proves a name after the face was out of sight: 3 to 1. At the threshold itself, where
/// a look is as likely another's, whoever resembles the person a little would inherit the name.
const PROOF: f64 = 1.098_612_288_668_11;
/// Clear contradictions in a row without which a name is never lost.
const MIN_CONTRADICTIONS: u32 = 2;

/// When a look agrees with a person, and what its cosine is worth.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// The embedder's scale; its `min_margin` already replaced by the configured one.
    pub(super) similarity: Similarity,
    /// Agreeing looks before a name.
    pub(super) min_looks: u32,
    /// Share of the strangers that may be taken for somebody known.
    pub(super) target_fpir: f64,
    /// Cosine from which a look agrees with a person, for as many people as are known.
    threshold: f32,
}

impl Scale {
    pub(super) const fn new(similarity: Similarity, min_looks: u32, target_fpir: f64) -> Self {
        Self { threshold: similarity.threshold, similarity, min_looks, target_fpir }
    }

    /// Adapts to the people known.
    pub(super) fn fit(&mut self, people: usize, impostors: Impostors) {
        self.threshold = open_set_threshold(&self.similarity, people, impostors, self.target_fpir);
    }

    /// Cosine from which a look agrees with a person.
    pub(super) const fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Log-odds that a look with this cosine to a person shows that person: the more people are known, the
    /// less likely each of them is before anything is seen.
    fn log_odds(&self, cosine: f32) -> f64 {
        self.similarity.log_odds(cosine - (self.threshold - self.similarity.threshold))
    }
}

/// What the evidence allows to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody we know, or not a single look.
    Unknown,
    /// More looks are needed.
    Pending,
    /// Two people fit.
    Ambiguous,
    /// This person.
    Is(PersonId),
}

/// Evidence of one face.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    people: BTreeMap<PersonId, Support>,
    looks: u32,
    last_look: Option<Stamp>,
    decided: Option<PersonId>,
    contradictions: u32,
    /// The latest look fits two people.
    contested: bool,
    similarity: f32,
    candidate: Option<PersonId>,
    margin: f32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Support {
    /// That the face is this person's, against it being nobody's we know; as of the last look.
    log_odds: f64,
    /// Looks in a row that agreed, not counting those that agreed with nobody.
    agreeing: u32,
}

impl Evidence {
    /// Takes one look: `candidates` are the most similar people, best first. False when its
    /// quality is too low to count.
    pub(super) fn take(&mut self, stamp: Stamp, quality: f32, candidates: &[Candidate], scale: &Scale) -> bool {
        if quality < MIN_QUALITY {
            return false;
        }
        let secs = self.last_look.map_or(f64::INFINITY, |last| stamp.secs_since(last).max(0.0));
        self.fade(secs);
        self.last_look = Some(stamp);
        self.looks = self.looks.saturating_add(1);

        let agrees_with = agreeing(candidates, scale);
        let weight = f64::from((quality / FULL_QUALITY).min(1.0)) * (secs / INDEPENDENT_SECS).min(1.0);
        self.weigh(candidates, weight, self.is_clear(quality, candidates, agrees_with, scale), scale);
        self.count(agrees_with);
        self.contested = leader(candidates).is_some_and(|(_, margin)| margin < scale.similarity.min_margin);
        self.reconsider(scale);
        self.describe(candidates);
        true
    }

    /// What can be said now.
    pub(super) fn verdict(&self, scale: &Scale) -> Verdict {
        if let Some(person) = self.decided {
            return Verdict::Is(person);
        }
        let Some((best, support)) = self.strongest(None) else { return Verdict::Unknown };
        if support.log_odds < NAME {
            let is_nobody = support.log_odds <= 0.0 && self.looks >= scale.min_looks;
            return if is_nobody { Verdict::Unknown } else { Verdict::Pending };
        }
        let runner_up = self.strongest(Some(best)).map_or(f64::NEG_INFINITY, |(_, support)| support.log_odds);
        let is_contested = support.log_odds - runner_up < LEAD || self.contested;
        match (support.agreeing >= scale.min_looks, is_contested) {
            (true, false) => Verdict::Is(best),
            (_, true) => Verdict::Ambiguous,
            (false, false) => Verdict::Pending,
        }
    }

    /// The person whose name the face bears.
    pub(super) const fn decided(&self) -> Option<PersonId> {
        self.decided
    }

    /// What a look says of the name that the face bears: `Some(true)` agrees, `Some(false)` speaks clearly
    /// against it, `None` neither.
    pub(super) fn proof(&self, quality: f32, candidates: &[Candidate], scale: &Scale) -> Option<bool> {
        let name = self.decided?;
        let cosine = similarity_to(name, candidates);
        if quality >= MIN_QUALITY && scale.log_odds(cosine) >= PROOF {
            return Some(true);
        }
        self.is_clear(quality, candidates, agreeing(candidates, scale), scale).then_some(false)
    }

    /// Takes the name away, because another face bears it with more right.
    pub(super) const fn yield_name(&mut self) {
        self.decided = None;
    }

    /// Removes everything about a person.
    pub(super) fn forget(&mut self, person: PersonId) {
        self.people.remove(&person);
        self.decided = self.decided.filter(|decided| *decided != person);
    }

    /// Takes `absorb` for `keep`: the stronger evidence for either counts.
    pub(super) fn merge(&mut self, keep: PersonId, absorb: PersonId) {
        if let Some(absorbed) = self.people.remove(&absorb) {
            let support = self.people.entry(keep).or_insert(absorbed);
            support.log_odds = support.log_odds.max(absorbed.log_odds);
            support.agreeing = support.agreeing.max(absorbed.agreeing);
        }
        self.decided = self.decided.map(|decided| if decided == absorb { keep } else { decided });
    }

    /// Whether a look is worth the time in every frame.
    pub(super) fn is_open(&self, scale: &Scale) -> bool {
        match self.verdict(scale) {
            Verdict::Is(_) => self.contradictions > 0,
            Verdict::Unknown => {
                let is_likeliest_nobody = self.strongest(None).is_none_or(|(_, support)| support.log_odds < -NAME);
                self.looks < scale.min_looks || !is_likeliest_nobody
            }
            Verdict::Pending | Verdict::Ambiguous => true,
        }
    }

    /// Accumulated log-odds for a person, faded to `stamp`.
    pub(super) fn log_odds(&self, person: PersonId, stamp: Stamp) -> f64 {
        self.people.get(&person).map_or(0.0, |support| support.log_odds * self.fading(stamp))
    }

    /// Probability that the face is this person's rather than another's or nobody's we know.
    pub(super) fn probability(&self, person: PersonId, stamp: Stamp) -> f64 {
        let fading = self.fading(stamp);
        let everyone: f64 = self.people.values().map(|support| (support.log_odds * fading).exp()).sum();
        self.people.get(&person).map_or(0.0, |support| (support.log_odds * fading).exp() / (1.0 + everyone))
    }

    /// Cosine of the latest look to the best reference, of the named person if there is one; 0
    /// before the first look.
    pub(super) const fn similarity(&self) -> f32 {
        self.similarity
    }

    /// Whose reference [`Self::similarity`] is about.
    pub(super) const fn candidate(&self) -> Option<PersonId> {
        self.candidate
    }

    /// Distance of [`Self::similarity`] to the best of the others; to -1 when there is no other.
    pub(super) const fn margin(&self) -> f32 {
        self.margin
    }

    fn fading(&self, stamp: Stamp) -> f64 {
        self.last_look.map_or(1.0, |last| remaining(stamp.secs_since(last).max(0.0)))
    }

    fn fade(&mut self, secs: f64) {
        for support in self.people.values_mut() {
            support.log_odds *= remaining(secs);
        }
    }

    /// Whether a look may speak against the name: a good one, and either quite unlike the person
    /// or just like someone else.
    fn is_clear(&self, quality: f32, candidates: &[Candidate], agrees_with: Option<PersonId>, scale: &Scale) -> bool {
        let Some(name) = self.decided else { return true };
        let cosine = similarity_to(name, candidates);
        let contradicts = cosine < scale.similarity.contradiction() || agrees_with.is_some_and(|other| other != name);
        quality >= CLEAR_QUALITY && contradicts
    }

    /// Adds one look's log-odds to everyone's. All are bounded together, from above, so that the
    /// differences between people survive.
    fn weigh(&mut self, candidates: &[Candidate], weight: f64, is_clear: bool, scale: &Scale) {
        for candidate in candidates {
            self.people.entry(candidate.person_id).or_default();
        }
        let most = candidates.first().map_or(0.0, |best| scale.log_odds(best.similarity));
        let excess = (most - MOST_PER_LOOK).max(0.0);
        for (person, support) in &mut self.people {
            let log_odds = scale.log_odds(similarity_to(*person, candidates)) - excess;
            let is_spared = self.decided == Some(*person) && !is_clear && log_odds < 0.0;
            if !is_spared {
                support.log_odds += weight * log_odds.max(-MOST_PER_LOOK);
            }
        }
        let most = self.people.values().map(|support| support.log_odds).fold(0.0, f64::max);
        let excess = (most - MOST).max(0.0);
        for support in self.people.values_mut() {
            support.log_odds = (support.log_odds - excess).max(-MOST);
        }
        if self.decided.is_some() {
            self.contradictions = if is_clear { self.contradictions.saturating_add(1) } else { self.contradictions };
        }
    }

    fn count(&mut self, agrees_with: Option<PersonId>) {
        let Some(agreed) = agrees_with else { return };
        for (person, support) in &mut self.people {
            support.agreeing = if *person == agreed { support.agreeing.saturating_add(1) } else { 0 };
        }
        if self.decided == Some(agreed) {
            self.contradictions = 0;
        }
    }

    /// Gives or takes the name. It is never exchanged for another in one step.
    fn reconsider(&mut self, scale: &Scale) {
        if let Some(name) = self.decided {
            let log_odds = self.people.get(&name).map_or(0.0, |support| support.log_odds);
            if log_odds < 0.0 && self.contradictions >= MIN_CONTRADICTIONS {
                self.decided = None;
                self.contradictions = 0;
            }
        } else if let Verdict::Is(person) = self.verdict(scale) {
            self.decided = Some(person);
            self.contradictions = 0;
        }
    }

    fn describe(&mut self, candidates: &[Candidate]) {
        let Some(best) = candidates.first() else {
            (self.similarity, self.candidate, self.margin) = (0.0, None, 0.0);
            return;
        };
        let subject = self.decided.unwrap_or(best.person_id);
        self.candidate = Some(subject);
        self.similarity = similarity_to(subject, candidates);
        self.margin = self.similarity - best_of_others(subject, candidates);
    }

    /// The person with the most log-odds, the first of equals, leaving out `without`.
    fn strongest(&self, without: Option<PersonId>) -> Option<(PersonId, Support)> {
        let others = self.people.iter().filter(|(person, _)| Some(**person) != without);
        let mut strongest: Option<(PersonId, Support)> = None;
        for (person, support) in others {
            if strongest.is_none_or(|(_, most)| support.log_odds > most.log_odds) {
                strongest = Some((*person, *support));
            }
        }
        strongest
    }
}

fn remaining(secs: f64) -> f64 {
    (-secs / HALF_LIFE_SECS).exp2()
}

/// The person with whom a look agrees, if any.
fn agreeing(candidates: &[Candidate], scale: &Scale) -> Option<PersonId> {
    let (best, margin) = leader(candidates)?;
    (best.similarity >= scale.threshold() && margin >= scale.similarity.min_margin).then_some(best.person_id)
}

/// The most similar person and the distance to the next.
fn leader(candidates: &[Candidate]) -> Option<(&Candidate, f32)> {
    let best = candidates.first()?;
    Some((best, best.similarity - best_of_others(best.person_id, candidates)))
}

/// Similarity of a person who is among the candidates, or at most that of the last of them.
fn similarity_to(person: PersonId, candidates: &[Candidate]) -> f32 {
    let found = candidates.iter().find(|candidate| candidate.person_id == person).or(candidates.last());
    found.map_or(-1.0, |candidate| candidate.similarity)
}

fn best_of_others(person: PersonId, candidates: &[Candidate]) -> f32 {
    candidates.iter().find(|candidate| candidate.person_id != person).map_or(-1.0, |other| other.similarity)
}
