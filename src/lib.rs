//! rostro: camera images in, people out.
//!
//! ```text
//! bytes ─▶ Frame ─▶ Detections ─▶ AlignedCrops ─▶ Features ─▶ Tracks ─▶ People ─▶ bytes
//! wire     frame     detect        landmarks,      embed       track     people    wire
//!                                  align           emotion     gallery
//! ```
//!
//! Everything between the two ends is synchronous, reads no clock and does no I/O; the caller owns
//! the buffers. `pipeline` is the only module that knows the order.
#![forbid(unsafe_code)]

pub mod align;
pub mod annotate;
pub mod assembly;
pub mod bench;
pub mod cli;
pub mod config;
#[cfg(feature = "dds")]
pub mod dds;
pub mod demo;
pub mod detect;
pub mod embed;
pub mod emotion;
pub mod eval;
pub mod frame;
pub mod gallery;
pub mod geometry;
pub mod head_pose;
pub mod ids;
pub mod inference;
pub mod landmarks;
pub mod lens;
pub mod mailbox;
pub mod model;
pub mod node;
pub mod onnx;
pub mod people;
pub mod pipeline;
pub mod quality;
pub mod replay;
pub mod report;
mod resample;
#[cfg(feature = "ros")]
pub mod ros;
pub mod ros4hri;
pub mod runtime;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
pub mod track;
pub mod wire;
