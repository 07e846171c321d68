//! CDR as ROS 2 sends it: four bytes that tell the byte order, then the fields in their order, each
//! aligned to its size (counted after those four).

use super::{Message, WireError};
use byteorder::{BigEndian, ByteOrder, LittleEndian};
use cdr_encoding::CdrDeserializer;
use serde::Serialize;
use serde::de::DeserializeOwned;

const BIG_ENDIAN: u16 = 0x0000;
const LITTLE_ENDIAN: u16 = 0x0001;

/// Writes a message, little-endian, in place of the contents of `out`.
///
/// # Errors
/// [`WireError::Malformed`] for a value that CDR cannot carry, such as a sequence of unknown length;
/// none of the messages here has one.
pub fn write<T: Serialize + Message>(message: &T, out: &mut Vec<u8>) -> Result<(), WireError> {
    out.clear();
    out.extend(LITTLE_ENDIAN.to_be_bytes());
    out.extend([0, 0]);
    cdr_encoding::to_writer::<T, LittleEndian, _>(&mut *out, message).map_err(|e| WireError::Malformed {
        message: T::TYPE,
        offset: out.len(),
        reason: e.to_string(),
    })
}

/// Reads a message of either byte order. Bytes after it, such as padding, are ignored.
///
/// # Errors
/// [`WireError`] naming the message and the place.
pub fn read<T: DeserializeOwned + Message>(bytes: &[u8]) -> Result<T, WireError> {
    match byte_order(T::TYPE, bytes)? {
        Order::Big => read_body::<T, BigEndian>(&bytes[4..]),
        Order::Little => read_body::<T, LittleEndian>(&bytes[4..]),
    }
}

fn read_body<T: DeserializeOwned + Message, B: ByteOrder>(body: &[u8]) -> Result<T, WireError> {
    let mut deserializer = CdrDeserializer::<B>::new(body);
    T::deserialize(&mut deserializer).map_err(|e| WireError::Malformed {
        message: T::TYPE,
        offset: 4 + deserializer.bytes_consumed(),
        reason: e.to_string(),
    })
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Big,
    Little,
}

/// Reads the encapsulation header, so the four bytes are there when this succeeds.
fn byte_order(message: &'static str, bytes: &[u8]) -> Result<Order, WireError> {
    let [high, low, _, _, ..] = *bytes else {
        return Err(WireError::NoHeader { message, got: bytes.len() });
    };
    match u16::from_be_bytes([high, low]) {
        BIG_ENDIAN => Ok(Order::Big),
        LITTLE_ENDIAN => Ok(Order::Little),
        kind => Err(WireError::Representation { message, kind }),
    }
}

/// Reads fields one after the other and borrows texts and byte sequences.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    message: &'static str,
    bytes: &'a [u8],
    order: Order,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'static str, bytes: &'a [u8]) -> Result<Self, WireError> {
        let order = byte_order(message, bytes)?;
        Ok(Self { message, bytes, order, at: 4 })
    }

    fn take(&mut self, field: &'static str, needed: usize) -> Result<&'a [u8], WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..needed) else {
            return Err(WireError::Truncated {
                message: self.message,
                field,
                offset: self.at,
                needed,
                left: rest.len(),
            });
        };
        self.at += needed;
        Ok(taken)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        Ok(self.take(field, 1)?[0])
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        // The header is as long as the alignment, so counting from it or from after it is the same.
        self.at = self.at.next_multiple_of(4);
        let bytes = self.take(field, 4)?;
        Ok(match self.order {
            Order::Big => BigEndian::read_u32(bytes),
            Order::Little => LittleEndian::read_u32(bytes),
        })
    }

    pub(super) fn i32(&mut self, field: &'static str) -> Result<i32, WireError> {
        Ok(self.u32(field)?.cast_signed())
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.u32(field)? as usize;
        self.take(field, len)
    }

    /// Without the zero byte that ends it. A text of no bytes at all is what some writers send for "".
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, WireError> {
        let bytes = self.bytes(field)?;
        let offset = self.at - bytes.len();
        let characters = match bytes {
            [] => bytes,
            [characters @ .., 0] => characters,
            _ => return Err(WireError::Unterminated { message: self.message, field, offset }),
        };
        std::str::from_utf8(characters).map_err(|_ignored_position| WireError::NotUtf8 {
            message: self.message,
            field,
            offset,
        })
    }
}
