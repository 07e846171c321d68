//! Measures of what the line found against what is true.

pub mod tracking;
