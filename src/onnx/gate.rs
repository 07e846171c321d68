//! The gate between precisions: a network computed elsewhere, or with fewer digits, must answer as its fp32
//! original on the CPU does, on the inputs of real frames.

use crate::model::manifest::Role;
use serde::{Deserialize, Serialize};

/// How far a network in another precision lies from its original.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// Network runs that were compared.
    pub runs: usize,
    /// The largest difference; see [`allowed`] for its measure.
    pub worst: f64,
    /// The largest that is accepted.
    pub allowed: f64,
}

impl Parity {
    /// Nothing compared yet.
    pub(super) const fn nothing_yet(role: Role) -> Self {
        Self { runs: 0, worst: 0.0, allowed: allowed(role) }
    }

    /// Whether the network may be used. Without a comparison it may not.
    pub fn passed(&self) -> bool {
        self.runs > 0 && self.worst <= self.allowed
    }

    /// Takes one run of both, on `batch` images, into account: outputs in the same order.
    pub(super) fn add(&mut self, role: Role, batch: usize, original: &[Vec<f32>], other: &[Vec<f32>]) {
        self.runs += 1;
        let difference = difference(role, batch, original, other);
        // NaN is the worst of all.
        self.worst = if difference.is_nan() { f64::INFINITY } else { self.worst.max(difference) };
    }
}

/// The largest difference that is accepted.
///
/// - Embedder: one minus the cosine. 0.001 turns a look by 2.6 degrees and moves no similarity by more than
///   0.045, which is less than the margin that a name needs over the runner-up.
/// - Expression: the probability of any label after the softmax.
/// - Detector: any output (a score, a shift as a share of the box), as a share of the output's largest value
///   where that is above 1.
const fn allowed(role: Role) -> f64 {
    match role {
        Role::Embedder => 0.001,
        _ => 0.02,
    }
}

fn difference(role: Role, batch: usize, original: &[Vec<f32>], other: &[Vec<f32>]) -> f64 {
    if original.len() != other.len() || original.iter().zip(other).any(|(a, b)| a.len() != b.len()) {
        return f64::INFINITY;
    }
    let rows = |output: &'_ [f32]| (output.len() / batch.max(1)).max(1);
    let pairs = original.iter().zip(other).flat_map(|(a, b)| a.chunks(rows(a)).zip(b.chunks(rows(b))));
    match role {
        Role::Embedder => pairs.map(|(a, b)| 1.0 - cosine(a, b)).fold(0.0, larger),
        Role::Emotion => pairs.map(|(a, b)| largest_gap(&softmax(a), &softmax(b))).fold(0.0, larger),
        _ => pairs.map(|(a, b)| largest_gap(a, b) / largest(a).max(1.0)).fold(0.0, larger),
    }
}

/// The larger number; NaN when one is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn largest(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(value.abs())).fold(0.0, larger)
}

fn largest_gap(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, larger)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parity(role: Role, original: &[f32], other: &[f32]) -> Parity {
        let mut parity = Parity::nothing_yet(role);
        parity.add(role, 1, &[original.to_vec()], &[other.to_vec()]);
        parity
    }

    #[test]
    fn the_faces_of_a_batch_are_compared_one_by_one() {
        // As one long vector the two would lie close together.
        let (original, other) = ([30.0, 0.0, 0.0, 1.0], [30.0, 0.0, 1.0, 0.0]);
        assert!(parity(Role::Embedder, &original, &other).worst < 0.01);
        let mut rows = Parity::nothing_yet(Role::Embedder);
        rows.add(Role::Embedder, 2, &[original.to_vec()], &[other.to_vec()]);
        assert!(rows.worst > 0.9 && !rows.passed());
    }

    #[test]
    fn each_role_has_its_own_measure() {
        assert!(parity(Role::Embedder, &[1.0, 0.0], &[1.0, 0.04]).passed());
        assert!(!parity(Role::Embedder, &[1.0, 0.0], &[1.0, 0.06]).passed());
        // Logits may move together without moving a probability.
        assert!(parity(Role::Emotion, &[3.0, 1.0], &[8.0, 6.0]).passed());
        assert!(!parity(Role::Emotion, &[1.0, 1.0], &[1.2, 1.0]).passed());
        assert!(parity(Role::FaceDetector, &[0.7, 100.0], &[0.71, 101.0]).passed());
        assert!(!parity(Role::FaceDetector, &[0.7, 0.9], &[0.73, 0.9]).passed());
    }

    #[test]
    fn nothing_and_nonsense_do_not_pass() {
        assert!(!Parity::nothing_yet(Role::Embedder).passed());
        assert!(!parity(Role::FaceDetector, &[1.0], &[f32::NAN]).passed());
        assert!(!parity(Role::Embedder, &[1.0, 0.0], &[0.0, 0.0]).passed());
        assert!(!parity(Role::Emotion, &[1.0, 2.0], &[1.0]).passed());
        let mut after = parity(Role::FaceDetector, &[1.0], &[f32::NAN]);
        after.add(Role::FaceDetector, 1, &[vec![1.0]], &[vec![1.0]]);
        assert!(!after.passed());
    }
}
