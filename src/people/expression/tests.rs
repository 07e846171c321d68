//! Signals made for the purpose, with the answer computed another way.

use super::*;
use proptest::prelude::*;

const UNIFORM: EmotionScores = EmotionScores([0.125; 8]);

/// `share` for one label, the rest for another.
fn scores(label: Emotion, share: f32, other: Emotion) -> EmotionScores {
    let mut p = [0.0; 8];
    p[other as usize] = 1.0 - share;
    p[label as usize] += share;
    EmotionScores(p)
}

struct Signal {
    filter: ExpressionFilter,
    face: Expression,
    now: Stamp,
    changes: Vec<(f64, Emotion)>,
}

impl Signal {
    fn new() -> Self {
        Self::with(ExpressionFilter::new(1.5, 10.0, UNIFORM))
    }

    fn with(filter: ExpressionFilter) -> Self {
        Self { filter, face: Expression::default(), now: Stamp::from_nanos(0), changes: Vec::new() }
    }

    fn secs(&self) -> f64 {
        self.now.secs_since(Stamp::from_nanos(0))
    }

    /// The same sight at `rate_hz` for `secs`; the last reading.
    fn show(&mut self, sight: Sight, rate_hz: f64, secs: f64) -> Option<EmotionReading> {
        for _ in 0..(secs * rate_hz).round() as u32 {
            self.now = self.now.plus_secs(1.0 / rate_hz);
            self.face.update(&self.filter, self.now, sight);
            let secs = self.secs();
            self.changes.extend(self.face.take_change().map(|label| (secs, label)));
        }
        self.face.reading()
    }

    fn read(&mut self, scores: EmotionScores, rate_hz: f64, secs: f64) -> EmotionReading {
        self.show(Sight::Read(scores, 1.0), rate_hz, secs).unwrap()
    }
}

/// The belief in `label` after `secs` of looks `p`, with the update written down for two labels and
/// integrated over looks that are `step` apart: the log odds move by `ln(p / (1 - p))` per
/// [`LOOK_SECS`], and the leak draws towards `prior`.
fn belief_after(start: f64, p: f64, prior: f64, secs: f64, step: f64) -> f64 {
    let stays = (-step / 1.5_f64).exp();
    let mut b = start;
    for _ in 0..(secs / step).round() as u32 {
        let relaxed = stays * b + (1.0 - stays) * prior;
        let odds = relaxed / (1.0 - relaxed) * (p / (1.0 - p)).powf(step / LOOK_SECS);
        b = odds / (1.0 + odds);
    }
    b
}

/// A filter that knows two labels, so that a belief is one number.
fn two_labels() -> ExpressionFilter {
    ExpressionFilter::new(1.5, 10.0, scores(Emotion::Neutral, 0.5, Emotion::Happiness))
}

#[test]
fn belief_follows_the_written_formula() {
    let mut signal = Signal::with(two_labels());
    signal.read(scores(Emotion::Neutral, 0.5, Emotion::Happiness), 10.0, 0.1);
    let got = signal.read(scores(Emotion::Happiness, 0.8, Emotion::Neutral), 10.0, 0.7);
    let expected = belief_after(0.5, 0.8, 0.5, 0.7, 0.1);
    assert!((f64::from(got.probabilities[1]) - expected).abs() < 1e-5, "{got:?} {expected}");
}

#[test]
fn the_onset_of_a_smile_is_reported_when_the_formula_says() {
    let mut signal = Signal::with(two_labels());
    signal.read(scores(Emotion::Neutral, 0.9, Emotion::Happiness), 10.0, 5.0);
    assert_eq!(signal.changes, [], "neutral is where a face starts");
    signal.read(scores(Emotion::Happiness, 0.9, Emotion::Neutral), 10.0, 3.0);
    let [(at, Emotion::Happiness)] = signal.changes[..] else { panic!("{:?}", signal.changes) };

    let before = belief_after(0.1, 0.1, 0.5, 4.9, 0.1);
    let leads = |frames: &u32| 2.0 * belief_after(before, 0.9, 0.5, f64::from(*frames) * 0.1, 0.1) - 1.0 >= MARGIN;
    let frames = (1..30).find(leads).unwrap();
    // 0.15 s of leading are over with the second frame after the first.
    let expected = 5.0 + f64::from(frames + 2) * 0.1;
    assert!((at - expected).abs() < 1e-6, "{at} {expected}");
    assert!(expected - 5.0 < 1.0, "a plain smile is told within a second: {expected}");
}

#[test]
fn anger_takes_longer_and_a_flash_of_it_says_nothing() {
    let onset = |label: Emotion| {
        let mut signal = Signal::new();
        signal.read(scores(Emotion::Neutral, 0.9, label), 10.0, 5.0);
        signal.read(scores(label, 0.9, Emotion::Neutral), 10.0, 4.0);
        signal.changes[0].0 - 5.0
    };
    assert!(onset(Emotion::Anger) > onset(Emotion::Happiness) + 0.6);

    let mut signal = Signal::new();
    signal.read(scores(Emotion::Neutral, 0.9, Emotion::Anger), 10.0, 5.0);
    signal.read(scores(Emotion::Anger, 0.9, Emotion::Neutral), 10.0, 0.5);
    signal.read(scores(Emotion::Neutral, 0.9, Emotion::Anger), 10.0, 5.0);
    assert_eq!(signal.changes, []);
}

#[test]
fn a_label_once_taken_survives_what_would_not_have_earned_it() {
    let mut signal = Signal::with(two_labels());
    signal.read(scores(Emotion::Happiness, 0.9, Emotion::Neutral), 10.0, 3.0);
    let doubtful = signal.read(scores(Emotion::Happiness, 0.49, Emotion::Neutral), 10.0, 6.0);
    assert!(f64::from(doubtful.probabilities[1]) < 0.5, "{doubtful:?}");
    assert_eq!((doubtful.label, doubtful.uncertain), (Emotion::Happiness, false));

    let mut fresh = Signal::with(two_labels());
    let never = fresh.read(scores(Emotion::Happiness, 0.49, Emotion::Neutral), 10.0, 6.0);
    assert!(never.uncertain && fresh.changes.is_empty());
}

#[test]
fn a_flickering_net_makes_one_label_not_thirty() {
    let mut signal = Signal::new();
    for i in 0..60 {
        let label = if i % 2 == 0 { Emotion::Sadness } else { Emotion::Surprise };
        signal.read(scores(label, 0.6, Emotion::Happiness), 10.0, 0.1);
    }
    assert!(signal.changes.len() <= 1, "{:?}", signal.changes);
    let spread = EmotionScores([0.2, 0.1, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1]);
    assert!(signal.read(spread, 10.0, 5.0).uncertain);
}

#[test]
fn what_is_seen_between_looks_changes_nothing() {
    let mut signal = Signal::new();
    let before = signal.read(scores(Emotion::Happiness, 0.9, Emotion::Neutral), 10.0, 2.0);
    assert!(before.raw.is_some());
    let after = signal.show(Sight::Fit, 30.0, 0.09).unwrap();
    assert_eq!(after, EmotionReading { raw: None, ..before });
    assert!(signal.face.urgency(&signal.filter, signal.now.plus_secs(-0.03)).is_none());
    assert!(signal.face.urgency(&signal.filter, signal.now.plus_secs(0.03)).is_some());
}

#[test]
fn a_face_that_turns_away_is_held_then_silent_and_forgotten_slowly() {
    let mut signal = Signal::new();
    let smiling = signal.read(scores(Emotion::Happiness, 0.9, Emotion::Neutral), 10.0, 3.0);
    let held = signal.show(Sight::Unfit, 10.0, 0.9).unwrap();
    assert_eq!(held, EmotionReading { raw: None, ..smiling });
    // The hold counts from the last time it could be read.
    assert!(signal.show(Sight::Unfit, 10.0, 0.1).is_some());
    assert_eq!(signal.show(Sight::Unfit, 10.0, 0.1), None);

    // 0.1 s past the hold so far; 1.5 s more, then the belief has gone this far to the prior.
    assert_eq!(signal.show(Sight::Unfit, 10.0, 1.5), None);
    let stays = (-1.6_f64 / 1.5).exp();
    let expected = stays * f64::from(smiling.probabilities[1]) + (1.0 - stays) * 0.125;
    assert!((signal.face.belief.unwrap()[1] - expected).abs() < 1e-6);

    signal.show(Sight::Unfit, 10.0, 20.0);
    let back = signal.read(scores(Emotion::Neutral, 0.9, Emotion::Happiness), 10.0, 0.1);
    assert!(back.uncertain && f64::from(back.probabilities[1]) < 0.2, "{back:?}");
    assert_eq!(signal.changes.len(), 1, "silence is no change");
}

#[test]
fn a_short_turn_costs_nothing() {
    let mut signal = Signal::new();
    let before = signal.read(scores(Emotion::Happiness, 0.9, Emotion::Neutral), 10.0, 3.0);
    signal.show(Sight::Unfit, 10.0, 0.8);
    signal.show(Sight::Fit, 10.0, 0.1);
    let from = signal.face.relaxed_until;
    // The belief stood still while the face was away, but for the frame in which it came back.
    assert!(signal.now.secs_since(from) < 0.15, "{from}");
    assert_eq!(signal.face.reading().unwrap().probabilities, before.probabilities);
}

#[test]
fn another_person_behind_the_same_face_starts_anew() {
    let mut signal = Signal::new();
    let (anna, ben) = (PersonId::from_counter(1), PersonId::from_counter(2));
    signal.face.belongs_to(None);
    signal.read(scores(Emotion::Happiness, 0.9, Emotion::Neutral), 10.0, 3.0);
    signal.face.belongs_to(Some(anna));
    assert!(!signal.face.reading().unwrap().uncertain, "a name for the same face changes nothing");
    signal.face.belongs_to(None);
    signal.face.belongs_to(Some(anna));
    assert!(signal.face.reading().is_some());
    signal.face.belongs_to(Some(ben));
    assert_eq!(signal.face.reading(), None);
}

#[test]
fn nothing_is_said_before_the_first_look() {
    let mut signal = Signal::new();
    assert_eq!(signal.show(Sight::Unfit, 10.0, 3.0), None);
    assert_eq!(signal.show(Sight::Fit, 10.0, 0.1), None);
    assert!(signal.face.urgency(&signal.filter, signal.now).is_some());
}

#[test]
fn a_label_the_model_does_not_have_is_never_believed() {
    let mut prior = [1.0; 8];
    prior[Emotion::Contempt as usize] = 0.0;
    let mut signal = Signal::with(ExpressionFilter::new(1.5, 10.0, EmotionScores(prior)));
    let reading = signal.read(UNIFORM, 10.0, 5.0);
    assert_eq!(reading.probabilities[Emotion::Contempt as usize], 0.0);
    assert!((reading.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
}

proptest! {
    /// The same signal at another frame rate is believed alike.
    #[test]
    fn the_frame_rate_does_not_matter(share in 0.55_f32..0.95, fast in 10.0_f64..60.0, slow in 5.0_f64..10.0) {
        let belief = |rate: f64| {
            let mut signal = Signal::with(two_labels());
            signal.read(scores(Emotion::Happiness, share, Emotion::Neutral), rate, 4.0).probabilities[1]
        };
        prop_assert!((belief(fast) - belief(slow)).abs() < 0.05);
    }

    /// Whatever is shown, what is said are probabilities, and a label only when it is believed.
    #[test]
    fn readings_are_always_sound(sights in prop::collection::vec((prop::array::uniform8(0.0_f32..1.0), 0.0_f32..1.2, 0_u8..4, 0.0_f64..3.0), 1..80)) {
        let mut signal = Signal::new();
        for (p, fitness, kind, secs) in sights {
            signal.now = signal.now.plus_secs(secs);
            let sight = match kind { 0 => Sight::Unfit, 1 => Sight::Fit, _ => Sight::Read(EmotionScores(p), fitness) };
            signal.face.update(&signal.filter, signal.now, sight);
            let Some(reading) = signal.face.reading() else { continue };
            prop_assert!((reading.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            prop_assert!(reading.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
            prop_assert!(reading.valence.abs() <= 1.0 && reading.arousal.abs() <= 1.0);
            prop_assert!(reading.uncertain || reading.confidence >= LEAVE as f32 - 1e-6);
        }
    }
}
