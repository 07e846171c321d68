//! One page about a recording: who was there when, what was said of them, how fast, and how right.
//!
//! The page is a single file without scripts, fonts or pictures from elsewhere.

mod chart;
mod collector;
mod page;
mod timing;

pub use collector::{Collector, Story, Track};
pub use page::{Facts, Picture, page};
pub use timing::{Quantiles, Timing, TimingSummary};

pub(crate) use page::{base64, escaped};
