//! The threshold that grows with the number of people known: the more there are, the more chances a
//! stranger has to resemble one of them.
//!
//! A search among N people takes a stranger for somebody with probability 1 − (1 − FMR)^N (Grother et
//! al., NIST's face recognition vendor tests, call it FPIR). The FMR that keeps it at the target is a
//! quantile of the impostor scores, taken for normal: those of the embedder's manifest, drawn towards
//! those of the own gallery as it grows.

use crate::gallery::Impostors;
use crate::model::manifest::Similarity;

/// Pairs of the own gallery that weigh as much as the manifest's figures.
const PRIOR_PAIRS: f64 = 200.0;
/// No threshold is higher: the same person reaches little more.
const MOST: f64 = 0.9;

/// Cosine from which a look agrees with one of `people`, so that of the strangers at most the share `fpir`
/// is taken for one; never below the manifest's own.
pub fn open_set_threshold(similarity: &Similarity, people: usize, impostors: Impostors, fpir: f64) -> f32 {
    let people = people.max(1) as f64;
    // 1 - (1 - fpir)^(1/people), without the loss of digits.
    let fmr = -((-fpir).ln_1p() / people).exp_m1();
    let (mean, sd) = shrunk(similarity, impostors);
    let wanted = (mean + sd * upper_quantile(fmr)).min(MOST);
    similarity.threshold.max(wanted as f32)
}

/// Mean and deviation of the impostor scores, own and the manifest's.
fn shrunk(similarity: &Similarity, impostors: Impostors) -> (f64, f64) {
    let own = impostors.count as f64;
    let mix = |prior: f64, own_value: f64| (PRIOR_PAIRS * prior + own * own_value) / (PRIOR_PAIRS + own);
    let mean = mix(similarity.impostor_mean.into(), impostors.mean.into());
    let variance = mix(f64::from(similarity.impostor_sd).powi(2), f64::from(impostors.sd).powi(2));
    (mean, variance.sqrt())
}

/// The value that a standard normal variable exceeds with this probability, 0 < p <= 0.5, to 4.5e-4:
/// Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.23.
fn upper_quantile(p: f64) -> f64 {
    let t = (-2.0 * p.clamp(1e-300, 0.5).ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::similarity;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, expected) in [(0.5, 0.0), (0.01, 2.3263), (1e-4, 3.7190), (1e-6, 4.7534), (1e-9, 5.9978)] {
            assert!((upper_quantile(p) - expected).abs() < 5e-4, "{p}: {}", upper_quantile(p));
        }
    }

    #[test]
    fn the_threshold_grows_with_the_gallery_and_never_falls_below_the_manifests() {
        let of = |people: usize| open_set_threshold(&similarity(), people, Impostors::default(), 0.01);
        assert_eq!(of(0), similarity().threshold);
        assert_eq!(of(1), similarity().threshold);
        let rising: Vec<f32> = [1, 10, 100, 1000, 10_000, 100_000].map(of).into();
        assert!(rising.is_sorted() && rising[2] > 0.6 && rising[5] <= MOST as f32, "{rising:?}");
        // N = 100 at 1 %: FMR 1.005e-4, 3.718 deviations above the mean.
        assert!((rising[2] - (0.03 + 0.17 * 3.718)).abs() < 1e-3);
        assert!(open_set_threshold(&similarity(), 100, Impostors::default(), 0.1) < rising[2]);
    }

    #[test]
    fn a_gallery_of_people_who_look_alike_raises_it() {
        let alike = |count: u64| Impostors { count, mean: 0.3, sd: 0.2 };
        let of = |count: u64| open_set_threshold(&similarity(), 20, alike(count), 0.01);
        assert!(of(0) < of(200) && of(200) < of(20_000));
        let (mean, _) = shrunk(&similarity(), alike(200));
        assert!((mean - 0.165).abs() < 1e-6, "as many own pairs as the prior weighs: halfway");
    }
}
