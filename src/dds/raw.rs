//! CDR bodies as they are on the wire, through a client that only knows types.

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The header that bags and the rest of this crate put before a little-endian body.
const LITTLE_ENDIAN: [u8; 4] = [0, 1, 0, 0];

/// A CDR body without its four-byte header: it serialises to its own bytes, and takes all there are.
///
/// The byte order of a received body is not known here; every machine that ROS 2 runs on sends
/// little-endian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body(pub(super) Vec<u8>);

impl Body {
    /// The body of a message with header.
    pub(super) fn of(cdr: &[u8]) -> Self {
        Self(cdr.get(4..).unwrap_or_default().to_vec())
    }

    /// The message that `body` is, with its header.
    pub(super) fn with_header(body: &[u8]) -> Vec<u8> {
        [&LITTLE_ENDIAN, body].concat()
    }
}

impl ros2_client::Message for Body {}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_tuple(self.0.len())?;
        for byte in &self.0 {
            bytes.serialize_element(byte)?;
        }
        bytes.end()
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesToTheEnd;
        impl<'de> Visitor<'de> for BytesToTheEnd {
            type Value = Body;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes to the end")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Body, A::Error> {
                let mut body = Vec::new();
                while let Ok(Some(byte)) = bytes.next_element::<u8>() {
                    body.push(byte);
                }
                Ok(Body(body))
            }
        }
        deserializer.deserialize_tuple(usize::MAX, BytesToTheEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use byteorder::LittleEndian;

    #[test]
    fn a_body_passes_through_unchanged() {
        let body = Body((0..=255).collect());
        let bytes = cdr_encoding::to_vec::<_, LittleEndian>(&body).unwrap();
        assert_eq!(bytes, body.0);
        assert_eq!(cdr_encoding::from_bytes::<Body, LittleEndian>(&bytes).unwrap().0, body);
        assert_eq!(cdr_encoding::from_bytes::<Body, LittleEndian>(&[]).unwrap().0, Body::default());
        assert_eq!(Body::of(&Body::with_header(&body.0)), body);
        assert_eq!(Body::of(&[0, 1]), Body::default());
    }
}
