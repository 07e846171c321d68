use super::*;

fn votes(counts: &[(usize, u8)]) -> [u8; VOTE_COLUMNS] {
    let mut votes = [0; VOTE_COLUMNS];
    for (column, count) in counts {
        votes[*column] = *count;
    }
    votes
}

/// A reading with this confidence in `read`, the rest spread over the other classes of eight.
fn reading(truth: Emotion, read: Emotion, confidence: f32) -> Reading {
    let mut scores = [(1.0 - confidence) / 7.0; 8];
    scores[read as usize] = confidence;
    Reading { truth, scores: EmotionScores(scores) }
}

#[test]
fn the_majority_rule_counts_kept_votes_of_all_ten_columns() {
    let truth = |counts: &[(usize, u8)]| LabelSet::FerPlus.truth(&votes(counts), 255);
    assert_eq!(truth(&[(0, 6), (3, 4)]), Some(Emotion::Neutral));
    assert_eq!(truth(&[(0, 5), (3, 5)]), None, "half is not more than half");
    assert_eq!(truth(&[(4, 4), (0, 3), (5, 1), (6, 1), (7, 1)]), Some(Emotion::Anger), "single votes do not count");
    assert_eq!(truth(&[(8, 6), (0, 4)]), None, "unknown won");
    assert_eq!(truth(&[(0, 5), (8, 3), (9, 2)]), None, "unknown and no face are votes too");
    assert_eq!(truth(&[(2, 1), (3, 1)]), None);
}

#[test]
fn the_argmax_rule_takes_the_earlier_of_equals() {
    let truth = |counts: &[(usize, u8)]| LabelSet::FerPlusArgmax.truth(&votes(counts), 255);
    assert_eq!(truth(&[(0, 5), (3, 5)]), Some(Emotion::Neutral));
    assert_eq!(truth(&[(7, 4), (8, 4)]), Some(Emotion::Contempt));
    assert_eq!(truth(&[(8, 6), (0, 4)]), None);
    assert_eq!(truth(&[]), None);
}

#[test]
fn fer2013_labels_come_in_their_own_order_and_five_leave_two_out() {
    let none = votes(&[]);
    let names: Vec<_> = (0..7).map(|code| LabelSet::Fer2013.truth(&none, code).unwrap().name()).collect();
    assert_eq!(names, ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]);
    assert_eq!(LabelSet::Fer2013.truth(&none, 255), None);
    let five: Vec<_> = (0..7).filter_map(|code| LabelSet::Fer2013Five.truth(&none, code)).collect();
    assert_eq!(five.len(), 5);
    assert_eq!(LabelSet::Fer2013Five.classes().len(), 5);
}

#[test]
fn figures_are_those_worked_out_by_hand() {
    use Emotion::{Happiness, Neutral, Sadness};
    let mut readings = vec![reading(Neutral, Neutral, 0.9); 3];
    readings.push(reading(Neutral, Sadness, 0.6));
    readings.extend([reading(Happiness, Happiness, 0.8), reading(Happiness, Neutral, 0.5)]);
    readings.extend([reading(Sadness, Sadness, 0.7); 2]);
    let eval = measure(LabelSet::FerPlus, &readings).unwrap();
    let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
    assert_eq!((eval.n, eval.labels.len()), (8, 8));
    assert!(close(eval.accuracy, 6.0 / 8.0));
    assert!(close(eval.uar, (0.75 + 0.5 + 1.0) / 3.0));
    // F1: neutral 2*3/(4+4), happiness 2*1/(2+1), sadness 2*2/(2+3).
    assert!(close(eval.macro_f1, (0.75 + 2.0 / 3.0 + 0.8) / 3.0));
    assert_eq!(eval.confusion[0][..4], [3, 0, 0, 1]);
    let nll = -(3.0 * 0.9_f64.ln() + 0.8_f64.ln() + 2.0 * 0.7_f64.ln() + (0.4_f64 / 7.0).ln() + (0.5_f64 / 7.0).ln());
    assert!((eval.nll - nll / 8.0).abs() < 1e-6);
    assert!(close(eval.risk_coverage[0].accuracy, 0.75));
    // The six most confident of eight (70 % rounds to six) are right.
    assert!(close(eval.risk_coverage[3].accuracy, 1.0));
    let majority = &eval.baselines.majority;
    assert_eq!((majority.label, majority.accuracy), ("neutral", 0.5));
    assert!(close(majority.uar, 1.0 / 3.0) && close(majority.macro_f1, 2.0 / 9.0));
    assert!(close(majority.nll, 1.5 * 2.0_f64.ln()));
    assert!(eval.intervals.uar.low <= eval.uar && eval.uar <= eval.intervals.uar.high);
    assert!(measure(LabelSet::FerPlus, &[]).is_none());
}

#[test]
fn a_reader_that_means_what_it_says_has_no_calibration_error() {
    let mut honest = Vec::new();
    for i in 0..1500 {
        // Confidence 0.8, right in four of five, evenly spread so that every bin has its share.
        let read = if i % 5 == 4 { Emotion::Fear } else { Emotion::Anger };
        honest.push(reading(Emotion::Anger, read, 0.8));
    }
    let eval = measure(LabelSet::FerPlus, &honest).unwrap();
    assert!(eval.ece < 1e-6 && eval.calibration.len() == 15, "{}", eval.ece);
    let boastful: Vec<_> = honest.iter().map(|r| reading(r.truth, r.scores.best().0, 0.99)).collect();
    let eval = measure(LabelSet::FerPlus, &boastful).unwrap();
    assert!((eval.ece - 0.19).abs() < 1e-4, "{}", eval.ece);
}

#[test]
fn classes_outside_the_set_are_masked_and_the_rest_renormalised() {
    let mut scores = [0.0; 8];
    scores[Emotion::Contempt as usize] = 0.6;
    scores[Emotion::Anger as usize] = 0.3;
    scores[Emotion::Neutral as usize] = 0.1;
    let eval = measure(LabelSet::Fer2013, &[Reading { truth: Emotion::Anger, scores: EmotionScores(scores) }]).unwrap();
    assert_eq!(eval.accuracy, 1.0);
    assert!((eval.nll + 0.75_f64.ln()).abs() < 1e-6);
    assert!(!eval.labels.contains(&"contempt"));
}

#[test]
fn the_matrix_is_drawn_with_its_labels_and_counts() {
    let eval = measure(LabelSet::Fer2013Five, &[reading(Emotion::Anger, Emotion::Sadness, 0.9); 7]).unwrap();
    let text = confusion_text(&eval);
    assert!(text.lines().any(|line| line.contains("anger") && line.contains('7')), "{text}");
    let svg = confusion_svg(&eval);
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("sadness") && svg.contains(">7<"), "{svg}");
}
