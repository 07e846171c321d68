//! Stage *embed*: one unit vector per look at a face, and the one way to compare two.

use crate::align::AlignedCrop;
use crate::inference::InferenceError;
use std::fmt;
use std::sync::Arc;

/// Which network made an embedding: manifest name and the first 8 hex digits of the weights'
/// SHA-256. Embeddings with different tags are never compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelTag(Arc<str>);

impl ModelTag {
    /// The tag of the weights with this hash (lower-case hex).
    pub fn new(manifest_name: &str, weights_sha256: &str) -> Self {
        let short = weights_sha256.get(..8).unwrap_or(weights_sha256);
        Self(format!("{manifest_name}@{short}").into())
    }

    /// Reads what [`Self::as_str`] gave.
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// Name of the manifest.
    pub fn manifest_name(&self) -> &str {
        self.0.split('@').next().unwrap_or(&self.0)
    }

    /// As text: `name@hash8`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One look at a face: a vector of length one, and who made it.
///
/// Biometric data: deliberately without `Debug`, so that it cannot reach a log.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    unit: Vec<f32>,
    model: ModelTag,
}

/// Why embeddings could not be made or compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddingError {
    /// All zero, or not finite: it has no direction.
    #[error("embedding of model {model} has no direction")]
    NoDirection {
        /// Its maker.
        model: ModelTag,
    },
    /// Vectors of different networks.
    #[error("embeddings of {left} and {right} cannot be compared")]
    DifferentModels {
        /// Maker of the first.
        left: ModelTag,
        /// Maker of the second.
        right: ModelTag,
    },
}

impl Embedding {
    /// Scales `values` to unit length.
    ///
    /// # Errors
    /// [`EmbeddingError::NoDirection`] when that is impossible.
    pub fn new(mut values: Vec<f32>, model: ModelTag) -> Result<Self, EmbeddingError> {
        let norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if !norm.is_finite() || norm < 1e-6 {
            return Err(EmbeddingError::NoDirection { model });
        }
        for value in &mut values {
            *value = (f64::from(*value) / norm) as f32;
        }
        Ok(Self { unit: values, model })
    }

    /// The unit vector.
    pub fn unit(&self) -> &[f32] {
        &self.unit
    }

    /// Its maker.
    pub const fn model(&self) -> &ModelTag {
        &self.model
    }

    /// Cosine similarity, -1..=1.
    ///
    /// # Errors
    /// [`EmbeddingError::DifferentModels`] when two networks made them.
    pub fn cosine(&self, other: &Self) -> Result<f32, EmbeddingError> {
        if self.model != other.model {
            return Err(EmbeddingError::DifferentModels { left: self.model.clone(), right: other.model.clone() });
        }
        let dot: f32 = self.unit.iter().zip(&other.unit).map(|(a, b)| a * b).sum();
        Ok(dot.clamp(-1.0, 1.0))
    }
}

/// Makes embeddings from aligned crops.
pub trait FaceEmbedder: Send {
    /// The tag of everything this embedder makes.
    fn model(&self) -> &ModelTag;

    /// Replaces the contents of `out` by one embedding per crop, in order.
    ///
    /// # Errors
    /// [`InferenceError`] when the network fails; `out` is then empty.
    fn embed(&mut self, crops: &[AlignedCrop], out: &mut Vec<Embedding>) -> Result<(), InferenceError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str) -> ModelTag {
        ModelTag::new(name, "0123456789abcdef")
    }

    #[test]
    fn embeddings_are_unit_vectors_and_remember_their_maker() {
        let a = Embedding::new(vec![3.0, 4.0], tag("a")).ok().unwrap();
        assert_eq!(a.unit(), [0.6, 0.8]);
        assert_eq!(a.model().as_str(), "a@01234567");
        assert!((a.cosine(&a).unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn embeddings_of_two_models_are_never_compared() {
        let a = Embedding::new(vec![1.0, 0.0], tag("a")).ok().unwrap();
        let b = Embedding::new(vec![1.0, 0.0], tag("b")).ok().unwrap();
        assert!(matches!(a.cosine(&b), Err(EmbeddingError::DifferentModels { .. })));
        assert!(Embedding::new(vec![0.0; 4], tag("a")).is_err());
        assert!(Embedding::new(vec![f32::NAN; 4], tag("a")).is_err());
    }
}
