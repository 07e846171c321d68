//! The live node: cameras in, people, events and diagnostics out, services answered; whatever the
//! middleware.

pub mod transport;
