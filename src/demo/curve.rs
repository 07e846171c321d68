//! Values that change smoothly over time.

/// A smooth curve through given points, which never overshoots them; constant before the first and
/// after the last.
///
/// Piecewise cubic with the slopes of Fritsch and Carlson, "Monotone Piecewise Cubic Interpolation"
/// (SIAM J. Numer. Anal. 17, 1980), as harmonic means.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    keys: Vec<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Key {
    at: f64,
    value: f64,
    slope: f64,
}

impl Curve {
    /// The curve that is `value` always.
    pub fn constant(value: f64) -> Self {
        Self::through(&[(0.0, value)])
    }

    /// The curve through `(seconds, value)` points in rising order of time; points out of order are
    /// left out, and no point at all means 0.
    pub fn through(points: &[(f64, f64)]) -> Self {
        let mut keys: Vec<Key> = Vec::with_capacity(points.len());
        for &(at, value) in points {
            if keys.last().is_none_or(|last| last.at < at) {
                keys.push(Key { at, value, slope: 0.0 });
            }
        }
        let rises: Vec<f64> = keys.windows(2).map(|pair| (pair[1].value - pair[0].value) / gap(pair)).collect();
        let gaps: Vec<f64> = keys.windows(2).map(gap).collect();
        for (index, key) in keys.iter_mut().enumerate() {
            key.slope = match (index.checked_sub(1).map(|before| rises[before]), rises.get(index)) {
                (Some(before), Some(&after)) if before * after > 0.0 => {
                    let (wide, near) = (2.0 * gaps[index] + gaps[index - 1], gaps[index] + 2.0 * gaps[index - 1]);
                    (wide + near) / (wide / before + near / after)
                }
                (Some(_), Some(_)) => 0.0,
                (before, after) => before.or(after.copied()).unwrap_or(0.0),
            };
        }
        Self { keys }
    }

    /// The value at a moment, in seconds.
    pub fn at(&self, secs: f64) -> f64 {
        let next = self.keys.partition_point(|key| key.at <= secs);
        let (Some(from), Some(to)) = (next.checked_sub(1).map(|i| self.keys[i]), self.keys.get(next)) else {
            let end = if next == 0 { self.keys.first() } else { self.keys.last() };
            return end.map_or(0.0, |key| key.value);
        };
        let span = to.at - from.at;
        let u = (secs - from.at) / span;
        let (u2, u3) = (u * u, u * u * u);
        from.value * (2.0 * u3 - 3.0 * u2 + 1.0)
            + from.slope * span * (u3 - 2.0 * u2 + u)
            + to.value * (3.0 * u2 - 2.0 * u3)
            + to.slope * span * (u3 - u2)
    }
}

fn gap(pair: &[Key]) -> f64 {
    pair[1].at - pair[0].at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn points_on_a_line_give_the_line_and_the_ends_stay() {
        let curve = Curve::through(&[(1.0, 10.0), (2.0, 20.0), (4.0, 40.0)]);
        for (at, expected) in [(0.0, 10.0), (1.5, 15.0), (2.0, 20.0), (3.3, 33.0), (9.0, 40.0)] {
            assert!((curve.at(at) - expected).abs() < 1e-9, "at {at}: {}", curve.at(at));
        }
        assert_eq!(Curve::constant(3.0).at(-7.0), 3.0);
        assert_eq!(Curve::through(&[]).at(1.0), 0.0);
    }

    proptest! {
        #[test]
        fn a_curve_meets_its_points_and_never_overshoots(values in prop::collection::vec(-50.0_f64..50.0, 2..8), u in 0.0_f64..1.0) {
            let points: Vec<_> = values.iter().enumerate().map(|(i, v)| (i as f64 * 0.7, *v)).collect();
            let curve = Curve::through(&points);
            for pair in points.windows(2) {
                prop_assert!((curve.at(pair[0].0) - pair[0].1).abs() < 1e-9);
                let value = curve.at(pair[0].0 + u * (pair[1].0 - pair[0].0));
                let (low, high) = (pair[0].1.min(pair[1].1), pair[0].1.max(pair[1].1));
                prop_assert!((low - 1e-9..=high + 1e-9).contains(&value), "{value} outside {low}..{high}");
            }
        }
    }
}
