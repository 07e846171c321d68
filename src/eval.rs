//! Measures of what the line found against what is true.

pub mod compare;
pub mod found;
pub mod identification;
pub mod recording;
pub mod statistics;
pub mod tracking;
pub mod truth;
