//! What the node needs of a middleware: to move bytes. Two implement it: `dds` (pure Rust, no ROS 2
//! installed) and `ros` (r2r, inside a sourced ROS 2).
//!
//! Names are ROS names as a node writes them: `~/people`, `camera/image`, `/diagnostics`. The
//! transport expands and remaps them. Bytes are CDR with its four-byte header, as in bags.

use crate::frame::Frame;
use crate::ids::CameraId;
use crate::time::Stamp;
use crate::wire::image::{CompressedImage, RawImage};
use crate::wire::{Message, WireError, messages};
use std::fmt;
use std::time::Duration;

/// How a topic's messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qos {
    /// Lost messages are sent again.
    pub reliable: bool,
    /// Late subscribers get the last `depth` messages (transient local).
    pub latched: bool,
    /// Messages kept.
    pub depth: u32,
}

impl Qos {
    /// Reliable, for those who are there.
    pub const fn reliable(depth: u32) -> Self {
        Self { reliable: true, latched: false, depth }
    }

    /// Reliable, also for those who come later.
    pub const fn latched(depth: u32) -> Self {
        Self { reliable: true, latched: true, depth }
    }

    /// Only the newest, and none twice.
    pub const fn best_effort() -> Self {
        Self { reliable: false, latched: false, depth: 1 }
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.reliable { "reliable" } else { "best effort" })?;
        f.write_str(if self.latched { ", transient local" } else { ", volatile" })
    }
}

/// Somebody else's publisher on a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Message type, as `sensor_msgs/msg/Image`.
    pub type_name: String,
    /// What it offers; the depth is not announced by every middleware.
    pub qos: Qos,
}

/// A message as a transport hands it over.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// CDR bytes with their header.
    Cdr(Vec<u8>),
    /// `sensor_msgs/msg/Image`, from a transport that decodes for itself.
    Image(messages::Image),
    /// `sensor_msgs/msg/CompressedImage`, from a transport that decodes for itself.
    Compressed(messages::CompressedImage),
}

/// Called for each message, or with the reason why one could not be read, on a thread of the
/// transport. It must not block.
pub type OnMessage = Box<dyn FnMut(Result<Incoming, String>) + Send>;

/// Sends the answer to one request; dropped, it leaves the request unanswered.
pub type Answer = Box<dyn FnOnce(Vec<u8>) + Send>;

/// Called for each request, on a thread of the transport. It must not block: the answer may be given
/// later and from another thread.
pub type OnRequest = Box<dyn Fn(&[u8], Answer) + Send + Sync>;

/// Why the middleware refused something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct TransportError {
    /// What was wanted, naming the topic or service.
    pub what: String,
    /// What the middleware said.
    pub reason: String,
}

/// Sends the messages of one topic. Dropped, the topic ends.
pub trait Publisher: Send {
    /// Sends one message.
    ///
    /// # Errors
    /// [`TransportError`] when it was not sent; the next may be.
    fn publish(&self, cdr: &[u8]) -> Result<(), TransportError>;

    /// Subscribers now; it may be a tenth of a second old.
    fn subscribers(&self) -> usize;
}

/// Keeps a subscription or a service alive; dropped, its callback is not called any more.
pub trait Connection: Send {}

/// A middleware with one node in it.
pub trait Transport {
    /// `dds` or the name of the RMW, for people.
    fn name(&self) -> String;

    /// The full name of the node, such as `/rostro`.
    fn node_name(&self) -> String;

    /// The absolute name that a name of ours has after expansion and remapping.
    fn resolve(&self, name: &str) -> String;

    /// Starts a topic of this type (`rostro/msg/People`).
    ///
    /// # Errors
    /// [`TransportError`] naming the topic.
    fn advertise(&mut self, topic: &str, type_name: &str, qos: Qos) -> Result<Box<dyn Publisher>, TransportError>;

    /// Listens to a topic.
    ///
    /// # Errors
    /// [`TransportError`] naming the topic.
    fn subscribe(
        &mut self,
        topic: &str,
        type_name: &str,
        qos: Qos,
        on_message: OnMessage,
    ) -> Result<Box<dyn Connection>, TransportError>;

    /// Serves a service of this type (`rostro/srv/Enrol`).
    ///
    /// # Errors
    /// [`TransportError`] naming the service.
    fn serve(
        &mut self,
        service: &str,
        type_name: &str,
        on_request: OnRequest,
    ) -> Result<Box<dyn Connection>, TransportError>;

    /// The publishers of others on a topic.
    fn offers(&self, topic: &str) -> Vec<Offer>;

    /// Does what the middleware needs on this thread; returns after about `timeout`.
    fn spin(&mut self, timeout: Duration);
}

/// A camera image as it arrived.
#[derive(Clone, Debug)]
pub enum ImageMessage {
    /// CDR of `sensor_msgs/msg/Image`.
    RawCdr(Vec<u8>),
    /// CDR of `sensor_msgs/msg/CompressedImage`.
    CompressedCdr(Vec<u8>),
    /// Decoded by the transport.
    Raw(messages::Image),
    /// Decoded by the transport.
    Compressed(messages::CompressedImage),
}

impl ImageMessage {
    /// What came on a topic of raw or of compressed images.
    pub fn of(incoming: Incoming, compressed: bool) -> Self {
        match incoming {
            Incoming::Cdr(bytes) if compressed => Self::CompressedCdr(bytes),
            Incoming::Cdr(bytes) => Self::RawCdr(bytes),
            Incoming::Image(image) => Self::Raw(image),
            Incoming::Compressed(image) => Self::Compressed(image),
        }
    }

    /// The frame of this camera; pixels stay where they are and are not yet checked.
    ///
    /// # Errors
    /// [`WireError`] naming the field that cannot be read.
    pub fn frame(&self, camera: CameraId) -> Result<Frame<'_>, WireError> {
        match self {
            Self::RawCdr(bytes) => Ok(RawImage::parse(bytes)?.frame(camera)),
            Self::CompressedCdr(bytes) => Ok(CompressedImage::parse(bytes)?.frame(camera)),
            Self::Raw(image) => {
                let stamp = stamp_of(messages::Image::TYPE, &image.header)?;
                let frame_id = image.header.frame_id.as_str();
                Ok(Frame { camera, stamp, frame_id, pixels: image.pixels(), lens: None })
            }
            Self::Compressed(image) => {
                let stamp = stamp_of(messages::CompressedImage::TYPE, &image.header)?;
                let frame_id = image.header.frame_id.as_str();
                Ok(Frame { camera, stamp, frame_id, pixels: image.pixels(), lens: None })
            }
        }
    }
}

fn stamp_of(message: &'static str, header: &messages::Header) -> Result<Stamp, WireError> {
    Stamp::try_from(header.stamp).map_err(|source| WireError::Stamp { message, source })
}
