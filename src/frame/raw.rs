//! The uncompressed encodings of `sensor_msgs/image_encodings.hpp`.

use super::bayer::{Mosaic, demosaic};
use super::{ChannelOrder, DecodeError, ImageView, RawPixels, check_size, convert_pixels, high_byte, rgb_buffer};
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvError, YuvPackedImage, YuvRange, YuvStandardMatrix};

/// How the bytes of a row, or of the planes, make pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Three bytes in this order: nothing to convert.
    Colour(ChannelOrder),
    /// The same with a fourth byte, alpha.
    ColourAlpha(ChannelOrder),
    Mono8,
    Mono16,
    /// 4:2:2 in one plane: Y U Y V.
    Yuyv,
    /// 4:2:2 in one plane: U Y V Y.
    Uyvy,
    /// 4:2:0 in two planes, chroma as U V.
    Nv12,
    /// 4:2:0 in two planes, chroma as V U.
    Nv21,
    Bayer(Mosaic),
}

/// Every encoding that can be read, by its ROS name.
pub(super) const ENCODINGS: [(&str, Encoding); 16] = [
    ("rgb8", Encoding::Colour(ChannelOrder::Rgb)),
    ("bgr8", Encoding::Colour(ChannelOrder::Bgr)),
    ("rgba8", Encoding::ColourAlpha(ChannelOrder::Rgb)),
    ("bgra8", Encoding::ColourAlpha(ChannelOrder::Bgr)),
    ("mono8", Encoding::Mono8),
    ("mono16", Encoding::Mono16),
    ("yuv422_yuy2", Encoding::Yuyv),
    ("yuyv", Encoding::Yuyv),
    ("yuv422", Encoding::Uyvy),
    ("uyvy", Encoding::Uyvy),
    ("nv12", Encoding::Nv12),
    ("nv21", Encoding::Nv21),
    ("bayer_rggb8", Encoding::Bayer(Mosaic { red_row: 0, red_column: 0 })),
    ("bayer_bggr8", Encoding::Bayer(Mosaic { red_row: 1, red_column: 1 })),
    ("bayer_gbrg8", Encoding::Bayer(Mosaic { red_row: 1, red_column: 0 })),
    ("bayer_grbg8", Encoding::Bayer(Mosaic { red_row: 0, red_column: 1 })),
];

impl Encoding {
    fn parse(name: &str) -> Result<(&'static str, Self), DecodeError> {
        let known = ENCODINGS.into_iter().find(|(known, _)| *known == name);
        known.ok_or_else(|| DecodeError::UnknownEncoding { encoding: name.to_owned() })
    }

    /// Bytes per pixel of the first (or only) plane.
    const fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Colour(_) => 3,
            Self::ColourAlpha(_) => 4,
            Self::Mono8 | Self::Nv12 | Self::Nv21 | Self::Bayer(_) => 1,
            Self::Mono16 | Self::Yuyv | Self::Uyvy => 2,
        }
    }

    /// Refuses sizes that cut a group of pixels sharing samples.
    fn check_parity(self, name: &'static str, width: u32, height: u32) -> Result<(), DecodeError> {
        let (odd, must_be_even) = match self {
            Self::Yuyv | Self::Uyvy => (!width.is_multiple_of(2), "the width"),
            Self::Nv12 | Self::Nv21 | Self::Bayer(_) => {
                (!width.is_multiple_of(2) || !height.is_multiple_of(2), "width and height")
            }
            _ => return Ok(()),
        };
        if odd { Err(DecodeError::OddSize { encoding: name, width, height, must_be_even }) } else { Ok(()) }
    }
}

/// Rows of equal length, `step` bytes apart, known to lie in `data`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    data: &'a [u8],
    step: usize,
    row_len: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    /// Checks that `count` rows fit in the image's data; the last may lack its padding.
    fn new(raw: &RawPixels<'a>, encoding: &str, row_len: usize, count: u32) -> Result<Self, DecodeError> {
        let step = raw.step as usize;
        if step < row_len {
            let encoding = encoding.to_owned();
            return Err(DecodeError::StepTooSmall { step: raw.step, needed: row_len, width: raw.width, encoding });
        }
        let needed = step * (count as usize - 1) + row_len;
        if raw.data.len() < needed {
            return Err(DecodeError::TooShort { got: raw.data.len(), needed, height: count, step });
        }
        Ok(Self { data: raw.data, step, row_len, count: count as usize })
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) const fn row_len(&self) -> usize {
        self.row_len
    }

    pub(super) fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.step..y * self.step + self.row_len]
    }
}

/// Views or converts the pixels; `buffer` holds them when they are converted.
pub(super) fn decode<'a>(raw: &RawPixels<'a>, buffer: &'a mut Vec<u8>) -> Result<ImageView<'a>, DecodeError> {
    let (width, height) = (raw.width, raw.height);
    let (name, encoding) = Encoding::parse(raw.encoding)?;
    check_size(width, height)?;
    encoding.check_parity(name, width, height)?;
    if let Encoding::Colour(order) = encoding {
        return ImageView::new(width, height, raw.step as usize, order, raw.data);
    }

    let row_len = width as usize * encoding.bytes_per_pixel();
    let planes = if matches!(encoding, Encoding::Nv12 | Encoding::Nv21) { height / 2 * 3 } else { height };
    let rows = Rows::new(raw, name, row_len, planes)?;
    let rgb = rgb_buffer(buffer, width, height);
    let damaged = |e: YuvError| DecodeError::Damaged { format: name, reason: e.to_string() };
    match encoding {
        Encoding::Colour(_) => {}
        Encoding::ColourAlpha(order) => by_pixel(rows, rgb, |p: [u8; 4]| in_rgb_order([p[0], p[1], p[2]], order)),
        Encoding::Mono8 => by_pixel(rows, rgb, |[v]: [u8; 1]| [v; 3]),
        Encoding::Mono16 if raw.is_bigendian => by_pixel(rows, rgb, |p| [high_byte(u16::from_be_bytes(p)); 3]),
        Encoding::Mono16 => by_pixel(rows, rgb, |p| [high_byte(u16::from_le_bytes(p)); 3]),
        Encoding::Yuyv => packed_422(rows, width, rgb, yuv::yuyv422_to_rgb).map_err(damaged)?,
        Encoding::Uyvy => packed_422(rows, width, rgb, yuv::uyvy422_to_rgb).map_err(damaged)?,
        Encoding::Nv12 => planar_420(raw, rgb, yuv::yuv_nv12_to_rgb).map_err(damaged)?,
        Encoding::Nv21 => planar_420(raw, rgb, yuv::yuv_nv21_to_rgb).map_err(damaged)?,
        Encoding::Bayer(mosaic) => demosaic(rows, mosaic, rgb),
    }
    ImageView::new(width, height, width as usize * 3, ChannelOrder::Rgb, rgb)
}

const fn in_rgb_order([first, green, last]: [u8; 3], order: ChannelOrder) -> [u8; 3] {
    match order {
        ChannelOrder::Rgb => [first, green, last],
        ChannelOrder::Bgr => [last, green, first],
    }
}

/// Converts pixels that stand alone, `N` bytes each.
fn by_pixel<const N: usize>(rows: Rows<'_>, rgb: &mut [u8], convert: impl Fn([u8; N]) -> [u8; 3]) {
    let out_len = rows.row_len / N * 3;
    for (y, out) in rgb.chunks_exact_mut(out_len).enumerate() {
        convert_pixels(rows.row(y), out, &convert);
    }
}

/// What OpenCV, hence cv_bridge, assumes of every YUV image.
const RANGE: YuvRange = YuvRange::Limited;
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;

/// A conversion of the `yuv` crate: image, RGB and its stride, range, matrix.
type Convert422 = fn(&YuvPackedImage<'_, u8>, &mut [u8], u32, YuvRange, YuvStandardMatrix) -> Result<(), YuvError>;
/// The same for two planes, and how precisely.
type Convert420 = fn(
    &YuvBiPlanarImage<'_, u8>,
    &mut [u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), YuvError>;

/// Row by row, since the last one may lack its padding.
fn packed_422(rows: Rows<'_>, width: u32, rgb: &mut [u8], convert: Convert422) -> Result<(), YuvError> {
    for (y, out) in rgb.chunks_exact_mut(3 * width as usize).enumerate() {
        let row = YuvPackedImage { yuy: rows.row(y), yuy_stride: rows.row_len as u32, width, height: 1 };
        convert(&row, out, 3 * width, RANGE, MATRIX)?;
    }
    Ok(())
}

fn planar_420(raw: &RawPixels<'_>, rgb: &mut [u8], convert: Convert420) -> Result<(), YuvError> {
    let (y_plane, uv_plane) = raw.data.split_at(raw.step as usize * raw.height as usize);
    let image = YuvBiPlanarImage {
        y_plane,
        y_stride: raw.step,
        uv_plane,
        uv_stride: raw.step,
        width: raw.width,
        height: raw.height,
    };
    convert(&image, rgb, 3 * raw.width, RANGE, MATRIX, YuvConversionMode::Balanced)
}
