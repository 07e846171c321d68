//! Measures of what the line found against what is true.

pub mod identification;
pub mod statistics;
pub mod tracking;
