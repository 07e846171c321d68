//! One image as it arrived, and the one conversion that makes its pixels readable.
//!
//! `rgb8` and `bgr8` are borrowed as they are; every other encoding is converted once, into a
//! buffer that [`Decoder`] keeps between frames.

mod bayer;
mod compressed;
mod raw;

use crate::ids::CameraId;
use crate::lens::Lens;
use crate::time::Stamp;

/// One camera image, its bytes borrowed from wherever they were received.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// Logical camera.
    pub camera: CameraId,
    /// Acquisition time, from the header.
    pub stamp: Stamp,
    /// Optical frame of the camera (`header.frame_id`).
    pub frame_id: &'a str,
    /// The image itself.
    pub pixels: Pixels<'a>,
    /// The camera's calibration, when it is known.
    pub lens: Option<Lens>,
}

/// The two shapes in which ROS carries an image.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// `sensor_msgs/Image`.
    Raw(RawPixels<'a>),
    /// `sensor_msgs/CompressedImage`, or the bytes of a picture file: JPEG or PNG, told apart by
    /// their first bytes.
    Encoded(EncodedPixels<'a>),
}

/// The fields of `sensor_msgs/Image` that describe pixels, unchecked.
#[derive(Clone, Copy, Debug)]
pub struct RawPixels<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Name of the encoding, as in `sensor_msgs/image_encodings.hpp`.
    pub encoding: &'a str,
    /// Byte order of 16-bit samples.
    pub is_bigendian: bool,
    /// Bytes from one row to the next; may exceed the row itself.
    pub step: u32,
    /// The rows.
    pub data: &'a [u8],
}

/// The fields of `sensor_msgs/CompressedImage`.
#[derive(Clone, Copy, Debug)]
pub struct EncodedPixels<'a> {
    /// As sent, for messages to people only; the bytes decide.
    pub format: &'a str,
    /// A JPEG or PNG file.
    pub data: &'a [u8],
}

/// Order of the three bytes of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// Borrowed pixels, three bytes each. Stride and length are checked when it is made.
#[derive(Clone, Copy, Debug)]
pub struct ImageView<'a> {
    width: u32,
    height: u32,
    stride: usize,
    order: ChannelOrder,
    data: &'a [u8],
}

/// Why an image cannot be read. Each names what was wrong with which value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Width or height is zero.
    #[error("image of {width}x{height} pixels is empty")]
    Empty {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Too large to be an image of this world.
    #[error("image of {width}x{height} pixels is larger than {limit} pixels on a side")]
    TooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Most columns or rows accepted.
        limit: u32,
    },
    /// More memory than a picture is worth; a few bytes of a corrupt file can claim this.
    #[error("image of {width}x{height} pixels has more than {limit} pixels")]
    TooManyPixels {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Most pixels accepted.
        limit: u32,
    },
    /// `step` is less than a row needs.
    #[error("step of {step} bytes is smaller than a row of {needed} bytes ({width} pixels of {encoding})")]
    StepTooSmall {
        /// As received.
        step: u32,
        /// Bytes of one row.
        needed: usize,
        /// Columns.
        width: u32,
        /// Encoding name.
        encoding: String,
    },
    /// Fewer bytes than rows × step.
    #[error("image data has {got} bytes, {needed} are needed for {height} rows of {step} bytes")]
    TooShort {
        /// Bytes received.
        got: usize,
        /// Bytes needed.
        needed: usize,
        /// Rows.
        height: u32,
        /// Bytes per row.
        step: usize,
    },
    /// An encoding nobody here can read.
    #[error("unknown image encoding \"{encoding}\"; known: {known}", known = known_encodings())]
    UnknownEncoding {
        /// As received.
        encoding: String,
    },
    /// The encoding shares samples between neighbouring pixels, so its sizes must be even.
    #[error("{encoding} image of {width}x{height} pixels: {must_be_even} must be even")]
    OddSize {
        /// Encoding name.
        encoding: &'static str,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Which sides the encoding wants even.
        must_be_even: &'static str,
    },
    /// Neither JPEG nor PNG by its first bytes.
    #[error("compressed image (format \"{format}\") is neither JPEG nor PNG")]
    UnknownFormat {
        /// As received.
        format: String,
    },
    /// A sound file of a kind that no camera sends.
    #[error("{format} image with {what} is not supported")]
    Unsupported {
        /// JPEG or PNG.
        format: &'static str,
        /// What is special about it.
        what: String,
    },
    /// The file inside is damaged.
    #[error("damaged {format} image: {reason}")]
    Damaged {
        /// JPEG, PNG or the raw encoding.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// Largest width or height accepted, so that a corrupt header cannot ask for all memory.
pub const MAX_SIDE: u32 = 16_384;

/// Most pixels accepted: 64 Mi, 192 MiB as RGB. Twice an 8K picture.
pub const MAX_PIXELS: u32 = 64 << 20;

/// Refuses sizes that are empty or absurd, before anything is allocated for them.
fn check_size(width: u32, height: u32) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::Empty { width, height });
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(DecodeError::TooLarge { width, height, limit: MAX_SIDE });
    }
    if width * height > MAX_PIXELS {
        return Err(DecodeError::TooManyPixels { width, height, limit: MAX_PIXELS });
    }
    Ok(())
}

fn known_encodings() -> String {
    raw::ENCODINGS.map(|(name, _)| name).join(" ")
}

impl<'a> ImageView<'a> {
    /// Views `data` as `height` rows of `width` three-byte pixels, `stride` bytes apart.
    ///
    /// # Errors
    /// [`DecodeError`] when the size is zero or absurd, the stride smaller than a row, or the data
    /// too short (the last row may lack its padding).
    pub fn new(
        width: u32,
        height: u32,
        stride: usize,
        order: ChannelOrder,
        data: &'a [u8],
    ) -> Result<Self, DecodeError> {
        check_size(width, height)?;
        let row = width as usize * 3;
        if stride < row {
            let encoding = match order {
                ChannelOrder::Rgb => "rgb8",
                ChannelOrder::Bgr => "bgr8",
            };
            let step = u32::try_from(stride).unwrap_or(u32::MAX);
            return Err(DecodeError::StepTooSmall { step, needed: row, width, encoding: encoding.to_owned() });
        }
        let needed = stride * (height as usize - 1) + row;
        if data.len() < needed {
            return Err(DecodeError::TooShort { got: data.len(), needed, height, step: stride });
        }
        Ok(Self { width, height, stride, order, data })
    }

    /// Columns.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Bytes from one row to the next.
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Which of red and blue comes first.
    pub const fn order(&self) -> ChannelOrder {
        self.order
    }

    /// All bytes, from the first pixel of the first row.
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The pixels of row `y`, which must be below `height`.
    pub fn row(&self, y: u32) -> &'a [u8] {
        let start = y as usize * self.stride;
        &self.data[start..start + self.width as usize * 3]
    }

    /// Red, green, blue of a pixel; `x` and `y` must lie in the image.
    pub fn rgb(&self, x: u32, y: u32) -> [u8; 3] {
        let at = y as usize * self.stride + x as usize * 3;
        let [first, green, last] = [self.data[at], self.data[at + 1], self.data[at + 2]];
        match self.order {
            ChannelOrder::Rgb => [first, green, last],
            ChannelOrder::Bgr => [last, green, first],
        }
    }
}

/// Turns any readable frame into an [`ImageView`], converting into buffers it keeps, so that frames
/// of one size and a raw encoding allocate nothing after the first.
#[derive(Debug, Default)]
pub struct Decoder {
    rgb: Vec<u8>,
    /// Samples of a PNG that are not 8-bit RGB.
    samples: Vec<u8>,
}

impl Decoder {
    /// Reads the pixels. `rgb8` and `bgr8` are borrowed from the message; everything else is
    /// converted into the decoder's own RGB buffer.
    ///
    /// - YUV encodings are taken as BT.601 in limited range (Y 16..=235), as OpenCV and cv_bridge
    ///   take them; `nv12` and `nv21` are `height` rows of Y and `height / 2` rows of interleaved
    ///   chroma, all `step` bytes apart. `yuv422` is `uyvy`, `yuv422_yuy2` is `yuyv`, as in ROS.
    /// - 16-bit samples are scaled, `round(v · 255 / 65535)`.
    /// - Bayer mosaics are interpolated bilinearly; the border is mirrored.
    /// - An alpha channel is dropped. The orientation noted in a JPEG or PNG is applied, so width and
    ///   height are those of the upright picture.
    ///
    /// # Errors
    /// [`DecodeError`] naming what was wrong with which value.
    pub fn decode<'a>(&'a mut self, pixels: &Pixels<'a>) -> Result<ImageView<'a>, DecodeError> {
        match pixels {
            Pixels::Raw(raw) => raw::decode(raw, &mut self.rgb),
            Pixels::Encoded(encoded) => compressed::decode(encoded, &mut self.rgb, &mut self.samples),
        }
    }
}

/// Sizes `buffer` for a tightly packed RGB image; allocates only when it grows.
fn rgb_buffer(buffer: &mut Vec<u8>, width: u32, height: u32) -> &mut [u8] {
    buffer.resize(width as usize * height as usize * 3, 0);
    buffer
}

/// Converts pixels of `N` bytes one by one.
fn convert_pixels<const N: usize>(pixels: &[u8], rgb: &mut [u8], convert: impl Fn([u8; N]) -> [u8; 3]) {
    for (pixel, out) in pixels.as_chunks::<N>().0.iter().zip(rgb.as_chunks_mut::<3>().0) {
        *out = convert(*pixel);
    }
}

/// 16 to 8 bit: `round(v * 255 / 65535)`, which is `v / 257` rounded.
const fn high_byte(v: u16) -> u8 {
    ((v as u32 + 128) / 257) as u8
}
