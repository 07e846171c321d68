//! `sensor_msgs/Image` and `sensor_msgs/CompressedImage` as views of their bytes: nothing is copied,
//! a picture of 6 MB is read in well under a microsecond. The pixels are checked when they are
//! decoded ([`crate::frame`]), not here.

use super::cdr::{self, Reader};
use super::messages::{self, Time};
use super::{Message, WireError};
use crate::frame::{EncodedPixels, Frame, Pixels, RawPixels};
use crate::ids::CameraId;
use crate::time::Stamp;
use serde::Serialize;

/// `std_msgs/Header`, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Acquisition time.
    pub stamp: Stamp,
    /// Optical frame of the camera.
    pub frame_id: &'a str,
}

/// `sensor_msgs/Image`, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RawImage<'a> {
    /// When and from where.
    pub header: Header<'a>,
    /// The picture, unchecked.
    pub pixels: RawPixels<'a>,
}

/// `sensor_msgs/CompressedImage`, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct CompressedImage<'a> {
    /// When and from where.
    pub header: Header<'a>,
    /// The picture, unchecked.
    pub pixels: EncodedPixels<'a>,
}

impl Message for RawImage<'_> {
    const TYPE: &'static str = "sensor_msgs/msg/Image";
}

impl Message for CompressedImage<'_> {
    const TYPE: &'static str = "sensor_msgs/msg/CompressedImage";
}

impl<'a> Header<'a> {
    fn read(message: &'static str, from: &mut Reader<'a>) -> Result<Self, WireError> {
        let (sec, nanosec) = (from.i32("header.stamp.sec")?, from.u32("header.stamp.nanosec")?);
        let stamp = Stamp::from_ros(sec, nanosec).map_err(|source| WireError::Stamp { message, source })?;
        Ok(Self { stamp, frame_id: from.text("header.frame_id")? })
    }
}

impl<'a> RawImage<'a> {
    /// Reads the message from CDR of either byte order.
    ///
    /// # Errors
    /// [`WireError`] naming the field and its offset.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(Self::TYPE, bytes)?;
        let header = Header::read(Self::TYPE, &mut from)?;
        // In the order of the message, which struct expressions keep.
        let pixels = RawPixels {
            height: from.u32("height")?,
            width: from.u32("width")?,
            encoding: from.text("encoding")?,
            is_bigendian: from.u8("is_bigendian")? != 0,
            step: from.u32("step")?,
            data: from.bytes("data")?,
        };
        Ok(Self { header, pixels })
    }

    /// Writes the message as little-endian CDR, in place of the contents of `out`.
    ///
    /// # Errors
    /// None in practice; see [`cdr::write`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.reserve(self.pixels.data.len() + 128);
        cdr::write(&RawFields::from(self), out)
    }

    /// The frame of this camera.
    pub fn frame(&self, camera: CameraId) -> Frame<'a> {
        self.header.frame(camera, Pixels::Raw(self.pixels))
    }
}

impl<'a> CompressedImage<'a> {
    /// Reads the message from CDR of either byte order.
    ///
    /// # Errors
    /// [`WireError`] naming the field and its offset.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(Self::TYPE, bytes)?;
        let header = Header::read(Self::TYPE, &mut from)?;
        let pixels = EncodedPixels { format: from.text("format")?, data: from.bytes("data")? };
        Ok(Self { header, pixels })
    }

    /// Writes the message as little-endian CDR, in place of the contents of `out`.
    ///
    /// # Errors
    /// None in practice; see [`cdr::write`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        out.reserve(self.pixels.data.len() + 128);
        cdr::write(&CompressedFields::from(self), out)
    }

    /// The frame of this camera.
    pub fn frame(&self, camera: CameraId) -> Frame<'a> {
        self.header.frame(camera, Pixels::Encoded(self.pixels))
    }
}

impl<'a> Header<'a> {
    fn frame(self, camera: CameraId, pixels: Pixels<'a>) -> Frame<'a> {
        Frame { camera, stamp: self.stamp, frame_id: self.frame_id, pixels, lens: None }
    }
}

impl messages::Image {
    /// The picture, unchecked.
    pub fn pixels(&self) -> Pixels<'_> {
        Pixels::Raw(RawPixels {
            width: self.width,
            height: self.height,
            encoding: &self.encoding,
            is_bigendian: self.is_bigendian != 0,
            step: self.step,
            data: &self.data,
        })
    }
}

impl messages::CompressedImage {
    /// The picture, unchecked.
    pub fn pixels(&self) -> Pixels<'_> {
        Pixels::Encoded(EncodedPixels { format: &self.format, data: &self.data })
    }
}

#[derive(Serialize)]
struct HeaderFields<'a> {
    stamp: Time,
    frame_id: &'a str,
}

#[derive(Serialize)]
struct RawFields<'a> {
    header: HeaderFields<'a>,
    height: u32,
    width: u32,
    encoding: &'a str,
    is_bigendian: u8,
    step: u32,
    #[serde(with = "serde_bytes")]
    data: &'a [u8],
}

#[derive(Serialize)]
struct CompressedFields<'a> {
    header: HeaderFields<'a>,
    format: &'a str,
    #[serde(with = "serde_bytes")]
    data: &'a [u8],
}

impl Message for RawFields<'_> {
    const TYPE: &'static str = RawImage::TYPE;
}

impl Message for CompressedFields<'_> {
    const TYPE: &'static str = CompressedImage::TYPE;
}

impl<'a> From<Header<'a>> for HeaderFields<'a> {
    fn from(header: Header<'a>) -> Self {
        Self { stamp: header.stamp.into(), frame_id: header.frame_id }
    }
}

impl<'a> From<&RawImage<'a>> for RawFields<'a> {
    fn from(image: &RawImage<'a>) -> Self {
        let RawPixels { width, height, encoding, is_bigendian, step, data } = image.pixels;
        let is_bigendian = is_bigendian.into();
        Self { header: image.header.into(), height, width, encoding, is_bigendian, step, data }
    }
}

impl<'a> From<&CompressedImage<'a>> for CompressedFields<'a> {
    fn from(image: &CompressedImage<'a>) -> Self {
        let EncodedPixels { format, data } = image.pixels;
        Self { header: image.header.into(), format, data }
    }
}
