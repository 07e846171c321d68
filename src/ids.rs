//! Ids of cameras, faces and people. None of them is ever derived from a name or a face.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Logical camera name; also the first part of its ROS topics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct CameraId(Arc<str>);

/// Id of a face *as tracked now* (REP-155): five letters a-z, never given to another face.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaceId([u8; 5]);

/// Permanent id of one human: eight letters a-z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId([u8; 8]);

/// A text that is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a {kind}: expected {expected}")]
pub struct InvalidId {
    /// What was wanted.
    pub kind: &'static str,
    /// How it looks.
    pub expected: &'static str,
    /// What came.
    pub text: String,
}

impl CameraId {
    /// A name that may stand in a ROS topic: letters, digits, `_`, and `/` between parts.
    ///
    /// # Errors
    /// [`InvalidId`] naming the text.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        let part_is_valid = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if name.split('/').all(part_is_valid) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidId {
                kind: "camera name",
                expected: "letters, digits and _, parts joined by /, no part starting with a digit",
                text: name.to_owned(),
            })
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for CameraId {
    /// `camera`, the only camera of a robot with one, and of pictures that come without a topic.
    fn default() -> Self {
        Self("camera".into())
    }
}

impl TryFrom<String> for CameraId {
    type Error = InvalidId;
    fn try_from(name: String) -> Result<Self, InvalidId> {
        Self::new(&name)
    }
}

impl From<CameraId> for String {
    fn from(id: CameraId) -> String {
        id.0.to_string()
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Odd, not divisible by 13, so it is a unit modulo 26^N.
const FACTOR: u128 = 129_067_431_887;
const SHIFT: u128 = 7_919_993;

/// Writes `number` with `N` letters. The number is first permuted over all 26^N ids (multiplied by
/// a unit modulo 26^N and shifted), so that neighbours look nothing alike and no id comes twice.
fn letters<const N: usize>(number: u64) -> [u8; N] {
    let size = 26_u128.pow(N as u32);
    let mut rest = (u128::from(number) * FACTOR + SHIFT) % size;
    let mut text = [b'a'; N];
    for letter in text.iter_mut().rev() {
        *letter = b'a' + (rest % 26) as u8;
        rest /= 26;
    }
    text
}

/// The number that [`letters`] wrote.
fn number<const N: usize>(text: [u8; N]) -> u64 {
    let size = 26_u128.pow(N as u32);
    let shifted = text.iter().fold(0, |value, letter| value * 26 + u128::from(letter - b'a'));
    let permuted = (shifted + size - SHIFT % size) % size;
    // The units modulo 26^N are a group of (1/2) * (12/13) * 26^N members (Euler), so this power of
    // the factor is its inverse.
    let inverse = power(FACTOR % size, size / 26 * 12 - 1, size);
    (permuted * inverse % size) as u64
}

fn power(base: u128, exponent: u128, modulus: u128) -> u128 {
    let (mut result, mut square, mut rest) = (1, base, exponent);
    while rest > 0 {
        if rest % 2 == 1 {
            result = result * square % modulus;
        }
        square = square * square % modulus;
        rest /= 2;
    }
    result
}

macro_rules! letter_id {
    ($name:ident, $len:literal, $kind:literal, $expected:literal) => {
        impl $name {
            /// The id with this running number; different numbers give different ids until the
            /// space of ids is used up.
            pub fn from_counter(number: u64) -> Self {
                Self(letters::<$len>(number))
            }

            /// The running number, whoever counted.
            pub fn number(self) -> u64 {
                number(self.0)
            }

            /// Reads an id.
            ///
            /// # Errors
            /// [`InvalidId`] when the text is anything but the right number of letters a-z.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                match <[u8; $len]>::try_from(text.as_bytes()) {
                    Ok(bytes) if bytes.iter().all(u8::is_ascii_lowercase) => Ok(Self(bytes)),
                    _ => Err(InvalidId { kind: $kind, expected: $expected, text: text.to_owned() }),
                }
            }

            /// The letters.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
letter_id!(FaceId, 5, "face id", "five letters a-z");
letter_id!(PersonId, 8, "person id", "eight letters a-z");

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_letters_and_never_repeat() {
        let faces: HashSet<_> = (0..200_000).map(FaceId::from_counter).collect();
        assert_eq!(faces.len(), 200_000);
        let id = PersonId::from_counter(41);
        assert_eq!(PersonId::parse(id.as_str()).unwrap(), id);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_lowercase()) && id.as_str().len() == 8);
    }

    #[test]
    fn an_id_tells_its_number() {
        for counted in [0, 1, 2, 26, 41, 1_000_003, 11_881_375] {
            assert_eq!(FaceId::from_counter(counted).number(), counted);
            assert_eq!(PersonId::from_counter(counted).number(), counted);
        }
        let last = 26_u64.pow(8) - 1;
        assert_eq!(PersonId::from_counter(last).number(), last);
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        assert!(FaceId::parse("Anna1").unwrap_err().to_string().contains("Anna1"));
        assert!(CameraId::new("left eye").is_err());
        assert!(CameraId::new("2nd").is_err());
        assert_eq!(CameraId::new("head/left").unwrap().as_str(), "head/left");
    }
}
