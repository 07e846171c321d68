//! Every look at a face as a search of the gallery.

use super::{Enrolled, State, is_enrolled};
use crate::eval::found::FoundPerson;
use crate::eval::open_set::{DetPoint, OperatingPoint, Probes};
use crate::eval::statistics::Share;
use serde::Serialize;
use std::collections::BTreeMap;

/// The searches of a recording, by looks or by whole tracks.
///
/// The candidate of a face that has a name is that name, as the line keeps it: a look that would have fitted
/// somebody else better counts with its similarity to the name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecordedProbes {
    /// Searches for somebody enrolled.
    pub mated: u64,
    /// Searches for a stranger.
    pub non_mated: u64,
    /// TPIR at FPIR 10 %, 1 % and 0.1 %, by the best candidate's similarity.
    pub operating_points: Vec<OperatingPoint>,
    /// Mated probes named right, as the line decided.
    pub tpir: Option<Share>,
    /// Mated probes given another name, as the line decided.
    pub misidentified: Option<Share>,
    /// Non-mated probes given a name, as the line decided.
    pub fpir: Option<Share>,
    /// The trade between the two errors.
    pub det: Vec<DetPoint>,
}

/// One search.
#[derive(Clone, Copy)]
struct Probe {
    similarity: f32,
    /// `None`: a stranger; else whether the candidate was the right person.
    is_right: Option<bool>,
    was_named_right: bool,
    was_named_wrong: bool,
}

/// Gathers searches while a recording is judged.
#[derive(Default)]
pub(super) struct ProbeTally {
    looks: Vec<Probe>,
    /// By person, camera and face.
    tracks: BTreeMap<(String, String, String), Track>,
}

struct Track {
    best: Probe,
    /// Similarity and candidate of the latest look.
    latest: (f32, String),
}

impl ProbeTally {
    /// A found face of `person`; a look counts once, however many frames repeat it.
    pub(super) fn take(&mut self, person: &str, camera: &str, found: &FoundPerson, state: State, enrolled: &Enrolled) {
        if found.candidate_id.is_empty() {
            return;
        }
        let is_right = enrolled.get(&found.candidate_id).is_some_and(|name| name == person);
        let probe = Probe {
            similarity: found.identity_similarity,
            is_right: is_enrolled(enrolled, person).then_some(is_right),
            was_named_right: state == State::Right,
            was_named_wrong: state == State::Wrong,
        };
        let look = (found.identity_similarity, found.candidate_id.clone());
        let key = (person.to_owned(), camera.to_owned(), found.face_id.clone());
        let Some(track) = self.tracks.get_mut(&key) else {
            self.tracks.insert(key, Track { best: probe, latest: look });
            self.looks.push(probe);
            return;
        };
        track.best = Probe {
            was_named_right: track.best.was_named_right || probe.was_named_right,
            was_named_wrong: track.best.was_named_wrong || probe.was_named_wrong,
            ..if probe.similarity > track.best.similarity { probe } else { track.best }
        };
        if track.latest != look {
            track.latest = look;
            self.looks.push(probe);
        }
    }

    pub(super) fn per_look(&self) -> RecordedProbes {
        summary(&self.looks)
    }

    pub(super) fn per_track(&self) -> RecordedProbes {
        summary(&self.tracks.values().map(|track| track.best).collect::<Vec<_>>())
    }
}

fn summary(all: &[Probe]) -> RecordedProbes {
    let mut probes = Probes::default();
    for probe in all {
        match probe.is_right {
            Some(is_right) => probes.mated(f64::from(probe.similarity), is_right),
            None => probes.non_mated(f64::from(probe.similarity)),
        }
    }
    let (mated, non_mated) = probes.counts();
    let decided = |is_mated: bool, named: fn(&Probe) -> bool| {
        let of = all.iter().filter(|probe| probe.is_right.is_some() == is_mated);
        let count = of.clone().filter(|probe| named(probe)).count() as u64;
        Some(Share::of(count, of.count() as u64)).filter(|share| share.n > 0)
    };
    RecordedProbes {
        mated,
        non_mated,
        operating_points: probes.operating_points(),
        tpir: decided(true, |probe| probe.was_named_right && !probe.was_named_wrong),
        misidentified: decided(true, |probe| probe.was_named_wrong),
        fpir: decided(false, |probe| probe.was_named_wrong),
        det: probes.det(),
    }
}
