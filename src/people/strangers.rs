//! Which stranger is worth remembering: one who stays, whose good looks agree with each other and
//! resemble nobody known. Nothing is kept of anyone unless `identity.auto_enrol` asks for it.

use super::evidence::Scale;
use crate::embed::Embedding;
use crate::gallery::Candidate;
use crate::time::Stamp;

/// Least quality of a look that a stranger may be learnt from.
const MIN_QUALITY: f32 = 0.55;
/// Agreeing looks, and seconds from the first to the last, before a stranger is remembered.
const MIN_LOOKS: u32 = 3;
/// See [`MIN_LOOKS`].
const MIN_SECS: f64 = 2.0;
/// Distance below the threshold that a look must keep from everyone known: who might be somebody known is
/// no stranger.
const DISTANCE: f32 = 0.15;

/// What speaks for remembering one face.
#[derive(Clone, Default)]
pub(super) struct Stranger {
    first: Option<(Embedding, Stamp)>,
    agreeing: u32,
    is_remembered: bool,
}

impl Stranger {
    /// Takes one look; true, once, when the face should be remembered.
    pub(super) fn take(
        &mut self,
        stamp: Stamp,
        quality: f32,
        look: &Embedding,
        candidates: &[Candidate],
        scale: &Scale,
    ) -> bool {
        if self.is_remembered || quality < MIN_QUALITY {
            return false;
        }
        let resembles = candidates.first().is_some_and(|best| best.similarity > scale.threshold() - DISTANCE);
        let Some((first, since)) = self.first.as_ref().filter(|_| !resembles) else {
            self.first = (!resembles).then(|| (look.clone(), stamp));
            self.agreeing = u32::from(!resembles);
            return false;
        };
        if first.cosine(look).is_ok_and(|cosine| cosine >= scale.threshold()) {
            self.agreeing += 1;
        } else {
            self.first = Some((look.clone(), stamp));
            self.agreeing = 1;
            return false;
        }
        self.is_remembered = self.agreeing >= MIN_LOOKS && stamp.secs_since(*since) >= MIN_SECS;
        if self.is_remembered {
            self.first = None;
        }
        self.is_remembered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PersonId;
    use crate::testing::{look_at, similarity};

    fn taken_after(looks: usize, secs: f64, quality: f32, of: impl Fn(usize) -> (usize, f32), known: f32) -> bool {
        let scale = Scale::new(similarity(), 3, 0.01);
        let candidates = [Candidate { person_id: PersonId::from_counter(0), similarity: known }];
        let mut stranger = Stranger::default();
        let mut times = 0;
        for index in 0..looks {
            let stamp = Stamp::default().plus_secs(secs * index as f64 / (looks - 1) as f64);
            let (who, cosine) = of(index);
            times += usize::from(stranger.take(stamp, quality, &look_at(who, cosine), &candidates, &scale));
        }
        assert!(times <= 1);
        times == 1
    }

    #[test]
    fn who_stays_and_resembles_nobody_is_remembered_once() {
        assert!(taken_after(12, 4.0, 0.8, |_| (3, 0.9), 0.1));
        assert!(!taken_after(12, 1.5, 0.8, |_| (3, 0.9), 0.1), "too short");
        assert!(!taken_after(2, 4.0, 0.8, |_| (3, 0.9), 0.1), "too few looks");
        assert!(!taken_after(12, 4.0, 0.5, |_| (3, 0.9), 0.1), "poor looks");
        assert!(!taken_after(12, 4.0, 0.8, |_| (3, 0.9), 0.45), "resembles somebody known");
        assert!(!taken_after(12, 4.0, 0.8, |index| (index % 2, 0.9), 0.1), "looks that disagree");
    }
}
