//! Every readable encoding against what OpenCV makes of the same bytes
//! (`tests/reference/encodings.py` writes the reference), and arbitrary bytes against the decoder.

use proptest::prelude::*;
use rostro::frame::{ChannelOrder, DecodeError, Decoder, EncodedPixels, Pixels, RawPixels};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Case {
    /// Raw cases.
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    is_bigendian: bool,
    #[serde(default)]
    step: u32,
    /// Name of a JPEG or PNG case.
    file: Option<String>,
    width: u32,
    height: u32,
    #[serde(deserialize_with = "hex")]
    data: Vec<u8>,
    #[serde(deserialize_with = "hex")]
    rgb: Vec<u8>,
    /// Largest accepted difference of a sample.
    tolerance: u8,
    /// Pixels on each side that are not compared.
    border: u32,
}

pub(crate) fn hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.as_bytes().chunks_exact(2);
    Ok(digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect())
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("reference/encodings.json")).unwrap()
}

impl Case {
    fn name(&self) -> String {
        self.file.clone().unwrap_or_else(|| format!("{} (step {})", self.encoding, self.step))
    }

    fn pixels(&self) -> Pixels<'_> {
        self.pixels_with(&self.data)
    }

    fn pixels_with<'a>(&'a self, data: &'a [u8]) -> Pixels<'a> {
        match &self.file {
            Some(format) => Pixels::Encoded(EncodedPixels { format, data }),
            None => Pixels::Raw(RawPixels {
                width: self.width,
                height: self.height,
                encoding: &self.encoding,
                is_bigendian: self.is_bigendian,
                step: self.step,
                data,
            }),
        }
    }
}

#[test]
fn every_encoding_gives_the_colours_that_opencv_reads() {
    let mut decoder = Decoder::default();
    let mut seen = BTreeSet::new();
    for case in cases() {
        let name = case.name();
        let view = decoder.decode(&case.pixels()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((view.width(), view.height()), (case.width, case.height), "{name}");
        let mut worst = 0;
        for y in case.border..case.height - case.border {
            for x in case.border..case.width - case.border {
                let at = (y * case.width + x) as usize * 3;
                for (ours, theirs) in view.rgb(x, y).into_iter().zip(&case.rgb[at..at + 3]) {
                    worst = worst.max(ours.abs_diff(*theirs));
                }
            }
        }
        println!("{name}: largest difference {worst}");
        assert!(worst <= case.tolerance, "{name}: differs by {worst}, {} accepted", case.tolerance);
        seen.insert(case.encoding);
    }
    // The empty name stands for the files.
    assert_eq!(seen.len(), 16 + 1, "every encoding is compared: {seen:?}");
}

#[test]
fn rgb8_and_bgr8_are_borrowed_and_everything_else_reuses_one_buffer() {
    let mut decoder = Decoder::default();
    for case in cases().iter().filter(|case| case.file.is_none()) {
        let first = decoder.decode(&case.pixels()).unwrap();
        let borrowed = case.data.as_ptr_range().contains(&first.data().as_ptr());
        assert_eq!(borrowed, ["rgb8", "bgr8"].contains(&case.encoding.as_str()), "{}", case.name());
        assert_eq!(first.order() == ChannelOrder::Bgr, case.encoding == "bgr8");
        let at = first.data().as_ptr();
        assert_eq!(decoder.decode(&case.pixels()).unwrap().data().as_ptr(), at, "{}", case.name());
    }
}

#[test]
fn the_last_row_may_lack_its_padding_but_nothing_else() {
    for case in cases().iter().filter(|case| case.file.is_none()) {
        let bytes_per_row = match case.encoding.as_str() {
            "rgb8" | "bgr8" => case.width * 3,
            "rgba8" | "bgra8" => case.width * 4,
            "mono16" | "yuyv" | "uyvy" | "yuv422" | "yuv422_yuy2" => case.width * 2,
            _ => case.width,
        };
        let unpadded = case.data.len() - (case.step - bytes_per_row) as usize;
        let mut decoder = Decoder::default();
        let whole = decoder.decode(&case.pixels()).unwrap();
        let whole: Vec<_> = (0..case.height).flat_map(|y| whole.row(y).to_vec()).collect();
        let view = decoder.decode(&case.pixels_with(&case.data[..unpadded])).unwrap();
        let rows: Vec<_> = (0..case.height).flat_map(|y| view.row(y).to_vec()).collect();
        assert!(rows == whole, "{}: same pixels without the last padding", case.name());

        let error = decoder.decode(&case.pixels_with(&case.data[..unpadded - 1])).unwrap_err();
        assert!(matches!(error, DecodeError::TooShort { got, needed, .. } if needed == got + 1), "{error}");
    }
}

fn raw<'a>(encoding: &'a str, width: u32, height: u32, step: u32, data: &'a [u8]) -> Pixels<'a> {
    Pixels::Raw(RawPixels { width, height, encoding, is_bigendian: false, step, data })
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let data = [0; 64];
    let message = |pixels: Pixels<'_>| Decoder::default().decode(&pixels).unwrap_err().to_string();
    let unknown = message(raw("32FC1", 4, 4, 16, &data));
    assert!(unknown.contains("\"32FC1\"") && unknown.contains("known: rgb8 bgr8"), "{unknown}");
    assert_eq!(message(raw("rgb8", 0, 4, 12, &data)), "image of 0x4 pixels is empty");
    assert!(message(raw("mono8", 8, 4, 7, &data)).contains("step of 7 bytes is smaller than a row of 8"));
    assert!(message(raw("nv12", 4, 3, 4, &data)).contains("width and height must be even"));
    assert!(message(raw("yuyv", 3, 4, 6, &data)).contains("the width must be even"));
    assert!(message(raw("mono8", 16_385, 1, 16_385, &data)).contains("larger than 16384"));
    assert!(message(raw("mono8", 16_384, 4_097, 16_384, &data)).contains("more than 67108864 pixels"));
    let depth = EncodedPixels { format: "16UC1; compressedDepth", data: &data };
    assert!(message(Pixels::Encoded(depth)).contains("\"16UC1; compressedDepth\""));
}

fn file(name: &str) -> Vec<u8> {
    cases().into_iter().find(|case| case.file.as_deref() == Some(name)).unwrap().data
}

fn decode_file(data: &[u8]) -> Result<(u32, u32), DecodeError> {
    let mut decoder = Decoder::default();
    let view = decoder.decode(&Pixels::Encoded(EncodedPixels { format: "test", data }))?;
    Ok((view.width(), view.height()))
}

#[test]
fn truncated_files_are_errors_not_grey_pictures() {
    for name in ["jpeg 4:2:0", "jpeg progressive", "jpeg grey", "png rgb", "png 16 bit"] {
        let data = file(name);
        for part in [4, data.len() / 3, data.len() * 2 / 3] {
            let error = decode_file(&data[..part]).unwrap_err();
            assert!(matches!(error, DecodeError::Damaged { .. }), "{name} cut to {part}: {error}");
        }
    }
}

#[test]
fn rubbish_before_the_end_of_a_jpeg_is_forgiven() {
    // Cheap USB cameras fill up their buffers this way.
    let mut data = file("jpeg 4:2:0");
    let end = data.len() - 2;
    data.splice(end..end, [0x12; 9]);
    decode_file(&data).unwrap();
    data.extend([0; 100]);
    decode_file(&data).unwrap();
}

#[test]
fn a_header_cannot_ask_for_all_memory() {
    let mut jpeg = file("jpeg 4:2:0");
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert!(matches!(decode_file(&jpeg).unwrap_err(), DecodeError::TooLarge { width: 65_535, height: 65_535, .. }));
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
    assert!(matches!(decode_file(&jpeg).unwrap_err(), DecodeError::TooManyPixels { .. }));

    let mut png = file("png rgb");
    png[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert!(matches!(decode_file(&png).unwrap_err(), DecodeError::TooManyPixels { .. }));
}

/// The checksum of a PNG chunk, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1))))
}

#[test]
fn print_colours_are_refused_by_name() {
    let mut jpeg = file("jpeg 4:4:4");
    // Four components of one table each; the rest need not fit, the header decides.
    let at = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let sizes = jpeg[at + 5..at + 9].to_vec();
    let mut header = vec![0xff, 0xc0, 0, 20, 8];
    header.extend(sizes);
    header.push(4);
    header.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0]);
    jpeg.splice(at..at + 19, header);
    let scan = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    jpeg.splice(scan..scan + 14, [0xff, 0xda, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    assert_eq!(decode_file(&jpeg).unwrap_err().to_string(), "JPEG image with 4 colour components is not supported");
}

fn encodings() -> impl Strategy<Value = String> {
    let known: Vec<String> = cases().into_iter().map(|case| case.encoding).filter(|name| !name.is_empty()).collect();
    prop_oneof![9 => prop::sample::select(known), 1 => ".{0,12}"]
}

fn sizes() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..40_u32, 1 => Just(16_384), 1 => any::<u32>()]
}

proptest! {
    #[test]
    fn raw_images_never_panic(
        encoding in encodings(),
        width in sizes(),
        height in sizes(),
        step in prop_oneof![4 => 0..200_u32, 1 => any::<u32>()],
        is_bigendian: bool,
        data in prop::collection::vec(any::<u8>(), 0..4_096),
    ) {
        let pixels = Pixels::Raw(RawPixels { width, height, encoding: &encoding, is_bigendian, step, data: &data });
        if let Ok(view) = Decoder::default().decode(&pixels) {
            prop_assert_eq!((view.width(), view.height()), (width, height));
            view.rgb(width - 1, height - 1);
        }
    }

    #[test]
    fn damaged_files_never_panic(
        which: prop::sample::Index,
        cut in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let files: Vec<_> = cases().into_iter().filter(|case| case.file.is_some()).collect();
        let mut data = which.get(&files).data.clone();
        for (at, byte) in damage {
            *at.get_mut(&mut data) = byte;
        }
        data.truncate(if cut.index(4) == 0 { cut.index(data.len()) } else { data.len() });
        let _ = decode_file(&data);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        start in prop::sample::select(vec![&[0xff, 0xd8, 0xff][..], b"\x89PNG\r\n\x1a\n", b""]),
        rest in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        let _ = decode_file(&[start, &rest].concat());
    }
}
