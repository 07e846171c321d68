//! Open-set identification: how often the right one of the people known is found, and how often somebody
//! is found in a stranger.
//!
//! The rates are those of ISO/IEC 19795-1 and of NIST's FRTE 1:N: a *mated* probe shows somebody who is
//! enrolled. FPIR is the share of non-mated probes with any candidate at or above the threshold, TPIR the
//! share of mated probes whose best candidate is the right person at or above it; FNIR = 1 - TPIR.

use super::statistics::Share;
use serde::Serialize;

/// The FPIRs at which TPIR is told.
const FPIRS: [f64; 3] = [0.1, 0.01, 0.001];
/// Points of the DET curve.
const CURVE_POINTS: usize = 60;

/// What one threshold achieves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// The FPIR asked for.
    pub fpir: f64,
    /// The lowest threshold that keeps it; `None` when the non-mated probes are too few to tell.
    pub threshold: Option<f64>,
    /// TPIR there.
    pub tpir: Option<f64>,
}

/// One point of the DET curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DetPoint {
    /// Cosine.
    pub threshold: f64,
    /// False positive identification rate.
    pub fpir: f64,
    /// False negative identification rate.
    pub fnir: f64,
}

/// Searches that were made, each by the cosine of its best candidate.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    mated: Vec<(f64, bool)>,
    non_mated: Vec<f64>,
}

impl Probes {
    /// A search for somebody enrolled; whether the best candidate was the right one.
    pub fn mated(&mut self, similarity: f64, is_right: bool) {
        self.mated.push((similarity, is_right));
    }

    /// A search for a stranger.
    pub fn non_mated(&mut self, similarity: f64) {
        self.non_mated.push(similarity);
    }

    /// How many of both.
    pub const fn counts(&self) -> (u64, u64) {
        (self.mated.len() as u64, self.non_mated.len() as u64)
    }

    /// Share of the mated probes with the right candidate at or above `threshold`.
    pub fn tpir(&self, threshold: f64) -> Share {
        Share::of(self.found(threshold, true), self.mated.len() as u64)
    }

    /// Share of the mated probes with a wrong one there.
    pub fn misidentified(&self, threshold: f64) -> Share {
        Share::of(self.found(threshold, false), self.mated.len() as u64)
    }

    /// Share of the non-mated probes with any candidate at or above `threshold`.
    pub fn fpir(&self, threshold: f64) -> Share {
        let false_names = self.non_mated.iter().filter(|similarity| **similarity >= threshold).count();
        Share::of(false_names as u64, self.non_mated.len() as u64)
    }

    /// TPIR at FPIR 10 %, 1 % and 0.1 %.
    pub fn operating_points(&self) -> Vec<OperatingPoint> {
        let mut sorted = self.non_mated.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |fpir| {
            let threshold = threshold_for(&sorted, fpir);
            OperatingPoint { fpir, threshold, tpir: threshold.and_then(|threshold| self.tpir(threshold).share) }
        };
        FPIRS.map(at).to_vec()
    }

    /// The trade between the two errors, for thresholds from 0 to 1; empty when one of them cannot be told.
    pub fn det(&self) -> Vec<DetPoint> {
        let point = |step| {
            let threshold = f64::from(step as u32) / CURVE_POINTS as f64;
            let (fpir, tpir) = (self.fpir(threshold).share?, self.tpir(threshold).share?);
            Some(DetPoint { threshold, fpir, fnir: 1.0 - tpir })
        };
        (0..=CURVE_POINTS).filter_map(point).collect()
    }

    fn found(&self, threshold: f64, right: bool) -> u64 {
        let is_found = |(similarity, is_right): &&(f64, bool)| *similarity >= threshold && *is_right == right;
        self.mated.iter().filter(is_found).count() as u64
    }
}

/// The lowest threshold at which at most a share `fpir` of the sorted similarities is at or above it.
/// `None` when even one of them is a larger share.
pub fn threshold_for(sorted: &[f64], fpir: f64) -> Option<f64> {
    let allowed = (sorted.len() as f64 * fpir + 1e-9).floor() as usize;
    if allowed == 0 {
        return None;
    }
    // Just above the first similarity that must not pass.
    let barred = sorted.len() - allowed;
    Some(barred.checked_sub(1).map_or(-1.0, |last| sorted[last].next_up()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_for_a_rate_keeps_it() {
        let sorted: Vec<f64> = (0..100).map(|n| f64::from(n) / 100.0).collect();
        for fpir in [0.1, 0.05, 0.01] {
            let threshold = threshold_for(&sorted, fpir).unwrap();
            let above = sorted.iter().filter(|s| **s >= threshold).count();
            assert_eq!(above, (fpir * 100.0) as usize, "{fpir}");
        }
        assert_eq!(threshold_for(&sorted, 0.001), None);
        assert_eq!(threshold_for(&sorted, 1.0), Some(-1.0));
        assert_eq!(threshold_for(&[], 0.1), None);
    }

    #[test]
    fn rates_are_told_where_they_can_be() {
        let mut probes = Probes::default();
        assert_eq!((probes.tpir(0.5).share, probes.det()), (None, Vec::new()));
        for n in 0..10 {
            probes.non_mated(f64::from(n) * 0.05);
            probes.mated(0.5 + f64::from(n) * 0.05, n != 9);
        }
        assert_eq!(probes.counts(), (10, 10));
        assert_eq!((probes.tpir(0.7).count, probes.misidentified(0.7).count, probes.fpir(0.4).count), (5, 1, 2));
        let points = probes.operating_points();
        // One of ten strangers may pass: the threshold is just above the second most alike.
        assert!((points[0].threshold.unwrap() - 0.4).abs() < 1e-9);
        assert_eq!((points[0].tpir, points[1].threshold), (Some(0.9), None));
        let det = probes.det();
        assert!(det.windows(2).all(|pair| pair[0].fpir >= pair[1].fpir && pair[0].fnir <= pair[1].fnir));
        assert_eq!((det[0].fpir, det[0].fnir), (1.0, 1.0 - 0.9));
    }
}
