//! Time as the images tell it. Nothing here reads a clock.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Moment of image acquisition: nanoseconds since the Unix epoch, from the message header.
///
/// Every decision of the pipeline uses stamps, so a replay decides as the robot did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(i64);

/// `builtin_interfaces/Time` whose nanoseconds do not lie in `0..1_000_000_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stamp {sec} s + {nanosec} ns is not a time: nanoseconds must be below 1000000000")]
pub struct InvalidStamp {
    /// Seconds as received.
    pub sec: i32,
    /// Nanoseconds as received.
    pub nanosec: u32,
}

impl Stamp {
    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From the two fields of `builtin_interfaces/Time`.
    ///
    /// # Errors
    /// [`InvalidStamp`] when `nanosec` is a second or more.
    pub const fn from_ros(sec: i32, nanosec: u32) -> Result<Self, InvalidStamp> {
        if nanosec >= 1_000_000_000 {
            return Err(InvalidStamp { sec, nanosec });
        }
        Ok(Self(sec as i64 * 1_000_000_000 + nanosec as i64))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The two fields of `builtin_interfaces/Time`; years past 2038 saturate, as the type does.
    pub fn to_ros(self) -> (i32, u32) {
        let sec = self.0.div_euclid(1_000_000_000);
        let nanosec = self.0.rem_euclid(1_000_000_000) as u32;
        (sec.clamp(i32::MIN.into(), i32::MAX.into()) as i32, nanosec)
    }

    /// Signed seconds from `earlier` to `self`.
    pub fn secs_since(self, earlier: Stamp) -> f64 {
        (self.0.saturating_sub(earlier.0)) as f64 * 1e-9
    }

    /// This stamp moved by a signed number of seconds.
    #[must_use]
    pub fn plus_secs(self, secs: f64) -> Stamp {
        Stamp(self.0.saturating_add((secs * 1e9).round() as i64))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sec, nanosec) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        write!(f, "{sec}.{nanosec:09}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ros_time_round_trips_also_before_the_epoch() {
        for nanos in [0, 1_700_000_000_066_666_666, -1, -1_500_000_000] {
            let (sec, nanosec) = Stamp::from_nanos(nanos).to_ros();
            assert_eq!(Stamp::from_ros(sec, nanosec).unwrap().nanos(), nanos);
        }
        assert!(Stamp::from_ros(1, 1_000_000_000).is_err());
    }

    #[test]
    fn differences_are_signed() {
        let (a, b) = (Stamp::from_nanos(1_000_000_000), Stamp::from_nanos(3_500_000_000));
        assert!((b.secs_since(a) - 2.5).abs() < 1e-12);
        assert!((a.secs_since(b) + 2.5).abs() < 1e-12);
        assert_eq!(a.plus_secs(2.5), b);
        assert_eq!(a.to_string(), "1.000000000");
    }
}
