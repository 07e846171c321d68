//! JPEG and PNG, told apart by their first bytes.

use super::{
    ChannelOrder, DecodeError, EncodedPixels, ImageView, MAX_SIDE, check_size, convert_pixels, high_byte, rgb_buffer,
};
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, Limits, RgbImage};
use std::io::Cursor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const JPEG: &str = "JPEG";
const PNG: &str = "PNG";

/// Decodes the file into `rgb`; `samples` takes those of a PNG that need converting first.
pub(super) fn decode<'a>(
    encoded: &EncodedPixels<'_>,
    rgb: &'a mut Vec<u8>,
    samples: &mut Vec<u8>,
) -> Result<ImageView<'a>, DecodeError> {
    let decoded = match encoded.data {
        [0xff, 0xd8, 0xff, ..] => decode_jpeg(encoded.data, rgb)?,
        [0x89, b'P', b'N', b'G', ..] => decode_png(encoded.data, rgb, samples)?,
        _ => return Err(DecodeError::UnknownFormat { format: encoded.format.to_owned() }),
    };
    let (width, height) = turn_upright(decoded, rgb);
    ImageView::new(width, height, width as usize * 3, ChannelOrder::Rgb, rgb)
}

/// What is in the buffer, and how it wants to be looked at.
#[derive(Clone, Copy)]
struct Decoded {
    width: u32,
    height: u32,
    orientation: Orientation,
}

/// Applies the orientation that telephones note instead of turning the picture; returns width and
/// height as they are then. Cameras of robots have none, so only here a turned copy is allocated.
fn turn_upright(decoded: Decoded, rgb: &mut Vec<u8>) -> (u32, u32) {
    let Decoded { width, height, orientation } = decoded;
    if orientation == Orientation::NoTransforms {
        return (width, height);
    }
    let Some(picture) = RgbImage::from_raw(width, height, std::mem::take(rgb)) else {
        return (width, height);
    };
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    let size = (picture.width(), picture.height());
    *rgb = picture.into_bytes();
    size
}

/// Strict, because a lenient decoder paints what is missing of a truncated picture grey.
fn decode_jpeg(data: &[u8], rgb: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
    let damaged = |e: DecodeErrors| DecodeError::Damaged { format: JPEG, reason: e.to_string() };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(damaged)?;
    let info = decoder.info().ok_or_else(|| damaged(DecodeErrors::FormatStatic("it has no header")))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_size(width, height)?;
    // Four are CMYK for print; two mean nothing that is written down.
    if !matches!(info.components, 1 | 3) {
        let what = format!("{} colour components", info.components);
        return Err(DecodeError::Unsupported { format: JPEG, what });
    }
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    decoder.decode_into(rgb_buffer(rgb, width, height)).map_err(damaged)?;
    Ok(Decoded { width, height, orientation })
}

/// Most memory that the PNG decoder may take for itself (metadata, one row, the inflate window).
const PNG_MEMORY: u64 = 32 << 20;

fn decode_png(data: &[u8], rgb: &mut Vec<u8>, samples: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
    let damaged = |e: ImageError| DecodeError::Damaged { format: PNG, reason: e.to_string() };
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(PNG_MEMORY);
    let mut decoder = PngDecoder::with_limits(Cursor::new(data), limits).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = Decoded { width, height, orientation };

    let colour = decoder.color_type();
    let rgb = rgb_buffer(rgb, width, height);
    if colour == ColorType::Rgb8 {
        decoder.read_image(rgb).map_err(damaged)?;
        return Ok(decoded);
    }
    samples.resize(width as usize * height as usize * usize::from(colour.bytes_per_pixel()), 0);
    decoder.read_image(samples).map_err(damaged)?;
    let word = |low, high| high_byte(u16::from_ne_bytes([low, high]));
    match colour {
        ColorType::L8 => convert_pixels(samples, rgb, |[v]: [u8; 1]| [v; 3]),
        ColorType::La8 => convert_pixels(samples, rgb, |[v, _]: [u8; 2]| [v; 3]),
        ColorType::Rgba8 => convert_pixels(samples, rgb, |[r, g, b, _]: [u8; 4]| [r, g, b]),
        ColorType::L16 => convert_pixels(samples, rgb, |[v, w]: [u8; 2]| [word(v, w); 3]),
        ColorType::La16 => convert_pixels(samples, rgb, |[v, w, ..]: [u8; 4]| [word(v, w); 3]),
        ColorType::Rgb16 => {
            convert_pixels(samples, rgb, |p: [u8; 6]| [word(p[0], p[1]), word(p[2], p[3]), word(p[4], p[5])]);
        }
        ColorType::Rgba16 => {
            convert_pixels(samples, rgb, |p: [u8; 8]| [word(p[0], p[1]), word(p[2], p[3]), word(p[4], p[5])]);
        }
        other => return Err(DecodeError::Unsupported { format: PNG, what: format!("{other:?} samples") }),
    }
    Ok(decoded)
}
