//! After warm-up a frame allocates nothing that grows with the image. A binary of its own, since it counts
//! every allocation of the process; `cargo test --test allocations -- --nocapture` prints the table.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops at a surprise and says what it measured")]

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage};
use rostro::assembly::load_pipeline;
use rostro::bench::frames::{Frames, PERIOD, RATE_HZ};
use rostro::config::Config;
use rostro::demo::photos;
use rostro::frame::{EncodedPixels, Frame, Pixels, RawPixels};
use rostro::ids::CameraId;
use rostro::model::NoProgress;
use rostro::model::pictures::demo_pictures;
use rostro::model::store::{Bundle, FileState, InstallOptions, ModelStore};
use rostro::pipeline::Pipeline;
use rostro::runtime::allocations;
use rostro::time::Stamp;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::io::Write as _;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Most bytes per frame, of all allocations together: less than a third of the smallest image here. The JPEG
/// decoder takes the most, some rows at a time.
const MOST_BYTES: u64 = 256 << 10;
/// Rounds until buffers have their size and tracks their state.
const WARM_ROUNDS: usize = 2;

/// One picture in some encoding.
enum Picture {
    Raw { encoding: &'static str, step: u32, data: Vec<u8> },
    Jpeg(Vec<u8>),
}

impl Picture {
    fn pixels(&self, (width, height): (u32, u32)) -> Pixels<'_> {
        match self {
            Self::Raw { encoding, step, data } => {
                Pixels::Raw(RawPixels { width, height, encoding, is_bigendian: false, step: *step, data })
            }
            Self::Jpeg(data) => Pixels::Encoded(EncodedPixels { format: "jpeg", data }),
        }
    }

    /// A `bgr8` picture in another encoding; those of YUV keep the brightness alone.
    fn of(encoding: &'static str, bgr: &[u8], (width, height): (u32, u32)) -> Self {
        let luma = || bgr.as_chunks::<3>().0.iter().map(|[_, green, _]| 16 + (u16::from(*green) * 219 / 255) as u8);
        let raw = |step, data| Self::Raw { encoding, step, data };
        match encoding {
            "bgr8" => raw(3 * width, bgr.to_vec()),
            "yuv422_yuy2" => raw(2 * width, luma().flat_map(|y| [y, 128]).collect()),
            "nv12" => raw(width, luma().chain(std::iter::repeat_n(128, (width * height / 2) as usize)).collect()),
            "bayer_rggb8" => raw(width, bgr.as_chunks::<3>().0.iter().map(|[_, green, _]| *green).collect()),
            _ => {
                let rgb = bgr.as_chunks::<3>().0.iter().flat_map(|[b, g, r]| [*r, *g, *b]).collect();
                let picture = RgbImage::from_raw(width, height, rgb).unwrap();
                let mut data = Vec::new();
                JpegEncoder::new_with_quality(&mut data, 90)
                    .encode(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
                    .unwrap();
                Self::Jpeg(data)
            }
        }
    }
}

#[test]
fn after_warm_up_a_frame_allocates_nothing_that_grows_with_the_image() {
    let skip = |why: &str| writeln!(std::io::stderr(), "SKIPPED allocations: {why}").unwrap();
    let store = ModelStore::open("").unwrap();
    let pictures = match store.install_bundle(&demo_pictures(), &InstallOptions::default(), &mut NoProgress) {
        Ok(pictures) => pictures,
        Err(error) => return skip(&format!("the photographs cannot be had: {error}")),
    };
    let cutouts = photos::cutouts(&pictures).unwrap();
    println!("detector     size       encoding     faces  allocations  bytes per frame");
    let mut most = 0;
    for detector in ["mtcnn", "yunet-n-640"] {
        let files = store.verify(&Bundle::load(detector).unwrap()).unwrap();
        if detector != "mtcnn" && files.iter().any(|(_, state)| *state != FileState::Right) {
            skip(&format!("{detector} is not installed"));
            continue;
        }
        let mut config = Config::default();
        config.detector.model = detector.into();
        let mut line = match load_pipeline(&config, &mut NoProgress) {
            Ok(line) => line,
            Err(error) => return skip(&format!("the line cannot be loaded: {error:#}")),
        };
        let encodings = ["bgr8", "yuv422_yuy2", "nv12", "bayer_rggb8", "jpeg"];
        for (size, encodings) in [((640, 480), &encodings[..]), ((1280, 720), &encodings[..1])] {
            let frames = Frames::compose(&cutouts, size, 5);
            for &encoding in encodings {
                let converted: Vec<Picture> =
                    (0..PERIOD).map(|tick| Picture::of(encoding, frames.at(tick), size)).collect();
                let (faces, count, bytes) = measure(&mut line, &converted, size);
                println!("{detector:12} {:4}x{:<4}  {encoding:12} {faces:5}  {count:11}  {bytes:15}", size.0, size.1);
                assert!(faces >= 4 || encoding != "bgr8", "{faces} faces found");
                most = most.max(bytes);
            }
        }
    }
    assert!(most <= MOST_BYTES, "{most} bytes per frame");
}

/// Most faces in a frame, and the mean number of allocations and of their bytes per frame.
fn measure(line: &mut Pipeline, pictures: &[Picture], size: (u32, u32)) -> (usize, u64, u64) {
    line.reset();
    let camera: CameraId = CameraId::default();
    let (mut faces, mut before) = (0, (0, 0));
    for tick in 0..(WARM_ROUNDS + 1) * PERIOD {
        if tick == WARM_ROUNDS * PERIOD {
            before = allocations().expect("the allocator counts");
        }
        let frame = Frame {
            camera: camera.clone(),
            stamp: Stamp::from_nanos((tick as f64 * 1e9 / RATE_HZ) as i64),
            frame_id: "camera",
            lens: None,
            pixels: pictures[tick % PERIOD].pixels(size),
        };
        let people = line.process(&frame).unwrap();
        faces = faces.max(people.people.len());
    }
    let after = allocations().unwrap();
    (faces, (after.0 - before.0) / PERIOD as u64, (after.1 - before.1) / PERIOD as u64)
}
