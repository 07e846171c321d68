//! The demo: a scene composed from real photographs, whose truth is known exactly.

pub mod curve;
pub mod layer;
pub mod photos;
pub mod recording;
pub mod room;
pub mod scene;
pub mod score;
pub mod story;
