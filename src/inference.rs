//! The error that every stage with a network shares.

/// A network that could not be run, or whose output was not what its manifest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{model}: {reason}")]
pub struct InferenceError {
    /// Name of the model's manifest.
    pub model: String,
    /// What went wrong.
    pub reason: String,
}
