//! Integration tests.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops at a surprise and says what it measured")]

mod accuracy;
mod architecture;
mod bad_input;
mod clips;
mod demo;
mod emotion;
mod eval;
mod gallery;
mod gallery_crash;
mod gallery_live;
mod head_pose;
mod import_parity;
mod machine_commands;
mod models;
mod mtcnn_parity;
#[cfg(feature = "dds")]
mod node;
#[cfg(feature = "dds")]
mod node_lifecycle;
#[cfg(feature = "dds")]
mod node_support;
mod open_set;
mod params;
mod quality;
mod replay;
mod replay_command;
mod ros4hri;
mod ros_api;
mod scenes;
mod support;
mod wire_frame;
mod wire_messages;
