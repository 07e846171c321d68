//! Models are data: a manifest says what a network is, a pack says where it comes from.

pub mod import;
pub mod manifest;
