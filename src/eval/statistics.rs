//! How far a measured number can be trusted.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde::Serialize;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// Samples drawn for a bootstrap.
const RESAMPLES: usize = 1000;

/// So many out of so many, with the 95 % interval of Wilson, "Probable Inference, the Law of
/// Succession, and Statistical Inference" (1927), which stays inside 0..=1 and says something for 0 of n.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// `count / n`; `None` of nothing.
    pub share: Option<f64>,
    /// How many.
    pub count: u64,
    /// Of how many.
    pub n: u64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Share {
    /// `count` of `n`.
    pub fn of(count: u64, n: u64) -> Self {
        if n == 0 {
            return Self { share: None, count, n, low: 0.0, high: 1.0 };
        }
        let (p, total) = (count as f64 / n as f64, n as f64);
        let centre = p + Z * Z / (2.0 * total);
        let spread = Z * (p * (1.0 - p) / total + Z * Z / (4.0 * total * total)).sqrt();
        let scale = 1.0 + Z * Z / total;
        Self {
            share: Some(p),
            count,
            n,
            low: ((centre - spread) / scale).max(0.0),
            high: ((centre + spread) / scale).min(1.0),
        }
    }

    /// What no error in `n` independent trials proves at 95 %: a rate below `3 / n` (the rule of three).
    /// `None` when there were errors, or no trials.
    pub fn rule_of_three(&self) -> Option<f64> {
        (self.count == 0 && self.n > 0).then(|| (3.0 / self.n as f64).min(1.0))
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.share {
            Some(share) => write!(
                f,
                "{:.2} % ({} of {}, 95 %: {:.2} to {:.2})",
                share * 100.0,
                self.count,
                self.n,
                self.low * 100.0,
                self.high * 100.0
            ),
            None => f.write_str("nothing to measure"),
        }
    }
}

/// A value with the interval in which it lies with 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// On all of the data.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A percentile bootstrap (Efron 1979) over `units` that are independent of one another (people, not
/// frames). `statistic` gets the numbers of the units drawn, and is first called with each once.
pub fn bootstrap(units: usize, seed: u64, mut statistic: impl FnMut(&[usize]) -> f64) -> Estimate {
    let mut drawn: Vec<usize> = (0..units).collect();
    let value = statistic(&drawn);
    if units == 0 {
        return Estimate { value, low: value, high: value };
    }
    let mut random = Pcg32::seed_from_u64(seed);
    let mut values: Vec<f64> = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        for unit in &mut drawn {
            *unit = random.next_u32() as usize % units;
        }
        values.push(statistic(&drawn));
    }
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let at = |q| quantile(&values, q).unwrap_or(value);
    Estimate { value, low: at(0.025), high: at(0.975) }
}

/// The value below which a share `q` of the sorted values lies, between two of them by straight lines
/// (type 7 of Hyndman and Fan 1996, as numpy has it).
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn intervals_are_those_of_worked_cases() {
        // statsmodels 0.14: proportion_confint(k, n, method="wilson")
        for (count, n, low, high) in
            [(0, 10, 0.0, 0.277_532_8), (5, 10, 0.236_593_1, 0.763_406_9), (81, 263, 0.255_288_5, 0.366_209_6)]
        {
            let share = Share::of(count, n);
            assert!(close(share.low, low) && close(share.high, high), "{share:?}");
        }
        assert_eq!(Share::of(0, 0).share, None);
        assert_eq!(Share::of(0, 300).rule_of_three(), Some(0.01));
        assert_eq!(Share::of(1, 300).rule_of_three(), None);
        assert!(Share::of(275, 275).to_string().starts_with("100.00 % (275 of 275"));
    }

    #[test]
    fn quantiles_lie_between_the_values() {
        let values = [1.0, 2.0, 3.0, 10.0];
        assert_eq!(quantile(&values, 0.5), Some(2.5));
        assert_eq!(quantile(&values, 1.0), Some(10.0));
        assert!(quantile(&values, 0.9).is_some_and(|value| close(value, 7.9)));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_bootstrap_covers_the_spread_of_the_mean() {
        let values: Vec<f64> = (0..400).map(|n| f64::from(n % 20)).collect();
        let mean = |drawn: &[usize]| drawn.iter().map(|i| values[*i]).sum::<f64>() / drawn.len() as f64;
        let estimate = bootstrap(values.len(), 7, mean);
        assert!(close(estimate.value, 9.5));
        // The standard error is 5.77 / 20 = 0.288.
        assert!((estimate.high - estimate.low - 2.0 * Z * 0.288).abs() < 0.12, "{estimate:?}");
        assert_eq!(estimate, bootstrap(values.len(), 7, mean));
        let nothing = bootstrap(0, 1, |drawn| drawn.len() as f64);
        assert_eq!((nothing.low, nothing.high), (0.0, 0.0));
    }
}
