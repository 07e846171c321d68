//! How many crops a network may be given at once. A batch costs less than its crops one by one, but some networks
//! take one crop only, and some mix what they are given: those that were quantised while running scale all crops of
//! a batch alike.

use crate::align::AlignedCrop;
use crate::inference::InferenceError;

/// Largest difference that the company of another crop may make, as a share of the largest number of the answer.
/// Kernels for another size round otherwise; with 16-bit floats that reaches a thousandth.
const TOLERANCE: f32 = 0.01;

/// `most`, or 1 when a crop of `side` pixels is not answered in company as it is alone. `answer` runs the network.
///
/// # Errors
/// What `answer` says about a single crop.
pub(super) fn size(
    model: &str,
    side: u32,
    most: usize,
    mut answer: impl FnMut(&[AlignedCrop]) -> Result<Vec<f32>, InferenceError>,
) -> Result<usize, InferenceError> {
    let noise = |spread: usize| AlignedCrop {
        size: side,
        rgb: (0..side * side * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 / spread as u8).collect(),
    };
    // The other one is darker, so that what depends on the brightest crop shows.
    let pair = [noise(4), noise(1)];
    let alone = answer(&pair[..1])?;
    let reason = match answer(&pair) {
        Ok(both) => match difference(&alone, &both) {
            Some(difference) if difference <= TOLERANCE => return Ok(most),
            Some(difference) => format!("beside another crop its answer differs by {difference:.3}"),
            None => format!("it answers {} numbers for one crop and {} for two", alone.len(), both.len()),
        },
        Err(error) => error.reason.lines().next().unwrap_or_default().to_owned(),
    };
    tracing::warn!(model, reason, "crops go through this network one by one");
    Ok(1)
}

/// Between an answer and the first half of that for two.
fn difference(alone: &[f32], both: &[f32]) -> Option<f32> {
    if both.len() != 2 * alone.len() {
        return None;
    }
    let largest = alone.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let gaps = alone.iter().zip(both).map(|(a, b)| (a - b).abs() / largest);
    // NaN is the worst of all.
    Some(gaps.fold(0.0, |most, gap| if gap <= most { most } else { gap }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of the halves of a crop.
    fn halves(crop: &AlignedCrop) -> [f32; 2] {
        let (upper, lower) = crop.rgb.split_at(crop.rgb.len() / 2);
        [upper, lower].map(|half| half.iter().map(|byte| f32::from(*byte)).sum())
    }

    fn size_of(
        answer: impl FnMut(&[AlignedCrop]) -> Result<Vec<f32>, InferenceError>,
    ) -> Result<usize, InferenceError> {
        size("net", 6, 8, answer)
    }

    fn refused() -> InferenceError {
        InferenceError { model: "net".into(), reason: "Got: 2 Expected: 1".into() }
    }

    #[test]
    fn crops_go_together_only_where_each_is_answered_as_alone() {
        assert_eq!(size_of(|crops| Ok(crops.iter().flat_map(halves).collect())), Ok(8));
        let rounded = |crops: &[AlignedCrop]| {
            let error = 1.0 + 0.001 * crops.len() as f32;
            Ok(crops.iter().flat_map(halves).map(|sum| sum * error).collect())
        };
        assert_eq!(size_of(rounded), Ok(8));
        // As a network that scales by the largest value of the batch.
        let scaled = |crops: &[AlignedCrop]| {
            let all: Vec<f32> = crops.iter().flat_map(halves).collect();
            let largest = all.iter().copied().fold(0.0, f32::max);
            Ok(all.into_iter().map(|sum| sum / largest).collect())
        };
        assert_eq!(size_of(scaled), Ok(1));
        assert_eq!(size_of(|crops| if crops.len() > 1 { Err(refused()) } else { Ok(vec![1.0]) }), Ok(1));
        assert_eq!(size_of(|crops| Ok(halves(&crops[0]).to_vec())), Ok(1));
        assert_eq!(size_of(|crops| Ok(vec![if crops.len() > 1 { f32::NAN } else { 1.0 }; crops.len()])), Ok(1));
        assert_eq!(size_of(|_| Err(refused())), Err(refused()));
    }
}
