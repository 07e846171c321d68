//! Stage *detect*: faces in an image, each with a box, a score and five landmarks.

use crate::config::DetectorConfig;
use crate::frame::ImageView;
use crate::geometry::{BBox, ImagePx, Landmarks5};
use crate::inference::InferenceError;

/// A face found in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Pixels of the source image; may reach past its border.
    pub bbox: BBox<ImagePx>,
    /// The detector's own confidence, 0..=1; not comparable between detectors.
    pub score: f32,
    /// Eyes, nose and mouth corners as the detector sees them.
    pub landmarks: Landmarks5<ImagePx>,
}

/// Finds faces. The result is ordered by falling score, ties by position, so it is deterministic.
pub trait FaceDetector: Send {
    /// Replaces the contents of `out` by the faces of `image`.
    ///
    /// # Errors
    /// [`InferenceError`] when the network fails; `out` is then empty.
    fn detect(&mut self, image: ImageView<'_>, out: &mut Vec<Detection>) -> Result<(), InferenceError>;

    /// Takes new settings from the next image on; the model stays. For a detector that has any.
    fn configure(&mut self, _config: &DetectorConfig) {}
}

/// How the overlap of two boxes is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Intersection over union.
    Union,
    /// Intersection over the smaller box: also merges a box inside another.
    Smaller,
}

/// Non-maximum suppression: orders `items` by falling score (ties by position, so that the result
/// does not depend on the order they came in) and drops every one that overlaps a better one by more
/// than `threshold`.
pub fn suppress<T>(items: &mut Vec<T>, view: impl Fn(&T) -> (BBox<ImagePx>, f32), threshold: f32, overlap: Overlap) {
    let position = |b: &BBox<ImagePx>| (b.y1, b.x1, b.y2, b.x2);
    // Equals in score and position are the same box; a stable sort would need memory for every window found.
    items.sort_unstable_by(|left, right| {
        let ((a, score_a), (b, score_b)) = (view(left), view(right));
        score_b.total_cmp(&score_a).then_with(|| {
            let (p, q) = (position(&a), position(&b));
            p.0.total_cmp(&q.0).then(p.1.total_cmp(&q.1)).then(p.2.total_cmp(&q.2)).then(p.3.total_cmp(&q.3))
        })
    });
    let mut kept = 0;
    for index in 0..items.len() {
        let candidate = view(&items[index]).0;
        if items[..kept].iter().all(|better| shared(&view(better).0, &candidate, overlap) <= threshold) {
            items.swap(kept, index);
            kept += 1;
        }
    }
    items.truncate(kept);
}

fn shared(a: &BBox<ImagePx>, b: &BBox<ImagePx>, overlap: Overlap) -> f32 {
    match overlap {
        Overlap::Union => a.iou(b),
        Overlap::Smaller => a.intersection(b) / a.area().min(b.area()).max(f32::MIN_POSITIVE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Scored = (BBox<ImagePx>, f32);

    fn boxes() -> impl Strategy<Value = Vec<Scored>> {
        let one = (0.0_f32..50.0, 0.0_f32..50.0, 1.0_f32..30.0, 1.0_f32..30.0, 0_u8..5);
        prop::collection::vec(one, 0..20).prop_map(|all| {
            all.into_iter().map(|(x, y, w, h, s)| (BBox::from_centre(x, y, w, h), f32::from(s) / 5.0)).collect()
        })
    }

    proptest! {
        #[test]
        fn suppression_is_idempotent_and_order_free(items in boxes(), threshold in 0.1_f32..0.9) {
            let run = |mut items: Vec<Scored>| { suppress(&mut items, |i| *i, threshold, Overlap::Union); items };
            let once = run(items.clone());
            prop_assert_eq!(&run(once.clone()), &once);
            let reversed: Vec<Scored> = items.iter().rev().copied().collect();
            prop_assert_eq!(&run(reversed), &once);
            for (i, a) in once.iter().enumerate() {
                prop_assert!(once[..i].iter().all(|b| a.0.iou(&b.0) <= threshold && b.1 >= a.1));
            }
        }
    }

    #[test]
    fn a_box_inside_another_goes_only_by_the_smaller_measure() {
        let items = vec![(BBox::new(0.0, 0.0, 10.0, 10.0), 0.9), (BBox::new(4.0, 4.0, 6.0, 6.0), 0.8)];
        for (overlap, left) in [(Overlap::Union, 2), (Overlap::Smaller, 1)] {
            let mut items = items.clone();
            suppress(&mut items, |i| *i, 0.7, overlap);
            assert_eq!(items.len(), left);
        }
    }
}
