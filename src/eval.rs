//! Measures of what the line found against what is true.

pub mod compare;
pub mod emotion;
pub mod found;
pub mod identification;
pub mod npz;
pub mod open_set;
pub mod recording;
pub mod statistics;
pub mod tracking;
pub mod truth;
