//! Both ends of the line: the ROS messages we touch, as CDR bytes, without ROS.
//!
//! Pictures are the big messages, so [`image`] reads them as a view that borrows the pixels. All
//! others are plain structs in [`messages`] and [`services`], read and written by [`cdr`]. Their
//! `.msg` and `.srv` files are the documentation of the fields; a test keeps both equal.

mod array;
pub mod camera_info;
pub mod cdr;
pub mod foxglove;
pub mod geometry;
pub mod hri;
pub mod image;
pub mod lifecycle;
pub mod messages;
mod outgoing;
pub mod parameters;
mod schema;
pub mod services;
pub mod standard;
pub mod vision;

pub use schema::schema;

use crate::time::InvalidStamp;

/// A ROS message with a Rust side here.
pub trait Message {
    /// Name as bags and topics carry it, such as `rostro/msg/People`.
    const TYPE: &'static str;
}

/// Why bytes are not the message they should be. Offsets count from the first byte, which belongs
/// to the encapsulation header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not even an encapsulation header.
    #[error("{message}: {got} bytes, the CDR header alone has 4")]
    NoHeader {
        /// Type wanted.
        message: &'static str,
        /// Bytes received.
        got: usize,
    },
    /// Parameter lists and the second version of the encoding are not what ROS 2 sends.
    #[error("{message}: CDR representation {kind:#06x} is unknown; plain CDR is 0x0000 or 0x0001")]
    Representation {
        /// Type wanted.
        message: &'static str,
        /// The first two bytes.
        kind: u16,
    },
    /// The bytes end inside a field.
    #[error("{message}: {field} at byte {offset} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Type wanted.
        message: &'static str,
        /// Field that was being read.
        field: &'static str,
        /// Where it starts.
        offset: usize,
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// A text without the zero byte at its end.
    #[error("{message}: {field} at byte {offset} does not end in a zero byte")]
    Unterminated {
        /// Type wanted.
        message: &'static str,
        /// Field that was being read.
        field: &'static str,
        /// Where its characters start.
        offset: usize,
    },
    /// A text is not UTF-8.
    #[error("{message}: {field} at byte {offset} is not UTF-8")]
    NotUtf8 {
        /// Type wanted.
        message: &'static str,
        /// Field that was being read.
        field: &'static str,
        /// Where its characters start.
        offset: usize,
    },
    /// `header.stamp` is not a time.
    #[error("{message}: header.stamp: {source}")]
    Stamp {
        /// Type wanted.
        message: &'static str,
        /// What is wrong with it.
        source: InvalidStamp,
    },
    /// One of the small messages does not fit its type.
    #[error("{message}: {reason} at byte {offset}")]
    Malformed {
        /// Type wanted.
        message: &'static str,
        /// Where reading stopped.
        offset: usize,
        /// What the decoder said.
        reason: String,
    },
}
